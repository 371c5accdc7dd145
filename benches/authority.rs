//! How fast authority is taken back, and how fast the world can ask whether it was.
//!
//! `ocsp`: answers per second over plain HTTP. `revoke`: from the call to the answer and to OCSP, with 10,000
//! agents below. `crl`: a list of 100,000 entries signed, kept, read, and what OCSP does meanwhile. Without a name
//! all of them. Each figure stands beside what it cannot be better than, measured in the same run. Rows are
//! medians of `ATL_BENCH_RUNS` (3) runs of `ATL_BENCH_SECONDS` (2); `TMPDIR` says on which disk. Set up for two
//! cores, which the load generator shares; processor time tells what a busy machine does not.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

mod common;
#[path = "authority/load.rs"]
mod load;
#[path = "authority/ocsp.rs"]
mod ocsp;
#[path = "authority/revoke.rs"]
mod revoke;
#[path = "authority/rounds.rs"]
mod rounds;
#[path = "authority/world.rs"]
mod world;

use std::time::Duration;

use atl::cli::pki::KeyKind;
use atl::time::Stopwatch;

const PARTS: [&str; 3] = ["ocsp", "revoke", "crl"];

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    for name in &named {
        assert!(PARTS.contains(&name.as_str()), "there is no part {name}: {PARTS:?}");
    }
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for part in PARTS.into_iter().filter(|part| wanted(part)) {
        for kind in [KeyKind::P256, KeyKind::Ed25519] {
            println!("\n{part}, {kind:?}; load average {}", load_average());
            match part {
                "ocsp" => runtime.block_on(ocsp::measure(kind)),
                "revoke" => runtime.block_on(revoke::measure(kind)),
                _ => runtime.block_on(rounds::measure(kind)),
            }
        }
    }
    println!("\nload average {}", load_average());
}

/// How long one run takes.
fn seconds() -> Duration {
    Duration::from_secs(number("ATL_BENCH_SECONDS", 2) as u64)
}

/// How many runs make a row.
fn runs() -> usize {
    number("ATL_BENCH_RUNS", 3).max(1)
}

fn number(name: &str, unless_set: usize) -> usize {
    std::env::var(name).map_or(unless_set, |text| text.parse().unwrap())
}

/// What else the machine was doing (Linux).
fn load_average() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim_end().to_owned()
}

/// What one operation takes by itself: the median of ten rounds of so many.
fn each(times: u32, mut operation: impl FnMut()) -> Duration {
    let mut round = || {
        let begin = Stopwatch::start();
        (0..times).for_each(|_| operation());
        begin.elapsed() / times
    };
    let mut rounds: Vec<Duration> = (0..10).map(|_| round()).collect();
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}
