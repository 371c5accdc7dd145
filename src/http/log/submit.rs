//! `submit-entry` and `submit-entries`: from JSON to a SAT.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;

use super::{LogService, MAX_KEPT_PATHS, cache};
use crate::api::{
    B64, Problem, SubmitEntriesRequest, SubmitEntriesResponse, SubmitEntryRequest, SubmitEntryResponse, SubmitResult,
    Token,
};
use crate::http::limits::source;
use crate::http::problem::Failure;
use crate::log::admission::{Screened, VerifiedPath};
use crate::log::entry::{Sequenced, Submission};
use crate::log::sat::SignedAgentTimestamp;
use crate::merkle::Hash;
use crate::time::Stopwatch;

/// A `submit-entries` body may be so many times as long as a `submit-entry` body: by default 4 MiB
/// (protocol section 5).
const BATCH_BODIES: usize = 16;
/// A client has this long to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// `POST /atl/v1/submit-entry`
pub async fn submit_entry(
    State(service): State<Arc<LogService>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let watch = Stopwatch::start();
    let outcome = async {
        let body = read_json(&headers, body, service.parts.max_body_bytes).await?;
        service.check_source(peer.ip(), 1)?;
        service.submit(SubmitEntryRequest::from_json(&body)).await
    };
    let outcome = outcome.await;
    service.count(&outcome);
    service.parts.metrics.submission_seconds.observe(watch.elapsed().as_secs_f64());
    Ok(cache::json(cache::NEVER, &outcome?))
}

/// `POST /atl/v1/submit-entries`: each entry is answered for itself.
pub async fn submit_entries(
    State(service): State<Arc<LogService>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let limit = service.parts.max_body_bytes.saturating_mul(BATCH_BODIES);
    let body = read_json(&headers, body, limit).await?;
    let entries = SubmitEntriesRequest::split_json(&body)?;
    service.check_source(peer.ip(), u32::try_from(entries.len()).unwrap_or(u32::MAX))?;
    // All are admitted before the first waits, so that they share a commit.
    let waiting: Vec<_> = entries
        .into_iter()
        .map(|entry| {
            let service = Arc::clone(&service);
            let admitted = service.admit(entry);
            tokio::spawn(async move { service.sequence(admitted?).await })
        })
        .collect();
    let mut results = Vec::with_capacity(waiting.len());
    for task in waiting {
        let lost = |_| Err(Failure::new(Token::Internal, "the submission was lost inside the log; send it again"));
        let outcome = task.await.unwrap_or_else(lost);
        service.count(&outcome);
        results.push(match outcome {
            Ok(logged) => SubmitResult::Logged(logged),
            Err(Failure(problem)) => SubmitResult::Refused(problem),
        });
    }
    Ok(cache::json(cache::NEVER, &SubmitEntriesResponse { results }))
}

impl LogService {
    async fn submit(&self, request: Result<SubmitEntryRequest, Problem>) -> Result<SubmitEntryResponse, Failure> {
        self.sequence(self.admit(request)?).await
    }

    /// Everything that can be said before the tree is touched.
    fn admit(&self, request: Result<SubmitEntryRequest, Problem>) -> Result<Submission, Failure> {
        let request = request?;
        self.check_open()?;
        let now = self.parts.clock.now();
        let screened = Screened::new(request.submission.0, request.entry_type, &self.parts.rules, now)?;
        let path = self.path(&screened, request.chain)?;
        let submission = screened.under(&path)?;
        self.per_anchor.take(&path.anchor(), 1).inspect_err(|_| self.turned_away("anchor"))?;
        Ok(submission)
    }

    async fn sequence(&self, submission: Submission) -> Result<SubmitEntryResponse, Failure> {
        let cert_hash = submission.cert_hash;
        let Sequenced { index, timestamp } = self.parts.sequencer.submit(submission).await?;
        let sat = SignedAgentTimestamp::sign(&*self.parts.signer, timestamp, cert_hash).map_err(|error| {
            tracing::error!(%error, "the key did not sign a SAT");
            Failure::new(Token::Overloaded, "the log's key did not sign; the entry is logged, send it again")
        })?;
        let sat = B64(sat.to_der());
        Ok(SubmitEntryResponse { sat, leaf_index: index, cert_hash: *cert_hash.hash(), timestamp })
    }

    /// The verified path of a chain. CAs send the same one thousands of times, so it is kept.
    fn path(&self, screened: &Screened, chain: Vec<B64>) -> Result<Arc<VerifiedPath>, Failure> {
        let find = |chain| VerifiedPath::find(screened, chain, &self.parts.anchors, &self.parts.rules).map(Arc::new);
        if chain.is_empty() {
            return Ok(find(Vec::new())?);
        }
        let key = chain_key(&chain);
        if let Some(path) = self.paths.read().get(&key) {
            return Ok(Arc::clone(path));
        }
        let path = find(chain.into_iter().map(|der| der.0).collect())?;
        let mut paths = self.paths.write();
        if paths.len() >= MAX_KEPT_PATHS {
            paths.clear();
        }
        paths.insert(key, Arc::clone(&path));
        Ok(path)
    }

    fn check_open(&self) -> Result<(), Failure> {
        if self.gate.closing.load(Relaxed) {
            return Err(Failure::new(Token::Shutdown, "the log is shutting down; nothing was logged, try again"));
        }
        if self.gate.disk_low.load(Relaxed) {
            let detail = "the log's disk is nearly full, so it takes nothing in; readers are still answered";
            return Err(Failure(Problem::new(Token::ReadOnly, detail).retry_after(60)));
        }
        Ok(())
    }

    fn check_source(&self, address: IpAddr, entries: u32) -> Result<(), Failure> {
        self.per_source.take(&source(address), entries).inspect_err(|_| self.turned_away("source"))
    }

    pub(super) fn turned_away(&self, bucket: &str) {
        self.parts.metrics.turned_away.with_label_values(&[bucket]).inc();
    }

    fn count<T>(&self, outcome: &Result<T, Failure>) {
        let result = match outcome {
            Ok(_) => "logged",
            Err(Failure(problem)) => problem.token().map_or("other", Token::as_str),
        };
        self.parts.metrics.submissions.with_label_values(&[result]).inc();
    }
}

/// Names a chain by its octets, their lengths included.
fn chain_key(chain: &[B64]) -> Hash {
    let mut octets = Vec::with_capacity(chain.iter().map(|der| 8 + der.0.len()).sum());
    for der in chain {
        octets.extend_from_slice(&der.0.len().to_be_bytes());
        octets.extend_from_slice(&der.0);
    }
    Hash::of(&octets)
}

/// A JSON body within its limits of size and time.
async fn read_json(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Failure> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let media = text(header::CONTENT_TYPE).map(|t| t.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    if media.is_some_and(|media| media != "application/json") {
        return Err(Failure::new(Token::UnsupportedMediaType, "send the request as application/json"));
    }
    if text(header::CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Failure::new(Token::UnsupportedMediaType, "send the request without a content encoding"));
    }
    let too_large = || Failure::new(Token::TooLarge, format!("the body may have at most {limit} octets"));
    let stated = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if stated.is_some_and(|stated| stated > limit as u64) {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, limit)).await {
        Ok(Ok(octets)) => Ok(octets),
        Ok(Err(error)) if is_length_limit(&error) => Err(too_large()),
        Ok(Err(error)) => Err(Failure::new(Token::Malformed, format!("the body cannot be read: {error}"))),
        Err(_) => Err(Failure::new(Token::Malformed, "the body did not arrive in time")),
    }
}

fn is_length_limit(error: &axum::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
