//! Entries that are not there, or not in time.

use atl::apki::Certificate;
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::time::UnixMillis;
use serde_json::json;

use crate::log_server::TestLog;
use crate::make::{draft, finish};
use crate::process::{Monitor, eventually};
use crate::scene::{FIRST, NO_RULES, Scene, alerts, audited, classes, now, plain};

const HOUR: u64 = 3_600_000;
const URI: &str = "agent://agents.example/worker/one";

/// A timestamp of the log over the certificate with this hash.
pub fn stamp(log: &TestLog, at: u64, hash: CertHash) -> SignedAgentTimestamp {
    SignedAgentTimestamp::sign(&log.signer, UnixMillis::new(at), hash).unwrap()
}

/// Brings a timestamp to a monitor.
pub fn bring(monitor: &Monitor, sat: &SignedAgentTimestamp) -> (u16, String) {
    let sat_der = atl::api::B64(sat.to_der());
    let body = json!({ "sat": sat_der, "cert_hash": sat.cert_hash });
    monitor.post("/v1/sats", &body.to_string())
}

/// A certificate whose timestamp is one of the log, which does not have its precertificate.
fn unkept(log: &TestLog, at: u64) -> Certificate {
    let precertificate = draft(URI).precertificate();
    let sat = stamp(log, at, CertHash::of_certificate(precertificate.der()));
    finish(&precertificate, vec![sat])
}

#[test]
fn a_timestamp_that_was_not_kept() {
    let scene = Scene::with(&NO_RULES.replace("timestamps = false", "timestamps = true\nmerge_delay_seconds = 1"));
    // Somebody brings it, and that it is over the merge delay says the log itself. An hour is the longest there is, so
    // that for now others have to ask for themselves.
    let hash = CertHash::of_certificate(b"not logged");
    let (status, said) = bring(&scene.monitor, &stamp(&scene.log, now() - 45_000, hash));
    assert_eq!(status, 202, "{said}");
    let found = scene.suspected(&["log.not-included"]);
    scene.challenges(&found);
    // Another one is old enough for a proof: none of the leaves is its entry.
    let final_certificate = unkept(&scene.log, now() - 2 * HOUR);
    scene.log.append([final_certificate.der().to_vec()], now() - 5000);
    scene.log.sign(now());
    let found = eventually("the second alert", || Some(alerts(&scene.monitor)).filter(|found| found.len() == 2));
    assert_eq!(classes(&found), ["log.not-included"]);
    let (code, said) = scene.checked(&found[0]);
    assert!(code == Some(0) && said.contains("broke its promise"), "{said}");
    scene.challenges(&found[1..]);
    scene.frozen().passer_finds(&["log.not-included"], true);
}

#[test]
fn an_old_promise_that_was_not_kept() {
    let scene = Scene::start();
    // All leaves are in the evidence, and a head more than an hour after the promise.
    let hash = CertHash::of_certificate(b"promised, and not logged");
    assert_eq!(bring(&scene.monitor, &stamp(&scene.log, now() - 2 * HOUR, hash)).0, 202);
    let found = scene.told(&["log.not-included"]);
    assert_eq!(found.len(), 1);
    assert!(scene.proves(&found[0]).contains("broke its promise"));
    scene.frozen();
}

#[test]
fn a_timestamp_that_was_kept() {
    let scene = Scene::start();
    let hash = CertHash::of_certificate(&plain("entry", 7..8).next().unwrap());
    let at = eventually("its time", || {
        let body = scene.log.honest("/atl/v1/get-entries?start=7&end=7").body;
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()["entries"][0]["timestamp"].as_u64()
    });
    assert_eq!(bring(&scene.monitor, &stamp(&scene.log, at, hash)).0, 202);
    scene.log.asked();
    eventually("the log is asked", || {
        scene.log.asked().iter().any(|path| path.contains("get-entry-by-cert-hash")).then_some(())
    });
    // One that is not kept comes after it, so that the answer to this one is settled when that is told.
    let other = CertHash::of_certificate(b"not logged");
    assert_eq!(bring(&scene.monitor, &stamp(&scene.log, now() - 45_000, other)).0, 202);
    let found = scene.suspected(&["log.not-included"]);
    assert!(found.len() == 1 && found[0].to_string().contains(&other.to_string()), "{found:#?}");
}

#[test]
fn an_entry_newer_than_the_head_that_covers_it() {
    let at = now() - 15_000;
    let scene = Scene::start().meanwhile(|log, _| {
        log.append([b"late".to_vec()], at);
        log.sign(at - 5000);
    });
    let found = scene.suspected(&["log.entry-newer-than-head"]);
    // What time a log says an entry has is not signed by it.
    assert!(found[0]["finding"]["evidence"].is_null(), "{found:#?}");
    assert_eq!(found[0]["finding"]["entry"]["index"], FIRST);
    audited(&scene.monitor, &scene.dir, &scene.log, FIRST + 1);
    scene.passer_finds(&["log.entry-newer-than-head"], false);
    // A timestamp is signed: with it anybody can check the same.
    assert_eq!(bring(&scene.monitor, &stamp(&scene.log, at, CertHash::of_certificate(b"late"))).0, 202);
    let found = eventually("the second alert", || Some(alerts(&scene.monitor)).filter(|found| found.len() == 2));
    assert_eq!(classes(&found), ["log.entry-newer-than-head"]);
    assert!(scene.proves(&found[0]).contains("misdates") && found[1]["finding"]["evidence"].is_null(), "{found:#?}");
    scene.frozen();
}
