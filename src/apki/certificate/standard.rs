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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::precertificate::extension_der;
    use crate::apki::testing::{Draft, key};
    use der::asn1::ObjectIdentifier;

    fn with(oid: &ObjectIdentifier, value: &[u8]) -> Certificate {
        let mut draft = Draft::new("CA", "subject", &key(2));
        draft.extensions.push(extension_der(oid, false, value));
        draft.certificate(&key(1))
    }

    #[test]
    fn basic_constraints_are_strict() {
        let read = |value: &[u8]| with(&oid::BASIC_CONSTRAINTS, value).basic_constraints();
        let good = |ca, path_length| Ok(Some(BasicConstraints { ca, path_length }));
        assert_eq!(read(&[0x30, 0x00]), good(false, None));
        assert_eq!(read(&[0x30, 0x03, 0x01, 0x01, 0xff]), good(true, None));
        assert_eq!(read(&[0x30, 0x06, 0x01, 0x01, 0xff, 0x02, 0x01, 0x00]), good(true, Some(0)));
        assert_eq!(read(&[0x30, 0x07, 0x02, 0x05, 0x00, 0xff, 0xff, 0xff, 0xff]), good(false, Some(u32::MAX)));
        assert_eq!(read(&[0x30, 0x08, 0x02, 0x06, 0x01, 0, 0, 0, 0, 0]), good(false, Some(u32::MAX)));
        assert_eq!(read(&[0x30, 0x03, 0x01, 0x01, 0x00]), Err(DerError::ExplicitDefault));
        assert_eq!(read(&[0x30, 0x03, 0x02, 0x01, 0xff]), Err(DerError::Integer));
        assert_eq!(read(&[0x30, 0x02, 0x05, 0x00]), Err(DerError::Trailing(2)));
        assert_eq!(read(&[0x30, 0x00, 0x00]), Err(DerError::Trailing(1)));
        assert_eq!(with(&oid::KEY_USAGE, &[]).basic_constraints(), Ok(None));
    }

    #[test]
    fn key_usage_reads_bits_from_the_left() {
        let read = |value: &[u8]| with(&oid::KEY_USAGE, value).key_usage();
        let bits = |usage: KeyUsage| (usage.digital_signature(), usage.key_cert_sign(), usage.crl_sign());
        assert_eq!(read(&[0x03, 0x02, 0x07, 0x80]).unwrap().map(bits), Some((true, false, false)));
        assert_eq!(read(&[0x03, 0x02, 0x01, 0x06]).unwrap().map(bits), Some((false, true, true)));
        assert_eq!(read(&[0x03, 0x03, 0x07, 0x04, 0x80]).unwrap().map(bits), Some((false, true, false)));
        assert_eq!(read(&[0x03, 0x01, 0x00]).unwrap().map(bits), Some((false, false, false)));
        assert_eq!(read(&[0x03, 0x02, 0x02, 0x06]), Err(DerError::BitString));
        assert_eq!(read(&[0x04, 0x01, 0x06]), Err(DerError::Tag { expected: 0x03, found: 0x04 }));
    }

    #[test]
    fn names_are_read_strictly_and_counted_in_any_case() {
        let read = |value: &[u8]| with(&oid::SUBJECT_ALT_NAME, value).agent_uri();
        let names = |names: &[&[u8]]| tlv::encode(tlv::SEQUENCE, names);
        let uri = |text: &str| tlv::encode(URI_NAME, &[text.as_bytes()]);
        let good = uri("agent://example.com/a/b/c");
        assert!(read(&names(&[&[0x82, 0x01, b'x'], &good, &uri("https://example.com/")])).is_ok());
        assert_eq!(read(&names(&[&uri("https://example.com/")])), Err(AgentNameError::Missing));
        assert_eq!(read(&names(&[&good, &uri("aGeNt:x")])), Err(AgentNameError::Several(2)));
        assert_eq!(read(&names(&[&uri("AGENT://example.com/a/b/c")])), Err(AgentUriError::Scheme.into()));
        let not_utf8 = tlv::encode(URI_NAME, &[b"agent://\xff"]);
        assert_eq!(read(&names(&[&not_utf8])), Err(AgentUriError::Character.into()));
        let constructed = tlv::encode(0xa6, &[&good]);
        assert_eq!(read(&names(&[&good, &constructed])), Err(DerError::Tag { expected: 0x86, found: 0xa6 }.into()));
        assert_eq!(read(&[names(&[&good]), vec![0]].concat()), Err(DerError::Trailing(1).into()));
        assert_eq!(read(&good), Err(DerError::Tag { expected: 0x30, found: 0x86 }.into()));
    }

    #[test]
    fn key_identifiers_are_found() {
        let ski = with(&oid::SUBJECT_KEY_IDENTIFIER, &[0x04, 0x02, 1, 2]);
        assert_eq!(ski.subject_key_identifier(), Some(&[1, 2][..]));
        let aki = with(&oid::AUTHORITY_KEY_IDENTIFIER, &[0x30, 0x04, 0x80, 0x02, 1, 2]);
        assert_eq!(aki.authority_key_identifier(), Some(&[1, 2][..]));
        assert_eq!(with(&oid::AUTHORITY_KEY_IDENTIFIER, &[0x30, 0x00]).authority_key_identifier(), None);
    }
}
