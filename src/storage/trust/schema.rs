//! How a trust engine lies in an ordered key-value store: column families, keys and values.
//!
//! | family           | key                     | value                         |
//! |------------------|-------------------------|-------------------------------|
//! | `state`          | `format`, `head`        | the layout; the ledger's head |
//! | `ledger`         | number of the row       | the row                       |
//! | `ledger_by_agent`| agent URI, 0, row       |                               |
//! | `accounts`       | agent URI               | JSON                          |
//! | `reporters`      | name                    | JSON                          |
//! | `incidents`      | number                  | JSON                          |
//! | `reviews`        | number                  | JSON                          |
//! | `receipts`       | reporter, 0, signal id  | JSON                          |
//! | `open_incidents` | number                  |                               |
//! | `open_reviews`   | number                  |                               |
//!
//! Integers are big-endian, so that keys lie in the order of what they stand for.

use serde::de::DeserializeOwned;

use crate::log::store::StoreError;
use crate::storage::journalled::to_json;
use crate::trust::ports::{AgentUri, Entity, IncidentState, Key, ReviewState};

/// This layout.
pub const FORMAT: &str = "atl trust 1";
/// What changes in place.
pub const STATE: &str = "state";
/// Rows by number.
pub const LEDGER: &str = "ledger";
/// Numbers of rows by agent.
pub const BY_AGENT: &str = "ledger_by_agent";
/// Accounts by URI.
pub const ACCOUNTS: &str = "accounts";
/// Reporters by name.
pub const REPORTERS: &str = "reporters";
/// Incidents by number.
pub const INCIDENTS: &str = "incidents";
/// Reviews by number.
pub const REVIEWS: &str = "reviews";
/// What came of signals.
pub const RECEIPTS: &str = "receipts";
/// Numbers of incidents that are open.
pub const OPEN_INCIDENTS: &str = "open_incidents";
/// Numbers of reviews that are open.
pub const OPEN_REVIEWS: &str = "open_reviews";

/// Where the entity of this key is, and under which octets.
pub fn entity_key(key: &Key) -> (&'static str, Vec<u8>) {
    match key {
        Key::Account(agent) => (ACCOUNTS, agent.as_str().into()),
        Key::Reporter(id) => (REPORTERS, id.as_str().into()),
        Key::Incident(id) => (INCIDENTS, id.to_be_bytes().into()),
        Key::Review(id) => (REVIEWS, id.to_be_bytes().into()),
        Key::Receipt(reporter, id) => (RECEIPTS, [reporter.as_str().as_bytes(), &[0], id.as_bytes()].concat()),
    }
}

/// Writes an entity.
///
/// # Errors
/// Where it is nothing that JSON has.
pub fn write_entity(entity: &Entity) -> Result<Vec<u8>, StoreError> {
    match entity {
        Entity::Account(account) => to_json(account),
        Entity::Reporter(reporter) => to_json(reporter),
        Entity::Incident(incident) => to_json(incident),
        Entity::Review(review) => to_json(review),
        Entity::Receipt(receipt) => to_json(receipt),
    }
}

/// Reads the entity of this key.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read_entity(key: &Key, octets: &[u8]) -> Result<Entity, String> {
    let entity = match key {
        Key::Account(_) => Entity::Account(Box::new(read(octets)?)),
        Key::Reporter(_) => Entity::Reporter(read(octets)?),
        Key::Incident(_) => Entity::Incident(read(octets)?),
        Key::Review(_) => Entity::Review(read(octets)?),
        Key::Receipt(..) => Entity::Receipt(read(octets)?),
    };
    if entity.key() == *key { Ok(entity) } else { Err("is what belongs under another key".into()) }
}

/// Reads a value.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read<T: DeserializeOwned>(octets: &[u8]) -> Result<T, String> {
    serde_json::from_slice(octets).map_err(|e| format!("does not read ({e})"))
}

/// The place of an entity in the index of what is open: the index, the key, and whether the key is there.
pub fn open_entry(entity: &Entity) -> Option<(&'static str, [u8; 8], bool)> {
    match entity {
        Entity::Incident(incident) => {
            Some((OPEN_INCIDENTS, incident.id.to_be_bytes(), incident.state == IncidentState::Open))
        }
        Entity::Review(review) => Some((OPEN_REVIEWS, review.id.to_be_bytes(), review.state == ReviewState::Open)),
        Entity::Account(_) | Entity::Reporter(_) | Entity::Receipt(_) => None,
    }
}

/// Key of a row in `ledger_by_agent`.
pub fn agent_key(agent: &AgentUri, row: u64) -> Vec<u8> {
    [agent.as_str().as_bytes(), &[0], &row.to_be_bytes()].concat()
}

/// The key behind all of an agent's in `ledger_by_agent`: no URI has an octet below 1.
pub fn behind_agent(agent: &AgentUri) -> Vec<u8> {
    [agent.as_str().as_bytes(), &[1]].concat()
}

/// The number at the end of a key.
pub fn read_number(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|octets| u64::from_be_bytes(*octets))
}
