//! `manifest.json`: everything that is evidence, in one file that is written in one way only.

use atl::log::note::VerifierKey;
use atl::merkle::Hash;
use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::case::{Case, CaseError};
use super::check::Verdict;

/// The name of the format and its version. Another one is refused: it is for a later program.
pub const FORMAT: &str = "atl-evidence/v1";

/// The name of the file that everything else is derived from.
pub const MANIFEST: &str = "manifest.json";

/// Octets that a manifest may have.
pub(super) const MAX_MANIFEST_OCTETS: usize = 32 * 1024 * 1024;

/// Why octets are not a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// Longer than anybody needs.
    #[error("it has {0} octets, more than the {MAX_MANIFEST_OCTETS} that evidence has")]
    TooLong(usize),
    /// No JSON, a field too many or too few, or a value that is none.
    #[error("it is no manifest: {0}")]
    Json(String),
    /// Of another format, or of another version of it.
    #[error("its format is {0:?}, and this program knows {FORMAT:?} only; a newer atl-monitor may know it")]
    Format(String),
    /// It reads, but is not written as manifests are.
    #[error("it is not written as manifests are: something has been added, taken away or moved")]
    NotCanonical,
    /// The name is not a SHA-256 in hex.
    #[error("its id is not 64 lower-case hex digits")]
    Id,
    /// What is in it is too much, or a log has no key.
    #[error(transparent)]
    Case(#[from] CaseError),
}

/// What evidence consists of, by whom it was found, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// The name of the directory: [`Case::id`].
    pub id: String,
    /// What the observer found that it proves. Whoever checks it comes to it again.
    pub verdict: Verdict,
    /// What is evidence.
    pub case: Case,
    /// When it was found first.
    pub found_at: UnixMillis,
    /// The monitor that found it, as a C2SP verifier key. It signs that it found this, and vouches for what is not
    /// signed by a log.
    pub observer: String,
    /// SHA-256 of `README.txt`, in hex.
    pub readme: String,
}

impl Manifest {
    /// What was found at `now` by the monitor with this key. The hash of the text for people is not in it yet.
    pub(super) fn new(case: Case, verdict: Verdict, now: UnixMillis, observer: &VerifierKey) -> Self {
        Self {
            format: FORMAT.to_owned(),
            id: case.id(verdict),
            verdict,
            case,
            found_at: now,
            observer: observer.to_string(),
            readme: String::new(),
        }
    }

    /// Reads a manifest: this format, nothing unknown, nothing beyond its bounds, and written as it is written here.
    pub fn read(octets: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Probe {
            format: String,
        }
        if octets.len() > MAX_MANIFEST_OCTETS {
            return Err(ManifestError::TooLong(octets.len()));
        }
        let json = |e: serde_json::Error| ManifestError::Json(e.to_string());
        let probe: Probe = serde_json::from_slice(octets).map_err(json)?;
        if probe.format != FORMAT {
            return Err(ManifestError::Format(probe.format.chars().take(80).collect()));
        }
        let manifest: Self = serde_json::from_slice(octets).map_err(json)?;
        if !is_id(&manifest.id) {
            return Err(ManifestError::Id);
        }
        manifest.case.check_bounds()?;
        if manifest.to_octets()? == octets { Ok(manifest) } else { Err(ManifestError::NotCanonical) }
    }

    /// The octets of the file.
    pub(super) fn to_octets(&self) -> Result<Vec<u8>, ManifestError> {
        let mut octets = serde_json::to_vec_pretty(self).map_err(|e| ManifestError::Json(e.to_string()))?;
        octets.push(b'\n');
        if octets.len() > MAX_MANIFEST_OCTETS { Err(ManifestError::TooLong(octets.len())) } else { Ok(octets) }
    }

    /// Whether `README.txt` is the one that was written with it.
    pub(super) fn has_readme(&self, octets: &[u8]) -> bool {
        self.readme == Hash::of(octets).to_string()
    }
}

/// Whether a text is the name of a directory of evidence: 64 lower-case hex digits.
pub fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}
