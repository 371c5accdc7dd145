//! What is known beside the certificates: revocation, proofs of inclusion, audits of logs. Each fact was
//! verified when it came; whether it is recent enough is decided with the verdict.

use thiserror::Error;

use super::logs::LogList;
use super::standing::Revocations;
use crate::keys::LogId;
use crate::log::entry::CertHash;
use crate::log::sth::{SignedTreeHead, SthError};
use crate::merkle::{Hash, LeafIndex, ProofError, verify_inclusion};
use crate::time::UnixMillis;

/// All that is known.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Of revocation.
    pub revocations: Revocations,
    /// That certificates are in logs.
    pub inclusions: Vec<Inclusion>,
    /// Proofs that were brought and do not hold, in words.
    pub invalid_proofs: Vec<String>,
    /// That logs were audited.
    pub audits: Vec<Audited>,
}

/// A certificate is in a log's tree under a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// The entry: the precertificate's hash, or that of the certificate itself.
    pub cert_hash: CertHash,
    /// The log.
    pub log: LogId,
    /// When the log signed the head, where it says so.
    pub signed_at: Option<UnixMillis>,
    /// Since when as many witnesses as are wanted have seen the head, where they have.
    pub witnessed_at: Option<UnixMillis>,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InclusionError {
    /// A log that is not trusted.
    #[error("log {0} is not known here")]
    UnknownLog(LogId),
    /// The head.
    #[error(transparent)]
    Head(#[from] SthError),
    /// The proof.
    #[error("the proof does not lead to the root of the tree head: {0}")]
    Proof(#[from] ProofError),
}

impl Inclusion {
    /// What a log's API says: an inclusion proof up to a signed tree head (protocol section 5).
    ///
    /// # Errors
    /// [`InclusionError`]
    pub fn under_head(
        cert_hash: CertHash,
        index: LeafIndex,
        proof: &[Hash],
        head: &SignedTreeHead,
        logs: &LogList,
    ) -> Result<Self, InclusionError> {
        let log = logs.get(&head.log_id).ok_or(InclusionError::UnknownLog(head.log_id))?;
        head.verify(&log.key)?;
        verify_inclusion(&cert_hash.leaf_hash(), index, head.head.size, proof, &head.head.root)?;
        Ok(Self { cert_hash, log: head.log_id, signed_at: Some(head.head.timestamp), witnessed_at: None })
    }
}

/// Somebody whom the relying party trusts for it has audited a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audited {
    /// The log.
    pub log: LogId,
    /// When.
    pub at: UnixMillis,
    /// What came out: whether the log kept to its word.
    pub consistent: bool,
}
