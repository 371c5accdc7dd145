//! What it costs to check what a log says.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod common;

use std::collections::HashMap;
use std::hint::black_box;

use atl::keys::{Ed25519Signer, Signer};
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::log::sth::{SignedTreeHead, TreeHead};
use atl::merkle::{Edge, Hash, InclusionPlan, LeafIndex, Tile, TileId, TreeSize, integrate, verify_inclusion};
use atl::time::UnixMillis;
use common::{hash, short};
use criterion::{Criterion, criterion_group, criterion_main};

fn verify(c: &mut Criterion) {
    let signer = Ed25519Signer::from_seed(&[1; 32]).unwrap();
    let (key, cert_hash, now) = (signer.public_key(), CertHash::new([1; 32]), UnixMillis::new(1));
    let sat = SignedAgentTimestamp::sign(&signer, now, cert_hash).unwrap().to_der();
    c.bench_function("verify/SAT", |b| {
        b.iter(|| SignedAgentTimestamp::from_der(black_box(&sat)).unwrap().verify(key, cert_hash).unwrap());
    });

    let leaves: Vec<Hash> = (0..1_000_000).map(hash).collect();
    let grown = integrate(&Edge::empty(), &leaves).unwrap();
    let (size, root) = (TreeSize::new(leaves.len() as u64), grown.edge.root());
    let head = SignedTreeHead::sign(&signer, TreeHead { size, timestamp: now, root }).unwrap();
    c.bench_function("verify/STH", |b| b.iter(|| black_box(&head).verify(key).unwrap()));

    let tiles: HashMap<TileId, Tile> = grown.tiles.into_iter().collect();
    let index = LeafIndex::new(654_321);
    let plan = InclusionPlan::new(index, size).unwrap();
    let proof = plan.prove(&plan.tiles().iter().map(|id| tiles[id].clone()).collect::<Vec<_>>()).unwrap();
    c.bench_function("verify/inclusion in 1M", |b| {
        let leaf = &leaves[654_321];
        b.iter(|| verify_inclusion(leaf, index, size, black_box(&proof), &root).unwrap());
    });
}

criterion_group!(name = benches; config = short(); targets = verify);
criterion_main!(benches);
