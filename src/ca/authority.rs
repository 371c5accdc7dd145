//! Decisions: what follows from a command, given the state and the policy. Pure and fallible; what it
//! decides is made true by [`State::apply`], which is neither.

mod applications;
mod issuing;
mod requests;
mod revoking;
mod tokens;

use thiserror::Error;

use super::command::{Command, Revoker};
use super::event::{Actor, Event};
use super::policy::Policy;
use super::record::Refusals;
use super::request::{Credential, Request, RequestId};
use super::state::State;
use crate::time::UnixMillis;

/// So many applications with one credential are refused and recorded; who is wrong more often hears that
/// alone, so that nobody fills the journal with what leads to nothing. An agent that asks until its
/// certificate ends stays below.
pub(super) const MAX_REFUSED: u16 = 100;

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
        Command::Delegate { parent, source, .. } => {
            Actor::Requester { credential: Credential::Parent(*parent), source: source.clone() }
        }
        Command::Revoke { by: Revoker::Operator(operator), .. } => Actor::Operator(operator.clone()),
        Command::Revoke { by: Revoker::Agent { serial, source, .. }, .. } => {
            Actor::Requester { credential: Credential::Certificate(*serial), source: source.clone() }
        }
        Command::FollowScore { .. } => Actor::TrustEngine,
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
        (
            Command::Enrol { application, .. }
            | Command::Renew { application, .. }
            | Command::Delegate { application, .. },
            Refusal::Refused(reasons),
        ) => command
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
            tokens::mint(state, secret, scope, *expires_at, operator, policy, now)
        }
        Command::WithdrawToken { token, .. } => tokens::withdraw(state, token),
        Command::Enrol { .. } => applications::enrol(state, command, policy, now),
        Command::Delegate { .. } => applications::delegate(state, command, policy, now),
        Command::Renew { .. } => applications::renew(state, command, policy, now),
        Command::Approve { request, .. } => requests::approve(state, find(state, request)?, policy, now),
        Command::Deny { request, operator, why } => requests::deny(find(state, request)?, operator, why),
        Command::Expire { request } => Ok(requests::expire(find(state, request)?, policy, now)),
        Command::Precertify { request, serial, precertificate, not_after } => {
            issuing::precertify(state, request, *serial, precertificate, *not_after, policy, now)
        }
        Command::Abandon { request, serial, why } => issuing::abandon(state, request, serial, why),
        Command::Issue { request, serial, fingerprint, certificate } => {
            issuing::issue(state, request, *serial, *fingerprint, certificate, policy, now)
        }
        Command::Publish { serial, logs } => issuing::publish(state, serial, logs),
        Command::Revoke { target, reason, comment, by } => revoking::revoke(state, target, *reason, comment, by, now),
        Command::RestoreRevocation { revocation } => Ok(revoking::restore(state, revocation, now)),
        Command::FollowScore { agent, score, why } => revoking::follow_score(state, agent, *score, why, policy, now),
        Command::CertifyService { serial, fingerprint, certificate } => {
            issuing::certify_service(state, serial, *fingerprint, certificate)
        }
    }
}

fn find<'a>(state: &'a State, request: &RequestId) -> Result<&'a Request, Refusal> {
    state.request(request).ok_or(Refusal::NotFound("request of this name"))
}

fn not_ours() -> Refusal {
    Refusal::Unauthorized("the certificate is not one that this CA has issued".into())
}

#[cfg(test)]
mod tests;
