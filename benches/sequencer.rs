//! From submissions to places in the tree: the plan alone, and the whole sequencer over a store
//! that costs nothing.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use atl::keys::Ed25519Signer;
use atl::log::sth::SignedTreeHead;
use atl::log::store::TreeState;
use atl::merkle::{Edge, TreeSize};
use atl::sequencer::plan::plan;
use atl::sequencer::task::{Observer, Parts, Sequencer, Settings};
use atl::storage::memory::MemoryStore;
use atl::time::{SystemClock, UnixMillis};
use common::{Submissions, short};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tokio::task::JoinSet;

fn planning(c: &mut Criterion) {
    let mut submissions = Submissions::new();
    let (edge, tree, stored, now) = (Edge::empty(), TreeState::empty(), HashSet::new(), UnixMillis::new(1));
    let mut group = c.benchmark_group("sequencer/plan");
    for count in [1, 128, 4096] {
        let batch = submissions.take(count);
        let known = vec![None; count];
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            let run = |batch| plan((&edge, &tree), batch, &known, &stored, now, now).unwrap();
            b.iter_batched(|| batch.clone(), run, BatchSize::LargeInput);
        });
    }
    group.finish();
}

struct Deaf;

impl Observer for Deaf {
    fn committed(&self, _fresh: usize, _took: Duration, _size: TreeSize) {}
    fn signed(&self, _head: &SignedTreeHead, _took: Duration) {}
}

fn start() -> Arc<Sequencer> {
    let store = Arc::new(MemoryStore::default());
    let parts = Parts {
        store: Arc::clone(&store) as _,
        keeper: store,
        signer: Arc::new(Ed25519Signer::from_seed(&[1; 32]).unwrap()),
        clock: Arc::new(SystemClock),
        observer: Arc::new(Deaf),
    };
    let settings = Settings {
        origin: "bench.example/1".parse().unwrap(),
        sth_interval_ms: 60_000,
        queue_limit: 4096,
        retention_ms: 0,
    };
    Arc::new(Sequencer::start(parts, settings).unwrap())
}

fn sequencing(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut submissions = Submissions::new();
    let mut group = c.benchmark_group("sequencer/submit and wait, memory store");
    for count in [1, 128, 1024] {
        // Anew for each size: what was submitted stays in memory.
        let sequencer = start();
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            let submit = |batch: Vec<_>| {
                runtime.block_on(async {
                    let mut waiting = JoinSet::new();
                    for submission in batch {
                        let sequencer = Arc::clone(&sequencer);
                        waiting.spawn(async move { sequencer.submit(submission).await });
                    }
                    while let Some(place) = waiting.join_next().await {
                        place.unwrap().unwrap();
                    }
                });
            };
            b.iter_batched(|| submissions.take(count), submit, BatchSize::PerIteration);
        });
        sequencer.shutdown().unwrap();
    }
    group.finish();
}

criterion_group!(name = benches; config = short(); targets = planning, sequencing);
criterion_main!(benches);
