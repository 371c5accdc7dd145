//! Signed tree heads (RFC 9162 section 4.10, protocol section 4).

use thiserror::Error;

use crate::keys::{LogId, PublicKey, SignError, Signer};
use crate::merkle::{Hash, TreeSize};
use crate::time::UnixMillis;
use crate::wire::Writer;

/// Octets of `TreeHeadDataV2` with a root of 32 octets and no extensions.
const TBS_LEN: usize = 51;

/// The state of a tree at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// The number of leaves.
    pub size: TreeSize,
    /// When the head was signed; later than the head before, not earlier than any SAT it covers.
    pub timestamp: UnixMillis,
    /// The root of the tree of that size.
    pub root: Hash,
}

impl TreeHead {
    /// What is signed: `TreeHeadDataV2` (RFC 9162 section 4.10), 51 octets.
    pub fn to_be_signed(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(TBS_LEN);
        writer.u64(self.timestamp.get()).u64(self.size.get());
        writer.u8(Hash::LEN as u8).octets(self.root.as_bytes());
        writer.u16(0); // no extensions
        writer.into_vec()
    }
}

/// Why a tree head is not its log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SthError {
    /// The head names another log than the one whose key is at hand.
    #[error("the tree head is of log {found}, not of log {expected}")]
    OtherLog {
        /// The log that the head names.
        found: LogId,
        /// The log of the key.
        expected: LogId,
    },
    /// The signature does not verify.
    #[error("the tree head's signature does not verify with the log's key")]
    Signature,
}

/// A tree head that a log has committed itself to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTreeHead {
    /// Which log.
    pub log_id: LogId,
    /// What it states.
    pub head: TreeHead,
    /// The log's signature over [`TreeHead::to_be_signed`].
    pub signature: Vec<u8>,
}

impl SignedTreeHead {
    /// Signs `head`. Whether it may be signed is for the caller to know.
    pub fn sign(signer: &dyn Signer, head: TreeHead) -> Result<Self, SignError> {
        let signature = signer.sign(&head.to_be_signed())?;
        Ok(Self { log_id: signer.public_key().log_id(), head, signature })
    }

    /// Checks that the log with `key` signed this head.
    pub fn verify(&self, key: &PublicKey) -> Result<(), SthError> {
        let expected = key.log_id();
        if self.log_id != expected {
            return Err(SthError::OtherLog { found: self.log_id, expected });
        }
        key.verify(&self.head.to_be_signed(), &self.signature).map_err(|_| SthError::Signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Ed25519Signer;

    #[test]
    fn every_field_is_signed() {
        let signer = Ed25519Signer::from_seed(&[1; 32]).unwrap();
        let head = TreeHead { size: TreeSize::new(5), timestamp: UnixMillis::new(7), root: Hash::new([9; 32]) };
        let good = SignedTreeHead::sign(&signer, head).unwrap();
        assert_eq!(good.verify(signer.public_key()), Ok(()));
        assert_eq!(head.to_be_signed().len(), TBS_LEN);

        for changed in [
            TreeHead { size: TreeSize::new(6), ..head },
            TreeHead { timestamp: UnixMillis::new(8), ..head },
            TreeHead { root: Hash::new([8; 32]), ..head },
        ] {
            let bad = SignedTreeHead { head: changed, ..good.clone() };
            assert_eq!(bad.verify(signer.public_key()), Err(SthError::Signature));
        }
        let other = Ed25519Signer::from_seed(&[2; 32]).unwrap();
        assert!(matches!(good.verify(other.public_key()), Err(SthError::OtherLog { .. })));
    }
}
