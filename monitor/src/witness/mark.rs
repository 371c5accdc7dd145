//! What was cosigned last, outside of the database as well.
//!
//! A database that is put back from an older copy has forgotten what was cosigned since, and with it the witness could
//! cosign a second history of the log. So each cosignature is in a file of its own beside the database, synced before
//! the answer goes out, and of the two the larger tree counts. A log's checkpoint that carries our own cosignature is
//! a third memory: it reminds us where both are old.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use atl::log::checkpoint::checkpoint_of;
use atl::log::note::Note;
use atl::merkle::Hash;
use thiserror::Error;

use super::Cosigned;
use crate::watched::WatchedLog;

/// Why a file of what was cosigned is of no use. The witness does not cosign without it.
#[derive(Debug, Error)]
pub enum MarkError {
    /// The disk is full, the directory cannot be written, and so on.
    #[error("cannot {doing} {}, which says what was cosigned last: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// What stands there is not what a witness of this log has written.
    #[error(
        "{} does not say what was cosigned last of {log} ({why}); put back the newest copy of it that there is, or make \
         the witness another key and name",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The log's origin.
        log: String,
        /// What is wrong.
        why: String,
    },
    /// The file and the database have two roots of one size.
    #[error(
        "{} and the database say that two trees of {size} leaves of the log {log} were cosigned: files of two witnesses \
         are mixed here, or two processes cosign with one key. Stop cosigning with this key, and make the witness another \
         key and name",
        path.display()
    )]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// The log's origin.
        log: String,
        /// Leaves of both trees.
        size: atl::merkle::TreeSize,
    },
}

/// The directory of these files.
pub(super) struct Marks(PathBuf);

impl Marks {
    /// Opens the directory, and creates it where it is not there.
    pub(super) fn open(dir: &Path) -> Result<Self, MarkError> {
        fs::create_dir_all(dir).map_err(|source| io_error("create", dir, source))?;
        let marks = Self(dir.to_owned());
        for dir in [Some(dir), dir.parent().filter(|parent| !parent.as_os_str().is_empty())].into_iter().flatten() {
            sync_dir(dir)?;
        }
        Ok(marks)
    }

    fn path(&self, log: &WatchedLog) -> PathBuf {
        self.0.join(format!("{}.json", hex::encode(Hash::of(log.origin.as_str().as_bytes()).as_bytes())))
    }

    /// What was cosigned last of `log` as the file has it; `None` where there is none.
    pub(super) fn read(&self, log: &WatchedLog) -> Result<Option<Cosigned>, MarkError> {
        let path = self.path(log);
        let octets = match fs::read(&path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_error("read", &path, source)),
        };
        let damaged = |why: String| MarkError::Damaged { path: path.clone(), log: log.origin.to_string(), why };
        let cosigned: Cosigned = serde_json::from_slice(&octets).map_err(|e| damaged(e.to_string()))?;
        let note = Note::parse(cosigned.checkpoint.as_bytes()).map_err(|e| damaged(e.to_string()))?;
        let checkpoint = checkpoint_of(&note, &log.key).map_err(|e| damaged(e.to_string()))?;
        match (checkpoint.size, checkpoint.root) == (cosigned.size, cosigned.root) {
            true => Ok(Some(cosigned)),
            false => Err(damaged("its checkpoint is of another tree than it says".into())),
        }
    }

    /// Writes what is cosigned. It survives a loss of power when this returns.
    pub(super) fn write(&self, log: &WatchedLog, cosigned: &Cosigned) -> Result<(), MarkError> {
        let path = self.path(log);
        let unfinished = path.with_extension("unfinished");
        let failed = |source| io_error("write", &path, source);
        let octets = serde_json::to_vec(cosigned).map_err(|e| failed(e.into()))?;
        let mut file = File::create(&unfinished).map_err(failed)?;
        file.write_all(&octets).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&unfinished, &path).map_err(failed)?;
        sync_dir(&self.0)
    }

    /// Which of the two counts: the larger tree, whichever has it.
    ///
    /// # Errors
    /// Where both have one size and another root: neither can be believed.
    pub(super) fn larger(
        &self,
        log: &WatchedLog,
        database: Option<Cosigned>,
        file: Option<Cosigned>,
    ) -> Result<Option<Cosigned>, MarkError> {
        let (database, file) = match (database, file) {
            (Some(database), Some(file)) => (database, file),
            (one, other) => return Ok(one.or(other)),
        };
        if database.size == file.size && database.root != file.root {
            let log_name = log.origin.to_string();
            return Err(MarkError::Contradiction { path: self.path(log), log: log_name, size: file.size });
        }
        // Of one tree, that which was signed last: no cosignature is older than the one before.
        Ok(Some(if (file.size, file.at) > (database.size, database.at) { file } else { database }))
    }
}

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> MarkError {
    MarkError::Io { doing, path: path.to_owned(), source }
}

fn sync_dir(dir: &Path) -> Result<(), MarkError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| io_error("sync", dir, source))
}
