//! The service against logs that fail and lie, and a store that fails: nothing leaves that is not on the
//! disk and in the logs, nothing is issued twice, and what was interrupted is taken up.

mod engine;
mod fake;
mod faults;
mod flows;
mod lies;
mod status;

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use self::fake::{FakeKept, FakeLog, Silent, TestClock};
use super::*;
use crate::apki::attestation::AttestationMethod;
use crate::apki::extension::Text;
use crate::apki::precertificate::{extension_der, recover};
use crate::apki::tlv::{self, encode};
use crate::apki::trust_score::{DecayRate, Score};
use crate::apki::{Certificate, oid};
use crate::ca::event::{Actor, Event};
use crate::ca::issuance::{IssuingCa, KnownLog};
use crate::ca::journal::JournalHead;
use crate::ca::lint::Linter;
use crate::ca::policy::{
    ApprovalRule, DEFAULT_MAX_LIVE, DelegationRule, Policy, PrincipalRule, ProvenanceRule, RenewalKeyRule, TrustRule,
    ValidityRule,
};
use crate::ca::ports::{CaStore, Commit, LogSubmitter};
use crate::ca::registry::Registry;
use crate::ca::request::{Credential, Grant, HoldReason};
use crate::ca::state::State;
use crate::ca::tests::{NOON, ed25519, issuer};
use crate::ca::token::{Token, TokenUse};
use crate::ca::trust::initial::ScoreInputs;
use crate::keys::Signer;
use crate::storage::ca::memory::MemoryCaStore;

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A store, two logs and a clock, which outlive the services that start on them.
struct World {
    store: Arc<MemoryCaStore>,
    logs: [Arc<FakeLog>; 2],
    clock: Arc<TestClock>,
    /// What lies beside the store, and is not put back with it.
    kept: Arc<FakeKept>,
    settings: Settings,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(TestClock::at(NOON));
        Self {
            store: Arc::default(),
            logs: [11, 12].map(|seed| Arc::new(FakeLog::new(seed, Arc::clone(&clock)))),
            clock,
            kept: Arc::default(),
            settings: Settings {
                log_timeout_ms: 300,
                attempts: 2,
                straggler_ms: 50,
                failure_pause_ms: 0,
                ..Settings::default()
            },
        }
    }

    /// The same logs and clock with what is on the disk now, as a new start finds it.
    fn after_crash(&self) -> Self {
        self.with_store(self.store.copy())
    }

    /// The same logs, clock and what lies beside the store, with another store.
    fn with_store(&self, store: MemoryCaStore) -> Self {
        let (clock, kept, settings) = (Arc::clone(&self.clock), Arc::clone(&self.kept), self.settings.clone());
        Self { store: Arc::new(store), logs: self.logs.clone(), clock, kept, settings }
    }

    fn parts(&self) -> Parts {
        let key = ed25519(1);
        let certificate = issuer(key.as_ref());
        let linter = Linter::new(certificate.clone(), ed25519(2), "example.com", false).unwrap();
        let reach = |(i, log): (usize, &Arc<FakeLog>)| {
            let known = KnownLog::new(format!("https://log{i}.example"), format!("operator {i}"), log.key());
            (known, Arc::clone(log) as Arc<dyn LogSubmitter>)
        };
        Parts {
            store: Arc::clone(&self.store) as Arc<dyn CaStore>,
            logs: self.logs.iter().enumerate().map(reach).collect(),
            trust: None,
            kept_head: Some(Arc::clone(&self.kept) as _),
            kept_list: Some(Arc::clone(&self.kept) as _),
            former_issuers: Vec::new(),
            ca: IssuingCa::new(certificate, Vec::new(), key).unwrap(),
            linter,
            policy: policy(),
            clock: Arc::clone(&self.clock) as Arc<dyn crate::time::Clock>,
            random: Arc::new(SystemRandom),
            observer: Arc::new(Silent),
        }
    }

    fn start(&self) -> Arc<CaService> {
        CaService::start(self.parts(), self.settings.clone()).unwrap()
    }

    /// Puts a token and the request that it is spent on into the store, as a decision would have.
    fn seed(&self, n: u8, score: u8, held: Vec<HoldReason>) -> (TokenSecret, RequestId) {
        let (secret, request) = (TokenSecret::new(TokenId::new([n; 8]), [n; 32]), RequestId::new([n; 16]));
        let token = Token {
            id: secret.id,
            secret_hash: secret.secret_hash(),
            scope: scope(),
            minted_by: "operator".into(),
            minted_at: NOON,
            expires_at: NOON.saturating_add(3_600_000),
            used: TokenUse::Unused,
            refused: 0,
        };
        let received = Event::RequestReceived {
            request,
            credential: Credential::Token(secret.id),
            application: form(n).into_application().unwrap(),
            grant: grant(score),
            held,
            expires_at: NOON.saturating_add(60_000),
        };
        self.write(vec![Event::TokenMinted { token }, received]);
        (secret, request)
    }

    fn write(&self, events: Vec<Event>) {
        let base = self.store.head().unwrap();
        let (mut head, mut state) = (base, State::default());
        events.iter().for_each(|event| state.apply(NOON, event));
        let rows = events.into_iter().map(|event| head.append(NOON, Actor::Authority, event).unwrap()).collect();
        self.store.commit(Commit { base, rows, head, entities: state.changed() }).unwrap();
    }

    /// The events in the store, once the chain of their rows is seen to hold.
    fn events(&self) -> Vec<Event> {
        let (rows, mut head) = (self.store.journal(0, usize::MAX).unwrap(), JournalHead::default());
        let events = rows.iter().map(|row| head.follow::<Actor, Event>(row).unwrap().event).collect();
        assert_eq!(head, self.store.head().unwrap());
        events
    }

    /// Whatever happened: no number twice, no request with two certificates, and no precertificate in
    /// a log that was not on the disk before.
    fn check(&self) {
        let (mut serials, mut signed, mut answered) = (BTreeSet::new(), HashSet::new(), BTreeSet::new());
        for event in self.events() {
            match event {
                Event::PrecertificateSigned { serial, precertificate, .. } => {
                    assert!(serials.insert(serial), "{serial} twice");
                    signed.insert(precertificate.0);
                }
                Event::CertificateIssued { request, certificate, .. } => {
                    assert!(answered.insert(request), "{request} has two certificates");
                    let certificate = Certificate::parse(certificate.0).unwrap();
                    let recovered = recover(&certificate).unwrap().unwrap().precertificate_der;
                    assert!(signed.contains(&recovered));
                }
                _ => {}
            }
        }
        for log in &self.logs {
            log.seen().iter().for_each(|seen| assert!(signed.contains(seen), "a log saw what is not on the disk"));
        }
    }

    /// A certificate that was given out is on the disk.
    fn check_given(&self, answered: &Answered) {
        let given = answered.certificate.as_ref().unwrap();
        let kept = |event: &Event| matches!(event, Event::CertificateIssued { certificate, .. } if certificate.0 == given.chain[0]);
        assert!(self.events().iter().any(kept));
        self.check();
    }

    /// Waits until a request has come this far.
    async fn settle(&self, service: &CaService, id: RequestId, status: &str) -> Answered {
        for _ in 0..200 {
            let answered = service.request(id).await.unwrap();
            if answered.status == status {
                return answered;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("request {id} is {} and not {status}", service.request(id).await.unwrap().status);
    }
}

fn text(text: &str) -> Text {
    Text::new(text).unwrap()
}

fn scope() -> TokenScope {
    TokenScope {
        agents: UriPattern::parse("agent://example.com/sales/*/*").unwrap(),
        capabilities: None,
        max_validity_seconds: None,
        replaces: false,
    }
}

fn grant(score: u8) -> Grant {
    Grant {
        capabilities: Capabilities::new(Vec::new()).unwrap(),
        validity_seconds: 3600,
        score: Score::new(score).unwrap(),
        inputs: ScoreInputs { attestation: 20, organization: 20, provenance: 10, code: 10, history: 10 },
        scored_at: NOON,
        method: AttestationMethod::CaVerified,
        delegation: None,
        parent: None,
        ends_by: None,
        engine: None,
    }
}

fn policy() -> Policy {
    Policy {
        trust_domain: "example.com".into(),
        attestor: text("Example CA"),
        validity: ValidityRule { min: 300, default: 3600, max: 86_400 },
        decay_rate: DecayRate::new(2).unwrap(),
        computation_method: text("test"),
        principal: PrincipalRule::Plain,
        max_delegation_depth: 5,
        renewal_key: RenewalKeyRule::Any,
        spiffe: false,
        approval: ApprovalRule::Never,
        pending_ttl_ms: 3_600_000,
        min_score: Score::new(0).unwrap(),
        default_reputation: 10,
        reputations: Default::default(),
        provenance: ProvenanceRule::default(),
        registry: Registry::default(),
        delegation: DelegationRule::default(),
        trust: TrustRule::default(),
        max_live: DEFAULT_MAX_LIVE,
        ceiling: None,
    }
}

/// What agent `n` asks with, the same each time.
fn form(n: u8) -> Form {
    let evidence = Evidence {
        model_family: text("model"),
        model_version: text("1"),
        framework: text("framework"),
        organization: text("Example"),
        build_hash: Some([9; 32]),
        attestation: None,
        evidence_uri: None,
    };
    Form {
        csr: csr(n),
        evidence: Some(evidence),
        capabilities: Some(grant(0).capabilities),
        validity_seconds: None,
        principal: None,
    }
}

fn csr(n: u8) -> Vec<u8> {
    let key: Arc<dyn Signer> = ed25519(100 + n);
    let name = encode(0x86, &[format!("agent://example.com/sales/shopper/{n}").as_bytes()]);
    let san = extension_der(&oid::SUBJECT_ALT_NAME, true, &encode(tlv::SEQUENCE, &[&name]));
    let request = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e];
    let extensions = encode(0x31, &[&encode(tlv::SEQUENCE, &[&san])]);
    let attributes = encode(0xa0, &[&encode(tlv::SEQUENCE, &[&request, &extensions])]);
    let spki = key.public_key().spki_der();
    let info = encode(tlv::SEQUENCE, &[&[0x02, 0x01, 0x00], &[0x30, 0x00], spki, &attributes]);
    let signature = encode(tlv::BIT_STRING, &[&[0], &key.sign(&info).unwrap()]);
    encode(tlv::SEQUENCE, &[&info, key.public_key().algorithm().algorithm_identifier_der(), &signature])
}
