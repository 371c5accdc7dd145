//! The extensions of RFC 5280 that decide who may sign and who is named.

use thiserror::Error;

use super::Certificate;
use crate::apki::oid;
use crate::apki::tlv::{self, DerError, Reader};
use crate::apki::uri::{AgentUri, AgentUriError};

const URI_NAME: u8 = 0x86;
const KEY_IDENTIFIER: u8 = 0x80;

/// What basicConstraints says (RFC 5280 section 4.2.1.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// The subject may issue certificates.
    pub ca: bool,
    /// How many intermediate certificates may follow this one; `None` is any number.
    pub path_length: Option<u32>,
}

/// What keyUsage says (RFC 5280 section 4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// The key may sign other than certificates and CRLs.
    pub const fn digital_signature(self) -> bool {
        self.bit(0)
    }

    /// The key may sign certificates.
    pub const fn key_cert_sign(self) -> bool {
        self.bit(5)
    }

    /// The key may sign CRLs.
    pub const fn crl_sign(self) -> bool {
        self.bit(6)
    }

    const fn bit(self, n: u8) -> bool {
        self.0 & (0x8000 >> n) != 0
    }
}

/// Why a certificate does not name one agent (R18).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AgentNameError {
    /// No URI of the scheme `agent` in the subjectAltName.
    #[error("the subjectAltName has no agent URI")]
    Missing,
    /// More than one.
    #[error("the subjectAltName has {0} agent URIs where exactly one belongs")]
    Several(usize),
    /// One, but it is not valid.
    #[error("the agent URI is not valid: {0}")]
    Invalid(#[from] AgentUriError),
    /// The subjectAltName itself is not strict DER.
    #[error("the subjectAltName is not strict DER: {0}")]
    Der(#[from] DerError),
}

impl Certificate {
    /// The basicConstraints, where they are there.
    pub fn basic_constraints(&self) -> Result<Option<BasicConstraints>, DerError> {
        let Some(extension) = self.extension(&oid::BASIC_CONSTRAINTS) else { return Ok(None) };
        let value = extension.value;
        tlv::check(value)?;
        let mut fields = Reader::new(value).enter(tlv::SEQUENCE)?;
        let ca = match fields.optional(tlv::BOOLEAN)?.map(|ca| ca.content.of(value)) {
            None => false,
            Some([0xff]) => true,
            Some(_) => return Err(DerError::ExplicitDefault),
        };
        let path_length = fields.optional(tlv::INTEGER)?.map(|n| unsigned(n.content.of(value))).transpose()?;
        fields.finish()?;
        Ok(Some(BasicConstraints { ca, path_length }))
    }

    /// The keyUsage, where it is there.
    pub fn key_usage(&self) -> Result<Option<KeyUsage>, DerError> {
        let Some(extension) = self.extension(&oid::KEY_USAGE) else { return Ok(None) };
        tlv::check(extension.value)?;
        let bits = tlv::only(extension.value, tlv::BIT_STRING)?;
        let octet = |n| u16::from(bits.get(n).copied().unwrap_or(0));
        Ok(Some(KeyUsage(octet(1) << 8 | octet(2))))
    }

    /// The one agent URI (R18): all other names are ignored.
    pub fn agent_uri(&self) -> Result<AgentUri, AgentNameError> {
        let names = self.uri_names()?;
        let mut agents = names.iter().filter(|name| is_agent_scheme(name));
        let first = agents.next().ok_or(AgentNameError::Missing)?;
        match agents.count() {
            0 => {
                let text = std::str::from_utf8(first).map_err(|_| AgentUriError::Character)?;
                Ok(AgentUri::parse(text)?)
            }
            more => Err(AgentNameError::Several(more + 1)),
        }
    }

    /// The uniformResourceIdentifiers of the subjectAltName, in their order; empty without one.
    pub fn uri_names(&self) -> Result<Vec<&[u8]>, DerError> {
        let Some(extension) = self.extension(&oid::SUBJECT_ALT_NAME) else { return Ok(Vec::new()) };
        let value = extension.value;
        tlv::check(value)?;
        let mut names = Reader::new(value).enter(tlv::SEQUENCE)?;
        let mut uris = Vec::with_capacity(2);
        while !names.is_empty() {
            let name = names.any()?;
            match name.tag {
                URI_NAME => uris.push(name.content.of(value)),
                // otherName, x400Address, directoryName and ediPartyName are constructed, the rest is not.
                0xa0 | 0x81 | 0x82 | 0xa3 | 0xa4 | 0xa5 | 0x87 | 0x88 => {}
                found => return Err(DerError::Tag { expected: URI_NAME, found }),
            }
        }
        Ok(uris)
    }

    /// The subjectKeyIdentifier, where it is there and well-formed. It helps to find a key and
    /// decides nothing.
    pub fn subject_key_identifier(&self) -> Option<&[u8]> {
        tlv::only(self.extension(&oid::SUBJECT_KEY_IDENTIFIER)?.value, tlv::OCTET_STRING).ok()
    }

    /// The keyIdentifier of the authorityKeyIdentifier, where it is there and well-formed.
    pub fn authority_key_identifier(&self) -> Option<&[u8]> {
        let value = self.extension(&oid::AUTHORITY_KEY_IDENTIFIER)?.value;
        let mut fields = Reader::new(value).enter(tlv::SEQUENCE).ok()?;
        Some(fields.optional(KEY_IDENTIFIER).ok()??.content.of(value))
    }
}

/// In any case, so that a name that some reader may take for an agent's counts as one.
fn is_agent_scheme(uri: &[u8]) -> bool {
    uri.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"agent:"))
}

/// A non-negative INTEGER; what is beyond 32 bits is no limit that a chain could reach.
fn unsigned(content: &[u8]) -> Result<u32, DerError> {
    match content {
        [] | [0x80..=0xff, ..] => Err(DerError::Integer),
        short if short.len() <= 5 => {
            let value = short.iter().fold(0u64, |value, octet| value << 8 | u64::from(*octet));
            Ok(u32::try_from(value).unwrap_or(u32::MAX))
        }
        _ => Ok(u32::MAX),
    }
}
