//! Authority handed on and taken back: delegation, revocation, and what became of either (draft 9).

use serde::{Deserialize, Serialize};

use super::{EvidenceForm, Hex32};
use crate::api::Problem;
use crate::api::base64::B64;
use crate::api::json::object;
use crate::api::query::parameters;
use crate::apki::AgentUri;
use crate::apki::capabilities::Capabilities;
use crate::apki::delegation::AttenuationRules;
use crate::apki::provenance::MAX_EVIDENCE;
pub use crate::apki::status::RevocationReason;
use crate::apki::trust_score::Score;
use crate::time::UnixMillis;

/// `POST /ca/v1/delegate` over mutual TLS with the parent's current certificate: an agent hands rights on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegateRequest {
    /// The child's PKCS#10 certification request (RFC 2986), in DER: its key, the proof that it holds it, and
    /// in the subjectAltName its agent URI.
    pub csr: B64,
    /// How the child was built (draft 5.5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceForm>,
    /// What the child is to be allowed to do: within what the parent may do (draft 9.1).
    pub capabilities: Capabilities,
    /// For how many seconds; never longer than the parent's certificate is valid. Left out: the CA's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_seconds: Option<u32>,
    /// maxDelegationDepth of the child. Left out: the parent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<u8>,
    /// What binds every descendant of the child, besides what binds the child.
    #[serde(default)]
    pub rules: AttenuationRules,
}

impl DelegateRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`Token::Malformed`](crate::api::Token::Malformed).
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let request: Self = object("a request to delegate", body)?;
        check_attestation(request.evidence.as_ref())?;
        Ok(request)
    }
}

/// That an attestation is no longer than a certificate carries.
pub(super) fn check_attestation(evidence: Option<&EvidenceForm>) -> Result<(), Problem> {
    let attestation = evidence.and_then(|evidence| evidence.attestation.as_ref());
    match attestation.map_or(0, |octets| octets.0.len()) {
        0..=MAX_EVIDENCE => Ok(()),
        length => Err(Problem::malformed(format!(
            "`evidence.attestation` has {length} octets, and {MAX_EVIDENCE} are the most that a certificate carries"
        ))),
    }
}

/// Longest comment on a revocation, in octets.
pub const MAX_COMMENT: usize = 1024;

/// `POST /ca/v1/revoke`, by an operator with its token, or by an agent over mutual TLS with its current
/// certificate: for itself or a descendant. It takes the agent's authority back whole, with that of all its
/// descendants; a certificate names the agent whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// The agent; or
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentUri>,
    /// the serial number of one of its certificates, in hex; or
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// the SHA-256 of one of them. One of the three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Hex32>,
    /// Why (RFC 5280 section 5.3.1). Left out: unspecified.
    #[serde(default)]
    pub reason: RevocationReason,
    /// Why, in words, for the journal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

impl RevokeRequest {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`Token::Malformed`](crate::api::Token::Malformed), also where not exactly one of the three names is
    /// there, or the comment has more than [`MAX_COMMENT`] octets.
    pub fn from_json(body: &[u8]) -> Result<Self, Problem> {
        let request: Self = object("a revocation", body)?;
        let names = [request.agent.is_some(), request.serial.is_some(), request.sha256.is_some()];
        match names.into_iter().filter(|there| *there).count() {
            1 => {}
            0 => return Err(Problem::malformed("say whose: `agent`, or `serial` or `sha256` of a certificate")),
            _ => return Err(Problem::malformed("of `agent`, `serial` and `sha256` there may be one only")),
        }
        match request.comment.len() {
            0..=MAX_COMMENT => Ok(request),
            length => Err(Problem::malformed(format!("`comment` has {length} octets; {MAX_COMMENT} have to do"))),
        }
    }
}

/// Most agents that the answer to a revocation names.
pub const MAX_REVOKED: usize = 1000;

/// The answer: whose authority is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeAnswer {
    /// When it was taken back.
    pub at: UnixMillis,
    /// Of how many agents.
    pub agents_total: u64,
    /// How many certificates that had not ended.
    pub certificates_total: u64,
    /// Whether a revocation list that has them is published; OCSP has them in any case.
    pub listed: bool,
    /// The agent that was meant first, then those below it: at most [`MAX_REVOKED`].
    pub agents: Vec<RevokedAgentAnswer>,
}

/// An agent whose authority was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedAgentAnswer {
    /// Which.
    pub agent: AgentUri,
    /// The agent above it that took it along; none where it was meant itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<AgentUri>,
    /// The serial numbers of its certificates that had not ended, in hex.
    pub certificates: Vec<String>,
}

/// `GET /ca/v1/standing` over mutual TLS: what the certificate of the connection is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingAnswer {
    /// Whose it is.
    pub agent: AgentUri,
    /// Its serial number, in hex.
    pub serial: String,
    /// `valid`; `renew`: good, and to be renewed at once; `revoked`.
    pub status: String,
    /// Since when it is to be renewed, or is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixMillis>,
    /// The score as the trust engine has it, where that is why it is to be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// Why it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RevocationReason>,
    /// The agent above it whose revocation took it along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<AgentUri>,
}

/// Parameters of `GET /ca/v1/lineage`, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageQuery {
    /// Around this agent.
    pub agent: AgentUri,
}

impl LineageQuery {
    /// Reads the part of the URL behind `?`.
    ///
    /// # Errors
    /// [`Token::Malformed`](crate::api::Token::Malformed).
    pub fn parse(raw: &str) -> Result<Self, Problem> {
        let [agent] = parameters(raw, ["agent"])?;
        let agent = agent.ok_or_else(|| Problem::malformed("`agent` is missing: the agent to look from"))?;
        let agent = AgentUri::parse(&agent);
        Ok(Self { agent: agent.map_err(|e| Problem::malformed(format!("`agent` is no agent URI: {e}")))? })
    }
}

/// The answer: who has rights from whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageAnswer {
    /// The agents above, the root of the line first.
    pub above: Vec<LineageEntry>,
    /// The agent, then those below it, each behind its parent.
    pub tree: Vec<LineageEntry>,
    /// There are more than are shown: ask for one further down.
    pub truncated: bool,
}

/// An agent in a line of delegation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageEntry {
    /// Which.
    pub agent: AgentUri,
    /// The agent that its rights are from; none at the root of a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<AgentUri>,
    /// How many agents have it as their parent.
    pub children: u32,
    /// The score in its newest certificate.
    pub score: Score,
    /// When that one ends.
    pub not_after: UnixMillis,
    /// When its authority was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<UnixMillis>,
    /// Why it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RevocationReason>,
    /// The agent above it whose revocation took it along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<AgentUri>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Token;

    #[test]
    fn a_revocation_is_of_one_agent() {
        let agent = r#""agent":"agent://bank.example.com/a/b/c""#;
        let sha256 = format!(r#""sha256":"{}""#, "0a".repeat(32));
        let read = |members: &str| RevokeRequest::from_json(format!("{{{members}}}").as_bytes());
        assert_eq!(read(agent).unwrap().reason, RevocationReason::Unspecified);
        assert!(read(&sha256).unwrap().sha256.is_some());
        let why = read(r#""serial":"0a","reason":"keyCompromise","comment":"seen""#).unwrap();
        assert_eq!((why.reason, why.comment.as_str()), (RevocationReason::KeyCompromise, "seen"));
        let long = format!(r#"{agent},"comment":"{}""#, "x".repeat(MAX_COMMENT + 1));
        let wrong = [
            "",
            r#""serial":"0a","sha256":"x""#,
            &format!("{agent},{sha256}"),
            &format!(r#"{agent},"serial":"0a""#),
            r#""agent":"https://bank.example.com/""#,
            &format!(r#"{agent},"reason":"removeFromCRL""#),
            &format!(r#"{agent},"reason":1"#),
            &format!(r#"{agent},"who":"me""#),
            &long,
        ];
        for members in wrong {
            let problem = read(members).unwrap_err();
            assert_eq!(problem.token(), Some(Token::Malformed), "{members}");
            assert!(problem.detail.len() < 400, "{problem}");
        }
    }

    #[test]
    fn a_delegation_says_what_the_child_may_do() {
        let read = |body: &str| DelegateRequest::from_json(body.as_bytes());
        let least = read(r#"{"csr":"AA==","capabilities":[]}"#).unwrap();
        assert_eq!((least.max_depth, least.rules), (None, AttenuationRules::default()));
        for wrong in [
            "",
            "[]",
            r#"{"csr":"AA=="}"#,
            r#"{"capabilities":[]}"#,
            r#"{"csr":"AA==","capabilities":[],"max_depth":256}"#,
            r#"{"csr":"AA==","capabilities":[],"max_depth":-1}"#,
            r#"{"csr":"AA==","capabilities":[],"rules":{"max_trust_score":101}}"#,
            r#"{"csr":"AA==","capabilities":[],"principal":{"human":"x"}}"#,
        ] {
            assert_eq!(read(wrong).unwrap_err().token(), Some(Token::Malformed), "{wrong}");
        }
    }

    #[test]
    fn a_lineage_is_around_an_agent() {
        let agent = "agent://bank.example.com/a/b/c";
        assert_eq!(LineageQuery::parse(&format!("agent={agent}")).unwrap().agent.as_str(), agent);
        assert!(LineageQuery::parse("agent=agent%3A%2F%2Fbank.example.com%2Fa%2Fb%2Fc").is_ok());
        for wrong in ["", "agent=", "agent=x", &format!("agent={agent}&agent={agent}")] {
            assert_eq!(LineageQuery::parse(wrong).unwrap_err().token(), Some(Token::Malformed), "{wrong}");
        }
    }
}
