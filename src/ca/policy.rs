//! What an operator set: the rules that the CA decides by. Plain values, read once.

use std::collections::BTreeMap;

use super::registry::Registry;
use crate::apki::capabilities::Capabilities;
use crate::apki::extension::Text;
use crate::apki::trust_score::{DecayRate, Score};

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
