//! What an operator set: the rules that the CA decides by. Plain values, read once.

use std::collections::BTreeMap;

use super::registry::Registry;
use crate::apki::attenuation::Mode;
use crate::apki::capabilities::Capabilities;
use crate::apki::extension::Text;
use crate::apki::trust_score::{DecayRate, Score, TrustTier};

/// The CA's rules.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The trust domain that this CA speaks for; all its agents are in it.
    pub trust_domain: String,
    /// Who attests what the CA verified: the CA's own name.
    pub attestor: Text,
    /// Seconds that certificates are valid for.
    pub validity: ValidityRule,
    /// Points that a score loses in an hour.
    pub decay_rate: DecayRate,
    /// How scores are computed, as certificates say it.
    pub computation_method: Text,
    /// How a certificate names the human behind an agent.
    pub principal: PrincipalRule,
    /// Most delegations below an agent (draft 5.4 recommends 5).
    pub max_delegation_depth: u8,
    /// Who may hand rights on, and to whom.
    pub delegation: DelegationRule,
    /// What a change of the trust engine's score leads to.
    pub trust: TrustRule,
    /// Certificates that an agent may have at a time which have not ended.
    pub max_live: u16,
    /// Whether a renewal brings a new key.
    pub renewal_key: RenewalKeyRule,
    /// Whether SPIFFE IDs may stand beside agent URIs.
    pub spiffe: bool,
    /// What waits for an operator.
    pub approval: ApprovalRule,
    /// How long it waits, in milliseconds.
    pub pending_ttl_ms: u64,
    /// No certificate is issued below this score.
    pub min_score: Score,
    /// Points of organisations that are not listed: 0 to 20.
    pub default_reputation: u8,
    /// Points of the organisations listed, by the URI's `org` segment: 0 to 20.
    pub reputations: BTreeMap<String, u8>,
    /// Where agents may come from.
    pub provenance: ProvenanceRule,
    /// Builds known to be good.
    pub registry: Registry,
    /// The most that any agent may be allowed to do; `None` is no limit.
    pub ceiling: Option<Capabilities>,
}

/// Who may hand rights on, and to whom (draft 9.2, 11.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DelegationRule {
    /// The least effective score that a parent has.
    pub min_score: Score,
    /// Whether a child has to have less than its parent (draft 5.4), or may have as much (draft 9.1).
    pub mode: Mode,
    /// Whether a child is of its parent's organisation, by the URI's `org` segment: otherwise any agent could
    /// name another organisation's.
    pub same_org: bool,
    /// Most children of an agent.
    pub max_children: u32,
}

impl Default for DelegationRule {
    /// What an operator gets who sets nothing.
    fn default() -> Self {
        Self { min_score: TrustTier::Standard.floor(), mode: Mode::Strict, same_org: true, max_children: 1000 }
    }
}

/// What a change of the trust engine's score leads to (draft 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustRule {
    /// By more points than this from the score in the certificate, either way, the agent is to renew.
    pub reissue_change: u8,
    /// Below this the agent is revoked.
    pub revoke_below: Score,
}

impl Default for TrustRule {
    /// As the draft recommends.
    fn default() -> Self {
        Self { reissue_change: 10, revoke_below: TrustTier::Restricted.floor() }
    }
}

/// Certificates that an agent may have at a time where the operator sets nothing: an agent that renews at half
/// of their validity has two or three.
pub const DEFAULT_MAX_LIVE: u16 = 64;

/// Seconds that certificates are valid for: `min <= default <= max`, within the draft's 5 minutes to 24
/// hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidityRule {
    /// The least that may be asked for.
    pub min: u32,
    /// What is given to those who do not ask.
    pub default: u32,
    /// The most that may be asked for.
    pub max: u32,
}

/// How a certificate names the human behind an agent (draft 11.4, protocol section 6).
#[derive(Clone, PartialEq, Eq)]
pub enum PrincipalRule {
    /// `sha256:` and the hex of SHA-256 over this salt and the name.
    Hashed {
        /// The CA's secret salt.
        salt: [u8; 32],
    },
    /// The name itself.
    Plain,
}

impl std::fmt::Debug for PrincipalRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hashed { .. } => "Hashed",
            Self::Plain => "Plain",
        })
    }
}

/// Which key a renewal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenewalKeyRule {
    /// The old one or a new one.
    Any,
    /// A new one each time.
    New,
    /// The one that the current certificate is for.
    Same,
}

/// Which enrolments wait for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalRule {
    /// None, but for agents that exist already.
    Never,
    /// Those of builds that the registry does not know.
    Unregistered,
    /// All of them.
    Always,
}

/// Where agents may come from. An empty list knows everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvenanceRule {
    /// Families of models.
    pub models: Vec<String>,
    /// Frameworks.
    pub frameworks: Vec<String>,
    /// Whether what is not listed is refused, instead of scoring less.
    pub required: bool,
}
