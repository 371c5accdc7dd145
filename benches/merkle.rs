//! The tree: growing it, and proofs out of its tiles, at a million leaves.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod common;

use std::collections::HashMap;
use std::hint::black_box;

use atl::merkle::{ConsistencyPlan, Edge, Hash, InclusionPlan, LeafIndex, Tile, TileId, TreeSize, integrate};
use common::{hash, short};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const MILLION: u64 = 1_000_000;

fn grow(c: &mut Criterion) {
    let leaves: Vec<Hash> = (0..MILLION).map(hash).collect();
    let million = integrate(&Edge::empty(), &leaves).unwrap();
    let mut group = c.benchmark_group("merkle/integrate on 1M");
    for more in [1, 128, 4096] {
        group.throughput(Throughput::Elements(more as u64));
        group.bench_with_input(BenchmarkId::from_parameter(more), &leaves[..more], |b, new| {
            b.iter(|| {
                let grown = integrate(&million.edge, black_box(new)).unwrap();
                (grown.edge.root(), grown.tiles.len())
            });
        });
    }
    group.finish();

    let tiles: HashMap<TileId, Tile> = million.tiles.into_iter().collect();
    let read = |ids: &[TileId]| ids.iter().map(|id| tiles[id].clone()).collect::<Vec<_>>();
    let size = TreeSize::new(MILLION);
    let mut at = 0;
    c.bench_function("merkle/inclusion proof from tiles, 1M", |b| {
        b.iter(|| {
            at = (at + 7919) % MILLION;
            let plan = InclusionPlan::new(LeafIndex::new(at), size).unwrap();
            plan.prove(&read(plan.tiles())).unwrap()
        });
    });
    c.bench_function("merkle/consistency proof from tiles, 1M", |b| {
        b.iter(|| {
            at = (at + 7919) % MILLION;
            let plan = ConsistencyPlan::new(TreeSize::new(at + 1), size).unwrap();
            plan.prove(&read(plan.tiles())).unwrap()
        });
    });
}

criterion_group!(name = benches; config = short(); targets = grow);
criterion_main!(benches);
