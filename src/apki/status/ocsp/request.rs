//! OCSPRequest (RFC 6960 section 4.1), read and written.

use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use thiserror::Error;

use super::nonce::single;
use super::{CertId, Nonce, NonceFault};
use crate::apki::status::{ExtensionFault, extensions};
use crate::apki::tlv::{self, DerError, Element, Reader, encode};

const VERSION: u8 = 0xa0;
const REQUESTOR_NAME: u8 = 0xa1;
const EXTENSIONS: u8 = 0xa2;
const SIGNATURE: u8 = 0xa0;
const SINGLE_EXTENSIONS: u8 = 0xa0;

/// The alphabet of RFC 4648 section 4. A path is often built without the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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
    /// Extensions of one question.
    #[error("{0}")]
    Extensions(#[from] ExtensionFault),
    /// The nonce, or another extension of the request.
    #[error("{0}")]
    Nonce(#[from] NonceFault),
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
        if der.len() > MAX_REQUEST {
            return Err(OcspRequestError::TooLong(der.len()));
        }
        tlv::check(der)?;
        let mut request = Reader::new(der).enter(tlv::SEQUENCE)?;
        let mut tbs = request.enter(tlv::SEQUENCE)?;
        if let Some(signature) = request.optional(SIGNATURE)? {
            single(der, signature)?;
        }
        request.finish()?;
        if let Some(version) = tbs.optional(VERSION)? {
            return Err(version_fault(version.content.of(der)));
        }
        tbs.optional(REQUESTOR_NAME)?;
        let cert_ids = questions(der, tbs.expect(tlv::SEQUENCE)?)?;
        let nonce = Nonce::among(der, tbs.optional(EXTENSIONS)?)?;
        tbs.finish()?;
        Self::new(cert_ids, nonce)
    }

    /// Reads the last part of a GET's path, its percent-encoding undone (RFC 6960 appendix A.1); the padding
    /// may be left out.
    ///
    /// # Errors
    /// [`OcspRequestError`]
    pub fn from_base64_path(text: &str) -> Result<Self, OcspRequestError> {
        if text.len() > MAX_REQUEST.div_ceil(3) * 4 {
            return Err(OcspRequestError::TooLong(text.len() / 4 * 3));
        }
        Self::parse(&BASE64.decode(text).map_err(|_| OcspRequestError::Base64)?)
    }

    /// The request in DER, without a signature.
    pub fn to_der(&self) -> Vec<u8> {
        let requests: Vec<Vec<u8>> = self.cert_ids.iter().map(|id| encode(tlv::SEQUENCE, &[id.der()])).collect();
        let requests = encode(tlv::SEQUENCE, &[&requests.concat()]);
        let nonce = self.nonce.as_ref().map(|nonce| encode(EXTENSIONS, &[&nonce.extensions_der()]));
        encode(tlv::SEQUENCE, &[&encode(tlv::SEQUENCE, &[&requests, nonce.as_deref().unwrap_or_default()])])
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

/// `[0] EXPLICIT Version DEFAULT v1`: v1 is left out, and there is no other.
fn version_fault(version: &[u8]) -> OcspRequestError {
    match tlv::only(version, tlv::INTEGER) {
        Ok([0]) => DerError::ExplicitDefault.into(),
        Ok(_) => OcspRequestError::Version,
        Err(e) => e.into(),
    }
}

/// `requestList SEQUENCE OF SEQUENCE { reqCert CertID, [0] EXPLICIT Extensions OPTIONAL }`
fn questions(der: &[u8], list: Element) -> Result<Vec<CertId>, OcspRequestError> {
    let mut list = Reader::within(der, list.content);
    let mut cert_ids = Vec::with_capacity(1);
    while !list.is_empty() {
        let mut question = list.enter(tlv::SEQUENCE)?;
        if cert_ids.len() == MAX_CERT_IDS {
            let mut count = MAX_CERT_IDS + 1;
            while !list.is_empty() {
                list.any()?;
                count += 1;
            }
            return Err(OcspRequestError::Count(count));
        }
        cert_ids.push(CertId::from_der(question.expect(tlv::SEQUENCE)?.whole.of(der))?);
        if let Some(tagged) = question.optional(SINGLE_EXTENSIONS)? {
            extensions::layouts(der, single(der, tagged)?, &[])?;
        }
        question.finish()?;
    }
    Ok(cert_ids)
}

#[cfg(test)]
mod tests;
