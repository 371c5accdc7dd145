//! `atl ca certificates`: what the CA has issued, as it keeps it.

use clap::{Args, Subcommand};
use serde_json::json;

use super::certificate::certificate_pem;
use super::operator::{Operator, OperatorArgs, failed};
use crate::api::B64;
use crate::api::ca::{CertificateEntry, Hex32};
use crate::apki::{AgentUri, Certificate};
use crate::ca::serial::Serial;
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::{runtime, words};
use crate::client::{CertificatesQuery, ClientError};
use crate::time::UnixMillis;

/// Entries that are asked for at a time.
const PAGE: u32 = 500;

/// The subcommands of `atl ca certificates`.
#[derive(Subcommand)]
pub enum CertificatesCommand {
    List(ListArgs),
    Show(ShowArgs),
}

/// List certificates, newest first: those that were issued, those under way, and those that came to
/// nothing.
///
/// Examples:
///   atl ca certificates list --dir myca --since 2026-07-01
///   atl ca certificates list --dir myca --agent agent://agents.example.com/payments/bot/7 --json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ListArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// Only this agent's
    #[arg(long, value_name = "URI")]
    agent: Option<AgentUri>,
    /// Only those signed then or later, such as 2026-07-01T09:30:00Z
    #[arg(long, value_name = "TIME", value_parser = words::moment)]
    since: Option<UnixMillis>,
    /// Only those signed before
    #[arg(long, value_name = "TIME", value_parser = words::moment)]
    until: Option<UnixMillis>,
    /// The most that are listed
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show one certificate: what the CA keeps of it, and what it may do.
///
/// Whether it holds is for others to say: save it with --pem, and look at it with `atl agent show`.
///
/// Examples:
///   atl ca certificates show --dir myca 6f1c0d3e5a7b9d2f4c6e8a0b1d3f5a7c9e0b2d4f
///   atl ca certificates show --dir myca 6f1c0d3e5a7b9d2f4c6e8a0b1d3f5a7c9e0b2d4f --pem > cert.pem
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct ShowArgs {
    #[command(flatten)]
    operator: OperatorArgs,
    /// Its serial number, or the SHA-256 of its DER, in hex
    #[arg(value_name = "SERIAL|SHA256")]
    which: Which,
    /// Print the certificate itself, in PEM
    #[arg(long, conflicts_with = "json")]
    pem: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One certificate, by either of its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Serial(Serial),
    Sha256(Hex32),
}

impl std::str::FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // As openssl and browsers show them, too.
        let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect::<String>().to_ascii_lowercase();
        if digits.len() == 64 {
            return digits.parse().map(Self::Sha256).map_err(|e| format!("a SHA-256: {e}"));
        }
        let names = "it is neither a serial number of 32 to 40 hex digits nor a SHA-256 of 64";
        digits.parse().map(Self::Serial).map_err(|e| format!("{names}: {e}"))
    }
}

/// Runs one.
pub fn run(command: &CertificatesCommand) -> Result<(), CliError> {
    match command {
        CertificatesCommand::List(args) => list(args),
        CertificatesCommand::Show(args) => show(args),
    }
}

fn list(args: &ListArgs) -> Result<(), CliError> {
    let operator = args.operator.open()?;
    let (found, more) = runtime()?.block_on(find(&operator, args))?;
    if args.json {
        print_json(&found)?;
    } else if found.is_empty() {
        println!("There is none.");
    } else {
        table(&found).iter().for_each(|line| println!("{line}"));
    }
    if more {
        eprintln!("There are more, older ones: --limit lists more of them, --until begins there.");
    }
    Ok(())
}

/// As many as asked for, and whether there are more.
async fn find(operator: &Operator, args: &ListArgs) -> Result<(Vec<CertificateEntry>, bool), CliError> {
    let mut query = CertificatesQuery {
        agent: args.agent.as_ref().map(|agent| agent.as_str().to_owned()),
        since: args.since.map(UnixMillis::get),
        until: args.until.map(UnixMillis::get),
        ..CertificatesQuery::default()
    };
    let (mut found, wanted) = (Vec::new(), args.limit as usize);
    loop {
        let left = u32::try_from(wanted - found.len()).unwrap_or(PAGE);
        query.limit = Some(left.min(PAGE));
        let page = operator.ca.certificates(operator.token(), &query).await.map_err(failed)?;
        let empty = page.certificates.is_empty();
        found.extend(page.certificates);
        match page.next {
            // A page with nothing in it leads nowhere, whatever it says.
            Some(next) if found.len() < wanted && !empty => query.after = Some(next),
            next => return Ok((found, next.is_some())),
        }
    }
}

fn table(entries: &[CertificateEntry]) -> Vec<String> {
    let head = ["SIGNED", "STATUS", "SCORE", "ENDS", "SERIAL", "AGENT"].map(str::to_owned);
    let row = |entry: &CertificateEntry| {
        [
            to_second(entry.signed_at),
            words::clean(&entry.status),
            entry.score.get().to_string(),
            to_second(entry.not_after),
            words::clean(&entry.serial),
            entry.agent.to_string(),
        ]
    };
    let rows: Vec<_> = std::iter::once(head).chain(entries.iter().map(row)).collect();
    words::columns(&rows)
}

fn to_second(moment: UnixMillis) -> String {
    let text = moment.to_string();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

fn show(args: &ShowArgs) -> Result<(), CliError> {
    let operator = args.operator.open()?;
    let (entry, certificate) = runtime()?.block_on(fetch(&operator, args.which))?;
    if args.pem {
        let certificate = certificate.as_ref().ok_or_else(|| unfinished(&entry))?;
        print!("{}", certificate_pem(certificate)?);
        return Ok(());
    }
    if args.json {
        let der = certificate.as_ref().map(|certificate| B64(certificate.der().to_vec()));
        return print_json(&json!({ "entry": entry, "certificate": der }));
    }
    print_rows(rows(&entry, certificate.as_ref()));
    let Some(certificate) = certificate else { return Ok(()) };
    let capabilities = certificate.capabilities().context("the certificate's capabilities")?.unwrap_or_default();
    println!("\nCapabilities");
    words::table(capabilities.as_slice()).iter().for_each(|line| println!("  {line}"));
    Ok(())
}

/// What the CA keeps of it, and the certificate itself where it was issued.
async fn fetch(operator: &Operator, which: Which) -> Result<(CertificateEntry, Option<Certificate>), CliError> {
    let (serial, known) = match which {
        Which::Serial(serial) => (serial.to_string(), None),
        Which::Sha256(sha256) => {
            let certificate = download(operator, sha256).await?.ok_or_else(|| missing(&sha256.to_string()))?;
            (hex::encode(certificate.serial()), Some(certificate))
        }
    };
    let query = CertificatesQuery { serial: Some(serial.clone()), ..CertificatesQuery::default() };
    let page = operator.ca.certificates(operator.token(), &query).await.map_err(failed)?;
    let entry = page.certificates.into_iter().next().ok_or_else(|| missing(&serial))?;
    let certificate = match (known, entry.sha256) {
        (None, Some(sha256)) => download(operator, sha256).await?,
        (known, _) => known,
    };
    Ok((entry, certificate))
}

/// The certificate with this SHA-256, if the CA has it.
async fn download(operator: &Operator, sha256: Hex32) -> Result<Option<Certificate>, CliError> {
    let der = match operator.ca.certificate(sha256).await {
        Ok(der) => der,
        Err(ClientError::Problem { status: 404, .. }) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let certificate = Certificate::parse(der).context("the certificate that the CA sent")?;
    if certificate.fingerprint() != sha256.0 {
        return Err(CliError::negative(format!("the CA sent another certificate than {sha256}")));
    }
    Ok(Some(certificate))
}

fn missing(name: &str) -> CliError {
    CliError::negative(format!("the CA has no certificate {name}; `atl ca certificates list` shows which there are"))
}

fn unfinished(entry: &CertificateEntry) -> CliError {
    let why = entry.why.as_ref().map(|why| format!(": {}", words::clean(why))).unwrap_or_default();
    CliError::negative(format!("the certificate is {}, not issued{why}", words::clean(&entry.status)))
}

fn rows(entry: &CertificateEntry, certificate: Option<&Certificate>) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("agent", entry.agent.to_string()),
        ("serial", words::clean(&entry.serial)),
        ("status", words::clean(&entry.status)),
        ("score", format!("{} ({}) when it was signed", entry.score.get(), entry.score.tier().name())),
        ("signed", entry.signed_at.to_string()),
    ];
    match certificate {
        Some(certificate) => {
            rows.push(("valid", format!("{} to {}", certificate.not_before(), certificate.not_after())));
        }
        None => rows.push(("ends", entry.not_after.to_string())),
    }
    rows.extend(entry.why.as_ref().map(|why| ("abandoned", words::clean(why))));
    rows.extend(entry.sha256.map(|hash| ("SHA-256", hash.to_string())));
    rows.push(("in the logs as", entry.cert_hash.to_string()));
    rows.push(("request", words::clean(&entry.request)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(status: &str, why: Option<&str>) -> CertificateEntry {
        serde_json::from_value(json!({
            "serial": "40".repeat(20), "status": status, "cert_hash": "ab".repeat(32), "why": why,
            "agent": "agent://bank.example.com/payments/bot/1", "score": 65, "signed_at": 1_782_898_200_123_u64,
            "not_after": 1_782_901_800_000_u64, "request": "07".repeat(16)
        }))
        .unwrap()
    }

    #[test]
    fn a_certificate_has_two_names() {
        let serial = "40".repeat(20);
        let with_colons = ["40"; 20].join(":");
        for text in [&serial, &with_colons] {
            assert!(matches!(text.parse(), Ok(Which::Serial(found)) if found.to_string() == serial), "{text}");
        }
        assert_eq!("AB".repeat(32).parse(), Ok(Which::Sha256(Hex32([0xab; 32]))));
        for text in ["", "x", "40", &"g".repeat(64), &"f".repeat(40), &"4".repeat(41)] {
            let refused = text.parse::<Which>().unwrap_err();
            assert!(refused.contains("SHA-256"), "{refused}");
        }
    }

    #[test]
    fn entries_in_words() {
        let serial = "40".repeat(20);
        assert_eq!(
            table(&[entry("issued", None), entry("precertified\u{1b}", None)]),
            [
                format!(
                    "SIGNED                STATUS              SCORE  ENDS                  {:40}  AGENT",
                    "SERIAL"
                ),
                format!(
                    "2026-07-01T09:30:00Z  issued              65     2026-07-01T10:30:00Z  {serial}  \
                     agent://bank.example.com/payments/bot/1"
                ),
                format!(
                    "2026-07-01T09:30:00Z  precertified\\u{{1b}}  65     2026-07-01T10:30:00Z  {serial}  \
                     agent://bank.example.com/payments/bot/1"
                ),
            ]
        );
        let abandoned = entry("abandoned", Some("too few logs"));
        assert!(rows(&abandoned, None).contains(&("abandoned", "too few logs".to_owned())));
        assert_eq!(unfinished(&abandoned).to_string(), "the certificate is abandoned, not issued: too few logs");
        assert_eq!(unfinished(&abandoned).code(), 1);
    }
}
