//! Attenuation (draft 5.4 and 9.1, protocol sections 6 and 7): whoever hands its rights on hands on
//! no more than it has.
//!
//! [`violations`] is the whole check of a child against the line above it; [`root_violations`] that
//! of an agent without a parent. [`covers`], [`scope_within`] and [`capabilities_within`] are the part
//! about capabilities, for other ceilings too.

mod coverage;
mod violation;

use std::collections::BTreeSet;

pub use self::coverage::{capabilities_within, covers, scope_within};
pub use self::violation::{CODES, Violation};
use super::Certificate;
use super::capabilities::{Capabilities, Capability};
use super::delegation::Delegation;
use super::extension::{ExtensionError, Text};
use super::trust_score::TrustScore;
use super::uri::AgentUri;
use crate::time::UnixMillis;

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
        let outside = capabilities.iter().filter(|c| !scope_within(scope, &c.scope));
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
