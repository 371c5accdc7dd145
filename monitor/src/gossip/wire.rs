//! What goes over the wire, the same in both directions.

use atl::log::checkpoint::Origin;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::head::{HeadError, RawHead, SignedHead};
use crate::heads::book::{Book, trimmed};
use crate::heads::{Heads, HeadsError, Known, Received, Standing};
use crate::watched::WatchedLog;

/// Where heads are exchanged, below a monitor's base URL.
pub const PATH: &str = "/gossip/v1/heads";

/// Octets of a message, either way.
pub const MAX_BODY_OCTETS: usize = 256 * 1024;

/// Heads in a message, either way.
pub const MAX_HEADS: usize = 64;

/// Octets of one head in JSON. As many as a message may have fit into it, and an honest one has some 500.
const MAX_HEAD_OCTETS: usize = 3 * 1024;

/// Heads of a frozen log that are told besides its largest ones: those that evidence names.
const MAX_NAMED: usize = 6;

/// A message: a monitor's name, and heads that it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The name of the monitor that says this.
    pub from: String,
    /// Heads, at most [`MAX_HEADS`].
    pub heads: Vec<Offered>,
    /// In an answer: which of the heads offered were not taken, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

/// A head of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// The log's origin.
    pub origin: String,
    /// The head as the log signed it.
    pub head: RawHead,
}

/// A head that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The log's origin, as it was offered.
    pub origin: String,
    /// Why, for people.
    pub reason: String,
}

/// Why a head is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum NotTaken {
    #[error("this log is not watched here")]
    UnknownLog,
    #[error("a head has at most {MAX_HEAD_OCTETS} octets")]
    TooLong,
    #[error(transparent)]
    Head(#[from] HeadError),
    #[error("too many of your heads wait for a proof here: offer it again later")]
    Full,
}

/// Reads an offered head: it is small, of a log that is watched, and signed by it.
pub(super) fn open(offered: Offered, logs: &[WatchedLog]) -> Result<(&WatchedLog, SignedHead), NotTaken> {
    let log = logs.iter().find(|log| log.origin.as_str() == offered.origin).ok_or(NotTaken::UnknownLog)?;
    if octets_of(&offered.head) > MAX_HEAD_OCTETS {
        return Err(NotTaken::TooLong);
    }
    Ok((log, SignedHead::open(trimmed(&offered.head, log), log)?))
}

/// Octets of a head in JSON.
fn octets_of(head: &RawHead) -> usize {
    serde_json::to_vec(head).map_or(usize::MAX, |octets| octets.len())
}

/// What was known of a head, or why it is not taken.
pub(super) fn outcome(received: Received) -> Result<(), NotTaken> {
    if received == Received::Full { Err(NotTaken::Full) } else { Ok(()) }
}

/// What a monitor tells of one log: its largest heads, and the heads that prove that it is frozen.
pub(super) fn told(origin: &Origin, book: &Book) -> Vec<Offered> {
    let latest = book.latest();
    let contradicts = book.heads.iter().any(|known| known.standing == Standing::Contradicts);
    let mut named: Vec<&Known> = book.heads.iter().filter(|known| contradicts && !known.evidence.is_empty()).collect();
    named.sort_by_key(|known| std::cmp::Reverse(known.first_seen_at));
    named.truncate(MAX_NAMED);
    let mut told: Vec<&Known> = latest.tree_head.iter().chain(&latest.checkpoint).collect();
    for known in named {
        if !told.iter().any(|other| other.id == known.id) {
            told.push(known);
        }
    }
    told.retain(|known| octets_of(&known.raw) <= MAX_HEAD_OCTETS);
    told.into_iter().map(|known| Offered { origin: origin.to_string(), head: known.raw.clone() }).collect()
}

impl Message {
    /// What the monitor `from` has to say about these logs, in as many messages as that takes: at least one, as an
    /// answer is wanted even by who knows nothing yet.
    pub(super) fn all(from: &str, logs: &[WatchedLog], heads: &Heads) -> Result<Vec<Self>, HeadsError> {
        let mut told = Vec::new();
        for log in logs {
            told.extend(self::told(&log.origin, &heads.book(&log.origin)?));
        }
        let message = |heads: &[Offered]| Self { from: from.to_owned(), heads: heads.to_vec(), refused: Vec::new() };
        if told.is_empty() {
            return Ok(vec![message(&[])]);
        }
        Ok(told.chunks(MAX_HEADS).map(message).collect())
    }
}
