//! A log collects cosignatures: from witnesses that behave, and beside others that sign garbage, hang, or say that
//! they remember something else. Heads and timestamps go on as if there were none.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "common/log_process.rs"]
mod log_process;
#[path = "common/pki.rs"]
mod pki;
#[path = "common/raw_http.rs"]
mod raw_http;
#[path = "common/witness.rs"]
mod witness;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use atl::api::{LogDescriptor, SthResponse, SubmitEntryResponse};
use atl::config::LogConfig;
use atl::config::log::Witness as Asked;
use atl::log::checkpoint::{Origin, checkpoint_of};
use atl::log::cosignature::{WitnessKey, WitnessQuorum};
use atl::log::entry::CertHash;
use atl::log::note::{Note, VerifierKey};
use atl::log::proof::TlogProof;
use atl::time::{Clock, SystemClock};
use log_process::{LogDir, LogProcess, Signal};
use pki::{Authority, submission};
use raw_http::Connection;
use witness::{Manner, Witness};

/// Longer than anything here takes, and shorter than anybody waits for a failed test.
const LONG: Duration = Duration::from_secs(40);

fn dir(root: &Authority, witnesses: &[&Witness], change: impl FnOnce(&mut LogConfig)) -> LogDir {
    LogDir::new(root, |config| {
        config.witnesses = witnesses.iter().map(|w| Asked { url: w.url(), vkey: w.key().to_string() }).collect();
        change(config);
    })
}

fn vkey(dir: &LogDir) -> VerifierKey {
    "log.example/2026".parse::<Origin>().unwrap().verifier_key(&dir.key).unwrap()
}

/// The checkpoint that is served, which the log must have signed.
fn served(http: &mut Connection, key: &VerifierKey) -> (Note, u64, String) {
    let answer = http.get("/checkpoint").unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    let note = Note::parse(&answer.body).unwrap();
    let size = checkpoint_of(&note, key).unwrap().size.get();
    (note, size, answer.header("cache-control").unwrap().to_owned())
}

/// Waits for a checkpoint that satisfies; how long it took is of no concern here.
fn wait_for(http: &mut Connection, key: &VerifierKey, what: &str, good: impl Fn(&Note, u64) -> bool) -> (Note, String) {
    let began = Instant::now();
    loop {
        let (note, size, cache) = served(http, key);
        if good(&note, size) {
            return (note, cache);
        }
        assert!(began.elapsed() < LONG, "{what}: {note}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn has(note: &Note, key: &WitnessKey) -> bool {
    note.lines_of(key).next().is_some()
}

fn submit(http: &mut Connection, der: &[u8]) -> SubmitEntryResponse {
    let answer = http.post("/atl/v1/submit-entry", &submission(der)).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn metric(http: &mut Connection, line: &str) -> f64 {
    let text = String::from_utf8(http.get("/metrics").unwrap().body).unwrap();
    let found = text.lines().find_map(|l| l.strip_prefix(line)).unwrap_or_else(|| panic!("{line} is not in {text}"));
    found.trim().parse().unwrap()
}

fn proof(log: &LogProcess, words: &[&str]) -> Output {
    let url = format!("http://{}", log.address);
    Command::new(env!("CARGO_BIN_EXE_atl")).args(["log", "proof", "--url", &url]).args(words).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn two_witnesses_stand_behind_the_checkpoint_and_the_proof_that_is_made_of_it() {
    let root = Authority::root("Root");
    let (one, two) = (Witness::start(1, Manner::Honest), Witness::start(2, Manner::Honest));
    let dir = dir(&root, &[&one, &two], |_| {});
    let key = vkey(&dir);
    one.follows(&key);
    two.follows(&key);
    let log = dir.start().unwrap();
    let mut http = log.connect();
    let descriptor: LogDescriptor = http.get("/atl/v1/log").unwrap().json();
    assert_eq!(descriptor.witnesses, [one.key().to_string(), two.key().to_string()]);

    let certificates = root.precertificates(0, 5);
    submit(&mut http, &certificates[0]);
    let quorum = WitnessQuorum::new(vec![one.key(), two.key()], 2).unwrap();
    let stands = |note: &Note| quorum.check(note, SystemClock.now()).is_ok();
    let (note, cache) = wait_for(&mut http, &key, "two lines", |note, size| size == 1 && stands(note));
    // Its own line and theirs, in the order of the configuration, and nothing else.
    let names: Vec<_> = note.signatures().iter().map(|line| line.name.as_str()).collect();
    assert_eq!(names, ["log.example/2026", "w1.example", "w2.example"]);
    assert!(cache == "public, max-age=0" || cache == "public, max-age=1", "{cache}");
    // The tree grows: each request starts from where the witness is.
    for der in &certificates[1..] {
        submit(&mut http, der);
    }
    wait_for(&mut http, &key, "the grown tree", |note, size| size == 5 && stands(note));
    assert_eq!((one.size(), two.size()), (5, 5));
    let now = SystemClock.now().get() as f64 / 1000.0;
    let since = now - metric(&mut http, "atl_witness_last_success_timestamp_seconds{witness=\"w1.example\"}");
    assert!((-1.0..60.0).contains(&since), "{since}");
    assert_eq!(metric(&mut http, "atl_witness_failures_total{witness=\"w2.example\"}"), 0.0);
    assert_eq!(metric(&mut http, "atl_checkpoint_cosignatures"), 2.0);

    // A file for later, with the witnesses in it.
    let out = dir.path("agent.tlog-proof");
    let leaf = CertHash::of_certificate(&certificates[2]);
    let (w1, w2) = (one.key().to_string(), two.key().to_string());
    let (file, hash, pinned) = (out.to_str().unwrap(), hex(leaf.hash().as_bytes()), key.to_string());
    let words = ["--vkey", &pinned, "--cert-hash", &hash, "--wait", "--out", file, "--witness", &w1, "--witness", &w2];
    let output = proof(&log, &words);
    assert!(output.status.success() && text(&output).contains("w2.example, cosigned at 20"), "{}", text(&output));
    let read = TlogProof::parse(&std::fs::read(&out).unwrap()).unwrap();
    let (checkpoint, found) = read.verify_witnessed(&leaf, &key, &quorum, SystemClock.now()).unwrap();
    assert_eq!((checkpoint.size.get(), found.cosigned.len()), (5, 2));
    // One that the log does not ask.
    let stranger = Witness::key_of(9).to_string();
    let words = ["--cert-hash", &hash, "--witness", &w1, "--witness", &stranger];
    let output = proof(&log, &words);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("NOT proven: 1 of the 2 witnesses"), "{}", text(&output));
    let output = proof(&log, &[&words[..], &["--needed", "1", "--json"]].concat());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((json["witnesses"][0]["name"].as_str(), json["witnesses"][1].is_null()), (Some("w1.example"), true));
}

#[test]
fn whatever_witnesses_do_heads_and_timestamps_go_on_and_only_good_lines_are_served() {
    let root = Authority::root("Root");
    let manners =
        [Manner::Hangs, Manner::Garbage, Manner::Honest, Manner::Undecided, Manner::OtherTree, Manner::Refuses];
    let all: Vec<Witness> = (1..).zip(manners).map(|(number, manner)| Witness::start(number, manner)).collect();
    let dir = dir(&root, &all.iter().collect::<Vec<_>>(), |_| {});
    let key = vkey(&dir);
    all.iter().for_each(|witness| witness.follows(&key));
    let log = dir.start().unwrap();
    let mut http = log.connect();
    let good = all[2].key();
    let mut heads = Vec::new();
    for (n, der) in root.precertificates(0, 3).iter().enumerate() {
        let began = Instant::now();
        submit(&mut http, der);
        // A timestamp waits for a synced commit alone; the patience with a witness is ten seconds.
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let size = n as u64 + 1;
        let (note, cache) = wait_for(&mut http, &key, "the good line", |note, at| at == size && has(note, &good));
        let names: Vec<_> = note.signatures().iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names, ["log.example/2026", "w3.example"], "{note}");
        assert!(cache == "public, max-age=0" || cache == "public, max-age=1", "others may come: {cache}");
        heads.push(http.get("/atl/v1/get-sth").unwrap().json::<SthResponse>().timestamp);
    }
    assert!(heads.is_sorted_by(|a, b| a < b), "{heads:?}");
    // One request at a time, and fewer and fewer to those who fail.
    wait_for(&mut http, &key, "the hanging one was asked", |_, _| all[0].asked() > 0);
    assert!(all.iter().all(|witness| witness.most_at_once() <= 1));
    let failures = |http: &mut Connection, name: &str| {
        metric(http, &format!("atl_witness_failures_total{{witness=\"{name}.example\"}}"))
    };
    for name in ["w2", "w4", "w5", "w6"] {
        assert!(failures(&mut http, name) >= 1.0, "{name}");
        let success = format!("atl_witness_last_success_timestamp_seconds{{witness=\"{name}.example\"}}");
        assert_eq!(metric(&mut http, &success), 0.0);
    }
    assert_eq!(failures(&mut http, "w3"), 0.0);
    assert_eq!(metric(&mut http, "atl_checkpoint_cosignatures"), 1.0);
    let said = log.stderr();
    for words in
        ["does not verify with the key", "remembers another tree", "does not continue the one of 0", "status 503"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    // A request that hangs is no reason to stay.
    let began = Instant::now();
    log.signal(Signal::TERM);
    let ended = log.wait();
    assert!(ended.status.success(), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[test]
fn after_a_restart_the_witness_is_asked_again_from_what_it_remembers() {
    let root = Authority::root("Root");
    let witness = Witness::start(1, Manner::Honest);
    let dir = dir(&root, &[&witness], |_| {});
    let key = vkey(&dir);
    witness.follows(&key);
    let certificates = root.precertificates(0, 3);
    let log = dir.start().unwrap();
    let mut http = log.connect();
    submit(&mut http, &certificates[0]);
    submit(&mut http, &certificates[1]);
    let cosigned = |note: &Note, _| has(note, &witness.key());
    wait_for(&mut http, &key, "the first line", |note, size| size == 2 && cosigned(note, size));
    assert!(log.kill().status.code().is_none());

    let conflicts = witness.conflicts();
    let log = dir.start().unwrap();
    let mut http = log.connect();
    wait_for(&mut http, &key, "the line again", |note, size| size == 2 && cosigned(note, size));
    assert_eq!(witness.conflicts(), conflicts + 1, "it was told of no tree, and said which it remembers");
    submit(&mut http, &certificates[2]);
    wait_for(&mut http, &key, "the next", |note, size| size == 3 && cosigned(note, size));
    assert_eq!(witness.conflicts(), conflicts + 1);

    // Where heads are far apart, a checkpoint with all its lines may be kept until the next one, and no other.
    assert!(log.kill().status.code().is_none());
    let file = dir.path("log.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace("sth_interval_seconds = 1\n", "sth_interval_seconds = 3600\n")).unwrap();
    let log = dir.start().unwrap();
    let mut http = log.connect();
    let seconds = |cache: &str| cache.strip_prefix("public, max-age=").unwrap().parse::<u64>().unwrap();
    let (mut note, _, mut cache) = served(&mut http, &key);
    let began = Instant::now();
    while !has(&note, &witness.key()) {
        assert!(seconds(&cache) <= 1 && began.elapsed() < LONG, "{cache}: {note}");
        (note, _, cache) = served(&mut http, &key);
    }
    assert!(seconds(&cache) > 3000, "{cache}");
}

#[test]
fn witnesses_that_cannot_be_are_refused_at_the_start() {
    let root = Authority::root("Root");
    let (one, same) = (Witness::key_of(1), Witness::key_named(1, "other.example"));
    let own = WitnessKey::new("me.example".parse().unwrap(), dir(&root, &[], |_| {}).key.clone()).unwrap();
    let log = "log.example/2026+00000000+AAAA".to_owned();
    for (keys, words) in [
        (vec![log], ["`witnesses[0].vkey`", "0x04 for a witness"]),
        (vec![own.to_string()], ["`witnesses[0].vkey`", "own key"]),
        (vec![one.to_string(), same.to_string()], ["`witnesses`", "under another name"]),
    ] {
        let asked = keys.into_iter().map(|vkey| Asked { url: "http://127.0.0.1:1".into(), vkey }).collect();
        let dir = LogDir::new(&root, |config| config.witnesses = asked);
        dir.start().err().expect("it must not start").says(&words);
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
