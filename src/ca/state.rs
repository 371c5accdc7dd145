//! The part of the CA's state that is at hand, and how events change it.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Event;
use super::ports::{Children, Entity, Key};
use super::record::{Agent, CertificateRecord, CertificateState, Issued, RevocationRecord};
use super::request::{Credential, Request, RequestId, RequestState};
use super::serial::Serial;
use super::token::{Token, TokenId, TokenUse};
use crate::apki::AgentUri;
use crate::time::UnixMillis;

/// What was loaded from the store, with what has happened since.
#[derive(Clone, Debug, Default)]
pub struct State {
    entities: BTreeMap<Key, Option<Entity>>,
    changed: BTreeSet<Key>,
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

    /// Takes in what the store keeps under this key.
    pub fn insert(&mut self, key: Key, entity: Option<Entity>) {
        self.entities.insert(key, entity);
    }

    /// Everything that has changed, as it is now.
    pub fn changed(&self) -> Vec<Entity> {
        self.changed.iter().filter_map(|key| self.entities.get(key).cloned().flatten()).collect()
    }

    /// Everything at hand.
    pub fn entities(&self) -> impl Iterator<Item = &Entity> {
        self.entities.values().flatten()
    }

    /// What speaks against an event, given all that happened before it: that what it speaks of is not there, or
    /// does not stand where it can be so. Nothing does where it was decided; this is for whoever reads a journal
    /// that somebody else kept.
    pub fn contradiction(&self, event: &Event) -> Option<&'static str> {
        let unless = |good: bool, why| (!good).then_some(why);
        let request = |id: &RequestId| self.request(id).map(|request| &request.state);
        let under_way = |id: &RequestId, serial: &Serial| {
            matches!(request(id), Some(RequestState::Processing { serial: current, .. }) if current == serial)
                && self.certificate(serial).is_some_and(|c| c.state == CertificateState::Precertified)
        };
        let credential = |credential: &Credential| match credential {
            Credential::Token(id) => unless(
                self.token(id).is_some_and(|token| token.used == TokenUse::Unused),
                "nobody minted the token that it came with, or it was used up",
            ),
            Credential::Certificate(serial) | Credential::Parent(serial) => unless(
                self.certificate(serial).is_some_and(|certificate| certificate.issued().is_some()),
                "nobody issued the certificate that it came with",
            ),
        };
        match event {
            Event::TokenMinted { token } => unless(self.token(&token.id).is_none(), "there is such a token already"),
            Event::TokenWithdrawn { token } => credential(&Credential::Token(*token)),
            Event::ApplicationRefused { credential: with, .. } => credential(with),
            Event::RequestReceived { request: id, credential: with, .. } => {
                unless(request(id).is_none(), "there is such a request already").or_else(|| credential(with))
            }
            Event::RequestApproved { request: id } => {
                unless(matches!(request(id), Some(RequestState::Pending { .. })), "no such request was pending")
            }
            Event::RequestClosed { request: id, .. } => {
                let open = matches!(request(id), Some(RequestState::Pending { .. } | RequestState::Ready { .. }));
                unless(open, "no such request was pending or ready")
            }
            Event::PrecertificateSigned { request: id, serial, agent, .. } => {
                let ready = matches!(request(id), Some(RequestState::Ready { .. }));
                let its = self.request(id).is_some_and(|request| request.application.agent == *agent);
                unless(ready && its, "no such request of this agent was ready")
                    .or_else(|| unless(self.certificate(serial).is_none(), "the serial number was used before"))
            }
            Event::IssuanceAbandoned { request, serial, .. } | Event::CertificateIssued { request, serial, .. } => {
                unless(under_way(request, serial), "no such certificate was under way")
            }
            Event::CertificatePublished { .. }
            | Event::AgentRevoked { .. }
            | Event::RevocationRestored { .. }
            | Event::ReissueWanted { .. } => unimplemented!(),
            Event::ServiceCertified { serial, .. } => {
                unless(self.certificate(serial).is_none(), "the serial number was used before")
            }
        }
    }

    /// Makes an event's change, at the moment it happened. Events are facts: this cannot fail, and
    /// what an event speaks of was at hand when it was decided.
    pub fn apply(&mut self, at: UnixMillis, event: &Event) {
        match event {
            Event::TokenMinted { token } => self.put(Entity::Token(token.clone())),
            Event::TokenWithdrawn { token } => self.use_token(token, TokenUse::Withdrawn),
            Event::ServiceCertified { .. } => {}
            Event::CertificatePublished { .. }
            | Event::AgentRevoked { .. }
            | Event::RevocationRestored { .. }
            | Event::ReissueWanted { .. } => unimplemented!(),
            Event::ApplicationRefused { credential: Credential::Token(id), .. } => {
                if let Some(token) = self.token(id) {
                    let refused = token.refused.saturating_add(1);
                    self.put(Entity::Token(Token { refused, ..token.clone() }));
                }
            }
            Event::ApplicationRefused {
                credential: Credential::Certificate(serial) | Credential::Parent(serial),
                ..
            } => {
                self.change_certificate(serial, |record| record.refused = record.refused.saturating_add(1));
            }
            Event::RequestReceived { request, credential, application, grant, held, expires_at } => {
                let grant = Box::new(grant.clone());
                let state = match held.is_empty() {
                    true => RequestState::Ready { grant },
                    false => RequestState::Pending { reasons: held.clone(), grant, expires_at: *expires_at },
                };
                let (id, credential, application) = (*request, *credential, application.clone());
                let agent_enrolment = self.agent(&application.agent).map(|agent| agent.enrolment);
                self.put(Entity::Request(Request {
                    id,
                    application,
                    credential,
                    received_at: at,
                    agent_enrolment,
                    state,
                }));
                match credential {
                    Credential::Token(token) => self.use_token(&token, TokenUse::Spent(id)),
                    Credential::Certificate(serial) => {
                        self.change_certificate(&serial, |record| record.renewal = Some(id));
                    }
                    Credential::Parent(serial) => {
                        self.change_certificate(&serial, |record| record.delegation = Some(id));
                    }
                }
            }
            Event::RequestApproved { request } => self.change_request(request, |state| match state {
                // The operator's word is as of now, and so is the score that comes with it.
                RequestState::Pending { mut grant, .. } => {
                    grant.scored_at = at;
                    RequestState::Ready { grant }
                }
                other => other,
            }),
            Event::RequestClosed { request, why } => {
                self.change_request(request, |_| RequestState::Invalid { why: why.clone() });
            }
            Event::PrecertificateSigned { request, serial, agent, score, precertificate, not_after } => {
                self.put(Entity::Certificate(CertificateRecord {
                    serial: *serial,
                    request: *request,
                    enrolment: self.enrolment_of(request),
                    agent: agent.clone(),
                    score: *score,
                    precertificate: precertificate.clone(),
                    signed_at: at,
                    not_after: *not_after,
                    parent: None,
                    published_at: None,
                    delegation: None,
                    renewal: None,
                    refused: 0,
                    state: CertificateState::Precertified,
                }));
                self.change_request(request, |state| match state {
                    RequestState::Ready { grant } => RequestState::Processing { grant, serial: *serial },
                    other => other,
                });
            }
            Event::IssuanceAbandoned { request, serial, why } => {
                self.change_certificate(serial, |record| {
                    record.state = CertificateState::Abandoned { why: why.clone() };
                });
                self.change_request(request, |state| match state {
                    RequestState::Processing { grant, serial: current } if current == *serial => {
                        RequestState::Ready { grant }
                    }
                    other => other,
                });
            }
            Event::CertificateIssued { request, serial, fingerprint, certificate } => {
                let issued = Issued { issued_at: at, fingerprint: *fingerprint, certificate: certificate.clone() };
                self.change_certificate(serial, |record| record.state = CertificateState::Issued(issued));
                self.change_request(request, |_| RequestState::Valid { serial: *serial });
                self.count_certificate(serial);
            }
        }
    }

    fn put(&mut self, entity: Entity) {
        let key = entity.key();
        self.changed.insert(key.clone());
        self.entities.insert(key, Some(entity));
    }

    fn use_token(&mut self, id: &TokenId, used: TokenUse) {
        if let Some(token) = self.token(id) {
            self.put(Entity::Token(Token { used, ..token.clone() }));
        }
    }

    fn change_request(&mut self, id: &RequestId, change: impl FnOnce(RequestState) -> RequestState) {
        if let Some(mut request) = self.request(id).cloned() {
            request.state = change(request.state);
            self.put(Entity::Request(request));
        }
    }

    fn change_certificate(&mut self, serial: &Serial, change: impl FnOnce(&mut CertificateRecord)) {
        if let Some(mut certificate) = self.certificate(serial).cloned() {
            change(&mut certificate);
            self.put(Entity::Certificate(certificate));
        }
    }

    /// The enrolment that a request goes back to: itself, or that of the certificate to be renewed.
    fn enrolment_of(&self, request: &RequestId) -> RequestId {
        match self.request(request).map(|request| request.credential) {
            Some(Credential::Certificate(current)) => self.certificate(&current).map_or(*request, |c| c.enrolment),
            _ => *request,
        }
    }

    /// A new certificate in its agent's lineage.
    fn count_certificate(&mut self, serial: &Serial) {
        let Some(certificate) = self.certificate(serial) else { return };
        let enrols = certificate.enrolment == certificate.request;
        let agent = match self.agent(&certificate.agent) {
            None => Agent {
                uri: certificate.agent.clone(),
                first_issued_at: certificate.signed_at,
                enrolment: certificate.enrolment,
                certificates: 1,
                current: *serial,
                current_not_after: certificate.not_after,
                peak_score: certificate.score,
                parent: None,
                children: 0,
                live: Vec::new(),
                revoked: None,
                reissue: None,
            },
            Some(earlier) => {
                let mut agent = Agent {
                    certificates: earlier.certificates.saturating_add(1),
                    peak_score: earlier.peak_score.max(certificate.score),
                    ..earlier.clone()
                };
                if enrols {
                    agent.enrolment = certificate.enrolment;
                }
                // One of an earlier enrolment, finished late, does not take the new one's place.
                if agent.enrolment == certificate.enrolment {
                    (agent.current, agent.current_not_after) = (*serial, certificate.not_after);
                }
                agent
            }
        };
        self.put(Entity::Agent(agent));
    }
}
