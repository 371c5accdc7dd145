//! X.509 certificates (RFC 5280 section 4.1) as octets with a map: what was signed and hashed is
//! never re-encoded, so it cannot change under our hands.

mod agent;
mod name_constraints;
pub(super) mod parse;
mod standard;
mod status;

use std::fmt;

use der::asn1::ObjectIdentifier;
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use self::name_constraints::{NameConstraintError, uri_name_constraint_der};
pub use self::standard::{AgentNameError, BasicConstraints, KeyUsage};
pub(crate) use self::status::is_url_text;
pub use self::status::{DistributionPoint, StatusUrlError, authority_info_access_der, crl_distribution_points_der};
use super::moment::Moment;
use super::oid;
use super::tlv::{DerError, Span};
use crate::keys::SignatureAlgorithm;
use crate::time::UnixMillis;

/// A certificate in a certificate bundle has a 24-bit length (protocol section 5).
const MAX_CERTIFICATE: usize = (1 << 24) - 1;

/// Why octets are not a certificate. For a submission all of these are `badSubmission`, for an
/// element of its chain `badCertificate` (R8).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// More octets than any place for a certificate holds.
    #[error("a certificate of {0} octets is too long")]
    TooLong(usize),
    /// Not strict DER, or another structure.
    #[error("the certificate is not strict DER: {0}")]
    Der(#[from] DerError),
    /// Version 1 or 2, or one that does not exist.
    #[error("the certificate is not version 3")]
    NotVersion3,
    /// The algorithm inside what is signed is not the one outside (RFC 5280 section 4.1.1.2).
    #[error("the signature algorithm inside the certificate differs from the one outside")]
    AlgorithmMismatch,
    /// An issuerUniqueID or subjectUniqueID (RFC 5280 section 4.1.2.8).
    #[error("the certificate has unique identifiers, which nobody may write any more")]
    UniqueIdentifier,
    /// One extension twice (RFC 5280 section 4.2).
    #[error("the extension {0} is there twice")]
    DuplicateExtension(String),
}

/// A version 3 certificate, strictly parsed.
///
/// Only the structure was checked: no signature, no time, and none of the extensions' values.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Box<[u8]>,
    layout: Layout,
}

/// Where the fields are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layout {
    tbs: Span,
    /// The fields of the TBSCertificate before its extensions.
    tbs_head: Span,
    serial: Span,
    issuer: Span,
    not_before: Moment,
    not_after: Moment,
    subject: Span,
    spki: Span,
    extensions: Box<[ExtensionLayout]>,
    /// The outer AlgorithmIdentifier; the inner one has the same octets.
    algorithm: Span,
    signature_algorithm: Option<SignatureAlgorithm>,
    signature: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExtensionLayout {
    whole: Span,
    oid: Span,
    critical: bool,
    value: Span,
}

impl ExtensionLayout {
    /// Where its value is.
    pub(super) const fn value(self) -> Span {
        self.value
    }

    /// The extension in the octets that its layout is of.
    pub(super) fn of(self, der: &[u8]) -> Extension<'_> {
        Extension { oid: self.oid.of(der), critical: self.critical, value: self.value.of(der), der: self.whole.of(der) }
    }
}

/// One extension of a certificate, or of another structure that has extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The content octets of the extnID, which may have arcs beyond what [`ObjectIdentifier`] holds.
    pub oid: &'a [u8],
    /// Whether a reader that does not know it must refuse.
    pub critical: bool,
    /// The content of the extnValue.
    pub value: &'a [u8],
    /// The whole Extension, as DER.
    pub der: &'a [u8],
}

impl Extension<'_> {
    /// Whether this is the extension `oid`.
    pub fn is(&self, oid: &ObjectIdentifier) -> bool {
        self.oid == oid.as_bytes()
    }
}

impl Certificate {
    /// Reads a certificate: strict DER, version 3, every extension at most once.
    pub fn parse(der: impl Into<Box<[u8]>>) -> Result<Self, CertificateError> {
        let der = der.into();
        if der.len() > MAX_CERTIFICATE {
            return Err(CertificateError::TooLong(der.len()));
        }
        let layout = parse::layout(&der)?;
        Ok(Self { der, layout })
    }

    /// The octets that were read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The octets that were read, given back.
    pub fn into_der(self) -> Box<[u8]> {
        self.der
    }

    /// SHA-256 of the octets: the certHash of protocol section 3, and a chain fingerprint.
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// The TBSCertificate: what is signed.
    pub fn tbs_der(&self) -> &[u8] {
        self.layout.tbs.of(&self.der)
    }

    /// The content octets of the serial number, big-endian two's complement.
    pub fn serial(&self) -> &[u8] {
        self.layout.serial.of(&self.der)
    }

    /// The issuer's Name. Two names are the same where their octets are.
    pub fn issuer_der(&self) -> &[u8] {
        self.layout.issuer.of(&self.der)
    }

    /// The subject's Name.
    pub fn subject_der(&self) -> &[u8] {
        self.layout.subject.of(&self.der)
    }

    /// Whether issuer and subject are one name (RFC 5280 section 3.2).
    pub fn is_self_issued(&self) -> bool {
        self.issuer_der() == self.subject_der()
    }

    /// The first moment of validity.
    pub fn not_before(&self) -> UnixMillis {
        self.layout.not_before.millis()
    }

    /// The last moment of validity.
    pub fn not_after(&self) -> UnixMillis {
        self.layout.not_after.millis()
    }

    /// The SubjectPublicKeyInfo, of whatever kind (R14).
    pub fn spki_der(&self) -> &[u8] {
        self.layout.spki.of(&self.der)
    }

    /// The signature algorithm, or `None` where it is not on the allow-list.
    pub const fn signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        self.layout.signature_algorithm
    }

    /// The octets of the signature.
    pub fn signature(&self) -> &[u8] {
        self.layout.signature.of(&self.der)
    }

    /// The extensions, in their order.
    pub fn extensions(&self) -> impl ExactSizeIterator<Item = Extension<'_>> + DoubleEndedIterator {
        self.layout.extensions.iter().map(|extension| extension.of(&self.der))
    }

    /// The extension `oid`, where it is there.
    pub fn extension(&self, oid: &ObjectIdentifier) -> Option<Extension<'_>> {
        self.extensions().find(|extension| extension.is(oid))
    }

    /// Whether at least one of the five agent extensions is there. They are found by OID and not
    /// decoded: the log records, it does not judge (R17).
    pub fn has_apki_extension(&self) -> bool {
        self.extensions().any(|extension| oid::AGENT_EXTENSIONS.iter().any(|oid| extension.is(oid)))
    }

    /// The fields of the TBSCertificate before its extensions, one behind the other.
    pub(super) fn tbs_head(&self) -> &[u8] {
        self.layout.tbs_head.of(&self.der)
    }

    /// The AlgorithmIdentifier of the signature.
    pub(super) fn algorithm_der(&self) -> &[u8] {
        self.layout.algorithm.of(&self.der)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("fingerprint", &hex::encode(self.fingerprint())).finish_non_exhaustive()
    }
}
