//! A payment by an agent to whom another one handed the right, and what can be shown of it afterwards: through the
//! real binary, with the servers gone when it is judged.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

#[path = "common/ca_rig.rs"]
mod ca_rig;
#[path = "common/log_process.rs"]
mod log_process;
#[path = "common/log_proxy.rs"]
mod log_proxy;
#[path = "common/party.rs"]
mod party;
#[path = "common/pki.rs"]
mod pki;
#[path = "common/raw_http.rs"]
mod raw_http;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use atl::config::CaConfig;
use atl::time::{Clock, SystemClock, UnixMillis};
use atl::verify::evidence::{Evidence, SignedAction};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use self::ca_rig::*;
use self::party::Party;

const OPERATION: &str = "mcp://pay sepa/de 1000 EUR";

/// A CA whose certificates say where to ask about them.
fn with_status(config: &mut CaConfig) {
    with_registry(config);
    let address = log_proxy::free_address();
    config.status.listen = Some(address);
    config.status.base_url = Some(format!("http://{address}"));
}

/// The right to pay so much at once, as a file.
fn rights(rig: &CaRig, name: &str, scope: &str, at_once: u64) -> String {
    let spend =
        json!({"max_per_transaction": at_once, "max_per_period": 50_000, "period_seconds": 86_400, "currency": "EUR"});
    let file = rig.path(name);
    fs::write(&file, json!([{"tool_uri": "mcp://pay", "scope": scope, "spend_limit": spend}]).to_string()).unwrap();
    file.display().to_string()
}

/// A, for whom Ann answers, and B below it.
fn a_and_b(rig: &CaRig) -> (Party, Party) {
    let all = rights(rig, "a.json", "sepa", 10_000);
    let agent = rig.agent("payments/bot/a", &[&["--capabilities", &all, "--human", "Ann"], &REGISTERED[..]].concat());
    let output = agent.enrol();
    assert!(output.status.success(), "{}", text(&output));
    let a = Party { uri: agent.uri, dir: agent.dir };
    let less = rights(rig, "b.json", "sepa/de", 5_000);
    let b = a.child("payments/bot/b", &[], &["--capabilities", &less]);
    (a, b)
}

/// `atl evidence <word> ...`
fn evidence(word: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
    command.args(["evidence", word]).args(more).stdin(Stdio::null()).output().unwrap()
}

/// Everything of one payment by its files.
struct Payment {
    action: PathBuf,
    bundle: PathBuf,
}

impl Payment {
    /// B signs.
    fn signed(rig: &CaRig, by: &Party, name: &str, operation: &str) -> Self {
        let action = rig.path(&format!("{name}.json"));
        fs::write(&action, format!("{{\"pay\": \"10.00 EUR\", \"reference\": \"{name}\"}}\n")).unwrap();
        let output = by.run("sign", &[action.to_str().unwrap(), "--operation", operation]);
        assert!(output.status.success(), "{}", text(&output));
        let bundle = rig.path(&format!("{name}.evidence.json"));
        Self { action, bundle }
    }

    fn signature(&self) -> PathBuf {
        self.action.with_extension("json.sig")
    }

    fn signed_at(&self) -> UnixMillis {
        let text = fs::read_to_string(self.signature()).unwrap();
        SignedAction::parse(text.trim_end()).unwrap().statement().signed_at
    }

    fn make(&self, more: &[&str]) -> Output {
        let (action, bundle) = (self.action.to_str().unwrap(), self.bundle.to_str().unwrap());
        evidence("make", &[&["--action", action, "--out", bundle, "--patience", "60s"], more].concat())
    }

    #[track_caller]
    fn made(self, rig: &CaRig, by: &Party) -> Self {
        let signer = rig.path("ca/crl-signer.pem");
        let output = self.make(&["--dir", by.dir.to_str().unwrap(), "--list-signer", signer.to_str().unwrap()]);
        assert!(output.status.success() && !text(&output).contains("not had"), "{}", text(&output));
        self
    }

    fn verify(&self, policy: &Path, more: &[&str]) -> Output {
        let (bundle, policy) = (self.bundle.to_str().unwrap(), policy.to_str().unwrap());
        evidence("verify", &[&[bundle, "--policy", policy], more].concat())
    }

    /// What comes out, and the exit code.
    fn found(&self, policy: &Path, more: &[&str]) -> (Option<i32>, Value) {
        let output = self.verify(policy, &[&["--json"], more].concat());
        let found = serde_json::from_slice(&output.stdout);
        (output.status.code(), found.unwrap_or_else(|e| panic!("{e}: {}", text(&output))))
    }
}

/// The links that fail, with the certificates that they are about and the codes.
fn failed(found: &Value) -> Vec<(String, Option<String>, Vec<String>)> {
    let links = found["links"].as_array().unwrap().iter().filter(|link| link["outcome"] == "fails");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let codes = |link: &Value| link["failures"].as_array().unwrap().iter().filter_map(|f| text(&f["code"])).collect();
    links.map(|link| (text(&link["link"]).unwrap(), text(&link["certificate"]), codes(link))).collect()
}

fn fails(link: &str, certificate: Option<&str>, code: &str) -> Vec<(String, Option<String>, Vec<String>)> {
    vec![(link.to_owned(), certificate.map(str::to_owned), vec![code.to_owned()])]
}

/// What somebody trusts and wants, who was never there.
fn policy(rig: &CaRig, name: &str, change: impl Fn(String) -> String) -> PathBuf {
    let mut toml = format!(
        "[policy]\nminimum_score = 40\n[policy.revocation]\nmode = \"require\"\n\
         [[domains]]\nname = \"{DOMAIN}\"\nroots = {:?}\n",
        rig.path("ca/root.pem")
    );
    for (number, log) in rig.logs.iter().enumerate() {
        let key = STANDARD.encode(log.key.spki_der());
        toml += &format!("[[logs]]\nname = \"log {number}\"\nkey = \"{key}\"\noperator = \"Operator {number}\"\n");
    }
    let file = rig.path(name);
    fs::write(&file, change(toml)).unwrap();
    file
}

/// Waits until revocations, which are dated in whole seconds, are of after this moment.
fn let_a_second_go(after: UnixMillis) {
    while SystemClock.now().since(after) <= 1000 {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_authorised_a_payment_is_known_when_everybody_is_gone() {
    let rig = CaRig::new(with_status);
    let ca = rig.start();
    let (a, b) = a_and_b(&rig);
    let first = Payment::signed(&rig, &b, "first", OPERATION).made(&rig, &b);
    let too_much = Payment::signed(&rig, &b, "too-much", "mcp://pay sepa/de 5001 EUR");
    let refused = too_much.make(&["--dir", b.dir.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("capability.perTransaction") && !too_much.bundle.exists(), "{}", text(&refused));
    // Signed, and the certificate renewed before anybody thought of evidence.
    let renewed = Payment::signed(&rig, &b, "renewed", OPERATION);
    let output = b.run("renew", &[]);
    assert!(output.status.success(), "{}", text(&output));
    let renewed = renewed.made(&rig, &b);

    let_a_second_go(renewed.signed_at());
    let revoked = a.run("revoke", &["--agent", &b.uri, "--reason", "keyCompromise"]);
    assert!(revoked.status.success(), "{}", text(&revoked));
    // What was done before was done with authority.
    let afterwards = Payment { action: first.action.clone(), bundle: rig.path("afterwards.json") }.made(&rig, &b);
    // What is signed now is not.
    let late = Payment::signed(&rig, &b, "late", OPERATION);
    let refused = late.make(&["--dir", b.dir.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(!late.bundle.exists());
    let shown = late.make(&["--dir", b.dir.to_str().unwrap(), "--anyway"]);
    assert_eq!(shown.status.code(), Some(1), "{}", text(&shown));

    ca.stop();
    rig.logs.iter().for_each(TestLog::kill);
    let own = policy(&rig, "own.toml", |toml| toml);
    the_answers_are_there(&first, &own, &a, &b);
    assert_eq!(renewed.found(&own, &[]).0, Some(0));
    let (code, found) = afterwards.found(&own, &[]);
    assert_eq!((code, &found["answers"]["revoked_later"][0]["agent"]), (Some(0), &json!(b.uri)), "{found}");
    let (code, found) = late.found(&own, &[]);
    assert_eq!((code, failed(&found)), (Some(1), fails("revocation", Some("agent"), "revocation.revoked")));
    // Whoever received it after the revocation does not believe the date.
    let now = SystemClock.now().to_string();
    let (code, found) = afterwards.found(&own, &["--received", &now]);
    assert_eq!((code, failed(&found)), (Some(1), fails("revocation", Some("agent"), "revocation.revoked")));

    what_the_verifier_brings_decides(&rig, &first, &own);
    a_human_is_revealed(&rig, &first, &own);
    nothing_can_be_changed(&first, &own);
    it_can_be_taken_apart(&rig, &first);
}

fn the_answers_are_there(payment: &Payment, policy: &Path, a: &Party, b: &Party) {
    let (code, found) = payment.found(policy, &["--action", payment.action.to_str().unwrap()]);
    assert_eq!((code, &found["holds"]), (Some(0), &json!(true)), "{found}");
    let answers = &found["answers"];
    assert_eq!(answers["who"]["agent"], b.uri);
    assert_eq!(answers["who"]["certificate"], found["certificate"]);
    let rights = answers["limits"]["rights"].as_array().unwrap();
    assert_eq!((&rights[0]["agent"], &rights[1]["agent"]), (&json!(b.uri), &json!(a.uri)));
    assert_eq!(rights[0]["capability"]["spend_limit"]["max_per_transaction"], 5000);
    assert_eq!(answers["on_behalf_of"]["parents"][0]["agent"], a.uri);
    let human = answers["on_behalf_of"]["human_principal"].as_str().unwrap();
    assert!(human.starts_with("sha256:") && human.len() == 71, "{human}");
    let logged = answers["logged"].as_array().unwrap();
    assert_eq!(logged.len(), 4, "two agents, two logs: {found}");
    for logged in logged {
        let (since, head) = (logged["since"].as_u64().unwrap(), logged["entry"]["head_at"].as_u64().unwrap());
        assert!(since <= found["signed_at"].as_u64().unwrap() && since <= head, "{logged}");
    }
    let shown = payment.verify(policy, &[]);
    let said = text(&shown);
    for part in ["The evidence holds.", &b.uri, "50.00 EUR at once", "ok    log of parent", "10.00 EUR"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

fn what_the_verifier_brings_decides(rig: &CaRig, payment: &Payment, own: &Path) {
    let with = |name: &str, from: &str, to: &str| {
        let file = policy(rig, name, |toml| toml.replace(from, to));
        assert_ne!(fs::read(&file).unwrap(), fs::read(own).unwrap(), "{from}");
        payment.found(&file, &[])
    };
    let other = rig.path("other-root.pem");
    fs::write(&other, pki::Authority::root("Other").pem()).unwrap();
    let (code, found) = with("root.toml", "ca/root.pem", "other-root.pem");
    let chains = failed(&found);
    assert_eq!((code, chains.len()), (Some(1), 2), "{found}");
    assert!(chains.iter().all(|(link, _, codes)| link == "chain" && codes == &["chain.unknownAnchor"]), "{found}");
    let (code, found) = with("domain.toml", DOMAIN, "shop.example.com");
    assert_eq!((code, failed(&found)), (Some(1), fails("chain", Some("agent"), "federation.unknownDomain")));
    let (code, found) = with("score.toml", "minimum_score = 40", "minimum_score = 99");
    assert_eq!((code, failed(&found)), (Some(1), fails("trust", None, "trust.score")));
    // The root's list of intermediates is in the bundle, with its signer.
    let (code, found) = with("issuers.toml", "mode = \"require\"", "mode = \"require\"\nissuers = true");
    assert_eq!((code, failed(&found)), (Some(0), vec![]));
    // Trust in the logs ended before.
    let (code, found) = with("until.toml", "operator", "until = \"2026-01-01T00:00:00Z\"\noperator");
    assert_eq!(code, Some(1));
    assert!(failed(&found).iter().all(|(link, _, codes)| link == "log" && codes == &["sat.missing"]), "{found}");

    let octets = rig.path("other-action");
    fs::write(&octets, "pay 1000.00 EUR").unwrap();
    let (code, found) = payment.found(own, &["--action", octets.to_str().unwrap()]);
    assert_eq!((code, failed(&found)), (Some(1), fails("action", None, "action.content")));
    let (code, found) = payment.found(own, &["--operation", "mcp://pay sepa/de 4000 EUR"]);
    assert_eq!((code, failed(&found)), (Some(1), fails("limits", None, "action.operation")));
    assert_eq!(payment.verify(&rig.path("none.toml"), &[]).status.code(), Some(2));
}

fn a_human_is_revealed(rig: &CaRig, payment: &Payment, own: &Path) {
    let salt = rig.path("ca/principal-salt");
    let (code, found) = payment.found(own, &["--principal", "Ann", "--salt-file", salt.to_str().unwrap()]);
    assert_eq!((code, &found["answers"]["on_behalf_of"]["name"]), (Some(0), &json!("Ann")), "{found}");
    let digits = fs::read_to_string(&salt).unwrap();
    assert_eq!(payment.found(own, &["--principal", "Ann", "--salt", digits.trim()]).0, Some(0));
    let (code, found) = payment.found(own, &["--principal", "Bob", "--salt", digits.trim()]);
    assert_eq!((code, failed(&found)), (Some(1), fails("principal", None, "action.principal")));
}

fn nothing_can_be_changed(payment: &Payment, own: &Path) {
    let good = fs::read(&payment.bundle).unwrap();
    for place in [10, good.len() / 3, good.len() / 2, good.len() - 10] {
        let mut changed = good.clone();
        changed[place] ^= 1;
        fs::write(&payment.bundle, changed).unwrap();
        let output = payment.verify(own, &[]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains(payment.bundle.to_str().unwrap()), "{}", text(&output));
    }
    fs::write(&payment.bundle, &good).unwrap();
    // Whoever knows the format gets further, and no farther than the first link that he has no key for.
    let mut evidence = Evidence::parse(&good).unwrap();
    evidence.action = Some(b"{\"pay\": \"90.00 EUR\"}".to_vec());
    fs::write(&payment.bundle, evidence.to_json()).unwrap();
    let (code, found) = payment.found(own, &[]);
    assert_eq!((code, failed(&found)), (Some(1), fails("action", None, "action.content")));
    fs::write(&payment.bundle, &good).unwrap();
    assert_eq!(payment.found(own, &[]).0, Some(0));
}

fn it_can_be_taken_apart(rig: &CaRig, payment: &Payment) {
    let dir = rig.path("parts");
    let bundle = payment.bundle.to_str().unwrap();
    let output = evidence("show", &[bundle, "--extract", dir.to_str().unwrap()]);
    assert!(output.status.success() && text(&output).contains("Nothing of this is verified"), "{}", text(&output));
    assert_eq!(fs::read(dir.join("action")).unwrap(), fs::read(&payment.action).unwrap());
    assert_eq!(fs::read(dir.join("action.sig")).unwrap(), fs::read(payment.signature()).unwrap());
    let openssl = |words: &[&str]| {
        let output = Command::new("openssl").args(words).current_dir(&dir).output().unwrap();
        (output.status.success(), text(&output))
    };
    let (read, said) = openssl(&["ocsp", "-respin", "answer-0.ocsp", "-resp_text", "-noverify"]);
    assert!(read && said.contains("Cert Status: good"), "{said}");
    let (read, said) = openssl(&["x509", "-in", "chain.pem", "-noout", "-text"]);
    assert!(read && said.contains("URI:agent://bank.example.com/payments/bot/b"), "{said}");
    let json: Value = serde_json::from_slice(&evidence("show", &[bundle, "--json"]).stdout).unwrap();
    assert_eq!((&json["verified"], json["proofs"].as_u64()), (&json!(false), Some(4)));
    // The hash at its end is that of the lines before, as the format says.
    let text = fs::read_to_string(bundle).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let before = lines[..lines.len() - 2].concat();
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(before));
    assert_eq!(lines[lines.len() - 2], format!("  \"sha256\": \"{hash}\"\n"));
}

/// Somebody who relied on the agent, and has no more of it than what it showed in its handshake.
#[test]
fn a_relying_party_collects_from_logs_and_certificates_alone() {
    let rig = CaRig::new(with_status);
    let ca = rig.start();
    let (a, b) = a_and_b(&rig);
    let payment = Payment::signed(&rig, &b, "payment", OPERATION);
    let (chain, root) = (b.dir.join("cert.pem"), rig.path("ca/root.pem"));
    let mut words = vec!["--chain", chain.to_str().unwrap(), "--root", root.to_str().unwrap(), "--by-hash"];
    words.extend(rig.logs.iter().flat_map(|log| ["--log", log.pin()]));
    let output = payment.make(&words);
    assert!(output.status.success(), "{}", text(&output));
    ca.stop();
    rig.logs.iter().for_each(TestLog::kill);
    let own = policy(&rig, "own.toml", |toml| toml);
    let (code, found) = payment.found(&own, &[]);
    assert_eq!((code, &found["links"][0]["outcome"]), (Some(0), &json!("open")), "{found}");
    assert_eq!(found["answers"]["on_behalf_of"]["parents"][0]["agent"], a.uri);
    let (code, found) = payment.found(&own, &["--action", payment.action.to_str().unwrap()]);
    assert_eq!((code, &found["links"][0]["outcome"]), (Some(0), &json!("holds")), "{found}");
    // An existing signature is not written over, and nobody signs for whom there is no key.
    let again = b.run("sign", &[payment.action.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(2), "{}", text(&again));
    let nobody = Party { uri: a.uri.clone(), dir: rig.path("nobody") };
    assert_eq!(nobody.run("sign", &[payment.action.to_str().unwrap()]).status.code(), Some(2));
}
