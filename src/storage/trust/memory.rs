//! A trust engine's store in memory that fails on demand, for tests of everything that stands on the port.

use std::collections::BTreeMap;
use std::ops::Bound;

use parking_lot::Mutex;

pub use super::super::memory::Fault;
use super::super::memory::Faults;
use crate::trust::ports::{
    Account, AgentUri, Commit, CommitError, Entity, Incident, IncidentState, JournalHead, Key, MAX_LISTED,
    ReporterRecord, Review, ReviewState, StoreError, TrustStore,
};

/// A call of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`TrustStore::head`]
    Head,
    /// [`TrustStore::load`]
    Load,
    /// [`TrustStore::commit`]
    Commit,
    /// [`TrustStore::rows`] and [`TrustStore::rows_of`]
    Rows,
    /// Every call that lists.
    List,
}

#[derive(Clone, Default)]
struct Kept {
    head: JournalHead,
    rows: Vec<(Option<AgentUri>, Vec<u8>)>,
    entities: BTreeMap<Key, Entity>,
    commits: usize,
    loads: usize,
}

/// The store.
///
/// A call that reads fails as [`StoreError::Unavailable`] or, with [`Fault::Lost`] and
/// [`Fault::Persisted`], as [`StoreError::Corrupt`]. A commit fails as [`CommitError::NotWritten`] or,
/// with those two, as [`CommitError::Unknown`].
#[derive(Default)]
pub struct MemoryTrustStore {
    kept: Mutex<Kept>,
    faults: Mutex<Faults<Call>>,
}

impl MemoryTrustStore {
    /// Lets the `nth` call from now of this kind fail (0 is the next), once.
    pub fn fail(&self, call: Call, nth: usize, fault: Fault) {
        self.faults.lock().plan(call, nth, fault);
    }

    /// Commits made so far.
    pub fn commits(&self) -> usize {
        self.kept.lock().commits
    }

    /// Keys asked for so far.
    pub fn loads(&self) -> usize {
        self.kept.lock().loads
    }

    /// Everything that is kept, by its key.
    pub fn entities(&self) -> Vec<Entity> {
        self.kept.lock().entities.values().cloned().collect()
    }

    /// Changes a row of the ledger as a failing disk would, or somebody who has reason to.
    pub fn tamper(&self, row: usize, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.kept.lock().rows.get_mut(row).map(|(_, row)| change(row)).is_some()
    }

    /// A copy of all that is stored, without faults: what a new start finds.
    pub fn copy(&self) -> Self {
        Self { kept: Mutex::new(self.kept.lock().clone()), faults: Mutex::default() }
    }

    fn read(&self, call: Call) -> Result<(), StoreError> {
        self.faults.lock().read(call)
    }

    fn listed<T>(&self, pick: impl Fn(&Entity) -> Option<T>, limit: usize) -> Result<Vec<T>, StoreError> {
        self.read(Call::List)?;
        Ok(self.kept.lock().entities.values().filter_map(pick).take(limit.min(MAX_LISTED)).collect())
    }
}

impl Kept {
    fn apply(&mut self, commit: Commit) {
        self.rows.extend(commit.agents.into_iter().zip(commit.rows));
        self.entities.extend(commit.entities.into_iter().map(|entity| (entity.key(), entity)));
        self.head = commit.head;
        self.commits += 1;
    }
}

impl TrustStore for MemoryTrustStore {
    fn head(&self) -> Result<JournalHead, StoreError> {
        self.read(Call::Head)?;
        Ok(self.kept.lock().head)
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Entity>>, StoreError> {
        self.read(Call::Load)?;
        let mut kept = self.kept.lock();
        kept.loads += keys.len();
        Ok(keys.iter().map(|key| kept.entities.get(key).cloned()).collect())
    }

    fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let fault = self.faults.lock().next(Call::Commit);
        let mut kept = self.kept.lock();
        commit.base.check_commit(&kept.head, &commit.rows, &commit.head)?;
        if commit.agents.len() != commit.rows.len() {
            return Err(CommitError::NotWritten("not every row says whom it is about".into()));
        }
        let injected = || "injected".to_owned();
        match fault {
            None => kept.apply(commit),
            Some(Fault::Unavailable) => return Err(CommitError::NotWritten(injected())),
            Some(Fault::Lost) => return Err(CommitError::Unknown(injected())),
            Some(Fault::Persisted) => {
                kept.apply(commit);
                return Err(CommitError::Unknown(injected()));
            }
        }
        Ok(())
    }

    fn rows(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(Call::Rows)?;
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(self.kept.lock().rows.iter().skip(from).take(limit).map(|(_, row)| row.clone()).collect())
    }

    fn rows_of(&self, agent: &AgentUri, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.read(Call::Rows)?;
        let kept = self.kept.lock();
        let rows =
            (0..).zip(&kept.rows).filter(|(number, (about, _))| *number >= from && about.as_ref() == Some(agent));
        Ok(rows.take(limit).map(|(number, (_, row))| (number, row.clone())).collect())
    }

    fn accounts(&self, after: Option<&AgentUri>, limit: usize) -> Result<Vec<Account>, StoreError> {
        self.read(Call::List)?;
        let kept = self.kept.lock();
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(Key::Account(after.clone())));
        let found = kept.entities.range((from, Bound::Unbounded)).filter_map(|(_, entity)| match entity {
            Entity::Account(account) => Some(Account::clone(account)),
            _ => None,
        });
        Ok(found.take(limit.min(MAX_LISTED)).collect())
    }

    fn reporters(&self) -> Result<Vec<ReporterRecord>, StoreError> {
        let pick = |entity: &Entity| if let Entity::Reporter(r) = entity { Some(r.clone()) } else { None };
        self.listed(pick, MAX_LISTED)
    }

    fn open_incidents(&self, after: Option<u64>, limit: usize) -> Result<Vec<Incident>, StoreError> {
        let pick = |entity: &Entity| match entity {
            Entity::Incident(i) if i.state == IncidentState::Open && Some(i.id) > after => Some(i.clone()),
            _ => None,
        };
        self.listed(pick, limit)
    }

    fn open_reviews(&self, after: Option<u64>, limit: usize) -> Result<Vec<Review>, StoreError> {
        let pick = |entity: &Entity| match entity {
            Entity::Review(r) if r.state == ReviewState::Open && Some(r.id) > after => Some(r.clone()),
            _ => None,
        };
        self.listed(pick, limit)
    }
}
