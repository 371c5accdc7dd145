//! Texts of the monitor's own formats, signed as C2SP notes. That no such text can be taken for another that the same
//! key signs is for each format to see to, and each says how.

use atl::keys::{SignError, Signer};
use atl::log::note::{KeyName, NoteSignature, VerifierKey};

/// The note of this text with the one line of `signer` under `name`. Fails where that is not an Ed25519 key.
pub fn note(text: &str, name: &KeyName, signer: &dyn Signer) -> Result<String, SignError> {
    let key = VerifierKey::new(name.clone(), signer.public_key().clone()).map_err(|e| SignError(e.to_string()))?;
    let signature = signer.sign(text.as_bytes())?;
    let line = NoteSignature { name: key.name().clone(), key_id: key.id(), signature };
    Ok(format!("{text}\n{line}\n"))
}
