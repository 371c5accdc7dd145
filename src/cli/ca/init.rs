//! `atl ca init`: a directory that a CA can be served from, and its root's key to lock away.

use std::net::SocketAddr;
use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::authority::{Intermediate, ListPoint, ROOT_KEY_FILE, Root, list_signer_name, new_name};
use super::bundle::KEY_FILE as BUNDLE_KEY_FILE;
use super::certificate::{certificate_pem, rows};
use super::emergency::{ANCHOR_FILE, EMERGENCY_DIR, ListUrls, NewSigner, SIGNER_FILE, SIGNER_KEY_FILE};
use super::keyfile::{PassphraseArgs, PrivateKey};
use super::status;
use crate::apki::Certificate;
use crate::cli::files::Directory;
use crate::cli::output::{CliError, Context, print_rows};
use crate::cli::pki::KeyKind;
use crate::cli::random;
use crate::config::CaConfig;
use crate::config::ca::{Operator, PublicName, TrustedLog};
use crate::keys::PublicKey;
use crate::log::note::VerifierKey;
use crate::time::{Clock, SystemClock, UnixMillis};

/// Make a directory that a CA can be served from: configuration, root, intermediate, a token for
/// the operator.
///
/// The root's key is encrypted under a passphrase and lies in a directory of its own, DIR/root. The
/// server never reads it: move that directory to a place that no network reaches, and bring it back
/// for `atl ca root`. Nothing that exists is overwritten.
///
/// DIR/emergency is for the officer on duty. Its key can do one thing: say of an intermediate that
/// nobody may believe it any more (atl ca root revoke-intermediate --help), so that the root's key
/// stays where it is. Relying parties look for that at URL/crl/root and URL/crl/anchor. The
/// certificates say so for good: choose a --status-url that will still be yours in ten years.
///
/// Back up the rest, DIR/principal-salt too: it is mixed into the hashes by which certificates name the
/// human behind an agent, and without it the same human gets another one.
///
/// Example:
///   atl ca init --dir myca --trust-domain agents.example.com --organization "Example Bank" \
///     --log https://log.example.com/2026h2+log.example.com/2026h2+aa31d49b+AfOJ...,operator="Log Ltd"
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct InitArgs {
    /// The directory to make
    #[arg(long)]
    dir: PathBuf,
    /// The DNS name in the agent URIs that the CA issues for. It can never change
    #[arg(long)]
    trust_domain: String,
    /// The organisation, as it is to stand in the CA's certificates
    #[arg(long)]
    organization: String,
    /// A log that every certificate is submitted to: base URL and key, as a verifier key
    /// (name+hash+base64) or as base64 of the SubjectPublicKeyInfo. Who runs it is the URL's host
    /// unless `,operator=NAME` follows. May be given more than once
    #[arg(long = "log", value_name = "URL+KEY", value_parser = named_log)]
    logs: Vec<TrustedLog>,
    /// Years that the root is valid, 10 to 20
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(10..=20))]
    root_years: u16,
    /// Years that the intermediate is valid, 1 to 5
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=5))]
    intermediate_years: u16,
    /// The kind of both keys
    #[arg(long, value_enum, default_value_t = KeyKind::P256)]
    algorithm: KeyKind,
    /// Leave the name constraint for the trust domain out of the intermediate, for relying parties
    /// on rustls, which refuses it
    #[arg(long)]
    no_name_constraint: bool,
    /// Where to serve HTTPS
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// A DNS name or IP address of the service, for its TLS certificate; may be given more than
    /// once. Default: localhost and 127.0.0.1
    #[arg(long = "public-name", value_name = "NAME")]
    public_names: Vec<String>,
    /// What stands in front of /crl and /ocsp in certificates, such as http://status.example.com: it
    /// has to stay reachable for as long as they are valid. Default: the first --public-name, with the
    /// port of --listen; where that is 0, certificates do not say it, and there is no emergency key
    #[arg(long, value_name = "URL")]
    status_url: Option<String>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// File whose first line is the passphrase of the emergency key; without it that is the root key's
    /// from --passphrase-file, or the terminal is asked for one
    #[arg(long, value_name = "FILE", conflicts_with = "insecure_dev")]
    emergency_passphrase_file: Option<PathBuf>,
    /// Leave the root's key and the emergency key unencrypted: for tests and demos, never for agents that matter
    #[arg(long, conflicts_with = "passphrase_file")]
    insecure_dev: bool,
}

/// Runs it.
pub fn run(args: &InitArgs) -> Result<(), CliError> {
    let made = make(args)?;
    let shown = |name: &str| args.dir.join(name).display().to_string();
    println!("Root");
    print_rows(rows(&made.root)?);
    println!("\nIntermediate");
    print_rows(rows(&made.intermediate)?);
    println!("\nFiles");
    let emergency = match made.emergency {
        true => format!("{}/{EMERGENCY_DIR}/{SIGNER_KEY_FILE}", args.dir.display()),
        false => "none".to_owned(),
    };
    print_rows([
        ("configuration", shown("ca.toml")),
        ("root, for relying parties and logs", shown("root.pem")),
        ("root key, to lock away", format!("{}/{ROOT_KEY_FILE}", shown("root"))),
        ("emergency key, for the officer on duty", emergency),
        ("intermediate", shown("intermediate.pem")),
        ("intermediate key", shown("intermediate-key.pem")),
        ("salt of human principals", shown("principal-salt")),
        ("key of the trust bundle", shown(BUNDLE_KEY_FILE)),
        ("token of the operator `admin`", shown("operator-admin.token")),
    ]);
    if let Some(base) = &made.status_url {
        println!("\nRevocation");
        print_rows([
            ("list of intermediates", format!("{base}/crl/root")),
            ("and of its signer", format!("{base}/crl/anchor")),
        ]);
    }
    println!("\nFederation");
    print_rows([("key for other domains to pin", STANDARD.encode(made.bundle_key.spki_der()))]);
    if args.insecure_dev {
        eprintln!(
            "\nWARNING: the root key is NOT ENCRYPTED (--insecure-dev). Whoever reads {}/{ROOT_KEY_FILE} is this CA.\n\
             WARNING: use this for tests and demos only.",
            shown("root")
        );
    }
    println!("\nNext: move {} to a place that no network reaches; the server does not need it.", shown("root"));
    match made.emergency {
        true => println!(
            "      Give {} to the officer on duty: atl ca root revoke-intermediate --help.",
            shown(EMERGENCY_DIR)
        ),
        false => println!(
            "      The port in `listen` is 0, so no certificate says where revocations of the intermediate would be, and\n      \
             there is no emergency key. For agents that matter make the directory again, with --status-url."
        ),
    }
    println!("      Back up the rest: without principal-salt the same human gets another hash.");
    println!("      Give root.pem to the logs (`anchors_dir`) and to relying parties.");
    if args.logs.is_empty() {
        println!("      Name the logs under [[logs]] in ca.toml: without one nothing can be issued.");
    }
    println!("      atl ca serve --config {}", shown("ca.toml"));
    Ok(())
}

/// What was made.
pub struct Made {
    /// The root.
    pub root: Certificate,
    /// The intermediate that issues.
    pub intermediate: Certificate,
    /// The key that signs the trust bundle.
    pub bundle_key: PublicKey,
    /// What stands in front of `/crl` in the two certificates, where they say it.
    pub status_url: Option<String>,
    /// Whether there is a signer of lists.
    pub emergency: bool,
}

/// Makes the directory. All of it is thought out before the first file is written, and what was
/// written goes away again where a later file cannot be.
pub fn make(args: &InitArgs) -> Result<Made, CliError> {
    let mut config = configuration(args)?;
    let token = Zeroizing::new(URL_SAFE_NO_PAD.encode(random::<32>()?));
    let token_sha256 = Sha256::digest(token.as_bytes()).into();
    config.operators = vec![Operator { name: "admin".to_owned(), token_sha256 }];
    let salt = Zeroizing::new(hex::encode(Zeroizing::new(random::<32>()?)));
    let ca_toml = config.render().context("the configuration")?;
    let mut directory = Directory::claim(&args.dir)?;
    let now = SystemClock.now();

    let status_url = status::base_url(&config);
    let urls = status_url.as_deref().map(ListUrls::below).transpose()?;
    let root_key = PrivateKey::generate(args.algorithm)?;
    let anchor_url = urls.as_ref().map(|urls| urls.anchor.as_str());
    let root = Root::generate(root_key, &config.organization, args.root_years, anchor_url, now)?;
    let root_key = match args.insecure_dev {
        true => root.key().to_pem()?,
        false => root.key().to_encrypted_pem(&args.passphrase.new_one("root key")?)?,
    };
    let emergency = urls.map(|urls| emergency(args, &config, &root, urls, now)).transpose()?;
    let key = PrivateKey::generate(args.algorithm)?;
    let public = key.public_key()?;
    let bundle_key = PrivateKey::generate(args.algorithm)?;
    let wanted = Intermediate {
        key: &public,
        subject: new_name(&config.organization, &public)?,
        permitted_host: config.name_constraint.then_some(config.trust_domain.as_str()),
        years: args.intermediate_years,
        list: emergency.as_ref().map(|made| made.point()).transpose()?,
    };
    let intermediate = root.sign(wanted, now)?;

    directory.create("root")?;
    directory.write(&format!("root/{ROOT_KEY_FILE}"), 0o600, &root_key)?;
    if let Some(made) = &emergency {
        made.write(&mut directory)?;
    }
    directory.write("root.pem", 0o644, &certificate_pem(root.certificate())?)?;
    directory.write("intermediate-key.pem", 0o600, &key.to_pem()?)?;
    directory.write("intermediate.pem", 0o644, &certificate_pem(&intermediate)?)?;
    directory.write(BUNDLE_KEY_FILE, 0o600, &bundle_key.to_pem()?)?;
    directory.write("principal-salt", 0o600, &Zeroizing::new(format!("{}\n", salt.as_str())))?;
    directory.write("operator-admin.token", 0o600, &Zeroizing::new(format!("{}\n", token.as_str())))?;
    // Last: with it the directory is a CA's.
    directory.write("ca.toml", 0o644, &ca_toml)?;
    directory.keep();
    let (root, bundle_key) = (root.certificate().clone(), bundle_key.public_key()?);
    Ok(Made { root, intermediate, bundle_key, status_url, emergency: emergency.is_some() })
}

/// The signer of lists, and its key in PEM.
fn emergency(
    args: &InitArgs,
    config: &CaConfig,
    root: &Root,
    urls: ListUrls,
    now: UnixMillis,
) -> Result<Emergency, CliError> {
    let key = PrivateKey::generate(args.algorithm)?;
    let file = args.emergency_passphrase_file.as_ref().or(args.passphrase.passphrase_file.as_ref());
    let passphrase = PassphraseArgs { passphrase_file: file.cloned() };
    let pem = match args.insecure_dev {
        true => key.to_pem()?,
        false => key.to_encrypted_pem(&passphrase.new_one("emergency key")?)?,
    };
    let made = NewSigner::new(root, &key, &list_signer_name(&config.organization), urls, now)?;
    Ok(Emergency { made, key: pem })
}

struct Emergency {
    made: NewSigner,
    key: Zeroizing<String>,
}

impl Emergency {
    fn point(&self) -> Result<ListPoint, CliError> {
        self.made.point()
    }

    fn write(&self, directory: &mut Directory) -> Result<(), CliError> {
        let certificate = certificate_pem(self.made.signer.certificate())?;
        directory.create(EMERGENCY_DIR)?;
        directory.write(&format!("{EMERGENCY_DIR}/{SIGNER_KEY_FILE}"), 0o600, &self.key)?;
        directory.write(&format!("{EMERGENCY_DIR}/{SIGNER_FILE}"), 0o644, &certificate)?;
        directory.write(SIGNER_FILE, 0o644, &certificate)?;
        directory.octets("root.crl", 0o644, &self.made.list)?;
        directory.octets(ANCHOR_FILE, 0o644, &self.made.anchor)
    }
}

fn configuration(args: &InitArgs) -> Result<CaConfig, CliError> {
    let refused = |e: crate::config::ConfigError| CliError::new(e.to_string());
    let mut config = CaConfig::new(&args.trust_domain, &args.organization).map_err(refused)?;
    config.listen = args.listen;
    config.status.base_url.clone_from(&args.status_url);
    config.name_constraint = !args.no_name_constraint;
    config.federation.bundle_key = Some(BUNDLE_KEY_FILE.into());
    config.logs.clone_from(&args.logs);
    if !args.public_names.is_empty() {
        let name = |name: &String| name.parse().map_or_else(|_| PublicName::Dns(name.clone()), PublicName::Ip);
        config.public_names = args.public_names.iter().map(name).collect();
    }
    config.check().map_err(refused)?;
    Ok(config)
}

/// Reads `URL+KEY` or `URL+KEY,operator=NAME`. A base64 key may hold a `+`, a URL of a log does not.
pub fn named_log(text: &str) -> Result<TrustedLog, String> {
    let (log, operator) = text.split_once(",operator=").map_or((text, None), |(log, name)| (log, Some(name)));
    let (url, key) = log.split_once('+').ok_or("it must be URL+KEY, such as https://log.example.com/2026h2+MCow...")?;
    let spki = STANDARD.decode(key).ok();
    let key = match spki.and_then(|der| PublicKey::from_spki_der(&der).ok()) {
        Some(key) => key,
        None => match key.parse::<VerifierKey>() {
            Ok(key) => key.key().clone(),
            Err(e) => {
                return Err(format!("the key is neither base64 of a SubjectPublicKeyInfo nor a verifier key: {e}"));
            }
        },
    };
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let port = |(_, port): &(&str, &str)| port.bytes().all(|c| c.is_ascii_digit());
    let host = authority.rsplit_once(':').filter(port).map_or(authority, |(host, _)| host);
    let operator = operator.unwrap_or(host).to_owned();
    Ok(TrustedLog { url: url.trim_end_matches('/').to_owned(), key, operator })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const SPKI: &str = "MCowBQYDK2VwAyEAGlzZBxQ8OExB6DDFvOEqqIF+xWSaqr8sMTiLNbLXRNY=";

    #[test]
    fn a_log_is_url_and_key() {
        let by_name = named_log(&format!("https://log.example.com:8080/2026h2/+{VKEY}")).unwrap();
        // The base64 has a plus of its own.
        let by_key = named_log(&format!("https://log.example.com:8080/2026h2+{SPKI}")).unwrap();
        assert_eq!(by_name, by_key);
        assert_eq!(
            (by_key.url.as_str(), by_key.operator.as_str()),
            ("https://log.example.com:8080/2026h2", "log.example.com")
        );
        let named = named_log(&format!("http://127.0.0.1:1+{SPKI},operator=Log, Ltd")).unwrap();
        assert_eq!((named.url.as_str(), named.operator.as_str()), ("http://127.0.0.1:1", "Log, Ltd"));
        assert_eq!(named_log(&format!("http://[::1]:80/x+{SPKI}")).unwrap().operator, "[::1]");
        assert_eq!(named_log(&format!("http://[::1]+{SPKI}")).unwrap().operator, "[::1]");
        assert!(named_log("https://log.example.com").unwrap_err().contains("URL+KEY"));
        assert!(named_log("https://log.example.com+AAAA").unwrap_err().contains("SubjectPublicKeyInfo"));
        assert!(named_log(&format!("https://log.example.com+{}", &VKEY[1..])).unwrap_err().contains("verifier key"));
    }
}
