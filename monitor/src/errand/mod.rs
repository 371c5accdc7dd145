//! What rules cannot know from an entry alone, and somebody has to ask: kept in the database with the position
//! from which it follows, asked until it is answered.
//!
//! - [`queue`](post): which errands there are, and when each is due
//! - [`ask`]: what a log answers, with every signature, hash and proof of it verified; the only part with a network.
//!   `gather` asks on, from a certificate to those above it, `show` for what an alert about an entry shows of it
//! - [`decide`], [`promise`] and [`line`]: what follows from the answers; pure
//! - [`run`]: takes errands that are due, asks, and writes down what follows in the same step that takes them away
//! - [`sats`]: timestamps that somebody brings us, to be asked about

pub mod ask;
pub mod decide;
mod gather;
mod keep;
pub mod line;
pub mod promise;
mod queue;
pub mod run;
pub mod sats;
mod show;
#[cfg(test)]
mod tests;

use atl::log::entry::CertHash;
use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};

pub use self::queue::{Kept, MAX_ERRANDS, Stock, again, due, finish, next_due, post, stock};
pub use self::run::{KnownHeads, Owner, Runner};
pub use self::sats::answer;
use crate::finding::{EntryRef, Finding};

/// Something to ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "errand")]
pub enum Errand {
    /// Where is this delegation's parent, and may it give what it gave?
    Parent {
        /// The child's entry.
        child: EntryRef,
        /// SHA-256 of the parent's final certificate.
        parent: CertHash,
    },
    /// A timestamp of a log that we follow: is its entry in that log's tree?
    Included {
        /// The entry in whose certificate the timestamp is; `None` where somebody gave it to us.
        entry: Option<EntryRef>,
        /// The SAT in DER, base64.
        sat: atl::api::B64,
        /// What it is over.
        cert_hash: CertHash,
        /// From when on it must be there: its own time and the log's merge delay.
        due: UnixMillis,
    },
    /// An entry that should be in another log as well.
    Elsewhere {
        /// The entry.
        entry: EntryRef,
        /// The other log's origin.
        log: String,
        /// From when on it must be there.
        due: UnixMillis,
    },
    /// A certificate in a watched trust domain that the owner's feed did not know when it was read: does it by now?
    /// [`settle`](crate::rules::unauthorised::settle) says.
    Authorised {
        /// Hashes by which the feed may know it: as it was submitted, and of the precertificate behind it.
        known_as: Vec<CertHash>,
        /// What is told if it does not.
        finding: Box<Finding>,
        /// When the feed has had its time.
        due: UnixMillis,
    },
}

impl Errand {
    /// From when on it is worth asking; the epoch where nothing has to be waited for.
    pub const fn due(&self) -> UnixMillis {
        match self {
            Self::Parent { .. } => UnixMillis::new(0),
            Self::Included { due, .. } | Self::Elsewhere { due, .. } | Self::Authorised { due, .. } => *due,
        }
    }
}
