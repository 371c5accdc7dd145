//! What operators do and what they refuse, through the real binary: approval, tokens and their scope,
//! limits, the repository, the journal, configurations that must not serve, and the end of a CA.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "common/ca_rig.rs"]
mod ca_rig;
#[path = "common/log_process.rs"]
mod log_process;
#[path = "common/log_proxy.rs"]
mod log_proxy;
#[path = "common/pki.rs"]
mod pki;
#[path = "common/raw_http.rs"]
mod raw_http;

use std::fs;
use std::num::{NonZeroU8, NonZeroU32};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use atl::api::ca::{EnrolRequest, MintTokenRequest};
use atl::api::{B64, Token};
use atl::apki::precertificate::recover;
use atl::client::{AuditQuery, CertificatesQuery, ClientError};
use atl::config::CaConfig;
use atl::config::ca::ManualApproval;
use rcgen::{CertificateParams, KeyPair};

use ca_rig::{CaRig, REGISTERED, good, noted, rows, text, uri, with_registry};
use log_process::Signal;
use log_proxy::Fault;

/// A request of this agent with a new key.
fn form(name: &str) -> EnrolRequest {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names = vec![pki::uri(&uri(name))];
    let csr = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
    let mut form = EnrolRequest::from_json(br#"{"csr":"AA=="}"#).unwrap();
    form.csr = B64(csr.der().to_vec());
    form.capabilities = Some(capabilities("mcp://ledger", "read"));
    form
}

fn capabilities(tool: &str, scope: &str) -> atl::apki::capabilities::Capabilities {
    serde_json::from_str(&format!(r#"[{{"tool_uri":"{tool}","scope":"{scope}"}}]"#)).unwrap()
}

fn token_for(name: &str) -> MintTokenRequest {
    MintTokenRequest::from_json(format!(r#"{{"agents":"{}","ttl_seconds":60}}"#, uri(name)).as_bytes()).unwrap()
}

/// Asserts which problem an error is, and that it speaks of these.
#[track_caller]
fn is<T: std::fmt::Debug>(outcome: Result<T, ClientError>, token: Token, words: &[&str]) {
    let error = outcome.unwrap_err();
    assert_eq!(error.token(), Some(token), "{error}");
    let ClientError::Problem { status, problem, .. } = &error else { panic!("{error}") };
    assert_eq!(*status, token.status());
    for words in words {
        assert!(problem.detail.contains(words), "{words:?} is not in {:?}", problem.detail);
    }
}

#[test]
fn what_policy_holds_an_operator_decides() {
    let rig = CaRig::new(|config| config.policy.manual_approval = ManualApproval::Always);
    let ca = rig.start();
    let waits = rig.agent("kyc/bot/1", &["--wait"]);
    let waiting = waits.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();

    let denied = rig.agent("kyc/bot/2", &["--human", "Ann"]);
    let output = denied.enrol();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("is pending: an operator of this CA looks at every enrolment"), "{}", text(&output));
    let listed = rig.ca(&["requests", "list"], &[]);
    for words in [denied.uri.as_str(), denied.token_id(), "mcp://ledger", "Ann", "waits for"] {
        assert!(text(&listed).contains(words), "{words}: {}", text(&listed));
    }
    let id_of = |agent: &str| {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match rig.open().into_iter().find(|open| open.request.agent.as_str() == agent) {
                Some(open) => return open.request.id,
                None => assert!(Instant::now() < deadline, "{agent} does not ask"),
            }
        }
    };
    let id = id_of(&denied.uri);
    let why = "Ann has left\nthe bank";
    assert!(rig.ca(&["requests", "deny"], &[&id, "--why", why]).status.success());
    let output = denied.enrol();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("was refused") && text(&output).contains("Ann has left"), "{}", text(&output));
    assert!(!denied.has_certificate());
    let (client, operator) = (rig.client(None), rig.operator());
    is(rig.ask(client.approve(&operator, &id)), Token::Conflict, &["closed", "Ann has left"]);
    is(rig.ask(client.deny(&operator, &id, &Default::default())), Token::Conflict, &["invalid"]);
    is(rig.ask(client.approve(&operator, &"0".repeat(32))), Token::NotFound, &["no request"]);

    let id = id_of(&waits.uri);
    let approved = rig.ca(&["requests", "approve"], &[&id]);
    assert!(approved.status.success() && text(&approved).contains("is valid"), "{}", text(&approved));
    // Once more is the same, and too late to deny.
    assert!(rig.ca(&["requests", "approve"], &[&id]).status.success());
    is(rig.ask(client.deny(&operator, &id, &Default::default())), Token::Conflict, &["valid"]);
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(waits.verified_sats(&rig.logs) >= 1);
    // Approval was for this agent's enrolment: its renewals need none.
    let renewed = waits.renew(&[]);
    assert!(renewed.status.success(), "{}", text(&renewed));
    ca.stop();
    assert!(rig.verify_database(&[]).status.success());
}

#[test]
fn only_unknown_builds_and_known_agents_wait() {
    let rig = CaRig::new(|config| {
        with_registry(config);
        config.policy.manual_approval = ManualApproval::Unregistered;
    });
    let ca = rig.start();
    let (client, operator) = (rig.client(None), rig.operator());
    let known = rig.agent("kyc/bot/1", &REGISTERED);
    assert!(known.enrol().status.success());
    let unknown = rig.agent("kyc/bot/2", &[]);
    let output = unknown.enrol();
    assert!(text(&output).contains("not in the CA's registry"), "{}", text(&output));
    let again = rig.agent("kyc/bot/1", &REGISTERED);
    let output = again.enrol();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("has a certificate that is still valid"), "{}", text(&output));
    for open in rig.open() {
        let standing = rig.ask(client.approve(&operator, &open.request.id)).unwrap();
        assert_eq!(standing.answer.status, "valid");
    }
    for agent in [unknown, again] {
        assert!(agent.enrol().status.success());
    }
    let replaces = rig.agent_with("kyc/bot/1", rig.token("kyc/bot/1", &["--replaces"]), &REGISTERED);
    assert!(replaces.enrol().status.success());
    assert_eq!(rig.issued(Some(&known.uri)).len(), 3);
    // Who lost control of a key got it back: what descends from earlier enrolments does not renew.
    let output = known.renew(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("enrolled anew"), "{}", text(&output));
    assert!(replaces.renew(&[]).status.success());
    ca.stop();
}

#[test]
fn tokens_are_good_for_what_they_say_and_once() {
    let rig = CaRig::new(|config| config.capability_ceiling = Some(capabilities("mcp://ledger", "read")));
    let ca = rig.start();
    let (client, operator) = (rig.client(None), rig.operator());
    let enrol = |token: &str, form: &EnrolRequest| rig.ask(client.enroll(token, form));

    let expiring = rig.token("kyc/bot/1", &["--ttl", "1s"]);
    let withdrawn = rig.token("kyc/bot/1", &[]);
    let id = |token: &str| token.split('-').nth(2).unwrap().to_owned();
    assert!(rig.ca(&["token", "withdraw"], &[&id(&withdrawn)]).status.success());
    is(enrol(&withdrawn, &form("kyc/bot/1")), Token::Unauthorized, &["withdrawn"]);
    let good = rig.token("kyc/bot/1", &[]);
    let foreign = format!("atl-enrol-{}-{}", "0".repeat(16), good.rsplit('-').next().unwrap());
    let forged = format!("{}-{}", good.rsplit_once('-').unwrap().0, "0".repeat(good.rsplit('-').next().unwrap().len()));
    for token in [&foreign, &forged] {
        is(enrol(token, &form("kyc/bot/1")), Token::Unauthorized, &["not one of this CA's"]);
    }
    is(enrol("nonsense", &form("kyc/bot/1")), Token::Unauthorized, &[]);
    is(enrol(&operator, &form("kyc/bot/1")), Token::Unauthorized, &[]);

    // A refusal spends nothing; what was asked for is in the journal all the same.
    let mut greedy = form("kyc/bot/2");
    greedy.capabilities = Some(capabilities("mcp://vault", "open"));
    greedy.validity_seconds = Some(86_401);
    let ClientError::Problem { status, problem, .. } = enrol(&good, &greedy).unwrap_err() else { panic!() };
    let kinds: Vec<String> = problem.subproblems.iter().map(|sub| sub.kind.to_string()).collect();
    assert_eq!((status, problem.token()), (403, Some(Token::Policy)));
    for code in ["agentUri", "capability", "validity"] {
        assert!(kinds.iter().any(|kind| kind.ends_with(code)), "{code} is not among {kinds:?}");
    }
    let mut other_domain = form("kyc/bot/1");
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![pki::uri("agent://other.example.com/kyc/bot/1")];
    params.distinguished_name = rcgen::DistinguishedName::new();
    other_domain.csr = B64(params.serialize_request(&KeyPair::generate().unwrap()).unwrap().der().to_vec());
    let ClientError::Problem { problem, .. } = enrol(&good, &other_domain).unwrap_err() else { panic!() };
    assert!(problem.subproblems.iter().any(|sub| sub.kind.to_string().ends_with("trustDomain")), "{problem:?}");

    let mut scoped = token_for("kyc/*/*");
    scoped.capabilities = Some(capabilities("mcp://ledger", "read/today"));
    scoped.max_validity_seconds = Some(600);
    let scoped = rig.ask(client.mint_token(&operator, &scoped)).unwrap().token;
    let ClientError::Problem { problem, .. } = enrol(&scoped, &form("kyc/bot/1")).unwrap_err() else { panic!() };
    assert!(problem.detail.contains("enrolment token"), "{problem:?}");
    let mut long = form("kyc/bot/3");
    long.capabilities = None;
    long.validity_seconds = Some(601);
    is(enrol(&scoped, &long), Token::Policy, &["300 to 600 s"]);
    is(enrol(&scoped, &form("payments/bot/1")), Token::Policy, &["payments/bot/1"]);
    long.validity_seconds = None;
    let standing = enrol(&scoped, &long).unwrap();
    let issued = standing.answer.certificate.unwrap();
    assert!(issued.not_after.since(issued.not_before) <= 600_000 + 30_000);

    let asked = form("kyc/bot/1");
    let first = enrol(&good, &asked).unwrap();
    assert_eq!(enrol(&good, &asked).unwrap().answer, first.answer);
    is(enrol(&good, &form("kyc/bot/1")), Token::Unauthorized, &["spent on request", &first.answer.id]);
    is(rig.ask(client.withdraw_token(&operator, &id(&good))), Token::Conflict, &["spent"]);
    is(rig.ask(client.withdraw_token(&operator, "0000000000000000")), Token::NotFound, &[]);
    std::thread::sleep(Duration::from_millis(1100));
    is(enrol(&expiring, &form("kyc/bot/1")), Token::Unauthorized, &["expired"]);

    for token in ["", &good, &operator[1..]] {
        is(rig.ask(client.open_requests(token, None)), Token::Unauthorized, &[]);
        is(rig.ask(client.mint_token(token, &token_for("kyc/bot/1"))), Token::Unauthorized, &[]);
        is(rig.ask(client.audit(token, AuditQuery::default())), Token::Unauthorized, &[]);
    }
    ca.stop();
    assert!(rig.verify_database(&[]).status.success());
}

#[test]
fn limits_are_for_tokens_and_for_sources() {
    let n = |n| NonZeroU32::new(n).unwrap();
    let rig = CaRig::new(|config| {
        (config.per_token.per_second, config.per_token.burst) = (n(1), n(3));
        (config.per_source.per_second, config.per_source.burst) = (n(1), n(40));
    });
    let _ca = rig.start();
    let (client, token, asked) = (rig.client(None), rig.token("kyc/bot/1", &[]), form("kyc/bot/1"));
    let refused = |calls: usize, call: &dyn Fn() -> Option<ClientError>| {
        let error = (0..calls).find_map(|_| call()).expect("a limit");
        assert_eq!(error.token(), Some(Token::RateLimited), "{error}");
        assert!(error.retry_after().unwrap() >= Duration::from_secs(1), "{error}");
        error.to_string()
    };
    let said = refused(10, &|| rig.ask(client.enroll(&token, &asked)).err());
    assert!(said.contains("token"), "{said}");
    let said = refused(100, &|| rig.ask(client.descriptor()).err());
    assert!(said.contains("source address"), "{said}");
}

#[test]
fn every_certificate_is_found() {
    let rig = CaRig::new(|_| {});
    let ca = rig.start();
    let (client, operator) = (rig.client(None), rig.operator());
    for number in 0..7 {
        let token = rig.ask(client.mint_token(&operator, &token_for("kyc/*/*"))).unwrap().token;
        rig.ask(client.enroll(&token, &form(&format!("kyc/bot/{number}")))).unwrap();
    }
    let all = rig.certificates(None);
    assert_eq!(all.len(), 7);
    assert!(all.is_sorted_by(|newer, older| newer.signed_at >= older.signed_at));
    let find = |query: CertificatesQuery| rig.ask(client.certificates(&operator, &query)).unwrap();
    let none = CertificatesQuery::default;
    for limit in [1, 2, 3, 7] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = find(CertificatesQuery { limit: Some(limit), after: after.take(), ..none() });
            assert!(page.certificates.len() <= limit as usize);
            found.extend(page.certificates);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(found, all, "{limit}");
    }
    for (place, entry) in all.iter().enumerate() {
        let agent = Some(entry.agent.to_string());
        let serial = Some(entry.serial.clone());
        let (since, until) = (Some(entry.signed_at.get()), Some(entry.signed_at.get()));
        assert_eq!(find(CertificatesQuery { agent: agent.clone(), ..none() }).certificates, all[place..=place]);
        assert_eq!(find(CertificatesQuery { serial: serial.clone(), ..none() }).certificates, all[place..=place]);
        let newer = all.iter().filter(|other| other.signed_at >= entry.signed_at).count();
        assert_eq!(find(CertificatesQuery { since, ..none() }).certificates, all[..newer]);
        assert_eq!(find(CertificatesQuery { until, ..none() }).certificates, all[newer..]);
        assert_eq!(find(CertificatesQuery { since, until, ..none() }).certificates, []);
        assert_eq!(find(CertificatesQuery { agent: agent.clone(), until, ..none() }).certificates, []);
        let other = Some(uri("kyc/bot/nobody"));
        assert_eq!(find(CertificatesQuery { serial, agent: other.clone(), ..none() }).certificates, []);
        assert_eq!(find(CertificatesQuery { agent: other, ..none() }).certificates, []);
        let der = rig.ask(client.certificate(entry.sha256.unwrap())).unwrap();
        assert!(!der.is_empty());
    }
    for wrong in ["1-zz", "nonsense", ""] {
        let query = CertificatesQuery { after: Some(wrong.into()), ..none() };
        is(rig.ask(client.certificates(&operator, &query)), Token::Malformed, &[]);
    }
    ca.stop();
}

#[test]
fn a_journal_that_was_tampered_with_is_found_out() {
    let rig = CaRig::new(|_| {});
    let ca = rig.start();
    for number in 0..3 {
        rig.enrolled(&format!("kyc/bot/{number}"));
    }
    let (journal, head) = rig.export();
    let noted = noted(&head);
    let lines: Vec<&str> = journal.lines().collect();
    assert!(lines.len() > 10, "{journal}");
    let whole = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let code = |journal: &str, more: &[&str]| {
        let output = rig.verify_export(journal, more);
        assert!(!text(&output).contains("panicked"), "{}", text(&output));
        output.status.code()
    };
    let output = rig.verify_export(&journal, &["--expect", &noted]);
    assert!(output.status.success() && text(&output).contains(&noted), "{}", text(&output));
    for (number, line) in lines.iter().enumerate().step_by(3) {
        // An octet anywhere in the row, at three places.
        for place in [line.len() / 5, line.len() / 2, line.len() - 3] {
            let mut flipped = line.as_bytes().to_vec();
            flipped[place] ^= 1;
            let Ok(flipped) = String::from_utf8(flipped) else { continue };
            let changed: Vec<&str> =
                lines.iter().enumerate().map(|(n, line)| if n == number { flipped.as_str() } else { line }).collect();
            assert_eq!(code(&whole(&changed), &["--expect", &noted]), Some(1), "row {number}, octet {place}");
        }
        let without: Vec<&str> = lines.iter().enumerate().filter(|(n, _)| *n != number).map(|(_, l)| *l).collect();
        assert_eq!(code(&whole(&without), &["--expect", &noted]), Some(1), "row {number} removed");
        if number + 1 < lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(number, number + 1);
            assert_eq!(code(&whole(&swapped), &[]), Some(1), "rows {number} and the next swapped");
        }
    }
    // The chain alone does not show that it was longer; a head that was noted does.
    let cut = whole(&lines[..lines.len() - 2]);
    assert_eq!(code(&cut, &[]), Some(0));
    assert_eq!(code(&cut, &["--expect", &noted]), Some(1));
    let earlier = ca_rig::noted(&rows(&cut).0);
    assert_eq!(code(&journal, &["--expect", &earlier, "--expect", &noted]), Some(0));
    ca.stop();
    assert!(rig.verify_database(&["--expect", &noted]).status.success());
}

/// The database of a CA that does not run, opened as somebody would who knows no better.
fn tamper(rig: &CaRig, family: &str, change: impl FnOnce(&rocksdb::DB, &rocksdb::ColumnFamily)) {
    let path = rig.path("ca/data");
    let families = rocksdb::DB::list_cf(&rocksdb::Options::default(), &path).unwrap();
    let db = rocksdb::DB::open_cf(&rocksdb::Options::default(), &path, families).unwrap();
    change(&db, db.cf_handle(family).unwrap());
    db.flush_wal(true).unwrap();
}

fn first(db: &rocksdb::DB, family: &rocksdb::ColumnFamily) -> (Box<[u8]>, Box<[u8]>) {
    db.iterator_cf(family, rocksdb::IteratorMode::Start).next().unwrap().unwrap()
}

#[test]
fn a_database_that_was_tampered_with_is_found_out() {
    let rig = CaRig::new(|_| {});
    let ca = rig.start();
    rig.enrolled("kyc/bot/1");
    drop(rig.token("kyc/bot/2", &[]));
    ca.stop();
    assert!(rig.verify_database(&[]).status.success());
    let swap = |value: &[u8], from: &str, to: &str| {
        let text = String::from_utf8(value.to_vec()).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        text.replacen(from, to, 1)
    };
    let found = |what: &str| {
        let output = rig.verify_database(&[]);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{what}: {}", text(&output));
        assert!(!text(&output).contains("panicked"), "{}", text(&output));
    };
    // A token that nobody minted: a copy under another name.
    let forged = [0xee; 8];
    tamper(&rig, "tokens", |db, cf| {
        let (key, value) = first(db, cf);
        db.put_cf(cf, forged, swap(&value, &hex::encode(key), &hex::encode(forged))).unwrap();
    });
    found("a token that the journal does not know");
    tamper(&rig, "tokens", |db, cf| db.delete_cf(cf, forged).unwrap());
    // One entity of each kind, changed, taken out, and put back.
    for (family, from, to) in [
        ("certificates", "\"score\":25", "\"score\":90"),
        ("agents", "\"peak_score\":25", "\"peak_score\":99"),
        ("requests", "mcp://ledger", "mcp://ladder"),
        ("tokens", "\"minted_by\":\"admin\"", "\"minted_by\":\"nobody\""),
        ("journal", "\"at\":1", "\"at\":2"),
    ] {
        let mut kept = None;
        tamper(&rig, family, |db, cf| {
            let (key, value) = first(db, cf);
            db.put_cf(cf, &key, swap(&value, from, to)).unwrap();
            kept = Some((key, value));
        });
        found(family);
        let (key, value) = kept.unwrap();
        tamper(&rig, family, |db, cf| db.delete_cf(cf, &key).unwrap());
        found(family);
        tamper(&rig, family, |db, cf| db.put_cf(cf, &key, &value).unwrap());
        assert!(rig.verify_database(&[]).status.success(), "{family} was put back");
    }
}

#[test]
fn a_database_from_the_past_is_not_gone_on_with_unasked() {
    let rig = CaRig::new(|_| {});
    let (data, older) = (rig.path("ca/data"), rig.path("older"));
    let ca = rig.start();
    let agent = rig.agent("kyc/bot/1", &[]);
    ca.stop();
    let copy = |from: &Path, to: &Path| good(Command::new("cp").arg("-a").arg(from).arg(to));
    copy(&data, &older);
    let ca = rig.start();
    assert!(agent.enrol().status.success());
    ca.stop();
    // The token that was spent since would be good once more.
    let newest = rig.path("newest");
    fs::rename(&data, &newest).unwrap();
    copy(&older, &data);
    let refused = || match rig.try_start() {
        Ok(_) => panic!("it serves"),
        Err(ended) => ended.says(&["ca/data", "does not go on from"]),
    };
    refused();
    // Nor does it begin anew where the database is gone.
    fs::remove_dir_all(&data).unwrap();
    refused();
    fs::remove_dir_all(&data).unwrap();
    copy(&newest, &data);
    rig.start().stop();
    // Where nothing newer is left, somebody says so.
    fs::remove_dir_all(&data).unwrap();
    copy(&older, &data);
    let mut accept = Command::new(env!("CARGO_BIN_EXE_atl"));
    good(accept.args(["ca", "audit", "accept", "--config"]).arg(rig.path("ca/ca.toml")));
    let ca = rig.start();
    assert!(rig.issued(None).is_empty());
    ca.stop();
}

#[test]
fn a_configuration_that_cannot_serve_is_refused_in_words() {
    let rig = CaRig::new(|_| {});
    let ca = rig.start();
    let file = rig.path("ca/wrong.toml");
    let refused = |change: &dyn Fn(&mut CaConfig), words: &[&str]| {
        let mut config = CaConfig::load(&rig.path("ca/ca.toml")).unwrap();
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.data_dir = rig.path("ca/other");
        change(&mut config);
        fs::write(&file, config.render().unwrap()).unwrap();
        match rig.try_start_at(&file) {
            Ok(_) => panic!("it serves: {words:?}"),
            Err(ended) => ended.says(words),
        }
    };
    let listen = rig.url.trim_start_matches("https://");
    refused(&|config| config.listen = listen.parse().unwrap(), &[listen, "cannot be listened on"]);
    refused(&|config| config.data_dir = rig.path("ca/data"), &["ca/data", "LOCK"]);
    refused(&|config| config.data_dir = rig.path("ca/root.pem"), &["ca/root.pem"]);
    refused(&|config| config.logs.clear(), &["without a transparency log", "[[logs]]"]);
    refused(&|config| config.issuance.min_sats = NonZeroU8::new(3).unwrap(), &["issuance.min_sats", "2 logs"]);
    refused(
        &|config| config.issuer_key = rig.path("ca/root/root-key.pem"),
        &["intermediate.pem", "root-key.pem", "key"],
    );
    refused(&|config| config.issuer_key = rig.path("ca/missing.pem"), &["ca/missing.pem"]);
    refused(&|config| config.issuer_certificate = rig.path("ca/root.pem"), &["ca/root.pem"]);
    refused(&|config| config.root_certificate = rig.path("ca/intermediate.pem"), &["ca/intermediate.pem"]);
    refused(&|config| config.certificates.principal_salt_file = rig.path("ca/root.pem"), &["ca/root.pem", "salt"]);
    refused(
        &|config| config.trust_domain = "other.example.com".into(),
        &["intermediate.pem", "may not vouch for agents of other.example.com"],
    );
    fs::write(&file, "trust_domain = \"bank.example.com\"\norganization = \"Bank\"\ncolour = 1\n").unwrap();
    rig.try_start_at(&file).map(drop).unwrap_err().says(&["wrong.toml", "line 3"]);
    // All the while the CA served.
    assert!(rig.enrolled("kyc/bot/1").has_certificate());
    ca.stop();
}

/// What curl, and so OpenSSL, gets from a renewal with these as certificate and key: the HTTP status, or
/// 0 where there was none.
fn renews_with(rig: &CaRig, certificate_pem: &str, key: &Path, form: &EnrolRequest) -> u16 {
    let (file, body) = (rig.path("presented.pem"), rig.path("renewal.json"));
    fs::write(&file, certificate_pem).unwrap();
    fs::write(&body, serde_json::to_vec(form).unwrap()).unwrap();
    let mut curl = Command::new("curl");
    curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"]).arg(rig.path("ca/root.pem"));
    curl.arg("--cert").arg(file).arg("--key").arg(key).args(["-H", "Content-Type: application/json", "--data-binary"]);
    curl.arg(format!("@{}", body.display())).arg(format!("{}/ca/v1/renew", rig.url));
    String::from_utf8(curl.output().unwrap().stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn only_a_certificate_that_the_ca_stands_by_renews() {
    let rig = CaRig::new(|_| {});
    let ca = rig.start();
    let agent = rig.enrolled("kyc/bot/1");
    let key = agent.dir.join("key.pem");
    let chain = fs::read_to_string(agent.dir.join("cert.pem")).unwrap();
    let certificate = agent.certificate();
    let precertificate = recover(&certificate).unwrap().unwrap().precertificate_der;
    let precertificate = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, &precertificate).unwrap();
    let asked = form("kyc/bot/1");
    assert_eq!(renews_with(&rig, &precertificate, &key, &asked), 0, "a precertificate");
    // Signed with the CA's own key, and yet nothing that it ever issued: the profile of its TLS
    // certificate, and that of an agent.
    let own = |names: &str, purposes: &str| {
        let openssl = |arguments: &[&str]| {
            let output = Command::new("openssl").args(arguments).current_dir(rig.path("ca")).output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
        };
        fs::write(rig.path("ca/own.ext"), format!("subjectAltName=critical,{names}\nkeyUsage=critical,digitalSignature\nextendedKeyUsage={purposes}\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")).unwrap();
        openssl(&["genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "own.key"]);
        openssl(&["req", "-new", "-key", "own.key", "-subj", "/", "-out", "own.csr"]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            "own.csr",
            "-CA",
            "intermediate.pem",
            "-CAkey",
            "intermediate-key.pem",
            "-days",
            "1",
            "-extfile",
            "own.ext",
            "-out",
            "own.pem",
        ]);
        fs::read_to_string(rig.path("ca/own.pem")).unwrap()
    };
    for (names, purposes) in [
        ("DNS:localhost,IP:127.0.0.1", "serverAuth"),
        ("DNS:localhost,IP:127.0.0.1", "serverAuth,clientAuth"),
        (&format!("URI:{}", agent.uri), "serverAuth,clientAuth"),
    ] {
        let status = renews_with(&rig, &own(names, purposes), &rig.path("ca/own.key"), &asked);
        assert!(matches!(status, 0 | 401), "{names}, {purposes}: {status}");
    }
    // The certificate of another agent of this CA is good for that agent alone.
    let other = rig.enrolled("kyc/bot/2");
    let others = fs::read_to_string(other.dir.join("cert.pem")).unwrap();
    assert_eq!(renews_with(&rig, &others, &other.dir.join("key.pem"), &asked), 403);
    assert_eq!(rig.issued(None).len(), 2);
    assert_eq!(renews_with(&rig, &chain, &key, &asked), 201, "the certificate itself");
    // Once the agent has enrolled anew, neither that one nor its renewals are worth anything.
    let anew = rig.agent_with("kyc/bot/1", rig.token("kyc/bot/1", &["--replaces"]), &[]);
    assert!(anew.enrol().status.success());
    assert_eq!(renews_with(&rig, &chain, &key, &form("kyc/bot/1")), 401, "superseded");
    let output = agent.renew(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("enrolled anew"), "{}", text(&output));
    assert!(anew.renew(&[]).status.success());
    ca.stop();
    assert!(rig.verify_database(&[]).status.success());
}

#[test]
fn sigterm_finishes_what_is_under_way() {
    let rig = CaRig::new(|config| config.issuance.log_timeout_ms = 3000);
    let ca = rig.start();
    let agent = rig.agent("kyc/bot/1", &[]);
    rig.logs.iter().for_each(|log| log.proxy.set(Fault::Hangs));
    let enrolment = agent.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while rig.certificates(None).is_empty() {
        assert!(Instant::now() < deadline, "nothing is under way");
    }
    ca.signal(Signal::TERM);
    std::thread::sleep(Duration::from_millis(200));
    rig.logs.iter().for_each(|log| log.proxy.set(Fault::None));
    let ended = ca.wait();
    assert!(ended.status.success(), "{ended:?}");
    ended.is_orderly();
    let said = enrolment.wait_with_output().unwrap();
    assert!(said.status.code() != Some(1), "{}", text(&said));
    assert!(rig.verify_database(&[]).status.success());
    // Whether the answer still reached the agent or not: the certificate is there, and there is one.
    let ca = rig.start();
    assert_eq!(rig.issued(None).len(), 1, "{}", text(&said));
    if !said.status.success() {
        let again = agent.enrol();
        assert!(again.status.success(), "{}", text(&again));
    }
    assert!(agent.verified_sats(&rig.logs) >= 1);
    assert_eq!(rig.certificates(None).len(), 1);
    ca.stop();
}
