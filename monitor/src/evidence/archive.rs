//! Keeps evidence on disk: whole or not at all, once, and synced before anybody is told.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atl::keys::{SignError, Signer};
use atl::log::note::{BadVerifierKey, KeyName, VerifierKey};
use atl::merkle::Hash;
use atl::time::UnixMillis;
use parking_lot::Mutex;
use thiserror::Error;

use super::case::{Case, CaseError};
use super::check::{judge, whole};
use super::files::Files;
use super::manifest::{MANIFEST, Manifest, ManifestError};
use super::{Exhibit, observer, raw, readme};

/// What the names of directories begin with that are not finished.
const UNFINISHED: &str = ".unfinished-";

/// Why evidence cannot be kept or read.
#[derive(Debug, Error)]
pub enum EvidenceError {
    /// The disk is full, the directory cannot be written, and so on.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The exhibit has more in it than evidence may have, or accuses no log.
    #[error("the exhibit cannot be kept: {0}")]
    Case(#[from] CaseError),
    /// The exhibit as a whole is longer than evidence may be.
    #[error("the exhibit cannot be kept: {MANIFEST}: {0}")]
    Manifest(#[from] ManifestError),
    /// The monitor's key does not sign.
    #[error("the evidence cannot be signed: {0}")]
    Sign(#[from] SignError),
    /// The monitor's key is none that signs notes.
    #[error("evidence is signed with an Ed25519 key: {0}")]
    Key(#[from] BadVerifierKey),
    /// What stands in the place of the evidence is something else, or has been changed.
    #[error("{} is not the evidence that belongs there ({why}); look at it and move it away", path.display())]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A directory that is no evidence.
    #[error("{} is no evidence: {why}", path.display())]
    NotEvidence {
        /// The directory.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// No evidence of this name.
    #[error("there is no evidence {0:?}; its name is a SHA-256, 64 lower-case hex digits")]
    NoSuch(String),
}

impl EvidenceError {
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source }
    }
}

/// The directory of evidence, to which one process adds.
pub struct Archive {
    dir: PathBuf,
    signer: Arc<dyn Signer>,
    key: VerifierKey,
    /// Held while something is added.
    adding: Mutex<()>,
}

impl Archive {
    /// Opens the directory `dir`, and creates it where it is not there. What a crash has left unfinished is taken
    /// away; nothing had been told of it. The monitor signs as `name` with `signer`, an Ed25519 key.
    pub fn open(dir: impl Into<PathBuf>, signer: Arc<dyn Signer>, name: KeyName) -> Result<Self, EvidenceError> {
        let dir = dir.into();
        let key = VerifierKey::new(name, signer.public_key().clone())?;
        fs::create_dir_all(&dir).map_err(|e| EvidenceError::io("create", &dir, e))?;
        for entry in fs::read_dir(&dir).map_err(|e| EvidenceError::io("read", &dir, e))? {
            let entry = entry.map_err(|e| EvidenceError::io("read", &dir, e))?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)) {
                let path = entry.path();
                fs::remove_dir_all(&path).map_err(|e| EvidenceError::io("remove", &path, e))?;
            }
        }
        sync_dir(&dir)?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_dir(parent)?;
        }
        Ok(Self { dir, signer, key, adding: Mutex::new(()) })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Keeps an exhibit that was found at `now`, and returns the name of its directory. When it returns, what is kept
    /// survives a loss of power. What is there already is not written again, and never changed.
    ///
    /// An exhibit that does not prove what its class says is kept as well, and says so.
    ///
    /// # Errors
    /// Where it cannot be written, which leaves nothing behind: it may be tried again. See [`EvidenceError`].
    pub fn keep(&self, exhibit: &Exhibit, now: UnixMillis) -> Result<String, EvidenceError> {
        let case = Case::of(exhibit)?;
        let id = case.id(judge(&case).verdict());
        let place = self.dir.join(&id);
        let _adding = self.adding.lock();
        match fs::symlink_metadata(&place) {
            // Its own sync may have been cut short by a crash, so it is made up for.
            Ok(_) => self.already(&place, &id)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let unfinished = self.dir.join(format!("{UNFINISHED}{id}"));
                let files = self.compose(case, now)?;
                let written = write(&unfinished, &files).and_then(|()| {
                    fs::rename(&unfinished, &place).map_err(|e| EvidenceError::io("rename", &unfinished, e))
                });
                if written.is_err() {
                    // What cannot be written can often still be removed; if not, the next start does it.
                    let _ = fs::remove_dir_all(&unfinished);
                }
                written?;
            }
            Err(e) => return Err(EvidenceError::io("look at", &place, e)),
        }
        sync_dir(&self.dir)?;
        Ok(id)
    }

    fn already(&self, place: &Path, id: &str) -> Result<(), EvidenceError> {
        let damaged = |why| EvidenceError::Damaged { path: place.to_owned(), why };
        let files = Files::read(place)?;
        let manifest = whole(&files).map_err(damaged)?;
        if manifest.id != id {
            return Err(damaged(format!("its {MANIFEST} is that of {}", manifest.id)));
        }
        for name in files.names() {
            let path = place.join(name);
            let synced = File::open(&path).and_then(|file| file.sync_all());
            synced.map_err(|e| EvidenceError::io("sync", &path, e))?;
        }
        sync_dir(place)
    }

    /// All files of a case.
    fn compose(&self, case: Case, now: UnixMillis) -> Result<Files, EvidenceError> {
        let outcome = judge(&case);
        let mut files = raw::files(&case)?;
        let mut manifest = Manifest::new(case, outcome.verdict(), now, &self.key);
        let readme = readme::text(&manifest, &outcome);
        manifest.readme = Hash::of(readme.as_bytes()).to_string();
        let octets = manifest.to_octets()?;
        let note = observer::sign(&octets, now, &self.key, &*self.signer)?;
        files.insert(readme::NAME.to_owned(), readme.into_bytes());
        files.insert(observer::NAME.to_owned(), note.into_bytes());
        files.insert(MANIFEST.to_owned(), octets);
        Ok(Files::new(files))
    }
}

/// Writes files into a new directory, and syncs them and it.
fn write(dir: &Path, files: &Files) -> Result<(), EvidenceError> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(EvidenceError::io("remove", dir, e)),
        _ => {}
    }
    let created = DirBuilder::new().mode(0o755).create(dir);
    created.map_err(|e| EvidenceError::io("create", dir, e))?;
    for (name, octets) in files.iter() {
        let path = dir.join(name);
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(octets)?;
            file.sync_all()
        });
        written.map_err(|e| EvidenceError::io("write", &path, e))?;
    }
    sync_dir(dir)
}

fn sync_dir(dir: &Path) -> Result<(), EvidenceError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| EvidenceError::io("sync", dir, e))
}
