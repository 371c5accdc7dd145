mod attacks;
mod delegating;
mod journal;
mod renewing;
mod revoking;
mod rig;
mod tree;
mod trees;

use self::rig::{
    Ca, abandon, approve, deny, enrol, expire, id, issue, mint, precertify, renew, request_that_is, serial,
};
use super::*;
use crate::apki::testing::key;
use crate::ca::application::Application;
use crate::ca::record::ReasonCode;
use crate::ca::request::RequestState;
use crate::ca::testing::{BOT, HOUR, NOW, application, scope, secret};
use crate::ca::token::{TokenScope, TokenSecret};
use crate::keys::Signer;

#[test]
fn every_command_in_every_state() {
    let table = "
        state      | approve          | deny           | expire         | precertify            | again     | abandon            | issue
        none       | not found        | not found      | not found      | not found             | not found | not found          | not found
        pending    | request_approved | request_closed | -              | conflict              | conflict  | conflict           | conflict
        late       | conflict         | request_closed | request_closed | conflict              | conflict  | conflict           | conflict
        ready      | -                | request_closed | -              | precertificate_signed | precertificate_signed | conflict | conflict
        processing | -                | conflict       | -              | conflict              | conflict  | issuance_abandoned | certificate_issued
        abandoned  | -                | request_closed | -              | precertificate_signed | conflict  | conflict           | conflict
        valid      | -                | conflict       | -              | conflict              | conflict  | conflict           | conflict
        invalid    | conflict         | conflict       | -              | conflict              | conflict  | conflict           | conflict";
    let bot = application(BOT);
    // `precertify` is under a new number, `again` under number 1.
    let commands =
        [approve(1), deny(1), expire(1), precertify(1, 9), precertify(1, 1), abandon(1, 1), issue(1, 1, &bot)];
    for line in table.trim().lines().skip(1) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        for (command, expected) in commands.iter().zip(&cells[1..]) {
            assert_eq!(request_that_is(cells[0]).run(command), *expected, "{} {command:?}", cells[0]);
        }
    }
}

#[test]
fn other_numbers_and_requests_are_not_under_way() {
    let bot = application(BOT);
    let mut ca = request_that_is("processing");
    assert_eq!(ca.run(&enrol(2, 2, &application("agent://bank.example.com/kyc/bot/1"))), "request_received");
    assert_eq!(ca.run(&precertify(2, 1)), "conflict");
    assert_eq!(ca.run(&precertify(2, 2)), "precertificate_signed");
    for wrong in [issue(1, 2, &bot), issue(2, 1, &bot), issue(1, 3, &bot), abandon(1, 2), abandon(2, 1)] {
        assert_eq!(ca.run(&wrong), "conflict", "{wrong:?}");
    }
}

#[test]
fn a_number_is_never_used_again() {
    let bot = application(BOT);
    let mut ca = request_that_is("abandoned");
    assert_eq!(ca.run(&precertify(1, 1)), "conflict");
    assert_eq!(ca.run(&precertify(1, 2)), "precertificate_signed");
    assert_eq!(ca.run(&issue(1, 1, &bot)), "conflict");
    assert_eq!(ca.run(&issue(1, 2, &bot)), "certificate_issued");
    assert_eq!((ca.request(1).state.name(), ca.bot().current, ca.bot().certificates), ("valid", serial(2), 1));
}

#[test]
fn approval_dates_the_score_anew() {
    let mut ca = request_that_is("pending");
    ca.now = NOW.saturating_add(5);
    assert_eq!(ca.run(&approve(1)), "request_approved");
    match &ca.request(1).state {
        RequestState::Ready { grant } => assert_eq!(grant.scored_at, ca.now),
        other => panic!("{other:?}"),
    }
    assert_eq!(ca.run(&precertify(1, 1)), "precertificate_signed");
}

#[test]
fn a_token_is_minted_once_for_our_domain_and_some_time() {
    let mut ca = Ca::new();
    let soon = NOW.saturating_add(1);
    assert_eq!(ca.run(&mint(1, scope(), NOW)), "conflict");
    assert_eq!(ca.run(&mint(1, scope(), soon)), "token_minted");
    assert_eq!(ca.run(&mint(1, scope(), soon)), "conflict");
    ca.policy.trust_domain = "bank.example.org".into();
    assert_eq!(ca.run(&mint(2, scope(), soon)), "conflict");
}

#[test]
fn a_token_is_spent_on_one_application() {
    let (bot, mut other) = (application(BOT), application(BOT));
    other.validity_seconds = Some(600);
    let mut ca = Ca::with_tokens();
    assert_eq!(ca.run(&enrol(1, 1, &bot)), "request_received");
    let again = ca.decide(&enrol(1, 2, &bot));
    assert_eq!((again.events.len(), again.verdict), (0, Ok(Some(id(1)))));
    assert!(matches!(ca.refusal(&enrol(1, 2, &other)), Refusal::Unauthorized(why) if why.contains("is spent")));
    ca.issued(1, &bot);
    assert_eq!(ca.decide(&enrol(1, 3, &bot)).verdict, Ok(Some(id(1))));
    assert_eq!(ca.run(&Command::WithdrawToken { token: secret(1).id, operator: "ann".into() }), "conflict");
    // The same name of a request twice would lose the first.
    assert_eq!(ca.run(&enrol(2, 1, &bot)), "conflict");
}

#[test]
fn a_refused_application_leaves_the_token_as_it_was() {
    let mut ca = Ca::with_tokens();
    let foreign = application("agent://bank.example.org/a/b/c");
    assert_eq!(ca.run(&enrol(1, 1, &foreign)), "refused");
    match ca.refusal(&enrol(1, 1, &foreign)) {
        Refusal::Refused(reasons) => assert_eq!(reasons.0[0].code, ReasonCode::TrustDomain),
        other => panic!("{other:?}"),
    }
    assert_eq!(ca.run(&enrol(1, 1, &application(BOT))), "request_received");
}

#[test]
fn refusals_do_not_fill_the_journal() {
    let wrong = Application { validity_seconds: Some(1), ..application(BOT) };
    let mut ca = Ca::with_tokens();
    ca.enrolled(2, 1, &application(BOT));
    for command in [enrol(1, 9, &wrong), renew(1, 9, &wrong)] {
        for _ in 0..MAX_REFUSED {
            assert_eq!(ca.run(&command), "refused");
        }
        let rows = ca.rows.len();
        assert!(matches!(ca.refusal(&command), Refusal::Unauthorized(why) if why.contains("100 applications")));
        assert_eq!(ca.rows.len(), rows);
    }
    // A token that was used well is not the worse for it.
    assert_eq!(ca.run(&enrol(2, 9, &application(BOT))), "-");
}

#[test]
fn nobody_learns_which_tokens_exist() {
    let bot = application(BOT);
    let mut ca = Ca::with_tokens();
    let rows = ca.rows.len();
    let wrong = Command::Enrol {
        request: id(1),
        secret: TokenSecret::new(secret(1).id, [0; 32]),
        application: Box::new(bot.clone()),
        engine: None,
        source: String::new(),
    };
    let unknown = ca.refusal(&enrol(77, 1, &bot));
    assert_eq!(ca.refusal(&wrong), unknown);
    assert_eq!(ca.run(&Command::WithdrawToken { token: secret(1).id, operator: "ann".into() }), "token_withdrawn");
    assert_eq!(ca.run(&Command::WithdrawToken { token: secret(1).id, operator: "ann".into() }), "-");
    assert_eq!(ca.run(&Command::WithdrawToken { token: secret(77).id, operator: "ann".into() }), "not found");
    // Nor what became of one.
    assert_eq!(ca.refusal(&wrong), unknown);
    assert!(matches!(ca.refusal(&enrol(1, 1, &bot)), Refusal::Unauthorized(why) if why.contains("withdrawn")));
    ca.now = NOW.saturating_add(100 * HOUR);
    assert!(matches!(ca.refusal(&enrol(2, 1, &bot)), Refusal::Unauthorized(why) if why.contains("expired")));
    assert_eq!(ca.rows.len(), rows + 1);
}

#[test]
fn a_certificate_renews_while_it_lasts() {
    let bot = application(BOT);
    let mut ca = Ca::with_tokens();
    ca.enrolled(1, 1, &bot);
    let rows = ca.rows.len();
    assert_eq!(ca.run(&renew(2, 2, &bot)), "unauthorized");
    let mut foreign = renew(1, 2, &bot);
    if let Command::Renew { fingerprint, .. } = &mut foreign {
        *fingerprint = [0; 32];
    }
    assert_eq!(ca.run(&foreign), "unauthorized");
    ca.now = NOW.saturating_add(HOUR + 1);
    assert!(matches!(ca.refusal(&renew(1, 2, &bot)), Refusal::Unauthorized(why) if why.contains("ended at")));
    assert_eq!(ca.rows.len(), rows);
    ca.now = NOW.saturating_add(HOUR);
    assert_eq!(ca.run(&renew(1, 2, &bot)), "request_received");
    ca.issued(2, &bot);
    assert_eq!(ca.run(&renew(2, 3, &bot)), "request_received");
    // The one before goes on too, until it ends: its answer may have been lost. The same once more is the
    // same request, and for another key it is another.
    assert_eq!(ca.decide(&renew(1, 4, &bot)).verdict, Ok(Some(id(2))));
    let other = Application { public_key: key(97).public_key().clone(), ..bot.clone() };
    assert_eq!(ca.run(&renew(1, 5, &other)), "request_received");
    assert_eq!(ca.decide(&renew(1, 6, &other)).verdict, Ok(Some(id(5))));
    // One at a time: a newer wish replaces an older one that is not under way.
    assert_eq!(ca.run(&renew(1, 7, &bot)), "request_closed, request_received");
    assert_eq!(ca.request(5).state.name(), "invalid");
    let agent = ca.bot();
    assert_eq!((agent.certificates, agent.current, agent.enrolment), (2, serial(2), id(1)));
    assert_eq!(agent.first_issued_at, NOW);
}

#[test]
fn a_precertificate_is_no_certificate_to_renew() {
    let bot = application(BOT);
    for state in ["processing", "abandoned"] {
        assert_eq!(request_that_is(state).run(&renew(1, 2, &bot)), "unauthorized");
    }
}

#[test]
fn a_renewal_for_another_agent_is_refused_and_recorded() {
    let mut ca = Ca::with_tokens();
    ca.enrolled(1, 1, &application(BOT));
    assert_eq!(ca.run(&renew(1, 2, &application("agent://bank.example.com/payments/bot/2"))), "refused");
}

#[test]
fn enrolling_anew_ends_the_earlier_line() {
    let with_key = |n| Application { public_key: key(n).public_key().clone(), ..application(BOT) };
    let (stolen, fresh, other) = (application(BOT), with_key(98), with_key(97));
    let mut ca = Ca::with_tokens();
    ca.enrolled(1, 1, &stolen);
    // The thief renews whenever the owner does something, and all of it in one millisecond.
    assert_eq!(ca.run(&enrol(2, 3, &fresh)), "request_received");
    assert_eq!(ca.run(&renew(1, 4, &stolen)), "request_received");
    assert_eq!(ca.run(&precertify(3, 3)), "precertificate_signed");
    assert_eq!(ca.run(&precertify(4, 4)), "precertificate_signed");
    assert_eq!(ca.run(&renew(1, 5, &other)), "request_received");
    assert_eq!(ca.run(&precertify(5, 5)), "precertificate_signed");
    assert_eq!(ca.run(&renew(1, 2, &with_key(96))), "request_received");
    assert_eq!(ca.run(&issue(4, 4, &stolen)), "certificate_issued");
    assert_eq!(ca.run(&issue(3, 3, &fresh)), "certificate_issued");
    // What was under way comes to its end, and nothing comes after it.
    assert_eq!(ca.run(&issue(5, 5, &stolen)), "certificate_issued");
    assert_eq!((ca.bot().current, ca.bot().enrolment, ca.bot().certificates), (serial(3), id(3), 4));
    assert_eq!(ca.run(&precertify(2, 2)), "unauthorized, request_closed");
    assert_eq!(ca.request(2).state.name(), "invalid");
    for number in [1, 4, 5] {
        assert!(
            matches!(ca.refusal(&renew(number, 6, &with_key(95))), Refusal::Unauthorized(why) if why.contains("anew"))
        );
    }
    assert_eq!(ca.run(&renew(3, 6, &fresh)), "request_received");
}

#[test]
fn a_token_that_does_not_replace_does_not_by_being_early_either() {
    let with_key = |n| Application { public_key: key(n).public_key().clone(), ..application(BOT) };
    let (owner, thief) = (with_key(98), with_key(97));
    let mut ca = Ca::new();
    for n in 1..=5 {
        let scope = TokenScope { replaces: n == 4, ..scope() };
        assert_eq!(ca.run(&mint(n, scope, NOW.saturating_add(100 * HOUR))), "token_minted");
    }
    // All ask before there is such an agent, so none of them is held.
    for n in 1..=4 {
        let of = if n == 1 { &owner } else { &thief };
        assert_eq!(ca.run(&enrol(n, n, of)), "request_received");
    }
    assert_eq!(ca.run(&precertify(1, 1)), "precertificate_signed");
    assert_eq!(ca.run(&precertify(2, 2)), "precertificate_signed");
    assert_eq!(ca.run(&issue(1, 1, &owner)), "certificate_issued");
    assert_eq!(ca.run(&issue(2, 2, &thief)), "unauthorized, abandoned, closed");
    assert_eq!(ca.run(&precertify(3, 3)), "unauthorized, request_closed");
    assert_eq!((ca.request(2).state.name(), ca.request(3).state.name()), ("invalid", "invalid"));
    assert_eq!((ca.bot().current, ca.bot().enrolment), (serial(1), id(1)));
    assert_eq!(ca.run(&renew(1, 6, &owner)), "request_received");
    ca.issued(6, &owner);
    // What an operator sees is held is the operator's to let through, and a token that replaces may.
    assert_eq!(ca.run(&enrol(5, 5, &thief)), "request_received");
    assert_eq!(ca.run(&approve(5)), "request_approved");
    ca.issued(5, &thief);
    ca.issued(4, &thief);
    assert_eq!(ca.bot().enrolment, id(4));
}

#[test]
fn the_actor_is_who_asked() {
    let mut ca = Ca::with_tokens();
    let by = ca.decide(&enrol(1, 1, &application(BOT))).by;
    let credential = Credential::Token(secret(1).id);
    assert_eq!(by, Actor::Requester { credential, source: "192.0.2.1".into() });
    assert_eq!(ca.decide(&deny(1)).by, Actor::Operator("ann".into()));
    assert_eq!(ca.decide(&expire(1)).by, Actor::Authority);
    assert!(ca.rows.iter().all(|row| !String::from_utf8_lossy(row).contains(&"01".repeat(32))));
}
