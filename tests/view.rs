//! How much of a log one answer shows.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used)]

use atl::log::entry::{CertHash, EntryType, Fingerprint, Record};
use atl::log::store::{Commit, LogStore, NewEntry, TreeState};
use atl::log::view::View;
use atl::merkle::{LeafIndex, TreeSize};
use atl::storage::memory::MemoryStore;
use atl::time::UnixMillis;

/// A store of `count` entries of `octets` each, below one chain certificate of `issuer` octets.
fn store(count: u64, octets: usize, issuer: usize) -> MemoryStore {
    let issuer = vec![7; issuer];
    let print = Fingerprint::of_certificate(&issuer);
    let entry = |index: u64| {
        let mut submission = vec![0; octets.max(8)];
        submission[..8].copy_from_slice(&index.to_be_bytes());
        let cert_hash = CertHash::of_certificate(&submission);
        let timestamp = UnixMillis::default();
        let record = Record { timestamp, entry_type: EntryType::Precertificate, cert_hash, chain: vec![print] };
        NewEntry { leaf_hash: cert_hash.leaf_hash(), record, submission }
    };
    let store = MemoryStore::default();
    let mut commit = Commit::on(TreeState::empty());
    commit.tree.size = TreeSize::new(count);
    commit.entries = (0..count).map(entry).collect();
    commit.issuers = vec![(print, issuer)];
    store.commit(commit).unwrap();
    store
}

fn shown(store: &MemoryStore) -> usize {
    let all = View::new(store, TreeSize::new(128)).entries(LeafIndex::new(0), LeafIndex::new(100)).unwrap().unwrap();
    assert!((0..).zip(&all).all(|(index, entry)| entry.index.get() == index));
    all.len()
}

#[test]
fn chains_count_each_time_they_are_repeated() {
    assert_eq!(shown(&store(128, 10, 10)), 101);
    assert_eq!(shown(&store(128, 10, 1 << 20)), 8);
    assert_eq!(shown(&store(128, 10, 9 << 20)), 1, "one entry is always shown");
}

#[test]
fn large_entries_are_fewer() {
    assert_eq!(shown(&store(128, 200 << 10, 10)), 41);
}
