//! `atl verify` against a CA and logs that run: revocation asked for live, parents and proofs from the logs, and what
//! is said where nobody answers.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

#[path = "common/ca_rig.rs"]
mod ca_rig;
#[path = "common/log_process.rs"]
mod log_process;
#[path = "common/log_proxy.rs"]
mod log_proxy;
#[path = "common/monitor.rs"]
mod monitor;
#[path = "common/party.rs"]
mod party;
#[path = "common/pki.rs"]
mod pki;
#[path = "common/raw_http.rs"]
mod raw_http;
#[path = "common/witness.rs"]
mod witness;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use atl::api::ProofQuery;
use atl::apki::precertificate::recover;
use atl::client::{self, LogClient};
use atl::keys::{Ed25519Signer, Signer as _};
use atl::log::audit::{self, AuditStatement, sign_audit};
use atl::log::checkpoint::{Checkpoint, Origin};
use atl::log::cosignature::{CosignatureTime, WitnessKey, cosign};
use atl::log::entry::CertHash;
use atl::log::note::{Note, VerifierKey};
use atl::log::proof::TlogProof;
use atl::merkle::{Hash, TreeSize};
use atl::time::{Clock, SystemClock};
use serde_json::Value;

use self::ca_rig::*;
use self::log_proxy::Fault;
use self::monitor::Monitor;
use self::party::{Party, root};
use self::witness::{Manner, Witness};

/// A relying party at the command line.
struct Desk<'a> {
    rig: &'a CaRig,
}

impl Desk<'_> {
    /// A policy as it is printed, with each first text replaced by the second, and `more` behind it.
    fn policy(&self, name: &str, printing: &[&str], changes: &[(&str, &str)], more: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command.current_dir(self.rig.path("")).args(["verify", "--print-policy", "--domain", DOMAIN]);
        command.args(["--root", "ca/root.pem"]).args(printing);
        command.args(self.rig.logs.iter().flat_map(|log| ["--log", &log.argument]));
        let mut text = String::from_utf8(good(&mut command).stdout).unwrap();
        for (what, with) in changes {
            assert!(text.contains(what), "{what}");
            text = text.replacen(what, with, 1);
        }
        let file = self.rig.path(name);
        fs::write(&file, text + more).unwrap();
        file.display().to_string()
    }

    /// The exit code, and the verdict.
    fn verify(&self, policy: &str, party: &Party, more: &[&str]) -> (i32, Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command.args(["verify", "--json", "--policy", policy]).arg(party.dir.join("cert.pem")).args(more);
        let output = command.output().unwrap();
        let verdict = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output)));
        (output.status.code().unwrap(), verdict)
    }

    /// The verdict once it is a yes: what was just logged is in no signed head for a second.
    #[track_caller]
    fn accepted(&self, policy: &str, party: &Party, more: &[&str]) -> Value {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            match self.verify(policy, party, more) {
                (0, verdict) => return verdict,
                (_, verdict) => assert!(Instant::now() < deadline, "{verdict:#}"),
            }
        }
    }

    #[track_caller]
    fn refused(&self, policy: &str, party: &Party, more: &[&str]) -> (Vec<(String, String)>, Value) {
        let (code, verdict) = self.verify(policy, party, more);
        assert_eq!(code, 1, "{verdict:#}");
        let reason = |reason: &Value| {
            let of = |field: &str| reason[field].as_str().unwrap().to_owned();
            (of("code"), of("certificate"))
        };
        (verdict["reasons"].as_array().unwrap().iter().map(reason).collect(), verdict)
    }
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(code, certificate)| ((*code).to_owned(), (*certificate).to_owned())).collect()
}

fn notes(verdict: &Value) -> String {
    verdict["notes"].as_array().unwrap().iter().map(|note| format!("{}\n", note["detail"].as_str().unwrap())).collect()
}

#[test]
fn an_agent_is_checked_at_its_ca_and_its_logs() {
    let rig = CaRig::new(|config| {
        with_registry(config);
        config.status.listen = Some("127.0.0.1:0".parse().unwrap());
    });
    let ca = rig.start();
    let a = root(&rig, "payments/bot/a");
    let b = a.child("payments/bot/b", &["mcp://ledger read", "mcp://mail send"], &[]);
    let c = b.child("payments/bot/c", &["mcp://mail send"], &[]);
    let desk = Desk { rig: &rig };
    let policy = desk.policy("relying-party.toml", &[], &[], "");

    // Nobody has shown who is above it: the logs have.
    let verdict = desk.accepted(&policy, &c, &["--operation", "mcp://mail send"]);
    let moment = SystemClock.now();
    assert_eq!(verdict["parents"], serde_json::json!([b.uri, a.uri]));
    assert!(verdict["human_principal"].is_string() && notes(&verdict).is_empty(), "{verdict:#}");
    let (reasons, _) = desk.refused(&policy, &c, &["--operation", "mcp://mail receive"]);
    assert_eq!(reasons, pairs(&[("capability.scope", "agent")]));
    let shown = [b.dir.join("cert.pem"), a.dir.join("cert.pem")].map(|path| path.display().to_string());
    let (reasons, _) = desk.refused(&policy, &c, &["--offline"]);
    assert_eq!(reasons, pairs(&[("delegation.noParent", "agent"), ("revocation.unavailable", "agent")]));

    what_is_not_asked_for_is_not_known(&desk, &a);
    lists_do_where_ocsp_does_not(&desk, &c);
    a_proof_comes_from_a_log(&desk, &a);
    the_cas_are_asked_about_too(&desk, &a);
    nobody_answers(&desk, &c, &[&shown[0], &shown[1]]);
    files_do_without_a_network(&desk, &a, &ca.status_url());
    audits_and_witnesses_are_read(&desk, &a);
    audits_are_asked_for(&desk, &a);
    a_log_shows_its_witnesses(&desk, &a);

    // Certificates and lists know whole seconds only.
    while SystemClock.now().since(moment) < 2000 {
        std::thread::sleep(Duration::from_millis(50));
    }
    let revoked = a.run("revoke", &["--agent", &b.uri, "--reason", "cessationOfOperation"]);
    assert!(revoked.status.success(), "{}", text(&revoked));
    let (reasons, verdict) = desk.refused(&policy, &c, &[]);
    assert_eq!(reasons, pairs(&[("revocation.revoked", "agent"), ("revocation.revoked", "parent")]), "{verdict:#}");
    assert_eq!(desk.refused(&policy, &b, &[]).0, pairs(&[("revocation.revoked", "agent")]));
    let lists = desk.policy("lists.toml", &[], &[("ocsp = true", "ocsp = false")], "");
    assert_eq!(desk.refused(&lists, &b, &[]).0, pairs(&[("revocation.revoked", "agent")]));
    assert_eq!(desk.verify(&policy, &a, &[]).0, 0);
    // What was true before stays true of then.
    let (code, then) = desk.verify(&policy, &c, &["--at", &moment.get().to_string()]);
    assert!(code == 0 && notes(&then).contains("was revoked later"), "{then:#}");
    ca.stop();
}

fn what_is_not_asked_for_is_not_known(desk: &Desk<'_>, a: &Party) {
    let hosts = ("# hosts = [\"ca.example.com\"]", "hosts = [\"ca.example.com\"]");
    let elsewhere = desk.policy("hosts.toml", &[], &[hosts], "");
    let (reasons, verdict) = desk.refused(&elsewhere, a, &[]);
    assert_eq!(reasons, pairs(&[("revocation.unavailable", "agent")]));
    assert!(notes(&verdict).contains("its host is not one of `fetch.hosts`"), "{verdict:#}");
    let prefer = desk.policy("prefer.toml", &[], &[hosts, ("mode = \"require\"", "mode = \"prefer\"")], "");
    assert_eq!(desk.verify(&prefer, a, &[]).0, 0);
    let rule = "[[policy.tools]]\ntool_uri = \"mcp://mail\"\nocsp_within_seconds = 300\n";
    let at_once = desk.policy("once.toml", &[], &[("mode = \"require\"", "mode = \"prefer\"")], rule);
    assert_eq!(desk.verify(&at_once, a, &["--operation", "mcp://mail send"]).0, 0);
    let (reasons, _) = desk.refused(&at_once, a, &["--operation", "mcp://mail send", "--offline"]);
    assert_eq!(reasons, pairs(&[("revocation.unavailable", "agent")]));
}

fn lists_do_where_ocsp_does_not(desk: &Desk<'_>, c: &Party) {
    let lists = desk.policy("lists.toml", &[], &[("ocsp = true", "ocsp = false")], "");
    let verdict = desk.accepted(&lists, c, &[]);
    assert!(notes(&verdict).is_empty(), "{verdict:#}");
    let neither =
        desk.policy("neither.toml", &[], &[("ocsp = true", "ocsp = false"), ("lists = true", "lists = false")], "");
    let (reasons, _) = desk.refused(&neither, c, &[]);
    assert!(reasons.contains(&("revocation.unavailable".into(), "parent 2".into())), "{reasons:?}");
}

fn a_proof_comes_from_a_log(desk: &Desk<'_>, a: &Party) {
    let inclusion = "[policy.inclusion]\nmax_age_seconds = 60\n";
    let wanted = desk.policy("inclusion.toml", &[], &[], inclusion);
    desk.accepted(&wanted, a, &[]);
    let (reasons, _) =
        desk.refused(&desk.policy("proofs.toml", &[], &[("proofs = true", "proofs = false")], inclusion), a, &[]);
    assert_eq!(reasons, pairs(&[("sat.inclusion", "agent")]));
    // A log that tells nobody who has seen its head is not enough for whoever wants to know.
    let witness = "witness1.example/w+dfdd4054+BNVCB9oZSXfc9Grb/sK8LnW1LVqKQhhP7f3AACTw4+ja";
    let witnessed = format!("{inclusion}witnesses = [\"{witness}\"]\nneeded = 1\n");
    let (reasons, _) = desk.refused(&desk.policy("witnessed.toml", &[], &[], &witnessed), a, &[]);
    assert_eq!(reasons, pairs(&[("sat.head", "agent")]));
}

fn the_cas_are_asked_about_too(desk: &Desk<'_>, a: &Party) {
    let url = format!("{}/crl/root", desk.rig.url.replace("127.0.0.1", "localhost"));
    let list = format!("{url}=ca/crl-signer.pem");
    let strict = desk.policy("issuers.toml", &["--revocation-list", &list, "--ca-roots", "ca/root.pem"], &[], "");
    desk.accepted(&strict, a, &[]);
    // Without the certificate of its signer nobody can believe the list.
    let unknown =
        desk.policy("issuer.toml", &["--ca-roots", "ca/root.pem"], &[("issuers = false", "issuers = true")], "");
    let (reasons, verdict) = desk.refused(&unknown, a, &[]);
    assert_eq!(reasons, pairs(&[("revocation.unavailable", "agent")]));
    assert!(notes(&verdict).contains("`revocation_lists`"), "{verdict:#}");
}

fn nobody_answers(desk: &Desk<'_>, c: &Party, shown: &[&str]) {
    let policy = desk.policy("short.toml", &[], &[("timeout_seconds = 10", "timeout_seconds = 2")], "");
    for log in &desk.rig.logs {
        log.proxy.set(Fault::Refuses);
    }
    let (reasons, verdict) = desk.refused(&policy, c, &[]);
    assert_eq!(reasons, pairs(&[("delegation.noParent", "agent")]), "{verdict:#}");
    assert!(notes(&verdict).contains("is not to be had from the logs"), "{verdict:#}");
    // Whoever shows those above it needs no log for that.
    assert_eq!(desk.verify(&policy, c, shown).0, 0);
    for log in &desk.rig.logs {
        log.proxy.set(Fault::Hangs);
    }
    let began = Instant::now();
    let (reasons, _) = desk.refused(&policy, c, &[]);
    assert!(reasons.contains(&("delegation.noParent".into(), "agent".into())), "{reasons:?}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    for log in &desk.rig.logs {
        log.proxy.set(Fault::None);
    }
}

/// A list of the CA as a file, in place of a network.
fn files_do_without_a_network(desk: &Desk<'_>, a: &Party, status: &str) {
    let policy = desk.policy("files.toml", &[], &[], "");
    let http = client::builder().build().unwrap();
    let list = desk.rig.path("whole.crl");
    fs::write(&list, desk.rig.ask(client::crl(&http, &format!("{status}/crl"))).unwrap()).unwrap();
    let list = list.display().to_string();
    assert_eq!(desk.verify(&policy, a, &["--offline", "--crl", &list]).0, 0);
    let (reasons, _) = desk.refused(&policy, a, &["--offline"]);
    assert_eq!(reasons, pairs(&[("revocation.unavailable", "agent")]));
}

/// Statements of monitors that are asked, each about every log that gave the agent a timestamp.
fn audits_are_asked_for(desk: &Desk<'_>, a: &Party) {
    let (one, two) = (Monitor::start(41), Monitor::start(42));
    let wanted = ("# audited_within_seconds = 86400", "audited_within_seconds = 86400");
    let policy = desk.policy("monitored.toml", &[], &[wanted], &one.table());
    let [first, second] = [&desk.rig.logs[0].key, &desk.rig.logs[1].key];
    let now = SystemClock.now();
    let good = |monitor: &Monitor, log| monitor.says(log, monitor.statement(log, now, audit::Verdict::Consistent));
    let refused = |policy: &str, why: &str| {
        let (reasons, verdict) = desk.refused(policy, a, &[]);
        assert_eq!(reasons, pairs(&[("sat.audit", "agent")]), "{verdict:#}");
        assert!(notes(&verdict).contains(why), "{why}: {verdict:#}");
    };
    refused(&policy, "status 404");
    assert_eq!(one.asked().len(), 2, "{:?}", one.asked());
    good(&one, first);
    refused(&policy, "by monitor41.example: ");
    // What others signed, what is about another log, and what is old, is nothing.
    one.says(second, two.statement(second, now, audit::Verdict::Consistent));
    refused(&policy, "not signed by a monitor that is known here");
    one.says(second, one.statement(first, now, audit::Verdict::Consistent));
    refused(&policy, "the statement is about log");
    one.says(second, one.statement(second, now.saturating_sub(86_401_000), audit::Verdict::Consistent));
    refused(&policy, "");
    good(&one, second);
    let verdict = desk.accepted(&policy, a, &[]);
    assert!(notes(&verdict).is_empty(), "{verdict:#}");
    let asked = one.asked();
    assert!(asked.contains(&format!("/m/audit/v1/{}", first.log_id())), "{asked:?}");

    // One that has seen a log misbehave outweighs another that has not.
    let both = desk.policy("both.toml", &[], &[wanted], &(one.table() + &two.table()));
    two.says(first, two.statement(first, now, audit::Verdict::Inconsistent));
    good(&two, second);
    refused(&both, "");
    // Whoever may not be asked is not.
    let switch = ("audits = true", "audits = false");
    let silent = desk.policy("silent.toml", &[], &[wanted, switch], &one.table());
    let before = one.asked().len();
    refused(&silent, "");
    assert_eq!(one.asked().len(), before);
    let (reasons, _) = desk.refused(&policy, a, &["--offline"]);
    assert!(reasons.contains(&("sat.audit".into(), "agent".into())), "{reasons:?}");
    assert_eq!(one.asked().len(), before);
}

/// A log that collects cosignatures: a proof file that is made of what it serves, and a proof that is asked for.
fn a_log_shows_its_witnesses(desk: &Desk<'_>, a: &Party) {
    let witnesses = [Witness::start(51, Manner::Honest), Witness::start(52, Manner::Honest)];
    let log = &desk.rig.logs[0];
    let vkey = "log.example/2026".parse::<Origin>().unwrap().verifier_key(&log.key).unwrap();
    let config = desk.rig.path("log1/log.toml");
    let mut text = fs::read_to_string(&config).unwrap();
    log.kill();
    for witness in &witnesses {
        witness.follows(&vkey);
        text += &format!("\n[[witnesses]]\nurl = \"{}\"\nvkey = \"{}\"\n", witness.url(), witness.key());
    }
    fs::write(&config, text).unwrap();
    log.start();

    let file = desk.rig.path("witnessed.tlog-proof").display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
    command.args(["log", "proof", "--url", &log.proxy.url(), "--vkey", &vkey.to_string(), "--wait", "--out", &file]);
    command.args(witnesses.iter().flat_map(|witness| ["--witness".to_owned(), witness.key().to_string()]));
    // The timestamps are over the precertificate; of whoever has agents below it the log has the certificate as well.
    let certificate = a.certificate();
    let logged = recover(&certificate).unwrap().unwrap();
    let hash = CertHash::of_certificate(&logged.precertificate_der);
    good(command.args(["--cert-hash", &hash.to_string()]));
    let [one, two] = [witnesses[0].key(), witnesses[1].key()];
    let inclusion =
        format!("[policy.inclusion]\nmax_age_seconds = 60\nwitnesses = [\"{one}\", \"{two}\"]\nneeded = 2\n");
    let given = desk.policy("given.toml", &[], &[("proofs = true", "proofs = false")], &inclusion);
    let (code, verdict) = desk.verify(&given, a, &["--proof", &file]);
    assert_eq!(code, 0, "{verdict:#}");
    let asked = desk.policy("asked.toml", &[], &[], &inclusion);
    desk.accepted(&asked, a, &[]);
}

/// Statements of a monitor, and a proof under a checkpoint that a witness has seen.
fn audits_and_witnesses_are_read(desk: &Desk<'_>, a: &Party) {
    let (monitor, witness) =
        (Ed25519Signer::from_seed(&[31; 32]).unwrap(), Ed25519Signer::from_seed(&[21; 32]).unwrap());
    let vkey = VerifierKey::new("monitor.example".parse().unwrap(), monitor.public_key().clone()).unwrap();
    let audits = ("# audited_within_seconds = 86400", "audited_within_seconds = 86400");
    let audited = desk.policy("audited.toml", &[], &[audits], &format!("[[monitors]]\nvkey = \"{vkey}\"\n"));
    let statement = |log: &TestLog, name: &str| {
        let statement = AuditStatement {
            origin: "log.example/audited".parse().unwrap(),
            log_id: log.key.log_id(),
            size: TreeSize::new(1),
            root: Hash::new([1; 32]),
            at: SystemClock.now(),
            verdict: audit::Verdict::Consistent,
        };
        let file = desk.rig.path(name);
        fs::write(&file, sign_audit(&monitor, vkey.name(), &statement).unwrap()).unwrap();
        file.display().to_string()
    };
    let [first, second] = [statement(&desk.rig.logs[0], "first.audit"), statement(&desk.rig.logs[1], "second.audit")];
    // Whoever has 60 points and more needs two logs, each of them audited.
    let (reasons, _) = desk.refused(&audited, a, &["--audit", &first]);
    assert_eq!(reasons, pairs(&[("sat.audit", "agent")]));
    assert_eq!(desk.verify(&audited, a, &["--audit", &first, "--audit", &second]).0, 0);

    let key = WitnessKey::new("witness.example".parse().unwrap(), witness.public_key().clone()).unwrap();
    let inclusion = format!("[policy.inclusion]\nmax_age_seconds = 60\nwitnesses = [\"{key}\"]\nneeded = 1\n");
    let wanted = desk.policy("witnesses.toml", &[], &[("proofs = true", "proofs = false")], &inclusion);
    let proof = |of: &Party, name: &str| {
        let log = LogClient::new(&desk.rig.logs[0].proxy.url()).unwrap();
        let note = Note::parse(desk.rig.ask(log.checkpoint()).unwrap().as_bytes()).unwrap();
        let checkpoint = Checkpoint::parse(note.text()).unwrap();
        let line = cosign(&witness, key.name(), &checkpoint, CosignatureTime::from(SystemClock.now())).unwrap();
        let certificate = of.certificate();
        let logged = recover(&certificate).unwrap().unwrap();
        let hash = CertHash::of_certificate(&logged.precertificate_der).leaf_hash();
        let answer = desk.rig.ask(log.proof_by_hash(ProofQuery { hash, tree_size: Some(checkpoint.size) })).unwrap();
        let seen = note.with_line(line).unwrap().to_string();
        let proof = TlogProof::new(answer.leaf_index, answer.tree_size, answer.inclusion, seen.as_bytes()).unwrap();
        let file = desk.rig.path(name);
        fs::write(&file, proof.to_string()).unwrap();
        file.display().to_string()
    };
    assert_eq!(desk.verify(&wanted, a, &["--proof", &proof(a, "a.tlog-proof")]).0, 0);
    let (reasons, _) = desk.refused(&wanted, a, &[]);
    assert_eq!(reasons, pairs(&[("sat.inclusion", "agent")]));
    // A proof of another certificate is none of this one.
    let other = Party { uri: uri("payments/bot/b"), dir: a.dir.with_file_name("payments-bot-b") };
    let (reasons, _) = desk.refused(&wanted, a, &["--proof", &proof(&other, "b.tlog-proof")]);
    assert_eq!(reasons, pairs(&[("sat.proof", "agent")]));
}
