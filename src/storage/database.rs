//! What the databases of a log and of a CA have in common: how RocksDB is opened, read and asked not
//! to lose anything.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode,
    DBWithThreadMode, MultiThreaded, Options, WriteBatch, WriteBufferManager, WriteOptions,
};
use thiserror::Error;

use crate::log::store::StoreError;

/// RocksDB, with as many threads as like to.
pub(super) type Rocks = DBWithThreadMode<MultiThreaded>;

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

impl OpenError {
    pub(super) fn new(path: &Path, reason: impl ToString) -> Self {
        Self { path: path.display().to_string(), reason: reason.to_string() }
    }
}

/// One kind of database.
pub(super) struct Kind {
    /// Whose it is, as people call it.
    pub owner: &'static str,
    /// Memory for blocks read and, together with them, for what is not flushed yet.
    pub cache_octets: usize,
    /// Memory for what is not flushed yet, over all families.
    pub write_buffer_octets: usize,
    /// Its column families.
    pub families: &'static [Table],
}

/// A column family, and how it lies on the disk.
pub(super) struct Table {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub shape: Shape,
}

/// What values are like, which says how they are best kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Few and small.
    Plain,
    /// Much alike, as certificates of one CA are: large blocks let the compressor see it.
    Alike,
    /// Compressible, but not alike.
    Compressible,
    /// Keys that are hashes, which do not compress; most look-ups are for what is not there.
    Hashes,
    /// Hashes in large values.
    Tiles,
}

/// An open database of one kind. Its directory is locked: a second process cannot open it.
pub(super) struct Database {
    pub(super) db: Rocks,
    kind: &'static Kind,
    /// Of one that is only read: what keeps its owner from writing to it meanwhile.
    _lock: Option<File>,
}

impl Database {
    /// Opens the database in `path`, making it if there is none.
    pub(super) fn open(path: &Path, kind: &'static Kind) -> Result<Self, OpenError> {
        Self::with(path, kind, None, |options, families| Rocks::open_cf_descriptors(options, path, families))
    }

    /// Opens the database in `path`, which must be there, for reading alone: nothing in it
    /// changes, and a write fails. RocksDB itself would read beside a process at work and see half of
    /// what it writes, so this takes the lock that such a process takes.
    pub(super) fn open_read_only(path: &Path, kind: &'static Kind) -> Result<Self, OpenError> {
        let owner = kind.owner;
        let lock = File::options().read(true).write(true).open(path.join("LOCK"));
        let lock = lock.map_err(|e| OpenError::new(path, format!("there is no database of a {owner} ({e})")))?;
        rustix::fs::fcntl_lock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            OpenError::new(path, format!("another process has it open; stop the {owner} that runs on it first"))
        })?;
        Self::with(path, kind, Some(lock), |options, families| {
            Rocks::open_cf_descriptors_read_only(options, path, families, false)
        })
    }

    fn with(
        path: &Path,
        kind: &'static Kind,
        lock: Option<File>,
        open: impl FnOnce(&Options, Vec<ColumnFamilyDescriptor>) -> Result<Rocks, rocksdb::Error>,
    ) -> Result<Self, OpenError> {
        refuse_stranger(path, kind)?;
        let cache = Cache::new_lru_cache(kind.cache_octets);
        let family = |t: &Table| ColumnFamilyDescriptor::new(t.name, family_options(t.shape, kind, &cache));
        let families = kind.families.iter().map(family).collect();
        let db = open(&database_options(kind, &cache), families).map_err(|e| OpenError::new(path, unopened(e)))?;
        Ok(Self { db, kind, _lock: lock })
    }

    /// Writes everything that is in memory to its files, so that the write-ahead log can go.
    pub(super) fn flush(&self) -> Result<(), StoreError> {
        let mut families = self.kind.families.iter();
        families.try_for_each(|t| self.db.flush_cf(&self.family(t.name)?).map_err(store_error))
    }

    pub(super) fn family(&self, name: &str) -> Result<Arc<BoundColumnFamily<'_>>, StoreError> {
        let found = self.db.cf_handle(name);
        found.ok_or_else(|| StoreError::Corrupt(format!("the column family {name} is missing")))
    }

    pub(super) fn get(&self, family: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(&self.family(family)?, key).map_err(store_error)
    }

    /// Writes the batch, and syncs it to the disk before returning.
    pub(super) fn write_synced(&self, batch: WriteBatch) -> Result<(), rocksdb::Error> {
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(batch, &options)
    }
}

/// Refuses a database with a column family that is not of this kind. Whether all of its own are there
/// is for RocksDB to say.
fn refuse_stranger(path: &Path, kind: &Kind) -> Result<(), OpenError> {
    // There is no database yet, or none that can be read: opening it says more.
    let Ok(found) = Rocks::list_cf(&Options::default(), path) else { return Ok(()) };
    let ours = |name: &String| name == "default" || kind.families.iter().any(|table| table.name == name);
    match found.iter().find(|name| !ours(name)) {
        None => Ok(()),
        Some(strange) => Err(OpenError::new(
            path,
            format!(
                "it is not the database of a {} (it has a column family `{strange}`): give another directory",
                kind.owner
            ),
        )),
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

/// What an error of RocksDB says of the store.
pub(super) fn store_error(error: rocksdb::Error) -> StoreError {
    use rocksdb::ErrorKind::{Aborted, Busy, IOError, Incomplete, TimedOut, TryAgain};
    match error.kind() {
        Aborted | Busy | Incomplete | TimedOut | TryAgain => StoreError::Unavailable(error.into_string()),
        IOError => StoreError::Failed(error.into_string()),
        _ => StoreError::Corrupt(error.into_string()),
    }
}

fn database_options(kind: &Kind, cache: &Cache) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    // Only the unfinished end of the newest write-ahead log may be dropped: it was never
    // answered for. What this mode lets through beyond that shows, for a log, in the number of
    // entries, which is kept apart from the database.
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_max_total_wal_size(MAX_WAL_OCTETS);
    options.set_wal_compression_type(DBCompressionType::Zstd);
    options.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager_with_cache(
        kind.write_buffer_octets,
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

fn family_options(shape: Shape, kind: &Kind, cache: &Cache) -> Options {
    let mut options = Options::default();
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_format_version(5);
    // Of one family; all together are bounded by the manager above.
    options.set_write_buffer_size(kind.write_buffer_octets / 3);
    options.set_compression_type(DBCompressionType::None);
    match shape {
        Shape::Alike => {
            table.set_block_size(32 << 10);
            options.set_compression_type(DBCompressionType::Zstd);
        }
        Shape::Compressible => options.set_compression_type(DBCompressionType::Zstd),
        Shape::Hashes => table.set_bloom_filter(10.0, false),
        Shape::Tiles => table.set_block_size(8 << 10),
        Shape::Plain => {}
    }
    options.set_block_based_table_factory(&table);
    options
}
