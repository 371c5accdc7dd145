//! `atl-monitor once`: one look at everything, for a job that runs now and then.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use atl::log::checkpoint::Origin;
use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use super::parts::Monitor;
use super::runtime;
use crate::alert::{self, Alert};
use crate::board::FeedStatus;
use crate::cli::output::{CliError, clean, grouped};
use crate::config::MonitorConfig;
use crate::finding::Severity;
use crate::follow::Round;

/// Rounds of deliveries before what is left is left to the next run.
const DELIVERIES: usize = 5;
/// How long a run goes on asking for a proof that a log refuses; one that is refused for so long is told.
const ASKS_FOR: Duration = Duration::from_secs(20);
/// Batches of errands in one run.
const BATCHES: usize = 10_000;

const EXAMPLE: &str = "\
Example, every five minutes:
  */5 * * * *  atl-monitor once --config /etc/atl/monitor.toml";

/// Look at everything once: read all logs up to their newest heads, exchange heads, ask what is due, tell what was
/// found, and end.
///
/// It ends with 0 if all logs are in order and nothing new was found, with 1 if a log could not be verified or is
/// proven to have misbehaved, if the owner's feed could not be read or if a new alert is a warning or worse, and with 2
/// if the monitor itself failed. What
/// has to wait, such as a certificate that the owner's feed may still come to know, is looked at in the next run.
#[derive(Args)]
#[command(after_long_help = EXAMPLE)]
pub struct OnceArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print what came of it as JSON.
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Serialize)]
struct Report {
    in_order: bool,
    logs: Vec<LogLine>,
    feeds: Vec<FeedLine>,
    alerts: Vec<Alert>,
}

/// What came of one log.
#[derive(Serialize)]
struct LogLine {
    log: String,
    head: Option<u64>,
    verified: u64,
    in_order: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
}

/// What came of one source of the owner's feed.
#[derive(Serialize)]
struct FeedLine {
    source: String,
    in_order: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

impl LogLine {
    fn of(log: &str, round: &Round) -> Self {
        Self {
            log: log.to_owned(),
            head: round.head.map(atl::merkle::TreeSize::get),
            verified: round.verified.get(),
            in_order: round.is_complete(),
            trouble: round.trouble.as_ref().map(|trouble| trouble.reason.clone()),
            evidence: round.frozen.clone(),
        }
    }
}

/// Runs it.
pub fn once(args: &OnceArgs) -> Result<(), CliError> {
    super::start_tracing();
    let config = MonitorConfig::load(&args.config).map_err(|e| CliError::new(e.to_string()))?;
    let report = runtime()?.block_on(look(&config))?;
    let text = if args.json {
        serde_json::to_string_pretty(&report).map_err(|e| CliError::new(e.to_string()))? + "\n"
    } else {
        words(&report)
    };
    io::stdout().lock().write_all(text.as_bytes()).map_err(|e| CliError::unwritten(&e))?;
    if report.in_order { Ok(()) } else { Err(CliError::quiet(1)) }
}

async fn look(config: &MonitorConfig) -> Result<Report, CliError> {
    let failed = |e: crate::state::StateError| CliError::new(e.to_string());
    let mut monitor = Monitor::open(config)?;
    let state = monitor.shared.state.clone();
    let before = state.read(alert::newest_seq).map_err(failed)?;
    if let Some(feed) = &mut monitor.feed {
        feed.refresh().await;
    }
    let feeds = monitor.shared.board.standing().feeds.into_iter();
    let fed =
        |(source, feed): (_, FeedStatus)| FeedLine { source, in_order: feed.error.is_none(), trouble: feed.error };
    let feeds: Vec<_> = feeds.map(fed).collect();
    let mut logs = Vec::new();
    for (follower, log) in monitor.followers.iter_mut().zip(&monitor.shared.logs) {
        let round = follower.once().await.map_err(failed)?;
        logs.push(LogLine::of(log.origin.as_str(), &round));
    }
    for peer in &monitor.shared.peers {
        if let Err(error) = monitor.gossip.exchange(peer).await {
            tracing::warn!(peer = %peer.name, %error, "heads were not exchanged");
        }
    }
    for (line, log) in logs.iter_mut().zip(&monitor.shared.logs) {
        settle(&monitor, line, &log.origin).await?;
    }
    monitor.runner.mend().map_err(failed)?;
    for _ in 0..BATCHES {
        if monitor.runner.once().await.map_err(failed)? == 0 {
            break;
        }
    }
    // Gossip and errands may have proven something since the log was read.
    for (line, log) in logs.iter_mut().zip(&monitor.shared.logs) {
        line.evidence = monitor.bridge.heads.frozen(&log.origin).map_err(|e| CliError::new(e.to_string()))?;
        line.in_order &= line.evidence.is_none();
    }
    for _ in 0..DELIVERIES {
        monitor.courier.round().await.map_err(failed)?;
        if monitor.shared.board.standing().undelivered == 0 {
            break;
        }
    }
    let worst = state.read(|read| alert::worst_since(read, before)).map_err(failed)?;
    let newest: Vec<Alert> = state.read(|read| alert::newest(read, 1000)).map_err(failed)?;
    let alerts = newest.into_iter().filter(|alert| alert.seq > before).collect();
    let is_read = logs.iter().all(|log| log.in_order) && feeds.iter().all(|feed| feed.in_order);
    let in_order = is_read && worst.is_none_or(|worst| worst < Severity::Warning);
    Ok(Report { in_order, logs, feeds, alerts })
}

/// Asks for the proofs that are due of a log, and for those that it refuses until that is told. Where it is not told
/// in this run, since some node of the log may only be behind, the log is not in order either.
async fn settle(monitor: &Monitor, line: &mut LogLine, origin: &Origin) -> Result<(), CliError> {
    let failed = |e: String| CliError::new(e);
    let deadline = Instant::now() + ASKS_FOR;
    loop {
        monitor.gossip.settle(origin).await.map_err(|e| failed(e.to_string()))?;
        let book = monitor.bridge.heads.book(origin).map_err(|e| failed(e.to_string()))?;
        let untold = book.inbox.iter().find(|known| known.refused.is_some() && known.evidence.is_empty());
        let Some(known) = untold else { return Ok(()) };
        if Instant::now() >= deadline {
            let said = format!("the log refuses a proof of its {}; perhaps it is behind: look again soon", known.id);
            line.trouble.get_or_insert(said);
            line.in_order = false;
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn words(report: &Report) -> String {
    let mut text = String::new();
    for line in &report.logs {
        let word = match (&line.evidence, line.in_order) {
            (Some(_), _) => "MISBEHAVED",
            (None, true) => "in order",
            (None, false) => "NOT VERIFIED",
        };
        let head = line.head.map_or("no head".into(), grouped);
        text += &format!("{:<12}  {}  {} of {head} entries verified\n", word, line.log, grouped(line.verified));
        if let Some(trouble) = &line.trouble {
            text += &format!("              {}\n", clean(trouble));
        }
        if let Some(evidence) = &line.evidence {
            text += &format!("              evidence/{evidence}: atl-monitor verify-evidence checks it\n");
        }
    }
    for feed in &report.feeds {
        if let Some(trouble) = &feed.trouble {
            text +=
                &format!("NOT READ      the owner's feed {}\n              {}\n", clean(&feed.source), clean(trouble));
        }
    }
    for alert in &report.alerts {
        let finding = &alert.finding;
        text += &format!("{:<8}  {}  {}\n", finding.class.severity().as_str(), finding.class, clean(&finding.summary));
    }
    if report.alerts.is_empty() {
        text += "nothing new was found\n";
    }
    text
}
