//! What is known beside the certificates: revocation, proofs of inclusion, audits of logs. Each fact was
//! verified when it came; whether it is recent enough is decided with the verdict.

use thiserror::Error;

use super::logs::{LogList, TrustedLog};
use super::standing::Revocations;
use crate::keys::LogId;
use crate::log::audit::{self, AuditError, open_audit};
use crate::log::checkpoint::{Checkpoint, CheckpointError, Origin};
use crate::log::cosignature::WitnessQuorum;
use crate::log::entry::CertHash;
use crate::log::note::{BadVerifierKey, NoteError, VerifierKey};
use crate::log::proof::{TlogProof, TlogProofError};
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
#[derive(Clone, Debug, PartialEq, Eq, Error)]
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
    /// What a proof file has in the place of a checkpoint.
    #[error("the proof's checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// A log that is not trusted, or whose origin is not configured.
    #[error("no log that is known here has the origin {0}")]
    UnknownOrigin(Origin),
    /// A log whose key signs no checkpoints (R21).
    #[error("the log's key: {0}")]
    Key(#[from] BadVerifierKey),
    /// The proof file.
    #[error(transparent)]
    File(#[from] TlogProofError),
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

    /// What a proof file says. A checkpoint has no time of its own: without `witnesses` the file proves that
    /// the certificate is in the log, and not that the log's tree is of today.
    ///
    /// # Errors
    /// [`InclusionError`], also where too few of the witnesses have seen the checkpoint.
    pub fn from_proof(
        proof: &TlogProof,
        cert_hash: CertHash,
        logs: &LogList,
        witnesses: Option<&WitnessQuorum>,
        now: UnixMillis,
    ) -> Result<Self, InclusionError> {
        let origin = Checkpoint::parse(proof.checkpoint().text())?.origin;
        let named = |log: &&TrustedLog| log.origin.as_ref() == Some(&origin);
        let log = logs.iter().find(named).ok_or_else(|| InclusionError::UnknownOrigin(origin.clone()))?;
        let key = origin.verifier_key(&log.key)?;
        let witnessed_at = match witnesses {
            None => {
                proof.verify(&cert_hash, &key)?;
                None
            }
            Some(witnesses) => {
                let (_, quorum) = proof.verify_witnessed(&cert_hash, &key, witnesses, now)?;
                Some(quorum.seen_at.to_millis())
            }
        };
        Ok(Self { cert_hash, log: log.key.log_id(), signed_at: None, witnessed_at })
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

impl Audited {
    /// What an audit statement says, where one of these monitors signed it.
    ///
    /// # Errors
    /// Where it is none, or somebody else's.
    pub fn from_statement(octets: &[u8], monitors: &[VerifierKey]) -> Result<Self, AuditError> {
        let mut refused = AuditError::Note(NoteError::Unsigned);
        for monitor in monitors {
            match open_audit(octets, monitor) {
                Ok(said) => {
                    let consistent = said.verdict == audit::Verdict::Consistent;
                    return Ok(Self { log: said.log_id, at: said.at, consistent });
                }
                Err(AuditError::Note(NoteError::Unsigned)) => {}
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}
