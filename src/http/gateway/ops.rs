//! What a gateway says of itself to whoever runs it.

use axum::extract::State;
use axum::response::Response;

use super::Api;
use crate::http::ops::{self, Check, readiness};

/// `GET /readyz`: what is to be decided by is there and recent, and the ledger counts.
pub async fn readyz(State(api): Api) -> Response {
    let look = async {
        let mut checks = api.knowledge.checks();
        let failure = api.ledger.failure();
        let detail = failure.clone().unwrap_or_else(|| "counts".into());
        checks.push(Check { name: "ledger", ok: failure.is_none(), detail });
        checks
    };
    readiness(&api.probe.checks(look).await)
}

/// `GET /metrics`
pub async fn metrics(State(api): Api) -> Response {
    ops::metrics(api.metrics.render())
}
