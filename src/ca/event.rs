//! What has happened: the one thing that changes the CA's state, and what the journal is made of.

use serde::{Deserialize, Serialize};

use super::application::{Application, Octets};
use super::encoding;
use super::record::{LiveCertificate, Refusals, RevocationRecord};
use super::request::{Credential, Grant, HoldReason, RequestId};
use super::serial::Serial;
use super::token::{Token, TokenId};
use crate::apki::AgentUri;
use crate::apki::status::RevocationReason;
use crate::apki::trust_score::Score;
use crate::time::UnixMillis;

/// Something that has happened. It holds all that [`State::apply`](super::state::State::apply) needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // a few at a time; only a cascade has many, and its own are not the largest
pub enum Event {
    /// An operator minted an enrolment token.
    TokenMinted {
        /// The token, without its secret.
        token: Token,
    },
    /// An operator took a token back.
    TokenWithdrawn {
        /// Which one.
        token: TokenId,
    },
    /// An application was refused; the credential is as good as before.
    ApplicationRefused {
        /// Who asked.
        credential: Credential,
        /// What for.
        application: Application,
        /// Why not.
        reasons: Refusals,
    },
    /// An application was accepted for a decision. It spends the token.
    RequestReceived {
        /// The request's name.
        request: RequestId,
        /// Who asked.
        credential: Credential,
        /// What for.
        application: Application,
        /// What it gets, as far as policy goes.
        grant: Grant,
        /// Why it waits for an operator; empty where it does not.
        held: Vec<HoldReason>,
        /// Until when it waits.
        expires_at: UnixMillis,
    },
    /// An operator approved a request that waited.
    RequestApproved {
        /// Which one.
        request: RequestId,
        /// The score that it gets, where that is less by now than was granted: the parent's has faded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        score: Option<Score>,
    },
    /// A request came to nothing.
    RequestClosed {
        /// Which one.
        request: RequestId,
        /// Why.
        why: String,
    },
    /// A precertificate was signed. It is recorded before anybody sees it.
    PrecertificateSigned {
        /// The request that it answers.
        request: RequestId,
        /// Its number.
        serial: Serial,
        /// Whose it is.
        agent: AgentUri,
        /// The score in it.
        score: Score,
        /// Its octets, in DER.
        precertificate: Octets,
        /// When it ends.
        not_after: UnixMillis,
    },
    /// A precertificate came to nothing. The request may be tried again, under another number.
    IssuanceAbandoned {
        /// The request.
        request: RequestId,
        /// The number.
        serial: Serial,
        /// Why.
        why: String,
    },
    /// The final certificate was signed. It is recorded before anybody sees it.
    CertificateIssued {
        /// The request that it answers.
        request: RequestId,
        /// Its number.
        serial: Serial,
        /// SHA-256 of it.
        #[serde(with = "encoding::hash")]
        fingerprint: [u8; 32],
        /// Its octets, in DER.
        certificate: Octets,
    },
    /// The final certificate is in logs too, so that agents may be certified below it.
    CertificatePublished {
        /// Its number.
        serial: Serial,
        /// The logs, by their URLs.
        logs: Vec<String>,
    },
    /// An agent's authority was taken back, and with it all its certificates that had not ended. Where that
    /// takes others along, each of them has a row of its own, in the same commit.
    AgentRevoked {
        /// Which agent.
        agent: AgentUri,
        /// Why.
        reason: RevocationReason,
        /// Why, in words.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        comment: String,
        /// The agent above it whose revocation took it along; `None` where it was meant itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        with: Option<AgentUri>,
        /// The certificates.
        certificates: Vec<LiveCertificate>,
    },
    /// A revocation that only the last published list remembered was taken up again.
    RevocationRestored {
        /// As the list has it.
        revocation: RevocationRecord,
    },
    /// An agent's score moved away from the one in its certificate (draft 6.4).
    ReissueWanted {
        /// Which agent.
        agent: AgentUri,
        /// The score as the trust engine has it.
        score: Score,
        /// Why, in words.
        why: String,
    },
    /// A certificate for one of the CA's own services was signed. It names no agent, so no log has it; it
    /// is here because everything is that the issuing key signs.
    ServiceCertified {
        /// Its number.
        serial: Serial,
        /// SHA-256 of it.
        #[serde(with = "encoding::hash")]
        fingerprint: [u8; 32],
        /// Its octets, in DER.
        certificate: Octets,
    },
}

impl Event {
    /// How many requests more are open behind it: pending, ready or processing.
    pub const fn opened(&self) -> i64 {
        match self {
            Self::RequestReceived { .. } => 1,
            Self::RequestClosed { .. } | Self::CertificateIssued { .. } => -1,
            _ => 0,
        }
    }

    /// Its name in the journal.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TokenMinted { .. } => "token_minted",
            Self::TokenWithdrawn { .. } => "token_withdrawn",
            Self::ApplicationRefused { .. } => "application_refused",
            Self::RequestReceived { .. } => "request_received",
            Self::RequestApproved { .. } => "request_approved",
            Self::RequestClosed { .. } => "request_closed",
            Self::PrecertificateSigned { .. } => "precertificate_signed",
            Self::IssuanceAbandoned { .. } => "issuance_abandoned",
            Self::CertificateIssued { .. } => "certificate_issued",
            Self::CertificatePublished { .. } => "certificate_published",
            Self::AgentRevoked { .. } => "agent_revoked",
            Self::RevocationRestored { .. } => "revocation_restored",
            Self::ReissueWanted { .. } => "reissue_wanted",
            Self::ServiceCertified { .. } => "service_certified",
        }
    }
}

/// Who brought an event about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// An operator, by name.
    Operator(String),
    /// Whoever holds this credential, and the address that it came from.
    Requester {
        /// The credential.
        credential: Credential,
        /// The address.
        source: String,
    },
    /// The trust engine, by what it says of an agent.
    TrustEngine,
    /// The CA itself.
    Authority,
}
