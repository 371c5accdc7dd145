//! What the engine's operator set: the rules that scores move by. Plain values, read once.

use super::half_points::HalfPoints;
use super::reporter::Reporters;
use crate::apki::trust_score::DecayRate;

/// An hour in milliseconds.
pub const HOUR_MS: u64 = 3_600_000;
/// A day in milliseconds: the window of every cap.
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// The engine's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What signals call this engine, in `aud`.
    pub audience: String,
    /// Who may report.
    pub reporters: Reporters,
    /// Points that a score loses in an hour without positive signals (draft 6.2).
    pub decay_rate: DecayRate,
    /// For so long behind a positive signal nothing decays, in milliseconds.
    pub active_ms: u64,
    /// Where a score was moved by more than this within 24 hours, up and down together, it decays twice as
    /// fast for the next 24 (T2).
    pub swing: HalfPoints,
    /// What one reporter alone moves a score by within 24 hours, in each direction (T1).
    pub reporter_cap: HalfPoints,
    /// What a score rises by within 24 hours before an operator looks at it (T1).
    pub rise_limit: HalfPoints,
    /// What a security incident counts until it is confirmed or dismissed: less than nothing.
    pub incident: HalfPoints,
    /// Days after which a penalty no longer lowers the highest score to be had; 0 is never.
    pub penalty_lapse_days: u16,
    /// Signals that one reporter may send of one agent within an hour (T1).
    pub signals_per_hour: u32,
    /// How far ahead `issued_at` may be, in milliseconds.
    pub ahead_ms: u64,
    /// How old a signal may be, in milliseconds.
    pub age_ms: u64,
    /// When a reporter is unlike the others (T1).
    pub baseline: BaselineRule,
}

/// When a reporter is far from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaselineRule {
    /// Signals within the last 7 days, below which nobody is judged or compared with.
    pub min_signals: u32,
    /// Other reporters with as many, below which nobody is judged.
    pub min_others: u32,
    /// Median absolute deviations from the median of the others, beyond which a reporter is flagged.
    pub deviations: u32,
}

impl Default for BaselineRule {
    fn default() -> Self {
        Self { min_signals: 20, min_others: 3, deviations: 5 }
    }
}

impl Policy {
    /// The draft's numbers, for an engine that signals call by this name.
    pub fn new(audience: String, reporters: Reporters, decay_rate: DecayRate) -> Self {
        Self {
            audience,
            reporters,
            decay_rate,
            active_ms: HOUR_MS,
            swing: HalfPoints::from_points(40),
            reporter_cap: HalfPoints::from_points(15),
            rise_limit: HalfPoints::from_points(20),
            incident: HalfPoints::from_points(-25),
            penalty_lapse_days: 0,
            signals_per_hour: 10,
            ahead_ms: 60_000,
            age_ms: 300_000,
            baseline: BaselineRule::default(),
        }
    }
}
