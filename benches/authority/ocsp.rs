//! OCSP answers per second over plain HTTP, with connections that stay open.

use std::hint::black_box;
use std::time::Duration;

use atl::apki::status::ocsp::{CertStatus, OcspResponse};
use atl::ca::application::Octets;
use atl::ca::ports::{CertificateRecord, Entity};
use atl::ca::record::CertificateState;
use atl::ca::serial::Serial;
use atl::ca::service::RequestId;
use atl::cli::pki::KeyKind;
use atl::time::{Clock, SystemClock};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::common::ca::{TRUST_DOMAIN, new_key, signer};
use crate::common::{at, ms, us};
use crate::load::{Load, Outcome, get, post};
use crate::world::{World, serial};
use crate::{each, number, runs, seconds};

/// Certificates that are asked about again and again.
const ASKED: usize = 1_000;
/// Certificates that are asked about once: more than a run can ask about.
const FRESH: usize = 60_000;

pub async fn measure(kind: KeyKind) {
    let world = World::start(kind, (0..ASKED + FRESH).map(certificate).collect()).await;
    let connections = number("ATL_BENCH_CONCURRENCY", 32);
    let asked: Vec<Serial> = (0..ASKED).map(serial).collect();
    check(&world, &asked[0]).await;
    println!("  {connections} connections, {ASKED} certificates, the load generator on the same cores");
    println!("\n                                per s   p50 ms   p99 ms   CPU us each   of it the load's");
    let time = seconds();
    let path =
        |serial: &Serial| get(&format!("/ocsp/{}", STANDARD.encode(world.question(serial, None)).replace('+', "%2B")));
    let nonces = (0..100 * ASKED).map(|n| post("/ocsp", &world.question(&asked[n % ASKED], Some(n as u64))));
    let fixed = Load::new([post("/fixed", &world.question(&asked[0], None))]);
    let rows = [
        ("GET a fixed answer", Load::new([get("/fixed")])),
        ("POST, a fixed answer", fixed),
        ("OCSP by GET, cached", Load::new(asked.iter().map(path))),
        ("OCSP by POST, cached", world.posts(&asked)),
        ("OCSP by POST, with a nonce", Load::new(nonces)),
    ];
    for (name, load) in &rows {
        // Connections, caches, and the answers themselves.
        load.run(world.address, connections, Duration::from_millis(300), Duration::ZERO).await;
        let mut outcomes = Vec::new();
        for _ in 0..runs() {
            outcomes.push(load.run(world.address, connections, time, Duration::ZERO).await);
        }
        show(name, outcomes);
    }
    // Each of these is asked about once only, so there is one run.
    let fresh: Vec<Serial> = (ASKED..ASKED + FRESH).map(serial).collect();
    let time = time.min(Duration::from_secs(3));
    show(
        "OCSP by POST, the first time",
        vec![world.posts(&fresh).run(world.address, connections, time, Duration::ZERO).await],
    );
    floor(&world, &asked[0]).await;
    world.stop().await;
}

/// The answer is good, of this CA, and as long as what stands beside it.
async fn check(world: &World, serial: &Serial) {
    let answer = world.service.ocsp(&world.question(serial, None)).await;
    let response = OcspResponse::parse(&answer.der).unwrap();
    let said = response.verify(&world.cert_id(serial), &world.issuer, SystemClock.now(), None).unwrap();
    assert_eq!(said.status, CertStatus::Good);
    assert!((600..1000).contains(&answer.der.len()), "{} octets", answer.der.len());
}

fn show(name: &str, mut outcomes: Vec<Outcome>) {
    let rate = |outcome: &Outcome| outcome.latencies.len() as f64 / outcome.took.as_secs_f64();
    outcomes.sort_by(|a, b| rate(a).total_cmp(&rate(b)));
    let outcome = &outcomes[outcomes.len() / 2];
    let answers = outcome.latencies.len() as u32;
    println!(
        "  {name:<28} {:>6.0} {:>8.2} {:>8.2} {:>13.1} {:>18.1}",
        rate(outcome),
        ms(at(&outcome.latencies, 0.50)),
        ms(at(&outcome.latencies, 0.99)),
        us((outcome.server + outcome.client) / answers),
        us(outcome.client / answers),
    );
}

/// What the same takes without HTTP, and a signature by itself.
async fn floor(world: &World, serial: &Serial) {
    let question = world.question(serial, None);
    let handle = tokio::runtime::Handle::current();
    let service = std::sync::Arc::clone(&world.service);
    let cached = move || each(2_000, || drop(black_box(handle.block_on(service.ocsp(black_box(&question))))));
    let cached = tokio::task::spawn_blocking(cached).await.unwrap();
    let key = signer(&new_key(world.kind).serialize_pem());
    let sign = each(200, || drop(black_box(key.sign(black_box(&[0x30; 150])))));
    println!("\n  without HTTP a cached answer takes {:.2} us; a signature {:.1} us", us(cached), us(sign));
}

/// A certificate that is in order.
fn certificate(n: usize) -> Entity {
    let now = SystemClock.now();
    let agent = format!("agent://{TRUST_DOMAIN}/retail/teller/{n}");
    Entity::Certificate(CertificateRecord {
        serial: serial(n),
        request: RequestId::new([1; 16]),
        enrolment: RequestId::new([1; 16]),
        agent: atl::apki::AgentUri::parse(&agent).unwrap(),
        score: atl::apki::trust_score::Score::new(60).unwrap(),
        precertificate: Octets(serial(n).as_bytes().repeat(45)),
        signed_at: now,
        not_after: now.saturating_add(3_600_000),
        parent: None,
        published_at: None,
        delegation: None,
        renewal: None,
        refused: 0,
        state: CertificateState::Precertified,
    })
}
