//! What the journal tells.

use proptest::prelude::*;

use super::rig::{Ca, abandon, approve, deny, enrol, expire, issue, mint, precertify, renew, request_that_is};
use crate::ca::authority::*;
use crate::ca::journal::{JournalError, JournalHead, Row};
use crate::ca::policy::ApprovalRule;
use crate::ca::ports::Entity;
use crate::ca::testing::{BOT, HOUR, NOW, application, scope, secret};
use crate::ca::token::TokenScope;

/// A journal with a row of every kind.
fn busy() -> Ca {
    let bot = application(BOT);
    let mut ca = request_that_is("abandoned");
    assert_eq!(ca.run(&precertify(1, 2)), "precertificate_signed");
    assert_eq!(ca.run(&issue(1, 2, &bot)), "certificate_issued");
    assert_eq!(ca.run(&Command::WithdrawToken { token: secret(4).id, operator: "ann".into() }), "token_withdrawn");
    assert_eq!(ca.run(&enrol(2, 7, &application("agent://bank.example.org/a/b/c"))), "refused");
    ca.policy.approval = ApprovalRule::Always;
    assert_eq!(ca.run(&enrol(2, 2, &bot)), "request_received");
    assert_eq!(ca.run(&approve(2)), "request_approved");
    assert_eq!(ca.run(&deny(2)), "request_closed");
    ca
}

/// The head that these rows lead to.
fn follow(rows: &[Vec<u8>]) -> Result<JournalHead, JournalError> {
    let mut head = JournalHead::default();
    rows.iter().try_for_each(|row| head.follow::<Actor, Event>(row).map(|_| ()))?;
    Ok(head)
}

#[test]
fn the_journal_shows_every_change() {
    let ca = busy();
    assert_eq!(follow(&ca.rows), Ok(ca.head));
    let mut rows = ca.rows.clone();
    for at in 0..rows.len() {
        for place in 0..rows[at].len() {
            for bit in [0x01, 0x20] {
                rows[at][place] ^= bit;
                // The row itself, the next one, or for the last row the head that was noted down.
                let from = follow(&ca.rows[..at]).unwrap();
                let mut head = from;
                let behind = head.follow::<Actor, Event>(&rows[at]).is_err()
                    || rows.get(at + 1).map_or(head != ca.head, |next| head.follow::<Actor, Event>(next).is_err());
                assert!(behind, "row {at}, octet {place}");
                rows[at][place] ^= bit;
            }
        }
        let mut removed = ca.rows.clone();
        removed.remove(at);
        assert_ne!(follow(&removed), Ok(ca.head), "row {at}");
        let mut swapped = ca.rows.clone();
        swapped.swap(at, (at + 1) % ca.rows.len());
        assert!(matches!(follow(&swapped), Err(JournalError::Number { .. })), "row {at}");
        let mut twice = ca.rows.clone();
        twice.insert(at, ca.rows[at].clone());
        assert!(follow(&twice).is_err(), "row {at}");
    }
}

#[test]
fn what_nobody_decided_is_a_contradiction() {
    let rows = busy().rows;
    let events: Vec<Event> = rows.iter().map(|row| serde_json::from_slice::<Row>(row).unwrap().event).collect();
    let shows = |missing: usize| {
        let mut state = State::default();
        let mut others = events.iter().enumerate().filter(|(n, _)| *n != missing).map(|(_, event)| event);
        others.any(|event| {
            let against = state.contradiction(event);
            state.apply(NOW, event);
            against.is_some()
        })
    };
    // All but the token that nobody used, and what nothing follows from.
    let shown: Vec<_> = (0..events.len()).filter(|n| shows(*n)).map(|n| events[n].name()).collect();
    let mut expected = vec!["token_minted"; 3];
    expected.extend(["request_received", "precertificate_signed", "issuance_abandoned", "precertificate_signed"]);
    expected.push("request_received");
    assert_eq!(shown, expected);
    // Nor does anything happen once more.
    let mut state = State::default();
    events.iter().for_each(|event| state.apply(NOW, event));
    for event in &events {
        assert!(state.contradiction(event).is_some(), "{event:?}");
    }
}

#[test]
fn a_row_that_does_not_follow_moves_nothing() {
    let ca = busy();
    let mut head = JournalHead::default();
    for wrong in [&b"{}"[..], b"", b"null", &ca.rows[1]] {
        assert!(head.follow::<Actor, Event>(wrong).is_err());
        assert_eq!(head, JournalHead::default());
    }
    let moved = String::from_utf8(ca.rows[1].clone()).unwrap().replace("\"row\":1", "\"row\":0");
    assert_eq!(head.follow::<Actor, Event>(moved.as_bytes()), Err(JournalError::Broken { row: 0 }));
}

/// What the world does to a CA: the commands by their kind, with small numbers to meet each other.
fn any_command() -> impl Strategy<Value = (Command, u64)> {
    let numbers = (0..12u8, 1..4u8, 1..5u8, 1..6u8, 0..4u8);
    let passes = prop_oneof![60 => 0..1000u64, 1 => Just(HOUR), 1 => Just(25 * HOUR)];
    (numbers, passes).prop_map(|((kind, token, request, number, variant), passes)| {
        let mut of = application(if variant == 3 { "agent://bank.example.com/kyc/bot/1" } else { BOT });
        of.validity_seconds = (variant == 1).then_some(1);
        let command = match kind {
            0 => mint(token, TokenScope { replaces: variant > 0, ..scope() }, UnixMillis::new(u64::MAX)),
            1 if variant == 0 => Command::WithdrawToken { token: secret(token).id, operator: String::new() },
            1..=3 => enrol(token, request, &of),
            4 | 5 => renew(number, request, &of),
            6 => approve(request),
            7 if variant == 0 => deny(request),
            7 => expire(request),
            8 | 9 => precertify(request, number),
            10 if variant < 2 => abandon(request, number),
            _ => issue(request, number, &of),
        };
        (command, passes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_happens_the_journal_tells_it(
        commands in prop::collection::vec((any_command(), prop::option::of(any::<u8>())), 0..100),
        approval in prop::sample::select(&[ApprovalRule::Never, ApprovalRule::Always][..]),
    ) {
        let mut ca = Ca::new();
        ca.policy.approval = approval;
        let (mut received, mut spent, mut signed, mut issued) = (vec![], vec![], vec![], vec![]);
        let mut open = 0;
        for ((command, passes), pick) in commands {
            ca.now = ca.now.saturating_add(passes);
            let command = pick.and_then(|pick| ca.further(pick)).unwrap_or(command);
            for event in ca.decide(&command).events {
                open += event.opened();
                match event {
                    Event::RequestReceived { request, credential, .. } => {
                        received.push(request);
                        spent.extend(matches!(credential, Credential::Token(_)).then_some(format!("{credential:?}")));
                    }
                    Event::PrecertificateSigned { serial, .. } => signed.push(serial),
                    Event::CertificateIssued { serial, request, .. } => issued.push((serial, request)),
                    _ => {}
                }
            }
        }
        let (head, replayed) = ca.replay();
        prop_assert_eq!(head, ca.head);
        prop_assert_eq!(replayed.changed(), ca.store.values().cloned().collect::<Vec<_>>());
        prop_assert!(is_set(&received) && is_set(&spent) && is_set(&signed));
        prop_assert!(is_set(&issued.iter().map(|(serial, _)| *serial).collect::<Vec<_>>()));
        prop_assert!(is_set(&issued.iter().map(|(_, request)| *request).collect::<Vec<_>>()));
        prop_assert!(issued.iter().all(|(serial, _)| signed.contains(serial)));
        let kept = ca.store.values().filter(|e| matches!(e, Entity::Certificate(c) if c.issued().is_some())).count();
        prop_assert_eq!(kept, issued.len());
        let kept = ca.store.values().filter(|e| matches!(e, Entity::Request(r) if r.state.is_open())).count();
        prop_assert_eq!(usize::try_from(open), Ok(kept));
    }
}

fn is_set<T: Ord + Clone>(of: &[T]) -> bool {
    let mut sorted = of.to_vec();
    sorted.sort();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}
