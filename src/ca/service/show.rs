//! From what is kept to what is shown.

use super::CaError;
use super::core::Core;
use super::view::{Answered, CertificateView, IssuedView, OpenView, SatView};
use crate::apki::Certificate;
use crate::apki::attestation::AttestationMethod;
use crate::apki::precertificate::recover;
use crate::ca::record::{CertificateRecord, CertificateState, Issued};
use crate::ca::request::{HoldReason, Request, RequestState};
use crate::log::entry::CertHash;
use crate::log::sat::SatList;

impl Core {
    /// Where a request stands, with its certificate once it has one.
    pub(super) async fn answered(&self, request: Request) -> Result<Answered, CaError> {
        let certificate = match &request.state {
            RequestState::Valid { serial } => {
                let record = self.certificate(*serial).await?;
                let issued = record.issued().ok_or_else(|| damaged(&record, "it was issued, and is not there"))?;
                Some(self.issued_view(&record, issued)?)
            }
            _ => None,
        };
        Ok(Answered { certificate, ..without_certificate(&request) })
    }

    /// A final certificate with its issuers, in DER.
    pub(super) fn with_issuers(&self, certificate: &[u8]) -> Vec<Vec<u8>> {
        std::iter::once(certificate.to_vec()).chain(self.issuers.iter().cloned()).collect()
    }

    fn issued_view(&self, record: &CertificateRecord, issued: &Issued) -> Result<IssuedView, CaError> {
        let unreadable = |e: String| damaged(record, &e);
        let octets = &issued.certificate.0;
        let certificate = Certificate::parse(octets.clone()).map_err(|e| unreadable(e.to_string()))?;
        let attestation = certificate.attestation().map_err(|e| unreadable(e.to_string()))?;
        let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
        Ok(IssuedView {
            serial: record.serial,
            sha256: issued.fingerprint,
            agent: record.agent.clone(),
            score: record.score,
            attestation: attestation.map_or(AttestationMethod::SelfDeclared, |attestation| attestation.method),
            not_before,
            not_after,
            renew_at: not_before.saturating_add(not_after.since(not_before) / 2),
            chain: self.with_issuers(octets),
            sats: self.sats(&certificate).map_err(unreadable)?,
        })
    }

    fn sats(&self, certificate: &Certificate) -> Result<Vec<SatView>, String> {
        let recovered = recover(certificate).map_err(|e| e.to_string())?;
        let list = recovered.ok_or("there is no timestamp in it")?.sat_list_der;
        let list = SatList::from_der(list).map_err(|e| e.to_string())?;
        let view = list.sats().iter().map(|sat| {
            let log = self.logs.known().iter().find(|log| log.id() == sat.log_id);
            SatView {
                log: log.map_or_else(String::new, |log| log.url().to_owned()),
                operator: log.map_or_else(String::new, |log| log.operator().to_owned()),
                timestamp: sat.timestamp,
                sat: sat.to_der(),
            }
        });
        Ok(view.collect())
    }
}

/// Where a request stands that has no certificate.
pub(super) fn without_certificate(request: &Request) -> Answered {
    let reasons = match &request.state {
        RequestState::Pending { reasons, .. } => reasons.iter().map(|reason| in_words(*reason).to_owned()).collect(),
        RequestState::Invalid { why } => vec![why.clone()],
        _ => Vec::new(),
    };
    Answered {
        id: request.id,
        agent: request.application.agent.clone(),
        status: request.state.name(),
        received_at: request.received_at,
        reasons,
        certificate: None,
    }
}

/// A request as an operator sees it, while it is open.
pub(super) fn open_view(request: Request) -> Option<OpenView> {
    let answered = without_certificate(&request);
    let (RequestState::Pending { grant, .. } | RequestState::Ready { grant } | RequestState::Processing { grant, .. }) =
        request.state
    else {
        return None;
    };
    Some(OpenView {
        answered,
        credential: request.credential,
        capabilities: grant.capabilities,
        validity_seconds: grant.validity_seconds,
        score: grant.score,
        evidence: request.application.evidence,
        principal: request.application.principal,
    })
}

/// A certificate in the repository.
pub(super) fn certificate_view(record: CertificateRecord) -> CertificateView {
    let cert_hash = CertHash::of_certificate(&record.precertificate.0);
    let (status, sha256, why) = match record.state {
        CertificateState::Precertified => ("precertified", None, None),
        CertificateState::Issued(issued) => ("issued", Some(issued.fingerprint), None),
        CertificateState::Abandoned { why } => ("abandoned", None, Some(why)),
    };
    CertificateView {
        serial: record.serial,
        status,
        sha256,
        cert_hash: *cert_hash.as_bytes(),
        agent: record.agent,
        score: record.score,
        signed_at: record.signed_at,
        not_after: record.not_after,
        request: record.request,
        why,
    }
}

const fn in_words(reason: HoldReason) -> &'static str {
    match reason {
        HoldReason::Policy => "an operator of this CA looks at every enrolment",
        HoldReason::UnregisteredBuild => "the build is not in the CA's registry of known-good builds",
        HoldReason::AgentExists => {
            "the agent has a certificate that is still valid, and the token does not say that it replaces it"
        }
        HoldReason::AgentRevoked => {
            "the agent was revoked, and the token does not say that it replaces the one that was"
        }
    }
}

fn damaged(record: &CertificateRecord, what: &str) -> CaError {
    CaError::Internal(format!("certificate {} in the CA's store: {what}", record.serial))
}
