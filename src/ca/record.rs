//! What the CA keeps: certificates from the first signature on, and agents through all of theirs.

use serde::{Deserialize, Serialize};

use super::application::Octets;
use super::encoding;
use super::ident::RequestId;
use super::serial::Serial;
use crate::apki::AgentUri;
use crate::apki::trust_score::Score;
use crate::time::UnixMillis;

/// A certificate, from its precertificate on. A serial number that is here is never used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRecord {
    /// Its number.
    pub serial: Serial,
    /// The request that it answers.
    pub request: RequestId,
    /// The enrolment that it descends from, through any number of renewals: the request that came with
    /// a token.
    pub enrolment: RequestId,
    /// Whose it is.
    pub agent: AgentUri,
    /// The score in it.
    pub score: Score,
    /// The precertificate, in DER.
    pub precertificate: Octets,
    /// When the precertificate was signed.
    pub signed_at: UnixMillis,
    /// When it ends.
    pub not_after: UnixMillis,
    /// The newest request that it was the credential of: its renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<RequestId>,
    /// How many applications for its renewal were refused.
    #[serde(default)]
    pub refused: u16,
    /// How far it came.
    pub state: CertificateState,
}

/// How far a certificate came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "status")]
pub enum CertificateState {
    /// The precertificate is signed; logs may or may not have it.
    Precertified,
    /// The final certificate is signed and was given out.
    Issued(Issued),
    /// There is no final certificate and there will be none.
    Abandoned {
        /// Why.
        why: String,
    },
}

/// A final certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// When it was signed.
    pub issued_at: UnixMillis,
    /// SHA-256 of it.
    #[serde(with = "encoding::hash")]
    pub fingerprint: [u8; 32],
    /// The certificate, in DER.
    pub certificate: Octets,
}

impl CertificateRecord {
    /// The final certificate, once there is one.
    pub const fn issued(&self) -> Option<&Issued> {
        match &self.state {
            CertificateState::Issued(issued) => Some(issued),
            _ => None,
        }
    }
}

/// An agent through all its certificates: its lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its name.
    pub uri: AgentUri,
    /// When its first certificate was issued.
    pub first_issued_at: UnixMillis,
    /// Its last enrolment. Certificates that descend from another do not renew: whoever lost control of
    /// a key gets it back by enrolling anew, however fast the other side renews meanwhile.
    pub enrolment: RequestId,
    /// How many certificates it has had.
    pub certificates: u64,
    /// The newest one.
    pub current: Serial,
    /// When that one ends.
    pub current_not_after: UnixMillis,
    /// The highest score that any of them had.
    pub peak_score: Score,
}

/// Why the registration authority refuses, in the order found: never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Refusals(pub Vec<Reason>);

/// One thing that speaks against an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What, for programs.
    pub code: ReasonCode,
    /// What exactly, and what to do about it, for people.
    pub detail: String,
}

/// What speaks against an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ReasonCode {
    /// The agent is in another trust domain than this CA.
    TrustDomain,
    /// The credential is not for this agent.
    AgentUri,
    /// A SPIFFE ID is asked for that is not the agent's own, or this CA puts none into certificates.
    Spiffe,
    /// A capability is not within a ceiling.
    Capability,
    /// The validity is out of bounds.
    Validity,
    /// The provenance is missing or not among what the CA knows.
    Provenance,
    /// The key is not the one that policy asks for.
    PublicKey,
    /// The principal, or how far authority may be handed on, is not acceptable.
    Principal,
    /// The initial score is too low.
    Score,
}

impl std::fmt::Display for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reasons: Vec<&str> = self.0.iter().map(|reason| reason.detail.as_str()).collect();
        f.write_str(&reasons.join("; "))
    }
}
