//! The writer.

use thiserror::Error;

use super::{DIRECTORY_NAME, EXTENSIONS, KEY_IDENTIFIER, Scope, VERSION_2};
use crate::apki::moment::Moment;
use crate::apki::oid;
use crate::apki::precertificate::{certificate_der, extension_der};
use crate::apki::status::RevocationReason;
use crate::apki::tlv::{self, encode};
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
    /// The TBSCertList (RFC 5280 section 5.1.2) with these entries, in their order.
    ///
    /// # Errors
    /// [`CrlTemplateError`]
    pub fn tbs<'e>(
        &self,
        entries: impl IntoIterator<Item = RevokedCertificate<'e>>,
    ) -> Result<Vec<u8>, CrlTemplateError> {
        let Self { this_update, next_update, .. } = *self;
        if next_update <= this_update {
            return Err(CrlTemplateError::Period { this_update, next_update });
        }
        check_name(self.issuer_der)?;
        let extensions = encode(EXTENSIONS, &[&encode(tlv::SEQUENCE, &[&self.extensions()?])]);
        let mut list = Vec::new();
        // Whose certificate an entry is, where it does not say so itself (RFC 5280 section 5.3.3).
        let mut before = self.issuer_der;
        for entry in entries {
            let issuer = entry.certificate_issuer.unwrap_or(self.issuer_der);
            self.write_entry(&mut list, &entry, issuer, issuer != before)?;
            before = issuer;
        }
        // Not there rather than empty (RFC 5280 section 5.1.2.6).
        let list = if list.is_empty() { list } else { encode(tlv::SEQUENCE, &[&list]) };
        Ok(encode(
            tlv::SEQUENCE,
            &[
                VERSION_2,
                self.algorithm.algorithm_identifier_der(),
                self.issuer_der,
                &this_update.to_validity_der(),
                &next_update.to_validity_der(),
                &list,
                &extensions,
            ],
        ))
    }

    fn write_entry<'e>(
        &'e self,
        list: &mut Vec<u8>,
        entry: &RevokedCertificate<'e>,
        issuer: &'e [u8],
        changed: bool,
    ) -> Result<(), CrlTemplateError> {
        let serial = || hex::encode(entry.serial);
        if !tlv::is_shortest_integer(entry.serial) {
            return Err(CrlTemplateError::Serial(serial()));
        }
        let foreign = issuer != self.issuer_der;
        if foreign && !self.scope.as_ref().is_some_and(|scope| scope.indirect) {
            return Err(CrlTemplateError::NotIndirect(serial()));
        }
        let mut extensions = Vec::new();
        if entry.reason != RevocationReason::Unspecified {
            extensions = extension_der(&oid::REASON_CODE, false, &entry.reason.to_der());
        }
        // Also where it could be left out: a reader that looks at one entry alone is not misled.
        if foreign || changed {
            check_name(issuer)?;
            let names = encode(tlv::SEQUENCE, &[&encode(DIRECTORY_NAME, &[issuer])]);
            extensions.extend_from_slice(&extension_der(&oid::CERTIFICATE_ISSUER, true, &names));
        }
        if !extensions.is_empty() {
            extensions = encode(tlv::SEQUENCE, &[&extensions]);
        }
        let serial = encode(tlv::INTEGER, &[entry.serial]);
        list.extend_from_slice(&encode(tlv::SEQUENCE, &[&serial, &entry.at.to_validity_der(), &extensions]));
        Ok(())
    }

    /// authorityKeyIdentifier, cRLNumber, issuingDistributionPoint.
    fn extensions(&self) -> Result<Vec<u8>, CrlTemplateError> {
        if self.authority_key_identifier.is_empty() {
            return Err(CrlTemplateError::KeyIdentifier);
        }
        let authority = encode(tlv::SEQUENCE, &[&encode(KEY_IDENTIFIER, &[self.authority_key_identifier])]);
        let mut out = extension_der(&oid::AUTHORITY_KEY_IDENTIFIER, false, &authority);
        out.extend_from_slice(&extension_der(&oid::CRL_NUMBER, false, &tlv::unsigned(self.number)));
        if let Some(scope) = &self.scope {
            let value = scope.to_der().ok_or_else(|| CrlTemplateError::Url(scope.url.as_str().to_owned()))?;
            out.extend_from_slice(&extension_der(&oid::ISSUING_DISTRIBUTION_POINT, true, &value));
        }
        Ok(out)
    }
}

/// A Name is a sequence; one without anything in it is nobody's (RFC 5280 section 5.1.2.3).
fn check_name(der: &[u8]) -> Result<(), CrlTemplateError> {
    let good = tlv::check(der).and_then(|()| tlv::only(der, tlv::SEQUENCE)).is_ok_and(|name| !name.is_empty());
    if good { Ok(()) } else { Err(CrlTemplateError::Name(hex::encode(der))) }
}

/// The CertificateList of a TBSCertList and the signature over it.
pub fn signed(tbs: &[u8], algorithm: SignatureAlgorithm, signature: &[u8]) -> Vec<u8> {
    certificate_der(tbs, algorithm.algorithm_identifier_der(), signature)
}
