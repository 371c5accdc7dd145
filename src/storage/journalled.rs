//! A RocksDB database with a journal in it: the fence between writers, the head that is that of the last
//! row, and reads at one moment.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use parking_lot::Mutex;
use rocksdb::{DBRawIteratorWithThreadMode, IteratorMode, Options, ReadOptions, SnapshotWithThreadMode, WriteBatch};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::database::{Database, Kind, OpenError, Rocks, store_error};
use crate::journal::{CommitError, JournalHead};
use crate::log::store::StoreError;

/// Key of the layout in the family of what changes in place.
pub(super) const FORMAT_KEY: &[u8] = b"format";
/// Key of the journal's head there.
pub(super) const HEAD_KEY: &[u8] = b"head";

/// How a journal lies in a database.
pub(super) struct Layout {
    /// The database's families.
    pub(super) kind: &'static Kind,
    /// What the family `state` says under `format`.
    pub(super) format: &'static str,
    /// The family of what changes in place.
    pub(super) state: &'static str,
    /// The family of rows by number.
    pub(super) rows: &'static str,
}

impl Layout {
    /// Refuses a database of an earlier layout before anything is added to it, so that the program that wrote it
    /// can go on with it. A family that is missing tells such a one from ours; but one that was just being made
    /// has no layout yet.
    fn refuse_older(&self, path: &Path) -> Result<(), OpenError> {
        let Ok(found) = Rocks::list_cf(&Options::default(), path) else { return Ok(()) };
        let has = |name: &str| found.iter().any(|found| found == name);
        if !has(self.state) || self.kind.families.iter().all(|table| has(table.name)) {
            return Ok(());
        }
        let unread = |e: rocksdb::Error| OpenError::new(path, e.into_string());
        let families = ["default", self.state];
        let database = Rocks::open_cf_for_read_only(&Options::default(), path, families, false).map_err(unread)?;
        let Some(family) = database.cf_handle(self.state) else { return Ok(()) };
        match database.get_cf(&family, FORMAT_KEY).map_err(unread)? {
            Some(format) => Err(self.other_format(path, &format)),
            None => Ok(()),
        }
    }

    fn other_format(&self, path: &Path, found: &[u8]) -> OpenError {
        let (found, ours) = (String::from_utf8_lossy(found), self.format);
        let reason = format!("its format is `{found}`, and this program reads `{ours}`: use the one that wrote it");
        OpenError::new(path, reason)
    }
}

/// The database.
pub(super) struct Journalled {
    layout: &'static Layout,
    pub(super) database: Database,
    /// The head that the next commit must build on. `None` where the database is only read.
    head: Mutex<Option<JournalHead>>,
}

impl Journalled {
    /// Opens the database in `path`, making it if there is none: for its owner alone, as journals name
    /// people.
    pub(super) fn open(path: &Path, layout: &'static Layout) -> Result<Self, OpenError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|e| OpenError::new(path, e))?;
        layout.refuse_older(path)?;
        let this = Self::with(Database::open(path, layout.kind)?, path, layout)?;
        this.put_format().map_err(|e| OpenError::new(path, e))?;
        let head = this.checked_head().map_err(|e| OpenError::new(path, e))?;
        *this.head.lock() = Some(head);
        Ok(this)
    }

    /// Opens the database in `path`, which must be there, for reading alone: nothing in it changes, and a
    /// commit fails. Nobody can work on it meanwhile.
    pub(super) fn open_read_only(path: &Path, layout: &'static Layout) -> Result<Self, OpenError> {
        layout.refuse_older(path)?;
        Self::with(Database::open_read_only(path, layout.kind)?, path, layout)
    }

    /// The database, if it is of this layout, or empty.
    fn with(database: Database, path: &Path, layout: &'static Layout) -> Result<Self, OpenError> {
        let read = |key| database.get(layout.state, key).map_err(|e| OpenError::new(path, e));
        match (read(FORMAT_KEY)?, read(HEAD_KEY)?) {
            (Some(format), _) if format == layout.format.as_bytes() => {}
            (None, None) => {}
            (format, _) => return Err(layout.other_format(path, &format.unwrap_or_default())),
        }
        Ok(Self { layout, database, head: Mutex::default() })
    }

    fn put_format(&self) -> Result<(), StoreError> {
        if self.database.get(self.layout.state, FORMAT_KEY)?.is_some() {
            return Ok(());
        }
        let mut batch = WriteBatch::default();
        batch.put_cf(&self.database.family(self.layout.state)?, FORMAT_KEY, self.layout.format);
        self.database.write_synced(batch).map_err(store_error)
    }

    /// The head, if it is that of the last row. The rows before it are for whoever follows the chain.
    fn checked_head(&self) -> Result<JournalHead, StoreError> {
        let view = self.view();
        let head = view.head()?;
        let last = match head.rows.checked_sub(1) {
            Some(last) => view.rows(last, 1)?,
            None => Vec::new(),
        };
        let hash = last.first().map_or([0; 32], |row| Sha256::digest(row).into());
        let wrong = || damaged(self.layout.state, HEAD_KEY, "does not name the last row of the journal");
        if hash == head.hash { Ok(head) } else { Err(wrong()) }
    }

    /// All that is there now, whatever is committed while it is read.
    pub(super) fn view(&self) -> View<'_> {
        View { layout: self.layout, database: &self.database, snapshot: self.database.db.snapshot() }
    }

    /// Writes rows and what `fill` adds to them, if they follow from what is there, and syncs all of it to
    /// the disk before returning.
    pub(super) fn commit(
        &self,
        (base, rows, head): (&JournalHead, &[Vec<u8>], &JournalHead),
        fill: impl FnOnce(&mut WriteBatch) -> Result<(), StoreError>,
    ) -> Result<(), CommitError> {
        let mut current = self.head.lock();
        let Some(found) = *current else {
            return Err(CommitError::NotWritten("the store was opened for reading alone".into()));
        };
        base.check_commit(&found, rows, head)?;
        let mut batch = WriteBatch::default();
        let filled = self.put_rows(&mut batch, base, rows, head).and_then(|()| fill(&mut batch));
        filled.map_err(|e| CommitError::NotWritten(e.to_string()))?;
        // RocksDB does not say whether a failed write reached the disk, so we do not guess.
        self.database.write_synced(batch).map_err(|e| CommitError::Unknown(e.into_string()))?;
        *current = Some(*head);
        Ok(())
    }

    fn put_rows(
        &self,
        batch: &mut WriteBatch,
        base: &JournalHead,
        rows: &[Vec<u8>],
        head: &JournalHead,
    ) -> Result<(), StoreError> {
        let (journal, state) = (self.database.family(self.layout.rows)?, self.database.family(self.layout.state)?);
        for (number, row) in (base.rows..).zip(rows) {
            batch.put_cf(&journal, number.to_be_bytes(), row);
        }
        batch.put_cf(&state, HEAD_KEY, to_json(head)?);
        Ok(())
    }
}

/// The database at one moment.
pub(super) struct View<'a> {
    layout: &'static Layout,
    database: &'a Database,
    snapshot: SnapshotWithThreadMode<'a, Rocks>,
}

/// A key and a value.
pub(super) type Item = Result<(Box<[u8]>, Box<[u8]>), StoreError>;

impl<'a> View<'a> {
    /// How far the journal has come.
    pub(super) fn head(&self) -> Result<JournalHead, StoreError> {
        let family = self.database.family(self.layout.state)?;
        let Some(head) = self.snapshot.get_cf(&family, HEAD_KEY).map_err(store_error)? else {
            return Ok(JournalHead::default());
        };
        let unreadable = |e| damaged(self.layout.state, HEAD_KEY, &format!("does not read ({e})"));
        serde_json::from_slice(&head).map_err(unreadable)
    }

    /// At most `limit` rows from this number on.
    pub(super) fn rows(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let end = from.saturating_add(limit as u64).min(self.head()?.rows);
        if from >= end {
            return Ok(Vec::new());
        }
        let (first, behind) = (from.to_be_bytes(), end.to_be_bytes());
        let mut found = self.scan(self.layout.rows, &first, Some(&behind), IteratorMode::Start)?;
        (from..end)
            .map(|number| match found.next().transpose()? {
                Some((key, row)) if *key == number.to_be_bytes() => Ok(row.into_vec()),
                _ => Err(StoreError::Corrupt(format!("row {number} of the journal is missing"))),
            })
            .collect()
    }

    /// The values under these keys, in their order.
    pub(super) fn values<K: AsRef<[u8]>>(&self, keys: &[(&str, K)]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let families = keys.iter().map(|(family, _)| self.database.family(family));
        let families = families.collect::<Result<Vec<_>, _>>()?;
        let values = self.snapshot.multi_get_cf(families.iter().zip(keys.iter().map(|(_, key)| key)));
        values.into_iter().map(|value| value.map_err(store_error)).collect()
    }

    /// How many entries a family has.
    pub(super) fn count(&self, family: &str) -> Result<u64, StoreError> {
        let mut kept = self.scan(family, &[], None, IteratorMode::Start)?;
        kept.try_fold(0, |count, item| item.map(|_| count + 1))
    }

    /// An iterator over a family, to be moved by hand.
    pub(super) fn cursor(&self, family: &str) -> Result<DBRawIteratorWithThreadMode<'_, Rocks>, StoreError> {
        Ok(self.snapshot.raw_iterator_cf(&self.database.family(family)?))
    }

    /// What lies from one key up to, and without, another.
    pub(super) fn scan<'s>(
        &'s self,
        family: &str,
        from: &[u8],
        to: Option<&[u8]>,
        mode: IteratorMode<'_>,
    ) -> Result<impl Iterator<Item = Item> + use<'s, 'a>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(from);
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        let found = self.snapshot.iterator_cf_opt(&self.database.family(family)?, options, mode);
        Ok(found.map(|item| item.map_err(store_error)))
    }
}

/// A value as JSON.
pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|e| StoreError::Unavailable(format!("JSON cannot be written: {e}")))
}

/// The complaint about what is kept under a key.
pub(super) fn damaged(family: &str, key: &[u8], what: &str) -> StoreError {
    let text = std::str::from_utf8(key).ok().filter(|text| text.bytes().all(|c| c.is_ascii_graphic()));
    let key = text.map_or_else(|| hex::encode(key), str::to_owned);
    StoreError::Corrupt(format!("in the column family {family}, what is kept under {key} {what}"))
}
