//! What a log has signed of its tree.

use atl::api::{B64, SthResponse};
use atl::log::checkpoint::{CheckpointError, open_checkpoint};
use atl::log::sth::{SignedTreeHead, SthError, TreeHead};
use atl::merkle::{Hash, TreeSize};
use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::watched::WatchedLog;

/// Why octets are not a head of the log that they should be of.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeadError {
    /// A tree head that is another log's, or whose signature does not verify.
    #[error(transparent)]
    Sth(#[from] SthError),
    /// A checkpoint that is malformed, another log's, or whose signature does not verify.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
}

/// A head as it travels and as it is kept: everything that its signature can be checked with again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawHead {
    /// The answer of `get-sth`.
    Sth(SthResponse),
    /// The text of `/checkpoint`.
    Checkpoint(String),
}

/// A head whose signature by its log has been verified; there is no other way to make one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    raw: RawHead,
    size: TreeSize,
    root: Hash,
    timestamp: Option<UnixMillis>,
}

impl SignedHead {
    /// Verifies that `log` signed this head.
    pub fn open(raw: RawHead, log: &WatchedLog) -> Result<Self, HeadError> {
        let (size, root, timestamp) = match &raw {
            RawHead::Sth(sth) => {
                let head = TreeHead { size: sth.tree_size, timestamp: sth.timestamp, root: sth.root_hash };
                let signed = SignedTreeHead { log_id: sth.log_id, head, signature: sth.signature.0.clone() };
                signed.verify(log.key.key())?;
                (head.size, head.root, Some(head.timestamp))
            }
            RawHead::Checkpoint(text) => {
                let checkpoint = open_checkpoint(text.as_bytes(), &log.key)?;
                (checkpoint.size, checkpoint.root, None)
            }
        };
        Ok(Self { raw, size, root, timestamp })
    }

    /// As it travels.
    pub const fn raw(&self) -> &RawHead {
        &self.raw
    }

    /// The number of leaves.
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// The root over them.
    pub const fn root(&self) -> Hash {
        self.root
    }

    /// When it was signed; a checkpoint does not say.
    pub const fn timestamp(&self) -> Option<UnixMillis> {
        self.timestamp
    }
}

impl From<SignedTreeHead> for RawHead {
    fn from(signed: SignedTreeHead) -> Self {
        let SignedTreeHead { log_id, head, signature } = signed;
        Self::Sth(SthResponse {
            log_id,
            tree_size: head.size,
            timestamp: head.timestamp,
            root_hash: head.root,
            signature: B64(signature),
        })
    }
}

#[cfg(test)]
mod tests {
    use atl::keys::{Ed25519Signer, Signer};
    use atl::log::checkpoint::{Origin, sign_checkpoint};

    use super::*;

    fn signer(seed: u8) -> Ed25519Signer {
        Ed25519Signer::from_seed(&[seed; 32]).unwrap()
    }

    fn log(seed: u8) -> WatchedLog {
        let origin: Origin = "log.example/1".parse().unwrap();
        let key = origin.verifier_key(signer(seed).public_key()).unwrap();
        WatchedLog::new(key, "http://127.0.0.1:1".into(), String::new()).unwrap()
    }

    #[test]
    fn only_what_the_log_signed_is_a_head() {
        let head = TreeHead { size: TreeSize::new(7), timestamp: UnixMillis::new(5), root: Hash::new([9; 32]) };
        let sth = RawHead::from(SignedTreeHead::sign(&signer(1), head).unwrap());
        let note = RawHead::Checkpoint(sign_checkpoint(&signer(1), &log(1).origin, &head).unwrap());
        for (raw, timestamp) in [(sth.clone(), Some(head.timestamp)), (note.clone(), None)] {
            let opened = SignedHead::open(raw.clone(), &log(1)).unwrap();
            assert_eq!((opened.size(), opened.root(), opened.timestamp()), (head.size, head.root, timestamp));
            assert_eq!(opened.raw(), &raw);
            assert!(SignedHead::open(raw, &log(2)).is_err());
        }
        let RawHead::Sth(mut changed) = sth else { panic!() };
        changed.tree_size = TreeSize::new(8);
        assert_eq!(SignedHead::open(RawHead::Sth(changed), &log(1)), Err(SthError::Signature.into()));
        let RawHead::Checkpoint(text) = note else { panic!() };
        assert!(SignedHead::open(RawHead::Checkpoint(text.replace("\n7\n", "\n8\n")), &log(1)).is_err());
    }
}
