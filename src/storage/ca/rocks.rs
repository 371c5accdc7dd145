//! A CA in RocksDB: one synced write batch per commit.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rocksdb::{DBRawIteratorWithThreadMode, IteratorMode, WriteBatch};

pub use super::super::database::OpenError;
use super::super::database::{Kind, Rocks, Shape, Table, store_error};
use super::super::journalled::{self, Journalled, Layout, View};
use super::schema::{self, FORMAT, Family, IndexEntry};
use crate::ca::ports::{
    AgentUri, CaStore, CertificateRecord, CertificateSearch, Children, Commit, CommitError, Entity, JournalHead, Key,
    MAX_LISTED, Request, RequestId, RevocationRecord, Serial, StoreError,
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
        table(Family::Children, Shape::Compressible),
        table(Family::Revocations, Shape::Compressible),
        table(Family::ByEnd, Shape::Plain),
    ],
};

static LAYOUT: Layout =
    Layout { kind: &KIND, format: FORMAT, state: Family::State.name(), rows: Family::Journal.name() };

const fn table(family: Family, shape: Shape) -> Table {
    Table { name: family.name(), shape }
}

/// A CA in one RocksDB directory. The directory is locked: a second process cannot open it.
pub struct RocksCaStore {
    journalled: Journalled,
}

impl RocksCaStore {
    /// Opens the database in `path`, making it if there is none: for its owner alone, as the journal names
    /// people.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Journalled::open(path, &LAYOUT).map(|journalled| Self { journalled })
    }

    /// Opens the database in `path`, which must be there, for reading alone: nothing in it
    /// changes, and a commit fails. No CA can work on it meanwhile.
    pub fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        Journalled::open_read_only(path, &LAYOUT).map(|journalled| Self { journalled })
    }

    /// Writes everything that is in memory to its files, so that the write-ahead log can go.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.journalled.database.flush()
    }

    /// What first speaks against this store holding these entities, each in its places in the indexes,
    /// and nothing else; `None` where nothing does.
    pub fn difference<'e>(&self, entities: impl Iterator<Item = &'e Entity>) -> Result<Option<String>, StoreError> {
        let view = self.journalled.view();
        let mut sizes = BTreeMap::from([(Family::Journal, view.head()?.rows)]);
        for entity in entities {
            let key = entity.key();
            // Children follow from the agents below, each of which is looked at.
            let Some((family, _)) = schema::entity_key(&key) else { continue };
            *sizes.entry(family).or_default() += 1;
            if entities_of(&view, std::slice::from_ref(&key))?.first().and_then(Option::as_ref) != Some(entity) {
                return Ok(Some(format!("{key:?} is not kept as the journal tells it")));
            }
            for entry in schema::index_entries(entity) {
                *sizes.entry(entry.family).or_default() += u64::from(entry.value.is_some());
                if self.journalled.database.get(entry.family.name(), &entry.key)? != entry.value {
                    return Ok(Some(format!("{key:?} is not in its place in {}", entry.family.name())));
                }
            }
        }
        // All that follows is there, so what is more than that is what nobody recorded.
        for family in Family::ALL.into_iter().filter(|family| *family != Family::State) {
            let kept = view.count(family.name())?;
            let expected = sizes.get(&family).copied().unwrap_or_default();
            if kept != expected {
                let name = family.name();
                return Ok(Some(format!("{kept} entries are kept in {name}, and {expected} follow from the journal")));
            }
        }
        Ok(None)
    }

    /// Puts the entities of a commit into their places.
    fn fill(&self, batch: &mut WriteBatch, commit: &Commit) -> Result<(), StoreError> {
        let unwritable = |e: serde_json::Error| StoreError::Unavailable(format!("JSON cannot be written: {e}"));
        let family = |family: Family| self.journalled.database.family(family.name());
        let mut earlier = self.movable(commit)?;
        for entity in &commit.entities {
            let Some(written) = schema::write_entity(entity).map_err(unwritable)? else { continue };
            batch.put_cf(&family(written.family)?, written.key, written.value);
            // Before the new places are put in: some may be the same.
            if let Some(earlier) = earlier.get_mut(&entity.key()) {
                for left in std::mem::replace(earlier, schema::index_entries(entity)) {
                    batch.delete_cf(&family(left.family)?, left.key);
                }
            }
            for entry in schema::index_entries(entity) {
                let index = family(entry.family)?;
                match entry.value {
                    Some(value) => batch.put_cf(&index, entry.key, value),
                    None => batch.delete_cf(&index, entry.key),
                }
            }
        }
        Ok(())
    }

    /// What the indexes say at present of those entities of a commit that may have other places behind it. Only
    /// the writer changes them, so this holds until the batch is written.
    fn movable(&self, commit: &Commit) -> Result<BTreeMap<Key, Vec<IndexEntry>>, StoreError> {
        let keys: Vec<Key> = commit.entities.iter().filter(|entity| schema::moves(entity)).map(Entity::key).collect();
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let found = entities_of(&self.journalled.view(), &keys)?;
        let places = |entity: Option<Entity>| entity.as_ref().map(schema::index_entries).unwrap_or_default();
        Ok(keys.into_iter().zip(found.into_iter().map(places)).collect())
    }
}

impl CaStore for RocksCaStore {
    fn head(&self) -> Result<JournalHead, StoreError> {
        self.journalled.view().head()
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Entity>>, StoreError> {
        entities_of(&self.journalled.view(), keys)
    }

    fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let rows = (&commit.base, commit.rows.as_slice(), &commit.head);
        self.journalled.commit(rows, |batch| self.fill(batch, &commit))
    }

    fn journal(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.journalled.view().rows(from, limit)
    }

    fn open_requests(&self, after: Option<(UnixMillis, RequestId)>, limit: usize) -> Result<Vec<Request>, StoreError> {
        let view = self.journalled.view();
        // The first key behind another one is that one with an octet more.
        let from = after.map_or_else(Vec::new, |(at, id)| [&schema::open_key(at, &id)[..], &[0]].concat());
        let found = view.scan(Family::OpenRequests.name(), &from, None, IteratorMode::Start)?.take(limit);
        let keys = found.map(|item| {
            let (key, _) = item?;
            let id = schema::read_open_key(&key).ok_or_else(|| damaged(Family::OpenRequests, &key, "is no key"))?;
            Ok(Key::Request(id))
        });
        let found = indexed(&view, Family::OpenRequests, &keys.collect::<Result<Vec<_>, _>>()?)?;
        Ok(found
            .into_iter()
            .filter_map(|entity| if let Entity::Request(r) = entity { Some(r) } else { None })
            .collect())
    }

    fn certificates(&self, search: &CertificateSearch) -> Result<Vec<CertificateRecord>, StoreError> {
        let Some(stretch) = schema::stretch(search) else { return Ok(Vec::new()) };
        let view = self.journalled.view();
        let found = view.scan(stretch.family.name(), &stretch.from, stretch.to.as_deref(), IteratorMode::End)?;
        let keys = found.take(search.limit.min(MAX_LISTED)).map(|item| {
            let (key, _) = item?;
            let serial = key.get(stretch.prefix.len()..).and_then(schema::read_moment_key);
            Ok(Key::Certificate(serial.ok_or_else(|| damaged(stretch.family, &key, "is no key"))?))
        });
        let found = indexed(&view, stretch.family, &keys.collect::<Result<Vec<_>, _>>()?)?;
        let certificate = |entity| if let Entity::Certificate(c) = entity { Some(c) } else { None };
        Ok(found.into_iter().filter_map(certificate).collect())
    }

    fn revocations(
        &self,
        ends: UnixMillis,
        after: Option<(UnixMillis, Serial)>,
        limit: usize,
    ) -> Result<Vec<RevocationRecord>, StoreError> {
        let view = self.journalled.view();
        // The first key behind another one is that one with an octet more.
        let behind = after.map(|(end, serial)| [&schema::moment_key(end, &serial)[..], &[0]].concat());
        let from = behind.into_iter().chain([ends.get().to_be_bytes().to_vec()]).max().unwrap_or_default();
        let found = view.scan(Family::ByEnd.name(), &from, None, IteratorMode::Start)?.take(limit);
        let keys = found.map(|item| {
            let (key, _) = item?;
            let serial = schema::read_moment_key(&key).ok_or_else(|| damaged(Family::ByEnd, &key, "is no key"))?;
            Ok(Key::Revocation(serial))
        });
        let found = indexed(&view, Family::ByEnd, &keys.collect::<Result<Vec<_>, _>>()?)?;
        let revocation = |entity| if let Entity::Revocation(r) = entity { Some(r) } else { None };
        Ok(found.into_iter().filter_map(revocation).collect())
    }

    fn serial_of(&self, fingerprint: &[u8; 32]) -> Result<Option<Serial>, StoreError> {
        let found = self.journalled.database.get(Family::ByFingerprint.name(), fingerprint)?;
        let damaged = |e| damaged(Family::ByFingerprint, fingerprint, &format!("is no serial number ({e})"));
        found.map(|octets| Serial::from_bytes(&octets).map_err(damaged)).transpose()
    }
}

/// What is kept under these keys: all that has a place of its own is asked for at once, and the children of
/// however many agents are found by one iterator.
fn entities_of(view: &View<'_>, keys: &[Key]) -> Result<Vec<Option<Entity>>, StoreError> {
    let places: Vec<Option<(Family, Vec<u8>)>> = keys.iter().map(schema::entity_key).collect();
    let own: Vec<_> = places.iter().flatten().map(|(family, key)| (family.name(), key)).collect();
    let mut values = view.values(&own)?.into_iter();
    let mut children = None;
    let mut found = Vec::with_capacity(keys.len());
    for (key, place) in keys.iter().zip(&places) {
        found.push(match (key, place) {
            (Key::Children(parent), _) => {
                let index = match &mut children {
                    Some(index) => index,
                    none => none.insert(view.cursor(Family::Children.name())?),
                };
                Some(Entity::Children(children_of(parent, index)?))
            }
            (_, Some((family, octets))) => {
                let read =
                    |value: Vec<u8>| schema::read_entity(key, &value).map_err(|what| damaged(*family, octets, &what));
                values.next().flatten().map(read).transpose()?
            }
            (_, None) => None,
        });
    }
    Ok(found)
}

/// What the keys of an index speak of, which must be there.
fn indexed(view: &View<'_>, index: Family, keys: &[Key]) -> Result<Vec<Entity>, StoreError> {
    let missing = |key: &Key| {
        let (family, octets) = schema::entity_key(key).unwrap_or((index, Vec::new()));
        damaged(family, &octets, &format!("is missing, though {} has it", index.name()))
    };
    let found = entities_of(view, keys)?.into_iter().zip(keys);
    found.map(|(entity, key)| entity.ok_or_else(|| missing(key))).collect()
}

/// The agents below this parent, by an iterator over `children` that may stand anywhere.
fn children_of(parent: &AgentUri, index: &mut DBRawIteratorWithThreadMode<'_, Rocks>) -> Result<Children, StoreError> {
    let prefix = schema::agent_prefix(parent.as_str());
    let mut agents = BTreeSet::new();
    index.seek(&prefix);
    while let Some(key) = index.key() {
        let Some(child) = key.strip_prefix(&prefix[..]) else { break };
        agents.insert(schema::read_child(child).ok_or_else(|| damaged(Family::Children, key, "is no key"))?);
        index.next();
    }
    // An iterator that stops may have failed: a descendant that is not seen would escape.
    index.status().map_err(store_error)?;
    Ok(Children { parent: parent.clone(), agents })
}

fn damaged(family: Family, key: &[u8], what: &str) -> StoreError {
    journalled::damaged(family.name(), key, what)
}
