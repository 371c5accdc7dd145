//! Evidence of misbehaviour: kept once, never changed, checked again offline.
//!
//! What is kept is an [`Exhibit`]: everything from which somebody who trusts nobody but the log's key can come to
//! the same conclusion. [`Archive::keep`] writes it as a directory `evidence/<sha256>/`, whole or not at all, and
//! [`check()`] says what the files of such a directory prove, without a clock, a network or a word of ours.
//!
//! The name of the directory is the SHA-256 of what is evidence, so that what is found again is not written again:
//! neither the time nor the observer are in it, nor what differs from one answer of a log to the next.

mod archive;
mod case;
mod check;
pub mod divergence;
mod files;
mod list;
mod manifest;
mod observer;
mod raw;
mod readme;
mod tar;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use atl::api::B64;
use atl::merkle::{Hash, LeafIndex};
use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::archive::{Archive, EvidenceError};
pub use self::case::{Case, CaseError, LogDescription, ReceiptKept, ShownHead};
pub use self::check::{Outcome, Verdict, check, judge};
pub use self::files::{Files, files};
pub use self::list::{Listing, Summary, list};
pub use self::manifest::{FORMAT, MANIFEST, Manifest, ManifestError, is_id};
pub use self::tar::archive as tar;

use crate::finding::Class;
use crate::head::RawHead;
use crate::watched::WatchedLog;

/// That the tree of a smaller head is not the beginning of the tree of a larger one: roots of subtrees of the larger
/// tree, from left to right, each as large as its place allows (RFC 9162 section 2.1). All of them give the larger
/// head's root, so they are of that tree; the first ones give what the smaller head's root would have to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Divergence {
    /// The subtrees that cover the leaves of the smaller head.
    pub first: Vec<Hash>,
    /// The subtrees that cover the rest, up to the leaves of the larger head.
    pub rest: Vec<Hash>,
}

/// A certificate that a log holds, with the proof of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Included {
    /// The certificate as it was submitted.
    pub certificate: B64,
    /// The log that holds it, by origin; one of [`Exhibit::logs`].
    pub log: String,
    /// Its leaf.
    pub index: LeafIndex,
    /// The inclusion proof, to the root of `head`.
    pub inclusion: Vec<Hash>,
    /// A head of that log.
    pub head: RawHead,
}

/// What a server said, word for word. It is not signed: whoever reads it has to believe the observer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What was asked: a method and a URL.
    pub asked: String,
    /// The HTTP status, or 0 where there was no answer.
    pub status: u16,
    /// The body, or the reason why there is none.
    pub body: B64,
}

/// What the owner holds certificates to, as far as a case needs it. It is stated by whoever found the case, and
/// proves nothing by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The owner's trust domains, in lower case; what is below them is the owner's as well.
    pub trust_domains: Vec<String>,
    /// The owner's names as an organisation: the `org` of agent URIs, `organizationId` of agentProvenance; compared
    /// without regard to ASCII case.
    pub organizations: Vec<String>,
    /// The highest trust score that the owner's policy allows.
    pub max_score: Option<u8>,
}

/// What is kept of one case.
#[derive(Clone, Debug)]
pub struct Exhibit {
    /// What it shows.
    pub class: Class,
    /// The logs that it is about, the one accused first.
    pub logs: Vec<WatchedLog>,
    /// Heads of the accused log that cannot all be honest, the earlier or smaller one first.
    pub heads: Vec<RawHead>,
    /// Who showed each of the heads: `log`, or the name of a monitor.
    pub shown_by: Vec<String>,
    /// For heads of different sizes.
    pub divergence: Option<Divergence>,
    /// For cases about certificates: the one in question first, then its parent, then the parent's.
    pub certificates: Vec<Included>,
    /// Certificates (DER) of the CAs that signed those, in any order; they show who signed, and are not needed.
    pub issuers: Vec<B64>,
    /// Timestamps (SATs, DER) that the log signed and did not keep.
    pub sats: Vec<B64>,
    /// All leaf hashes under the first of `heads`, where they are at most [`MAX_LEAVES`] and show that one is missing.
    pub leaves: Vec<Hash>,
    /// What the owner holds certificates to, where the case is about that.
    pub terms: Option<Terms>,
    /// What the log said.
    pub receipts: Vec<Receipt>,
    /// One sentence for people.
    pub summary: String,
}

impl Exhibit {
    /// An exhibit of this class about these logs, the one accused first, with nothing in it yet.
    pub const fn new(class: Class, logs: Vec<WatchedLog>, summary: String) -> Self {
        Self {
            class,
            logs,
            heads: Vec::new(),
            shown_by: Vec::new(),
            divergence: None,
            certificates: Vec::new(),
            issuers: Vec::new(),
            sats: Vec::new(),
            leaves: Vec::new(),
            terms: None,
            receipts: Vec::new(),
            summary,
        }
    }
}

/// Evidence that cannot be kept. Nothing of the case is told then; it is found again with the next look.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("evidence cannot be kept: {0}; see that the data directory can be written")]
pub struct KeepError(pub String);

/// Keeps evidence.
pub trait Keeper: Send + Sync {
    /// Keeps `exhibit`, written and synced when this returns, and gives the name of its directory below `evidence/`.
    /// The same again has the same name.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn keep(&self, exhibit: &Exhibit, now: UnixMillis) -> Result<String, KeepError>;
}

impl Keeper for Archive {
    fn keep(&self, exhibit: &Exhibit, now: UnixMillis) -> Result<String, KeepError> {
        Self::keep(self, exhibit, now).map_err(|error| KeepError(error.to_string()))
    }
}

/// Leaf hashes that evidence may have in it.
pub const MAX_LEAVES: usize = 65_536;
