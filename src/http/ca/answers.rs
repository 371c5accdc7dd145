//! What the CA's service says, as JSON.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use der::pem::{self, LineEnding};

use crate::api::B64;
use crate::api::ca::{
    CertificateAnswer, CertificateEntry, Cursor, EvidenceForm, Hex32, OpenRequest, RequestAnswer, SatAnswer,
};
use crate::ca::service::{Answered, CertificateView, Credential, Evidence, IssuedView, OpenView};
use crate::http::cache;

/// Seconds after which to look at a request again that waits for an operator, and at one that is under
/// way.
const WAIT: (u32, u32) = (30, 2);

/// Where a request stands, for whoever just made it: 201 with the certificate, 202 where there is none
/// yet, and 200 where it was made before and came to nothing. Locations are relative to the call, so
/// that they hold behind a proxy's path too.
pub fn application(answered: &Answered) -> Response {
    let mut response = status(answered);
    let location = match (&answered.certificate, wait(answered.status)) {
        (Some(certificate), _) => {
            *response.status_mut() = StatusCode::CREATED;
            Some(format!("certificates/{}", Hex32(certificate.sha256)))
        }
        (None, Some(_)) => {
            *response.status_mut() = StatusCode::ACCEPTED;
            Some(format!("requests/{}", answered.id))
        }
        (None, None) => None,
    };
    if let Some(location) = location.and_then(|text| HeaderValue::try_from(text).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// Where a request stands, for whoever asks.
pub fn status(answered: &Answered) -> Response {
    let mut response = cache::json(cache::NEVER, &request(answered));
    if let Some(seconds) = wait(answered.status) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// When to ask again, where that makes sense.
fn wait(status: &str) -> Option<u32> {
    match status {
        "pending" => Some(WAIT.0),
        "ready" | "processing" => Some(WAIT.1),
        _ => None,
    }
}

/// Certificates in PEM, one behind the other (RFC 8555 section 9.1).
pub fn chain_pem(chain: &[Vec<u8>]) -> String {
    let block = |der: &Vec<u8>| pem::encode_string("CERTIFICATE", LineEnding::LF, der).unwrap_or_default();
    chain.iter().map(block).collect()
}

fn request(answered: &Answered) -> RequestAnswer {
    RequestAnswer {
        id: answered.id.to_string(),
        status: answered.status.to_owned(),
        agent: answered.agent.clone(),
        received_at: answered.received_at,
        reasons: answered.reasons.clone(),
        certificate: answered.certificate.as_ref().map(certificate),
    }
}

fn certificate(issued: &IssuedView) -> CertificateAnswer {
    let sats = issued.sats.iter().map(|sat| SatAnswer {
        log: sat.log.clone(),
        operator: sat.operator.clone(),
        timestamp: sat.timestamp,
        sat: B64(sat.sat.clone()),
    });
    CertificateAnswer {
        serial: issued.serial.to_string(),
        sha256: Hex32(issued.sha256),
        agent: issued.agent.clone(),
        score: issued.score,
        tier: issued.score.tier(),
        attestation: issued.attestation,
        not_before: issued.not_before,
        not_after: issued.not_after,
        renew_at: issued.renew_at,
        chain_pem: chain_pem(&issued.chain),
        sats: sats.collect(),
    }
}

/// A request before its decision.
pub fn open_request(view: OpenView) -> OpenRequest {
    OpenRequest {
        request: request(&view.answered),
        credential: match view.credential {
            Credential::Token(id) => format!("token {id}"),
            Credential::Certificate(serial) => format!("certificate {serial}"),
            Credential::Parent(serial) => format!("parent {serial}"),
        },
        capabilities: view.capabilities,
        validity_seconds: view.validity_seconds,
        score: view.score,
        evidence: view.evidence.map(evidence),
        human: view.principal.map(|principal| principal.human),
    }
}

fn evidence(evidence: Evidence) -> EvidenceForm {
    EvidenceForm {
        model_family: evidence.model_family,
        model_version: evidence.model_version,
        framework: evidence.framework,
        organization: evidence.organization,
        build_hash: evidence.build_hash.map(Hex32),
        attestation: evidence.attestation.map(|octets| B64(octets.0)),
        evidence_uri: evidence.evidence_uri,
    }
}

/// A certificate in a list.
pub fn entry(view: CertificateView) -> CertificateEntry {
    CertificateEntry {
        serial: view.serial.to_string(),
        status: view.status.to_owned(),
        sha256: view.sha256.map(Hex32),
        cert_hash: Hex32(view.cert_hash),
        agent: view.agent,
        score: view.score,
        signed_at: view.signed_at,
        not_after: view.not_after,
        request: view.request.to_string(),
        why: view.why,
    }
}

/// At most `limit` of `found`, and where the next page begins if there is more.
pub fn page<T>(mut found: Vec<T>, limit: usize, place: impl Fn(&T) -> Cursor) -> (Vec<T>, Option<String>) {
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| place(last).to_string());
    (found, next)
}

#[cfg(test)]
#[path = "answers/tests.rs"]
mod tests;
