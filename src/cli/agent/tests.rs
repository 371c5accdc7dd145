//! The commands against a CA of canned answers on this machine.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use clap::Parser;
use serde_json::json;

use super::inspect::tests::{Scene, agent, log};
use super::*;
use crate::api::B64;
use crate::api::ca::{CaDescriptor, LogAnswer, RequestAnswer};
use crate::cli::pki::SigningKey;
use crate::time::{Clock, SystemClock};

#[derive(Parser)]
struct Program {
    #[command(subcommand)]
    command: AgentCommand,
}

fn atl(args: &[&str]) -> Result<(), CliError> {
    run(Program::try_parse_from([&["agent"], args].concat()).unwrap().command)
}

/// Answers in turn, and keeps what was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<(u16, String)>>,
    asked: Mutex<Vec<(String, Vec<u8>)>>,
    descriptor: String,
}

impl Script {
    fn then(&self, status: u16, body: impl serde::Serialize) {
        self.answers.lock().unwrap().push_back((status, serde_json::to_string(&body).unwrap()));
    }

    fn asked(&self) -> Vec<(String, Vec<u8>)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

async fn answer(
    State(script): State<Arc<Script>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 1], String) {
    if uri.path() == "/ca/v1/ca" {
        return (StatusCode::OK, [("retry-after", "1")], script.descriptor.clone());
    }
    script.asked.lock().unwrap().push((format!("{method} {}", uri.path()), body.to_vec()));
    let (status, body) = script.answers.lock().unwrap().pop_front().unwrap();
    (StatusCode::from_u16(status).unwrap(), [("retry-after", "1")], body)
}

/// A CA that follows the script, and its URL.
fn serve(descriptor: &CaDescriptor) -> (String, Arc<Script>) {
    let script = Script { descriptor: serde_json::to_string(descriptor).unwrap(), ..Script::default() };
    let script = Arc::new(script);
    let app = Router::new().fallback(answer).with_state(Arc::clone(&script));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
    });
    (url, script)
}

fn descriptor() -> CaDescriptor {
    let logs = [1, 2].map(|n| LogAnswer {
        url: log(n).name,
        operator: format!("Operator {n}"),
        key: B64(log(n).key.spki_der().to_vec()),
    });
    CaDescriptor {
        trust_domain: "bank.example.com".into(),
        organization: "Bank".into(),
        chain_pem: String::new(),
        logs: logs.into(),
        min_validity_seconds: 300,
        default_validity_seconds: 3600,
        max_validity_seconds: 86_400,
        oid_arc: crate::apki::oid::ARC.into(),
    }
}

fn standing(status: &str, certificate: Option<CertificateAnswer>) -> RequestAnswer {
    let reasons = if status == "pending" { vec!["an operator decides".into()] } else { Vec::new() };
    let (id, status, received_at) = ("r1".into(), status.into(), UnixMillis::new(1));
    RequestAnswer { id, status, agent: agent(), received_at, reasons, certificate }
}

#[test]
fn enrolment_survives_lost_answers_and_renewal_follows() {
    let temp = tempfile::tempdir().unwrap();
    let path = |name: &str| temp.path().join(name).to_str().unwrap().to_owned();
    let key = AgentKey::generate(crate::cli::pki::KeyKind::P256).unwrap();
    let mut scene = Scene::at(SystemClock.now());
    scene.key = SigningKey::from_pem(key.pem()).unwrap();
    fs::write(path("key"), key.pem().as_str()).unwrap();
    fs::write(path("root"), pem_of([&scene.root]).unwrap()).unwrap();
    let (url, script) = serve(&descriptor());
    let (dir, root, own) = (path("dir"), path("root"), path("key"));
    let token = format!("atl-enrol-{}-{}", "1".repeat(16), "2".repeat(64));
    let agent = agent().to_string();
    let common = ["--ca", &url, "--root", &root, "--agent", &agent, "--dir", &dir, "--key", &own];
    let enroll = |more: &[&str]| atl(&[&["enroll"], &common[..], &["--token", &token], more].concat());

    // The CA is overloaded, then waits for its operator; the request is the same all along.
    script.then(503, json!({"type": "about:blank", "title": "busy", "status": 503, "detail": "logs are down"}));
    let error = enroll(&[]).unwrap_err();
    assert!(error.code() == 2 && error.to_string().contains("the same command asks again"), "{error}");
    script.then(202, standing("pending", None));
    let error = enroll(&[]).unwrap_err();
    assert!(error.code() == 1 && error.to_string().contains("an operator decides"), "{error}");
    assert!(enroll(&["--validity", "2h"]).unwrap_err().to_string().contains("--anew"));
    script.then(202, standing("pending", None));
    script.then(200, standing("valid", Some(scene.answer(&scene.good()))));
    enroll(&["--wait"]).unwrap();
    let asked = script.asked();
    let calls: Vec<_> = asked.iter().map(|(call, _)| call.as_str()).collect();
    let sent = "POST /ca/v1/enroll";
    assert_eq!(calls, [sent, sent, sent, "GET /ca/v1/requests/r1"]);
    assert!(asked[0].1 == asked[1].1 && asked[1].1 == asked[2].1);

    let held = AgentDir::open(Path::new(&dir)).unwrap();
    let first = held.current().unwrap().unwrap();
    assert_eq!((first.key_pem.as_str(), held.pending().unwrap().is_none()), (key.pem().as_str(), true));
    assert!(first.settings.logs.iter().all(|log| !log.pinned && log.operator.is_some()));
    atl(&["show", "--dir", &dir]).unwrap();
    atl(&["show", "--dir", &dir, "--json"]).unwrap();

    // An answer that does not hold changes nothing; the next one does, and the hook hears of it.
    let renew = || atl(&["renew", "--dir", &dir, "--same-key", "--hook", "cp \"$ATL_CERT\" \"$ATL_AGENT_DIR/seen\""]);
    let mut wrong = scene.answer(&scene.good());
    wrong.chain_pem = pem_of([&scene.root]).unwrap();
    script.then(200, standing("valid", Some(wrong)));
    assert!(renew().unwrap_err().to_string().contains("nothing of it was written"));
    assert_eq!(held.current().unwrap().unwrap().settings, first.settings);
    script.then(201, standing("valid", Some(scene.answer(&scene.good()))));
    renew().unwrap();
    let asked = script.asked();
    assert!(asked[0].0 == "POST /ca/v1/renew" && asked[0] != asked[1], "it asks anew");
    let second = held.current().unwrap().unwrap();
    assert_ne!(second.settings.sha256, first.settings.sha256);
    assert_eq!(fs::read_to_string(held.path().join("seen")).unwrap(), second.chain_pem);

    // A refusal is final: the next request is another one.
    script.then(403, json!({"type": "about:blank", "title": "no", "status": 403, "detail": "not this agent"}));
    let error = renew().unwrap_err();
    assert!(error.code() == 1 && error.to_string().contains("not this agent"), "{error}");
    assert!(held.pending().unwrap().is_none());
}

#[test]
fn secrets_are_not_sent_in_the_open_and_tokens_are_read_first() {
    let temp = tempfile::tempdir().unwrap();
    let scene = Scene::at(SystemClock.now());
    let root = temp.path().join("root");
    fs::write(&root, pem_of([&scene.root]).unwrap()).unwrap();
    let (root, dir) = (root.to_str().unwrap(), temp.path().join("dir"));
    let enroll = |ca: &str, token: &str| {
        let agent = agent().to_string();
        let args = ["enroll", "--ca", ca, "--root", root, "--agent", &agent, "--dir", dir.to_str().unwrap()];
        atl(&[&args[..], &["--token", token]].concat()).unwrap_err().to_string()
    };
    assert!(enroll("http://ca.example.com", "x").contains("use https://"));
    assert!(enroll("http://127.0.0.1:1", "x").contains("this is no enrolment token"));
    assert!(!dir.exists());
}

#[test]
fn an_ended_certificate_says_what_to_do() {
    let temp = tempfile::tempdir().unwrap();
    let dir = AgentDir::create(temp.path()).unwrap();
    let key = AgentKey::generate(crate::cli::pki::KeyKind::Ed25519).unwrap();
    let settings = Settings {
        ca: "https://ca.example.com".into(),
        agent: agent(),
        sha256: crate::api::ca::Hex32([1; 32]),
        not_before: UnixMillis::new(0),
        not_after: UnixMillis::new(2),
        renew_at: UnixMillis::new(1),
        validity_seconds: None,
        evidence: None,
        logs: Vec::new(),
    };
    let (key_pem, chain_pem, root_pem) = (key.pem().clone(), String::new(), String::new());
    let generation = Generation { key_pem, chain_pem, parents_pem: None, root_pem, ca_roots_pem: None, settings };
    dir.install(&dir.lock().unwrap(), &generation).unwrap();
    let dir = temp.path().to_str().unwrap();
    for args in [&["renew", "--dir", dir][..], &["renew", "--dir", dir, "--watch"]] {
        let error = atl(args).unwrap_err();
        assert!(error.code() == 2 && error.to_string().contains("atl agent enroll --ca https://ca.example.com"));
    }
}
