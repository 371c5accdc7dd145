//! What a start may trust. A store that was put back from an older copy, a lost database, a
//! flipped bit or a clock behind the last head stop the log here, with a reason, before it can
//! say anything that contradicts what it said before.

use thiserror::Error;

use super::head::{HeadError, MAX_CLOCK_STEP_MS, prove};
use crate::keys::PublicKey;
use crate::log::sth::{SignedTreeHead, TreeHead};
use crate::log::store::{Kept, LogStore, StoreError, StoreState, TreeState, read_tiles};
use crate::merkle::{Hash, LeafIndex, TILE_WIDTH, TileId, TreeSize, leaf_hash};
use crate::time::UnixMillis;

/// Leaves whose tiles and records every start holds against each other. A second's work; the
/// leaves before are for `fsck`.
const SCRUBBED_LEAVES: u64 = 1 << 20;

/// Why the log does not start.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResumeError {
    /// Nothing in the store, although a head was signed.
    #[error(
        "the database is missing or empty, but this log has given its word for {size} entries, its last head at {at}: \
         put the database of this log back; to begin a new log, make one with a new key and origin"
    )]
    DatabaseMissing {
        /// The entries that were durable.
        size: TreeSize,
        /// When the last head was signed.
        at: UnixMillis,
    },
    /// The store ends before what the log had come to.
    #[error(
        "the database was rolled back: it holds {found} entries, but this log has given its word for {promised} \
         (its last head is of {at}): put the newest copy back; signing from here would be a split view"
    )]
    RolledBack {
        /// The entries found.
        found: TreeSize,
        /// The entries that were durable.
        promised: TreeSize,
        /// When the last head was signed.
        at: UnixMillis,
    },
    /// The store has a history but the head kept apart from it is gone.
    #[error(
        "the database holds {found} entries, but the file with the last signed head is missing: \
         put it back, because without it nobody can tell whether the database is the newest one"
    )]
    HeadMissing {
        /// The entries found.
        found: TreeSize,
    },
    /// The head kept apart from the store is older than the one in it.
    #[error(
        "the file with the last signed head is of {kept}, but the database has a head of {stored}: it was put back \
         from an older copy, so nobody can tell whether the database is the newest one; put the newest file back"
    )]
    HeadOlder {
        /// When the head kept apart was signed.
        kept: UnixMillis,
        /// When the head in the store was signed.
        stored: UnixMillis,
    },
    /// A head that the log's key did not sign.
    #[error("the last signed head was not signed by this log's key (log id {0}): is this the right key file?")]
    ForeignHead(crate::keys::LogId),
    /// The clock shows less than a timestamp given out.
    #[error(
        "the clock is {behind_ms} ms behind the newest timestamp that this log has given out, {newest}: \
         set the clock right, then start again; if it is right now and was ahead before, wait until then"
    )]
    ClockBehind {
        /// How far behind.
        behind_ms: u64,
        /// The newest timestamp given out.
        newest: UnixMillis,
    },
    /// The store contradicts itself or the last signed head.
    #[error("{0}; put an undamaged copy of the database back, and look at the disk")]
    Damaged(String),
    /// The head kept apart from the store cannot be read.
    #[error("{0}; put the last head back as it was: without it nobody can tell whether the database is the newest one")]
    HeadUnreadable(StoreError),
    /// The store cannot be read at all.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for ResumeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Corrupt(what) => Self::Damaged(what),
            other => Self::Store(other),
        }
    }
}

/// A history that holds together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The store's state.
    pub state: StoreState,
    /// The newest head signed, if any was.
    pub last: Option<SignedTreeHead>,
    /// How long to wait until the clock has caught up, in milliseconds.
    pub wait_ms: u64,
}

/// Holds the store, the head kept apart from it, the key and the clock against each other.
pub fn resume(
    store: &(impl LogStore + ?Sized),
    kept: Option<Kept>,
    key: &PublicKey,
    now: UnixMillis,
) -> Result<Resumed, ResumeError> {
    let found = store.state()?;
    let stored = found.as_ref().and_then(|found| found.head.as_ref());
    for head in kept.iter().map(|kept| &kept.head).chain(stored) {
        head.verify(key).map_err(|_| ResumeError::ForeignHead(head.log_id))?;
    }
    let last = newest_head(found.as_ref(), kept)?;
    let state = found.unwrap_or_else(StoreState::empty);
    check_tree(store, &state.tree, last.as_ref().map(|l| &l.head))?;
    let floor = last.as_ref().map_or(state.tree.newest, |l| l.head.timestamp.max(state.tree.newest));
    match floor.since(now) {
        behind_ms if behind_ms > MAX_CLOCK_STEP_MS => Err(ResumeError::ClockBehind { behind_ms, newest: floor }),
        wait_ms => Ok(Resumed { state, last, wait_ms }),
    }
}

/// The last head. A new log commits its empty tree before it keeps a head, so a store without any
/// state beside a kept head was lost. Later heads are kept apart first, so that copy may be ahead by
/// one, but never behind, nor missing where the store has a history.
fn newest_head(found: Option<&StoreState>, kept: Option<Kept>) -> Result<Option<SignedTreeHead>, ResumeError> {
    match (found, kept) {
        (None, None) => Ok(None),
        (None, Some(kept)) => Err(ResumeError::DatabaseMissing { size: kept.size, at: kept.head.head.timestamp }),
        (Some(found), None) if found.tree.size.is_empty() && found.head.is_none() => Ok(None),
        (Some(found), None) => Err(ResumeError::HeadMissing { found: found.tree.size }),
        (Some(found), Some(kept)) if found.tree.size < kept.size.max(kept.head.head.size) => {
            let promised = kept.size.max(kept.head.head.size);
            Err(ResumeError::RolledBack { found: found.tree.size, promised, at: kept.head.head.timestamp })
        }
        (Some(found), Some(kept)) => match found.head.as_ref().map(|stored| stored.head.timestamp) {
            Some(stored) if stored > kept.head.head.timestamp => {
                Err(ResumeError::HeadOlder { kept: kept.head.head.timestamp, stored })
            }
            _ => Ok(Some(kept.head)),
        },
    }
}

fn check_tree(store: &(impl LogStore + ?Sized), tree: &TreeState, last: Option<&TreeHead>) -> Result<(), ResumeError> {
    let committed = TreeHead { size: tree.size, root: tree.root, timestamp: tree.newest };
    prove(store, last, &committed).map_err(|e| match e {
        HeadError::Store(e) => e.into(),
        other => ResumeError::Damaged(other.to_string()),
    })?;
    let from = tree.size.get().saturating_sub(SCRUBBED_LEAVES) / TILE_WIDTH as u64;
    scrub_tiles(store, tree.size, from)?;
    scrub_records(store, tree, from)
}

/// Holds every full tile from leaf tile `from` on, and all tiles of the levels above, against
/// the hash of it that its parent tile keeps. The right edge itself is proven by the root.
fn scrub_tiles(store: &(impl LogStore + ?Sized), size: TreeSize, from: u64) -> Result<(), ResumeError> {
    let mut full = size.get() / TILE_WIDTH as u64;
    for level in 0..TileId::MAX_LEVEL {
        let first = if level == 0 { from } else { 0 };
        for index in first..full {
            let child = TileId::new(level, index);
            let parent = TileId::new(level + 1, index / TILE_WIDTH as u64);
            let (Some(child), Some(parent)) = (child, parent) else { break };
            let tiles = read_tiles(store, &[child, parent])?;
            let [tile, above] = tiles.as_slice() else { break };
            let slot = (index % TILE_WIDTH as u64) as usize;
            if tile.root().is_none() || tile.root().as_ref() != above.hashes().get(slot) {
                return Err(ResumeError::Damaged(format!(
                    "the tile {} of level {level} does not hash to what the level above says of it",
                    child.index()
                )));
            }
        }
        full /= TILE_WIDTH as u64;
    }
    Ok(())
}

/// Holds every record from leaf tile `from` on against its leaf, and its timestamp, which the tree
/// does not cover, against those of its neighbours: they grow with the index up to the newest.
fn scrub_records(store: &(impl LogStore + ?Sized), tree: &TreeState, from: u64) -> Result<(), ResumeError> {
    let (size, mut before) = (tree.size, UnixMillis::default());
    for tile in from..size.get().div_ceil(TILE_WIDTH as u64) {
        let start = tile * TILE_WIDTH as u64;
        let stop = size.get().min(start + TILE_WIDTH as u64);
        let records = store.records(LeafIndex::new(start)..LeafIndex::new(stop))?;
        let Some(id) = TileId::new(0, tile) else { break };
        let tiles = read_tiles(store, &[id])?;
        let leaves: Vec<Hash> = records.iter().map(|r| leaf_hash(r.cert_hash.as_bytes())).collect();
        let kept = tiles.first().map(|t| t.hashes()).unwrap_or_default();
        if let Some(wrong) = leaves.iter().zip(kept).position(|(leaf, kept)| leaf != kept) {
            let index = start + wrong as u64;
            return Err(ResumeError::Damaged(format!("the record at index {index} is not the one in the tree")));
        }
        for (index, record) in (start..).zip(&records) {
            if record.timestamp < before || record.timestamp > tree.newest {
                return Err(ResumeError::Damaged(format!(
                    "the timestamp of the record at index {index} is out of order"
                )));
            }
            before = record.timestamp;
        }
    }
    match before == tree.newest || size.is_empty() {
        true => Ok(()),
        false => Err(ResumeError::Damaged("the newest record does not have the newest timestamp".into())),
    }
}
