//! Operations per second that a relying party's ledger counts, in memory and in RocksDB.
//!
//! Each is whole: reserved in an account's spending and calls, and committed; the database syncs both to the disk
//! before it answers. Clients are threads that wait for each answer. `ATL_BENCH_SECONDS` says for how long each row
//! runs (3), and `TMPDIR` on which disk.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

mod common;

use std::num::NonZeroU32;
use std::time::Duration;

use atl::apki::AgentUri;
use atl::apki::capabilities::{Amount, Capability, Currency, RateLimit, SpendLimit};
use atl::apki::extension::{AsciiText, Text};
use atl::storage::ledger::rocks::RocksLedger;
use atl::time::{Clock, Stopwatch, SystemClock};
use atl::verify::ledger::{Bounds, Charge, Demand, MemoryLedger, SpendLedger};

use crate::common::ca::processor;
use crate::common::{at, us};

/// Accounts that are charged in turn.
const ACCOUNTS: [usize; 2] = [1, 10_000];
/// Clients at a time.
const CLIENTS: [usize; 3] = [1, 8, 64];

fn main() {
    let seconds = std::env::var("ATL_BENCH_SECONDS").map_or(3, |text| text.parse().unwrap());
    let time = Duration::from_secs(seconds);
    println!("\n  ledger   accounts   clients   operations      per s   p50 us   p99 us   CPU us each");
    for accounts in ACCOUNTS {
        measure("memory", &MemoryLedger::default(), accounts, time);
    }
    let dir = tempfile::tempdir().unwrap();
    for accounts in ACCOUNTS {
        let path = dir.path().join(accounts.to_string());
        let ledger = RocksLedger::open(&path, Bounds::default()).unwrap();
        measure("rocksdb", &ledger, accounts, time);
        drop(ledger);
        let start = Stopwatch::start();
        drop(RocksLedger::open(&path, Bounds::default()).unwrap());
        println!("  opened again in {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    }
    println!("\n  databases in {}", dir.path().display());
}

/// All rows for one ledger and so many accounts.
fn measure(name: &str, ledger: &dyn SpendLedger, accounts: usize, time: Duration) {
    let demands: Vec<Demand> = (0..accounts).map(demand).collect();
    std::thread::scope(|scope| {
        // Accounts that are there, as they mostly are.
        for part in demands.chunks(demands.len().div_ceil(64)) {
            scope.spawn(move || part.iter().for_each(|demand| operate(ledger, demand)));
        }
    });
    for clients in CLIENTS {
        let before = processor();
        let (took, mut latencies) = run(ledger, &demands, clients, time);
        let used = processor() - before;
        latencies.sort_unstable();
        let operations = latencies.len();
        println!(
            "  {name:<8} {accounts:>8} {clients:>9} {operations:>12} {:>10.0} {:>8.1} {:>8.1} {:>13.1}",
            operations as f64 / took.as_secs_f64(),
            us(at(&latencies, 0.5)),
            us(at(&latencies, 0.99)),
            used.as_secs_f64() * 1e6 / operations as f64
        );
    }
}

/// Lets the clients operate, each on accounts of its own as far as there are enough: how long that took, and how
/// long each operation.
fn run(ledger: &dyn SpendLedger, demands: &[Demand], clients: usize, time: Duration) -> (Duration, Vec<Duration>) {
    let start = Stopwatch::start();
    let latencies = std::thread::scope(|scope| {
        let client = |client: usize| {
            move || {
                let mut latencies = Vec::new();
                for demand in demands.iter().cycle().skip(client * demands.len() / clients) {
                    if start.elapsed() >= time {
                        break;
                    }
                    let begin = Stopwatch::start();
                    operate(ledger, demand);
                    latencies.push(begin.elapsed());
                }
                latencies
            }
        };
        let threads: Vec<_> = (0..clients).map(|number| scope.spawn(client(number))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    (start.elapsed(), latencies)
}

fn operate(ledger: &dyn SpendLedger, demand: &Demand) {
    let id = ledger.reserve(demand, SystemClock.now()).unwrap();
    ledger.commit(id, SystemClock.now()).unwrap();
}

/// 5 EUR and a call, under limits that are never reached in a minute.
fn demand(account: usize) -> Demand {
    let agent = AgentUri::parse(&format!("agent://agents.example.com/bench/agent/{account}")).unwrap();
    let (currency, minute) = (Currency::new("EUR").unwrap(), NonZeroU32::new(60).unwrap());
    let capability = Capability {
        tool_uri: AsciiText::new("mcp://pay.example.com/charge").unwrap(),
        scope: Text::new("payments").unwrap(),
        spend_limit: Some(SpendLimit {
            max_per_transaction: Some(Amount::new(1000).unwrap()),
            max_per_period: Some(Amount::new(1 << 40).unwrap()),
            period_seconds: Some(minute),
            currency,
        }),
        rate_limit: Some(RateLimit { max_requests: u32::MAX, period_seconds: minute }),
    };
    Demand::new(vec![Charge::new(agent, &capability, Some((Amount::new(500).unwrap(), currency))).unwrap()]).unwrap()
}
