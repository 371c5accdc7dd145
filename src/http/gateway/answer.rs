//! What a proxy is told: yes, with who the agent is, or no, with why.
//!
//! nginx with `auth_request` understands 2xx, 401 and 403, and makes 500 of everything else; Envoy hands any
//! status on. So what is over a limit of calls is 429 for Envoy and 403 for nginx, whose configuration makes 429 of
//! it again by its reason. What is over a limit of money is 403 for both: 402 says nothing that anybody agrees on.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::ask::Proxy;
use super::decide::{Allowed, Decision, Kind, No};
use crate::api::{Problem, Subproblem, Token};
use crate::http::cache;
use crate::http::credentials::wants_certificate;
use crate::http::problem::Failure;

/// Why not: reason codes, separated by commas.
pub const REASON: HeaderName = HeaderName::from_static("x-agent-reason");
/// The headers that say who an agent is and what was authorised. What a client sends under these names must never
/// get to the backend; each is overwritten, or removed where there is nothing to say.
pub static IDENTITY: [HeaderName; 10] = [
    HeaderName::from_static("x-agent-uri"),
    HeaderName::from_static("x-agent-domain"),
    HeaderName::from_static("x-agent-tier"),
    HeaderName::from_static("x-agent-score"),
    HeaderName::from_static("x-agent-human"),
    HeaderName::from_static("x-agent-parents"),
    HeaderName::from_static("x-agent-certificate"),
    HeaderName::from_static("x-agent-capability"),
    HeaderName::from_static("x-agent-amount"),
    REASON,
];
/// By which Envoy is told what to take out of the client's request.
const ENVOY_REMOVES: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");
/// Most reasons in the header; all of them are in the body.
const MAX_REASONS: usize = 16;
/// Seconds after which what is missing may be there.
const RETRY_SECONDS: u32 = 1;

/// The answer.
pub fn response(decision: &Decision, proxy: Proxy) -> Response {
    match decision {
        Decision::Allowed(allowed) => yes(allowed, proxy),
        Decision::Refused(no) => refused(no, proxy),
    }
}

fn yes(allowed: &Allowed, proxy: Proxy) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, cache::NEVER);
    let stated = identity(allowed);
    if proxy == Proxy::Envoy {
        let missing = IDENTITY.iter().filter(|name| stated.iter().all(|(stated, _)| stated != *name));
        let missing: Vec<&str> = missing.map(HeaderName::as_str).chain(["x-agent-chain"]).collect();
        headers.insert(ENVOY_REMOVES, visible(&missing.join(",")));
    }
    headers.extend(stated);
    response
}

fn identity(allowed: &Allowed) -> Vec<(HeaderName, HeaderValue)> {
    let accepted = &allowed.accepted;
    let [uri, domain, tier, score, human, parents, certificate, capability, amount, _] = IDENTITY.clone();
    let mut stated = vec![
        (uri, escaped(accepted.agent.as_str())),
        (domain, escaped(accepted.domain.as_str())),
        (tier, escaped(accepted.tier().name())),
        (score, HeaderValue::from(u16::from(accepted.score.get()))),
        (certificate, visible(&hex::encode(accepted.certificate))),
    ];
    if let Some(name) = accepted.human_principal.as_ref().filter(|name| !name.as_str().is_empty()) {
        stated.push((human, escaped(name.as_str())));
    }
    if !accepted.parents.is_empty() {
        let above: Vec<String> = accepted.parents.iter().map(|parent| escape(parent.as_str())).collect();
        stated.push((parents, visible(&above.join(","))));
    }
    let Some(grant) = &accepted.grant else { return stated };
    if let Some((_, granted)) = grant.rights.first() {
        let text = format!("{} {}", escape(granted.tool_uri.as_str()), escape(granted.scope.as_str()));
        stated.push((capability, visible(text.trim_end())));
    }
    if let Some(spend) = &grant.operation.spend {
        stated.push((amount, visible(&format!("{} {}", spend.amount.get(), spend.currency))));
    }
    stated
}

fn refused(no: &No, proxy: Proxy) -> Response {
    let token = match no.kind() {
        Kind::Unauthenticated => Token::Unauthorized,
        Kind::Unavailable => Token::Undecided,
        Kind::TooOften if proxy == Proxy::Envoy => Token::RateLimited,
        Kind::TooOften | Kind::Forbidden => Token::AgentRefused,
    };
    let reasons = no.reasons();
    let text = |(code, detail): &(&str, String)| format!("{code}: {detail}");
    let detail = reasons.iter().map(text).collect::<Vec<_>>().join("; ");
    let listed = reasons.iter().map(|(code, detail)| Subproblem::reason(code, detail.as_str()));
    let mut problem = Problem::new(token, detail).of(listed);
    if let Some(seconds) = no.retry_after() {
        problem = problem.retry_after(seconds.max(RETRY_SECONDS));
    }
    let mut response = wants_certificate(Failure(problem));
    let mut codes: Vec<&str> = reasons.iter().map(|(code, _)| *code).collect();
    codes.dedup();
    codes.truncate(MAX_REASONS);
    response.headers_mut().insert(REASON, visible(&codes.join(",")));
    response
}

/// Text as a header has it: what is neither visible ASCII nor a `%` or `,` itself, else percent-encoded. So no text of
/// a certificate ends a header or looks like two values.
fn escape(text: &str) -> String {
    let kept = |octet: u8| octet.is_ascii_graphic() && !matches!(octet, b'%' | b',');
    let escape = |octet: u8| if kept(octet) { char::from(octet).to_string() } else { format!("%{octet:02X}") };
    text.bytes().map(escape).collect()
}

fn escaped(text: &str) -> HeaderValue {
    visible(&escape(text))
}

/// Text that has visible ASCII and blanks only; nothing where it should have anything else.
fn visible(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
