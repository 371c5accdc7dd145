//! What ties an answer to a question (RFC 9654).

use std::fmt;

use thiserror::Error;

use crate::apki::oid;
use crate::apki::precertificate::extension_der;
use crate::apki::status::{ExtensionFault, extensions};
use crate::apki::tlv::{self, DerError, Element, Reader, encode};

/// Most octets of a nonce (RFC 9654 section 2.1).
pub const MAX_NONCE: usize = 128;

/// 1 to 128 octets that an answer repeats, so that it cannot be an old one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Nonce(Box<[u8]>);

/// Why the nonce cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NonceFault {
    /// The list of extensions that it stands in.
    #[error("{0}")]
    Extensions(#[from] ExtensionFault),
    /// Not an OCTET STRING.
    #[error("the nonce is not an OCTET STRING in strict DER: {0}")]
    Der(DerError),
    /// Its length.
    #[error("{0}")]
    Length(#[from] NonceLength),
}

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

    /// `Extensions` with this nonce alone.
    pub(super) fn extensions_der(&self) -> Vec<u8> {
        let value = encode(tlv::OCTET_STRING, &[&self.0]);
        encode(tlv::SEQUENCE, &[&extension_der(&oid::OCSP_NONCE, false, &value)])
    }

    /// The nonce in the explicitly tagged `Extensions` of a request or an answer, in which nothing else may
    /// be critical.
    pub(super) fn among(input: &[u8], tagged: Option<Element>) -> Result<Option<Self>, NonceFault> {
        let Some(tagged) = tagged else { return Ok(None) };
        let list = single(input, tagged).map_err(ExtensionFault::Der)?;
        let Some(value) = extensions::only_known(input, list, &oid::OCSP_NONCE)? else { return Ok(None) };
        tlv::check(value).map_err(NonceFault::Der)?;
        let octets = tlv::only(value, tlv::OCTET_STRING).map_err(NonceFault::Der)?;
        Ok(Some(Self::new(octets)?))
    }
}

/// The one SEQUENCE in an explicit tag.
pub(super) fn single(input: &[u8], tagged: Element) -> Result<Element, DerError> {
    let mut content = Reader::within(input, tagged.content);
    let sequence = content.expect(tlv::SEQUENCE)?;
    content.finish()?;
    Ok(sequence)
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({})", hex::encode(&self.0))
    }
}
