//! Two logs, each with its own database, sequencer and HTTP API on the loopback interface, and the CA
//! that submits to them: the parts that `atl log serve` and `atl ca serve` put together.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use atl::api::{B64, LogDescriptor, SubmitEntryRequest};
use atl::apki::Certificate;
use atl::apki::chain::Anchors;
use atl::ca::issuance::{IssuingCa, KnownLog, SatRule};
use atl::ca::lint::Linter;
use atl::ca::ports::{Answer, LogSubmitter, SubmitError};
use atl::ca::service::{CaService, Observer, Parts, Settings, SystemRandom};
use atl::cli::pki::{DemoPki, KeyKind};
use atl::client::LogClient;
use atl::http::log::{LogParts, LogService};
use atl::http::metrics::Metrics;
use atl::http::serve::serve;
use atl::keys::{Ed25519Signer, PublicKey, Signer};
use atl::log::checkpoint::Origin;
use atl::log::entry::EntryType;
use atl::log::store::LogStore;
use atl::sequencer::task::{self as sequencer, Sequencer};
use atl::storage::ca::rocks::RocksCaStore;
use atl::storage::head_file::HeadFile;
use atl::storage::rocks::RocksStore;
use atl::time::{Clock, SystemClock, UnixMillis, WatchedClock};
use parking_lot::Mutex;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::common::ca::{LOOPBACK, TRUST_DOMAIN, UNLIMITED, new_key, policy, signer};
use crate::common::rules;

/// A CA that runs, its logs, and what they tell of themselves.
pub struct World {
    pub kind: KeyKind,
    pub root: Certificate,
    pub service: Arc<CaService>,
    pub phases: Arc<Phases>,
    logs: Vec<RunningLog>,
    /// The databases are under here; `TMPDIR` says on which disk.
    pub dir: TempDir,
}

impl World {
    pub async fn start(kind: KeyKind) -> Self {
        let pki = DemoPki::new(kind, SystemClock.now()).unwrap();
        let [root, issuer] = [&pki.root, &pki.org].map(|files| files.open().unwrap().certificate().clone());
        let dir = tempfile::tempdir().unwrap();
        let mut logs = Vec::new();
        for n in 0..2 {
            logs.push(RunningLog::start(&dir, n, &root).await);
        }
        let phases = Arc::<Phases>::default();
        let throw_away = signer(&new_key(kind).serialize_pem());
        let parts = Parts {
            store: Arc::new(RocksCaStore::open(&dir.path().join("ca")).unwrap()),
            logs: logs.iter().map(RunningLog::reached).collect(),
            linter: Linter::new(issuer.clone(), throw_away, TRUST_DOMAIN, false).unwrap(),
            trust: None,
            kept_head: None,
            kept_list: None,
            former_issuers: Vec::new(),
            ca: IssuingCa::new(issuer, vec![root.clone()], signer(&pki.org.key_pem)).unwrap(),
            policy: policy(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            observer: Arc::clone(&phases) as _,
        };
        // Both logs have to vouch for every certificate.
        let sat_rule = SatRule { min_sats: NonZeroUsize::new(2).unwrap(), ..SatRule::default() };
        let service = CaService::start(parts, Settings { sat_rule, ..Settings::default() }).unwrap();
        Self { kind, root, service, phases, logs, dir }
    }

    pub async fn stop(self) {
        self.service.stop().await;
        for log in self.logs {
            log.stop().await;
        }
    }
}

/// How long each phase of each issuance took.
#[derive(Default)]
pub struct Phases(Mutex<HashMap<&'static str, Vec<Duration>>>);

impl Phases {
    /// What was measured since it was taken last.
    pub fn take(&self) -> HashMap<&'static str, Vec<Duration>> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Observer for Phases {
    fn answered(&self, _: &'static str, _: &'static str) {}
    fn phase(&self, phase: &'static str, took: Duration) {
        self.0.lock().entry(phase).or_default().push(took);
    }
    fn log(&self, _: &str, result: &'static str, took: Duration) {
        assert_eq!(result, "sat", "a log did not answer as it should");
        self.0.lock().entry("one log").or_default().push(took);
    }
}

/// A log that serves.
struct RunningLog {
    address: SocketAddr,
    key: PublicKey,
    sequencer: Arc<Sequencer>,
    stop: watch::Sender<bool>,
    server: tokio::task::JoinHandle<()>,
}

impl RunningLog {
    async fn start(dir: &TempDir, n: u8, root: &Certificate) -> Self {
        let store: Arc<dyn LogStore> = Arc::new(RocksStore::open(&dir.path().join(format!("log-{n}"))).unwrap());
        let signer: Arc<dyn Signer> = Arc::new(Ed25519Signer::from_seed(&[n + 1; 32]).unwrap());
        let (key, clock): (_, Arc<dyn Clock>) = (signer.public_key().clone(), Arc::new(WatchedClock::start()));
        let metrics = Arc::new(Metrics::new().unwrap());
        let parts = sequencer::Parts {
            store: Arc::clone(&store),
            keeper: Arc::new(HeadFile::new(dir.path().join(format!("head-{n}")))),
            signer: Arc::clone(&signer),
            clock: Arc::clone(&clock),
            observer: Arc::clone(&metrics) as _,
        };
        let origin: Origin = format!("bench.example/{n}").parse().unwrap();
        let descriptor = descriptor(&origin, &key);
        let settings = sequencer::Settings { origin, sth_interval_ms: 60_000, queue_limit: 4096, retention_ms: 0 };
        let sequencer = tokio::task::spawn_blocking(move || Sequencer::start(parts, settings)).await;
        let sequencer = Arc::new(sequencer.unwrap().unwrap());
        let service = Arc::new(LogService::new(LogParts {
            sequencer: Arc::clone(&sequencer),
            store,
            signer,
            clock,
            anchors: Anchors::new([root.clone()]).unwrap(),
            rules: rules(),
            descriptor,
            per_source: UNLIMITED,
            per_anchor: UNLIMITED,
            max_body_bytes: 256 << 10,
            max_batch_body_bytes: 4 << 20,
            metrics,
        }));
        let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let server = tokio::spawn(serve(listener, 1024, None, service.router(false), stopping));
        Self { address, key, sequencer, stop, server }
    }

    /// The log as the CA knows it. No two are of one operator.
    fn reached(&self) -> (KnownLog, Arc<dyn LogSubmitter>) {
        let url = format!("http://{}", self.address);
        let log = HttpLog(LogClient::new(&url).unwrap());
        (KnownLog::new(url, self.address.to_string(), self.key.clone()), Arc::new(log))
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        self.server.await.unwrap();
        tokio::task::spawn_blocking(move || self.sequencer.shutdown()).await.unwrap().unwrap();
    }
}

fn descriptor(origin: &Origin, key: &PublicKey) -> LogDescriptor {
    LogDescriptor {
        origin: origin.to_string(),
        log_id: key.log_id(),
        key: B64(key.spki_der().to_vec()),
        vkey: origin.verifier_key(key).unwrap().to_string(),
        operator: "bench".into(),
        sth_interval_seconds: 60,
        mmd_seconds: 60,
        not_after_start: UnixMillis::new(0),
        not_after_limit: UnixMillis::new(u64::MAX),
        retention_seconds: 0,
        witnesses: Vec::new(),
        hash: "SHA-256".into(),
        signature_algorithm: "Ed25519".into(),
        oid_arc: atl::apki::oid::ARC.into(),
    }
}

/// A log over HTTP; one that does not answer well ends the benchmark.
struct HttpLog(LogClient);

impl LogSubmitter for HttpLog {
    fn submit<'a>(
        &'a self,
        kind: EntryType,
        certificate: &'a [u8],
        chain: &'a [Vec<u8>],
    ) -> Answer<'a, Result<Vec<u8>, SubmitError>> {
        let entry = SubmitEntryRequest {
            submission: B64(certificate.to_vec()),
            entry_type: Some(kind),
            chain: chain.iter().cloned().map(B64).collect(),
        };
        Box::pin(async move {
            let answer = self.0.submit(&entry).await;
            answer.map(|answer| answer.sat.0).map_err(|e| SubmitError::Refused(e.to_string()))
        })
    }

    fn probe(&self) -> Answer<'_, Result<(), String>> {
        Box::pin(async { self.0.sth().await.map(drop).map_err(|e| e.to_string()) })
    }
}
