//! What there is below the directory of evidence.

use std::fs;
use std::io;
use std::path::Path;

use atl::time::UnixMillis;

use super::archive::EvidenceError;
use super::check::Verdict;
use super::files::read_at_most;
use super::manifest::{MANIFEST, MAX_MANIFEST_OCTETS, Manifest, is_id};
use crate::finding::Class;

/// One piece of evidence in a line. Nothing in it is checked: it is what the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Its name: that of the directory.
    pub id: String,
    /// What it shows.
    pub class: Class,
    /// The origin of the log accused.
    pub log: String,
    /// One sentence for people.
    pub summary: String,
    /// What the observer found that it proves.
    pub verdict: Verdict,
    /// When it was found first.
    pub found_at: UnixMillis,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// What can be read, the newest first.
    pub kept: Vec<Summary>,
    /// Directories that have the name of evidence and cannot be read, with the reason.
    pub broken: Vec<(String, String)>,
}

/// What there is below `dir`; nothing where there is no such directory. Manifests are read one after the other.
///
/// # Errors
/// [`EvidenceError::Io`] where the directory itself cannot be read.
pub fn list(dir: &Path) -> Result<Listing, EvidenceError> {
    let mut listing = Listing::default();
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(listing),
        entries => entries.map_err(|e| EvidenceError::io("read", dir, e))?,
    };
    for entry in entries {
        let name = entry.map_err(|e| EvidenceError::io("read", dir, e))?.file_name();
        let Some(id) = name.to_str().filter(|name| is_id(name)) else { continue };
        match summary(dir, id) {
            Ok(summary) => listing.kept.push(summary),
            Err(why) => listing.broken.push((id.to_owned(), why)),
        }
    }
    listing.kept.sort_by(|a, b| b.found_at.cmp(&a.found_at).then_with(|| a.id.cmp(&b.id)));
    listing.broken.sort();
    Ok(listing)
}

fn summary(dir: &Path, id: &str) -> Result<Summary, String> {
    let octets = read_at_most(&dir.join(id).join(MANIFEST), MAX_MANIFEST_OCTETS);
    let octets = octets.map_err(|e| format!("{MANIFEST}: {e}"))?;
    let octets = octets.ok_or_else(|| format!("{MANIFEST} has more than {MAX_MANIFEST_OCTETS} octets"))?;
    let Manifest { id: named, verdict, case, found_at, .. } =
        Manifest::read(&octets).map_err(|e| format!("{MANIFEST}: {e}"))?;
    if named != id {
        return Err(format!("{MANIFEST} is that of {named}"));
    }
    let log = case.logs.into_iter().next().map(|log| log.origin).unwrap_or_default();
    Ok(Summary { id: named, class: case.class, log, summary: case.summary, verdict, found_at })
}
