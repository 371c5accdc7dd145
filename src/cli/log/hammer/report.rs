//! What a run comes to, for people and for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::check::Checked;
use super::load::{Exchange, Outcome};
use super::process::Usage;
use crate::cli::output::print_rows;
use crate::merkle::TreeSize;

/// What was asked of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "load", rename_all = "kebab-case")]
pub enum Load {
    /// To record certificates and answer with SATs.
    Submissions {
        /// Certificates in a request.
        batch: usize,
        /// Octets of a certificate.
        certificate_octets: usize,
    },
    /// To prove that leaves are in a tree.
    Proofs {
        /// Leaves of the tree.
        tree_size: TreeSize,
        /// Leaves that were asked for, again and again.
        leaves: usize,
    },
}

impl Load {
    /// What one request asks for.
    pub const fn in_a_request(self) -> usize {
        match self {
            Self::Submissions { batch, .. } => batch,
            Self::Proofs { .. } => 1,
        }
    }

    /// What the log gives: one, and many.
    pub const fn given(self) -> [&'static str; 2] {
        match self {
            Self::Submissions { .. } => ["SAT", "SATs"],
            Self::Proofs { .. } => ["proof", "proofs"],
        }
    }

    /// What the log is given for it.
    const fn asked(self) -> &'static str {
        match self {
            Self::Submissions { .. } => "certificates",
            Self::Proofs { .. } => "leaf hashes",
        }
    }
}

/// What is known before the window opens.
#[derive(Debug, Serialize)]
pub struct Setting {
    /// The log's origin.
    pub origin: String,
    /// What is asked.
    #[serde(flatten)]
    pub load: Load,
    /// Connections at once.
    pub connections: usize,
    /// Octets of a request, head and body.
    pub request_octets: usize,
    /// Certificates or proofs a second that are asked for, or `None` at saturation.
    pub rate: Option<u32>,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What was asked, and how.
    #[serde(flatten)]
    pub setting: Setting,
    /// From the start to the last answer.
    pub elapsed_seconds: f64,
    /// Certificates that were sent, or proofs that were asked for.
    pub sent: usize,
    /// SATs or proofs that hold, and all of them were verified.
    pub verified: usize,
    /// The same for each second of `elapsed_seconds`.
    pub verified_per_second: f64,
    /// From the moment a request was due (on a schedule) or sent (at saturation) to its answer.
    pub latency_ms: Latency,
    /// From the moment a request was really sent, where there is a schedule.
    pub latency_from_send_ms: Option<Latency>,
    /// What of the schedule was never sent.
    pub unsent: usize,
    /// What was refused or lost, by reason.
    pub refused: BTreeMap<String, usize>,
    /// SATs, proofs and answers that do not hold, by what is wrong.
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
    /// The same for each SAT or proof.
    pub cpu_us_each: f64,
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
    /// Of what the window and the check behind it found.
    pub fn new<T, N>(setting: Setting, outcome: &Outcome<T>, checked: Checked<N>, used: &Usage) -> Self {
        let exchanges = &outcome.exchanges;
        // Only answers count: a refusal is quick, and a lost connection has no latency.
        let answered = || exchanges.iter().filter(|e| e.outcome.as_ref().is_ok_and(|a| a.status == 200));
        let since =
            |from: fn(&Exchange<T>) -> Duration| Latency::of(answered().map(|e| e.done.saturating_sub(from(e))));
        let (each, elapsed_seconds) = (setting.load.in_a_request(), outcome.elapsed.as_secs_f64());
        let verified = checked.good;
        Self {
            elapsed_seconds,
            sent: exchanges.len() * each,
            verified,
            verified_per_second: if verified == 0 { 0.0 } else { verified as f64 / elapsed_seconds },
            latency_ms: since(|e| e.due),
            latency_from_send_ms: setting.rate.map(|_| since(|e| e.sent)),
            unsent: outcome.unsent * each,
            refused: checked.refused,
            bad: checked.bad,
            prepared_late: outcome.prepared_late * each,
            starved: outcome.starved,
            generator_cpu_seconds: used.generator.as_secs_f64(),
            server: used.server.map(|(cpu, peak_memory_octets)| Server {
                cpu_seconds: cpu.as_secs_f64(),
                cpu_us_each: cpu.as_secs_f64() * 1e6 / verified.max(1) as f64,
                peak_memory_octets,
            }),
            setting,
        }
    }

    /// Prints it for people.
    pub fn print(&self) {
        let latency =
            |l: &Latency| format!("p50 {:.2}  p90 {:.2}  p99 {:.2}  max {:.2} ms", l.p50, l.p90, l.p99, l.max);
        let Setting { load, connections, request_octets, .. } = self.setting;
        let [one, many] = load.given();
        let how = match self.setting.rate {
            Some(rate) => format!("{rate} a second, latency from the scheduled moment"),
            None => "as fast as answered".to_owned(),
        };
        let sizes = match load {
            Load::Submissions { certificate_octets, .. } => {
                format!("certificate {certificate_octets} octets, request {request_octets}")
            }
            Load::Proofs { tree_size, leaves } => {
                format!("tree of {tree_size}, {leaves} leaves asked for, request {request_octets} octets")
            }
        };
        let mut rows = vec![
            ("log", self.setting.origin.clone()),
            ("load", format!("{how}, {connections} connections, {} a request", load.in_a_request())),
            ("sizes", sizes),
            ("sent", format!("{} {} in {:.2} s", self.sent, load.asked(), self.elapsed_seconds)),
            (many, format!("{}, every one verified behind the window", self.verified)),
            ("throughput", format!("{:.0} {many} a second", self.verified_per_second)),
            ("latency", latency(&self.latency_ms)),
        ];
        if let Some(from_send) = &self.latency_from_send_ms {
            rows.push(("  from sending", latency(from_send)));
        }
        rows.push(("generator", format!("{:.2} s of processor time in the window", self.generator_cpu_seconds)));
        if let Some(server) = &self.server {
            let (cpu, each) = (server.cpu_seconds, server.cpu_us_each);
            rows.push(("server", format!("{cpu:.2} s of processor time, {each:.0} us a {one}")));
            rows.push(("  peak memory", format!("{:.1} MiB", server.peak_memory_octets as f64 / f64::from(1 << 20))));
        }
        rows.extend(self.refused.iter().map(|(why, n)| ("refused", format!("{n}: {why}"))));
        rows.extend(self.bad.iter().map(|(what, n)| ("WRONG", format!("{n} {what}"))));
        print_rows(rows);
        self.print_caveats();
    }

    fn print_caveats(&self) {
        if self.unsent > 0 {
            let (unsent, asked) = (self.unsent, self.setting.load.asked());
            println!("\nThe log did not keep up: {unsent} {asked} of the schedule were never sent.");
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
