//! How a log collects cosignatures (C2SP tlog-witness `add-checkpoint`): what it sends to a witness, how it reads
//! what comes back, whom it asks when, and the cosignatures that its checkpoint has so far.
//!
//! A witness remembers the last tree that it cosigned. A request names that tree's size and proves that the new
//! one continues it:
//!
//! ```text
//! old 20852014
//! (the hashes of the consistency proof in base64, a line each)
//!
//! (the checkpoint)
//! ```
//!
//! The answer is one or more signature lines; or the size that the witness remembers, where the request named
//! another (status 409).
//!
//! Cosignatures are kept nowhere but in memory: after a restart the witnesses are asked again.

use std::fmt;

use thiserror::Error;

use super::MAX_AHEAD_MS;
use super::cosignature::{CosignatureError, CosignatureTime, WitnessKey, line_time};
use super::line::{base64_hash, decimal};
use super::note::{Note, NoteError, NoteSignature};
use super::sth::TreeHead;
use crate::merkle::{Hash, TreeSize};
use crate::time::UnixMillis;

/// Octets of an answer that we look at: the lines of one note.
pub const MAX_ANSWER_OCTETS: usize = 64 * 1024;

/// Milliseconds for which a cosignature of an unchanged tree is as fresh as anybody asks: relying parties bound
/// its age by a minute at least.
const REFRESH_MS: u64 = 30_000;

/// How often in a row a witness may say that it remembers another tree, before it is left alone for a while.
const MAX_CONFLICTS: u32 = 2;

/// The first wait after a failure; each further one in a row doubles it.
const FIRST_WAIT_MS: u64 = 1_000;

/// The longest wait, whatever the witness asks for: it shall be asked again on the day it is well.
const LONGEST_WAIT_MS: u64 = 300_000;

/// The body of a request. A tree of less than 2^62 leaves never has more than the 63 hashes that C2SP allows.
#[derive(Clone, Copy, Debug)]
pub struct AddCheckpoint<'a> {
    /// The size of the tree that the witness remembers, as far as we know; 0 where it may remember none.
    pub old: TreeSize,
    /// The proof that the tree of `old` leaves is a prefix of the checkpoint's; empty from 0 and from its own size.
    pub consistency: &'a [Hash],
    /// The signed note.
    pub checkpoint: &'a str,
}

impl fmt::Display for AddCheckpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.consistency.iter().try_for_each(|hash| writeln!(f, "{}", base64_hash(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// The size that a witness remembers, from the body of a 409 with the type `text/x.tlog.size`.
pub fn read_size(body: &[u8]) -> Option<TreeSize> {
    decimal(str::from_utf8(body).ok()?.strip_suffix('\n')?).map(TreeSize::new)
}

/// Why an answer has no cosignature for us.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadCosignature {
    /// Not signature lines.
    #[error("the answer is not signature lines: {0}")]
    Lines(NoteError),
    /// A blank line, behind which there would be another text.
    #[error("the answer has more in it than signature lines")]
    More,
    /// No line of the witness's key.
    #[error("the answer has no line of the key that we know the witness by")]
    Missing,
    /// A line of the witness that does not verify.
    #[error(transparent)]
    Invalid(#[from] CosignatureError),
    /// From the future, where no relying party would count it.
    #[error("the cosignature is dated {ahead_ms} ms ahead of our clock: one of the two clocks is wrong")]
    Ahead {
        /// How far, in milliseconds.
        ahead_ms: u64,
    },
}

/// A line that was verified: the witness's cosignature of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    line: NoteSignature,
    at: CosignatureTime,
    text: String,
}

impl Cosignature {
    /// The newest line of `witness` in the body of an answer about the note `checkpoint`. Every line of that key
    /// must verify over that very text (R26); lines of other keys are nothing to us, and are left out.
    pub fn read(body: &[u8], checkpoint: &Note, witness: &WitnessKey, now: UnixMillis) -> Result<Self, BadCosignature> {
        let text = checkpoint.text();
        let note = Note::parse(&[text.as_bytes(), b"\n", body].concat()).map_err(BadCosignature::Lines)?;
        if note.text() != text {
            return Err(BadCosignature::More);
        }
        let mut newest: Option<(CosignatureTime, &NoteSignature)> = None;
        for line in note.lines_of(witness) {
            let at = line_time(&note, line, witness)?;
            if newest.is_none_or(|(before, _)| before < at) {
                newest = Some((at, line));
            }
        }
        let (at, line) = newest.ok_or(BadCosignature::Missing)?;
        match at.to_millis().since(now) {
            ahead_ms if ahead_ms > MAX_AHEAD_MS => Err(BadCosignature::Ahead { ahead_ms }),
            _ => Ok(Self { line: line.clone(), at, text: text.to_owned() }),
        }
    }

    /// When the witness made it, by its own clock.
    pub const fn at(&self) -> CosignatureTime {
        self.at
    }
}

/// The cosignatures that the checkpoint of a log's newest head has so far.
///
/// A new head of the same tree has the same text, whose cosignatures are as good as they were. With another tree
/// they are another's, and it begins anew with none.
#[derive(Clone, Debug, Default)]
pub struct Cosignatures {
    text: String,
    lines: Vec<Option<(CosignatureTime, NoteSignature)>>,
}

impl Cosignatures {
    /// None yet, of so many witnesses.
    pub fn of(witnesses: usize) -> Self {
        Self { text: String::new(), lines: vec![None; witnesses] }
    }

    /// Takes in a cosignature of the witness at this place, where it is of the checkpoint `newest`, a note, and
    /// not older than what was there. Whether it was taken.
    pub fn add(&mut self, witness: usize, cosignature: Cosignature, newest: &str) -> bool {
        let Cosignature { line, at, text } = cosignature;
        if !is_note_of(newest, &text) {
            return false; // it came too late
        }
        if self.text != text {
            self.text = text;
            self.lines.fill(None);
        }
        let Some(place) = self.lines.get_mut(witness) else { return false };
        let is_newer = place.as_ref().is_none_or(|(before, _)| *before <= at);
        if is_newer {
            *place = Some((at, line));
        }
        is_newer
    }

    /// The note `newest` with the lines that it has so far, in the order of the witnesses.
    pub fn on(&self, newest: &str) -> String {
        let lines = self.lines_of(newest).iter().flatten();
        lines.fold(newest.to_owned(), |note, (_, line)| note + &line.to_string() + "\n")
    }

    /// How many witnesses have cosigned the note `newest`.
    pub fn count(&self, newest: &str) -> usize {
        self.lines_of(newest).iter().flatten().count()
    }

    /// Whether all of them have.
    pub fn is_complete(&self, newest: &str) -> bool {
        self.count(newest) == self.lines.len()
    }

    fn lines_of(&self, newest: &str) -> &[Option<(CosignatureTime, NoteSignature)>] {
        if is_note_of(newest, &self.text) { &self.lines } else { &[] }
    }
}

/// Whether a note has this text: behind it comes the blank line, and no checkpoint has one in its text.
fn is_note_of(note: &str, text: &str) -> bool {
    note.strip_prefix(text).is_some_and(|rest| rest.starts_with('\n'))
}

/// What to do about a witness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Ask it for the newest head, from the tree of `old` leaves on.
    Ask {
        /// The tree that it remembers, as far as we know.
        old: TreeSize,
    },
    /// Look again then, or where there is a new head.
    At(UnixMillis),
    /// Look again where there is a new head.
    Idle,
}

/// Whom a witness has cosigned for us, and how it fares: what decides when it is asked next.
///
/// It is asked once for each new tree, of which only the newest matters, and for each new head of an unchanged
/// tree, but then at most every half minute: its cosignature is to be as fresh as our own heads are. The empty
/// tree is not worth a cosignature.
#[derive(Clone, Debug)]
pub struct WitnessTurns {
    remembers: TreeSize,
    cosigned: Option<(TreeHead, UnixMillis)>,
    conflicts: u32,
    failures: u32,
    not_before: UnixMillis,
}

impl Default for WitnessTurns {
    fn default() -> Self {
        Self::new()
    }
}

impl WitnessTurns {
    /// A witness of which nothing is known: the first request names size 0, to which it answers with the size that
    /// it remembers, if any.
    pub const fn new() -> Self {
        let (remembers, not_before) = (TreeSize::EMPTY, UnixMillis::new(0));
        Self { remembers, cosigned: None, conflicts: 0, failures: 0, not_before }
    }

    /// What to do, `head` being the newest.
    pub fn next(&self, head: &TreeHead, now: UnixMillis) -> Turn {
        if head.size.is_empty() {
            return Turn::Idle;
        }
        let mut due = self.not_before;
        if let Some((of, at)) = self.cosigned.as_ref().filter(|(of, _)| (of.size, of.root) == (head.size, head.root)) {
            if of.timestamp >= head.timestamp {
                return Turn::Idle;
            }
            due = due.max(at.saturating_add(REFRESH_MS));
        }
        // Of a larger tree than ours no proof could be made: the witness shall say so itself.
        if now < due { Turn::At(due) } else { Turn::Ask { old: self.remembers.min(head.size) } }
    }

    /// It has cosigned `head`.
    pub fn cosigned(&mut self, head: TreeHead, now: UnixMillis) {
        *self = Self { remembers: head.size, cosigned: Some((head, now)), ..Self::new() };
    }

    /// It remembers a tree of another size than it was told. Whether it may be asked again at once: not where that
    /// tree is larger than `head`, or where it cannot decide; that is a failure.
    pub fn conflicted(&mut self, size: TreeSize, head: &TreeHead, now: UnixMillis) -> bool {
        self.remembers = size;
        self.conflicts += 1;
        let may = size <= head.size && self.conflicts <= MAX_CONFLICTS;
        if !may {
            self.failed(now, 0);
        }
        may
    }

    /// It gave nothing, or nothing good; it may have said for how many milliseconds it wants to be left alone.
    pub fn failed(&mut self, now: UnixMillis, asked_ms: u64) {
        self.conflicts = 0;
        let doubled = FIRST_WAIT_MS.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.saturating_add(doubled.max(asked_ms).min(LONGEST_WAIT_MS));
    }
}

#[cfg(test)]
#[path = "witnessing/tests.rs"]
mod tests;
