//! The log's HTTP API, called (protocol section 5).
//!
//! The client moves octets and reads JSON; it believes nothing and verifies nothing. Whoever calls
//! it holds the answers against a pinned key. It never retries: an error says whether and when to.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, Url, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::api::{
    AnchorsResponse, CertHashQuery, ConsistencyQuery, ConsistencyResponse, EntriesQuery, EntriesResponse,
    EntryResponse, LogDescriptor, Problem, ProofAndHeadResponse, ProofQuery, ProofResponse, SthResponse,
    SubmitEntriesRequest, SubmitEntriesResponse, SubmitEntryRequest, SubmitEntryResponse, Token,
};
use crate::merkle::Hash;

/// Most octets read of an answer that holds no certificates: a full tile has 8 KiB, a proof less.
const SMALL: usize = 1 << 20;

/// Most octets read of an answer with certificates: a page of a thousand entries, a bundle.
const LARGE: usize = 64 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a call gave no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The base URL is none that a log can have.
    #[error("{url:?} is no base URL of a log: {reason}")]
    BaseUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The log could not be reached, or the connection broke.
    #[error("{url}: {}", chain(source))]
    Transport {
        /// What was asked for.
        url: String,
        /// What broke.
        source: reqwest::Error,
    },
    /// The log refused, and said why.
    #[error("{url}: status {status}, {problem}")]
    Problem {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The log's reason, with the seconds of a `Retry-After` header.
        problem: Box<Problem>,
    },
    /// Something other than a log's answer, perhaps from a proxy in between.
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
    /// The log's reason, where it gave one that we know.
    pub fn token(&self) -> Option<Token> {
        match self {
            Self::Problem { problem, .. } => problem.token(),
            _ => None,
        }
    }

    /// How long the log asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Problem { problem, .. } => problem.retry_after_seconds,
            Self::Status { retry_after_seconds, .. } => *retry_after_seconds,
            _ => None,
        };
        seconds.map(|s| Duration::from_secs(s.into()))
    }
}

/// One log, by its base URL. Clones share their connections.
#[derive(Clone, Debug)]
pub struct LogClient {
    http: Client,
    base: String,
}

impl LogClient {
    /// A client of the log at `base`, such as `https://atl.example.com/2026h2`, with timeouts of
    /// 5 seconds to connect and 30 for a whole answer. It follows no redirect.
    ///
    /// # Errors
    /// Where `base` is not an `http` or `https` URL without query and fragment, or TLS cannot start.
    pub fn new(base: &str) -> Result<Self, ClientError> {
        let refuse = |reason: String| ClientError::BaseUrl { url: base.to_owned(), reason };
        let url = Url::parse(base).map_err(|e| refuse(e.to_string()))?;
        let mut builder = Client::builder()
            .user_agent(concat!("atl/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT);
        if url.scheme() == "http" {
            // No certificate is ever looked at, so a machine without root certificates will do.
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        Self::with_http(base, builder.build().map_err(|e| refuse(chain(&e)))?)
    }

    /// A client of the log at `base` through `http`, whose timeouts and trust are the caller's.
    ///
    /// # Errors
    /// Where `base` is not an `http` or `https` URL without query and fragment.
    pub fn with_http(base: &str, http: Client) -> Result<Self, ClientError> {
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

    /// The base URL, without a slash at its end.
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// `POST submit-entry`.
    pub async fn submit(&self, entry: &SubmitEntryRequest) -> Result<SubmitEntryResponse, ClientError> {
        self.post("atl/v1/submit-entry", entry).await
    }

    /// `POST submit-entries`, at most [`crate::api::MAX_BATCH_ENTRIES`]. There are as many results
    /// as entries, or it is an error.
    pub async fn submit_entries(&self, batch: &SubmitEntriesRequest) -> Result<SubmitEntriesResponse, ClientError> {
        let path = "atl/v1/submit-entries";
        let answer: SubmitEntriesResponse = self.post(path, batch).await?;
        if answer.results.len() == batch.entries.len() {
            return Ok(answer);
        }
        let reason = format!("{} results for {} entries", answer.results.len(), batch.entries.len());
        Err(ClientError::Unparsable { url: self.url(path), reason })
    }

    /// `GET get-sth`.
    pub async fn sth(&self) -> Result<SthResponse, ClientError> {
        self.get("atl/v1/get-sth", SMALL).await
    }

    /// `GET get-sth-consistency`.
    pub async fn consistency(&self, query: ConsistencyQuery) -> Result<ConsistencyResponse, ClientError> {
        self.get(&format!("atl/v1/get-sth-consistency?{}", query.to_query()), SMALL).await
    }

    /// `GET get-proof-by-hash`.
    pub async fn proof_by_hash(&self, query: ProofQuery) -> Result<ProofResponse, ClientError> {
        self.get(&format!("atl/v1/get-proof-by-hash?{}", query.to_query()), SMALL).await
    }

    /// `GET get-all-by-hash`.
    pub async fn all_by_hash(&self, query: ProofQuery) -> Result<ProofAndHeadResponse, ClientError> {
        self.get(&format!("atl/v1/get-all-by-hash?{}", query.to_query()), SMALL).await
    }

    /// `GET get-entries`. The log may answer with fewer entries than asked for.
    pub async fn entries(&self, query: EntriesQuery) -> Result<EntriesResponse, ClientError> {
        self.get(&format!("atl/v1/get-entries?{}", query.to_query()), LARGE).await
    }

    /// `GET get-entry-by-cert-hash`.
    pub async fn entry_by_cert_hash(&self, query: CertHashQuery) -> Result<EntryResponse, ClientError> {
        self.get(&format!("atl/v1/get-entry-by-cert-hash?{}", query.to_query()), LARGE).await
    }

    /// `GET get-anchors`.
    pub async fn anchors(&self) -> Result<AnchorsResponse, ClientError> {
        self.get("atl/v1/get-anchors", LARGE).await
    }

    /// `GET log`: the descriptor.
    pub async fn descriptor(&self) -> Result<LogDescriptor, ClientError> {
        self.get("atl/v1/log", SMALL).await
    }

    /// `GET checkpoint`: a signed note, which is UTF-8 text.
    pub async fn checkpoint(&self) -> Result<String, ClientError> {
        let octets = self.octets("checkpoint", SMALL).await?;
        let reason = |e: std::string::FromUtf8Error| e.to_string();
        String::from_utf8(octets)
            .map_err(|e| ClientError::Unparsable { url: self.url("checkpoint"), reason: reason(e) })
    }

    /// The octets of the tile or bundle at `path`, such as `tile/0/000` or `tile/certs/x001/002`.
    pub async fn tile(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        self.octets(path.trim_start_matches('/'), LARGE).await
    }

    /// `GET issuer`: DER of the chain certificate with this SHA-256.
    pub async fn issuer(&self, fingerprint: &Hash) -> Result<Vec<u8>, ClientError> {
        self.octets(&format!("issuer/{fingerprint}"), SMALL).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    async fn octets(&self, path: &str, limit: usize) -> Result<Vec<u8>, ClientError> {
        let url = self.url(path);
        exchange(self.http.request(Method::GET, &url), url, limit).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, limit: usize) -> Result<T, ClientError> {
        let url = self.url(path);
        let request = self.http.request(Method::GET, &url).header(ACCEPT, "application/json");
        let octets = exchange(request, url, limit).await?;
        parsed(&octets, || self.url(path))
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        let unparsable = |e: serde_json::Error| ClientError::Unparsable { url: self.url(path), reason: e.to_string() };
        let body = serde_json::to_vec(body).map_err(unparsable)?;
        let request = self.http.request(Method::POST, self.url(path));
        let request = request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json").body(body);
        let octets = exchange(request, self.url(path), LARGE).await?;
        parsed(&octets, || self.url(path))
    }
}

/// Sends, and reads the octets of a 200; anything else is an error.
async fn exchange(request: RequestBuilder, url: String, limit: usize) -> Result<Vec<u8>, ClientError> {
    let mut response = match request.send().await {
        Ok(response) => response,
        Err(source) => return Err(ClientError::Transport { url, source: source.without_url() }),
    };
    let status = response.status().as_u16();
    if status == 200 {
        return bounded(&mut response, &url, limit).await;
    }
    let retry_after_seconds = retry_after(response.headers());
    // What cannot be read of a refusal leaves the status to speak for itself.
    let body = bounded(&mut response, &url, SMALL).await.unwrap_or_default();
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => {
            Err(ClientError::Problem { url, status, problem: Box::new(Problem { retry_after_seconds, ..problem }) })
        }
        Err(_) => Err(ClientError::Status { url, status, retry_after_seconds }),
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

/// The header's seconds. A date is none: it would need a clock, and our logs send seconds.
fn retry_after(headers: &HeaderMap) -> Option<u32> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// An error with all that caused it, which reqwest keeps out of its own message.
fn chain(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |e| e.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(all(test, feature = "server"))]
#[path = "client/tests.rs"]
mod tests;
