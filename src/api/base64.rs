//! Base64 of RFC 4648 section 4, canonical or refused.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Octets that are a base64 string in JSON (protocol, head of the document): the standard alphabet,
/// padded, no white space, no bits left over.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct B64(pub Vec<u8>);

impl B64 {
    /// The octets.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for B64 {
    fn from(octets: Vec<u8>) -> Self {
        Self(octets)
    }
}

impl AsRef<[u8]> for B64 {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for B64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "B64({} octets)", self.0.len())
    }
}

impl Serialize for B64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for B64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text).map(Self)
    }
}

/// Decodes from the text where it stands, so that a submission is copied once and not twice.
struct Text;

impl de::Visitor<'_> for Text {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a base64 string (RFC 4648 section 4, with padding)")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        decode(text).map_err(E::custom)
    }
}

/// The octets that `text` stands for, or a sentence on what is wrong with it.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|e| format!("not canonical base64 with padding: {e}"))
}

/// The base64 text of `octets`.
pub(super) fn encode(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

/// Serde of a [`crate::keys::LogId`] member.
pub(super) mod log_id {
    use super::*;
    use crate::keys::LogId;

    pub(in crate::api) fn serialize<S: Serializer>(id: &LogId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(id.as_bytes()))
    }

    pub(in crate::api) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LogId, D::Error> {
        let octets = deserializer.deserialize_str(Text)?;
        let wrong = |o: Vec<u8>| de::Error::custom(format!("a log identifier is 32 octets, not {}", o.len()));
        octets.try_into().map(LogId::new).map_err(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_text_decodes() {
        for (text, octets) in [("", &b""[..]), ("AA==", b"\0"), ("AAA=", b"\0\0"), ("+/+/", b"\xfb\xff\xbf")] {
            assert_eq!(decode(text).unwrap(), octets);
            assert_eq!(encode(octets), text);
        }
        let refused = [
            "A",
            "AA",
            "AA=",
            "AA===",
            "AB==",
            "AAB=",
            "AA==AA==",
            " AA==",
            "AA==\n",
            "A A==",
            "-_-_",
            "!!!!",
            "=",
            "====",
            "éééé",
            "AA==\0",
            "data:;base64,AA==",
        ];
        for text in refused {
            assert!(decode(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn json_escapes_are_the_same_text() {
        assert_eq!(serde_json::from_str::<B64>(r#""\u0041A==""#).unwrap().0, [0]);
        for other in ["5", "null", "true", "[\"AA==\"]", "{}", "\"AA\\n==\""] {
            assert!(serde_json::from_str::<B64>(other).is_err(), "{other}");
        }
    }
}
