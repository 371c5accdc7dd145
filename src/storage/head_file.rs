//! The last signed head, and how far the log had come, in a file of its own, beside the database
//! and not in it.
//!
//! A database put back from yesterday's copy is whole and consistent in itself; only something
//! that was not put back with it can tell. So keep this file out of the database's backup.

use std::path::{Path, PathBuf};

use super::kept_file::{KeptFile, value};
use super::schema::{read_head, write_head};
use crate::log::store::{HeadKeeper, Kept, StoreError};
use crate::merkle::TreeSize;

const FIRST_LINE: &str = "atl signed tree head v1: the log does not start without it, keep it out of backups";

/// The head in one file, replaced atomically.
#[derive(Clone, Debug)]
pub struct HeadFile {
    file: KeptFile,
}

impl HeadFile {
    /// The head in the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { file: KeptFile::new(path) }
    }

    /// Where the head is kept.
    pub fn path(&self) -> &Path {
        self.file.path()
    }
}

impl HeadKeeper for HeadFile {
    fn load(&self) -> Result<Option<Kept>, StoreError> {
        let file = &self.file;
        let Some(body) = file.read(FIRST_LINE)? else { return Ok(None) };
        let octets = hex::decode(value(&body, "head")).map_err(|e| file.damaged(&e))?;
        let head = read_head(&octets).map_err(|e| file.damaged(&e))?;
        let size = TreeSize::new(value(&body, "entries").parse().map_err(|_| file.damaged(&"no number of entries"))?);
        Ok(Some(Kept { head, size }))
    }

    fn keep(&self, kept: &Kept) -> Result<(), StoreError> {
        let octets = write_head(&kept.head).map_err(|e| self.file.failed("written", &e))?;
        let head = &kept.head.head;
        let text = format!(
            "{FIRST_LINE}\nentries: {}\ncovered: {}\nroot: {}\ntime: {}\nhead: {}\n",
            kept.size,
            head.size,
            head.root,
            head.timestamp,
            hex::encode(octets)
        );
        self.file.write(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::keys::LogId;
    use crate::log::sth::{SignedTreeHead, TreeHead};
    use crate::merkle::Hash;
    use crate::time::UnixMillis;

    fn kept(size: u64) -> Kept {
        let head = TreeHead { size: TreeSize::new(size), root: Hash::of(b"r"), timestamp: UnixMillis::new(5) };
        let head = SignedTreeHead { log_id: LogId::new([9; 32]), head, signature: vec![7; 64] };
        Kept { head, size: TreeSize::new(size + 3) }
    }

    #[test]
    fn keeps_the_newest_and_knows_absence_from_damage() {
        let dir = tempfile::tempdir().unwrap();
        let file = HeadFile::new(dir.path().join("head"));
        assert_eq!(file.load(), Ok(None));
        file.keep(&kept(1)).unwrap();
        file.keep(&kept(2)).unwrap();
        assert_eq!(file.load(), Ok(Some(kept(2))));
        let text = fs::read_to_string(file.path()).unwrap();
        for broken in [
            text[..text.len() - 9].to_owned(),
            String::new(),
            text.replace("head: ", "head: zz"),
            text.replace("entries: ", "entries: x"),
        ] {
            fs::write(file.path(), broken).unwrap();
            assert!(matches!(file.load(), Err(StoreError::Corrupt(_))));
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error() {
        let file = HeadFile::new("/proc/no-such-directory/head");
        assert!(matches!(file.keep(&kept(1)), Err(StoreError::Failed(_))));
    }
}
