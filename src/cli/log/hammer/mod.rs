//! `atl log hammer`: loads a log and holds it to every SAT it gives.

mod check;
mod http;
mod load;
mod prepare;
mod process;
mod report;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Url;

use self::check::{Span, check};
use self::http::Target;
use self::load::Pace;
use self::prepare::{Maker, Stock};
use self::report::{Latency, Report, Server};
use super::open::read_certificates;
use crate::api::{B64, MAX_BATCH_ENTRIES};
use crate::cli::output::{CliError, Context, print_json};
use crate::cli::pki::{Authority, Claims, SigningKey};
use crate::client::LogClient;
use crate::keys::PublicKey;
use crate::log::note::VerifierKey;
use crate::time::{Clock, SystemClock};

/// Load a log with certificates, and verify every SAT it answers with.
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
/// Prepared requests and all answers are in memory: about 3 kB a certificate without --size. Ctrl-C
/// ends the run early, with a report.
///
/// Example, against `atl dev --dir /tmp/atl`:
///   atl log hammer --url http://127.0.0.1:8080 --ca-key /tmp/atl/ca/org-ca-key.pem \
///       --ca-cert /tmp/atl/ca/org-ca.pem --seconds 5
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct HammerArgs {
    /// The log's base URL, http only
    #[arg(long)]
    url: String,
    /// PEM private key of the CA that issues: P-256 or Ed25519, PKCS#8 or SEC 1
    #[arg(long, value_name = "PEM")]
    ca_key: PathBuf,
    /// PEM certificate of that CA: an anchor of the log or issued under one. Certificates behind
    /// the first are sent as its chain
    #[arg(long, value_name = "PEM")]
    ca_cert: PathBuf,
    /// PEM certificates between that CA and the anchor, issuer first; may be given more than once
    #[arg(long, value_name = "PEM")]
    chain: Vec<PathBuf>,
    /// Certificates a second, on a fixed schedule; as fast as answered without it
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
    /// Process of the server on this machine: its processor time for each SAT is reported
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
    match (bad, report.sats) {
        (0, 0) => Err(CliError::negative("the log gave no SAT")),
        (0, _) => Ok(()),
        (n, _) => Err(CliError::negative(format!("{n} answers do not hold: do not trust this log"))),
    }
}

async fn hammer(args: &HammerArgs) -> Result<Report, CliError> {
    let target = target(&args.url)?;
    let client = LogClient::new(&args.url).map_err(|e| CliError::new(e.to_string()))?;
    let (origin, key) = log_key(args, &client).await?;
    let maker = maker(args, target.clone())?;
    // One submission first: what is wrong with the chain should not be said ten thousand times.
    let trial = maker.trial()?;
    client.submit(&trial).await.map_err(|e| CliError::new(format!("a first submission was refused: {e}")))?;

    let stop = Arc::new(AtomicBool::new(false));
    tokio::spawn(stop_on_interrupt(Arc::clone(&stop)));
    let (batch, length) = (usize::from(args.batch), Duration::from_secs(args.seconds.into()));
    let pace = args.rate.map_or(Pace::Closed, |rate| Pace::Open(f64::from(rate) / f64::from(args.batch)));
    let total = match pace {
        Pace::Closed => usize::MAX,
        Pace::Open(rate) => load::requests(rate, length),
    };
    let count = (args.prepare as usize).div_ceil(batch).min(total);
    let mut stock = Stock::new(maker, total, Arc::clone(&stop))?;
    let progress = progress(count * batch);
    stock.fill(count, |ready| progress.set_position((ready * batch) as u64)).await?;
    progress.finish_and_clear();
    if stop.load(Ordering::Relaxed) {
        return Err(CliError::new("stopped while it prepared; the log was not loaded"));
    }

    let request_octets = stock.first_octets();
    let before = Usage::of(args.server_pid)?;
    let start = SystemClock.now();
    let outcome = load::run(target, pace, usize::from(args.connections), length, stock, stop).await?;
    let end = SystemClock.now();
    let used = Usage::of(args.server_pid)?.since(&before);
    let checked = check(&outcome.exchanges, &key, Span { start, end });
    let report = Report {
        origin,
        connections: usize::from(args.connections),
        batch,
        certificate_octets: trial.submission.as_slice().len(),
        request_octets,
        rate: args.rate,
        elapsed_seconds: 0.0,
        sent: 0,
        sats: 0,
        sats_per_second: 0.0,
        latency_ms: Latency::default(),
        latency_from_send_ms: None,
        unsent: 0,
        refused: Default::default(),
        bad: Default::default(),
        prepared_late: 0,
        starved: 0,
        generator_cpu_seconds: used.generator.as_secs_f64(),
        server: used.server.map(|(cpu, peak_memory_octets)| Server {
            cpu_seconds: cpu.as_secs_f64(),
            cpu_us_per_sat: 0.0,
            peak_memory_octets,
        }),
    };
    Ok(report.measured(&outcome, checked))
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

/// The log's origin and the key that its SATs must verify with.
async fn log_key(args: &HammerArgs, client: &LogClient) -> Result<(String, PublicKey), CliError> {
    let log = client.descriptor().await.map_err(|e| CliError::new(e.to_string()))?;
    let shown = PublicKey::from_spki_der(log.key.as_slice()).context("the log's key")?;
    match &args.vkey {
        Some(pinned) if *pinned.key() != shown => {
            Err(CliError::negative(format!("{} shows another key than --vkey", client.base_url())))
        }
        _ => Ok((log.origin, shown)),
    }
}

fn maker(args: &HammerArgs, target: Target) -> Result<Maker, CliError> {
    let file = args.ca_key.display();
    let key = SigningKey::from_pem(&fs::read_to_string(&args.ca_key).context(&file)?).context(&file)?;
    let mut certificates = read_certificates(&args.ca_cert)?;
    for file in &args.chain {
        certificates.extend(read_certificates(file)?);
    }
    let chain = certificates.iter().map(|c| B64(c.der().to_vec())).collect();
    let issuer = certificates.into_iter().next();
    let issuer =
        issuer.ok_or_else(|| CliError::new(format!("{}: no PEM certificate in it", args.ca_cert.display())))?;
    let authority = Authority::new(key, issuer).context(args.ca_cert.display())?;
    let mut run = [0; 4];
    SystemRandom::new().fill(&mut run).map_err(|_| CliError::new("the system has no randomness to give"))?;
    let (claims, batch) = (Claims::shopper(72), usize::from(args.batch));
    let mut maker = Maker { authority, chain, claims, batch, target, run: hex::encode(run) };
    if let Some(size) = args.size {
        let needed = maker.trial()?.submission.as_slice().len();
        let more = size.saturating_sub(needed);
        if more > 16 << 10 {
            return Err(CliError::new(format!("--size may be at most {} here", needed + (16 << 10))));
        }
        maker.claims.evidence_octets = more;
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

/// Processor time so far: of this program, and of the server with its peak memory.
struct Usage {
    generator: Duration,
    server: Option<(Duration, u64)>,
}

impl Usage {
    fn of(server_pid: Option<u32>) -> Result<Self, CliError> {
        let server = |pid: u32| Ok((process::cpu(&pid.to_string())?, process::peak_memory(&pid.to_string())?));
        let server = server_pid.map(server).transpose().map_err(|e: CliError| {
            CliError::new(format!("--server-pid: {e}; the server must run on this machine, a Linux"))
        })?;
        // What this program uses is worth saying, not failing for.
        Ok(Self { generator: process::cpu("self").unwrap_or_default(), server })
    }

    fn since(self, before: &Self) -> Self {
        let server = self.server.zip(before.server);
        Self {
            generator: self.generator.saturating_sub(before.generator),
            server: server.map(|((cpu, peak), (cpu_before, _))| (cpu.saturating_sub(cpu_before), peak)),
        }
    }
}
