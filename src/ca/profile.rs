//! The profile of an agent's certificate (draft 5.1, protocol section 6), written octet by octet.
//!
//! The issuer's name goes into the certificate as the octets that stand in the issuer's own: two
//! names are the same where their octets are, and a library that re-encodes them may change them.

mod helper;
mod service;
mod template;

use thiserror::Error;

pub use self::helper::{HelperProfile, HelperRole};
pub use self::service::{HostName, ServiceProfile};
pub use self::template::{Bearer, Statement, Template};
pub(super) use self::template::{
    CLIENT_AND_SERVER, DIGITAL_SIGNATURE, VERSION_3, authority_value, name_value, status_values,
};
use crate::apki::attestation::{Attestation, AttestationMethod};
use crate::apki::capabilities::Capabilities;
use crate::apki::certificate::Certificate;
use crate::apki::delegation::Delegation;
use crate::apki::extension::{AsciiText, Text};
use crate::apki::moment::Moment;
use crate::apki::provenance::Provenance;
use crate::apki::trust_score::TrustScore;
use crate::apki::{AgentUri, ExtensionError};
use crate::ca::serial::Serial;
use crate::keys::{KeyError, PublicKey, SignatureAlgorithm};

/// Shortest validity, in seconds (draft 5.1).
pub const MIN_VALIDITY_SECONDS: u64 = 5 * 60;
/// Longest validity, in seconds (draft 5.1, R10).
pub const MAX_VALIDITY_SECONDS: u64 = 24 * 60 * 60;
/// Longest SPIFFE ID, in octets (SPIFFE-ID section 2.3).
const MAX_SPIFFE: usize = 2048;

/// Why no certificate can be made of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// Too short, too long, or ending before it starts.
    #[error(
        "a certificate valid from {not_before} to {not_after} is not one of 5 minutes to 24 hours: ask for another \
         notAfter"
    )]
    Validity {
        /// The first moment.
        not_before: Moment,
        /// The last moment.
        not_after: Moment,
    },
    /// The issuer has nothing that the authorityKeyIdentifier could repeat.
    #[error("the issuer's certificate has no subjectKeyIdentifier: make a CA certificate that has one")]
    IssuerKeyIdentifier,
    /// Not what may stand beside the agent URI.
    #[error("`{0}` is not a SPIFFE ID: it starts with `spiffe://` and has at most 2048 visible ASCII characters")]
    Spiffe(String),
    /// Not where anybody could ask.
    #[error("`{0}` is not where to ask for a status: an HTTP URL of visible ASCII characters is needed")]
    StatusUrl(String),
    /// No name for a helper.
    #[error("`{0}` cannot be the helper's commonName: it has 1 to 64 characters, and is not the issuer's own name")]
    CommonName(String),
    /// The subject's key has no octets to make an identifier from.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// An extension that cannot be written.
    #[error("{0}")]
    Extension(#[from] ExtensionError),
}

/// What the CA found when it looked at an agent: agentBehaviouralAttestation without the hash of
/// the capabilities, which follows from the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationFacts {
    /// On what it rests.
    pub method: AttestationMethod,
    /// Who attests.
    pub attestor_identity: Option<Text>,
    /// When it was attested.
    pub time: Moment,
    /// Where the evidence is.
    pub evidence_uri: Option<AsciiText>,
}

impl AttestationFacts {
    /// The extension of a certificate whose agentCapabilities have this SHA-256 (protocol section 2).
    pub fn with_hash(&self, declared_capabilities_hash: [u8; 32]) -> Attestation {
        Attestation {
            declared_capabilities_hash,
            method: self.method,
            attestor_identity: self.attestor_identity.clone(),
            time: self.time,
            evidence_uri: self.evidence_uri.clone(),
        }
    }
}

/// Where a certificate says to ask whether it still holds; the two may not be had one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusUrls {
    /// The OCSP responder (authorityInfoAccess).
    pub ocsp: AsciiText,
    /// The revocation list that will name the certificate where it is revoked (cRLDistributionPoints).
    pub crl: AsciiText,
}

/// All that is one agent's certificate, before anybody signs it. What is not here is the same in
/// every certificate, or the issuer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The serial number, new in every certificate.
    pub serial: Serial,
    /// The first moment of validity.
    pub not_before: Moment,
    /// The last moment: 5 minutes to 24 hours later.
    pub not_after: Moment,
    /// The agent.
    pub name: AgentUri,
    /// Its SPIFFE ID, where the CA is configured to put one in (protocol section 6).
    pub spiffe: Option<String>,
    /// The agent's key.
    pub public_key: PublicKey,
    /// Where to ask whether it still holds, where the CA answers that.
    pub status: Option<StatusUrls>,
    /// agentTrustScore
    pub trust_score: TrustScore,
    /// agentCapabilities
    pub capabilities: Capabilities,
    /// agentDelegation
    pub delegation: Option<Delegation>,
    /// agentProvenance
    pub provenance: Option<Provenance>,
    /// agentBehaviouralAttestation
    pub attestation: Option<AttestationFacts>,
}

impl Profile {
    /// The TBSCertificate of the precertificate that `issuer` signs with `algorithm`.
    ///
    /// # Errors
    /// [`ProfileError`] where the validity is out of bounds, the issuer has no key identifier, or a
    /// value cannot be written.
    pub fn precertificate_tbs(
        &self,
        issuer: &Certificate,
        algorithm: SignatureAlgorithm,
    ) -> Result<Vec<u8>, ProfileError> {
        let identifier = issuer.subject_key_identifier().filter(|octets| !octets.is_empty());
        let identifier = identifier.ok_or(ProfileError::IssuerKeyIdentifier)?;
        let template = Template::new(issuer.subject_der(), identifier, algorithm, &self.statement())?;
        template.precertificate_tbs(&Bearer {
            serial: self.serial,
            name: &self.name,
            spiffe: self.spiffe.as_deref(),
            spki_der: self.public_key.spki_der(),
        })
    }

    /// Seconds from notBefore to notAfter.
    pub fn validity_seconds(&self) -> u64 {
        self.not_after.millis().since(self.not_before.millis()) / 1000
    }

    const fn statement(&self) -> Statement<'_> {
        Statement {
            not_before: self.not_before,
            not_after: self.not_after,
            status: self.status.as_ref(),
            trust_score: &self.trust_score,
            capabilities: &self.capabilities,
            delegation: self.delegation.as_ref(),
            provenance: self.provenance.as_ref(),
            attestation: self.attestation.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests;
