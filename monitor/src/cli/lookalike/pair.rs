//! One pair of names, and why.

use std::io::{self, Write};

use serde::Serialize;

use super::{Level, Thresholds};
use crate::cli::output::CliError;
use crate::rules::lookalike::{Class, Finding, Name, Score, Verdict, Watchlist};

/// What is said of a pair in JSON.
#[derive(Serialize)]
struct Report<'a> {
    candidate: &'a str,
    watched: &'a str,
    class: Option<Class>,
    score: u8,
    level: Level,
    steps: Vec<ReportStep<'a>>,
}

/// A step of the score: tenths of a bit that speak for the likeness, or against it.
#[derive(Serialize)]
struct ReportStep<'a> {
    tenths_of_bits: i32,
    what: &'a str,
}

/// Says whether, and how, `candidate` imitates `watched`, which is the only one on the list.
pub fn explain(
    list: &Watchlist,
    watched: &Name,
    candidate: &Name,
    thresholds: Thresholds,
    json: bool,
) -> Result<(), CliError> {
    let verdict = list.judge(candidate, Score::LEAST);
    let text = if json {
        report(&verdict, watched, candidate, thresholds)?
    } else {
        tell(&verdict, watched, candidate, thresholds)
    };
    writeln!(io::stdout().lock(), "{text}").map_err(|e| CliError::unwritten(&e))
}

fn report(verdict: &Verdict, watched: &Name, candidate: &Name, thresholds: Thresholds) -> Result<String, CliError> {
    let finding = match verdict {
        Verdict::Lookalike(finding) => Some(finding),
        _ => None,
    };
    let steps = finding.map_or(&[][..], |finding| &finding.steps);
    let report = Report {
        candidate: candidate.as_str(),
        watched: watched.as_str(),
        class: finding.map(|finding| finding.class),
        score: finding.map_or(0, |finding| finding.score().get()),
        level: finding.map_or(Level::None, |finding| thresholds.level(finding.score())),
        steps: steps.iter().map(|step| ReportStep { tenths_of_bits: step.bits.get(), what: &step.words }).collect(),
    };
    serde_json::to_string_pretty(&report).map_err(|e| CliError::new(e.to_string()))
}

fn tell(verdict: &Verdict, watched: &Name, candidate: &Name, thresholds: Thresholds) -> String {
    match verdict {
        Verdict::Watched(_) => {
            format!("{candidate} does not imitate {watched}: whoever registered the one has the other too.")
        }
        Verdict::Allowed(by) => format!("{candidate} is not reported: {by} is allowed."),
        Verdict::Clear => format!("{candidate} does not imitate {watched}: no trick leads from the one to the other."),
        Verdict::Lookalike(finding) => told(finding, candidate, thresholds),
    }
}

fn told(finding: &Finding, candidate: &Name, thresholds: Thresholds) -> String {
    let (score, alert, digest) = (finding.score(), thresholds.alert, thresholds.digest);
    let level = match thresholds.level(score) {
        Level::Alert => format!("an alert, which it is from {alert} on"),
        Level::Digest => format!("for the digest, where it is from {digest} on; an alert from {alert} on"),
        Level::None => format!("too little to be told, which it is from {digest} on"),
    };
    let mut lines = vec![
        format!("{candidate} imitates {}: {}, score {score} of 100.", finding.watched, finding.class),
        format!("That is {level}. How it comes about, in bits:\n"),
    ];
    for (n, step) in finding.steps.iter().enumerate() {
        let sign = if step.bits.get() < 0 {
            '-'
        } else if n == 0 {
            ' '
        } else {
            '+'
        };
        let bits = step.bits.to_string();
        lines.push(format!("  {sign} {:>5}  {}", bits.trim_start_matches('-'), step.words));
    }
    lines.push(format!(
        "  = {:>5}  and 100 * {} / ({} + 10) = {score}",
        finding.bits.to_string(),
        finding.bits,
        finding.bits
    ));
    lines.join("\n")
}
