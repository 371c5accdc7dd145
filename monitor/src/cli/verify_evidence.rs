//! `atl-monitor verify-evidence`: says offline what evidence proves.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use atl::log::note::VerifierKey;
use clap::Args;
use serde::Serialize;

use super::output::{CliError, clean};
use crate::evidence::{self, Files, MANIFEST, Manifest, Outcome, Verdict};

const EXAMPLE: &str = "\
Example:
  atl-monitor verify-evidence evidence/3f.../ \\
    --key log.example/2026h2+1a2b3c4d+AQID...";

/// Check evidence of misbehaviour, offline, and say what it proves.
///
/// DIR is one piece of evidence, such as evidence/<sha256>/ of a monitor or an unpacked download, or the directory
/// `evidence` itself, of which everything is checked and listed in a line each. Nothing is asked of anybody: every
/// signature, root and rule is derived again from the files, and every file is held against the others.
///
/// Evidence brings the key of the log along, by its own word only. To be sure that it is about the log that you
/// rely on, give the key that you have from elsewhere with --key.
///
/// Exit code: 0 proven, 1 not proven or changed, 2 could not be read, 3 suspicion only. Of several pieces the gravest:
/// 2 before 1 before 3 before 0.
#[derive(Args)]
#[command(after_long_help = EXAMPLE)]
pub struct VerifyEvidenceArgs {
    /// The directory of one piece of evidence, or of all.
    #[arg(value_name = "DIR")]
    dir: PathBuf,

    /// The verifier key (name+hash+base64) of a log that the evidence may be about. Evidence about logs with other
    /// keys is not proven then. Give it once for each log.
    #[arg(long = "key", value_name = "VKEY")]
    keys: Vec<VerifierKey>,

    /// Print JSON, an object a line for each piece of evidence.
    #[arg(long)]
    json: bool,
}

/// What came out of one piece of evidence.
struct Checked {
    name: String,
    outcome: Outcome,
    /// `None` where it cannot be read.
    manifest: Option<Manifest>,
}

/// The exit code of evidence that cannot be read.
const UNREADABLE: u8 = 2;

const fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Proven => 0,
        Verdict::NotProven => 1,
        Verdict::SuspicionOnly => 3,
    }
}

/// Runs the command.
pub fn run(args: &VerifyEvidenceArgs) -> Result<(), CliError> {
    let cannot = |e: evidence::EvidenceError| CliError::new(e.to_string());
    let listing = evidence::list(&args.dir).map_err(cannot)?;
    let has_evidence = !listing.kept.is_empty() || !listing.broken.is_empty();
    let code = match !args.dir.join(MANIFEST).exists() && has_evidence {
        true => all(args, &listing)?,
        false => {
            let files = Files::read(&args.dir).map_err(cannot)?;
            if files.names().next().is_none() {
                return Err(CliError::new(format!("{} has no evidence in it", args.dir.display())));
            }
            let checked = one(&files, &args.dir, &args.keys);
            let text = if args.json { json(&checked, args)? } else { in_words(&checked, &args.keys) };
            say(&text)?;
            code(checked.outcome.verdict())
        }
    };
    if code == 0 { Ok(()) } else { Err(CliError::quiet(code)) }
}

/// Checks everything below the directory, and says it in a line each.
fn all(args: &VerifyEvidenceArgs, listing: &evidence::Listing) -> Result<u8, CliError> {
    let mut codes = Vec::new();
    let ids = listing.kept.iter().map(|kept| &kept.id).chain(listing.broken.iter().map(|(id, _)| id));
    for id in ids {
        let dir = args.dir.join(id);
        let text = match Files::read(&dir) {
            Ok(files) => {
                let checked = one(&files, &dir, &args.keys);
                codes.push(code(checked.outcome.verdict()));
                if args.json { json(&checked, args)? } else { in_a_line(&checked) }
            }
            Err(e) => {
                codes.push(UNREADABLE);
                eprintln!("atl-monitor: {}", clean(&e.to_string()));
                continue;
            }
        };
        say(&text)?;
    }
    if args.keys.is_empty() && !args.json {
        say("\nNo --key was given, so that the keys are those of the logs is the evidence's own word.\n")?;
    }
    Ok([UNREADABLE, 1, 3].into_iter().find(|grave| codes.contains(grave)).unwrap_or(0))
}

fn one(files: &Files, dir: &Path, keys: &[VerifierKey]) -> Checked {
    let manifest = files.get(MANIFEST).and_then(|octets| Manifest::read(octets).ok());
    let place = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let moved = manifest.as_ref().filter(|found| evidence::is_id(&name) && found.id != name);
    let outcome = match moved {
        Some(found) => Outcome::NotProven { why: format!("its directory is named {name}, and it is {}", found.id) },
        None => evidence::check(files, keys),
    };
    Checked { name, outcome, manifest }
}

fn heading(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Proven => "PROVEN",
        Verdict::NotProven => "NOT PROVEN",
        Verdict::SuspicionOnly => "SUSPICION ONLY",
    }
}

fn in_a_line(checked: &Checked) -> String {
    let verdict = heading(checked.outcome.verdict());
    let name = &checked.name;
    match &checked.manifest {
        Some(Manifest { case, .. }) if verdict != "NOT PROVEN" => {
            let log = case.logs.first().map(|log| log.origin.as_str()).unwrap_or_default();
            format!("{verdict:<14}  {name}  {}  {}  {}\n", case.class, clean(log), clean(&case.summary))
        }
        _ => format!("{verdict:<14}  {name}  {}\n", clean(checked.outcome.says())),
    }
}

fn in_words(checked: &Checked, keys: &[VerifierKey]) -> String {
    let mut out = format!("{}: {}\n", heading(checked.outcome.verdict()), clean(checked.outcome.says()));
    if !checked.outcome.by().is_empty() {
        out.push_str("\nChecked here, and all of it holds:\n");
        for line in checked.outcome.by() {
            let _ = writeln!(out, "  - {}", clean(line));
        }
    }
    let Some(manifest) = checked.manifest.as_ref().filter(|_| checked.outcome.verdict() != Verdict::NotProven) else {
        return out;
    };
    let case = &manifest.case;
    let _ = writeln!(out, "\nWhat it is about: {} ({})", case.class.title(), case.class);
    for log in &case.logs {
        let operator = if log.operator.is_empty() { "an operator that is not named" } else { &log.operator };
        let _ = writeln!(out, "Log:      {}, run by {}, at {}", clean(&log.origin), clean(operator), clean(&log.url));
        let _ = writeln!(out, "Key:      {}", clean(&log.vkey));
    }
    let _ = writeln!(out, "Observer: {}, at {}", clean(&manifest.observer), manifest.found_at);
    match keys.is_empty() {
        false => out.push_str("\nThe key is one that you gave.\n"),
        true => out.push_str(
            "\nTHE KEY IS THE EVIDENCE'S OWN WORD. Anybody can make such files about a log with a key of their own. Compare \
             the key with the one that you rely on: in the log list of your relying party or monitor, at the log itself \
             (GET /atl/v1/log, \"vkey\"), or with the log's operator. Then give it with --key.\n",
        ),
    }
    out
}

fn json(checked: &Checked, args: &VerifyEvidenceArgs) -> Result<String, CliError> {
    #[derive(Serialize)]
    struct Line<'a> {
        name: &'a str,
        verdict: Verdict,
        says: &'a str,
        by: &'a [String],
        key_pinned: bool,
        class: Option<&'static str>,
        logs: Vec<&'a str>,
        summary: Option<&'a str>,
        found_at: Option<u64>,
        observer: Option<&'a str>,
    }
    let manifest = checked.manifest.as_ref();
    let logs = manifest.map(|m| m.case.logs.iter().map(|log| log.vkey.as_str()).collect());
    let line = Line {
        name: &checked.name,
        verdict: checked.outcome.verdict(),
        says: checked.outcome.says(),
        by: checked.outcome.by(),
        key_pinned: !args.keys.is_empty(),
        class: manifest.map(|m| m.case.class.code()),
        logs: logs.unwrap_or_default(),
        summary: manifest.map(|m| m.case.summary.as_str()),
        found_at: manifest.map(|m| m.found_at.get()),
        observer: manifest.map(|m| m.observer.as_str()),
    };
    serde_json::to_string(&line).map(|line| line + "\n").map_err(|e| CliError::new(e.to_string()))
}

fn say(text: &str) -> Result<(), CliError> {
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(|e| CliError::unwritten(&e))
}
