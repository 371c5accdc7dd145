//! What following a log needs of others: of whoever knows its heads, and of the rules.

use std::pin::Pin;

use atl::client::LogClient;
use atl::log::checkpoint::Origin;
use atl::time::UnixMillis;
use thiserror::Error;

use super::bounds::Dated;
use crate::head::SignedHead;
use crate::rules::{Entry, Judged, Memory, Rulebook};
use crate::state::StateError;
use crate::watched::WatchedLog;

/// Why a head could not be held against those that are known.
#[derive(Debug, Error)]
pub enum JudgeError {
    /// The log did not give what is needed for that. Its entries may still be read.
    #[error("{0}")]
    Unjudged(String),
    /// The database failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The answer of [`HeadJudge::observe`], as a future.
pub type Observing<'a> = Pin<Box<dyn Future<Output = Result<(), JudgeError>> + Send + 'a>>;

/// Whoever holds heads against heads.
pub trait HeadJudge: Send + Sync {
    /// Takes a head that the log has shown, and holds it against those that are known. What comes of it shows in
    /// [`frozen`](Self::frozen).
    fn observe<'a>(&'a self, log: &'a WatchedLog, client: &'a LogClient, head: SignedHead) -> Observing<'a>;

    /// The evidence for which nothing more of the log is trusted, if there is any.
    ///
    /// # Errors
    /// Where the database fails.
    fn frozen(&self, log: &Origin) -> Result<Option<String>, StateError>;

    /// The known heads that fit each other and say when they were signed, in any order.
    ///
    /// # Errors
    /// Where the database fails.
    fn dated(&self, log: &Origin) -> Result<Vec<Dated>, StateError>;
}

/// Whatever judges entries.
pub trait EntryJudge: Send + Sync {
    /// Judges one entry; `memory` is what it remembers of the log from entry to entry.
    fn judge(&self, entry: &Entry<'_>, memory: &mut Memory, now: UnixMillis) -> Judged;
}

impl EntryJudge for Rulebook {
    fn judge(&self, entry: &Entry<'_>, memory: &mut Memory, now: UnixMillis) -> Judged {
        Self::judge(self, entry, memory, now)
    }
}
