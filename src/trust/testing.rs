//! What the tests of this floor share.

use crate::keys::{Ed25519Signer, PublicKey, Signer as _};

/// The key that this number stands for.
pub(crate) fn signer(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[seed; 32]).unwrap()
}

/// Its public half.
pub(crate) fn key(seed: u8) -> PublicKey {
    signer(seed).public_key().clone()
}
