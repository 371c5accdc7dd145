//! The ledger read again from its first row: what is kept must be what its rows come to.

use thiserror::Error;

use super::event::Event;
use super::half_points::HalfPoints;
use super::ledger::{JournalError, JournalHead, Row};
use super::ports::Entity;
use super::record::{IncidentState, ReviewState};
use super::signal::Kind;
use super::state::{Place, State};

/// Why rows are not a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// They do not follow from each other.
    #[error("{0}")]
    Journal(#[from] JournalError),
    /// A row says what cannot have been, given the rows before it.
    #[error("row {row} cannot be: {what}")]
    Contradiction {
        /// Which one.
        row: u64,
        /// Why.
        what: &'static str,
    },
}

/// A ledger as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    head: JournalHead,
    state: State,
}

impl Replay {
    /// Takes the next row in.
    ///
    /// # Errors
    /// Where it does not follow from the rows before, in its hash or in what it says.
    pub fn follow(&mut self, octets: &[u8]) -> Result<Row, ReplayError> {
        let mut head = self.head;
        let row: Row = head.follow(octets)?;
        if let Some(what) = contradiction(&self.state, &row.event) {
            return Err(ReplayError::Contradiction { row: row.row, what });
        }
        self.head = head;
        self.state.apply(&Place { row: row.row, at: row.at, by: &row.by }, &row.event);
        Ok(row)
    }

    /// How far it was read.
    pub const fn head(&self) -> JournalHead {
        self.head
    }

    /// All that the rows come to.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.state.entities()
    }
}

/// What a whole ledger comes to: its head, and everything that an engine keeps behind it.
///
/// # Errors
/// Where the rows are not a ledger.
pub fn recompute<'r>(rows: impl IntoIterator<Item = &'r [u8]>) -> Result<(JournalHead, Vec<Entity>), ReplayError> {
    let mut replay = Replay::default();
    for row in rows {
        replay.follow(row)?;
    }
    Ok((replay.head, replay.entities().cloned().collect()))
}

/// What speaks against an event, given all that happened before it.
fn contradiction(state: &State, event: &Event) -> Option<&'static str> {
    let unless = |good: bool, why| (!good).then_some(why);
    let account = match event.agent() {
        Some(agent) => state.account(agent),
        None => None,
    };
    if let Event::Opened { .. } = event {
        return unless(account.is_none(), "the agent has an account already");
    }
    if event.agent().is_some() && account.is_none() {
        return Some("the agent has no account");
    }
    let open_incident = |id| state.incident(id).is_some_and(|incident| incident.state == IncidentState::Open);
    let open_review = |id| state.review(id).is_some_and(|review| review.state == ReviewState::Open);
    match event {
        Event::EvidenceLost { from, to, .. } => {
            unless(account.is_some_and(|a| a.base == *from) && to < from, "the base was not so, or is no lower now")
        }
        Event::SignalTaken { signal, .. } => {
            let parts: HalfPoints = [signal.applied, signal.withheld, signal.held].into_iter().sum();
            let allowed = match signal.kind.range() {
                Some(range) => range.contains(&signal.requested.get()),
                None => signal.kind == Kind::SecurityIncident && signal.requested < HalfPoints::ZERO,
            };
            unless(parts == signal.requested, "what was applied, withheld and held is not what was requested")
                .or_else(|| unless(allowed, "its kind does not count that much"))
                .or_else(|| {
                    unless(state.receipt(&signal.reporter, signal.id).is_none(), "the reporter used this id before")
                })
        }
        Event::Released { signal, applied, held, reporter, .. } => {
            let waits = account.and_then(|a| a.recent.iter().find(|mark| mark.row == *signal));
            let good = waits
                .is_some_and(|mark| mark.reporter.as_ref() == Some(reporter) && mark.withheld == applied.plus(*held));
            unless(good, "nothing like it was withheld")
        }
        Event::IncidentConfirmed { incident, .. } => unless(open_incident(incident), "no such incident was open"),
        Event::IncidentDismissed { incident, returned, .. } => {
            let taken = account.and_then(|a| a.incidents.get(incident)).map_or(HalfPoints::ZERO, |t| t.moved.size());
            unless(open_incident(incident), "no such incident was open")
                .or_else(|| unless(taken == *returned, "it gives back another sum than was taken"))
        }
        Event::ReviewApproved { review, applied, .. } => {
            let held = account.and_then(|a| a.reviews.get(review)).map(|held| held.half_points);
            unless(open_review(review) && held == Some(*applied), "nothing like it was held")
        }
        Event::ReviewDenied { review, .. } => unless(open_review(review), "no such review was open"),
        Event::Rebased { from, to, applied, held, .. } => unless(
            account.is_some_and(|a| a.base == *from) && to.minus(*from) == applied.plus(*held),
            "the base was not so, or what was applied and held is not the change",
        ),
        Event::ReporterCleared { reporter } => {
            unless(state.reporter(reporter).is_some_and(|r| r.flag.is_some()), "the reporter had no flag")
        }
        Event::Opened { .. } | Event::Repaced { .. } | Event::ReporterFlagged { .. } => None,
    }
}
