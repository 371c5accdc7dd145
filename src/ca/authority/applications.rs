//! Applications for certificates, by what they come with: a token, a parent's certificate, or the agent's own.

use super::requests::received;
use super::tokens::same_hash;
use super::{MAX_REFUSED, Refusal, Verdict, not_ours};
use crate::ca::application::Application;
use crate::ca::command::Command;
use crate::ca::delegation::{Line, LineError};
use crate::ca::enrolment::{Entitlement, assess};
use crate::ca::event::Event;
use crate::ca::policy::Policy;
use crate::ca::record::{Agent, AgentRevocation, CertificateRecord, Issued};
use crate::ca::request::{Credential, Request, RequestId, RequestState};
use crate::ca::serial::Serial;
use crate::ca::state::State;
use crate::ca::token::{Token, TokenSecret, TokenUse};
use crate::time::UnixMillis;

/// For so long the same application with the same certificate is the same request, in milliseconds: long enough
/// for lost answers, short of any certificate's next renewal with fresh evidence.
const REPEAT_MS: u64 = 60_000;

/// An agent asks with a token.
pub(super) fn enrol(state: &State, command: &Command, policy: &Policy, now: UnixMillis) -> Verdict {
    let Command::Enrol { request, secret, application, engine, .. } = command else { return Err(not_ours()) };
    let token = match presented(state, secret, application, now)? {
        Presented::Good(token) => token,
        // The same request once more, because its answer was lost: it stands where it stands.
        Presented::Again(earlier) => return Ok((Vec::new(), Some(earlier))),
    };
    let agent = state.agent(&application.agent);
    let assessment = assess(application, &Entitlement::Token(token), agent, *engine, policy, now);
    received(state, *request, Credential::Token(token.id), application, assessment, policy, now)
}

/// A token that is shown.
enum Presented<'a> {
    Good(&'a Token),
    /// It stands behind this request, which asked for the same.
    Again(RequestId),
}

fn presented<'a>(
    state: &'a State,
    secret: &TokenSecret,
    application: &Application,
    now: UnixMillis,
) -> Result<Presented<'a>, Refusal> {
    let unauthorized = |why: String| Err(Refusal::Unauthorized(why));
    // One answer for a token that never was and for a wrong secret: nobody learns which tokens exist.
    let unknown = || Refusal::Unauthorized("the enrolment token is not one of this CA's".into());
    let token = state.token(&secret.id).ok_or_else(unknown)?;
    if !same_hash(&token.secret_hash, &secret.secret_hash()) {
        return Err(unknown());
    }
    match token.used {
        TokenUse::Withdrawn => unauthorized("the enrolment token was withdrawn".into()),
        TokenUse::Spent(earlier) if state.request(&earlier).is_some_and(|r| r.application == *application) => {
            Ok(Presented::Again(earlier))
        }
        TokenUse::Spent(earlier) => {
            unauthorized(format!("the enrolment token is spent on request {earlier}, which asks for something else"))
        }
        TokenUse::Unused if token.expires_at <= now => {
            unauthorized(format!("the enrolment token expired at {}", token.expires_at))
        }
        TokenUse::Unused if token.refused >= MAX_REFUSED => Err(too_often("enrolment token")),
        TokenUse::Unused => Ok(Presented::Good(token)),
    }
}

/// An agent hands rights on to another (draft 9.2).
pub(super) fn delegate(state: &State, command: &Command, policy: &Policy, now: UnixMillis) -> Verdict {
    let Command::Delegate { request, parent, fingerprint, application, engine, parent_engine, .. } = command else {
        return Err(not_ours());
    };
    let current = InForce::find(state, parent, fingerprint, now)?;
    if current.agent.current != *parent {
        let why = format!(
            "{} has renewed since: it hands on what its newest certificate has, so show that one",
            current.agent.uri
        );
        return Err(Refusal::Unauthorized(why));
    }
    let child = state.agent(&application.agent);
    let revoked = child.and_then(|child| child.last_revoked_at);
    let earlier = current.record.delegation.and_then(|id| state.request(&id));
    // What was asked for before the child was revoked is not what is asked for now.
    let stands = |earlier: &&Request| revoked.is_none_or(|at| earlier.received_at > at);
    if let Some(earlier) = earlier.filter(|earlier| is_repeated(earlier, application, now)).filter(stands) {
        return Ok((Vec::new(), Some(earlier.id)));
    }
    if current.record.refused >= MAX_REFUSED {
        return Err(too_often("certificate"));
    }
    within_max_live(child, policy, now)?;
    let line = line(state, parent, now)?;
    let entitlement = Entitlement::Parent { line: &line, parent: current.agent, engine: *parent_engine };
    let assessment = assess(application, &entitlement, child, *engine, policy, now);
    received(state, *request, Credential::Parent(*parent), application, assessment, policy, now)
}

/// An agent asks for its next certificate (draft 7.3).
pub(super) fn renew(state: &State, command: &Command, policy: &Policy, now: UnixMillis) -> Verdict {
    let Command::Renew { request, serial, fingerprint, application, engine, .. } = command else {
        return Err(not_ours());
    };
    let InForce { record, issued, agent } = InForce::find(state, serial, fingerprint, now)?;
    let earlier = record.renewal.and_then(|id| state.request(&id));
    // The same request once more, because its answer was lost: it stands where it stands.
    if let Some(earlier) = earlier.filter(|earlier| is_repeated(earlier, application, now)) {
        return Ok((Vec::new(), Some(earlier.id)));
    }
    if record.refused >= MAX_REFUSED {
        return Err(too_often("certificate"));
    }
    within_max_live(Some(agent), policy, now)?;
    let line = match &record.parent {
        Some(parent) => Some(line(state, &current_of(state, parent)?, now)?),
        None => None,
    };
    let entitlement = Entitlement::Certificate {
        certificate: &issued.certificate.0,
        answered: state.request(&record.request),
        line: line.as_ref(),
    };
    let assessment = assess(application, &entitlement, Some(agent), *engine, policy, now);
    let credential = Credential::Certificate(*serial);
    let (mut events, about) = received(state, *request, credential, application, assessment, policy, now)?;
    // One renewal of a certificate at a time: the newer wish replaces one that is not under way yet.
    if let Some(earlier) = earlier.filter(|earlier| matches!(earlier.state, RequestState::Ready { .. })) {
        let why = format!("the agent asked for something else instead: request {request}");
        events.insert(0, Event::RequestClosed { request: earlier.id, why });
    }
    Ok((events, about))
}

/// A certificate that its agent may act with.
pub(super) struct InForce<'a> {
    /// The certificate.
    pub(super) record: &'a CertificateRecord,
    /// Its final form.
    pub(super) issued: &'a Issued,
    /// Whose it is.
    pub(super) agent: &'a Agent,
}

impl<'a> InForce<'a> {
    /// The certificate of this number, if it is the one with this SHA-256, has not ended, was not revoked, and is
    /// of its agent's present enrolment.
    pub(super) fn find(
        state: &'a State,
        serial: &Serial,
        fingerprint: &[u8; 32],
        now: UnixMillis,
    ) -> Result<Self, Refusal> {
        let record = state.certificate(serial).ok_or_else(not_ours)?;
        let issued = record.issued().filter(|issued| issued.fingerprint == *fingerprint).ok_or_else(not_ours)?;
        let agent = state.agent(&record.agent).ok_or_else(not_ours)?;
        if record.not_after < now {
            let why = format!("the certificate ended at {}: enrol again with a token", record.not_after);
            return Err(Refusal::Unauthorized(why));
        }
        not_revoked(state, serial, agent)?;
        goes_on(record, agent)?;
        Ok(Self { record, issued, agent })
    }
}

/// That neither the certificate nor its agent was revoked.
fn not_revoked(state: &State, serial: &Serial, agent: &Agent) -> Result<(), Refusal> {
    if let Some(AgentRevocation { at, reason, with }) = &agent.revoked {
        let with = with.as_ref().map(|with| format!(" together with {with}")).unwrap_or_default();
        let why =
            format!("{} was revoked at {at}{with} ({reason}): it has to be enrolled or delegated to anew", agent.uri);
        return Err(Refusal::Unauthorized(why));
    }
    match state.revocation(serial) {
        None => Ok(()),
        Some(revocation) => Err(Refusal::Unauthorized(format!(
            "the certificate was revoked at {} ({}): it neither renews nor entitles to anything",
            revocation.at, revocation.reason
        ))),
    }
}

/// That the agent has not enrolled anew since the enrolment that this certificate descends from.
pub(super) fn goes_on(current: &CertificateRecord, agent: &Agent) -> Result<(), Refusal> {
    if current.enrolment == agent.enrolment {
        return Ok(());
    }
    let why = "the agent has enrolled anew since: the certificates of its earlier enrolment do not renew any more";
    Err(Refusal::Unauthorized(why.into()))
}

/// That one more certificate is not too many.
pub(super) fn within_max_live(agent: Option<&Agent>, policy: &Policy, now: UnixMillis) -> Result<(), Refusal> {
    let live = agent.map_or(0, |agent| agent.unended(now).count());
    if live < usize::from(policy.max_live) {
        return Ok(());
    }
    let why = format!(
        "the agent has {live} certificates that have not ended, as many as this CA allows: wait for one to end"
    );
    Err(Refusal::Conflict(why))
}

/// The current certificate of the agent that this one was issued to: whose child renews does so below that.
fn current_of(state: &State, parent: &Serial) -> Result<Serial, Refusal> {
    let agent = state.certificate(parent).and_then(|parent| state.agent(&parent.agent)).ok_or_else(not_ours)?;
    match &agent.revoked {
        None => Ok(agent.current),
        Some(revoked) => {
            let why = format!("the parent, {}, was revoked at {} ({})", agent.uri, revoked.at, revoked.reason);
            Err(Refusal::Unauthorized(why))
        }
    }
}

/// The line above an applicant. That its parent is late with a renewal is no fault of the application, and not
/// counted as one.
fn line(state: &State, parent: &Serial, now: UnixMillis) -> Result<Line, Refusal> {
    Line::read(state, parent, now).map_err(|error| match error {
        LineError::Ended { .. } => Refusal::Conflict(error.to_string()),
        _ => Refusal::Unauthorized(error.to_string()),
    })
}

/// Whether this application is that request once more, and did not come to nothing.
fn is_repeated(earlier: &Request, application: &Application, now: UnixMillis) -> bool {
    let fresh = earlier.state.is_open() || now.since(earlier.received_at) < REPEAT_MS;
    fresh && earlier.application == *application && !matches!(earlier.state, RequestState::Invalid { .. })
}

fn too_often(credential: &str) -> Refusal {
    let why = format!("{MAX_REFUSED} applications with this {credential} were refused: enrol with a new token");
    Refusal::Unauthorized(why)
}
