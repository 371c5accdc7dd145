//! Whether an answer is to be believed (RFC 6960 section 3.2 and 4.2.2.2).

use thiserror::Error;

use super::cert_id::{key_octets, sha1};
use super::{Answer, CertId, CertIdError, IssuerIds, Nonce, OcspResponse, ResponderId};
use crate::apki::certificate::Certificate;
use crate::apki::moment::Moment;
use crate::apki::oid;
use crate::apki::status::CLOCK_SKEW;
use crate::apki::tlv::{self, DerError, Reader};
use crate::keys::{KeyError, PublicKey};
use crate::time::UnixMillis;

/// Why an answer is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OcspVerifyError {
    /// The issuer's certificate has a key that nobody here verifies with.
    #[error("the issuer's certificate: {0}")]
    IssuerKey(#[from] KeyError),
    /// The issuer cannot be called by its hashes.
    #[error("the issuer's certificate: {0}")]
    Issuer(#[from] CertIdError),
    /// The question is about another issuer's certificate.
    #[error("the question is not about a certificate of this issuer")]
    OtherIssuer,
    /// Nobody who may sign.
    #[error("the response is signed by nobody who may answer for the issuer: {0}")]
    Responder(#[from] ResponderFault),
    /// The answer is about other certificates.
    #[error("the response says nothing about the certificate that was asked about")]
    OtherCertificate,
    /// The nonce was not repeated.
    #[error("the response does not repeat the nonce of the request, so it may be an old one")]
    Nonce,
    /// Dated ahead.
    #[error("the response is of {this_update}, and it is {now}: one of the two clocks is wrong")]
    Early {
        /// Its moment.
        this_update: Moment,
        /// The present.
        now: UnixMillis,
    },
    /// Too old.
    #[error("the response held until {next_update}, and it is {now}: ask again")]
    Stale {
        /// Until when it held.
        next_update: Moment,
        /// The present.
        now: UnixMillis,
    },
    /// Without an end (RFC 5019 section 2.2.4 wants one).
    #[error("the response does not say until when it holds")]
    NoNextUpdate,
}

/// Why whoever signed an answer may not do so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ResponderFault {
    /// Neither the issuer nor the subject of a certificate in the response.
    #[error("the responder that it names is neither the issuer nor in the certificates that came with it")]
    NotFound,
    /// The responder's certificate is not the issuer's own work.
    #[error("the issuer did not issue the responder's certificate itself")]
    NotIssued,
    /// Not for this purpose.
    #[error("the responder's certificate is not for signing OCSP responses (extended key usage id-kp-OCSPSigning)")]
    Purpose,
    /// The key may not sign.
    #[error("the responder's certificate does not let its key sign (key usage digitalSignature)")]
    KeyUsage,
    /// Something critical that nobody here knows.
    #[error("the responder's certificate has a critical extension that nobody here knows")]
    UnknownCritical,
    /// Not now.
    #[error("the responder's certificate is not valid now")]
    Validity,
    /// A key that nobody here verifies with.
    #[error("the responder's key is of a kind that nobody here verifies with")]
    Key,
    /// The signature.
    #[error("the signature of the response does not verify with the responder's key")]
    Signature,
}

impl OcspResponse {
    /// What the response says of the certificate `cert_id` of `issuer`, once it is clear that the issuer
    /// stands behind it: the issuer itself signed, or a responder whose certificate the issuer itself issued
    /// for this purpose. Whether that certificate was revoked is not asked. Where the request had a
    /// `nonce`, it must be repeated.
    ///
    /// # Errors
    /// [`OcspVerifyError`]
    pub fn verify(
        &self,
        cert_id: &CertId,
        issuer: &Certificate,
        now: UnixMillis,
        nonce: Option<&Nonce>,
    ) -> Result<&Answer, OcspVerifyError> {
        if !IssuerIds::of(issuer)?.issued(cert_id) {
            return Err(OcspVerifyError::OtherIssuer);
        }
        let key = self.responder_key(issuer, now)?;
        let same_algorithm = self.algorithm == Some(key.algorithm());
        if !same_algorithm || key.verify(&self.tbs, &self.signature).is_err() {
            return Err(ResponderFault::Signature.into());
        }
        if nonce.is_some() && nonce != self.nonce() {
            return Err(OcspVerifyError::Nonce);
        }
        let answer = self.answers.iter().find(|answer| answer.cert_id.means_the_same_as(cert_id));
        let answer = answer.ok_or(OcspVerifyError::OtherCertificate)?;
        answer.check_current(now)?;
        Ok(answer)
    }

    /// The key of whoever signed, who may do so.
    fn responder_key(&self, issuer: &Certificate, now: UnixMillis) -> Result<PublicKey, OcspVerifyError> {
        let issuer_key = PublicKey::from_spki_der(issuer.spki_der())?;
        if self.is_by(issuer) {
            return Ok(issuer_key);
        }
        let mut fault = ResponderFault::NotFound;
        for responder in self.certificates.iter().filter(|certificate| self.is_by(certificate)) {
            match delegate(responder, issuer, &issuer_key, now) {
                Ok(key) => return Ok(key),
                Err(other) => fault = other,
            }
        }
        Err(fault.into())
    }

    fn is_by(&self, certificate: &Certificate) -> bool {
        match &self.responder {
            ResponderId::Name(name) => **name == *certificate.subject_der(),
            ResponderId::KeyHash(hash) => key_octets(certificate.spki_der()).is_ok_and(|key| sha1(key) == *hash),
        }
    }
}

impl Answer {
    /// Whether the answer holds at `now`, with [`CLOCK_SKEW`] either way.
    fn check_current(&self, now: UnixMillis) -> Result<(), OcspVerifyError> {
        let this_update = self.this_update;
        let next_update = self.next_update.ok_or(OcspVerifyError::NoNextUpdate)?;
        if this_update.millis() > now.saturating_add(CLOCK_SKEW) {
            return Err(OcspVerifyError::Early { this_update, now });
        }
        if now > next_update.millis().saturating_add(CLOCK_SKEW) {
            return Err(OcspVerifyError::Stale { next_update, now });
        }
        Ok(())
    }
}

/// The key of a responder to whom the issuer itself gave a certificate for this purpose.
fn delegate(
    responder: &Certificate,
    issuer: &Certificate,
    issuer_key: &PublicKey,
    now: UnixMillis,
) -> Result<PublicKey, ResponderFault> {
    let named = responder.issuer_der() == issuer.subject_der();
    let same_algorithm = responder.signature_algorithm() == Some(issuer_key.algorithm());
    if !named || !same_algorithm || issuer_key.verify(responder.tbs_der(), responder.signature()).is_err() {
        return Err(ResponderFault::NotIssued);
    }
    if now < responder.not_before() || responder.not_after() < now {
        return Err(ResponderFault::Validity);
    }
    if !purposes(responder).is_ok_and(|purposes| purposes.contains(&oid::OCSP_SIGNING.as_bytes())) {
        return Err(ResponderFault::Purpose);
    }
    // Without a keyUsage the key may be used for everything (RFC 5280 section 4.2.1.3).
    match responder.key_usage() {
        Ok(usage) if usage.is_none_or(|usage| usage.digital_signature()) => {}
        _ => return Err(ResponderFault::KeyUsage),
    }
    let known = [oid::KEY_USAGE, oid::EXTENDED_KEY_USAGE, oid::BASIC_CONSTRAINTS, oid::OCSP_NO_CHECK];
    if responder.extensions().any(|e| e.critical && !known.iter().any(|oid| e.is(oid))) {
        return Err(ResponderFault::UnknownCritical);
    }
    PublicKey::from_spki_der(responder.spki_der()).map_err(|_| ResponderFault::Key)
}

/// The content of the OIDs in extKeyUsage (RFC 5280 section 4.2.1.12); none where it is not there.
fn purposes(certificate: &Certificate) -> Result<Vec<&[u8]>, DerError> {
    let Some(extension) = certificate.extension(&oid::EXTENDED_KEY_USAGE) else { return Ok(Vec::new()) };
    tlv::check(extension.value)?;
    let mut list = Reader::new(extension.value).enter(tlv::SEQUENCE)?;
    let mut purposes = Vec::with_capacity(1);
    while !list.is_empty() {
        purposes.push(list.expect(tlv::OID)?.content.of(extension.value));
    }
    Ok(purposes)
}

#[cfg(test)]
mod tests;
