//! What operators ask: tokens, decisions, and what there is.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::agents::request_id;
use super::{Api, answers};
use crate::api::Token;
use crate::api::ca::{
    AuditAnswer, AuditQuery, CertificatesAnswer, CertificatesQuery, Cursor, DenyRequest, Hex32, MintTokenAnswer,
    MintTokenRequest, RequestsAnswer, RequestsQuery,
};
use crate::ca::service::{
    CaError, CaService, CertificateSearch, CertificateView, OpenView, Place, Refusal, Serial, TokenId, TokenScope,
    UriPattern,
};
use crate::http::cache;
use crate::http::problem::Failure;

type Peer = ConnectInfo<SocketAddr>;

/// `POST /ca/v1/tokens`
pub async fn mint_token(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let operator = api.gate.operator(peer.ip(), &headers)?;
    let body = api.gate.body(peer.ip(), &headers, body).await?;
    let (scope, ttl_ms) = scope(MintTokenRequest::from_json(&body)?)?;
    let (secret, expires_at) = api.service.mint_token(operator, scope, ttl_ms).await?;
    let answer = MintTokenAnswer { id: secret.id.to_string(), token: secret.to_string(), expires_at };
    Ok((StatusCode::CREATED, cache::json(cache::NEVER, &answer)).into_response())
}

/// `DELETE /ca/v1/tokens/{id}`
pub async fn withdraw_token(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Failure> {
    let operator = api.gate.operator(peer.ip(), &headers)?;
    let name = uri.path().strip_prefix("/ca/v1/tokens/").and_then(|name| name.parse::<TokenId>().ok());
    let unknown = || Failure::new(Token::NotFound, "no token of this CA has this name (16 hex digits)");
    api.service.withdraw_token(operator, name.ok_or_else(unknown)?).await?;
    Ok((StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, cache::NEVER)]).into_response())
}

/// `GET /ca/v1/requests`
pub async fn requests(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    api.gate.operator(peer.ip(), &headers)?;
    let query = RequestsQuery::parse(query.as_deref().unwrap_or_default())?;
    let after = query.after.map(|after| Ok::<_, Failure>((after.at, name(&after)?))).transpose()?;
    // One more than asked for tells whether there is a next page.
    let found = api.service.open_requests(after, query.limit + 1).await?;
    let place = |last: &OpenView| Cursor { at: last.answered.received_at, name: last.answered.id.to_string() };
    let (found, next) = answers::page(found, query.limit, place);
    let requests = found.into_iter().map(answers::open_request).collect();
    Ok(cache::json(cache::NEVER, &RequestsAnswer { requests, next }))
}

/// `POST /ca/v1/requests/{id}/approve`
pub async fn approve(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Failure> {
    let operator = api.gate.operator(peer.ip(), &headers)?;
    let id = request_id(decided(&uri, "/approve"))?;
    Ok(answers::status(&api.service.approve(operator, id).await?))
}

/// `POST /ca/v1/requests/{id}/deny`
pub async fn deny(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Failure> {
    let operator = api.gate.operator(peer.ip(), &headers)?;
    let id = request_id(decided(&uri, "/deny"))?;
    let body = api.gate.body(peer.ip(), &headers, body).await?;
    let why = DenyRequest::from_json(&body)?.why;
    Ok(answers::status(&api.service.deny(operator, id, why).await?))
}

/// `GET /ca/v1/certificates`
pub async fn certificates(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    api.gate.operator(peer.ip(), &headers)?;
    let query = CertificatesQuery::parse(query.as_deref().unwrap_or_default())?;
    let (search, serial) = search(query)?;
    let limit = search.limit;
    let found = match serial {
        Some(serial) => one(&api.service, serial, &search).await?,
        None => api.service.certificates(CertificateSearch { limit: limit + 1, ..search }).await?,
    };
    let place = |last: &CertificateView| Cursor { at: last.signed_at, name: last.serial.to_string() };
    let (found, next) = answers::page(found, limit, place);
    let certificates = found.into_iter().map(answers::entry).collect();
    Ok(cache::json(cache::NEVER, &CertificatesAnswer { certificates, next }))
}

/// `GET /ca/v1/audit`
pub async fn audit(
    State(api): Api,
    ConnectInfo(peer): Peer,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    api.gate.operator(peer.ip(), &headers)?;
    let query = AuditQuery::parse(query.as_deref().unwrap_or_default())?;
    let page = api.service.audit(query.start, query.limit).await?;
    let rows: Result<Vec<String>, _> = page.rows.into_iter().map(String::from_utf8).collect();
    let rows = rows.map_err(|error| {
        tracing::error!(%error, start = page.start, "a row of the journal is not text");
        Failure::new(Token::Internal, format!("a row of the journal from {} on is damaged: it is not text", page.start))
    })?;
    let answer = AuditAnswer { rows_total: page.total, head: Hex32(page.head), start: page.start, rows };
    Ok(cache::json(cache::NEVER, &answer))
}

/// What a token is to be good for, and for how many milliseconds.
fn scope(request: MintTokenRequest) -> Result<(TokenScope, u64), Failure> {
    let agents = UriPattern::parse(&request.agents).map_err(|e| {
        let detail = format!("`agents` is no agent URI, not even one with `*` in place of whole segments: {e}");
        Failure::new(Token::Malformed, detail)
    })?;
    let scope = TokenScope {
        agents,
        capabilities: request.capabilities,
        max_validity_seconds: request.max_validity_seconds,
        replaces: request.replaces,
    };
    Ok((scope, u64::from(request.ttl_seconds) * 1000))
}

/// The name in the path of a decision.
fn decided<'a>(uri: &'a Uri, decision: &str) -> Option<&'a str> {
    uri.path().strip_prefix("/ca/v1/requests/")?.strip_suffix(decision)
}

/// The name in a cursor.
fn name<T: std::str::FromStr>(cursor: &Cursor) -> Result<T, Failure> {
    let bad = |_| Failure::new(Token::Malformed, "`after` is not the `next` of an earlier page of this call");
    cursor.name.parse().map_err(bad)
}

/// What to look for; with the number, where one is asked for.
fn search(query: CertificatesQuery) -> Result<(CertificateSearch, Option<Serial>), Failure> {
    let bad = |e| Failure::new(Token::Malformed, format!("`serial`: {e}"));
    let serial = query.serial.map(|text| text.parse::<Serial>().map_err(bad)).transpose()?;
    let place = |after: Cursor| Ok::<_, Failure>(Place { signed_at: after.at, serial: name(&after)? });
    let CertificatesQuery { agent, since, until, after, limit, .. } = query;
    let after = after.map(place).transpose()?;
    Ok((CertificateSearch { agent, since, until, after, limit }, serial))
}

/// The certificate of this number, if it is among what is looked for.
async fn one(service: &CaService, serial: Serial, search: &CertificateSearch) -> Result<Vec<CertificateView>, Failure> {
    match service.certificate(serial).await {
        Ok(view) => Ok(Some(view).filter(|view| holds(view, search)).into_iter().collect()),
        Err(CaError::Refusal(Refusal::NotFound(_))) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

fn holds(view: &CertificateView, search: &CertificateSearch) -> bool {
    search.agent.as_ref().is_none_or(|agent| *agent == view.agent)
        && search.since.is_none_or(|since| view.signed_at >= since)
        && search.until.is_none_or(|until| view.signed_at < until)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIAL: &str = "40000000000000000000000000000000000000ab";

    fn malformed<T: std::fmt::Debug>(outcome: Result<T, Failure>, what: &str) {
        assert_eq!(outcome.expect_err(what).0.token(), Some(Token::Malformed), "{what}");
    }

    #[test]
    fn a_token_is_for_a_pattern() {
        let form = |agents: &str| {
            let text = format!(r#"{{"agents":"{agents}","ttl_seconds":60,"replaces":true}}"#);
            MintTokenRequest::from_json(text.as_bytes()).unwrap()
        };
        let (found, ttl_ms) = scope(form("agent://bank.example.com/payments/*/*")).unwrap();
        assert_eq!((found.agents.trust_domain(), found.replaces, ttl_ms), ("bank.example.com", true, 60_000));
        for wrong in ["", "*", "agent://*/a/b/c", "https://bank.example.com/a/b/c"] {
            malformed(scope(form(wrong)), wrong);
        }
    }

    #[test]
    fn a_search_names_what_there_can_be() {
        let parse = |raw: &str| search(CertificatesQuery::parse(raw).unwrap());
        let (found, serial) = parse(&format!("serial={SERIAL}&since=5&until=9&limit=3")).unwrap();
        assert_eq!((serial.map(|serial| serial.to_string()), found.limit), (Some(SERIAL.into()), 3));
        assert_eq!((found.since.map(|m| m.get()), found.until.map(|m| m.get())), (Some(5), Some(9)));
        let (found, serial) = parse(&format!("after=7-{SERIAL}")).unwrap();
        assert_eq!((found.after.map(|place| place.signed_at.get()), serial), (Some(7), None));
        malformed(parse("serial=ab"), "too short");
        malformed(parse("after=7-ab"), "the place of something else");
    }

    #[test]
    fn decisions_name_a_request_in_one_spelling() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        let id = "07".repeat(16);
        let good = uri(&format!("/ca/v1/requests/{id}/approve?x=1"));
        assert_eq!(request_id(decided(&good, "/approve")).unwrap().to_string(), id);
        for wrong in
            [format!("/ca/v1/requests/{}/approve", "0A".repeat(16)), format!("/ca/v1/requests/%30{}/approve", &id[1..])]
        {
            assert_eq!(request_id(decided(&uri(&wrong), "/approve")).unwrap_err().0.status, 404, "{wrong}");
        }
    }
}
