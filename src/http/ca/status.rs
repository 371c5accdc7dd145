//! Revocation lists and OCSP over HTTP (RFC 5280 section 4.2.1.13, RFC 6960 appendix A).
//!
//! They are signed, so they are served over plain HTTP as well, from a listener of their own.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::metrics::CaMetrics;
use crate::api::{Token, percent};
use crate::ca::service::CaService;
use crate::http::body::Intake;
use crate::http::cache;
use crate::http::limits::{Buckets, Rate, source};
use crate::http::problem::Failure;

/// A question (RFC 6960 appendix C.1).
const REQUEST: &str = "application/ocsp-request";
/// An answer (RFC 6960 appendix C.2).
const RESPONSE: HeaderValue = HeaderValue::from_static("application/ocsp-response");
/// A list (RFC 5280 section 4.2.1.13).
const LIST: HeaderValue = HeaderValue::from_static("application/pkix-crl");
/// A list is followed by another one as soon as something is revoked, so no cache keeps it for long.
const LIST_HOLDS: HeaderValue = HeaderValue::from_static("public, max-age=5");
/// Octets that a question may have: sixteen certificates and a signature fit in.
const MAX_REQUEST: usize = 16 << 10;

/// What answers.
pub struct StatusApi {
    service: Arc<CaService>,
    per_source: Buckets<IpAddr>,
    intake: Intake,
    metrics: Arc<CaMetrics>,
}

type Api = State<Arc<StatusApi>>;

/// Every path, and what answers there.
fn routes() -> [(&'static str, MethodRouter<Arc<StatusApi>>); 6] {
    [
        ("/ocsp", post(posted)),
        ("/ocsp/{*request}", get(asked)),
        ("/crl", get(complete)),
        ("/crl/root", get(root)),
        ("/crl/anchor", get(anchor)),
        ("/crl/{shard}", get(shard)),
    ]
}

/// Every path of revocation lists and OCSP.
pub fn paths() -> impl Iterator<Item = &'static str> {
    routes().into_iter().map(|(path, _)| path)
}

impl StatusApi {
    /// What answers for this CA, and how often each source address is answered.
    pub fn new(service: Arc<CaService>, per_source: Rate, metrics: Arc<CaMetrics>) -> Self {
        let per_source = Buckets::new(per_source, "this source address");
        Self { service, per_source, intake: Intake::new(), metrics }
    }

    /// The routes, to be merged with those of the CA or served by themselves.
    pub fn router(self: Arc<Self>) -> Router {
        let router = routes().into_iter().fold(Router::new(), |router, (path, answer)| router.route(path, answer));
        router
            .method_not_allowed_fallback(async || {
                Failure::new(Token::MethodNotAllowed, "this path answers to another method")
            })
            .layer(DefaultBodyLimit::disable()) // the intake bounds every body that is read
            .with_state(self)
    }

    /// Forgets rate limits that are at rest. To be called now and then.
    pub fn forget_idle(&self) {
        self.per_source.forget_idle();
    }

    fn enter(&self, peer: IpAddr) -> Result<(), Failure> {
        self.per_source.take(&source(peer), 1).inspect_err(|_| self.metrics.turned_away("source"))
    }

    async fn answer(&self, request: &[u8]) -> Response {
        let answer = self.service.ocsp(request).await;
        self.metrics.ocsp(answer.max_age_seconds > 0);
        // A cache between would go on saying `good` for as long as the answer holds.
        cache::octets(cache::NEVER, RESPONSE, Bytes::from_owner(answer.der))
    }
}

/// `POST /ocsp`
async fn posted(
    State(api): Api,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    api.enter(peer.ip())?;
    let request = api.intake.of_type(REQUEST, peer.ip(), &headers, body, MAX_REQUEST).await?;
    Ok(api.answer(&request).await)
}

/// `GET /ocsp/{request}`: the request in base64, percent-encoded or not.
async fn asked(State(api): Api, ConnectInfo(peer): ConnectInfo<SocketAddr>, uri: Uri) -> Result<Response, Failure> {
    api.enter(peer.ip())?;
    // What does not decode is no request, and OCSP has an answer of its own for that.
    let request = uri.path().strip_prefix("/ocsp/").and_then(request_of).unwrap_or_default();
    Ok(api.answer(&request).await)
}

/// `GET /crl`
async fn complete(State(api): Api, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> Result<Response, Failure> {
    api.enter(peer.ip())?;
    Ok(list(api.service.crl()))
}

/// `GET /crl/{shard}`
async fn shard(State(api): Api, ConnectInfo(peer): ConnectInfo<SocketAddr>, uri: Uri) -> Result<Response, Failure> {
    api.enter(peer.ip())?;
    let found = uri.path().strip_prefix("/crl/").and_then(number).and_then(|shard| api.service.crl_shard(shard));
    let detail = "no certificate that is valid names this list; all revocations of this CA are in /crl";
    found.map(list).ok_or_else(|| Failure::new(Token::NotFound, detail))
}

/// `GET /crl/root`
async fn root(State(api): Api, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> Result<Response, Failure> {
    api.enter(peer.ip())?;
    let detail =
        "this CA has no list of the root's that holds: atl ca root emergency-signer --help says how to get one";
    api.service.root_crl().map(list).ok_or_else(|| Failure::new(Token::NotFound, detail))
}

/// `GET /crl/anchor`
async fn anchor(State(api): Api, ConnectInfo(peer): ConnectInfo<SocketAddr>) -> Result<Response, Failure> {
    api.enter(peer.ip())?;
    let detail = "the root has no signer of lists that this CA knows of: atl ca root emergency-signer --help";
    api.service.anchor_crl().map(list).ok_or_else(|| Failure::new(Token::NotFound, detail))
}

fn list(der: Arc<[u8]>) -> Response {
    cache::octets(LIST_HOLDS, LIST, Bytes::from_owner(der))
}

/// A number in its one spelling.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// The octets of a request in a path: base64, of which clients percent-encode what they like.
fn request_of(path: &str) -> Option<Vec<u8>> {
    let text = percent::decode(path)?;
    STANDARD.decode(text).ok().filter(|request| request.len() <= MAX_REQUEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_in_a_path_reads_however_it_is_encoded() {
        for path in ["+/8=", "%2B%2F8%3D", "%2b/8%3d", "+%2F8="] {
            assert_eq!(request_of(path), Some(vec![0xfb, 0xff]), "{path}");
        }
        for path in ["+/8", "%2", "%zz", "-_8=", "a b="] {
            assert_eq!(request_of(path), None, "{path}");
        }
    }

    #[test]
    fn a_shard_has_one_name() {
        assert_eq!(number("485234"), Some(485_234));
        for wrong in ["", "007", "+7", "-1", "1.crl", "99999999999999999999"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }
}
