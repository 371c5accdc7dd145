//! What is kept of alerts: each by its name, their order, and for each sink a queue by the time of the next attempt.
//!
//! Everything here is a step of a write or a look at the database; nothing waits, and nothing is sent.

mod lookup;
mod tally;
mod upkeep;

use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};

pub use self::lookup::{before, find, named, newest, newest_seq, next_job, undelivered, unplanned, worst_since};
pub(super) use self::tally::tally;
pub use self::tally::{count, open};
pub use self::upkeep::{acknowledge, forget, hasten, held, prune, release, resend, send_unsent};
use super::routing::{Routing, When};
use super::{ALERTS, Alert, Delivery};
use crate::finding::FindingId;
use crate::state::{Read, Row, StateError, Table, Write, key};

/// The names of alerts by their place.
const ORDER: Table<String> = Table::new("alert-order");
/// How many alerts were ever raised, and up to which one it is planned who is told.
const COUNTERS: Table<u64> = Table::new("alert-counters");
/// What is to be sent: by sink, time of the next attempt, and place.
const QUEUE: Table<Item> = Table::new("alert-queue");
/// What is gathered: by sink, and the time for which it was planned.
const DIGESTS: Table<Digest> = Table::new("alert-digests");
/// What a sink must be told again and again while it is so: by sink and place.
const HELD: Table<()> = Table::new("alert-held");
/// The sinks that there are or were.
const SINKS: Table<()> = Table::new("alert-sinks");

const RAISED: &[u8] = b"raised";
const PLANNED: &[u8] = b"planned";

/// Most findings in one digest; what is more goes into the next one.
pub const MOST_GATHERED: usize = 1_000;

/// What is to be sent to a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Item {
    /// The alert with this place.
    Alert(u64),
    /// The digest planned for this time.
    Digest(u64),
}

impl Item {
    fn key(self, sink: &str, due: UnixMillis) -> Vec<u8> {
        let (n, kind) = match self {
            Self::Alert(seq) => (seq, 0),
            Self::Digest(planned) => (planned, 1),
        };
        key(sink, &[&due.get().to_be_bytes()[..], &n.to_be_bytes(), &[kind]].concat())
    }
}

/// Findings gathered into one message. Once its time has come nothing is added, so what is sent again after a crash
/// is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Digest {
    due: UnixMillis,
    seqs: Vec<u64>,
    attempts: u32,
}

/// The next thing to send to a sink.
#[derive(Clone, Debug)]
pub struct Job {
    /// The sink.
    pub sink: String,
    /// From when on.
    pub due: UnixMillis,
    /// The alert, or those of a digest in their order.
    pub alerts: Vec<Alert>,
    item: Item,
}

impl Job {
    /// For a digest the time in milliseconds for which it was planned, which is part of its name.
    pub const fn digest(&self) -> Option<u64> {
        match self.item {
            Item::Alert(_) => None,
            Item::Digest(planned) => Some(planned),
        }
    }

    /// How often it was tried before.
    pub fn attempts(&self) -> u32 {
        self.alerts.first().and_then(|alert| alert.deliveries.get(&self.sink)).map_or(0, |delivery| delivery.attempts)
    }
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sink said yes.
    Delivered {
        /// Whether it must be told again and again while it is so.
        held: bool,
    },
    /// It did not.
    Failed {
        /// Why, for people.
        error: String,
        /// Whether that was because of what was sent.
        refused: bool,
        /// Milliseconds until the next attempt.
        wait: u64,
    },
}

/// Gives the alert with this name its place.
pub(super) fn take_seq(write: &mut Write, id: &str) -> Result<u64, StateError> {
    let seq = write.get(&COUNTERS, RAISED)?.unwrap_or(0).saturating_add(1);
    write.put(&COUNTERS, RAISED, &seq)?;
    write.put(&ORDER, &seq.to_be_bytes(), &id.to_owned())?;
    Ok(seq)
}

/// Decides who is told of the alerts raised since the last call, at most `limit` of them; how many there were.
///
/// # Errors
/// Where the database fails.
pub fn plan(write: &mut Write, routing: &Routing, now: UnixMillis, limit: usize) -> Result<usize, StateError> {
    let planned = write.get(&COUNTERS, PLANNED)?.unwrap_or(0);
    let rows = write.onwards(&ORDER, &planned.saturating_add(1).to_be_bytes(), limit)?;
    let Some((last, _)) = rows.last() else { return Ok(0) };
    write.put(&COUNTERS, PLANNED, &seq_of(last)?)?;
    for (_, id) in &rows {
        let Some(mut alert) = write.get(&ALERTS, id.as_bytes())? else { continue };
        alert.silenced = routing.silenced(&alert.finding, now).map(str::to_owned);
        if alert.silenced.is_none() {
            assign(write, &mut alert, routing, now)?;
        }
        write.put(&ALERTS, id.as_bytes(), &alert)?;
    }
    Ok(rows.len())
}

fn assign(write: &mut Write, alert: &mut Alert, routing: &Routing, now: UnixMillis) -> Result<(), StateError> {
    for route in &routing.routes {
        let mut delivery = Delivery::default();
        match route.when(alert.finding.class.severity()) {
            When::Never => continue,
            When::Now => {
                write.put(&QUEUE, &Item::Alert(alert.seq).key(&route.sink, now), &Item::Alert(alert.seq))?;
                delivery.next_attempt_at = Some(now);
            }
            When::Gathered(period) => {
                let planned = gather(write, &route.sink, alert.seq, period, now)?;
                delivery.next_attempt_at = Some(UnixMillis::new(planned));
                delivery.digest = Some(planned);
            }
        }
        alert.deliveries.insert(route.sink.clone(), delivery);
    }
    Ok(())
}

/// Puts the alert into the digest that is open, or opens one; the time for which that one is planned.
fn gather(write: &mut Write, sink: &str, seq: u64, period: u64, now: UnixMillis) -> Result<u64, StateError> {
    let newest = write.last(&DIGESTS, &key(sink, &[]), 1)?.pop();
    // One that is further away than the period was planned under a clock that has been set back since, or for another
    // period: it may be on its way just now.
    let is_open = |digest: &Digest| {
        digest.due > now && digest.due.since(now) <= period && digest.attempts == 0 && digest.seqs.len() < MOST_GATHERED
    };
    let (planned, mut digest) = match newest {
        Some((row, digest)) if is_open(&digest) => (planned_of(&row)?, digest),
        other => {
            // One that is full, or was planned before the clock was set back, may be later than the usual time.
            let taken =
                other.map(|(row, _)| planned_of(&row)).transpose()?.map_or(0, |planned| planned.saturating_add(1));
            let planned = now.saturating_add(period).get().max(taken);
            let item = Item::Digest(planned);
            write.put(&QUEUE, &item.key(sink, UnixMillis::new(planned)), &item)?;
            (planned, Digest { due: UnixMillis::new(planned), seqs: Vec::new(), attempts: 0 })
        }
    };
    digest.seqs.push(seq);
    write.put(&DIGESTS, &key(sink, &planned.to_be_bytes()), &digest)?;
    Ok(planned)
}

/// Writes down what became of an attempt.
///
/// # Errors
/// Where the database fails.
pub fn record(write: &mut Write, job: &Job, outcome: &Outcome, now: UnixMillis) -> Result<(), StateError> {
    // Where it is not in the queue any more, somebody has asked for it to be sent again meanwhile, or it was
    // forgotten with its sink: what that left is not touched.
    let was_queued = write.remove(&QUEUE, &job.item.key(&job.sink, job.due))?;
    let next = match outcome {
        Outcome::Failed { wait, .. } if was_queued => Some(now.saturating_add(*wait)),
        _ => None,
    };
    if let Some(next) = next {
        write.put(&QUEUE, &job.item.key(&job.sink, next), &job.item)?;
    }
    if let Item::Digest(planned) = job.item {
        let row = key(&job.sink, &planned.to_be_bytes());
        match (write.get(&DIGESTS, &row)?, next) {
            (Some(digest), Some(due)) => {
                write.put(&DIGESTS, &row, &Digest { due, attempts: digest.attempts.saturating_add(1), ..digest })?;
            }
            _ => drop(write.remove(&DIGESTS, &row)?),
        }
    }
    for alert in &job.alerts {
        record_one(write, job, alert, outcome, was_queued.then_some(next), now)?;
    }
    Ok(())
}

/// The same for one alert of it; `next` is `None` where the delivery's own plan has changed meanwhile.
fn record_one(
    write: &mut Write,
    job: &Job,
    alert: &Alert,
    outcome: &Outcome,
    next: Option<Option<UnixMillis>>,
    now: UnixMillis,
) -> Result<(), StateError> {
    let id = alert.finding.id().to_string();
    let Some(mut alert) = write.get(&ALERTS, id.as_bytes())? else { return Ok(()) };
    let Some(delivery) = alert.deliveries.get_mut(&job.sink) else { return Ok(()) };
    match outcome {
        Outcome::Delivered { held } => {
            delivery.delivered_at = Some(now);
            (delivery.last_error, delivery.refused) = (None, false);
            if *held {
                write.put(&HELD, &key(&job.sink, &alert.seq.to_be_bytes()), &())?;
            }
        }
        Outcome::Failed { error, refused, .. } => {
            delivery.attempts = delivery.attempts.saturating_add(1);
            (delivery.last_error, delivery.refused) = (Some(error.clone()), *refused);
        }
    }
    // Asked for again meanwhile, it has a message of its own to wait for.
    if let Some(next) = next
        && delivery.digest == job.digest()
    {
        delivery.next_attempt_at = next;
    }
    write.put(&ALERTS, id.as_bytes(), &alert)
}

fn bad_key(table: &'static str) -> StateError {
    StateError::Row { table, reason: "its key is too short".into() }
}

/// The place in a key that ends with one.
fn seq_of(row: &[u8]) -> Result<u64, StateError> {
    row.last_chunk().map(|octets| u64::from_be_bytes(*octets)).ok_or_else(|| bad_key("alert-order"))
}

fn planned_of(row: &[u8]) -> Result<u64, StateError> {
    row.last_chunk().map(|octets| u64::from_be_bytes(*octets)).ok_or_else(|| bad_key("alert-digests"))
}

/// The time of the next attempt in a key of the queue.
fn due_of(row: &[u8]) -> Result<UnixMillis, StateError> {
    let octets = row.len().checked_sub(17).and_then(|at| row.get(at..)).and_then(<[u8]>::first_chunk);
    octets.map(|octets| UnixMillis::new(u64::from_be_bytes(*octets))).ok_or_else(|| bad_key("alert-queue"))
}

#[cfg(test)]
#[path = "book/tests.rs"]
mod tests;
