//! Below whom an agent may stand, and with how much (draft 9.1 and 9.2, protocol section 6).

use super::{Objections, Standing};
use crate::apki::AgentUri;
use crate::apki::attenuation::Party;
use crate::apki::trust_score::TrustScore;
use crate::ca::application::Application;
use crate::ca::delegation::Line;
use crate::ca::policy::{DelegationRule, Policy};
use crate::ca::record::{Agent, ReasonCode};
use crate::ca::request::{EngineScore, Grant};
use crate::time::UnixMillis;

/// That the parent may hand something on to this agent, and that nobody leaves a place below a parent, or takes
/// one, while certificates of another place are valid: a revocation would not find them.
pub(super) fn check(
    application: &Application,
    standing: &Standing<'_>,
    agent: Option<&Agent>,
    policy: &Policy,
    now: UnixMillis,
    against: &mut Objections,
) {
    match standing {
        Standing::Renewal(_) => {}
        Standing::Token(_) => {
            let held = agent.filter(|agent| agent.is_live(now)).and_then(|agent| agent.parent.as_ref());
            if let Some(parent) = held {
                let detail = format!(
                    "{} has valid certificates below {parent}: they have to end or be revoked before it enrols by itself",
                    application.agent
                );
                against.add(ReasonCode::Delegation, detail);
            }
        }
        Standing::Child { line, parent, engine } => {
            check_parent(line, parent, *engine, &policy.delegation, now, against);
            check_child(&application.agent, line, parent, agent, &policy.delegation, now, against);
        }
    }
}

/// That this agent may hand anything on.
fn check_parent(
    line: &Line,
    parent: &Agent,
    engine: Option<EngineScore>,
    rule: &DelegationRule,
    now: UnixMillis,
    against: &mut Objections,
) {
    if line.parent.party.delegation.is_none() {
        let detail = format!(
            "no human answers for {}, so it has nothing to hand on: it has to enrol with a principal first",
            parent.uri
        );
        against.add(ReasonCode::Delegation, detail);
    }
    // Where a score has no value yet, the rules of attenuation say so.
    let Some(effective) = line.effective(now) else { return };
    let effective = engine.map_or(effective, |engine| effective.min(engine.score));
    if effective < rule.min_score {
        let detail = format!(
            "the effective score of {} is {} by now, and this CA lets nobody delegate below {}",
            parent.uri,
            effective.get(),
            rule.min_score.get()
        );
        against.add(ReasonCode::Delegation, detail);
    }
}

/// That this agent may stand below that one.
fn check_child(
    child: &AgentUri,
    line: &Line,
    parent: &Agent,
    agent: Option<&Agent>,
    rule: &DelegationRule,
    now: UnixMillis,
    against: &mut Objections,
) {
    let above = &parent.uri;
    if rule.same_org && child.org() != above.org() {
        let detail = format!(
            "{child} is of the organization `{}`, and {above} hands on within its own, `{}`, only",
            child.org(),
            above.org()
        );
        against.add(ReasonCode::AgentUri, detail);
    }
    if line.agents.contains(child) {
        let detail = match child == above {
            true => format!("{child} hands on to itself: a child is another agent"),
            false => format!("{child} is above {above} in the line of delegation, and cannot be below it too"),
        };
        against.add(ReasonCode::Delegation, detail);
    }
    let its = agent.and_then(|agent| agent.parent.as_ref()) == Some(above);
    if !its && parent.children >= rule.max_children {
        let detail = format!("{above} has {} children, and this CA allows {}", parent.children, rule.max_children);
        against.add(ReasonCode::Delegation, detail);
    }
    let Some(agent) = agent else { return };
    if !its && agent.is_live(now) {
        let whose = agent.parent.as_ref().map_or_else(|| "of its own".to_owned(), |parent| format!("below {parent}"));
        let detail = format!(
            "{child} has valid certificates {whose}: they have to end or be revoked before {above} hands anything on to it"
        );
        against.add(ReasonCode::Delegation, detail);
    }
    // One that was taken along with somebody may come back below somebody else.
    if let Some(revoked) = agent.revoked.as_ref().filter(|revoked| revoked.with.is_none()) {
        let detail = format!(
            "{child} was revoked at {} ({}): it comes back with an operator's token that says that it replaces the agent",
            revoked.at, revoked.reason
        );
        against.add(ReasonCode::Delegation, detail);
    }
}

/// Every rule of attenuation that this grant would break.
pub(super) fn attenuates(
    agent: &AgentUri,
    grant: &Grant,
    line: &Line,
    policy: &Policy,
    now: UnixMillis,
    against: &mut Objections,
) {
    let above = &line.parent.party;
    // That the parent has none is said already.
    if above.delegation.is_none() {
        return;
    }
    let score = |above: &TrustScore| TrustScore { score: grant.score, ..above.clone() };
    let child = Party {
        uri: agent.clone(),
        not_after: now.saturating_add(u64::from(grant.validity_seconds) * 1000),
        // Only the score itself is compared: when it was computed, and how it fades, are the CA's own.
        trust_score: above.trust_score.as_ref().map(score),
        capabilities: Some(grant.capabilities.clone()),
        delegation: grant.delegation.clone(),
    };
    line.violations(&child, policy.delegation.mode, now).iter().for_each(|violation| against.add_violation(violation));
}
