//! Identifiers: random octets, lower-case hex as text. What they name is part of their type.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// `N` octets that name one thing of the kind `K`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id<const N: usize, K> {
    octets: [u8; N],
    kind: PhantomData<K>,
}

/// Names a request. It is random and long, so that who knows it was told it.
pub type RequestId = Id<16, RequestKind>;

/// Marks identifiers of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestKind {}

/// The public half of a token: it names the token in the journal and may be shown to anybody.
pub type TokenId = Id<8, TokenKind>;

/// Marks identifiers of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {}

/// Text that is not an identifier.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("an identifier has {0} lower-case hex digits here")]
pub struct IdError(usize);

impl<const N: usize, K> Id<N, K> {
    /// The identifier with these octets.
    pub const fn new(octets: [u8; N]) -> Self {
        Self { octets, kind: PhantomData }
    }

    /// The octets.
    pub const fn as_bytes(&self) -> &[u8; N] {
        &self.octets
    }
}

impl<const N: usize, K> FromStr for Id<N, K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut octets = [0; N];
        hex::decode_to_slice(text, &mut octets).map_err(|_| IdError(2 * N))?;
        // One spelling each.
        if text.bytes().any(|c| c.is_ascii_uppercase()) { Err(IdError(2 * N)) } else { Ok(Self::new(octets)) }
    }
}

impl<const N: usize, K> fmt::Display for Id<N, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.octets.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl<const N: usize, K> fmt::Debug for Id<N, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl<const N: usize, K> Serialize for Id<N, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const N: usize, K> Deserialize<'de> for Id<N, K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
