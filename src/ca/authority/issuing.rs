//! From a request that is ready to a certificate, step by step. At each step it is seen again, by the one writer,
//! that nothing was revoked meanwhile: whoever was on the way when a tree was cut off does not arrive (draft 9.3).

use super::applications::{goes_on, within_max_live};
use super::{Refusal, Verdict, find, not_ours};
use crate::apki::{AgentUri, Certificate, attenuation::Party};
use crate::ca::application::Octets;
use crate::ca::delegation::{Line, chain};
use crate::ca::event::Event;
use crate::ca::policy::Policy;
use crate::ca::record::{Agent, CertificateRecord, CertificateState};
use crate::ca::request::{Credential, Grant, Request, RequestId, RequestState};
use crate::ca::serial::Serial;
use crate::ca::state::State;
use crate::ca::token::TokenId;
use crate::time::UnixMillis;

/// A precertificate is signed.
pub(super) fn precertify(
    state: &State,
    request: &RequestId,
    serial: Serial,
    precertificate: &Octets,
    not_after: UnixMillis,
    policy: &Policy,
    now: UnixMillis,
) -> Verdict {
    unused(state, &serial)?;
    let found = find(state, request)?;
    let RequestState::Ready { grant } = &found.state else {
        return Err(Refusal::Conflict(format!("the request is {}, not ready", found.state.name())));
    };
    stands(state, found, grant, policy, now)?;
    if let Credential::Certificate(credential) | Credential::Parent(credential) = &found.credential {
        let credential = state.certificate(credential).ok_or_else(not_ours)?;
        goes_on(credential, state.agent(&credential.agent).ok_or_else(not_ours)?)?;
        let agent = state.agent(&found.application.agent);
        within_max_live(agent, policy, now).map_err(|refusal| Refusal::Unauthorized(refusal.to_string()))?;
    }
    if let Some(parent) = &grant.parent {
        attenuates(state, parent, found, precertificate, not_after, policy, now)?;
    }
    let event = Event::PrecertificateSigned {
        request: *request,
        serial,
        agent: found.application.agent.clone(),
        score: grant.score,
        precertificate: precertificate.clone(),
        not_after,
    };
    Ok((vec![event], Some(*request)))
}

/// The final certificate is signed.
pub(super) fn issue(
    state: &State,
    request: &RequestId,
    serial: Serial,
    fingerprint: [u8; 32],
    certificate: &Octets,
    policy: &Policy,
    now: UnixMillis,
) -> Verdict {
    under_way(state, request, &serial)?;
    let found = find(state, request)?;
    let grant = found.state.grant().ok_or(Refusal::NotFound("grant of this request"))?;
    stands(state, found, grant, policy, now)?;
    if state.revocation(&serial).is_some() {
        return Err(Refusal::Unauthorized(format!("certificate {serial} is revoked already")));
    }
    if let Some(ended) = state.certificate(&serial).map(|certificate| certificate.not_after).filter(|ends| *ends < now)
    {
        return Err(Refusal::Conflict(format!("certificate {serial} ended at {ended}, before it was finished")));
    }
    let event = Event::CertificateIssued { request: *request, serial, fingerprint, certificate: certificate.clone() };
    Ok((vec![event], Some(*request)))
}

/// A precertificate comes to nothing.
pub(super) fn abandon(state: &State, request: &RequestId, serial: &Serial, why: &str) -> Verdict {
    under_way(state, request, serial)?;
    let event = Event::IssuanceAbandoned { request: *request, serial: *serial, why: why.to_owned() };
    Ok((vec![event], Some(*request)))
}

/// A final certificate is in logs too, so that others may be certified below it (protocol section 3).
pub(super) fn publish(state: &State, serial: &Serial, logs: &[String]) -> Verdict {
    let certificate = state.certificate(serial).ok_or(Refusal::NotFound("certificate of this number"))?;
    if certificate.issued().is_none() {
        return Err(Refusal::Conflict(format!("certificate {serial} has no final form that a log could have")));
    }
    if certificate.published_at.is_some() {
        return Ok((Vec::new(), None));
    }
    if logs.is_empty() {
        return Err(Refusal::Conflict(format!("certificate {serial} is in no log yet")));
    }
    Ok((vec![Event::CertificatePublished { serial: *serial, logs: logs.to_vec() }], None))
}

/// A certificate of one of the CA's own services is signed.
pub(super) fn certify_service(state: &State, serial: &Serial, fingerprint: [u8; 32], certificate: &Octets) -> Verdict {
    unused(state, serial)?;
    Ok((vec![Event::ServiceCertified { serial: *serial, fingerprint, certificate: certificate.clone() }], None))
}

/// That the request may still be answered: nothing that it rests on was revoked or ended since it was received, and
/// the agent's place is still the one that it was granted.
fn stands(state: &State, found: &Request, grant: &Grant, policy: &Policy, now: UnixMillis) -> Result<(), Refusal> {
    let agent = state.agent(&found.application.agent);
    // Even where it has come back since: what was asked for before it was revoked is void.
    if let Some(at) = agent.and_then(|agent| agent.last_revoked_at).filter(|at| found.received_at <= *at) {
        let uri = &found.application.agent;
        return Err(Refusal::Unauthorized(format!("{uri} was revoked at {at}, after this was asked for")));
    }
    match &found.credential {
        Credential::Token(token) => takes_no_place(state, found, token, now)?,
        Credential::Certificate(serial) | Credential::Parent(serial) => {
            if let Some(revocation) = state.revocation(serial) {
                let (at, reason) = (revocation.at, revocation.reason);
                let why = format!("certificate {serial}, which it was asked with, was revoked at {at} ({reason})");
                return Err(Refusal::Unauthorized(why));
            }
        }
    }
    let above = match &grant.parent {
        None => None,
        Some(parent) => {
            let chain = chain(state, parent, now).map_err(|e| Refusal::Unauthorized(e.to_string()))?;
            Some(fits_below(state, &chain, agent, &found.application.agent, policy)?)
        }
    };
    keeps_its_place(agent, above.map(|above| &above.agent), now)?;
    match above.filter(|above| above.published_at.is_none()) {
        None => Ok(()),
        Some(above) => {
            let why = format!(
                "certificate {} of {}, the parent, is in no log yet: publish it first",
                above.serial, above.agent
            );
            Err(Refusal::Conflict(why))
        }
    }
}

/// That the agent may still stand below this line, and there is room: of children that were on their way together
/// some were first. The parent's certificate.
fn fits_below<'a>(
    state: &State,
    chain: &[&'a CertificateRecord],
    agent: Option<&Agent>,
    uri: &AgentUri,
    policy: &Policy,
) -> Result<&'a CertificateRecord, Refusal> {
    let parent = *chain.first().ok_or_else(not_ours)?;
    if chain.iter().any(|above| above.agent == *uri) {
        return Err(Refusal::Unauthorized(format!("{uri} stands above {} by now", parent.agent)));
    }
    let its = agent.and_then(|agent| agent.parent.as_ref()) == Some(&parent.agent);
    let children = state.agent(&parent.agent).map_or(0, |parent| parent.children);
    if !its && children >= policy.delegation.max_children {
        return Err(Refusal::Unauthorized(format!("{} has {children} children by now, and no more", parent.agent)));
    }
    Ok(parent)
}

/// That an agent with valid certificates stays where it is: a revocation would not find those it had elsewhere.
fn keeps_its_place(agent: Option<&Agent>, parent: Option<&AgentUri>, now: UnixMillis) -> Result<(), Refusal> {
    let Some(agent) = agent.filter(|agent| agent.is_live(now) && agent.parent.as_ref() != parent) else {
        return Ok(());
    };
    let place = agent.parent.as_ref().map_or_else(|| "of its own".to_owned(), |parent| format!("below {parent}"));
    let why = format!("{} has valid certificates {place} by now: they have to end or be revoked first", agent.uri);
    Err(Refusal::Unauthorized(why))
}

/// That the certificate as it was signed keeps the rules, as whoever relies on it will see it: at the moment when
/// it begins (R7).
fn attenuates(
    state: &State,
    parent: &Serial,
    found: &Request,
    precertificate: &Octets,
    not_after: UnixMillis,
    policy: &Policy,
    now: UnixMillis,
) -> Result<(), Refusal> {
    let unfit = |why: String| Refusal::Unauthorized(format!("the certificate does not fit below its parent: {why}"));
    let line = Line::read(state, parent, now).map_err(|e| unfit(e.to_string()))?;
    let certificate = Certificate::parse(precertificate.0.as_slice()).map_err(|e| unfit(e.to_string()))?;
    let uri = certificate.agent_uri().map_err(|e| unfit(e.to_string()))?;
    if uri != found.application.agent || certificate.not_after() != not_after {
        return Err(unfit("it is not the one that was announced".into()));
    }
    let child = Party::of(uri, &certificate).map_err(|e| unfit(e.to_string()))?;
    let violations = line.violations(&child, policy.delegation.mode, certificate.not_before());
    if violations.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = violations.iter().map(|violation| format!("{violation} ({})", violation.code())).collect();
    Err(unfit(all.join("; ")))
}

/// That nobody else has enrolled the agent since the request was received, whose token does not replace
/// anybody: what was no question then is one for an operator now.
fn takes_no_place(state: &State, request: &Request, token: &TokenId, now: UnixMillis) -> Result<(), Refusal> {
    let replaces = state.token(token).is_some_and(|token| token.scope.replaces);
    let taken = state
        .agent(&request.application.agent)
        .filter(|agent| agent.revoked.is_none())
        .is_some_and(|agent| Some(agent.enrolment) != request.agent_enrolment && now <= agent.current_not_after);
    if replaces || !taken {
        return Ok(());
    }
    let why = "the agent was enrolled with another token since, and this one does not say that it replaces anybody: \
               ask again with a new token";
    Err(Refusal::Unauthorized(why.into()))
}

/// That no certificate has had this number, whatever became of it.
fn unused(state: &State, serial: &Serial) -> Result<(), Refusal> {
    match state.certificate(serial) {
        None => Ok(()),
        Some(_) => Err(Refusal::Conflict(format!("the serial number {serial} is taken"))),
    }
}

/// That this number is being issued for this request.
fn under_way(state: &State, request: &RequestId, serial: &Serial) -> Result<(), Refusal> {
    let found = find(state, request)?;
    let current = matches!(&found.state, RequestState::Processing { serial: current, .. } if current == serial);
    let precertified = state.certificate(serial).is_some_and(|c| c.state == CertificateState::Precertified);
    if current && precertified {
        return Ok(());
    }
    Err(Refusal::Conflict(format!("certificate {serial} is not being issued for request {request}")))
}
