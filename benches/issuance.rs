//! Issuances per second with two logs in the same process, and where the time goes.
//!
//! Each is whole: a token spent, a CSR verified, a precertificate linted, signed and recorded, submitted
//! over HTTP to two logs that sync it to their disks, both SATs verified, the certificate linted, signed
//! and recorded. `ATL_BENCH_SECONDS` says for how long each row runs (3), `ATL_BENCH_CONCURRENCY` how many
//! agents ask at a time (`1,16,64`), and `TMPDIR` on which disk. Set up for two cores.
//! Tree heads are signed every 60 s, as logs do that are not told otherwise.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

mod common;
#[path = "issuance/floor.rs"]
mod floor;
#[path = "issuance/load.rs"]
mod load;
#[path = "issuance/world.rs"]
mod world;

use std::time::Duration;

use atl::cli::pki::KeyKind;
use common::{at, ms};
use load::Outcome;
use world::World;

/// More than can be issued in a second.
const PER_SECOND: usize = 1200;
/// Rates to bring enrolments at, faster or slower than they are answered.
const PACES: [u32; 2] = [100, 300];
/// In the order in which they come.
const PHASES: [&str; 7] = ["decide", "sign", "record", "logs", "one log", "finish", "total"];

fn main() {
    let seconds = std::env::var("ATL_BENCH_SECONDS").map_or(3, |text| text.parse().unwrap());
    let levels = std::env::var("ATL_BENCH_CONCURRENCY").unwrap_or("1,16,64".into());
    let levels: Vec<usize> = levels.split(',').map(|text| text.parse().unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for kind in [KeyKind::P256, KeyKind::Ed25519] {
        runtime.block_on(measure(kind, &levels, Duration::from_secs(seconds)));
    }
}

async fn measure(kind: KeyKind, levels: &[usize], time: Duration) {
    let world = World::start(kind).await;
    println!("\n{kind:?} CA and agents, two logs, databases in {}", world.dir.path().display());
    let mut agents = 0;
    let mut numbered = |count| {
        agents += count;
        agents - count
    };
    // Caches, connections and the kept chain.
    let warm_up = load::prepare(&world, numbered(200), 200).await;
    load::run(&world, warm_up, 8, time).await;

    println!("\n  at a time   issued    per s   p50 ms   p99 ms   max ms   CPU ms each");
    let mut last = None;
    for concurrency in levels {
        let count = PER_SECOND * time.as_secs() as usize / if *concurrency < 8 { 4 } else { 1 };
        let enrolments = load::prepare(&world, numbered(count), count).await;
        let outcome = load::run(&world, enrolments, *concurrency, time).await;
        let issued = outcome.latencies.len();
        println!(
            "  {concurrency:>9} {issued:>8} {:>8.0} {:>8.2} {:>8.2} {:>8.2} {:>13.2}",
            issued as f64 / outcome.took.as_secs_f64(),
            ms(at(&outcome.latencies, 0.50)),
            ms(at(&outcome.latencies, 0.99)),
            ms(at(&outcome.latencies, 1.0)),
            outcome.threads.values().copied().map(ms).sum::<f64>() / issued as f64,
        );
        show_phases(&world, issued);
        last = Some(outcome);
    }
    if let Some(outcome) = last {
        show_processor(&world, &outcome);
    }
    for per_second in PACES {
        let count = per_second as usize * time.as_secs() as usize;
        let enrolments = load::prepare(&world, numbered(count), count).await;
        let latencies = load::paced(&world, enrolments, per_second).await;
        let [p50, p99, max] = [0.50, 0.99, 1.0].map(|quantile| ms(at(&latencies, quantile)));
        println!("\n  {per_second} a second, come what may: p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms");
    }
    let enrolments = load::prepare(&world, numbered(100), 100).await;
    let latencies = load::over_tls(&world, enrolments, Duration::from_millis(20)).await;
    println!(
        "\n  over HTTPS, each with a connection and full handshake of its own, one at a time:\n  \
         p50 {:.2} ms, p99 {:.2} ms of {}",
        ms(at(&latencies, 0.50)),
        ms(at(&latencies, 0.99)),
        latencies.len()
    );
    world.stop().await;
}

/// How long the phases of an issuance took; what is recorded is recorded twice, and there are two logs.
fn show_phases(world: &World, issued: usize) {
    let mut phases = world.phases.take();
    for phase in PHASES {
        let Some(took) = phases.get_mut(phase) else { continue };
        took.sort_unstable();
        println!(
            "            {phase:<8} {:>5.2} ms, p99 {:>6.2}, {} x",
            ms(at(took, 0.50)),
            ms(at(took, 0.99)),
            (took.len() as f64 / issued as f64).round()
        );
    }
}

/// Processor time per issuance: which threads have it, and how much of it no issuance can do without.
fn show_processor(world: &World, outcome: &Outcome) {
    let issued = outcome.latencies.len() as u32;
    println!("\n  processor time of one issuance, in the last row, ms");
    for (thread, used) in outcome.threads.iter().filter(|(_, used)| !used.is_zero()) {
        println!("    {:>6.3}  {thread}", ms(*used / issued));
    }
    let used = outcome.threads.values().sum::<Duration>() / issued;
    println!("  of which the cryptography alone, one operation after another:");
    let mut least = Duration::ZERO;
    for (name, times, each) in floor::cryptography(world) {
        least += each * times;
        println!("    {:>6.3}  {times} x {name}", ms(each * times));
    }
    let share = 100.0 * least.as_secs_f64() / used.as_secs_f64();
    println!("    {:>6.3}  in all: {share:.0} % of {:.3}", ms(least), ms(used));
}
