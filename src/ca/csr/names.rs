//! The names that a request asks for.

use der::{Decode, Encode};
use thiserror::Error;
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames};

use super::CsrError;
use crate::apki::AgentUri;
use crate::apki::uri::AgentUriError;

/// Longest SPIFFE ID, and longest trust domain in one (SPIFFE-ID section 2.3).
const MAX_SPIFFE_ID: usize = 2048;
const MAX_SPIFFE_DOMAIN: usize = 255;
/// Of a name in a message; a request may hold thousands of octets of one.
const MAX_SHOWN: usize = 200;

/// Why requested names are not those of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameFault {
    /// No subjectAltName is asked for.
    #[error("there is none, and the agent URI belongs there")]
    Missing,
    /// No `agent://` URI in it.
    #[error("it has no agent:// URI")]
    NoAgent,
    /// More than one.
    #[error("it has {0} agent:// URIs where exactly one belongs")]
    SeveralAgents(usize),
    /// One, but it is not valid.
    #[error("`{name}`: {cause}")]
    Agent {
        /// The URI, as far as it can be shown.
        name: String,
        /// What is wrong with it.
        cause: AgentUriError,
    },
    /// More than one SPIFFE ID.
    #[error("it has {0} spiffe:// URIs where at most one may be")]
    SeveralSpiffe(usize),
    /// One, but it is not valid.
    #[error("`{name}` is not a SPIFFE ID of a workload: {cause}")]
    Spiffe {
        /// The URI, as far as it can be shown.
        name: String,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// A name that no agent's certificate has.
    #[error("it has the {kind} `{name}`, and an agent's certificate has no such name; ask without it")]
    Other {
        /// What kind of name it is.
        kind: &'static str,
        /// The name, as far as it can be shown.
        name: String,
    },
}

/// Whom a certificate is to name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentName {
    /// The agent.
    pub uri: AgentUri,
    /// Its SPIFFE ID, where one was asked for; it is valid. Whether the CA writes it is a matter
    /// of its configuration (protocol section 6).
    pub spiffe: Option<String>,
}

impl AgentName {
    /// The agent that this value of a subjectAltName names.
    pub(super) fn from_subject_alt_name(value: Option<&[u8]>) -> Result<Self, CsrError> {
        let value = value.ok_or(NameFault::Missing)?;
        let names = GeneralNames::from_der(value).map_err(CsrError::Names)?;
        if names.to_der().map_err(CsrError::Names)? != value {
            return Err(CsrError::NotCanonical("requested subjectAltName"));
        }
        let (mut agents, mut workloads) = (Vec::new(), Vec::new());
        for name in &names {
            match name {
                GeneralName::UniformResourceIdentifier(uri) if has_scheme(uri.as_str(), "agent:") => {
                    agents.push(uri.as_str());
                }
                GeneralName::UniformResourceIdentifier(uri) if has_scheme(uri.as_str(), "spiffe:") => {
                    workloads.push(uri.as_str());
                }
                other => return Err(refusal(other).into()),
            }
        }
        Ok(Self { uri: agent(&agents)?, spiffe: spiffe(&workloads)? })
    }
}

/// In any case, so that a name that some reader may take for an agent's counts as one (R18).
fn has_scheme(uri: &str, scheme: &str) -> bool {
    uri.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

fn agent(uris: &[&str]) -> Result<AgentUri, NameFault> {
    match uris {
        [] => Err(NameFault::NoAgent),
        [uri] => AgentUri::parse(uri).map_err(|cause| NameFault::Agent { name: shown(uri), cause }),
        several => Err(NameFault::SeveralAgents(several.len())),
    }
}

fn spiffe(uris: &[&str]) -> Result<Option<String>, NameFault> {
    match uris {
        [] => Ok(None),
        [uri] => match spiffe_fault(uri) {
            None => Ok(Some((*uri).to_owned())),
            Some(cause) => Err(NameFault::Spiffe { name: shown(uri), cause }),
        },
        several => Err(NameFault::SeveralSpiffe(several.len())),
    }
}

/// What is wrong with the SPIFFE ID of a workload (SPIFFE-ID section 2; a leaf's has a path,
/// X509-SVID section 3.1).
fn spiffe_fault(uri: &str) -> Option<&'static str> {
    if uri.len() > MAX_SPIFFE_ID {
        return Some("it is longer than 2048 octets");
    }
    let Some(rest) = uri.strip_prefix("spiffe://") else { return Some("it starts with `spiffe://` in lower case") };
    let Some((domain, path)) = rest.split_once('/') else { return Some("a workload has a path") };
    if !(1..=MAX_SPIFFE_DOMAIN).contains(&domain.len()) {
        return Some("its trust domain has 1 to 255 octets");
    }
    if !domain.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_')) {
        return Some("its trust domain is made of lower-case letters, digits, `.`, `-` and `_`");
    }
    for segment in path.split('/') {
        if matches!(segment, "" | "." | "..") {
            return Some("no segment of its path is empty, `.` or `..`");
        }
        if !segment.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_')) {
            return Some("its path is made of letters, digits, `.`, `-` and `_`");
        }
    }
    None
}

fn refusal(name: &GeneralName) -> NameFault {
    let (kind, name) = match name {
        GeneralName::UniformResourceIdentifier(uri) => ("URI", shown(uri.as_str())),
        GeneralName::DnsName(dns) => ("DNS name", shown(dns.as_str())),
        GeneralName::Rfc822Name(mail) => ("e-mail address", shown(mail.as_str())),
        GeneralName::IpAddress(address) => ("IP address", ip_address(address.as_bytes())),
        GeneralName::DirectoryName(name) => ("directory name", shown(&name.to_string())),
        GeneralName::RegisteredId(oid) => ("registered identifier", oid.to_string()),
        GeneralName::OtherName(other) => ("other name of type", other.type_id.to_string()),
        GeneralName::EdiPartyName(_) => ("EDI party name", String::new()),
    };
    NameFault::Other { kind, name }
}

fn ip_address(octets: &[u8]) -> String {
    let v4 = <[u8; 4]>::try_from(octets).map(|octets| core::net::Ipv4Addr::from(octets).to_string());
    let v6 = || <[u8; 16]>::try_from(octets).map(|octets| core::net::Ipv6Addr::from(octets).to_string());
    v4.or_else(|_| v6()).unwrap_or_else(|_| shown(&hex::encode(octets)))
}

/// A stranger's text, fit for a line of a log: nothing invisible in it, and not too long.
fn shown(text: &str) -> String {
    let mut characters = text.chars().flat_map(char::escape_default);
    let mut start: String = characters.by_ref().take(MAX_SHOWN).collect();
    if characters.next().is_some() {
        start.push_str("...");
    }
    start
}
