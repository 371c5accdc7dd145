//! The part of the engine's state that is at hand, and how events change it.

use std::collections::{BTreeMap, BTreeSet};

use super::account::Account;
use super::baseline::{Flag, ReporterRecord};
use super::event::{Actor, Event, Hold, Taken};
use super::half_points::HalfPoints;
use super::ports::{Entity, Key};
use super::record::{Incident, IncidentState, Receipt, Review, ReviewState, Source};
use super::reporter::ReporterId;
use super::signal::{Kind, SignalId};
use crate::apki::AgentUri;
use crate::time::UnixMillis;

/// What was loaded from the store, with what has happened since.
#[derive(Clone, Debug, Default)]
pub struct State {
    entities: BTreeMap<Key, Option<Entity>>,
    changed: BTreeSet<Key>,
}

/// The row that an event stands in.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its number.
    pub row: u64,
    /// When it was written.
    pub at: UnixMillis,
    /// Who brought it about.
    pub by: &'a Actor,
}

macro_rules! access {
    ($(#[$doc:meta])* $name:ident, $variant:ident: $id:ty => $entity:ty, $key:expr) => {
        $(#[$doc])*
        pub fn $name(&self, id: &$id) -> Option<&$entity> {
            match self.entities.get(&$key(id)) {
                Some(Some(Entity::$variant(entity))) => Some(entity),
                _ => None,
            }
        }
    };
}

impl State {
    access!(/// The account of this agent, if it is at hand.
        account, Account: AgentUri => Account, |agent: &AgentUri| Key::Account(agent.clone()));
    access!(/// What is known of this reporter, if it is at hand.
        reporter, Reporter: ReporterId => ReporterRecord, |id: &ReporterId| Key::Reporter(id.clone()));
    access!(/// The incident of this number, if it is at hand.
        incident, Incident: u64 => Incident, |id: &u64| Key::Incident(*id));
    access!(/// The review of this number, if it is at hand.
        review, Review: u64 => Review, |id: &u64| Key::Review(*id));

    /// What came of a signal, if that is at hand.
    pub fn receipt(&self, reporter: &ReporterId, id: SignalId) -> Option<&Receipt> {
        match self.entities.get(&Key::Receipt(reporter.clone(), id)) {
            Some(Some(Entity::Receipt(receipt))) => Some(receipt),
            _ => None,
        }
    }

    /// Whether it is known what is kept under this key, be it nothing.
    pub fn knows(&self, key: &Key) -> bool {
        self.entities.contains_key(key)
    }

    /// Takes in what the store keeps under this key.
    pub fn insert(&mut self, key: Key, entity: Option<Entity>) {
        self.entities.insert(key, entity);
    }

    /// Everything that has changed, as it is now.
    pub fn changed(&self) -> Vec<Entity> {
        self.changed.iter().filter_map(|key| self.entities.get(key).cloned().flatten()).collect()
    }

    /// Everything at hand.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.entities.values().flatten()
    }

    /// Makes an event's change. Events are facts: this cannot fail, and what an event speaks of was at
    /// hand when it was decided.
    pub fn apply(&mut self, place: &Place<'_>, event: &Event) {
        self.change_account(place, event);
        match event {
            Event::SignalTaken { agent, signal, .. } => self.take(place, agent, signal),
            Event::Released { agent, reporter, held, why, .. } => {
                self.hold(place, agent, *held, why, Source::Reporter(reporter.clone()));
            }
            Event::IncidentConfirmed { incident, dropped, .. } => {
                self.change_incident(*incident, IncidentState::Confirmed { row: place.row });
                for review in dropped {
                    self.change_review(*review, ReviewState::Dropped { row: place.row });
                }
            }
            Event::IncidentDismissed { incident, .. } => {
                self.change_incident(*incident, IncidentState::Dismissed { row: place.row });
            }
            Event::ReviewApproved { review, .. } => {
                self.change_review(*review, ReviewState::Approved { row: place.row });
            }
            Event::ReviewDenied { review, .. } => self.change_review(*review, ReviewState::Denied { row: place.row }),
            Event::Rebased { agent, held, .. } => {
                let name = match place.by {
                    Actor::Operator(operator) => operator.name.clone(),
                    _ => String::new(),
                };
                self.hold(place, agent, *held, &[Hold::RiseLimit], Source::Operator(name));
            }
            Event::ReporterFlagged { reporter, finding } => {
                let flag = Flag { row: place.row, at: place.at, finding: *finding };
                self.change_reporter(reporter, |record| record.flag = Some(flag));
            }
            Event::ReporterCleared { reporter } => self.change_reporter(reporter, |record| {
                record.flag = None;
                record.days.clear();
            }),
            Event::Opened { .. } | Event::EvidenceLost { .. } | Event::Repaced { .. } => {}
        }
    }

    fn change_account(&mut self, place: &Place<'_>, event: &Event) {
        let Some(agent) = event.agent() else { return };
        let account = match (self.account(agent).cloned(), event) {
            (None, Event::Opened { base, after, .. }) => {
                Account::open(agent.clone(), *base, after.pace, place.row, place.at)
            }
            (Some(mut account), event) => {
                account.apply(place.row, place.at, event);
                account
            }
            (None, _) => return,
        };
        self.put(Entity::Account(Box::new(account)));
    }

    fn take(&mut self, place: &Place<'_>, agent: &AgentUri, signal: &Taken) {
        self.change_reporter(&signal.reporter, |record| record.count(place.at, signal.kind, signal.requested));
        self.put(Entity::Receipt(Receipt {
            reporter: signal.reporter.clone(),
            id: signal.id,
            sha256: signal.sha256,
            row: place.row,
            at: place.at,
            kind: signal.kind,
            requested: signal.requested,
            applied: signal.applied,
            withheld: signal.withheld,
            held: signal.held,
        }));
        if signal.kind == Kind::SecurityIncident {
            self.put(Entity::Incident(Incident {
                id: place.row,
                agent: agent.clone(),
                reporter: signal.reporter.clone(),
                at: place.at,
                observed_at: signal.observed_at,
                detail: signal.detail.clone(),
                state: IncidentState::Open,
            }));
        }
        self.hold(place, agent, signal.held, &signal.why, Source::Reporter(signal.reporter.clone()));
    }

    fn hold(&mut self, place: &Place<'_>, agent: &AgentUri, held: HalfPoints, why: &[Hold], source: Source) {
        if held == HalfPoints::ZERO {
            return;
        }
        let why = why.iter().copied().find(|hold| *hold != Hold::ReporterCap).unwrap_or(Hold::RiseLimit);
        let (id, agent, at, state) = (place.row, agent.clone(), place.at, ReviewState::Open);
        self.put(Entity::Review(Review { id, agent, half_points: held, why, source, at, state }));
    }

    fn put(&mut self, entity: Entity) {
        let key = entity.key();
        self.changed.insert(key.clone());
        self.entities.insert(key, Some(entity));
    }

    fn change_reporter(&mut self, id: &ReporterId, change: impl FnOnce(&mut ReporterRecord)) {
        let mut record = self.reporter(id).cloned().unwrap_or_else(|| ReporterRecord::new(id.clone()));
        change(&mut record);
        self.put(Entity::Reporter(record));
    }

    fn change_incident(&mut self, id: u64, state: IncidentState) {
        if let Some(incident) = self.incident(&id) {
            self.put(Entity::Incident(Incident { state, ..incident.clone() }));
        }
    }

    fn change_review(&mut self, id: u64, state: ReviewState) {
        if let Some(review) = self.review(&id) {
            self.put(Entity::Review(Review { state, ..review.clone() }));
        }
    }
}
