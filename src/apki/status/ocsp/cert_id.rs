//! CertID: which certificate is meant (RFC 6960 section 4.1.1).

use std::fmt;

use thiserror::Error;

use crate::apki::certificate::Certificate;
use crate::apki::tlv::{DerError, Span};

/// The hash by which a CertID calls an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CertIdHash {
    /// SHA-1, which most clients take.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// Why there is no CertID.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertIdError {
    /// Not the content of a DER INTEGER.
    #[error("`{0}` (hex) is no serial number: the shortest form of an INTEGER is needed")]
    Serial(String),
    /// The issuer's key has no octets to hash.
    #[error("the key in the issuer's certificate is not a SubjectPublicKeyInfo of whole octets: {0}")]
    Key(#[from] DerError),
}

/// Which certificate is meant: the issuer by hashes, the certificate by its serial number. Two of them are
/// equal where their octets are.
#[derive(Clone)]
pub struct CertId {
    der: Box<[u8]>,
    hash: Option<CertIdHash>,
    name_hash: Span,
    key_hash: Span,
    serial: Span,
}

impl CertId {
    /// The CertID of the certificate with this serial number (content octets) that `issuer` issued.
    ///
    /// # Errors
    /// [`CertIdError`]
    pub fn of(issuer: &Certificate, serial: &[u8], hash: CertIdHash) -> Result<Self, CertIdError> {
        IssuerIds::of(issuer)?.cert_id(serial, hash)
    }

    /// The whole CertID, as it was asked about.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The hash; `None` where it is one that nobody here computes, so that the issuer cannot be known.
    pub const fn hash(&self) -> Option<CertIdHash> {
        self.hash
    }

    /// The content octets of the serial number.
    pub fn serial(&self) -> &[u8] {
        self.serial.of(&self.der)
    }

    /// The hash of the issuer's Name.
    pub fn issuer_name_hash(&self) -> &[u8] {
        self.name_hash.of(&self.der)
    }

    /// The hash of the issuer's key.
    pub fn issuer_key_hash(&self) -> &[u8] {
        self.key_hash.of(&self.der)
    }

    /// Whether both mean the same certificate, in whatever way the parameters of the hash are written.
    pub fn means_the_same_as(&self, other: &Self) -> bool {
        let parts = |id: &Self| [id.issuer_name_hash().to_vec(), id.issuer_key_hash().to_vec(), id.serial().to_vec()];
        self.hash.is_some() && self.hash == other.hash && parts(self) == parts(other)
    }
}

impl PartialEq for CertId {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for CertId {}

impl std::hash::Hash for CertId {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.der.hash(state);
    }
}

impl fmt::Debug for CertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hash, serial) = (self.hash, hex::encode(self.serial()));
        f.debug_struct("CertId").field("hash", &hash).field("serial", &serial).finish_non_exhaustive()
    }
}

/// The hashes of one issuer, computed once: says which CertIDs are about its certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerIds {
    sha1: ([u8; 20], [u8; 20]),
    sha256: ([u8; 32], [u8; 32]),
}

impl IssuerIds {
    /// Those of `issuer`.
    ///
    /// # Errors
    /// [`CertIdError::Key`]
    pub fn of(issuer: &Certificate) -> Result<Self, CertIdError> {
        let _ = issuer;
        unimplemented!()
    }

    /// Whether `id` is about a certificate of this issuer.
    pub fn issued(&self, id: &CertId) -> bool {
        let _ = (id, &self.sha1, &self.sha256);
        unimplemented!()
    }

    /// The CertID of the certificate with this serial number (content octets).
    ///
    /// # Errors
    /// [`CertIdError::Serial`]
    pub fn cert_id(&self, serial: &[u8], hash: CertIdHash) -> Result<CertId, CertIdError> {
        let _ = (serial, hash);
        unimplemented!()
    }
}
