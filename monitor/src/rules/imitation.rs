//! Trust domains made to be taken for a watched one, in the stream of entries (draft 11.2.7, T7).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lookalike::{Finding as Likeness, Name, Score, Verdict, Watchlist};
use super::seen::Seen;
use crate::finding::{Class, Finding};

/// Domains whose verdict is remembered, so that most entries cost a look-up. It changes no outcome.
const CACHED: usize = 1 << 16;

/// Domains that are remembered to have been told. Told again they have the same name.
const TOLD: usize = 128;

/// The look-alikes that were told last, by the first octets of their hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Told(VecDeque<u64>);

impl Told {
    /// Whether this domain was not told yet; from now on it is.
    fn is_new(&mut self, domain: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(domain).into();
        let name = hash.iter().take(8).fold(0, |name, octet| name << 8 | u64::from(*octet));
        if self.0.contains(&name) {
            return false;
        }
        self.0.truncate(TOLD - 1);
        self.0.push_front(name);
        true
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Watched names, with what was judged lately.
pub struct Imitations {
    list: Watchlist,
    alert: Score,
    digest: Score,
    cache: Mutex<HashMap<String, Option<Arc<Likeness>>>>,
}

impl Imitations {
    /// Tells those of `list` that reach the score `alert`, and in the digest those that reach `digest`.
    pub fn new(list: Watchlist, alert: Score, digest: Score) -> Self {
        Self { list, alert, digest: digest.min(alert), cache: Mutex::default() }
    }

    /// How many domains are watched for look-alikes.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// An agent in a trust domain that looks like a watched one.
    pub(super) fn judge(&self, seen: &Seen<'_>, told: &mut Told) -> Option<Finding> {
        let domain = seen.domain()?;
        let likeness = self.likeness(domain)?;
        if !told.is_new(domain) {
            return None;
        }
        let (class, how) = match likeness.score() >= self.alert {
            true => (Class::Lookalike, "looks like"),
            false => (Class::LookalikeDigest, "looks a little like"),
        };
        let (watched, score) = (&likeness.watched, likeness.score());
        let summary = format!("the trust domain {domain} {how} {watched} (score {score}), and has agents");
        let rule = "trust domains that look like a watched one are told (draft 11.2.7)";
        let steps = likeness.steps.iter().map(|step| format!("{} bits: {}", step.bits, step.words));
        let finding = seen
            .finding_about(class, domain, rule, summary)
            .with("watched domain", watched)
            .with("kind", likeness.class.as_str())
            .with("why", steps.collect::<Vec<_>>().join("; "));
        // The domain is the same in whichever log it turns up.
        Some(Finding { log: String::new(), ..finding })
    }

    fn likeness(&self, domain: &str) -> Option<Arc<Likeness>> {
        if let Some(known) = self.cache.lock().get(domain) {
            return known.clone();
        }
        let verdict = Name::parse(domain).ok().map(|name| self.list.judge(&name, self.digest));
        let likeness = match verdict {
            Some(Verdict::Lookalike(likeness)) => Some(Arc::new(likeness)),
            _ => None,
        };
        let mut cache = self.cache.lock();
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(domain.to_owned(), likeness.clone());
        likeness
    }
}
