//! The CA's journal: rows chained by their hashes ([`crate::journal`]), of what the CA's actors brought about.

use super::event::{Actor, Event};
pub use crate::journal::{JournalError, JournalHead};

/// One row.
pub type Row = crate::journal::Row<Actor, Event>;
