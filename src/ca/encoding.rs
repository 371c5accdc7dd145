//! How octets and keys stand in the journal's JSON: hashes in hex, everything else in base64.

use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serializer, de};

pub use crate::journal::hash;
use crate::keys::PublicKey;

/// Octets as base64 (RFC 4648 section 4, with padding).
pub mod base64 {
    use super::{Deserialize, Deserializer, Engine, STANDARD, Serializer, de};

    /// Writes them.
    pub fn serialize<S: Serializer>(octets: impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(octets))
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>, T: From<Vec<u8>>>(deserializer: D) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(STANDARD.decode(text).map_err(de::Error::custom)?.into())
    }
}

/// 32 octets as lower-case hex, or null.
pub mod optional_hash {
    use super::{Deserialize, Deserializer, Serializer, de, hash};

    /// Writes them.
    pub fn serialize<S: Serializer>(hash: &Option<[u8; 32]>, serializer: S) -> Result<S::Ok, S::Error> {
        match hash {
            Some(hash) => hash::serialize(hash, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads them.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[u8; 32]>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let parse = |text: String| hash::parse(&text).ok_or_else(|| de::Error::custom("a hash has 64 hex digits"));
        text.map(parse).transpose()
    }
}

/// A public key as the base64 of its SubjectPublicKeyInfo.
pub mod spki {
    use super::{Deserializer, PublicKey, Serializer, base64, de};

    /// Writes it.
    pub fn serialize<S: Serializer>(key: &PublicKey, serializer: S) -> Result<S::Ok, S::Error> {
        base64::serialize(key.spki_der(), serializer)
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PublicKey, D::Error> {
        let der: Vec<u8> = base64::deserialize(deserializer)?;
        PublicKey::from_spki_der(&der).map_err(de::Error::custom)
    }
}

/// A delegation as the base64 of its DER, or null: the octets that certificates carry.
pub mod delegation {
    use super::{Deserialize, Deserializer, Engine, STANDARD, Serializer, de};
    use crate::apki::AgentExtension;
    use crate::apki::delegation::Delegation;

    /// Writes it.
    pub fn serialize<S: Serializer>(delegation: &Option<Delegation>, serializer: S) -> Result<S::Ok, S::Error> {
        let der = delegation.as_ref().map(Delegation::to_der).transpose().map_err(serde::ser::Error::custom)?;
        match der {
            Some(der) => serializer.serialize_some(&STANDARD.encode(der)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Delegation>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let der = STANDARD.decode(text).map_err(de::Error::custom)?;
        Delegation::from_der(&der).map(Some).map_err(de::Error::custom)
    }
}
