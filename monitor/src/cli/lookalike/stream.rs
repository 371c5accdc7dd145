//! Many candidates, judged as they come.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use atl::time::Stopwatch;
use serde::Serialize;

use super::{Level, Thresholds};
use crate::cli::lines::{Line, Lines};
use crate::cli::output::{CliError, clean, grouped};
use crate::rules::lookalike::{Class, Finding, Verdict, Watchlist};

/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// Candidates between two looks at the stopwatch.
const LOOK_EVERY: u64 = 1024;

/// A candidate that imitates a watched name, as a line of JSON.
#[derive(Serialize)]
struct Found<'a> {
    candidate: &'a str,
    watched: &'a str,
    class: Class,
    score: u8,
    level: Level,
}

/// What was seen so far.
#[derive(Default)]
struct Counts {
    names: u64,
    alerts: u64,
    digest: u64,
    /// Lines that hold something else, and the first of them with its reason.
    no_names: u64,
    first_no_name: Option<String>,
}

impl Counts {
    fn tell(&self, elapsed: Duration) -> String {
        // A run too short to be measured has no rate.
        let rate = self.names * 1000 / u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = if elapsed.as_millis() > 100 { format!(", {} names/s", grouped(rate)) } else { String::new() };
        let [names, alerts, digest] = [self.names, self.alerts, self.digest].map(grouped);
        format!("{names} names: {alerts} alerts, {digest} more for the digest{rate}")
    }
}

/// Judges each name of a file, and prints those that are at least `shown`.
pub fn judge(
    list: &Watchlist,
    candidates: &Path,
    thresholds: Thresholds,
    shown: Level,
    json: bool,
) -> Result<(), CliError> {
    let mut lines = Lines::open(candidates)?;
    let (mut counts, start, mut told) = (Counts::default(), Stopwatch::start(), Duration::ZERO);
    let mut out = io::stdout().lock();
    loop {
        let number = lines.number() + 1;
        let line = lines.next().map_err(|e| CliError::new(format!("{}, line {number}: {e}", candidates.display())))?;
        let Some(line) = line else { break };
        let name = match Line::read(line) {
            Line::Name(name) => name,
            Line::Empty => continue,
            Line::NoName(why) => {
                counts.no_names += 1;
                counts.first_no_name.get_or_insert_with(|| format!("line {number}: {}", clean(&why)));
                continue;
            }
        };
        counts.names += 1;
        if let Verdict::Lookalike(finding) = list.judge(&name, thresholds.digest) {
            let level = thresholds.level(finding.score());
            let count = if level == Level::Alert { &mut counts.alerts } else { &mut counts.digest };
            *count += 1;
            if level == Level::Alert || shown == Level::Digest {
                // As it was written, so that whoever wrote it finds it again.
                let written = str::from_utf8(line).unwrap_or_default().trim();
                print(&mut out, written, &finding, level, json).map_err(|e| CliError::unwritten(&e))?;
            }
        }
        if counts.names.is_multiple_of(LOOK_EVERY) && start.elapsed() >= told + PROGRESS_EVERY {
            told = start.elapsed();
            eprintln!("{}", counts.tell(told));
        }
    }
    eprintln!("{}", counts.tell(start.elapsed()));
    if let Some(first) = counts.first_no_name {
        eprintln!("{} lines hold no domain name and were passed over, the first is {first}", grouped(counts.no_names));
    }
    Ok(())
}

fn print(out: &mut impl Write, candidate: &str, finding: &Finding, level: Level, json: bool) -> io::Result<()> {
    let (watched, class, score) = (finding.watched.as_str(), finding.class, finding.score().get());
    if json {
        let found = Found { candidate, watched, class, score, level };
        serde_json::to_writer(&mut *out, &found)?;
        return writeln!(out);
    }
    let level = if level == Level::Alert { "alert" } else { "digest" };
    writeln!(out, "{level:6} {score:>3}  {class:15}  {}  imitates  {watched}", clean(candidate), class = class.as_str())
}
