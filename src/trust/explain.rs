//! Why a score is what it is, line by line.

use super::half_points::HalfPoints;
use crate::time::UnixMillis;

/// One row about an agent, in words and numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The row.
    pub row: u64,
    /// When.
    pub at: UnixMillis,
    /// Who: `reporter shop`, `ca`, `operator ana (engine)`.
    pub who: String,
    /// What happened, in words.
    pub what: String,
    /// What was asked for; none where nothing was.
    pub requested: Option<HalfPoints>,
    /// What was applied.
    pub applied: HalfPoints,
    /// Why the rest was capped or held; empty where nothing was.
    pub why: String,
    /// What decayed since the line before, in half-points rounded up.
    pub decayed: HalfPoints,
    /// The balance behind it, without decay.
    pub balance: HalfPoints,
    /// All that had decayed by then.
    pub decay: HalfPoints,
    /// The highest score to be had then.
    pub cap: HalfPoints,
    /// The effective score then.
    pub score: HalfPoints,
}
