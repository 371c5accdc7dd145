//! A CA with everything that lies beside its database, and two logs in the same process that sign at once: what
//! is measured is the CA.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use atl::apki::Certificate;
use atl::apki::attenuation::Mode;
use atl::apki::status::ocsp::{CertId, CertIdHash, IssuerIds, Nonce, OcspRequest};
use atl::apki::trust_score::Score;
use atl::ca::event::{Actor, Event};
use atl::ca::issuance::{IssuingCa, KnownLog};
use atl::ca::lint::Linter;
use atl::ca::policy::{DelegationRule, Policy};
use atl::ca::ports::{Answer, CaStore, Commit, Entity, EntryType, LogSubmitter, SubmitError};
use atl::ca::serial::Serial;
use atl::ca::service::{CaService, IssuedView, Observer, Parts, Settings, StatusSettings, SystemRandom, TokenId};
use atl::cli::pki::{DemoPki, KeyKind};
use atl::http::ca::metrics::CaMetrics;
use atl::http::ca::status::StatusApi;
use atl::http::serve::serve;
use atl::keys::{Ed25519Signer, PublicKey, Signer};
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::storage::ca::crl_file::CrlFile;
use atl::storage::ca::journal_file::JournalFile;
use atl::storage::ca::rocks::RocksCaStore;
use atl::time::{Clock, SystemClock};
use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use rcgen::KeyPair;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::common::ca::{LOOPBACK, TRUST_DOMAIN, UNLIMITED, form_with, new_key, policy, scope, signer};
use crate::load::{Load, post};

/// Entities in one commit.
const AT_ONCE: usize = 5_000;

/// A CA at work.
pub struct World {
    pub kind: KeyKind,
    pub service: Arc<CaService>,
    pub store: Arc<RocksCaStore>,
    pub issuer: Certificate,
    pub issuing_key: PublicKey,
    /// The key of every agent: making one is no part of what is measured.
    pub key: KeyPair,
    ids: IssuerIds,
    /// The databases are under here; `TMPDIR` says on which disk.
    pub dir: TempDir,
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl World {
    /// A CA that finds these entities in its database.
    pub async fn start(kind: KeyKind, found: Vec<Entity>) -> Self {
        let pki = DemoPki::new(kind, SystemClock.now()).unwrap();
        let [root, issuer] = [&pki.root, &pki.org].map(|files| files.open().unwrap().certificate().clone());
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("ca");
        let store = Arc::new(RocksCaStore::open(&data).unwrap());
        keep(store.as_ref(), found);
        let ca = IssuingCa::new(issuer.clone(), vec![root], signer(&pki.org.key_pem)).unwrap();
        let issuing_key = ca.key().clone();
        let throw_away = signer(&new_key(kind).serialize_pem());
        let parts = Parts {
            store: Arc::clone(&store) as _,
            logs: (0..2).map(NearLog::reached).collect(),
            linter: Linter::new(issuer.clone(), throw_away, TRUST_DOMAIN, false).unwrap(),
            trust: None,
            kept_head: Some(Arc::new(JournalFile::beside(&data))),
            kept_list: Some(Arc::new(CrlFile::beside(&data))),
            ca,
            former_issuers: Vec::new(),
            policy: open_policy(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            observer: Arc::new(Silent),
        };
        let status = StatusSettings { base_url: Some("http://ca.bank.example.com".into()), ..Default::default() };
        let service = CaService::start(parts, Settings { status, ..Settings::default() }).unwrap();
        service.prepare_ocsp().await.unwrap();
        let (address, stop) = listen(&service).await;
        let ids = IssuerIds::of(&issuer).unwrap();
        Self { kind, service, store, issuer, issuing_key, key: new_key(kind), ids, dir, address, stop }
    }

    /// An agent that may hand rights on.
    pub async fn enrol(&self, n: usize, validity_seconds: u32) -> IssuedView {
        let (secret, _) = self.service.mint_token("bench", scope(), 3_600_000).await.unwrap();
        let mut form = form_with(&self.key, n);
        form.validity_seconds = Some(validity_seconds);
        self.service.enrol(secret, form, LOOPBACK).await.unwrap().certificate.unwrap()
    }

    /// The question about one certificate.
    pub fn question(&self, serial: &Serial, nonce: Option<u64>) -> Vec<u8> {
        let nonce = nonce.map(|n| Nonce::new([n.to_be_bytes(), [7; 8]].concat()).unwrap());
        OcspRequest::new(vec![self.cert_id(serial)], nonce).unwrap().to_der()
    }

    pub fn cert_id(&self, serial: &Serial) -> CertId {
        self.ids.cert_id(serial.as_bytes(), CertIdHash::Sha1).unwrap()
    }

    /// Questions about these certificates, as they are posted.
    pub fn posts(&self, serials: &[Serial]) -> Load {
        Load::new(serials.iter().map(|serial| post("/ocsp", &self.question(serial, None))))
    }

    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.service.stop().await;
    }
}

/// OCSP as `atl ca serve` has it over plain HTTP, and beside it something that answers without a thought.
async fn listen(service: &Arc<CaService>) -> (SocketAddr, watch::Sender<bool>) {
    let metrics = Arc::new(CaMetrics::new().unwrap());
    let api = Arc::new(StatusApi::new(Arc::clone(service), UNLIMITED, metrics));
    // As long as an answer.
    let fixed = Bytes::from(vec![b'x'; 700]);
    let echo = fixed.clone();
    let answers = get(move || async move { fixed }).post(move |_: Bytes| async move { echo });
    let router = api.router().merge(Router::new().route("/fixed", answers));
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(serve(listener, 1024, None, router, stopping));
    (address, stop)
}

/// What an operator gets who sets nothing, but that an agent may have any number of children with as much as it
/// has itself.
pub fn open_policy() -> Policy {
    let delegation = DelegationRule {
        min_score: Score::new(1).unwrap(),
        mode: Mode::Subset,
        same_org: true,
        max_children: u32::MAX,
    };
    Policy { delegation, ..policy() }
}

/// Puts entities into the store as the writer would.
fn keep(store: &dyn CaStore, entities: Vec<Entity>) {
    let mut entities = entities.into_iter().peekable();
    while entities.peek().is_some() {
        let base = store.head().unwrap();
        let mut head = base;
        let event = Event::TokenWithdrawn { token: TokenId::new([0; 8]) };
        let rows = vec![head.append(SystemClock.now(), Actor::Authority, event).unwrap()];
        store.commit(Commit { base, rows, head, entities: entities.by_ref().take(AT_ONCE).collect() }).unwrap();
    }
}

/// The number of a certificate that was put there.
pub fn serial(n: usize) -> Serial {
    let mut octets = [1; 20];
    // Numbers are random, so the first octets are where they differ.
    octets[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    octets[12..].copy_from_slice(&(n as u64).to_be_bytes());
    Serial::from_random(octets)
}

struct Silent;

impl Observer for Silent {
    fn answered(&self, _: &'static str, _: &'static str) {}
    fn phase(&self, _: &'static str, _: Duration) {}
    fn log(&self, _: &str, _: &'static str, _: Duration) {}
}

/// A log that signs and forgets.
struct NearLog(Ed25519Signer);

impl NearLog {
    fn reached(n: u8) -> (KnownLog, Arc<dyn LogSubmitter>) {
        let signer = Ed25519Signer::from_seed(&[n + 1; 32]).unwrap();
        let url = format!("https://log-{n}.example");
        let known = KnownLog::new(url, format!("operator {n}"), signer.public_key().clone());
        (known, Arc::new(Self(signer)))
    }
}

impl LogSubmitter for NearLog {
    fn submit<'a>(
        &'a self,
        _: EntryType,
        certificate: &'a [u8],
        _: &'a [Vec<u8>],
    ) -> Answer<'a, Result<Vec<u8>, SubmitError>> {
        let hash = CertHash::of_certificate(certificate);
        let sat = SignedAgentTimestamp::sign(&self.0, SystemClock.now(), hash).unwrap().to_der();
        Box::pin(async move { Ok(sat) })
    }

    fn probe(&self) -> Answer<'_, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }
}
