//! What a run comes to, for people and for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::check::Checked;
use super::load::{Exchange, Outcome};
use crate::cli::output::print_rows;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The log's origin.
    pub origin: String,
    /// Connections at once.
    pub connections: usize,
    /// Certificates in a request.
    pub batch: usize,
    /// Octets of a certificate, and of a whole request.
    pub certificate_octets: usize,
    /// Octets of a request, head and body.
    pub request_octets: usize,
    /// Certificates a second that were asked for, or `None` at saturation.
    pub rate: Option<u32>,
    /// From the start to the last answer.
    pub elapsed_seconds: f64,
    /// Certificates that were sent.
    pub sent: usize,
    /// SATs that hold, and all of them were verified.
    pub sats: usize,
    /// SATs per second of `elapsed_seconds`.
    pub sats_per_second: f64,
    /// From the moment a request was due (on a schedule) or sent (at saturation) to its answer.
    pub latency_ms: Latency,
    /// From the moment a request was really sent, where there is a schedule.
    pub latency_from_send_ms: Option<Latency>,
    /// Certificates of the schedule that were never sent.
    pub unsent: usize,
    /// Certificates refused or lost, by reason.
    pub refused: BTreeMap<String, usize>,
    /// SATs and answers that do not hold, by what is wrong.
    pub bad: BTreeMap<String, usize>,
    /// Certificates that were prepared while the window was open, so that the numbers suffered.
    pub prepared_late: usize,
    /// Times that a connection waited for a request to be prepared.
    pub starved: usize,
    /// Processor time of this program inside the window, preparing included.
    pub generator_cpu_seconds: f64,
    /// What the server used, where its process is known.
    pub server: Option<Server>,
}

/// What the server used inside the window.
#[derive(Debug, Serialize)]
pub struct Server {
    /// Processor time, user and kernel.
    pub cpu_seconds: f64,
    /// The same for each SAT.
    pub cpu_us_per_sat: f64,
    /// The most memory it has had in use, ever.
    pub peak_memory_octets: u64,
}

/// A distribution, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Half were not slower.
    pub p50: f64,
    /// 90 of 100 were not slower.
    pub p90: f64,
    /// 99 of 100 were not slower.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

impl Latency {
    /// Of these, by nearest rank; zeros where there are none.
    pub fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = durations.into_iter().collect();
        sorted.sort_unstable();
        let rank = |percent: usize| {
            let place = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(place).map_or(0.0, |d| d.as_secs_f64() * 1000.0)
        };
        Self { p50: rank(50), p90: rank(90), p99: rank(99), max: rank(100) }
    }
}

impl Report {
    /// Fills in what the window and the check behind it found.
    pub fn measured(mut self, outcome: &Outcome, checked: Checked) -> Self {
        let exchanges = &outcome.exchanges;
        // Only answers count: a refusal is quick, and a lost connection has no latency.
        let answered = || exchanges.iter().filter(|e| e.outcome.as_ref().is_ok_and(|a| a.status == 200));
        let since = |from: fn(&Exchange) -> Duration| Latency::of(answered().map(|e| e.done.saturating_sub(from(e))));
        self.sent = exchanges.iter().map(|e| e.hashes.len()).sum();
        self.elapsed_seconds = outcome.elapsed.as_secs_f64();
        self.sats = checked.good;
        self.sats_per_second = if self.sats == 0 { 0.0 } else { self.sats as f64 / self.elapsed_seconds };
        self.latency_ms = since(|e| e.due);
        self.latency_from_send_ms = self.rate.map(|_| since(|e| e.sent));
        self.unsent = outcome.unsent * self.batch;
        self.prepared_late = outcome.prepared_late * self.batch;
        self.starved = outcome.starved;
        (self.refused, self.bad) = (checked.refused, checked.bad);
        if let Some(server) = &mut self.server {
            server.cpu_us_per_sat = server.cpu_seconds * 1e6 / self.sats.max(1) as f64;
        }
        self
    }

    /// Prints it for people.
    pub fn print(&self) {
        let latency =
            |l: &Latency| format!("p50 {:.2}  p90 {:.2}  p99 {:.2}  max {:.2} ms", l.p50, l.p90, l.p99, l.max);
        let how = match self.rate {
            Some(rate) => format!("{rate} a second, latency from the scheduled moment"),
            None => "as fast as answered".to_owned(),
        };
        let mut rows = vec![
            ("log", self.origin.clone()),
            ("load", format!("{how}, {} connections, {} a request", self.connections, self.batch)),
            ("sizes", format!("certificate {} octets, request {}", self.certificate_octets, self.request_octets)),
            ("sent", format!("{} certificates in {:.2} s", self.sent, self.elapsed_seconds)),
            ("SATs", format!("{}, every one verified behind the window", self.sats)),
            ("throughput", format!("{:.0} SATs a second", self.sats_per_second)),
            ("latency", latency(&self.latency_ms)),
        ];
        if let Some(from_send) = &self.latency_from_send_ms {
            rows.push(("  from sending", latency(from_send)));
        }
        rows.push(("generator", format!("{:.2} s of processor time in the window", self.generator_cpu_seconds)));
        if let Some(server) = &self.server {
            let (cpu, each) = (server.cpu_seconds, server.cpu_us_per_sat);
            rows.push(("server", format!("{cpu:.2} s of processor time, {each:.0} us a SAT")));
            rows.push(("  peak memory", format!("{:.1} MiB", server.peak_memory_octets as f64 / f64::from(1 << 20))));
        }
        rows.extend(self.refused.iter().map(|(why, n)| ("no SAT", format!("{n}: {why}"))));
        rows.extend(self.bad.iter().map(|(what, n)| ("WRONG", format!("{n} {what}"))));
        print_rows(rows);
        self.print_caveats();
    }

    fn print_caveats(&self) {
        if self.unsent > 0 {
            println!("\nThe log did not keep up: {} certificates of the schedule were never sent.", self.unsent);
        }
        if self.prepared_late > 0 {
            println!(
                "\n{} certificates had to be made while the window was open, on processors that the log may have \
                 needed, and connections waited for them {} times. Raise --prepare or shorten --seconds.",
                self.prepared_late, self.starved
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let of = |n: u64| Latency::of((1..=n).rev().map(Duration::from_millis));
        assert_eq!(of(100), Latency { p50: 50.0, p90: 90.0, p99: 99.0, max: 100.0 });
        assert_eq!(of(3), Latency { p50: 2.0, p90: 3.0, p99: 3.0, max: 3.0 });
        assert_eq!(of(1), Latency { p50: 1.0, p90: 1.0, p99: 1.0, max: 1.0 });
        assert_eq!(of(0), Latency::default());
    }
}
