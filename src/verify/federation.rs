//! Is an agent of another trust domain one that we take (draft 10.2)?
//!
//! Each domain is bound to its own bundle (R38): what one domain's CA signed about another domain's
//! agent counts for nothing, even where both are federated with.
//!
//! This is the part that the bundle decides. That the certificate is in the logs (SATs, protocol
//! section 3), that nobody revoked it or an ancestor of it, what it may do and who delegated to it, is
//! the whole relying party's matter; it takes what [`judge`] accepts and goes on from there.

use std::fmt;

use thiserror::Error;

use crate::apki::certificate::{AgentNameError, NameConstraintError};
use crate::apki::chain::{ChainError, Issuer, IssuerPath};
use crate::apki::extension::ExtensionError;
use crate::apki::federation::{BundleError, ScoreMapping, TrustBundle, TrustDomain};
use crate::apki::trust_score::{Score, ScoreAhead};
use crate::apki::{AgentUri, Certificate, DerError, oid};
use crate::time::UnixMillis;

#[cfg(test)]
mod tests;

/// Most certificates from the agent's to the CA's, both included (R9).
const MAX_CHAIN: usize = 4;
/// The longest validity of an agent's certificate that is accepted (R10).
const MAX_VALIDITY_MS: u64 = 86_400_000;

/// A domain that we federate with.
#[derive(Clone, Copy, Debug)]
pub struct Federated<'a> {
    /// The domain that was pinned. The bundle must be its own.
    pub domain: &'a TrustDomain,
    /// What it says of itself now.
    pub bundle: &'a TrustBundle,
    /// What its scores are worth here.
    pub mapping: &'a ScoreMapping,
    /// The least score, after mapping, that we take; the bundle's own minimum counts where it is higher.
    pub minimum: Score,
}

/// What is known of an agent that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Who it is.
    pub agent: AgentUri,
    /// What is left of its score at the moment asked about, in its own domain's measure.
    pub effective: Score,
    /// The same in ours.
    pub mapped: Score,
    /// What it had to reach.
    pub minimum: Score,
    /// The CA certificate of the bundle that it stands below (SHA-256).
    pub anchor: [u8; 32],
}

/// All that speaks against an agent; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Refused(Vec<Reason>);

impl Refused {
    /// The reasons, in the order of looking.
    pub fn reasons(&self) -> &[Reason] {
        &self.0
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&reasons.join("; "))
    }
}

/// One thing that speaks against an agent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// The bundle is another domain's, or does not hold now.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The certificate does not name one agent.
    #[error("the certificate names no agent: {0}")]
    Name(#[from] AgentNameError),
    /// It names an agent of another domain.
    #[error("the certificate names an agent of {agent}, and {domain} may speak for its own agents only")]
    OtherDomain {
        /// The domain in the agent URI.
        agent: String,
        /// Whose bundle it is.
        domain: TrustDomain,
    },
    /// It does not stand below a CA of the bundle.
    #[error("the certificate does not stand below a CA certificate of the bundle: {0}")]
    Chain(#[from] ChainError),
    /// A certificate on the way is not valid now.
    #[error("CA certificate {position} of the chain is valid from {not_before} to {not_after}, and not now")]
    IssuerValidity {
        /// Its place; the agent's certificate is 0.
        position: usize,
        /// Its notBefore.
        not_before: UnixMillis,
        /// Its notAfter.
        not_after: UnixMillis,
    },
    /// A CA on the way may not vouch for this agent.
    #[error("CA certificate {position} of the chain may not vouch for the agent: {cause}")]
    Constraint {
        /// Its place; the agent's certificate is 0.
        position: usize,
        /// What its name constraints say.
        cause: NameConstraintError,
    },
    /// It has the poison of a precertificate.
    #[error("the certificate is a precertificate, which is for logs alone")]
    Precertificate,
    /// It is a CA's.
    #[error("the certificate is a CA's and no agent's")]
    IsCa,
    /// Its basicConstraints are malformed.
    #[error("the certificate's basicConstraints are malformed: {0}")]
    BasicConstraints(#[from] DerError),
    /// Its validity has not begun.
    #[error("the certificate is valid from {0} on, and not yet")]
    NotYetValid(UnixMillis),
    /// Its validity is over.
    #[error("the certificate ran out at {0}")]
    Expired(UnixMillis),
    /// Its validity is longer than a day.
    #[error("the certificate is valid for {0} s, which is more than a day")]
    ValidTooLong(u64),
    /// It has no score (R24).
    #[error("the certificate has no agentTrustScore")]
    NoScore,
    /// Its score is malformed.
    #[error("the certificate's agentTrustScore is malformed: {0}")]
    ScoreMalformed(#[from] ExtensionError),
    /// Its score is of the future.
    #[error("the certificate's agentTrustScore is malformed: {0}")]
    ScoreAhead(#[from] ScoreAhead),
    /// Too little is left of its score.
    #[error(
        "the score is {mapped} here ({effective} after decay, in the measure of its own domain), and {minimum} is the minimum"
    )]
    Score {
        /// After decay.
        effective: u8,
        /// After decay and mapping.
        mapped: u8,
        /// The stricter of our minimum and the bundle's.
        minimum: u8,
    },
}

impl Reason {
    /// A stable short name, for machines.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Bundle(BundleError::Expired { .. }) => "bundle-expired",
            Self::Bundle(BundleError::OtherDomain { .. }) => "bundle-other-domain",
            Self::Bundle(_) => "bundle-unusable",
            Self::Name(_) => "agent-name",
            Self::OtherDomain { .. } => "other-domain",
            Self::Chain(_) => "chain",
            Self::IssuerValidity { .. } => "issuer-validity",
            Self::Constraint { .. } => "name-constraint",
            Self::Precertificate => "precertificate",
            Self::IsCa => "is-ca",
            Self::BasicConstraints(_) => "basic-constraints",
            Self::NotYetValid(_) => "not-yet-valid",
            Self::Expired(_) => "expired",
            Self::ValidTooLong(_) => "valid-too-long",
            Self::NoScore => "no-score",
            Self::ScoreMalformed(_) => "score-malformed",
            Self::ScoreAhead(_) => "score-ahead",
            Self::Score { .. } => "score-too-low",
        }
    }
}

/// Whether the agent with this certificate, whose issuers are `intermediates` (its own first; the CA of
/// the bundle may be left out), is one that `from` vouches for and that has the score we want, at `now`.
///
/// # Errors
/// [`Refused`], with all that speaks against it, not just the first.
pub fn judge(
    from: Federated<'_>,
    agent: &Certificate,
    intermediates: &[Certificate],
    now: UnixMillis,
) -> Result<Accepted, Refused> {
    let mut against = Vec::new();
    against.extend(from.bundle.is_of(from.domain).err().map(Reason::from));
    against.extend(from.bundle.holds_at(now).err().map(Reason::from));
    let name = named(from, agent, &mut against);
    let path = IssuerPath::find(agent, intermediates.to_vec(), from.bundle.anchors(), MAX_CHAIN);
    let anchor = match path {
        Ok(path) => {
            let issuers = path.iter().enumerate();
            against.extend(issuers.flat_map(|(n, issuer)| may_issue(n + 1, issuer, name.as_ref(), now)));
            Some(*path.anchor().fingerprint())
        }
        Err(error) => {
            against.push(error.into());
            None
        }
    };
    against.extend(kind(agent));
    against.extend(validity(agent, now));
    let score = score(from, agent, now).map_err(|reason| against.push(reason)).ok();
    match (name, anchor, score) {
        (Some(agent), Some(anchor), Some((effective, mapped, minimum))) if against.is_empty() => {
            Ok(Accepted { agent, effective, mapped, minimum, anchor })
        }
        _ => Err(Refused(against)),
    }
}

/// The agent, where it is one of this domain's.
fn named(from: Federated<'_>, agent: &Certificate, against: &mut Vec<Reason>) -> Option<AgentUri> {
    match agent.agent_uri() {
        Ok(uri) => {
            if uri.trust_domain() != from.domain.as_str() {
                let (agent, domain) = (uri.trust_domain().to_owned(), from.domain.clone());
                against.push(Reason::OtherDomain { agent, domain });
            }
            Some(uri)
        }
        Err(error) => {
            against.push(error.into());
            None
        }
    }
}

/// A CA on the way is valid now (R23), and may vouch for this agent (R38).
fn may_issue(position: usize, issuer: &Issuer, agent: Option<&AgentUri>, now: UnixMillis) -> Vec<Reason> {
    let certificate = issuer.certificate();
    let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
    let late = now < not_before || now > not_after;
    let validity = late.then_some(Reason::IssuerValidity { position, not_before, not_after });
    let permitted = agent.map_or(Ok(()), |agent| certificate.permits_agent(agent));
    validity.into_iter().chain(permitted.err().map(|cause| Reason::Constraint { position, cause })).collect()
}

fn kind(agent: &Certificate) -> Vec<Reason> {
    let poisoned = agent.extension(&oid::PRECERTIFICATE_POISON).map(|_| Reason::Precertificate);
    let ca = match agent.basic_constraints() {
        Ok(constraints) => constraints.filter(|constraints| constraints.ca).map(|_| Reason::IsCa),
        Err(error) => Some(error.into()),
    };
    poisoned.into_iter().chain(ca).collect()
}

fn validity(agent: &Certificate, now: UnixMillis) -> Vec<Reason> {
    let (not_before, not_after) = (agent.not_before(), agent.not_after());
    let length = not_after.since(not_before);
    let early = (now < not_before).then_some(Reason::NotYetValid(not_before));
    let over = (now > not_after).then_some(Reason::Expired(not_after));
    let long = (length > MAX_VALIDITY_MS).then_some(Reason::ValidTooLong(length / 1000));
    [early, over, long].into_iter().flatten().collect()
}

/// The score after decay, the same mapped, and the minimum that it reaches.
fn score(from: Federated<'_>, agent: &Certificate, now: UnixMillis) -> Result<(Score, Score, Score), Reason> {
    let effective = agent.trust_score()?.ok_or(Reason::NoScore)?.effective(now)?;
    let mapped = from.mapping.apply(effective);
    let minimum = from.minimum.max(from.bundle.minimum_trust_score());
    if mapped < minimum {
        let (effective, mapped, minimum) = (effective.get(), mapped.get(), minimum.get());
        return Err(Reason::Score { effective, mapped, minimum });
    }
    Ok((effective, mapped, minimum))
}
