//! What the CA keeps: certificates from the first signature on, and agents through all of theirs.

use serde::{Deserialize, Serialize};

use super::application::Octets;
use super::encoding;
use super::ident::RequestId;
use super::serial::Serial;
use crate::apki::AgentUri;
use crate::apki::status::RevocationReason;
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
    /// a token, or from a parent.
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
    /// The certificate that its agentDelegation names by hash: its parent's; `None` at the root of a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Serial>,
    /// When the final certificate was in the logs too. Before, nobody is certified below it: who follows
    /// parentCertHash finds it there (draft 9.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<UnixMillis>,
    /// The newest request for a child that it was the credential of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<RequestId>,
    /// The newest request that it was the credential of: its renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<RequestId>,
    /// How many applications with it, for its renewal or for a child, were refused.
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
    /// The agent that handed its rights on to this one, whichever certificate either has by now; `None` at
    /// the root of a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<AgentUri>,
    /// How many agents have this one as their parent.
    #[serde(default)]
    pub children: u32,
    /// Its certificates that were issued, are not revoked and had not ended when the newest was issued, the newest
    /// last.
    #[serde(default)]
    pub live: Vec<LiveCertificate>,
    /// That its authority was taken back, until it enrols anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<AgentRevocation>,
    /// When its authority was last taken back, whatever it enrolled for since: what was asked for before does not
    /// come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_revoked_at: Option<UnixMillis>,
    /// That its score has moved away from the one in its certificate, so that it should renew at once
    /// (draft 6.4); the next certificate clears it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reissue: Option<Reissue>,
}

impl Agent {
    /// Its certificates that are valid at `now`. The last moment of validity is one of it (RFC 5280 section
    /// 4.1.2.5).
    pub fn unended(&self, now: UnixMillis) -> impl Iterator<Item = &LiveCertificate> {
        self.live.iter().filter(move |certificate| now <= certificate.not_after)
    }

    /// Whether it has a certificate that is valid at `now`.
    pub fn is_live(&self, now: UnixMillis) -> bool {
        self.unended(now).next().is_some()
    }
}

/// A certificate that may still be valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveCertificate {
    /// Its number.
    pub serial: Serial,
    /// When its precertificate was signed.
    pub signed_at: UnixMillis,
    /// When it ends.
    pub not_after: UnixMillis,
}

/// That an agent's authority was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRevocation {
    /// When.
    pub at: UnixMillis,
    /// Why.
    pub reason: RevocationReason,
    /// The agent above it whose revocation took it along; `None` where it was meant itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<AgentUri>,
}

/// That an agent should renew at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reissue {
    /// Since when.
    pub at: UnixMillis,
    /// The score as the trust engine has it.
    pub score: Score,
}

/// A certificate that was revoked: what CRL and OCSP say of it (RFC 5280 section 5.1.2.6, RFC 6960).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationRecord {
    /// Its number.
    pub serial: Serial,
    /// Whose it is; `None` where only a revocation list remembers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentUri>,
    /// When it was revoked.
    pub at: UnixMillis,
    /// Why.
    pub reason: RevocationReason,
    /// When its precertificate was signed, which says in which shard of the list it is.
    pub signed_at: UnixMillis,
    /// When it ends, and need not be listed any more soon after.
    pub not_after: UnixMillis,
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
    /// Which rule of attenuation is broken, by its code in [`crate::apki::attenuation`], where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
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
    /// The score is too low.
    Score,
    /// The child would have more than its parent, or than an ancestor's rules allow (draft 9.1).
    Attenuation,
    /// The parent may not hand anything on, or not to this agent.
    Delegation,
}

impl std::fmt::Display for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reasons: Vec<&str> = self.0.iter().map(|reason| reason.detail.as_str()).collect();
        f.write_str(&reasons.join("; "))
    }
}
