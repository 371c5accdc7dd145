//! Two trust domains that federate (draft 10): each a CA with a log as processes of their own, and
//! people who pin each other's key; curl and openssl as the readers from outside.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/ca_process.rs"]
mod ca_process;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use atl::apki::Certificate;
use atl::apki::federation::publish::{BundlePublisher, Publication};
use atl::apki::federation::{TrustBundle, TrustDomain};
use atl::apki::trust_score::Score;
use atl::keys::signer_from_pkcs8_pem;
use atl::time::{Clock as _, SystemClock, UnixMillis};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use der::pem;
use rustix::process::{Pid, kill_process};
use serde_json::{Value, json};

use self::ca_process::{CaOptions, CaRig, DOMAIN, Signal, good, said};

const OTHER: &str = "shop.example.org";
const CAPABILITY: [&str; 2] = ["--capability", "https://api.example.com read"];
const WELL_KNOWN: &str = "/.well-known/apki-trust-bundle";

fn rig(domain: &'static str, algorithm: &'static str) -> CaRig {
    let options = CaOptions { domain, algorithm, logs: 1, ..CaOptions::default() };
    CaRig::new(options, |config| config.federation.minimum_trust_score = Score::new(10).unwrap())
}

/// The key that others pin, as `atl federation key` says it.
fn pin_of(rig: &CaRig) -> String {
    let key: Value =
        serde_json::from_str(&good(rig.atl(["federation", "key", "--config", "ca/ca.toml", "--json"]))).unwrap();
    assert_eq!(key["kid"].as_str().unwrap().len(), 43);
    key["key"].as_str().unwrap().to_owned()
}

/// `atl federation add`, by the people of `here`, of the domain of `other`.
fn add(here: &CaRig, domain: &str, other: &CaRig, key: &str, more: &[&str]) -> Output {
    let (url, roots) = (format!("{}{WELL_KNOWN}", other.url()), other.root());
    let args = ["federation", "add", domain, "--key", key, "--url", &url, "--ca-roots", &roots];
    here.atl([&args[..], &["--minimum-score", "10"], more].concat())
}

/// The exit code and the JSON of a subcommand of `atl federation`.
#[track_caller]
fn federation(here: &CaRig, args: &[&str]) -> (i32, Value) {
    let output = here.atl([&["federation"], args, &["--json"]].concat());
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&output)));
    (output.status.code().unwrap(), json)
}

#[track_caller]
fn refreshed(here: &CaRig, domain: &str) -> (i32, Value) {
    let (code, reports) = federation(here, &["refresh", domain]);
    (code, reports[0].clone())
}

/// The exit code, and the codes of the reasons.
#[track_caller]
fn check(here: &CaRig, certificate: &Path) -> (i32, Vec<String>) {
    let (code, answer) = federation(here, &["check", certificate.to_str().unwrap()]);
    let reasons = answer["reasons"].as_array().cloned().unwrap_or_default();
    assert_eq!(answer["accepted"], json!(code == 0));
    (code, reasons.iter().map(|reason| reason["code"].as_str().unwrap().to_owned()).collect())
}

fn certificate(file: &Path) -> Certificate {
    Certificate::parse(pem::decode_vec(&fs::read(file).unwrap()).unwrap().1).unwrap()
}

#[test]
fn two_domains_take_each_others_agents() {
    let (bank, shop) = (rig(DOMAIN, "p256"), rig(OTHER, "ed25519"));
    for (here, other, domain) in [(&bank, &shop, OTHER), (&shop, &bank, DOMAIN)] {
        // Before anybody pinned anything, nothing is found.
        assert_eq!(good(here.atl(["federation", "list", "--json"])).trim(), "[]");
        assert_eq!(here.atl(["federation", "refresh", domain]).status.code(), Some(1));
        good(add(here, domain, other, &pin_of(other), &[]));
        assert_eq!(add(here, domain, other, &pin_of(other), &[]).status.code(), Some(2));
        let (code, report) = refreshed(here, domain);
        assert_eq!((code, &report["outcome"]), (0, &json!("first")), "{report}");
        let (code, report) = refreshed(here, domain);
        assert_eq!((code, &report["outcome"]), (0, &json!("same")), "{report}");
        good(other.enroll("sales/bot/1", "agent", &CAPABILITY));
        assert_eq!(check(here, &other.path("agent/cert.pem")), (0, vec![]));
        let shown = good(here.atl(["federation", "show", domain]));
        assert!(shown.contains("Last change") && shown.contains("holds for 23 h"), "{shown}");
        assert!(good(here.atl(["federation", "list"])).contains(domain));
    }
    // Each domain speaks for itself alone, and nobody for oneself.
    assert_eq!(bank.atl(["federation", "check", "agent/cert.pem"]).status.code(), Some(1));
    the_stricter_minimum_counts(&bank, &shop);
    only_the_pinned_key_counts(&bank, &shop);
    outsiders_read_the_bundle(&shop);
}

fn the_stricter_minimum_counts(bank: &CaRig, shop: &CaRig) {
    let agent = shop.path("agent/cert.pem");
    for more in [&["--offset", "-90"][..], &["--cap", "9"], &["--step", "0=0"], &["--minimum-score", "100"]] {
        good(bank.atl(["federation", "remove", OTHER]));
        let args: Vec<&str> = more.to_vec();
        // The last one says a minimum of its own.
        let output = match args.as_slice() {
            ["--minimum-score", _] => {
                let (url, roots, key) = (format!("{}{WELL_KNOWN}", shop.url()), shop.root(), pin_of(shop));
                let common = ["federation", "add", OTHER, "--key", &key, "--url", &url, "--ca-roots", &roots];
                bank.atl([&common[..], more].concat())
            }
            _ => add(bank, OTHER, shop, &pin_of(shop), more),
        };
        good(output);
        assert_eq!(refreshed(bank, OTHER).0, 0);
        assert_eq!(check(bank, &agent), (1, vec!["trust.score".to_owned()]), "{more:?}");
    }
    good(bank.atl(["federation", "remove", OTHER]));
    let raising = add(bank, OTHER, shop, &pin_of(shop), &["--offset", "5"]);
    assert!(said(&raising).contains("--allow-raise") || said(&raising).contains("allow_raise"), "{}", said(&raising));
}

fn only_the_pinned_key_counts(bank: &CaRig, shop: &CaRig) {
    good(add(bank, OTHER, shop, &pin_of(bank), &[]));
    let (code, report) = refreshed(bank, OTHER);
    assert_eq!((code, &report["outcome"]), (2, &json!("failed")));
    assert!(report["error"].as_str().unwrap().contains("not signed by the pinned key"), "{report}");
    let unfetched = bank.atl(["federation", "check", shop.path("agent/cert.pem").to_str().unwrap()]);
    assert_eq!(unfetched.status.code(), Some(2), "{}", said(&unfetched));
    good(bank.atl(["federation", "remove", OTHER]));
    // The right key of another domain: its bundle is not the one that was asked for.
    good(add(bank, "stock.example.org", shop, &pin_of(shop), &[]));
    let (code, report) = refreshed(bank, "stock.example.org");
    assert!(code == 2 && report["error"].as_str().unwrap().contains("that of shop.example.org"), "{report}");
    let plain =
        ["federation", "add", OTHER, "--key", &pin_of(shop), "--url", "http://127.0.0.1:1/x"].map(str::to_owned);
    assert!(said(&bank.atl(plain)).contains("over https://"));
    assert_eq!(bank.atl(["federation", "add", "Shop.example.org", "--key", "x"]).status.code(), Some(2));
}

/// curl fetches it, and openssl verifies it: no code of ours between the key and the bundle.
fn outsiders_read_the_bundle(shop: &CaRig) {
    let bundle = shop.curl(WELL_KNOWN, &[]);
    assert_eq!((bundle.status, bundle.header("content-type")), (200, Some("application/json")));
    assert_eq!(bundle.header("cache-control"), Some("public, max-age=300"));
    let json = bundle.json();
    assert_eq!((&json["trust_domain"], &json["version"]), (&json!(OTHER), &json!(1)));
    let root = certificate(&shop.path("ca/root.pem"));
    assert_eq!(json["ca_certificates"], json!([STANDARD.encode(root.der())]));
    assert_eq!(
        (&json["minimum_trust_score"], &json["supported_algorithms"]),
        (&json!(10), &json!(["ES256", "Ed25519"]))
    );
    let tag = format!("If-None-Match: {}", bundle.header("etag").unwrap());
    assert_eq!(shop.curl(WELL_KNOWN, &["--header", &tag]).status, 304);
    let spiffe = shop.curl(&format!("{WELL_KNOWN}.spiffe"), &[]).json();
    assert_eq!((&spiffe["keys"][0]["use"], &spiffe["keys"][0]["crv"]), (&json!("x509-svid"), &json!("Ed25519")));
    let post = shop.curl(WELL_KNOWN, &["--request", "POST"]);
    assert_eq!((post.status, post.problem().as_str()), (405, "methodNotAllowed"));

    let jws = shop.curl(&format!("{WELL_KNOWN}.jws"), &[]);
    assert_eq!(jws.header("content-type"), Some("application/jose"));
    let text = String::from_utf8(jws.body).unwrap();
    let (header, signature) = text.split_once("..").unwrap();
    fs::write(shop.path("signed"), format!("{header}.{}", URL_SAFE_NO_PAD.encode(&bundle.body))).unwrap();
    fs::write(shop.path("signature"), URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
    let key = STANDARD.decode(pin_of(shop)).unwrap();
    fs::write(shop.path("key.der"), key).unwrap();
    let args = ["pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-in", "signed"];
    good(shop.run("openssl", &[&args[..], &["-sigfile", "signature"]].concat()));
}

/// The bundle of the rig's CA at another time, signed with its key.
fn bundle_of(rig: &CaRig, now: UnixMillis) -> Publication {
    let pem = fs::read_to_string(rig.path("ca/bundle-key.pem")).unwrap();
    let random = Arc::new(aws_lc_rs::rand::SystemRandom::new());
    let publisher = BundlePublisher {
        domain: TrustDomain::parse(DOMAIN).unwrap(),
        certificates: vec![certificate(&rig.path("ca/root.pem"))],
        minimum: Score::new(10).unwrap(),
        lifetime_seconds: 3600,
        signer: Arc::from(signer_from_pkcs8_pem(&pem, random).unwrap()),
    };
    publisher.publish(now).unwrap()
}

/// Puts this bundle in the place of the one at hand.
fn keep(rig: &CaRig, made: &Publication) {
    let file = rig.path(&format!("federation/{DOMAIN}.json"));
    let mut pin: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    pin["cached"]["bundle"] = json!(STANDARD.encode(&made.bundle));
    pin["cached"]["jws"] = json!(made.jws);
    fs::write(file, pin.to_string()).unwrap();
}

/// The people of one directory and the CA of one domain, through its troubles.
#[test]
fn a_domain_through_its_troubles() {
    let mut rig = rig(DOMAIN, "p256");
    good(add(&rig, DOMAIN, &rig, &pin_of(&rig), &[]));
    assert_eq!(refreshed(&rig, DOMAIN).0, 0);
    good(rig.enroll("sales/bot/1", "agent", &CAPABILITY));
    let agent = rig.path("agent/cert.pem");
    assert_eq!(check(&rig, &agent).0, 0);

    // Whoever serves an older bundle than was seen is not followed.
    let now = SystemClock.now();
    keep(&rig, &bundle_of(&rig, now.saturating_add(50_000)));
    let (code, report) = refreshed(&rig, DOMAIN);
    assert_eq!((code, &report["outcome"]), (2, &json!("kept")), "{report}");
    assert!(report["error"].as_str().unwrap().contains("older than the one at hand"), "{report}");
    assert_eq!(check(&rig, &agent).0, 0);
    keep(&rig, &bundle_of(&rig, now.saturating_sub(60_000)));
    assert_eq!(refreshed(&rig, DOMAIN).1["outcome"], "same");

    // Nobody answers: the bundle at hand counts until it runs out.
    rig.ca.stop(Signal::TERM);
    let (code, report) = refreshed(&rig, DOMAIN);
    assert_eq!((code, &report["outcome"]), (2, &json!("kept")), "{report}");
    assert_eq!(check(&rig, &agent).0, 0);
    keep(&rig, &bundle_of(&rig, now.saturating_sub(3_600_000)));
    let (code, report) = refreshed(&rig, DOMAIN);
    assert_eq!((code, &report["outcome"]), (2, &json!("failed")), "{report}");
    assert_eq!(check(&rig, &agent), (1, vec!["federation.bundle".to_owned()]));

    another_root_is_told(&mut rig, &agent);
    a_file_that_was_touched_says_so(&rig);
}

fn another_root_is_told(rig: &mut CaRig, agent: &Path) {
    let before = certificate(&rig.path("ca/root.pem"));
    let init =
        ["ca", "init", "--insecure-dev", "--trust-domain", DOMAIN, "--organization", "Test Bank", "--dir", "new"];
    good(rig.atl(init));
    for name in ["root.pem", "intermediate.pem", "intermediate-key.pem"] {
        fs::copy(rig.path(&format!("new/{name}")), rig.path(&format!("ca/{name}"))).unwrap();
    }
    fs::rename(rig.path("ca/data"), rig.path("old-data")).unwrap();
    for entry in fs::read_dir(rig.path("ca")).unwrap().map(Result::unwrap) {
        // The head of the journal that lies beside the old database.
        if entry.file_name().to_string_lossy().starts_with("data") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    rig.ca.start();
    let after = certificate(&rig.path("ca/root.pem"));
    let output = rig.atl(["federation", "refresh"]);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("CA CERTIFICATES CHANGED"), "{told}");
    assert!(told.contains(&format!("+ {}", hex::encode(after.fingerprint()))), "{told}");
    assert!(told.contains(&format!("- {}", hex::encode(before.fingerprint()))), "{told}");
    let (_, shown) = federation(rig, &["show", DOMAIN]);
    assert_eq!(shown["added"][0]["sha256"], json!(hex::encode(after.fingerprint())));
    assert_eq!(shown["removed"][0]["sha256"], json!(hex::encode(before.fingerprint())));
    assert_eq!(check(rig, agent), (1, vec!["chain.unknownAnchor".to_owned()]));
    // What is kept is what was served, octet for octet.
    let kept: Value =
        serde_json::from_slice(&fs::read(rig.path(&format!("federation/{DOMAIN}.json"))).unwrap()).unwrap();
    let octets = STANDARD.decode(kept["cached"]["bundle"].as_str().unwrap()).unwrap();
    assert_eq!(octets, rig.curl(WELL_KNOWN, &[]).body);
    assert_eq!(TrustBundle::parse(&octets).unwrap().certificates().next(), Some(&after));
}

fn a_file_that_was_touched_says_so(rig: &CaRig) {
    let mut forged = bundle_of(rig, SystemClock.now());
    forged.bundle = String::from_utf8(forged.bundle).unwrap().replace(": 10", ": 0").into_bytes();
    keep(rig, &forged);
    let output = rig.atl(["federation", "show", DOMAIN]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains(&format!("federation/{DOMAIN}.json: `cached`")), "{}", said(&output));
}

/// A server keeps its pinned domains fresh, and so does `--watch` until it is told to end.
#[test]
fn the_server_keeps_what_it_has_pinned() {
    let mut rig = rig(DOMAIN, "ed25519");
    good(add(&rig, DOMAIN, &rig, &pin_of(&rig), &["--dir", "ca/federation"]));
    rig.ca.stop(Signal::TERM);
    let config = fs::read_to_string(rig.ca.config()).unwrap();
    fs::write(rig.ca.config(), config.replace("# dir = \"federation\"", "dir = \"federation\"")).unwrap();
    rig.ca.start();
    let deadline = std::time::Duration::from_secs(30);
    #[allow(clippy::disallowed_methods, reason = "a deadline of the test")]
    let start = std::time::Instant::now();
    while !rig.ca.stderr().contains("first bundle") && start.elapsed() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let (_, shown) = federation(&rig, &["show", DOMAIN, "--dir", "ca/federation"]);
    assert_eq!(shown["bundle"]["holds"], json!(true), "{}", rig.ca.stderr());
    let watching = ["federation", "refresh", "--watch", "--dir", "ca/federation"];
    let mut child = rig.command().args(watching).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("as before; the bundle holds until"), "{line}");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(rig.ca.stop(Signal::TERM).success());
}
