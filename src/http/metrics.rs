//! What the log tells Prometheus.

use std::time::Duration;

use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::log::sth::SignedTreeHead;
use crate::merkle::TreeSize;
use crate::sequencer::task::Observer;
use crate::time::UnixMillis;

const SECONDS: &[f64] = &[0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5];
const ENTRIES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0];

/// Every metric of one log. A process with several logs has one of these for each.
pub struct Metrics {
    registry: Registry,
    /// Submissions by result: `logged`, or the error token.
    pub submissions: IntCounterVec,
    /// Seconds from a submission's arrival to its answer.
    pub submission_seconds: Histogram,
    batch_entries: Histogram,
    batch_seconds: Histogram,
    /// Submissions that wait for a batch.
    pub queue_depth: IntGauge,
    tree_size: IntGauge,
    /// Leaves that the last signed head covers.
    pub head_size: IntGauge,
    /// Seconds since the last head was signed.
    pub head_age: Gauge,
    head_seconds: Histogram,
    /// Seconds to read an answer, by call.
    pub read_seconds: HistogramVec,
    /// Requests turned away, by bucket: `source`, `anchor`, `readers`, or `answers`.
    pub turned_away: IntCounterVec,
    /// Octets left on the disk.
    pub disk_available: IntGauge,
    /// 1 while the log takes nothing in.
    pub read_only: IntGauge,
    /// Cosignatures on the checkpoint that is served.
    pub cosignatures: IntGauge,
    witness_success: IntGaugeVec,
    witness_failures: IntCounterVec,
}

impl Metrics {
    /// Metrics at zero.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("atl".into()), None)?;
        let register = &registry;
        Ok(Self {
            submissions: counters(register, "submissions_total", "Submissions by result", &["result"])?,
            submission_seconds: histogram(
                register,
                "submission_seconds",
                "Arrival to answer of a submission",
                SECONDS,
            )?,
            batch_entries: histogram(register, "batch_entries", "New entries in a commit", ENTRIES)?,
            batch_seconds: histogram(register, "batch_seconds", "Duration of a synced commit", SECONDS)?,
            queue_depth: gauge(register, "queue_depth", "Submissions that wait for a batch")?,
            tree_size: gauge(register, "tree_size", "Entries in the durable tree")?,
            head_size: gauge(register, "head_tree_size", "Entries that the last signed head covers")?,
            head_age: float_gauge(register, "head_age_seconds", "Seconds since the last head was signed")?,
            head_seconds: histogram(register, "head_seconds", "Duration of proving and signing a head", SECONDS)?,
            read_seconds: histograms(
                register,
                "read_seconds",
                "Duration of reading an answer, by call",
                "call",
                SECONDS,
            )?,
            turned_away: counters(register, "turned_away_total", "Requests over a limit, by bucket", &["bucket"])?,
            disk_available: gauge(register, "disk_available_bytes", "Octets left on the disk")?,
            read_only: gauge(register, "read_only", "1 while the log takes nothing in")?,
            cosignatures: gauge(
                register,
                "checkpoint_cosignatures",
                "Witnesses whose cosignatures are on the checkpoint",
            )?,
            witness_success: gauges(
                register,
                "witness_last_success_timestamp_seconds",
                "When a witness last cosigned, in seconds since 1970; 0 for not since the start",
                &["witness"],
            )?,
            witness_failures: counters(
                register,
                "witness_failures_total",
                "Requests to a witness that brought no cosignature",
                &["witness"],
            )?,
            registry,
        })
    }

    /// Shows the head that a log starts with, before it signs the next.
    pub fn starts_at(&self, head: &SignedTreeHead) {
        let size = level(head.head.size.get());
        self.head_size.set(size);
        self.tree_size.set(size);
    }

    /// Shows a witness that nothing was had of yet.
    pub fn knows_witness(&self, name: &str) {
        self.witness_success.with_label_values(&[name]).set(0);
        self.witness_failures.with_label_values(&[name]).reset();
    }

    /// A witness has cosigned.
    pub fn witness_cosigned(&self, name: &str, now: UnixMillis) {
        self.witness_success.with_label_values(&[name]).set(level(now.get() / 1000));
    }

    /// A witness gave no cosignature.
    pub fn witness_failed(&self, name: &str) {
        self.witness_failures.with_label_values(&[name]).inc();
    }

    /// All of them in the text format.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        render(&self.registry)
    }
}

impl Observer for Metrics {
    fn committed(&self, fresh: usize, took: Duration, size: TreeSize) {
        self.batch_entries.observe(fresh as f64);
        self.batch_seconds.observe(took.as_secs_f64());
        self.tree_size.set(level(size.get()));
    }

    fn signed(&self, head: &SignedTreeHead, took: Duration) {
        self.head_seconds.observe(took.as_secs_f64());
        let size = level(head.head.size.get());
        self.head_size.set(size);
        self.tree_size.set(size.max(self.tree_size.get()));
    }
}

/// Everything that is registered, in the text format.
pub(super) fn render(registry: &Registry) -> Result<Vec<u8>, prometheus::Error> {
    let mut out = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut out)?;
    Ok(out)
}

/// A number as a gauge holds it.
pub fn level(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that goes up and down.
pub fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let metric = IntGauge::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// Numbers that go up and down, one for each value of the labels.
fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn float_gauge(registry: &Registry, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
    let metric = Gauge::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// Counters, one for each value of the labels.
pub(super) fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
    let metric = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// Histograms, one for each value of the label.
pub(super) fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    label: &str,
    buckets: &[f64],
) -> Result<HistogramVec, prometheus::Error> {
    let metric = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), &[label])?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
