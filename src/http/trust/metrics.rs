//! What a trust engine tells Prometheus.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGauge, Registry};

use crate::http::metrics::{counters, gauge, histograms, level, render};
use crate::trust::service::Observer;

/// Up to what a commit on a slow disk may take.
const SECONDS: &[f64] = &[0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];

/// Every metric of one engine.
pub struct TrustMetrics {
    registry: Registry,
    signals: IntCounterVec,
    calls: IntCounterVec,
    rows: IntCounterVec,
    commit_seconds: HistogramVec,
    ledger_rows: IntGauge,
    turned_away: IntCounterVec,
}

impl TrustMetrics {
    /// Metrics at zero.
    ///
    /// # Errors
    /// Where two of them have one name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("atl_trust".into()), None)?;
        let register = &registry;
        let about = "Signals by result: taken, repeated, or the token of the refusal";
        Ok(Self {
            signals: counters(register, "signals_total", about, &["result"])?,
            calls: counters(register, "calls_total", "Other calls by result", &["call", "result"])?,
            rows: counters(register, "rows_total", "Rows written to the ledger, and commands behind them", &["what"])?,
            commit_seconds: histograms(register, "commit_seconds", "Duration of a synced commit", "store", SECONDS)?,
            ledger_rows: gauge(register, "ledger_rows", "Rows of the ledger")?,
            turned_away: counters(register, "turned_away_total", "Requests over a limit, by bucket", &["bucket"])?,
            registry,
        })
    }

    /// A request was over a limit: `source`, `reporter` or `failures`.
    pub fn turned_away(&self, bucket: &'static str) {
        self.turned_away.with_label_values(&[bucket]).inc();
    }

    /// All of them in the text format.
    ///
    /// # Errors
    /// Where a value cannot be written.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        render(&self.registry)
    }
}

impl Observer for TrustMetrics {
    fn signal(&self, result: &'static str) {
        self.signals.with_label_values(&[result]).inc();
    }

    fn committed(&self, rows: usize, commands: usize, took: Duration) {
        self.rows.with_label_values(&["rows"]).inc_by(rows as u64);
        self.rows.with_label_values(&["commands"]).inc_by(commands as u64);
        self.commit_seconds.with_label_values(&["ledger"]).observe(took.as_secs_f64());
    }

    fn kept(&self, rows: u64) {
        self.ledger_rows.set(level(rows));
    }

    fn answered(&self, call: &'static str, result: &'static str) {
        self.calls.with_label_values(&[call, result]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_observed_is_told() {
        let metrics = TrustMetrics::new().unwrap();
        metrics.signal("taken");
        metrics.committed(3, 2, Duration::from_millis(3));
        metrics.kept(12);
        metrics.answered("assess", "ok");
        metrics.turned_away("reporter");
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        for line in [
            r#"atl_trust_signals_total{result="taken"} 1"#,
            r#"atl_trust_rows_total{what="rows"} 3"#,
            r#"atl_trust_rows_total{what="commands"} 2"#,
            r#"atl_trust_commit_seconds_bucket{store="ledger",le="0.005"} 1"#,
            r#"atl_trust_calls_total{call="assess",result="ok"} 1"#,
            r#"atl_trust_turned_away_total{bucket="reporter"} 1"#,
            "atl_trust_ledger_rows 12",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
