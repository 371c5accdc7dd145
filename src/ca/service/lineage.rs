//! Who has rights from whom (draft 9.3): the line above an agent, and the tree below it.

use std::collections::{BTreeSet, VecDeque};

use super::core::Core;
use super::view::{LineageNode, LineageView};
use super::{CaError, CaService};
use crate::apki::AgentUri;
use crate::ca::authority::Refusal;
use crate::ca::ports::{Agent, CaStore, Entity, Key, StoreError};

/// Most agents in one answer.
const MAX_NODES: usize = 1_000;

impl CaService {
    /// The agents above and below this one, at most 1000 of them.
    pub async fn lineage(&self, agent: AgentUri) -> Result<LineageView, CaError> {
        self.core.lineage(agent).await
    }
}

impl Core {
    async fn lineage(&self, agent: AgentUri) -> Result<LineageView, CaError> {
        let found = self.read(move |store| Walk { store, seen: BTreeSet::new() }.around(&agent)).await?;
        found.ok_or_else(|| Refusal::NotFound("agent of this name").into())
    }
}

/// A walk along parents and children. No agent is met twice, whatever a damaged store says.
struct Walk<'a> {
    store: &'a dyn CaStore,
    seen: BTreeSet<AgentUri>,
}

impl Walk<'_> {
    fn around(mut self, agent: &AgentUri) -> Result<Option<LineageView>, StoreError> {
        let Some(start) = self.agent(agent)? else { return Ok(None) };
        let mut above = Vec::new();
        let mut next = start.parent.clone();
        while let Some(uri) = next.take().filter(|uri| uri != agent && !self.seen.contains(uri)) {
            let Some(parent) = self.agent(&uri)? else { break };
            next.clone_from(&parent.parent);
            above.push(self.node(parent)?);
            self.seen.insert(uri);
            if above.len() >= MAX_NODES / 2 {
                break;
            }
        }
        let cut = next.is_some_and(|uri| uri != *agent && !self.seen.contains(&uri));
        above.reverse();
        let (tree, more) = self.below(start, MAX_NODES - above.len())?;
        Ok(Some(LineageView { above, tree, truncated: cut || more }))
    }

    /// The agent and those below it, level by level; and whether there are more than `most`.
    fn below(&mut self, start: Agent, most: usize) -> Result<(Vec<LineageNode>, bool), StoreError> {
        let (mut tree, mut waiting) = (Vec::new(), VecDeque::from([start]));
        let mut more = false;
        while let Some(agent) = waiting.pop_front() {
            let (uri, has_children) = (agent.uri.clone(), agent.children > 0);
            tree.push(self.node(agent)?);
            self.seen.insert(uri.clone());
            if !has_children {
                continue;
            }
            for child in self.children(&uri)? {
                if self.seen.contains(&child) {
                    continue;
                }
                if tree.len() + waiting.len() >= most {
                    more = true;
                    break;
                }
                if let Some(child) = self.agent(&child)? {
                    self.seen.insert(child.uri.clone());
                    waiting.push_back(child);
                }
            }
        }
        Ok((tree, more))
    }

    fn load(&self, key: Key) -> Result<Option<Entity>, StoreError> {
        Ok(self.store.load(&[key])?.into_iter().next().flatten())
    }

    fn agent(&self, uri: &AgentUri) -> Result<Option<Agent>, StoreError> {
        Ok(match self.load(Key::Agent(uri.clone()))? {
            Some(Entity::Agent(agent)) => Some(agent),
            _ => None,
        })
    }

    fn children(&self, uri: &AgentUri) -> Result<BTreeSet<AgentUri>, StoreError> {
        Ok(match self.load(Key::Children(uri.clone()))? {
            Some(Entity::Children(children)) => children.agents,
            _ => BTreeSet::new(),
        })
    }

    fn node(&self, agent: Agent) -> Result<LineageNode, StoreError> {
        let score = match self.load(Key::Certificate(agent.current))? {
            Some(Entity::Certificate(current)) => current.score,
            _ => return Err(StoreError::Corrupt(format!("the newest certificate of {} is not there", agent.uri))),
        };
        Ok(LineageNode {
            agent: agent.uri,
            parent: agent.parent,
            children: agent.children,
            score,
            not_after: agent.current_not_after,
            revoked: agent.revoked,
        })
    }
}
