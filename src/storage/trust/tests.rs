//! Both stores, held to the same.

use super::memory::{Call, Fault, MemoryTrustStore};
use super::rocks::RocksTrustStore;
use crate::journal::{CommitError, JournalHead};
use crate::log::store::StoreError;
use crate::storage::ca::journal_file::JournalFile;
use crate::trust::ports::{AgentUri, Commit, Entity, Key, TrustStore};
use crate::trust::signal::Kind::{SecurityIncident, Success};
use crate::trust::testing::{World, agent};

/// A small history: accounts, signals, an incident that is open and reviews.
fn world() -> World {
    let mut world = World::new(2);
    world.assess(1, 50);
    world.assess(2, 50);
    for from in [1, 2] {
        (0..9).for_each(|_| drop(world.signal(from, 1, Success, Some(4)).unwrap()));
    }
    world.signal(1, 2, SecurityIncident, None).unwrap();
    world
}

fn commit(world: &World) -> Commit {
    Commit {
        base: JournalHead::default(),
        rows: world.rows.clone(),
        agents: world.ledger().iter().map(|row| row.event.agent().cloned()).collect(),
        head: world.head,
        entities: world.kept.values().cloned().collect(),
    }
}

fn tells_what_it_was_told(store: &dyn TrustStore) {
    let world = world();
    assert_eq!(store.head(), Ok(JournalHead::default()));
    store.commit(commit(&world)).unwrap();
    assert_eq!(store.head(), Ok(world.head));
    assert_eq!(store.rows(0, usize::MAX).unwrap(), world.rows);
    assert_eq!(store.rows(3, 2).unwrap(), world.rows[3..5]);
    let keys: Vec<Key> = world.kept.keys().cloned().chain([Key::Incident(999)]).collect();
    let expected: Vec<Option<Entity>> = world.kept.values().cloned().map(Some).chain([None]).collect();
    assert_eq!(store.load(&keys).unwrap(), expected);
    let of = |about: &AgentUri| -> Vec<(u64, Vec<u8>)> {
        let rows = world.ledger();
        let rows = rows.iter().filter(|row| row.event.agent() == Some(about));
        rows.map(|row| (row.row, world.rows[row.row as usize].clone())).collect()
    };
    assert_eq!(store.rows_of(&agent(1), 0, 1000).unwrap(), of(&agent(1)));
    assert_eq!(store.rows_of(&agent(2), 2, 1).unwrap(), of(&agent(2))[1..2]);
    assert_eq!(store.rows_of(&agent(3), 0, 1000).unwrap(), []);
    let agents = |after: Option<&AgentUri>| -> Vec<AgentUri> {
        store.accounts(after, 10).unwrap().into_iter().map(|account| account.agent).collect()
    };
    assert_eq!(agents(None), [agent(1), agent(2)]);
    assert_eq!(agents(Some(&agent(1))), [agent(2)]);
    assert_eq!(store.reporters().unwrap().len(), 2);
    let incidents = store.open_incidents(None, 10).unwrap();
    assert_eq!(incidents.len(), 1);
    assert_eq!(store.open_incidents(Some(incidents[0].id), 10).unwrap(), []);
    assert_eq!(store.open_incidents(Some(u64::MAX), 10).unwrap(), []);
    let reviews = store.open_reviews(None, 100).unwrap();
    assert!(reviews.len() > 2);
    assert_eq!(store.open_reviews(Some(reviews[0].id), 1).unwrap(), reviews[1..2]);
    // Only what follows is taken, and by one writer.
    let again = store.commit(commit(&world));
    assert_eq!(again, Err(CommitError::Fenced { expected: 0, found: world.head.rows }));
    let (base, head) = (world.head, JournalHead { rows: world.head.rows + 1, ..world.head });
    let wrong = Commit { base, rows: vec![b"x".to_vec()], agents: vec![None], head, entities: Vec::new() };
    assert!(matches!(store.commit(wrong), Err(CommitError::NotWritten(_))));
}

#[test]
fn memory_tells_what_it_was_told() {
    tells_what_it_was_told(&MemoryTrustStore::default());
}

#[test]
fn rocks_tells_what_it_was_told_and_again_after_a_new_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trust");
    tells_what_it_was_told(&RocksTrustStore::open(&path).unwrap());
    let world = world();
    let store = RocksTrustStore::open(&path).unwrap();
    assert_eq!(store.rows(0, usize::MAX).unwrap(), world.rows);
    assert_eq!(store.difference(world.kept.values()), Ok(None));
    let fewer = store.difference(world.kept.values().skip(1)).unwrap().unwrap();
    assert!(fewer.contains("follow from the ledger"), "{fewer}");
    drop(store);
    let store = RocksTrustStore::open_read_only(&path).unwrap();
    assert!(matches!(store.commit(commit(&world)), Err(CommitError::NotWritten(_))));
    drop(store);
    // The CA's program does not take it for its own.
    assert!(crate::storage::ca::rocks::RocksCaStore::open(&path).is_err());
}

#[test]
fn an_older_copy_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let file = JournalFile::beside_trust(&dir.path().join("trust"));
    let (store, world) = (MemoryTrustStore::default(), world());
    let older = store.copy();
    assert_eq!(file.check_trust(&store), Ok(()));
    store.commit(commit(&world)).unwrap();
    file.keep(&world.head).unwrap();
    assert_eq!(file.check_trust(&store), Ok(()));
    assert!(matches!(file.check_trust(&older), Err(StoreError::Corrupt(_))));
    // A CA's file is no engine's.
    assert!(JournalFile::beside(&dir.path().join("trust")).load().is_err());
}

#[test]
fn memory_fails_as_it_is_told() {
    let (store, world) = (MemoryTrustStore::default(), world());
    store.fail(Call::Commit, 0, Fault::Unavailable);
    assert!(matches!(store.commit(commit(&world)), Err(CommitError::NotWritten(_))));
    store.fail(Call::Commit, 0, Fault::Persisted);
    assert!(matches!(store.commit(commit(&world)), Err(CommitError::Unknown(_))));
    assert_eq!((store.head(), store.commits()), (Ok(world.head), 1));
}
