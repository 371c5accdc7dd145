//! What agents send, as the CA's service takes it.

use crate::api::Token;
use crate::api::ca::{DelegateRequest, EnrolRequest, EvidenceForm, RevokeRequest};
use crate::ca::service::{DelegateForm, DelegationTerms, Evidence, Form, Octets, Principal, Target};
use crate::http::problem::Failure;

/// An application.
pub fn form(request: EnrolRequest) -> Form {
    let EnrolRequest { csr, evidence, capabilities, validity_seconds, principal } = request;
    let principal = principal.map(|principal| Principal {
        human: principal.human,
        max_depth: principal.max_depth,
        rules: principal.rules,
    });
    Form { csr: csr.0, evidence: evidence.map(self::evidence), capabilities, validity_seconds, principal }
}

/// An application for a child. The human behind it is the one behind its parent.
pub fn delegation(request: DelegateRequest) -> DelegateForm {
    let DelegateRequest { csr, evidence, capabilities, validity_seconds, max_depth, rules } = request;
    let evidence = evidence.map(self::evidence);
    let form = Form { csr: csr.0, evidence, capabilities: Some(capabilities), validity_seconds, principal: None };
    DelegateForm { form, terms: DelegationTerms { max_depth, rules } }
}

/// Whom a revocation is for.
pub fn target(request: &RevokeRequest) -> Result<Target, Failure> {
    match (&request.agent, &request.serial, request.sha256) {
        (Some(agent), None, None) => Ok(Target::Agent(agent.clone())),
        (None, None, Some(sha256)) => Ok(Target::Sha256(sha256.0)),
        (None, Some(serial), None) => match serial.parse() {
            Ok(serial) => Ok(Target::Serial(serial)),
            Err(e) => Err(Failure::new(Token::Malformed, format!("`serial`: {e}"))),
        },
        _ => Err(Failure::new(Token::Malformed, "say whose: one of `agent`, `serial` and `sha256`")),
    }
}

fn evidence(evidence: EvidenceForm) -> Evidence {
    Evidence {
        model_family: evidence.model_family,
        model_version: evidence.model_version,
        framework: evidence.framework,
        organization: evidence.organization,
        build_hash: evidence.build_hash.map(|hash| hash.0),
        attestation: evidence.attestation.map(|octets| Octets(octets.0)),
        evidence_uri: evidence.evidence_uri,
    }
}
