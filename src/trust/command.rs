//! What the engine can be told to do, and by whom.

use super::event::{Actor, Operator};
use super::half_points::HalfPoints;
use super::reporter::ReporterId;
use super::signal::Reported;
use crate::apki::AgentUri;

/// Something that the engine is to do, and who asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Who.
    pub by: Actor,
    /// What.
    pub action: Action,
}

/// Something that the engine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Say what an agent's score is, and open its account if there is none.
    Assess {
        /// Whose.
        agent: AgentUri,
        /// The CA's attestation result.
        base: HalfPoints,
    },
    /// Take a signal in.
    Signal(Box<Reported>),
    /// Confirm an incident.
    Confirm {
        /// Which one.
        incident: u64,
    },
    /// Dismiss an incident.
    Dismiss {
        /// Which one.
        incident: u64,
    },
    /// Decide a review.
    Review {
        /// Which one.
        review: u64,
        /// Whether what is held is applied.
        approve: bool,
    },
    /// Change an agent's base.
    Rebase {
        /// Whose.
        agent: AgentUri,
        /// To what.
        base: HalfPoints,
        /// Why.
        reason: String,
    },
    /// Lift a reporter's flag.
    ClearFlag {
        /// Whose.
        reporter: ReporterId,
    },
}

impl Command {
    /// A person's.
    pub fn of(operator: &Operator, action: Action) -> Self {
        Self { by: Actor::Operator(operator.clone()), action }
    }

    /// The CA's.
    pub fn of_ca(action: Action) -> Self {
        Self { by: Actor::Ca, action }
    }

    /// A reporter's signal.
    pub fn report(signal: Reported) -> Self {
        Self { by: Actor::Reporter(signal.reporter().clone()), action: Action::Signal(Box::new(signal)) }
    }
}
