//! A sequencer on a memory store, with a clock and a gate in the test's hand, and an audit of
//! everything that it said.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use atl::keys::{Ed25519Signer, Signer};
use atl::log::entry::{CertHash, Chain, EntryType, Record, Sequenced, Submission};
use atl::log::sth::SignedTreeHead;
use atl::log::store::{BlobId, Commit, CommitError, HeadKeeper, LogStore, StoreError, StoreState};
use atl::log::view::View;
use atl::merkle::{Hash, LeafIndex, TreeSize, empty_root, node_hash, shapes, verify_inclusion};
use atl::sequencer::head::PublishedHead;
use atl::sequencer::task::{Fatal, Observer, Parts, Refusal, Sequencer, Settings, StartError};
use atl::storage::memory::MemoryStore;
use atl::time::{Clock, UnixMillis};
use parking_lot::{Condvar, Mutex};
use tokio::task::JoinHandle;

const INTERVAL_MS: u64 = 10;
pub const RETENTION_MS: u64 = 1_000_000;

/// The submission of certificate `number`.
pub fn certificate(number: u64) -> Submission {
    of_der(number.to_be_bytes().to_vec())
}

/// A submission of 15 MiB.
pub fn big(number: u8) -> Submission {
    of_der(vec![number; 15 << 20])
}

fn of_der(der: Vec<u8>) -> Submission {
    let chain = Chain::new([&b"issuer"[..], &b"anchor"[..]]);
    Submission { cert_hash: CertHash::of_certificate(&der), entry_type: EntryType::Precertificate, der, chain }
}

/// The same head, signed by somebody else.
pub fn foreign(sth: &SignedTreeHead) -> SignedTreeHead {
    SignedTreeHead::sign(&Ed25519Signer::from_seed(&[9; 32]).unwrap(), sth.head).unwrap()
}

/// A clock that stands still until it is told.
pub struct TestClock {
    wall: AtomicU64,
    steady: AtomicU64,
}

impl TestClock {
    pub fn get(&self) -> u64 {
        self.wall.load(SeqCst)
    }

    /// Sets the clock; no time passes.
    pub fn set(&self, millis: u64) {
        self.wall.store(millis, SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, millis: u64) {
        self.steady.fetch_add(millis, SeqCst);
        self.wall.fetch_add(millis, SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.get())
    }

    fn steady(&self) -> Option<u64> {
        Some(self.steady.load(SeqCst))
    }
}

/// Holds commits back while it is closed.
#[derive(Default)]
pub struct Gate {
    state: Mutex<(bool, usize)>,
    changed: Condvar,
    misplaced: Mutex<Option<(Hash, LeafIndex)>>,
}

impl Gate {
    pub fn close(&self) {
        self.state.lock().0 = true;
    }

    pub fn open(&self) {
        self.state.lock().0 = false;
        self.changed.notify_all();
    }

    /// From now on the store finds this certificate at another index.
    pub fn misplace(&self, submission: &Submission, index: u64) {
        *self.misplaced.lock() = Some((submission.cert_hash.leaf_hash(), LeafIndex::new(index)));
    }

    pub async fn wait_until_somebody_waits(&self) {
        eventually(|| self.state.lock().1 > 0).await;
    }

    fn pass(&self) {
        let mut state = self.state.lock();
        state.1 += 1;
        while state.0 {
            self.changed.wait(&mut state);
        }
        state.1 -= 1;
    }
}

struct GatedStore {
    store: Arc<MemoryStore>,
    gate: Arc<Gate>,
}

impl LogStore for GatedStore {
    fn state(&self) -> Result<Option<StoreState>, StoreError> {
        self.store.state()
    }

    fn find(&self, leaf_hashes: &[Hash]) -> Result<Vec<Option<LeafIndex>>, StoreError> {
        let mut found = self.store.find(leaf_hashes)?;
        if let Some((hash, index)) = *self.gate.misplaced.lock()
            && let Some(place) = leaf_hashes.iter().position(|h| *h == hash)
        {
            found[place] = Some(index);
        }
        Ok(found)
    }

    fn records(&self, range: Range<LeafIndex>) -> Result<Vec<Record>, StoreError> {
        self.store.records(range)
    }

    fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.store.blobs(ids)
    }

    fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        if !commit.entries.is_empty() {
            self.gate.pass();
        }
        self.store.commit(commit)
    }
}

/// Hears every head that is published, and looks at once whether it is kept.
struct Heads {
    store: Arc<MemoryStore>,
    seen: Arc<Mutex<Vec<SignedTreeHead>>>,
}

impl Observer for Heads {
    fn committed(&self, _: usize, _: Duration, _: TreeSize) {}

    fn signed(&self, head: &SignedTreeHead, _: Duration) {
        let copy = self.store.copy();
        let kept = copy.load().unwrap().is_some_and(|kept| kept.head == *head && kept.size >= head.head.size);
        let stored =
            copy.state().unwrap().is_some_and(|s| s.head.as_ref() == Some(head) && s.tree.size >= head.head.size);
        // A panic here would end the writer; the audit finds the gap in this list instead.
        if kept && stored {
            self.seen.lock().push(head.clone());
        }
    }
}

/// A log's store, clock and key, and what the log has said.
pub struct Rig {
    name: String,
    pub store: Arc<MemoryStore>,
    pub clock: Arc<TestClock>,
    pub gate: Arc<Gate>,
    pub queue_limit: usize,
    signer: Arc<Ed25519Signer>,
    answered: BTreeMap<CertHash, (Submission, Sequenced)>,
    doubtful: Vec<Submission>,
    heads: Arc<Mutex<Vec<SignedTreeHead>>>,
    polled: Mutex<Vec<SignedTreeHead>>,
}

impl Rig {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            store: Arc::default(),
            clock: Arc::new(TestClock { wall: AtomicU64::new(1_800_000_000_000), steady: AtomicU64::new(7) }),
            gate: Arc::default(),
            queue_limit: 10_000,
            signer: Arc::new(Ed25519Signer::from_seed(&[7; 32]).unwrap()),
            answered: BTreeMap::new(),
            doubtful: Vec::new(),
            heads: Arc::default(),
            polled: Mutex::default(),
        }
    }

    pub fn start(&mut self) -> Result<Running, StartError> {
        let settings = Settings {
            origin: "log.example/2026".parse().unwrap(),
            sth_interval_ms: INTERVAL_MS,
            queue_limit: self.queue_limit,
            retention_ms: RETENTION_MS,
        };
        let parts = Parts {
            store: Arc::new(GatedStore { store: Arc::clone(&self.store), gate: Arc::clone(&self.gate) }),
            keeper: Arc::clone(&self.store) as _,
            signer: Arc::clone(&self.signer) as _,
            clock: Arc::clone(&self.clock) as _,
            observer: Arc::new(Heads { store: Arc::clone(&self.store), seen: Arc::clone(&self.heads) }),
        };
        let running = Running(Arc::new(Sequencer::start(parts, settings)?));
        self.look(&running);
        Ok(running)
    }

    fn look(&self, log: &Running) {
        self.polled.lock().push(log.head().sth.clone());
    }

    /// Heads that were published while they were kept and stored.
    pub fn published(&self) -> usize {
        self.heads.lock().len()
    }

    /// Takes an answer down; a second one must be the same.
    #[track_caller]
    pub fn hear(&mut self, submission: &Submission, place: Sequenced) {
        let known = self.answered.entry(submission.cert_hash).or_insert_with(|| (submission.clone(), place));
        assert_eq!(known.1, place, "{}: one certificate, two answers", self.name);
    }

    /// Submits all at once and takes the answers down; the refusals are returned.
    pub async fn submit_all(&mut self, log: &Running, submissions: Vec<Submission>) -> Vec<Refusal> {
        let tasks: Vec<_> = submissions.into_iter().map(|s| (s.clone(), log.spawn(s))).collect();
        let mut refusals = Vec::new();
        for (submission, task) in tasks {
            let answer = tokio::time::timeout(Duration::from_secs(10), task).await;
            match answer.unwrap_or_else(|_| panic!("{}: a submitter waits for ever", self.name)).unwrap() {
                Ok(place) => self.hear(&submission, place),
                Err(refusal) => {
                    if refusal != Refusal::Stopped && !self.answered.contains_key(&submission.cert_hash) {
                        let found = self.store.copy().find(&[submission.cert_hash.leaf_hash()]).unwrap();
                        assert_eq!(found, [None], "{}: refused with {refusal}, yet logged", self.name);
                    }
                    self.doubtful.push(submission);
                    refusals.push(refusal);
                }
            }
        }
        self.look(log);
        refusals
    }

    /// Lets time pass until a head covers all that is answered; the reason where the log ends.
    pub async fn sign(&self, log: &Running) -> Result<(), Fatal> {
        let size = self.answered.values().map(|(_, p)| p.index.get() + 1).max().unwrap_or(0);
        self.pass_time(log, |head| head.sth.head.size.get() >= size).await
    }

    /// Lets time pass until there is another head.
    pub async fn sign_again(&self, log: &Running) {
        let last = log.head();
        self.pass_time(log, |head| *head != *last).await.unwrap();
    }

    async fn pass_time(&self, log: &Running, done: impl Fn(&PublishedHead) -> bool) -> Result<(), Fatal> {
        for _ in 0..500 {
            self.look(log);
            if let Some(fatal) = log.failure() {
                return Err(fatal);
            }
            if done(&log.head()) {
                return Ok(());
            }
            self.clock.advance(INTERVAL_MS);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{}: no head", self.name)
    }

    /// Starts again on what the store holds, without faults, and asks everything again.
    pub async fn restart_and_ask_again(&mut self) {
        self.store = Arc::new(self.store.copy());
        self.clock.advance(1);
        let log = self.start().unwrap_or_else(|e| panic!("{}: no new start: {e}", self.name));
        let answered = self.answered.values().map(|(s, _)| s.clone());
        let all: Vec<_> = answered.chain(self.doubtful.drain(..)).collect();
        assert_eq!(self.submit_all(&log, all).await, vec![], "{}", self.name);
        self.audit();
        self.sign(&log).await.unwrap();
        log.stop().unwrap();
        self.audit();
    }

    /// The head kept apart from the store.
    pub fn kept(&self) -> SignedTreeHead {
        self.store.copy().load().unwrap().expect("a head is kept").head
    }

    /// Submissions of leaves before this one are pruned.
    pub fn pruned(&self) -> u64 {
        self.store.copy().state().unwrap().map_or(0, |s| s.pruned_before.get())
    }

    pub async fn wait_pruned(&self, before: u64) -> u64 {
        eventually(|| self.pruned() >= before).await;
        self.pruned()
    }

    /// How many submissions are left.
    pub fn submissions(&self) -> usize {
        let copy = self.store.copy();
        let size = copy.state().unwrap().unwrap().tree.size.get();
        let ids: Vec<_> = (0..size).map(|i| BlobId::Submission(LeafIndex::new(i))).collect();
        copy.blobs(&ids).unwrap().iter().flatten().count()
    }

    /// Makes the tree again from the records and holds the state, the tiles, the index, every
    /// answer and every head against it. Returns the number of entries.
    #[track_caller]
    pub fn audit(&self) -> u64 {
        // Before the copy: what was published must be kept by then, and the log may sign more while we look.
        let heads = [self.heads.lock().clone(), self.polled.lock().clone()];
        let (copy, name) = (self.store.copy(), &self.name);
        let state = copy.state().unwrap().unwrap_or_else(StoreState::empty);
        let size = state.tree.size;
        let records = copy.records(LeafIndex::new(0)..size.next_index()).unwrap();
        let leaves: Vec<Hash> = records.iter().map(|r| r.cert_hash.leaf_hash()).collect();
        assert_eq!(root(&leaves), state.tree.root, "{name}: the state is of another tree");
        assert_eq!(leaves.iter().collect::<HashSet<_>>().len(), leaves.len(), "{name}: a second place");
        assert!(records.is_sorted_by_key(|r| r.timestamp), "{name}: stamped backwards");
        assert_eq!(records.last().map_or(UnixMillis::default(), |r| r.timestamp), state.tree.newest, "{name}");
        let places: Vec<_> = (0..size.get()).map(|i| Some(LeafIndex::new(i))).collect();
        assert_eq!(copy.find(&leaves).unwrap(), places, "{name}: the index of leaves");
        let mut levels = vec![leaves.clone()];
        for (tile, width) in shapes(size) {
            let level = usize::from(tile.level());
            while levels.len() <= level {
                levels.push(levels[levels.len() - 1].chunks_exact(256).map(root).collect());
            }
            let start = usize::try_from(tile.index()).unwrap() * 256;
            let hashes: Vec<u8> =
                levels[level][start..start + width.get()].iter().flat_map(|h| *h.as_bytes()).collect();
            assert_eq!(copy.blobs(&[BlobId::Tile(tile)]).unwrap(), [Some(hashes)], "{name}: {tile:?}");
        }
        for (submission, place) in self.answered.values() {
            let index = usize::try_from(place.index.get()).unwrap();
            let record = records.get(index).unwrap_or_else(|| panic!("{name}: answered {place:?}, not in the store"));
            assert_eq!((record.cert_hash, record.timestamp), (submission.cert_hash, place.timestamp), "{name}");
        }
        self.audit_heads(heads, &copy, &records, &leaves);
        size.get()
    }

    #[track_caller]
    fn audit_heads(&self, heads: [Vec<SignedTreeHead>; 2], copy: &MemoryStore, records: &[Record], leaves: &[Hash]) {
        let name = &self.name;
        let kept = copy.load().unwrap();
        if let Some(kept) = &kept {
            assert!(kept.size >= kept.head.head.size, "{name}: less is kept than the head covers");
            assert!(kept.size.get() <= leaves.len() as u64, "{name}: more is kept than is stored");
        }
        let kept = kept.map(|kept| kept.head);
        let [published, polled] = heads;
        for pair in published.windows(2) {
            assert!(pair[0].head.timestamp < pair[1].head.timestamp, "{name}: {pair:?}");
            assert!(pair[0].head.size <= pair[1].head.size, "{name}: a head shrinks: {pair:?}");
        }
        assert!(polled.is_sorted_by_key(|sth| sth.head.timestamp), "{name}: heads go back");
        for sth in published.iter().chain(&polled).chain(&kept) {
            sth.verify(self.signer.public_key()).unwrap();
            let size = usize::try_from(sth.head.size.get()).unwrap();
            assert!(size <= leaves.len(), "{name}: a head covers what is not stored");
            assert_eq!(root(&leaves[..size]), sth.head.root, "{name}: a head of another tree");
            assert!(records[..size].iter().all(|r| r.timestamp <= sth.head.timestamp), "{name}: older than a SAT");
            let kept = kept.as_ref().unwrap_or_else(|| panic!("{name}: a head was published, none is kept"));
            assert!(kept.head.timestamp >= sth.head.timestamp, "{name}: a newer head was published than is kept");
        }
        if let (Some(sth), Some(index)) = (&kept, leaves.len().checked_sub(1)) {
            let view = View::new(copy, sth.head.size);
            let leaf = &leaves[index / 3];
            if let Ok((index, proof)) = view.inclusion(leaf, sth.head.size) {
                verify_inclusion(leaf, index, sth.head.size, &proof, &sth.head.root).unwrap();
            } else {
                assert!(!LeafIndex::new(index as u64 / 3).is_in(sth.head.size), "{name}: no proof");
            }
        }
    }
}

/// A sequencer that runs.
pub struct Running(Arc<Sequencer>);

impl Running {
    pub async fn submit(&self, submission: Submission) -> Result<Sequenced, Refusal> {
        tokio::time::timeout(Duration::from_secs(10), self.0.submit(submission)).await.expect("an answer")
    }

    pub fn spawn(&self, submission: Submission) -> JoinHandle<Result<Sequenced, Refusal>> {
        let sequencer = Arc::clone(&self.0);
        tokio::spawn(async move { sequencer.submit(submission).await })
    }

    pub fn head(&self) -> Arc<PublishedHead> {
        self.0.head()
    }

    pub fn failure(&self) -> Option<Fatal> {
        self.0.failure()
    }

    pub async fn wait_queued(&self, count: usize) {
        eventually(|| self.0.queued() >= count).await;
    }

    pub async fn ended_within(&self, time: Duration) -> bool {
        tokio::time::timeout(time, self.0.ended()).await.is_ok()
    }

    pub fn stop(&self) -> Result<(), Fatal> {
        self.0.shutdown()
    }
}

async fn eventually(condition: impl Fn() -> bool) {
    for _ in 0..5000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("what was waited for did not come");
}

fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}
