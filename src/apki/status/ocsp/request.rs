//! OCSPRequest (RFC 6960 section 4.1), read and written.

use thiserror::Error;

use super::{CertId, Nonce, NonceLength};
use crate::apki::status::ExtensionFault;
use crate::apki::tlv::DerError;

/// Most octets of a request that are read.
pub const MAX_REQUEST: usize = 16 * 1024;
/// Most certificates that one request may ask about.
pub const MAX_CERT_IDS: usize = 16;

/// Why a request is refused; each of these is answered with `malformedRequest`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OcspRequestError {
    /// More octets than any request needs.
    #[error("the request has {0} octets, and at most 16384 are read")]
    TooLong(usize),
    /// Not base64, in the path of a GET.
    #[error("the path is not the base64 of an OCSP request (RFC 4648 section 4)")]
    Base64,
    /// Not strict DER, or another structure.
    #[error("the request is not an OCSPRequest in strict DER: {0}")]
    Der(#[from] DerError),
    /// A version that does not exist: there is v1, which is left out.
    #[error("the request is of a version that RFC 6960 does not have")]
    Version,
    /// It asks about nothing, or too much.
    #[error("the request asks about {0} certificates, and 1 to 16 are answered at once")]
    Count(usize),
    /// Extensions of the request, or of one question.
    #[error("{0}")]
    Extensions(#[from] ExtensionFault),
    /// The nonce.
    #[error("{0}")]
    Nonce(#[from] NonceLength),
}

/// A question about 1 to 16 certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspRequest {
    cert_ids: Vec<CertId>,
    nonce: Option<Nonce>,
}

impl OcspRequest {
    /// The question about these.
    ///
    /// # Errors
    /// [`OcspRequestError::Count`]
    pub fn new(cert_ids: Vec<CertId>, nonce: Option<Nonce>) -> Result<Self, OcspRequestError> {
        if !(1..=MAX_CERT_IDS).contains(&cert_ids.len()) {
            return Err(OcspRequestError::Count(cert_ids.len()));
        }
        Ok(Self { cert_ids, nonce })
    }

    /// Reads the DER that is the body of a POST. Who signed it, if anybody, makes no difference and is not
    /// looked at (RFC 6960 section 4.1.2).
    ///
    /// # Errors
    /// Any [`OcspRequestError`] but [`OcspRequestError::Base64`].
    pub fn parse(der: &[u8]) -> Result<Self, OcspRequestError> {
        let _ = der;
        unimplemented!()
    }

    /// Reads the last part of a GET's path, its percent-encoding undone (RFC 6960 appendix A.1); the padding
    /// may be left out.
    ///
    /// # Errors
    /// [`OcspRequestError`]
    pub fn from_base64_path(text: &str) -> Result<Self, OcspRequestError> {
        let _ = text;
        unimplemented!()
    }

    /// The request in DER, without a signature.
    pub fn to_der(&self) -> Vec<u8> {
        unimplemented!()
    }

    /// The certificates asked about, at least one.
    pub fn cert_ids(&self) -> &[CertId] {
        &self.cert_ids
    }

    /// The nonce.
    pub const fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }
}
