//! Whether an answer is to be believed (RFC 6960 section 3.2 and 4.2.2.2).

use thiserror::Error;

use super::{Answer, CertId, CertIdError, Nonce, OcspResponse};
use crate::apki::certificate::Certificate;
use crate::apki::moment::Moment;
use crate::keys::KeyError;
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
        let _ = (cert_id, issuer, now, nonce, &self.tbs);
        unimplemented!()
    }
}
