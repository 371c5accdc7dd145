//! What a relying party wants: its own numbers and lists. It has no defaults for what the draft says every
//! relying party must define (6.1: the minimum; 11.5: what happens when revocation cannot be asked about).

use std::collections::BTreeSet;

use crate::apki::attestation::AttestationMethod;
use crate::apki::capabilities::MAX_TOOL_URI;
use crate::apki::extension::AsciiText;
use crate::apki::trust_score::Score;
use crate::apki::uri::AgentUri;
use crate::keys::SignatureAlgorithm;
use crate::log::cosignature::WitnessQuorum;

/// The longest line of delegation that any policy takes, the agent itself not counted.
pub const MAX_DEPTH: u8 = 16;
/// The recommended one (draft 5.4).
pub const RECOMMENDED_DEPTH: u8 = 5;
/// From so many points on, timestamps of two operators are wanted (protocol section 6).
pub const TWO_OPERATORS: Score = crate::apki::trust_score::TrustTier::Elevated.floor();

/// What a relying party wants of an agent.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The least score, after decay and mapping (draft 6.1).
    pub minimum: Score,
    /// The signature algorithms that are taken, of certificates and of agents' keys (draft 11.3).
    pub algorithms: Vec<SignatureAlgorithm>,
    /// Whether revocation has to be known of.
    pub revocation: RevocationPolicy,
    /// The most parents above an agent; at most [`MAX_DEPTH`].
    pub max_depth: u8,
    /// Whether an agent without agentDelegation, for whom no human answers, is refused.
    pub require_delegation: bool,
    /// What is wanted of an agent's build.
    pub provenance: ProvenancePolicy,
    /// What is wanted beside timestamps, where anything is.
    pub inclusion: Option<InclusionPolicy>,
    /// How recently a log must have been audited for its timestamps to count, in milliseconds (draft 11.2.5
    /// says 24 hours); `None` where nobody audits.
    pub audited_within: Option<u64>,
    /// Which agents, where not all of a trusted domain.
    pub peers: Peers,
    /// Stricter rules for single tools.
    pub tools: Vec<ToolRule>,
}

/// When an agent is refused for what is not known of its revocation (draft 11.5: every relying party
/// defines it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationMode {
    /// Without an answer that is recent enough, refuse.
    HardFail,
    /// Refuse whoever is known to be revoked, and take whoever nothing is known of.
    SoftFail,
    /// Do not ask. Short validity is then the only protection.
    Off,
}

/// What has to be known of revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationPolicy {
    /// What to do without an answer.
    pub mode: RevocationMode,
    /// Most milliseconds since an answer or a list was true; `None` trusts its own nextUpdate alone.
    pub max_age: Option<u64>,
    /// Whether the CAs on the way have to be known as not revoked as well.
    pub issuers: bool,
}

/// What is wanted of agentProvenance and agentBehaviouralAttestation (draft 11.2.9).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvenancePolicy {
    /// The weakest method that is taken.
    pub minimum_method: Option<AttestationMethod>,
    /// The builds that are taken; `None` takes any.
    pub builds: Option<BTreeSet<[u8; 32]>>,
    /// The families of models that are taken; `None` takes any.
    pub models: Option<BTreeSet<String>>,
}

/// A proof of inclusion beside the timestamp.
#[derive(Clone, Debug)]
pub struct InclusionPolicy {
    /// Most milliseconds since the head of the proof was seen: a tree head's own time, or that of the
    /// cosignatures under a checkpoint.
    pub max_age: u64,
    /// Who must have seen the head; `None` takes a log's own word, with a signed tree head.
    pub witnesses: Option<WitnessQuorum>,
}

/// Which agents are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Peers {
    /// All of the trusted domains.
    #[default]
    Any,
    /// These, and those below these: `agent://domain/org/type/instance` names one agent, and with fewer
    /// segments all that begin with these segments.
    Only(Vec<PeerPattern>),
}

impl Peers {
    /// Whether `agent` is one of them.
    pub fn admit(&self, agent: &AgentUri) -> bool {
        match self {
            Self::Any => true,
            Self::Only(patterns) => patterns.iter().any(|pattern| pattern.matches(agent)),
        }
    }
}

/// An agent, or all of a domain, an organisation or a type: `agent://domain[/org[/type[/instance]]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerPattern(String);

/// The pattern that matches this one agent.
impl From<&AgentUri> for PeerPattern {
    fn from(agent: &AgentUri) -> Self {
        Self(agent.as_str().to_owned())
    }
}

impl PeerPattern {
    /// Reads a pattern; `None` where it could match no agent.
    pub fn parse(text: &str) -> Option<Self> {
        let segments = text.strip_prefix("agent://")?.split('/').count();
        let rest = ["/x", "/x/x", "/x/x/x"].get(..4usize.checked_sub(segments)?)?.last().copied().unwrap_or_default();
        AgentUri::parse(&format!("{text}{rest}")).ok()?;
        Some(Self(text.to_owned()))
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn matches(&self, agent: &AgentUri) -> bool {
        let rest = agent.as_str().strip_prefix(&self.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// What one tool wants beyond the policy: a payment more than a look at an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRule {
    /// The tool, octet for octet.
    pub tool_uri: AsciiText<MAX_TOOL_URI>,
    /// The least score; the policy's own counts where it is higher.
    pub minimum: Score,
    /// The weakest attestation that is taken here; the policy's own counts where it is stronger.
    pub minimum_method: Option<AttestationMethod>,
    /// Most milliseconds since an OCSP answer about the agent was true; a list does not do then (draft
    /// 11.2.10: high-value operations ask at once).
    pub ocsp_within: Option<u64>,
}

impl Policy {
    /// The policy that says no more than it must: the minimum, and what happens where revocation is not known. All
    /// algorithms that are verified here are taken, and lines as long as the draft recommends.
    pub fn new(minimum: Score, revocation: RevocationPolicy) -> Self {
        Self {
            minimum,
            algorithms: vec![SignatureAlgorithm::Ed25519, SignatureAlgorithm::EcdsaP256Sha256],
            revocation,
            max_depth: RECOMMENDED_DEPTH,
            require_delegation: false,
            provenance: ProvenancePolicy::default(),
            inclusion: None,
            audited_within: None,
            peers: Peers::Any,
            tools: Vec::new(),
        }
    }

    /// The rule for this tool, where there is one.
    pub fn rule_for(&self, tool_uri: &str) -> Option<&ToolRule> {
        self.tools.iter().find(|rule| rule.tool_uri.as_str() == tool_uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_segments() {
        let agent = AgentUri::parse("agent://bank.example.com/retail/teller/7").unwrap();
        let admits = |text: &str| PeerPattern::parse(text).unwrap().matches(&agent);
        for good in [
            "agent://bank.example.com",
            "agent://bank.example.com/retail",
            "agent://bank.example.com/retail/teller",
            agent.as_str(),
        ] {
            assert!(admits(good), "{good}");
        }
        for other in
            ["agent://bank.example", "agent://bank.example.com/ret", "agent://bank.example.com/retail/teller/77"]
        {
            assert!(!admits(other), "{other}");
        }
        for none in [
            "",
            "agent://",
            "agent://com",
            "bank.example.com",
            "agent://bank.example.com/",
            "agent://bank.example.com/a/b/c/d",
            "agent://bank.example.com/*",
        ] {
            assert_eq!(PeerPattern::parse(none), None, "{none}");
        }
        let other = AgentUri::parse("agent://bank.example.com/retail/teller/77").unwrap();
        assert!(PeerPattern::from(&agent).matches(&agent) && !PeerPattern::from(&agent).matches(&other));
        assert!(Peers::Any.admit(&agent) && !Peers::Only(Vec::new()).admit(&agent));
    }
}
