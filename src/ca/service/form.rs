//! What agents send, read: forms to applications, presented certificates to what names them.

use sha2::{Digest, Sha256};

use super::{CaError, Form};
use crate::apki::Certificate;
use crate::apki::provenance::MAX_EVIDENCE;
use crate::ca::application::Application;
use crate::ca::authority::Refusal;
use crate::ca::csr::{CsrError, SigningRequest};
use crate::ca::record::{Reason, ReasonCode, Refusals};
use crate::ca::serial::Serial;

impl Form {
    /// Reads the certification request, and with it the form.
    pub(super) fn into_application(self) -> Result<Application, CaError> {
        let csr = |e: CsrError| CaError::Csr { fault: e.fault(), detail: e.to_string() };
        let request = SigningRequest::from_der(&self.csr).map_err(csr)?;
        let name = request.agent_name().map_err(csr)?;
        let attested = self.evidence.as_ref().and_then(|evidence| evidence.attestation.as_ref());
        if let Some(length) = attested.map(|octets| octets.0.len()).filter(|length| *length > MAX_EVIDENCE) {
            let detail = format!("the attestation has {length} octets, and at most {MAX_EVIDENCE} are taken");
            return Err(
                Refusal::Refused(Refusals(vec![Reason { code: ReasonCode::Provenance, rule: None, detail }])).into()
            );
        }
        Ok(Application {
            agent: name.uri,
            spiffe: name.spiffe,
            public_key: request.public_key().clone(),
            evidence: self.evidence,
            capabilities: self.capabilities,
            validity_seconds: self.validity_seconds,
            principal: self.principal,
            terms: None,
        })
    }
}

/// Whose certificate this is, for whoever counts what one agent asks: the trust domain's name for it, whatever
/// key it shows. `None` where it is no agent's.
pub fn holder(der: &[u8]) -> Option<String> {
    let certificate = Certificate::parse(der).ok()?;
    certificate.agent_uri().ok().map(|uri| uri.as_str().to_owned())
}

/// The number and the SHA-256 of a certificate that was presented.
pub(super) fn presented(der: &[u8]) -> Result<(Serial, [u8; 32]), CaError> {
    let unknown =
        || CaError::Refusal(Refusal::Unauthorized("the certificate is not one that this CA has issued".into()));
    let certificate = Certificate::parse(der).map_err(|_| unknown())?;
    let serial = Serial::from_bytes(certificate.serial()).map_err(|_| unknown())?;
    Ok((serial, Sha256::digest(der).into()))
}
