//! How many names a second one core holds against 100,000 watched domains, and how much memory that takes.
//!
//! Watched are names made of syllables, of real words, and of either with a subdomain, under twelve suffixes; the names
//! that come in are of the same make, and every twentieth is a look-alike of a watched one. The engine alone is
//! measured: reading a name, splitting it, judging it. `ATL_BENCH_SECONDS` says for how long (5).
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

mod common;

use std::time::Duration;

use atl::time::Stopwatch;
use atl_monitor::rules::lookalike::{Name, Score, Verdict, Watchlist};
use common::{peak_kib, processor_ms};

const WATCHED: usize = 100_000;
const SUFFIXES: [&str; 12] =
    ["com", "com", "com", "com", "net", "org", "de", "co.uk", "io", "ai", "com.br", "github.io"];

/// Numbers that look random and are the same in each run (a linear congruential generator's upper bits).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % bound as u64) as usize
    }

    /// A name of the first half of one label and the second half of another, so that it is made as names are.
    fn spliced(&mut self, labels: &[&str]) -> String {
        let (one, other) = (labels[self.below(labels.len())], labels[self.below(labels.len())]);
        let label = [&one[..one.len().div_ceil(2)], &other[other.len() / 2..]].concat();
        let subdomain = if self.below(10) == 0 { "agents." } else { "" };
        format!("{subdomain}{label}.{}", SUFFIXES[self.below(SUFFIXES.len())])
    }

    /// A name near to this one: a letter exchanged, a word behind it, or another suffix.
    fn near(&mut self, name: &str) -> String {
        let (label, suffix) = name.strip_prefix("agents.").unwrap_or(name).split_once('.').unwrap();
        match self.below(3) {
            0 => {
                let at = self.below(label.len());
                format!("{}x{}.{suffix}", &label[..at], &label[at + 1..])
            }
            1 => format!("{label}-login.{suffix}"),
            _ => format!("{label}.xyz"),
        }
    }
}

fn main() {
    let seconds = std::env::var("ATL_BENCH_SECONDS").map_or(5, |text| text.parse().unwrap());
    let mut numbers = Numbers(7);
    let data = include_str!("../tests/data/lookalike/negatives.csv");
    let real = data.lines().skip(1).map(|line| line.split(',').next().unwrap().trim_end_matches('.'));
    let mut names: Vec<String> = real.map(str::to_owned).collect();
    let labels: Vec<&str> = names.iter().map(|name| name.split('.').next().unwrap()).collect();
    let mut watched: Vec<String> = Vec::new();
    while watched.len() < WATCHED {
        watched.extend((watched.len()..WATCHED).map(|_| numbers.spliced(&labels)).collect::<Vec<_>>());
        watched.retain(|name| Name::parse(name).is_ok());
        watched.sort_unstable();
        watched.dedup();
    }
    for n in (0..names.len()).step_by(20) {
        let of = &watched[numbers.below(WATCHED)];
        names[n] = numbers.near(of);
    }
    let before = peak_kib();
    let start = Stopwatch::start();
    let list = Watchlist::new(watched.iter().map(|name| Name::parse(name).unwrap()), []).unwrap();
    let built = start.elapsed();
    drop(watched);
    let before_ms = processor_ms();
    let (mut count, mut alerts, start) = (0_u64, 0_u64, Stopwatch::start());
    for name in names.iter().cycle() {
        // Some are no names: a hyphen at an edge.
        if let Ok(name) = Name::parse(name) {
            alerts += u64::from(matches!(list.judge(&name, Score::ALERT), Verdict::Lookalike(_)));
        }
        count += 1;
        if count.is_multiple_of(1024) && start.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
    }
    let rate = count as f64 / (processor_ms() - before_ms) as f64 * 1000.0;
    println!("{} watched domains, index built in {:.2} s", list.len(), built.as_secs_f64());
    println!("{rate:.0} names/s on one core, {:.1} us each; {alerts} of {count} alert", 1e6 / rate);
    println!("peak memory {} MiB, of which the inputs {} MiB", peak_kib() / 1024, before / 1024);
}
