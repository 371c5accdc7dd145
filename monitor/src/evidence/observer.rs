//! `observer.sig`: the monitor's signature over what it found and when, a C2SP signed note.
//!
//! The text begins with the name of the format and goes on with words, so that it is neither a checkpoint (whose
//! second line is a number) nor anything else that a monitor's key signs.

use atl::keys::{SignError, Signer};
use atl::log::note::{BadVerifierKey, Note, NoteError, VerifierKey};
use atl::merkle::Hash;
use atl::time::UnixMillis;
use thiserror::Error;

use super::manifest::{FORMAT, MANIFEST, Manifest};
use crate::signed::note;

/// The file's name.
pub(super) const NAME: &str = "observer.sig";

/// Why a note is not the observer's signature over a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum ObserverError {
    /// Not a note, or not signed by the observer.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The observer in the manifest is no key.
    #[error("the observer in {MANIFEST} is no verifier key: {0}")]
    Key(#[from] BadVerifierKey),
    /// It is over another manifest, or another time.
    #[error("it is not over this {MANIFEST} and its time, so one of the two has been changed")]
    Other,
    /// It has more than the one line of the observer, or is not written as notes are.
    #[error("it has something in it beside the observer's signature")]
    More,
}

fn text(manifest: &[u8], found_at: UnixMillis) -> String {
    format!("{FORMAT}\n{MANIFEST} sha256 {}\nfound {}\n", Hash::of(manifest), found_at.get())
}

/// Signs a manifest's octets and its time with the key that the signer has under this name.
pub(super) fn sign(
    manifest: &[u8],
    found_at: UnixMillis,
    key: &VerifierKey,
    signer: &dyn Signer,
) -> Result<String, SignError> {
    note(&text(manifest, found_at), key.name(), signer)
}

/// Checks that the observer named in the manifest signed these octets of it, and nothing else.
pub(super) fn check(note: &[u8], octets: &[u8], manifest: &Manifest) -> Result<(), ObserverError> {
    let key: VerifierKey = manifest.observer.parse()?;
    let parsed = Note::parse(note)?;
    if parsed.text() != text(octets, manifest.found_at) {
        return Err(ObserverError::Other);
    }
    parsed.verify(&key)?;
    let alone = parsed.signatures().len() == 1 && parsed.to_string().as_bytes() == note;
    if alone { Ok(()) } else { Err(ObserverError::More) }
}
