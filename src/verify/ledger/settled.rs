//! What became of the last reservations that were settled.

use std::collections::{HashMap, VecDeque};

use super::{Outcome, ReservationId};

/// The last so many settlements, numbered without a gap.
#[derive(Debug, Default)]
pub(super) struct Settlements {
    /// The number of the oldest one kept.
    first: u64,
    in_order: VecDeque<ReservationId>,
    outcomes: HashMap<ReservationId, Outcome>,
}

impl Settlements {
    pub(super) fn outcome(&self, id: ReservationId) -> Option<Outcome> {
        self.outcomes.get(&id).copied()
    }

    /// The settlement with this number.
    pub(super) fn get(&self, number: u64) -> Option<(ReservationId, Outcome)> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let id = *self.in_order.get(place)?;
        Some((id, self.outcome(id)?))
    }

    /// The number of the next one; the numbers of those kept are right before it.
    pub(super) fn next(&self) -> u64 {
        self.first.saturating_add(self.in_order.len() as u64)
    }

    pub(super) fn numbers(&self) -> std::ops::Range<u64> {
        self.first..self.next()
    }

    /// Adds one, and says under which number.
    pub(super) fn push(&mut self, id: ReservationId, outcome: Outcome) -> u64 {
        let number = self.next();
        self.in_order.push_back(id);
        self.outcomes.insert(id, outcome);
        number
    }

    /// Forgets the oldest one if there are more than so many, and says which number it had.
    pub(super) fn pop_beyond(&mut self, most: usize) -> Option<u64> {
        if self.in_order.len() <= most {
            return None;
        }
        let id = self.in_order.pop_front()?;
        self.outcomes.remove(&id);
        let number = self.first;
        self.first = self.first.saturating_add(1);
        Some(number)
    }

    /// Puts one that was kept behind the others; whether it may stand there.
    pub(super) fn restore(&mut self, number: u64, id: ReservationId, outcome: Outcome) -> bool {
        if self.in_order.is_empty() {
            self.first = number;
        }
        let right = number == self.next() && number < u64::MAX && !self.outcomes.contains_key(&id);
        if right {
            self.push(id, outcome);
        }
        right
    }
}
