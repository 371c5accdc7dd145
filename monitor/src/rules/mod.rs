//! What is worth telling somebody: without clock, I/O or randomness, so that a finding can be had again from
//! the same input.
//!
//! One file a rule, or a few that belong together: [`unauthorised`], `organization`, `bulk`, `score`,
//! `malformed`, `validity`, `profile`, `delegation`, `timestamps` and `imitation` over [`lookalike`].
//! [`settings`] says which are on; [`authorised`] is what the owner has ordered.
//!
//! A certificate is logged in up to two forms, as precertificate and as final certificate. What is found about it is
//! named by the precertificate either way, and so told once a log.

pub mod authorised;
mod bulk;
mod delegation;
mod flood;
mod imitation;
pub mod lookalike;
mod malformed;
mod octets;
mod organization;
mod profile;
mod score;
mod seen;
pub mod settings;
mod sketch;
mod timestamps;
pub mod unauthorised;
mod validity;
mod words;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashSet;

use atl::apki::Certificate;
use atl::keys::LogId;
use atl::log::entry::{CertHash, Fingerprint};
use atl::merkle::LeafIndex;
use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};

use self::authorised::Newest;
pub use self::imitation::Imitations;
use self::seen::Seen;
use self::settings::{Estate, Owner, Settings};
use crate::errand::Errand;
use crate::finding::Finding;
use crate::watched::WatchedLog;

/// A new entry of a log, as the rules see it.
pub struct Entry<'a> {
    /// The log.
    pub log: &'a WatchedLog,
    /// Its leaf.
    pub index: LeafIndex,
    /// When it was logged.
    pub timestamp: UnixMillis,
    /// SHA-256 of the certificate as it was submitted.
    pub cert_hash: CertHash,
    /// The certificate as it was submitted, in DER; `None` where the log has dropped it already.
    pub der: Option<&'a [u8]>,
    /// Its chain, issuer first, the anchor included.
    pub chain: &'a [Fingerprint],
}

/// What the rules remember of one log from entry to entry, bounded; kept with the position in the log, so that
/// going back forgets what is gone back behind.
///
/// It follows from the entries before and the [`Settings`] alone. In JSON it has less than 100 KB, a few hundred
/// octets a CA seen lately.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    cas: bulk::Cas,
    told: imitation::Told,
    flood: flood::Flood,
}

/// What came of judging an entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// What is worth telling somebody.
    pub findings: Vec<Finding>,
    /// What has to be asked before it is known.
    pub errands: Vec<Errand>,
}

/// All rules, as the owner has set them. Without any, which is the default, nothing is found.
pub struct Rulebook {
    settings: Settings,
    estate: Estate,
    /// The logs that are followed, by the name in their timestamps.
    logs: HashSet<LogId>,
    imitations: Option<Imitations>,
    feed: Option<Newest>,
}

impl Default for Rulebook {
    fn default() -> Self {
        Self::new(Settings::none(), Owner::default(), &[], None, None)
    }
}

impl Rulebook {
    /// These rules, for this owner, who follows these logs.
    ///
    /// Without `imitations` look-alikes are not looked for; without `feed` nobody asks whether the owner has ordered a
    /// certificate.
    pub fn new(
        settings: Settings,
        owner: Owner,
        logs: &[WatchedLog],
        imitations: Option<Imitations>,
        feed: Option<Newest>,
    ) -> Self {
        let logs = logs.iter().map(|log| log.id).collect();
        Self { settings, estate: Estate::new(owner), logs, imitations, feed }
    }

    /// Judges one entry, after all before it: `memory` is theirs, and this one's as well afterwards.
    ///
    /// An entry whose certificate the log has dropped is not judged.
    pub fn judge(&self, entry: &Entry<'_>, memory: &mut Memory, now: UnixMillis) -> Judged {
        let mut judged = Judged::default();
        let Some(der) = entry.der else { return judged };
        match Certificate::parse(der) {
            Ok(certificate) => self.rules(&Seen::new(entry, &certificate, now), memory, &mut judged),
            Err(error) if self.settings.extensions => {
                let finding = malformed::no_certificate(entry, error, now);
                judged.findings.extend(memory.flood.admit(finding, entry, self.settings.most_per_hour));
            }
            Err(_) => {}
        }
        judged
    }

    fn rules(&self, seen: &Seen<'_>, memory: &mut Memory, judged: &mut Judged) {
        let on = |on: bool, rule: fn(&Seen<'_>) -> Option<Finding>| if on { rule(seen) } else { None };
        let settings = &self.settings;
        let own = [
            self.organization(seen),
            self.score_above_policy(seen),
            on(settings.extensions, score::tier_mismatch),
            on(settings.extensions, malformed::malformed),
            on(settings.validity, validity::out_of_bounds),
            on(settings.profile, profile::beside_profile),
            settings.bulk.as_ref().and_then(|bulk| memory.cas.count(seen, bulk)),
            self.imitations.as_ref().and_then(|imitations| imitations.judge(seen, &mut memory.told)),
        ];
        judged.findings.extend(own.into_iter().flatten());
        if settings.delegation {
            delegation::delegation(seen, judged);
        }
        if seen.domain().is_none_or(|domain| self.estate.watched(domain).is_none()) {
            let found = std::mem::take(&mut judged.findings).into_iter();
            let most = settings.most_per_hour;
            judged.findings = found.filter_map(|finding| memory.flood.admit(finding, seen.entry, most)).collect();
        }
        judged.errands.extend(self.ask_the_feed(seen));
        if settings.timestamps {
            self.elsewhere(seen, &mut judged.errands);
        }
    }
}
