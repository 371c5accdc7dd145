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

/// A reporter is looked at each time it has sent so many signals more.
const EVERY: u64 = 10;
/// UTC days that count, besides today.
const DAYS: u64 = 7;
/// The least that counts as the usual distance from the median, per measure: where all others agree
/// to the dot, a little difference is not yet strange.
const LEAST: [i64; 2] = [50, 500];

impl Tally {
    const fn total(&self) -> u64 {
        let [a, b, c, d, e] = self.kinds;
        a.saturating_add(b).saturating_add(c).saturating_add(d).saturating_add(e)
    }
}

impl ReporterRecord {
    /// One that has not sent anything.
    pub const fn new(id: ReporterId) -> Self {
        Self { id, days: BTreeMap::new(), signals: 0, flag: None }
    }

    /// Counts a signal.
    pub fn count(&mut self, at: UnixMillis, kind: Kind, requested: HalfPoints) {
        let today = at.get() / DAY_MS;
        self.days.retain(|day, _| day.saturating_add(DAYS) >= today);
        let tally = self.days.entry(today).or_default();
        if let Some(place) = Kind::ALL.iter().position(|k| *k == kind)
            && let Some(count) = tally.kinds.get_mut(place)
        {
            *count = count.saturating_add(1);
        }
        tally.sum = tally.sum.saturating_add(requested.get().into());
        self.signals = self.signals.saturating_add(1);
    }

    /// Its signals of the last 7 days and today.
    pub fn week(&self, now: UnixMillis) -> Tally {
        let today = now.get() / DAY_MS;
        let days = self.days.iter().filter(|(day, _)| day.saturating_add(DAYS) >= today);
        days.fold(Tally::default(), |mut week, (_, day)| {
            week.kinds.iter_mut().zip(day.kinds).for_each(|(sum, count)| *sum = sum.saturating_add(count));
            week.sum = week.sum.saturating_add(day.sum);
            week
        })
    }

    /// Whether it is to be looked at once the next signal is counted.
    pub(super) const fn is_due_next(&self) -> bool {
        self.flag.is_none() && self.signals.saturating_add(1).is_multiple_of(EVERY)
    }

    /// Share of positives in thousandths, and the mean in thousandths of a half-point; none where there
    /// are too few signals to tell.
    fn measures(&self, rule: &BaselineRule, now: UnixMillis) -> Option<[i64; 2]> {
        let week = self.week(now);
        let total = i64::try_from(week.total()).ok().filter(|total| *total >= i64::from(rule.min_signals.max(1)))?;
        let positives = i64::try_from(week.kinds.first().copied().unwrap_or(0)).unwrap_or(i64::MAX);
        Some([positives.saturating_mul(1000) / total, week.sum.saturating_mul(1000) / total])
    }
}

/// Whether a reporter is far from the others, and in what.
///
/// Each of the two measures is compared with the median of the others; how far is usual is the median of
/// their own distances from it (the median absolute deviation), which a few strange ones among them do not
/// move. A reporter further away than `rule.deviations` times that is far from the rest. Reporters with too
/// few signals in the last 7 days are neither judged nor compared with.
pub fn judge<'r>(
    reporter: &ReporterRecord,
    others: impl Iterator<Item = &'r ReporterRecord>,
    rule: &BaselineRule,
    now: UnixMillis,
) -> Option<Finding> {
    let own = reporter.measures(rule, now)?;
    let rest: Vec<[i64; 2]> = others.filter(|o| o.id != reporter.id).filter_map(|o| o.measures(rule, now)).collect();
    let count = u32::try_from(rest.len()).unwrap_or(u32::MAX);
    if count < rule.min_others.max(1) {
        return None;
    }
    let both = [(Measure::Positives, 0), (Measure::Mean, 1)];
    both.into_iter().find_map(|(measure, place)| {
        let values = rest.iter().filter_map(|measures| measures.get(place).copied());
        let (found, least) = (*own.get(place)?, *LEAST.get(place)?);
        let median = median(values.clone().collect())?;
        let deviation = self::median(values.map(|value| value.abs_diff(median).cast_signed()).collect())?.max(least);
        let far = found.abs_diff(median) > deviation.unsigned_abs().saturating_mul(rule.deviations.into());
        far.then_some(Finding { measure, found, median, deviation, others: count })
    })
}

fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
