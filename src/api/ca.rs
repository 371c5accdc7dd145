//! The CA's calls (draft 7, protocol section 6): what agents and operators send, and what they get.
//!
//! Times are milliseconds since 1970, octets base64, hashes and serial numbers lower-case hex.

mod authority;
mod query;

use serde::{Deserialize, Serialize};

pub use self::authority::{
    DelegateRequest, LineageAnswer, LineageEntry, LineageQuery, MAX_COMMENT, MAX_REVOKED, RevocationReason,
    RevokeAnswer, RevokeRequest, RevokedAgentAnswer, StandingAnswer,
};
pub use self::query::{AuditQuery, CertificatesQuery, Cursor, MAX_CERTIFICATES, MAX_REQUESTS, MAX_ROWS, RequestsQuery};
use super::base64::B64;
use super::json::object;
use super::problem::Problem;
pub use super::query::DEFAULT_PAGE;
use crate::apki::AgentUri;
use crate::apki::attestation::AttestationMethod;
use crate::apki::capabilities::Capabilities;
use crate::apki::delegation::AttenuationRules;
use crate::apki::extension::{AsciiText, Text};
use crate::apki::trust_score::{Score, TrustTier};
use crate::time::UnixMillis;

/// `POST /ca/v1/enroll` with `Authorization: Bearer <enrolment token>`, and `POST /ca/v1/renew` over
/// mutual TLS with the current certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// A PKCS#10 certification request (RFC 2986), in DER: the key, the proof that the requester holds
    /// it, and in its subjectAltName the agent URI.
    pub csr: B64,
    /// How the agent was built (draft 5.5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceForm>,
    /// What it asks to be allowed to do. Left out: all that the token allows, or what the current
    /// certificate says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// For how many seconds. Left out: the CA's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_seconds: Option<u32>,
    /// The human behind the agent. A renewal keeps the one it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalForm>,
}

impl EnrolRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`Token::Malformed`](super::Token::Malformed).
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let request: Self = object("a request for a certificate", body)?;
        authority::check_attestation(request.evidence.as_ref())?;
        Ok(request)
    }
}

/// How an agent was built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceForm {
    /// The family of the model, such as `claude`.
    pub model_family: Text,
    /// The version of the model.
    pub model_version: Text,
    /// What the model runs in, such as `mcp-sdk`.
    pub framework: Text,
    /// Who built the agent.
    pub organization: Text,
    /// SHA-256 of the build, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_hash: Option<Hex32>,
    /// What an attester says of it, at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<B64>,
    /// Where the evidence is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence_uri: Option<AsciiText>,
}

/// The human at the start of a delegation line, and how far it may go (draft 5.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrincipalForm {
    /// Who answers for the agent. Certificates have a salted hash of it unless the CA publishes names.
    pub human: Text,
    /// How many delegations there may be below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<u8>,
    /// What binds every descendant.
    #[serde(default)]
    pub rules: AttenuationRules,
}

/// Where a request stands: the answer to `enroll` and `renew`, and to `GET /ca/v1/requests/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestAnswer {
    /// The request's name; whoever knows it may ask how it stands.
    pub id: String,
    /// `pending`, `ready`, `processing`, `valid` or `invalid` (RFC 8555 section 7.1.6).
    pub status: String,
    /// The agent.
    pub agent: AgentUri,
    /// When it was received.
    pub received_at: UnixMillis,
    /// Why it is pending, or why it is invalid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// The certificate, once the status is `valid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateAnswer>,
}

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateAnswer {
    /// Its serial number, in hex.
    pub serial: String,
    /// SHA-256 of its DER, in hex.
    pub sha256: Hex32,
    /// Whose it is.
    pub agent: AgentUri,
    /// The trust score in it.
    pub score: Score,
    /// The tier of that score.
    pub tier: TrustTier,
    /// On what its attestation rests.
    pub attestation: AttestationMethod,
    /// Valid from.
    pub not_before: UnixMillis,
    /// Valid until.
    pub not_after: UnixMillis,
    /// When to renew: at half of its validity (draft 7.3).
    pub renew_at: UnixMillis,
    /// The certificate and its issuers up to, without the root, in PEM, the agent's first.
    pub chain_pem: String,
    /// The signed agent timestamps in it.
    pub sats: Vec<SatAnswer>,
}

/// A signed agent timestamp in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SatAnswer {
    /// The URL of the log.
    pub log: String,
    /// Who runs it.
    pub operator: String,
    /// When the log took the precertificate in.
    pub timestamp: UnixMillis,
    /// The SAT, in DER.
    pub sat: B64,
}

/// `POST /ca/v1/tokens`, for operators.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MintTokenRequest {
    /// Which agents: a URI in which path segments may be `*`.
    pub agents: String,
    /// The most that they may be allowed to do; left out, the CA's own ceiling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// The longest validity of the first certificate, in seconds; renewals go by the CA's bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_validity_seconds: Option<u32>,
    /// Whether it may enrol an agent that has a valid certificate.
    #[serde(default)]
    pub replaces: bool,
    /// For how many seconds the token is good.
    pub ttl_seconds: u32,
}

impl MintTokenRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`Token::Malformed`](super::Token::Malformed).
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let request: Self = object("a request for an enrolment token", body)?;
        if request.ttl_seconds == 0 {
            return Err(Problem::malformed("`ttl_seconds` is 0: the token would never be good"));
        }
        Ok(request)
    }
}

/// The answer: the only time that the secret is seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintTokenAnswer {
    /// The token's public half, which the journal names it by.
    pub id: String,
    /// The token.
    pub token: String,
    /// Not good from then on.
    pub expires_at: UnixMillis,
}

/// `GET /ca/v1/requests`, for operators: what is not answered yet, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestsAnswer {
    /// The requests.
    pub requests: Vec<OpenRequest>,
    /// `after` for the next page; none where this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A request as an operator sees it, before deciding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenRequest {
    /// Where it stands.
    #[serde(flatten)]
    pub request: RequestAnswer,
    /// What it came with: `token <id>`, `certificate <serial>` or `parent <serial>`.
    pub credential: String,
    /// What it asks for or will get.
    pub capabilities: Capabilities,
    /// For how long.
    pub validity_seconds: u32,
    /// The score it will have.
    pub score: Score,
    /// How the agent was built, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceForm>,
    /// The human behind it, in plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human: Option<Text>,
}

/// Longest reason for a denial, in octets.
pub const MAX_WHY: usize = 1024;

/// `POST /ca/v1/requests/{id}/deny`, for operators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenyRequest {
    /// Why, for the requester to read.
    #[serde(default)]
    pub why: String,
}

impl DenyRequest {
    /// Reads a request body; an empty one gives no reason.
    ///
    /// # Errors
    /// [`Token::Malformed`](super::Token::Malformed), also where the reason has more than
    /// [`MAX_WHY`] octets.
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let request: Self = object("a denial", body)?;
        match request.why.len() {
            0..=MAX_WHY => Ok(request),
            length => Err(Problem::malformed(format!("`why` has {length} octets; {MAX_WHY} have to do"))),
        }
    }
}

/// `GET /ca/v1/certificates`, for operators: newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatesAnswer {
    /// The certificates.
    pub certificates: Vec<CertificateEntry>,
    /// `after` for the next page; none where this is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A certificate in the CA's repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateEntry {
    /// Its serial number, in hex.
    pub serial: String,
    /// `precertified`, `issued` or `abandoned`.
    pub status: String,
    /// SHA-256 of the final certificate, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Hex32>,
    /// SHA-256 of the precertificate: what the logs have.
    pub cert_hash: Hex32,
    /// Whose it is.
    pub agent: AgentUri,
    /// The score in it.
    pub score: Score,
    /// When the precertificate was signed.
    pub signed_at: UnixMillis,
    /// When it ends.
    pub not_after: UnixMillis,
    /// The request that it answers.
    pub request: String,
    /// Why it was abandoned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// `GET /ca/v1/audit`, for operators: rows of the journal as they are, each one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditAnswer {
    /// How many rows there are.
    pub rows_total: u64,
    /// SHA-256 of the last row.
    pub head: Hex32,
    /// The number of the first row here.
    pub start: u64,
    /// The rows, octet for octet, so that their hashes can be checked.
    pub rows: Vec<String>,
}

/// `GET /ca/v1/ca`: what the CA says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaDescriptor {
    /// The trust domain that it speaks for.
    pub trust_domain: String,
    /// Who runs it.
    pub organization: String,
    /// The issuing certificate and its issuers up to the root, in PEM.
    pub chain_pem: String,
    /// The logs that it submits to.
    pub logs: Vec<LogAnswer>,
    /// Shortest validity, in seconds.
    pub min_validity_seconds: u32,
    /// Validity of those who do not ask, in seconds.
    pub default_validity_seconds: u32,
    /// Longest validity, in seconds.
    pub max_validity_seconds: u32,
    /// The arc of the extensions' identifiers.
    pub oid_arc: String,
}

/// A log that a CA submits to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogAnswer {
    /// Its base URL.
    pub url: String,
    /// Who runs it.
    pub operator: String,
    /// Its key, a SubjectPublicKeyInfo.
    pub key: B64,
}

/// 32 octets, lower-case hex in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hex32(pub [u8; 32]);

impl std::fmt::Display for Hex32 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::str::FromStr for Hex32 {
    type Err = BadHex;

    fn from_str(text: &str) -> Result<Self, BadHex> {
        let mut octets = [0; 32];
        hex::decode_to_slice(text, &mut octets).map_err(|_| BadHex)?;
        // One spelling each.
        if text.bytes().any(|c| c.is_ascii_uppercase()) { Err(BadHex) } else { Ok(Self(octets)) }
    }
}

/// Text that is not 32 octets in lower-case hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has to be 64 lower-case hex digits")]
pub struct BadHex;

impl Serialize for Hex32 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex32 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Token;
    use crate::apki::provenance::MAX_EVIDENCE;

    #[test]
    fn bodies_that_are_no_form_are_malformed() {
        let long = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![0; MAX_EVIDENCE + 1]);
        let evidence = |attestation: &str| {
            format!(
                r#"{{"csr":"AA==","evidence":{{"model_family":"","model_version":"","framework":"","organization":"","attestation":"{attestation}"}}}}"#
            )
        };
        let wrong =
            ["", "[]", "null", "{}", r#"["AA=="]"#, r#"{"csr":"AA"}"#, r#"{"csr":"AA==","x":1}"#, &evidence(&long)];
        for body in wrong {
            let problem = EnrolRequest::from_json(body.as_bytes()).unwrap_err();
            assert_eq!(problem.token(), Some(Token::Malformed));
            assert!(problem.detail.len() < 300);
        }
        assert!(EnrolRequest::from_json(evidence("AA==").as_bytes()).is_ok());
        for body in [r#"{"agents":"x"}"#, r#"{"agents":"x","ttl_seconds":0}"#, r#"{"agents":"x","ttl_seconds":-1}"#] {
            assert!(MintTokenRequest::from_json(body.as_bytes()).is_err(), "{body}");
        }
        assert!(MintTokenRequest::from_json(br#"{"agents":"x","ttl_seconds":1}"#).is_ok());
        assert_eq!(DenyRequest::from_json(b""), Ok(DenyRequest::default()));
        let why = format!(r#"{{"why":"{}"}}"#, "x".repeat(MAX_WHY + 1));
        assert!(DenyRequest::from_json(why.as_bytes()).is_err() && DenyRequest::from_json(b"x").is_err());
    }
}
