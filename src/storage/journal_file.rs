//! How far a journal has come, in a file beside the database and not in it.
//!
//! A database that is put back from an older copy is consistent in itself: a CA would take spent tokens
//! once more and forget what it issued since, a trust engine would give bad agents their scores back. Only
//! something that was not put back with it can tell. So keep this file out of the database's backup.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::journal::JournalHead;
use crate::log::store::StoreError;
use crate::storage::kept_file::{KeptFile, value};

/// A journal's head in one file, replaced atomically.
#[derive(Clone, Debug)]
pub struct JournalFile {
    file: KeptFile,
    /// Whose journal it is.
    first_line: &'static str,
}

impl JournalFile {
    /// The file that belongs to the database in this directory: beside it, with `.head` behind the name.
    pub(super) fn with_first_line(data_dir: &Path, first_line: &'static str) -> Self {
        let mut path = data_dir.to_owned().into_os_string();
        path.push(".head");
        Self { file: KeptFile::new(PathBuf::from(path)), first_line }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The head that was kept last; `None` where none ever was.
    ///
    /// # Errors
    /// Where the file cannot be read, or is not as it was written.
    pub fn load(&self) -> Result<Option<JournalHead>, StoreError> {
        let Some(body) = self.file.read(self.first_line)? else { return Ok(None) };
        let rows = value(&body, "rows").parse().map_err(|_| self.file.damaged(&"no number of rows"))?;
        let mut hash = [0; 32];
        hex::decode_to_slice(value(&body, "hash"), &mut hash).map_err(|e| self.file.damaged(&e))?;
        Ok(Some(JournalHead { rows, hash }))
    }

    /// Keeps this head.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn keep(&self, head: &JournalHead) -> Result<(), StoreError> {
        self.file.write(&format!("{}\nrows: {}\nhash: {}\n", self.first_line, head.rows, hex::encode(head.hash)))
    }

    /// That a journal with this head goes on from the one kept last; `row` reads a row of it.
    pub(super) fn check_against(
        &self,
        head: JournalHead,
        row: impl FnOnce(u64) -> Result<Option<Vec<u8>>, StoreError>,
    ) -> Result<(), StoreError> {
        let path = self.path().display();
        let kept = match self.load()? {
            Some(kept) => kept,
            None if head.rows == 0 => return Ok(()),
            None => {
                return Err(StoreError::Corrupt(format!("{path} is missing, which says how far the journal had come")));
            }
        };
        if kept.rows == 0 {
            return Ok(());
        }
        if row(kept.rows - 1)?.map(|row| <[u8; 32]>::from(Sha256::digest(row))) == Some(kept.hash) {
            return Ok(());
        }
        Err(StoreError::Corrupt(format!(
            "the journal has {} rows and does not go on from the {} that {path} knows of: the database is older than \
             what it had come to, or another's",
            head.rows, kept.rows
        )))
    }
}
