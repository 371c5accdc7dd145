//! The front of the sequencer: a bounded queue, the last head, and how the writer ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::head::{HeadError, PublishedHead};
use super::resume::{ResumeError, resume};
use super::writer::Writer;
use crate::keys::Signer;
use crate::log::checkpoint::Origin;
use crate::log::entry::{Sequenced, Submission};
use crate::log::sth::SignedTreeHead;
use crate::log::store::{CommitError, HeadKeeper, LogStore, StoreError};
use crate::merkle::TreeSize;
use crate::time::Clock;

/// Octets of certificates that may wait in the queue, so that a full queue stays in bounds.
const MAX_QUEUED_OCTETS: usize = 64 << 20;

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
    #[error("the clock went back {behind_ms} ms behind a timestamp given out: set it right, then start again")]
    ClockWentBack {
        /// How far.
        behind_ms: u64,
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
    _octets: OwnedSemaphorePermit,
}

/// A submission in the queue. Dropping this does not take it back.
#[must_use = "the place is told here and nowhere else"]
pub struct Pending(oneshot::Receiver<Result<Sequenced, Refusal>>);

impl Pending {
    /// The submission's place, once it is durable.
    pub async fn place(self) -> Result<Sequenced, Refusal> {
        self.0.await.unwrap_or(Err(Refusal::Stopped))
    }
}

/// The front of the sequencer: hands submissions to the writer.
pub struct Sequencer {
    queue: RwLock<Option<SyncSender<Job>>>,
    queued: Arc<AtomicUsize>,
    octets: Arc<Semaphore>,
    heads: watch::Receiver<Arc<PublishedHead>>,
    ended: watch::Receiver<Option<Result<(), Fatal>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Sequencer {
    /// Checks the history, signs a head and starts the writer. Blocks while it reads.
    pub fn start(parts: Parts, settings: Settings) -> Result<Self, StartError> {
        let kept = parts.keeper.load().map_err(ResumeError::from)?;
        let resumed = resume(&*parts.store, kept, parts.signer.public_key(), parts.clock.now())?;
        std::thread::sleep(Duration::from_millis(resumed.wait_ms));
        let (sender, jobs) = sync_channel(settings.queue_limit.max(1));
        let queued = Arc::new(AtomicUsize::new(0));
        let (mut writer, heads) = Writer::new(parts, settings, resumed, Arc::clone(&queued))?;
        let (ended_sender, ended) = watch::channel(None);
        let thread = std::thread::Builder::new().name("sequencer".into()).spawn(move || {
            let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.run(&jobs)));
            // Whoever still waits in the queue hears that the log stopped before the world does.
            drop(jobs);
            ended_sender.send_replace(Some(end.unwrap_or(Err(Fatal::Panicked))));
        })?;
        Ok(Self {
            queue: RwLock::new(Some(sender)),
            queued,
            octets: Arc::new(Semaphore::new(MAX_QUEUED_OCTETS)),
            heads,
            ended,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Gives a submission its place; the answer comes behind the synced commit. Dropping the
    /// future does not take the submission back.
    pub async fn submit(&self, submission: Submission) -> Result<Sequenced, Refusal> {
        self.enqueue(submission)?.place().await
    }

    /// Puts a submission into the queue without waiting for its place, so that several of one
    /// request can share a commit.
    pub fn enqueue(&self, submission: Submission) -> Result<Pending, Refusal> {
        let size = u32::try_from(submission.der.len()).map_err(|_| Refusal::Overloaded)?;
        let octets = Arc::clone(&self.octets).try_acquire_many_owned(size).map_err(|_| Refusal::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        self.send(Job { submission, reply, _octets: octets })?;
        Ok(Pending(answer))
    }

    fn send(&self, job: Job) -> Result<(), Refusal> {
        let queue = self.queue.read();
        let queue = queue.as_ref().ok_or(Refusal::Stopped)?;
        self.queued.fetch_add(1, Ordering::Relaxed);
        queue.try_send(job).map_err(|refused| {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            match refused {
                TrySendError::Full(_) => Refusal::Overloaded,
                TrySendError::Disconnected(_) => Refusal::Stopped,
            }
        })
    }

    /// Submissions that wait for a batch.
    pub fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    /// The last signed head.
    pub fn head(&self) -> Arc<PublishedHead> {
        Arc::clone(&self.heads.borrow())
    }

    /// Resolves when the writer has ended: `Err` where it was not asked to.
    pub async fn ended(&self) -> Result<(), Fatal> {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(Ok(())),
            Err(_) => Err(Fatal::Panicked),
        }
    }

    /// Why the writer has ended, if it has and was not asked to.
    pub fn failure(&self) -> Option<Fatal> {
        self.ended.borrow().as_ref().and_then(|end| end.as_ref().err().cloned())
    }

    /// Takes no more submissions, sequences what waits, signs a last head and ends the writer.
    /// Blocks until it has.
    pub fn shutdown(&self) -> Result<(), Fatal> {
        drop(self.queue.write().take());
        if let Some(thread) = self.thread.lock().take() {
            thread.join().map_err(|_| Fatal::Panicked)?;
        }
        self.ended.borrow().clone().unwrap_or(Ok(()))
    }
}
