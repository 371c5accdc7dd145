//! The log in RocksDB: one synced write batch per commit.

use std::ops::Range;
use std::path::Path;

use parking_lot::Mutex;
use rocksdb::{BoundColumnFamily, IteratorMode, ReadOptions, WriteBatch};

pub use super::database::OpenError;
use super::database::{Database, Kind, Shape, Table, store_error};
use super::schema::{self, Family, HEAD_KEY, TREE_KEY};
use crate::log::entry::Record;
use crate::log::store::{BlobId, Commit, CommitError, LogStore, StoreError, StoreState};
use crate::merkle::{Hash, LeafIndex, TreeSize};
use crate::wire::WireError;

static KIND: Kind = Kind {
    owner: "log",
    cache_octets: 160 << 20,
    write_buffer_octets: 96 << 20,
    families: &[
        table(Family::State, Shape::Plain),
        table(Family::Records, Shape::Alike),
        table(Family::Submissions, Shape::Alike),
        table(Family::Leaves, Shape::Hashes),
        table(Family::Tiles, Shape::Tiles),
        table(Family::Issuers, Shape::Compressible),
    ],
};

const fn table(family: Family, shape: Shape) -> Table {
    Table { name: family.name(), shape }
}

/// A log in one RocksDB directory. The directory is locked: a second process cannot open it.
pub struct RocksStore {
    database: Database,
    /// The state that the next commit must build on; also the fence between writers.
    state: Mutex<(Option<TreeSize>, LeafIndex)>,
}

impl RocksStore {
    /// Opens the database in `path`, making it if there is none.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let store = Self::with(Database::open(path, &KIND)?);
        let found = store.state().map_err(|e| OpenError::new(path, e))?;
        *store.state.lock() = found.map_or((None, LeafIndex::new(0)), |s| (Some(s.tree.size), s.pruned_before));
        Ok(store)
    }

    /// Opens the database in `path`, which must be there, for reading alone: nothing in it
    /// changes, and a commit fails. No log can work on it meanwhile.
    pub fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        Database::open_read_only(path, &KIND).map(Self::with)
    }

    fn with(database: Database) -> Self {
        Self { database, state: Mutex::new((None, LeafIndex::new(0))) }
    }

    /// Writes everything that is in memory to its files, so that the write-ahead log can go.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.database.flush()
    }

    fn family(&self, family: Family) -> Result<std::sync::Arc<BoundColumnFamily<'_>>, StoreError> {
        self.database.family(family.name())
    }

    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.database.get(family.name(), key)
    }

    fn get_many<K: AsRef<[u8]>>(&self, family: Family, keys: &[K]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if let [key] = keys {
            return Ok(vec![self.get(family, key.as_ref())?]);
        }
        let family = self.family(family)?;
        let values = self.database.db.batched_multi_get_cf(&family, keys.iter().map(AsRef::as_ref), false);
        values.into_iter().map(|v| Ok(v.map_err(store_error)?.map(|v| v.to_vec()))).collect()
    }

    /// The commit as one batch that also drops the submissions of the leaves in `prune`.
    fn batch(&self, commit: &Commit, prune: Range<LeafIndex>) -> Result<WriteBatch, StoreError> {
        let unwritable = |e: WireError| StoreError::Unavailable(e.to_string());
        let mut batch = WriteBatch::default();
        let (records, submissions) = (self.family(Family::Records)?, self.family(Family::Submissions)?);
        let (leaves, tiles) = (self.family(Family::Leaves)?, self.family(Family::Tiles)?);
        for (index, entry) in (commit.base.get()..).zip(&commit.entries) {
            let key = index.to_be_bytes();
            batch.put_cf(&records, key, schema::write_record(&entry.record).map_err(unwritable)?);
            batch.put_cf(&submissions, key, &entry.submission);
            batch.put_cf(&leaves, entry.leaf_hash.as_bytes(), key);
        }
        for (id, tile) in &commit.tiles {
            batch.put_cf(&tiles, schema::tile_key(*id), tile.to_octets());
        }
        let (issuers, state) = (self.family(Family::Issuers)?, self.family(Family::State)?);
        for (fingerprint, der) in &commit.issuers {
            batch.put_cf(&issuers, fingerprint.as_bytes(), der);
        }
        if !prune.is_empty() {
            batch.delete_range_cf(&submissions, schema::index_key(prune.start), schema::index_key(prune.end));
        }
        if let Some(head) = &commit.head {
            batch.put_cf(&state, HEAD_KEY, schema::write_head(head).map_err(unwritable)?);
        }
        batch.put_cf(&state, TREE_KEY, schema::write_tree(&commit.tree, prune.end));
        Ok(batch)
    }
}

impl LogStore for RocksStore {
    fn state(&self) -> Result<Option<StoreState>, StoreError> {
        let Some(tree) = self.get(Family::State, TREE_KEY)? else { return Ok(None) };
        let unreadable =
            |what: &str| StoreError::Corrupt(format!("the {what} does not read, or is of another version"));
        let (tree, pruned_before) = schema::read_tree(&tree).ok_or_else(|| unreadable("tree state"))?;
        let head = self.get(Family::State, HEAD_KEY)?.map(|octets| schema::read_head(&octets)).transpose();
        let head = head.map_err(|_| unreadable("stored tree head"))?;
        Ok(Some(StoreState { tree, head, pruned_before }))
    }

    fn find(&self, leaf_hashes: &[Hash]) -> Result<Vec<Option<LeafIndex>>, StoreError> {
        let keys: Vec<&[u8; 32]> = leaf_hashes.iter().map(Hash::as_bytes).collect();
        let index = |octets: Vec<u8>| {
            schema::read_index(&octets).map_err(|e| StoreError::Corrupt(format!("the index of a leaf: {e}")))
        };
        self.get_many(Family::Leaves, &keys)?.into_iter().map(|found| found.map(index).transpose()).collect()
    }

    fn records(&self, range: Range<LeafIndex>) -> Result<Vec<Record>, StoreError> {
        let expected = range.end.get().saturating_sub(range.start.get());
        let corrupt = |index: u64| StoreError::Corrupt(format!("the record at index {index} is missing or damaged"));
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(schema::index_key(range.start).to_vec());
        options.set_iterate_upper_bound(schema::index_key(range.end).to_vec());
        let found = self.database.db.iterator_cf_opt(&self.family(Family::Records)?, options, IteratorMode::Start);
        let mut records = Vec::with_capacity(usize::try_from(expected).unwrap_or(0).min(1 << 16));
        for (index, item) in (range.start.get()..range.end.get()).zip(found) {
            let (key, value) = item.map_err(store_error)?;
            let record = schema::read_record(&value).filter(|_| *key == index.to_be_bytes());
            records.push(record.ok_or_else(|| corrupt(index))?);
        }
        match records.len() as u64 {
            n if n == expected => Ok(records),
            n => Err(corrupt(range.start.get() + n)),
        }
    }

    fn blobs(&self, ids: &[BlobId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut found = vec![None; ids.len()];
        for family in [Family::Tiles, Family::Submissions, Family::Issuers] {
            let (places, keys): (Vec<usize>, Vec<Vec<u8>>) = ids
                .iter()
                .map(blob_key)
                .enumerate()
                .filter(|(_, (f, _))| *f == family)
                .map(|(i, (_, k))| (i, k))
                .unzip();
            if keys.is_empty() {
                continue;
            }
            for (place, value) in places.into_iter().zip(self.get_many(family, &keys)?) {
                found[place] = value;
            }
        }
        Ok(found)
    }

    fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let mut state = self.state.lock();
        let (size, pruned) = *state;
        if size.unwrap_or(TreeSize::EMPTY) != commit.base {
            return Err(CommitError::Fenced { expected: commit.base, found: size.unwrap_or(TreeSize::EMPTY) });
        }
        let pruned_after = commit.prune_before.map_or(pruned, |before| before.max(pruned));
        let batch = self.batch(&commit, pruned..pruned_after).map_err(|e| CommitError::NotWritten(e.to_string()))?;
        // RocksDB does not say whether a failed write reached the disk, so we do not guess.
        self.database.write_synced(batch).map_err(|e| CommitError::Unknown(e.into_string()))?;
        *state = (Some(commit.tree.size), pruned_after);
        Ok(())
    }
}

fn blob_key(id: &BlobId) -> (Family, Vec<u8>) {
    match id {
        BlobId::Tile(id) => (Family::Tiles, schema::tile_key(*id).to_vec()),
        BlobId::Submission(index) => (Family::Submissions, schema::index_key(*index).to_vec()),
        BlobId::Issuer(fingerprint) => (Family::Issuers, fingerprint.as_bytes().to_vec()),
    }
}
