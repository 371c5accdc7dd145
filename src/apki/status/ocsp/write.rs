//! OCSPResponse (RFC 6960 section 4.2), written.

use super::cert_id::{key_octets, sha1};
use super::{CertId, CertIdError, Nonce};
use crate::apki::moment::Moment;
use crate::apki::oid;
use crate::apki::status::RevocationReason;
use crate::apki::tlv::{self, encode};
use crate::keys::{PublicKey, SignatureAlgorithm};

pub(super) const GOOD: u8 = 0x80;
pub(super) const REVOKED: u8 = 0xa1;
pub(super) const UNKNOWN: u8 = 0x82;
/// In a RevokedInfo.
pub(super) const REASON: u8 = 0xa0;
pub(super) const NEXT_UPDATE: u8 = 0xa0;
pub(super) const BY_NAME: u8 = 0xa1;
pub(super) const BY_KEY: u8 = 0xa2;
pub(super) const RESPONSE_EXTENSIONS: u8 = 0xa1;
pub(super) const CERTIFICATES: u8 = 0xa0;
pub(super) const RESPONSE_BYTES: u8 = 0xa0;
/// `ENUMERATED`: successful.
pub(super) const SUCCESSFUL: &[u8] = &[tlv::ENUMERATED, 0x01, 0x00];

/// What an answer says of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertStatus {
    /// It was issued and is not revoked.
    Good,
    /// It does not hold any more.
    Revoked {
        /// Since when.
        at: Moment,
        /// Why.
        reason: RevocationReason,
    },
    /// The responder does not know it.
    Unknown,
}

/// The answer about one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SingleResponse<'a> {
    /// Which, as it was asked about.
    pub cert_id: &'a CertId,
    /// What is said.
    pub status: CertStatus,
    /// The moment that it is true for.
    pub this_update: Moment,
    /// Until when the answer may be kept.
    pub next_update: Moment,
}

/// All of an answer before anybody signs it.
#[derive(Clone, Debug)]
pub struct ResponseTemplate<'a> {
    /// SHA-1 of the responder's key ([`responder_key_hash`]).
    pub responder_key_hash: [u8; 20],
    /// When it is signed.
    pub produced_at: Moment,
    /// The single answers, in the order of the questions.
    pub responses: &'a [SingleResponse<'a>],
    /// The request's nonce.
    pub nonce: Option<&'a Nonce>,
}

impl ResponseTemplate<'_> {
    /// The ResponseData: what is to be signed.
    pub fn tbs(&self) -> Vec<u8> {
        let responder = encode(BY_KEY, &[&encode(tlv::OCTET_STRING, &[&self.responder_key_hash])]);
        let responses: Vec<Vec<u8>> = self.responses.iter().map(|single| single.to_der()).collect();
        let responses = encode(tlv::SEQUENCE, &[&responses.concat()]);
        let nonce = self.nonce.map(|nonce| encode(RESPONSE_EXTENSIONS, &[&nonce.extensions_der()]));
        let produced_at = self.produced_at.to_generalized_der();
        encode(tlv::SEQUENCE, &[&responder, &produced_at, &responses, nonce.as_deref().unwrap_or_default()])
    }
}

impl SingleResponse<'_> {
    fn to_der(self) -> Vec<u8> {
        let next_update = encode(NEXT_UPDATE, &[&self.next_update.to_generalized_der()]);
        let this_update = self.this_update.to_generalized_der();
        encode(tlv::SEQUENCE, &[self.cert_id.der(), &self.status.to_der(), &this_update, &next_update])
    }
}

impl CertStatus {
    /// `CertStatus ::= CHOICE { good [0], revoked [1], unknown [2] }`, all of them IMPLICIT.
    fn to_der(self) -> Vec<u8> {
        match self {
            Self::Good => encode(GOOD, &[]),
            Self::Unknown => encode(UNKNOWN, &[]),
            Self::Revoked { at, reason: RevocationReason::Unspecified } => encode(REVOKED, &[&at.to_generalized_der()]),
            Self::Revoked { at, reason } => {
                encode(REVOKED, &[&at.to_generalized_der(), &encode(REASON, &[&reason.to_der()])])
            }
        }
    }
}

/// A successful OCSPResponse: the ResponseData `tbs` with its signature, and the DER of the responder's
/// certificate, where it is not the issuer itself that signs.
pub fn basic_response(
    tbs: &[u8],
    algorithm: SignatureAlgorithm,
    signature: &[u8],
    responder_certificate: Option<&[u8]>,
) -> Vec<u8> {
    let certificates = responder_certificate.map(|der| encode(CERTIFICATES, &[&encode(tlv::SEQUENCE, &[der])]));
    let signature = encode(tlv::BIT_STRING, &[&[0], signature]);
    let algorithm = algorithm.algorithm_identifier_der();
    let basic = encode(tlv::SEQUENCE, &[tbs, algorithm, &signature, certificates.as_deref().unwrap_or_default()]);
    let kind = encode(tlv::OID, &[oid::OCSP_BASIC.as_bytes()]);
    let octets = encode(tlv::SEQUENCE, &[&kind, &encode(tlv::OCTET_STRING, &[&basic])]);
    encode(tlv::SEQUENCE, &[SUCCESSFUL, &encode(RESPONSE_BYTES, &[&octets])])
}

/// How a responder calls itself: SHA-1 over the octets of its key (RFC 6960 section 4.2.1, KeyHash).
///
/// # Errors
/// [`CertIdError::Key`]
pub fn responder_key_hash(key: &PublicKey) -> Result<[u8; 20], CertIdError> {
    Ok(sha1(key_octets(key.spki_der())?))
}

/// An answer that says why there is none; nobody signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unsuccessful {
    /// The request cannot be read.
    MalformedRequest,
    /// The responder is not in order.
    InternalError,
    /// The responder cannot answer now.
    TryLater,
    /// The responder does not sign answers about this certificate.
    Unauthorized,
}

impl Unsuccessful {
    /// The OCSPResponse in DER.
    pub const fn to_der(self) -> [u8; 5] {
        let status = match self {
            Self::MalformedRequest => 1,
            Self::InternalError => 2,
            Self::TryLater => 3,
            Self::Unauthorized => 6,
        };
        [0x30, 0x03, 0x0a, 0x01, status]
    }
}
