//! How far a CA's journal has come, beside its database ([`crate::storage::journal_file`]).

use std::path::Path;

use crate::ca::ports::{CaStore, StoreError};
pub use crate::storage::journal_file::JournalFile;

const FIRST_LINE: &str = "atl ca journal v1: the CA does not start without it, keep it out of backups";

impl JournalFile {
    /// The file that belongs to a CA's database in this directory.
    pub fn beside(data_dir: &Path) -> Self {
        Self::with_first_line(data_dir, FIRST_LINE)
    }

    /// That the journal in `store` goes on from the head kept last.
    ///
    /// # Errors
    /// Where it does not, or cannot be read.
    pub fn check(&self, store: &dyn CaStore) -> Result<(), StoreError> {
        self.check_against(store.head()?, |row| Ok(store.journal(row, 1)?.pop()))
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
