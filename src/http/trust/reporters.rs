//! What reporters send.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::{Api, answers};
use crate::api::Token;
use crate::api::trust::{SignalsAnswer, SignalsRequest};
use crate::http::cache;
use crate::http::credentials::wants_certificate;
use crate::http::problem::Failure;
use crate::http::serve::PeerCertificate;

/// `POST /trust/v1/signals`
pub async fn signals(
    State(api): Api,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    certificate: Option<Extension<PeerCertificate>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let peer = peer.ip();
    let certificate = certificate.map(|Extension(certificate)| certificate);
    let outcome = async {
        let reporter = api.gate.reporter(peer, certificate.as_ref(), &headers).map_err(wants_certificate)?;
        let body = api.gate.report(peer, &headers, body).await.map_err(IntoResponse::into_response)?;
        let answer = async {
            let request = SignalsRequest::from_json(&body)?;
            api.gate.count(&reporter, request.signals.len())?;
            let outcomes = api.service.signals(&reporter, request.signals).await?;
            let outcomes: Option<Vec<_>> = outcomes.into_iter().map(answers::outcome).collect();
            // Taken are those that were taken: sent again, they are answered and not counted.
            outcomes.ok_or_else(|| {
                Failure::new(Token::Overloaded, "not all signals could be taken in: send the same request again")
            })
        };
        answer.await.map_err(|failure: Failure| failure.into_response())
    };
    match outcome.await {
        Ok(outcomes) => cache::json(cache::NEVER, &SignalsAnswer { outcomes }),
        Err(refusal) => refusal,
    }
}
