//! The tools around a log, through the real binary: submit, proof, sth and fsck, on a log that is
//! honest and on one that is damaged or lies.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/ca.rs"]
mod ca;
#[path = "common/proxy.rs"]
mod proxy;
#[path = "common/server.rs"]
mod server;

use std::path::Path;
use std::process::Output;
use std::str::FromStr;

use atl::api::{B64, SubmitEntriesRequest, SubmitEntryRequest, SubmitResult};
use atl::client::LogClient;
use atl::log::checkpoint::open_checkpoint;
use atl::log::entry::CertHash;
use atl::log::note::VerifierKey;
use atl::log::sat::SignedAgentTimestamp;
use atl::merkle::{LeafIndex, TileId};
use atl::storage::schema::{self, Family};
use ca::{KeyKind, TestCa};
use serde_json::Value;
use server::{LogDir, atl};

const OTHER_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Runs it, and asserts how it ends.
fn run(expected: i32, args: &[&str]) -> String {
    let output = atl(["log"].iter().chain(args));
    assert_eq!(code(&output), expected, "{args:?}: {}", text(&output));
    text(&output)
}

fn run_json(expected: i32, args: &[&str]) -> Value {
    let output = atl(["log"].iter().chain(args).chain(&["--json"]));
    assert_eq!(code(&output), expected, "{args:?}: {}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).display().to_string()
}

/// Logs `count` new precertificates, many at once.
fn fill(log: &LogDir, ca: &TestCa, count: usize) -> Vec<CertHash> {
    let entry = |i: usize| SubmitEntryRequest {
        submission: B64(ca.precertificate(&format!("n{i}")).der().to_vec()),
        entry_type: None,
        chain: Vec::new(),
    };
    let entries: Vec<SubmitEntryRequest> = (0..count).map(entry).collect();
    let client = LogClient::new(&log.url()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for batch in entries.chunks(200) {
        let batch = SubmitEntriesRequest { entries: batch.to_vec() };
        let answer = runtime.block_on(client.submit_entries(&batch)).unwrap();
        assert!(answer.results.iter().all(|r| matches!(r, SubmitResult::Logged(_))), "{:?}", answer.results[0]);
    }
    entries.iter().map(|e| CertHash::of_certificate(&e.submission.0)).collect()
}

/// Waits until a head covers everything.
fn covered(log: &LogDir, last: &CertHash) {
    run(0, &["proof", "--url", &log.url(), "--wait", "--cert-hash", &last.to_string()]);
}

#[test]
fn from_submission_to_proof() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let ca = TestCa::new(KeyKind::P256);
    let log = LogDir::init(dir, Some(&ca.root_pem()));
    let _server = log.serve();
    let (url, vkey) = (log.url(), log.vkey.as_str());

    let certificate = ca.precertificate("first");
    let pem = path(dir, "first.pem");
    std::fs::write(&pem, certificate.pem() + &ca.root_pem()).unwrap();
    let sat_file = path(dir, "first.sat");
    let words = run(0, &["submit", "--url", &url, "--type", "precertificate", "--out", &sat_file, &pem]);
    assert!(words.contains("the log's own word") && words.contains("signature verified"), "{words}");
    let cert_hash = CertHash::of_certificate(certificate.der());
    let key = VerifierKey::from_str(vkey).unwrap();
    let sat = SignedAgentTimestamp::from_der(&std::fs::read(&sat_file).unwrap()).unwrap();
    assert_eq!(sat.verify(key.key(), cert_hash), Ok(()));

    // The same again, as DER and pinned: the same SAT.
    let der = path(dir, "first.der");
    std::fs::write(&der, certificate.der()).unwrap();
    let again = run_json(0, &["submit", "--url", &url, "--vkey", vkey, &der]);
    assert_eq!((&again["leaf_index"], &again["key_source"]), (&Value::from(0), &Value::from("pinned")));
    let not_it = run(1, &["submit", "--url", &url, "--type", "certificate", &der]);
    assert!(not_it.contains("not logged"), "{not_it}");
    let stranger = path(dir, "stranger.pem");
    std::fs::write(&stranger, TestCa::new(KeyKind::Ed25519).certificate("x").pem()).unwrap();
    assert!(run(1, &["submit", "--url", &url, &stranger]).contains("unknownAnchor"));

    let proof_file = path(dir, "first.tlog-proof");
    let words = run(0, &["proof", "--url", &url, "--vkey", vkey, "--wait", "--out", &proof_file, &pem]);
    assert!(words.contains("Proven: entry 0"), "{words}");
    let proof = std::fs::read_to_string(&proof_file).unwrap();
    let (head, checkpoint) = proof.split_once("\n\n").unwrap();
    assert!(head.starts_with("c2sp.org/tlog-proof@v1\nindex 0"), "{proof}");
    open_checkpoint(checkpoint.as_bytes(), &key).unwrap();

    let leaf = cert_hash.leaf_hash().to_string();
    assert_eq!(run_json(0, &["proof", "--url", &url, "--leaf-hash", &leaf])["proven"], true);
    let base64 = serde_json::to_value(cert_hash).unwrap();
    run(0, &["proof", "--url", &url, "--cert-hash", base64.as_str().unwrap()]);
    assert!(run(1, &["proof", "--url", &url, &stranger]).contains("NOT proven"));
    for args in [["sth", "--url", &url].as_slice(), &["proof", "--url", &url, &pem], &["submit", "--url", &url, &pem]] {
        run(1, &[args, &["--vkey", OTHER_VKEY]].concat());
    }
}

#[test]
fn heads_continue_or_the_command_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let ca = TestCa::new(KeyKind::Ed25519);
    let log = LogDir::init(dir, Some(&ca.root_pem()));
    let _server = log.serve();
    let (url, vkey, saved) = (log.url(), log.vkey.as_str(), path(dir, "log.head"));

    let first = fill(&log, &ca, 3);
    covered(&log, &first[2]);
    let words = run(0, &["sth", "--url", &url, "--vkey", vkey, "--save", &saved]);
    assert!(words.contains("ago") && words.contains("the same tree"), "{words}");
    let then = run_json(0, &["sth", "--url", &url]);
    let root = then["root_hash"].as_str().unwrap();

    let more = fill(&log, &ca, 300);
    covered(&log, &more[299]);
    let words = run(0, &["sth", "--url", &url, "--since", &saved, "--save", &saved]);
    assert!(
        words.contains("begins with the tree of 3 entries; 300 were added") && words.contains("remembered"),
        "{words}"
    );
    let answer = run_json(0, &["sth", "--url", &url, "--since", &format!("3:{root}")]);
    assert_eq!((&answer["consistent_since"], &answer["tree_size"]), (&Value::from(3), &Value::from(303)));

    let forged = format!("3:{}", "00".repeat(32));
    assert!(run(1, &["sth", "--url", &url, "--since", &forged]).contains("does not continue"));
    assert!(run(1, &["sth", "--url", &url, "--since", &format!("303:{root}")]).contains("does not continue"));
    assert!(run(1, &["sth", "--url", &url, "--since", &format!("304:{root}")]).contains("went back"));
    run(2, &["sth", "--url", "http://127.0.0.1:1"]);
    run(2, &["sth", "--url", &url, "--since", &path(dir, "none")]);
}

#[test]
fn a_log_that_runs_is_checked_and_a_lie_on_the_way_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let ca = TestCa::new(KeyKind::Ed25519);
    let log = LogDir::init(dir.path(), Some(&ca.root_pem()));
    let server = log.serve();
    let (url, vkey) = (log.url(), log.vkey.clone());
    let clean = run_json(0, &["fsck", "--url", &url, "--vkey", &vkey]);
    assert_eq!(clean["entries"], 0);
    let hashes = fill(&log, &ca, 600);
    covered(&log, &hashes[599]);

    let clean = run_json(0, &["fsck", "--url", &url, "--vkey", &vkey]);
    assert_eq!((&clean["entries"], &clean["tiles"]), (&Value::from(600), &Value::from(4)));
    assert_eq!((&clean["certificates"], &clean["issuers"]), (&Value::from(600), &Value::from(1)));
    assert!(run(0, &["fsck", "--url", &url]).contains("the log's own word"));
    assert!(run(1, &["fsck", "--url", &url, "--vkey", OTHER_VKEY]).contains("FOUND  get-sth"));
    let busy = run(2, &["fsck", "--config", &log.config()]);
    assert!(busy.contains("another process has it open; stop the log"), "{busy}");
    run(2, &["fsck", "--url", "http://127.0.0.1:1"]);

    // Each lie, and what must be said of it.
    let lies: [(&str, usize, &str); 9] = [
        ("/tile/0/001", 40, "tile/0/001: the leaf of entry 257"),
        ("/tile/0/002.p/88", 0, "tile/0/002.p/88: the leaf of entry 512"),
        ("/tile/1/000.p/2", 33, "tile/1/000.p/2: hash 1 is"),
        ("/tile/entries/001", 2 + 34 * 5, "entry 261: the certificate has SHA-256"),
        ("/tile/entries/000", 1, "tile/entries/000: "),
        ("/tile/certs/002.p/88", 8 + 3 + 60, "entry 512: the certificate has SHA-256"),
        ("/issuer/", 20, "the certificate served has SHA-256"),
        ("/atl/v1/get-proof-by-hash", usize::MAX, "get-proof-by-hash of entry 0"),
        ("/checkpoint", 20, "checkpoint: "),
    ];
    for (prefix, octet, expected) in lies {
        let liar = proxy::start(log.address, move |path, body| {
            if path.starts_with(prefix) {
                // From the end, an octet inside the last hash of a proof.
                let place = if octet == usize::MAX { body.len() - 10 } else { octet };
                body[place] = if octet == usize::MAX { other_letter(body[place]) } else { body[place] ^ 1 };
            }
        });
        let found = run(1, &["fsck", "--url", &liar, "--vkey", &vkey]);
        assert!(found.contains(expected), "{prefix}: {found}");
    }
    let honest = proxy::start(log.address, |_, _| {});
    run(0, &["fsck", "--url", &honest, "--vkey", &vkey, "--parallel", "2"]);
    server.stop();
}

/// Another letter of base64.
fn other_letter(letter: u8) -> u8 {
    if letter == b'A' { b'B' } else { b'A' }
}

/// The log's database, opened behind its back.
struct Database(rocksdb::DB);

impl Database {
    fn open(log: &LogDir) -> Self {
        let options = rocksdb::Options::default();
        let names = rocksdb::DB::list_cf(&options, log.database()).unwrap();
        Self(rocksdb::DB::open_cf(&options, log.database(), names).unwrap())
    }

    /// Changes a value as `alter` says; `None` takes it out. Gives what was there.
    fn alter(&self, family: Family, key: &[u8], alter: impl Fn(&mut Vec<u8>) -> bool) -> Vec<u8> {
        let family = self.0.cf_handle(family.name()).unwrap();
        let before = self.0.get_cf(family, key).unwrap().unwrap();
        let mut after = before.clone();
        if alter(&mut after) {
            self.0.put_cf(family, key, after).unwrap();
        } else {
            self.0.delete_cf(family, key).unwrap();
        }
        before
    }
}

#[test]
fn damage_on_the_disk_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let ca = TestCa::new(KeyKind::Ed25519);
    let log = LogDir::init(dir.path(), Some(&ca.root_pem()));
    assert!(run(2, &["fsck", "--config", &log.config()]).contains("there is no database"));
    let server = log.serve();
    let hashes = fill(&log, &ca, 600);
    covered(&log, &hashes[599]);
    server.stop();
    let fsck = |expected: i32| run(expected, &["fsck", "--config", &log.config()]);
    let clean = fsck(0);
    assert!(clean.contains("Clean"), "{clean}");

    let tile = |level, index| schema::tile_key(TileId::new(level, index).unwrap()).to_vec();
    let index = |i| schema::index_key(LeafIndex::new(i)).to_vec();
    // The entries of a batch are logged in any order.
    let database = Database::open(&log);
    let leaf = |i| {
        let record = schema::read_record(&database.alter(Family::Records, &index(i), |_| true)).unwrap();
        record.cert_hash.leaf_hash().as_bytes().to_vec()
    };
    let leaves = [leaf(12), leaf(13)];
    drop(database);
    let root = CertHash::of_certificate(&ca.root_der());
    let flip = |octet: usize| {
        move |value: &mut Vec<u8>| {
            value[octet] ^= 1;
            true
        }
    };
    type Alter = Box<dyn Fn(&mut Vec<u8>) -> bool>;
    let damages: Vec<(Family, Vec<u8>, Alter, &str)> = vec![
        (Family::Tiles, tile(0, 1), Box::new(flip(32 * 4)), "tile/0/001: the leaf of entry 260"),
        (Family::Tiles, tile(0, 2), Box::new(flip(1)), "tile/0/002.p/88: the leaf of entry 512"),
        (Family::Tiles, tile(1, 0), Box::new(flip(0)), "tile/1/000.p/2: hash 0"),
        (Family::Tiles, tile(1, 0), Box::new(|_| false), "tile/1/000.p/2: is missing"),
        (Family::Records, index(7), Box::new(flip(0)), "entry 7: the certificate has SHA-256"),
        (Family::Records, index(300), Box::new(flip(32)), "entry 301: the timestamp"),
        (
            Family::Records,
            index(8),
            Box::new(|v| {
                v[40] ^= 3;
                true
            }),
            "entry 8: is recorded as type 1",
        ),
        (Family::Records, index(9), Box::new(flip(50)), "and entry 9 has it in its chain"),
        (Family::Records, index(10), Box::new(|_| false), "entry 10: the record at index 10 is missing"),
        (Family::Submissions, index(599), Box::new(flip(100)), "entry 599: the certificate has SHA-256"),
        (Family::Submissions, index(11), Box::new(|_| false), "entry 11: the certificate is missing"),
        (Family::Leaves, leaves[0].clone(), Box::new(|_| false), "entry 12: the index of leaf hashes lacks"),
        (Family::Leaves, leaves[1].clone(), Box::new(flip(7)), "entry 13: the index of leaf hashes has"),
        (Family::Issuers, root.as_bytes().to_vec(), Box::new(flip(9)), "another certificate"),
        (Family::Issuers, root.as_bytes().to_vec(), Box::new(|_| false), "is missing, and entry 0 has it"),
        (Family::State, b"tree".to_vec(), Box::new(flip(1 + 8)), "tree of 600 entries: the root stated is"),
        (Family::State, b"tree".to_vec(), Box::new(flip(1 + 8 + 32)), "says that the newest entry is of"),
        (Family::State, b"tree".to_vec(), Box::new(flip(2)), "the records end before index 768"),
        (Family::State, b"tree".to_vec(), Box::new(flip(2)), "entries 600 to 767: the record is missing"),
        (Family::State, b"tree".to_vec(), Box::new(flip(0)), "the tree state does not read"),
        (Family::State, b"head".to_vec(), Box::new(flip(60)), "the head in the database: "),
    ];
    for (family, key, alter, expected) in damages {
        let before = Database::open(&log).alter(family, &key, alter);
        let found = fsck(1);
        assert!(found.lines().any(|l| l.starts_with("FOUND") && l.contains(expected)), "{expected}: {found}");
        let database = Database::open(&log);
        database.0.put_cf(database.0.cf_handle(family.name()).unwrap(), key, before).unwrap();
    }
    fsck(0);
    damaged_head_files(&log, &fsck);
}

fn damaged_head_files(log: &LogDir, fsck: &dyn Fn(i32) -> String) {
    let file = log.head_file();
    let good = std::fs::read_to_string(&file).unwrap();
    let (before, octets) = good.rsplit_once("head: ").unwrap();
    let mut head = schema::read_head(&hex::decode(octets.trim()).unwrap()).unwrap();
    std::fs::write(&file, good.replace("head: ", "head: zz")).unwrap();
    assert!(fsck(1).contains("is damaged"));
    head.signature[3] ^= 1;
    let forged = hex::encode(schema::write_head(&head).unwrap());
    std::fs::write(&file, format!("{before}head: {forged}\n")).unwrap();
    assert!(fsck(1).contains("signature does not verify"));
    std::fs::remove_file(&file).unwrap();
    assert!(fsck(1).contains("the log does not start without it"));
    std::fs::write(&file, good).unwrap();
    fsck(0);
}
