//! A ledger for one process, which forgets everything with it.

use std::sync::Mutex;

use super::{Book, Bounds, Demand, LedgerError, Outcome, ReservationId, SpendLedger};
use crate::time::UnixMillis;

/// A ledger in memory: for tests, and where it does not matter that a new start gives every limit anew.
#[derive(Debug, Default)]
pub struct MemoryLedger {
    book: Mutex<Book>,
}

impl MemoryLedger {
    /// An empty ledger within these bounds.
    pub fn new(bounds: Bounds) -> Self {
        Self { book: Mutex::new(Book::new(bounds)) }
    }

    fn with<T>(&self, call: impl FnOnce(&mut Book) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        // Whoever panicked with the book in hand may have left half a change in it.
        let mut book = self.book.lock().map_err(|_| LedgerError::Stopped("it failed unexpectedly".into()))?;
        call(&mut book)
    }
}

impl SpendLedger for MemoryLedger {
    fn reserve(&self, demand: &Demand, now: UnixMillis) -> Result<ReservationId, LedgerError> {
        self.with(|book| book.reserve(demand, now))
    }

    fn charge(&self, demand: &Demand, now: UnixMillis) -> Result<(), LedgerError> {
        self.with(|book| book.charge(demand, now))
    }

    fn commit(&self, id: ReservationId, now: UnixMillis) -> Result<(), LedgerError> {
        self.with(|book| book.settle(id, Outcome::Committed, now))
    }

    fn release(&self, id: ReservationId, now: UnixMillis) -> Result<(), LedgerError> {
        self.with(|book| book.settle(id, Outcome::Released, now))
    }
}
