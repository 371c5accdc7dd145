//! One entry of the log: what was submitted, when, and what the tree keeps of it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::merkle::{Hash, LeafIndex, leaf_hash};
use crate::time::UnixMillis;

/// SHA-256 of the DER of a submitted certificate, literally (protocol section 3). It is the
/// data entry of its leaf.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CertHash(Hash);

impl CertHash {
    /// The certificate hash with these octets.
    pub const fn new(octets: [u8; 32]) -> Self {
        Self(Hash::new(octets))
    }

    /// The certificate hash with these octets, or `None` unless there are exactly 32.
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        Hash::from_slice(octets).map(Self)
    }

    /// The hash of this submission.
    pub fn of_certificate(der: &[u8]) -> Self {
        Self(Hash::of(der))
    }

    /// The value as a hash among others.
    pub const fn hash(&self) -> &Hash {
        &self.0
    }

    /// The 32 octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The hash of the leaf that holds it: `SHA-256(0x00 || certHash)` (protocol section 4).
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(self.0.as_bytes())
    }
}

impl From<Hash> for CertHash {
    fn from(hash: Hash) -> Self {
        Self(hash)
    }
}

impl fmt::Display for CertHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for CertHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CertHash({self})")
    }
}

/// SHA-256 of the DER of a chain certificate: the name it is served under at `/issuer/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(Hash);

impl Fingerprint {
    /// The fingerprint with these octets.
    pub const fn new(octets: [u8; 32]) -> Self {
        Self(Hash::new(octets))
    }

    /// The fingerprint of this certificate.
    pub fn of_certificate(der: &[u8]) -> Self {
        Self(Hash::of(der))
    }

    /// The value as a hash among others.
    pub const fn hash(&self) -> &Hash {
        &self.0
    }

    /// The 32 octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What kind of certificate was submitted (`type` in the API, protocol section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryType {
    /// A certificate as it is: one without SATs inside, or a final one.
    Certificate,
    /// A precertificate, with the poison as its last extension.
    Precertificate,
}

impl EntryType {
    /// The number on the wire: 1 or 2.
    pub const fn number(self) -> u8 {
        match self {
            Self::Certificate => 1,
            Self::Precertificate => 2,
        }
    }

    /// The type with this number on the wire.
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Certificate),
            2 => Some(Self::Precertificate),
            _ => None,
        }
    }
}

/// As its number.
impl Serialize for EntryType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.number())
    }
}

impl<'de> Deserialize<'de> for EntryType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        Self::from_number(number).ok_or_else(|| de::Error::custom(format_args!("{number} is no entry type (1 or 2)")))
    }
}

/// The verified path of a submission, issuer first, anchor last (ruling R36). Shared: thousands
/// of submissions have the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    certificates: Arc<[(Fingerprint, Box<[u8]>)]>,
}

impl Chain {
    /// The path of these DER certificates.
    pub fn new<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self {
            certificates: certificates.into_iter().map(|der| (Fingerprint::of_certificate(der), der.into())).collect(),
        }
    }

    /// Fingerprint and DER of each certificate.
    pub fn certificates(&self) -> impl Iterator<Item = (Fingerprint, &[u8])> {
        self.certificates.iter().map(|(fingerprint, der)| (*fingerprint, &**der))
    }

    /// Fingerprints only.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.certificates.iter().map(|(fingerprint, _)| *fingerprint).collect()
    }
}

/// A submission that passed admission and waits for its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// SHA-256 of `der`.
    pub cert_hash: CertHash,
    /// What it was found to be.
    pub entry_type: EntryType,
    /// The octets submitted.
    pub der: Vec<u8>,
    /// Its verified path.
    pub chain: Chain,
}

/// A submission's place in the durable tree: what a SAT may be signed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced {
    /// The leaf.
    pub index: LeafIndex,
    /// When it was given that place; the SAT's timestamp.
    pub timestamp: UnixMillis,
}

/// What is kept of an entry for ever, also after its certificate was pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The data entry of the leaf.
    pub cert_hash: CertHash,
    /// The timestamp of its SAT.
    pub timestamp: UnixMillis,
    /// What was submitted.
    pub entry_type: EntryType,
    /// The verified path of the first submission, issuer first.
    pub chain: Vec<Fingerprint>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_base64_in_json_and_hex_for_people() {
        let hash = CertHash::of_certificate(b"");
        assert_eq!(serde_json::to_string(&hash).unwrap(), "\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"");
        assert_eq!(serde_json::from_str::<CertHash>("\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"").unwrap(), hash);
        assert!(serde_json::from_str::<CertHash>("\"47DE\"").is_err());
        assert!(hash.to_string().starts_with("e3b0c44298fc1c14"));
    }

    #[test]
    fn the_leaf_hash_has_its_prefix() {
        let hash = CertHash::new([5; 32]);
        let prefixed = [&[0][..], &[5; 32]].concat();
        assert_eq!(hash.leaf_hash(), Hash::of(&prefixed));
    }
}
