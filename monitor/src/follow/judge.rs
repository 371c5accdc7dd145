//! What following a log needs of others: of whoever knows its heads, and of the rules.

use std::pin::Pin;

use atl::client::LogClient;
use atl::log::checkpoint::Origin;
use atl::merkle::TreeSize;
use atl::time::UnixMillis;
use thiserror::Error;

use super::bounds::Dated;
use crate::head::SignedHead;
use crate::rules::{Entry, Judged, Memory, Rulebook};
use crate::state::StateError;
use crate::watched::WatchedLog;

/// What became of a head that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It fits all that is known of the log.
    Fits,
    /// The log is frozen, by this head or before it: the name of the evidence.
    Frozen(String),
}

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
pub type Observing<'a> = Pin<Box<dyn Future<Output = Result<Observed, JudgeError>> + Send + 'a>>;

/// Whoever holds heads against heads.
pub trait HeadJudge: Send + Sync {
    /// Takes a head that `source` showed, and holds it against those that are known.
    fn observe<'a>(
        &'a self,
        log: &'a WatchedLog,
        client: &'a LogClient,
        head: SignedHead,
        source: &'a str,
    ) -> Observing<'a>;

    /// The evidence for which nothing more of the log is trusted, if there is any.
    fn frozen(&self, log: &Origin) -> Option<String>;

    /// The known heads that say when they were signed and are nearest to a size: at or below, and at or above.
    fn around(&self, log: &Origin, size: TreeSize) -> (Option<Dated>, Option<Dated>);
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
