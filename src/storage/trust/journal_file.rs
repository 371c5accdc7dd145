//! How far a trust engine's ledger has come, beside its database ([`crate::storage::journal_file`]).

use std::path::Path;

pub use crate::storage::journal_file::JournalFile;
use crate::trust::ports::{StoreError, TrustStore};

const FIRST_LINE: &str = "atl trust ledger v1: the trust engine does not start without it, keep it out of backups";

impl JournalFile {
    /// The file that belongs to a trust engine's database in this directory.
    pub fn beside_ledger(data_dir: &Path) -> Self {
        Self::with_first_line(data_dir, FIRST_LINE)
    }

    /// That the ledger in `store` goes on from the head kept last.
    ///
    /// # Errors
    /// Where it does not, or cannot be read.
    pub fn check_ledger(&self, store: &dyn TrustStore) -> Result<(), StoreError> {
        self.check_against(store.head()?, |row| Ok(store.rows(row, 1)?.pop()))
    }
}
