//! Requests for certificates and their states, which are those of an ACME order (RFC 8555 section
//! 7.1.6): pending, ready, processing, valid, invalid.

use serde::{Deserialize, Serialize};

use super::application::Application;
pub use super::ident::RequestId;
use super::record::Refusals;
use super::serial::Serial;
use super::token::TokenId;
use super::trust::initial::ScoreInputs;
use crate::apki::attestation::AttestationMethod;
use crate::apki::capabilities::Capabilities;
use crate::apki::delegation::Delegation;
use crate::apki::trust_score::Score;
use crate::time::UnixMillis;

/// What a requester proved to be entitled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    /// An enrolment token.
    Token(TokenId),
    /// The agent's current certificate, over mutual TLS (draft 7.3).
    Certificate(Serial),
    /// The current certificate of another agent, which hands its rights on (draft 9.2).
    Parent(Serial),
}

/// A request for a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its name.
    pub id: RequestId,
    /// What is asked for.
    pub application: Application,
    /// By whom.
    pub credential: Credential,
    /// When it came.
    pub received_at: UnixMillis,
    /// The agent's enrolment at that time; `None` for an agent that had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_enrolment: Option<RequestId>,
    /// Where it stands.
    pub state: RequestState,
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum RequestState {
    /// It waits for an operator.
    Pending {
        /// Why.
        reasons: Vec<HoldReason>,
        /// What it gets if the operator approves.
        grant: Box<Grant>,
        /// Nobody may approve it from then on.
        expires_at: UnixMillis,
    },
    /// The certificate may be issued.
    Ready {
        /// With what in it.
        grant: Box<Grant>,
    },
    /// A precertificate is on its way to the logs.
    Processing {
        /// What is being issued.
        grant: Box<Grant>,
        /// Under which number.
        serial: Serial,
    },
    /// The certificate was issued.
    Valid {
        /// Under which number.
        serial: Serial,
    },
    /// There will be no certificate.
    Invalid {
        /// Why not.
        why: String,
    },
}

impl RequestState {
    /// The state's name in ACME.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Ready { .. } => "ready",
            Self::Processing { .. } => "processing",
            Self::Valid { .. } => "valid",
            Self::Invalid { .. } => "invalid",
        }
    }

    /// What it gets or would get, while it is open.
    pub const fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Pending { grant, .. } | Self::Ready { grant } | Self::Processing { grant, .. } => Some(grant),
            Self::Valid { .. } | Self::Invalid { .. } => None,
        }
    }

    /// Whether something is yet to happen with the request.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Pending { .. } | Self::Ready { .. } | Self::Processing { .. })
    }
}

/// Why a request waits for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// The CA's policy holds every enrolment.
    Policy,
    /// The build is not in the registry of known-good builds.
    UnregisteredBuild,
    /// The agent has a certificate that is still valid, and the token does not say that it replaces it.
    AgentExists,
    /// The agent was revoked, and the token does not say that it replaces it.
    AgentRevoked,
}

/// What a certificate will say, as the registration authority decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What the agent may do.
    pub capabilities: Capabilities,
    /// For how long.
    pub validity_seconds: u32,
    /// The score at the time of the decision.
    pub score: Score,
    /// What it was computed from.
    pub inputs: ScoreInputs,
    /// When it was computed.
    pub scored_at: UnixMillis,
    /// On what the attestation rests.
    pub method: AttestationMethod,
    /// Where the agent stands in its line of delegation; `None` where no human is named.
    #[serde(default, with = "super::encoding::delegation", skip_serializing_if = "Option::is_none")]
    pub delegation: Option<Delegation>,
    /// The certificate that the delegation names as the parent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Serial>,
    /// It ends no later than this: with the parent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_by: Option<UnixMillis>,
    /// What the trust engine said, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineScore>,
}

/// A score as the trust engine has it (draft 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineScore {
    /// The effective score: behaviour, decay and every cap are in it.
    pub score: Score,
    /// As of when.
    pub as_of: UnixMillis,
}

/// What the registration authority says of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assessment {
    /// A certificate may be issued.
    Granted(Grant),
    /// An operator is to decide.
    Held(Grant, Vec<HoldReason>),
    /// No certificate.
    Refused(Refusals),
}
