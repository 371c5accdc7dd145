//! What every server says to those who run it.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::cache;
use super::problem::Failure;
use crate::api::Token;

/// One thing that must hold for a server to be ready.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// How long what was found holds.
const FRESH: Duration = Duration::from_secs(1);

/// The last look at a server's parts. It may be dear, and anybody may ask for it, so there is one at a
/// time, and those who come soon after share what it found.
#[derive(Debug, Default)]
pub struct Probe(Mutex<Option<(Instant, Vec<Check>)>>);

impl Probe {
    /// What the last look found, or else `look` now.
    pub async fn checks(&self, look: impl Future<Output = Vec<Check>>) -> Vec<Check> {
        let mut last = self.0.lock().await;
        match &*last {
            Some((at, checks)) if at.elapsed() < FRESH => checks.clone(),
            _ => {
                let checks = look.await;
                *last = Some((Instant::now(), checks.clone()));
                checks
            }
        }
    }
}

/// `GET /healthz`: the process answers.
pub async fn healthz() -> Response {
    cache::octets(cache::NEVER, HeaderValue::from_static("text/plain; charset=utf-8"), b"ok\n".to_vec())
}

/// 200 where all of it holds, else 503; the reasons in either case.
pub fn readiness(checks: &[Check]) -> Response {
    let ready = checks.iter().all(|check| check.ok);
    let mut response = cache::json(cache::NEVER, &serde_json::json!({ "ready": ready, "checks": checks }));
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// Metrics in the text format.
pub fn metrics(text: Result<Vec<u8>, prometheus::Error>) -> Response {
    match text {
        Ok(text) => {
            cache::octets(cache::NEVER, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"), text)
        }
        Err(error) => Failure::new(Token::Internal, error.to_string()).into_response(),
    }
}
