//! How far the journal has come, in a file beside the database and not in it.
//!
//! A CA whose database is put back from an older copy would take spent tokens once more and forget what
//! it issued since. The copy is consistent in itself; only something that was not put back with it can
//! tell. So keep this file out of the database's backup.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::ca::ports::{CaStore, JournalHead, StoreError};
use crate::storage::kept_file::{KeptFile, value};
use crate::trust::ports::TrustStore;

const CA_LINE: &str = "atl ca journal v1: the CA does not start without it, keep it out of backups";
const TRUST_LINE: &str = "atl trust ledger v1: the trust engine does not start without it, keep it out of backups";

/// The journal's head in one file, replaced atomically.
#[derive(Clone, Debug)]
pub struct JournalFile {
    file: KeptFile,
    /// What it begins with: whose journal it is of.
    first_line: &'static str,
}

impl JournalFile {
    /// The file that belongs to the CA's database in this directory: beside it, with `.head` behind the name.
    pub fn beside(data_dir: &Path) -> Self {
        Self::with(data_dir, CA_LINE)
    }

    /// The file that belongs to the trust engine's database in this directory, as [`Self::beside`].
    pub fn beside_trust(data_dir: &Path) -> Self {
        Self::with(data_dir, TRUST_LINE)
    }

    fn with(data_dir: &Path, first_line: &'static str) -> Self {
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

    /// That the journal in `store` goes on from the head kept last.
    ///
    /// # Errors
    /// Where it does not, or cannot be read.
    pub fn check(&self, store: &dyn CaStore) -> Result<(), StoreError> {
        self.goes_on(store.head()?, |row| Ok(store.journal(row, 1)?.pop()))
    }

    /// That the ledger in `store` goes on from the head kept last.
    ///
    /// # Errors
    /// Where it does not, or cannot be read.
    pub fn check_trust(&self, store: &dyn TrustStore) -> Result<(), StoreError> {
        self.goes_on(store.head()?, |row| Ok(store.rows(row, 1)?.pop()))
    }

    fn goes_on(
        &self,
        head: JournalHead,
        read: impl FnOnce(u64) -> Result<Option<Vec<u8>>, StoreError>,
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
        let newest = read(kept.rows - 1)?.map(|row| <[u8; 32]>::from(Sha256::digest(row)));
        if newest == Some(kept.hash) {
            return Ok(());
        }
        Err(StoreError::Corrupt(format!(
            "the journal has {} rows and does not go on from the {} that {path} knows of: the database is older than \
             what its owner had come to, or another's",
            head.rows, kept.rows
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::event::{Actor, Event};
    use crate::ca::ports::Commit;
    use crate::storage::ca::memory::MemoryCaStore;
    use crate::time::UnixMillis;

    fn grow(store: &MemoryCaStore, id: &str) {
        let base = store.head().unwrap();
        let mut head = base;
        let event = Event::TokenWithdrawn { token: id.repeat(8).parse().unwrap() };
        let rows = vec![head.append(UnixMillis::new(1), Actor::Authority, event).unwrap()];
        store.commit(Commit { base, rows, head, entities: Vec::new() }).unwrap();
    }

    #[test]
    fn an_older_copy_or_another_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = JournalFile::beside(&dir.path().join("data"));
        let store = MemoryCaStore::default();
        assert_eq!(file.check(&store), Ok(()));
        grow(&store, "01");
        // Nothing was ever kept, and there is something.
        assert!(matches!(file.check(&store), Err(StoreError::Corrupt(why)) if why.contains("missing")));
        let (older, kept) = (store.copy(), store.head().unwrap());
        file.keep(&kept).unwrap();
        assert_eq!(file.load(), Ok(Some(kept)));
        grow(&store, "02");
        // The file may be behind.
        assert_eq!(file.check(&store), Ok(()));
        file.keep(&store.head().unwrap()).unwrap();
        assert_eq!(file.check(&store), Ok(()));
        let rolled_back = |store| matches!(file.check(store), Err(StoreError::Corrupt(why)) if why.contains("older"));
        assert!(rolled_back(&older));
        let other = older.copy();
        grow(&other, "03");
        assert!(rolled_back(&other));
        assert!(rolled_back(&MemoryCaStore::default()));
        for broken in ["", "rows: 2", &std::fs::read_to_string(file.path()).unwrap().replace("rows: ", "rows: x")] {
            std::fs::write(file.path(), broken).unwrap();
            assert!(matches!(file.load(), Err(StoreError::Corrupt(why)) if why.contains("damaged")));
        }
    }
}
