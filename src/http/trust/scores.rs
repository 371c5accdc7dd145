//! What readers ask, the CA before all: scores, why they are what they are, and when they change.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::{Api, answers};
use crate::api::trust::{
    AccountsAnswer, AccountsQuery, AgentQuery, AssessRequest, ChangesAnswer, ChangesQuery, ExplainAnswer,
};
use crate::http::cache;
use crate::http::problem::Failure;

type Peer = ConnectInfo<SocketAddr>;

/// `POST /trust/v1/assess`
pub async fn assess(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    api.gate.reader(peer.ip(), &headers)?;
    let body = api.gate.body(peer.ip(), &headers, body).await?;
    let AssessRequest { agent, base } = AssessRequest::from_json(&body)?;
    Ok(cache::json(cache::NEVER, &answers::assessed(api.service.assess(agent, base).await?)))
}

/// `GET /trust/v1/changes`: answers with the first change, or when the time is over.
pub async fn changes(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    api.gate.anyone(peer.ip(), &headers)?;
    let query = ChangesQuery::parse(query.as_deref().unwrap_or_default())?;
    let wait = Duration::from_secs(query.wait_seconds);
    let page = api.service.changes(query.start, query.limit, wait).await?;
    let changes = page.changes.into_iter().map(answers::change).collect();
    Ok(cache::json(cache::NEVER, &ChangesAnswer { changes, next: page.next }))
}

/// `GET /trust/v1/agents`
pub async fn account(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    api.gate.anyone(peer.ip(), &headers)?;
    let AgentQuery { agent } = AgentQuery::parse(query.as_deref().unwrap_or_default())?;
    Ok(cache::json(cache::NEVER, &answers::account(api.service.account(&agent).await?)))
}

/// `GET /trust/v1/accounts`
pub async fn accounts(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    api.gate.anyone(peer.ip(), &headers)?;
    let query = AccountsQuery::parse(query.as_deref().unwrap_or_default())?;
    // One more than asked for tells whether there is a next page.
    let found = api.service.accounts(query.after, query.limit + 1).await?;
    let (found, next) = answers::page(found, query.limit, |account| account.assessed.agent.clone());
    let accounts = found.into_iter().map(answers::account).collect();
    Ok(cache::json(cache::NEVER, &AccountsAnswer { accounts, next }))
}

/// `GET /trust/v1/explain`
pub async fn explain(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    api.gate.anyone(peer.ip(), &headers)?;
    let AgentQuery { agent } = AgentQuery::parse(query.as_deref().unwrap_or_default())?;
    let lines = api.service.explain(&agent).await?.into_iter().map(answers::line).collect();
    Ok(cache::json(cache::NEVER, &ExplainAnswer { agent, lines }))
}
