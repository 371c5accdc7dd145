//! Cosigning checkpoints (C2SP tlog-witness), and signed audit statements.
//!
//! A cosignature says that the log's tree, as its checkpoint has it, continues every tree of that log that this
//! witness has cosigned before. It says nothing about the entries: that is what an [audit statement](audit) is for. A
//! witness holds a checkpoint against what it has cosigned, and against a head of the same size that the monitor has
//! verified or been shown; against nothing else, so that it never refuses one because the follower is behind.
//!
//! **[`submission`]** is what is sent, **[`consistency`]** decides, and [`Witness`] keeps what was cosigned. The
//! decision and what follows from it are one step of the database, and steps follow one another: of two checkpoints
//! that cannot both be, whichever comes second meets the first. The same is kept outside of the database ([`mark`]), so
//! that one which was put back from an older copy makes no witness forget.

pub mod audit;
pub mod consistency;
pub mod mark;
mod routes;
pub mod submission;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use atl::keys::{SignError, Signer};
use atl::log::MAX_AHEAD_MS;
use atl::log::checkpoint::{Checkpoint, checkpoint_of};
use atl::log::cosignature::{CosignatureTime, WitnessKey, cosign, cosigned_at};
use atl::log::note::{Note, NoteError, NoteSignature};
use atl::merkle::{Hash, TreeSize};
use atl::time::Clock;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::routes::routes;

use self::consistency::{Inconsistent, Known};
use self::mark::{MarkError, Marks};
use self::submission::{BadSubmission, Submission};
use crate::board::Board;
use crate::heads::ahead;
use crate::http::Shared;
use crate::state::{State, StateError, Table};
use crate::watched::WatchedLog;

/// What was cosigned last, by origin.
const COSIGNED: Table<Cosigned> = Table::new("cosigned");

/// What a witness cosigned last of one log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cosigned {
    size: TreeSize,
    root: Hash,
    /// Seconds since the epoch, as in the cosignature.
    at: u64,
    /// The checkpoint with the log's line and no other.
    checkpoint: String,
    /// Our line, without its newline.
    line: String,
}

impl Cosigned {
    const fn known(&self) -> Known {
        Known { size: self.size, root: self.root }
    }
}

/// What else is known of logs, and who wants to know what a witness is shown.
///
/// Nothing of it is called within a step of the database, so that it may make steps of its own.
pub trait Heads: Send + Sync {
    /// Why nothing of this log is trusted any more, if that is so.
    fn frozen(&self, origin: &str) -> Option<String>;

    /// Two checkpoints of one size and two roots, both signed by `log`: that of `known` is cosigned, that of `shown` is
    /// not. This proves that the log has misbehaved. Each is a note with the line of the log alone. Called
    /// before the answer goes out, and each time that such a checkpoint is sent.
    fn conflict(&self, log: &WatchedLog, known: &str, shown: &str);

    /// Whether a head of this log is known that has the size of `checkpoint` and another root. It needs no proof, and
    /// outlives what a witness has forgotten.
    fn contradicts(&self, _log: &WatchedLog, _checkpoint: &Checkpoint) -> Result<bool, StateError> {
        Ok(false)
    }

    /// A checkpoint that `log` has signed and that is not cosigned. It may be proof of misbehaviour together with what
    /// others know; mostly it is only behind. A note with the line of the log alone.
    fn refused(&self, _log: &WatchedLog, _shown: &str) {}
}

/// Why a checkpoint is not cosigned.
#[derive(Debug, Error)]
pub enum Refusal {
    /// It is not what a client of a witness sends.
    #[error(transparent)]
    Malformed(#[from] BadSubmission),
    /// No log of this origin is followed.
    #[error("no log of this origin is known here")]
    UnknownOrigin,
    /// The log has not signed it with the key that we know, or a line by that key does not verify.
    #[error("the checkpoint: {0}; the key known here is {1}")]
    Untrusted(NoteError, String),
    /// The log is proven to have misbehaved: its key is trusted no more.
    #[error("the key of this log is trusted no more, since the log is proven to have misbehaved: {0}")]
    Frozen(String),
    /// It does not continue what was cosigned last.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
    /// The clock stands before what was signed last, and a cosignature of now would contradict it.
    #[error("this witness's clock is {0} s behind its last cosignature; its operator has to look at it")]
    Clock(u64),
    /// The clock stands so far ahead of all that logs have signed that a cosignature of now might be of the future, after
    /// which there could be no other for as long.
    #[error(
        "this witness's clock is {0} s ahead of all that the logs it follows have signed; its operator has to look at it"
    )]
    Ahead(u64),
    /// Nothing can be kept, so nothing is said.
    #[error(transparent)]
    State(#[from] StateError),
    /// The same, outside of the database.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// The key does not sign.
    #[error("the witness's key: {0}")]
    Sign(#[from] SignError),
}

/// Why a step of the witness ends with nothing written.
enum Stop {
    /// The checkpoint does not continue what was cosigned last. `contradicts` is that, where no proof could help.
    Inconsistent { why: Inconsistent, contradicts: Option<String> },
    /// Anything else.
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

impl From<StateError> for Stop {
    fn from(error: StateError) -> Self {
        Self::Refused(error.into())
    }
}

/// Why a monitor is no witness, although it was told to be.
#[derive(Debug, Error)]
pub enum BadWitness {
    /// The key is of another kind than Ed25519.
    #[error("the witness's key is no Ed25519 key; make one with `atl-monitor keygen --witness`")]
    Key,
    /// One key for two purposes.
    #[error("the witness's key is also that of {0}; make one of its own with `atl-monitor keygen --witness`")]
    Shared(String),
    /// What was cosigned last cannot be told.
    #[error("the witness does not know what it has cosigned: {0}")]
    Mark(#[from] MarkError),
    /// The database failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// A witness of the logs that are followed.
pub struct Witness {
    key: WitnessKey,
    signer: Arc<dyn Signer>,
    logs: Vec<WatchedLog>,
    state: Arc<State>,
    marks: Marks,
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
    heads: Arc<dyn Heads>,
}

impl Witness {
    /// The witness that the monitor is; `None` where it has no key for that. `dir` is where what it cosigns is kept
    /// outside of the database; where that is ahead of the database, which was put back from an older copy then, the
    /// database catches up with it.
    ///
    /// # Errors
    /// Where the key is no Ed25519 key, or has another purpose already; and where it cannot be told what was cosigned.
    pub fn new(shared: &Shared, dir: &Path, heads: Arc<dyn Heads>) -> Result<Option<Self>, BadWitness> {
        let Some(signer) = &shared.witness else { return Ok(None) };
        let public = signer.public_key();
        let key = WitnessKey::new(shared.name.clone(), public.clone()).map_err(|_| BadWitness::Key)?;
        if shared.signer.public_key() == public {
            return Err(BadWitness::Shared("the monitor, which signs audit statements with it".into()));
        }
        if let Some(log) = shared.logs.iter().find(|log| log.key.key() == public) {
            return Err(BadWitness::Shared(format!("the log {}", log.origin)));
        }
        let witness = Self {
            key,
            signer: Arc::clone(signer),
            logs: shared.logs.clone(),
            state: Arc::clone(&shared.state),
            marks: Marks::open(dir)?,
            board: Arc::clone(&shared.board),
            clock: Arc::clone(&shared.clock),
            heads,
        };
        witness.logs.iter().try_for_each(|log| witness.remember(log))?;
        Ok(Some(witness))
    }

    /// Has the database and the file say the same of `log`.
    fn remember(&self, log: &WatchedLog) -> Result<(), BadWitness> {
        let file = self.marks.read(log)?;
        let row = log.origin.as_str().as_bytes();
        self.state.write(|write| {
            let database = write.get(&COSIGNED, row)?;
            let Some(last) = self.marks.larger(log, database.clone(), file.clone())? else { return Ok(()) };
            if file.as_ref() != Some(&last) {
                self.marks.write(log, &last)?;
            }
            if database.as_ref().is_none_or(|database| database.size < last.size) {
                tracing::warn!(
                    log = %log.origin, size = %last.size,
                    "more was cosigned than the database knows: was it put back from an older copy?"
                );
            }
            write.put(&COSIGNED, row, &last).map_err(BadWitness::from)
        })
    }

    /// Looks for our own cosignature on a checkpoint that `log` serves. One on a larger tree than we remember says that
    /// what we remember is old: it is what was cosigned last then. Whether it was so.
    ///
    /// # Errors
    /// Where what was cosigned cannot be kept.
    pub fn recognise(&self, log: &WatchedLog, text: &str) -> Result<bool, Refusal> {
        let Ok(note) = Note::parse(text.as_bytes()) else { return Ok(false) };
        let Ok(checkpoint) = checkpoint_of(&note, &log.key) else { return Ok(false) };
        let Ok(at) = cosigned_at(&note, std::slice::from_ref(&self.key)) else { return Ok(false) };
        let line = note.lines_of(&self.key).next();
        let (Some(Some(at)), Some(line)) = (at.first(), line) else { return Ok(false) };
        let row = log.origin.as_str().as_bytes();
        let shown = lines_of_log(&note, log);
        let cosigned = Cosigned {
            size: checkpoint.size,
            root: checkpoint.root,
            at: at.get(),
            checkpoint: shown.clone(),
            line: line.to_string(),
        };
        // Nearly always it is what is known, so nothing is written.
        let is_older = |last: &Option<Cosigned>| last.as_ref().is_some_and(|last| last.size >= checkpoint.size);
        let last = self.state.get(&COSIGNED, row)?;
        if let Some(last) = last.as_ref().filter(|last| last.known().contradicts(&checkpoint)) {
            tracing::error!(log = %log.origin, size = %checkpoint.size, "this witness has cosigned two roots of one size");
            self.heads.conflict(log, &last.checkpoint, &shown);
        }
        if is_older(&last) {
            return Ok(false);
        }
        self.state.write(|write| {
            if is_older(&write.get(&COSIGNED, row)?) {
                return Ok(false);
            }
            tracing::warn!(
                log = %log.origin, size = %checkpoint.size,
                "the log shows our own cosignature on more than we remember: was `data_dir` put back from an older copy?"
            );
            write.put(&COSIGNED, row, &cosigned)?;
            self.marks.write(log, &cosigned)?;
            Ok(true)
        })
    }

    /// The key by which others know the witness.
    pub const fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// Cosigns the checkpoint that `body` submits (C2SP tlog-witness, `add-checkpoint`). It is kept when this returns.
    pub fn add_checkpoint(&self, body: &[u8]) -> Result<NoteSignature, Refusal> {
        let submission = Submission::parse(body)?;
        let log = self.logs.iter().find(|log| log.origin.as_str() == submission.origin());
        let log = log.ok_or(Refusal::UnknownOrigin)?;
        let checkpoint = submission.checkpoint()?;
        let verified = submission.note.verify(&log.key);
        verified.map_err(|error| Refusal::Untrusted(error, log.key.to_string()))?;
        if let Some(why) = self.heads.frozen(log.origin.as_str()) {
            return Err(Refusal::Frozen(why));
        }
        let shown = lines_of_log(&submission.note, log);
        let is_another = self.heads.contradicts(log, &checkpoint)?;
        self.step(log, &submission, &checkpoint, &shown, is_another).map_err(|stop| match stop {
            Stop::Refused(why) => why,
            Stop::Inconsistent { why, contradicts } => {
                if let Some(known) = contradicts {
                    tracing::error!(log = %log.origin, size = %checkpoint.size, "a log has signed two roots of one size");
                    self.heads.conflict(log, &known, &shown);
                }
                self.heads.refused(log, &shown);
                why.into()
            }
        })
    }

    /// Decides and keeps in one step. `is_another` says that a head of this size is known that has another root.
    fn step(
        &self,
        log: &WatchedLog,
        submission: &Submission,
        checkpoint: &Checkpoint,
        shown: &str,
        is_another: bool,
    ) -> Result<NoteSignature, Stop> {
        let row = log.origin.as_str().as_bytes();
        self.state.write(|write| {
            let last = write.get(&COSIGNED, row)?;
            let known = last.as_ref().map_or(Known::NOTHING, Cosigned::known);
            if let Err(why) = consistency::check(known, submission.old, &submission.proof, checkpoint) {
                let contradicts = last.filter(|_| known.contradicts(checkpoint)).map(|last| last.checkpoint);
                return Err(Stop::Inconsistent { why, contradicts });
            }
            if is_another {
                return Err(Stop::Inconsistent { why: Inconsistent::OtherRoot, contradicts: None });
            }
            let at = self.moment(last.map_or(0, |last| last.at))?;
            let line = cosign(&*self.signer, self.key.name(), checkpoint, at).map_err(Refusal::from)?;
            let cosigned = Cosigned {
                size: checkpoint.size,
                root: checkpoint.root,
                at: at.get(),
                checkpoint: shown.to_owned(),
                line: line.to_string(),
            };
            write.put(&COSIGNED, row, &cosigned)?;
            // Before the database's own commit, since steps follow one another: so no file goes back.
            self.marks.write(log, &cosigned).map_err(Refusal::from)?;
            Ok(line)
        })
    }

    /// The moment to sign now. It is never before `last`, when a smaller tree was the largest; and never 0, which
    /// would be no time.
    fn moment(&self, last: u64) -> Result<CosignatureTime, Refusal> {
        let now = self.clock.now();
        if let Some(ahead) = ahead(&self.board, &self.state, now)? {
            return Err(Refusal::Ahead(ahead / 1000));
        }
        let now = CosignatureTime::from(now).get();
        let behind = last.max(1).saturating_sub(now);
        if behind > MAX_AHEAD_MS / 1000 {
            return Err(Refusal::Clock(behind));
        }
        CosignatureTime::new(now.max(last).max(1)).ok_or(Refusal::Clock(behind))
    }

    /// The checkpoint last cosigned of the log with this origin hash (SHA-256 in lower-case hex), with the log's line
    /// and ours; `None` where there is none.
    pub fn latest(&self, origin_hash: &str) -> Result<Option<String>, StateError> {
        let hash = |log: &WatchedLog| hex::encode(Hash::of(log.origin.as_str().as_bytes()).as_bytes());
        let Some(log) = self.logs.iter().find(|log| hash(log) == origin_hash) else { return Ok(None) };
        let last = self.state.get(&COSIGNED, log.origin.as_str().as_bytes())?;
        Ok(last.map(|last| format!("{}{}\n", last.checkpoint, last.line)))
    }
}

/// The note with one line of the log and no other. It is verified already.
fn lines_of_log(note: &Note, log: &WatchedLog) -> String {
    let line = note.lines_of(&log.key).next().map_or(String::new(), |line| format!("{line}\n"));
    format!("{}\n{line}", note.text())
}
