//! `atl federation add`: pin a domain.

use std::fs;
use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use der::pem;

use super::state::{Pin, REFRESH_SECONDS};
use super::{DirArgs, domain};
use crate::api::B64;
use crate::apki::federation::mapping::{Numbers, Step};
use crate::apki::federation::{ScoreMapping, TrustDomain, WELL_KNOWN};
use crate::apki::jws::thumbprint;
use crate::apki::trust_score::Score;
use crate::cli::files::pem_blocks;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::words;
use crate::client::{self, BundleClient};
use crate::keys::PublicKey;

/// Federate with a trust domain: from now on its agents count, as far as its bundle and this pin say.
///
/// The key is the one that signs the domain's bundles. Get it from the people who run the domain, by a
/// way that you trust (they have it from `atl federation key`), never from the network alone: whoever
/// holds it says which CAs the domain has. Nothing is ever discovered by itself.
///
/// A score is mapped by the steps (or as it is), then the offset, then the cap. Next: atl federation refresh,
/// which fetches the bundle.
///
/// Example:
///   atl federation add agents.example.com --key MFkwEwYH... --offset -10 --minimum-score 50
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct AddArgs {
    /// The trust domain
    #[arg(value_parser = domain)]
    domain: TrustDomain,
    /// The key: base64 of its SubjectPublicKeyInfo, or a file with that or with PEM
    #[arg(long, value_name = "BASE64|FILE")]
    key: String,
    /// Where the bundle is; the signature is there with `.jws` behind it. Default: the well-known place
    /// of https://DOMAIN
    #[arg(long)]
    url: Option<String>,
    /// PEM of the roots of the server's TLS certificate, in place of the system's
    #[arg(long, value_name = "FILE")]
    ca_roots: Option<PathBuf>,
    /// A step of the table by which scores are mapped: from so many points on, a score counts as so
    /// many, and below the lowest step as 0. May be given more than once
    #[arg(long = "step", value_name = "FROM=TO", value_parser = step)]
    steps: Vec<Step>,
    /// Points to add to a score after the table, -100 to 100
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    offset: i16,
    /// The most that any score counts as
    #[arg(long, value_name = "SCORE", value_parser = score)]
    cap: Option<Score>,
    /// Allow the mapping to raise scores above what certificates say
    #[arg(long)]
    allow_raise: bool,
    /// The least score, after mapping, that is taken; the bundle's minimum counts where it is higher
    #[arg(long, value_name = "SCORE", value_parser = score, default_value = "40")]
    minimum_score: Score,
    /// How often to fetch the bundle, a minute to a day
    #[arg(long, value_name = "TIME", value_parser = refresh, default_value = "1h")]
    refresh: u32,
    #[command(flatten)]
    dir: DirArgs,
}

/// Runs it.
pub fn run(args: &AddArgs) -> Result<(), CliError> {
    let key = key(&args.key)?;
    let url = args.url.clone().unwrap_or_else(|| format!("https://{}{WELL_KNOWN}", args.domain));
    // What cannot be asked is not kept.
    let http = client::builder().tls_certs_only([]).build().context("the HTTP client")?;
    let url = BundleClient::new(&url, http).context("--url")?.url().to_owned();
    let mut table = args.steps.clone();
    table.sort_by_key(|step| step.from);
    let numbers = Numbers { table, offset: args.offset, cap: args.cap, allow_raise: args.allow_raise };
    let pin = Pin {
        domain: args.domain.clone(),
        url,
        key: B64(key.spki_der().to_vec()),
        ca_roots: args.ca_roots.as_deref().map(roots).transpose()?,
        mapping: ScoreMapping::new(numbers).context("the mapping of scores")?,
        minimum_score: args.minimum_score,
        refresh_seconds: args.refresh,
        cached: None,
    };
    args.dir.state().add(&pin)?;
    if args.dir.json {
        return print_json(&serde_json::json!({
            "domain": pin.domain, "url": pin.url, "key": pin.key, "kid": thumbprint(&key), "mapping": pin.mapping,
            "minimum_score": pin.minimum_score, "refresh_seconds": pin.refresh_seconds,
        }));
    }
    print_rows([
        ("domain", pin.domain.to_string()),
        ("bundle", pin.url.clone()),
        ("key", STANDARD.encode(key.spki_der())),
        ("thumbprint", thumbprint(&key)),
        ("minimum score", pin.minimum_score.get().to_string()),
        ("refreshed every", words::duration(u64::from(pin.refresh_seconds) * 1000)),
    ]);
    println!("\nNext: atl federation refresh {} --dir {}", pin.domain, args.dir.dir.display());
    Ok(())
}

/// The key, as text or in a file.
fn key(given: &str) -> Result<PublicKey, CliError> {
    if let Ok(der) = STANDARD.decode(given) {
        return PublicKey::from_spki_der(&der).context("--key");
    }
    let neither = "--key is neither base64 of a SubjectPublicKeyInfo nor a file that can be read";
    let text = fs::read_to_string(given).context(format_args!("{neither}: {given:?}"))?;
    let der = match pem_blocks(&text).next() {
        Some(block) => match pem::decode_vec(block.as_bytes()).context(given)? {
            ("PUBLIC KEY", der) => der,
            (other, _) => return Err(CliError::new(format!("{given}: a `{other}` where a `PUBLIC KEY` belongs"))),
        },
        None => {
            STANDARD.decode(text.trim()).context(format_args!("{given}: neither PEM nor base64 of a public key"))?
        }
    };
    PublicKey::from_spki_der(&der).context(given)
}

/// A path that holds wherever the state is read from, to a file that is there.
fn roots(file: &Path) -> Result<PathBuf, CliError> {
    let path = fs::canonicalize(file).context(format_args!("{} (--ca-roots)", file.display()))?;
    super::refresh::http(Some(&path)).map(|_| path)
}

fn score(text: &str) -> Result<Score, String> {
    let points = text.parse::<u8>().map_err(|_| "a score is 0 to 100".to_owned())?;
    Score::new(points).map_err(|_| "a score is 0 to 100".to_owned())
}

fn step(text: &str) -> Result<Step, String> {
    let (from, to) = text.split_once('=').ok_or("it must be FROM=TO, such as 60=50")?;
    Ok(Step { from: score(from)?, to: score(to)? })
}

fn refresh(text: &str) -> Result<u32, String> {
    let seconds = words::seconds(text)?;
    match REFRESH_SECONDS.contains(&seconds) {
        true => Ok(seconds),
        false => Err("it must be a minute to a day: bundles are to be refreshed at least daily".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPKI: &str = "MCowBQYDK2VwAyEAGlzZBxQ8OExB6DDFvOEqqIF+xWSaqr8sMTiLNbLXRNY=";

    #[test]
    fn a_key_is_text_or_a_file() {
        let home = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            fs::write(home.path().join(name), text).unwrap();
            home.path().join(name).display().to_string()
        };
        let expected = key(SPKI).unwrap();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{SPKI}\n-----END PUBLIC KEY-----\n");
        assert_eq!(key(&file("a", &pem)).unwrap(), expected);
        assert_eq!(key(&file("b", &format!("{SPKI}\n"))).unwrap(), expected);
        let private = pem.replace("PUBLIC", "PRIVATE");
        assert!(key(&file("c", &private)).unwrap_err().to_string().contains("where a `PUBLIC KEY` belongs"));
        assert!(key(&file("d", "key")).unwrap_err().to_string().contains("neither PEM nor base64"));
        assert!(key("AAAA").is_err() && key("/no/such/file").is_err());
    }

    #[test]
    fn numbers_are_within_their_bounds() {
        assert_eq!(step("60=50").unwrap(), Step { from: score("60").unwrap(), to: score("50").unwrap() });
        for wrong in ["60", "=", "60=101", "-1=0", "60=50=40"] {
            assert!(step(wrong).is_err(), "{wrong}");
        }
        assert_eq!((refresh("1h"), refresh("1d"), refresh("60")), (Ok(3600), Ok(86_400), Ok(60)));
        assert!(refresh("59s").is_err() && refresh("25h").is_err());
    }
}
