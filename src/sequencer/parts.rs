//! What the sequencer is made of and what can become of it: its parts, settings and ends.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::head::HeadError;
use super::resume::ResumeError;
use crate::keys::Signer;
use crate::log::checkpoint::Origin;
use crate::log::entry::{Sequenced, Submission};
use crate::log::sth::SignedTreeHead;
use crate::log::store::{CommitError, HeadKeeper, LogStore, StoreError};
use crate::merkle::TreeSize;
use crate::time::Clock;

/// What the sequencer works with.
pub struct Parts {
    /// Where entries, tiles and state are kept.
    pub store: Arc<dyn LogStore>,
    /// Where the last signed head is kept a second time.
    pub keeper: Arc<dyn HeadKeeper>,
    /// The log's key.
    pub signer: Arc<dyn Signer>,
    /// The one clock of SATs and heads.
    pub clock: Arc<dyn Clock>,
    /// Who is told what happens.
    pub observer: Arc<dyn Observer>,
}

/// The sequencer's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The log's name in checkpoints.
    pub origin: Origin,
    /// Milliseconds between heads.
    pub sth_interval_ms: u64,
    /// Submissions that may wait.
    pub queue_limit: usize,
    /// Milliseconds after which a submitted certificate is pruned; 0 keeps it for ever.
    pub retention_ms: u64,
}

/// Hears of everything that happens, for metrics.
pub trait Observer: Send + Sync {
    /// A batch was committed: `fresh` new entries, and how long the commit took.
    fn committed(&self, fresh: usize, took: Duration, size: TreeSize);
    /// A head was signed.
    fn signed(&self, head: &SignedTreeHead, took: Duration);
}

/// Why a submission got no place. Nothing is lost: the submitter may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The queue is full.
    #[error("the queue in front of the log is full")]
    Overloaded,
    /// The store could not be read; nothing was written.
    #[error("the store is not available at the moment")]
    Unavailable,
    /// The clock must catch up first.
    #[error("the log's clock is {behind_ms} ms behind a timestamp that it has given out")]
    ClockBehind {
        /// How far.
        behind_ms: u64,
    },
    /// The log is stopping or has stopped.
    #[error("the log is shutting down")]
    Stopped,
}

/// Why the writer ended before it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fatal {
    /// A write left doubt, or another writer is there.
    #[error("{0}")]
    Commit(#[from] CommitError),
    /// What was stored cannot be read or contradicts itself.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The tree may not be signed.
    #[error("no head may be signed: {0}")]
    Head(#[from] HeadError),
    /// The clock was set back.
    #[error(
        "the clock went back {behind_ms} ms behind a timestamp given out: set it right, then start again; \
         if it is right now and was ahead before, wait for so long"
    )]
    ClockWentBack {
        /// How far.
        behind_ms: u64,
    },
    /// The clock was set ahead. Nothing was stamped since: a timestamp from the future would keep
    /// the log from working until then.
    #[error(
        "the clock jumped {ahead_ms} ms ahead of the time that has passed; nothing was stamped or pruned since: \
         set it right, then start again; if the machine was asleep, just start again"
    )]
    ClockJumped {
        /// How far.
        ahead_ms: u64,
    },
    /// The tree has no room.
    #[error("the tree is full")]
    TreeFull,
    /// The writer's thread panicked.
    #[error("the writer failed unexpectedly")]
    Panicked,
}

/// Why the sequencer did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The history does not hold together.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// The first head could not be signed.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// The thread could not be started.
    #[error("the writer's thread cannot start: {0}")]
    Thread(#[from] std::io::Error),
}

/// Tells a submitter its place. One that went away does not hear it; its entry stays.
pub(super) type Reply = oneshot::Sender<Result<Sequenced, Refusal>>;

/// A submission on its way to the writer.
pub(super) struct Job {
    pub(super) submission: Submission,
    pub(super) reply: Reply,
    /// Given back when the submission leaves the queue.
    pub(super) _octets: OwnedSemaphorePermit,
}
