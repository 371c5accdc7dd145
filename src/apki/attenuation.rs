//! Attenuation (draft 5.4 and 9.1, protocol sections 6 and 7): whoever hands its rights on hands on
//! no more than it has.
//!
//! [`violations`] is the whole check of a child against the line above it; [`root_violations`] that
//! of an agent without a parent. [`covers`] and [`capabilities_within`] are the part about
//! capabilities, for other ceilings too.

mod coverage;

use std::collections::BTreeSet;

use thiserror::Error;

pub use self::coverage::{capabilities_within, covers};
use super::Certificate;
use super::capabilities::{Capabilities, Capability};
use super::delegation::Delegation;
use super::extension::{ExtensionError, Text};
use super::trust_score::TrustScore;
use super::uri::AgentUri;
use crate::time::UnixMillis;

/// The codes of all violations, in the order in which they are reported.
pub const CODES: [&str; 25] = [
    "missingExtension",
    "rootParentHash",
    "rootHumanPrincipal",
    "parentCertHash",
    "trustDomain",
    "subsetFalse",
    "depth",
    "maxDepth",
    "maxDepthRaised",
    "depthOverOwnMax",
    "notAfter",
    "score",
    "toolUri",
    "scope",
    "spendMissing",
    "spendExpanded",
    "currency",
    "perTransaction",
    "perPeriod",
    "rateMissing",
    "rateRaised",
    "maxTrustScore",
    "maxSpendLimit",
    "scopeNarrowing",
    "notStrict",
];

/// One way in which a child has more than it may have.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// Without all three of them there is no delegation to judge.
    #[error("the {who} has no {extension}")]
    MissingExtension {
        /// `child` or `parent`.
        who: &'static str,
        /// The extension's name in the ASN.1 module.
        extension: &'static str,
    },
    /// An agent without a parent that names one.
    #[error("at depth 0 there is no parent, and parentCertHash has to be 32 zero octets")]
    RootParentHash,
    /// An agent without a parent for whom no human answers.
    #[error("at depth 0 a humanPrincipal answers for the line, and there is none")]
    RootHumanPrincipal,
    /// Another parent than the one presented.
    #[error("parentCertHash is not the SHA-256 of the parent's final certificate")]
    ParentCertHash,
    /// A delegation out of the organisation.
    #[error("the trust domain `{child}` is not the parent's, `{parent}`")]
    TrustDomain {
        /// The child's.
        child: String,
        /// The parent's.
        parent: String,
    },
    /// A certificate that would let capabilities grow.
    #[error("capabilitiesSubset is FALSE in the {0}, and no delegation may grow")]
    SubsetFalse(&'static str),
    /// A depth that leaves out or repeats a step.
    #[error("delegationDepth is {depth} where {expected} belongs")]
    Depth {
        /// The child's.
        depth: u8,
        /// The parent's and one; 0 where there is no parent.
        expected: u16,
    },
    /// Deeper than the parent allows.
    #[error("delegationDepth {depth} is above the parent's maxDelegationDepth of {most}")]
    MaxDepth {
        /// The child's.
        depth: u8,
        /// The parent's maximum.
        most: u8,
    },
    /// The child allows itself more depth than the parent does.
    #[error("maxDelegationDepth {max} is above the parent's of {most}")]
    MaxDepthRaised {
        /// The child's maximum.
        max: u8,
        /// The parent's maximum.
        most: u8,
    },
    /// A certificate at odds with itself (R19).
    #[error("delegationDepth {depth} is above its own maxDelegationDepth of {max}")]
    DepthOverOwnMax {
        /// The child's.
        depth: u8,
        /// The child's maximum.
        max: u8,
    },
    /// A child that outlives its parent.
    #[error("notAfter {child} is later than the parent's, {parent}")]
    NotAfter {
        /// The child's.
        child: UnixMillis,
        /// The parent's.
        parent: UnixMillis,
    },
    /// More trust than the parent has left at that moment (R7).
    #[error("the score {score} is above the parent's effective score of {most}")]
    Score {
        /// The child's.
        score: u8,
        /// The parent's, decayed.
        most: u8,
    },
    /// The parent's score is of the future, so that there is none at that moment (R1).
    #[error("the parent has no effective score: its lastUpdated is more than 60 s ahead")]
    ParentScoreAhead,
    /// A tool that the parent does not have.
    #[error("there is no capability for the tool `{0}` above it")]
    ToolUri(String),
    /// A tool in a scope that the parent does not have it in.
    #[error("the tool `{tool}` is not had in the scope `{scope}` or a wider one")]
    Scope {
        /// The tool.
        tool: String,
        /// The scope asked for.
        scope: String,
    },
    /// A limit on money that the child has dropped.
    #[error("the tool `{0}` has a spendLimit above and must keep one")]
    SpendMissing(String),
    /// Money where the parent has none: without a limit it spends nothing (R2).
    #[error("the tool `{0}` has no spendLimit above, so nothing may be spent on it")]
    SpendExpanded(String),
    /// Money of another kind.
    #[error("the tool `{tool}` is paid in {parent} above, not in {child}")]
    Currency {
        /// The tool.
        tool: String,
        /// The currency asked for.
        child: String,
        /// The one that is had.
        parent: String,
    },
    /// maxPerTransaction higher, or left out.
    #[error("maxPerTransaction of the tool `{tool}` may be {most} at most, and has to be there")]
    PerTransaction {
        /// The tool.
        tool: String,
        /// In minor units.
        most: u64,
    },
    /// maxPerPeriod higher, as amount or as rate, or left out on either side (R3).
    #[error("maxPerPeriod and periodSeconds of the tool `{0}` have to be there, above too, and not allow more")]
    PerPeriod(String),
    /// A limit on calls that the child has dropped.
    #[error("the tool `{0}` has a rateLimit above and must keep one")]
    RateMissing(String),
    /// More calls, in number or as a rate.
    #[error("rateLimit of the tool `{tool}` may be {requests} in {seconds} s at most, and no more at once")]
    RateRaised {
        /// The tool.
        tool: String,
        /// maxRequests above.
        requests: u32,
        /// periodSeconds above.
        seconds: u32,
    },
    /// More trust than an ancestor lets its descendants have.
    #[error("the score {score} is above an ancestor's maxTrustScore of {most}")]
    MaxTrustScore {
        /// The child's.
        score: u8,
        /// The lowest above it.
        most: u8,
    },
    /// More money than an ancestor lets its descendants have (R4).
    #[error(
        "the spendLimit of the tool `{tool}` has to name an amount, and none above an ancestor's maxSpendLimit, {most}"
    )]
    MaxSpendLimit {
        /// The tool.
        tool: String,
        /// The lowest above it, in minor units.
        most: u64,
    },
    /// A scope outside the one that an ancestor's descendants are kept in (R5).
    #[error("the scope `{scope}` of the tool `{tool}` is outside an ancestor's scopeNarrowing, `{within}`")]
    ScopeNarrowing {
        /// The tool.
        tool: String,
        /// The child's scope.
        scope: String,
        /// The ancestor's rule.
        within: String,
    },
    /// The parent's whole set, where the CA wants less (R6).
    #[error("the capabilities are the parent's, and a delegation has to leave something out")]
    NotStrict,
}

impl Violation {
    /// Its stable short name, one of [`CODES`].
    pub const fn code(&self) -> &'static str {
        CODES[self.rank()]
    }

    /// Where its code stands in [`CODES`]. Between `toolUri` and `rateRaised` the later code is of a
    /// capability that was compared further.
    const fn rank(&self) -> usize {
        match self {
            Self::MissingExtension { .. } => 0,
            Self::RootParentHash => 1,
            Self::RootHumanPrincipal => 2,
            Self::ParentCertHash => 3,
            Self::TrustDomain { .. } => 4,
            Self::SubsetFalse(_) => 5,
            Self::Depth { .. } => 6,
            Self::MaxDepth { .. } => 7,
            Self::MaxDepthRaised { .. } => 8,
            Self::DepthOverOwnMax { .. } => 9,
            Self::NotAfter { .. } => 10,
            Self::Score { .. } | Self::ParentScoreAhead => 11,
            Self::ToolUri(_) => 12,
            Self::Scope { .. } => 13,
            Self::SpendMissing(_) => 14,
            Self::SpendExpanded(_) => 15,
            Self::Currency { .. } => 16,
            Self::PerTransaction { .. } => 17,
            Self::PerPeriod(_) => 18,
            Self::RateMissing(_) => 19,
            Self::RateRaised { .. } => 20,
            Self::MaxTrustScore { .. } => 21,
            Self::MaxSpendLimit { .. } => 22,
            Self::ScopeNarrowing { .. } => 23,
            Self::NotStrict => 24,
        }
    }
}

/// Who asks whether a delegation keeps the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A CA that issues: the child must have less than the parent (draft 5.4).
    Strict,
    /// A relying party, or a CA so configured: the same set is a subset too (draft 9.1).
    Subset,
}

/// What a delegation is judged by, of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// Who it is.
    pub uri: AgentUri,
    /// The last moment of validity.
    pub not_after: UnixMillis,
    /// agentTrustScore
    pub trust_score: Option<TrustScore>,
    /// agentCapabilities
    pub capabilities: Option<Capabilities>,
    /// agentDelegation
    pub delegation: Option<Delegation>,
}

impl Party {
    /// What `certificate` says of the agent `uri`, whose name the caller has read already.
    ///
    /// # Errors
    /// Of the first extension that is malformed.
    pub fn of(uri: AgentUri, certificate: &Certificate) -> Result<Self, ExtensionError> {
        Ok(Self {
            uri,
            not_after: certificate.not_after(),
            trust_score: certificate.trust_score()?,
            capabilities: certificate.capabilities()?,
            delegation: certificate.delegation()?,
        })
    }

    fn extensions(&self, who: &'static str) -> Result<Extensions<'_>, Violation> {
        let missing = |extension| Violation::MissingExtension { who, extension };
        Ok(Extensions {
            score: self.trust_score.as_ref().ok_or(missing("agentTrustScore"))?,
            capabilities: self.capabilities.as_ref().ok_or(missing("agentCapabilities"))?,
            delegation: self.delegation.as_ref().ok_or(missing("agentDelegation"))?,
        })
    }
}

/// The three that a delegation needs on both sides.
struct Extensions<'a> {
    score: &'a TrustScore,
    capabilities: &'a Capabilities,
    delegation: &'a Delegation,
}

/// The certificate of a parent, as its child sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// What it says.
    pub party: Party,
    /// SHA-256 of the final certificate.
    pub cert_hash: [u8; 32],
}

/// Every violation of `child`, in the order of [`CODES`]; none means that the delegation holds.
///
/// `ancestors` are the delegations above the parent, nearest first. `at` is the moment of the
/// parent's effective score: for a relying party the child's notBefore, for a CA its present (R7).
/// Whether parent and ancestors hold themselves is not looked at (R32).
pub fn violations(
    child: &Party,
    parent: &Parent,
    ancestors: &[Delegation],
    mode: Mode,
    at: UnixMillis,
) -> Vec<Violation> {
    let (below, above) = match (child.extensions("child"), parent.party.extensions("parent")) {
        (Ok(below), Ok(above)) => (below, above),
        (below, above) => return below.err().into_iter().chain(above.err()).collect(),
    };
    let line: Vec<&Delegation> = std::iter::once(above.delegation).chain(ancestors).collect();
    let mut found = Vec::new();
    if below.delegation.parent_cert_hash != parent.cert_hash {
        found.push(Violation::ParentCertHash);
    }
    let (own, its) = (child.uri.trust_domain(), parent.party.uri.trust_domain());
    if own != its {
        found.push(Violation::TrustDomain { child: own.into(), parent: its.into() });
    }
    found.extend(subset_rules(below.delegation, &line));
    found.extend(depths(below.delegation, above.delegation));
    if child.not_after > parent.party.not_after {
        found.push(Violation::NotAfter { child: child.not_after, parent: parent.party.not_after });
    }
    found.extend(score(below.score, above.score, at));
    let mut uncovered = capabilities_within(above.capabilities, below.capabilities);
    uncovered.sort_by_key(|(_, violation)| violation.rank());
    found.extend(uncovered.into_iter().map(|(_, violation)| violation));
    found.extend(rules_of(&line, &below));
    if mode == Mode::Strict && set(above.capabilities) == set(below.capabilities) {
        found.push(Violation::NotStrict);
    }
    found
}

/// Every violation of an agent at the root of a line: it has no parent, and a human answers for it.
pub fn root_violations(delegation: &Delegation) -> Vec<Violation> {
    let mut found = Vec::new();
    if delegation.parent_cert_hash != [0; 32] {
        found.push(Violation::RootParentHash);
    }
    if delegation.human_principal.is_none() {
        found.push(Violation::RootHumanPrincipal);
    }
    found.extend(subset_rules(delegation, &[]));
    if delegation.depth != 0 {
        found.push(Violation::Depth { depth: delegation.depth, expected: 0 });
    }
    if delegation.depth > delegation.max_depth {
        found.push(Violation::DepthOverOwnMax { depth: delegation.depth, max: delegation.max_depth });
    }
    found
}

fn subset_rules(child: &Delegation, line: &[&Delegation]) -> Vec<Violation> {
    let named = ["child", "parent"].into_iter().chain(std::iter::repeat("line above the parent"));
    let all = std::iter::once(child).chain(line.iter().copied());
    all.zip(named).filter(|(d, _)| !d.rules.capabilities_subset).map(|(_, who)| Violation::SubsetFalse(who)).collect()
}

fn depths(child: &Delegation, parent: &Delegation) -> impl Iterator<Item = Violation> + use<> {
    let (depth, max, most) = (child.depth, child.max_depth, parent.max_depth);
    // Wider than a depth, so that 255 has a successor and nobody is it.
    let expected = u16::from(parent.depth) + 1;
    let checks = [
        (u16::from(depth) != expected, Violation::Depth { depth, expected }),
        (depth > most, Violation::MaxDepth { depth, most }),
        (max > most, Violation::MaxDepthRaised { max, most }),
        (depth > max, Violation::DepthOverOwnMax { depth, max }),
    ];
    checks.into_iter().filter(|(wrong, _)| *wrong).map(|(_, violation)| violation)
}

fn score(child: &TrustScore, parent: &TrustScore, at: UnixMillis) -> Option<Violation> {
    match parent.effective(at) {
        Ok(most) if child.score <= most => None,
        Ok(most) => Some(Violation::Score { score: child.score.get(), most: most.get() }),
        Err(_) => Some(Violation::ParentScoreAhead),
    }
}

/// What the rules of everybody above say to the child.
fn rules_of(line: &[&Delegation], child: &Extensions<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let own = child.score.score;
    if let Some(most) = line.iter().filter_map(|d| d.rules.max_trust_score).min().filter(|most| own > *most) {
        found.push(Violation::MaxTrustScore { score: own.get(), most: most.get() });
    }
    let capabilities = child.capabilities.as_slice();
    if let Some(most) = line.iter().filter_map(|d| d.rules.max_spend_limit).min() {
        let over = capabilities.iter().filter(|capability| !coverage::spends_within(capability, most));
        found.extend(over.map(|c| Violation::MaxSpendLimit { tool: tool(c), most: most.get() }));
    }
    for scope in line.iter().filter_map(|d| d.rules.scope_narrowing.as_ref()) {
        let outside = capabilities.iter().filter(|c| !coverage::scope_within(scope, &c.scope));
        found.extend(outside.map(|c| Violation::ScopeNarrowing {
            tool: tool(c),
            scope: c.scope.as_str().into(),
            within: Text::as_str(scope).into(),
        }));
    }
    found
}

/// Order and repetition do not matter (R6); equal values have equal DER.
fn set(capabilities: &Capabilities) -> BTreeSet<&Capability> {
    capabilities.as_slice().iter().collect()
}

fn tool(capability: &Capability) -> String {
    capability.tool_uri.as_str().to_owned()
}

#[cfg(test)]
mod tests;
