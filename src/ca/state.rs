//! The part of the CA's state that is at hand, and how events change it.

use std::collections::{BTreeMap, BTreeSet};

mod apply;
mod contradiction;

use super::ports::{Children, Entity, Key};
use super::record::{Agent, CertificateRecord, RevocationRecord};
use super::request::{Request, RequestId};
use super::serial::Serial;
use super::token::{Token, TokenId};
use crate::apki::AgentUri;

/// What was loaded from the store, with what has happened since.
#[derive(Clone, Debug, Default)]
pub struct State {
    entities: BTreeMap<Key, Option<Entity>>,
    changed: BTreeSet<Key>,
    /// Agents whose parent is another one than the store knows, with their parent: whose children are loaded later
    /// are loaded as the store knows them.
    moved: BTreeMap<AgentUri, Option<AgentUri>>,
}

macro_rules! access {
    ($(#[$doc:meta])* $name:ident, $variant:ident: $id:ty => $entity:ty, $key:expr) => {
        $(#[$doc])*
        pub fn $name(&self, id: &$id) -> Option<&$entity> {
            match self.entities.get(&$key(id)) {
                Some(Some(Entity::$variant(entity))) => Some(entity),
                _ => None,
            }
        }
    };
}

impl State {
    access!(/// The token of this name, if it is at hand.
        token, Token: TokenId => Token, |id: &TokenId| Key::Token(*id));
    access!(/// The request of this name, if it is at hand.
        request, Request: RequestId => Request, |id: &RequestId| Key::Request(*id));
    access!(/// The agent of this name, if it is at hand.
        agent, Agent: AgentUri => Agent, |uri: &AgentUri| Key::Agent(uri.clone()));
    access!(/// The certificate of this number, if it is at hand.
        certificate, Certificate: Serial => CertificateRecord, |serial: &Serial| Key::Certificate(*serial));
    access!(/// The agents below this one, if they are at hand.
        children, Children: AgentUri => Children, |uri: &AgentUri| Key::Children(uri.clone()));
    access!(/// The revocation of the certificate of this number, if it is at hand.
        revocation, Revocation: Serial => RevocationRecord, |serial: &Serial| Key::Revocation(*serial));

    /// Whether it is known what is kept under this key, be it nothing.
    pub fn knows(&self, key: &Key) -> bool {
        self.entities.contains_key(key)
    }

    /// Takes in what the store keeps under this key. Children are as the store knows them and as the agents at
    /// hand have moved since: who is below whom is never told by a store alone.
    pub fn insert(&mut self, key: Key, entity: Option<Entity>) {
        let entity = match (&key, entity) {
            (Key::Children(parent), stored) => Some(Entity::Children(self.children_of(parent, stored))),
            (_, entity) => entity,
        };
        self.entities.insert(key, entity);
    }

    fn children_of(&self, parent: &AgentUri, stored: Option<Entity>) -> Children {
        let mut agents = match stored {
            Some(Entity::Children(children)) if children.parent == *parent => children.agents,
            _ => BTreeSet::new(),
        };
        for (agent, now_below) in &self.moved {
            match now_below.as_ref() == Some(parent) {
                true => agents.insert(agent.clone()),
                false => agents.remove(agent),
            };
        }
        Children { parent: parent.clone(), agents }
    }

    /// Everything that has changed, as it is now.
    pub fn changed(&self) -> Vec<Entity> {
        self.changed.iter().filter_map(|key| self.entities.get(key).cloned().flatten()).collect()
    }

    /// Everything at hand.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.entities.values().flatten()
    }

    fn put(&mut self, entity: Entity) {
        if let Entity::Agent(agent) = &entity {
            self.follow(&agent.uri, agent.parent.as_ref());
        }
        let key = entity.key();
        self.changed.insert(key.clone());
        self.entities.insert(key, Some(entity));
    }

    /// An agent is about to stand below this parent: whatever is at hand of children follows.
    fn follow(&mut self, agent: &AgentUri, parent: Option<&AgentUri>) {
        let before = self.agent(agent).and_then(|agent| agent.parent.clone());
        if before.as_ref() == parent {
            return;
        }
        if let Some(children) = before.and_then(|before| self.children_mut(before)) {
            children.remove(agent);
        }
        if let Some(children) = parent.and_then(|parent| self.children_mut(parent.clone())) {
            children.insert(agent.clone());
        }
        self.moved.insert(agent.clone(), parent.cloned());
    }

    fn children_mut(&mut self, parent: AgentUri) -> Option<&mut BTreeSet<AgentUri>> {
        match self.entities.get_mut(&Key::Children(parent)) {
            Some(Some(Entity::Children(children))) => Some(&mut children.agents),
            _ => None,
        }
    }
}
