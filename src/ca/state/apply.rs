//! How events change the state.

use super::State;
use crate::apki::AgentUri;
use crate::ca::event::Event;
use crate::ca::ports::Entity;
use crate::ca::record::{
    Agent, AgentRevocation, CertificateRecord, CertificateState, Issued, LiveCertificate, Reissue, RevocationRecord,
};
use crate::ca::request::{Credential, Request, RequestId, RequestState};
use crate::ca::serial::Serial;
use crate::ca::token::{Token, TokenId, TokenUse};
use crate::time::UnixMillis;

impl State {
    /// Makes an event's change, at the moment it happened. Events are facts: this cannot fail, and
    /// what an event speaks of was at hand when it was decided.
    pub fn apply(&mut self, at: UnixMillis, event: &Event) {
        match event {
            Event::TokenMinted { token } => self.put(Entity::Token(token.clone())),
            Event::TokenWithdrawn { token } => self.use_token(token, TokenUse::Withdrawn),
            Event::ServiceCertified { .. } => {}
            Event::CertificatePublished { serial, .. } => {
                self.change_certificate(serial, |record| record.published_at = Some(at));
            }
            Event::AgentRevoked { agent, reason, with, certificates, .. } => {
                self.revoke(agent, &AgentRevocation { at, reason: *reason, with: with.clone() }, certificates);
            }
            Event::RevocationRestored { revocation } => {
                if let Some(agent) = &revocation.agent {
                    self.change_agent(agent, |agent| agent.live.retain(|live| live.serial != revocation.serial));
                }
                self.put(Entity::Revocation(revocation.clone()));
            }
            Event::ReissueWanted { agent, score, .. } => {
                self.change_agent(agent, |agent| agent.reissue = Some(Reissue { at, score: *score }));
            }
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
            Event::RequestApproved { request, score } => self.change_request(request, |state| match state {
                RequestState::Pending { mut grant, .. } => {
                    // The operator's word is as of now, and so is the score that comes with it; a trust engine's is
                    // as of when the engine says.
                    if grant.engine.is_none() {
                        grant.scored_at = at;
                    }
                    grant.score = score.unwrap_or(grant.score);
                    RequestState::Ready { grant }
                }
                other => other,
            }),
            Event::RequestClosed { request, why } => {
                self.change_request(request, |_| RequestState::Invalid { why: why.clone() });
            }
            Event::PrecertificateSigned { request, serial, agent, score, precertificate, not_after } => {
                let parent =
                    self.request(request).and_then(|request| request.state.grant()).and_then(|grant| grant.parent);
                self.put(Entity::Certificate(CertificateRecord {
                    serial: *serial,
                    request: *request,
                    enrolment: self.enrolment_of(request),
                    agent: agent.clone(),
                    score: *score,
                    precertificate: precertificate.clone(),
                    signed_at: at,
                    not_after: *not_after,
                    parent,
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
                self.count_certificate(serial, at);
            }
        }
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

    fn change_agent(&mut self, uri: &AgentUri, change: impl FnOnce(&mut Agent)) {
        if let Some(mut agent) = self.agent(uri).cloned() {
            change(&mut agent);
            self.put(Entity::Agent(agent));
        }
    }

    /// Takes an agent's authority back, with these certificates.
    fn revoke(&mut self, uri: &AgentUri, revoked: &AgentRevocation, certificates: &[LiveCertificate]) {
        self.change_agent(uri, |agent| {
            agent.live.retain(|live| !certificates.contains(live));
            agent.revoked = Some(revoked.clone());
            agent.last_revoked_at = Some(revoked.at);
            agent.reissue = None;
        });
        for LiveCertificate { serial, signed_at, not_after } in certificates {
            self.put(Entity::Revocation(RevocationRecord {
                serial: *serial,
                agent: Some(uri.clone()),
                at: revoked.at,
                reason: revoked.reason,
                signed_at: *signed_at,
                not_after: *not_after,
            }));
        }
    }

    /// A new certificate in its agent's lineage.
    fn count_certificate(&mut self, serial: &Serial, at: UnixMillis) {
        let Some(certificate) = self.certificate(serial) else { return };
        let earlier = self.agent(&certificate.agent);
        let parent = certificate.parent.and_then(|parent| self.certificate(&parent)).map(|parent| parent.agent.clone());
        let left = earlier.and_then(|agent| agent.parent.clone());
        let agent = match earlier {
            None => first(certificate),
            Some(earlier) => next(earlier, certificate, self.request(&certificate.request), at),
        };
        self.put(Entity::Agent(Agent { parent: parent.clone(), ..agent }));
        if left != parent {
            left.into_iter().for_each(|left| self.change_agent(&left, |a| a.children = a.children.saturating_sub(1)));
            parent
                .into_iter()
                .for_each(|found| self.change_agent(&found, |a| a.children = a.children.saturating_add(1)));
        }
    }
}

/// An agent with its first certificate.
fn first(certificate: &CertificateRecord) -> Agent {
    Agent {
        uri: certificate.agent.clone(),
        first_issued_at: certificate.signed_at,
        enrolment: certificate.enrolment,
        certificates: 1,
        current: certificate.serial,
        current_not_after: certificate.not_after,
        peak_score: certificate.score,
        parent: None,
        children: 0,
        live: vec![live(certificate)],
        revoked: None,
        last_revoked_at: None,
        reissue: None,
    }
}

/// An agent with one certificate more.
fn next(earlier: &Agent, certificate: &CertificateRecord, answered: Option<&Request>, at: UnixMillis) -> Agent {
    let mut agent = Agent {
        certificates: earlier.certificates.saturating_add(1),
        peak_score: earlier.peak_score.max(certificate.score),
        live: earlier.unended(at).copied().chain([live(certificate)]).collect(),
        // Nothing is issued to a revoked agent but what it asked for afterwards.
        revoked: None,
        ..earlier.clone()
    };
    if certificate.enrolment == certificate.request {
        agent.enrolment = certificate.enrolment;
    }
    // One of an earlier enrolment, finished late, does not take the new one's place.
    if agent.enrolment == certificate.enrolment {
        (agent.current, agent.current_not_after) = (certificate.serial, certificate.not_after);
        // A score that moved behind the request is not in what answers it.
        agent.reissue = agent.reissue.filter(|wanted| answered.is_some_and(|asked| asked.received_at < wanted.at));
    }
    agent
}

const fn live(certificate: &CertificateRecord) -> LiveCertificate {
    LiveCertificate { serial: certificate.serial, signed_at: certificate.signed_at, not_after: certificate.not_after }
}
