//! Enrolments that are prepared, then brought to the CA so many at a time; and over TLS, one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use atl::api::B64;
use atl::api::ca::{CaDescriptor, EnrolRequest, EvidenceForm, Hex32, PrincipalForm};
use atl::ca::profile::HostName;
use atl::ca::service::{Form, TokenSecret};
use atl::client::{CaClient, builder};
use atl::http::ca::metrics::CaMetrics;
use atl::http::ca::{CaApi, CaParts};
use atl::http::serve::serve;
use atl::http::tls::{acceptor, client_verifier, provider};
use atl::time::Stopwatch;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::common::ca::{LOOPBACK, TRUST_DOMAIN, UNLIMITED, form, new_key, scope, signer, threads};
use crate::world::World;

/// What one agent asks with.
pub type Enrolment = (TokenSecret, Form);

/// What a run came to.
pub struct Outcome {
    /// From the first request to the last answer.
    pub took: Duration,
    /// Of each issuance, in order of length.
    pub latencies: Vec<Duration>,
    /// Processor time by thread.
    pub threads: BTreeMap<String, Duration>,
}

/// So many agents with keys and tokens of their own, all numbered from `first`.
pub async fn prepare(world: &World, first: usize, count: usize) -> Vec<Enrolment> {
    let (scope, mut minting) = (scope(), JoinSet::new());
    let mut enrolments = Vec::with_capacity(count);
    let mut made = (first..first + count).map(|n| form(world.kind, n));
    loop {
        // As many at once as the CA lets wait.
        for form in made.by_ref().take(512) {
            let (service, scope) = (Arc::clone(&world.service), scope.clone());
            minting.spawn(async move { (service.mint_token("bench", scope, 3_600_000).await.unwrap().0, form) });
        }
        if minting.is_empty() {
            return enrolments;
        }
        while let Some(enrolment) = minting.join_next().await {
            enrolments.push(enrolment.unwrap());
        }
    }
}

/// Brings enrolments to the CA, `concurrency` at a time, until there are none or the time is over.
pub async fn run(world: &World, enrolments: Vec<Enrolment>, concurrency: usize, time: Duration) -> Outcome {
    let (enrolments, next) = (Arc::new(enrolments), Arc::new(AtomicUsize::new(0)));
    world.phases.take();
    let (before, start) = (threads(), Stopwatch::start());
    let mut agents = JoinSet::new();
    for _ in 0..concurrency {
        let (service, enrolments, next) = (Arc::clone(&world.service), Arc::clone(&enrolments), Arc::clone(&next));
        agents.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < time
                && let Some((secret, form)) = enrolments.get(next.fetch_add(1, Relaxed)).cloned()
            {
                let begin = Stopwatch::start();
                let answered = service.enrol(secret, form, LOOPBACK).await.unwrap();
                latencies.push(begin.elapsed());
                assert_eq!((answered.status, answered.certificate.unwrap().sats.len()), ("valid", 2));
            }
            latencies
        });
    }
    let mut latencies = agents.join_all().await.concat();
    let (took, after) = (start.elapsed(), threads());
    latencies.sort_unstable();
    let since = |(name, used): (String, Duration)| {
        let used = used.saturating_sub(before.get(&name).copied().unwrap_or_default());
        (name, used)
    };
    Outcome { took, latencies, threads: after.into_iter().map(since).collect() }
}

/// Brings so many enrolments a second to the CA, whether earlier ones are answered or not; how long each
/// took from the moment that it was due, in order of length.
pub async fn paced(world: &World, enrolments: Vec<Enrolment>, per_second: u32) -> Vec<Duration> {
    let mut due = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut agents = JoinSet::new();
    for (secret, form) in enrolments {
        let due = due.tick().await;
        let service = Arc::clone(&world.service);
        agents.spawn(async move {
            assert_eq!(service.enrol(secret, form, LOOPBACK).await.unwrap().status, "valid");
            due.elapsed()
        });
    }
    let mut latencies = agents.join_all().await;
    latencies.sort_unstable();
    latencies
}

/// Agents that each connect to the CA over TLS and enrol, one by one with a pause in between; how long
/// each took, in order of length, from before the connection to the certificate.
pub async fn over_tls(world: &World, enrolments: Vec<Enrolment>, pause: Duration) -> Vec<Duration> {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let tls = acceptor(server_certificate(world).await, Some(client_verifier(Arc::new(|_, _| Ok(())), Vec::new())));
    let api = CaApi::new(CaParts {
        service: Arc::clone(&world.service),
        descriptor: descriptor(),
        operators: Vec::new(),
        per_source: UNLIMITED,
        per_token: UNLIMITED,
        metrics: Arc::new(CaMetrics::new().unwrap()),
    });
    let (stop, stopping) = watch::channel(false);
    let server = tokio::spawn(serve(listener, 64, Some(tls.unwrap()), Arc::new(api).router(false), stopping));
    let root = reqwest::Certificate::from_der(world.root.der()).unwrap();
    let mut latencies = Vec::with_capacity(enrolments.len());
    for (secret, form) in enrolments {
        tokio::time::sleep(pause).await;
        // A client of its own: no connection and no session is used again.
        let http = builder().no_proxy().tls_certs_only([root.clone()]).build().unwrap();
        let (client, token, request) = (CaClient::with_http(&base, http).unwrap(), secret.to_string(), request(form));
        let begin = Stopwatch::start();
        let standing = client.enroll(&token, &request).await.unwrap();
        latencies.push(begin.elapsed());
        assert_eq!(standing.answer.status, "valid");
    }
    stop.send_replace(true);
    server.await.unwrap();
    latencies.sort_unstable();
    latencies
}

async fn server_certificate(world: &World) -> Arc<SingleCertAndKey> {
    let key = new_key(atl::cli::pki::KeyKind::P256).serialize_pem();
    let public = signer(&key).public_key().clone();
    let chain = world.service.certify_service(&[HostName::Ip(LOOPBACK)], &public, 86_400_000).await.unwrap();
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    Arc::new(SingleCertAndKey::from(CertifiedKey::from_der(chain, key, &provider()).unwrap()))
}

fn descriptor() -> CaDescriptor {
    CaDescriptor {
        trust_domain: TRUST_DOMAIN.into(),
        organization: "Bank".into(),
        chain_pem: String::new(),
        logs: Vec::new(),
        min_validity_seconds: 300,
        default_validity_seconds: 3600,
        max_validity_seconds: 86_400,
        oid_arc: atl::apki::oid::ARC.into(),
    }
}

fn request(form: Form) -> EnrolRequest {
    let evidence = form.evidence.map(|evidence| EvidenceForm {
        model_family: evidence.model_family,
        model_version: evidence.model_version,
        framework: evidence.framework,
        organization: evidence.organization,
        build_hash: evidence.build_hash.map(Hex32),
        attestation: None,
        evidence_uri: None,
    });
    let principal = form.principal.map(|p| PrincipalForm { human: p.human, max_depth: p.max_depth, rules: p.rules });
    EnrolRequest { csr: B64(form.csr), evidence, capabilities: form.capabilities, validity_seconds: None, principal }
}
