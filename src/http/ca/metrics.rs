//! What a CA tells Prometheus.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGauge, Registry};

use crate::ca::service::Observer;
use crate::http::metrics::{counters, gauge, histograms, level, render};

/// Up to what a log that is slow, and asked again, may take.
const SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Every metric of one CA.
pub struct CaMetrics {
    registry: Registry,
    applications: IntCounterVec,
    issuance_seconds: HistogramVec,
    log_seconds: HistogramVec,
    log_answers: IntCounterVec,
    turned_away: IntCounterVec,
    ocsp_answers: IntCounterVec,
    journal_rows: IntGauge,
    open_requests: IntGauge,
}

impl CaMetrics {
    /// Metrics at zero.
    ///
    /// # Errors
    /// Where two of them have one name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("atl_ca".into()), None)?;
        let register = &registry;
        let kind_and_result = ["kind", "result"];
        let about = "Applications by kind and by result: that of the service, or the error token";
        Ok(Self {
            applications: counters(register, "applications_total", about, &kind_and_result)?,
            issuance_seconds: histograms(register, "issuance_seconds", "Phases of an issuance", "phase", SECONDS)?,
            log_seconds: histograms(register, "log_seconds", "Submission to answer of a log", "log", SECONDS)?,
            log_answers: counters(register, "log_answers_total", "What logs answered", &["log", "result"])?,
            turned_away: counters(register, "turned_away_total", "Requests over a limit, by bucket", &["bucket"])?,
            ocsp_answers: counters(register, "ocsp_answers_total", "Answers of OCSP, by whom they are for", &["for"])?,
            journal_rows: gauge(register, "journal_rows", "Rows of the journal")?,
            open_requests: gauge(register, "open_requests", "Requests that are pending, ready or processing")?,
            registry,
        })
    }

    /// A request was over a limit: `source`, `token`, `agent`, or `failures`.
    pub fn turned_away(&self, bucket: &'static str) {
        self.turned_away.with_label_values(&[bucket]).inc();
    }

    /// OCSP answered: in a way that others may be shown too, or just once.
    pub fn ocsp(&self, shared: bool) {
        self.ocsp_answers.with_label_values(&[if shared { "everybody" } else { "one" }]).inc();
    }

    /// All of them in the text format.
    ///
    /// # Errors
    /// Where a value cannot be written.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        render(&self.registry)
    }
}

impl Observer for CaMetrics {
    fn answered(&self, kind: &'static str, result: &'static str) {
        self.applications.with_label_values(&[kind, result]).inc();
    }

    fn phase(&self, phase: &'static str, took: Duration) {
        self.issuance_seconds.with_label_values(&[phase]).observe(took.as_secs_f64());
    }

    fn log(&self, url: &str, result: &'static str, took: Duration) {
        self.log_answers.with_label_values(&[url, result]).inc();
        self.log_seconds.with_label_values(&[url]).observe(took.as_secs_f64());
    }

    fn kept(&self, rows: u64, open_requests: u64) {
        self.journal_rows.set(level(rows));
        self.open_requests.set(level(open_requests));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_observed_is_told() {
        let metrics = CaMetrics::new().unwrap();
        metrics.answered("enrol", "valid");
        metrics.phase("sign", Duration::from_millis(3));
        metrics.log("https://log.example/", "sat", Duration::from_millis(30));
        metrics.turned_away("source");
        metrics.ocsp(true);
        metrics.kept(12, 3);
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        for line in [
            r#"atl_ca_applications_total{kind="enrol",result="valid"} 1"#,
            r#"atl_ca_issuance_seconds_count{phase="sign"} 1"#,
            r#"atl_ca_log_seconds_bucket{log="https://log.example/",le="0.025"} 0"#,
            r#"atl_ca_log_seconds_bucket{log="https://log.example/",le="0.05"} 1"#,
            r#"atl_ca_log_answers_total{log="https://log.example/",result="sat"} 1"#,
            r#"atl_ca_turned_away_total{bucket="source"} 1"#,
            r#"atl_ca_ocsp_answers_total{for="everybody"} 1"#,
            "atl_ca_journal_rows 12",
            "atl_ca_open_requests 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
