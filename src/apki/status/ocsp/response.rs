//! OCSPResponse (RFC 6960 section 4.2), read.

use thiserror::Error;

use super::nonce::single;
use super::write::{
    BY_KEY, BY_NAME, CERTIFICATES, GOOD, NEXT_UPDATE, REASON, RESPONSE_BYTES, RESPONSE_EXTENSIONS, REVOKED, UNKNOWN,
};
use super::{CertId, CertStatus, Nonce, NonceFault};
use crate::apki::certificate::{Certificate, CertificateError, parse};
use crate::apki::moment::Moment;
use crate::apki::oid;
use crate::apki::status::{ExtensionFault, ReasonFault, RevocationReason, extensions};
use crate::apki::tlv::{self, DerError, Reader};
use crate::keys::SignatureAlgorithm;

/// Most octets of a response that are read.
const MAX_RESPONSE: usize = 256 * 1024;
/// Most certificates that a response may bring along.
const MAX_CERTIFICATES: usize = 8;
const VERSION: u8 = 0xa0;
const SINGLE_EXTENSIONS: u8 = 0xa1;

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
    /// Extensions of one answer.
    #[error("{0}")]
    Extensions(#[from] ExtensionFault),
    /// The nonce, or another extension of the response.
    #[error("{0}")]
    Nonce(#[from] NonceFault),
    /// A reason of a revocation that does not exist, or takes it back.
    #[error("{0}")]
    Reason(#[from] ReasonFault),
    /// More certificates than a responder needs.
    #[error("the response brings {0} certificates along, and at most 8 are read")]
    Certificates(usize),
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
    pub(super) algorithm: Option<SignatureAlgorithm>,
    pub(super) signature: Box<[u8]>,
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
        if der.len() > MAX_RESPONSE {
            return Err(OcspResponseError::TooLong(der.len()));
        }
        tlv::check(der)?;
        let mut response = Reader::new(der).enter(tlv::SEQUENCE)?;
        let status = response.expect(tlv::ENUMERATED)?.content.of(der);
        let tagged = response.optional(RESPONSE_BYTES)?;
        response.finish()?;
        if status != [0] {
            return Err(OcspResponseError::Unsuccessful(status_name(status)));
        }
        let octets = single(der, tagged.ok_or(DerError::Truncated)?)?;
        let mut fields = Reader::within(der, octets.content);
        let kind = fields.expect(tlv::OID)?.content.of(der);
        let basic = fields.expect(tlv::OCTET_STRING)?.content.of(der);
        fields.finish()?;
        if kind != oid::OCSP_BASIC.as_bytes() {
            return Err(OcspResponseError::Type);
        }
        read_basic(basic)
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

/// `OCSPResponseStatus`
const fn status_name(status: &[u8]) -> &'static str {
    match status {
        [1] => "malformedRequest",
        [2] => "internalError",
        [3] => "tryLater",
        [5] => "sigRequired",
        [6] => "unauthorized",
        _ => "an unknown status",
    }
}

/// `BasicOCSPResponse ::= SEQUENCE { tbsResponseData, signatureAlgorithm, signature, [0] EXPLICIT certs OPTIONAL }`
fn read_basic(der: &[u8]) -> Result<OcspResponse, OcspResponseError> {
    tlv::check(der)?;
    let mut basic = Reader::new(der).enter(tlv::SEQUENCE)?;
    let tbs = basic.expect(tlv::SEQUENCE)?;
    let algorithm = basic.expect(tlv::SEQUENCE)?;
    let signature = tlv::whole_octets(basic.expect(tlv::BIT_STRING)?.content.of(der))?;
    let certificates = basic.optional(CERTIFICATES)?.map(|tagged| single(der, tagged)).transpose()?;
    basic.finish()?;

    let mut data = Reader::within(der, tbs.content);
    if let Some(version) = data.optional(VERSION)? {
        let explicit = tlv::only(version.content.of(der), tlv::INTEGER)? == [0];
        return Err(if explicit { DerError::ExplicitDefault.into() } else { OcspResponseError::Version });
    }
    let responder = responder(der, &mut data)?;
    let produced_at = time(der, &mut data)?;
    let mut list = data.enter(tlv::SEQUENCE)?;
    let mut answers = Vec::with_capacity(1);
    while !list.is_empty() {
        answers.push(answer(der, list.enter(tlv::SEQUENCE)?)?);
    }
    let nonce = Nonce::among(der, data.optional(RESPONSE_EXTENSIONS)?)?;
    data.finish()?;
    Ok(OcspResponse {
        tbs: tbs.whole.of(der).into(),
        algorithm: parse::signature_algorithm(der, algorithm)?,
        signature: signature.into(),
        responder,
        produced_at,
        answers,
        nonce,
        certificates: certificates
            .map_or_else(|| Ok(Vec::new()), |list| read_certificates(der, Reader::within(der, list.content)))?,
    })
}

/// `ResponderID ::= CHOICE { byName [1] EXPLICIT Name, byKey [2] EXPLICIT KeyHash }`
fn responder(der: &[u8], data: &mut Reader<'_>) -> Result<ResponderId, DerError> {
    let tagged = data.any()?;
    let content = tagged.content.of(der);
    match tagged.tag {
        BY_NAME => {
            let mut reader = Reader::new(content);
            let name = parse::name(content, &mut reader)?.of(content).into();
            reader.finish()?;
            Ok(ResponderId::Name(name))
        }
        BY_KEY => {
            let hash = tlv::only(content, tlv::OCTET_STRING)?.try_into();
            Ok(ResponderId::KeyHash(hash.map_err(|_| DerError::Truncated)?))
        }
        found => Err(DerError::Tag { expected: BY_KEY, found }),
    }
}

fn time(der: &[u8], fields: &mut Reader<'_>) -> Result<Moment, DerError> {
    Moment::from_generalized_time(fields.expect(tlv::GENERALIZED_TIME)?.content.of(der))
}

/// `SingleResponse ::= SEQUENCE { certID, certStatus, thisUpdate, [0] nextUpdate OPTIONAL, [1] singleExtensions
/// OPTIONAL }`
fn answer(der: &[u8], mut fields: Reader<'_>) -> Result<Answer, OcspResponseError> {
    let cert_id = CertId::from_der(fields.expect(tlv::SEQUENCE)?.whole.of(der))?;
    let said = fields.any()?;
    let status = match said.tag {
        GOOD | UNKNOWN if !said.content.of(der).is_empty() => return Err(DerError::Null.into()),
        GOOD => CertStatus::Good,
        UNKNOWN => CertStatus::Unknown,
        REVOKED => revoked(der, Reader::within(der, said.content))?,
        found => return Err(DerError::Tag { expected: GOOD, found }.into()),
    };
    let this_update = time(der, &mut fields)?;
    let next_update = match fields.optional(NEXT_UPDATE)? {
        None => None,
        Some(tagged) => {
            let mut content = Reader::within(der, tagged.content);
            let at = time(der, &mut content)?;
            content.finish()?;
            Some(at)
        }
    };
    if let Some(tagged) = fields.optional(SINGLE_EXTENSIONS)? {
        extensions::layouts(der, single(der, tagged)?, &[])?;
    }
    fields.finish()?;
    Ok(Answer { cert_id, status, this_update, next_update })
}

/// `RevokedInfo ::= SEQUENCE { revocationTime, [0] EXPLICIT revocationReason OPTIONAL }`
fn revoked(der: &[u8], mut fields: Reader<'_>) -> Result<CertStatus, OcspResponseError> {
    let at = time(der, &mut fields)?;
    let reason = fields.optional(REASON)?.map(|tagged| RevocationReason::from_der(tagged.content.of(der)));
    fields.finish()?;
    Ok(CertStatus::Revoked { at, reason: reason.transpose()?.unwrap_or_default() })
}

fn read_certificates(der: &[u8], mut list: Reader<'_>) -> Result<Vec<Certificate>, OcspResponseError> {
    let mut found = Vec::with_capacity(1);
    while !list.is_empty() {
        found.push(list.expect(tlv::SEQUENCE)?.whole.of(der));
    }
    if found.len() > MAX_CERTIFICATES {
        return Err(OcspResponseError::Certificates(found.len()));
    }
    Ok(found.into_iter().map(Certificate::parse).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
