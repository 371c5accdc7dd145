//! The journal: every event in its order, each row chained to the one before by its hash.
//!
//! A row is one line of JSON. `previous` is the SHA-256 of the line before it, in hex, so the chain
//! can be followed with nothing but `sha256sum`; the first row's is all zeros. A row that is changed,
//! taken out or put in breaks the chain behind it; one who rewrites all that follows changes the
//! head, which auditors note down.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::encoding;
use super::event::{Actor, Event};
use crate::time::UnixMillis;

/// How many rows there are, and the hash of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalHead {
    /// Rows so far; the number of the next.
    pub rows: u64,
    /// SHA-256 of the last row; zeros where there is none.
    #[serde(with = "encoding::hash")]
    pub hash: [u8; 32],
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its place, from 0.
    pub row: u64,
    /// SHA-256 of the row before.
    #[serde(with = "encoding::hash")]
    pub previous: [u8; 32],
    /// When it was written.
    pub at: UnixMillis,
    /// Who brought it about.
    pub by: Actor,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Why rows are not a journal.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum JournalError {
    /// A row is not JSON of a row.
    #[error("row {row} does not read: {reason}")]
    Unreadable {
        /// Which one.
        row: u64,
        /// What the parser says.
        reason: String,
    },
    /// A row has another number than its place.
    #[error("row {row} says that it is row {found}")]
    Number {
        /// Its place.
        row: u64,
        /// What it says.
        found: u64,
    },
    /// A row does not name the hash of the row before it.
    #[error(
        "row {row} does not follow from the row before it: one of the two was changed, or one between them removed"
    )]
    Broken {
        /// Which one.
        row: u64,
    },
    /// An event cannot be written.
    #[error("an event cannot be written as JSON: {0}")]
    Unwritable(String),
}

impl JournalHead {
    /// Writes the row that follows, and moves on to it.
    pub fn append(&mut self, at: UnixMillis, by: Actor, event: Event) -> Result<Vec<u8>, JournalError> {
        let row = Row { row: self.rows, previous: self.hash, at, by, event };
        let octets = serde_json::to_vec(&row).map_err(|e| JournalError::Unwritable(e.to_string()))?;
        *self = Self { rows: self.rows + 1, hash: Sha256::digest(&octets).into() };
        Ok(octets)
    }

    /// Reads the row that follows, checks that it does, and moves on to it.
    pub fn follow(&mut self, octets: &[u8]) -> Result<Row, JournalError> {
        let place = self.rows;
        let row: Row = serde_json::from_slice(octets)
            .map_err(|e| JournalError::Unreadable { row: place, reason: e.to_string() })?;
        if row.row != place {
            return Err(JournalError::Number { row: place, found: row.row });
        }
        if row.previous != self.hash {
            return Err(JournalError::Broken { row: place });
        }
        *self = Self { rows: place + 1, hash: Sha256::digest(octets).into() };
        Ok(row)
    }
}
