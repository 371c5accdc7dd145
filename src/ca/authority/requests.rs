//! Requests that wait: received, let through, denied, given up.

use super::{Refusal, Verdict};
use crate::apki::trust_score::Score;
use crate::ca::application::Application;
use crate::ca::delegation::Line;
use crate::ca::event::Event;
use crate::ca::policy::Policy;
use crate::ca::request::{Assessment, Credential, Grant, Request, RequestId, RequestState};
use crate::ca::state::State;
use crate::time::UnixMillis;

/// Takes an application in that was judged.
pub(super) fn received(
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

/// An operator lets a request through. Whether it can still be issued is seen when it is.
pub(super) fn approve(state: &State, found: &Request, policy: &Policy, now: UnixMillis) -> Verdict {
    let request = found.id;
    match &found.state {
        RequestState::Pending { expires_at, grant, .. } if now < *expires_at => {
            let score = faded(state, grant, policy, now)?;
            Ok((vec![Event::RequestApproved { request, score }], Some(request)))
        }
        RequestState::Pending { .. } => Err(Refusal::Conflict("the request has waited for too long".into())),
        RequestState::Ready { .. } | RequestState::Processing { .. } | RequestState::Valid { .. } => {
            Ok((Vec::new(), Some(request)))
        }
        RequestState::Invalid { why } => Err(Refusal::Conflict(format!("the request is closed: {why}"))),
    }
}

/// An operator does not.
pub(super) fn deny(found: &Request, operator: &str, why: &str) -> Verdict {
    let why = if why.is_empty() { format!("denied by {operator}") } else { why.to_owned() };
    match &found.state {
        RequestState::Pending { .. } | RequestState::Ready { .. } => {
            Ok((vec![Event::RequestClosed { request: found.id, why }], Some(found.id)))
        }
        other => Err(Refusal::Conflict(format!("the request is {} and cannot be denied", other.name()))),
    }
}

/// What has waited for too long is closed.
pub(super) fn expire(found: &Request, policy: &Policy, now: UnixMillis) -> (Vec<Event>, Option<RequestId>) {
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

/// The score that is left where the parent has less by now than was granted below it: a child's score is compared
/// with the parent's at the moment when the child's certificate begins (R7), not when it was asked for.
fn faded(state: &State, grant: &Grant, policy: &Policy, now: UnixMillis) -> Result<Option<Score>, Refusal> {
    let Some(parent) = &grant.parent else { return Ok(None) };
    let line = Line::read(state, parent, now).map_err(|e| Refusal::Conflict(e.to_string()))?;
    match line.most(now) {
        None => Err(Refusal::Conflict("the parent has no effective score at the moment".into())),
        Some(most) if most >= grant.score => Ok(None),
        Some(most) if most >= policy.min_score => Ok(Some(most)),
        Some(most) => Err(Refusal::Conflict(format!(
            "the parent's score has faded to {}, and this CA issues from {} on: deny it, and have it asked for again",
            most.get(),
            policy.min_score.get()
        ))),
    }
}
