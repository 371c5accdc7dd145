//! Agent URIs: `agent://trust-domain/org/type/instance` (draft 4.1, protocol section 1, R15, R16).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

const SCHEME: &str = "agent://";
const MAX_URI: usize = 512;
const MAX_DOMAIN: usize = 253;
const MAX_LABEL: usize = 63;
const MAX_SEGMENT: usize = 64;

/// Why a string is not an agent URI.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AgentUriError {
    /// Longer than 512 octets.
    #[error("an agent URI has at most 512 octets, not {0}")]
    TooLong(usize),
    /// A space, a control character or anything outside ASCII.
    #[error("an agent URI is made of visible ASCII characters")]
    Character,
    /// Another scheme, or another spelling of it (R15).
    #[error("an agent URI starts with `agent://` in lower case")]
    Scheme,
    /// A `#`.
    #[error("an agent URI has no fragment")]
    Fragment,
    /// A `?`.
    #[error("an agent URI has no query")]
    Query,
    /// An `@` in the trust domain.
    #[error("an agent URI has no user before its trust domain")]
    UserInfo,
    /// A `:` in the trust domain.
    #[error("an agent URI has no port, and its trust domain is a DNS name")]
    Port,
    /// A dot at the end of the trust domain.
    #[error("the trust domain is written without a dot at its end")]
    TrailingDot,
    /// A trust domain of more than 253 octets.
    #[error("a trust domain has at most 253 octets, not {0}")]
    DomainTooLong(usize),
    /// Upper case in the trust domain; it is refused, not normalised.
    #[error("the trust domain is written in lower case")]
    DomainCase,
    /// A label that is empty, too long, or not letters, digits and inner hyphens.
    #[error("`{0}` is not a DNS label: 1 to 63 letters, digits and inner hyphens")]
    DomainLabel(String),
    /// A trust domain of one label.
    #[error("a trust domain has at least two labels")]
    DomainLabels,
    /// Not three segments, or an empty one.
    #[error("the path has exactly three segments, org/type/instance, and none is empty")]
    Segments,
    /// A character outside `[A-Za-z0-9_-]` in the path.
    #[error("the segment `{0}` has characters other than letters, digits, `_` and `-`")]
    SegmentCharacter(String),
    /// A segment of more than 64 octets.
    #[error("a segment has at most 64 octets, not {0}")]
    SegmentTooLong(usize),
}

impl AgentUriError {
    /// A stable short name of the cause, for metrics and machine-readable findings.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLong(_) => "too-long",
            Self::Character => "character",
            Self::Scheme => "scheme",
            Self::Fragment => "fragment",
            Self::Query => "query",
            Self::UserInfo => "userinfo",
            Self::Port => "port",
            Self::TrailingDot => "domain-trailing-dot",
            Self::DomainTooLong(_) => "domain-too-long",
            Self::DomainCase => "domain-case",
            Self::DomainLabel(_) => "domain-label",
            Self::DomainLabels => "domain-labels",
            Self::Segments => "segments",
            Self::SegmentCharacter(_) => "segment-character",
            Self::SegmentTooLong(_) => "segment-too-long",
        }
    }
}

/// A valid agent URI. There is one spelling of each, so equality of text is equality of agents.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentUri {
    text: String,
    /// Where the three slashes of the path are.
    slashes: [usize; 3],
}

impl AgentUri {
    /// The one SPIFFE ID that stands for the same agent: the same authority and path (draft 4.3).
    pub fn spiffe_id(&self) -> String {
        format!("spiffe://{}", self.text.strip_prefix(SCHEME).unwrap_or_default())
    }

    /// Reads an agent URI; nothing is normalised.
    pub fn parse(text: &str) -> Result<Self, AgentUriError> {
        if text.len() > MAX_URI {
            return Err(AgentUriError::TooLong(text.len()));
        }
        if !text.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(AgentUriError::Character);
        }
        let rest = text.strip_prefix(SCHEME).ok_or(AgentUriError::Scheme)?;
        if rest.contains('#') {
            return Err(AgentUriError::Fragment);
        }
        if rest.contains('?') {
            return Err(AgentUriError::Query);
        }
        let (domain, path) = rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
        check_domain(domain)?;
        let [org, agent_type, _] = segments(path)?;
        let first = SCHEME.len() + domain.len();
        let second = first + 1 + org.len();
        Ok(Self { slashes: [first, second, second + 1 + agent_type.len()], text: text.to_owned() })
    }

    /// The URI as it was read.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The DNS name of the organisation whose CA vouches for the agent, in lower case.
    pub fn trust_domain(&self) -> &str {
        &self.text[SCHEME.len()..self.slashes[0]]
    }

    /// The unit inside the organisation.
    pub fn org(&self) -> &str {
        &self.text[self.slashes[0] + 1..self.slashes[1]]
    }

    /// What kind of agent it is.
    pub fn agent_type(&self) -> &str {
        &self.text[self.slashes[1] + 1..self.slashes[2]]
    }

    /// Which one of its kind it is.
    pub fn instance(&self) -> &str {
        &self.text[self.slashes[2] + 1..]
    }
}

fn check_domain(domain: &str) -> Result<(), AgentUriError> {
    if domain.contains('@') {
        return Err(AgentUriError::UserInfo);
    }
    if domain.contains(':') {
        return Err(AgentUriError::Port);
    }
    if domain.ends_with('.') {
        return Err(AgentUriError::TrailingDot);
    }
    if domain.len() > MAX_DOMAIN {
        return Err(AgentUriError::DomainTooLong(domain.len()));
    }
    if domain.bytes().any(|c| c.is_ascii_uppercase()) {
        return Err(AgentUriError::DomainCase);
    }
    if let Some(bad) = domain.split('.').find(|label| !is_label(label)) {
        return Err(AgentUriError::DomainLabel(bad.to_owned()));
    }
    if domain.contains('.') { Ok(()) } else { Err(AgentUriError::DomainLabels) }
}

/// Letters, digits and inner hyphens, 1 to 63 of them (RFC 1123 section 2.1).
pub(super) fn is_label(label: &str) -> bool {
    let ldh = label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    ldh && (1..=MAX_LABEL).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

fn segments(path: Option<&str>) -> Result<[&str; 3], AgentUriError> {
    let mut parts = path.ok_or(AgentUriError::Segments)?.split('/');
    let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or(AgentUriError::Segments);
    let three = [next()?, next()?, next()?];
    if parts.next().is_some() {
        return Err(AgentUriError::Segments);
    }
    for segment in three {
        if !segment.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-') {
            return Err(AgentUriError::SegmentCharacter(segment.to_owned()));
        }
        if segment.len() > MAX_SEGMENT {
            return Err(AgentUriError::SegmentTooLong(segment.len()));
        }
    }
    Ok(three)
}

impl FromStr for AgentUri {
    type Err = AgentUriError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for AgentUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for AgentUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentUri({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_its_parts() {
        let uri = AgentUri::parse("agent://bank.example.com/kyc/verification-agent/e5f6g7h8").unwrap();
        let parts = (uri.trust_domain(), uri.org(), uri.agent_type(), uri.instance());
        assert_eq!(parts, ("bank.example.com", "kyc", "verification-agent", "e5f6g7h8"));
    }

    proptest! {
        #[test]
        fn built_from_valid_parts_it_reads_back(
            domain in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,8}){1,4}",
            org in "[A-Za-z0-9_-]{1,64}",
            agent_type in "[A-Za-z0-9_-]{1,64}",
            instance in "[A-Za-z0-9_-]{1,64}",
        ) {
            let text = format!("agent://{domain}/{org}/{agent_type}/{instance}");
            let uri = AgentUri::parse(&text).unwrap();
            let parts = (uri.trust_domain(), uri.org(), uri.agent_type(), uri.instance());
            prop_assert_eq!(parts, (domain.as_str(), org.as_str(), agent_type.as_str(), instance.as_str()));
            prop_assert_eq!(uri.to_string(), text);
        }

        #[test]
        fn never_panics_and_keeps_what_it_accepts(text in "(agent://)?[a-z./:@#?é -]{0,60}") {
            if let Ok(uri) = AgentUri::parse(&text) {
                prop_assert_eq!(uri.as_str(), text);
            }
        }
    }
}
