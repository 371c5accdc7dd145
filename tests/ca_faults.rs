//! Logs that fail and lie, seen from an agent that enrols: no certificate without the SATs that it
//! needs, nothing lost, and the same command ends well once the log is well again.
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

use std::num::NonZeroU8;
use std::time::{Duration, Instant};

use atl::api::Token;
use atl::ca::event::Event;
use atl::ca::request::Credential;
use sha2::{Digest, Sha256};

use ca_rig::{Agent, CaRig, REGISTERED, rows, text, with_registry};
use log_proxy::{FAULTS, Fault};

/// Asserts that nothing is issued while the logs are as they are: the command and the call say which log
/// and why, and the request is ready for when they are well.
#[track_caller]
fn waits(rig: &CaRig, agent: &Agent, faults: [Fault; 2]) {
    let output = agent.enrol();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{faults:?}: {said}");
    assert!(said.contains("the same command asks again"), "{faults:?}: {said}");
    assert!(!agent.has_certificate(), "{faults:?}");
    let error = rig.ask(rig.client(None).enroll(&agent.token, &agent.kept_request())).unwrap_err();
    assert_eq!(error.token(), Some(Token::LogsUnavailable), "{faults:?}: {error}");
    // What the log asks for, or what the CA says itself where it has just heard so from the log.
    let wait = error.retry_after().map(|wait| wait.as_secs());
    assert!(wait == Some(5) || (wait == Some(7) && faults.contains(&Fault::Busy)), "{faults:?}: {wait:?}");
    for said in [said, error.to_string()] {
        for (log, fault) in rig.logs.iter().zip(faults) {
            let named = said.contains(&format!("log {}: ", log.proxy.url()));
            assert_eq!(named, fault != Fault::None, "{faults:?}: {said}");
            assert!(said.contains(fault.words()), "{fault:?}: {said}");
        }
    }
    assert_eq!(rig.issued(Some(&agent.uri)).len(), 0, "{faults:?}");
    is_ready(rig, agent);
    let (journal, _) = rig.export();
    let verified = rig.verify_export(&journal, &[]);
    assert!(verified.status.success(), "{faults:?}: {}", text(&verified));
}

/// The CA may just be trying again.
#[track_caller]
fn is_ready(rig: &CaRig, agent: &Agent) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let open =
            rig.open().into_iter().find(|open| open.request.agent.as_str() == agent.uri).expect("an open request");
        match open.request.status.as_str() {
            "ready" => return,
            "processing" if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            other => panic!("{other}"),
        }
    }
}

/// Asserts that the agent has its one certificate, with so many SATs at least, and that its token stands
/// behind one request alone.
#[track_caller]
fn has_one(rig: &CaRig, agent: &Agent, sats: usize) {
    let output = agent.enrol_to_the_end();
    assert!(output.status.success(), "{}", text(&output));
    assert!(agent.verified_sats(&rig.logs) >= sats);
    let issued = rig.issued(Some(&agent.uri));
    assert_eq!(issued.len(), 1);
    let sha256: [u8; 32] = Sha256::digest(agent.certificate().der()).into();
    assert_eq!(issued[0].sha256.unwrap().0, sha256);
}

/// Asserts what the journal says at the end: each token was spent once, on one certificate, and what came
/// to nothing was abandoned.
#[track_caller]
fn adds_up(rig: &CaRig, agents: &[Agent]) {
    let (journal, head) = rig.export();
    let (_, rows) = rows(&journal);
    for agent in agents {
        let received = rows.iter().filter(|row| {
            matches!(&row.event, Event::RequestReceived { credential: Credential::Token(id), .. } if id.to_string() == agent.token_id())
        });
        assert_eq!(received.count(), 1, "{}", agent.uri);
    }
    let count = |name: &str| rows.iter().filter(|row| row.event.name() == name).count();
    assert_eq!(count("certificate_issued"), agents.len());
    assert_eq!(count("precertificate_signed"), agents.len() + count("issuance_abandoned"));
    assert!(rig.certificates(None).iter().all(|entry| entry.status != "precertified"));
    assert_eq!(rig.open().len(), 0);
    let verified = rig.verify_export(&journal, &["--expect", &ca_rig::noted(&head)]);
    assert!(verified.status.success(), "{}", text(&verified));
}

#[test]
fn one_good_log_is_enough_for_low_scores_and_for_no_others() {
    let rig = CaRig::new(|config| {
        with_registry(config);
        config.issuance.straggler_ms = 500;
    });
    let ca = rig.start();
    // A SAT to be replayed.
    let mut agents = vec![rig.enrolled("faults/none/0")];
    assert_eq!(agents[0].verified_sats(&rig.logs), 2);
    for (number, fault) in FAULTS.into_iter().enumerate() {
        let low = rig.agent(&format!("faults/low/{number}"), &[]);
        let high = rig.agent(&format!("faults/high/{number}"), &REGISTERED);
        let bad = number % 2;
        rig.logs[bad].proxy.set(fault);
        let output = low.enrol();
        assert!(output.status.success(), "{fault:?}: {}", text(&output));
        assert_eq!(low.verified_sats(&rig.logs), 1, "{fault:?}");
        let mut faults = [Fault::None; 2];
        faults[bad] = fault;
        waits(&rig, &high, faults);
        rig.logs[bad].proxy.set(Fault::None);
        has_one(&rig, &high, 2);
        agents.extend([low, high]);
    }
    adds_up(&rig, &agents);
    ca.stop();
    let verified = rig.verify_database(&[]);
    assert!(verified.status.success(), "{}", text(&verified));
}

#[test]
fn without_the_sats_that_policy_wants_nothing_is_issued() {
    let rig = CaRig::new(|config| config.issuance.min_sats = NonZeroU8::new(2).unwrap());
    let ca = rig.start();
    let mut agents = vec![rig.enrolled("faults/none/0")];
    for (number, fault) in FAULTS.into_iter().enumerate() {
        let agent = rig.agent(&format!("faults/two/{number}"), &[]);
        let bad = (number + 1) % 2;
        let mut faults = [Fault::None; 2];
        faults[bad] = fault;
        // Every third time the other log has a fault too.
        if number % 3 == 0 {
            faults[1 - bad] = FAULTS[(number + 4) % FAULTS.len()];
        }
        for (log, fault) in rig.logs.iter().zip(faults) {
            log.proxy.set(fault);
        }
        waits(&rig, &agent, faults);
        rig.logs.iter().for_each(|log| log.proxy.set(Fault::None));
        has_one(&rig, &agent, 2);
        agents.push(agent);
    }
    adds_up(&rig, &agents);
    ca.stop();
    let verified = rig.verify_database(&[]);
    assert!(verified.status.success(), "{}", text(&verified));
}

#[test]
fn an_agent_that_waits_gets_its_certificate_from_a_log_that_recovers() {
    let rig = CaRig::new(|_| {});
    let ca = rig.start();
    rig.logs.iter().for_each(|log| log.proxy.set(Fault::Refuses));
    let waiting = rig.agent("faults/waits/1", &["--wait"]);
    let left = rig.agent("faults/left/1", &[]);
    let mut command = waiting.command();
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    assert_eq!(left.enrol().status.code(), Some(2));
    rig.logs[0].proxy.set(Fault::None);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(waiting.verified_sats(&rig.logs), 1);
    // The other's is issued too, without anybody asking for it again.
    let deadline = Instant::now() + Duration::from_secs(30);
    while rig.issued(Some(&left.uri)).is_empty() {
        assert!(Instant::now() < deadline, "{:?}", rig.open());
        std::thread::sleep(Duration::from_millis(100));
    }
    has_one(&rig, &left, 1);
    adds_up(&rig, &[waiting, left]);
    ca.stop();
}
