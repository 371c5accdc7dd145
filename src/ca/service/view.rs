//! What the service shows of what it keeps: plain values, ready to be written as JSON.

use crate::apki::AgentUri;
use crate::apki::attestation::AttestationMethod;
use crate::apki::capabilities::Capabilities;
use crate::apki::trust_score::Score;
use crate::ca::application::{Evidence, Principal};
use crate::ca::record::{AgentRevocation, Reissue};
use crate::ca::request::{Credential, RequestId};
use crate::ca::serial::Serial;
use crate::time::UnixMillis;

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The request's name.
    pub id: RequestId,
    /// The agent.
    pub agent: AgentUri,
    /// `pending`, `ready`, `processing`, `valid` or `invalid`.
    pub status: &'static str,
    /// When it was received.
    pub received_at: UnixMillis,
    /// Why it is pending or invalid.
    pub reasons: Vec<String>,
    /// The certificate, once it is valid.
    pub certificate: Option<IssuedView>,
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedView {
    /// Its number.
    pub serial: Serial,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// Whose it is.
    pub agent: AgentUri,
    /// The score in it.
    pub score: Score,
    /// On what its attestation rests.
    pub attestation: AttestationMethod,
    /// Valid from.
    pub not_before: UnixMillis,
    /// Valid until.
    pub not_after: UnixMillis,
    /// Half of its validity.
    pub renew_at: UnixMillis,
    /// The certificate and its issuers without the root, in DER.
    pub chain: Vec<Vec<u8>>,
    /// The timestamps in it.
    pub sats: Vec<SatView>,
}

/// A timestamp in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SatView {
    /// The log's URL; empty for a log that is not configured any more.
    pub log: String,
    /// Who runs it.
    pub operator: String,
    /// When.
    pub timestamp: UnixMillis,
    /// The SAT in DER.
    pub sat: Vec<u8>,
}

/// A request that is not answered yet, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenView {
    /// Where it stands.
    pub answered: Answered,
    /// What it came with.
    pub credential: Credential,
    /// What it will get.
    pub capabilities: Capabilities,
    /// For how long.
    pub validity_seconds: u32,
    /// The score it will have.
    pub score: Score,
    /// How the agent was built.
    pub evidence: Option<Evidence>,
    /// The human behind it.
    pub principal: Option<Principal>,
}

/// A certificate in the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateView {
    /// Its number.
    pub serial: Serial,
    /// `precertified`, `issued` or `abandoned`.
    pub status: &'static str,
    /// SHA-256 of the final certificate.
    pub sha256: Option<[u8; 32]>,
    /// SHA-256 of the precertificate.
    pub cert_hash: [u8; 32],
    /// Whose it is.
    pub agent: AgentUri,
    /// The score in it.
    pub score: Score,
    /// When the precertificate was signed.
    pub signed_at: UnixMillis,
    /// When it ends.
    pub not_after: UnixMillis,
    /// The request that it answers.
    pub request: RequestId,
    /// Why it was abandoned.
    pub why: Option<String>,
}

/// Rows of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// How many there are.
    pub total: u64,
    /// SHA-256 of the last.
    pub head: [u8; 32],
    /// The number of the first row here.
    pub start: u64,
    /// The rows.
    pub rows: Vec<Vec<u8>>,
}

/// An agent whose authority was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedAgent {
    /// Which.
    pub agent: AgentUri,
    /// The agent above it whose revocation took it along; `None` where it was meant itself.
    pub with: Option<AgentUri>,
    /// Its certificates that had not ended.
    pub certificates: Vec<Serial>,
}

/// What a revocation came to: nothing is left of the authority of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedView {
    /// The agent that was meant first, and those below it.
    pub agents: Vec<RevokedAgent>,
    /// When.
    pub at: UnixMillis,
    /// Whether a list that says so is published. OCSP says so in any case.
    pub listed: bool,
}

/// What an agent's own certificate is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingView {
    /// The agent.
    pub agent: AgentUri,
    /// The certificate's number.
    pub serial: Serial,
    /// How it stands.
    pub standing: Standing,
}

/// How a certificate stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is good until it ends.
    Valid,
    /// The score of the agent has moved away from the one in it, so that it should renew at once.
    Renew(Reissue),
    /// It is good for nothing any more.
    Revoked(AgentRevocation),
}

/// A line of delegation, seen from one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageView {
    /// The agents above it, the root of the line first.
    pub above: Vec<LineageNode>,
    /// The agent, and those below it: parents before their children.
    pub tree: Vec<LineageNode>,
    /// There are more than are shown: ask for one further down.
    pub truncated: bool,
}

/// An agent in a line of delegation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageNode {
    /// Which.
    pub agent: AgentUri,
    /// The agent that its rights are from.
    pub parent: Option<AgentUri>,
    /// How many agents have it as their parent.
    pub children: u32,
    /// The score in its newest certificate.
    pub score: Score,
    /// When that one ends.
    pub not_after: UnixMillis,
    /// That its authority was taken back.
    pub revoked: Option<AgentRevocation>,
}
