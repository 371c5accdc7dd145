//! JSON and octets with the cache header that fits them (protocol section 5).

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::sequencer::head::PublishedHead;
use crate::time::UnixMillis;

/// For what never changes.
pub const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// For what may be pruned one day.
pub const HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");
/// For what may be another the next moment.
pub const NEVER: HeaderValue = HeaderValue::from_static("no-store");

/// For what holds until the next head is due.
pub fn until_next_head(head: &PublishedHead, interval_ms: u64, now: UnixMillis) -> HeaderValue {
    let seconds = head.sth.head.timestamp.saturating_add(interval_ms).since(now) / 1000;
    HeaderValue::try_from(format!("public, max-age={seconds}")).unwrap_or(NEVER)
}

/// A JSON answer.
pub fn json(cache: HeaderValue, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => octets(cache, HeaderValue::from_static("application/json"), body),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// An answer of any type.
pub fn octets(cache: HeaderValue, content_type: HeaderValue, body: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, cache)], body).into_response()
}
