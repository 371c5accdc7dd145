//! Heads and entries of one log that do not go together.

use std::sync::Arc;

use atl::log::audit::Verdict;
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::time::UnixMillis;

use crate::log_server::{Answer, TestLog};
use crate::process::eventually;
use crate::rig::{Scene, alerts, at, entries, now, other_root};

#[test]
fn an_honest_log_is_told_nothing_of() {
    let scene = Scene::new("");
    let monitor = scene.verified();
    for _ in 0..3 {
        scene.log.append(entries(&format!("more at {}", now()), 300), now());
        let size = scene.log.sign(now()).size.get();
        eventually("what is new is verified", || {
            (monitor.metric("atl_monitor_verified_entries{log=\"log.example/1\"} ") == Some(size as f64)).then_some(())
        });
    }
    assert_eq!(alerts(&monitor).len(), 0, "{:?}", alerts(&monitor));
    assert_eq!(monitor.get("/healthz").0, 200);
    assert_eq!(scene.verdict(&monitor), Verdict::Consistent);
    monitor.stop();
    assert_eq!(scene.once(), 0);
}

#[test]
fn two_roots_of_one_size() {
    let scene = Scene::new("");
    let head = scene.log.sign(now() - 20_000);
    let monitor = scene.verified();
    let other = other_root(at(head, now()));
    scene.log.show(other, other);
    scene.is_proven(monitor, "log.same-size-other-root");
}

#[test]
fn a_later_head_of_a_smaller_tree() {
    let scene = Scene::new("");
    let small = scene.log.sign(now() - 25_000);
    scene.log.append(entries("more", 5), now() - 20_000);
    scene.log.sign(now() - 15_000);
    let monitor = scene.verified();
    let back = at(small, now());
    scene.log.show(back, back);
    scene.is_proven(monitor, "log.rollback");
}

#[test]
fn two_heads_of_one_moment() {
    let scene = Scene::new("");
    let head = scene.log.sign(now() - 20_000);
    let monitor = scene.verified();
    scene.log.append(entries("more", 5), now() - 25_000);
    scene.log.sign(head.timestamp.get());
    scene.is_proven(monitor, "log.same-timestamp");
}

#[test]
fn tree_head_against_checkpoint() {
    let scene = Scene::new("");
    let monitor = scene.verified();
    scene.log.append(entries("more", 5), now());
    // Both come out at once, or the monitor sees an honest pair between the two.
    let head = scene.log.next_head(now());
    scene.log.show(head, other_root(head));
    scene.is_proven(monitor, "log.checkpoint-differs");
}

#[test]
fn a_rewritten_past() {
    let scene = Scene::new("");
    let monitor = scene.verified();
    // The same log with other entries from the third on, and more of them.
    let other = scene.runtime.block_on(TestLog::start("log.example/1"));
    other.append(entries("entry", 3), now() - 60_000);
    other.append(entries("another", 20), now() - 50_000);
    other.sign(now());
    let other = Arc::clone(&other);
    scene.log.lie(move |path| Some(other.honest(path)));
    scene.is_proven(monitor, "log.inconsistent-heads");
}

#[test]
fn a_head_of_the_future() {
    let scene = Scene::new("");
    let head = scene.log.sign(now() - 20_000);
    let monitor = scene.verified();
    let ahead = at(head, now() + 600_000);
    scene.log.show(ahead, ahead);
    scene.is_told(monitor, "log.future-head");
}

#[test]
fn a_log_that_signs_no_more() {
    let scene = Scene::new("");
    // The configuration's limit is five minutes.
    let head = scene.log.sign(now() - 20_000);
    let old = at(head, now() - 600_000);
    scene.log.show(old, old);
    let monitor = scene.dir.start();
    scene.is_told(monitor, "log.stale-head");
}

#[test]
fn proofs_that_are_refused_or_garbage() {
    for (code, answer) in [
        ("log.proof-refused", Answer::status(400)),
        ("log.proof-garbage", Answer::ok(br#"{"first":10,"second":15,"consistency":[]}"#.to_vec())),
    ] {
        let scene = Scene::new("");
        let monitor = scene.verified();
        scene.log.lie(move |path| path.contains("get-sth-consistency").then(|| answer.clone()));
        scene.log.append(entries("more", 5), now());
        scene.log.sign(now());
        let alert = scene.is_told(monitor, code);
        assert_eq!(scene.weighs(&alert), 3, "a challenge proves nothing: {alert}");
    }
}

#[test]
fn entries_that_do_not_have_the_signed_root() {
    let scene = Scene::new("");
    let monitor = scene.verified();
    let other = scene.runtime.block_on(TestLog::start("log.example/1"));
    other.append(entries("entry", 10), now() - 60_000);
    other.append(entries("shown instead", 5), now());
    other.sign(now());
    scene.log.append(entries("signed", 5), now());
    scene.log.sign(now());
    scene.log.lie(move |path| path.starts_with("/tile/").then(|| other.honest(path)));
    scene.is_told(monitor, "log.root-mismatch");
}

#[test]
fn an_entry_that_is_newer_than_its_head() {
    let scene = Scene::new("");
    let monitor = scene.verified();
    scene.log.append(entries("more", 5), now() + 40_000);
    scene.log.sign(now());
    scene.is_told(monitor, "log.entry-newer-than-head");
}

#[test]
fn a_promise_that_was_not_kept() {
    let scene = Scene::new("");
    let monitor = scene.verified();
    let promised = CertHash::of_certificate(b"promised, and not logged");
    let sat = SignedAgentTimestamp::sign(&scene.log.signer, UnixMillis::new(now() - 7_200_000), promised).unwrap();
    let b64 = |octets: &[u8]| serde_json::to_value(atl::api::B64(octets.to_vec())).unwrap();
    let asked = serde_json::json!({ "sat": b64(&sat.to_der()), "cert_hash": b64(promised.as_bytes()) });
    let (status, answer) = monitor.post("/v1/sats", &asked.to_string());
    assert_eq!(status, 202, "{answer}");
    scene.log.sign(now());
    // All leaves are in the evidence, and a head an hour after the promise.
    scene.is_proven(monitor, "log.not-included");
}
