//! What the engine keeps besides accounts and reporters: incidents, reviews, and receipts for signals.

use serde::{Deserialize, Serialize};

use super::event::Hold;
use super::half_points::HalfPoints;
use super::reporter::ReporterId;
use super::signal::{Kind, SignalId};
use crate::apki::AgentUri;
use crate::journal::hash;
use crate::time::UnixMillis;

/// A security incident that a reporter reported. Its number is the row of the signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number.
    pub id: u64,
    /// Whose.
    pub agent: AgentUri,
    /// Who reported it.
    pub reporter: ReporterId,
    /// When it was taken in.
    pub at: UnixMillis,
    /// When it was observed.
    pub observed_at: UnixMillis,
    /// In the reporter's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where it stands.
    pub state: IncidentState,
}

/// Where an incident stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IncidentState {
    /// Nobody has decided.
    Open,
    /// It is one: the score was reset by this row.
    Confirmed {
        /// The row.
        row: u64,
    },
    /// It is none: what it took was given back by this row.
    Dismissed {
        /// The row.
        row: u64,
    },
}

/// Something held until an operator has looked at it. Its number is the row that held it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Its number.
    pub id: u64,
    /// Whose score would change.
    pub agent: AgentUri,
    /// By how much.
    pub half_points: HalfPoints,
    /// Why it is held.
    pub why: Hold,
    /// What it goes back to.
    pub source: Source,
    /// When it was held.
    pub at: UnixMillis,
    /// Where it stands.
    pub state: ReviewState,
}

/// What a review goes back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// A signal of this reporter.
    Reporter(ReporterId),
    /// A change of the base by this operator, who does not decide the review too.
    Operator(String),
}

/// Where a review stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReviewState {
    /// Nobody has decided.
    Open,
    /// What was held was applied by this row.
    Approved {
        /// The row.
        row: u64,
    },
    /// It was refused by this row.
    Denied {
        /// The row.
        row: u64,
    },
    /// A reset by this row left nothing to decide.
    Dropped {
        /// The row.
        row: u64,
    },
}

/// What came of a signal, as its reporter is told; the same again for the same octets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Who sent it.
    pub reporter: ReporterId,
    /// Its name.
    pub id: SignalId,
    /// SHA-256 of it as it was sent.
    #[serde(with = "hash")]
    pub sha256: [u8; 32],
    /// Its row.
    pub row: u64,
    /// When it was taken in.
    pub at: UnixMillis,
    /// What it reports; a security incident has the row's number.
    pub kind: Kind,
    /// What it asked for.
    pub requested: HalfPoints,
    /// What was applied at once.
    pub applied: HalfPoints,
    /// What waits for a second reporter.
    pub withheld: HalfPoints,
    /// What waits for an operator.
    pub held: HalfPoints,
}
