//! `atl-monitor lookalike`: names made to be taken for a watched trust domain.

mod pair;
mod stream;

use std::path::PathBuf;

use clap::{Args, value_parser};
use serde::Serialize;

use super::lines::{Line, names, names_to_watch};
use super::output::CliError;
use crate::rules::lookalike::{Name, Score, Watchlist};

/// Find names that are made to be taken for a watched one, and say why.
///
/// With two names it explains whether, and how, the second imitates the first. With --watched and --candidates it
/// prints each candidate that imitates a watched name so well that somebody should be told at once.
///
/// Files have a name a line; lines that are empty or start with # are passed over. Candidates are judged as they
/// come, so they may also come from a pipe: --candidates - reads the standard input.
#[derive(Args)]
pub struct LookalikeArgs {
    /// The name that may be imitated.
    #[arg(value_parser = name, requires = "candidate", required_unless_present = "watched_file")]
    watched: Option<Name>,

    /// The name that may imitate it.
    #[arg(value_parser = name)]
    candidate: Option<Name>,

    /// A file of names to watch.
    #[arg(long = "watched", value_name = "FILE", requires = "candidates", conflicts_with = "watched")]
    watched_file: Option<PathBuf>,

    /// A file of names to judge, or - for the standard input.
    #[arg(long, value_name = "FILE", requires = "watched_file")]
    candidates: Option<PathBuf>,

    /// A file of names that are known and harmless, such as the owner's other domains. Neither they nor what is
    /// below them is ever reported. What is below a watched name never is, unless that is a public suffix.
    #[arg(long, value_name = "FILE")]
    allow: Option<PathBuf>,

    /// The score, 1 to 100, from which on a candidate is an alert.
    #[arg(long, value_name = "SCORE", default_value_t = 50, value_parser = value_parser!(u8).range(1..=100))]
    threshold: u8,

    /// Print those from this score on as well, for a digest. Without it they are counted from 40 on.
    #[arg(long, value_name = "SCORE", value_parser = value_parser!(u8).range(1..=100))]
    digest: Option<u8>,

    /// Print JSON: of files an object a line.
    #[arg(long)]
    json: bool,
}

/// What is done about a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// Tell somebody now.
    Alert,
    /// Tell somebody when there is time.
    Digest,
    /// Nothing.
    None,
}

/// From which scores on what is done.
#[derive(Clone, Copy)]
struct Thresholds {
    alert: Score,
    digest: Score,
}

impl Thresholds {
    fn level(self, score: Score) -> Level {
        match score {
            score if score >= self.alert => Level::Alert,
            score if score >= self.digest => Level::Digest,
            _ => Level::None,
        }
    }
}

/// Runs the command.
pub fn run(args: &LookalikeArgs) -> Result<(), CliError> {
    let score = |score: Option<u8>, usual| score.and_then(Score::new).unwrap_or(usual);
    let alert = score(Some(args.threshold), Score::ALERT);
    let thresholds = Thresholds { alert, digest: score(args.digest, Score::DIGEST).min(alert) };
    let allowed = args.allow.as_deref().map_or(Ok(Vec::new()), names)?;
    let watchlist = |watched| Watchlist::new(watched, allowed).map_err(|e| CliError::new(e.to_string()));
    if let (Some(watched), Some(candidate)) = (&args.watched, &args.candidate) {
        return pair::explain(&watchlist(vec![watched.clone()])?, watched, candidate, thresholds, args.json);
    }
    let (Some(watched), Some(candidates)) = (&args.watched_file, &args.candidates) else {
        return Err(CliError::new("name two domains, or files with --watched and --candidates"));
    };
    let list = watchlist(names_to_watch(watched)?)?;
    if list.is_empty() {
        return Err(CliError::new(format!("{}: no name to watch is in it", watched.display())));
    }
    let shown = if args.digest.is_some() { Level::Digest } else { Level::Alert };
    stream::judge(&list, candidates, thresholds, shown, args.json)
}

/// Reads a name of the command line.
fn name(text: &str) -> Result<Name, String> {
    match Line::read(text.as_bytes()) {
        Line::Name(name) => Ok(name),
        Line::Empty => Err("it is empty".into()),
        Line::NoName(why) => Err(why),
    }
}
