//! The newest complete revocation list, in a file beside the database and not in it.
//!
//! It holds the newest number of a list and every revocation that was published and whose certificate has not
//! ended. Where the database is put back from an older copy, this file still knows what was revoked since, so
//! that nothing comes to life again. So keep it out of the database's backup.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::ca::ports::{KeptList, StoreError};
use crate::storage::kept_file::KeptFile;

const FIRST_LINE: &str = "atl ca revocations v1: what is revoked stays revoked by it, keep it out of backups\nsha256: ";
/// Digits of a SHA-256.
const DIGITS: usize = 64;

/// The list in one file, replaced atomically: a line that says what it is, the SHA-256 of the list, and the
/// list's own octets.
#[derive(Clone, Debug)]
pub struct CrlFile {
    file: KeptFile,
}

impl CrlFile {
    /// The file that belongs to the database in this directory: beside it, with `.crl` behind the name.
    pub fn beside(data_dir: &Path) -> Self {
        Self::ending(data_dir, ".crl")
    }

    /// The file for what the root's signer of lists said last of intermediates: the same with `.root-crl`.
    pub fn of_root(data_dir: &Path) -> Self {
        Self::ending(data_dir, ".root-crl")
    }

    fn ending(data_dir: &Path, ending: &str) -> Self {
        let mut path = data_dir.to_owned().into_os_string();
        path.push(ending);
        Self { file: KeptFile::new(PathBuf::from(path)) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

impl KeptList for CrlFile {
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut body) = self.file.read_octets(FIRST_LINE)? else { return Ok(None) };
        let mut hash = [0; 32];
        let digits = body.get(..DIGITS).filter(|_| body.get(DIGITS) == Some(&b'\n'));
        let digits = digits.ok_or_else(|| self.file.damaged(&"it ends before the list begins"))?;
        hex::decode_to_slice(digits, &mut hash).map_err(|e| self.file.damaged(&e))?;
        let der = body.split_off(DIGITS + 1);
        if <[u8; 32]>::from(Sha256::digest(&der)) != hash {
            return Err(self.file.damaged(&"the list in it is not the one that was written"));
        }
        Ok(Some(der))
    }

    fn keep(&self, der: &[u8]) -> Result<(), StoreError> {
        let hash = hex::encode(Sha256::digest(der));
        self.file.write_parts(&[FIRST_LINE.as_bytes(), hash.as_bytes(), b"\n", der])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_loaded_and_damage_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = CrlFile::beside(&dir.path().join("data"));
        assert_eq!(file.path(), dir.path().join("data.crl"));
        assert_eq!(file.load(), Ok(None));
        for der in [&b"\x30\x03\x00\xff\n"[..], b"", &[0xff; 70_000]] {
            file.keep(der).unwrap();
            assert_eq!(file.load(), Ok(Some(der.to_vec())));
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");

        file.keep(b"0123456789").unwrap();
        let good = std::fs::read(file.path()).unwrap();
        // Cut off anywhere, or changed anywhere: never another list, and never none.
        for length in 0..good.len() {
            std::fs::write(file.path(), &good[..length]).unwrap();
            assert!(matches!(file.load(), Err(StoreError::Corrupt(why)) if why.contains("data.crl is damaged")));
        }
        for place in 0..good.len() {
            let mut bad = good.clone();
            bad[place] ^= 0x01;
            std::fs::write(file.path(), bad).unwrap();
            assert!(matches!(file.load(), Err(StoreError::Corrupt(_))), "{place}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_and_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = CrlFile::beside(&dir.path().join("data"));
        file.keep(b"first").unwrap();
        // What is to become the new file is in the way.
        std::fs::create_dir(dir.path().join("data.crl.new")).unwrap();
        assert!(matches!(file.keep(b"second"), Err(StoreError::Failed(why)) if why.contains("data.crl")));
        assert_eq!(file.load(), Ok(Some(b"first".to_vec())));
    }
}
