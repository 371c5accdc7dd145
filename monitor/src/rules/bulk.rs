//! Registration in bulk (draft 11.2.7): a CA that registers far more agents within an hour than its past explains,
//! or than is plausible for one that was not seen before.
//!
//! Counted are different agent URIs, by the hours of the entries' timestamps; certificates of one agent count once.
//! What is usual for a CA is a mean over the hours, of which each new one is a twenty-fourth part; an hour above the
//! limit counts as the limit, so that a burst becomes usual slowly. A burst is told once, however long it lasts.

use std::collections::BTreeMap;

use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::seen::Seen;
use super::settings::Bulk;
use super::sketch::Sketch;
use crate::finding::{Class, Finding};

const HOUR: u64 = 3_600_000;

/// CAs that are told apart.
const MOST_CAS: usize = 200;

/// A CA that is not seen for so many hours makes room for another.
const IDLE: u64 = 30 * 24;

/// Under this name all CAs are counted for which there is no room.
const OTHERS: &str = "others";

/// Hours of which a mean is made.
const MEAN_OVER: u64 = 24;

/// Means are kept in this part of an agent.
const PART: u64 = 1024;

/// All CAs, by the first half of their certificates' SHA-256.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Cas(BTreeMap<String, Past>);

/// What is remembered of a CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Past {
    /// The hour in which it was seen first.
    first: u64,
    /// The hour being counted.
    hour: u64,
    /// The agents of that hour.
    agents: Sketch,
    /// The usual number of agents an hour, in parts.
    mean: u64,
    /// The hour in which a burst began that is not over.
    burst: Option<u64>,
    /// The limit was passed in the hour being counted.
    over: bool,
}

impl Past {
    const fn new(hour: u64) -> Self {
        Self { first: hour, hour, agents: Sketch(None), mean: 0, burst: None, over: false }
    }

    /// Most agents in the hour being counted; whether that is by its past.
    fn limit(&self, bulk: &Bulk, is_apart: bool) -> (u64, bool) {
        if !is_apart || self.hour.saturating_sub(self.first) < bulk.new_for {
            return (bulk.new_ca, false);
        }
        (bulk.least.max(self.mean.saturating_mul(bulk.factor) / PART), true)
    }

    /// Goes on to this hour. An hour or so back is counted with the present one; further back is a log whose clock
    /// was ahead, and counting begins again.
    fn advance(&mut self, hour: u64, bulk: &Bulk, is_apart: bool) {
        if hour <= self.hour && self.hour - hour <= 1 {
            return;
        }
        let count = self.agents.count().min(self.limit(bulk, is_apart).0).saturating_mul(PART);
        if hour > self.hour {
            self.mean = towards(self.mean, count);
            // After so many empty hours nothing is left of it.
            for _ in 1..(hour - self.hour).min(IDLE) {
                self.mean = towards(self.mean, 0);
            }
        }
        if !self.over || hour != self.hour.saturating_add(1) {
            self.burst = None;
        }
        (self.hour, self.agents, self.over) = (hour, Sketch::default(), false);
        self.first = self.first.min(hour);
    }
}

/// A twenty-fourth of the way.
const fn towards(mean: u64, count: u64) -> u64 {
    if count > mean { mean + (count - mean).div_ceil(MEAN_OVER) } else { mean - (mean - count).div_ceil(MEAN_OVER) }
}

impl Cas {
    /// Where the CA of this name is remembered, and whether it is told apart from others.
    fn past(&mut self, name: String, hour: u64) -> (&mut Past, String, bool) {
        if !self.0.contains_key(&name) && !self.has_room() {
            let idle = |(name, past): &(&String, &Past)| past.hour.saturating_add(IDLE) < hour && *name != OTHERS;
            let oldest = self.0.iter().filter(idle).min_by_key(|(_, past)| past.hour).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest {
                self.0.remove(&oldest);
            }
        }
        let is_apart = name != OTHERS && (self.0.contains_key(&name) || self.has_room());
        let name = if is_apart { name } else { OTHERS.to_owned() };
        (self.0.entry(name.clone()).or_insert_with(|| Past::new(hour)), name, is_apart)
    }

    /// Whether one more CA can be told apart.
    fn has_room(&self) -> bool {
        self.0.len() - usize::from(self.0.contains_key(OTHERS)) < MOST_CAS
    }

    /// Counts the agent of an entry; a finding where it begins a burst.
    pub(super) fn count(&mut self, seen: &Seen<'_>, bulk: &Bulk) -> Option<Finding> {
        let uri = seen.uri.as_ref().ok()?;
        let issuer = seen.entry.chain.first().map(|issuer| issuer.as_bytes());
        let name = issuer.map_or(OTHERS.to_owned(), |issuer| hex::encode(issuer.get(..16).unwrap_or_default()));
        let hour = seen.entry.timestamp.get() / HOUR;
        let (past, name, is_apart) = self.past(name, hour);
        past.advance(hour, bulk, is_apart);
        let hash: [u8; 32] = Sha256::new().chain_update(bulk.key).chain_update(uri.as_str()).finalize().into();
        if !past.agents.add(hash.iter().take(8).fold(0, |n, octet| n << 8 | u64::from(*octet))) || past.over {
            return None;
        }
        let (limit, by_past) = past.limit(bulk, is_apart);
        let count = past.agents.count();
        if count <= limit {
            return None;
        }
        past.over = true;
        if past.burst.is_some() {
            return None;
        }
        past.burst = Some(past.hour);
        let usual = past.mean.div_ceil(PART);
        Some(tell(seen, &name, past.hour, count, if by_past { Some(usual) } else { None }, limit))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

fn tell(seen: &Seen<'_>, name: &str, hour: u64, count: u64, usual: Option<u64>, limit: u64) -> Finding {
    let from = UnixMillis::new(hour.saturating_mul(HOUR));
    let who = if name == OTHERS { "CAs not told apart have".into() } else { format!("the CA {name} has") };
    let past = match usual {
        Some(usual) => format!("where {usual} an hour are usual"),
        None => "and is new to this log".into(),
    };
    let summary = format!("{who} registered about {count} agents within the hour from {from}, {past}");
    let rule = "a CA registers about as many agents an hour as before (draft 11.2.7)";
    seen.finding_about(Class::BulkRegistration, &format!("{name}:{hour}"), rule, summary)
        .with("limit", format!("{limit} agents an hour"))
        .with("shown", "the entry that passed the limit")
}
