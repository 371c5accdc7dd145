//! Authority handed on and taken back: what agents and operators ask for it.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Extension, RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::{Api, CaApi, answers, forms};
use crate::api::ca::{
    DelegateRequest, LineageAnswer, LineageEntry, LineageQuery, MAX_REVOKED, RevokeAnswer, RevokeRequest,
    RevokedAgentAnswer, StandingAnswer,
};
use crate::ca::service::{LineageNode, LineageView, RevokedBy, RevokedView, Standing, StandingView};
use crate::http::cache;
use crate::http::credentials::wants_certificate;
use crate::http::problem::Failure;
use crate::http::serve::PeerCertificate;

type Peer = ConnectInfo<SocketAddr>;
type Certificate = Option<Extension<PeerCertificate>>;

/// `POST /ca/v1/delegate`
pub async fn delegate(
    State(api): Api,
    ConnectInfo(peer): Peer,
    certificate: Certificate,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let peer = peer.ip();
    let outcome = async {
        let read = async {
            let PeerCertificate(parent) = api.gate.agent(peer, shown(certificate), "a delegation comes")?;
            let body = api.gate.body(peer, &headers, body).await?;
            Ok((parent, DelegateRequest::from_json(&body)?))
        };
        let (parent, request) = read.await.inspect_err(|failure| api.count("delegate", failure))?;
        let answered = api.service.delegate(&parent, forms::delegation(request), peer).await.map_err(Failure::from);
        api.gate.settle(peer, answered)
    };
    outcome.await.map_or_else(wants_certificate, |answered| answers::application(&answered))
}

/// `POST /ca/v1/revoke`: by an operator with its token, or by an agent with its certificate.
pub async fn revoke(
    State(api): Api,
    ConnectInfo(peer): Peer,
    certificate: Certificate,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let peer = peer.ip();
    // Who shows a token is judged by that, whatever the connection shows.
    let operator = headers.contains_key(header::AUTHORIZATION);
    let outcome = async {
        let answered = if operator {
            let name = api.gate.operator(peer, &headers)?;
            api.revoke(peer, &headers, body, RevokedBy::Operator(name)).await
        } else {
            let PeerCertificate(current) = api.gate.agent(
                peer,
                shown(certificate),
                "a revocation comes with an operator's token as `Authorization: Bearer <token>`, or",
            )?;
            api.revoke(peer, &headers, body, RevokedBy::Agent { current: &current, source: peer }).await
        };
        api.gate.settle(peer, answered)
    };
    match outcome.await {
        Ok(view) => cache::json(cache::NEVER, &revoked(view)),
        Err(failure) if operator => failure.into_response(),
        Err(failure) => wants_certificate(failure),
    }
}

/// `GET /ca/v1/standing`
pub async fn standing(State(api): Api, ConnectInfo(peer): Peer, certificate: Certificate) -> Response {
    let peer = peer.ip();
    let outcome = async {
        let PeerCertificate(current) = api.gate.agent(peer, shown(certificate), "the question comes")?;
        api.gate.settle(peer, api.service.standing(&current).await.map_err(Failure::from))
    };
    outcome.await.map_or_else(wants_certificate, |view| cache::json(cache::NEVER, &stands(view)))
}

/// `GET /ca/v1/lineage`
pub async fn lineage(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    api.gate.operator(peer.ip(), &headers)?;
    let query = LineageQuery::parse(query.as_deref().unwrap_or_default())?;
    let LineageView { above, tree, truncated } = api.service.lineage(query.agent).await?;
    let [above, tree] = [above, tree].map(|nodes| nodes.into_iter().map(entry).collect());
    Ok(cache::json(cache::NEVER, &LineageAnswer { above, tree, truncated }))
}

fn shown(certificate: Certificate) -> Option<PeerCertificate> {
    certificate.map(|Extension(certificate)| certificate)
}

impl CaApi {
    async fn revoke(
        &self,
        peer: std::net::IpAddr,
        headers: &HeaderMap,
        body: Body,
        by: RevokedBy<'_>,
    ) -> Result<RevokedView, Failure> {
        let body = self.gate.body(peer, headers, body).await?;
        let request = RevokeRequest::from_json(&body)?;
        let target = forms::target(&request)?;
        Ok(self.service.revoke(target, request.reason, request.comment, by).await?)
    }
}

fn revoked(view: RevokedView) -> RevokeAnswer {
    let certificates = view.agents.iter().map(|agent| agent.certificates.len() as u64).sum();
    let agents_total = view.agents.len() as u64;
    let agents = view.agents.into_iter().take(MAX_REVOKED).map(|agent| RevokedAgentAnswer {
        agent: agent.agent,
        with: agent.with,
        certificates: agent.certificates.iter().map(ToString::to_string).collect(),
    });
    RevokeAnswer {
        at: view.at,
        agents_total,
        certificates_total: certificates,
        listed: view.listed,
        agents: agents.collect(),
    }
}

fn stands(StandingView { agent, serial, standing }: StandingView) -> StandingAnswer {
    let plain = |status: &str| StandingAnswer {
        agent,
        serial: serial.to_string(),
        status: status.to_owned(),
        since: None,
        score: None,
        reason: None,
        with: None,
    };
    match standing {
        Standing::Valid => plain("valid"),
        Standing::Renew(reissue) => {
            StandingAnswer { since: Some(reissue.at), score: Some(reissue.score), ..plain("renew") }
        }
        Standing::Revoked(revoked) => StandingAnswer {
            since: Some(revoked.at),
            reason: Some(revoked.reason),
            with: revoked.with,
            ..plain("revoked")
        },
    }
}

fn entry(node: LineageNode) -> LineageEntry {
    let revoked = node.revoked;
    LineageEntry {
        agent: node.agent,
        parent: node.parent,
        children: node.children,
        score: node.score,
        not_after: node.not_after,
        revoked_at: revoked.as_ref().map(|revoked| revoked.at),
        reason: revoked.as_ref().map(|revoked| revoked.reason),
        with: revoked.and_then(|revoked| revoked.with),
    }
}
