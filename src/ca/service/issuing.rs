//! Issuance (draft 7.2 and 8.2, protocol sections 3 and 6): from a request that is ready to a
//! certificate with its proof from the logs.
//!
//! Each step is durable before the world sees it: the precertificate before any log does, the
//! certificate before its agent does. Whatever stops an issuance in between leaves a request that is
//! `processing`, which `recovery` takes up; it is never issued twice.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::CaError;
use super::core::Core;
use super::flights::Flight;
use super::profile::{Validity, profile};
use super::writer::Told;
use crate::apki::Certificate;
use crate::ca::application::Octets;
use crate::ca::authority::Refusal;
use crate::ca::command::Command;
use crate::ca::issuance::{IssuanceError, Submission, finish, sign_precertificate};
use crate::ca::request::{Grant, Request, RequestId, RequestState};
use crate::ca::serial::{MAX_SERIAL, Serial};
use crate::time::Stopwatch;

impl Core {
    /// Begins work on a request: `None` where somebody else is at it.
    pub(super) fn take_off(&self, id: RequestId) -> Result<Option<Flight>, CaError> {
        if self.is_stopping() {
            return Err(CaError::Stopped);
        }
        let place = Arc::clone(&self.issuances).try_acquire_owned().map_err(|_| CaError::Overloaded)?;
        Ok(self.flights.take_off(id, place))
    }

    /// Issues the certificate of a request that is ready, and returns the request as it is then. One
    /// that is not ready, or that somebody else works on, is returned as it is. Dropping the future
    /// does not stop the issuance.
    pub(super) async fn issue(self: &Arc<Self>, request: Request) -> Result<Request, CaError> {
        if !matches!(request.state, RequestState::Ready { .. }) {
            return Ok(request);
        }
        let Some(flight) = self.take_off(request.id)? else { return self.find(request.id).await };
        let core = Arc::clone(self);
        let issuance = tokio::spawn(async move {
            let _flight = flight;
            core.issue_here(request).await
        });
        match issuance.await {
            Ok(issued) => issued,
            Err(end) if end.is_cancelled() => Err(CaError::Stopped),
            Err(_) => Err(CaError::Internal("the issuance failed unexpectedly".into())),
        }
    }

    async fn issue_here(self: &Arc<Self>, request: Request) -> Result<Request, CaError> {
        let RequestState::Ready { grant } = &request.state else { return Ok(request) };
        self.may_issue()?;
        // Whoever asks again and again while a log is down leaves no trail of precertificates in the others.
        self.logs.missing_just_now(&self.settings.sat_rule, grant.score)?;
        let total = Stopwatch::start();
        if let Some(parent) = grant.parent {
            self.publish(parent).await?;
        }
        let serial = Serial::from_random(self.octets::<MAX_SERIAL>()?);
        let precertificate = Arc::new(self.precertificate(serial, &request, grant)?);
        let precertify = Command::Precertify {
            request: request.id,
            serial,
            precertificate: Octets(precertificate.certificate().der().to_vec()),
            not_after: precertificate.certificate().not_after(),
        };
        match self.record(precertify).await {
            Ok(_) => {}
            // It is not ready any more: an operator or an earlier issuance was faster.
            Err(CaError::Refusal(Refusal::Conflict(_))) => return self.find(request.id).await,
            Err(error) => return Err(error),
        }
        let certificate = match self.certify(&precertificate).await {
            Ok(certificate) => certificate,
            Err(error) => {
                self.abandon(request.id, serial, error.to_string()).await;
                return Err(error);
            }
        };
        let issued = self.issued(request.id, serial, &certificate).await;
        self.observer.phase("total", total.elapsed());
        issued
    }

    fn precertificate(&self, serial: Serial, request: &Request, grant: &Grant) -> Result<Submission, CaError> {
        let watch = Stopwatch::start();
        let now = self.clock.now();
        if let Some(end) = grant.ends_by.filter(|end| *end <= now) {
            let why = format!("the parent's certificate ended at {end}, and nothing can be issued below it: ask again");
            return Err(Refusal::Conflict(why).into());
        }
        let (backdate, issuer) = (self.settings.backdate_ms, self.ca.certificate());
        let validity = Validity::new(now, backdate, grant.validity_seconds, grant.ends_by, issuer)
            .ok_or_else(|| CaError::Internal(format!("no certificate can be dated {now}: set the clock right")))?;
        let status = self.settings.status.urls(now).map_err(CaError::Internal)?;
        let profile = profile(serial, &request.application, grant, &self.policy, validity, status)
            .map_err(|e| CaError::Internal(format!("attestation evidence: {e}")))?;
        let signed = sign_precertificate(&self.ca, &self.linter, &profile, now).map_err(|e| internal(&e))?;
        self.observer.phase("sign", watch.elapsed());
        Ok(signed)
    }

    /// Takes a precertificate that is recorded to the logs, and signs the final certificate.
    pub(super) async fn certify(&self, precertificate: &Arc<Submission>) -> Result<Certificate, CaError> {
        let watch = Stopwatch::start();
        let gathered = self.logs.gather(precertificate, &self.issuers).await;
        self.observer.phase("logs", watch.elapsed());
        let (gathered, watch) = (gathered?, Stopwatch::start());
        self.may_issue()?;
        let (rule, now) = (&self.settings.sat_rule, self.clock.now());
        let certificate = finish(&self.ca, &self.linter, &gathered, rule, now);
        self.observer.phase("finish", watch.elapsed());
        certificate.map_err(|e| internal(&e))
    }

    /// Records a final certificate. Where that does not succeed, nobody has seen it and nobody will: what was
    /// decided against meanwhile, since somebody above was revoked, comes to nothing.
    pub(super) async fn issued(
        self: &Arc<Self>,
        request: RequestId,
        serial: Serial,
        certificate: &Certificate,
    ) -> Result<Request, CaError> {
        let fingerprint = Sha256::digest(certificate.der()).into();
        let certificate = Octets(certificate.der().to_vec());
        match self.record(Command::Issue { request, serial, fingerprint, certificate }).await {
            Ok(told) => {
                let found = told.request.ok_or_else(|| CaError::Internal(format!("request {request} is gone")))?;
                self.follow_up(serial, &found);
                Ok(found)
            }
            Err(CaError::Refusal(refusal)) => {
                self.abandon(request, serial, refusal.to_string()).await;
                Err(refusal.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Records that a precertificate comes to nothing. Where that does not succeed, the request stays
    /// `processing` until `recovery` looks at it.
    pub(super) async fn abandon(&self, request: RequestId, serial: Serial, why: String) {
        if let Err(error) = self.record(Command::Abandon { request, serial, why }).await {
            tracing::warn!(%request, %serial, %error, "an issuance that failed could not be recorded as abandoned");
        }
    }

    pub(super) async fn record(&self, command: Command) -> Result<Told, CaError> {
        let watch = Stopwatch::start();
        let recorded = self.queue.record(command).await;
        self.observer.phase("record", watch.elapsed());
        recorded
    }
}

/// A fault of ours: the rule that the linter found broken, or what the key did.
fn internal(error: &IssuanceError) -> CaError {
    tracing::error!(%error, "no certificate was issued");
    CaError::Internal(error.to_string())
}
