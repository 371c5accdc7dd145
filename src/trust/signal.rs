//! Signals: what a relying party reports of an agent's behaviour (draft 6.3).
//!
//! A signal is a compact JWS (`typ` [`SIGNAL_TYP`]) under its reporter's key. Its payload has exactly
//! these members: `aud`, the engine that it is for; `agent`; `kind`; `half_points`, for every kind but a
//! security incident, within the kind's range; `observed_at` and `issued_at` in milliseconds since 1970;
//! `id`, 32 lower-case hex digits that the reporter uses once; and, if it likes, `detail` for people. An
//! unknown member, one that stands twice and one too few are refused.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::half_points::HalfPoints;
use super::reporter::{ReporterId, Reporters};
use crate::apki::AgentUri;
use crate::apki::jws::{self, JwsError};
use crate::keys::{SignError, Signer};
use crate::time::UnixMillis;

/// What the header of a signal's JWS says that it is.
pub const SIGNAL_TYP: &str = "apki-signal+jws";
/// Most octets of a signal as it is sent.
pub const MAX_SIGNAL: usize = 8 << 10;
/// Most octets of `detail`.
pub const MAX_DETAIL: usize = 1024;

/// What an agent did (draft 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// An operation went well: +0.5 to +2 points.
    Success,
    /// An operation failed: -1 to -5 points.
    Failure,
    /// It broke a rule: -10 to -25 points.
    PolicyViolation,
    /// It behaved unlike itself: -5 to -20 points.
    Anomaly,
    /// Its security is broken: a reset to 0, once an operator confirms it.
    SecurityIncident,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Success, Self::Failure, Self::PolicyViolation, Self::Anomaly, Self::SecurityIncident];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::PolicyViolation => "policyViolation",
            Self::Anomaly => "anomaly",
            Self::SecurityIncident => "securityIncident",
        }
    }

    /// The half-points that a reporter may give, from and to; `None` where it gives none.
    pub const fn range(self) -> Option<RangeInclusive<i32>> {
        match self {
            Self::Success => Some(1..=4),
            Self::Failure => Some(-10..=-2),
            Self::PolicyViolation => Some(-50..=-20),
            Self::Anomaly => Some(-40..=-10),
            Self::SecurityIncident => None,
        }
    }
}

/// A signal's name, which its reporter uses once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalId([u8; 16]);

/// Text that is no signal's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a signal's id has 32 lower-case hex digits")]
pub struct BadSignalId;

impl SignalId {
    /// The name of these octets.
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The octets.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl FromStr for SignalId {
    type Err = BadSignalId;

    fn from_str(text: &str) -> Result<Self, BadSignalId> {
        let mut octets = [0; 16];
        hex::decode_to_slice(text, &mut octets).map_err(|_| BadSignalId)?;
        // One spelling each.
        if text.bytes().any(|c| c.is_ascii_uppercase()) { Err(BadSignalId) } else { Ok(Self(octets)) }
    }
}

impl fmt::Display for SignalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for SignalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignalId({self})")
    }
}

impl Serialize for SignalId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SignalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What a reporter says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// The engine that it is for.
    pub aud: String,
    /// Whom it is about.
    pub agent: AgentUri,
    /// What it did.
    pub kind: Kind,
    /// How much that is worth; none for a security incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half_points: Option<HalfPoints>,
    /// When it did it.
    pub observed_at: UnixMillis,
    /// When the reporter signed.
    pub issued_at: UnixMillis,
    /// The reporter's name for the signal.
    pub id: SignalId,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Why a signal is not one, whoever it is for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SignalFault {
    /// Nobody registered this reporter.
    #[error("`{0}` is not a registered reporter")]
    NotRegistered(ReporterId),
    /// It is too long.
    #[error("a signal has at most {MAX_SIGNAL} octets, not {0}")]
    TooLong(usize),
    /// Its signature does not hold under the reporter's key, or the text is no JWS.
    #[error("{0}")]
    Signature(#[from] JwsError),
    /// Its payload does not read.
    #[error("the payload is no signal: {0}")]
    Payload(String),
    /// The half-points are not those of its kind.
    #[error("{kind} takes {allowed} half-points, not {found}", kind = kind.name())]
    Range {
        /// The kind.
        kind: Kind,
        /// What it takes.
        allowed: String,
        /// What was given.
        found: String,
    },
}

impl SignalFault {
    /// Its name for programs.
    pub const fn token(&self) -> &'static str {
        match self {
            Self::NotRegistered(_) => "notRegistered",
            Self::TooLong(_) | Self::Payload(_) => "badSignal",
            Self::Signature(_) => "badSignature",
            Self::Range { .. } => "outOfRange",
        }
    }
}

impl Signal {
    /// Signs it, for a reporter to send.
    ///
    /// # Errors
    /// Where the key does not sign.
    pub fn sign(&self, key: &dyn Signer) -> Result<String, SignError> {
        // Strings and integers alone: this writes always.
        jws::sign(key, SIGNAL_TYP, &serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`SignalFault::Payload`] and [`SignalFault::Range`].
    pub fn read(payload: &[u8]) -> Result<Self, SignalFault> {
        // A derived struct would take an array of its members as well.
        if payload.trim_ascii_start().first() != Some(&b'{') {
            return Err(SignalFault::Payload("it is no JSON object".into()));
        }
        let signal: Self = serde_json::from_slice(payload).map_err(|e| SignalFault::Payload(e.to_string()))?;
        if let Some(detail) = signal.detail.as_ref().filter(|detail| detail.len() > MAX_DETAIL) {
            let what = format!("`detail` has at most {MAX_DETAIL} octets, not {}", detail.len());
            return Err(SignalFault::Payload(what));
        }
        let half_points = signal.half_points.map(HalfPoints::get);
        let good = match (signal.kind.range(), half_points) {
            (Some(range), Some(half_points)) => range.contains(&half_points),
            (None, None) => true,
            _ => false,
        };
        let allowed = signal.kind.range().map_or("no".into(), |r| format!("{} to {}", r.start(), r.end()));
        let found = half_points.map_or("none".into(), |found| found.to_string());
        if good { Ok(signal) } else { Err(SignalFault::Range { kind: signal.kind, allowed, found }) }
    }
}

/// A signal whose reporter is known: only a signature under the reporter's key makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    reporter: ReporterId,
    sha256: [u8; 32],
    signal: Signal,
}

impl Reported {
    /// Reads what a reporter sent, under its registered key.
    ///
    /// # Errors
    /// [`SignalFault`], with what is wrong.
    pub fn verify(reporters: &Reporters, reporter: &ReporterId, text: &str) -> Result<Self, SignalFault> {
        let key = reporters.key(reporter).ok_or_else(|| SignalFault::NotRegistered(reporter.clone()))?;
        if text.len() > MAX_SIGNAL {
            return Err(SignalFault::TooLong(text.len()));
        }
        let signal = Signal::read(&jws::verify(text, SIGNAL_TYP, key)?)?;
        Ok(Self { reporter: reporter.clone(), sha256: Sha256::digest(text.as_bytes()).into(), signal })
    }

    /// Who signed it.
    pub const fn reporter(&self) -> &ReporterId {
        &self.reporter
    }

    /// SHA-256 of the JWS as it was sent.
    pub const fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// What it says.
    pub const fn signal(&self) -> &Signal {
        &self.signal
    }
}
