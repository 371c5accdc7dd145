//! What the tests of this floor share: reporters, signals, and an engine without a service.

use std::collections::BTreeMap;

use super::account::Account;
use super::command::{Action, Command};
use super::decide::{Decision, Next, decide};
use super::event::{Event, Operator, Role};
use super::half_points::HalfPoints;
use super::ledger::{JournalHead, Row};
use super::policy::Policy;
use super::ports::{Entity, Key};
use super::refusal::Refusal;
use super::reporter::{ReporterId, Reporters};
use super::signal::{Kind, Reported, Signal, SignalId};
use super::state::{Place, State};
use crate::apki::AgentUri;
use crate::apki::trust_score::DecayRate;
use crate::keys::{Ed25519Signer, PublicKey, Signer as _};
use crate::time::UnixMillis;

pub(crate) const NOW: UnixMillis = UnixMillis::new(1_775_822_400_000);
pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const AUDIENCE: &str = "https://trust.bank.example.com";

/// The key that this number stands for.
pub(crate) fn signer(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[seed; 32]).unwrap()
}

/// Its public half.
pub(crate) fn key(seed: u8) -> PublicKey {
    signer(seed).public_key().clone()
}

/// The reporter of this number; its key is the one that the number stands for.
pub(crate) fn reporter(number: u8) -> ReporterId {
    format!("shop-{number}").parse().unwrap()
}

pub(crate) fn agent(number: u8) -> AgentUri {
    format!("agent://bank.example.com/kyc/clerk/{number}").parse().unwrap()
}

pub(crate) fn policy(reporters: u8) -> Policy {
    let reporters = Reporters::new((1..=reporters).map(|n| (reporter(n), key(n)))).unwrap();
    Policy::new(AUDIENCE.into(), reporters, DecayRate::new(2).unwrap())
}

/// A signal about an agent, under a fresh name.
pub(crate) fn signal(about: AgentUri, kind: Kind, half_points: Option<i32>, id: u64, now: UnixMillis) -> Signal {
    let mut octets = [0; 16];
    octets[8..].copy_from_slice(&id.to_be_bytes());
    Signal {
        aud: AUDIENCE.into(),
        agent: about,
        kind,
        half_points: half_points.map(HalfPoints::new),
        observed_at: now,
        issued_at: now,
        id: SignalId::new(octets),
        detail: None,
    }
}

pub(crate) fn operator(name: &str, role: Role) -> Operator {
    Operator { name: name.into(), role }
}

/// An engine that keeps its rows and entities in memory.
pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) now: UnixMillis,
    pub(crate) kept: BTreeMap<Key, Entity>,
    pub(crate) rows: Vec<Vec<u8>>,
    pub(crate) head: JournalHead,
    signals: u64,
}

impl World {
    pub(crate) fn new(reporters: u8) -> Self {
        let (kept, rows, head) = (BTreeMap::new(), Vec::new(), JournalHead::default());
        Self { policy: policy(reporters), now: NOW, kept, rows, head, signals: 0 }
    }

    pub(crate) fn wait(&mut self, millis: u64) {
        self.now = self.now.saturating_add(millis);
    }

    pub(crate) fn tell(&mut self, command: &Command) -> Result<Vec<Event>, Refusal> {
        let mut state = State::default();
        loop {
            let keys = command.needs(&state, &self.policy);
            if keys.is_empty() {
                break;
            }
            for key in keys {
                let entity = self.kept.get(&key).cloned();
                state.insert(key, entity);
            }
        }
        let Decision { events, verdict } =
            decide(&state, command, &self.policy, Next { row: self.head.rows, now: self.now });
        for event in &events {
            let place = Place { row: self.head.rows, at: self.now, by: &command.by };
            state.apply(&place, event);
            self.rows.push(self.head.append(self.now, &command.by, event).unwrap());
        }
        self.kept.extend(state.changed().into_iter().map(|entity| (entity.key(), entity)));
        verdict.map(|_| events)
    }

    pub(crate) fn assess(&mut self, number: u8, points: i16) -> HalfPoints {
        let base = HalfPoints::from_points(points);
        self.tell(&Command::of_ca(Action::Assess { agent: agent(number), base })).unwrap();
        self.score(number)
    }

    /// A reporter's signal, which arrives now.
    pub(crate) fn signal(&mut self, from: u8, about: u8, kind: Kind, half: Option<i32>) -> Result<Vec<Event>, Refusal> {
        self.signals += 1;
        let signal = signal(agent(about), kind, half, self.signals, self.now);
        self.send(from, &signal)
    }

    pub(crate) fn send(&mut self, from: u8, signal: &Signal) -> Result<Vec<Event>, Refusal> {
        let text = signal.sign(&signer(from)).unwrap();
        let reported = Reported::verify(&self.policy.reporters, &reporter(from), &text)?;
        self.tell(&Command::report(reported))
    }

    /// What was applied of a signal at once.
    pub(crate) fn moved(&mut self, from: u8, about: u8, kind: Kind, half: i32) -> i32 {
        let half = (kind != Kind::SecurityIncident).then_some(half);
        match self.signal(from, about, kind, half).unwrap().first() {
            Some(Event::SignalTaken { signal, .. }) => signal.applied.get(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn account(&self, number: u8) -> &Account {
        match self.kept.get(&Key::Account(agent(number))) {
            Some(Entity::Account(account)) => account,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn score(&self, number: u8) -> HalfPoints {
        self.account(number).effective(self.now, self.policy.penalty_lapse_days)
    }

    /// Every row, read.
    pub(crate) fn ledger(&self) -> Vec<Row> {
        self.rows.iter().zip(0..).map(|(octets, place)| Row::read(place, octets).unwrap()).collect()
    }

    /// That everything kept follows from the rows, and that each row's score is what they come to.
    pub(crate) fn check(&self) {
        let (head, entities) = super::recompute(self.rows.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(head, self.head);
        assert_eq!(entities, self.kept.values().cloned().collect::<Vec<_>>());
        for number in 0..4 {
            if !self.kept.contains_key(&Key::Account(agent(number))) {
                continue;
            }
            let lapse = self.policy.penalty_lapse_days;
            let rows: Vec<Row> =
                self.ledger().into_iter().filter(|row| row.event.agent() == Some(&agent(number))).collect();
            let lines = super::explain(&rows, self.now, lapse);
            for (line, row) in lines.iter().zip(&rows) {
                if let Some(after) = row.event.after() {
                    assert_eq!(line.score, after.score, "{row:?}");
                }
                assert!(line.score <= line.cap);
            }
            assert_eq!(lines.last().unwrap().score, self.score(number));
        }
    }
}
