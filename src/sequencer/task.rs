//! The single writer: one thread that owns the tree.
//!
//! While a batch syncs, the next one gathers in the queue; there is no other delay. A place in
//! the tree is told to its submitter only behind the synced commit that holds it. Whatever the
//! store says that leaves doubt about what is on the disk ends the thread, and with it the
//! process: only a new start, which reads everything back, may go on.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::head::{Decision, HeadError, MAX_CLOCK_STEP_MS, PublishedHead, decide, prove};
use super::plan::{PlanError, plan};
use super::pool::Pool;
use super::resume::{ResumeError, Resumed, resume};
use crate::keys::{SignError, Signer};
use crate::log::checkpoint::Origin;
use crate::log::entry::{Fingerprint, Sequenced, Submission};
use crate::log::sth::SignedTreeHead;
use crate::log::store::{Commit, CommitError, HeadKeeper, LogStore, StoreError, TreeState, read_tiles};
use crate::merkle::{Edge, LeafIndex, TILE_WIDTH, TreeSize};
use crate::time::{Clock, Stopwatch, UnixMillis};

/// Octets of certificates that may wait in the queue, so that a full queue stays in bounds.
const MAX_QUEUED_OCTETS: usize = 64 << 20;
/// Chain certificates remembered as stored. Forgetting them costs a rewrite, no more.
const MAX_REMEMBERED_ISSUERS: usize = 10_000;

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

struct Job {
    submission: Submission,
    reply: oneshot::Sender<Result<Sequenced, Refusal>>,
    _octets: OwnedSemaphorePermit,
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
        let size = u32::try_from(submission.der.len()).map_err(|_| Refusal::Overloaded)?;
        let octets = Arc::clone(&self.octets).try_acquire_many_owned(size).map_err(|_| Refusal::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        self.enqueue(Job { submission, reply, _octets: octets })?;
        answer.await.unwrap_or(Err(Refusal::Stopped))
    }

    fn enqueue(&self, job: Job) -> Result<(), Refusal> {
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

struct Writer {
    parts: Parts,
    settings: Settings,
    edge: Edge,
    tree: TreeState,
    last: SignedTreeHead,
    pruned_before: LeafIndex,
    issuers: HashSet<Fingerprint>,
    queued: Arc<AtomicUsize>,
    heads: watch::Sender<Arc<PublishedHead>>,
}

impl Writer {
    fn new(
        parts: Parts,
        settings: Settings,
        resumed: Resumed,
        queued: Arc<AtomicUsize>,
    ) -> Result<(Self, watch::Receiver<Arc<PublishedHead>>), Fatal> {
        let Resumed { state, last, .. } = resumed;
        let tiles = read_tiles(&*parts.store, &Edge::tiles_needed(state.tree.size))?;
        let edge = Edge::from_tiles(state.tree.size, &tiles).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        // A log that starts shows the head it signed last; a new log signs its empty tree.
        let (last, is_new) = match last {
            Some(last) => (last, false),
            None => (sign_first(&parts, &state.tree)?, true),
        };
        let published = PublishedHead::new(&*parts.signer, &settings.origin, last.clone()).map_err(HeadError::from)?;
        let (heads, receiver) = watch::channel(Arc::new(published));
        let (tree, pruned_before) = (state.tree, state.pruned_before);
        let writer = Self { parts, settings, edge, tree, last, pruned_before, issuers: HashSet::new(), queued, heads };
        if is_new {
            writer.record_head(&writer.last)?;
        }
        Ok((writer, receiver))
    }

    fn run(&mut self, jobs: &Receiver<Job>) -> Result<(), Fatal> {
        loop {
            let wait = self.head_if_due()?;
            match jobs.recv_timeout(Duration::from_millis(wait)) {
                Ok(job) => self.sequence(job, jobs)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.last_head(),
            }
        }
    }

    /// Commits one batch: the submission that came and all that wait behind it.
    fn sequence(&mut self, first: Job, jobs: &Receiver<Job>) -> Result<(), Fatal> {
        let mut pool = Pool::default();
        let mut taken = 1;
        pool.add(first.submission, first.reply);
        while !pool.is_full() {
            let Ok(job) = jobs.try_recv() else { break };
            taken += 1;
            pool.add(job.submission, job.reply);
        }
        self.queued.fetch_sub(taken, Ordering::Relaxed);
        let known = match self.known(&pool) {
            Ok(known) => known,
            Err(StoreError::Unavailable(_)) => {
                answer_all(pool, Err(Refusal::Unavailable));
                return Ok(());
            }
            Err(damage) => return Err(damage.into()),
        };
        let (batch, waiting) = pool.into_parts();
        let floor = self.tree.newest.max(self.last.head.timestamp);
        let plan = match plan((&self.edge, &self.tree), batch, &known, &self.issuers, floor, self.parts.clock.now()) {
            Ok(plan) => plan,
            Err(PlanError::TreeFull) => return Err(Fatal::TreeFull),
            Err(PlanError::ClockBehind { behind_ms }) => return self.clock_behind(behind_ms, &known, waiting),
        };
        if let Some(commit) = plan.commit
            && !self.commit(commit)?
        {
            answer(waiting, std::iter::repeat(Err(Refusal::Unavailable)));
            return Ok(());
        }
        self.edge = plan.edge;
        answer(waiting, plan.places.into_iter().map(Ok));
        Ok(())
    }

    /// Where each submission of the batch is logged already.
    fn known(
        &self,
        pool: &Pool<oneshot::Sender<Result<Sequenced, Refusal>>>,
    ) -> Result<Vec<Option<Sequenced>>, StoreError> {
        let hashes: Vec<_> = pool.submissions().iter().map(|s| s.cert_hash.leaf_hash()).collect();
        let place = |(submission, index): (&Submission, Option<LeafIndex>)| {
            let Some(index) = index else { return Ok(None) };
            let records = self.parts.store.records(index..LeafIndex::new(index.get() + 1))?;
            let record = records.first().ok_or_else(|| StoreError::Corrupt(format!("no record at index {index}")))?;
            // Another's timestamp would go into a second SAT that contradicts the first.
            if record.cert_hash != submission.cert_hash {
                let what = format!("certificate {} is said to be at index {index}, but is not", submission.cert_hash);
                return Err(StoreError::Corrupt(what));
            }
            Ok(Some(Sequenced { index, timestamp: record.timestamp }))
        };
        pool.submissions().iter().zip(self.parts.store.find(&hashes)?).map(place).collect()
    }

    /// Whether the commit is durable. `false` where for certain nothing was written.
    fn commit(&mut self, commit: Commit) -> Result<bool, Fatal> {
        let watch = Stopwatch::start();
        let (tree, fresh) = (commit.tree, commit.entries.len());
        let issuers: Vec<Fingerprint> = commit.issuers.iter().map(|(fingerprint, _)| *fingerprint).collect();
        match self.parts.store.commit(commit) {
            Ok(()) => {}
            Err(CommitError::NotWritten(_)) => return Ok(false),
            Err(doubt) => return Err(doubt.into()),
        }
        self.tree = tree;
        if self.issuers.len() + issuers.len() > MAX_REMEMBERED_ISSUERS {
            self.issuers.clear();
        }
        self.issuers.extend(issuers);
        self.parts.observer.committed(fresh, watch.elapsed(), self.tree.size);
        Ok(true)
    }

    fn clock_behind(
        &self,
        behind_ms: u64,
        known: &[Option<Sequenced>],
        waiting: Vec<Vec<oneshot::Sender<Result<Sequenced, Refusal>>>>,
    ) -> Result<(), Fatal> {
        if behind_ms > MAX_CLOCK_STEP_MS {
            return Err(Fatal::ClockWentBack { behind_ms });
        }
        // What is logged already needs no new timestamp.
        answer(waiting, known.iter().map(|known| known.ok_or(Refusal::ClockBehind { behind_ms })));
        Ok(())
    }

    /// Signs a head when one is due; milliseconds until the next look.
    fn head_if_due(&mut self) -> Result<u64, Fatal> {
        let now = self.parts.clock.now();
        match decide(Some(&self.last.head), &self.tree, self.settings.sth_interval_ms, now) {
            Decision::Sign(head) => {
                self.sign(head)?;
                self.prune(now)?;
                Ok(self.settings.sth_interval_ms)
            }
            Decision::Wait(ms) => Ok(ms.clamp(1, self.settings.sth_interval_ms)),
            Decision::ClockWentBack { behind_ms } => Err(Fatal::ClockWentBack { behind_ms }),
        }
    }

    /// The head at shutdown, so that everything promised is also signed for. Where the clock
    /// does not allow one, the next start will sign it.
    fn last_head(&mut self) -> Result<(), Fatal> {
        if self.tree.size > self.last.head.size
            && let Decision::Sign(head) = decide(Some(&self.last.head), &self.tree, 1, self.parts.clock.now())
        {
            self.sign(head)?;
        }
        Ok(())
    }

    /// Recompute, prove, sign, keep, and only then publish.
    fn sign(&mut self, head: crate::log::sth::TreeHead) -> Result<(), Fatal> {
        let watch = Stopwatch::start();
        prove(&*self.parts.store, Some(&self.last.head), &head)?;
        let sth = SignedTreeHead::sign(&*self.parts.signer, head).map_err(HeadError::from)?;
        let published = PublishedHead::new(&*self.parts.signer, &self.settings.origin, sth.clone());
        let published = published.map_err(HeadError::from)?;
        self.record_head(&sth)?;
        self.last = sth;
        self.heads.send_replace(Arc::new(published));
        self.parts.observer.signed(&self.last, watch.elapsed());
        Ok(())
    }

    /// Apart from the store first: a store that lacks the head is then seen to be older.
    fn record_head(&self, sth: &SignedTreeHead) -> Result<(), Fatal> {
        self.parts.keeper.keep(sth)?;
        let commit = Commit { head: Some(sth.clone()), ..Commit::on(self.tree) };
        Ok(self.parts.store.commit(commit)?)
    }

    /// Drops certificates whose retention time is over, whole bundles at a time and only what a
    /// head covers. The tree keeps their hashes.
    fn prune(&mut self, now: UnixMillis) -> Result<(), Fatal> {
        if self.settings.retention_ms == 0 {
            return Ok(());
        }
        let limit = now.saturating_sub(self.settings.retention_ms);
        let width = TILE_WIDTH as u64;
        let (mut low, mut high) = (self.pruned_before.get() / width, self.last.head.size.get() / width);
        // Timestamps grow with the index: find the first bundle whose last entry must stay.
        while low < high {
            let middle = low + (high - low) / 2;
            let last = LeafIndex::new(middle * width + width - 1);
            let records = self.parts.store.records(last..last.covering_size().next_index())?;
            if records.iter().all(|record| record.timestamp < limit) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let before = LeafIndex::new(low * width);
        if before > self.pruned_before {
            self.parts.store.commit(Commit { prune_before: Some(before), ..Commit::on(self.tree) })?;
            self.pruned_before = before;
        }
        Ok(())
    }
}

fn sign_first(parts: &Parts, tree: &TreeState) -> Result<SignedTreeHead, Fatal> {
    match decide(None, tree, 0, parts.clock.now()) {
        Decision::Sign(head) => {
            prove(&*parts.store, None, &head)?;
            Ok(SignedTreeHead::sign(&*parts.signer, head).map_err(|e: SignError| HeadError::from(e))?)
        }
        Decision::Wait(behind_ms) | Decision::ClockWentBack { behind_ms } => Err(Fatal::ClockWentBack { behind_ms }),
    }
}

type Waiting = Vec<Vec<oneshot::Sender<Result<Sequenced, Refusal>>>>;

/// Tells everybody who waits. A submitter that went away does not hear it; its entry stays.
fn answer(waiting: Waiting, answers: impl IntoIterator<Item = Result<Sequenced, Refusal>>) {
    for (waiters, answer) in waiting.into_iter().zip(answers) {
        for waiter in waiters {
            let _ = waiter.send(answer);
        }
    }
}

fn answer_all(pool: Pool<oneshot::Sender<Result<Sequenced, Refusal>>>, refusal: Result<Sequenced, Refusal>) {
    answer(pool.into_parts().1, std::iter::repeat(refusal));
}
