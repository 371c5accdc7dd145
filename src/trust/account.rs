//! An agent's account: what all that happened comes to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::half_points::{Direction, HalfPoints};
use super::policy::DAY_MS;
use super::reporter::ReporterId;
use super::signal::Kind;
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

/// What waits for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// How much.
    pub half_points: HalfPoints,
    /// Whose signal it goes back to; none where an operator changed the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporter: Option<ReporterId>,
}

/// What an incident took that is neither confirmed nor dismissed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisional {
    /// What was applied: it counts as a penalty.
    pub applied: HalfPoints,
    /// What the balance really changed by, as it stays in its range, less what could not be taken since because
    /// this was gone: what is given back where it is dismissed.
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
    pub reviews: BTreeMap<u64, Held>,
}

impl Decay {
    const HALF_POINT: u64 = 1_800_000;

    /// In half-points, a part counted as a whole one.
    pub fn half_points(self) -> HalfPoints {
        HalfPoints::new(i32::try_from(self.0.div_ceil(Self::HALF_POINT)).unwrap_or(i32::MAX))
    }

    /// In half-points, a part counted as none.
    fn whole_half_points(self) -> HalfPoints {
        HalfPoints::new(i32::try_from(self.0 / Self::HALF_POINT).unwrap_or(i32::MAX))
    }

    fn of(half_points: HalfPoints) -> Self {
        Self(u64::try_from(half_points.get()).unwrap_or(0).saturating_mul(Self::HALF_POINT))
    }
}

impl Pace {
    /// What decays from one moment to another, were there always something left.
    fn lost(&self, from: UnixMillis, to: UnixMillis) -> u64 {
        let from = from.max(self.active_until);
        let twice = self.fast_until.min(to).since(from);
        u64::from(self.rate.get()).saturating_mul(to.since(from).saturating_add(twice))
    }
}

impl Mark {
    /// Of a signal: which way it points.
    pub fn opinion(&self) -> Option<Direction> {
        self.requested.filter(|_| self.agrees).and_then(HalfPoints::direction)
    }

    /// Whether it is within the window that ends `now`.
    pub const fn is_within(&self, window_ms: u64, now: UnixMillis) -> bool {
        now.since(self.at) < window_ms
    }
}

impl Account {
    /// An account that this base opens.
    pub fn open(agent: AgentUri, base: HalfPoints, pace: Pace, row: u64, at: UnixMillis) -> Self {
        let base = base.clamped();
        Self {
            agent,
            opened_at: at,
            rows: 1,
            latest: row,
            base,
            balance: base,
            peak: base,
            penalties: BTreeMap::new(),
            decay: Decay::default(),
            decayed_at: at,
            pace,
            recent: Vec::new(),
            incidents: BTreeMap::new(),
            reviews: BTreeMap::new(),
        }
    }

    /// What has decayed by `now`: never less than before, and no more than there is.
    pub fn decay_at(&self, now: UnixMillis) -> Decay {
        let accrued = self.decay.0.saturating_add(self.pace.lost(self.decayed_at, now));
        self.decay.max(Decay(accrued).min(Decay::of(self.balance)))
    }

    /// Penalties that count at `now`, where they lapse after so many days (0: never).
    pub fn penalties_at(&self, now: UnixMillis, lapse_days: u16) -> HalfPoints {
        let counts = |day: u64| lapse_days == 0 || day_of(now) <= day.saturating_add(lapse_days.into());
        self.penalties.iter().filter(|(day, _)| counts(**day)).map(|(_, size)| *size).sum()
    }

    /// The highest score to be had at `now`: the peak less the penalties (draft 11.2.2).
    pub fn cap(&self, now: UnixMillis, lapse_days: u16) -> HalfPoints {
        self.peak.minus(self.penalties_at(now, lapse_days)).clamped()
    }

    /// The effective score at `now`.
    pub fn effective(&self, now: UnixMillis, lapse_days: u16) -> HalfPoints {
        let value = self.balance.minus(self.decay_at(now).half_points());
        value.min(self.cap(now, lapse_days)).clamped()
    }

    /// What waits for a second reporter at `now`, in this direction.
    pub fn withheld(&self, direction: Direction, now: UnixMillis) -> HalfPoints {
        let waits = |m: &&Mark| m.is_within(DAY_MS, now) && m.withheld.direction() == Some(direction);
        self.recent.iter().filter(waits).map(|m| m.withheld).sum()
    }

    /// What waits for an operator.
    pub fn held(&self) -> HalfPoints {
        self.reviews.values().map(|held| held.half_points).sum()
    }

    /// Makes the change of an event about this agent, which stands in this row. Events are facts: this
    /// cannot fail.
    pub fn apply(&mut self, row: u64, at: UnixMillis, event: &Event) {
        self.decay = self.decay_at(at);
        self.decayed_at = self.decayed_at.max(at);
        self.recent.retain(|mark| mark.is_within(DAY_MS, at));
        (self.rows, self.latest) = (self.rows.saturating_add(1), row);
        let mark = |reporter: &ReporterId, applied| Mark {
            row,
            at,
            reporter: Some(reporter.clone()),
            applied,
            withheld: HalfPoints::ZERO,
            requested: None,
            agrees: false,
        };
        match event {
            Event::Opened { .. }
            | Event::Repaced { .. }
            | Event::ReporterFlagged { .. }
            | Event::ReporterCleared { .. } => {}
            Event::EvidenceLost { from, to, .. } => self.change_base(to.minus(*from)),
            Event::SignalTaken { signal, .. } => {
                if signal.kind == Kind::SecurityIncident {
                    let none = Provisional { applied: HalfPoints::ZERO, moved: HalfPoints::ZERO, day: day_of(at) };
                    self.incidents.insert(row, none);
                }
                self.move_by(signal.applied, row, at);
                self.hold(row, signal.held, Some(&signal.reporter));
                // A flagged reporter's praise is no second opinion.
                let agrees = !signal.why.contains(&super::event::Hold::ReporterFlagged);
                let (withheld, requested) = (signal.withheld, Some(signal.requested));
                self.recent.push(Mark { withheld, requested, agrees, ..mark(&signal.reporter, signal.applied) });
            }
            Event::Released { reporter, signal, applied, held, .. } => {
                if let Some(earlier) = self.recent.iter_mut().find(|m| m.row == *signal) {
                    earlier.withheld = HalfPoints::ZERO;
                }
                self.move_by(*applied, *signal, at);
                self.hold(row, *held, Some(reporter));
                self.recent.push(mark(reporter, *applied));
            }
            Event::IncidentConfirmed { .. } => self.reset(),
            Event::IncidentDismissed { incident, returned, .. } => self.give_back(*incident, *returned),
            Event::ReviewApproved { review, applied, .. } => match self.reviews.remove(review) {
                Some(Held { reporter: Some(reporter), .. }) => {
                    self.move_by(*applied, row, at);
                    self.recent.push(mark(&reporter, *applied));
                }
                Some(Held { reporter: None, .. }) => self.rebase(*applied, row, at),
                None => {}
            },
            Event::ReviewDenied { review, .. } => drop(self.reviews.remove(review)),
            Event::Rebased { applied, held, .. } => {
                self.rebase(*applied, row, at);
                self.hold(row, *held, None);
            }
        }
        if let Some(after) = event.after() {
            self.pace = after.pace;
        }
    }

    /// Moves the balance, which never leaves what has decayed by more than a full score, nor falls below
    /// it; returns by how much.
    fn shift(&mut self, by: HalfPoints) -> HalfPoints {
        let before = self.balance;
        let (low, high) = (self.decay.half_points(), HalfPoints::MAX.plus(self.decay.whole_half_points()));
        self.balance = before.plus(by).min(high).max(low);
        self.peak = self.peak.max(self.balance.min(HalfPoints::MAX));
        self.balance.minus(before)
    }

    /// Applies a part of a signal. What lowers is a penalty, counted whole even where the score is 0 before.
    fn move_by(&mut self, applied: HalfPoints, signal: u64, at: UnixMillis) {
        let moved = self.shift(applied);
        let mut day = day_of(at);
        if applied < HalfPoints::ZERO && !self.incidents.contains_key(&signal) {
            self.owe(moved.minus(applied));
        }
        if let Some(incident) = self.incidents.get_mut(&signal) {
            incident.applied = incident.applied.plus(applied);
            incident.moved = incident.moved.plus(moved);
            day = incident.day;
        }
        if applied < HalfPoints::ZERO {
            let penalty = self.penalties.entry(day).or_default();
            *penalty = penalty.plus(applied.size());
        }
    }

    /// What should have lowered the balance and found nothing there is taken from what open incidents may give
    /// back, the oldest first: had they not been, there would have been enough to take it from.
    fn owe(&mut self, owed: HalfPoints) {
        let mut owed = owed.max(HalfPoints::ZERO);
        for incident in self.incidents.values_mut() {
            let taken = owed.min(incident.moved.size());
            (incident.moved, owed) = (incident.moved.plus(taken), owed.minus(taken));
        }
    }

    fn hold(&mut self, row: u64, held: HalfPoints, reporter: Option<&ReporterId>) {
        if held != HalfPoints::ZERO {
            self.reviews.insert(row, Held { half_points: held, reporter: reporter.cloned() });
        }
    }

    /// Moves all that was built on the base with it: the balance, and the peak as if it had been so always.
    fn change_base(&mut self, by: HalfPoints) {
        self.base = self.base.plus(by).clamped();
        self.peak = self.peak.plus(by).clamped();
        let peak = self.peak;
        let moved = self.shift(by);
        if by < HalfPoints::ZERO {
            self.peak = peak;
            self.owe(moved.minus(by));
        }
    }

    fn rebase(&mut self, applied: HalfPoints, row: u64, at: UnixMillis) {
        self.change_base(applied);
        let (reporter, withheld, requested, agrees) = (None, HalfPoints::ZERO, None, false);
        self.recent.push(Mark { row, at, reporter, applied, withheld, requested, agrees });
    }

    /// To 0, with all that could lead back to where the score was: the base, the peak, what waits, and the
    /// opinions that waited for a second one. The budgets that were used up stay so.
    fn reset(&mut self) {
        (self.base, self.balance, self.peak) = (HalfPoints::ZERO, HalfPoints::ZERO, HalfPoints::ZERO);
        self.decay = Decay::default();
        self.penalties.clear();
        self.incidents.clear();
        self.reviews.clear();
        for mark in &mut self.recent {
            (mark.withheld, mark.agrees) = (HalfPoints::ZERO, false);
        }
    }

    /// Undoes what an incident took, and that it ever was an opinion.
    fn give_back(&mut self, incident: u64, returned: HalfPoints) {
        let Some(taken) = self.incidents.remove(&incident) else { return };
        self.shift(returned);
        if let Some(penalty) = self.penalties.get_mut(&taken.day) {
            *penalty = penalty.minus(taken.applied.size()).max(HalfPoints::ZERO);
        }
        self.penalties.retain(|_, penalty| *penalty != HalfPoints::ZERO);
        if let Some(mark) = self.recent.iter_mut().find(|mark| mark.row == incident) {
            (mark.withheld, mark.agrees) = (HalfPoints::ZERO, false);
        }
    }
}

/// The UTC day of a moment, in days since 1970.
pub(super) const fn day_of(at: UnixMillis) -> u64 {
    at.get() / DAY_MS
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes references
fn is_zero(half_points: &HalfPoints) -> bool {
    *half_points == HalfPoints::ZERO
}
