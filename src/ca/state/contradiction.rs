//! What cannot have happened, for whoever reads a journal that somebody else kept.

use super::State;
use crate::apki::AgentUri;
use crate::ca::event::Event;
use crate::ca::record::{CertificateRecord, CertificateState, LiveCertificate};
use crate::ca::request::{Credential, RequestId, RequestState};
use crate::ca::serial::Serial;
use crate::ca::token::TokenUse;

impl State {
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
            Event::RequestApproved { request: id, .. } => {
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
            Event::IssuanceAbandoned { request, serial, .. } => {
                unless(under_way(request, serial), "no such certificate was under way")
            }
            Event::CertificateIssued { request, serial, .. } => {
                unless(under_way(request, serial), "no such certificate was under way")
                    .or_else(|| self.survives_a_revocation(request, serial))
            }
            Event::CertificatePublished { serial, .. } => {
                let unpublished = |c: &CertificateRecord| c.issued().is_some() && c.published_at.is_none();
                unless(self.certificate(serial).is_some_and(unpublished), "no such certificate was to be published")
            }
            Event::AgentRevoked { agent, with, certificates, .. } => {
                self.not_revocable(agent, with.as_ref(), certificates)
            }
            Event::RevocationRestored { revocation } => {
                unless(self.revocation(&revocation.serial).is_none(), "the certificate was revoked before")
            }
            Event::ReissueWanted { agent, .. } => unless(
                self.agent(agent).is_some_and(|agent| agent.revoked.is_none()),
                "no such agent had a certificate",
            ),
            Event::ServiceCertified { serial, .. } => {
                unless(self.certificate(serial).is_none(), "the serial number was used before")
            }
        }
    }

    fn not_revocable(
        &self,
        agent: &AgentUri,
        with: Option<&AgentUri>,
        certificates: &[LiveCertificate],
    ) -> Option<&'static str> {
        let Some(agent) = self.agent(agent) else { return Some("there is no such agent") };
        match &agent.revoked {
            Some(before) if with.is_some() || before.with.is_none() => return Some("the agent was revoked before"),
            _ => {}
        }
        if with.is_some_and(|with| self.agent(with).is_none_or(|above| above.revoked.is_none())) {
            return Some("the agent that took it along was not revoked");
        }
        let its = certificates.iter().all(|certificate| agent.live.contains(certificate));
        (!its).then_some("a certificate is not one that the agent had")
    }

    /// That a certificate was asked for before its agent was revoked, or stands below one that was (draft 9.3).
    fn survives_a_revocation(&self, request: &RequestId, serial: &Serial) -> Option<&'static str> {
        let request = self.request(request)?;
        let revoked = self.agent(&request.application.agent).and_then(|agent| agent.revoked.as_ref());
        if revoked.is_some_and(|revoked| request.received_at <= revoked.at) {
            return Some("its agent was revoked after it was asked for");
        }
        let parent = self.certificate(serial).and_then(|certificate| certificate.parent)?;
        self.revocation(&parent).map(|_| "the certificate above it was revoked")
    }
}
