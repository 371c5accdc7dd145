//! The logs whose timestamps count: keys, who runs them, and for how long they are trusted.

use std::collections::HashMap;

use thiserror::Error;

use crate::keys::{LogId, PublicKey};
use crate::log::checkpoint::Origin;
use crate::time::UnixMillis;

/// A log that is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedLog {
    /// What people call it: its URL, for example.
    pub name: String,
    /// Its origin, under which its checkpoints and audits name it, where that is known.
    pub origin: Option<Origin>,
    /// Its key, which is its identity.
    pub key: PublicKey,
    /// Who runs it. Two logs of one operator count as one witness (protocol section 6).
    pub operator: String,
    /// Timestamps from before do not count.
    pub from: UnixMillis,
    /// Timestamps from then on do not count: a log that was closed or lost its key is trusted for what it
    /// said before; `None` where nothing of that kind is known.
    pub until: Option<UnixMillis>,
}

impl TrustedLog {
    /// Whether a timestamp of this moment counts.
    pub fn trusted_at(&self, timestamp: UnixMillis) -> bool {
        self.from <= timestamp && self.until.is_none_or(|until| timestamp < until)
    }
}

/// A log list that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogListError {
    /// One key twice.
    #[error("the logs {0:?} and {1:?} have the same key")]
    SameKey(String, String),
    /// One origin for two keys.
    #[error("the logs {0:?} and {1:?} have the same origin")]
    SameOrigin(String, String),
}

/// All logs that are trusted.
#[derive(Clone, Debug, Default)]
pub struct LogList {
    logs: Vec<TrustedLog>,
    by_id: HashMap<LogId, usize>,
}

impl LogList {
    /// The list of these logs.
    ///
    /// # Errors
    /// [`LogListError`] where two of them are one.
    pub fn new(logs: Vec<TrustedLog>) -> Result<Self, LogListError> {
        let mut by_id = HashMap::with_capacity(logs.len());
        for (index, log) in logs.iter().enumerate() {
            let earlier = &logs[..index];
            if let Some(before) = earlier.iter().find(|before| before.origin.is_some() && before.origin == log.origin) {
                return Err(LogListError::SameOrigin(before.name.clone(), log.name.clone()));
            }
            if let Some(before) = by_id.insert(log.key.log_id(), index) {
                return Err(LogListError::SameKey(earlier[before].name.clone(), log.name.clone()));
            }
        }
        Ok(Self { logs, by_id })
    }

    /// The log with this identity.
    pub fn get(&self, id: &LogId) -> Option<&TrustedLog> {
        self.place(id).map(|place| &self.logs[place])
    }

    /// The logs, in the order in which they were given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &TrustedLog> {
        self.logs.iter()
    }

    pub(super) fn place(&self, id: &LogId) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub(super) fn at(&self, place: usize) -> Option<&TrustedLog> {
        self.logs.get(place)
    }
}
