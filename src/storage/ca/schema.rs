//! How a CA lies in an ordered key-value store: column families, keys and values.
//!
//! | family                        | key                               | value                        |
//! |-------------------------------|-----------------------------------|------------------------------|
//! | `state`                       | `format`, `head`                  | the layout; the journal head |
//! | `journal`                     | number of the row                 | the row                      |
//! | `tokens`                      | identifier                        | JSON                         |
//! | `requests`                    | identifier                        | JSON                         |
//! | `agents`                      | agent URI                         | JSON                         |
//! | `certificates`                | serial number                     | JSON                         |
//! | `open_requests`               | received at, identifier           |                              |
//! | `certificates_by_agent`       | agent URI, 0, signed at, serial   |                              |
//! | `certificates_by_time`        | signed at, serial                 |                              |
//! | `certificates_by_fingerprint` | SHA-256 of the final certificate  | serial number                |
//! | `children`                    | parent's URI, 0, agent URI        |                              |
//! | `revocations`                 | serial number                     | JSON                         |
//! | `revocations_by_end`          | not after, serial                 |                              |
//!
//! Integers are big-endian, and in indexes the length of a serial number, one octet, stands before
//! it, so that keys lie in the order of what they stand for. The indexes follow from the entity alone.
//! What they are made of changes in an entity once it is kept only where [`moves`] says so, besides
//! whether a request is open and a certificate is issued.

use crate::ca::ports::{AgentUri, CertificateSearch, Entity, Key, Place, Request, RequestId, Serial};
use crate::time::UnixMillis;

/// This layout.
pub const FORMAT: &str = "atl ca 2";

/// A column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// What changes in place.
    State,
    /// Rows by number.
    Journal,
    /// Tokens by identifier.
    Tokens,
    /// Requests by identifier.
    Requests,
    /// Agents by URI.
    Agents,
    /// Certificates by serial number.
    Certificates,
    /// Requests that are open, by age.
    OpenRequests,
    /// Certificates by agent and age.
    ByAgent,
    /// Certificates by age.
    ByTime,
    /// Serial numbers by fingerprint of the final certificate.
    ByFingerprint,
    /// Agents by the agent above them.
    Children,
    /// Revocations by serial number.
    Revocations,
    /// Revocations by the end of the certificate.
    ByEnd,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 13] = [
        Self::State,
        Self::Journal,
        Self::Tokens,
        Self::Requests,
        Self::Agents,
        Self::Certificates,
        Self::OpenRequests,
        Self::ByAgent,
        Self::ByTime,
        Self::ByFingerprint,
        Self::Children,
        Self::Revocations,
        Self::ByEnd,
    ];

    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Journal => "journal",
            Self::Tokens => "tokens",
            Self::Requests => "requests",
            Self::Agents => "agents",
            Self::Certificates => "certificates",
            Self::OpenRequests => "open_requests",
            Self::ByAgent => "certificates_by_agent",
            Self::ByTime => "certificates_by_time",
            Self::ByFingerprint => "certificates_by_fingerprint",
            Self::Children => "children",
            Self::Revocations => "revocations",
            Self::ByEnd => "revocations_by_end",
        }
    }
}

/// Where the entity of this key is, and under which octets; `None` for children, which are not kept but
/// found in the index of that name.
pub fn entity_key(key: &Key) -> Option<(Family, Vec<u8>)> {
    Some(match key {
        Key::Token(id) => (Family::Tokens, id.as_bytes().to_vec()),
        Key::Request(id) => (Family::Requests, id.as_bytes().to_vec()),
        Key::Agent(uri) => (Family::Agents, uri.as_str().into()),
        Key::Certificate(serial) => (Family::Certificates, serial.as_bytes().to_vec()),
        Key::Revocation(serial) => (Family::Revocations, serial.as_bytes().to_vec()),
        Key::Children(_) => return None,
    })
}

/// An entity as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where.
    pub family: Family,
    /// Under which octets.
    pub key: Vec<u8>,
    /// The entity.
    pub value: Vec<u8>,
}

/// Writes an entity that is kept; `None` for children.
pub fn write_entity(entity: &Entity) -> Result<Option<Written>, serde_json::Error> {
    let Some((family, key)) = entity_key(&entity.key()) else { return Ok(None) };
    let value = match entity {
        Entity::Token(token) => serde_json::to_vec(token)?,
        Entity::Request(request) => serde_json::to_vec(request)?,
        Entity::Agent(agent) => serde_json::to_vec(agent)?,
        Entity::Certificate(certificate) => serde_json::to_vec(certificate)?,
        Entity::Revocation(revocation) => serde_json::to_vec(revocation)?,
        Entity::Children(_) => return Ok(None),
    };
    Ok(Some(Written { family, key, value }))
}

/// Reads the entity of this key.
pub fn read_entity(key: &Key, octets: &[u8]) -> Result<Entity, String> {
    let read = match key {
        Key::Token(_) => serde_json::from_slice(octets).map(Entity::Token),
        Key::Request(_) => serde_json::from_slice(octets).map(Entity::Request),
        Key::Agent(_) => serde_json::from_slice(octets).map(Entity::Agent),
        Key::Certificate(_) => serde_json::from_slice(octets).map(Entity::Certificate),
        Key::Revocation(_) => serde_json::from_slice(octets).map(Entity::Revocation),
        Key::Children(_) => return Err("is never kept by itself".into()),
    };
    let entity = read.map_err(|e| format!("does not read ({e})"))?;
    if entity.key() == *key { Ok(entity) } else { Err("is what belongs under another key".into()) }
}

/// Whether a later version of this entity may have other places in the indexes, so that what the one before
/// it had must be taken away: an agent goes from one parent to another.
pub const fn moves(entity: &Entity) -> bool {
    matches!(entity, Entity::Agent(_) | Entity::Revocation(_))
}

/// What an index says of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The index.
    pub family: Family,
    /// The key in it.
    pub key: Vec<u8>,
    /// The value, or `None` where the key must not be there.
    pub value: Option<Vec<u8>>,
}

/// Everything that the indexes say of an entity.
pub fn index_entries(entity: &Entity) -> Vec<IndexEntry> {
    let there = |family, key| IndexEntry { family, key, value: Some(Vec::new()) };
    match entity {
        Entity::Token(_) | Entity::Children(_) => Vec::new(),
        Entity::Agent(agent) => {
            let parent = agent.parent.iter();
            parent.map(|parent| there(Family::Children, child_key(parent, &agent.uri))).collect()
        }
        Entity::Revocation(revocation) => {
            vec![there(Family::ByEnd, moment_key(revocation.not_after, &revocation.serial))]
        }
        Entity::Request(request) => {
            let value = request.state.is_open().then(Vec::new);
            vec![IndexEntry { family: Family::OpenRequests, key: request_place(request), value }]
        }
        Entity::Certificate(certificate) => {
            let place = Place { signed_at: certificate.signed_at, serial: certificate.serial };
            let time = place_key(&place);
            let agent = [&agent_prefix(certificate.agent.as_str()), &time[..]].concat();
            let mut entries = vec![there(Family::ByAgent, agent), there(Family::ByTime, time)];
            if let Some(issued) = certificate.issued() {
                let value = Some(certificate.serial.as_bytes().to_vec());
                entries.push(IndexEntry { family: Family::ByFingerprint, key: issued.fingerprint.to_vec(), value });
            }
            entries
        }
    }
}

fn request_place(request: &Request) -> Vec<u8> {
    open_key(request.received_at, &request.id)
}

/// Key of a request in `open_requests`.
pub fn open_key(received_at: UnixMillis, id: &RequestId) -> Vec<u8> {
    [&received_at.get().to_be_bytes()[..], id.as_bytes()].concat()
}

/// The request that a key in `open_requests` speaks of.
pub fn read_open_key(key: &[u8]) -> Option<RequestId> {
    key.split_first_chunk::<8>().and_then(|(_, id)| id.try_into().ok()).map(RequestId::new)
}

/// Key of a certificate in `certificates_by_time`.
pub fn place_key(place: &Place) -> Vec<u8> {
    moment_key(place.signed_at, &place.serial)
}

/// Key of a moment in the life of a certificate, in `certificates_by_time` and `revocations_by_end`.
pub fn moment_key(at: UnixMillis, serial: &Serial) -> Vec<u8> {
    let serial = serial.as_bytes();
    // At most 20 octets.
    [&at.get().to_be_bytes()[..], &[serial.len() as u8], serial].concat()
}

/// The certificate that a key in `certificates_by_time` or `revocations_by_end` speaks of, or the end of one
/// in `certificates_by_agent`.
pub fn read_moment_key(key: &[u8]) -> Option<Serial> {
    let (length, serial) = key.split_first_chunk::<8>()?.1.split_first()?;
    Serial::from_bytes(serial).ok().filter(|_| usize::from(*length) == serial.len())
}

/// Key in `children` of an agent below this parent.
pub fn child_key(parent: &AgentUri, agent: &AgentUri) -> Vec<u8> {
    [&agent_prefix(parent.as_str()), agent.as_str().as_bytes()].concat()
}

/// The agent that a key in `children` speaks of, by what stands in it behind the parent's prefix.
pub fn read_child(octets: &[u8]) -> Option<AgentUri> {
    std::str::from_utf8(octets).ok().and_then(|uri| AgentUri::parse(uri).ok())
}

/// A stretch of an index of certificates, to be read from its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The index.
    pub family: Family,
    /// What stands before the place in each key.
    pub prefix: Vec<u8>,
    /// The first key.
    pub from: Vec<u8>,
    /// The key behind the last; `None` for the end of the index.
    pub to: Option<Vec<u8>>,
}

/// The stretch with the certificates of a search, and no others; `None` where there can be none.
pub fn stretch(search: &CertificateSearch) -> Option<Stretch> {
    let (family, prefix) = match &search.agent {
        Some(agent) => (Family::ByAgent, agent_prefix(agent.as_str())),
        None => (Family::ByTime, Vec::new()),
    };
    let key = |place: &[u8]| [&prefix[..], place].concat();
    let moment = |at: UnixMillis| key(&at.get().to_be_bytes());
    let from = search.since.map_or_else(|| prefix.clone(), moment);
    // No URI has an octet below 1, so a 1 in place of the 0 is behind all of the agent's keys.
    let end = search.agent.as_ref().map(|agent| [agent.as_str().as_bytes(), &[1]].concat());
    let bounds = [search.until.map(moment), search.after.map(|place| key(&place_key(&place))), end];
    let to = bounds.into_iter().flatten().min();
    to.as_ref().is_none_or(|to| from < *to).then_some(Stretch { family, prefix, from, to })
}

/// What begins all keys of one agent in `certificates_by_agent`, and of one parent in `children`.
pub fn agent_prefix(uri: &str) -> Vec<u8> {
    [uri.as_bytes(), &[0]].concat()
}
