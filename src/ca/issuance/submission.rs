//! What is taken to logs: a precertificate before its certificate is there, and the final certificate of an
//! agent that hands rights on (protocol section 3).

use super::IssuanceError;
use crate::apki::certificate::Certificate;
use crate::apki::precertificate::Precertificate;
use crate::apki::trust_score::Score;
use crate::log::entry::{CertHash, EntryType};
use crate::time::UnixMillis;

/// A certificate on its way to the logs, with all that a timestamp for it is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    kind: EntryType,
    certificate: Certificate,
    cert_hash: CertHash,
    score: Score,
    signed_at: UnixMillis,
}

impl Submission {
    /// A precertificate that was signed at `signed_at` (type 2).
    ///
    /// # Errors
    /// [`IssuanceError`] where it has no well-formed poison or no readable trust score.
    pub fn precertificate(certificate: Certificate, signed_at: UnixMillis) -> Result<Self, IssuanceError> {
        Precertificate::of(&certificate)?.ok_or(IssuanceError::NotPoisoned)?;
        Self::new(EntryType::Precertificate, certificate, signed_at)
    }

    /// A final certificate that was signed at `signed_at` (type 1): its entry in a log is what a child's
    /// parentCertHash refers to.
    ///
    /// # Errors
    /// [`IssuanceError`] where it is a precertificate or has no readable trust score.
    pub fn final_certificate(certificate: Certificate, signed_at: UnixMillis) -> Result<Self, IssuanceError> {
        match Precertificate::of(&certificate)? {
            Some(_) => Err(IssuanceError::Poisoned),
            None => Self::new(EntryType::Certificate, certificate, signed_at),
        }
    }

    fn new(kind: EntryType, certificate: Certificate, signed_at: UnixMillis) -> Result<Self, IssuanceError> {
        let score = certificate.trust_score().map_err(IssuanceError::Score)?.ok_or(IssuanceError::NoScore)?.score;
        Ok(Self { kind, cert_hash: CertHash::of_certificate(certificate.der()), certificate, score, signed_at })
    }

    /// Which of the two it is.
    pub const fn kind(&self) -> EntryType {
        self.kind
    }

    /// What is submitted.
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// SHA-256 of it: what every SAT must be for.
    pub const fn cert_hash(&self) -> CertHash {
        self.cert_hash
    }

    /// The score that it states.
    pub const fn score(&self) -> Score {
        self.score
    }

    /// When it was signed.
    pub const fn signed_at(&self) -> UnixMillis {
        self.signed_at
    }
}
