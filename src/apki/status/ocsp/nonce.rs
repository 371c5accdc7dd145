//! What ties an answer to a question (RFC 9654).

use std::fmt;

use thiserror::Error;

/// Most octets of a nonce (RFC 9654 section 2.1).
pub const MAX_NONCE: usize = 128;

/// 1 to 128 octets that an answer repeats, so that it cannot be an old one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Nonce(Box<[u8]>);

/// Too few octets for a nonce, or too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a nonce has 1 to 128 octets, not {0} (RFC 9654 section 2.1)")]
pub struct NonceLength(pub usize);

impl Nonce {
    /// The nonce of these octets; 32 random ones are what a client should take.
    ///
    /// # Errors
    /// [`NonceLength`]
    pub fn new(octets: impl Into<Box<[u8]>>) -> Result<Self, NonceLength> {
        let octets = octets.into();
        if (1..=MAX_NONCE).contains(&octets.len()) { Ok(Self(octets)) } else { Err(NonceLength(octets.len())) }
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({})", hex::encode(&self.0))
    }
}
