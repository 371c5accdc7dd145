//! A trust engine in RocksDB: one synced write batch per commit.

use std::collections::BTreeMap;
use std::path::Path;

use rocksdb::{IteratorMode, WriteBatch};

use super::schema::{
    self, ACCOUNTS, BY_AGENT, FORMAT, INCIDENTS, LEDGER, OPEN_INCIDENTS, OPEN_REVIEWS, RECEIPTS, REPORTERS, REVIEWS,
    STATE,
};
pub use crate::storage::database::OpenError;
use crate::storage::database::{Kind, Shape, Table};
use crate::storage::journalled::{Journalled, Layout, View, damaged};
use crate::trust::ports::{
    Account, AgentUri, Commit, CommitError, Entity, Incident, JournalHead, Key, MAX_LISTED, ReporterRecord, Review,
    StoreError, TrustStore,
};

static KIND: Kind = Kind {
    owner: "trust engine",
    cache_octets: 64 << 20,
    write_buffer_octets: 32 << 20,
    families: &[
        table(STATE, Shape::Plain),
        table(LEDGER, Shape::Alike),
        table(BY_AGENT, Shape::Compressible),
        table(ACCOUNTS, Shape::Compressible),
        table(REPORTERS, Shape::Compressible),
        table(INCIDENTS, Shape::Compressible),
        table(REVIEWS, Shape::Compressible),
        table(RECEIPTS, Shape::Hashes),
        table(OPEN_INCIDENTS, Shape::Plain),
        table(OPEN_REVIEWS, Shape::Plain),
    ],
};

static LAYOUT: Layout = Layout { kind: &KIND, format: FORMAT, state: STATE, rows: LEDGER };

const fn table(name: &'static str, shape: Shape) -> Table {
    Table { name, shape }
}

/// A trust engine in one RocksDB directory. The directory is locked: a second process cannot open it.
pub struct RocksTrustStore {
    journalled: Journalled,
}

impl RocksTrustStore {
    /// Opens the database in `path`, making it if there is none: for its owner alone, as the ledger names
    /// people.
    ///
    /// # Errors
    /// Where it is not a trust engine's, or not whole.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Journalled::open(path, &LAYOUT).map(|journalled| Self { journalled })
    }

    /// Opens the database in `path`, which must be there, for reading alone: nothing in it changes, and a
    /// commit fails. No engine can work on it meanwhile.
    ///
    /// # Errors
    /// Where there is none, or an engine runs on it.
    pub fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        Journalled::open_read_only(path, &LAYOUT).map(|journalled| Self { journalled })
    }

    /// Writes everything that is in memory to its files, so that the write-ahead log can go.
    ///
    /// # Errors
    /// Where the disk does not take it.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.journalled.database.flush()
    }

    /// What first speaks against this store holding these entities, each in its place in the indexes, and
    /// nothing else; `None` where nothing does.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn difference<'e>(&self, entities: impl Iterator<Item = &'e Entity>) -> Result<Option<String>, StoreError> {
        let view = self.journalled.view();
        let mut sizes = BTreeMap::from([(LEDGER, view.head()?.rows)]);
        let mut about_agents = 0;
        for entity in entities {
            let key = entity.key();
            *sizes.entry(schema::entity_key(&key).0).or_default() += 1;
            if entities_of(&view, std::slice::from_ref(&key))?.first().and_then(Option::as_ref) != Some(entity) {
                return Ok(Some(format!("{key:?} is not kept as the ledger tells it")));
            }
            if let Entity::Account(account) = entity {
                about_agents += account.rows;
            }
            let Some((index, place, open)) = schema::open_entry(entity) else { continue };
            *sizes.entry(index).or_default() += u64::from(open);
            if self.journalled.database.get(index, &place)?.is_some() != open {
                return Ok(Some(format!("{key:?} is not in its place in {index}")));
            }
        }
        sizes.insert(BY_AGENT, about_agents);
        // All that follows is there, so what is more than that is what nobody recorded.
        for name in KIND.families.iter().map(|table| table.name).filter(|name| *name != STATE) {
            let kept = view.count(name)?;
            let expected = sizes.get(name).copied().unwrap_or_default();
            if kept != expected {
                return Ok(Some(format!("{kept} entries are kept in {name}, and {expected} follow from the ledger")));
            }
        }
        Ok(None)
    }

    fn fill(&self, batch: &mut WriteBatch, commit: &Commit) -> Result<(), StoreError> {
        let database = &self.journalled.database;
        let by_agent = database.family(BY_AGENT)?;
        for (row, agent) in (commit.base.rows..).zip(&commit.agents) {
            if let Some(agent) = agent {
                batch.put_cf(&by_agent, schema::agent_key(agent, row), []);
            }
        }
        for entity in &commit.entities {
            let (family, key) = schema::entity_key(&entity.key());
            batch.put_cf(&database.family(family)?, key, schema::write_entity(entity)?);
            match schema::open_entry(entity) {
                Some((index, key, true)) => batch.put_cf(&database.family(index)?, key, []),
                Some((index, key, false)) => batch.delete_cf(&database.family(index)?, key),
                None => {}
            }
        }
        Ok(())
    }

    /// What an index of open things names, behind this number.
    fn open_ones(
        &self,
        index: &str,
        after: Option<u64>,
        limit: usize,
        key: fn(u64) -> Key,
    ) -> Result<Vec<Entity>, StoreError> {
        let Some(from) = after.map_or(Some(0), |after| after.checked_add(1)) else { return Ok(Vec::new()) };
        let view = self.journalled.view();
        let found = view.scan(index, &from.to_be_bytes(), None, IteratorMode::Start)?.take(limit.min(MAX_LISTED));
        let keys = found.map(|item| {
            let (octets, _) = item?;
            schema::read_number(&octets).map(key).ok_or_else(|| damaged(index, &octets, "is no key"))
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let missing = |key: &Key| StoreError::Corrupt(format!("{key:?} is missing, though {index} has it"));
        let found = entities_of(&view, &keys)?.into_iter().zip(&keys);
        found.map(|(entity, key)| entity.ok_or_else(|| missing(key))).collect()
    }
}

fn entities_of(view: &View<'_>, keys: &[Key]) -> Result<Vec<Option<Entity>>, StoreError> {
    let places: Vec<_> = keys.iter().map(schema::entity_key).collect();
    let values = view.values(&places)?.into_iter().zip(keys.iter().zip(&places));
    values
        .map(|(value, (key, (family, octets)))| {
            let read = |value: Vec<u8>| schema::read_entity(key, &value).map_err(|what| damaged(family, octets, &what));
            value.map(read).transpose()
        })
        .collect()
}

impl TrustStore for RocksTrustStore {
    fn head(&self) -> Result<JournalHead, StoreError> {
        self.journalled.view().head()
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Entity>>, StoreError> {
        entities_of(&self.journalled.view(), keys)
    }

    fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        if commit.agents.len() != commit.rows.len() {
            return Err(CommitError::NotWritten("not every row says whom it is about".into()));
        }
        self.journalled.commit((&commit.base, &commit.rows, &commit.head), |batch| self.fill(batch, &commit))
    }

    fn rows(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.journalled.view().rows(from, limit)
    }

    fn rows_of(&self, agent: &AgentUri, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let view = self.journalled.view();
        let (from, to) = (schema::agent_key(agent, from), schema::behind_agent(agent));
        let numbers = view.scan(BY_AGENT, &from, Some(&to), IteratorMode::Start)?.take(limit).map(|item| {
            let (key, _) = item?;
            schema::read_number(&key).ok_or_else(|| damaged(BY_AGENT, &key, "is no key"))
        });
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<_> = numbers.iter().map(|number| (LEDGER, number.to_be_bytes().to_vec())).collect();
        let missing = |number| StoreError::Corrupt(format!("row {number} of the ledger is missing"));
        let found = view.values(&keys)?.into_iter().zip(numbers);
        found.map(|(row, number)| Ok((number, row.ok_or_else(|| missing(number))?))).collect()
    }

    fn accounts(&self, after: Option<&AgentUri>, limit: usize) -> Result<Vec<Account>, StoreError> {
        // The first key behind another one is that one with an octet more.
        let from = after.map_or_else(Vec::new, |after| [after.as_str().as_bytes(), &[0]].concat());
        let view = self.journalled.view();
        let found = view.scan(ACCOUNTS, &from, None, IteratorMode::Start)?.take(limit.min(MAX_LISTED));
        found
            .map(|item| {
                let (key, value) = item?;
                schema::read(&value).map_err(|what| damaged(ACCOUNTS, &key, &what))
            })
            .collect()
    }

    fn reporters(&self) -> Result<Vec<ReporterRecord>, StoreError> {
        let view = self.journalled.view();
        view.scan(REPORTERS, &[], None, IteratorMode::Start)?
            .map(|item| {
                let (key, value) = item?;
                schema::read(&value).map_err(|what| damaged(REPORTERS, &key, &what))
            })
            .collect()
    }

    fn open_incidents(&self, after: Option<u64>, limit: usize) -> Result<Vec<Incident>, StoreError> {
        let found = self.open_ones(OPEN_INCIDENTS, after, limit, Key::Incident)?;
        Ok(found.into_iter().filter_map(|e| if let Entity::Incident(i) = e { Some(i) } else { None }).collect())
    }

    fn open_reviews(&self, after: Option<u64>, limit: usize) -> Result<Vec<Review>, StoreError> {
        let found = self.open_ones(OPEN_REVIEWS, after, limit, Key::Review)?;
        Ok(found.into_iter().filter_map(|e| if let Entity::Review(r) = e { Some(r) } else { None }).collect())
    }
}
