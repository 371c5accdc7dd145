//! The last signed head in a file of its own, beside the database and not in it.
//!
//! A database put back from yesterday's copy is whole and consistent in itself; only something
//! that was not put back with it can tell. So keep this file out of the database's backup.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::schema::{read_head, write_head};
use crate::log::sth::SignedTreeHead;
use crate::log::store::{HeadKeeper, StoreError};

const FIRST_LINE: &str = "atl signed tree head v1: the log does not start without it, keep it out of backups";

/// The head in one file, replaced atomically.
#[derive(Clone, Debug)]
pub struct HeadFile {
    path: PathBuf,
}

impl HeadFile {
    /// The head in the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where the head is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, what: &str, error: &dyn std::fmt::Display) -> StoreError {
        StoreError::Corrupt(format!("{}: {what}: {error}", self.path.display()))
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        // The rename is durable once the directory is.
        let parent = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(parent)?.sync_all()
    }
}

impl HeadKeeper for HeadFile {
    fn load(&self) -> Result<Option<SignedTreeHead>, StoreError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("cannot be read", &e)),
        };
        let body = text.strip_prefix(FIRST_LINE).ok_or_else(|| self.failed("is not a head file", &"first line"))?;
        let line = body.lines().find_map(|line| line.strip_prefix("head: "));
        let octets = hex::decode(line.unwrap_or_default()).map_err(|e| self.failed("is damaged", &e))?;
        read_head(&octets).map(Some).map_err(|e| self.failed("is damaged", &e))
    }

    fn keep(&self, sth: &SignedTreeHead) -> Result<(), StoreError> {
        let octets = write_head(sth).map_err(|e| self.failed("cannot be written", &e))?;
        let head = &sth.head;
        let text = format!(
            "{FIRST_LINE}\nsize: {}\nroot: {}\ntime: {}\nhead: {}\n",
            head.size,
            head.root,
            head.timestamp,
            hex::encode(octets)
        );
        self.write(&text).map_err(|e| self.failed("cannot be written", &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::LogId;
    use crate::log::sth::TreeHead;
    use crate::merkle::{Hash, TreeSize};
    use crate::time::UnixMillis;

    fn head(size: u64) -> SignedTreeHead {
        let head = TreeHead { size: TreeSize::new(size), root: Hash::of(b"r"), timestamp: UnixMillis::new(5) };
        SignedTreeHead { log_id: LogId::new([9; 32]), head, signature: vec![7; 64] }
    }

    #[test]
    fn keeps_the_newest_and_knows_absence_from_damage() {
        let dir = tempfile::tempdir().unwrap();
        let file = HeadFile::new(dir.path().join("head"));
        assert_eq!(file.load(), Ok(None));
        file.keep(&head(1)).unwrap();
        file.keep(&head(2)).unwrap();
        assert_eq!(file.load(), Ok(Some(head(2))));
        let text = fs::read_to_string(file.path()).unwrap();
        for broken in [text[..text.len() - 9].to_owned(), String::new(), text.replace("head: ", "head: zz")] {
            fs::write(file.path(), broken).unwrap();
            assert!(matches!(file.load(), Err(StoreError::Corrupt(_))));
        }
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_an_error() {
        let file = HeadFile::new("/proc/no-such-directory/head");
        assert!(matches!(file.keep(&head(1)), Err(StoreError::Corrupt(_))));
    }
}
