//! What the owner has set: whose domains are watched, and from where on something is too much.

use std::collections::HashMap;

use atl::apki::federation::TrustDomain;
use atl::apki::trust_score::Score;
use atl::log::checkpoint::Origin;

/// Whom the monitor watches for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The watched trust domains; what is below them is watched too.
    pub domains: Vec<TrustDomain>,
    /// The organisations of the owner, as the first segment of an agent URI or the organizationId of agentProvenance
    /// names them. Case makes no difference.
    pub organizations: Vec<String>,
    /// Whether each agent of these organisations must have an agentDelegation.
    pub demand_delegation: bool,
    /// The highest score that certificates in watched domains may have; `None` for any.
    pub max_score: Option<Score>,
    /// The same for single domains and what is below them, in the place of [`max_score`](Self::max_score).
    pub max_scores: Vec<(TrustDomain, Score)>,
    /// Domains of others that are known and harmless, or of the owner and not watched: neither foreign nor look-alike.
    pub allow: Vec<TrustDomain>,
}

/// Which rules are on, and their measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Extensions that do not decode, and a tier that is not the score's.
    pub extensions: bool,
    /// A validity outside of 5 minutes to 24 hours.
    pub validity: bool,
    /// What binds the CA only (protocol R11).
    pub profile: bool,
    /// Delegations: their roots, and their parents as errands.
    pub delegation: bool,
    /// Timestamps in final certificates, and entries that should be in several logs.
    pub timestamps: bool,
    /// More new agents of one CA than its past explains; `None` for off.
    pub bulk: Option<Bulk>,
    /// Most findings of one class in one log within an hour, outside of the owner's domains; then one says that there
    /// are more.
    pub most_per_hour: u64,
    /// Milliseconds within which a log must have an entry in its tree (`mmd_seconds` of its descriptor).
    pub merge_delay: u64,
    /// Groups of logs of which each must have what another has.
    pub expect_in: Vec<Vec<Origin>>,
    /// Milliseconds that the other logs of a group have for it.
    pub expect_within: u64,
    /// Milliseconds that the owner's feed has to know of an entry.
    pub grace: u64,
}

/// When a CA registers too much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// Most agents within an hour of a CA that is new to the log.
    pub new_ca: u64,
    /// For how many hours a CA is new.
    pub new_for: u64,
    /// Most agents within an hour of any other CA, however few it usually has.
    pub least: u64,
    /// How many times as many as usual are too many.
    pub factor: u64,
    /// Mixed into the counting of agents, so that nobody outside can choose names that count as one.
    pub key: [u8; 32],
}

impl Default for Bulk {
    fn default() -> Self {
        Self { new_ca: 100, new_for: 24, least: 100, factor: 4, key: [0; 32] }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            extensions: true,
            validity: true,
            profile: true,
            delegation: true,
            timestamps: true,
            bulk: Some(Bulk::default()),
            most_per_hour: 100,
            merge_delay: 300_000,
            expect_in: Vec::new(),
            expect_within: 3_600_000,
            grace: 300_000,
        }
    }
}

impl Settings {
    /// No rule at all.
    pub fn none() -> Self {
        Self {
            extensions: false,
            validity: false,
            profile: false,
            delegation: false,
            timestamps: false,
            bulk: None,
            ..Self::default()
        }
    }
}

/// The owner's domains, so kept that a name is looked up in a few steps.
#[derive(Debug, Default)]
pub(super) struct Estate {
    owner: Owner,
    watched: HashMap<String, Option<Score>>,
    limits: HashMap<String, Score>,
    allowed: HashMap<String, ()>,
}

impl Estate {
    pub(super) fn new(owner: Owner) -> Self {
        let text = |domain: &TrustDomain| domain.as_str().to_owned();
        Self {
            watched: owner.domains.iter().map(|domain| (text(domain), owner.max_score)).collect(),
            limits: owner.max_scores.iter().map(|(domain, most)| (text(domain), *most)).collect(),
            allowed: owner.allow.iter().map(|domain| (text(domain), ())).collect(),
            owner,
        }
    }

    /// The watched domain that this one is, or is below.
    pub(super) fn watched<'a>(&self, domain: &'a str) -> Option<&'a str> {
        nearest(&self.watched, domain).map(|(name, _)| name)
    }

    /// Whether agents of this domain may say that they are of our organisation.
    pub(super) fn is_home(&self, domain: &str) -> bool {
        self.watched(domain).is_some() || nearest(&self.allowed, domain).is_some()
    }

    /// The highest score that a certificate of this domain may have.
    pub(super) fn max_score(&self, domain: &str) -> Option<Score> {
        let (_, usual) = nearest(&self.watched, domain)?;
        nearest(&self.limits, domain).map(|(_, most)| *most).or(*usual)
    }

    /// Whether this is one of our organisations.
    pub(super) fn is_ours(&self, organization: &str) -> bool {
        self.owner.organizations.iter().any(|ours| ours.eq_ignore_ascii_case(organization))
    }

    pub(super) const fn demands_delegation(&self) -> bool {
        self.owner.demand_delegation
    }
}

/// The entry of the domain, or of the nearest one above it.
fn nearest<'a, 'm, T>(map: &'m HashMap<String, T>, domain: &'a str) -> Option<(&'a str, &'m T)> {
    if map.is_empty() {
        return None;
    }
    let above = |name: &&'a str| name.split_once('.').map(|(_, above)| above);
    std::iter::successors(Some(domain), above).find_map(|name| map.get(name).map(|value| (name, value)))
}
