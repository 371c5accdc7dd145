//! What agents ask: for their first certificate, for the next, and how a request stands.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::{Api, CaApi, answers};
use crate::api::Token;
use crate::ca::service::{Observer, RequestId};
use crate::http::credentials::wants_certificate;
use crate::http::problem::Failure;
use crate::http::serve::PeerCertificate;

/// `POST /ca/v1/enroll`
pub async fn enroll(
    State(api): Api,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let peer = peer.ip();
    let read = api.gate.enrolment(peer, &headers, body).await;
    let (secret, form) = read.inspect_err(|failure| api.count("enrol", failure))?;
    let answered = api.service.enrol(secret, form, peer).await.map_err(Failure::from);
    Ok(answers::application(&api.gate.settle(peer, answered)?))
}

/// `POST /ca/v1/renew`
pub async fn renew(
    State(api): Api,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    certificate: Option<Extension<PeerCertificate>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let peer = peer.ip();
    let certificate = certificate.map(|Extension(certificate)| certificate);
    let outcome = async {
        let read = api.gate.renewal(peer, certificate, &headers, body).await;
        let (PeerCertificate(current), form) = read.inspect_err(|failure| api.count("renew", failure))?;
        let answered = api.service.renew(&current, form, peer).await.map_err(Failure::from);
        api.gate.settle(peer, answered)
    };
    outcome.await.map_or_else(wants_certificate, |answered| answers::application(&answered))
}

/// `GET /ca/v1/requests/{id}`, for whoever knows the name.
pub async fn request(
    State(api): Api,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    uri: Uri,
) -> Result<Response, Failure> {
    api.gate.enter(peer.ip())?;
    let id = request_id(uri.path().strip_prefix("/ca/v1/requests/"))?;
    Ok(answers::status(&api.service.request(id).await?))
}

/// The request that a path names, as it was sent: another spelling is another name.
pub fn request_id(name: Option<&str>) -> Result<RequestId, Failure> {
    let unknown = || Failure::new(Token::NotFound, "no request of this CA has this name (32 hex digits)");
    name.and_then(|name| name.parse().ok()).ok_or_else(unknown)
}

impl CaApi {
    /// Counts what came to nothing before the CA was asked.
    pub(super) fn count(&self, kind: &'static str, Failure(problem): &Failure) {
        self.metrics.answered(kind, problem.token().map_or("other", Token::as_str));
    }
}
