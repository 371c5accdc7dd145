//! The files of one piece of evidence, in memory and bounded.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::archive::EvidenceError;
use super::manifest::is_id;

/// Files that evidence may have: more than its format can make.
const MAX_FILES: usize = 512;
/// Octets that they may have together.
const MAX_OCTETS: usize = 96 * 1024 * 1024;
/// Octets that the name of one may have; what the format makes is far shorter.
const MAX_NAME_OCTETS: usize = 100;

/// The files of one piece of evidence, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// These files.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self(files.into_iter().collect())
    }

    /// Reads a directory: plain files only, and not more than evidence has.
    ///
    /// # Errors
    /// [`EvidenceError::Io`] where something cannot be read, [`EvidenceError::NotEvidence`] where it is something else.
    pub fn read(dir: &Path) -> Result<Self, EvidenceError> {
        let cannot = |source| EvidenceError::io("read", dir, source);
        let strange = |why: String| EvidenceError::NotEvidence { path: dir.to_owned(), why };
        let mut files = BTreeMap::new();
        let mut left = MAX_OCTETS;
        for entry in fs::read_dir(dir).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let name = entry.file_name();
            let name = name.to_str().filter(|name| name.len() <= MAX_NAME_OCTETS);
            let name = name.ok_or_else(|| strange(format!("it has a file {:?}", entry.file_name())))?;
            if !entry.file_type().map_err(cannot)?.is_file() {
                return Err(strange(format!("{name:?} in it is no plain file")));
            }
            if files.len() == MAX_FILES {
                return Err(strange(format!("it has more than {MAX_FILES} files")));
            }
            let path = entry.path();
            let octets = read_at_most(&path, left).map_err(|e| EvidenceError::io("read", &path, e))?;
            let octets = octets.ok_or_else(|| strange(format!("its files have more than {MAX_OCTETS} octets")))?;
            left -= octets.len();
            files.insert(name.to_owned(), octets);
        }
        Ok(Self(files))
    }

    /// The octets of the file with this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, octets)| (name.as_str(), octets.as_slice()))
    }
}

/// The files of the evidence with this name below `dir`. The name comes from whoever asks: anything but 64 lower-case
/// hex digits is no evidence.
///
/// # Errors
/// [`EvidenceError::NoSuch`] where there is none; what [`Files::read`] says otherwise.
pub fn files(dir: &Path, id: &str) -> Result<Files, EvidenceError> {
    if !is_id(id) {
        return Err(EvidenceError::NoSuch(id.chars().take(80).collect()));
    }
    match Files::read(&dir.join(id)) {
        Err(EvidenceError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Err(EvidenceError::NoSuch(id.to_owned()))
        }
        other => other,
    }
}

/// The octets of a file; `None` where they are more than `limit`.
pub(super) fn read_at_most(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut octets = Vec::new();
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut octets)?;
    Ok((octets.len() <= limit).then_some(octets))
}
