//! OCSPResponse (RFC 6960 section 4.2), written.

use super::{CertId, CertIdError, Nonce};
use crate::apki::moment::Moment;
use crate::apki::status::RevocationReason;
use crate::keys::{PublicKey, SignatureAlgorithm};

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
        unimplemented!()
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
    let _ = (tbs, algorithm, signature, responder_certificate);
    unimplemented!()
}

/// How a responder calls itself: SHA-1 over the octets of its key (RFC 6960 section 4.2.1, KeyHash).
///
/// # Errors
/// [`CertIdError::Key`]
pub fn responder_key_hash(key: &PublicKey) -> Result<[u8; 20], CertIdError> {
    let _ = key;
    unimplemented!()
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
