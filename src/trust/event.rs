//! What has happened: the one thing that changes a score, and what the ledger is made of.

use serde::{Deserialize, Serialize};

use super::account::Pace;
use super::baseline::Finding;
use super::half_points::HalfPoints;
use super::reporter::ReporterId;
use super::signal::{Kind, SignalId};
use crate::apki::AgentUri;
use crate::journal::hash;
use crate::time::UnixMillis;

/// Who brought an event about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// A registered reporter.
    Reporter(ReporterId),
    /// The CA, which reads scores.
    Ca,
    /// A person.
    Operator(Operator),
}

/// A person who may do something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// Who.
    pub name: String,
    /// As what.
    pub role: Role,
}

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// An operator of the CA: confirms and dismisses incidents.
    Ca,
    /// An operator of the engine: does that too, decides reviews, changes bases and clears flags.
    Engine,
}

impl Role {
    /// Its name in rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Engine => "engine",
        }
    }
}

/// What holds behind a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// The effective score at that moment.
    pub score: HalfPoints,
    /// How it decays from there on.
    #[serde(flatten)]
    pub pace: Pace,
}

/// Why a part of a change was not applied at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Hold {
    /// The reporter alone may not move the score further: the part waits for a second one.
    ReporterCap,
    /// The score would rise by too much within 24 hours: the part waits for an operator.
    RiseLimit,
    /// The reporter is unlike the others: the part waits for an operator.
    ReporterFlagged,
}

/// A signal that was taken in: `requested` is the sum of `applied`, `withheld` and `held`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Who sent it.
    pub reporter: ReporterId,
    /// Its name.
    pub id: SignalId,
    /// SHA-256 of it as it was sent.
    #[serde(with = "hash")]
    pub sha256: [u8; 32],
    /// What it reports.
    pub kind: Kind,
    /// When that was.
    pub observed_at: UnixMillis,
    /// When it was signed.
    pub issued_at: UnixMillis,
    /// In the reporter's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What it asked for; for a security incident, what it counts until it is confirmed.
    pub requested: HalfPoints,
    /// What was applied.
    pub applied: HalfPoints,
    /// What waits for a second reporter.
    pub withheld: HalfPoints,
    /// What waits for an operator.
    pub held: HalfPoints,
    /// Why something waits; empty where nothing does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<Hold>,
}

/// Something that has happened. It holds all that [`State::apply`](super::state::State::apply) needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Event {
    /// The CA asked for an agent's score for the first time.
    Opened {
        /// Whose.
        agent: AgentUri,
        /// The CA's attestation result.
        base: HalfPoints,
        /// What holds from then on.
        after: After,
    },
    /// The CA's attestation result is lower than it was.
    EvidenceLost {
        /// Whose.
        agent: AgentUri,
        /// What it was.
        from: HalfPoints,
        /// What it is.
        to: HalfPoints,
        /// What holds from then on.
        after: After,
    },
    /// The engine's decay rate is another, and the agent's score decays by it from now on.
    Repaced {
        /// Whose.
        agent: AgentUri,
        /// What holds from then on.
        after: After,
    },
    /// A signal was taken in. One of a security incident opens an incident, which has the row's number.
    SignalTaken {
        /// Whom it is about.
        agent: AgentUri,
        /// The signal, and what came of it.
        signal: Taken,
        /// What holds from then on.
        after: After,
    },
    /// A second reporter agreed, and what was withheld of an earlier signal counts now.
    Released {
        /// Whose.
        agent: AgentUri,
        /// Who sent that signal.
        reporter: ReporterId,
        /// The row of that signal.
        signal: u64,
        /// What was applied.
        applied: HalfPoints,
        /// What waits for an operator now.
        held: HalfPoints,
        /// Why it waits; empty where it does not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        why: Vec<Hold>,
        /// What holds from then on.
        after: After,
    },
    /// An operator confirmed an incident: the score is 0.
    IncidentConfirmed {
        /// Whose.
        agent: AgentUri,
        /// The incident: the row of its signal.
        incident: u64,
        /// Reviews that fell with it.
        dropped: Vec<u64>,
        /// What holds from then on.
        after: After,
    },
    /// An operator dismissed an incident: what it took is given back.
    IncidentDismissed {
        /// Whose.
        agent: AgentUri,
        /// The incident: the row of its signal.
        incident: u64,
        /// What was given back.
        returned: HalfPoints,
        /// What holds from then on.
        after: After,
    },
    /// An operator approved what was held for review.
    ReviewApproved {
        /// Whose.
        agent: AgentUri,
        /// The review: the row that held.
        review: u64,
        /// What was applied.
        applied: HalfPoints,
        /// What holds from then on.
        after: After,
    },
    /// An operator denied what was held for review.
    ReviewDenied {
        /// Whose.
        agent: AgentUri,
        /// The review: the row that held.
        review: u64,
    },
    /// An operator changed an agent's base.
    Rebased {
        /// Whose.
        agent: AgentUri,
        /// What it was.
        from: HalfPoints,
        /// What it is to be.
        to: HalfPoints,
        /// What was applied.
        applied: HalfPoints,
        /// What waits for another operator.
        held: HalfPoints,
        /// Why, in the operator's words.
        reason: String,
        /// What holds from then on.
        after: After,
    },
    /// A reporter is unlike the others: its positive signals wait for an operator from now on.
    ReporterFlagged {
        /// Which one.
        reporter: ReporterId,
        /// In what.
        finding: Finding,
    },
    /// An operator looked at a reporter and lifted its flag; it is counted anew.
    ReporterCleared {
        /// Which one.
        reporter: ReporterId,
    },
}

impl Event {
    /// Its name in the ledger.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::EvidenceLost { .. } => "evidenceLost",
            Self::Repaced { .. } => "repaced",
            Self::SignalTaken { .. } => "signalTaken",
            Self::Released { .. } => "released",
            Self::IncidentConfirmed { .. } => "incidentConfirmed",
            Self::IncidentDismissed { .. } => "incidentDismissed",
            Self::ReviewApproved { .. } => "reviewApproved",
            Self::ReviewDenied { .. } => "reviewDenied",
            Self::Rebased { .. } => "rebased",
            Self::ReporterFlagged { .. } => "reporterFlagged",
            Self::ReporterCleared { .. } => "reporterCleared",
        }
    }

    /// The agent that it is about, if it is about one.
    pub const fn agent(&self) -> Option<&AgentUri> {
        match self {
            Self::Opened { agent, .. }
            | Self::EvidenceLost { agent, .. }
            | Self::Repaced { agent, .. }
            | Self::SignalTaken { agent, .. }
            | Self::Released { agent, .. }
            | Self::IncidentConfirmed { agent, .. }
            | Self::IncidentDismissed { agent, .. }
            | Self::ReviewApproved { agent, .. }
            | Self::ReviewDenied { agent, .. }
            | Self::Rebased { agent, .. } => Some(agent),
            Self::ReporterFlagged { .. } | Self::ReporterCleared { .. } => None,
        }
    }

    /// What holds behind it for its agent.
    pub const fn after(&self) -> Option<&After> {
        match self {
            Self::Opened { after, .. }
            | Self::EvidenceLost { after, .. }
            | Self::Repaced { after, .. }
            | Self::SignalTaken { after, .. }
            | Self::Released { after, .. }
            | Self::IncidentConfirmed { after, .. }
            | Self::IncidentDismissed { after, .. }
            | Self::ReviewApproved { after, .. }
            | Self::Rebased { after, .. } => Some(after),
            Self::ReviewDenied { .. } | Self::ReporterFlagged { .. } | Self::ReporterCleared { .. } => None,
        }
    }

    /// What holds behind it for its agent, to be filled in.
    pub(super) const fn after_mut(&mut self) -> Option<&mut After> {
        match self {
            Self::Opened { after, .. }
            | Self::EvidenceLost { after, .. }
            | Self::Repaced { after, .. }
            | Self::SignalTaken { after, .. }
            | Self::Released { after, .. }
            | Self::IncidentConfirmed { after, .. }
            | Self::IncidentDismissed { after, .. }
            | Self::ReviewApproved { after, .. }
            | Self::Rebased { after, .. } => Some(after),
            Self::ReviewDenied { .. } | Self::ReporterFlagged { .. } | Self::ReporterCleared { .. } => None,
        }
    }
}
