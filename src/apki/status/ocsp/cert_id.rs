//! CertID: which certificate is meant (RFC 6960 section 4.1.1).

use std::fmt;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use der::asn1::ObjectIdentifier;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::apki::certificate::Certificate;
use crate::apki::tlv::{self, DerError, Reader, Span, encode};

const ID_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const ID_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");

/// The hash by which a CertID calls an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CertIdHash {
    /// SHA-1, which most clients take.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl CertIdHash {
    const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::Sha1 => ID_SHA1,
            Self::Sha256 => ID_SHA256,
        }
    }
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
        fn parts(id: &CertId) -> [&[u8]; 3] {
            [id.issuer_name_hash(), id.issuer_key_hash(), id.serial()]
        }
        self.der == other.der || self.hash.is_some() && self.hash == other.hash && parts(self) == parts(other)
    }

    /// Reads `CertID ::= SEQUENCE { hashAlgorithm, issuerNameHash, issuerKeyHash, serialNumber }`, which was
    /// checked to be strict DER.
    pub(super) fn from_der(der: &[u8]) -> Result<Self, DerError> {
        let der: Box<[u8]> = der.into();
        let mut reader = Reader::new(&der);
        let mut fields = reader.enter(tlv::SEQUENCE)?;
        reader.finish()?;
        let mut algorithm = fields.enter(tlv::SEQUENCE)?;
        let oid = algorithm.expect(tlv::OID)?.content.of(&der);
        // NULL or nothing: both are in use (RFC 5754 section 2).
        algorithm.optional(tlv::NULL)?;
        let no_other = algorithm.is_empty();
        let hash = [CertIdHash::Sha1, CertIdHash::Sha256].into_iter().find(|hash| hash.oid().as_bytes() == oid);
        let name_hash = fields.expect(tlv::OCTET_STRING)?.content;
        let key_hash = fields.expect(tlv::OCTET_STRING)?.content;
        let serial = fields.expect(tlv::INTEGER)?.content;
        fields.finish()?;
        Ok(Self { hash: hash.filter(|_| no_other), name_hash, key_hash, serial, der })
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
        let (name, key) = (issuer.subject_der(), key_octets(issuer.spki_der())?);
        let sha256 = |octets| Sha256::digest(octets).into();
        Ok(Self { sha1: (sha1(name), sha1(key)), sha256: (sha256(name), sha256(key)) })
    }

    /// Whether `id` is about a certificate of this issuer.
    pub fn issued(&self, id: &CertId) -> bool {
        id.hash.is_some_and(|hash| self.hashes(hash) == (id.issuer_name_hash(), id.issuer_key_hash()))
    }

    /// The CertID of the certificate with this serial number (content octets).
    ///
    /// # Errors
    /// [`CertIdError::Serial`]
    pub fn cert_id(&self, serial: &[u8], hash: CertIdHash) -> Result<CertId, CertIdError> {
        if !tlv::is_shortest_integer(serial) {
            return Err(CertIdError::Serial(hex::encode(serial)));
        }
        let (name, key) = self.hashes(hash);
        let algorithm = encode(tlv::SEQUENCE, &[&encode(tlv::OID, &[hash.oid().as_bytes()]), &[tlv::NULL, 0x00]]);
        let octets = |octets| encode(tlv::OCTET_STRING, &[octets]);
        let serial = encode(tlv::INTEGER, &[serial]);
        let der = encode(tlv::SEQUENCE, &[&algorithm, &octets(name), &octets(key), &serial]);
        Ok(CertId::from_der(&der)?)
    }

    /// The hashes of name and key.
    const fn hashes(&self, hash: CertIdHash) -> (&[u8], &[u8]) {
        match hash {
            CertIdHash::Sha1 => (&self.sha1.0, &self.sha1.1),
            CertIdHash::Sha256 => (&self.sha256.0, &self.sha256.1),
        }
    }
}

/// SHA-1 where it is a name and no more (see the module's documentation).
pub(super) fn sha1(octets: &[u8]) -> [u8; 20] {
    let mut hash = [0; 20];
    hash.copy_from_slice(digest(&SHA1_FOR_LEGACY_USE_ONLY, octets).as_ref());
    hash
}

/// The octets of the key in a SubjectPublicKeyInfo: its BIT STRING without tag, length and unused bits.
pub(super) fn key_octets(spki_der: &[u8]) -> Result<&[u8], DerError> {
    let mut fields = Reader::new(spki_der).enter(tlv::SEQUENCE)?;
    fields.expect(tlv::SEQUENCE)?;
    tlv::whole_octets(fields.expect(tlv::BIT_STRING)?.content.of(spki_der))
}
