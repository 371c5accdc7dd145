//! A store in memory that fails on demand, for tests of everything that stands on the port.
//!
//! A fault hits the n-th call of one method from now on. A commit can fail before or after it
//! took effect, which is what a disk may do, and what a caller must not confuse.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::Hash as Hashable;
use std::ops::Range;

use parking_lot::Mutex;

use crate::log::entry::Record;
use crate::log::store::{BlobId, Commit, CommitError, HeadKeeper, Kept, LogStore, StoreError, StoreState};
use crate::merkle::{Hash, LeafIndex, TreeSize};

/// A call of the port, or of the place that keeps heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`LogStore::state`]
    State,
    /// [`LogStore::find`]
    Find,
    /// [`LogStore::records`]
    Records,
    /// [`LogStore::blobs`]
    Blobs,
    /// [`LogStore::commit`]
    Commit,
    /// [`HeadKeeper::load`]
    LoadHead,
    /// [`HeadKeeper::keep`]
    KeepHead,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The store says that it cannot answer; a write did not happen, and the store knows.
    Unavailable,
    /// The store says that it is damaged; a write did not happen, but the store cannot tell.
    Lost,
    /// As `Lost`, only that the write did happen.
    Persisted,
}

/// The faults that are yet to come.
#[derive(Debug)]
pub(super) struct Faults<C>(HashMap<C, (usize, Fault)>);

impl<C> Default for Faults<C> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<C: Copy + Eq + Hashable + Debug> Faults<C> {
    /// Lets the `nth` call from now of this kind fail (0 is the next), once.
    pub(super) fn plan(&mut self, call: C, nth: usize, fault: Fault) {
        self.0.insert(call, (nth, fault));
    }

    /// Counts a call, and says how it fails if it does.
    pub(super) fn next(&mut self, call: C) -> Option<Fault> {
        let (left, fault) = self.0.get_mut(&call)?;
        if *left == 0 {
            let fault = *fault;
            self.0.remove(&call);
            return Some(fault);
        }
        *left -= 1;
        None
    }

    /// Counts a call that reads.
    pub(super) fn read(&mut self, call: C) -> Result<(), StoreError> {
        match self.next(call) {
            None => Ok(()),
            Some(Fault::Unavailable) => Err(StoreError::Unavailable(format!("injected into {call:?}"))),
            Some(_) => Err(StoreError::Corrupt(format!("injected into {call:?}"))),
        }
    }
}

#[derive(Default)]
struct Inner {
    state: Option<StoreState>,
    records: BTreeMap<u64, Record>,
    leaves: HashMap<Hash, LeafIndex>,
    blobs: BTreeMap<BlobId, Vec<u8>>,
    kept: Option<Kept>,
    faults: Faults<Call>,
    commits: usize,
}

/// The store, and beside it the place that keeps the last head.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
}

impl MemoryStore {
    /// Lets the `nth` call from now of this kind fail (0 is the next), once.
    pub fn fail(&self, call: Call, nth: usize, fault: Fault) {
        self.inner.lock().faults.plan(call, nth, fault);
    }

    /// Commits made so far.
    pub fn commits(&self) -> usize {
        self.inner.lock().commits
    }

    /// Changes a blob as a failing disk would.
    pub fn tamper(&self, id: BlobId, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.inner.lock().blobs.get_mut(&id).map(change).is_some()
    }

    /// Changes a record as a failing disk would.
    pub fn tamper_record(&self, index: LeafIndex, change: impl FnOnce(&mut Record)) -> bool {
        self.inner.lock().records.get_mut(&index.get()).map(change).is_some()
    }

    /// A copy of all that is stored, without faults: what a backup holds.
    pub fn copy(&self) -> Self {
        let inner = self.inner.lock();
        Self {
            inner: Mutex::new(Inner {
                state: inner.state.clone(),
                records: inner.records.clone(),
                leaves: inner.leaves.clone(),
                blobs: inner.blobs.clone(),
                kept: inner.kept.clone(),
                faults: Faults::default(),
                commits: inner.commits,
            }),
        }
    }

    fn fault(&self, call: Call) -> Option<Fault> {
        self.inner.lock().faults.next(call)
    }

    fn read(&self, call: Call) -> Result<(), StoreError> {
        self.inner.lock().faults.read(call)
    }
}

impl Inner {
    fn apply(&mut self, commit: Commit) {
        for (index, entry) in (commit.base.get()..).zip(commit.entries) {
            self.leaves.insert(entry.leaf_hash, LeafIndex::new(index));
            self.records.insert(index, entry.record);
            self.blobs.insert(BlobId::Submission(LeafIndex::new(index)), entry.submission);
        }
        for (id, tile) in commit.tiles {
            self.blobs.insert(BlobId::Tile(id), tile.to_octets());
        }
        for (fingerprint, der) in commit.issuers {
            self.blobs.insert(BlobId::Issuer(fingerprint), der);
        }
        let state = self.state.get_or_insert_with(StoreState::empty);
        state.tree = commit.tree;
        state.head = commit.head.or(state.head.take());
        if let Some(before) = commit.prune_before {
            self.blobs.retain(|id, _| !matches!(id, BlobId::Submission(index) if *index < before));
            state.pruned_before = before;
        }
        self.commits += 1;
    }
}

impl LogStore for MemoryStore {
    fn state(&self) -> Result<Option<StoreState>, StoreError> {
        self.read(Call::State)?;
        Ok(self.inner.lock().state.clone())
    }

    fn find(&self, leaf_hashes: &[Hash]) -> Result<Vec<Option<LeafIndex>>, StoreError> {
        self.read(Call::Find)?;
        let inner = self.inner.lock();
        Ok(leaf_hashes.iter().map(|hash| inner.leaves.get(hash).copied()).collect())
    }

    fn records(&self, range: Range<LeafIndex>) -> Result<Vec<Record>, StoreError> {
        self.read(Call::Records)?;
        let inner = self.inner.lock();
        let record = |index| inner.records.get(&index).cloned();
        let missing = || StoreError::Corrupt("a record is missing".into());
        (range.start.get()..range.end.get()).map(|index| record(index).ok_or_else(missing)).collect()
    }

    fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.read(Call::Blobs)?;
        let inner = self.inner.lock();
        Ok(ids.iter().map(|id| inner.blobs.get(id).cloned()).collect())
    }

    fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let fault = self.fault(Call::Commit);
        let mut inner = self.inner.lock();
        let found = inner.state.as_ref().map_or(TreeSize::EMPTY, |s| s.tree.size);
        if found != commit.base {
            return Err(CommitError::Fenced { expected: commit.base, found });
        }
        let unknown = || CommitError::Unknown("injected".into());
        match fault {
            None => inner.apply(commit),
            Some(Fault::Unavailable) => return Err(CommitError::NotWritten("injected".into())),
            Some(Fault::Lost) => return Err(unknown()),
            Some(Fault::Persisted) => {
                inner.apply(commit);
                return Err(unknown());
            }
        }
        Ok(())
    }
}

impl HeadKeeper for MemoryStore {
    fn load(&self) -> Result<Option<Kept>, StoreError> {
        self.read(Call::LoadHead)?;
        Ok(self.inner.lock().kept.clone())
    }

    fn keep(&self, kept: &Kept) -> Result<(), StoreError> {
        let fault = self.fault(Call::KeepHead);
        if matches!(fault, None | Some(Fault::Persisted)) {
            self.inner.lock().kept = Some(kept.clone());
        }
        match fault {
            None => Ok(()),
            Some(_) => Err(StoreError::Corrupt("injected into KeepHead".into())),
        }
    }
}
