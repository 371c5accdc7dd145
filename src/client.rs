//! The HTTP APIs of logs, of CAs and of trust engines, called (protocol sections 5 and 6), of witnesses (C2SP
//! tlog-witness), and the audit statements of monitors.
//!
//! A client moves octets and reads JSON; it believes nothing and verifies nothing. Whoever calls
//! it holds the answers against a pinned key. It never retries: an error says whether and when to.

mod ca;
mod federation;
mod log;
mod monitor;
mod ocsp;
mod trust;
mod witness;

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, Response, Url, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

pub use self::ca::{AuditQuery, CaClient, CertificatesQuery, Standing};
pub use self::federation::{BundleClient, FetchedBundle};
pub use self::log::LogClient;
pub use self::monitor::MonitorClient;
pub use self::ocsp::{crl, crl_within, ocsp};
pub use self::trust::TrustClient;
pub use self::witness::{WitnessAnswer, WitnessClient};
use crate::api::{Problem, Token};

/// The status of most successes.
const OK: &[u16] = &[200];

/// Most octets read of an answer that holds no certificates: a full tile has 8 KiB, a proof less.
const SMALL: usize = 1 << 20;

/// Most octets read of an answer with certificates: a page of a thousand entries, a bundle.
const LARGE: usize = 64 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a call gave no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The base URL is none that a server of ours can have.
    #[error("{url:?} is no base URL: {reason}")]
    BaseUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server could not be reached, or the connection broke.
    #[error("{url}: {}", chain(source))]
    Transport {
        /// What was asked for.
        url: String,
        /// What broke.
        source: reqwest::Error,
    },
    /// It refused, and said why.
    #[error("{url}: status {status}, {problem}")]
    Problem {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Its reason, with the seconds of a `Retry-After` header.
        problem: Box<Problem>,
    },
    /// Something other than an answer of ours, perhaps from a proxy in between.
    #[error("{url}: status {status}, without a problem document")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The seconds of a `Retry-After` header.
        retry_after_seconds: Option<u32>,
    },
    /// An answer that is not what the protocol says.
    #[error("{url}: the answer does not parse: {reason}")]
    Unparsable {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An answer that is longer than any honest one.
    #[error("{url}: the answer is longer than {limit} octets")]
    TooLong {
        /// What was asked for.
        url: String,
        /// Most octets read of such an answer.
        limit: usize,
    },
}

impl ClientError {
    /// The server's reason, where it gave one that we know.
    pub fn token(&self) -> Option<Token> {
        match self {
            Self::Problem { problem, .. } => problem.token(),
            _ => None,
        }
    }

    /// The HTTP status, where there was an answer that is none of 200.
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Problem { status, .. } | Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Problem { problem, .. } => problem.retry_after_seconds,
            Self::Status { retry_after_seconds, .. } => *retry_after_seconds,
            _ => None,
        };
        seconds.map(|s| Duration::from_secs(s.into()))
    }
}

/// What every call to one server has: where it is, and the way to it.
#[derive(Clone, Debug)]
struct Site {
    http: Client,
    base: String,
}

impl Site {
    fn new(base: &str) -> Result<Self, ClientError> {
        let refuse = |reason: String| ClientError::BaseUrl { url: base.to_owned(), reason };
        let url = Url::parse(base).map_err(|e| refuse(e.to_string()))?;
        let mut builder = builder();
        if url.scheme() == "http" {
            // No certificate is ever looked at, so a machine without root certificates will do.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        Self::with_http(base, builder.build().map_err(|e| refuse(chain(&e)))?)
    }

    fn with_http(base: &str, http: Client) -> Result<Self, ClientError> {
        let refuse = |reason: &str| ClientError::BaseUrl { url: base.to_owned(), reason: reason.to_owned() };
        let url = Url::parse(base).map_err(|e| refuse(&e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse("it must start with http:// or https://"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it must not have a query or a fragment"));
        }
        Ok(Self { http, base: url.as_str().trim_end_matches('/').to_owned() })
    }

    fn base(&self) -> &str {
        &self.base
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).header(ACCEPT, "application/json")
    }

    async fn octets(&self, path: &str, limit: usize) -> Result<Vec<u8>, ClientError> {
        let url = self.url(path);
        Ok(exchange(self.http.request(Method::GET, &url), url, OK, limit).await?.octets)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, limit: usize) -> Result<T, ClientError> {
        let octets = exchange(self.request(Method::GET, path), self.url(path), OK, limit).await?.octets;
        parsed(&octets, || self.url(path))
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let request = self.with_body(self.request(Method::POST, path), path, body)?;
        let octets = exchange(request, self.url(path), OK, LARGE).await?.octets;
        parsed(&octets, || self.url(path))
    }

    fn with_body(
        &self,
        request: RequestBuilder,
        path: &str,
        body: &impl Serialize,
    ) -> Result<RequestBuilder, ClientError> {
        let unparsable = |e: serde_json::Error| ClientError::Unparsable { url: self.url(path), reason: e.to_string() };
        Ok(request.header(CONTENT_TYPE, "application/json").body(serde_json::to_vec(body).map_err(unparsable)?))
    }
}

/// What every client of ours starts from: timeouts of 5 seconds to connect and 30 for a whole answer, and no
/// redirects. What it trusts, and who it is, is for the caller to add.
pub fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("atl/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
}

/// What came with a success.
struct Answer {
    octets: Vec<u8>,
    /// The seconds of a `Retry-After` header.
    retry_after: Option<Duration>,
}

/// Sends, and reads the octets where the status is one of `good`; anything else is an error.
async fn exchange(request: RequestBuilder, url: String, good: &[u16], limit: usize) -> Result<Answer, ClientError> {
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(source) => return Err(ClientError::Transport { url, source: source.without_url() }),
    };
    if good.contains(&response.status().as_u16()) {
        let octets = bounded(&mut response, &url, limit).await?;
        let retry_after = retry_after(response.headers()).map(|s| Duration::from_secs(s.into()));
        return Ok(Answer { octets, retry_after });
    }
    Err(refusal(&mut response, url).await)
}

/// What a server said that did not do what it was asked for.
async fn refusal(response: &mut Response, url: String) -> ClientError {
    let (status, retry_after_seconds) = (response.status().as_u16(), retry_after(response.headers()));
    // What cannot be read of a refusal leaves the status to speak for itself.
    let body = bounded(response, &url, SMALL).await.unwrap_or_default();
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => {
            ClientError::Problem { url, status, problem: Box::new(Problem { retry_after_seconds, ..problem }) }
        }
        Err(_) => ClientError::Status { url, status, retry_after_seconds },
    }
}

/// The body, if it is no longer than `limit`.
async fn bounded(response: &mut Response, url: &str, limit: usize) -> Result<Vec<u8>, ClientError> {
    let too_long = || ClientError::TooLong { url: url.to_owned(), limit };
    let announced = usize::try_from(response.content_length().unwrap_or(0)).map_err(|_| too_long())?;
    if announced > limit {
        return Err(too_long());
    }
    let mut body = Vec::with_capacity(announced);
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if chunk.len() > limit - body.len() => return Err(too_long()),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(source) => {
                return Err(ClientError::Transport { url: url.to_owned(), source: source.without_url() });
            }
        }
    }
}

fn parsed<T: DeserializeOwned>(octets: &[u8], url: impl Fn() -> String) -> Result<T, ClientError> {
    serde_json::from_slice(octets)
        .map_err(|e| ClientError::Unparsable { url: url(), reason: e.to_string().chars().take(200).collect() })
}

/// The header's seconds. A date is none: it would need a clock, and our servers send seconds.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

/// The header is marked so that nothing writes it to a log. A token that no header can hold fails the call.
fn bearer(request: RequestBuilder, token: &str) -> RequestBuilder {
    match reqwest::header::HeaderValue::try_from(format!("Bearer {token}")) {
        Ok(mut value) => {
            value.set_sensitive(true);
            request.header(AUTHORIZATION, value)
        }
        Err(_) => request.bearer_auth(token),
    }
}

/// `path` with those of the parameters that are there.
fn with_query<const N: usize>(path: &str, parameters: [(&str, Option<String>); N]) -> String {
    let present = parameters.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", segment(&value?))));
    let query = present.collect::<Vec<_>>().join("&");
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Text as one segment of a path or one value of a query (RFC 3986 section 2.1).
fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(char::from(octet)),
            // A dot too: `..` would be another path.
            _ => out.push_str(&format!("%{octet:02X}")),
        }
    }
    out
}

/// Whether a URL leads to this machine itself, past which no proxy is asked.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// An error with all that caused it, which reqwest keeps out of its own message.
pub fn chain(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |e| e.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(all(test, feature = "server"))]
#[path = "client/tests.rs"]
mod tests;
