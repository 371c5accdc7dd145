//! Revocation lists of 100,000 entries: signed, kept, read; and what OCSP does while they are.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use atl::apki::AgentUri;
use atl::apki::status::RevocationReason;
use atl::apki::status::crl::{Crl, CrlTemplate, RevokedCertificate, signed};
use atl::ca::ports::{Entity, KeptList, RevocationRecord};
use atl::ca::serial::Serial;
use atl::ca::service::{RevokedBy, Target};
use atl::cli::pki::KeyKind;
use atl::storage::ca::crl_file::CrlFile;
use atl::time::{Clock, Stopwatch, SystemClock};
use sha2::{Digest, Sha256};

use crate::common::ca::{TRUST_DOMAIN, new_key, signer};
use crate::common::{at, ms, us};
use crate::world::{World, serial};
use crate::{each, number, seconds};

const DAY_MS: u64 = 86_400_000;
/// Revocations one after the other, each with a round of its own.
const ROUNDS: usize = 12;
/// Connections that ask about certificates, and how long each waits between two questions.
const ASKING: usize = 16;
const PAUSE: Duration = Duration::from_millis(8);

pub async fn measure(kind: KeyKind) {
    let entries = number("ATL_BENCH_ENTRIES", 100_000);
    let begin = Stopwatch::start();
    let world = World::start(kind, (0..entries).map(|n| revocation(n, entries)).collect()).await;
    println!(
        "  {entries} revocations put into the store, and the CA started, in {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    list(&world).await;
    let mut agents = Vec::new();
    for n in 0..2 * ROUNDS + 200 {
        agents.push(world.enrol(n, 3_600).await.serial);
    }
    let (revoked, asked) = agents.split_at(2 * ROUNDS);
    let mut rounds = revoke(&world, &revoked[..ROUNDS]).await;
    rounds.sort_unstable();
    println!("\n  a revocation, from the call until all lists have it: ms");
    println!("  {:>8.0}  p50 of {ROUNDS}, {:.0} at most", ms(at(&rounds, 0.5)), ms(at(&rounds, 1.0)));

    let load = world.posts(asked);
    load.run(world.address, ASKING, Duration::from_millis(500), PAUSE).await;
    println!(
        "\n  OCSP, {ASKING} connections that each ask every {} ms     answers   p50 ms   p99 ms   max ms",
        PAUSE.as_millis()
    );
    let quiet = load.run(world.address, ASKING, seconds(), PAUSE).await;
    show("while nothing is signed", &quiet.latencies);
    let (asking, address) = (load.clone(), world.address);
    let asking = tokio::spawn(async move { asking.run(address, ASKING, seconds(), PAUSE).await });
    let signing = revoke(&world, &revoked[ROUNDS..]).await;
    let busy = asking.await.unwrap();
    show("while one list follows the other", &busy.latencies);
    println!("  {ROUNDS} rounds in {:.1} s of them", signing.iter().sum::<Duration>().as_secs_f64());
    world.stop().await;
}

fn show(name: &str, latencies: &[Duration]) {
    let [p50, p99, max] = [0.50, 0.99, 1.0].map(|quantile| ms(at(latencies, quantile)));
    println!("    {name:<46} {:>8} {p50:>8.2} {p99:>8.2} {max:>8.2}", latencies.len());
}

/// The steps of a round by themselves, each beside what it cannot do without.
async fn list(world: &World) {
    let der = world.service.crl();
    let begin = Stopwatch::start();
    let crl = Crl::parse(der.to_vec()).unwrap();
    let parse = begin.elapsed();
    let key = signer(&new_key(world.kind).serialize_pem());
    let issuer = &world.issuer;
    let template = CrlTemplate {
        issuer_der: issuer.subject_der(),
        algorithm: key.public_key().algorithm(),
        this_update: crl.this_update(),
        next_update: crl.next_update(),
        number: crl.number().unwrap(),
        authority_key_identifier: issuer.subject_key_identifier().unwrap_or_default(),
        scope: None,
    };
    let entry = |e: atl::apki::status::crl::Entry<'_>| (e.serial.to_vec(), e.at, e.reason);
    let entries: Vec<_> = crl.entries().map(entry).collect();
    let write = each(1, || {
        let entries = entries.iter().map(|(serial, at, reason)| RevokedCertificate {
            serial,
            at: *at,
            reason: *reason,
            certificate_issuer: None,
        });
        drop(black_box(template.tbs(entries).unwrap()));
    });
    let tbs = &der[..der.len() - 80];
    let sign = each(1, || drop(black_box(signed(tbs, key.public_key().algorithm(), &key.sign(tbs).unwrap()))));
    let verify = each(1, || crl.verify(&world.issuing_key).unwrap());
    let find = each(1_000, || _ = black_box(crl.find(black_box(serial(77).as_bytes()))));
    let file = CrlFile::beside(&world.dir.path().join("measured"));
    let keep = each(1, || file.keep(&der).unwrap());
    let raw = world.dir.path().join("raw");
    let sync = each(1, || {
        let mut file = File::create(&raw).unwrap();
        file.write_all(&der).unwrap();
        file.sync_all().unwrap();
    });
    let hash = each(1, || _ = black_box(Sha256::digest(&der)));
    let one = each(100, || drop(black_box(key.sign(black_box(&[0x30; 150])))));
    println!("\n  the complete list: {} entries, {:.2} MB", crl.entries().len(), der.len() as f64 / 1e6);
    println!("  {:>8.1} ms  write its entries", ms(write));
    println!("  {:>8.1} ms  sign it", ms(sign));
    println!("  {:>8.1} ms  keep it: SHA-256, written, synced", ms(keep));
    println!("  {:>8.1} ms  parse it, every entry", ms(parse));
    println!("  {:>8.1} ms  verify it", ms(verify));
    println!("  {:>8.2} us  find a certificate in it", us(find));
    println!(
        "  beside it: SHA-256 {:.1} ms, a signature {:.3} ms, a file written and synced {:.1} ms",
        ms(hash),
        ms(one),
        ms(sync)
    );
}

/// Revokes one agent after the other, each answered when a list has it.
async fn revoke(world: &World, serials: &[Serial]) -> Vec<Duration> {
    let mut took = Vec::new();
    for serial in serials {
        let (reason, by) = (RevocationReason::Superseded, RevokedBy::Operator("bench"));
        let begin = Stopwatch::start();
        let view = Arc::clone(&world.service).revoke(Target::Serial(*serial), reason, String::new(), by).await.unwrap();
        took.push(begin.elapsed());
        assert!(view.listed);
    }
    took
}

/// Of certificates signed all through the last day, each for a day: the n-th of so many.
fn revocation(n: usize, of: usize) -> Entity {
    let now = SystemClock.now();
    let signed_at = now.saturating_sub(n as u64 * (DAY_MS - 600_000) / of as u64);
    let agent = format!("agent://{TRUST_DOMAIN}/retail/former/{n}");
    Entity::Revocation(RevocationRecord {
        serial: serial(n),
        agent: Some(AgentUri::parse(&agent).unwrap()),
        at: now,
        reason: RevocationReason::PrivilegeWithdrawn,
        signed_at,
        not_after: signed_at.saturating_add(DAY_MS),
    })
}
