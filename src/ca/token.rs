//! Enrolment tokens: what lets an agent without a certificate ask for its first one, once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::encoding;
pub use super::ident::TokenId;
use super::ident::{IdError, RequestId};
use crate::apki::AgentUri;
use crate::apki::capabilities::Capabilities;
use crate::apki::uri::AgentUriError;
use crate::time::UnixMillis;

/// What stands in front of every token, so that a leaked one is recognised.
const PREFIX: &str = "atl-enrol-";

/// A token as its holder has it: `atl-enrol-<id>-<secret>`, both in hex.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret {
    /// Which token.
    pub id: TokenId,
    secret: [u8; 32],
}

/// Text that is not an enrolment token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("this is no enrolment token: one reads {PREFIX}<16 hex digits>-<64 hex digits>")]
pub struct BadToken;

impl TokenSecret {
    /// The token of these random octets.
    pub const fn new(id: TokenId, secret: [u8; 32]) -> Self {
        Self { id, secret }
    }

    /// What the CA keeps of the secret.
    pub fn secret_hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }
}

impl fmt::Display for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}-{}", self.id, hex::encode(self.secret))
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSecret").field("id", &self.id).finish_non_exhaustive()
    }
}

impl FromStr for TokenSecret {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let (id, secret) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).ok_or(BadToken)?;
        let mut octets = [0; 32];
        hex::decode_to_slice(secret, &mut octets).map_err(|_| BadToken)?;
        Ok(Self { id: id.parse().map_err(|_: IdError| BadToken)?, secret: octets })
    }
}

/// Which agent URIs a token is for: a URI in which whole path segments may be `*`, such as
/// `agent://bank.example.com/payments/*/*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriPattern {
    text: String,
    /// The pattern with each `*` replaced by a segment, so that what is left has been read strictly.
    example: AgentUri,
}

impl UriPattern {
    /// Reads a pattern. The trust domain is always spelt out.
    pub fn parse(text: &str) -> Result<Self, AgentUriError> {
        let spelt: Vec<&str> = text.split('/').map(|part| if part == "*" { "any" } else { part }).collect();
        // `*` in place of the domain becomes a single label, which no trust domain is.
        Ok(Self { example: AgentUri::parse(&spelt.join("/"))?, text: text.to_owned() })
    }

    /// The pattern as it was read.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain that all matching agents are in.
    pub fn trust_domain(&self) -> &str {
        self.example.trust_domain()
    }

    /// Whether the pattern is for this agent.
    pub fn matches(&self, agent: &AgentUri) -> bool {
        // Both have the same number of parts: they were read by the same rules.
        self.text.split('/').zip(agent.as_str().split('/')).all(|(pattern, part)| pattern == "*" || pattern == part)
    }
}

impl Serialize for UriPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for UriPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a token is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenScope {
    /// Which agents.
    pub agents: UriPattern,
    /// The most that they may be allowed to do; `None` leaves it to the CA's own ceiling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// The longest validity of the certificate that it is for; `None` leaves it to the CA's bounds, as every
    /// renewal is left to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_validity_seconds: Option<u32>,
    /// Whether it may enrol, with a new key, an agent that has a certificate which is still valid.
    /// Otherwise that waits for an operator.
    #[serde(default)]
    pub replaces: bool,
}

/// A token as the CA knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its public half.
    pub id: TokenId,
    /// SHA-256 of its secret.
    #[serde(with = "encoding::hash")]
    pub secret_hash: [u8; 32],
    /// What it is good for.
    pub scope: TokenScope,
    /// The operator who minted it.
    pub minted_by: String,
    /// When.
    pub minted_at: UnixMillis,
    /// Not good from then on.
    pub expires_at: UnixMillis,
    /// What became of it.
    #[serde(default)]
    pub used: TokenUse,
    /// How many applications with it were refused.
    #[serde(default)]
    pub refused: u16,
}

/// What became of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenUse {
    /// Nothing yet.
    #[default]
    Unused,
    /// It stands behind this request and no other.
    Spent(RequestId),
    /// An operator took it back.
    Withdrawn,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_hides_its_secret() {
        let token = TokenSecret::new(TokenId::new([7; 8]), [9; 32]);
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains("0909"));
        for wrong in ["", "atl-enrol-", "atl-enrol-07-09", &token.to_string()[1..], &format!("{token}0")] {
            assert_eq!(wrong.parse::<TokenSecret>(), Err(BadToken), "{wrong}");
        }
    }

    #[test]
    fn a_star_stands_for_one_segment() {
        let agent = |text| AgentUri::parse(text).unwrap();
        let pattern = UriPattern::parse("agent://bank.example.com/payments/*/*").unwrap();
        assert!(pattern.matches(&agent("agent://bank.example.com/payments/bot/1")));
        assert!(!pattern.matches(&agent("agent://bank.example.com/kyc/bot/1")));
        assert!(!pattern.matches(&agent("agent://bank.example.org/payments/bot/1")));
        let exact = UriPattern::parse("agent://bank.example.com/payments/bot/1").unwrap();
        assert!(exact.matches(&agent("agent://bank.example.com/payments/bot/1")));
        assert!(!exact.matches(&agent("agent://bank.example.com/payments/bot/2")));
        for wrong in ["agent://*/a/b/c", "agent://bank.example.com/a/*", "agent://bank.example.com/a*/b/c", "*", ""] {
            assert!(UriPattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
