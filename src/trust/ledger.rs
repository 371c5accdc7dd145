//! The ledger: rows chained by their hashes ([`crate::journal`]), from which every score follows.

use super::event::{Actor, Event};
pub use crate::journal::{JournalError, JournalHead};

/// One row.
pub type Row = crate::journal::Row<Actor, Event>;
