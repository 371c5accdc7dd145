//! What a bundle comes to: the four answers where all of it holds, and every link either way.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::action::Statement;
use super::link::{Link, Outcome};
use crate::apki::AgentUri;
use crate::apki::capabilities::{Capabilities, Capability};
use crate::apki::extension::Text;
use crate::apki::federation::TrustDomain;
use crate::apki::status::RevocationReason;
use crate::apki::trust_score::Score;
use crate::keys::LogId;
use crate::merkle::{LeafIndex, TreeSize};
use crate::time::UnixMillis;
use crate::verify::relying::{Note, Operation};

/// The verdict about a bundle.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What the agent said when it signed. Whether it did, says the link `signature`.
    pub statement: Statement,
    /// The moment that all of it was judged at.
    pub judged_at: UnixMillis,
    /// Every link, from the action's octets up to the human.
    pub links: Vec<Link>,
    /// What is worth knowing and refuses nothing.
    pub notes: Vec<Note>,
    /// Who says it is, where that could be read.
    pub claims: Option<AgentUri>,
    /// There where every link holds, or was not asked for.
    pub answers: Option<Box<Answers>>,
}

/// What a bundle that holds answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// Who authorised this?
    pub who: Who,
    /// Under what limits?
    pub limits: Limits,
    /// On whose behalf?
    pub on_behalf_of: OnBehalfOf,
    /// Was it in the public log at the time? For each agent of the line, itself first, and each log that counts.
    pub logged: Vec<Logged>,
    /// What became of the certificates of the line afterwards.
    pub revoked_later: Vec<RevokedLater>,
}

/// The agent that signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Who {
    /// Its name.
    pub agent: AgentUri,
    /// The domain that vouches for it.
    pub domain: TrustDomain,
    /// SHA-256 of its certificate.
    #[serde(serialize_with = "in_hex")]
    pub certificate: [u8; 32],
    /// The thumbprint of its key (RFC 7638).
    pub key: String,
    /// From when on the certificate was valid.
    pub not_before: UnixMillis,
    /// Until when.
    pub not_after: UnixMillis,
}

/// What it was allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// What it did, in the terms of a capability, where that was said.
    pub operation: Option<Operation>,
    /// The capabilities behind the operation: the agent's own first, then those that it was handed on from.
    pub rights: Vec<Right>,
    /// All that it was allowed.
    #[serde(serialize_with = "as_list")]
    pub capabilities: Capabilities,
    /// How far it was trusted at the time: the least of its line, after decay and mapping.
    pub score: Score,
    /// What the policy asks for.
    pub minimum_score: Score,
}

/// One capability and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Right {
    /// Whose.
    pub agent: AgentUri,
    /// What.
    pub capability: Capability,
}

/// Who stands behind the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OnBehalfOf {
    /// The agents above it, its parent first.
    pub parents: Vec<Parent>,
    /// The human who answers for the line, as the certificate at its root says: `sha256:` and a salted hash, unless
    /// the CA publishes names. `None` where nothing was delegated and nobody answers.
    pub human_principal: Option<Text>,
    /// The name behind the hash, where it was brought and fits.
    pub name: Option<String>,
}

/// An agent above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parent {
    /// Its name.
    pub agent: AgentUri,
    /// SHA-256 of its certificate.
    #[serde(serialize_with = "in_hex")]
    pub certificate: [u8; 32],
}

/// That one log has had one certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Logged {
    /// Whose certificate.
    pub agent: AgentUri,
    /// SHA-256 of the certificate.
    #[serde(serialize_with = "in_hex")]
    pub certificate: [u8; 32],
    /// What the log is called here.
    pub log: String,
    /// Who runs it.
    pub operator: String,
    /// Its identity.
    #[serde(serialize_with = "as_text")]
    pub log_id: LogId,
    /// Since when, by the timestamp that the log gave.
    pub since: UnixMillis,
    /// Where it is in the log, and under which head that was proven; `None` where of this log there is the
    /// timestamp alone.
    pub entry: Option<Entry>,
}

/// An entry under a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Where it is.
    pub leaf_index: LeafIndex,
    /// How large the tree was.
    pub tree_size: TreeSize,
    /// When the log signed its head, or since when witnesses have seen it; a checkpoint alone says no time.
    pub head_at: Option<UnixMillis>,
}

/// A certificate that was revoked after the action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RevokedLater {
    /// Whose.
    pub agent: AgentUri,
    /// When.
    pub at: UnixMillis,
    /// Why.
    #[serde(serialize_with = "as_text")]
    pub reason: RevocationReason,
}

fn in_hex<S: Serializer>(octets: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(octets))
}

fn as_text<T: std::fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_list<S: Serializer>(capabilities: &Capabilities, serializer: S) -> Result<S::Ok, S::Error> {
    capabilities.as_slice().serialize(serializer)
}

impl Finding {
    /// Whether every link holds.
    pub const fn holds(&self) -> bool {
        self.answers.is_some()
    }

    /// The links that do not.
    pub fn failed(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.outcome == Outcome::Fails)
    }

    /// The codes of all that is wrong, in the order of the links.
    pub fn codes(&self) -> Vec<&'static str> {
        self.failed().flat_map(|link| &link.failures).map(|failure| failure.code).collect()
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Statement { digest, signed_at, certificate, operation } = &self.statement;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("holds", &self.holds())?;
        map.serialize_entry("claims", &self.claims)?;
        map.serialize_entry("sha256", &hex::encode(digest.sha256))?;
        map.serialize_entry("length", &digest.length)?;
        map.serialize_entry("certificate", &hex::encode(certificate))?;
        map.serialize_entry("signed_at", signed_at)?;
        map.serialize_entry("judged_at", &self.judged_at)?;
        map.serialize_entry("operation", operation)?;
        map.serialize_entry("answers", &self.answers)?;
        map.serialize_entry("links", &self.links)?;
        map.serialize_entry("notes", &self.notes)?;
        map.end()
    }
}

/// The one line for logs: what fails.
impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.holds() {
            return f.write_str("every link holds");
        }
        let failures: Vec<_> = self.failed().flat_map(|link| &link.failures).collect();
        for (index, failure) in failures.into_iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", failure.code, failure.detail)?;
        }
        Ok(())
    }
}
