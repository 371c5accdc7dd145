//! A book as rows, by which a store keeps it: what changed, and all of it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::book::{Book, Bounds, is_a_time};
use super::window::{Bucket, Window};
use super::{AccountKey, Measure, Outcome, ReservationId};
use crate::time::UnixMillis;

/// Names a row. Rows are read back in the order of their keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKey {
    /// The head of the book.
    Head,
    /// A counter, by its number.
    Counter(u64),
    /// What a counter counts from a moment on.
    Bucket(u64, UnixMillis),
    /// A reservation that is not settled.
    Reservation(ReservationId),
    /// What became of one that is, by the number of the settlement.
    Settled(u64),
}

/// What is in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// Under [`RowKey::Head`].
    Head(Head),
    /// Under [`RowKey::Counter`].
    Counter(CounterRow),
    /// Under [`RowKey::Bucket`].
    Bucket {
        /// The last moment that it counts from.
        last: UnixMillis,
        /// Minor units or calls.
        sum: u128,
    },
    /// Under [`RowKey::Reservation`].
    Reservation(Reservation),
    /// Under [`RowKey::Settled`].
    Settled(ReservationId, Outcome),
}

/// How far a book has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// When it last changed, by its own clock, which does not go back.
    pub latest: UnixMillis,
    /// The number of the next counter.
    pub next_counter: u64,
    /// The number of the next reservation.
    pub next_reservation: u64,
}

/// What is kept of a counter beside its buckets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CounterRow {
    /// Whose it is.
    pub account: AccountKey,
    /// What it counts.
    pub measure: Measure,
    /// The shortest period that it has seen, in milliseconds.
    pub shortest_ms: u64,
    /// The longest.
    pub longest_ms: u64,
}

/// A reservation that is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// When it was made, by the book's clock.
    pub at: UnixMillis,
    /// What it added, to each of some counters.
    pub parts: Vec<Part>,
}

/// What a reservation added to one counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The counter. One that is gone has nothing more of it.
    pub counter: u64,
    /// Minor units or calls.
    pub amount: u64,
}

/// Rows that no book was kept as.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key:?} is not what a book would have there: {what}")]
pub struct Damaged {
    /// The first row in question.
    pub key: RowKey,
    /// What is wrong with it.
    pub what: &'static str,
}

impl Book {
    /// The book that was kept as these rows, which are in the order of their keys.
    ///
    /// # Errors
    /// Where they are not those of a book.
    pub fn restore(bounds: Bounds, rows: impl IntoIterator<Item = (RowKey, Row)>) -> Result<Self, Damaged> {
        let (mut book, mut before) = (Self::new(bounds), None);
        for (key, row) in rows {
            if before >= Some(key) {
                return Err(Damaged { key, what: "it is out of order" });
            }
            if before.is_none() && key != RowKey::Head {
                return Err(Damaged { key: RowKey::Head, what: "it is missing" });
            }
            before = Some(key);
            book.put(key, row).map_err(|what| Damaged { key, what })?;
        }
        if let Some((number, _)) = book.counters.iter().find(|(_, counter)| counter.window.is_empty()) {
            return Err(Damaged { key: RowKey::Counter(number), what: "it has no buckets" });
        }
        book.expect_all_ends();
        Ok(book)
    }

    fn put(&mut self, key: RowKey, row: Row) -> Result<(), &'static str> {
        let head = self.head;
        let right = |right: bool, what| if right { Ok(()) } else { Err(what) };
        match (key, row) {
            (RowKey::Head, Row::Head(found)) => {
                right(is_a_time(found.latest), "its time is none of ours")?;
                self.head = found;
            }
            (RowKey::Counter(number), Row::Counter(row)) => {
                right(number < head.next_counter, "no such number was given yet")?;
                right((1..=row.longest_ms).contains(&row.shortest_ms), "its periods are none")?;
                let window = Window::new(row.shortest_ms, row.longest_ms);
                right(self.counters.insert(number, &row.account, row.measure, window), "another one counts the same")?;
            }
            (RowKey::Bucket(number, first), Row::Bucket { last, sum }) => {
                let counter = self.counters.get_mut(number).ok_or("its counter is missing")?;
                right(last <= head.latest, "it is of the future")?;
                right(counter.window.restore(Bucket { first, last, sum }), "it does not follow the one before")?;
            }
            (RowKey::Reservation(id), Row::Reservation(reservation)) => {
                right(id.get() < head.next_reservation, "no such number was given yet")?;
                right(reservation.at <= head.latest, "it is of the future")?;
                self.open.insert(id, reservation);
            }
            (RowKey::Settled(number), Row::Settled(id, outcome)) => {
                right(id.get() < head.next_reservation, "no such number was given yet")?;
                right(!self.open.contains_key(&id), "the reservation is open")?;
                right(self.settled.restore(number, id, outcome), "it does not follow the one before")?;
            }
            _ => return Err("it is a row of another kind"),
        }
        Ok(())
    }

    /// What is kept under a key now.
    pub(super) fn row(&self, key: RowKey) -> Option<Row> {
        Some(match key {
            RowKey::Head => Row::Head(self.head),
            RowKey::Counter(number) => {
                let counter = self.counters.get(number)?;
                let (shortest_ms, longest_ms) = counter.window.periods();
                let account = AccountKey::clone(&counter.account);
                Row::Counter(CounterRow { account, measure: counter.measure, shortest_ms, longest_ms })
            }
            RowKey::Bucket(number, first) => {
                let bucket = self.counters.get(number)?.window.bucket(first)?;
                Row::Bucket { last: bucket.last, sum: bucket.sum }
            }
            RowKey::Reservation(id) => Row::Reservation(self.open.get(&id)?.clone()),
            RowKey::Settled(number) => {
                let (id, outcome) = self.settled.get(number)?;
                Row::Settled(id, outcome)
            }
        })
    }

    /// All rows, in the order of their keys.
    pub fn rows(&self) -> impl Iterator<Item = (RowKey, Row)> {
        let counters = self.counters.iter().map(|(number, _)| RowKey::Counter(number));
        let buckets = self.counters.iter().flat_map(|(number, counter)| {
            counter.window.buckets().map(move |bucket| RowKey::Bucket(number, bucket.first))
        });
        let reservations = self.open.keys().map(|id| RowKey::Reservation(*id));
        let settled = self.settled.numbers().map(RowKey::Settled);
        let keys = [RowKey::Head].into_iter().chain(counters).chain(buckets).chain(reservations).chain(settled);
        keys.filter_map(|key| self.row(key).map(|row| (key, row)))
    }

    /// Every row that is another one than when this was last asked, as it is now; `None` where it is gone. Nothing
    /// where the book does not record ([`Book::recording`]).
    pub fn take_changes(&mut self) -> Vec<(RowKey, Option<Row>)> {
        let touched = self.touched.take();
        touched.into_iter().map(|key| (key, self.row(key))).collect()
    }
}
