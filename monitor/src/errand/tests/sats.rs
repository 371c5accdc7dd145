//! Timestamps that somebody brings.

use std::sync::Arc;

use atl::api::B64;
use atl::keys::{Ed25519Signer, Signer};
use atl::merkle::LeafIndex;
use atl::time::UnixMillis;
use hyper::Method;
use serde_json::{Value, json};

use super::agents::{NOW, Profile, TestLog as Stamps};
use super::rig::{HOUR, Rig, precertificate_of};
use crate::errand::Errand;
use crate::errand::sats::{MAX_BODY, answer};
use crate::finding::EntryRef;
use crate::http::{Request, Response, Shared};

fn shared(rig: &Rig, logs: &[usize]) -> Shared {
    let signer: Arc<dyn Signer> = Arc::new(Ed25519Signer::from_seed(&[5; 32]).unwrap());
    Shared {
        name: "monitor.example/m".parse().unwrap(),
        peers: Vec::new(),
        logs: logs.iter().map(|n| rig.watched(*n)).collect(),
        state: Arc::clone(&rig.state),
        board: Arc::clone(&rig.board),
        clock: Arc::<super::rig::TestClock>::clone(&rig.clock),
        signer,
        witness: None,
        evidence_dir: "evidence".into(),
    }
}

fn post(shared: &Shared, body: impl Into<Vec<u8>>) -> Response {
    let request = Request::new(body.into());
    let (mut parts, body) = request.into_parts();
    parts.method = Method::POST;
    answer(shared, &Request::from_parts(parts, body))
}

fn json_of(response: &Response) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

fn b64(octets: &[u8]) -> Value {
    serde_json::to_value(B64(octets.to_vec())).unwrap()
}

#[tokio::test]
async fn timestamps_of_a_certificate_are_asked_about_and_answered_for() {
    let rig = Rig::new().await;
    let agent = rig.world.agent(&Profile::new("a", 50));
    let body = json!({ "certificate": b64(agent.certificate.der()) }).to_string();
    let one = shared(&rig, &[0]);
    for _ in 0..2 {
        let response = post(&one, body.clone());
        assert_eq!(response.status(), 202, "{}", json_of(&response));
        let taken = json_of(&response);
        assert_eq!((taken["asked"].as_array().unwrap().len(), taken["ignored"].as_array().unwrap().len()), (1, 1));
        assert_eq!(taken["asked"][0]["log"], "one.example/1");
        assert_eq!(rig.waiting().len(), 1);
    }
    assert_eq!(post(&shared(&rig, &[0, 1]), body).status(), 202);
    assert_eq!(rig.waiting().len(), 2);
    // One of the two logs keeps its promise.
    rig.add(0, &precertificate_of(&agent.certificate), agent.certificate.not_before());
    rig.pass(HOUR);
    rig.sign();
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["log.not-included"], 0));
    assert_eq!(rig.told()[0].log, "two.example/1");
}

#[tokio::test]
async fn one_timestamp_is_taken_with_what_it_is_over() {
    let rig = Rig::new().await;
    let hash = atl::log::entry::CertHash::new([7; 32]);
    let stamp = |n: usize, at: UnixMillis| rig.world.logs[n].stamp(at, hash);
    let body = |sat: &atl::log::sat::SignedAgentTimestamp, hash| {
        json!({ "sat": b64(&sat.to_der()), "cert_hash": b64(hash) }).to_string()
    };
    let shared = shared(&rig, &[0]);
    assert_eq!(post(&shared, body(&stamp(0, NOW), hash.as_bytes())).status(), 202);
    let ahead = NOW.saturating_add(60_001);
    let mut forged = stamp(0, NOW);
    forged.signature[5] ^= 1;
    let refused = [
        (body(&stamp(1, NOW), hash.as_bytes()), "not followed"),
        (body(&stamp(0, NOW), &[8; 32]), "certificate hash"),
        (body(&stamp(0, ahead), hash.as_bytes()), "future"),
        (body(&forged, hash.as_bytes()), "does not verify"),
    ];
    for (body, why) in refused {
        let response = post(&shared, body);
        assert_eq!(response.status(), 422);
        assert!(json_of(&response)["detail"].as_str().unwrap().contains(why), "{}", json_of(&response));
    }
    assert_eq!(rig.waiting().len(), 1);
}

#[tokio::test]
async fn what_others_bring_waits_behind_what_we_ask_ourselves_and_is_not_too_much() {
    let rig = Rig::new().await;
    let shared = shared(&rig, &[0]);
    let stamp = |n: u8| {
        let hash = atl::log::entry::CertHash::new([n; 32]);
        (hash, rig.world.logs[0].stamp(NOW.saturating_sub(HOUR), hash))
    };
    let ours = |n: u8| {
        let (cert_hash, sat) = stamp(n);
        let entry = EntryRef { log: "one.example/1".into(), index: LeafIndex::new(0), cert_hash };
        Errand::Included { entry: Some(entry), sat: sat.to_der().into(), cert_hash, due: NOW.saturating_sub(1) }
    };
    let bring = |n: u8| {
        let (hash, sat) = stamp(n);
        post(&shared, json!({ "sat": b64(&sat.to_der()), "cert_hash": b64(hash.as_bytes()) }).to_string())
    };
    // Older than ours, and asked about later; brought again, it is the same.
    assert_eq!((bring(1).status(), bring(1).status()), (202.try_into().unwrap(), 202.try_into().unwrap()));
    rig.state.write(|write| crate::errand::post(write, &ours(2))).unwrap();
    let dues: Vec<_> = rig.waiting().iter().map(|kept| kept.due).collect();
    assert_eq!(dues, [NOW.saturating_sub(1), NOW]);
    // Where much waits already, no more is taken.
    let elsewhere = |n: u64| {
        let entry = EntryRef { log: "one.example/1".into(), index: LeafIndex::new(n), cert_hash: stamp(3).0 };
        Errand::Elsewhere { entry, log: "two.example/1".into(), due: NOW }
    };
    rig.state.write(|write| (0..9_998).try_for_each(|n| crate::errand::post(write, &elsewhere(n)))).unwrap();
    let refused = bring(4);
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (503, "60"));
}

#[tokio::test]
async fn what_is_no_timestamp_is_refused_with_what_may_stand_there() {
    let rig = Rig::new().await;
    let shared = shared(&rig, &[0, 1]);
    let unlogged = rig.world.unlogged(&Profile::new("a", 50));
    let many = (0..17_u8).map(|n| Stamps { name: "n", operator: "o", key: super::agents::Key::ed25519(n) });
    let profile = Profile::new("many", 50);
    let key = super::agents::Key::ed25519(200);
    let precertificate = super::agents::precertificate(&profile.draft(&key, &rig.world.ca), &rig.world.ca.key);
    let hash = atl::log::entry::CertHash::of_certificate(precertificate.der());
    let many = many.map(|log| log.stamp(NOW, hash)).collect();
    let many = super::agents::finish(&precertificate, many, &rig.world.ca.key);
    let bodies = [
        String::new(),
        "{}".into(),
        "[]".into(),
        json!({ "certificate": "?" }).to_string(),
        json!({ "certificate": "MAA=" }).to_string(),
        json!({ "certificate": b64(unlogged.certificate.der()) }).to_string(),
        json!({ "certificate": b64(many.der()) }).to_string(),
        json!({ "certificate": "MAA=", "sat": "MAA=" }).to_string(),
        json!({ "sat": "MAA=" }).to_string(),
        json!({ "sat": "MAA=", "cert_hash": "MAA=" }).to_string(),
        json!({ "sat": "MAA=", "hash": b64(&[0; 32]) }).to_string(),
    ];
    for body in bodies {
        let response = post(&shared, body.clone());
        assert_eq!(response.status(), 400, "{body}");
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    assert_eq!(post(&shared, vec![b' '; MAX_BODY + 1]).status(), 413);
    let response = answer(&shared, &Request::new(Vec::new()));
    assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().unwrap()), (405, "POST"));
    assert_eq!(rig.waiting().len(), 0);
}
