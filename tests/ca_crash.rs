//! `kill -9` of the CA, and of its logs, in the middle of enrolments and renewals: what agents were told
//! holds, and what they were not told they get by the same command.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, clippy::print_stdout)]

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

use std::collections::HashSet;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use atl::api::CertHashQuery;
use atl::api::ca::{Hex32, MintTokenRequest};
use atl::apki::Certificate;
use atl::apki::precertificate::recover;
use atl::ca::event::Event;
use atl::client::LogClient;
use atl::log::entry::CertHash;
use atl::log::sat::SatList;
use atl::merkle::Hash;
use sha2::{Digest, Sha256};

use ca_rig::{Agent, CaRig, REGISTERED, noted, rows, text, uri, with_registry};
use log_process::Signal;
use log_proxy::Fault;

/// Agents that one round may enrol.
const PER_ROUND: usize = 24;

/// `ATL_CRASH_ROUNDS` makes the run longer.
fn rounds() -> usize {
    std::env::var("ATL_CRASH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(10)
}

/// What is still to be asked for, and what was answered.
#[derive(Default)]
struct Ledger {
    to_enrol: Mutex<Vec<Agent>>,
    /// Agents with a certificate; one that was taken out is being renewed.
    enrolled: Mutex<Vec<Agent>>,
    answered: Mutex<Vec<(String, [u8; 32])>>,
}

impl Ledger {
    /// Enrols one agent, unless there is none left; it goes back where it has no answer.
    fn enrol(&self) -> bool {
        let Some(agent) = self.to_enrol.lock().unwrap().pop() else { return false };
        match is_answered(&agent.enrol()) {
            true => self.hear(agent),
            false => self.to_enrol.lock().unwrap().insert(0, agent),
        }
        true
    }

    /// Renews the certificate of an agent.
    fn renew(&self) {
        let agent = {
            let mut enrolled = self.enrolled.lock().unwrap();
            if enrolled.is_empty() {
                return;
            }
            enrolled.remove(0)
        };
        match is_answered(&agent.renew(&[])) {
            true => self.hear(agent),
            false => self.enrolled.lock().unwrap().push(agent),
        }
    }

    fn hear(&self, agent: Agent) {
        self.answered.lock().unwrap().push((agent.uri.clone(), fingerprint(agent.certificate().der())));
        self.enrolled.lock().unwrap().push(agent);
    }
}

fn fingerprint(der: &[u8]) -> [u8; 32] {
    Sha256::digest(der).into()
}

/// Whether there is a certificate; if not, it must be for want of an answer.
#[track_caller]
fn is_answered(output: &Output) -> bool {
    let said = text(output);
    let waits = [" is ready", " is processing"].iter().any(|state| said.contains(state));
    assert!(output.status.code() != Some(1) || waits, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    output.status.success()
}

/// Agents with tokens, some of them with a score for which both logs are needed.
fn newcomers(rig: &CaRig, round: usize, count: usize) -> Vec<Agent> {
    let (client, operator) = (rig.client(None), rig.operator());
    let agent = |number: usize| {
        let name = format!("crash/r{round}/{number}");
        let request = MintTokenRequest {
            agents: uri(&name),
            capabilities: None,
            max_validity_seconds: None,
            replaces: false,
            ttl_seconds: 3600,
        };
        let token = rig.ask(client.mint_token(&operator, &request)).unwrap().token;
        let more = if number.is_multiple_of(4) { &REGISTERED[..] } else { &[] };
        rig.agent_with(&name, token, more)
    };
    (0..count).map(agent).collect()
}

/// Load for as long as `lasting`, while `disturb` does its worst.
fn load(ledger: &Ledger, lasting: Duration, disturb: impl FnOnce()) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !over.load(SeqCst) {
                    if !ledger.enrol() {
                        break;
                    }
                }
            });
        }
        scope.spawn(|| {
            while !over.load(SeqCst) {
                ledger.renew();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        std::thread::sleep(lasting);
        disturb();
        over.store(true, SeqCst);
    });
}

/// Repeats every command that has no answer until it has one, and waits for what is still open.
fn finish(rig: &CaRig, ledger: &Ledger) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while ledger.enrol() {
        assert!(Instant::now() < deadline, "agents are left without an answer");
    }
    while !rig.open().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", rig.open());
        std::thread::sleep(Duration::from_millis(100));
    }
    // A renewal whose answer was lost goes on as well: the same command ends with a certificate.
    let enrolled = std::mem::take(&mut *ledger.enrolled.lock().unwrap());
    for agent in enrolled {
        if agent.dir.join("pending").exists() {
            assert!(is_answered(&agent.renew(&["--wait"])), "{}", agent.uri);
            ledger.hear(agent);
        }
    }
}

/// Holds all that was said against what the CA and the logs have.
fn adds_up(rig: &CaRig, ledger: &Ledger) {
    let certificates = rig.certificates(None);
    assert!(certificates.iter().all(|entry| entry.status != "precertified"));
    let answered = ledger.answered.lock().unwrap();
    for (agent, sha256) in answered.iter() {
        let found = certificates.iter().find(|entry| entry.sha256 == Some(Hex32(*sha256)));
        let found = found.unwrap_or_else(|| panic!("{agent} has a certificate that the CA does not know"));
        assert_eq!((found.status.as_str(), found.agent.as_str()), ("issued", agent.as_str()));
    }

    let (_, rows) = rows(&rig.export().0);
    let (mut serials, mut requests, mut tokens) = (HashSet::new(), HashSet::new(), HashSet::new());
    for row in &rows {
        match &row.event {
            Event::PrecertificateSigned { serial, .. } | Event::ServiceCertified { serial, .. } => {
                assert!(serials.insert(*serial), "{serial} twice");
            }
            Event::CertificateIssued { request, .. } => assert!(requests.insert(*request), "{request} has two"),
            Event::RequestReceived { credential: atl::ca::request::Credential::Token(token), .. } => {
                assert!(tokens.insert(*token), "{token} was spent twice");
            }
            _ => {}
        }
    }
    are_logged(rig);
    let count = |name: &str| rows.iter().filter(|row| row.event.name() == name).count();
    println!(
        "{} answers, {} certificates, {} abandoned, {} rows",
        answered.len(),
        requests.len(),
        count("issuance_abandoned"),
        rows.len()
    );
}

/// Asserts that every certificate that was issued is in each log whose SAT it has.
fn are_logged(rig: &CaRig) {
    // Heads are signed every second, and a log shows nothing before.
    std::thread::sleep(Duration::from_millis(2100));
    let ca = rig.client(None);
    let logs: Vec<_> = rig.logs.iter().map(|log| LogClient::new(&log.proxy.url()).unwrap()).collect();
    for entry in rig.issued(None) {
        let sha256 = entry.sha256.unwrap();
        let der = rig.ask(ca.certificate(sha256)).unwrap();
        assert_eq!(fingerprint(&der), sha256.0);
        let certificate = Certificate::parse(der).unwrap();
        let recovered = recover(&certificate).unwrap().unwrap();
        let hash = CertHash::of_certificate(&recovered.precertificate_der);
        assert_eq!(*hash.as_bytes(), entry.cert_hash.0);
        for sat in SatList::from_der(recovered.sat_list_der).unwrap().sats() {
            let place = rig.logs.iter().position(|log| log.key.log_id() == sat.log_id).expect("a log of ours");
            sat.verify(&rig.logs[place].key, hash).unwrap();
            let found = rig
                .ask(logs[place].entry_by_cert_hash(CertHashQuery { cert_hash: Hash::new(*hash.as_bytes()) }))
                .unwrap();
            assert_eq!(found.submission.unwrap().0, recovered.precertificate_der);
        }
    }
}

#[test]
fn what_the_ca_said_outlives_kill_9() {
    let rig = CaRig::new(with_registry);
    let (ledger, mut heads) = (Ledger::default(), Vec::new());
    for round in 0..rounds() {
        let ca = rig.start();
        // Most of an issuance is waiting for the logs: that is where the kills are to land.
        for (place, log) in rig.logs.iter().enumerate() {
            log.proxy.set(if (round + place) % 3 == 0 { Fault::Slow } else { Fault::None });
        }
        let newcomers = newcomers(&rig, round, PER_ROUND.min(4 + round * 8));
        ledger.to_enrol.lock().unwrap().extend(newcomers);
        heads.push(noted(&rig.export().1));
        load(&ledger, Duration::from_millis(150 + round as u64 * 373 % 700), || ca.signal(Signal::KILL));
        ca.wait().is_orderly();
        let expected: Vec<&str> = heads.iter().flat_map(|head| ["--expect", head]).collect();
        let verified = rig.verify_database(&expected);
        assert!(verified.status.success(), "round {round}: {}", text(&verified));
    }
    rig.logs.iter().for_each(|log| log.proxy.set(Fault::None));
    let ca = rig.start();
    finish(&rig, &ledger);
    adds_up(&rig, &ledger);
    ca.stop();
    let expected: Vec<&str> = heads.iter().flat_map(|head| ["--expect", head]).collect();
    let verified = rig.verify_database(&expected);
    assert!(verified.status.success(), "{}", text(&verified));
}

#[test]
fn logs_that_are_killed_cost_time_and_nothing_else() {
    let rig = CaRig::new(with_registry);
    let (ledger, ca) = (Ledger::default(), rig.start());
    for round in 0..rounds().div_ceil(3) {
        ledger.to_enrol.lock().unwrap().extend(newcomers(&rig, round, PER_ROUND));
        load(&ledger, Duration::from_millis(100), || {
            for log in &rig.logs {
                log.kill();
                std::thread::sleep(Duration::from_millis(150));
                log.start();
                std::thread::sleep(Duration::from_millis(100));
            }
        });
    }
    finish(&rig, &ledger);
    adds_up(&rig, &ledger);
    ca.stop();
    let verified = rig.verify_database(&[]);
    assert!(verified.status.success(), "{}", text(&verified));
}
