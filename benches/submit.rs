//! What a log computes for one submission, each stage apart: their sum is the least that a SAT
//! costs its processor.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod common;

use std::hint::black_box;

use atl::api::{B64, SubmitEntryRequest};
use atl::cli::pki::KeyKind;
use atl::keys::Ed25519Signer;
use atl::log::admission::{Screened, VerifiedPath};
use atl::log::entry::{CertHash, EntryType};
use atl::log::sat::SignedAgentTimestamp;
use common::{Pki, rules, short};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

fn stages(c: &mut Criterion) {
    for kind in [KeyKind::P256, KeyKind::Ed25519] {
        let pki = Pki::new(kind);
        let der = pki.precertificate(kind);
        let chain = vec![pki.org.certificate().der().to_vec()];
        let request = SubmitEntryRequest {
            submission: B64(der.clone()),
            entry_type: Some(EntryType::Precertificate),
            chain: chain.iter().cloned().map(B64).collect(),
        };
        let body = serde_json::to_vec(&request).unwrap();
        let (rules, now) = (rules(), pki.now);
        let screen = |der| Screened::new(der, None, &rules, now).unwrap();
        let screened = screen(der.clone());
        let (_, path) = VerifiedPath::find(screened.clone(), chain.clone(), &pki.anchors, &rules).unwrap();

        let mut group = c.benchmark_group(format!("submit/{kind:?}"));
        group.bench_function("1 read the request", |b| {
            b.iter(|| SubmitEntryRequest::from_json(black_box(&body)).unwrap());
        });
        group.bench_function("2 screen the submission", |b| {
            b.iter_batched(|| der.clone(), screen, BatchSize::SmallInput);
        });
        group.bench_function("3 verify the chain (once for each chain)", |b| {
            let find = |(screened, chain)| VerifiedPath::find(screened, chain, &pki.anchors, &rules).unwrap();
            b.iter_batched(|| (screened.clone(), chain.clone()), find, BatchSize::SmallInput);
        });
        group.bench_function("4 verify the submission and hash it", |b| {
            b.iter_batched(|| screened.clone(), |s| s.under(&path).unwrap(), BatchSize::SmallInput);
        });
        group.finish();
    }
    let signer = Ed25519Signer::from_seed(&[1; 32]).unwrap();
    c.bench_function("submit/5 sign the SAT", |b| {
        let hash = CertHash::new([1; 32]);
        let sign = || SignedAgentTimestamp::sign(&signer, atl::time::UnixMillis::new(1), black_box(hash)).unwrap();
        b.iter(|| sign().to_der());
    });
}

criterion_group!(name = benches; config = short(); targets = stages);
criterion_main!(benches);
