//! The writer.

use thiserror::Error;

use super::Scope;
use crate::apki::moment::Moment;
use crate::apki::status::RevocationReason;
use crate::keys::SignatureAlgorithm;

/// One entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedCertificate<'a> {
    /// The content octets of the certificate's serial number.
    pub serial: &'a [u8],
    /// When it was revoked.
    pub at: Moment,
    /// Why; unspecified is not written (RFC 5280 section 5.3.1).
    pub reason: RevocationReason,
    /// The Name, in DER, of whoever issued the certificate, where that is not the issuer of the list.
    pub certificate_issuer: Option<&'a [u8]>,
}

/// All of a list but its entries.
#[derive(Clone, Debug)]
pub struct CrlTemplate<'a> {
    /// The issuer's Name, in DER, as it stands as the subject in the issuer's certificate.
    pub issuer_der: &'a [u8],
    /// The algorithm of the signature to come.
    pub algorithm: SignatureAlgorithm,
    /// The moment that the list is true for.
    pub this_update: Moment,
    /// The moment at which the next one will be there at the latest.
    pub next_update: Moment,
    /// cRLNumber: greater than in every list before of this issuer and scope.
    pub number: u64,
    /// The subjectKeyIdentifier of the issuer's certificate.
    pub authority_key_identifier: &'a [u8],
    /// issuingDistributionPoint; `None` where the list is about all certificates of the issuer.
    pub scope: Option<Scope>,
}

/// Why no list can be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CrlTemplateError {
    /// thisUpdate and nextUpdate.
    #[error("a list of {this_update} needs a later moment for the next one than {next_update}")]
    Period {
        /// Its own moment.
        this_update: Moment,
        /// That of the next one.
        next_update: Moment,
    },
    /// A serial number that is not the content of a DER INTEGER.
    #[error("`{0}` (hex) is no serial number: the shortest form of an INTEGER is needed")]
    Serial(String),
    /// A name that is none.
    #[error("a Name, in DER, is needed of every issuer, and `{0}` (hex) is none")]
    Name(String),
    /// A certificate of another issuer in a list that is not indirect.
    #[error("the certificate with serial number {0} is of another issuer, and the list is not indirect")]
    NotIndirect(String),
    /// The key identifier is empty.
    #[error("the issuer's certificate has no subjectKeyIdentifier: make one that has")]
    KeyIdentifier,
    /// An empty or unprintable URL.
    #[error("`{0}` is no URL for the issuingDistributionPoint")]
    Url(String),
}

impl CrlTemplate<'_> {
    /// The TBSCertList (RFC 5280 section 5.1.2) with these entries.
    ///
    /// # Errors
    /// [`CrlTemplateError`]
    pub fn tbs<'e>(
        &self,
        entries: impl IntoIterator<Item = RevokedCertificate<'e>>,
    ) -> Result<Vec<u8>, CrlTemplateError> {
        let _ = entries;
        unimplemented!()
    }
}

/// The CertificateList of a TBSCertList and the signature over it.
pub fn signed(tbs: &[u8], algorithm: SignatureAlgorithm, signature: &[u8]) -> Vec<u8> {
    crate::apki::precertificate::certificate_der(tbs, algorithm.algorithm_identifier_der(), signature)
}
