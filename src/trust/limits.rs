//! The caps of T1, as questions to an account: what one reporter may still move, what may still rise,
//! and who has agreed. Every window is the 24 hours that end now, and slides.

use std::collections::BTreeSet;

use super::account::{Account, Mark};
use super::event::Hold;
use super::half_points::{Direction, HalfPoints};
use super::policy::{DAY_MS, HOUR_MS, Policy};
use super::reporter::ReporterId;
use crate::time::UnixMillis;

/// An account as the caps see it.
pub(super) struct Limits<'a> {
    pub(super) account: &'a Account,
    pub(super) policy: &'a Policy,
    /// Reporters that are unlike the others: their praise is no second opinion.
    pub(super) flagged: &'a BTreeSet<ReporterId>,
    pub(super) now: UnixMillis,
}

/// What becomes of a change that is asked for: the parts add up to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    /// Applied at once.
    pub(super) applied: HalfPoints,
    /// Waits for a second reporter.
    pub(super) withheld: HalfPoints,
    /// Waits for an operator.
    pub(super) held: HalfPoints,
    /// Why.
    pub(super) why: Vec<Hold>,
}

impl<'a> Limits<'a> {
    fn marks(&self) -> impl Iterator<Item = &'a Mark> + use<'a> {
        let now = self.now;
        self.account.recent.iter().filter(move |mark| mark.is_within(DAY_MS, now))
    }

    /// When the reporter may send the next signal of this agent, if it may not now.
    pub(super) fn next_signal_at(&self, reporter: &ReporterId) -> Option<UnixMillis> {
        let limit = self.policy.signals_per_hour as usize;
        let theirs = |mark: &&Mark| mark.requested.is_some() && mark.reporter.as_ref() == Some(reporter);
        let hour: Vec<_> = self.marks().filter(theirs).filter(|mark| mark.is_within(HOUR_MS, self.now)).collect();
        // As many as are over the limit must be an hour old, and one more.
        let frees = hour.len().checked_sub(limit).map(|over| hour.get(over).map_or(self.now, |mark| mark.at))?;
        Some(frees.saturating_add(HOUR_MS))
    }

    /// Whether another registered reporter has said the same within 24 hours.
    fn agreed(&self, reporter: &ReporterId, direction: Direction) -> bool {
        let counts = |id: &ReporterId| self.policy.reporters.has(id) && !self.is_doubted(id, direction);
        let other = |mark: &Mark| mark.reporter.as_ref().is_some_and(|id| id != reporter && counts(id));
        self.marks().any(|mark| mark.opinion() == Some(direction) && other(mark))
    }

    fn is_doubted(&self, reporter: &ReporterId, direction: Direction) -> bool {
        direction == Direction::Up && self.flagged.contains(reporter)
    }

    /// What the reporter alone may still move the score by.
    fn room_of(&self, reporter: &ReporterId, direction: Direction) -> HalfPoints {
        let theirs = |mark: &&Mark| mark.reporter.as_ref() == Some(reporter);
        let same = |half_points: &HalfPoints| half_points.direction() == Some(direction);
        let used = self.marks().filter(theirs).map(|mark| mark.applied).filter(same).map(HalfPoints::size).sum();
        self.policy.reporter_cap.minus(used).max(HalfPoints::ZERO)
    }

    /// What the score may still rise by before an operator looks at it. All that raised it counts; what
    /// lowered it meanwhile makes no room.
    pub(super) fn rise_room(&self) -> HalfPoints {
        let rise = self.marks().map(|mark| mark.applied).filter(|applied| *applied > HalfPoints::ZERO).sum();
        self.policy.rise_limit.minus(rise).max(HalfPoints::ZERO)
    }

    /// What becomes of a signal.
    pub(super) fn split(&self, reporter: &ReporterId, requested: HalfPoints) -> Split {
        let Some(direction) = requested.direction() else { return Split::default() };
        if self.is_doubted(reporter, direction) {
            return Split { held: requested, why: vec![Hold::ReporterFlagged], ..Split::default() };
        }
        let room = match self.agreed(reporter, direction) {
            true => requested.size(),
            false => requested.size().min(self.room_of(reporter, direction)),
        };
        let mut split = self.rising(direction.of(room));
        split.withheld = requested.minus(direction.of(room));
        if split.withheld != HalfPoints::ZERO {
            split.why.insert(0, Hold::ReporterCap);
        }
        split
    }

    /// What becomes of what was withheld of a reporter's signal, now that another has said the same.
    pub(super) fn release(&self, reporter: &ReporterId, withheld: HalfPoints) -> Split {
        match withheld.direction().is_some_and(|direction| self.is_doubted(reporter, direction)) {
            true => Split { held: withheld, why: vec![Hold::ReporterFlagged], ..Split::default() },
            false => self.rising(withheld),
        }
    }

    /// What becomes of a change that needs no second reporter.
    pub(super) fn rising(&self, requested: HalfPoints) -> Split {
        let applied = requested.min(self.rise_room());
        let held = requested.minus(applied);
        let why = if held == HalfPoints::ZERO { Vec::new() } else { vec![Hold::RiseLimit] };
        Split { applied, held, why, ..Split::default() }
    }

    /// What was withheld of others, now that this reporter says the same: rows and reporters of the
    /// signals, oldest first.
    pub(super) fn released_by(
        &self,
        reporter: &ReporterId,
        direction: Direction,
    ) -> Vec<(u64, ReporterId, HalfPoints)> {
        let waits = |mark: &Mark| {
            let other = mark.reporter.clone().filter(|id| id != reporter && self.policy.reporters.has(id))?;
            (mark.withheld.direction() == Some(direction)).then_some((mark.row, other, mark.withheld))
        };
        self.marks().filter_map(waits).collect()
    }

    /// Whether the score was moved so much, up and down, that it decays faster for a while.
    pub(super) fn swings(&self) -> bool {
        self.marks().map(|mark| mark.applied.size()).sum::<HalfPoints>() > self.policy.swing
    }
}
