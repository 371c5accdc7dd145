//! A log that is followed.

use atl::keys::LogId;
use atl::log::checkpoint::Origin;
use atl::log::note::VerifierKey;

/// A log that is followed: pinned by its key, wherever it answers.
#[derive(Clone, Debug)]
pub struct WatchedLog {
    /// Its name in checkpoints, which is unique among the logs of one monitor.
    pub origin: Origin,
    /// The key of all that it signs.
    pub key: VerifierKey,
    /// SHA-256 of that key.
    pub id: LogId,
    /// Its base URL.
    pub url: String,
    /// Who runs it, for people and for the rule of two operators; empty where nobody has said.
    pub operator: String,
}

impl WatchedLog {
    /// The log with this verifier key, whose name is its origin. `None` where the name is no origin.
    pub fn new(key: VerifierKey, url: String, operator: String) -> Option<Self> {
        let origin = key.name().as_str().parse().ok()?;
        Some(Self { origin, id: key.key().log_id(), key, url, operator })
    }
}
