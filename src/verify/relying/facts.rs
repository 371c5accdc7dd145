//! What is known beside the certificates: revocation, proofs of inclusion, audits of logs. Each fact was
//! verified when it came; whether it is recent enough is decided with the verdict.

use thiserror::Error;

use super::logs::LogList;
use super::reason::Note;
use super::standing::Revocations;
use crate::keys::LogId;
use crate::log::audit::{AuditError, AuditStatement, Verdict, open_audit};
use crate::log::checkpoint::{Checkpoint, CheckpointError};
use crate::log::cosignature::{QuorumError, WitnessQuorum};
use crate::log::entry::CertHash;
use crate::log::note::{NoteError, VerifierKey};
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
    /// What happened on the way to these facts, such as a server that did not answer; told with the verdict.
    pub notes: Vec<Note>,
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
    /// A checkpoint that no log signed that is trusted.
    #[error("the checkpoint of {0:?} is not signed by a log that is known here")]
    UnknownOrigin(String),
    /// The head.
    #[error(transparent)]
    Head(#[from] SthError),
    /// The proof file.
    #[error(transparent)]
    File(#[from] TlogProofError),
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

    /// What a proof file says (C2SP tlog-proof). A checkpoint has no time of its own: only the cosignatures of as
    /// many of `witnesses` as are needed tell since when it is known. Where there are fewer, it is of no known time.
    ///
    /// # Errors
    /// [`InclusionError`]; also where a cosignature is bad.
    pub fn from_proof(
        proof: &TlogProof,
        cert_hash: CertHash,
        logs: &LogList,
        witnesses: Option<&WitnessQuorum>,
        now: UnixMillis,
    ) -> Result<Self, InclusionError> {
        // Nobody has said it yet: it is the name under which the signature is looked for.
        let said = Checkpoint::parse(proof.checkpoint().text()).map_err(TlogProofError::from)?.origin;
        for log in logs.iter().filter(|log| log.origin.as_ref().is_none_or(|origin| *origin == said)) {
            let Ok(key) = said.verifier_key(&log.key) else { continue };
            match proof.verify(&cert_hash, &key) {
                Err(TlogProofError::Checkpoint(CheckpointError::Note(NoteError::Unsigned))) => continue,
                verified => verified?,
            };
            let witnessed_at = match witnesses.map(|witnesses| witnesses.check(proof.checkpoint(), now)) {
                Some(Ok(quorum)) => Some(quorum.seen_at.to_millis()),
                None | Some(Err(QuorumError::TooFew { .. })) => None,
                Some(Err(error)) => return Err(TlogProofError::from(error).into()),
            };
            return Ok(Self { cert_hash, log: log.key.log_id(), signed_at: None, witnessed_at });
        }
        Err(InclusionError::UnknownOrigin(said.to_string()))
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

/// Why an audit statement says nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuditedError {
    /// Nobody whose audits count signed it.
    #[error("the audit statement is not signed by a monitor that is known here")]
    UnknownMonitor,
    /// The statement.
    #[error(transparent)]
    Statement(#[from] AuditError),
    /// It is about a log that is not trusted.
    #[error("the audit statement is about log {0}, which is not known here")]
    UnknownLog(LogId),
    /// It calls the log by another name than its own.
    #[error("the audit statement calls log {0} {1:?}, which is not its origin")]
    OtherOrigin(LogId, String),
}

impl Audited {
    /// What an audit statement says that one of `monitors` signed about one of `logs`.
    ///
    /// # Errors
    /// [`AuditedError`]
    pub fn from_statement(octets: &[u8], monitors: &[VerifierKey], logs: &LogList) -> Result<Self, AuditedError> {
        let signed = monitors.iter().map(|monitor| open_audit(octets, monitor));
        let mut known = signed.filter(|opened| *opened != Err(AuditError::Note(NoteError::Unsigned)));
        let statement: AuditStatement = known.next().ok_or(AuditedError::UnknownMonitor)??;
        let AuditStatement { log_id, origin, at, verdict, .. } = statement;
        let log = logs.get(&log_id).ok_or(AuditedError::UnknownLog(log_id))?;
        match log.origin.as_ref().is_none_or(|known| *known == origin) {
            true => Ok(Self { log: log_id, at, consistent: verdict == Verdict::Consistent }),
            false => Err(AuditedError::OtherOrigin(log_id, origin.to_string())),
        }
    }
}
