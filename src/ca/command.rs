//! What the CA can be told to do, with everything that is random already in it.

mod needs;

use super::application::{Application, Octets};
use super::record::RevocationRecord;
use super::request::{Credential, EngineScore, RequestId};
use super::serial::Serial;
use super::token::{TokenId, TokenScope, TokenSecret};
use crate::apki::AgentUri;
use crate::apki::status::RevocationReason;
use crate::apki::trust_score::Score;
use crate::time::UnixMillis;

/// Something that the CA is to do.
#[derive(Clone, Debug)]
pub enum Command {
    /// An operator mints a token.
    MintToken {
        /// The token; its secret goes no further than its hash.
        secret: TokenSecret,
        /// What it is good for.
        scope: TokenScope,
        /// Until when.
        expires_at: UnixMillis,
        /// Who mints it.
        operator: String,
    },
    /// An operator takes a token back.
    WithdrawToken {
        /// Which one.
        token: TokenId,
        /// Who.
        operator: String,
    },
    /// An agent asks for its first certificate.
    Enrol {
        /// A new name, in case the request is one that was not here before.
        request: RequestId,
        /// The token that came with it.
        secret: TokenSecret,
        /// What is asked for.
        application: Box<Application>,
        /// What the trust engine says of the agent, where there is one.
        engine: Option<EngineScore>,
        /// Where it came from.
        source: String,
    },
    /// An agent hands rights on: it asks for the certificate of a child (draft 9.2). That it holds the key of
    /// its own was proven in the TLS handshake, and that the child holds its key by the child's CSR.
    Delegate {
        /// A new name for the request.
        request: RequestId,
        /// The number of the parent's current certificate.
        parent: Serial,
        /// SHA-256 of the parent's current certificate.
        fingerprint: [u8; 32],
        /// What is asked for, for the child.
        application: Box<Application>,
        /// What the trust engine says of the child, where there is one.
        engine: Option<EngineScore>,
        /// What it says of the parent.
        parent_engine: Option<EngineScore>,
        /// Where it came from.
        source: String,
    },
    /// An agent asks for its next certificate. That it holds the key of the current one was proven in
    /// the TLS handshake (draft 7.3).
    Renew {
        /// A new name for the request.
        request: RequestId,
        /// The number of the current certificate.
        serial: Serial,
        /// SHA-256 of the current certificate.
        fingerprint: [u8; 32],
        /// What is asked for.
        application: Box<Application>,
        /// What the trust engine says of the agent, where there is one.
        engine: Option<EngineScore>,
        /// Where it came from.
        source: String,
    },
    /// An operator approves a request that waits.
    Approve {
        /// Which one.
        request: RequestId,
        /// Who.
        operator: String,
    },
    /// An operator denies a request that is not answered yet.
    Deny {
        /// Which one.
        request: RequestId,
        /// Who.
        operator: String,
        /// Why, for the requester to read.
        why: String,
    },
    /// A request has waited for too long.
    Expire {
        /// Which one.
        request: RequestId,
    },
    /// A precertificate is signed and about to be submitted.
    Precertify {
        /// The request that it answers.
        request: RequestId,
        /// Its number.
        serial: Serial,
        /// Its octets.
        precertificate: Octets,
        /// When it ends.
        not_after: UnixMillis,
    },
    /// A precertificate comes to nothing.
    Abandon {
        /// The request.
        request: RequestId,
        /// The number.
        serial: Serial,
        /// Why.
        why: String,
    },
    /// The final certificate is signed and about to be given out.
    Issue {
        /// The request that it answers.
        request: RequestId,
        /// Its number.
        serial: Serial,
        /// SHA-256 of it.
        fingerprint: [u8; 32],
        /// Its octets.
        certificate: Octets,
    },
    /// A final certificate is in logs too.
    Publish {
        /// Its number.
        serial: Serial,
        /// The logs, by their URLs.
        logs: Vec<String>,
    },
    /// An agent's authority is taken back, with that of all its descendants (draft 9.3).
    Revoke {
        /// Whose.
        target: RevocationTarget,
        /// Why.
        reason: RevocationReason,
        /// Why, in words.
        comment: String,
        /// By whom.
        by: Revoker,
    },
    /// The last published list has a revocation that the database does not have.
    RestoreRevocation {
        /// As the list has it.
        revocation: Box<RevocationRecord>,
    },
    /// The trust engine's score of an agent changed (draft 6.4).
    FollowScore {
        /// Which agent.
        agent: AgentUri,
        /// What it is now.
        score: Score,
        /// Why, in words.
        why: String,
    },
    /// A certificate of one of the CA's own services is signed and about to be used.
    CertifyService {
        /// Its number.
        serial: Serial,
        /// SHA-256 of it.
        fingerprint: [u8; 32],
        /// Its octets.
        certificate: Octets,
    },
}

/// Whose authority is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RevocationTarget {
    /// The agent of this name.
    Agent(AgentUri),
    /// The agent of the certificate with this number.
    Certificate(Serial),
}

/// Who takes authority back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoker {
    /// An operator, by name: anybody's.
    Operator(String),
    /// An agent, by its current certificate: its own, and that of its descendants.
    Agent {
        /// The certificate's number.
        serial: Serial,
        /// SHA-256 of it.
        fingerprint: [u8; 32],
        /// Where it came from.
        source: String,
    },
}

impl Command {
    /// What the requester is entitled by, where there is one.
    pub const fn credential(&self) -> Option<Credential> {
        match self {
            Self::Enrol { secret, .. } => Some(Credential::Token(secret.id)),
            Self::Renew { serial, .. } => Some(Credential::Certificate(*serial)),
            Self::Delegate { parent, .. } => Some(Credential::Parent(*parent)),
            _ => None,
        }
    }
}
