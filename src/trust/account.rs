//! An agent's account: what all that happened comes to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::half_points::HalfPoints;
use super::reporter::ReporterId;
use crate::apki::AgentUri;
use crate::apki::trust_score::DecayRate;
use crate::time::UnixMillis;

/// How a score decays from a row on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Points an hour.
    pub rate: DecayRate,
    /// Nothing decays before this moment: there was a positive signal.
    pub active_until: UnixMillis,
    /// Before this moment it decays twice as fast: there were rapid swings.
    pub fast_until: UnixMillis,
}

/// Points that decayed, exactly: in units of a point an hour for a millisecond, of which a half-point has
/// 1,800,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Decay(u64);

/// A change within the last 24 hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The row.
    pub row: u64,
    /// When.
    pub at: UnixMillis,
    /// Whose signal it goes back to; none where an operator changed the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporter: Option<ReporterId>,
    /// What was applied.
    pub applied: HalfPoints,
    /// Of a signal: what waits for a second reporter.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub withheld: HalfPoints,
    /// Of a signal: what it asked for. None in a change that goes back to an earlier signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<HalfPoints>,
    /// Whether it is an opinion that another reporter's may lean on.
    pub agrees: bool,
}

/// What an incident took that is neither confirmed nor dismissed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisional {
    /// What was applied: it counts as a penalty.
    pub applied: HalfPoints,
    /// What the balance really changed by, as it stays in its range.
    pub moved: HalfPoints,
    /// The day that the penalty is counted on, in days since 1970.
    pub day: u64,
}

/// The account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose.
    pub agent: AgentUri,
    /// Since when.
    pub opened_at: UnixMillis,
    /// Rows about it.
    pub rows: u64,
    /// The last of them.
    pub latest: u64,
    /// The attestation result that is in the balance; 0 behind a reset.
    pub base: HalfPoints,
    /// The balance, without decay.
    pub balance: HalfPoints,
    /// The highest that the balance was, since the account was opened or last reset.
    pub peak: HalfPoints,
    /// Penalties by UTC day since 1970, as positive numbers.
    pub penalties: BTreeMap<u64, HalfPoints>,
    /// What had decayed by `decayed_at`.
    pub decay: Decay,
    /// When that was.
    pub decayed_at: UnixMillis,
    /// How it goes on from there.
    pub pace: Pace,
    /// Changes of the last 24 hours, oldest first.
    pub recent: Vec<Mark>,
    /// Incidents that are neither confirmed nor dismissed, by number.
    pub incidents: BTreeMap<u64, Provisional>,
    /// What is held for review, by number.
    pub reviews: BTreeMap<u64, HalfPoints>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
fn is_zero(half_points: &HalfPoints) -> bool {
    *half_points == HalfPoints::ZERO
}
