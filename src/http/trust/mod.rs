//! The trust engine's HTTP API (protocol section 6, draft 6.3): signals from reporters, scores for the CA,
//! decisions of operators.
//!
//! `gate` says who may ask what, and how often. What passes it goes to the engine's service, which holds
//! everybody to their role once more, and `answers` puts into JSON what that says.

mod answers;
mod gate;
pub mod metrics;
mod operators;
mod ops;
mod reporters;
mod scores;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{MethodRouter, get, post};

use self::gate::Gate;
pub use self::gate::{Holder, Identify, TokenHolder};
use self::metrics::TrustMetrics;
use super::limits::Rate;
use super::ops::{Probe, healthz};
use super::problem::Failure;
use crate::api::Token;
use crate::trust::service::TrustService;

type Api = State<Arc<TrustApi>>;

/// What the engine's calls work with.
pub struct TrustParts {
    /// The engine.
    pub service: Arc<TrustService>,
    /// Whose certificate a client shows.
    pub identify: Arc<Identify>,
    /// Who reads and who decides.
    pub holders: Vec<TokenHolder>,
    /// Requests per source address.
    pub per_source: Rate,
    /// Signals per reporter.
    pub per_reporter: Rate,
    /// Where measurements go.
    pub metrics: Arc<TrustMetrics>,
}

/// A trust engine behind its HTTP API.
pub struct TrustApi {
    service: Arc<TrustService>,
    gate: Gate,
    probe: Probe,
    metrics: Arc<TrustMetrics>,
}

/// Where metrics are, on this listener or on one of their own.
const METRICS: &str = "/metrics";

/// Every path beside that of the metrics, and what answers there.
fn routes() -> [(&'static str, MethodRouter<Arc<TrustApi>>); 19] {
    [
        ("/trust/v1/signals", post(reporters::signals)),
        ("/trust/v1/assess", post(scores::assess)),
        ("/trust/v1/changes", get(scores::changes)),
        ("/trust/v1/agents", get(scores::account)),
        ("/trust/v1/accounts", get(scores::accounts)),
        ("/trust/v1/explain", get(scores::explain)),
        ("/trust/v1/incidents", get(operators::incidents)),
        ("/trust/v1/incidents/{id}/confirm", post(operators::confirm)),
        ("/trust/v1/incidents/{id}/dismiss", post(operators::dismiss)),
        ("/trust/v1/reviews", get(operators::reviews)),
        ("/trust/v1/reviews/{id}/approve", post(operators::approve)),
        ("/trust/v1/reviews/{id}/deny", post(operators::deny)),
        ("/trust/v1/reporters", get(operators::reporters)),
        ("/trust/v1/reporters/{name}/clear", post(operators::clear)),
        ("/trust/v1/rebase", post(operators::rebase)),
        ("/trust/v1/ledger", get(operators::ledger)),
        ("/healthz", get(healthz)),
        ("/readyz", get(ops::readyz)),
        ("/openapi.json", get(ops::openapi)),
    ]
}

/// Every path that a trust engine answers at. What the OpenAPI document must describe.
pub fn paths() -> impl Iterator<Item = &'static str> {
    routes().into_iter().map(|(path, _)| path).chain([METRICS])
}

/// The calls, in want of an engine. `with_metrics` has `/metrics` beside them.
fn calls(with_metrics: bool) -> Router<Arc<TrustApi>> {
    let router = routes().into_iter().fold(Router::new(), |router, (path, answer)| router.route(path, answer));
    let router = if with_metrics { router.route(METRICS, get(ops::metrics)) } else { router };
    router
        .fallback(|| async { Failure::new(Token::NotFound, "no call of this trust engine has this path") })
        .method_not_allowed_fallback(|| async {
            Failure::new(Token::MethodNotAllowed, "this path answers to another method")
        })
        .layer(DefaultBodyLimit::disable()) // the gate bounds every body that is read
}

impl TrustApi {
    /// The API of these parts.
    pub fn new(parts: TrustParts) -> Self {
        let TrustParts { service, identify, holders, per_source, per_reporter, metrics } = parts;
        let gate = Gate::new(identify, holders, per_source, per_reporter, Arc::clone(&metrics));
        Self { service, gate, probe: Probe::default(), metrics }
    }

    /// The routes of this engine. `with_metrics` serves `/metrics` beside them.
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
