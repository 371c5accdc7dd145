//! What a gateway tells Prometheus.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, IntGauge, Registry};

use super::decide::Decision;
use crate::http::metrics::{counters, gauge, histograms, level, render};

/// From a decision by what is known to one that somebody had to be asked for.
const SECONDS: &[f64] = &[0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// Every metric of one gateway.
pub struct GatewayMetrics {
    registry: Registry,
    decisions: IntCounterVec,
    reasons: IntCounterVec,
    seconds: HistogramVec,
    lookups: IntCounterVec,
    reloads: IntCounterVec,
    fetches: IntCounterVec,
    lists: IntGauge,
}

impl GatewayMetrics {
    /// Metrics at zero.
    ///
    /// # Errors
    /// Where two of them have one name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("atl_gateway".into()), None)?;
        let register = &registry;
        let about = "Decisions: allowed, or what kind of a refusal";
        Ok(Self {
            decisions: counters(register, "decisions_total", about, &["decision"])?,
            reasons: counters(register, "reasons_total", "Reasons of refusals, by code", &["code"])?,
            seconds: histograms(register, "decision_seconds", "Duration of a decision", "decision", SECONDS)?,
            lookups: counters(
                register,
                "lookups_total",
                "Looks into a cache, by what came of it",
                &["cache", "result"],
            )?,
            reloads: counters(register, "reloads_total", "Files read anew, by what came of it", &["result"])?,
            fetches: counters(register, "fetches_total", "What was asked of others", &["what", "result"])?,
            lists: gauge(register, "revocation_lists", "Revocation lists at hand")?,
            registry,
        })
    }

    pub(super) fn decided(&self, decision: &Decision, took: Duration) {
        let kind = match decision {
            Decision::Allowed(_) => "allowed",
            Decision::Refused(no) => no.kind().name(),
        };
        self.decisions.with_label_values(&[kind]).inc();
        self.seconds.with_label_values(&[kind]).observe(took.as_secs_f64());
        if let Decision::Refused(no) = decision {
            no.reasons().iter().for_each(|(code, _)| self.reasons.with_label_values(&[code]).inc());
        }
    }

    pub(super) fn looked_up(&self, cache: &str, found: bool) {
        self.lookups.with_label_values(&[cache, if found { "hit" } else { "miss" }]).inc();
    }

    /// Files were read anew, or could not be: `new`, `same` or `failed`.
    pub fn reloaded(&self, result: &'static str) {
        self.reloads.with_label_values(&[result]).inc();
    }

    /// Somebody was asked for something: an OCSP answer, a list, a certificate.
    pub fn fetched(&self, what: &'static str, well: bool) {
        self.fetches.with_label_values(&[what, if well { "ok" } else { "failed" }]).inc();
    }

    /// So many lists are at hand.
    pub fn has_lists(&self, lists: usize) {
        self.lists.set(level(lists as u64));
    }

    /// All of them in the text format.
    ///
    /// # Errors
    /// Where a value cannot be written.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        render(&self.registry)
    }
}

#[cfg(test)]
mod tests {
    use super::super::decide::{Kind, No};
    use super::*;

    #[test]
    fn what_is_observed_is_told() {
        let metrics = GatewayMetrics::new().unwrap();
        let no = No::new(Kind::Forbidden, "capability.scope", "not that");
        metrics.decided(&Decision::Refused(Box::new(no)), Duration::from_millis(3));
        metrics.looked_up("examinations", true);
        metrics.reloaded("same");
        metrics.fetched("ocsp", false);
        metrics.has_lists(2);
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        for line in [
            "atl_gateway_decisions_total{decision=\"forbidden\"} 1",
            "atl_gateway_reasons_total{code=\"capability.scope\"} 1",
            "atl_gateway_decision_seconds_count{decision=\"forbidden\"} 1",
            "atl_gateway_lookups_total{cache=\"examinations\",result=\"hit\"} 1",
            "atl_gateway_reloads_total{result=\"same\"} 1",
            "atl_gateway_fetches_total{result=\"failed\",what=\"ocsp\"} 1",
            "atl_gateway_revocation_lists 2",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
