//! What a verdict costs: cold (octets in, answer out), warm (what the signatures proved is kept), and step by
//! step; beside the bare signatures, which nobody can do without.
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

mod common;

use std::hint::black_box;
use std::path::Path;

use atl::apki::Certificate;
use atl::apki::capabilities::{Amount, Currency};
use atl::apki::chain::Anchors;
use atl::apki::extension::{AsciiText, Text};
use atl::apki::federation::TrustDomain;
use atl::apki::precertificate::recover;
use atl::apki::trust_score::Score;
use atl::keys::PublicKey;
use atl::log::entry::CertHash;
use atl::log::sat::SatList;
use atl::time::UnixMillis;
use atl::verify::relying::{
    Domain, Domains, Effort, Facts, LogList, Operation, Policy, Presented, RelyingParty, Request, RevocationMode,
    RevocationPolicy, Spend, Trusted, TrustedLog, Verdict,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::short;
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::Value;

fn octets(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)).unwrap()
}

fn party(file: &Value, root: &str, domain: &str) -> RelyingParty {
    let log = |row: &Value| TrustedLog {
        name: row["name"].as_str().unwrap().to_owned(),
        origin: None,
        key: PublicKey::from_spki_der(&STANDARD.decode(row["key"]["spki_b64"].as_str().unwrap()).unwrap()).unwrap(),
        operator: row["operator"].as_str().unwrap().to_owned(),
        from: UnixMillis::default(),
        until: None,
    };
    let policy = Policy::new(
        Score::new(40).unwrap(),
        RevocationPolicy { mode: RevocationMode::Off, max_age: None, issuers: false },
    );
    let anchors = Anchors::new([Certificate::parse(octets(root)).unwrap()]).unwrap();
    let domain = (TrustDomain::parse(domain).unwrap(), Domain::own(Trusted::Roots(anchors)));
    let logs = file["logs"].as_array().unwrap().iter().filter(|log| log["trusted"] == true).map(log).collect();
    RelyingParty { policy, domains: Domains::new([domain]), logs: LogList::new(logs).unwrap() }
}

/// A payment that the good chains of the vectors grant.
fn payment() -> Operation {
    let spend = Spend { amount: Amount::new(50_000).unwrap(), currency: Currency::new("GBP").unwrap() };
    Operation {
        tool_uri: AsciiText::new("mcp://payments.example.com/charges/create").unwrap(),
        scope: Text::new("payments/eu").unwrap(),
        spend: Some(spend),
    }
}

/// The signatures of a chain alone: the agent's by its CA, the CA's by the root, and the timestamps'.
fn signatures(party: &RelyingParty, certificates: &[Certificate], root: &Certificate) {
    let [agent, org] = certificates else { panic!("an agent and its CA") };
    for (child, issuer) in [(agent, org), (org, root)] {
        let key = PublicKey::from_spki_der(issuer.spki_der()).unwrap();
        key.verify(child.tbs_der(), child.signature()).unwrap();
    }
    let recovered = recover(agent).unwrap().unwrap();
    let hash = CertHash::of_certificate(&recovered.precertificate_der);
    for sat in SatList::from_der(recovered.sat_list_der).unwrap().sats() {
        sat.verify(&party.logs.get(&sat.log_id).unwrap().key, hash).unwrap();
    }
}

fn chains(c: &mut Criterion) {
    let file: Value = serde_json::from_slice(&octets("certs.json")).unwrap();
    let (facts, operation) = (Facts::default(), payment());
    let now = UnixMillis::new(file["now_ms"].as_u64().unwrap());
    let request = Request { operation: Some(&operation), facts: &facts, now, past: false };
    for chain in file["chains"].as_array().unwrap() {
        let [name, root, org, fin] = ["name", "root", "org", "final"].map(|field| chain[field].as_str().unwrap());
        let party = party(&file, root, "agents.example.com");
        let ders = [octets(fin), octets(org)];
        let presented = || Presented::from_der(ders.iter().map(Vec::as_slice)).unwrap();
        let certificates = ders.clone().map(|der| Certificate::parse(der).unwrap());
        let root = Certificate::parse(octets(root)).unwrap();
        assert!(matches!(party.decide(presented(), &request, Effort::Bounded), Verdict::Accepted(_)));

        let mut group = c.benchmark_group(format!("verdict/{name}"));
        group.bench_function("cold", |b| b.iter(|| party.decide(black_box(presented()), &request, Effort::Bounded)));
        group.bench_function("of which signatures", |b| b.iter(|| signatures(&party, black_box(&certificates), &root)));
        let examined = party.examine(presented());
        group.bench_function("warm", |b| b.iter(|| party.judge(black_box(&examined), &request)));
        group.finish();
    }
}

fn steps(c: &mut Criterion) {
    let file: Value = serde_json::from_slice(&octets("certs.json")).unwrap();
    let facts = Facts::default();
    let now = UnixMillis::new(file["now_ms"].as_u64().unwrap());
    let request = Request { operation: None, facts: &facts, now, past: false };
    let case = |name: &str| file["cases"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
    let ders = |row: &Value| {
        let mut paths = vec![row["final"].clone()];
        paths.extend(row["rp_chain"].as_array().unwrap().iter().cloned());
        paths.extend(row["parents"].as_array().into_iter().flatten().cloned());
        paths.iter().map(|path| octets(path.as_str().unwrap())).collect::<Vec<_>>()
    };
    let read = |ders: &[Vec<u8>]| Presented::from_der(ders.iter().map(Vec::as_slice)).unwrap();
    let ours = party(&file, "certs/p256/root.der", "agents.example.com");
    let strangers = party(&file, "certs/p256/root.der", "agents.example.org");
    let (good, delegated, garbage) =
        (ders(&case("p256/good")), ders(&case("p256/delegated")), ders(&case("p256/score-120")));

    let mut group = c.benchmark_group("verdict");
    group.bench_function("parse", |b| b.iter(|| read(black_box(&good))));
    // What a stranger costs: everything but signatures.
    group.bench_function("refused: unknown domain", |b| {
        b.iter(|| strangers.decide(read(black_box(&good)), &request, Effort::Bounded));
    });
    group.bench_function("refused: malformed score", |b| {
        b.iter(|| ours.decide(read(black_box(&garbage)), &request, Effort::Bounded));
    });
    group.bench_function("examine", |b| b.iter(|| ours.examine(read(black_box(&good)))));
    group.bench_function("cold with a parent", |b| {
        b.iter(|| ours.decide(read(black_box(&delegated)), &request, Effort::Bounded));
    });
    let examined = ours.examine(read(&delegated));
    group.bench_function("warm with a parent", |b| b.iter(|| ours.judge(black_box(&examined), &request)));
    group.finish();
}

criterion_group!(name = benches; config = short(); targets = chains, steps);
criterion_main!(benches);
