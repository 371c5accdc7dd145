//! A CA for tests of its decisions, and commands for it by small numbers.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::super::*;
use crate::apki::AgentUri;
use crate::ca::application::{Application, Octets};
use crate::ca::journal::JournalHead;
use crate::ca::policy::ApprovalRule;
use crate::ca::ports::{Children, Entity, Key};
use crate::ca::record::{Agent, CertificateRecord, RevocationRecord};
use crate::ca::request::RequestState;
use crate::ca::serial::Serial;
use crate::ca::testing::{BOT, HOUR, NOW, application, capabilities, certificate, policy, scope, secret};
use crate::ca::token::TokenScope;

/// A CA with a store, of which each command sees what it says that it needs, and nothing else.
pub(super) struct Ca {
    pub(super) policy: Policy,
    pub(super) now: UnixMillis,
    pub(super) store: BTreeMap<Key, Entity>,
    pub(super) head: JournalHead,
    pub(super) rows: Vec<Vec<u8>>,
}

pub(super) fn id(n: u8) -> RequestId {
    RequestId::new([n; 16])
}

pub(super) fn serial(n: u8) -> Serial {
    Serial::from_random([n; 20])
}

/// What stands in for the SHA-256 of the certificate of this number.
pub(super) fn fingerprint(n: u8) -> [u8; 32] {
    Sha256::digest(serial(n).as_bytes()).into()
}

pub(super) fn mint(n: u8, scope: TokenScope, expires_at: UnixMillis) -> Command {
    Command::MintToken { secret: secret(n), scope, expires_at, operator: "ann".into() }
}

pub(super) fn enrol(token: u8, request: u8, application: &Application) -> Command {
    let application = Box::new(application.clone());
    Command::Enrol {
        request: id(request),
        secret: secret(token),
        application,
        engine: None,
        source: "192.0.2.1".into(),
    }
}

pub(super) fn renew(current: u8, request: u8, application: &Application) -> Command {
    Command::Renew {
        request: id(request),
        serial: serial(current),
        fingerprint: fingerprint(current),
        application: Box::new(application.clone()),
        engine: None,
        source: "192.0.2.1".into(),
    }
}

pub(super) fn approve(request: u8) -> Command {
    Command::Approve { request: id(request), operator: "ann".into() }
}

pub(super) fn deny(request: u8) -> Command {
    Command::Deny { request: id(request), operator: "ann".into(), why: String::new() }
}

pub(super) fn expire(request: u8) -> Command {
    Command::Expire { request: id(request) }
}

pub(super) fn precertify(request: u8, number: u8) -> Command {
    let precertificate = Octets(vec![number]);
    Command::Precertify {
        request: id(request),
        serial: serial(number),
        precertificate,
        not_after: NOW.saturating_add(HOUR),
    }
}

pub(super) fn abandon(request: u8, number: u8) -> Command {
    Command::Abandon { request: id(request), serial: serial(number), why: "no log answers".into() }
}

pub(super) fn issue(request: u8, number: u8, of: &Application) -> Command {
    let may = capabilities(&[("mcp://ledger", "read")]);
    let certificate = Octets(certificate(of, &may, None));
    Command::Issue { request: id(request), serial: serial(number), fingerprint: fingerprint(number), certificate }
}

impl Ca {
    pub(super) fn new() -> Self {
        Self { policy: policy(), now: NOW, store: BTreeMap::new(), head: JournalHead::default(), rows: Vec::new() }
    }

    /// One with the unused tokens 1 to 4.
    pub(super) fn with_tokens() -> Self {
        let mut ca = Self::new();
        for n in 1..=4 {
            let scope = TokenScope { replaces: true, ..scope() };
            assert_eq!(ca.run(&mint(n, scope, NOW.saturating_add(100 * HOUR))), "token_minted");
        }
        ca
    }

    /// Does it, and says in a word what came of it: the event, `-` for none, or why not.
    pub(super) fn run(&mut self, command: &Command) -> &'static str {
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

    pub(super) fn decide(&mut self, command: &Command) -> Decision {
        let mut state = State::default();
        for round in 0.. {
            let missing = command.needs(&state, &self.policy);
            if missing.is_empty() {
                break;
            }
            assert!(round < 12, "{missing:?}");
            for key in missing {
                let entity = self.load(&key);
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

    /// What a store has under this key. Children follow from the agents that it keeps.
    fn load(&self, key: &Key) -> Option<Entity> {
        let Key::Children(parent) = key else { return self.store.get(key).cloned() };
        let its = self.agents().filter(|agent| agent.parent.as_ref() == Some(parent)).map(|agent| agent.uri.clone());
        Some(Entity::Children(Children { parent: parent.clone(), agents: its.collect() }))
    }

    pub(super) fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.store.values().filter_map(|entity| match entity {
            Entity::Agent(agent) => Some(agent),
            _ => None,
        })
    }

    pub(super) fn certificates(&self) -> impl Iterator<Item = &CertificateRecord> {
        self.store.values().filter_map(|entity| match entity {
            Entity::Certificate(certificate) => Some(certificate),
            _ => None,
        })
    }

    pub(super) fn revocation(&self, serial: &Serial) -> Option<&RevocationRecord> {
        match self.store.get(&Key::Revocation(*serial))? {
            Entity::Revocation(revocation) => Some(revocation),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn agent(&self, uri: &str) -> &Agent {
        self.agents().find(|agent| agent.uri.as_str() == uri).unwrap()
    }

    pub(super) fn refusal(&mut self, command: &Command) -> Refusal {
        self.decide(command).verdict.unwrap_err()
    }

    /// Every step from the token to the certificate, which has the number of its request.
    pub(super) fn enrolled(&mut self, token: u8, request: u8, application: &Application) {
        assert_eq!(self.run(&enrol(token, request, application)), "request_received");
        self.issued(request, application);
    }

    pub(super) fn issued(&mut self, request: u8, application: &Application) {
        assert_eq!(self.run(&precertify(request, request)), "precertificate_signed");
        assert_eq!(self.run(&issue(request, request, application)), "certificate_issued");
    }

    pub(super) fn request(&self, n: u8) -> &Request {
        match &self.store[&Key::Request(id(n))] {
            Entity::Request(request) => request,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn bot(&self) -> &Agent {
        match &self.store[&Key::Agent(AgentUri::parse(BOT).unwrap())] {
            Entity::Agent(agent) => agent,
            other => panic!("{other:?}"),
        }
    }

    /// A command that takes one of the requests a step further, under new names.
    pub(super) fn further(&self, pick: u8) -> Option<Command> {
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
    pub(super) fn replay(&self) -> (JournalHead, State) {
        let (mut head, mut state) = (JournalHead::default(), State::default());
        for row in &self.rows {
            let row = head.follow::<Actor, Event>(row).unwrap();
            assert_eq!(state.contradiction(&row.event), None, "{:?}", row.event);
            state.apply(row.at, &row.event);
        }
        (head, state)
    }
}

/// Request 1 in this state; where it has or had a certificate, number 1.
pub(super) fn request_that_is(state: &str) -> Ca {
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
