//! A directory of files that name certificates; a file is read again when it has changed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use atl::log::entry::CertHash;
use atl::time::UnixMillis;

use super::{FeedError, MOST_HASHES, hashes};
use crate::rules::authorised::Hashes;

/// Longest file that is read: a million lines.
const MOST_OCTETS: u64 = 80 << 20;

/// A file that was changed so few milliseconds before it was read may be changed again without its time telling.
const SETTLES: u64 = 2000;

/// The directory, and what its files held.
pub(super) struct Directory {
    path: PathBuf,
    files: BTreeMap<OsString, File>,
    /// What was read last was not taken over.
    is_behind: bool,
}

struct File {
    /// Length and time of change when it was read; `None` where that may not tell the next change.
    stamp: Option<Stamp>,
    hashes: Vec<CertHash>,
}

/// The length of a file, and when it was changed, in nanoseconds since 1970.
type Stamp = (u64, u128);

impl Directory {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, files: BTreeMap::new(), is_behind: true }
    }

    /// Puts what all files together hold into `all`. Names that begin with a dot, and directories, are passed over.
    ///
    /// # Errors
    /// Where the directory or a file cannot be read, or a file holds something else: `all` is as it was then.
    pub(super) fn read(&mut self, all: &mut Hashes, now: UnixMillis) -> Result<(), FeedError> {
        let mut found = BTreeMap::new();
        let mut changed = std::mem::replace(&mut self.is_behind, true);
        for entry in fs::read_dir(&self.path).map_err(|e| unreadable(&self.path, &e))? {
            let entry = entry.map_err(|e| unreadable(&self.path, &e))?;
            let (name, path) = (entry.file_name(), entry.path());
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let about = match fs::metadata(&path) {
                Ok(about) => about,
                // It was taken away meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(&path, &error)),
            };
            if !about.is_file() {
                continue;
            }
            let stamp = stamp(&about);
            let known = self.files.remove(&name).filter(|file| file.stamp.is_some() && file.stamp == stamp);
            let file = match known {
                Some(file) => file,
                None => {
                    changed = true;
                    File { stamp: settled(stamp, now), hashes: read_file(&path, about.len())? }
                }
            };
            found.insert(name, file);
        }
        changed |= !self.files.is_empty();
        self.files = found;
        if changed {
            let held = || self.files.values().flat_map(|file| file.hashes.iter().copied());
            if held().nth(MOST_HASHES).is_some() {
                return Err(FeedError::TooMany { path: self.path.display().to_string(), most: MOST_HASHES });
            }
            *all = held().collect();
        }
        self.is_behind = false;
        Ok(())
    }
}

fn stamp(about: &Metadata) -> Option<Stamp> {
    let changed = about.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some((about.len(), changed.as_nanos()))
}

/// The stamp, where the file had settled at `now`.
fn settled(stamp: Option<Stamp>, now: UnixMillis) -> Option<Stamp> {
    stamp.filter(|(_, changed)| changed / 1_000_000 + u128::from(SETTLES) < u128::from(now.get()))
}

fn read_file(path: &Path, len: u64) -> Result<Vec<CertHash>, FeedError> {
    let mut octets = Vec::with_capacity(usize::try_from(len.min(MOST_OCTETS)).unwrap_or(0));
    let file = fs::File::open(path).map_err(|e| unreadable(path, &e))?;
    file.take(MOST_OCTETS + 1).read_to_end(&mut octets).map_err(|e| unreadable(path, &e))?;
    if octets.len() as u64 > MOST_OCTETS {
        return Err(FeedError::TooMany { path: path.display().to_string(), most: 1_000_000 });
    }
    hashes(&octets).map_err(|source| FeedError::File { path: path.display().to_string(), source })
}

fn unreadable(path: &Path, error: &std::io::Error) -> FeedError {
    FeedError::Unreadable { path: path.display().to_string(), reason: error.to_string() }
}
