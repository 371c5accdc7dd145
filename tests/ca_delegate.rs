//! Authority handed on and taken back, through the real binary: A delegates to B and B to C, and what becomes of
//! all three.
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

use std::process::Stdio;
use std::time::{Duration, Instant};

use atl::api::CertHashQuery;
use atl::api::ca::RevokeRequest;
use atl::apki::Certificate;
use atl::apki::chain::Anchors;
use atl::apki::federation::TrustDomain;
use atl::apki::status::RevocationReason;
use atl::apki::trust_score::Score;
use atl::client::LogClient;
use atl::keys::SignatureAlgorithm;
use atl::log::entry::EntryType;
use atl::merkle::Hash;
use atl::time::{Clock, SystemClock, UnixMillis};
use atl::tls::Identity;
use atl::verify::relying::{
    Domain, Domains, Effort, Facts, LogList, Peers, Policy, Presented, ProvenancePolicy, RelyingParty, Request,
    RevocationMode, RevocationPolicy, Trusted, TrustedLog, Verdict,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use self::ca_rig::*;
use self::log_proxy::Fault;
use self::party::{Party, delegation, root};

/// That both logs have this final certificate, as one.
#[track_caller]
fn is_logged(rig: &CaRig, certificate: &Certificate) {
    for log in &rig.logs {
        let client = LogClient::new(&log.proxy.url()).unwrap();
        let query = CertHashQuery { cert_hash: Hash::new(certificate.fingerprint()) };
        let deadline = Instant::now() + Duration::from_secs(10);
        let entry = loop {
            match rig.ask(client.entry_by_cert_hash(query)) {
                Ok(entry) => break entry,
                // Logged, and in no signed head yet.
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        assert_eq!(entry.entry_type, EntryType::Certificate);
        assert_eq!(entry.submission.unwrap().0, certificate.der());
    }
}

#[test]
fn authority_shrinks_and_is_taken_back() {
    let rig = CaRig::new(with_registry);
    let ca = rig.start();
    let a = root(&rig, "payments/bot/a");
    let b = a.child("payments/bot/b", &["mcp://ledger read", "mcp://mail send", "mcp://files docs"], &["--json"]);
    let c = b.child("payments/bot/c", &["mcp://ledger read", "mcp://files docs/open"], &["--validity", "10m"]);
    the_line_is_in_the_logs(&rig, &a, &b, &c);
    the_line_is_presented(&rig, &[&c, &b, &a]);
    renewals_follow_the_parent(&a, &b);
    every_broken_rule_is_named(&a, &b);
    the_same_again_is_the_same(&rig, &a);
    the_tree_is_shown(&rig, &a, &b, &c);
    who_may_revoke_whom(&rig, &a, &b);
    a_watch_ends_when_the_line_is_cut(&rig, &a, &b, &c);
    ca.stop();
    let verified = rig.verify_database(&[]);
    assert!(verified.status.success(), "{}", text(&verified));
}

fn the_line_is_in_the_logs(rig: &CaRig, a: &Party, b: &Party, c: &Party) {
    b.is_below(&a.certificate());
    c.is_below(&b.certificate());
    is_logged(rig, &a.certificate());
    is_logged(rig, &b.certificate());
    let of = |party: &Party| party.certificate().delegation().unwrap().unwrap();
    let (first, second, third) = (of(a), of(b), of(c));
    assert_eq!((first.depth, second.depth, third.depth), (0, 1, 2));
    assert_eq!(third.max_depth, first.max_depth);
    let scores = [a, b, c].map(|party| party.certificate().trust_score().unwrap().unwrap().score);
    assert!(scores[0] >= scores[1] && scores[1] >= scores[2], "{scores:?}");
    for party in [b, c] {
        let shown = party.run("show", &[]);
        assert!(shown.status.success(), "{}", text(&shown));
    }
}

fn renewals_follow_the_parent(a: &Party, b: &Party) {
    let before = a.certificate();
    assert!(a.run("renew", &[]).status.success());
    let after = a.certificate();
    assert_ne!(before.der(), after.der());
    b.is_below(&before);
    let renewed = b.run("renew", &[]);
    assert!(renewed.status.success(), "{}", text(&renewed));
    b.is_below(&after);
    // It presents the parent that it has now.
    assert_eq!(above(b), [after]);
    assert!(!a.dir.join("parents.pem").exists());
}

/// The certificates of `parents.pem`.
fn above(party: &Party) -> Vec<Certificate> {
    let found = CertificateDer::pem_file_iter(party.dir.join("parents.pem")).unwrap();
    found.map(|der| Certificate::parse(der.unwrap().as_ref()).unwrap()).collect()
}

/// What an agent's directory has is what its peers need: the line up to the one that a human answers for.
fn the_line_is_presented(rig: &CaRig, line: &[&Party]) {
    let read = |name: &str| std::fs::read_to_string(line[0].dir.join(name)).unwrap();
    let identity = Identity::from_pem(&read("cert.pem"), &read("parents.pem"), &read("key.pem")).unwrap();
    assert_eq!(identity.agent().to_string(), line[0].uri);
    assert!(Identity::from_pem(&read("cert.pem"), "", &read("key.pem")).is_err());

    let pem = [read("cert.pem"), read("parents.pem")].concat();
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).map(|der| der.unwrap());
    let certificates: Vec<_> = certificates.map(|der| Certificate::parse(der.as_ref()).unwrap()).collect();
    let root = CertificateDer::from_pem_file(line[0].dir.join("root.pem")).unwrap();
    let anchors = Anchors::new([Certificate::parse(root.as_ref()).unwrap()]).unwrap();
    let logs = rig.logs.iter().enumerate().map(|(n, log)| TrustedLog {
        name: log.argument.clone(),
        origin: None,
        key: log.key.clone(),
        operator: format!("Operator {n}"),
        from: UnixMillis::new(0),
        until: None,
    });
    let policy = Policy {
        minimum: Score::new(1).unwrap(),
        algorithms: vec![SignatureAlgorithm::Ed25519, SignatureAlgorithm::EcdsaP256Sha256],
        revocation: RevocationPolicy { mode: RevocationMode::Off, max_age: None, issuers: false },
        max_depth: 5,
        require_delegation: true,
        provenance: ProvenancePolicy::default(),
        inclusion: None,
        audited_within: None,
        peers: Peers::Any,
        tools: Vec::new(),
    };
    let domain = (TrustDomain::parse(DOMAIN).unwrap(), Domain::own(Trusted::Roots(anchors)));
    let party = RelyingParty { policy, domains: Domains::new([domain]), logs: LogList::new(logs.collect()).unwrap() };
    let facts = Facts::default();
    let request = Request { operation: None, facts: &facts, now: SystemClock.now(), past: false };
    let presented = Presented::from_certificates(certificates).unwrap();
    match party.decide(presented, &request, Effort::Whole) {
        Verdict::Accepted(accepted) => {
            let above: Vec<String> = accepted.parents.iter().map(ToString::to_string).collect();
            assert_eq!(above, line[1..].iter().map(|party| party.uri.clone()).collect::<Vec<_>>());
        }
        Verdict::Refused(refused) => panic!("{refused}"),
    }
}

fn every_broken_rule_is_named(a: &Party, b: &Party) {
    // Not B's at all, and all that B has.
    let (_, refused) = b.delegate("payments/bot/wide", &["mcp://ledger/all write", "mcp://none x"], &[]);
    let said = text(&refused);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.matches("attenuation (").count() >= 2, "{said}");
    let all = ["mcp://ledger read", "mcp://mail send", "mcp://files docs"];
    let (_, refused) = b.delegate("payments/bot/equal", &all, &[]);
    assert!(text(&refused).contains("attenuation ("), "{}", text(&refused));
    let (_, refused) = b.delegate("payments/bot/long", &["mcp://mail send"], &["--validity", "1d"]);
    assert!(text(&refused).contains("attenuation (notAfter)"), "{}", text(&refused));
    // Another organisation's name is not A's to give.
    let (_, refused) = a.delegate("treasury/bot/a", &["mcp://mail send"], &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    // One deeper than the child's own limit.
    let last = a.child("payments/bot/last", &["mcp://mail send", "mcp://files docs"], &["--max-depth", "1"]);
    let (deeper, refused) = last.delegate("payments/bot/deeper", &["mcp://mail send"], &[]);
    assert!(text(&refused).contains("attenuation (depth"), "{}", text(&refused));
    assert!(!deeper.dir.join("cert.pem").exists() && !deeper.dir.join("pending").exists());
}

/// The answer is lost: whoever asks again gets it, and no second certificate.
fn the_same_again_is_the_same(rig: &CaRig, a: &Party) {
    let name = "payments/bot/again";
    for log in &rig.logs {
        log.proxy.set(Fault::Refuses);
    }
    let (child, lost) = a.delegate(name, &["mcp://mail send"], &[]);
    assert_eq!(lost.status.code(), Some(2), "{}", text(&lost));
    assert!(child.dir.join("pending").exists() && !child.dir.join("cert.pem").exists());
    for log in &rig.logs {
        log.proxy.set(Fault::None);
    }
    std::thread::sleep(Duration::from_millis(1100));
    a.child(name, &["mcp://mail send"], &["--wait"]);
    assert_eq!(rig.issued(Some(&child.uri)).len(), 1);
    assert!(!child.dir.join("pending").exists());
}

fn the_tree_is_shown(rig: &CaRig, a: &Party, b: &Party, c: &Party) {
    let shown = rig.ca(&["lineage"], &[&b.uri]);
    let said = text(&shown);
    assert!(shown.status.success(), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with(&a.uri), "{said}");
    assert!(lines[1].starts_with(&format!("+- {}", b.uri)), "{said}");
    assert!(lines[2].starts_with(&format!("   +- {}", c.uri)), "{said}");
    let json: serde_json::Value = serde_json::from_slice(&rig.ca(&["lineage"], &[&a.uri, "--json"]).stdout).unwrap();
    assert_eq!(json["above"].as_array().unwrap().len(), 0);
    assert!(json["tree"].as_array().unwrap().len() >= 4 && json["truncated"] == false, "{json}");
    assert_eq!(rig.ca(&["lineage"], &[&uri("payments/bot/nobody")]).status.code(), Some(2));
}

fn who_may_revoke_whom(rig: &CaRig, a: &Party, b: &Party) {
    let stranger = root(rig, "payments/bot/stranger");
    let refused = stranger.run("revoke", &["--agent", &b.uri]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    // Nor may a child revoke its parent, and nobody does without a credential.
    let up = b.run("revoke", &["--agent", &a.uri]);
    assert_eq!(up.status.code(), Some(1), "{}", text(&up));
    let request = RevokeRequest { agent: Some(b.uri.parse().unwrap()), ..RevokeRequest::default() };
    let none = rig.ask(rig.client(None).revoke(None, &request)).unwrap_err();
    assert_eq!(none.status(), Some(401), "{none}");
    assert_eq!(b.standing(rig).unwrap().status, "valid");
    // An agent its child, and that one alone.
    let d = a.child("payments/bot/d", &["mcp://mail send"], &[]);
    let revoked = a.run("revoke", &["--agent", &d.uri, "--reason", "privilegeWithdrawn", "--json"]);
    assert!(revoked.status.success(), "{}", text(&revoked));
    let answer: serde_json::Value = serde_json::from_slice(&revoked.stdout).unwrap();
    assert_eq!((answer["agents_total"].as_u64(), answer["agents"][0]["agent"].as_str()), (Some(1), Some(&*d.uri)));
    let gone = d.standing(rig).unwrap();
    assert_eq!((gone.status.as_str(), gone.reason), ("revoked", Some(RevocationReason::PrivilegeWithdrawn)));
    assert_eq!(gone.with, None);
    assert_eq!(b.standing(rig).unwrap().status, "valid");
    // Itself, too.
    let itself = stranger.run("revoke", &["--reason", "cessationOfOperation"]);
    assert!(itself.status.success(), "{}", text(&itself));
    assert_eq!(stranger.run("renew", &[]).status.code(), Some(1));
}

fn a_watch_ends_when_the_line_is_cut(rig: &CaRig, a: &Party, b: &Party, c: &Party) {
    let mut watch = c.command("renew");
    watch.args(["--watch", "--check", "1s"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let watch = watch.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let serial = hex::encode(a.certificate().serial());
    let revoked = rig.ca(&["revoke"], &["--serial", &serial, "--reason", "keyCompromise", "--comment", "a laptop"]);
    let said = text(&revoked);
    assert!(revoked.status.success(), "{said}");
    for party in [a, b, c] {
        assert!(said.contains(&party.uri), "{said}");
        let standing = party.standing(rig).unwrap();
        // Only A's key is in others' hands; those below lose what they had from it.
        let why =
            if party.uri == a.uri { RevocationReason::KeyCompromise } else { RevocationReason::PrivilegeWithdrawn };
        assert_eq!((standing.status.as_str(), standing.reason), ("revoked", Some(why)));
        let renewal = party.run("renew", &[]);
        assert_eq!(renewal.status.code(), Some(1), "{}", text(&renewal));
        let (_, refused) = party.delegate("payments/bot/late", &["mcp://files docs/open"], &["--anew"]);
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    }
    assert_eq!(c.standing(rig).unwrap().with.unwrap().as_str(), a.uri);
    let ended = watch.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("was revoked at") && said.contains(&format!("together with {}", a.uri)), "{said}");
    let again = rig.ca(&["revoke"], &["--agent", &a.uri]);
    assert!(again.status.success() && text(&again).contains("revoked before"), "{}", text(&again));
    let drawn = text(&rig.ca(&["lineage"], &[&a.uri]));
    assert!(drawn.contains("REVOKED at") && drawn.contains("(keyCompromise)"), "{drawn}");
}

/// Nobody has seen the parent in the logs yet: one child's delegation brings it there, the other's waits for that.
#[test]
fn two_children_come_at_once_below_a_parent_that_is_not_published() {
    let rig = CaRig::new(with_registry);
    let ca = rig.start();
    let a = root(&rig, "payments/bot/a");
    rig.logs.iter().for_each(|log| log.proxy.set(Fault::Slow));
    let children = std::thread::scope(|scope| {
        let at_once = ["payments/bot/b", "payments/bot/c"].map(|name| {
            let a = &a;
            scope.spawn(move || a.child(name, &["mcp://mail send"], &[]))
        });
        at_once.map(|child| child.join().unwrap())
    });
    is_logged(&rig, &a.certificate());
    for child in &children {
        child.is_below(&a.certificate());
        assert_eq!(rig.issued(Some(&child.uri)).len(), 1);
    }
    let (_, rows) = rows(&rig.export().0);
    let published = rows.iter().filter(|row| row.event.name() == "certificate_published").count();
    assert_eq!(published, 1, "the parent, and nobody else, once");
    ca.stop();
}

/// A log fails while the parent's certificate is on its way there: nothing is signed below it, and the same request
/// succeeds once the log is back.
#[test]
fn nothing_is_issued_below_a_parent_that_a_log_did_not_take() {
    let rig = CaRig::new(with_registry);
    let ca = rig.start();
    let a = root(&rig, "payments/bot/a");
    for (number, fault) in [Fault::Busy, Fault::Hangs, Fault::OtherKey, Fault::Cuts].into_iter().enumerate() {
        let name = format!("payments/bot/{number}");
        let (request, _) = delegation(&name, &[("mcp://mail", "send")]);
        let client = rig.client(Some(&a.identity()));
        // The score asks for two logs.
        rig.logs[1].proxy.set(fault);
        let failed = rig.ask(client.delegate(&request)).unwrap_err();
        assert_eq!(failed.status(), Some(503), "{fault:?}: {failed}");
        assert!(failed.retry_after().is_some(), "{fault:?}: {failed}");
        assert!(rig.certificates(Some(&uri(&name))).is_empty(), "{fault:?}: not even a precertificate");
        rig.logs[1].proxy.set(Fault::None);
        // The CA asks no log that failed a moment ago.
        let deadline = Instant::now() + Duration::from_secs(15);
        let issued = loop {
            match rig.ask(client.delegate(&request)) {
                Ok(standing) if standing.answer.certificate.is_some() => break standing.answer,
                Ok(standing) => assert!(Instant::now() < deadline, "{:?}", standing.answer),
                Err(error) => assert!(error.status() == Some(503) && Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        assert_eq!(issued.status, "valid");
        assert_eq!(rig.issued(Some(&uri(&name))).len(), 1);
        is_logged(&rig, &a.certificate());
        // The next one finds a parent that is not published.
        let renewed = a.run("renew", &[]);
        assert!(renewed.status.success(), "{}", text(&renewed));
    }
    ca.stop();
}
