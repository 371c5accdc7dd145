//! RocksDB: synced commits, and proofs out of a filled store. They cost what the disk costs, so
//! say which one with every number. `ATL_BENCH_LARGE=1` fills a second store with a million.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod common;

use std::collections::HashSet;

use atl::log::store::{Commit, LogStore, TreeState};
use atl::log::view::View;
use atl::merkle::{Edge, Hash};
use atl::sequencer::plan::plan;
use atl::storage::rocks::RocksStore;
use atl::time::UnixMillis;
use common::{Submissions, short};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// A store, and what the next commit builds on.
struct Filled {
    store: RocksStore,
    submissions: Submissions,
    edge: Edge,
    tree: TreeState,
    _dir: tempfile::TempDir,
}

impl Filled {
    fn new(entries: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = RocksStore::open(dir.path()).unwrap();
        let (edge, tree) = (Edge::empty(), TreeState::empty());
        let mut filled = Self { store, submissions: Submissions::new(), edge, tree, _dir: dir };
        for _ in 0..entries.div_ceil(4096) {
            let commit = filled.next(4096);
            filled.store.commit(commit).unwrap();
        }
        filled
    }

    /// The commit of `count` new entries; it has to be made before the next one is asked for.
    fn next(&mut self, count: usize) -> Commit {
        let (batch, now) = (self.submissions.take(count), UnixMillis::new(1));
        let plan = plan((&self.edge, &self.tree), batch, &vec![None; count], &HashSet::new(), now, now).unwrap();
        let commit = plan.commit.unwrap();
        (self.edge, self.tree) = (plan.edge, commit.tree);
        commit
    }
}

fn commits(c: &mut Criterion) {
    let mut group = c.benchmark_group("storage/synced commit");
    for count in [1, 128, 4096] {
        let mut filled = Filled::new(0);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            let filled = std::cell::RefCell::new(&mut filled);
            let commit = |commit| filled.borrow().store.commit(commit).unwrap();
            b.iter_batched(|| filled.borrow_mut().next(count), commit, BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn proofs(c: &mut Criterion) {
    let large = std::env::var_os("ATL_BENCH_LARGE").map(|_| 1_000_000);
    let mut group = c.benchmark_group("storage/proof by hash");
    for entries in [Some(10_000), large].into_iter().flatten() {
        let filled = Filled::new(entries);
        filled.store.flush().unwrap();
        let size = filled.tree.size;
        let at = |index: u64| atl::merkle::LeafIndex::new(index);
        let step = (size.get() / 512).max(1);
        let leaves: Vec<Hash> = (0..512)
            .flat_map(|n| filled.store.records(at(n * step)..at(n * step + 1)).unwrap())
            .map(|record| record.cert_hash.leaf_hash())
            .collect();
        let mut next = leaves.iter().cycle();
        group.bench_function(BenchmarkId::from_parameter(entries), |b| {
            b.iter(|| View::new(&filled.store, size).inclusion(next.next().unwrap(), size).unwrap());
        });
    }
    group.finish();
}

criterion_group!(name = benches; config = short(); targets = commits, proofs);
criterion_main!(benches);
