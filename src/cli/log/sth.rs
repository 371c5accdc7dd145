//! `atl log sth`: the last head of a log, and that it continues an earlier one.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde::Serialize;

use super::remote::{KeySource, RemoteLog, SavedHead, answer, connect, failed, polite, signed};
use crate::api::{ConsistencyQuery, SthResponse};
use crate::cli::output::{CliError, Context, print_json, print_rows};
use crate::cli::runtime;
use crate::log::note::VerifierKey;
use crate::log::sth::TreeHead;
use crate::merkle::{Hash, TreeSize, verify_consistency};
use crate::time::{Clock, SystemClock, UnixMillis};

/// Show the last signed head of a log, and prove that it continues an earlier one.
///
/// The head's signature is verified, and that the log's checkpoint states the same tree. With
/// --since, a consistency proof shows that the tree of now begins with the tree of then: nothing
/// that was logged then was changed, moved or taken out. It does not prove that others are shown
/// the same tree: they would have to compare their heads with yours.
///
/// Example, to be run now and then:
///   atl log sth --url https://log.example.com/2026h2 --since log.head --save log.head
///
/// The first time, without --since, and with --vkey: the key is kept in the file.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct SthArgs {
    /// The base URL of the log
    #[arg(long)]
    url: String,
    /// The log's verifier key, from somebody you trust; without it, the key is the log's own word
    #[arg(long)]
    vkey: Option<VerifierKey>,
    /// An earlier head: a file that --save wrote, or SIZE:ROOT with the root in hex or base64
    #[arg(long, value_name = "SIZE:ROOT|FILE")]
    since: Option<String>,
    /// Keep the head, once everything is verified, for the next --since
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What the command found, for machines.
#[derive(Serialize)]
struct Answer<'a> {
    vkey: String,
    key_source: KeySource,
    #[serde(flatten)]
    sth: SthResponse,
    age_ms: u64,
    checkpoint: &'a str,
    /// The earlier size, where consistency with it was proven.
    consistent_since: Option<TreeSize>,
}

/// An earlier tree.
struct Earlier {
    size: TreeSize,
    root: Hash,
    timestamp: Option<UnixMillis>,
    vkey: Option<VerifierKey>,
}

/// Runs it.
pub fn run(args: &SthArgs) -> Result<(), CliError> {
    let earlier = args.since.as_deref().map(Earlier::read).transpose()?;
    runtime()?.block_on(show(args, earlier))
}

async fn show(args: &SthArgs, earlier: Option<Earlier>) -> Result<(), CliError> {
    let remembered = earlier.as_ref().and_then(|e| e.vkey.clone());
    let from_file = args.vkey.is_none() && remembered.is_some();
    let mut log = connect(&args.url, args.vkey.clone().or(remembered)).await?;
    if from_file {
        log.source = KeySource::Remembered;
    }
    let (sth, checkpoint) = log.head_and_checkpoint().await?;
    if let Some(earlier) = &earlier {
        earlier.is_continued_by(&log, &sth.head).await?;
    }
    if let Some(file) = &args.save {
        save(file, &SavedHead { vkey: log.vkey.to_string(), sth: answer(&sth) })?;
    }
    let age_ms = SystemClock.now().since(sth.head.timestamp);
    if args.json {
        let (vkey, consistent_since) = (log.vkey.to_string(), earlier.map(|e| e.size));
        let (key_source, sth) = (log.source, answer(&sth));
        return print_json(&Answer { vkey, key_source, sth, age_ms, checkpoint: &checkpoint, consistent_since });
    }
    println!("{}\n", log.trust());
    print_rows([
        ("log", log.vkey.name().to_string()),
        ("entries", sth.head.size.to_string()),
        ("root", sth.head.root.to_string()),
        ("signed at", format!("{}, {} ago", sth.head.timestamp, span(age_ms))),
        ("signature", "verified".into()),
        ("checkpoint", "verified, the same tree".into()),
    ]);
    let overdue = log.descriptor.sth_interval_seconds.saturating_mul(3000);
    if age_ms > overdue {
        println!("\nThe head is old: this log says that it signs one every {} s.", log.descriptor.sth_interval_seconds);
    }
    if let Some(earlier) = &earlier {
        let added = sth.head.size.get().saturating_sub(earlier.size.get());
        println!("\nProven: this tree begins with the tree of {} entries; {added} were added since.", earlier.size);
    }
    if let Some(file) = &args.save {
        println!("\nKept in {} for the next --since.", file.display());
    }
    Ok(())
}

impl Earlier {
    fn read(text: &str) -> Result<Self, CliError> {
        if let Some(earlier) = Self::inline(text) {
            return Ok(earlier);
        }
        let content = fs::read_to_string(text)
            .context(format_args!("--since {text}: neither SIZE:ROOT nor a file that can be read"))?;
        let saved: SavedHead = serde_json::from_str(&content).context(format_args!("--since {text}"))?;
        let vkey = VerifierKey::from_str(&saved.vkey).context(format_args!("--since {text}"))?;
        let sth = signed(saved.sth);
        sth.verify(vkey.key()).context(format_args!("--since {text}"))?;
        let TreeHead { size, timestamp, root } = sth.head;
        Ok(Self { size, root, timestamp: Some(timestamp), vkey: Some(vkey) })
    }

    fn inline(text: &str) -> Option<Self> {
        let (size, root) = text.split_once(':')?;
        let size = TreeSize::new(size.parse().ok()?);
        Some(Self { size, root: parse_hash(root)?, timestamp: None, vkey: None })
    }

    /// Checks that `now` is a later state of the same tree.
    async fn is_continued_by(&self, log: &RemoteLog, now: &TreeHead) -> Result<(), CliError> {
        let (first, second) = (self.size, now.size);
        if first > second {
            let text = format!(
                "the log went back: it had {first} entries, and its head of {} has {second}. Keep both heads, they are \
                 evidence",
                now.timestamp
            );
            return Err(CliError::negative(text));
        }
        if let Some(then) = self.timestamp.filter(|then| *then > now.timestamp) {
            return Err(CliError::negative(format!(
                "the head is dated {}, before the earlier one of {then}",
                now.timestamp
            )));
        }
        let proof = if first.is_empty() || first == second {
            Vec::new()
        } else {
            let query = ConsistencyQuery { first, second: Some(second) };
            polite(|| log.client.consistency(query)).await.map_err(failed)?.consistency
        };
        verify_consistency(first, second, &self.root, &now.root, &proof).map_err(|e| {
            let (then, now) = (self.root, now.root);
            CliError::negative(format!(
                "the log does not continue the earlier tree: {e} ({first} entries with root {then}, now {second} with \
                 root {now}). Keep both heads, they are evidence"
            ))
        })
    }
}

/// A hash in hex or base64.
pub fn parse_hash(text: &str) -> Option<Hash> {
    let hex = hex::decode(text).ok().and_then(|octets| Hash::from_slice(&octets));
    hex.or_else(|| serde_json::from_value(serde_json::Value::from(text)).ok())
}

/// Replaces the file as a whole, so that an interruption leaves the earlier head.
fn save(file: &Path, head: &SavedHead) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(head).context("the head")?;
    let new = file.with_extension("new");
    let write = || {
        let mut out = fs::File::create(&new)?;
        writeln!(out, "{text}")?;
        out.sync_all()?;
        fs::rename(&new, file)
    };
    write().context(file.display())
}

/// A span of time for people.
fn span(millis: u64) -> String {
    match millis / 1000 {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_in_both_spellings() {
        let hash = Hash::of(b"");
        let base64 = serde_json::to_value(hash).unwrap();
        assert_eq!(parse_hash(&hash.to_string()), Some(hash));
        assert_eq!(parse_hash(base64.as_str().unwrap()), Some(hash));
        for bad in ["", "00", "zz", &hash.to_string()[1..]] {
            assert_eq!(parse_hash(bad), None, "{bad}");
        }
    }

    #[test]
    fn earlier_trees_are_a_size_and_a_root() {
        let hash = Hash::of(b"");
        let earlier = Earlier::read(&format!("7:{hash}")).unwrap();
        assert_eq!((earlier.size, earlier.root), (TreeSize::new(7), hash));
        for bad in ["7", "7:", "-1:aa", "/no/such/file", "x:y"] {
            assert!(Earlier::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_are_for_people() {
        assert_eq!([0, 119_999, 120_000, 7_200_000, 172_800_000].map(span), ["0 s", "119 s", "2 min", "2 h", "2 days"]);
    }
}
