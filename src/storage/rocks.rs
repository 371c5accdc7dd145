//! The log in RocksDB: one synced write batch per commit.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use parking_lot::Mutex;
use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode,
    DBWithThreadMode, IteratorMode, MultiThreaded, Options, ReadOptions, WriteBatch, WriteBufferManager, WriteOptions,
};
use thiserror::Error;

use super::schema::{self, Family, HEAD_KEY, TREE_KEY};
use crate::log::entry::Record;
use crate::log::store::{BlobId, Commit, CommitError, LogStore, StoreError, StoreState};
use crate::merkle::{Hash, LeafIndex, TreeSize};
use crate::wire::WireError;

type Database = DBWithThreadMode<MultiThreaded>;

/// Memory for blocks read and, together with them, for what is not flushed yet.
const CACHE_OCTETS: usize = 160 << 20;
/// Memory for what is not flushed yet, over all families.
const WRITE_BUFFER_OCTETS: usize = 96 << 20;
/// The write-ahead log is cut by flushing beyond this. So much is also reserved on the disk for
/// each new one.
const MAX_WAL_OCTETS: u64 = 16 << 20;

/// Why the database does not open.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the database in {path} does not open: {reason}")]
pub struct OpenError {
    /// The directory.
    pub path: String,
    /// What RocksDB says.
    pub reason: String,
}

/// A log in one RocksDB directory. The directory is locked: a second process cannot open it.
pub struct RocksStore {
    db: Database,
    /// The state that the next commit must build on; also the fence between writers.
    state: Mutex<(Option<TreeSize>, LeafIndex)>,
    /// Of a store that is only read: what keeps a log from writing to it meanwhile.
    _lock: Option<File>,
}

impl RocksStore {
    /// Opens the database in `path`, making it if there is none.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let store = Self::with(path, None, |options, families| Database::open_cf_descriptors(options, path, families))?;
        let found = store.state().map_err(|e| OpenError { path: path.display().to_string(), reason: e.to_string() })?;
        *store.state.lock() = found.map_or((None, LeafIndex::new(0)), |s| (Some(s.tree.size), s.pruned_before));
        Ok(store)
    }

    /// Opens the database in `path`, which must be there, for reading alone: nothing in it
    /// changes, and a commit fails. RocksDB itself would read beside a log at work and see half of
    /// what it writes, so this takes the lock that a log takes.
    pub fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        let failed = |reason: String| OpenError { path: path.display().to_string(), reason };
        let lock = File::options().read(true).write(true).open(path.join("LOCK"));
        let lock = lock.map_err(|e| failed(format!("there is no database of a log ({e})")))?;
        rustix::fs::fcntl_lock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| failed("another process has it open; stop the log that runs on it first".into()))?;
        Self::with(path, Some(lock), |options, families| {
            Database::open_cf_descriptors_read_only(options, path, families, false)
        })
    }

    fn with(
        path: &Path,
        lock: Option<File>,
        open: impl FnOnce(&Options, Vec<ColumnFamilyDescriptor>) -> Result<Database, rocksdb::Error>,
    ) -> Result<Self, OpenError> {
        let cache = Cache::new_lru_cache(CACHE_OCTETS);
        let families = Family::ALL.map(|f| ColumnFamilyDescriptor::new(f.name(), family_options(f, &cache)));
        let db = open(&database_options(&cache), families.into())
            .map_err(|e| OpenError { path: path.display().to_string(), reason: unopened(e) })?;
        Ok(Self { db, state: Mutex::new((None, LeafIndex::new(0))), _lock: lock })
    }

    /// Writes everything that is in memory to its files, so that the write-ahead log can go.
    pub fn flush(&self) -> Result<(), StoreError> {
        Family::ALL.into_iter().try_for_each(|f| self.db.flush_cf(&self.family(f)?).map_err(store_error))
    }

    fn family(&self, family: Family) -> Result<std::sync::Arc<BoundColumnFamily<'_>>, StoreError> {
        let found = self.db.cf_handle(family.name());
        found.ok_or_else(|| StoreError::Corrupt(format!("the column family {} is missing", family.name())))
    }

    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(&self.family(family)?, key).map_err(store_error)
    }

    fn get_many<K: AsRef<[u8]>>(&self, family: Family, keys: &[K]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        if let [key] = keys {
            return Ok(vec![self.get(family, key.as_ref())?]);
        }
        let family = self.family(family)?;
        let values = self.db.batched_multi_get_cf(&family, keys.iter().map(AsRef::as_ref), false);
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
        let found = self.db.iterator_cf_opt(&self.family(Family::Records)?, options, IteratorMode::Start);
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
        let mut options = WriteOptions::default();
        options.set_sync(true);
        // RocksDB does not say whether a failed write reached the disk, so we do not guess.
        self.db.write_opt(batch, &options).map_err(|e| CommitError::Unknown(e.into_string()))?;
        *state = (Some(commit.tree.size), pruned_after);
        Ok(())
    }
}

/// Why the database does not open, with what to do about it where that is clear.
fn unopened(error: rocksdb::Error) -> String {
    match error.kind() {
        rocksdb::ErrorKind::Corruption => format!(
            "{}; a file in it is not what was written: put an undamaged copy of the database back, and look at the disk",
            error.into_string()
        ),
        _ => error.into_string(),
    }
}

fn blob_key(id: &BlobId) -> (Family, Vec<u8>) {
    match id {
        BlobId::Tile(id) => (Family::Tiles, schema::tile_key(*id).to_vec()),
        BlobId::Submission(index) => (Family::Submissions, schema::index_key(*index).to_vec()),
        BlobId::Issuer(fingerprint) => (Family::Issuers, fingerprint.as_bytes().to_vec()),
    }
}

fn store_error(error: rocksdb::Error) -> StoreError {
    use rocksdb::ErrorKind::{Aborted, Busy, IOError, Incomplete, TimedOut, TryAgain};
    match error.kind() {
        Aborted | Busy | Incomplete | TimedOut | TryAgain => StoreError::Unavailable(error.into_string()),
        IOError => StoreError::Failed(error.into_string()),
        _ => StoreError::Corrupt(error.into_string()),
    }
}

fn database_options(cache: &Cache) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    // Only the unfinished end of the newest write-ahead log may be dropped: it was never
    // answered for. What this mode lets through beyond that shows in the number of entries, which
    // is kept apart from the database.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_max_total_wal_size(MAX_WAL_OCTETS);
    options.set_wal_compression_type(DBCompressionType::Zstd);
    options.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager_with_cache(
        WRITE_BUFFER_OCTETS,
        false,
        cache.clone(),
    ));
    options.set_max_background_jobs(2);
    options.set_max_open_files(512);
    options.set_bytes_per_sync(1 << 20);
    options.set_keep_log_file_num(4);
    options.set_max_log_file_size(4 << 20);
    options.set_stats_dump_period_sec(0);
    options
}

fn family_options(family: Family, cache: &Cache) -> Options {
    let mut options = Options::default();
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(5);
    options.set_write_buffer_size(32 << 20);
    options.set_compression_type(DBCompressionType::None);
    match family {
        // Certificates of one CA are much alike: large blocks let the compressor see it.
        Family::Submissions | Family::Records => {
            table.set_block_size(32 << 10);
            options.set_compression_type(DBCompressionType::Zstd);
        }
        // Hashes do not compress. Most look-ups are for what is not there yet.
        Family::Leaves => table.set_bloom_filter(10.0, false),
        Family::Tiles => table.set_block_size(8 << 10),
        Family::Issuers => options.set_compression_type(DBCompressionType::Zstd),
        Family::State => {}
    }
    options.set_block_based_table_factory(&table);
    options
}
