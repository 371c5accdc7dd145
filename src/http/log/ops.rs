//! For operators: readiness, metrics, and the description of the API.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, LazyLock};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;

use super::{LogService, cache};
use crate::api::Token;
use crate::http::metrics::level;
use crate::http::ops::{self, Check};
use crate::http::problem::Failure;

type Service = State<Arc<LogService>>;

/// A head older than this many intervals means that signing is stuck.
const STALE_INTERVALS: u64 = 3;

/// `GET /readyz`: the log could take a submission now. 503 with the reasons where it could not.
pub async fn readyz(State(service): Service) -> Response {
    ops::readiness(&service.checks().await)
}

/// `GET /metrics`
pub async fn metrics(State(service): Service) -> Response {
    let metrics = &service.parts.metrics;
    metrics.queue_depth.set(level(service.parts.sequencer.queued() as u64));
    metrics.head_age.set(service.head_age_ms() as f64 / 1000.0);
    let cosignatures = service.cosignatures.read().count(&service.parts.sequencer.head().checkpoint);
    metrics.cosignatures.set(level(cosignatures as u64));
    ops::metrics(metrics.render())
}

/// `GET /openapi.json`
pub async fn openapi() -> Response {
    // Written once: it is large, and everybody may ask for it.
    static DOCUMENT: LazyLock<Bytes> =
        LazyLock::new(|| serde_json::to_vec(&crate::http::openapi::log::document()).unwrap_or_default().into());
    cache::octets(cache::HOUR, HeaderValue::from_static("application/json"), DOCUMENT.clone())
}

impl LogService {
    fn head_age_ms(&self) -> u64 {
        self.parts.clock.now().since(self.parts.sequencer.head().sth.head.timestamp)
    }

    async fn checks(self: &Arc<Self>) -> Vec<Check> {
        let writer = match self.parts.sequencer.failure() {
            None => Check { name: "writer", ok: true, detail: "running".into() },
            Some(why) => Check { name: "writer", ok: false, detail: why.to_string() },
        };
        vec![writer, self.check_key(), self.check_store().await, self.check_head_age(), self.check_disk()]
    }

    /// Signs and verifies something that is none of the messages a log signs.
    fn check_key(&self) -> Check {
        let message = b"readiness probe";
        let outcome = self.parts.signer.sign(message).map_err(|e| e.to_string()).and_then(|signature| {
            self.parts.signer.public_key().verify(message, &signature).map_err(|e| e.to_string())
        });
        check("key", outcome, "signs")
    }

    /// Derives the root of the last head again. This takes no reader's place: many readers are no
    /// reason to be taken out of service.
    async fn check_store(self: &Arc<Self>) -> Check {
        let permit = Arc::clone(&self.probes).acquire_owned().await;
        let outcome = self.at_store("readyz", move |view, head| {
            let _one_at_a_time = permit;
            let root = view.root(head.sth.head.size)?;
            let differs = || Failure::new(Token::Internal, "the tiles do not hash to the signed root");
            if root == head.sth.head.root { Ok(()) } else { Err(differs().into()) }
        });
        check("store", outcome.await.map_err(|failure| failure.0.detail), "reads back to the signed root")
    }

    fn check_head_age(&self) -> Check {
        let age = self.head_age_ms();
        let limit = self.sth_interval_ms().saturating_mul(STALE_INTERVALS).saturating_add(5000);
        Check { name: "head age", ok: age <= limit, detail: format!("{:.1} s", age as f64 / 1000.0) }
    }

    fn check_disk(&self) -> Check {
        let low = self.gate.disk_low.load(Relaxed);
        let closing = self.gate.closing.load(Relaxed);
        let detail = match (low, closing) {
            (_, true) => "shutting down",
            (true, false) => "below the low watermark: read-only",
            (false, false) => "above the low watermark",
        };
        Check { name: "disk", ok: !low && !closing, detail: detail.into() }
    }
}

fn check(name: &'static str, outcome: Result<(), String>, good: &str) -> Check {
    match outcome {
        Ok(()) => Check { name, ok: true, detail: good.into() },
        Err(detail) => Check { name, ok: false, detail },
    }
}
