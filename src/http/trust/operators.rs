//! What operators ask and decide. The gate knows who they are; what each role may do, the engine says.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{Api, answers};
use crate::api::Token;
use crate::api::trust::{
    Hex32, IncidentsAnswer, LedgerAnswer, LedgerQuery, PageQuery, RebaseRequest, ReportersAnswer, ReviewsAnswer,
};
use crate::http::cache;
use crate::http::problem::Failure;
use crate::trust::service::{Assessed, TrustError};

type Peer = ConnectInfo<SocketAddr>;

/// `GET /trust/v1/incidents`
pub async fn incidents(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    api.gate.operator(peer.ip(), &headers)?;
    let query = PageQuery::parse(query.as_deref().unwrap_or_default())?;
    // One more than asked for tells whether there is a next page.
    let found = api.service.incidents(query.after, query.limit + 1).await?;
    let (found, next) = answers::page(found, query.limit, |incident| incident.id);
    let incidents = found.into_iter().map(answers::incident).collect();
    Ok(cache::json(cache::NEVER, &IncidentsAnswer { incidents, next }))
}

/// `POST /trust/v1/incidents/{id}/confirm`
pub async fn confirm(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let operator = api.gate.operator(peer.ip(), &headers)?;
    decided(api.service.confirm(operator, number("incident", &id)?).await)
}

/// `POST /trust/v1/incidents/{id}/dismiss`
pub async fn dismiss(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let operator = api.gate.operator(peer.ip(), &headers)?;
    decided(api.service.dismiss(operator, number("incident", &id)?).await)
}

/// `GET /trust/v1/reviews`
pub async fn reviews(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    api.gate.operator(peer.ip(), &headers)?;
    let query = PageQuery::parse(query.as_deref().unwrap_or_default())?;
    let found = api.service.reviews(query.after, query.limit + 1).await?;
    let (found, next) = answers::page(found, query.limit, |review| review.id);
    let reviews = found.into_iter().map(answers::review).collect();
    Ok(cache::json(cache::NEVER, &ReviewsAnswer { reviews, next }))
}

/// `POST /trust/v1/reviews/{id}/approve`
pub async fn approve(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let operator = api.gate.operator(peer.ip(), &headers)?;
    decided(api.service.review(operator, number("review", &id)?, true).await)
}

/// `POST /trust/v1/reviews/{id}/deny`
pub async fn deny(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let operator = api.gate.operator(peer.ip(), &headers)?;
    decided(api.service.review(operator, number("review", &id)?, false).await)
}

/// `GET /trust/v1/reporters`
pub async fn reporters(State(api): Api, ConnectInfo(peer): Peer, headers: HeaderMap) -> Result<Response, Failure> {
    api.gate.operator(peer.ip(), &headers)?;
    let reporters = api.service.reporters().await?.into_iter().map(answers::reporter).collect();
    Ok(cache::json(cache::NEVER, &ReportersAnswer { reporters }))
}

/// `POST /trust/v1/reporters/{name}/clear`
pub async fn clear(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let operator = api.gate.operator(peer.ip(), &headers)?;
    let unknown = |_| Failure::new(Token::NotFound, "no reporter has this name");
    api.service.clear_flag(operator, name.parse().map_err(unknown)?).await?;
    Ok((StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, cache::NEVER)]).into_response())
}

/// `POST /trust/v1/rebase`
pub async fn rebase(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let operator = api.gate.operator(peer.ip(), &headers)?;
    let body = api.gate.body(peer.ip(), &headers, body).await?;
    let RebaseRequest { agent, base, reason } = RebaseRequest::from_json(&body)?;
    decided(api.service.rebase(operator, agent, base, reason).await)
}

/// `GET /trust/v1/ledger`
pub async fn ledger(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    api.gate.operator(peer.ip(), &headers)?;
    let query = LedgerQuery::parse(query.as_deref().unwrap_or_default())?;
    let page = api.service.ledger(query.start, query.limit).await?;
    let rows: Result<Vec<String>, _> = page.rows.into_iter().map(String::from_utf8).collect();
    let rows = rows.map_err(|error| {
        tracing::error!(%error, start = page.start, "a row of the ledger is not text");
        Failure::new(Token::Internal, format!("a row of the ledger from {} on is damaged: it is not text", page.start))
    })?;
    let answer = LedgerAnswer { rows_total: page.total, head: Hex32(page.head), start: page.start, rows };
    Ok(cache::json(cache::NEVER, &answer))
}

fn decided(outcome: Result<Assessed, TrustError>) -> Result<Response, Failure> {
    Ok(cache::json(cache::NEVER, &answers::assessed(outcome?)))
}

/// The number in a path, in its one spelling.
fn number(what: &str, text: &str) -> Result<u64, Failure> {
    let unknown = || Failure::new(Token::NotFound, format!("no {what} has this number"));
    text.parse::<u64>().ok().filter(|number| number.to_string() == text).ok_or_else(unknown)
}
