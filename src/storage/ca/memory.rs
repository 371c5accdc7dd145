//! A CA's store in memory that fails on demand, for tests of everything that stands on the port.

use std::collections::BTreeMap;

use parking_lot::Mutex;

pub use super::super::memory::Fault;
use super::super::memory::Faults;
use crate::ca::ports::{
    CaStore, CertificateRecord, CertificateSearch, Commit, CommitError, Entity, JournalHead, Key, MAX_LISTED, Place,
    Request, RequestId, RevocationRecord, Serial, StoreError,
};
use crate::time::UnixMillis;

/// A call of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// [`CaStore::head`]
    Head,
    /// [`CaStore::load`]
    Load,
    /// [`CaStore::commit`]
    Commit,
    /// [`CaStore::journal`]
    Journal,
    /// [`CaStore::open_requests`]
    OpenRequests,
    /// [`CaStore::certificates`]
    Certificates,
    /// [`CaStore::serial_of`]
    SerialOf,
}

#[derive(Clone, Default)]
struct Kept {
    head: JournalHead,
    rows: Vec<Vec<u8>>,
    entities: BTreeMap<Key, Entity>,
    commits: usize,
}

/// The store.
///
/// A call that reads fails as [`StoreError::Unavailable`] or, with [`Fault::Lost`] and
/// [`Fault::Persisted`], as [`StoreError::Corrupt`]. A commit fails as [`CommitError::NotWritten`] or,
/// with those two, as [`CommitError::Unknown`].
#[derive(Default)]
pub struct MemoryCaStore {
    kept: Mutex<Kept>,
    faults: Mutex<Faults<Call>>,
}

impl MemoryCaStore {
    /// Lets the `nth` call from now of this kind fail (0 is the next), once.
    pub fn fail(&self, call: Call, nth: usize, fault: Fault) {
        self.faults.lock().plan(call, nth, fault);
    }

    /// Commits made so far.
    pub fn commits(&self) -> usize {
        self.kept.lock().commits
    }

    /// Changes a row of the journal as a failing disk would, or somebody who has reason to.
    pub fn tamper(&self, row: usize, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.kept.lock().rows.get_mut(row).map(change).is_some()
    }

    /// A copy of all that is stored, without faults: what a new start finds.
    pub fn copy(&self) -> Self {
        Self { kept: Mutex::new(self.kept.lock().clone()), faults: Mutex::default() }
    }

    fn read(&self, call: Call) -> Result<(), StoreError> {
        self.faults.lock().read(call)
    }
}

impl Kept {
    fn apply(&mut self, commit: Commit) {
        self.rows.extend(commit.rows);
        self.entities.extend(commit.entities.into_iter().map(|entity| (entity.key(), entity)));
        self.head = commit.head;
        self.commits += 1;
    }

    fn certificates(&self) -> impl Iterator<Item = &CertificateRecord> {
        self.entities.values().filter_map(|entity| match entity {
            Entity::Certificate(certificate) => Some(certificate),
            _ => None,
        })
    }
}

impl CaStore for MemoryCaStore {
    fn head(&self) -> Result<JournalHead, StoreError> {
        self.read(Call::Head)?;
        Ok(self.kept.lock().head)
    }

    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Entity>>, StoreError> {
        self.read(Call::Load)?;
        let kept = self.kept.lock();
        Ok(keys.iter().map(|key| kept.entities.get(key).cloned()).collect())
    }

    fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let fault = self.faults.lock().next(Call::Commit);
        let mut kept = self.kept.lock();
        commit.base.check_commit(&kept.head, &commit.rows, &commit.head)?;
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

    fn journal(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(Call::Journal)?;
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(self.kept.lock().rows.iter().skip(from).take(limit).cloned().collect())
    }

    fn open_requests(&self, after: Option<(UnixMillis, RequestId)>, limit: usize) -> Result<Vec<Request>, StoreError> {
        self.read(Call::OpenRequests)?;
        let kept = self.kept.lock();
        let mut found: Vec<&Request> = kept
            .entities
            .values()
            .filter_map(|entity| match entity {
                Entity::Request(request) if request.state.is_open() => Some(request),
                _ => None,
            })
            .filter(|request| after.is_none_or(|after| (request.received_at, request.id) > after))
            .collect();
        found.sort_by_key(|request| (request.received_at, request.id));
        Ok(found.into_iter().take(limit).cloned().collect())
    }

    fn certificates(&self, search: &CertificateSearch) -> Result<Vec<CertificateRecord>, StoreError> {
        self.read(Call::Certificates)?;
        let kept = self.kept.lock();
        let place = |c: &CertificateRecord| Place { signed_at: c.signed_at, serial: c.serial };
        let mut found: Vec<&CertificateRecord> = kept
            .certificates()
            .filter(|c| search.agent.as_ref().is_none_or(|agent| c.agent == *agent))
            .filter(|c| search.since.is_none_or(|since| c.signed_at >= since))
            .filter(|c| search.until.is_none_or(|until| c.signed_at < until))
            .filter(|c| search.after.is_none_or(|after| place(c) < after))
            .collect();
        found.sort_by_key(|c| std::cmp::Reverse(place(c)));
        Ok(found.into_iter().take(search.limit.min(MAX_LISTED)).cloned().collect())
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
        self.read(Call::SerialOf)?;
        let is_it = |c: &&CertificateRecord| c.issued().is_some_and(|issued| issued.fingerprint == *fingerprint);
        Ok(self.kept.lock().certificates().find(is_it).map(|c| c.serial))
    }
}
