//! The monitor's database: one file, in which each step is one write, whole and synced, or none at all.
//!
//! Each part keeps its rows in tables of its own ([`Table`]); a step that touches several of them, such as a new
//! position in a log with the findings on the way to it, goes through one [`Write`].

pub mod identity;

use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;

use redb::{
    AccessGuard, Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageError, TableDefinition,
    TableError,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The form of all tables together; another one is not read.
const VERSION: u64 = 1;

const META: Table<u64> = Table::new("meta");

/// Octets of the file that are kept in memory, where the library would keep a GiB. Rows are small and most are read
/// once; what is read often fits.
const CACHE: usize = 16 << 20;

/// Why the database cannot be used. Nothing that was to be written is, and whoever called must stop: what is not
/// kept must not be told.
#[derive(Debug, Error)]
pub enum StateError {
    /// The database failed.
    #[error("the monitor's database: {0}")]
    Database(#[from] redb::Error),
    /// A row is not what we write.
    #[error("the monitor's database: a row of the table {table:?} does not read: {reason}")]
    Row {
        /// The table.
        table: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Written by another version of this program.
    #[error("the monitor's database is of version {found}, and this program reads version {VERSION}")]
    Version {
        /// The version found.
        found: u64,
    },
}

macro_rules! from_redb {
    ($($error:ident),+) => { $(impl From<redb::$error> for StateError {
        fn from(error: redb::$error) -> Self { Self::Database(error.into()) }
    })+ };
}
from_redb!(DatabaseError, TransactionError, StorageError, CommitError, TableError);

/// A table whose keys are octets in their order, and whose values are JSON.
pub struct Table<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Table<T> {
    /// The table of this name, which no other part uses.
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }

    const fn definition(&self) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
        TableDefinition::new(self.name)
    }

    fn bad(&self, reason: impl ToString) -> StateError {
        StateError::Row { table: self.name, reason: reason.to_string() }
    }
}

type ReadTable = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

type OpenTable<'step> = redb::Table<'step, &'static [u8], &'static [u8]>;

type Entry<'table> = (AccessGuard<'table, &'static [u8]>, AccessGuard<'table, &'static [u8]>);

/// A row: its key, and what it holds.
pub type Row<T> = (Vec<u8>, T);

impl<T: DeserializeOwned> Table<T> {
    fn parse(&self, value: &[u8]) -> Result<T, StateError> {
        serde_json::from_slice(value).map_err(|e| self.bad(e))
    }

    fn collect<'table>(
        &self,
        entries: impl Iterator<Item = Result<Entry<'table>, StorageError>>,
    ) -> Result<Vec<Row<T>>, StateError> {
        let row = |(key, value): Entry<'_>| Ok((key.value().to_vec(), self.parse(value.value())?));
        entries.map(|entry| row(entry?)).collect()
    }

    fn rows(
        &self,
        table: &impl ReadableTable<&'static [u8], &'static [u8]>,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<Row<T>>, StateError> {
        let has_prefix =
            |entry: &Result<Entry<'_>, _>| entry.as_ref().map_or(true, |(key, _)| key.value().starts_with(prefix));
        self.collect(table.range::<&[u8]>(prefix..)?.take(limit).take_while(has_prefix))
    }

    fn backwards(
        &self,
        table: &impl ReadableTable<&'static [u8], &'static [u8]>,
        keys: Range<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row<T>>, StateError> {
        self.collect(table.range::<&[u8]>(keys)?.rev().take(limit))
    }

    fn onwards(
        &self,
        table: &impl ReadableTable<&'static [u8], &'static [u8]>,
        start: &[u8],
        limit: usize,
    ) -> Result<Vec<Row<T>>, StateError> {
        self.collect(table.range::<&[u8]>(start..)?.take(limit))
    }
}

/// The database.
pub struct State {
    database: Database,
    #[cfg(test)]
    crash: crash::Crash,
}

impl State {
    /// Opens the file at `path`, or makes it. One process at a time.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let state = Self {
            database: Database::builder().set_cache_size(CACHE).create(path)?,
            #[cfg(test)]
            crash: crash::Crash::default(),
        };
        state.write(|write| match write.get(&META, b"version")? {
            None => write.put(&META, b"version", &VERSION),
            Some(VERSION) => Ok(()),
            Some(found) => Err(StateError::Version { found }),
        })?;
        Ok(state)
    }

    /// Runs `step`; all that it has put is on the disk when this returns with `Ok`, and nothing of it otherwise. A step
    /// that leaves everything as it was does not wait for the disk.
    pub fn write<T, E: From<StateError>>(&self, step: impl FnOnce(&mut Write) -> Result<T, E>) -> Result<T, E> {
        let transaction = self.database.begin_write().map_err(StateError::from)?;
        let mut write = Write { transaction, changes: false };
        let value = step(&mut write)?;
        if !write.changes {
            return Ok(value);
        }
        #[cfg(test)]
        self.crash.before_commit()?;
        write.transaction.commit().map_err(StateError::from)?;
        #[cfg(test)]
        self.crash.after_commit()?;
        Ok(value)
    }

    /// Runs `look` on the database as it is now, whatever is written meanwhile.
    pub fn read<T, E: From<StateError>>(&self, look: impl FnOnce(&Read) -> Result<T, E>) -> Result<T, E> {
        look(&Read { transaction: self.database.begin_read().map_err(StateError::from)? })
    }

    /// The row with this key.
    pub fn get<T: DeserializeOwned>(&self, table: &Table<T>, key: &[u8]) -> Result<Option<T>, StateError> {
        self.read(|read| read.get(table, key))
    }

    /// Whether the database answers.
    pub fn probe(&self) -> Result<(), StateError> {
        self.get(&META, b"version").map(|_| ())
    }
}

/// For tests of what a crash leaves behind: the n-th write fails, just before or just behind its commit.
#[cfg(test)]
pub(crate) mod crash {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::{State, StateError};

    /// Commits that still succeed, counted in halves: before and behind each.
    pub(super) struct Crash(AtomicI64);

    impl Default for Crash {
        fn default() -> Self {
            Self(AtomicI64::new(i64::MAX))
        }
    }

    impl Crash {
        pub(super) fn before_commit(&self) -> Result<(), StateError> {
            self.half()
        }

        pub(super) fn after_commit(&self) -> Result<(), StateError> {
            self.half()
        }

        fn half(&self) -> Result<(), StateError> {
            match self.0.fetch_sub(1, Ordering::SeqCst) {
                1.. => Ok(()),
                _ => Err(StateError::Row { table: "any", reason: "a crash on purpose".into() }),
            }
        }
    }

    impl State {
        /// Lets writes fail after this many halves of writes: an odd number has the last one written, and yet fail.
        pub(crate) fn crash_after(&self, halves: i64) {
            self.crash.0.store(halves, Ordering::SeqCst);
        }
    }
}

/// A step that is written as a whole.
pub struct Write {
    transaction: redb::WriteTransaction,
    changes: bool,
}

impl Write {
    /// A table that is not there yet is made, so there always is one.
    fn open<T>(&self, table: &Table<T>) -> Result<Option<OpenTable<'_>>, StateError> {
        Ok(Some(self.transaction.open_table(table.definition())?))
    }

    /// Puts the row with this key, in the place of the one that was there.
    pub fn put<T: Serialize>(&mut self, table: &Table<T>, key: &[u8], value: &T) -> Result<(), StateError> {
        let octets = serde_json::to_vec(value).map_err(|e| table.bad(e))?;
        let mut open = self.transaction.open_table(table.definition())?;
        let before = open.insert(key, octets.as_slice())?;
        self.changes |= before.is_none_or(|before| before.value() != octets);
        Ok(())
    }

    /// Takes the row with this key out; whether there was one.
    pub fn remove<T>(&mut self, table: &Table<T>, key: &[u8]) -> Result<bool, StateError> {
        let was_there = self.transaction.open_table(table.definition())?.remove(key)?.is_some();
        self.changes |= was_there;
        Ok(was_there)
    }
}

/// The database as it was at one moment.
pub struct Read {
    transaction: redb::ReadTransaction,
}

impl Read {
    fn open<T>(&self, table: &Table<T>) -> Result<Option<ReadTable>, StateError> {
        match self.transaction.open_table(table.definition()) {
            Ok(open) => Ok(Some(open)),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What can be looked up, alike in a step and in the database as it was: each says how it opens a table, `None` for
/// one that nobody has written to.
macro_rules! lookups {
    ($($of:ty: $row:literal;)+) => { $(impl $of {
        #[doc = $row]
        pub fn get<T: DeserializeOwned>(&self, table: &Table<T>, key: &[u8]) -> Result<Option<T>, StateError> {
            let Some(open) = self.open(table)? else { return Ok(None) };
            let value = open.get(key)?;
            value.map(|value| table.parse(value.value())).transpose()
        }

        /// At most `limit` rows whose keys start with `prefix`, in the order of their keys.
        pub fn first<T: DeserializeOwned>(
            &self,
            table: &Table<T>,
            prefix: &[u8],
            limit: usize,
        ) -> Result<Vec<Row<T>>, StateError> {
            self.open(table)?.map_or(Ok(Vec::new()), |open| table.rows(&open, prefix, limit))
        }

        /// The same from the last row backwards.
        pub fn last<T: DeserializeOwned>(
            &self,
            table: &Table<T>,
            prefix: &[u8],
            limit: usize,
        ) -> Result<Vec<Row<T>>, StateError> {
            // Keys are not longer than this many octets behind a prefix in use.
            let end = [prefix, &[0xff; 64]].concat();
            self.open(table)?.map_or(Ok(Vec::new()), |open| table.backwards(&open, prefix..&end, limit))
        }

        /// At most `limit` rows whose keys are less than `end`, from there backwards.
        pub fn before<T: DeserializeOwned>(
            &self,
            table: &Table<T>,
            end: &[u8],
            limit: usize,
        ) -> Result<Vec<Row<T>>, StateError> {
            self.open(table)?.map_or(Ok(Vec::new()), |open| table.backwards(&open, &[]..end, limit))
        }

        /// At most `limit` rows from the key `start` on, in the order of their keys.
        pub fn onwards<T: DeserializeOwned>(
            &self,
            table: &Table<T>,
            start: &[u8],
            limit: usize,
        ) -> Result<Vec<Row<T>>, StateError> {
            self.open(table)?.map_or(Ok(Vec::new()), |open| table.onwards(&open, start, limit))
        }

        /// How many rows there are.
        pub fn count<T>(&self, table: &Table<T>) -> Result<u64, StateError> {
            self.open(table)?.map_or(Ok(0), |open| Ok(open.len()?))
        }
    })+ };
}

lookups! {
    Write: "The row with this key, as this step has left it.";
    Read: "The row with this key.";
}

/// A key of parts that sort one after the other: text, ended by a zero octet.
pub fn key(text: &str, rest: &[u8]) -> Vec<u8> {
    [text.as_bytes(), &[0], rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Table<String> = Table::new("words");

    #[test]
    fn a_step_is_whole_or_nothing_and_outlives_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        let state = State::open(&path).unwrap();
        state.write(|write| write.put(&WORDS, b"a", &"one".to_owned())).unwrap();
        let failed: Result<(), StateError> = state.write(|write| {
            write.put(&WORDS, b"a", &"two".to_owned())?;
            assert_eq!(write.get(&WORDS, b"a")?.as_deref(), Some("two"));
            Err(WORDS.bad("on purpose"))
        });
        assert!(failed.is_err());
        assert_eq!(state.get(&WORDS, b"a").unwrap().as_deref(), Some("one"));
        drop(state);
        let state = State::open(&path).unwrap();
        assert_eq!(state.get(&WORDS, b"a").unwrap().as_deref(), Some("one"));
        assert!(state.write(|write| write.remove(&WORDS, b"a")).unwrap());
        assert_eq!(state.get(&WORDS, b"a").unwrap(), None);
    }

    #[test]
    fn a_step_that_changes_nothing_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.redb")).unwrap();
        let put = |word: &str| state.write(|write| write.put(&WORDS, b"a", &word.to_owned()));
        put("one").unwrap();
        // From here on no write comes to its end.
        state.crash_after(0);
        put("one").unwrap();
        assert!(!state.write(|write| write.remove(&WORDS, b"b")).unwrap());
        assert_eq!(state.write(|write| write.get(&WORDS, b"a")).unwrap().as_deref(), Some("one"));
        assert!(put("two").is_err());
        assert!(state.write(|write| write.remove(&WORDS, b"a")).is_err());
        assert_eq!(state.get(&WORDS, b"a").unwrap().as_deref(), Some("one"));
    }

    #[test]
    fn rows_come_in_order_and_only_those_of_the_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.redb")).unwrap();
        assert_eq!(state.read(|read| read.first(&WORDS, b"", 9)).unwrap(), []);
        let put = |write: &mut Write, text: &str, n: u64| {
            write.put(&WORDS, &key(text, &n.to_be_bytes()), &format!("{text}{n}"))
        };
        state
            .write(|write| {
                [("b", 1), ("a", 256), ("a", 2), ("ab", 3)].into_iter().try_for_each(|(text, n)| put(write, text, n))
            })
            .unwrap();
        let words = |rows: Vec<Row<String>>| rows.into_iter().map(|(_, word)| word).collect::<Vec<_>>();
        let first = |prefix: &[u8], limit| words(state.read(|read| read.first(&WORDS, prefix, limit)).unwrap());
        let last = |prefix: &[u8], limit| words(state.read(|read| read.last(&WORDS, prefix, limit)).unwrap());
        assert_eq!(first(&key("a", &[]), 9), ["a2", "a256"]);
        assert_eq!(last(&key("a", &[]), 9), ["a256", "a2"]);
        assert_eq!((first(b"", 1), last(b"", 1)), (vec!["a2".to_owned()], vec!["b1".to_owned()]));
        let onwards = |start: &[u8], limit| words(state.read(|read| read.onwards(&WORDS, start, limit)).unwrap());
        assert_eq!(onwards(&key("a", &256_u64.to_be_bytes()), 2), ["a256", "ab3"]);
        assert_eq!(onwards(b"c", 2), [""; 0]);
        assert_eq!(state.read(|read| read.count(&WORDS)).unwrap(), 4);
    }

    #[test]
    fn another_version_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        let state = State::open(&path).unwrap();
        state.write(|write| write.put(&META, b"version", &2)).unwrap();
        drop(state);
        assert!(matches!(State::open(&path), Err(StateError::Version { found: 2 })));
    }
}
