//! Spending and calls, counted by the relying party itself (draft 11.2.8, T8): what an agent says of its own
//! spending counts for nothing, and its certificate says no more than the limits.
//!
//! Before an operation is done, its [`Demand`] is reserved: every account that it is charged to has room for
//! it, or none is charged. Behind the operation the reservation is committed, or released where nothing came of
//! it. What is neither stays counted until its period is over, since nobody can say that it did not happen.
//! The moment that an operation counts at is that of its reservation. Whoever never learns what came of an
//! operation charges it in one step, as done.
//!
//! An account is an agent's in one capability ([`AccountKey`]), so that a renewed certificate goes on with what
//! was used under the one before, by the limits that it brings itself. A [`Book`] is the accounts as a state
//! machine, without a clock; [`MemoryLedger`] keeps it in memory and `storage::ledger` in a database.
//!
//! # What is let through
//!
//! In no window of periodSeconds, wherever it begins, is more than the limit. What was used leaves the account
//! when it is as old as the period, and by at most one part in 64 of the period later: uses are put together in
//! buckets of that width, and a bucket counts until the last of it is out of the window. The clock may go back:
//! the ledger's does not, and goes on when the other has caught up. A clock that is ahead lets the windows slide, and
//! no ledger can tell; whoever hands in `now` has to watch it.
//!
//! A renewal may bring another limit, another period or another currency. The history stays, for as long as the
//! longest period that the account has seen since it was last empty, and is counted by the limit of whoever
//! asks. So two certificates that are valid at the same time share one account. A period that is longer than all
//! before finds what those kept, and no more. Each currency is counted by itself.
//!
//! What cannot be enforced is refused ([`Unenforceable`]), and so is what there is no room to remember
//! ([`Bounds`]).

mod agenda;
mod book;
mod counters;
mod demand;
mod error;
mod memory;
mod row;
mod settled;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;

pub use self::book::{Book, Bounds};
pub use self::demand::{AccountKey, Charge, Demand, MAX_CHARGES, Measure, Spend, Unenforceable};
pub use self::error::{Kept, LedgerError, Limit, Outcome, Overrun};
pub use self::memory::MemoryLedger;
pub use self::row::{CounterRow, Damaged, Head, Part, Reservation, Row, RowKey};
pub use crate::time::UnixMillis;

/// Names a reservation. A ledger gives no number twice, not even after a new start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId(u64);

impl ReservationId {
    /// The reservation with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ReservationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The port: accounts that many may ask at once. Every call blocks until its answer will hold.
///
/// A reservation is settled once, by [`commit`](Self::commit) or by [`release`](Self::release). To settle it
/// again in the same way is well and changes nothing, so that a caller who got no answer may ask again; to
/// settle it in the other way is an error. So many as [`Bounds::settled`] are remembered for this; one that was
/// settled before them is [`LedgerError::Unknown`], and so is an open one whose periods are over and that was
/// made more than an hour ago. Neither gives anything back, whichever way it is asked for.
pub trait SpendLedger: Send + Sync {
    /// Charges the demand to all of its accounts, if each has room for it.
    ///
    /// # Errors
    /// [`LedgerError::Refused`] where one has not, and then nothing has changed; whatever else keeps a ledger from
    /// answering, and then the operation must not be done either.
    fn reserve(&self, demand: &Demand, now: UnixMillis) -> Result<ReservationId, LedgerError>;

    /// Charges the demand and settles it in one step, for whoever takes what is allowed to be done: nothing of it
    /// stays open, and none of it comes back.
    ///
    /// # Errors
    /// As for [`reserve`](Self::reserve).
    fn charge(&self, demand: &Demand, now: UnixMillis) -> Result<(), LedgerError>;

    /// The operation was done: what is reserved for it is used.
    ///
    /// # Errors
    /// Where there is no such reservation, or it was released. It stays counted where the ledger has stopped.
    fn commit(&self, id: ReservationId, now: UnixMillis) -> Result<(), LedgerError>;

    /// Nothing came of the operation: what was reserved for it is there again.
    ///
    /// # Errors
    /// Where there is no such reservation, or it was committed.
    fn release(&self, id: ReservationId, now: UnixMillis) -> Result<(), LedgerError>;
}
