//! Who stands below whom, for revocation (draft 9.3): by the lineage of agents, through all their renewals.
//!
//! The tree is walked with a stack of its own, and no agent is visited twice: whatever a store may say, a walk
//! ends.

use std::collections::BTreeSet;

use super::command::{RevocationTarget, Revoker};
use super::event::Event;
use super::ports::Key;
use super::record::Agent;
use super::state::State;
use crate::apki::AgentUri;
use crate::apki::status::RevocationReason;
use crate::time::UnixMillis;

/// An agent and all below it, as far as they are at hand.
pub(super) struct Tree<'a> {
    /// Each before those below it.
    pub agents: Vec<&'a Agent>,
    /// What must be loaded to see further.
    pub missing: Vec<Key>,
}

impl<'a> Tree<'a> {
    /// The tree below this agent, itself included.
    pub(super) fn below(state: &'a State, root: &'a AgentUri) -> Self {
        let mut tree = Self { agents: Vec::new(), missing: Vec::new() };
        let mut seen = BTreeSet::new();
        let mut stack = vec![root];
        while let Some(uri) = stack.pop() {
            if !seen.insert(uri) {
                continue;
            }
            let Some(agent) = state.agent(uri) else {
                tree.missing.push(Key::Agent(uri.clone()));
                continue;
            };
            tree.agents.push(agent);
            if agent.children == 0 {
                continue;
            }
            match state.children(uri) {
                Some(children) => stack.extend(children.agents.iter().rev()),
                None => tree.missing.push(Key::Children(uri.clone())),
            }
        }
        tree.missing.retain(|key| !state.knows(key));
        tree
    }
}

/// Whether one agent stands below another, as far as is at hand.
pub(super) enum Standing {
    /// It does, or is that agent itself.
    Within,
    /// It does not.
    Outside,
    /// This must be loaded to know.
    Unknown(Key),
}

/// Whether `agent` stands below `above`, or is it.
pub(super) fn standing(state: &State, agent: &AgentUri, above: &AgentUri) -> Standing {
    let mut seen = BTreeSet::new();
    let mut next = Some(agent);
    while let Some(uri) = next {
        if uri == above {
            return Standing::Within;
        }
        if !seen.insert(uri) {
            return Standing::Outside;
        }
        let key = Key::Agent(uri.clone());
        if !state.knows(&key) {
            return Standing::Unknown(key);
        }
        next = state.agent(uri).and_then(|agent| agent.parent.as_ref());
    }
    Standing::Outside
}

/// What must be loaded to revoke. What is below the target is loaded for whoever may revoke it, only.
pub(super) fn needs(state: &State, target: &RevocationTarget, by: &Revoker) -> Vec<Key> {
    let mut keys = Vec::new();
    let uri = match target {
        RevocationTarget::Agent(uri) => Some(uri),
        RevocationTarget::Certificate(serial) => {
            keys.push(Key::Certificate(*serial));
            state.certificate(serial).map(|certificate| &certificate.agent)
        }
    };
    let within = match by {
        Revoker::Operator(_) => uri,
        Revoker::Agent { serial, .. } => {
            keys.extend([Key::Certificate(*serial), Key::Revocation(*serial)]);
            let above = state.certificate(serial).map(|certificate| &certificate.agent);
            keys.extend(above.map(|above| Key::Agent(above.clone())));
            uri.zip(above).and_then(|(uri, above)| match standing(state, uri, above) {
                Standing::Within => Some(uri),
                Standing::Outside => None,
                Standing::Unknown(key) => {
                    keys.push(key);
                    None
                }
            })
        }
    };
    keys.extend(within.into_iter().flat_map(|uri| Tree::below(state, uri).missing));
    keys
}

/// The revocation of `target` and of all below it. Whoever is revoked already stays as it is, but one that is now
/// meant itself, where it was taken along before; and those below are looked for all the same.
pub(super) fn cascade(
    state: &State,
    target: &AgentUri,
    reason: RevocationReason,
    comment: &str,
    now: UnixMillis,
) -> Vec<Event> {
    let revoked = |agent: &&Agent| {
        let itself = agent.uri == *target;
        let due = agent.revoked.as_ref().is_none_or(|before| itself && before.with.is_some());
        due.then(|| Event::AgentRevoked {
            agent: agent.uri.clone(),
            reason: if itself { reason } else { RevocationReason::PrivilegeWithdrawn },
            comment: if itself { comment.to_owned() } else { String::new() },
            with: (!itself).then(|| target.clone()),
            certificates: agent.unended(now).copied().collect(),
        })
    };
    Tree::below(state, target).agents.iter().filter_map(revoked).collect()
}
