//! OCSPResponse (RFC 6960 section 4.2), read.

use thiserror::Error;

use super::{CertId, CertStatus, Nonce, NonceLength};
use crate::apki::certificate::{Certificate, CertificateError};
use crate::apki::moment::Moment;
use crate::apki::status::{ExtensionFault, UnknownReason};
use crate::apki::tlv::DerError;

/// Why octets are no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OcspResponseError {
    /// More octets than any answer has.
    #[error("the response has {0} octets, which is too long")]
    TooLong(usize),
    /// Not strict DER, or another structure.
    #[error("the response is not an OCSPResponse in strict DER: {0}")]
    Der(#[from] DerError),
    /// The responder says why it does not answer.
    #[error("the responder answers `{0}` instead of a status")]
    Unsuccessful(&'static str),
    /// Not the basic response of RFC 6960 section 4.2.1.
    #[error("the response is of another type than id-pkix-ocsp-basic")]
    Type,
    /// A version that does not exist.
    #[error("the response is of a version that RFC 6960 does not have")]
    Version,
    /// Extensions of the response, or of one answer.
    #[error("{0}")]
    Extensions(#[from] ExtensionFault),
    /// The nonce.
    #[error("{0}")]
    Nonce(#[from] NonceLength),
    /// A reason of a revocation that does not exist, or takes it back.
    #[error("{0}")]
    Reason(#[from] UnknownReason),
    /// A certificate that came with the response.
    #[error("a certificate in the response: {0}")]
    Certificate(#[from] CertificateError),
}

/// Who signed an answer, as the answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponderId {
    /// By the Name in its certificate, in DER.
    Name(Box<[u8]>),
    /// By the SHA-1 of its key.
    KeyHash([u8; 20]),
}

/// What was said of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which.
    pub cert_id: CertId,
    /// What.
    pub status: CertStatus,
    /// The moment that it is true for.
    pub this_update: Moment,
    /// Until when the answer may be kept, where that is said.
    pub next_update: Option<Moment>,
}

/// A successful answer, strictly parsed and not yet verified.
#[derive(Clone, Debug)]
pub struct OcspResponse {
    pub(super) tbs: Box<[u8]>,
    pub(super) responder: ResponderId,
    pub(super) produced_at: Moment,
    pub(super) answers: Vec<Answer>,
    pub(super) nonce: Option<Nonce>,
    pub(super) certificates: Vec<Certificate>,
}

impl OcspResponse {
    /// Reads a whole OCSPResponse.
    ///
    /// # Errors
    /// [`OcspResponseError`]; [`OcspResponseError::Unsuccessful`] where the responder did not answer.
    pub fn parse(der: &[u8]) -> Result<Self, OcspResponseError> {
        let _ = der;
        unimplemented!()
    }

    /// Who is said to have signed.
    pub const fn responder(&self) -> &ResponderId {
        &self.responder
    }

    /// When it is said to have been signed.
    pub const fn produced_at(&self) -> Moment {
        self.produced_at
    }

    /// The single answers. Believe none of them before [`verify`](Self::verify).
    pub fn answers(&self) -> &[Answer] {
        &self.answers
    }

    /// The nonce.
    pub const fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }

    /// The certificates that came with it.
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }
}
