//! `atl log hammer`: loads a log and holds it to every SAT and every proof it gives.

mod check;
mod http;
mod load;
mod prepare;
mod process;
mod proofs;
mod report;
mod sats;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Url;

use self::check::{Judge, check};
use self::http::Target;
use self::load::{Pace, Supply};
use self::prepare::{Maker, Stock};
use self::process::Usage;
use self::proofs::Questions;
use self::report::{Load, Report, Setting};
use self::sats::{Sats, Span};
use super::open::read_certificates;
use super::remote::{RemoteLog, connect};
use crate::api::{B64, MAX_BATCH_ENTRIES};
use crate::apki::provenance::{Evidence, MAX_EVIDENCE};
use crate::cli::output::{CliError, Context, print_json};
use crate::cli::pki::{Authority, Claims, SigningKey};
use crate::cli::random;
use crate::keys::PublicKey;
use crate::log::note::VerifierKey;
use crate::time::{Clock, SystemClock};

/// Load a log with certificates or with questions, and verify every SAT or proof it answers with.
///
/// Each certificate is new, valid and issued by your CA, so the log checks the whole chain each
/// time. Certificates and requests are made before the clock starts and SATs are verified after
/// it stops: the generator may run beside the server without taking much from it.
///
/// Without --rate every connection sends its next request when the last is answered: that finds
/// the most the log can do. With --rate requests are due on a fixed schedule, and a late answer
/// counts from the moment its request was due, not from when a connection was free for it: that
/// finds what submitters would feel. Quote latencies from --rate, at no more than 70 % of the most.
///
/// With --proofs the log is asked for inclusion proofs, as those do who check SATs: of random ones
/// of up to 20,000 entries spread over the tree, in the tree under its last signed head. The order
/// is the same in each run. Every proof is verified against the signed root after the clock stops.
///
/// Prepared requests and all answers are in memory: about 3 kB a certificate without --size, and 1 to
/// 2 kB a proof. Ctrl-C ends the run early, with a report.
///
/// Examples, against `atl dev --dir /tmp/atl`:
///   atl log hammer --url http://127.0.0.1:8080 --ca-key /tmp/atl/ca/org-ca-key.pem \
///       --ca-cert /tmp/atl/ca/org-ca.pem --seconds 5
///   atl log hammer --url http://127.0.0.1:8080 --proofs --seconds 5
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct HammerArgs {
    /// The log's base URL, http only
    #[arg(long)]
    url: String,
    /// Ask for inclusion proofs of what is in the log instead of submitting to it
    #[arg(long, conflicts_with_all = ["chain", "batch", "size", "prepare"])]
    proofs: bool,
    /// PEM private key of the CA that issues: P-256 or Ed25519, PKCS#8 or SEC 1
    #[arg(long, value_name = "PEM", required_unless_present = "proofs")]
    ca_key: Option<PathBuf>,
    /// PEM certificate of that CA: an anchor of the log or issued under one. Certificates behind
    /// the first are sent as its chain
    #[arg(long, value_name = "PEM", required_unless_present = "proofs")]
    ca_cert: Option<PathBuf>,
    /// PEM certificates between that CA and the anchor, issuer first; may be given more than once
    #[arg(long, value_name = "PEM")]
    chain: Vec<PathBuf>,
    /// Certificates or proofs a second, on a fixed schedule; as fast as answered without it
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// Connections at once
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4000))]
    connections: u16,
    /// How long to load the log
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// Certificates in a request: 1 uses submit-entry, more use submit-entries
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=MAX_BATCH_ENTRIES as i64))]
    batch: u16,
    /// Make each certificate about so many octets large, up to 16 KiB more than it needs
    #[arg(long, value_name = "OCTETS")]
    size: Option<usize>,
    /// Certificates to prepare before the clock starts; what a run needs beyond them is made
    /// while it goes on, and the report says so
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    prepare: u32,
    /// The log's C2SP verifier key, to hold it to; otherwise the key that /atl/v1/log shows
    #[arg(long)]
    vkey: Option<VerifierKey>,
    /// Process of the server on this machine: its processor time for each SAT or proof is
    /// reported
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(args: &HammerArgs) -> Result<(), CliError> {
    // One thread: requests are ready, and a second would only take turns with the server.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the async runtime")?;
    let report = runtime.block_on(hammer(args))?;
    if args.json {
        print_json(&report)?
    } else {
        report.print()
    }
    let bad: usize = report.bad.values().sum();
    match (bad, report.verified) {
        (0, 0) => Err(CliError::negative(format!("the log gave no {}", report.setting.load.given()[0]))),
        (0, _) => Ok(()),
        (n, _) => Err(CliError::negative(format!("{n} answers do not hold: do not trust this log"))),
    }
}

async fn hammer(args: &HammerArgs) -> Result<Report, CliError> {
    let target = target(&args.url)?;
    let log = connect(&args.url, args.vkey.clone()).await?;
    let shown = PublicKey::from_spki_der(log.descriptor.key.as_slice()).context("the log's key")?;
    if shown != *log.key() {
        let whose = if args.vkey.is_some() { "--vkey" } else { "its verifier key" };
        return Err(CliError::negative(format!("{} shows another key than {whose}", log.client.base_url())));
    }
    let stop = Arc::new(AtomicBool::new(false));
    tokio::spawn(stop_on_interrupt(Arc::clone(&stop)));
    if args.proofs { read(args, target, &log, stop).await } else { submit(args, target, &log, stop).await }
}

/// Loads the log with submissions.
async fn submit(args: &HammerArgs, target: Target, log: &RemoteLog, stop: Arc<AtomicBool>) -> Result<Report, CliError> {
    let maker = maker(args, target.clone())?;
    // One submission first: what is wrong with the chain should not be said ten thousand times.
    let trial = maker.trial()?;
    log.client.submit(&trial).await.map_err(|e| CliError::new(format!("a first submission was refused: {e}")))?;

    let batch = usize::from(args.batch);
    let total = match args.pace() {
        Pace::Closed => usize::MAX,
        Pace::Open(rate) => load::requests(rate, args.length()),
    };
    let count = (args.prepare as usize).div_ceil(batch).min(total);
    let mut stock = Stock::new(maker, total, Arc::clone(&stop))?;
    let progress = progress(count * batch);
    stock.fill(count, |ready| progress.set_position((ready * batch) as u64)).await?;
    progress.finish_and_clear();
    let load = Load::Submissions { batch, certificate_octets: trial.submission.as_slice().len() };
    let setting = args.setting(log, load, stock.first_octets());
    let key = log.key().clone();
    measure(args, setting, target, stock, stop, |span| Sats { key, span }).await
}

/// Loads the log with questions for proofs.
async fn read(args: &HammerArgs, target: Target, log: &RemoteLog, stop: Arc<AtomicBool>) -> Result<Report, CliError> {
    let (sth, _) = log.head_and_checkpoint().await?;
    let head = sth.head;
    if head.size.is_empty() {
        return Err(CliError::new("the log's last head is of an empty tree: there is nothing to prove yet"));
    }
    let leaves = proofs::leaves(log, &head).await?;
    let load = Load::Proofs { tree_size: head.size, leaves: leaves.len() };
    let questions = Questions::new(&target, &head, &leaves);
    let setting = args.setting(log, load, questions.octets());
    measure(args, setting, target, questions, stop, |_| head).await
}

/// The window, and the check behind it by the judge that `judge` makes.
async fn measure<S: Supply, J: Judge<Subject = S::Subject>>(
    args: &HammerArgs,
    setting: Setting,
    target: Target,
    supply: S,
    stop: Arc<AtomicBool>,
    judge: impl FnOnce(Span) -> J,
) -> Result<Report, CliError> {
    if stop.load(Ordering::Relaxed) {
        return Err(CliError::new("stopped while it prepared; the log was not loaded"));
    }
    let before = Usage::of(args.server_pid)?;
    let start = SystemClock.now();
    let outcome = load::run(target, args.pace(), setting.connections, args.length(), supply, stop).await?;
    let end = SystemClock.now();
    let used = Usage::of(args.server_pid)?.since(&before);
    let checked = check(&outcome.exchanges, &judge(Span { start, end }));
    Ok(Report::new(setting, &outcome, checked, &used))
}

impl HammerArgs {
    /// When requests are sent.
    fn pace(&self) -> Pace {
        self.rate.map_or(Pace::Closed, |rate| Pace::Open(f64::from(rate) / f64::from(self.batch)))
    }

    /// How long the window is open.
    fn length(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    fn setting(&self, log: &RemoteLog, load: Load, request_octets: usize) -> Setting {
        let (origin, connections) = (log.descriptor.origin.clone(), usize::from(self.connections));
        Setting { origin, load, connections, request_octets, rate: self.rate }
    }
}

fn target(url: &str) -> Result<Target, CliError> {
    let parsed = Url::parse(url).context("--url")?;
    if parsed.scheme() != "http" {
        let what = "--url must start with http://: the generator speaks plain HTTP, so that TLS does not use up the \
                    processor it measures with. Run it beside the log, on its plain listener";
        return Err(CliError::new(what));
    }
    let host = parsed.host_str().ok_or_else(|| CliError::new("--url names no host"))?.to_owned();
    let base = parsed.path().trim_end_matches('/').to_owned();
    Ok(Target { host, port: parsed.port().unwrap_or(80), base })
}

fn maker(args: &HammerArgs, target: Target) -> Result<Maker, CliError> {
    let (Some(ca_key), Some(ca_cert)) = (&args.ca_key, &args.ca_cert) else {
        return Err(CliError::new("submissions need --ca-key and --ca-cert"));
    };
    let file = ca_key.display();
    let key = SigningKey::from_pem(&fs::read_to_string(ca_key).context(&file)?).context(&file)?;
    let mut certificates = read_certificates(ca_cert)?;
    for file in &args.chain {
        certificates.extend(read_certificates(file)?);
    }
    let chain = certificates.iter().map(|c| B64(c.der().to_vec())).collect();
    let issuer = certificates.into_iter().next();
    let issuer = issuer.ok_or_else(|| CliError::new(format!("{}: no PEM certificate in it", ca_cert.display())))?;
    let authority = Authority::new(key, issuer).context(ca_cert.display())?;
    let claims = Claims::shopper(72).context("a precertificate")?;
    let batch = usize::from(args.batch);
    let mut maker = Maker { authority, chain, claims, batch, target, run: hex::encode(random::<4>()?) };
    if let Some(size) = args.size {
        let needed = maker.trial()?.submission.as_slice().len();
        let evidence = Evidence::new(vec![0x5a; size.saturating_sub(needed)])
            .map_err(|_| CliError::new(format!("--size may be at most {} here", needed + MAX_EVIDENCE)))?;
        maker.claims.evidence = Some(evidence).filter(|evidence| !evidence.as_bytes().is_empty());
    }
    Ok(maker)
}

fn progress(certificates: usize) -> ProgressBar {
    let bar = ProgressBar::new(certificates as u64);
    let style = ProgressStyle::with_template("preparing certificates {bar:40} {pos}/{len}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// The first Ctrl-C ends the window, the second the program.
async fn stop_on_interrupt(stop: Arc<AtomicBool>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        stop.store(true, Ordering::Relaxed);
        eprintln!("stopping; once more to leave at once");
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    }
}
