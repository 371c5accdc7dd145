//! For those who run the CA: readiness, metrics, and the description of the API.

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::Response;

use super::Api;
use crate::http::cache;
use crate::http::ops::{self, Check};

/// `GET /readyz`: the CA could issue a certificate now. 503 with the reasons where it could not.
pub async fn readyz(State(api): Api) -> Response {
    let look = async {
        let found = api.service.checks().await.into_iter();
        found.map(|check| Check { name: check.name, ok: check.ok, detail: check.detail }).collect()
    };
    ops::readiness(&api.probe.checks(look).await)
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
