//! How octets stand in the JSON of this module: hashes in lower-case hex, DER in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;

/// 32 octets as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hex32(pub(super) [u8; 32]);

impl Serialize for Hex32 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for Hex32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let mut octets = [0; 32];
        let is_lower = text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        match hex::decode_to_slice(text.as_bytes(), &mut octets) {
            Ok(()) if is_lower => Ok(Self(octets)),
            _ => Err(de::Error::custom("a SHA-256 is 64 lower-case hexadecimal digits")),
        }
    }
}

/// Octets in the base64 of RFC 4648 section 4, padded and canonical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct B64(pub(super) Vec<u8>);

impl Serialize for B64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for B64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let octets = STANDARD.decode(text.as_bytes());
        octets.map(Self).map_err(|e| de::Error::custom(format!("not canonical base64 with padding: {e}")))
    }
}
