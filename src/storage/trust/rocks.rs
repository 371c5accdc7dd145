//! FACADE
use std::path::Path;

use crate::journal::{CommitError, JournalHead};
use crate::storage::database::OpenError;
use crate::trust::ports::{
    Account, AgentUri, Commit, Entity, Incident, Key, ReporterRecord, Review, StoreError, TrustStore,
};

/// A trust engine in one RocksDB directory. The directory is locked: a second process cannot open it.
pub struct RocksTrustStore {}

#[allow(unused_variables)]
impl RocksTrustStore {
    /// Opens the database in `path`, making it if there is none.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        unimplemented!()
    }
    /// Opens the database in `path` for reading alone.
    pub fn open_read_only(path: &Path) -> Result<Self, OpenError> {
        unimplemented!()
    }
    /// Writes everything that is in memory to its files.
    pub fn flush(&self) -> Result<(), StoreError> {
        unimplemented!()
    }
    /// What first speaks against this store holding these entities and nothing else.
    pub fn difference<'e>(&self, entities: impl Iterator<Item = &'e Entity>) -> Result<Option<String>, StoreError> {
        unimplemented!()
    }
}

#[allow(unused_variables)]
impl TrustStore for RocksTrustStore {
    fn head(&self) -> Result<JournalHead, StoreError> {
        unimplemented!()
    }
    fn load(&self, keys: &[Key]) -> Result<Vec<Option<Entity>>, StoreError> {
        unimplemented!()
    }
    fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        unimplemented!()
    }
    fn rows(&self, from: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        unimplemented!()
    }
    fn rows_of(&self, agent: &AgentUri, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        unimplemented!()
    }
    fn accounts(&self, after: Option<&AgentUri>, limit: usize) -> Result<Vec<Account>, StoreError> {
        unimplemented!()
    }
    fn reporters(&self) -> Result<Vec<ReporterRecord>, StoreError> {
        unimplemented!()
    }
    fn open_incidents(&self, after: Option<u64>, limit: usize) -> Result<Vec<Incident>, StoreError> {
        unimplemented!()
    }
    fn open_reviews(&self, after: Option<u64>, limit: usize) -> Result<Vec<Review>, StoreError> {
        unimplemented!()
    }
}
