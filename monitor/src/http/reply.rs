//! Answers as they are usually made.

use atl::api::{PROBLEM_MEDIA_TYPE, Problem, ProblemType};
use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Method, StatusCode};
use serde::Serialize;

use super::Response;

/// A page of our own server may load nothing from anywhere else, run no script that is not a file of the server, and
/// be in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What every answer has, unless its maker has said otherwise.
const USUAL: [(HeaderName, &str); 4] = [
    (CACHE_CONTROL, "no-store"),
    (hyper::header::CONTENT_SECURITY_POLICY, POLICY),
    (hyper::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (hyper::header::REFERRER_POLICY, "no-referrer"),
];

/// Whether a person asks, by a browser.
pub fn wants_page(method: &Method, headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    *method != Method::POST && accepts.contains("text/html")
}

/// An answer of this media type.
pub fn of(media_type: &'static str, body: impl Into<Vec<u8>>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Plain text.
pub fn text(body: impl Into<Vec<u8>>) -> Response {
    of("text/plain; charset=utf-8", body)
}

/// JSON.
pub fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => of("application/json", body),
        Err(error) => problem(&status(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

/// The same answer, which anybody may keep for so many seconds.
#[must_use]
pub fn cached(response: Response, seconds: u32) -> Response {
    match HeaderValue::try_from(format!("public, max-age={seconds}")) {
        Ok(value) => with(response, CACHE_CONTROL, value),
        Err(_) => response,
    }
}

/// The same answer with this header.
#[must_use]
pub fn with(mut response: Response, name: HeaderName, value: HeaderValue) -> Response {
    response.headers_mut().insert(name, value);
    response
}

/// A problem that has no type of its own, but only the meaning of its status (RFC 9457 section 4.2.1).
pub fn status(status: StatusCode, detail: impl Into<String>) -> Problem {
    Problem {
        kind: ProblemType::Other("about:blank".into()),
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        detail: detail.into(),
        status: status.as_u16(),
        subproblems: Vec::new(),
        retry_after_seconds: None,
    }
}

/// A problem document (RFC 9457).
pub fn problem(problem: &Problem) -> Response {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    marked(of(PROBLEM_MEDIA_TYPE, body), problem)
}

/// The same problem for people.
pub fn problem_page(problem: &Problem) -> Response {
    let title = format!("{} {}", problem.status, problem.title);
    let page = maud::html! {
        (maud::DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; meta name="viewport" content="width=device-width"; title { (title) } }
            body { h1 { (title) } p { (problem.detail) } p { a href="/" { "What this monitor watches" } } }
        }
    };
    marked(of("text/html; charset=utf-8", page.into_string()), problem)
}

/// With the problem's status, and when to try again.
fn marked(mut response: Response, problem: &Problem) -> Response {
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match problem.retry_after_seconds {
        Some(seconds) => with(response, RETRY_AFTER, seconds.into()),
        None => response,
    }
}

/// The same answer with the headers that every answer has.
pub(super) fn finished(mut response: Response) -> Response {
    for (name, value) in USUAL {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
