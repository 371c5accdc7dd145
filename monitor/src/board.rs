//! How things stand right now: what the page, the metrics and the health checks show. Each part writes its own
//! lines; nothing is decided by it.

use std::collections::BTreeMap;

use atl::merkle::Hash;
use atl::time::UnixMillis;
use parking_lot::RwLock;
use serde::Serialize;

use crate::finding::Severity;

/// How one log stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogStatus {
    /// Its base URL.
    pub url: String,
    /// Who runs it.
    pub operator: String,
    /// Leaves of the newest head.
    pub head_size: u64,
    /// The root of the newest head.
    pub head_root: Option<Hash>,
    /// When the newest head was signed.
    pub head_timestamp: Option<UnixMillis>,
    /// Entries downloaded; those beyond `verified` are not held against a head yet.
    pub downloaded: u64,
    /// Entries whose root a signed head has.
    pub verified: u64,
    /// When the log was last found to be in order, up to its newest head.
    pub last_verified_at: Option<UnixMillis>,
    /// When it was last asked.
    pub last_polled_at: Option<UnixMillis>,
    /// What went wrong when it was asked last, if anything did.
    pub error: Option<String>,
    /// Why nothing of it is trusted any more: the evidence, as the name of its directory.
    pub frozen: Option<String>,
}

/// How one other monitor stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeerStatus {
    /// Its base URL.
    pub url: String,
    /// When heads were last exchanged.
    pub last_exchange_at: Option<UnixMillis>,
    /// What went wrong last time, if anything did.
    pub error: Option<String>,
    /// The largest head of each log, by origin, that the peer has shown: leaves, and whether it fits what we have
    /// (`None`: not known yet).
    pub heads: BTreeMap<String, (u64, Option<bool>)>,
}

/// A witness's cosignature on a log's checkpoint, as the log serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CosignedBy {
    /// The witness's name.
    pub witness: String,
    /// The largest size that it has cosigned as far as the log shows.
    pub size: u64,
    /// When.
    pub at: UnixMillis,
}

/// How one source of the owner's feed stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FeedStatus {
    /// The moment as of which all that it held is known; `None` where it was never read whole.
    pub last_read_at: Option<UnixMillis>,
    /// Why it could not be read the last time, if it could not.
    pub error: Option<String>,
    /// Seconds between two readings.
    pub poll_seconds: u32,
}

/// How what is asked of logs stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ErrandStatus {
    /// Errands that wait for their time or for an answer.
    pub waiting: u64,
    /// Errands that were dropped because there were too many: what they asked is not known.
    pub dropped: u64,
    /// When the oldest of those that are due was due; `None` where none is.
    pub overdue_since: Option<UnixMillis>,
}

/// Everything on the board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Logs, by origin.
    pub logs: BTreeMap<String, LogStatus>,
    /// Other monitors, by name.
    pub peers: BTreeMap<String, PeerStatus>,
    /// Cosignatures, by origin.
    pub witnesses: BTreeMap<String, Vec<CosignedBy>>,
    /// The sources of the owner's feed, by name.
    pub feeds: BTreeMap<String, FeedStatus>,
    /// What is asked of logs.
    pub errands: ErrandStatus,
    /// Messages about findings that are not where they should be yet, for all sinks together.
    pub undelivered: u64,
    /// Alerts that are kept and that nobody has acknowledged, by severity; empty until they are counted.
    pub alerts: BTreeMap<Severity, u64>,
    /// What stops the monitor from doing its work, if anything does: a database that cannot be written, say.
    pub broken: Option<String>,
    /// Why evidence cannot be kept, where that failed the last time. What it is of is not told before it is kept.
    pub unkept: Option<String>,
}

/// The board.
#[derive(Debug, Default)]
pub struct Board(RwLock<Standing>);

impl Board {
    /// How things stand.
    pub fn standing(&self) -> Standing {
        self.0.read().clone()
    }

    /// Changes what is on it.
    pub fn update<T>(&self, change: impl FnOnce(&mut Standing) -> T) -> T {
        change(&mut self.0.write())
    }

    /// Changes the lines of one log.
    pub fn log(&self, origin: &str, change: impl FnOnce(&mut LogStatus)) {
        self.update(|standing| change(standing.logs.entry(origin.to_owned()).or_default()));
    }

    /// When the newest head of all logs was signed, as far as `now` is not before that; `None` where none was seen yet.
    pub fn newest_head(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.0.read().logs.values().filter_map(|log| log.head_timestamp).filter(|signed| *signed <= now).max()
    }

    /// Changes the lines of one peer.
    pub fn peer(&self, name: &str, change: impl FnOnce(&mut PeerStatus)) {
        self.update(|standing| change(standing.peers.entry(name.to_owned()).or_default()));
    }
}
