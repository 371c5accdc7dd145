//! Where a CA keeps itself: RocksDB for real, memory for tests that need faults.

pub mod crl_file;
pub mod journal_file;
pub mod memory;
pub mod rocks;
pub mod schema;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use crate::ca::ports::{Commit, CommitError, JournalHead};

/// Refuses a commit that does not follow from what is there (`found`), or that does not lead to the
/// head that it names.
fn check(commit: &Commit, found: &JournalHead) -> Result<(), CommitError> {
    if commit.base != *found {
        return Err(CommitError::Fenced { expected: commit.base.rows, found: found.rows });
    }
    let rows = commit.base.rows.checked_add(commit.rows.len() as u64);
    let hash = commit.rows.last().map_or(commit.base.hash, |row| Sha256::digest(row).into());
    match rows == Some(commit.head.rows) && hash == commit.head.hash {
        true => Ok(()),
        false => Err(CommitError::NotWritten(format!(
            "the {} rows behind row {} do not lead to the head of {} rows that the commit names",
            commit.rows.len(),
            commit.base.rows,
            commit.head.rows
        ))),
    }
}
