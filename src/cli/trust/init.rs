//! `atl trust init`: a directory that a trust engine can be served from.

use std::net::SocketAddr;
use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;
use rcgen::ExtendedKeyUsagePurpose;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::certificate::self_signed;
use crate::cli::ca::keyfile::PrivateKey;
use crate::cli::files::Directory;
use crate::cli::output::{CliError, Context, print_rows};
use crate::cli::pki::KeyKind;
use crate::cli::random;
use crate::config::trust::{Operator, Reader, Role};
use crate::config::{TlsFiles, TrustConfig};
use crate::time::{Clock, SystemClock};

/// Make a directory that a trust engine can be served from: configuration, a TLS certificate to pin, a
/// token for the CA, a token for the operator.
///
/// Run it on a machine of its own, by other people than the CA's: the CA reads scores with its token and
/// cannot write them. The tokens are shown once; they also lie in files of their own, to be handed on and
/// then deleted. Nothing that exists is overwritten.
///
/// Example:
///   atl trust init --dir mytrust --domain agents.example.com --public-name trust.example.com
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct InitArgs {
    /// The directory to make
    #[arg(long)]
    pub dir: PathBuf,
    /// The trust domain whose agents' scores it keeps. It can never change
    #[arg(long, value_name = "NAME")]
    pub domain: String,
    /// Where to serve HTTPS
    #[arg(long, default_value = "127.0.0.1:8444")]
    pub listen: SocketAddr,
    /// A DNS name or IP address of the service, for its self-signed certificate; may be given more than
    /// once. Default: localhost and 127.0.0.1
    #[arg(long = "public-name", value_name = "NAME", conflicts_with = "tls_cert")]
    pub public_names: Vec<String>,
    /// A TLS certificate (PEM) that is there already, in place of a self-signed one
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: &InitArgs) -> Result<(), CliError> {
    let made = make(args)?;
    let shown = |name: &str| args.dir.join(name).display().to_string();
    println!("Files");
    let mut files = vec![("configuration", shown("trust.toml"))];
    if args.tls_cert.is_none() {
        files.push(("TLS certificate, for all who call to pin", shown("tls.pem")));
    }
    files.push(("token of the CA, which reads", shown("reader-ca.token")));
    files.push(("token of the operator `admin`", shown("operator-admin.token")));
    print_rows(files);
    println!("\nTokens, shown this once");
    print_rows([("reader `ca`", made.reader.to_string()), ("operator `admin`", made.operator.to_string())]);
    println!("\nNext: give the CA its token and tls.pem: [trust] in its ca.toml names them.");
    println!("      Let each relying party run `atl trust reporter-key`, and put what it prints into trust.toml.");
    println!("      Give an operator of the CA a token under [[operators]] with role = \"ca\": it confirms incidents.");
    println!("      atl trust serve --config {}", shown("trust.toml"));
    Ok(())
}

/// The tokens of a new engine.
pub struct Made {
    /// The CA's.
    pub reader: Zeroizing<String>,
    /// The operator's.
    pub operator: Zeroizing<String>,
}

/// Makes the directory; what was written goes away again where a later file cannot be.
pub fn make(args: &InitArgs) -> Result<Made, CliError> {
    let refused = |e: crate::config::ConfigError| CliError::new(e.to_string());
    let mut config = TrustConfig::new(&args.domain).map_err(refused)?;
    config.listen = args.listen;
    let made = Made { reader: token()?, operator: token()? };
    config.readers = vec![Reader { name: "ca".to_owned(), token_sha256: hash(&made.reader) }];
    let role = Role::Engine;
    config.operators = vec![Operator { name: "admin".to_owned(), role, token_sha256: hash(&made.operator) }];
    let own = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => {
            let there = |file: &PathBuf| std::path::absolute(file).context(file.display());
            config.tls = TlsFiles { cert_file: there(cert)?, key_file: there(key)? };
            None
        }
        _ => {
            let key = PrivateKey::generate(KeyKind::P256)?;
            let mut names = args.public_names.clone();
            if names.is_empty() {
                names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
            }
            let name = format!("trust engine of {}", config.trust_domain);
            // A commonName has at most 64 characters (RFC 5280 appendix A.1).
            let name: String = name.chars().take(64).collect();
            let usage = ExtendedKeyUsagePurpose::ServerAuth;
            Some((self_signed(&key, &name, names, usage, SystemClock.now())?, key.to_pem()?))
        }
    };
    let trust_toml = config.render().map_err(refused)?;
    let mut directory = Directory::claim(&args.dir)?;
    if let Some((certificate, key)) = &own {
        directory.write("tls-key.pem", 0o600, key)?;
        directory.write("tls.pem", 0o644, certificate)?;
    }
    directory.write("reader-ca.token", 0o600, &Zeroizing::new(format!("{}\n", made.reader.as_str())))?;
    directory.write("operator-admin.token", 0o600, &Zeroizing::new(format!("{}\n", made.operator.as_str())))?;
    // Last: with it the directory is an engine's.
    directory.write("trust.toml", 0o644, &trust_toml)?;
    directory.keep();
    Ok(made)
}

/// A new token.
pub fn token() -> Result<Zeroizing<String>, CliError> {
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(random::<32>()?)))
}

/// What an engine keeps of a token.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
