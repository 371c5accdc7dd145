//! Authority taken back, with all below it (draft 9.3), and what the trust engine brings about (draft 6.4).

use std::collections::BTreeSet;

use super::rig::{Ca, enrol, id, serial};
use super::tree::{ROOT, name, publish, revoke, root, tools, uri, wants};
use crate::apki::status::RevocationReason as Why;
use crate::apki::trust_score::Score;
use crate::ca::authority::{Decision, Refusal, decide};
use crate::ca::command::{Command, RevocationTarget, Revoker};
use crate::ca::event::{Actor, Event};
use crate::ca::ports::{Children, Entity, Key};
use crate::ca::record::{Agent, LiveCertificate, RevocationRecord};
use crate::ca::request::Credential;
use crate::ca::serial::Serial;
use crate::ca::state::State;
use crate::ca::testing::{HOUR, NOW, policy};

fn by(by: Revoker, agent: &str, reason: Why) -> Command {
    Command::Revoke { target: RevocationTarget::Agent(uri(agent)), reason, comment: String::new(), by }
}

/// The root, 2 and 3 below it, 4 and 5 below 2, 6 below 5.
fn family() -> Ca {
    let mut ca = Ca::with_root();
    for (parent, child) in [(1, 2), (1, 3), (2, 4), (2, 5), (5, 6)] {
        ca.delegated(parent, child, &wants(&name(child), tools(8)));
    }
    ca
}

fn taken(names: &[(u8, &[u8])]) -> Vec<(String, Vec<u8>)> {
    names.iter().map(|(n, certificates)| (name(*n), certificates.to_vec())).collect()
}

#[test]
fn a_revocation_takes_exactly_those_below_along() {
    let mut ca = family();
    let renewal = ca.renew(2, 7, &wants(&name(2), tools(8)));
    ca.accepted(&renewal);
    ca.certified(7);
    let Decision { by, events, .. } = ca.decide(&revoke(&name(2)));
    assert_eq!(by, Actor::Operator("ann".into()));
    let told: Vec<_> = events
        .iter()
        .map(|event| match event {
            Event::AgentRevoked { agent, reason, comment, with, .. } => {
                (agent.to_string(), *reason, comment.as_str(), with.clone())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let along = |n| (name(n), Why::PrivilegeWithdrawn, "", Some(uri(&name(2))));
    assert_eq!(told, [(name(2), Why::KeyCompromise, "lost", None), along(4), along(5), along(6)]);
    let revoked: BTreeSet<u8> = (1..=7).filter(|n| ca.revocation(&serial(*n)).is_some()).collect();
    assert_eq!(revoked, BTreeSet::from([2, 4, 5, 6, 7]));
    let record = ca.revocation(&serial(6)).unwrap();
    assert_eq!(
        (record.at, record.agent.clone(), record.not_after),
        (ca.now, Some(uri(&name(6))), ca.record(6).not_after)
    );
    assert!(ca.agent(&name(2)).live.is_empty());
    // Once more changes nothing; nor does one that is already below.
    assert_eq!(ca.run(&revoke(&name(2))), "-");
    // The operator means this one itself, which so far was taken along: that lasts.
    assert_eq!(ca.revoked(&revoke(&name(5))), taken(&[(5, &[])]));
    assert_eq!(ca.run(&revoke(&name(5))), "-");
    assert_eq!(ca.revoked(&revoke(ROOT)), [(ROOT.into(), vec![1]), (name(3), vec![3])]);
}

#[test]
fn those_that_have_ended_are_revoked_too_so_that_they_stay_away() {
    let mut ca = family();
    ca.outlive();
    let root = ca.revoked(&revoke(ROOT));
    assert_eq!(root.len(), 6);
    assert!(root.iter().all(|(_, certificates)| certificates.is_empty()));
}

#[test]
fn a_certificate_stands_for_its_agent() {
    let mut ca = family();
    let target = |n| Command::Revoke {
        target: RevocationTarget::Certificate(serial(n)),
        reason: Why::Superseded,
        comment: String::new(),
        by: Revoker::Operator("ann".into()),
    };
    assert_eq!(ca.run(&target(99)), "not found");
    assert_eq!(ca.run(&revoke(&name(99))), "not found");
    assert_eq!(ca.revoked(&target(5)), taken(&[(5, &[5]), (6, &[6])]));
}

#[test]
fn an_agent_revokes_itself_and_those_below_it() {
    let mut ca = family();
    for other in [ROOT, &name(2), &name(3), &name(4), &name(99)] {
        let command = by(ca.by_agent(5), other, Why::Superseded);
        assert_eq!(ca.run(&command), "unauthorized", "{other}");
    }
    for reason in [Why::CaCompromise, Why::AaCompromise] {
        let command = by(ca.by_agent(5), &name(6), reason);
        assert_eq!(ca.run(&command), "conflict");
    }
    let mut forged = ca.by_agent(5);
    if let Revoker::Agent { fingerprint, .. } = &mut forged {
        fingerprint[0] ^= 1;
    }
    assert_eq!(ca.run(&by(forged, &name(6), Why::Superseded)), "unauthorized");
    let command = by(ca.by_agent(2), &name(6), Why::Superseded);
    let decision = ca.decide(&command);
    let credential = Credential::Certificate(serial(2));
    assert_eq!(decision.by, Actor::Requester { credential, source: "192.0.2.1".into() });
    assert_eq!(decision.events.len(), 1);
    let itself = by(ca.by_agent(5), &name(5), Why::CessationOfOperation);
    assert_eq!(ca.revoked(&itself), taken(&[(5, &[5])]));
    // Then it may nothing any more.
    assert!(matches!(ca.refusal(&itself), Refusal::Unauthorized(why) if why.contains("was revoked")));
}

#[test]
fn t10_nobody_who_was_on_the_way_arrives() {
    // A delegation, a renewal and an enrolment at each step when the agent above them all is revoked.
    for step in 0..3 {
        let mut ca = family();
        let (child, renewal) =
            (ca.delegate(5, 10, &wants(&name(10), tools(2))), ca.renew(6, 11, &wants(&name(6), tools(2))));
        for (n, command) in [(10, child), (11, renewal), (12, enrol(50, 12, &root(tools(8))))] {
            ca.accepted(&command);
            let (precertify, number) = (ca.to_precertify(n), n);
            if step > 0 {
                assert_eq!(ca.run(&precertify), "precertificate_signed");
            }
            if step > 1 && number != 10 {
                let issue = ca.to_issue(number);
                assert_eq!(ca.run(&issue), "certificate_issued");
            }
        }
        assert!(ca.revoked(&revoke(ROOT)).len() >= 6);
        ca.now = ca.now.saturating_add(1);
        for n in [10, 11, 12] {
            let outcome = match ca.request(n).state.name() {
                "ready" => ca.to_precertify(n),
                "processing" => ca.to_issue(n),
                _ => {
                    assert!(ca.revocation(&serial(n)).is_some());
                    continue;
                }
            };
            let outcome = ca.run(&outcome);
            assert!(outcome.starts_with("unauthorized, "), "{step}, {n}: {outcome}");
            assert_eq!(ca.request(n).state.name(), "invalid");
        }
        // What is asked for afterwards is another matter.
        ca.enrolled_and_published(51, 20, &root(tools(8)));
        ca.delegated(20, 21, &wants(&name(2), tools(8)));
        assert!(ca.agents().filter(|agent| agent.revoked.is_none()).count() == 2);
    }
}

#[test]
fn a_parent_that_ended_meanwhile_gets_no_child() {
    let mut ca = Ca::with_line(2);
    let command = ca.delegate(2, 3, &wants(&name(3), tools(8)));
    ca.accepted(&command);
    let command = ca.to_precertify(3);
    assert_eq!(ca.run(&command), "precertificate_signed");
    let command = ca.to_issue(3);
    ca.outlive();
    assert_eq!(ca.run(&command), "unauthorized, abandoned, closed");
}

fn follow(n: u8, score: u8) -> Command {
    let agent = if n == 1 { uri(ROOT) } else { uri(&name(n)) };
    Command::FollowScore { agent, score: Score::new(score).unwrap(), why: "incident 7".into() }
}

#[test]
fn a_score_that_fell_too_far_revokes() {
    let mut ca = family();
    assert_eq!(ca.run(&follow(99, 0)), "-");
    assert_eq!(ca.decide(&follow(5, 20)).events.len(), 1);
    let decision = ca.decide(&follow(5, 19));
    assert_eq!(decision.by, Actor::TrustEngine);
    assert_eq!(decision.events.len(), 2);
    let why = Why::PrivilegeWithdrawn;
    assert!(matches!(&decision.events[0], Event::AgentRevoked { reason, comment, with: None, .. }
        if *reason == why && comment == "incident 7"));
    assert_eq!(ca.run(&follow(5, 0)), "-");
    ca.outlive();
    assert_eq!(ca.run(&follow(1, 0)), "-");
}

#[test]
fn a_score_that_does_not_revoke_needs_nobody_below() {
    let (ca, mut state) = (family(), State::default());
    let needs = |state: &State, score| follow(2, score).needs(state, &ca.policy);
    assert_eq!(needs(&state, 20), [Key::Agent(uri(&name(2)))]);
    state.insert(Key::Agent(uri(&name(2))), Some(Entity::Agent(ca.agent(&name(2)).clone())));
    assert_eq!(needs(&state, 20), [Key::Certificate(serial(2))]);
    assert_eq!(needs(&state, 19), [Key::Children(uri(&name(2)))]);
}

#[test]
fn a_score_that_moves_while_a_renewal_is_under_way_is_not_forgotten() {
    let mut ca = Ca::with_root();
    let renewal = ca.renew(1, 2, &root(tools(8)));
    ca.accepted(&renewal);
    ca.now = ca.now.saturating_add(1);
    assert_eq!(ca.run(&follow(1, 30)), "reissue_wanted");
    // What is issued now still says what the score was before.
    ca.certified(2);
    assert_eq!(ca.agent(ROOT).reissue.map(|reissue| reissue.score.get()), Some(30));
    let renewal = ca.renew(2, 3, &root(tools(8)));
    ca.accepted(&renewal);
    ca.certified(3);
    assert_eq!(ca.agent(ROOT).reissue, None);
}

#[test]
fn a_score_that_moved_wants_a_new_certificate_once() {
    let mut ca = Ca::with_root();
    // The certificate says 45.
    assert_eq!((ca.run(&follow(1, 35)), ca.run(&follow(1, 55))), ("-", "-"));
    assert_eq!((ca.run(&follow(1, 56)), ca.run(&follow(1, 70))), ("reissue_wanted", "-"));
    assert_eq!(ca.agent(ROOT).reissue.map(|reissue| reissue.score.get()), Some(56));
    // The other way is another wish.
    assert_eq!((ca.run(&follow(1, 30)), ca.run(&follow(1, 29))), ("reissue_wanted", "-"));
    let renewal = ca.renew(1, 2, &root(tools(8)));
    ca.accepted(&renewal);
    ca.certified(2);
    assert_eq!(ca.agent(ROOT).reissue, None);
    // Decay alone is no news: after three hours both are at 42.
    let longer = crate::ca::application::Application { validity_seconds: Some(86_400), ..root(tools(8)) };
    ca.enrolled_and_published(50, 3, &longer);
    ca.now = ca.now.saturating_add(12 * HOUR);
    assert_eq!(ca.run(&follow(1, 33)), "-");
    assert_eq!(ca.run(&follow(1, 45)), "reissue_wanted");
}

#[test]
fn a_list_remembers_what_a_database_forgot() {
    let mut ca = family();
    let listed = |n: u8| RevocationRecord {
        serial: serial(n),
        agent: None,
        at: NOW.saturating_sub(5),
        reason: Why::KeyCompromise,
        // A list says neither, so these are no more than guesses.
        signed_at: NOW.saturating_add(7 * HOUR),
        not_after: NOW.saturating_add(99 * HOUR),
    };
    let restore = |n| Command::RestoreRevocation { revocation: Box::new(listed(n)) };
    // Of nobody that is known.
    assert_eq!((ca.run(&restore(99)), ca.run(&restore(99))), ("revocation_restored", "-"));
    let Decision { by, events, .. } = ca.decide(&restore(5));
    assert_eq!(by, Actor::Authority);
    let names: Vec<&str> = events.iter().map(Event::name).collect();
    assert_eq!(names, ["revocation_restored", "agent_revoked", "agent_revoked"]);
    assert_eq!(
        ca.revocation(&serial(5)).map(|found| (found.at, found.agent.clone())),
        Some((listed(5).at, Some(uri(&name(5)))))
    );
    // It is listed where the certificate says: in the shard of its signature.
    let (found, record) = (ca.revocation(&serial(5)).unwrap(), ca.record(5));
    assert_eq!((found.signed_at, found.not_after), (record.signed_at, record.not_after));
    assert!(ca.revocation(&serial(6)).is_some() && ca.agent(&name(5)).live.is_empty());
    assert_eq!(ca.run(&restore(5)), "-");
    let (_, replayed) = ca.replay();
    assert_eq!(replayed.changed(), ca.store.values().cloned().collect::<Vec<_>>());
}

#[test]
fn what_nobody_revoked_is_a_contradiction() {
    let mut ca = family();
    ca.revoked(&revoke(&name(2)));
    let (_, state) = ca.replay();
    for row in &ca.rows {
        let event = serde_json::from_slice::<crate::ca::journal::Row>(row).unwrap().event;
        if matches!(event, Event::AgentRevoked { .. } | Event::CertificatePublished { .. }) {
            assert!(state.contradiction(&event).is_some(), "{event:?}");
        }
    }
    let live = |n| ca.record(n);
    let event = |agent: u8, with: Option<u8>, of: u8| {
        let (serial, signed_at, not_after) = (live(of).serial, live(of).signed_at, live(of).not_after);
        Event::AgentRevoked {
            agent: uri(&name(agent)),
            reason: Why::Unspecified,
            comment: String::new(),
            with: with.map(|with| uri(&name(with))),
            certificates: vec![LiveCertificate { serial, signed_at, not_after }],
        }
    };
    assert_eq!(state.contradiction(&event(3, None, 3)), None);
    // Somebody else's certificate, together with somebody who was not revoked, nobody, and once more.
    for wrong in [event(3, None, 6), event(3, Some(3), 3), event(9, None, 3), event(6, Some(2), 6), event(2, None, 2)] {
        assert!(state.contradiction(&wrong).is_some(), "{wrong:?}");
    }
}

#[test]
fn a_certificate_that_a_list_has_already_is_not_finished() {
    let mut ca = Ca::of_trees();
    ca.accepted(&enrol(1, 1, &root(tools(8))));
    let command = ca.to_precertify(1);
    assert_eq!(ca.run(&command), "precertificate_signed");
    let revocation = RevocationRecord {
        serial: serial(1),
        agent: None,
        at: NOW,
        reason: Why::Unspecified,
        signed_at: NOW,
        not_after: NOW,
    };
    ca.accepted(&Command::RestoreRevocation { revocation: Box::new(revocation) });
    let command = ca.to_issue(1);
    assert_eq!(ca.run(&command), "unauthorized, abandoned, closed");
    assert_eq!(ca.run(&publish(1)), "conflict");
}

/// Twenty agents below one, each with as many, and so on: 10,000 and more.
fn crowd() -> Vec<Agent> {
    let agent = |n: u32, parent: Option<u32>| {
        let named = |n: u32| uri(&format!("agent://bank.example.com/payments/bot/{n}"));
        let mut octets = [1; 20];
        octets[..4].copy_from_slice(&n.to_be_bytes());
        let current = Serial::from_random(octets);
        let current_not_after = NOW.saturating_add(HOUR);
        Agent {
            uri: named(n),
            first_issued_at: NOW,
            enrolment: id(1),
            certificates: 1,
            current,
            current_not_after,
            peak_score: Score::MAX,
            parent: parent.map(named),
            children: if n < 527 { 20 } else { 0 },
            live: vec![LiveCertificate { serial: current, signed_at: NOW, not_after: current_not_after }],
            revoked: None,
            last_revoked_at: None,
            reissue: None,
        }
    };
    (0..=10_540).map(|n| agent(n, n.checked_sub(1).map(|n| n / 20))).collect()
}

#[test]
#[allow(clippy::print_stdout)] // how long it takes is to be seen, and is no reason to fail on a busy machine
fn ten_thousand_are_revoked_in_one_decision() {
    let crowd = crowd();
    let mut below: std::collections::BTreeMap<_, BTreeSet<_>> = std::collections::BTreeMap::new();
    for agent in &crowd {
        if let Some(parent) = &agent.parent {
            below.entry(parent.clone()).or_default().insert(agent.uri.clone());
        }
    }
    let store: std::collections::BTreeMap<_, _> = crowd.iter().map(|agent| (agent.uri.clone(), agent)).collect();
    let (mut state, command) = (State::default(), revoke(crowd[0].uri.as_str()));
    let (mut rounds, watch) = (0, crate::time::Stopwatch::start());
    loop {
        let missing = command.needs(&state, &policy());
        if missing.is_empty() {
            break;
        }
        rounds += 1;
        for key in missing {
            let entity = match &key {
                Key::Agent(uri) => store.get(uri).map(|agent| Entity::Agent((*agent).clone())),
                Key::Children(parent) => {
                    let agents = below.get(parent).cloned().unwrap_or_default();
                    Some(Entity::Children(Children { parent: parent.clone(), agents }))
                }
                other => panic!("{other:?}"),
            };
            state.insert(key, entity);
        }
    }
    let loaded = watch.elapsed();
    let decision = decide(&state, &command, &policy(), NOW);
    let decided = watch.elapsed();
    decision.events.iter().for_each(|event| state.apply(NOW, event));
    println!("10,541 agents in {rounds} rounds: loaded {loaded:?}, decided {decided:?}, applied {:?}", watch.elapsed());
    let revoked = decision.events.iter().map(|event| match event {
        Event::AgentRevoked { agent, .. } => agent.clone(),
        other => panic!("{other:?}"),
    });
    let revoked: BTreeSet<_> = revoked.collect();
    assert_eq!(revoked.len(), crowd.len());
    assert_eq!(state.changed().len(), 2 * crowd.len());
}
