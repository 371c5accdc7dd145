//! A CA in RocksDB: one synced write batch per commit.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use parking_lot::Mutex;
use rocksdb::{IteratorMode, ReadOptions, SnapshotWithThreadMode, WriteBatch};
use sha2::{Digest, Sha256};

pub use super::super::database::OpenError;
use super::super::database::{Database, Kind, Rocks, Shape, Table, store_error};
use super::schema::{self, FORMAT, FORMAT_KEY, Family, HEAD_KEY};
use crate::ca::ports::{
    CaStore, CertificateRecord, CertificateSearch, Commit, CommitError, Entity, JournalHead, Key, MAX_LISTED, Request,
    RequestId, RevocationRecord, Serial, StoreError,
};
use crate::time::UnixMillis;

static KIND: Kind = Kind {
    owner: "CA",
    cache_octets: 64 << 20,
    write_buffer_octets: 32 << 20,
    families: &[
        table(Family::State, Shape::Plain),
        table(Family::Journal, Shape::Alike),
        table(Family::Tokens, Shape::Compressible),
        table(Family::Requests, Shape::Alike),
        table(Family::Agents, Shape::Compressible),
        table(Family::Certificates, Shape::Alike),
        table(Family::OpenRequests, Shape::Plain),
        table(Family::ByAgent, Shape::Compressible),
        table(Family::ByTime, Shape::Plain),
        table(Family::ByFingerprint, Shape::Hashes),
    ],
};

const fn table(family: Family, shape: Shape) -> Table {
    Table { name: family.name(), shape }
}

/// A CA in one RocksDB directory. The directory is locked: a second process cannot open it.
pub struct RocksCaStore {
    database: Database,
    /// The head that the next commit must build on; also the fence between writers. `None` where the
    /// store is only read.
    head: Mutex<Option<JournalHead>>,
}

impl RocksCaStore {
    /// Opens the database in `path`, making it if there is none: for its owner alone, as the journal names
    /// people.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|e| OpenError::new(path, e))?;
        let store = Self::with(Database::open(path, &KIND)?, path)?;
        store.put_format().map_err(|e| OpenError::new(path, e))?;
        let head = store.checked_head().map_err(|e| OpenError::new(path, e))?;
        *store.head.lock() = Some(head);
        Ok(store)
    }

    /// Opens the database in `path`, which must be there, for reading alone: nothing in it
    /// changes, and a commit fails. No CA can work on it meanwhile.
    pub fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        Self::with(Database::open_read_only(path, &KIND)?, path)
    }

    /// The store, if the database is of this layout, or empty.
    fn with(database: Database, path: &Path) -> Result<Self, OpenError> {
        let read = |key| database.get(Family::State.name(), key).map_err(|e| OpenError::new(path, e));
        match (read(FORMAT_KEY)?, read(HEAD_KEY)?) {
            (Some(format), _) if format == FORMAT => {}
            (None, None) => {}
            (format, _) => {
                let (found, ours) = (format.unwrap_or_default(), String::from_utf8_lossy(FORMAT));
                let found = String::from_utf8_lossy(&found).into_owned();
                let reason =
                    format!("its format is `{found}`, and this program reads `{ours}`: use the one that wrote it");
                return Err(OpenError::new(path, reason));
            }
        }
        Ok(Self { database, head: Mutex::default() })
    }

    fn put_format(&self) -> Result<(), StoreError> {
        if self.database.get(Family::State.name(), FORMAT_KEY)?.is_some() {
            return Ok(());
        }
        let mut batch = WriteBatch::default();
        batch.put_cf(&self.database.family(Family::State.name())?, FORMAT_KEY, FORMAT);
        self.database.write_synced(batch).map_err(store_error)
    }

    /// The head, if it is that of the last row. The rows before it are for whoever follows the chain.
    fn checked_head(&self) -> Result<JournalHead, StoreError> {
        let head = self.head()?;
        let last = match head.rows.checked_sub(1) {
            Some(last) => self.journal(last, 1)?,
            None => Vec::new(),
        };
        let hash = last.first().map_or([0; 32], |row| Sha256::digest(row).into());
        let wrong = || damaged(Family::State, HEAD_KEY, "does not name the last row of the journal");
        if hash == head.hash { Ok(head) } else { Err(wrong()) }
    }

    /// Writes everything that is in memory to its files, so that the write-ahead log can go.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.database.flush()
    }

    /// What first speaks against this store holding these entities, each in its places in the indexes,
    /// and nothing else; `None` where nothing does.
    pub fn difference<'e>(&self, entities: impl Iterator<Item = &'e Entity>) -> Result<Option<String>, StoreError> {
        let view = self.view();
        let mut sizes = BTreeMap::from([(Family::Journal, view.head()?.rows)]);
        for entity in entities {
            let key = entity.key();
            *sizes.entry(schema::entity_key(&key).0).or_default() += 1;
            if view.entities(std::slice::from_ref(&key))?.first().and_then(Option::as_ref) != Some(entity) {
                return Ok(Some(format!("{key:?} is not kept as the journal tells it")));
            }
            for entry in schema::index_entries(entity) {
                *sizes.entry(entry.family).or_default() += u64::from(entry.value.is_some());
                if self.database.get(entry.family.name(), &entry.key)? != entry.value {
                    return Ok(Some(format!("{key:?} is not in its place in {}", entry.family.name())));
                }
            }
        }
        // All that follows is there, so what is more than that is what nobody recorded.
        for family in Family::ALL.into_iter().filter(|family| *family != Family::State) {
            let mut kept = view.scan(family, &[], None, IteratorMode::Start)?;
            let kept = kept.try_fold(0_u64, |count, item| item.map(|_| count + 1))?;
            let expected = sizes.get(&family).copied().unwrap_or_default();
            if kept != expected {
                let name = family.name();
                return Ok(Some(format!("{kept} entries are kept in {name}, and {expected} follow from the journal")));
            }
        }
        Ok(None)
    }

    /// All that is there now, whatever is committed while it is read.
    fn view(&self) -> View<'_> {
        View { database: &self.database, snapshot: self.database.db.snapshot() }
    }

    fn batch(&self, commit: &Commit) -> Result<WriteBatch, StoreError> {
        let unwritable = |e: serde_json::Error| StoreError::Unavailable(format!("JSON cannot be written: {e}"));
        let family = |family: Family| self.database.family(family.name());
        let mut batch = WriteBatch::default();
        let (journal, state) = (family(Family::Journal)?, family(Family::State)?);
        for (number, row) in (commit.base.rows..).zip(&commit.rows) {
            batch.put_cf(&journal, number.to_be_bytes(), row);
        }
        for entity in &commit.entities {
            let (place, key) = schema::entity_key(&entity.key());
            batch.put_cf(&family(place)?, key, schema::write_entity(entity).map_err(unwritable)?);
            for entry in schema::index_entries(entity) {
                let index = family(entry.family)?;
                match entry.value {
                    Some(value) => batch.put_cf(&index, entry.key, value),
                    None => batch.delete_cf(&index, entry.key),
                }
            }
        }
        batch.put_cf(&state, HEAD_KEY, serde_json::to_vec(&commit.head).map_err(unwritable)?);
        Ok(batch)
    }
}

impl CaStore for RocksCaStore {
    fn head(&self) -> Result<JournalHead, StoreError> {
        self.view().head()
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Entity>>, StoreError> {
        self.view().entities(keys)
    }

    fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let mut head = self.head.lock();
        let Some(found) = *head else {
            return Err(CommitError::NotWritten("the store was opened for reading alone".into()));
        };
        commit.base.check_commit(&found, &commit.rows, &commit.head)?;
        let batch = self.batch(&commit).map_err(|e| CommitError::NotWritten(e.to_string()))?;
        // RocksDB does not say whether a failed write reached the disk, so we do not guess.
        self.database.write_synced(batch).map_err(|e| CommitError::Unknown(e.into_string()))?;
        *head = Some(commit.head);
        Ok(())
    }

    fn journal(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let view = self.view();
        let end = from.saturating_add(limit as u64).min(view.head()?.rows);
        if from >= end {
            return Ok(Vec::new());
        }
        let (first, behind) = (from.to_be_bytes(), end.to_be_bytes());
        let mut found = view.scan(Family::Journal, &first, Some(&behind), IteratorMode::Start)?;
        (from..end)
            .map(|number| match found.next().transpose()? {
                Some((key, row)) if *key == number.to_be_bytes() => Ok(row.into_vec()),
                _ => Err(StoreError::Corrupt(format!("row {number} of the journal is missing"))),
            })
            .collect()
    }

    fn open_requests(&self, after: Option<(UnixMillis, RequestId)>, limit: usize) -> Result<Vec<Request>, StoreError> {
        let view = self.view();
        // The first key behind another one is that one with an octet more.
        let from = after.map_or_else(Vec::new, |(at, id)| [&schema::open_key(at, &id)[..], &[0]].concat());
        let found = view.scan(Family::OpenRequests, &from, None, IteratorMode::Start)?.take(limit);
        let keys = found.map(|item| {
            let (key, _) = item?;
            let id = schema::read_open_key(&key).ok_or_else(|| damaged(Family::OpenRequests, &key, "is no key"))?;
            Ok(Key::Request(id))
        });
        let found = view.indexed(Family::OpenRequests, &keys.collect::<Result<Vec<_>, _>>()?)?;
        Ok(found
            .into_iter()
            .filter_map(|entity| if let Entity::Request(r) = entity { Some(r) } else { None })
            .collect())
    }

    fn certificates(&self, search: &CertificateSearch) -> Result<Vec<CertificateRecord>, StoreError> {
        let Some(stretch) = schema::stretch(search) else { return Ok(Vec::new()) };
        let view = self.view();
        let found = view.scan(stretch.family, &stretch.from, stretch.to.as_deref(), IteratorMode::End)?;
        let keys = found.take(search.limit.min(MAX_LISTED)).map(|item| {
            let (key, _) = item?;
            let serial = key.get(stretch.prefix.len()..).and_then(schema::read_place_key);
            Ok(Key::Certificate(serial.ok_or_else(|| damaged(stretch.family, &key, "is no key"))?))
        });
        let found = view.indexed(stretch.family, &keys.collect::<Result<Vec<_>, _>>()?)?;
        let certificate = |entity| if let Entity::Certificate(c) = entity { Some(c) } else { None };
        Ok(found.into_iter().filter_map(certificate).collect())
    }

    fn revocations(
        &self,
        _ends: UnixMillis,
        _after: Option<(UnixMillis, Serial)>,
        _limit: usize,
    ) -> Result<Vec<RevocationRecord>, StoreError> {
        unimplemented!()
    }

    fn serial_of(&self, fingerprint: &[u8; 32]) -> Result<Option<Serial>, StoreError> {
        let found = self.database.get(Family::ByFingerprint.name(), fingerprint)?;
        let damaged = |e| damaged(Family::ByFingerprint, fingerprint, &format!("is no serial number ({e})"));
        found.map(|octets| Serial::from_bytes(&octets).map_err(damaged)).transpose()
    }
}

/// The database at one moment.
struct View<'a> {
    database: &'a Database,
    snapshot: SnapshotWithThreadMode<'a, Rocks>,
}

type Item = Result<(Box<[u8]>, Box<[u8]>), StoreError>;

impl<'a> View<'a> {
    fn head(&self) -> Result<JournalHead, StoreError> {
        let family = self.database.family(Family::State.name())?;
        let Some(head) = self.snapshot.get_cf(&family, HEAD_KEY).map_err(store_error)? else {
            return Ok(JournalHead::default());
        };
        let unreadable = |e| damaged(Family::State, HEAD_KEY, &format!("does not read ({e})"));
        serde_json::from_slice(&head).map_err(unreadable)
    }

    fn entities(&self, keys: &[Key]) -> Result<Vec<Option<Entity>>, StoreError> {
        let places: Vec<(Family, Vec<u8>)> = keys.iter().map(schema::entity_key).collect();
        let families = places.iter().map(|(family, _)| self.database.family(family.name()));
        let families = families.collect::<Result<Vec<_>, _>>()?;
        let values = self.snapshot.multi_get_cf(families.iter().zip(places.iter().map(|(_, key)| key)));
        let mut found = Vec::with_capacity(keys.len());
        for ((key, (family, octets)), value) in keys.iter().zip(&places).zip(values) {
            let read =
                |value: Vec<u8>| schema::read_entity(key, &value).map_err(|what| damaged(*family, octets, &what));
            found.push(value.map_err(store_error)?.map(read).transpose()?);
        }
        Ok(found)
    }

    /// What the keys of an index speak of, which must be there.
    fn indexed(&self, index: Family, keys: &[Key]) -> Result<Vec<Entity>, StoreError> {
        let missing = |key: &Key| {
            let (family, octets) = schema::entity_key(key);
            damaged(family, &octets, &format!("is missing, though {} has it", index.name()))
        };
        let found = self.entities(keys)?.into_iter().zip(keys);
        found.map(|(entity, key)| entity.ok_or_else(|| missing(key))).collect()
    }

    /// What lies from one key up to, and without, another.
    fn scan<'s>(
        &'s self,
        family: Family,
        from: &[u8],
        to: Option<&[u8]>,
        mode: IteratorMode<'_>,
    ) -> Result<impl Iterator<Item = Item> + use<'s, 'a>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        let found = self.snapshot.iterator_cf_opt(&self.database.family(family.name())?, options, mode);
        Ok(found.map(|item| item.map_err(store_error)))
    }
}

fn damaged(family: Family, key: &[u8], what: &str) -> StoreError {
    let text = std::str::from_utf8(key).ok().filter(|text| text.bytes().all(|c| c.is_ascii_graphic()));
    let key = text.map_or_else(|| hex::encode(key), str::to_owned);
    StoreError::Corrupt(format!("in the column family {}, what is kept under {key} {what}", family.name()))
}
