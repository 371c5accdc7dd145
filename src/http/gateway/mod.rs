//! The gateway's HTTP API: a reverse proxy asks whether an agent may make a call, with the client certificate that
//! the agent showed it, and hears yes or no, with who the agent is or with why not.
//!
//! | | nginx (`auth_request`) | Envoy (`ext_authz`, HTTP service) |
//! |---|---|---|
//! | asks | `/authorize` | `/authorize` and the client's own path behind it |
//! | the client's request | `X-Original-Method`, `X-Original-URI`, `Host` | this request itself |
//! | the certificate | `X-Client-Cert` | the last element of `X-Forwarded-Client-Cert` |
//!
//! Whoever may ask may say which certificate a client has. So nobody but the proxy may reach this: it listens on the
//! loopback or on a socket in the file system, and a secret may be wanted besides.
//!
//! The parts are a request's reading (`ask`, with `certificate`, `xfcc`, `target`, `routes`, `amount`), the decision
//! (`decide`, with `chain`, `cache`, `charge`) and its rendering ([`answer`]). What it stands on is behind [`ports`].

mod amount;
pub mod answer;
mod ask;
mod cache;
mod certificate;
mod chain;
mod charge;
mod decide;
mod fault;
pub mod metrics;
mod ops;
pub mod ports;
mod routes;
mod target;
#[cfg(test)]
mod tests;
mod xfcc;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use tokio::sync::Semaphore;

pub use self::amount::AmountFrom;
pub use self::ask::{AGENT_CHAIN, AUTHORIZE, Caller, Proxy};
pub use self::routes::{Ambiguous, Host, Price, Route, RoutePath, Routes};

use self::cache::{Examinations, Standings};
use self::decide::{Decision, No};
use self::fault::Fault;
use self::metrics::GatewayMetrics;
use self::ports::{Knowledge, Ledger};
use super::ops::{Probe, healthz};
use super::problem::Failure;
use crate::api::Token;
use crate::time::{Clock, Stopwatch};

type Api = State<Arc<GatewayApi>>;

/// What a gateway's calls work with.
pub struct GatewayParts {
    /// Whom to answer.
    pub caller: Caller,
    /// What to decide by.
    pub knowledge: Arc<dyn Knowledge>,
    /// Who keeps count.
    pub ledger: Arc<dyn Ledger>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Milliseconds for which an OCSP answer that was asked for is used, however long it may be kept.
    pub standing_ms: u64,
    /// Where measurements go.
    pub metrics: Arc<GatewayMetrics>,
}

/// A gateway behind its HTTP API.
pub struct GatewayApi {
    caller: Caller,
    knowledge: Arc<dyn Knowledge>,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    examinations: Examinations,
    standings: Standings,
    asking: Semaphore,
    metrics: Arc<GatewayMetrics>,
    probe: Probe,
}

/// Questions of which others are asked for more at one time.
const MAX_ASKING: usize = 64;
/// Where metrics are, on this listener or on one of their own.
const METRICS: &str = "/metrics";

impl GatewayApi {
    /// The API of these parts.
    pub fn new(parts: GatewayParts) -> Self {
        let GatewayParts { caller, knowledge, ledger, clock, standing_ms, metrics } = parts;
        Self {
            caller,
            knowledge,
            ledger,
            clock,
            examinations: Examinations::default(),
            standings: Standings::new(standing_ms),
            asking: Semaphore::new(MAX_ASKING),
            metrics,
            probe: Probe::default(),
        }
    }

    /// The routes of this gateway. `with_metrics` serves `/metrics` beside them.
    pub fn router(self: Arc<Self>, with_metrics: bool) -> Router {
        let router = Router::new().route("/healthz", get(healthz)).route("/readyz", get(ops::readyz));
        let router = if with_metrics { router.route(METRICS, get(ops::metrics)) } else { router };
        // Below the prefix is the client's own path, of which a router must not take anything for its own.
        router.fallback(authorize).with_state(self)
    }

    /// The `/metrics` route alone, for a listener of its own.
    pub fn metrics_router(self: Arc<Self>) -> Router {
        Router::new().route(METRICS, get(ops::metrics)).with_state(self)
    }
}

/// `/authorize`, in any method, and all below it. The body, where there is one, is not looked at.
async fn authorize(State(api): Api, request: Request) -> Result<Response, Failure> {
    let (parts, _) = request.into_parts();
    let path = parts.uri.path();
    if path != AUTHORIZE && !path.strip_prefix(AUTHORIZE).is_some_and(|rest| rest.starts_with('/')) {
        return Err(Failure::new(Token::NotFound, "a gateway answers at /authorize"));
    }
    let watch = Stopwatch::start();
    let material = api.knowledge.material();
    let decision = match api.caller.read(&parts, &material.routes) {
        Ok(question) => api.decide(question, &material).await,
        Err(fault) => {
            if fault == Fault::Caller {
                tracing::warn!("somebody asks who does not know the proxy's secret");
            }
            Decision::Refused(Box::new(No::from(fault)))
        }
    };
    api.metrics.decided(&decision, watch.elapsed());
    if let Decision::Refused(no) = &decision {
        let codes: Vec<&str> = no.reasons().iter().map(|(code, _)| *code).collect();
        tracing::debug!(agent = no.claims.as_deref().unwrap_or("-"), reasons = codes.join(","), "refused");
    }
    Ok(answer::response(&decision, api.caller.proxy))
}
