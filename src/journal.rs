//! A journal: every event in its order, each row chained to the one before by its hash.
//!
//! A row is one line of JSON. `previous` is the SHA-256 of the line before it, in hex, so the chain
//! can be followed with nothing but `sha256sum`; the first row's is all zeros. A row that is changed,
//! taken out or put in breaks the chain behind it; one who rewrites all that follows changes the
//! head, which auditors note down.
//!
//! Whose journal it is, the CA's or the trust engine's, shows in the types of its actors and events.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::time::UnixMillis;

/// How many rows there are, and the hash of the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalHead {
    /// Rows so far; the number of the next.
    pub rows: u64,
    /// SHA-256 of the last row; zeros where there is none.
    #[serde(with = "hash")]
    pub hash: [u8; 32],
}

/// One row: `A` brought the event `E` about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row<A, E> {
    /// Its place, from 0.
    pub row: u64,
    /// SHA-256 of the row before.
    #[serde(with = "hash")]
    pub previous: [u8; 32],
    /// When it was written.
    pub at: UnixMillis,
    /// Who brought it about.
    pub by: A,
    /// What happened.
    #[serde(flatten)]
    pub event: E,
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

/// Why a commit to a journal did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CommitError {
    /// Nothing was written, for certain.
    #[error("nothing was written: {0}")]
    NotWritten(String),
    /// Another writer changed the store: this one must never write again.
    #[error("another writer is at work: the journal has {found} rows where {expected} were expected")]
    Fenced {
        /// Rows expected.
        expected: u64,
        /// Rows found.
        found: u64,
    },
    /// It may or may not be on the disk. Only a new start, which reads what is there, can tell.
    #[error("a write failed and may or may not be on the disk: {0}")]
    Unknown(String),
}

impl JournalHead {
    /// Writes the row that follows, and moves on to it.
    ///
    /// # Errors
    /// [`JournalError::Unwritable`]
    pub fn append<A: Serialize, E: Serialize>(
        &mut self,
        at: UnixMillis,
        by: A,
        event: E,
    ) -> Result<Vec<u8>, JournalError> {
        let row = Row { row: self.rows, previous: self.hash, at, by, event };
        let octets = serde_json::to_vec(&row).map_err(|e| JournalError::Unwritable(e.to_string()))?;
        *self = Self { rows: self.rows + 1, hash: Sha256::digest(&octets).into() };
        Ok(octets)
    }

    /// Reads the row that follows, checks that it does, and moves on to it.
    ///
    /// # Errors
    /// Where it does not read, or does not follow.
    pub fn follow<A: DeserializeOwned, E: DeserializeOwned>(
        &mut self,
        octets: &[u8],
    ) -> Result<Row<A, E>, JournalError> {
        let place = self.rows;
        let row = Row::<A, E>::read(place, octets)?;
        if row.previous != self.hash {
            return Err(JournalError::Broken { row: place });
        }
        *self = Self { rows: place + 1, hash: Sha256::digest(octets).into() };
        Ok(row)
    }

    /// Refuses rows and a new head that do not follow from this one, which the store `found`.
    ///
    /// # Errors
    /// [`CommitError::Fenced`] where somebody else wrote meanwhile, [`CommitError::NotWritten`] where the
    /// rows do not lead to `head`.
    pub fn check_commit(&self, found: &Self, rows: &[Vec<u8>], head: &Self) -> Result<(), CommitError> {
        if self != found {
            return Err(CommitError::Fenced { expected: self.rows, found: found.rows });
        }
        let behind = self.rows.checked_add(rows.len() as u64);
        let hash = rows.last().map_or(self.hash, |row| Sha256::digest(row).into());
        match behind == Some(head.rows) && hash == head.hash {
            true => Ok(()),
            false => Err(CommitError::NotWritten(format!(
                "the {} rows behind row {} do not lead to the head of {} rows that the commit names",
                rows.len(),
                self.rows,
                head.rows
            ))),
        }
    }
}

impl<A: DeserializeOwned, E: DeserializeOwned> Row<A, E> {
    /// Reads the row of this place. That it follows from the one before is for [`JournalHead::follow`].
    ///
    /// # Errors
    /// [`JournalError::Unreadable`] and [`JournalError::Number`].
    pub fn read(place: u64, octets: &[u8]) -> Result<Self, JournalError> {
        let row: Self = serde_json::from_slice(octets)
            .map_err(|e| JournalError::Unreadable { row: place, reason: e.to_string() })?;
        if row.row == place { Ok(row) } else { Err(JournalError::Number { row: place, found: row.row }) }
    }
}

/// 32 octets as lower-case hex.
pub mod hash {
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// Writes them.
    pub fn serialize<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(hash))
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        parse(&String::deserialize(deserializer)?).ok_or_else(|| de::Error::custom("a hash has 64 hex digits"))
    }

    /// The octets that 64 hex digits stand for.
    pub fn parse(text: &str) -> Option<[u8; 32]> {
        let mut octets = [0; 32];
        hex::decode_to_slice(text, &mut octets).ok().map(|()| octets)
    }
}
