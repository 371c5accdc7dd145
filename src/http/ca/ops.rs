//! For those who run the CA: readiness, metrics, and the description of the API.

use std::sync::LazyLock;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Api;
use crate::ca::service::CaService;
use crate::http::cache;
use crate::http::ops::{self, Check};

/// How long what was found holds.
const FRESH: Duration = Duration::from_secs(1);

/// The last look at the CA's parts. It reaches out to logs, and anybody may ask for it, so there is one
/// at a time, and those who come soon after share what it found.
#[derive(Debug, Default)]
pub struct Probe(Mutex<Option<(Instant, Vec<Check>)>>);

impl Probe {
    async fn checks(&self, service: &CaService) -> Vec<Check> {
        let mut last = self.0.lock().await;
        match &*last {
            Some((at, checks)) if at.elapsed() < FRESH => checks.clone(),
            _ => {
                let found = service.checks().await.into_iter();
                let checks: Vec<_> =
                    found.map(|check| Check { name: check.name, ok: check.ok, detail: check.detail }).collect();
                *last = Some((Instant::now(), checks.clone()));
                checks
            }
        }
    }
}

/// `GET /readyz`: the CA could issue a certificate now. 503 with the reasons where it could not.
pub async fn readyz(State(api): Api) -> Response {
    ops::readiness(&api.probe.checks(&api.service).await)
}

/// `GET /metrics`
pub async fn metrics(State(api): Api) -> Response {
    ops::metrics(api.metrics.render())
}

/// `GET /openapi.json`
pub async fn openapi() -> Response {
    // Written once: it is large, and everybody may ask for it.
    static DOCUMENT: LazyLock<Bytes> =
        LazyLock::new(|| serde_json::to_vec(&crate::http::openapi::ca::document()).unwrap_or_default().into());
    cache::octets(cache::HOUR, HeaderValue::from_static("application/json"), DOCUMENT.clone())
}
