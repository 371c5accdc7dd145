//! The trust domains whose agents are taken, each bound to its own anchors (R38, draft 10.2 and 11.2.7).

use std::collections::BTreeMap;

use crate::apki::chain::Anchors;
use crate::apki::federation::bundle::algorithm_name;
use crate::apki::federation::{ScoreMapping, TrustBundle, TrustDomain};
use crate::apki::trust_score::{Score, TrustTier};
use crate::keys::SignatureAlgorithm;

/// What the certificates of a domain's agents stand below.
#[derive(Clone, Debug)]
pub enum Trusted {
    /// Roots that were configured by hand.
    Roots(Anchors),
    /// A trust bundle, which says more and runs out.
    Bundle(TrustBundle),
}

impl Trusted {
    /// The anchors.
    pub const fn anchors(&self) -> &Anchors {
        match self {
            Self::Roots(anchors) => anchors,
            Self::Bundle(bundle) => bundle.anchors(),
        }
    }

    /// The bundle, where it is one.
    pub const fn bundle(&self) -> Option<&TrustBundle> {
        match self {
            Self::Roots(_) => None,
            Self::Bundle(bundle) => Some(bundle),
        }
    }

    /// Whether the domain lets certificates be signed so.
    pub fn allows(&self, algorithm: SignatureAlgorithm) -> bool {
        let name = algorithm_name(algorithm);
        self.bundle().is_none_or(|bundle| bundle.supported_algorithms().iter().any(|known| known == name))
    }
}

/// A domain that is trusted for its own agents.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its anchors.
    pub trusted: Trusted,
    /// What its scores are worth here (draft 10.3).
    pub mapping: ScoreMapping,
    /// The least score, after mapping, of its agents; a higher one of the policy or the bundle counts.
    pub minimum: Score,
}

impl Domain {
    /// One's own domain: its scores count as they are.
    pub fn own(trusted: Trusted) -> Self {
        Self { trusted, mapping: ScoreMapping::default(), minimum: TrustTier::Untrusted.floor() }
    }

    /// The least score of its agents here.
    pub fn minimum(&self) -> Score {
        let bundle = self.trusted.bundle().map_or(TrustTier::Untrusted.floor(), TrustBundle::minimum_trust_score);
        self.minimum.max(bundle)
    }
}

/// All domains that are trusted, each for its own agents only.
#[derive(Clone, Debug, Default)]
pub struct Domains(BTreeMap<TrustDomain, Domain>);

impl Domains {
    /// These domains; of two entries for one domain the later one counts.
    pub fn new(domains: impl IntoIterator<Item = (TrustDomain, Domain)>) -> Self {
        Self(domains.into_iter().collect())
    }

    /// The domain with this name, as it stands in an agent URI.
    pub fn get(&self, name: &str) -> Option<(&TrustDomain, &Domain)> {
        self.0.get_key_value(&TrustDomain::parse(name).ok()?)
    }

    /// The domains, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&TrustDomain, &Domain)> {
        self.0.iter()
    }
}
