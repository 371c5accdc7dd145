//! Findings brought to people, at least once.
//!
//! Whoever finds something calls [`raise`] within the step in which it was found. From there on the alert cannot
//! get lost: the [`Courier`] plans who is to be told ([`routing`]), and sends until each sink has said yes. That
//! yes is written down after it was said, so a crash in between repeats one delivery for each sink, under the same
//! identifier, by which receivers know it again. Nothing else is ever sent twice unless somebody asks for it.
//!
//! Pure: [`routing`] (who is told what, what is silenced), [`backoff`] (how long to wait), [`message`] (what is
//! said: JSON and text). With the database: [`book`]. With the network: [`sink`] and [`courier`].

pub mod backoff;
pub mod book;
pub mod courier;
pub mod message;
pub mod routing;
pub mod secret;
pub mod sink;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};

pub use self::book::{acknowledge, before, find, named, newest, newest_seq, resend, send_unsent, worst_since};
pub use self::courier::Courier;
use crate::finding::Finding;
use crate::state::{StateError, Table, Write};

/// Alerts by their findings' names.
pub const ALERTS: Table<Alert> = Table::new("alerts");

/// A finding, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// What was found.
    pub finding: Finding,
    /// Its place among all that was ever raised, from 1 on.
    pub seq: u64,
    /// Why nobody was told of it, where a rule of the owner says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silenced: Option<String>,
    /// When somebody said that it is taken care of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_at: Option<UnixMillis>,
    /// How it stands with each sink that it is for, by name. Empty until the courier has seen it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub deliveries: BTreeMap<String, Delivery>,
}

impl Alert {
    /// Whether some sink has not got it yet.
    pub fn is_pending(&self) -> bool {
        self.deliveries.values().any(|delivery| delivery.next_attempt_at.is_some())
    }
}

/// How an alert stands with one sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// When the sink said yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<UnixMillis>,
    /// How often it was tried without a yes since it was last to be sent.
    #[serde(default)]
    pub attempts: u32,
    /// When it is tried next; `None` where there is nothing more to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<UnixMillis>,
    /// Why it was not taken the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Whether that was because of what was sent, and not because the sink was down.
    #[serde(default)]
    pub refused: bool,
    /// The digest in which it goes out, by the time in milliseconds for which that was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<u64>,
}

/// Raises an alert as part of a step; whether it is new. A finding that is there already is not raised again.
pub fn raise(write: &mut Write, finding: &Finding) -> Result<bool, StateError> {
    let id = finding.id().to_string();
    if write.get(&ALERTS, id.as_bytes())?.is_some() {
        return Ok(false);
    }
    let seq = book::take_seq(write, &id)?;
    let alert =
        Alert { finding: finding.clone(), seq, silenced: None, acknowledged_at: None, deliveries: BTreeMap::new() };
    write.put(&ALERTS, id.as_bytes(), &alert)?;
    book::tally(write, finding.class.severity(), true)?;
    Ok(true)
}
