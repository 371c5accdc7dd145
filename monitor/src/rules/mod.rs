//! What is worth telling somebody: without clock, I/O or randomness, so that a finding can be had again from
//! the same input.

pub mod lookalike;

use atl::log::entry::{CertHash, Fingerprint};
use atl::merkle::LeafIndex;
use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};

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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {}

/// What came of judging an entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// What is worth telling somebody.
    pub findings: Vec<Finding>,
    /// What has to be asked before it is known.
    pub errands: Vec<Errand>,
}

/// All rules, as the owner has set them.
#[derive(Default)]
pub struct Rulebook {}

impl Rulebook {
    /// Judges one entry.
    pub fn judge(&self, _entry: &Entry<'_>, _memory: &mut Memory, _now: UnixMillis) -> Judged {
        Judged::default()
    }
}
