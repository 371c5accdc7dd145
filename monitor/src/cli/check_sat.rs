//! `atl-monitor check-sat`: does a log keep what its timestamps in a certificate promise?

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use atl::apki::Certificate;
use atl::client::LogClient;
use atl::log::note::VerifierKey;
use atl::log::sat::SignedAgentTimestamp;
use atl::time::{Clock, SystemClock, UnixMillis};
use clap::Args;
use serde::Serialize;

use super::output::{CliError, clean};
use crate::errand::ask::{Proof, Respondent};
use crate::errand::decide::{Outcome, Tries};
use crate::errand::promise::{NoPromise, Promise};
use crate::errand::run::check;
use crate::errand::sats::embedded;
use crate::watched::WatchedLog;

/// Most octets of the file.
const MAX_FILE: u64 = 1 << 20;

const EXAMPLE: &str = "\
Example:
  atl-monitor check-sat --url http://127.0.0.1:8080 --vkey \"$(cat log.vkey)\" \\
    agent/cert.pem";

/// Ask a log now whether it has the entries that its timestamps in a certificate promise.
///
/// FILE is a final agent certificate in PEM or DER; of several in PEM the first one is checked. Each timestamp of the
/// log is verified with its key; its entry must be in the tree of the log's newest head by a proof that verifies, be
/// dated as the timestamp says, and not after the head.
///
/// It ends with 0 where the log keeps all that it promised, 1 where it does not, and 2 where that cannot be told: no
/// timestamp of this log, no answer, or no head that must have the entry yet.
#[derive(Args)]
#[command(after_long_help = EXAMPLE)]
pub struct CheckSatArgs {
    /// The log's base URL.
    #[arg(long, value_name = "LOG")]
    url: String,

    /// The log's verifier key, as its descriptor has it (`vkey`); better from somebody else than the log.
    #[arg(long, value_name = "KEY")]
    vkey: String,

    /// The certificate.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How one timestamp was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// Its entry is in the tree.
    Included,
    /// The log does not keep its promise.
    NotIncluded,
    /// It cannot be told.
    Unknown,
}

/// What was found of one timestamp.
#[derive(Debug, Serialize)]
struct Line {
    verdict: Verdict,
    timestamp: UnixMillis,
    /// In words.
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tree_size: Option<u64>,
    /// The class of what was found, where it is something to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Report {
    log: String,
    cert_hash: atl::log::entry::CertHash,
    verdict: Verdict,
    timestamps: Vec<Line>,
}

/// Runs the command.
pub fn run(args: &CheckSatArgs) -> Result<(), CliError> {
    let vkey: VerifierKey = args.vkey.parse().map_err(|e| CliError::new(format!("--vkey: {e}")))?;
    let log = WatchedLog::new(vkey, args.url.clone(), String::new())
        .ok_or_else(|| CliError::new("--vkey: its name is no origin of a log"))?;
    let client = LogClient::new(&args.url).map_err(|e| CliError::new(format!("--url: {e}")))?;
    let at = |why: String| CliError::new(format!("{}: {why}", args.file.display()));
    let certificate = read(&args.file).map_err(at)?;
    let (cert_hash, sats) = embedded(&certificate).map_err(at)?;
    let of_log = |sat: &Vec<u8>| SignedAgentTimestamp::from_der(sat).is_ok_and(|sat| sat.log_id == log.id);
    let sats: Vec<Vec<u8>> = sats.into_iter().filter(of_log).collect();
    if sats.is_empty() {
        return Err(at(format!("none of its timestamps is of {}", log.origin)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| CliError::new(format!("the program cannot use the network: {e}")))?;
    let respondent = Respondent::new(log, client);
    let lines = runtime.block_on(async {
        let mut lines = Vec::new();
        for sat in &sats {
            lines.push(ask(&respondent, sat, cert_hash).await);
        }
        lines
    });
    let is = |verdict| lines.iter().any(|line: &Line| line.verdict == verdict);
    let verdict = match () {
        () if is(Verdict::NotIncluded) => Verdict::NotIncluded,
        () if is(Verdict::Unknown) => Verdict::Unknown,
        () => Verdict::Included,
    };
    let log = respondent.log.origin.as_str().to_owned();
    print(&Report { log, cert_hash, verdict, timestamps: lines }, args.json).map_err(|e| CliError::unwritten(&e))?;
    match verdict {
        Verdict::Included => Ok(()),
        Verdict::NotIncluded => Err(CliError::quiet(1)),
        Verdict::Unknown => Err(CliError::quiet(2)),
    }
}

async fn ask(respondent: &Respondent, sat: &[u8], cert_hash: atl::log::entry::CertHash) -> Line {
    let now = SystemClock.now();
    let parsed = SignedAgentTimestamp::from_der(sat).map_or_else(|_| UnixMillis::default(), |sat| sat.timestamp);
    let line = |verdict, why| Line { verdict, timestamp: parsed, why, leaf_index: None, tree_size: None, class: None };
    let promise = match Promise::read(sat, cert_hash, None, [&respondent.log], now) {
        Ok(promise) => promise,
        Err(NoPromise::Ignored(why)) => {
            return line(Verdict::NotIncluded, format!("it is no promise of the log: {why}"));
        }
        Err(NoPromise::Suspicious(finding)) => return line(Verdict::NotIncluded, finding.summary),
    };
    let tries = Tries { now, first_asked: None, attempts: 0, lot: 0 };
    let (outcome, proof) = check(&promise, respondent, None, &tries).await;
    line_of(line, outcome, proof)
}

fn line_of(line: impl Fn(Verdict, String) -> Line, outcome: Outcome, proof: Option<Proof>) -> Line {
    let mut line = match (outcome.findings.into_iter().next(), outcome.again) {
        (Some(found), _) => {
            let details = found.finding.details.iter().map(|(name, value)| format!("{name}: {value}"));
            let why = format!("{} ({})", found.finding.summary, details.collect::<Vec<_>>().join("; "));
            Line { class: Some(found.finding.class.code()), ..line(Verdict::NotIncluded, why) }
        }
        (None, Some(again)) => line(Verdict::Unknown, again.why),
        (None, None) => line(Verdict::Included, "its entry is in the tree, and dated as it says".into()),
    };
    if let Some(proof) = proof {
        line.leaf_index = Some(proof.index.get());
        line.tree_size = Some(proof.head.size().get());
    }
    line
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, report)?;
        return writeln!(out);
    }
    writeln!(out, "log          {}", clean(&report.log))?;
    writeln!(out, "certificate  {} (SHA-256 as it was submitted)", report.cert_hash)?;
    for line in &report.timestamps {
        let verdict = match line.verdict {
            Verdict::Included => "included",
            Verdict::NotIncluded => "NOT INCLUDED",
            Verdict::Unknown => "unknown",
        };
        writeln!(out, "timestamp    {}: {verdict}", line.timestamp)?;
        if let (Some(index), Some(size)) = (line.leaf_index, line.tree_size) {
            writeln!(out, "  leaf {index} of {size}")?;
        }
        writeln!(out, "  {}", clean(&line.why))?;
    }
    out.flush()
}

/// The certificate in a file: the first one where it is PEM.
fn read(path: &Path) -> Result<Certificate, String> {
    let too_long = || format!("it has more than {MAX_FILE} octets, and no certificate has");
    let mut octets = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    io::Read::read_to_end(&mut io::Read::take(file, MAX_FILE + 1), &mut octets).map_err(|e| e.to_string())?;
    if octets.len() as u64 > MAX_FILE {
        return Err(too_long());
    }
    parse(octets)
}

fn parse(octets: Vec<u8>) -> Result<Certificate, String> {
    const END: &str = "-----END CERTIFICATE-----";
    let pem = str::from_utf8(&octets).ok().and_then(|text| {
        let block = text.get(text.find("-----BEGIN CERTIFICATE-----")?..)?;
        block.get(..block.find(END)? + END.len())
    });
    let der = match pem {
        None => octets,
        Some(block) => der::pem::decode_vec(block.as_bytes()).map_err(|e| format!("its PEM: {e}"))?.1,
    };
    Certificate::parse(der).map_err(|e| e.to_string())
}
