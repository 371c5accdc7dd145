//! Signals per second that a trust engine takes in over HTTPS, in batches of 1 and of 20.
//!
//! Each is whole: a JWS verified, decided by the rules, recorded in a ledger that is synced to the disk, and
//! answered over a connection with the reporter's certificate. Signing is done before the clock starts; processor
//! time is that of server and reporters. `ATL_BENCH_SECONDS` says for how long each row runs (3), and `TMPDIR` on
//! which disk. Set up for two cores.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

mod common;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use atl::api::trust::{OutcomeKind, SignalsRequest};
use atl::apki::AgentUri;
use atl::apki::trust_score::{DecayRate, Score};
use atl::client::{TrustClient, builder};
use atl::http::limits::Rate;
use atl::http::serve::serve;
use atl::http::tls::{acceptor, client_verifier, provider};
use atl::http::trust::metrics::TrustMetrics;
use atl::http::trust::{TrustApi, TrustParts};
use atl::keys::{Ed25519Signer, Signer};
use atl::storage::trust::rocks::RocksTrustStore;
use atl::time::{Clock, Stopwatch, SystemClock};
use atl::trust::half_points::HalfPoints;
use atl::trust::policy::Policy;
use atl::trust::service::{Parts, ReporterId, Reporters, Settings, TrustService};
use atl::trust::signal::{Kind, Signal, SignalId};
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::common::ca::processor;
use crate::common::{at, ms};

const DOMAIN: &str = "agents.example.com";
const REPORTERS: usize = 4;
const UNLIMITED: Rate = Rate { per_second: NonZeroU32::MAX, burst: NonZeroU32::MAX };
/// More signals than are taken in a second.
const PER_SECOND: usize = 15_000;
/// Signals about one agent: fewer than a reporter may send in an hour.
const PER_AGENT: usize = 8;
/// Signals in a request.
const BATCHES: [usize; 2] = [1, 20];
/// Requests at a time, by all reporters.
const CONCURRENCY: [usize; 3] = [4, 16, 64];

/// A reporter: its name, its key, and the PEM that it is known by in TLS.
struct Reporter {
    id: ReporterId,
    signer: Ed25519Signer,
    pem: String,
}

fn main() {
    let seconds = std::env::var("ATL_BENCH_SECONDS").map_or(3, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(Duration::from_secs(seconds)));
}

async fn measure(time: Duration) {
    let dir = tempfile::tempdir().unwrap();
    let reporters: Vec<_> = (0..REPORTERS).map(reporter).collect();
    let keys = reporters.iter().map(|reporter| (reporter.id.clone(), reporter.signer.public_key().clone()));
    let mut policy = Policy::new(DOMAIN.into(), Reporters::new(keys).unwrap(), DecayRate::new(2).unwrap());
    policy.age_ms = 3_600_000;
    let metrics = Arc::new(TrustMetrics::new().unwrap());
    let parts = Parts {
        store: Arc::new(RocksTrustStore::open(&dir.path().join("data")).unwrap()),
        policy,
        clock: Arc::new(SystemClock),
        observer: Arc::clone(&metrics) as _,
    };
    let service = TrustService::start(parts, Settings::default()).unwrap();
    let most = PER_SECOND * time.as_secs() as usize;
    let agents = BATCHES.len() * CONCURRENCY.len() * most / PER_AGENT;
    open_accounts(&service, agents).await;
    let own = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::from_pem_slice(own.signing_key.serialize_pem().as_bytes()).unwrap();
    let certificate = CertifiedKey::from_der(vec![own.cert.der().clone()], key, &provider()).unwrap();
    let clients = client_verifier(Arc::new(|_, _| Ok(())), Vec::new());
    let tls = acceptor(Arc::new(SingleCertAndKey::from(certificate)), Some(clients)).unwrap();
    let known: Vec<_> = reporters
        .iter()
        .map(|reporter| (reporter.signer.public_key().spki_der().to_vec(), reporter.id.clone()))
        .collect();
    let identify = move |der: &[u8]| {
        let found = known.iter().find(|(spki, _)| der.windows(spki.len()).any(|window| window == spki));
        found.map(|(_, id)| id.clone()).ok_or_else(|| "nobody".to_owned())
    };
    let api = Arc::new(TrustApi::new(TrustParts {
        service: Arc::clone(&service),
        identify: Arc::new(identify),
        holders: Vec::new(),
        per_source: UNLIMITED,
        per_reporter: UNLIMITED,
        metrics,
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let (stop, stopping) = watch::channel(false);
    let server = tokio::spawn(serve(listener, 256, Some(tls), api.router(false), stopping));

    println!("\n{REPORTERS} reporters, {agents} agents, database in {}", dir.path().display());
    println!("\n  batch   at a time   signals    per s   p50 ms   p99 ms   CPU us each");
    let trusted = reqwest::Certificate::from_der(own.cert.der()).unwrap();
    let mut numbered = 0;
    for batch in BATCHES {
        for concurrency in CONCURRENCY {
            let requests = prepare(&reporters, &mut numbered, batch, (most, agents));
            let clients = reporters.iter().map(|reporter| client(&base, &trusted, reporter)).collect();
            let before = processor();
            let (took, mut latencies) = run(clients, requests, concurrency, time).await;
            latencies.sort_unstable();
            let signals = latencies.len() * batch;
            println!(
                "  {batch:>5} {concurrency:>11} {signals:>9} {:>8.0} {:>8.2} {:>8.2} {:>13.0}",
                signals as f64 / took.as_secs_f64(),
                ms(at(&latencies, 0.5)),
                ms(at(&latencies, 0.99)),
                (processor() - before).as_secs_f64() * 1e6 / signals as f64
            );
        }
    }
    let verify = verification(&reporters[0].signer);
    println!("\n  a signature verified by itself: {:.1} us, {:.0}/s on one core", verify * 1e6, 1.0 / verify);
    stop.send_replace(true);
    server.await.unwrap();
    service.stop().await;
}

/// Accounts as a CA opens them, so many at once as the engine lets wait.
async fn open_accounts(service: &Arc<TrustService>, agents: usize) {
    let (next, mut opening) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..256 {
        let (service, next) = (Arc::clone(service), Arc::clone(&next));
        opening.spawn(async move {
            while let Some(n) = Some(next.fetch_add(1, Relaxed)).filter(|n| *n < agents) {
                service.assess(agent(n), Score::new(50).unwrap()).await.unwrap();
            }
        });
    }
    opening.join_all().await;
}

/// Seconds that the least of it takes: the fastest of many rounds.
fn verification(signer: &Ed25519Signer) -> f64 {
    const TIMES: u32 = 20;
    let message = [b'x'; 500];
    let signature = signer.sign(&message).unwrap();
    let round = || {
        let begin = Stopwatch::start();
        (0..TIMES).for_each(|_| signer.public_key().verify(&message, &signature).unwrap());
        begin.elapsed().as_secs_f64() / f64::from(TIMES)
    };
    (0..50).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn reporter(n: usize) -> Reporter {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    let pem = key.serialize_pem();
    let signer = Ed25519Signer::from_pkcs8_der(&key.serialize_der()).unwrap();
    Reporter { id: format!("reporter-{n}").parse().unwrap(), signer, pem: pem + &certificate.pem() }
}

fn client(base: &str, trusted: &reqwest::Certificate, reporter: &Reporter) -> TrustClient {
    let identity = reqwest::Identity::from_pem(reporter.pem.as_bytes()).unwrap();
    let http = builder().no_proxy().tls_certs_only([trusted.clone()]).identity(identity).build().unwrap();
    TrustClient::with_http(base, http).unwrap()
}

fn agent(n: usize) -> AgentUri {
    AgentUri::parse(&format!("agent://{DOMAIN}/bench/agent/{n}")).unwrap()
}

/// Requests of so many signals each, all by all reporters in turn and about all agents in turn; no more than
/// `most` signals.
fn prepare(
    reporters: &[Reporter],
    numbered: &mut u64,
    batch: usize,
    (most, agents): (usize, usize),
) -> Vec<(usize, SignalsRequest)> {
    let request = |n: usize| {
        let place = n % reporters.len();
        let signals = (0..batch).map(|_| {
            *numbered += 1;
            sign(&reporters[place].signer, *numbered, agents)
        });
        (place, SignalsRequest { signals: signals.collect() })
    };
    (0..most / batch).map(request).collect()
}

fn sign(signer: &Ed25519Signer, number: u64, agents: usize) -> String {
    let (now, mut id) = (SystemClock.now(), [0; 16]);
    id[8..].copy_from_slice(&number.to_be_bytes());
    let signal = Signal {
        aud: DOMAIN.into(),
        agent: agent(number as usize % agents),
        kind: if number.is_multiple_of(5) { Kind::Failure } else { Kind::Success },
        half_points: Some(HalfPoints::new(if number.is_multiple_of(5) { -4 } else { 1 })),
        observed_at: now,
        issued_at: now,
        id: SignalId::new(id),
        detail: None,
    };
    signal.sign(signer).unwrap()
}

/// Sends requests, `concurrency` at a time, until there are none or the time is over: how long that took,
/// and how long each request.
async fn run(
    clients: Vec<TrustClient>,
    requests: Vec<(usize, SignalsRequest)>,
    concurrency: usize,
    time: Duration,
) -> (Duration, Vec<Duration>) {
    let (requests, next, start) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)), Stopwatch::start());
    let mut lanes = JoinSet::new();
    for _ in 0..concurrency {
        let (clients, requests, next) = (clients.clone(), Arc::clone(&requests), Arc::clone(&next));
        lanes.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < time
                && let Some((place, request)) = requests.get(next.fetch_add(1, Relaxed))
            {
                let begin = Stopwatch::start();
                let answer = clients[*place].signals(request).await.unwrap();
                latencies.push(begin.elapsed());
                let taken = answer.outcomes.iter().filter(|outcome| outcome.outcome != OutcomeKind::Refused);
                assert_eq!(taken.count(), request.signals.len());
            }
            latencies
        });
    }
    let latencies = lanes.join_all().await.concat();
    (start.elapsed(), latencies)
}
