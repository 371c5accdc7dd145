//! What an agent asks for (draft 7.1, steps 2 and 3), read and checked for form, judged by nobody yet.

use serde::{Deserialize, Serialize};

use super::encoding;
use crate::apki::AgentUri;
use crate::apki::capabilities::Capabilities;
use crate::apki::delegation::AttenuationRules;
use crate::apki::extension::{AsciiText, Text};
use crate::keys::PublicKey;

/// What an agent says of how it was built (draft 5.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The family of the model.
    pub model_family: Text,
    /// The version of the model.
    pub model_version: Text,
    /// What the model runs in.
    pub framework: Text,
    /// Who built the agent.
    pub organization: Text,
    /// SHA-256 of the build.
    #[serde(default, with = "encoding::optional_hash", skip_serializing_if = "Option::is_none")]
    pub build_hash: Option<[u8; 32]>,
    /// What an attester says of it, at most 16 KiB, not looked into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Octets>,
    /// Where the evidence is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_uri: Option<AsciiText>,
}

/// Octets, base64 in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Octets(#[serde(with = "encoding::base64")] pub Vec<u8>);

/// The human at the start of a delegation line, and how far the line may go (draft 5.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Who answers for the agent, in plain words. A certificate has a salted hash of it unless the CA
    /// publishes names (draft 11.4, protocol section 6).
    pub human: Text,
    /// How many delegations there may be below; `None` leaves it to the CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<u8>,
    /// What binds every descendant.
    #[serde(default)]
    pub rules: AttenuationRules,
}

/// A request for a certificate, whose key the requester has proven to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Application {
    /// Who asks to be certified.
    pub agent: AgentUri,
    /// The SPIFFE ID that is to stand beside it (draft 4.3): the agent's own, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spiffe: Option<String>,
    /// The key.
    #[serde(with = "encoding::spki")]
    pub public_key: PublicKey,
    /// How the agent was built, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// What it asks to be allowed to do; `None` for all that its credential allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// For how long; `None` leaves it to the CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_seconds: Option<u32>,
    /// The human behind it, where there is one to name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<Principal>,
    /// How the agent may hand its rights on, where another agent hands them to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<DelegationTerms>,
}

/// How a child may hand on what its parent hands to it (draft 5.4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegationTerms {
    /// maxDelegationDepth; `None` for the parent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<u8>,
    /// What binds every descendant of the child.
    #[serde(default)]
    pub rules: AttenuationRules,
}
