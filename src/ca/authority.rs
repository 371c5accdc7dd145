//! Decisions: what follows from a command, given the state and the policy. Pure and fallible; what it
//! decides is made true by [`State::apply`], which is neither.

use thiserror::Error;

use super::application::{Application, Octets};
use super::command::Command;
use super::enrolment::{Entitlement, assess};
use super::event::{Actor, Event};
use super::policy::Policy;
use super::record::{Agent, CertificateRecord, CertificateState, Refusals};
use super::request::{Assessment, Credential, Request, RequestId, RequestState};
use super::serial::Serial;
use super::state::State;
use super::token::{Token, TokenId, TokenScope, TokenSecret, TokenUse};
use crate::time::UnixMillis;

/// For so long the same renewal is the same request, in milliseconds: long enough for lost answers, short
/// of any certificate's next renewal with fresh evidence.
const REPEAT_MS: u64 = 60_000;

/// So many applications with one credential are refused and recorded; who is wrong more often hears that
/// alone, so that nobody fills the journal with what leads to nothing. An agent that asks until its
/// certificate ends stays below.
const MAX_REFUSED: u16 = 100;

/// Why a command does not succeed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The credential is not good, or not for this.
    #[error("{0}")]
    Unauthorized(String),
    /// The registration authority refuses the application. This is recorded.
    #[error("{0}")]
    Refused(Refusals),
    /// There is no such thing.
    #[error("there is no {0}")]
    NotFound(&'static str),
    /// The thing is in no state for this.
    #[error("{0}")]
    Conflict(String),
}

/// What follows from a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Who brought it about.
    pub by: Actor,
    /// What happens; it may be nothing.
    pub events: Vec<Event>,
    /// What to answer: the request that this is about, if it is about one.
    pub verdict: Result<Option<RequestId>, Refusal>,
}

type Verdict = Result<(Vec<Event>, Option<RequestId>), Refusal>;

/// Decides `command`. Everything that [`Command::needs`] names must be in `state`.
pub fn decide(state: &State, command: &Command, policy: &Policy, now: UnixMillis) -> Decision {
    let by = actor(command);
    let (events, verdict) = match outcome(state, command, policy, now) {
        Ok((events, about)) => (events, Ok(about)),
        Err(refusal) => (refused(command, &refusal), Err(refusal)),
    };
    Decision { by, events, verdict }
}

fn actor(command: &Command) -> Actor {
    match command {
        Command::MintToken { operator, .. }
        | Command::WithdrawToken { operator, .. }
        | Command::Approve { operator, .. }
        | Command::Deny { operator, .. } => Actor::Operator(operator.clone()),
        Command::Enrol { secret, source, .. } => {
            Actor::Requester { credential: Credential::Token(secret.id), source: source.clone() }
        }
        Command::Renew { serial, source, .. } => {
            Actor::Requester { credential: Credential::Certificate(*serial), source: source.clone() }
        }
        Command::Delegate { .. } | Command::Revoke { .. } | Command::FollowScore { .. } => unimplemented!(),
        Command::Expire { .. }
        | Command::Publish { .. }
        | Command::RestoreRevocation { .. }
        | Command::Precertify { .. }
        | Command::Abandon { .. }
        | Command::Issue { .. }
        | Command::CertifyService { .. } => Actor::Authority,
    }
}

/// What a refusal leaves in the journal: only what became of requests, and what somebody with a good
/// credential asked for, so that strangers cannot fill it.
fn refused(command: &Command, refusal: &Refusal) -> Vec<Event> {
    match (command, refusal) {
        // Nothing else would ever close it.
        (Command::Precertify { request, .. }, Refusal::Unauthorized(why)) => {
            vec![Event::RequestClosed { request: *request, why: why.clone() }]
        }
        (Command::Issue { request, serial, .. }, Refusal::Unauthorized(why)) => {
            let why = || why.clone();
            vec![
                Event::IssuanceAbandoned { request: *request, serial: *serial, why: why() },
                Event::RequestClosed { request: *request, why: why() },
            ]
        }
        (Command::Enrol { application, .. } | Command::Renew { application, .. }, Refusal::Refused(reasons)) => command
            .credential()
            .map(|credential| Event::ApplicationRefused {
                credential,
                application: (**application).clone(),
                reasons: reasons.clone(),
            })
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

fn outcome(state: &State, command: &Command, policy: &Policy, now: UnixMillis) -> Verdict {
    match command {
        Command::MintToken { secret, scope, expires_at, operator } => {
            mint_token(state, secret, scope, *expires_at, operator, policy, now)
        }
        Command::WithdrawToken { token, .. } => withdraw_token(state, token),
        Command::Enrol { request, secret, application, .. } => enrol(state, request, secret, application, policy, now),
        Command::Renew { request, serial, fingerprint, application, .. } => {
            let current = state.certificate(serial).ok_or_else(not_ours)?;
            let held = state.request(&current.request);
            renew(state, request, (current, held), fingerprint, application, policy, now)
        }
        Command::Approve { request, .. } => approve(find(state, request)?, now),
        Command::Deny { request, operator, why } => deny(find(state, request)?, operator, why),
        Command::Expire { request } => Ok(expire(find(state, request)?, policy, now)),
        Command::Precertify { request, serial, precertificate, not_after } => {
            precertify(state, request, *serial, precertificate, *not_after, now)
        }
        Command::Abandon { request, serial, why } => {
            under_way(state, request, serial)?;
            let (request, serial, why) = (*request, *serial, why.clone());
            Ok((vec![Event::IssuanceAbandoned { request, serial, why }], Some(request)))
        }
        Command::Issue { request, serial, fingerprint, certificate } => {
            under_way(state, request, serial)?;
            // Of two enrolments that were on their way together one was first.
            let found = find(state, request)?;
            if let Credential::Token(token) = &found.credential {
                takes_no_place(state, found, token, now)?;
            }
            let (request, serial, certificate) = (*request, *serial, certificate.clone());
            let event = Event::CertificateIssued { request, serial, fingerprint: *fingerprint, certificate };
            Ok((vec![event], Some(request)))
        }
        Command::Delegate { .. }
        | Command::Publish { .. }
        | Command::Revoke { .. }
        | Command::RestoreRevocation { .. }
        | Command::FollowScore { .. } => unimplemented!(),
        Command::CertifyService { serial, fingerprint, certificate } => {
            unused(state, serial)?;
            let (serial, fingerprint, certificate) = (*serial, *fingerprint, certificate.clone());
            Ok((vec![Event::ServiceCertified { serial, fingerprint, certificate }], None))
        }
    }
}

fn mint_token(
    state: &State,
    secret: &TokenSecret,
    scope: &TokenScope,
    expires_at: UnixMillis,
    operator: &str,
    policy: &Policy,
    now: UnixMillis,
) -> Verdict {
    if scope.agents.trust_domain() != policy.trust_domain {
        return Err(Refusal::Conflict(format!(
            "the pattern {} is for another trust domain than {}",
            scope.agents.as_str(),
            policy.trust_domain
        )));
    }
    if expires_at <= now {
        return Err(Refusal::Conflict("the token would have expired before it is there".into()));
    }
    if state.token(&secret.id).is_some() {
        return Err(Refusal::Conflict(format!("there is a token {} already", secret.id)));
    }
    let token = Token {
        id: secret.id,
        secret_hash: secret.secret_hash(),
        scope: scope.clone(),
        minted_by: operator.to_owned(),
        minted_at: now,
        expires_at,
        used: TokenUse::Unused,
        refused: 0,
    };
    Ok((vec![Event::TokenMinted { token }], None))
}

fn withdraw_token(state: &State, token: &TokenId) -> Verdict {
    match state.token(token).map(|token| token.used) {
        None => Err(Refusal::NotFound("token of this name")),
        Some(TokenUse::Unused) => Ok((vec![Event::TokenWithdrawn { token: *token }], None)),
        Some(TokenUse::Withdrawn) => Ok((Vec::new(), None)),
        Some(TokenUse::Spent(request)) => {
            Err(Refusal::Conflict(format!("the token is spent: it stands behind request {request}")))
        }
    }
}

fn approve(found: &Request, now: UnixMillis) -> Verdict {
    let request = found.id;
    match &found.state {
        RequestState::Pending { expires_at, .. } if now < *expires_at => {
            Ok((vec![Event::RequestApproved { request }], Some(request)))
        }
        RequestState::Pending { .. } => Err(Refusal::Conflict("the request has waited for too long".into())),
        RequestState::Ready { .. } | RequestState::Processing { .. } | RequestState::Valid { .. } => {
            Ok((Vec::new(), Some(request)))
        }
        RequestState::Invalid { why } => Err(Refusal::Conflict(format!("the request is closed: {why}"))),
    }
}

fn deny(found: &Request, operator: &str, why: &str) -> Verdict {
    let why = if why.is_empty() { format!("denied by {operator}") } else { why.to_owned() };
    match &found.state {
        RequestState::Pending { .. } | RequestState::Ready { .. } => {
            Ok((vec![Event::RequestClosed { request: found.id, why }], Some(found.id)))
        }
        other => Err(Refusal::Conflict(format!("the request is {} and cannot be denied", other.name()))),
    }
}

fn expire(found: &Request, policy: &Policy, now: UnixMillis) -> (Vec<Event>, Option<RequestId>) {
    let why = match &found.state {
        RequestState::Pending { expires_at, .. } if *expires_at <= now => Some("no operator approved it in time"),
        RequestState::Ready { grant } if grant.scored_at.saturating_add(policy.pending_ttl_ms) <= now => {
            Some("no certificate could be issued in time")
        }
        _ => None,
    };
    let close = |why: &str| Event::RequestClosed { request: found.id, why: why.to_owned() };
    (why.map(close).into_iter().collect(), Some(found.id))
}

fn precertify(
    state: &State,
    request: &RequestId,
    serial: Serial,
    precertificate: &Octets,
    not_after: UnixMillis,
    now: UnixMillis,
) -> Verdict {
    unused(state, &serial)?;
    let found = find(state, request)?;
    let RequestState::Ready { grant } = &found.state else {
        return Err(Refusal::Conflict(format!("the request is {}, not ready", found.state.name())));
    };
    match &found.credential {
        Credential::Certificate(current) => {
            let current = state.certificate(current).ok_or_else(not_ours)?;
            goes_on(current, state.agent(&current.agent).ok_or_else(not_ours)?)?;
        }
        Credential::Parent(_) => unimplemented!(),
        Credential::Token(token) => takes_no_place(state, found, token, now)?,
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

/// That no certificate has had this number, whatever became of it.
fn unused(state: &State, serial: &Serial) -> Result<(), Refusal> {
    match state.certificate(serial) {
        None => Ok(()),
        Some(_) => Err(Refusal::Conflict(format!("the serial number {serial} is taken"))),
    }
}

fn find<'a>(state: &'a State, request: &RequestId) -> Result<&'a Request, Refusal> {
    state.request(request).ok_or(Refusal::NotFound("request of this name"))
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

fn enrol(
    state: &State,
    request: &RequestId,
    secret: &TokenSecret,
    application: &Application,
    policy: &Policy,
    now: UnixMillis,
) -> Verdict {
    let unauthorized = |why: String| Refusal::Unauthorized(why);
    // One answer for a token that never was and for a wrong secret: nobody learns which tokens exist.
    let unknown = || unauthorized("the enrolment token is not one of this CA's".into());
    let token = state.token(&secret.id).ok_or_else(unknown)?;
    if !same_hash(&token.secret_hash, &secret.secret_hash()) {
        return Err(unknown());
    }
    match token.used {
        TokenUse::Withdrawn => return Err(unauthorized("the enrolment token was withdrawn".into())),
        // The same request once more, because its answer was lost: it stands where it stands.
        TokenUse::Spent(earlier) if state.request(&earlier).is_some_and(|r| r.application == *application) => {
            return Ok((Vec::new(), Some(earlier)));
        }
        TokenUse::Spent(earlier) => {
            let why = format!("the enrolment token is spent on request {earlier}, which asks for something else");
            return Err(unauthorized(why));
        }
        TokenUse::Unused if token.expires_at <= now => {
            return Err(unauthorized(format!("the enrolment token expired at {}", token.expires_at)));
        }
        TokenUse::Unused if token.refused >= MAX_REFUSED => return Err(too_often("enrolment token")),
        TokenUse::Unused => {}
    }
    let assessment = assess(application, &Entitlement::Token(token), state.agent(&application.agent), policy, now);
    received(state, *request, Credential::Token(token.id), application, assessment, policy, now)
}

fn renew(
    state: &State,
    request: &RequestId,
    (current, answered): (&CertificateRecord, Option<&Request>),
    fingerprint: &[u8; 32],
    application: &Application,
    policy: &Policy,
    now: UnixMillis,
) -> Verdict {
    let issued = current.issued().filter(|issued| issued.fingerprint == *fingerprint).ok_or_else(not_ours)?;
    let agent = state.agent(&current.agent).ok_or_else(not_ours)?;
    if current.not_after < now {
        let why = format!("the certificate ended at {}: enrol again with a token", current.not_after);
        return Err(Refusal::Unauthorized(why));
    }
    goes_on(current, agent)?;
    let earlier = current.renewal.and_then(|id| state.request(&id));
    let repeated = |earlier: &&Request| {
        let fresh = earlier.state.is_open() || now.since(earlier.received_at) < REPEAT_MS;
        fresh && earlier.application == *application && !matches!(earlier.state, RequestState::Invalid { .. })
    };
    // The same request once more, because its answer was lost: it stands where it stands.
    if let Some(earlier) = earlier.filter(repeated) {
        return Ok((Vec::new(), Some(earlier.id)));
    }
    if current.refused >= MAX_REFUSED {
        return Err(too_often("certificate"));
    }
    let entitlement = Entitlement::Certificate { certificate: &issued.certificate.0, answered };
    let assessment = assess(application, &entitlement, Some(agent), policy, now);
    let credential = Credential::Certificate(current.serial);
    let (mut events, about) = received(state, *request, credential, application, assessment, policy, now)?;
    // One renewal of a certificate at a time: the newer wish replaces one that is not under way yet.
    if let Some(earlier) = earlier.filter(|earlier| matches!(earlier.state, RequestState::Ready { .. })) {
        let why = format!("the agent asked for something else instead: request {request}");
        events.insert(0, Event::RequestClosed { request: earlier.id, why });
    }
    Ok((events, about))
}

/// That the agent has not enrolled anew since the enrolment that this certificate descends from.
fn goes_on(current: &CertificateRecord, agent: &Agent) -> Result<(), Refusal> {
    if current.enrolment == agent.enrolment {
        return Ok(());
    }
    let why = "the agent has enrolled anew since: the certificates of its earlier enrolment do not renew any more";
    Err(Refusal::Unauthorized(why.into()))
}

/// That nobody else has enrolled the agent since the request was received, whose token does not replace
/// anybody: what was no question then is one for an operator now.
fn takes_no_place(state: &State, request: &Request, token: &TokenId, now: UnixMillis) -> Result<(), Refusal> {
    let replaces = state.token(token).is_some_and(|token| token.scope.replaces);
    let taken = state
        .agent(&request.application.agent)
        .is_some_and(|agent| Some(agent.enrolment) != request.agent_enrolment && now <= agent.current_not_after);
    if replaces || !taken {
        return Ok(());
    }
    let why = "the agent was enrolled with another token since, and this one does not say that it replaces anybody: \
               ask again with a new token";
    Err(Refusal::Unauthorized(why.into()))
}

fn received(
    state: &State,
    request: RequestId,
    credential: Credential,
    application: &Application,
    assessment: Assessment,
    policy: &Policy,
    now: UnixMillis,
) -> Verdict {
    if state.request(&request).is_some() {
        return Err(Refusal::Conflict(format!("there is a request {request} already")));
    }
    let (grant, held) = match assessment {
        Assessment::Granted(grant) => (grant, Vec::new()),
        Assessment::Held(grant, reasons) => (grant, reasons),
        Assessment::Refused(reasons) => return Err(Refusal::Refused(reasons)),
    };
    let expires_at = now.saturating_add(policy.pending_ttl_ms);
    let application = application.clone();
    let event = Event::RequestReceived { request, credential, application, grant, held, expires_at };
    Ok((vec![event], Some(request)))
}

fn too_often(credential: &str) -> Refusal {
    let why = format!("{MAX_REFUSED} applications with this {credential} were refused: enrol with a new token");
    Refusal::Unauthorized(why)
}

fn not_ours() -> Refusal {
    Refusal::Unauthorized("the certificate is not one that this CA has issued".into())
}

/// Compares in a time that does not depend on where the two differ.
fn same_hash(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests;
