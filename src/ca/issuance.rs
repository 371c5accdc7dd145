//! The steps of issuance (draft 7.2 and 8.2, protocol sections 3 and 6), without the waiting between
//! them: sign a precertificate, judge the timestamps that logs give for it, sign the final
//! certificate. Nothing here knows how a log is reached.

mod sats;
mod submission;

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

pub use self::sats::{Gathered, KnownLog, SatFault, SatRefusal, SatRule, Shortfall, check_sat};
pub use self::submission::Submission;
use super::lint::{LintFailure, Linter};
use super::profile::{Profile, ProfileError};
use crate::apki::certificate::{Certificate, CertificateError};
use crate::apki::chain::{Issuer, IssuerError};
use crate::apki::precertificate::{PoisonError, Precertificate, RecoverError, certificate_der, recover};
use crate::apki::{ExtensionError, oid};
use crate::keys::{PublicKey, SignError, SignatureAlgorithm, Signer};
use crate::log::entry::CertHash;
use crate::log::sat::{BadSat, SatList, SignedAgentTimestamp};
use crate::time::UnixMillis;

/// Why a CA cannot issue with a certificate and a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IssuingCaError {
    /// The issuing certificate is not a CA's.
    #[error("the issuing certificate: {0}")]
    Issuer(#[from] IssuerError),
    /// The key is not the one in the issuing certificate.
    #[error("the issuing key is not the one that the issuing certificate is for")]
    OtherKey,
    /// A certificate of the chain did not issue the one before it.
    #[error("certificate {position} of the chain (0 is the issuing certificate) is not issued by the one behind it")]
    Chain {
        /// Of the certificate that is not issued by the next.
        position: usize,
    },
}

/// Why nothing was issued.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IssuanceError {
    /// The profile is not one of a certificate.
    #[error("{0}")]
    Profile(#[from] ProfileError),
    /// The linter looks at what another issuer signs.
    #[error("the linter is not one for this issuing certificate")]
    OtherLinter,
    /// The self-lint found a broken rule.
    #[error("{0}")]
    Lint(#[from] LintFailure),
    /// The issuing key did not sign.
    #[error("the issuing key: {0}")]
    Sign(#[from] SignError),
    /// The issuing key made a signature that is none.
    #[error("the issuing key signed, but its signature does not verify: check the key and what holds it")]
    OwnSignature,
    /// What was signed does not read back.
    #[error("what was signed does not read back: {0}")]
    Certificate(#[from] CertificateError),
    /// The precertificate has no poison, so it is none.
    #[error("what was to be logged is not a precertificate: it has no poison")]
    NotPoisoned,
    /// What is to be logged as a final certificate has the poison of a precertificate.
    #[error("what was to be logged as a final certificate is a precertificate")]
    Poisoned,
    /// The poison of the precertificate is not as it must be.
    #[error("what was to be logged is not a precertificate: {0}")]
    Poison(#[from] PoisonError),
    /// The precertificate says no score, or not in strict DER.
    #[error("the trust score of the precertificate cannot be read: {0}")]
    Score(ExtensionError),
    /// The precertificate has no trust score, which no rule for SATs can do without.
    #[error("the precertificate has no {}", oid::AGENT_TRUST_SCORE)]
    NoScore,
    /// Too few timestamps.
    #[error("{0}")]
    Shortfall(#[from] Shortfall),
    /// A timestamp that does not hold, although it did when it came.
    #[error("{0}")]
    Sat(#[from] SatRefusal),
    /// The list of timestamps is none.
    #[error("the list of timestamps: {0}")]
    List(#[from] BadSat),
    /// The final certificate does not give back its precertificate.
    #[error("the final certificate does not give back its precertificate: {0}")]
    Recover(#[from] RecoverError),
    /// It gives back others.
    #[error("the final certificate gives back another precertificate than was logged, or other timestamps")]
    OtherRecovered,
}

/// The certificate and key that issue to agents, and the certificates above.
#[derive(Clone)]
pub struct IssuingCa {
    issuer: Issuer,
    chain: Vec<Certificate>,
    signer: Arc<dyn Signer>,
}

impl IssuingCa {
    /// The CA with this `certificate` and its key; `chain` is what stands above, its issuer first and
    /// the root last.
    ///
    /// # Errors
    /// [`IssuingCaError`] where the three do not belong together.
    pub fn new(
        certificate: Certificate,
        chain: Vec<Certificate>,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, IssuingCaError> {
        let issuer = Issuer::new(certificate)?;
        if issuer.key() != signer.public_key() {
            return Err(IssuingCaError::OtherKey);
        }
        let mut child = issuer.certificate();
        for (position, parent) in chain.iter().enumerate() {
            let above = Issuer::new(parent.clone())?;
            let named = child.issuer_der() == parent.subject_der();
            if !named || above.key().verify(child.tbs_der(), child.signature()).is_err() {
                return Err(IssuingCaError::Chain { position });
            }
            child = parent;
        }
        Ok(Self { issuer, chain, signer })
    }

    /// The issuing certificate.
    pub const fn certificate(&self) -> &Certificate {
        self.issuer.certificate()
    }

    /// The certificates above it, its issuer first, the root last.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The key that verifies what it signs.
    pub const fn key(&self) -> &PublicKey {
        self.issuer.key()
    }

    /// The algorithm of the signatures.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.issuer.key().algorithm()
    }

    /// Signs a TBSCertificate, and looks whether it did.
    pub(super) fn sign(&self, tbs: &[u8]) -> Result<Vec<u8>, IssuanceError> {
        let signature = self.signer.sign(tbs)?;
        self.issuer.key().verify(tbs, &signature).map_err(|_| IssuanceError::OwnSignature)?;
        Ok(signature)
    }
}

impl fmt::Debug for IssuingCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuingCa").field("certificate", self.certificate()).finish_non_exhaustive()
    }
}

/// Signs the precertificate of a profile, once the linter has nothing against it (protocol section
/// 3, step 1).
///
/// # Errors
/// [`IssuanceError`]; the key has signed nothing unless it says so.
pub fn sign_precertificate(
    ca: &IssuingCa,
    linter: &Linter,
    profile: &Profile,
    now: UnixMillis,
) -> Result<Submission, IssuanceError> {
    check_linter(ca, linter)?;
    let algorithm = ca.issuer.key().algorithm();
    let tbs = profile.precertificate_tbs(ca.certificate(), algorithm)?;
    linter.precertificate(&tbs, profile, now)?;
    let der = certificate_der(&tbs, algorithm.algorithm_identifier_der(), &ca.sign(&tbs)?);
    Submission::precertificate(Certificate::parse(der)?, now)
}

/// Signs the final certificate (protocol section 3, step 3), once there are timestamps enough for
/// its score and the linter has nothing against it; then checks what was made as a relying party
/// would.
///
/// # Errors
/// [`IssuanceError`]. Too few timestamps, or one that does not hold: the key has signed nothing.
pub fn finish(
    ca: &IssuingCa,
    linter: &Linter,
    gathered: &Gathered,
    rule: &SatRule,
    now: UnixMillis,
) -> Result<Certificate, IssuanceError> {
    check_linter(ca, linter)?;
    let precertificate = gathered.submission();
    let sats: Vec<_> = gathered.sats().collect();
    gathered.check(rule)?;
    // Their signatures were checked when they came in, and are again behind ours; the clock moves.
    sats.iter().try_for_each(|(log, sat)| sats::check_moment(log, precertificate, sat, now))?;

    let list = SatList::new(sats.iter().map(|(_, sat)| (*sat).clone()).collect())?;
    let poisoned = Precertificate::of(precertificate.certificate())?.ok_or(IssuanceError::NotPoisoned)?;
    let tbs = poisoned.final_tbs(&list.to_der());
    linter.final_certificate(&tbs, precertificate.certificate(), now)?;
    let certificate = poisoned.assemble(&tbs, &ca.sign(&tbs)?)?;
    check_final(&certificate, precertificate, &sats)?;
    Ok(certificate)
}

/// The certificate gives back the precertificate, and the SATs in it, which are these, verify over
/// what it gives back.
fn check_final(
    certificate: &Certificate,
    precertificate: &Submission,
    sats: &[(&KnownLog, &SignedAgentTimestamp)],
) -> Result<(), IssuanceError> {
    let recovered = recover(certificate)?.ok_or(IssuanceError::OtherRecovered)?;
    let list = SatList::from_der(recovered.sat_list_der)?;
    let same_sats = list.sats().iter().eq(sats.iter().map(|(_, sat)| *sat));
    if !same_sats || recovered.precertificate_der != precertificate.certificate().der() {
        return Err(IssuanceError::OtherRecovered);
    }
    let hash = CertHash::of_certificate(&recovered.precertificate_der);
    for (sat, (log, _)) in list.sats().iter().zip(sats) {
        sat.verify(log.key(), hash).map_err(|error| log.refusal(error.into()))?;
    }
    Ok(())
}

fn check_linter(ca: &IssuingCa, linter: &Linter) -> Result<(), IssuanceError> {
    if linter.issuer() == ca.certificate() { Ok(()) } else { Err(IssuanceError::OtherLinter) }
}

#[cfg(test)]
mod tests;
