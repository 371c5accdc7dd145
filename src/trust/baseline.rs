//! The population baseline: is a reporter unlike the others (T1)?

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::half_points::HalfPoints;
use super::policy::{BaselineRule, DAY_MS};
use super::reporter::ReporterId;
use super::signal::Kind;
use crate::time::UnixMillis;

/// Signals of one reporter on one UTC day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many of each kind, in the order of [`Kind::ALL`].
    pub kinds: [u64; 5],
    /// The sum of what they asked for, in half-points.
    pub sum: i64,
}

/// What the engine keeps of a reporter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReporterRecord {
    /// Its name.
    pub id: ReporterId,
    /// Its signals since its flag was last lifted, by UTC day since 1970: today and 7 days before.
    pub days: BTreeMap<u64, Tally>,
    /// Its signals ever.
    pub signals: u64,
    /// Why its positive signals wait for an operator.
    pub flag: Option<Flag>,
}

/// A reporter that is unlike the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// The row that says so.
    pub row: u64,
    /// Since when.
    pub at: UnixMillis,
    /// In what.
    pub finding: Finding,
}

/// What of a reporter's signals is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Measure {
    /// Positive signals among a thousand.
    Positives,
    /// What a signal asks for on average, in thousandths of a half-point.
    Mean,
}

/// How a reporter is unlike the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// In what.
    pub measure: Measure,
    /// Its own value.
    pub found: i64,
    /// The median of the others.
    pub median: i64,
    /// The median of how far the others are from it, or the least that counts as that.
    pub deviation: i64,
    /// How many others there are.
    pub others: u32,
}
