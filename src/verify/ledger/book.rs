//! The accounts as a state machine: what is reserved, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};

use super::agenda::{Agenda, Due};
use super::counters::Counters;
use super::demand::{Cap, Posting};
use super::settled::Settlements;
use super::window::Window;
use super::{
    AccountKey, Charge, Demand, Head, Kept, LedgerError, Limit, Measure, Outcome, Overrun, Part, Reservation,
    ReservationId, RowKey,
};
use crate::apki::moment::Moment;
use crate::time::UnixMillis;

/// How long a reservation can be settled, if its periods are not longer: operations may outlast a short period.
const SETTLE_MS: u64 = 3_600_000;
/// How much of what is over is dropped with each change: more than most changes add, so that it all goes in time.
const SWEPT_AT_ONCE: usize = 8;

/// How much a book may keep. Where it is not enough, the book refuses: it forgets nothing that still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Counters: one for the calls of an account, and one for each currency that it spends. Each takes some two
    /// kilobytes and its names; up to forty where its periods go from a second to a day and more.
    pub counters: usize,
    /// Reservations that are not settled. Each takes some two hundred octets, and 16 for each counter that it charges.
    pub reservations: usize,
    /// Settlements remembered, for callers who ask again.
    pub settled: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { counters: 100_000, reservations: 100_000, settled: 65_536 }
    }
}

/// All accounts.
#[derive(Debug, Default)]
pub struct Book {
    pub(super) bounds: Bounds,
    pub(super) head: Head,
    pub(super) counters: Counters,
    pub(super) open: BTreeMap<ReservationId, Reservation>,
    pub(super) settled: Settlements,
    pub(super) touched: Touched,
    /// When to look whether something is over; it may turn out to be so later, but not earlier.
    pub(super) due: Agenda,
}

fn used_up() -> LedgerError {
    LedgerError::Stopped("it has given every number that there is".into())
}

/// Whether it is a moment that a certificate can have. Periods after such a one overflow nothing.
pub(super) fn is_a_time(moment: UnixMillis) -> bool {
    Moment::floor(moment).is_some()
}

/// The keys of rows that changed, where somebody wants to know.
#[derive(Debug, Default)]
pub(super) struct Touched(Option<BTreeSet<RowKey>>);

impl Touched {
    fn note(&mut self, key: RowKey) {
        if let Some(keys) = &mut self.0 {
            keys.insert(key);
        }
    }

    pub(super) fn take(&mut self) -> BTreeSet<RowKey> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

impl Book {
    /// A book without accounts.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// The same, noting from now on which rows change ([`Book::take_changes`]).
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.touched = Touched(Some(BTreeSet::new()));
        self
    }

    /// Charges the demand to all of its accounts, or to none.
    ///
    /// # Errors
    /// Where a limit would be exceeded, or there is no room to remember it.
    pub fn reserve(&mut self, demand: &Demand, now: UnixMillis) -> Result<ReservationId, LedgerError> {
        let now = self.now(now)?;
        self.fits(demand, now)?;
        let id = ReservationId::new(self.head.next_reservation);
        let next = id.get().checked_add(1).ok_or_else(used_up)?;
        self.make_room(demand, 1, now)?;
        let parts = self.post_all(demand, now);
        self.head.next_reservation = next;
        self.open.insert(id, Reservation { at: now, parts });
        self.touched.note(RowKey::Reservation(id));
        self.expect_end(Due::Reservation(id));
        Ok(id)
    }

    /// Charges the demand as if it were reserved and committed at once: nothing is open behind it, and there is
    /// nothing to settle. Where nothing counts what it asks for, nothing changes.
    ///
    /// # Errors
    /// Where a limit would be exceeded, or there is no room to remember it.
    pub fn charge(&mut self, demand: &Demand, now: UnixMillis) -> Result<(), LedgerError> {
        let now = self.now(now)?;
        self.fits(demand, now)?;
        if self.counts(demand, now) {
            self.make_room(demand, 0, now)?;
            self.post_all(demand, now);
        }
        Ok(())
    }

    /// Ends a reservation in one of the two ways.
    ///
    /// # Errors
    /// Where it was ended in the other, or is not known.
    pub fn settle(&mut self, id: ReservationId, outcome: Outcome, now: UnixMillis) -> Result<(), LedgerError> {
        match self.settled.outcome(id) {
            Some(before) if before == outcome => return Ok(()),
            Some(before) => return Err(LedgerError::Settled { id, before, asked: outcome }),
            None => {}
        }
        let now = self.now(now)?;
        if self.end(Due::Reservation(id)).is_none_or(|end| end <= now) {
            return Err(LedgerError::Unknown(id));
        }
        self.change(now);
        let Some(reservation) = self.drop_reservation(id) else { return Err(LedgerError::Unknown(id)) };
        if outcome == Outcome::Released {
            self.give_back(&reservation);
        }
        let number = self.settled.push(id, outcome);
        self.touched.note(RowKey::Settled(number));
        while let Some(forgotten) = self.settled.pop_beyond(self.bounds.settled) {
            self.touched.note(RowKey::Settled(forgotten));
        }
        Ok(())
    }

    /// The book's own time, which does not go back. A moment out of all reason would let every window slide, and
    /// hold the book there for ever.
    fn now(&self, now: UnixMillis) -> Result<UnixMillis, LedgerError> {
        match is_a_time(now) {
            true => Ok(self.head.latest.max(now)),
            false => Err(LedgerError::Clock(now)),
        }
    }

    /// Whether every account has room for it.
    fn fits(&self, demand: &Demand, now: UnixMillis) -> Result<(), LedgerError> {
        let overruns: Vec<_> = demand.charges().iter().flat_map(|charge| self.overruns(charge, now)).collect();
        if overruns.is_empty() { Ok(()) } else { Err(LedgerError::Refused(overruns)) }
    }

    /// Whether any of it is limited, or counted already because of another certificate that limits it.
    fn counts(&self, demand: &Demand, now: UnixMillis) -> bool {
        let is_counted = |charge: &Charge, posting: &Posting| {
            let is_live = || self.counters.live(&charge.key, posting.measure, now).is_some();
            posting.amount > 0 && (posting.cap.is_some() || is_live())
        };
        demand.charges().iter().any(|charge| charge.postings().any(|posting| is_counted(charge, &posting)))
    }

    /// Every limit that the charge would exceed.
    fn overruns(&self, charge: &Charge, now: UnixMillis) -> Vec<Overrun> {
        let overrun = |limit, used, wanted, fits_at| Overrun { key: charge.key.clone(), limit, used, wanted, fits_at };
        let limit = charge.spend.as_ref().map(|spend| (spend.amount(), spend.limit()));
        let single = limit.and_then(|(wanted, limit)| {
            let most = limit.max_per_transaction.filter(|most| wanted > *most)?;
            let limit = Limit::PerTransaction { most, currency: limit.currency };
            Some(overrun(limit, 0, wanted.get(), None))
        });
        let periods = charge.postings().filter_map(|posting| {
            let Cap { limit, period_ms } = posting.cap?;
            let most = u128::from(limit.most());
            let window = self.counters.live(&charge.key, posting.measure, now).map(|(_, window)| window);
            let used = window.map_or(0, |window| window.used(period_ms, now));
            let wanted = u128::from(posting.amount);
            if used.saturating_add(wanted) <= most {
                return None;
            }
            let falls_to = |room| window.map_or(now, |window| window.falls_to(room, period_ms, now));
            let fits_at = most.checked_sub(wanted).map(falls_to);
            Some(overrun(limit, u64::try_from(used).unwrap_or(u64::MAX), posting.amount, fits_at))
        });
        single.into_iter().chain(periods).collect()
    }

    /// Sees to it that there is room for the demand's counters and for so many more reservations. What is over is
    /// dropped before there is said to be none.
    fn make_room(&mut self, demand: &Demand, reservations: usize, now: UnixMillis) -> Result<(), LedgerError> {
        let opens = |charge: &Charge, posting: &Posting| {
            let is_kept = posting.cap.is_some() && posting.amount > 0;
            is_kept && self.counters.live(&charge.key, posting.measure, now).is_none()
        };
        let opened = demand.charges().iter().map(|charge| charge.postings().filter(|p| opens(charge, p)).count());
        let opened: usize = opened.sum();
        self.head.next_counter.checked_add(opened as u64).ok_or_else(used_up)?;
        if self.has_room(opened, reservations).is_err() {
            self.sweep(now, usize::MAX);
        }
        self.has_room(opened, reservations)
    }

    /// Whether there is room for so many more counters and reservations. Narrow bounds do not stop what adds none.
    fn has_room(&self, counters: usize, reservations: usize) -> Result<(), LedgerError> {
        let full = |there: usize, more: usize, limit| more > 0 && there.saturating_add(more) > limit;
        let Bounds { counters: most_counters, reservations: most_reservations, .. } = self.bounds;
        if full(self.counters.len(), counters, most_counters) {
            return Err(LedgerError::Full { what: Kept::Counters, limit: most_counters });
        }
        if full(self.open.len(), reservations, most_reservations) {
            return Err(LedgerError::Full { what: Kept::Reservations, limit: most_reservations });
        }
        Ok(())
    }

    /// Something changes now.
    fn change(&mut self, now: UnixMillis) {
        self.head.latest = now;
        self.touched.note(RowKey::Head);
        self.sweep(now, SWEPT_AT_ONCE);
    }

    /// Adds all of the demand to its counters, and says what it added to which.
    fn post_all(&mut self, demand: &Demand, now: UnixMillis) -> Vec<Part> {
        self.change(now);
        let mut parts = Vec::new();
        for charge in demand.charges() {
            parts.extend(charge.postings().filter_map(|posting| self.post(&charge.key, posting, now)));
        }
        parts
    }

    /// Adds to a counter, which begins where the account has none for what is limited.
    fn post(&mut self, account: &AccountKey, posting: Posting, now: UnixMillis) -> Option<Part> {
        let Posting { measure, amount, cap } = posting;
        if amount == 0 {
            return None;
        }
        let live = self.counters.live(account, measure, now).map(|(number, _)| number);
        let number = match (live, cap) {
            (Some(number), _) => number,
            (None, Some(cap)) => self.open_counter(account, measure, cap.period_ms),
            (None, None) => return None,
        };
        let window = &mut self.counters.get_mut(number)?.window;
        if cap.is_some_and(|cap| window.see(cap.period_ms)) {
            self.touched.note(RowKey::Counter(number));
        }
        window.add(amount, now, |first| self.touched.note(RowKey::Bucket(number, first)));
        if live.is_none() {
            self.expect_end(Due::Counter(number));
        }
        Some(Part { counter: number, amount })
    }

    fn open_counter(&mut self, account: &AccountKey, measure: Measure, period_ms: u64) -> u64 {
        if let Some(over) = self.counters.number(account, measure) {
            self.drop_counter(over);
        }
        let number = self.head.next_counter;
        self.head.next_counter = number.saturating_add(1);
        self.counters.insert(number, account, measure, Window::new(period_ms, period_ms));
        self.touched.note(RowKey::Counter(number));
        number
    }

    fn drop_counter(&mut self, number: u64) {
        let Some(counter) = self.counters.remove(number) else { return };
        self.due.cancel(Due::Counter(number));
        self.touched.note(RowKey::Counter(number));
        counter.window.buckets().for_each(|bucket| self.touched.note(RowKey::Bucket(number, bucket.first)));
    }

    fn drop_reservation(&mut self, id: ReservationId) -> Option<Reservation> {
        let reservation = self.open.remove(&id)?;
        self.due.cancel(Due::Reservation(id));
        self.touched.note(RowKey::Reservation(id));
        Some(reservation)
    }

    fn give_back(&mut self, reservation: &Reservation) {
        for part in &reservation.parts {
            let Some(counter) = self.counters.get_mut(part.counter) else { continue };
            let changed = |first| self.touched.note(RowKey::Bucket(part.counter, first));
            counter.window.take(part.amount, reservation.at, changed);
            if counter.window.is_empty() {
                self.drop_counter(part.counter);
            }
        }
    }

    /// When something is over by itself; `None` where there is no such thing.
    fn end(&self, due: Due) -> Option<UnixMillis> {
        let id = match due {
            Due::Counter(number) => return Some(self.counters.get(number)?.window.ends()),
            Due::Reservation(id) => id,
        };
        let Reservation { at, parts } = self.open.get(&id)?;
        let counters = parts.iter().filter_map(|part| self.counters.get(part.counter));
        let longest = counters.map(|counter| counter.window.periods().1).fold(SETTLE_MS, u64::max);
        Some(at.saturating_add(longest))
    }

    fn expect_end(&mut self, due: Due) {
        if let Some(end) = self.end(due) {
            self.due.expect(due, end);
        }
    }

    /// Begins to wait for the end of everything there is.
    pub(super) fn expect_all_ends(&mut self) {
        let counters = self.counters.iter().map(|(number, _)| Due::Counter(number));
        let all: Vec<_> = counters.chain(self.open.keys().map(|id| Due::Reservation(*id))).collect();
        all.into_iter().for_each(|due| self.expect_end(due));
    }

    /// Drops what is over, looking at so many things at most.
    fn sweep(&mut self, now: UnixMillis, most: usize) {
        for _ in 0..most {
            let Some(due) = self.due.pop(now) else { return };
            match (self.end(due), due) {
                (None, _) => {}
                (Some(end), due) if end > now => self.due.expect(due, end),
                (_, due) => {
                    self.head.latest = now;
                    self.touched.note(RowKey::Head);
                    self.forget(due);
                }
            }
        }
    }

    fn forget(&mut self, due: Due) {
        match due {
            Due::Counter(number) => self.drop_counter(number),
            Due::Reservation(id) => drop(self.drop_reservation(id)),
        }
    }
}
