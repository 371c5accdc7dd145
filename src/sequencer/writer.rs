//! The single writer: one thread that owns the tree.
//!
//! While a batch syncs, the next one gathers in the queue; there is no other delay. A place in
//! the tree is told to its submitter only behind the synced commit that holds it. Whatever the
//! store says that leaves doubt about what is on the disk ends the thread, and with it the
//! process: only a new start, which reads everything back, may go on.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::watch;

use super::head::{Decision, HeadError, MAX_CLOCK_STEP_MS, PublishedHead, decide, prove};
use super::parts::{Fatal, Job, Parts, Refusal, Reply, Settings};
use super::plan::{PlanError, plan};
use super::pool::Pool;
use super::resume::Resumed;
use crate::keys::SignError;
use crate::log::entry::{Fingerprint, Sequenced, Submission};
use crate::log::sth::{SignedTreeHead, TreeHead};
use crate::log::store::{Commit, CommitError, Kept, StoreError, TreeState, read_tiles};
use crate::merkle::{Edge, LeafIndex, TILE_WIDTH, TreeSize};
use crate::time::{Stopwatch, UnixMillis};

/// How long entries may be durable before that is also kept apart from the store.
const KEEP_INTERVAL_MS: u64 = 1000;
/// Chain certificates remembered as stored. Forgetting them costs a rewrite, no more.
const MAX_REMEMBERED_ISSUERS: usize = 10_000;

/// Owns the tree: its right edge, its state, and the last head.
pub(super) struct Writer {
    parts: Parts,
    settings: Settings,
    edge: Edge,
    tree: TreeState,
    last: SignedTreeHead,
    pruned_before: LeafIndex,
    issuers: HashSet<Fingerprint>,
    queued: Arc<AtomicUsize>,
    abandoned: Arc<AtomicBool>,
    /// Entries that are kept apart from the store as durable, and since when.
    kept: (TreeSize, UnixMillis),
    /// The clock and the steady one beside it, at the last look.
    seen: Option<(UnixMillis, u64)>,
    heads: watch::Sender<Arc<PublishedHead>>,
}

impl Writer {
    /// Takes up a history that was checked. A new log signs its empty tree.
    pub(super) fn new(
        parts: Parts,
        settings: Settings,
        resumed: Resumed,
        (queued, abandoned): (Arc<AtomicUsize>, Arc<AtomicBool>),
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
        let kept = (last.head.size, last.head.timestamp);
        let mut writer = Self {
            parts,
            settings,
            edge,
            tree,
            last,
            pruned_before,
            issuers: HashSet::new(),
            queued,
            abandoned,
            kept,
            seen: None,
            heads,
        };
        if is_new {
            // The tree before the head: a kept head without any tree then means a lost store.
            writer.parts.store.commit(Commit::on(writer.tree))?;
            writer.record_head(writer.last.clone())?;
        }
        Ok((writer, receiver))
    }

    /// Works until the queue's other end is dropped, or until something leaves doubt.
    pub(super) fn run(&mut self, jobs: &Receiver<Job>) -> Result<(), Fatal> {
        while !self.abandoned.load(Ordering::Relaxed) {
            let now = self.now()?;
            let wait = self.head_if_due(now)?.min(self.keep_if_due(now)?);
            match jobs.recv_timeout(Duration::from_millis(wait)) {
                Ok(job) => self.sequence(job, jobs)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.last_head(),
            }
        }
        Ok(())
    }

    /// The present, unless the clock ran ahead of the time that has passed: a timestamp from the
    /// future cannot be taken back, and would prune what must stay.
    fn now(&mut self) -> Result<UnixMillis, Fatal> {
        let now = self.parts.clock.now();
        let Some(steady) = self.parts.clock.steady() else { return Ok(now) };
        if let Some((then, steady_then)) = self.seen.replace((now, steady)) {
            let ahead_ms = now.since(then).saturating_sub(steady.saturating_sub(steady_then));
            if ahead_ms > MAX_CLOCK_STEP_MS {
                return Err(Fatal::ClockJumped { ahead_ms });
            }
        }
        Ok(now)
    }

    /// Commits one batch: the submission that came and all that wait behind it.
    fn sequence(&mut self, first: Job, jobs: &Receiver<Job>) -> Result<(), Fatal> {
        let mut pool = Pool::default();
        let mut taken = 1;
        let Job { submission, reply, .. } = first;
        pool.add(submission, reply);
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
        let now = self.now()?;
        let plan = match plan((&self.edge, &self.tree), batch, &known, &self.issuers, floor, now) {
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
    fn known(&self, pool: &Pool<Reply>) -> Result<Vec<Option<Sequenced>>, StoreError> {
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

    fn clock_behind(&self, behind_ms: u64, known: &[Option<Sequenced>], waiting: Vec<Vec<Reply>>) -> Result<(), Fatal> {
        if behind_ms > MAX_CLOCK_STEP_MS {
            return Err(Fatal::ClockWentBack { behind_ms });
        }
        // What is logged already needs no new timestamp.
        answer(waiting, known.iter().map(|known| known.ok_or(Refusal::ClockBehind { behind_ms })));
        Ok(())
    }

    /// Signs a head when one is due; milliseconds until the next look.
    fn head_if_due(&mut self, now: UnixMillis) -> Result<u64, Fatal> {
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
        let now = self.now()?;
        if self.tree.size > self.last.head.size
            && !self.abandoned.load(Ordering::Relaxed)
            && let Decision::Sign(head) = decide(Some(&self.last.head), &self.tree, 1, now)
        {
            self.sign(head)?;
        }
        if self.tree.size > self.kept.0 { self.keep(self.last.clone(), now) } else { Ok(()) }
    }

    /// Recompute, prove, sign, keep, and only then publish.
    fn sign(&mut self, head: TreeHead) -> Result<(), Fatal> {
        let watch = Stopwatch::start();
        prove(&*self.parts.store, Some(&self.last.head), &head)?;
        let sth = SignedTreeHead::sign(&*self.parts.signer, head).map_err(HeadError::from)?;
        let published = PublishedHead::new(&*self.parts.signer, &self.settings.origin, sth.clone());
        let published = published.map_err(HeadError::from)?;
        self.record_head(sth.clone())?;
        self.last = sth;
        self.heads.send_replace(Arc::new(published));
        self.parts.observer.signed(&self.last, watch.elapsed());
        Ok(())
    }

    /// Apart from the store first: a store that lacks the head is then seen to be older.
    fn record_head(&mut self, sth: SignedTreeHead) -> Result<(), Fatal> {
        self.keep(sth.clone(), sth.head.timestamp)?;
        let commit = Commit { head: Some(sth), ..Commit::on(self.tree) };
        Ok(self.parts.store.commit(commit)?)
    }

    /// Keeps how far the log has come, apart from the store, soon after it went on: SATs are out
    /// for entries that no head covers yet, and a store that lost them must be seen too.
    /// Milliseconds until the next look.
    fn keep_if_due(&mut self, now: UnixMillis) -> Result<u64, Fatal> {
        let (size, since) = self.kept;
        if self.tree.size == size {
            return Ok(self.settings.sth_interval_ms);
        }
        let age = now.since(since);
        if since <= now && age < KEEP_INTERVAL_MS {
            return Ok(KEEP_INTERVAL_MS - age);
        }
        self.keep(self.last.clone(), now)?;
        Ok(self.settings.sth_interval_ms)
    }

    fn keep(&mut self, head: SignedTreeHead, now: UnixMillis) -> Result<(), Fatal> {
        self.parts.keeper.keep(&Kept { head, size: self.tree.size })?;
        self.kept = (self.tree.size, now);
        Ok(())
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

/// Tells everybody who waits. A submitter that went away does not hear it; its entry stays.
fn answer(waiting: Vec<Vec<Reply>>, answers: impl IntoIterator<Item = Result<Sequenced, Refusal>>) {
    for (waiters, answer) in waiting.into_iter().zip(answers) {
        for waiter in waiters {
            let _ = waiter.send(answer);
        }
    }
}

fn answer_all(pool: Pool<Reply>, refusal: Result<Sequenced, Refusal>) {
    answer(pool.into_parts().1, std::iter::repeat(refusal));
}
