//! What a side judges its peers by, and what it wants of one of them.

use std::sync::Arc;

use crate::apki::AgentUri;
use crate::time::UnixMillis;
use crate::verify::relying::{
    Code, Facts, Operation, PeerPattern, Peers, Presented, Reason, Refused, RelyingParty, Subject,
};

/// What peers are judged by: policy, domains and logs, and what is known beside certificates. Both are shared,
/// so that a copy is cheap and new facts do not make the proofs of a connection void.
#[derive(Clone, Debug)]
pub struct Material {
    /// Policy, trust domains, logs.
    pub party: Arc<RelyingParty>,
    /// Revocation, proofs, audits.
    pub facts: Arc<Facts>,
}

impl Material {
    /// A relying party to which nothing is known beside certificates.
    pub fn new(party: RelyingParty) -> Self {
        Self { party: Arc::new(party), facts: Arc::default() }
    }

    /// The same party with these facts.
    #[must_use]
    pub fn with_facts(self, facts: Facts) -> Self {
        Self { facts: Arc::new(facts), ..self }
    }
}

/// Where a peer that may not do what it wants is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the handshake, by an alert.
    Strict,
    /// Right behind the handshake, with the reasons in one line, where it is proven who the peer is.
    Explain,
}

/// What the peer of one connection must be, beside what the policy wants of everybody.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Whom the connection is to be with.
    pub peers: Peers,
    /// What the peer must be allowed to do; `None` asks only who it is.
    pub operation: Option<Operation>,
}

impl Expected {
    /// Whoever the policy takes. Who connects should rather name the agent that it means: any other agent of a
    /// trusted domain could stand at that address.
    pub fn anyone() -> Self {
        Self::default()
    }

    /// Exactly this agent.
    pub fn agent(agent: &AgentUri) -> Self {
        Self { peers: Peers::Only(vec![PeerPattern::from(agent)]), operation: None }
    }

    /// The same peer, which must be allowed to do this.
    #[must_use]
    pub fn allowed_to(self, operation: Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// What speaks against this agent; nothing where it is one that is meant.
    pub(super) fn against(&self, agent: Option<&AgentUri>) -> Option<Reason> {
        let detail = match agent {
            Some(agent) if self.peers.admit(agent) => return None,
            Some(agent) => format!("this connection is to be with another agent than {agent}"),
            // Without a name nobody is the agent that is meant; that there is none is told with the verdict.
            None if matches!(self.peers, Peers::Any) => return None,
            None => "this connection is to be with a certain agent, and the certificate names none".to_owned(),
        };
        Some(Reason::new(Code::Peer, Subject::Agent, detail))
    }

    /// The refusal of another agent than the one that is meant, before anything else is looked at.
    pub(super) fn check(&self, presented: &Presented, at: UnixMillis) -> Result<(), Box<Refused>> {
        let agent = presented.agent.certificate.agent_uri().ok();
        match self.against(agent.as_ref()) {
            None => Ok(()),
            Some(reason) => {
                let mut refused = Box::new(Refused::unread(reason, at));
                refused.claims = agent;
                Err(refused)
            }
        }
    }
}
