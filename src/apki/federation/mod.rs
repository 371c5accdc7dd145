//! Federation between trust domains (draft 10): what a domain tells others about itself, and how its
//! scores are taken.
//!
//! - [`bundle`]: the trust bundle (draft 10.1); [`jwk`]: its form for SPIFFE
//! - [`mapping`]: scores of one domain in the measure of another (draft 10.3)
//! - [`publish`]: a domain's own bundle in all its forms, signed

pub mod bundle;
pub mod jwk;
pub mod mapping;
pub mod publish;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

use super::AgentUri;

pub use self::bundle::{BundleError, TrustBundle};
pub use self::mapping::ScoreMapping;

/// Where a domain's bundle is by default, below `https://{trust-domain}` (draft 10.1).
pub const WELL_KNOWN: &str = "/.well-known/apki-trust-bundle";

/// A trust domain: the DNS name in the agent URIs of its agents (protocol section 1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(String);

/// A text that is no trust domain.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text:?} is no trust domain, which is a DNS name in lower case such as \"agents.example.com\": {reason}")]
pub struct TrustDomainError {
    text: String,
    reason: String,
}

impl TrustDomain {
    /// Reads it, by the rules of agent URIs: nothing is normalised.
    ///
    /// # Errors
    /// [`TrustDomainError`] where an agent URI could not have it.
    pub fn parse(text: &str) -> Result<Self, TrustDomainError> {
        let refuse = |reason: String| TrustDomainError { text: text.chars().take(300).collect(), reason };
        match AgentUri::parse(&format!("agent://{text}/x/y/z")) {
            Ok(uri) if uri.trust_domain() == text => Ok(Self(text.to_owned())),
            Ok(_) => Err(refuse("it has more than a DNS name".into())),
            Err(e) => Err(refuse(e.to_string())),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for TrustDomain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for TrustDomain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Cow::<'de, str>::deserialize(deserializer)?.as_ref()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_domain_is_what_an_agent_uri_can_have() {
        assert_eq!(TrustDomain::parse("agents.example.com").unwrap().to_string(), "agents.example.com");
        for wrong in
            ["", "com", "Agents.example.com", "a.example.", "a.b:1", "u@a.b", "a.b/c", "a.b/c/d/e", "a..b", "é.b"]
        {
            assert!(TrustDomain::parse(wrong).is_err(), "{wrong}");
        }
    }
}
