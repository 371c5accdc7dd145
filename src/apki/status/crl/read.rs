//! The reader.

use super::{CrlError, Scope};
use crate::apki::moment::Moment;
use crate::apki::status::RevocationReason;
use crate::keys::PublicKey;
use crate::time::UnixMillis;

/// A revocation list, strictly parsed. Its signature and its time are checked by calls of their own.
#[derive(Clone)]
pub struct Crl {
    der: Box<[u8]>,
}

/// One revoked certificate of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The content octets of the serial number.
    pub serial: &'a [u8],
    /// When it was revoked.
    pub at: Moment,
    /// Why.
    pub reason: RevocationReason,
    /// The Name of whoever issued the certificate, in DER: the issuer of the list unless it is indirect.
    pub certificate_issuer: &'a [u8],
}

impl Crl {
    /// Reads a list.
    ///
    /// # Errors
    /// Any [`CrlError`] but those about signature and time.
    pub fn parse(der: impl Into<Box<[u8]>>) -> Result<Self, CrlError> {
        let _ = der.into();
        unimplemented!()
    }

    /// The octets that were read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The issuer's Name, in DER.
    pub fn issuer_der(&self) -> &[u8] {
        unimplemented!()
    }

    /// The moment that the list is true for.
    pub fn this_update(&self) -> UnixMillis {
        unimplemented!()
    }

    /// The moment at which the next one will be there at the latest.
    pub fn next_update(&self) -> UnixMillis {
        unimplemented!()
    }

    /// cRLNumber, big-endian without leading zero octets; empty for 0.
    pub fn number_octets(&self) -> &[u8] {
        unimplemented!()
    }

    /// cRLNumber, where it is a number of 64 bits.
    pub fn number(&self) -> Option<u64> {
        unimplemented!()
    }

    /// The keyIdentifier of the authorityKeyIdentifier.
    pub fn authority_key_identifier(&self) -> &[u8] {
        unimplemented!()
    }

    /// The issuingDistributionPoint.
    pub fn scope(&self) -> Option<&Scope> {
        unimplemented!()
    }

    /// The entries, in their order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        std::iter::empty()
    }

    /// The entry of the certificate with this serial number (content octets) that the list's own issuer
    /// issued.
    pub fn find(&self, serial: &[u8]) -> Option<Entry<'_>> {
        self.find_issued_by(self.issuer_der(), serial)
    }

    /// The entry of the certificate with this serial number that the issuer of this Name, in DER, issued.
    pub fn find_issued_by(&self, issuer_der: &[u8], serial: &[u8]) -> Option<Entry<'_>> {
        let _ = (issuer_der, serial);
        unimplemented!()
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`CrlError::Algorithm`] and [`CrlError::Signature`].
    pub fn verify(&self, key: &PublicKey) -> Result<(), CrlError> {
        let _ = key;
        unimplemented!()
    }

    /// Checks that the list holds at `now`, with [`CLOCK_SKEW`](super::CLOCK_SKEW).
    ///
    /// # Errors
    /// [`CrlError::Early`] and [`CrlError::Stale`].
    pub fn check_current(&self, now: UnixMillis) -> Result<(), CrlError> {
        let _ = now;
        unimplemented!()
    }
}
