//! An agent of example.com below `Org` below `Root`, in two logs of two operators; with a parent where a test
//! wants one. Everything can be changed before the certificates are made, and they are made for real.

use der::asn1::ObjectIdentifier;

use super::super::*;
use crate::apki::attestation::{Attestation, AttestationMethod};
use crate::apki::capabilities::{Amount, Capabilities, Capability, Currency, RateLimit, SpendLimit};
use crate::apki::chain::Anchors;
use crate::apki::delegation::{AttenuationRules, Delegation};
use crate::apki::extension::{AgentExtension, AsciiText, Text};
use crate::apki::federation::bundle::{Members, SUPPORTED_ALGORITHMS};
use crate::apki::federation::{ScoreMapping, TrustBundle, TrustDomain};
use crate::apki::moment::Moment;
use crate::apki::precertificate::{Precertificate, extension_der, poison_der};
use crate::apki::provenance::Provenance;
use crate::apki::status::ocsp::{
    CertId, CertStatus, ResponseTemplate, SingleResponse, basic_response, responder_key_hash,
};
use crate::apki::testing::{Draft, key, validity};
use crate::apki::tlv::{self, encode};
use crate::apki::trust_score::{DecayRate, Score, TrustScore};
use crate::apki::{AgentUri, Certificate, oid};
use crate::keys::{SignatureAlgorithm, Signer};
use crate::log::entry::CertHash;
use crate::log::sat::{SatList, SignedAgentTimestamp};
use crate::time::UnixMillis;

/// 2026-04-10T12:00:00Z, when the certificates begin.
pub const START: UnixMillis = UnixMillis::new(1_775_822_400_000);
pub const MINUTE: u64 = 60_000;
pub const HOUR: u64 = 60 * MINUTE;
/// The seeds of keys.
pub const ROOT: u8 = 1;
pub const ORG: u8 = 2;
pub const LOG_A: u8 = 11;
pub const LOG_B: u8 = 12;
/// Of the operator of log A.
pub const LOG_A2: u8 = 13;
pub const ROGUE_LOG: u8 = 14;

pub fn moment(at: UnixMillis) -> Moment {
    Moment::floor(at).unwrap()
}

pub fn after(minutes: u64) -> UnixMillis {
    START.saturating_add(minutes * MINUTE)
}

pub fn points(points: u8) -> Score {
    Score::new(points).unwrap()
}

pub fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

pub fn uri(text: &str) -> AgentUri {
    AgentUri::parse(text).unwrap()
}

/// A capability for `tool` in `scope` without limits.
pub fn capability(tool: &str, scope: &str) -> Capability {
    Capability { tool_uri: AsciiText::new(tool).unwrap(), scope: text(scope), spend_limit: None, rate_limit: None }
}

/// The same with money: at most `once` in a payment and `daily` in a day, in GBP.
pub fn spending(tool: &str, scope: &str, once: u64, daily: u64) -> Capability {
    let spend_limit = SpendLimit {
        max_per_transaction: Some(Amount::new(once).unwrap()),
        max_per_period: Some(Amount::new(daily).unwrap()),
        period_seconds: 86_400.try_into().ok(),
        currency: Currency::new("GBP").unwrap(),
    };
    Capability { spend_limit: Some(spend_limit), ..capability(tool, scope) }
}

pub fn rate(max_requests: u32, seconds: u32) -> RateLimit {
    RateLimit { max_requests, period_seconds: seconds.try_into().unwrap() }
}

pub const ACCOUNTS: &str = "https://api.example.com/accounts";
pub const PAYMENTS: &str = "https://api.example.com/payments";

pub fn call(tool: &str, scope: &str) -> Operation {
    Operation { tool_uri: AsciiText::new(tool).unwrap(), scope: text(scope), spend: None }
}

pub fn payment(amount: u64, currency: &str) -> Operation {
    let spend = Spend { amount: Amount::new(amount).unwrap(), currency: Currency::new(currency).unwrap() };
    Operation { spend: Some(spend), ..call(PAYMENTS, "pay/eu") }
}

/// An agent that a certificate is made for.
#[derive(Clone)]
pub struct Agent {
    pub uri: String,
    pub score: Option<TrustScore>,
    pub capabilities: Option<Vec<Capability>>,
    pub delegation: Option<Delegation>,
    pub provenance: Option<Provenance>,
    /// The method; the hash is that of the capabilities.
    pub attestation: Option<AttestationMethod>,
    pub not_before: UnixMillis,
    pub not_after: UnixMillis,
    pub issuer: String,
    /// Who signs.
    pub issuer_key: u8,
    /// Which logs give timestamps, and when.
    pub sats: Vec<(u8, UnixMillis)>,
    /// A last change, before the poison is put in.
    pub change: fn(&mut Draft),
    /// The same, of the timestamps before they are embedded.
    pub change_sats: fn(&mut Vec<SignedAgentTimestamp>),
    /// Put in the place of an extension.
    pub instead: Vec<(ObjectIdentifier, bool, Vec<u8>)>,
}

impl Agent {
    pub fn new(uri: &str) -> Self {
        Self {
            uri: uri.into(),
            score: Some(TrustScore {
                score: points(70),
                decay_rate: DecayRate::new(2).unwrap(),
                last_updated: moment(START),
                computation_method: None,
            }),
            capabilities: Some(vec![capability(ACCOUNTS, "accounts"), spending(PAYMENTS, "pay", 10_000, 50_000)]),
            delegation: Some(Delegation {
                parent_cert_hash: [0; 32],
                depth: 0,
                max_depth: 3,
                rules: AttenuationRules::default(),
                human_principal: Some(text("sha256:00")),
            }),
            provenance: Some(Provenance {
                model_family: text("claude"),
                model_version: text("5"),
                framework: text("mcp-sdk"),
                organization_id: text("retail"),
                build_hash: Some([7; 32]),
                attest_evidence: None,
            }),
            attestation: Some(AttestationMethod::CaVerified),
            not_before: START,
            not_after: after(60),
            issuer: "Org".into(),
            issuer_key: ORG,
            sats: vec![(LOG_A, START), (LOG_B, START)],
            change: |_| {},
            change_sats: |_| {},
            instead: Vec::new(),
        }
    }

    pub fn delegation(&mut self) -> &mut Delegation {
        self.delegation.as_mut().unwrap()
    }

    pub fn score(&mut self) -> &mut TrustScore {
        self.score.as_mut().unwrap()
    }

    pub fn capabilities(&mut self) -> &mut Vec<Capability> {
        self.capabilities.as_mut().unwrap()
    }

    fn extensions(&self) -> Vec<Vec<u8>> {
        let mut found = vec![
            (oid::SUBJECT_ALT_NAME, true, encode(tlv::SEQUENCE, &[&encode(0x86, &[self.uri.as_bytes()])])),
            (oid::KEY_USAGE, true, vec![0x03, 0x02, 0x07, 0x80]),
        ];
        let capabilities = self.capabilities.as_ref().map(|list| Capabilities::new(list.clone()).unwrap());
        let capabilities = capabilities.map(|capabilities| capabilities.to_der().unwrap());
        let mut add = |oid, value: Option<Vec<u8>>| found.extend(value.map(|value| (oid, false, value)));
        add(oid::AGENT_TRUST_SCORE, self.score.as_ref().map(|score| score.to_der().unwrap()));
        add(oid::AGENT_CAPABILITIES, capabilities.clone());
        add(oid::AGENT_DELEGATION, self.delegation.as_ref().map(|delegation| delegation.to_der().unwrap()));
        add(oid::AGENT_PROVENANCE, self.provenance.as_ref().map(|provenance| provenance.to_der().unwrap()));
        let attestation = self.attestation.zip(capabilities).map(|(method, capabilities)| Attestation {
            declared_capabilities_hash: sha2::Digest::finalize(sha2::Digest::chain_update(
                <sha2::Sha256 as sha2::Digest>::new(),
                &capabilities,
            ))
            .into(),
            method,
            attestor_identity: None,
            time: moment(START),
            evidence_uri: None,
        });
        add(oid::AGENT_BEHAVIOURAL_ATTESTATION, attestation.map(|attestation| attestation.to_der().unwrap()));
        for (oid, critical, value) in &self.instead {
            let new = (*oid, *critical, value.clone());
            match found.iter_mut().find(|(known, ..)| known == oid) {
                Some(known) => *known = new,
                None => found.push(new),
            }
        }
        found.iter().map(|(oid, critical, value)| extension_der(oid, *critical, value)).collect()
    }

    pub fn draft(&self) -> Draft {
        let mut draft = Draft::new(&self.issuer, "agent", &key(99));
        draft.subject = vec![0x30, 0x00];
        draft.validity = encode(
            tlv::SEQUENCE,
            &[&moment(self.not_before).to_validity_der(), &moment(self.not_after).to_validity_der()],
        );
        draft.extensions = self.extensions();
        (self.change)(&mut draft);
        draft
    }

    /// The precertificate.
    pub fn precertificate(&self) -> Certificate {
        let mut draft = self.draft();
        draft.extensions.push(poison_der());
        draft.certificate(&key(self.issuer_key))
    }

    /// Timestamps of the agent's logs for a certificate with this hash.
    pub fn stamps(&self, cert_hash: CertHash) -> Vec<SignedAgentTimestamp> {
        let stamp = |(log, at): &(u8, UnixMillis)| SignedAgentTimestamp::sign(&key(*log), *at, cert_hash).unwrap();
        let mut stamps = self.sats.iter().map(stamp).collect();
        (self.change_sats)(&mut stamps);
        stamps
    }

    /// The final certificate; without timestamps, one that has none embedded.
    pub fn certificate(&self) -> Certificate {
        let submitted = self.precertificate();
        let stamps = self.stamps(CertHash::of_certificate(submitted.der()));
        if stamps.is_empty() {
            return self.draft().certificate(&key(self.issuer_key));
        }
        let precertificate = Precertificate::of(&submitted).unwrap().unwrap();
        let tbs = precertificate.final_tbs(&SatList::new(stamps).unwrap().to_der());
        precertificate.assemble(&tbs, &key(self.issuer_key).sign(&tbs).unwrap()).unwrap()
    }
}

/// A certificate of a CA that is valid for ten years.
pub fn ca(issuer: &str, subject: &str, own: u8, by: u8, change: impl FnOnce(&mut Draft)) -> Certificate {
    let mut draft = Draft::ca(issuer, subject, &key(own), None);
    // With cRLSign.
    draft.extensions[1] = extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x01, 0x06]);
    draft.validity = validity(&[(0x17, b"250101000000Z"), (0x17, b"350101000000Z")]);
    change(&mut draft);
    draft.certificate(&key(by))
}

pub fn root() -> Certificate {
    ca("Root", "Root", ROOT, ROOT, |_| {})
}

pub fn org() -> Certificate {
    ca("Root", "Org", ORG, ROOT, |_| {})
}

pub fn bundle(change: impl FnOnce(&mut Members)) -> TrustBundle {
    let mut members = Members {
        domain: TrustDomain::parse("example.com").unwrap(),
        issued_at: moment(START),
        expires_at: moment(START.saturating_add(24 * HOUR)),
        certificates: vec![root()],
        minimum: points(0),
        algorithms: SUPPORTED_ALGORITHMS.map(str::to_owned).to_vec(),
    };
    change(&mut members);
    TrustBundle::new(members).unwrap()
}

pub fn log(seed: u8, operator: &str) -> TrustedLog {
    TrustedLog {
        name: format!("log {seed}"),
        origin: None,
        key: key(seed).public_key().clone(),
        operator: operator.into(),
        from: UnixMillis::default(),
        until: None,
    }
}

/// Everything that a verdict depends on.
pub struct World {
    pub agent: Agent,
    /// Above it, the parent first; made with the children's hashes set right.
    pub parents: Vec<Agent>,
    /// Whether the hashes are set right.
    pub bind: bool,
    pub issuers: Vec<Certificate>,
    pub party: RelyingParty,
    pub facts: Facts,
    pub operation: Option<Operation>,
    pub now: UnixMillis,
    pub past: bool,
    /// Presented in the place of it all.
    pub raw: Option<Vec<Vec<u8>>>,
    /// A last change of what is presented.
    pub change: fn(&mut Presented),
}

impl World {
    /// One agent, accepted for anything.
    pub fn new() -> Self {
        let domain = Domain::own(Trusted::Roots(Anchors::new([root()]).unwrap()));
        let logs = vec![log(LOG_A, "Operator A"), log(LOG_B, "Operator B"), log(LOG_A2, "Operator A")];
        let policy =
            Policy::new(points(40), RevocationPolicy { mode: RevocationMode::Off, max_age: None, issuers: false });
        let party = RelyingParty {
            policy,
            domains: Domains::new([(TrustDomain::parse("example.com").unwrap(), domain)]),
            logs: LogList::new(logs).unwrap(),
        };
        Self {
            agent: Agent::new("agent://example.com/retail/teller/1"),
            parents: Vec::new(),
            bind: true,
            issuers: vec![org()],
            party,
            facts: Facts::default(),
            operation: None,
            now: after(5),
            past: false,
            raw: None,
            change: |_| {},
        }
    }

    /// The same with a parent, and with less than the parent has.
    pub fn delegated() -> Self {
        let mut world = Self::new();
        world.parents.push(Agent::new("agent://example.com/retail/lead/1"));
        world.agent.score().score = points(60);
        world.agent.delegation().depth = 1;
        world.agent.delegation().human_principal = None;
        world.agent.capabilities =
            Some(vec![capability(ACCOUNTS, "accounts/read"), spending(PAYMENTS, "pay/eu", 5_000, 20_000)]);
        world
    }

    /// The domain example.com with another source of trust.
    pub fn trust(&mut self, trusted: Trusted) {
        let domain = Domain { trusted, mapping: ScoreMapping::default(), minimum: points(0) };
        self.party.domains = Domains::new([(TrustDomain::parse("example.com").unwrap(), domain)]);
    }

    /// What is presented: the agent's certificate and its parents', each bound to the one above.
    pub fn presented(&self) -> Presented {
        let mut line: Vec<Link> = Vec::new();
        let mut above: Option<[u8; 32]> = None;
        for agent in self.parents.iter().rev().chain([&self.agent]) {
            let mut agent = agent.clone();
            if let (Some(hash), Some(delegation), true) = (above, agent.delegation.as_mut(), self.bind) {
                delegation.parent_cert_hash = hash;
            }
            let certificate = agent.certificate();
            above = Some(certificate.fingerprint());
            line.insert(0, Link::new(certificate, self.issuers.clone()));
        }
        let mut presented = Presented { agent: line.remove(0), parents: line };
        (self.change)(&mut presented);
        presented
    }

    pub fn request(&self) -> Request<'_> {
        Request { operation: self.operation.as_ref(), facts: &self.facts, now: self.now, past: self.past }
    }

    pub fn decide(&self, effort: Effort) -> Verdict {
        let presented = match &self.raw {
            None => Ok(self.presented()),
            Some(raw) => Presented::from_der(raw.iter().map(Vec::as_slice)),
        };
        match presented {
            Ok(presented) => self.party.decide(presented, &self.request(), effort),
            Err(reason) => Verdict::Refused(Box::new(Refused::unread(*reason, self.now))),
        }
    }

    /// The codes of the refusal, each once; none where the agent is accepted.
    pub fn codes(&self) -> Vec<Code> {
        let verdict = self.decide(Effort::Whole);
        assert_eq!(verdict.is_accepted(), self.decide(Effort::Bounded).is_accepted(), "{verdict:?}");
        let mut codes: Vec<Code> = verdict.reasons().iter().map(|reason| reason.code).collect();
        codes.dedup();
        codes
    }

    pub fn accepted(&self) -> Accepted {
        match self.decide(Effort::Whole) {
            Verdict::Accepted(accepted) => *accepted,
            Verdict::Refused(refused) => panic!("{refused}"),
        }
    }
}

/// What `Org` says of this certificate, and until when.
pub fn ocsp_of(cert_id: &CertId, status: CertStatus, from: UnixMillis, until: UnixMillis) -> Vec<u8> {
    let (this_update, next_update) = (moment(from), moment(until));
    let responses = [SingleResponse { cert_id, status, this_update, next_update }];
    let responder_key_hash = responder_key_hash(key(ORG).public_key()).unwrap();
    let template =
        ResponseTemplate { responder_key_hash, produced_at: this_update, responses: &responses, nonce: None };
    let tbs = template.tbs();
    basic_response(&tbs, SignatureAlgorithm::Ed25519, &key(ORG).sign(&tbs).unwrap(), None)
}
