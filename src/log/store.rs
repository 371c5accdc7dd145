//! The storage port: five calls, of which one writes.
//!
//! The port is narrow on purpose: what is read is either found by hash, listed by index or an
//! immutable blob, and everything that changes does so in one [`Commit`] that names the tree it
//! grows from. A database does that with a synced batch; an object store with a fenced single
//! writer can do it with a conditional put of the state behind the puts of the blobs.

use std::ops::Range;

use thiserror::Error;

use super::entry::{Fingerprint, Record};
use super::sth::SignedTreeHead;
use crate::merkle::{Hash, LeafIndex, Tile, TileId, TreeSize};
use crate::time::UnixMillis;

/// The tree as of the last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeState {
    /// Its leaves.
    pub size: TreeSize,
    /// Its root.
    pub root: Hash,
    /// The timestamp of its newest entry; the epoch where there is none.
    pub newest: UnixMillis,
}

impl TreeState {
    /// The tree before its first entry.
    pub fn empty() -> Self {
        Self { size: TreeSize::EMPTY, root: crate::merkle::empty_root(), newest: UnixMillis::default() }
    }
}

/// Everything that changes in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreState {
    /// The tree.
    pub tree: TreeState,
    /// The newest head recorded here. The log keeps it a second time elsewhere.
    pub head: Option<SignedTreeHead>,
    /// Submissions of leaves before this one have been pruned.
    pub pruned_before: LeafIndex,
}

impl StoreState {
    /// The state of a store that was never written to.
    pub fn empty() -> Self {
        Self { tree: TreeState::empty(), head: None, pruned_before: LeafIndex::new(0) }
    }
}

/// Names a blob: octets that never change meaning once written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlobId {
    /// A hash tile. The newest tile of a level grows until it is full; a longer version begins
    /// with the shorter one.
    Tile(TileId),
    /// The certificate submitted for a leaf; gone once pruned.
    Submission(LeafIndex),
    /// A chain certificate.
    Issuer(Fingerprint),
}

/// One entry of a [`Commit`]; its index follows from its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// The hash that the entry is found by.
    pub leaf_hash: Hash,
    /// What is kept for ever.
    pub record: Record,
    /// The DER submitted.
    pub submission: Vec<u8>,
}

/// A change, to be made as a whole and durably or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The tree that the change was planned on; a store that holds another refuses.
    pub base: TreeSize,
    /// The tree after it.
    pub tree: TreeState,
    /// The entries appended, from index `base` on.
    pub entries: Vec<NewEntry>,
    /// Every tile that the entries changed, whole.
    pub tiles: Vec<(TileId, Tile)>,
    /// Chain certificates that may not be stored yet.
    pub issuers: Vec<(Fingerprint, Vec<u8>)>,
    /// A head to record.
    pub head: Option<SignedTreeHead>,
    /// Prune the submissions of leaves before this one.
    pub prune_before: Option<LeafIndex>,
}

impl Commit {
    /// The change of nothing on `tree`, to be filled in.
    pub const fn on(tree: TreeState) -> Self {
        Self {
            base: tree.size,
            tree,
            entries: Vec::new(),
            tiles: Vec::new(),
            issuers: Vec::new(),
            head: None,
            prune_before: None,
        }
    }
}

/// Why the store could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// It cannot answer now; what it holds is not in doubt.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What it holds is not what was written.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The machine does not let it work: a disk that fails, or a limit of the system.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// Why a commit did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitError {
    /// Nothing was written, for certain.
    #[error("nothing was written: {0}")]
    NotWritten(String),
    /// Another writer changed the store: this one must never write again.
    #[error("another writer is at work: the store holds {found} entries where {expected} were expected")]
    Fenced {
        /// The tree that the change was planned on.
        expected: TreeSize,
        /// The tree found.
        found: TreeSize,
    },
    /// It may or may not be on the disk. Only a new start, which reads what is there, can tell.
    #[error("a write failed and may or may not be on the disk: {0}")]
    Unknown(String),
}

/// Where a log keeps itself. Every call may block on the disk.
pub trait LogStore: Send + Sync {
    /// What the last commit left, or `None` for a store that was never written to.
    fn state(&self) -> Result<Option<StoreState>, StoreError>;

    /// The leaves with these leaf hashes, in the order asked.
    fn find(&self, leaf_hashes: &[Hash]) -> Result<Vec<Option<LeafIndex>>, StoreError>;

    /// The records of a range of leaves that were committed; a missing one is damage.
    fn records(&self, range: Range<LeafIndex>) -> Result<Vec<Record>, StoreError>;

    /// Blobs in the order asked; `None` where there is none.
    fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Makes the change and syncs it to the disk before returning.
    fn commit(&self, commit: Commit) -> Result<(), CommitError>;
}

/// Reads tiles that must be there, in the order asked.
pub fn read_tiles(store: &(impl LogStore + ?Sized), ids: &[TileId]) -> Result<Vec<Tile>, StoreError> {
    let blobs: Vec<BlobId> = ids.iter().copied().map(BlobId::Tile).collect();
    let found = store.blobs(&blobs)?;
    ids.iter()
        .zip(found)
        .map(|(id, octets)| {
            let octets = octets.ok_or_else(|| StoreError::Corrupt(format!("tile {id:?} is missing")))?;
            Tile::from_octets(&octets).map_err(|e| StoreError::Corrupt(format!("tile {id:?}: {e}")))
        })
        .collect()
}

/// What a log has said of itself, kept apart from its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The last head signed.
    pub head: SignedTreeHead,
    /// Entries that were durable by then: at least the head's. SATs may be out for all of them.
    pub size: TreeSize,
}

/// The second place where a log keeps what it has said, apart from the store: what makes a store
/// that was put back from an older copy, or has lost its newest entries, visible.
pub trait HeadKeeper: Send + Sync {
    /// What was kept last, or `None` where nothing was ever kept.
    fn load(&self) -> Result<Option<Kept>, StoreError>;

    /// Keeps `kept` in place of what was there, durably, before returning.
    fn keep(&self, kept: &Kept) -> Result<(), StoreError>;
}
