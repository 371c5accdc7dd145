//! When to look whether something is over.

use std::collections::{BTreeSet, HashMap};

use super::ReservationId;
use crate::time::UnixMillis;

/// What ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Due {
    Counter(u64),
    Reservation(ReservationId),
}

/// One moment for each thing that there is, and none for what is gone: so it is bounded as those are.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    in_order: BTreeSet<(UnixMillis, Due)>,
    moments: HashMap<Due, UnixMillis>,
}

impl Agenda {
    /// Looks at it at this moment, and at no other.
    pub(super) fn expect(&mut self, due: Due, moment: UnixMillis) {
        self.cancel(due);
        self.in_order.insert((moment, due));
        self.moments.insert(due, moment);
    }

    /// Looks at it no more.
    pub(super) fn cancel(&mut self, due: Due) {
        if let Some(moment) = self.moments.remove(&due) {
            self.in_order.remove(&(moment, due));
        }
    }

    /// Takes out the first of what is to be looked at by now.
    pub(super) fn pop(&mut self, now: UnixMillis) -> Option<Due> {
        let (_, due) = self.in_order.first().copied().filter(|(moment, _)| *moment <= now)?;
        self.cancel(due);
        Some(due)
    }

    /// How many things are looked at.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.in_order.len(), self.moments.len());
        self.in_order.len()
    }
}
