//! Trees of agents that a CA was led to, one decision after the other. Certificates are real ones here, since
//! those below are judged by what they say; number and name of everything are one small number.

use sha2::{Digest, Sha256};

use super::rig::{Ca, id, mint, serial};
use crate::apki::AgentUri;
use crate::apki::attenuation::Mode;
use crate::apki::capabilities::Capabilities;
use crate::apki::status::RevocationReason;
use crate::ca::application::{Application, DelegationTerms, Octets};
use crate::ca::authority::{Decision, Refusal};
use crate::ca::command::{Command, RevocationTarget, Revoker};
use crate::ca::event::Event;
use crate::ca::record::{CertificateRecord, Reason};
use crate::ca::request::{Grant, RequestId};
use crate::ca::testing::{HOUR, application, evidence, granted, principal, scope};
use crate::ca::token::TokenScope;
use crate::time::UnixMillis;

pub(super) const ROOT: &str = "agent://bank.example.com/payments/bot/root";

pub(super) fn name(n: u8) -> String {
    format!("agent://bank.example.com/payments/bot/{n}")
}

pub(super) fn uri(text: &str) -> AgentUri {
    AgentUri::parse(text).unwrap()
}

pub(super) fn caps(json: serde_json::Value) -> Capabilities {
    serde_json::from_value(json).unwrap()
}

/// The first so many of eight tools, so that fewer are less.
pub(super) fn tools(count: usize) -> Capabilities {
    let tools = (0..count).map(|n| serde_json::json!({"tool_uri": format!("mcp://tool/{n}"), "scope": "pay"}));
    caps(tools.collect())
}

/// That of an agent that says all of how it was built, and asks for this much.
pub(super) fn wants(agent: &str, capabilities: Capabilities) -> Application {
    Application { evidence: Some(evidence()), capabilities: Some(capabilities), ..application(agent) }
}

/// That of an agent for whom Ann answers.
pub(super) fn root(capabilities: Capabilities) -> Application {
    Application { principal: Some(principal("Ann")), ..wants(ROOT, capabilities) }
}

pub(super) fn terms(max_depth: Option<u8>) -> DelegationTerms {
    DelegationTerms { max_depth, ..DelegationTerms::default() }
}

impl Ca {
    /// One where a child may have as much as its parent, with tokens 1 to 99 that leave the rights open.
    pub(super) fn of_trees() -> Self {
        let mut ca = Self::new();
        ca.policy.delegation.mode = Mode::Subset;
        for n in 1..100 {
            let scope = TokenScope { capabilities: None, replaces: n >= 50, ..scope() };
            assert_eq!(ca.run(&mint(n, scope, UnixMillis::new(u64::MAX))), "token_minted");
        }
        ca
    }

    /// With a root that has certificate 1, and eight tools.
    pub(super) fn with_root() -> Self {
        let mut ca = Self::of_trees();
        ca.enrolled_and_published(1, 1, &root(tools(8)));
        ca
    }

    /// A line: the root has certificate 1, its child `name(2)` number 2, its child number 3, and so on.
    pub(super) fn with_line(length: u8) -> Self {
        let mut ca = Self::with_root();
        for n in 2..=length {
            ca.delegated(n - 1, n, &wants(&name(n), tools(8)));
        }
        ca
    }

    pub(super) fn record(&self, n: u8) -> &CertificateRecord {
        self.certificates().find(|certificate| certificate.serial == serial(n)).unwrap()
    }

    pub(super) fn fingerprint(&self, n: u8) -> [u8; 32] {
        let found = self.certificates().find(|certificate| certificate.serial == serial(n));
        found.and_then(|found| found.issued()).map_or([0; 32], |issued| issued.fingerprint)
    }

    pub(super) fn delegate(&self, parent: u8, request: u8, application: &Application) -> Command {
        Command::Delegate {
            request: id(request),
            parent: serial(parent),
            fingerprint: self.fingerprint(parent),
            application: Box::new(application.clone()),
            engine: None,
            parent_engine: None,
            source: "192.0.2.1".into(),
        }
    }

    pub(super) fn renew(&self, current: u8, request: u8, application: &Application) -> Command {
        Command::Renew {
            request: id(request),
            serial: serial(current),
            fingerprint: self.fingerprint(current),
            application: Box::new(application.clone()),
            engine: None,
            source: "192.0.2.1".into(),
        }
    }

    pub(super) fn by_agent(&self, current: u8) -> Revoker {
        let fingerprint = self.fingerprint(current);
        Revoker::Agent { serial: serial(current), fingerprint, source: "192.0.2.1".into() }
    }

    pub(super) fn grant(&self, request: u8) -> Grant {
        self.request(request).state.grant().unwrap().clone()
    }

    /// The certificate of this request, as the service makes it: backdated by a minute, and never longer than the
    /// parent's.
    fn certificate(&self, request: u8) -> (Octets, UnixMillis) {
        let (found, grant) = (self.request(request), self.grant(request));
        let ends = self.now.saturating_add(u64::from(grant.validity_seconds) * 1000);
        let ends = grant.ends_by.map_or(ends, |by| by.min(ends));
        let not_after = UnixMillis::new(ends.get() / 1000 * 1000);
        let certificate = granted(&found.application, &grant, self.now.saturating_sub(60_000), not_after);
        (Octets(certificate), not_after)
    }

    pub(super) fn to_precertify(&self, request: u8) -> Command {
        let (precertificate, not_after) = self.certificate(request);
        Command::Precertify { request: id(request), serial: serial(request), precertificate, not_after }
    }

    pub(super) fn to_issue(&self, request: u8) -> Command {
        let certificate = self.record(request).precertificate.clone();
        let fingerprint = Sha256::digest(&certificate.0).into();
        Command::Issue { request: id(request), serial: serial(request), fingerprint, certificate }
    }

    /// Makes a certificate of a request that is ready, and publishes it.
    pub(super) fn certified(&mut self, request: u8) {
        assert_eq!(self.run(&self.to_precertify(request)), "precertificate_signed");
        assert_eq!(self.run(&self.to_issue(request)), "certificate_issued");
        assert_eq!(self.run(&publish(request)), "certificate_published");
    }

    pub(super) fn enrolled_and_published(&mut self, token: u8, request: u8, application: &Application) {
        assert_eq!(self.run(&super::rig::enrol(token, request, application)), "request_received");
        self.certified(request);
    }

    pub(super) fn delegated(&mut self, parent: u8, request: u8, application: &Application) {
        let command = self.delegate(parent, request, application);
        self.accepted(&command);
        self.certified(request);
    }

    pub(super) fn accepted(&mut self, command: &Command) -> Option<RequestId> {
        self.decide(command).verdict.unwrap()
    }

    /// Why the registration authority refuses.
    pub(super) fn reasons(&mut self, command: &Command) -> Vec<Reason> {
        match self.refusal(command) {
            Refusal::Refused(reasons) => reasons.0,
            other => panic!("{other}"),
        }
    }

    /// The rules of attenuation that a delegation would break.
    pub(super) fn rules(&mut self, parent: u8, application: &Application) -> Vec<String> {
        let command = self.delegate(parent, 250, application);
        self.reasons(&command).into_iter().map(|reason| reason.rule.unwrap_or(reason.detail)).collect()
    }

    /// Whom a revocation takes along: each agent, with the numbers of its certificates.
    pub(super) fn revoked(&mut self, command: &Command) -> Vec<(String, Vec<u8>)> {
        let Decision { events, verdict, .. } = self.decide(command);
        assert_eq!(verdict, Ok(None));
        events.iter().map(taken).collect()
    }

    /// Passes until a moment at which everything has ended that is there.
    pub(super) fn outlive(&mut self) {
        self.now = self.now.saturating_add(25 * HOUR);
    }
}

fn taken(event: &Event) -> (String, Vec<u8>) {
    match event {
        Event::AgentRevoked { agent, certificates, .. } => {
            (agent.to_string(), certificates.iter().map(|certificate| certificate.serial.as_bytes()[1]).collect())
        }
        other => panic!("{other:?}"),
    }
}

pub(super) fn publish(number: u8) -> Command {
    Command::Publish { serial: serial(number), logs: vec!["https://log.example.com".into()] }
}

pub(super) fn revoke(agent: &str) -> Command {
    Command::Revoke {
        target: RevocationTarget::Agent(uri(agent)),
        reason: RevocationReason::KeyCompromise,
        comment: "lost".into(),
        by: Revoker::Operator("ann".into()),
    }
}
