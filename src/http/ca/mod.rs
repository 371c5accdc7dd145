//! The CA's HTTP API (protocol section 6): enrolment and renewal for agents, certificates for everybody,
//! and what operators need.
//!
//! `gate` says who may ask what, and how often; it needs no CA for that. What passes it goes to the
//! CA's service, and `answers` puts into JSON what that says.

mod agents;
mod answers;
mod authority;
mod forms;
mod gate;
pub mod metrics;
mod operators;
mod ops;
mod read;
pub mod status;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{MethodRouter, delete, get, post};

use self::gate::Gate;
pub use self::gate::Operator;
use self::metrics::CaMetrics;
use super::limits::Rate;
use super::ops::{Probe, healthz};
use super::problem::Failure;
use crate::api::Token;
use crate::api::ca::CaDescriptor;
use crate::ca::service::CaService;

type Api = State<Arc<CaApi>>;

/// What the CA's calls work with.
pub struct CaParts {
    /// The CA.
    pub service: Arc<CaService>,
    /// What it says of itself.
    pub descriptor: CaDescriptor,
    /// Who may operate it.
    pub operators: Vec<Operator>,
    /// Requests per source address.
    pub per_source: Rate,
    /// Requests per enrolment token, and what each agent asks with its certificate.
    pub per_token: Rate,
    /// Where measurements go.
    pub metrics: Arc<CaMetrics>,
}

/// A CA behind its HTTP API.
pub struct CaApi {
    service: Arc<CaService>,
    gate: Gate,
    descriptor: Bytes,
    probe: Probe,
    metrics: Arc<CaMetrics>,
}

/// Where metrics are, on this listener or on one of their own.
const METRICS: &str = "/metrics";

/// Every path beside that of the metrics, and what answers there.
fn routes() -> [(&'static str, MethodRouter<Arc<CaApi>>); 19] {
    [
        ("/ca/v1/enroll", post(agents::enroll)),
        ("/ca/v1/renew", post(agents::renew)),
        ("/ca/v1/delegate", post(authority::delegate)),
        ("/ca/v1/revoke", post(authority::revoke)),
        ("/ca/v1/standing", get(authority::standing)),
        ("/ca/v1/lineage", get(authority::lineage)),
        ("/ca/v1/requests/{id}", get(agents::request)),
        ("/ca/v1/certificates/{sha256}", get(read::certificate)),
        ("/ca/v1/ca", get(read::ca)),
        ("/ca/v1/tokens", post(operators::mint_token)),
        ("/ca/v1/tokens/{id}", delete(operators::withdraw_token)),
        ("/ca/v1/requests", get(operators::requests)),
        ("/ca/v1/requests/{id}/approve", post(operators::approve)),
        ("/ca/v1/requests/{id}/deny", post(operators::deny)),
        ("/ca/v1/certificates", get(operators::certificates)),
        ("/ca/v1/audit", get(operators::audit)),
        ("/healthz", get(healthz)),
        ("/readyz", get(ops::readyz)),
        ("/openapi.json", get(ops::openapi)),
    ]
}

/// Every path that a CA answers at, those of its trust bundle and of revocation among them. What the OpenAPI document must describe.
pub fn paths() -> impl Iterator<Item = &'static str> {
    routes().into_iter().map(|(path, _)| path).chain([METRICS]).chain(super::wellknown::PATHS).chain(status::paths())
}

/// The calls, in want of a CA. `with_metrics` has `/metrics` beside them.
fn calls(with_metrics: bool) -> Router<Arc<CaApi>> {
    let router = routes().into_iter().fold(Router::new(), |router, (path, answer)| router.route(path, answer));
    let router = if with_metrics { router.route(METRICS, get(ops::metrics)) } else { router };
    router
        .fallback(|| async { Failure::new(Token::NotFound, "no call of this CA has this path") })
        .method_not_allowed_fallback(|| async {
            Failure::new(Token::MethodNotAllowed, "this path answers to another method")
        })
        .layer(DefaultBodyLimit::disable()) // the gate bounds every body that is read
}

impl CaApi {
    /// The API of these parts.
    pub fn new(parts: CaParts) -> Self {
        let CaParts { service, descriptor, operators, per_source, per_token, metrics } = parts;
        Self {
            service,
            gate: Gate::new(operators, per_source, per_token, Arc::clone(&metrics)),
            descriptor: serde_json::to_vec(&descriptor).unwrap_or_default().into(),
            probe: Probe::default(),
            metrics,
        }
    }

    /// The routes of this CA. `with_metrics` serves `/metrics` beside them.
    pub fn router(self: Arc<Self>, with_metrics: bool) -> Router {
        calls(with_metrics).with_state(self)
    }

    /// The `/metrics` route alone, for a listener of its own.
    pub fn metrics_router(self: Arc<Self>) -> Router {
        Router::new().route(METRICS, get(ops::metrics)).with_state(self)
    }

    /// Forgets rate limits that are at rest. To be called now and then.
    pub fn forget_idle(&self) {
        self.gate.forget_idle();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn no_path_is_in_the_way_of_another() {
        // Two that answer to the same request would end the program here.
        assert!(super::calls(true).has_routes() && super::calls(false).has_routes());
        let paths: BTreeSet<_> = super::paths().collect();
        assert_eq!(paths.len(), super::paths().count());
    }
}
