//! Authority taken back: by operators, by agents above, by the trust engine, and by a list that remembers more
//! than the database (draft 6.4, 9.3).

use super::applications::InForce;
use super::{Refusal, Verdict};
use crate::apki::status::RevocationReason;
use crate::apki::trust_score::Score;
use crate::apki::{AgentUri, Certificate};
use crate::ca::command::{RevocationTarget, Revoker};
use crate::ca::event::Event;
use crate::ca::policy::Policy;
use crate::ca::record::{Agent, RevocationRecord};
use crate::ca::request::RequestId;
use crate::ca::revocation::{Standing, cascade, standing};
use crate::ca::state::State;
use crate::time::UnixMillis;

/// Somebody takes an agent's authority back, and with it that of all below it.
pub(super) fn revoke(
    state: &State,
    target: &RevocationTarget,
    reason: RevocationReason,
    comment: &str,
    by: &Revoker,
    now: UnixMillis,
) -> Verdict {
    let uri = match target {
        RevocationTarget::Agent(uri) => Some(uri),
        RevocationTarget::Certificate(serial) => state.certificate(serial).map(|certificate| &certificate.agent),
    };
    if let Revoker::Agent { serial, fingerprint, .. } = by {
        let above = InForce::find(state, serial, fingerprint, now)?.agent;
        // The same answer for what is not there: nobody learns here what is.
        let within = uri.is_some_and(|uri| matches!(standing(state, uri, &above.uri), Standing::Within));
        if !within {
            let why = format!("{} may revoke itself and those below it, and this is neither", above.uri);
            return Err(Refusal::Unauthorized(why));
        }
        if matches!(reason, RevocationReason::CaCompromise | RevocationReason::AaCompromise) {
            let why = format!("{reason} is not for an agent to say: say keyCompromise, or have an operator revoke");
            return Err(Refusal::Conflict(why));
        }
    }
    let uri = uri.ok_or(Refusal::NotFound("certificate of this number"))?;
    let agent = state.agent(uri).ok_or(Refusal::NotFound("agent of this name that has had a certificate"))?;
    Ok((cascade(state, &agent.uri, reason, comment, now), None))
}

/// A revocation that the last published list has and the database does not: the database is older than the list.
/// It is taken up again, with its date; and since it was of the whole agent, so is that of all else that it has.
pub(super) fn restore(
    state: &State,
    revocation: &RevocationRecord,
    now: UnixMillis,
) -> (Vec<Event>, Option<RequestId>) {
    if state.revocation(&revocation.serial).is_some() {
        return (Vec::new(), None);
    }
    let known = state.certificate(&revocation.serial);
    let agent = known.and_then(|known| state.agent(&known.agent)).filter(|agent| agent.revoked.is_none());
    let mut more = agent.map_or_else(Vec::new, |agent| {
        let comment = "the last published list of revocations has one of its certificates";
        cascade(state, &agent.uri, revocation.reason, comment, now)
    });
    // It has an event of its own.
    if let Some(Event::AgentRevoked { certificates, .. }) = more.first_mut() {
        certificates.retain(|certificate| certificate.serial != revocation.serial);
    }
    // The certificate names the shard of its own signature, which no list knows: there it has to be listed.
    let revocation = known.map_or_else(
        || revocation.clone(),
        |known| RevocationRecord {
            agent: Some(known.agent.clone()),
            signed_at: known.signed_at,
            not_after: known.not_after,
            ..revocation.clone()
        },
    );
    more.insert(0, Event::RevocationRestored { revocation });
    (more, None)
}

/// The trust engine's score of an agent changed.
pub(super) fn follow_score(
    state: &State,
    uri: &AgentUri,
    score: Score,
    why: &str,
    policy: &Policy,
    now: UnixMillis,
) -> Verdict {
    let nothing = Ok((Vec::new(), None));
    let Some(agent) = state.agent(uri).filter(|agent| agent.revoked.is_none() && agent.is_live(now)) else {
        return nothing;
    };
    if score < policy.trust.revoke_below {
        return Ok((cascade(state, uri, RevocationReason::PrivilegeWithdrawn, why, now), None));
    }
    let Some(stated) = stated(state, agent, now) else { return nothing };
    // Both have decayed alike: what is left is what the engine learnt.
    let moved = score.get().abs_diff(stated.get()) > policy.trust.reissue_change;
    let wanted = agent.reissue.is_some_and(|before| (before.score > stated) == (score > stated));
    if !moved || wanted {
        return nothing;
    }
    Ok((vec![Event::ReissueWanted { agent: uri.clone(), score, why: why.to_owned() }], None))
}

/// What is left of the score in the agent's current certificate.
fn stated(state: &State, agent: &Agent, now: UnixMillis) -> Option<Score> {
    let current = state.certificate(&agent.current).filter(|current| now <= current.not_after)?;
    let certificate = Certificate::parse(current.issued()?.certificate.0.as_slice()).ok()?;
    certificate.trust_score().ok()??.effective(now).ok()
}
