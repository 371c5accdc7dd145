//! What the tree has in its leaves (protocol section 4).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::merkle::{self, Hash};

/// SHA-256 of the DER of a submitted certificate: the data entry of a leaf, and what a signed
/// agent timestamp vouches for (protocol sections 3 and 4).
///
/// Its leaf hash is another value; the two types keep them apart. Base64 in JSON, hex for people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CertHash(Hash);

impl CertHash {
    /// The hash with these octets.
    pub const fn new(octets: [u8; 32]) -> Self {
        Self(Hash::new(octets))
    }

    /// The hash with these octets, or `None` unless there are exactly 32.
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        Hash::from_slice(octets).map(Self)
    }

    /// The hash of the certificate with this DER, as it was submitted.
    pub fn of_certificate(der: &[u8]) -> Self {
        Self(Hash::of(der))
    }

    /// The 32 octets.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// `SHA-256(0x00 || certHash)`: the hash of the leaf.
    pub fn leaf_hash(&self) -> Hash {
        merkle::leaf_hash(self.0.as_bytes())
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
