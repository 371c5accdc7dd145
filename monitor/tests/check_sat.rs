//! `atl-monitor check-sat` against a log that answers over HTTP, honestly and not.
#![allow(clippy::unwrap_used)]

#[path = "../../tests/common/agents.rs"]
mod agents;
#[path = "common/test_log.rs"]
mod test_log;

use std::path::Path;
use std::process::Output;

use agents::{Agent, HOUR, Profile, World};
use atl::apki::precertificate::recover;
use atl::log::entry::CertHash;
use atl::time::UnixMillis;
use test_log::TestLog;

async fn check(log: &TestLog, file: &Path, json: bool) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_atl-monitor"));
    command.args(["check-sat", "--url", &log.url, "--vkey", &log.vkey.to_string()]).arg(file);
    if json {
        command.arg("--json");
    }
    command.output().await.unwrap()
}

fn submitted(agent: &Agent) -> Vec<u8> {
    recover(&agent.certificate).unwrap().unwrap().precertificate_der
}

#[tokio::test]
async fn says_whether_a_log_keeps_what_its_timestamps_promise() {
    let dir = tempfile::tempdir().unwrap();
    let (world, profile) = (World::new(), Profile::new("a", 50));
    let (agent, at) = (world.agent(&profile), profile.not_before);
    let (pem, der) = (dir.path().join("cert.pem"), dir.path().join("cert.der"));
    std::fs::write(&pem, agent.chain_pem()).unwrap();
    std::fs::write(&der, agent.certificate.der()).unwrap();
    let log = TestLog::start("one.example/1", 11, at).await;
    log.add(b"another", at, &[]);
    log.sign(at);

    // No head that must have it yet.
    let output = check(&log, &pem, false).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("unknown") && text.contains("need not have it"), "{text}");

    let hash = log.add(&submitted(&agent), at, &[]);
    log.sign(at.saturating_add(HOUR));
    for (file, json) in [(&pem, false), (&der, false), (&pem, true)] {
        let output = check(&log, file, json).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&output.stderr));
        if json {
            let report: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!((&report["verdict"], &report["log"]), (&"included".into(), &"one.example/1".into()));
            assert_eq!(
                (&report["timestamps"][0]["leaf_index"], &report["timestamps"][0]["tree_size"]),
                (&1.into(), &2.into())
            );
        } else {
            assert!(text.contains("included") && text.contains("leaf 1 of 2"), "{text}");
        }
    }

    log.lie(|lies| _ = lies.dated.insert(hash, UnixMillis::new(1)));
    let output = check(&log, &pem, true).await;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["verdict"]), (Some(1), &"not-included".into()));
    assert_eq!(report["timestamps"][0]["class"], "log.timestamp-out-of-bounds");

    log.lie(|lies| _ = lies.denied.insert(CertHash::of_certificate(&submitted(&agent))));
    let output = check(&log, &pem, false).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("NOT INCLUDED"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_asked_ends_with_two_and_says_what_is_at_fault() {
    let dir = tempfile::tempdir().unwrap();
    let (world, profile) = (World::new(), Profile::new("a", 50));
    let log = TestLog::start("three.example/1", 13, profile.not_before).await;
    let file = |name: &str, octets: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path
    };
    let logged = file("logged.pem", world.agent(&profile).chain_pem().as_bytes());
    let unlogged = file("unlogged.der", world.unlogged(&profile).certificate.der());
    let cases = [
        (logged, "none of its timestamps is of three.example/1"),
        (unlogged, "no timestamps in it"),
        (file("none", b"hello"), "none"),
        (file("bad.pem", b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"), "PEM"),
        (dir.path().join("missing"), "missing"),
    ];
    for (path, why) in cases {
        let output = check(&log, &path, false).await;
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(why), "{text}");
    }
}
