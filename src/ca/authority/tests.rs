use std::collections::BTreeMap;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::apki::AgentUri;
use crate::apki::testing::key;
use crate::ca::application::Octets;
use crate::ca::journal::{JournalError, JournalHead, Row};
use crate::ca::policy::ApprovalRule;
use crate::ca::ports::{Entity, Key};
use crate::ca::record::ReasonCode;
use crate::ca::testing::{BOT, HOUR, NOW, application, capabilities, certificate, policy, scope, secret};
use crate::ca::token::TokenScope;
use crate::keys::Signer;

/// A CA with a store, of which each command sees what it says that it needs, and nothing else.
struct Ca {
    policy: Policy,
    now: UnixMillis,
    store: BTreeMap<Key, Entity>,
    head: JournalHead,
    rows: Vec<Vec<u8>>,
}

fn id(n: u8) -> RequestId {
    RequestId::new([n; 16])
}

fn serial(n: u8) -> Serial {
    Serial::from_random([n; 20])
}

/// What stands in for the SHA-256 of the certificate of this number.
fn fingerprint(n: u8) -> [u8; 32] {
    Sha256::digest(serial(n).as_bytes()).into()
}

fn mint(n: u8, scope: TokenScope, expires_at: UnixMillis) -> Command {
    Command::MintToken { secret: secret(n), scope, expires_at, operator: "ann".into() }
}

fn enrol(token: u8, request: u8, application: &Application) -> Command {
    let application = Box::new(application.clone());
    Command::Enrol {
        request: id(request),
        secret: secret(token),
        application,
        engine: None,
        source: "192.0.2.1".into(),
    }
}

fn renew(current: u8, request: u8, application: &Application) -> Command {
    Command::Renew {
        request: id(request),
        serial: serial(current),
        fingerprint: fingerprint(current),
        application: Box::new(application.clone()),
        engine: None,
        source: "192.0.2.1".into(),
    }
}

fn approve(request: u8) -> Command {
    Command::Approve { request: id(request), operator: "ann".into() }
}

fn deny(request: u8) -> Command {
    Command::Deny { request: id(request), operator: "ann".into(), why: String::new() }
}

fn expire(request: u8) -> Command {
    Command::Expire { request: id(request) }
}

fn precertify(request: u8, number: u8) -> Command {
    let precertificate = Octets(vec![number]);
    Command::Precertify {
        request: id(request),
        serial: serial(number),
        precertificate,
        not_after: NOW.saturating_add(HOUR),
    }
}

fn abandon(request: u8, number: u8) -> Command {
    Command::Abandon { request: id(request), serial: serial(number), why: "no log answers".into() }
}

fn issue(request: u8, number: u8, of: &Application) -> Command {
    let may = capabilities(&[("mcp://ledger", "read")]);
    let certificate = Octets(certificate(of, &may, None));
    Command::Issue { request: id(request), serial: serial(number), fingerprint: fingerprint(number), certificate }
}

impl Ca {
    fn new() -> Self {
        Self { policy: policy(), now: NOW, store: BTreeMap::new(), head: JournalHead::default(), rows: Vec::new() }
    }

    /// One with the unused tokens 1 to 4.
    fn with_tokens() -> Self {
        let mut ca = Self::new();
        for n in 1..=4 {
            let scope = TokenScope { replaces: true, ..scope() };
            assert_eq!(ca.run(&mint(n, scope, NOW.saturating_add(100 * HOUR))), "token_minted");
        }
        ca
    }

    /// Does it, and says in a word what came of it: the event, `-` for none, or why not.
    fn run(&mut self, command: &Command) -> &'static str {
        let decision = self.decide(command);
        match (&decision.verdict, decision.events.as_slice()) {
            (Err(Refusal::Unauthorized(_)), []) => "unauthorized",
            (Err(Refusal::Unauthorized(_)), [Event::RequestClosed { .. }]) => "unauthorized, request_closed",
            (Err(Refusal::Unauthorized(_)), [Event::IssuanceAbandoned { .. }, Event::RequestClosed { .. }]) => {
                "unauthorized, abandoned, closed"
            }
            (Err(Refusal::Refused(_)), [Event::ApplicationRefused { .. }]) => "refused",
            (Err(Refusal::NotFound(_)), []) => "not found",
            (Err(Refusal::Conflict(_)), []) => "conflict",
            (Ok(_), []) => "-",
            (Ok(_), [event]) => Event::name(event),
            (Ok(_), [Event::RequestClosed { .. }, Event::RequestReceived { .. }]) => "request_closed, request_received",
            other => panic!("{other:?}"),
        }
    }

    fn decide(&mut self, command: &Command) -> Decision {
        let mut state = State::default();
        for round in 0.. {
            let missing = command.needs(&state);
            if missing.is_empty() {
                break;
            }
            assert!(round < 4, "{missing:?}");
            for key in missing {
                let entity = self.store.get(&key).cloned();
                state.insert(key, entity);
            }
        }
        let decision = decide(&state, command, &self.policy, self.now);
        for event in &decision.events {
            self.rows.push(self.head.append(self.now, decision.by.clone(), event.clone()).unwrap());
            state.apply(self.now, event);
        }
        self.store.extend(state.changed().into_iter().map(|entity| (entity.key(), entity)));
        decision
    }

    fn refusal(&mut self, command: &Command) -> Refusal {
        self.decide(command).verdict.unwrap_err()
    }

    /// Every step from the token to the certificate, which has the number of its request.
    fn enrolled(&mut self, token: u8, request: u8, application: &Application) {
        assert_eq!(self.run(&enrol(token, request, application)), "request_received");
        self.issued(request, application);
    }

    fn issued(&mut self, request: u8, application: &Application) {
        assert_eq!(self.run(&precertify(request, request)), "precertificate_signed");
        assert_eq!(self.run(&issue(request, request, application)), "certificate_issued");
    }

    fn request(&self, n: u8) -> &Request {
        match &self.store[&Key::Request(id(n))] {
            Entity::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    fn bot(&self) -> &Agent {
        match &self.store[&Key::Agent(AgentUri::parse(BOT).unwrap())] {
            Entity::Agent(agent) => agent,
            other => panic!("{other:?}"),
        }
    }

    /// A command that takes one of the requests a step further, under new names.
    fn further(&self, pick: u8) -> Option<Command> {
        let count = |of: fn(&Entity) -> bool| u8::try_from(self.store.values().filter(|e| of(e)).count()).unwrap();
        let request = 10 + count(|e| matches!(e, Entity::Request(_)));
        let number = 10 + count(|e| matches!(e, Entity::Certificate(_)));
        let step = |entity: &Entity| {
            let Entity::Request(found) = entity else { return None };
            let (n, of) = (found.id.as_bytes()[0], &found.application);
            match &found.state {
                RequestState::Pending { .. } => Some(approve(n)),
                RequestState::Ready { .. } => Some(precertify(n, number)),
                RequestState::Processing { serial, .. } => Some(issue(n, serial.as_bytes()[1], of)),
                RequestState::Valid { serial } => Some(renew(serial.as_bytes()[1], request, of)),
                RequestState::Invalid { .. } => None,
            }
        };
        let steps: Vec<Command> = self.store.values().filter_map(step).collect();
        steps.get(usize::from(pick) % steps.len().max(1)).cloned()
    }

    /// Reads the journal from its first row on, and makes everything that happened happen again.
    fn replay(&self) -> (JournalHead, State) {
        let (mut head, mut state) = (JournalHead::default(), State::default());
        for row in &self.rows {
            let row: Row = head.follow(row).unwrap();
            assert_eq!(state.contradiction(&row.event), None, "{:?}", row.event);
            state.apply(row.at, &row.event);
        }
        (head, state)
    }
}

/// Request 1 in this state; where it has or had a certificate, number 1.
fn request_that_is(state: &str) -> Ca {
    let bot = application(BOT);
    let mut ca = Ca::with_tokens();
    if matches!(state, "pending" | "late" | "invalid") {
        ca.policy.approval = ApprovalRule::Always;
    }
    let steps = match state {
        "none" => vec![],
        "pending" | "late" | "ready" => vec![enrol(1, 1, &bot)],
        "processing" => vec![enrol(1, 1, &bot), precertify(1, 1)],
        "abandoned" => vec![enrol(1, 1, &bot), precertify(1, 1), abandon(1, 1)],
        "valid" => vec![enrol(1, 1, &bot), precertify(1, 1), issue(1, 1, &bot)],
        "invalid" => vec![enrol(1, 1, &bot), deny(1)],
        other => panic!("{other}"),
    };
    for step in steps {
        ca.decide(&step).verdict.unwrap();
    }
    if state == "late" {
        ca.now = NOW.saturating_add(ca.policy.pending_ttl_ms);
    }
    ca
}

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
    rows.iter().try_for_each(|row| head.follow(row).map(|_: Row| ()))?;
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
