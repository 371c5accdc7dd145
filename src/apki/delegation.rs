//! AgentDelegation (draft 5.4): who handed an agent its rights, and how it may hand them on.
//!
//! Only the form is checked here; whether a child keeps its parents' rules needs the parents.

use der::asn1::{ObjectIdentifier, OctetStringRef, Utf8StringRef};
use der::{Encode, Sequence};
use serde::{Deserialize, Serialize};

use super::capabilities::Amount;
use super::extension::{AgentExtension, ExtensionError, Text, decode_strict, hash, ranged};
use super::oid;
use super::trust_score::Score;

/// The extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// SHA-256 of the parent's final certificate; 32 zero octets at depth 0.
    pub parent_cert_hash: [u8; 32],
    /// How many delegations stand between the root of the line and this agent.
    pub depth: u8,
    /// How many there may be in all.
    pub max_depth: u8,
    /// What binds every descendant.
    pub rules: AttenuationRules,
    /// The human who answers for the line, as a salted hash unless the CA publishes names
    /// (protocol section 6).
    pub human_principal: Option<Text>,
}

/// Limits for every certificate below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AttenuationRules {
    /// Descendants have a subset of the capabilities. FALSE is well-formed, and refused by whoever
    /// judges a delegation.
    pub capabilities_subset: bool,
    /// No descendant has a higher score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_trust_score: Option<Score>,
    /// No descendant spends more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_spend_limit: Option<Amount>,
    /// Every descendant's scopes are this one or below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_narrowing: Option<Text>,
}

impl Default for AttenuationRules {
    /// The ASN.1 defaults: capabilities shrink, nothing else is limited.
    fn default() -> Self {
        Self { capabilities_subset: true, max_trust_score: None, max_spend_limit: None, scope_narrowing: None }
    }
}

#[derive(Sequence)]
struct AgentDelegation<'a> {
    parent_cert_hash: &'a OctetStringRef,
    delegation_depth: i64,
    max_delegation_depth: i64,
    attenuation_rules: RawRules<'a>,
    #[asn1(optional = "true")]
    human_principal: Option<Utf8StringRef<'a>>,
}

#[derive(Sequence)]
struct RawRules<'a> {
    #[asn1(default = "always")]
    capabilities_subset: bool,
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT", optional = "true")]
    max_trust_score: Option<i64>,
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", optional = "true")]
    max_spend_limit: Option<i64>,
    #[asn1(optional = "true")]
    scope_narrowing: Option<Utf8StringRef<'a>>,
}

const fn always() -> bool {
    true
}

impl AgentExtension for Delegation {
    const OID: ObjectIdentifier = oid::AGENT_DELEGATION;

    fn from_der(der: &[u8]) -> Result<Self, ExtensionError> {
        let raw: AgentDelegation<'_> = decode_strict(der)?;
        let depth = |value, field| ranged(value, 0, 255).map_err(|e| e.of(field));
        let principal = raw.human_principal.map(Text::new).transpose();
        Ok(Self {
            parent_cert_hash: hash(raw.parent_cert_hash.as_bytes()).map_err(|e| e.of("parentCertHash"))?,
            depth: depth(raw.delegation_depth, "delegationDepth")?,
            max_depth: depth(raw.max_delegation_depth, "maxDelegationDepth")?,
            rules: raw.attenuation_rules.validate()?,
            human_principal: principal.map_err(|e| e.of("humanPrincipal"))?,
        })
    }

    fn to_der(&self) -> Result<Vec<u8>, ExtensionError> {
        let principal = self.human_principal.as_ref().map(|text| Utf8StringRef::new(text.as_str())).transpose()?;
        let raw = AgentDelegation {
            parent_cert_hash: OctetStringRef::new(&self.parent_cert_hash)?,
            delegation_depth: self.depth.into(),
            max_delegation_depth: self.max_depth.into(),
            attenuation_rules: RawRules::of(&self.rules)?,
            human_principal: principal,
        };
        Ok(raw.to_der()?)
    }
}

impl<'a> RawRules<'a> {
    fn validate(&self) -> Result<AttenuationRules, ExtensionError> {
        let (score, spend) = (self.max_trust_score, self.max_spend_limit);
        let scope = self.scope_narrowing.as_ref().map(|scope| Text::new(scope.as_str())).transpose();
        Ok(AttenuationRules {
            capabilities_subset: self.capabilities_subset,
            max_trust_score: score.map(Score::from_integer).transpose().map_err(|e| e.of("maxTrustScore"))?,
            max_spend_limit: spend.map(Amount::from_integer).transpose().map_err(|e| e.of("maxSpendLimit"))?,
            scope_narrowing: scope.map_err(|e| e.of("scopeNarrowing"))?,
        })
    }

    fn of(rules: &'a AttenuationRules) -> Result<Self, der::Error> {
        let scope = rules.scope_narrowing.as_ref().map(|scope| Utf8StringRef::new(scope.as_str()));
        Ok(Self {
            capabilities_subset: rules.capabilities_subset,
            max_trust_score: rules.max_trust_score.map(|score| score.get().into()),
            max_spend_limit: rules.max_spend_limit.map(Amount::to_integer),
            scope_narrowing: scope.transpose()?,
        })
    }
}
