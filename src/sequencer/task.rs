//! The front of the sequencer: a bounded queue, the last head, and how the writer ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, oneshot, watch};

use super::head::PublishedHead;
use super::parts::Job;
pub use super::parts::{Fatal, Observer, Parts, Refusal, Settings, StartError};
use super::resume::{ResumeError, resume};
use super::writer::Writer;
use crate::log::entry::{Sequenced, Submission};

/// Octets of certificates that may wait in the queue, so that a full queue stays in bounds.
const MAX_QUEUED_OCTETS: usize = 64 << 20;

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
    abandoned: Arc<AtomicBool>,
}

/// A writer never outlives its front: at the end of the process the store would go under its feet.
impl Drop for Sequencer {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl Sequencer {
    /// Checks the history, signs a head and starts the writer. Blocks while it reads.
    pub fn start(parts: Parts, settings: Settings) -> Result<Self, StartError> {
        let kept = parts.keeper.load().map_err(ResumeError::HeadUnreadable)?;
        let resumed = resume(&*parts.store, kept, parts.signer.public_key(), parts.clock.now())?;
        std::thread::sleep(Duration::from_millis(resumed.wait_ms));
        let (sender, jobs) = sync_channel(settings.queue_limit.max(1));
        let queued = Arc::new(AtomicUsize::new(0));
        let abandoned = Arc::new(AtomicBool::new(false));
        let counters = (Arc::clone(&queued), Arc::clone(&abandoned));
        let (mut writer, heads) = Writer::new(parts, settings, resumed, counters)?;
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
            abandoned,
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

    /// The last signed head, and every later one as it is signed. No one is waited for: who looks seldom sees the
    /// newest alone.
    pub fn heads(&self) -> watch::Receiver<Arc<PublishedHead>> {
        self.heads.clone()
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

    /// Ends the writer where it stands: nothing more is written or signed, and whoever waits in the
    /// queue hears that the log stopped. For when the store is not to be trusted any more. Blocks
    /// until the writer has ended.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
        // Why the writer ended is no news to whoever abandons it.
        let _ = self.shutdown();
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
