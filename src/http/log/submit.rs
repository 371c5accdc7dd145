//! `submit-entry` and `submit-entries`: from JSON to a SAT.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::{LogService, cache};
use crate::api::{
    B64, Problem, SubmitEntriesRequest, SubmitEntriesResponse, SubmitEntryRequest, SubmitEntryResponse, SubmitResult,
    Token,
};
use crate::http::limits::source;
use crate::http::problem::Failure;
use crate::log::admission::{Screened, VerifiedPath};
use crate::log::entry::{CertHash, Fingerprint, Sequenced, Submission};
use crate::log::sat::SignedAgentTimestamp;
use crate::merkle::Hash;
use crate::sequencer::task::Pending;
use crate::time::Stopwatch;

/// `POST /atl/v1/submit-entry`
pub async fn submit_entry(
    State(service): State<Arc<LogService>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let watch = Stopwatch::start();
    let outcome = async {
        // Before the body is read: to stall with one is not free.
        service.check_source(peer.ip())?;
        let body = service.intake.json(peer.ip(), &headers, body, service.parts.max_body_bytes).await?;
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
    let entries =
        service.split(peer.ip(), &headers, body).await.inspect_err(|failure| service.count_refusal(failure))?;
    // All are in the queue before the first is waited for, so that they share a commit.
    let mut waiting = Vec::with_capacity(entries.len());
    for entry in entries {
        waiting.push(service.enqueue(entry));
        // Each costs a signature check: let others have their turn.
        tokio::task::yield_now().await;
    }
    let mut results = Vec::with_capacity(waiting.len());
    for queued in waiting {
        let outcome = match queued {
            Ok(queued) => service.answer(queued).await,
            Err(failure) => Err(failure),
        };
        service.count(&outcome);
        results.push(match outcome {
            Ok(logged) => SubmitResult::Logged(logged),
            Err(Failure(problem)) => SubmitResult::Refused(problem),
        });
    }
    Ok(cache::json(cache::NEVER, &SubmitEntriesResponse { results }))
}

impl LogService {
    /// The entries of a batch, or why it is refused as a whole.
    async fn split(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Vec<Result<SubmitEntryRequest, Problem>>, Failure> {
        self.check_source(peer)?;
        let body = self.intake.json(peer, headers, body, self.parts.max_batch_body_bytes).await?;
        let entries = SubmitEntriesRequest::split_json(&body, self.parts.max_body_bytes)?;
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        self.per_source.take_rest(&source(peer), count).inspect_err(|_| self.turned_away("source"))?;
        Ok(entries)
    }

    async fn submit(&self, request: Result<SubmitEntryRequest, Problem>) -> Result<SubmitEntryResponse, Failure> {
        self.answer(self.enqueue(request)?).await
    }

    fn enqueue(&self, request: Result<SubmitEntryRequest, Problem>) -> Result<(CertHash, Pending), Failure> {
        let submission = self.admit(request)?;
        Ok((submission.cert_hash, self.parts.sequencer.enqueue(submission)?))
    }

    /// Everything that can be said before the tree is touched.
    fn admit(&self, request: Result<SubmitEntryRequest, Problem>) -> Result<Submission, Failure> {
        let request = request?;
        self.check_open()?;
        let now = self.parts.clock.now();
        let screened = Screened::new(request.submission.0, request.entry_type, &self.parts.rules, now)?;
        let (submission, anchor) = self.issued(screened, request.chain)?;
        self.per_anchor.take(&anchor, 1).inspect_err(|_| self.turned_away("anchor"))?;
        Ok(submission)
    }

    /// Signs a SAT once the entry is durable.
    async fn answer(&self, (cert_hash, queued): (CertHash, Pending)) -> Result<SubmitEntryResponse, Failure> {
        let Sequenced { index, timestamp } = queued.place().await?;
        let sat = SignedAgentTimestamp::sign(&*self.parts.signer, timestamp, cert_hash).map_err(|error| {
            tracing::error!(%error, "the key did not sign a SAT");
            Failure::new(Token::Overloaded, "the log's key did not sign; the entry is logged, send it again")
        })?;
        let sat = B64(sat.to_der());
        Ok(SubmitEntryResponse { sat, leaf_index: index, cert_hash: *cert_hash.hash(), timestamp })
    }

    /// The submission below the anchor that its chain leads to. CAs send the same chain thousands of
    /// times, so its verified path is kept; that of an empty one holds for its submission only.
    fn issued(&self, screened: Screened, chain: Vec<B64>) -> Result<(Submission, Fingerprint), Failure> {
        let key = (!chain.is_empty()).then(|| chain_key(&chain));
        if let Some(path) = key.and_then(|key| self.paths.get(&key)) {
            return Ok((screened.under(&path)?, path.anchor()));
        }
        let octets = chain.iter().map(|der| der.0.len()).sum();
        let chain = chain.into_iter().map(|der| der.0).collect();
        let (submission, path) = VerifiedPath::find(screened, chain, &self.parts.anchors, &self.parts.rules)?;
        let anchor = path.anchor();
        if let Some(key) = key {
            self.paths.keep(key, octets, &Arc::new(path));
        }
        Ok((submission, anchor))
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

    fn check_source(&self, address: IpAddr) -> Result<(), Failure> {
        self.per_source.take(&source(address), 1).inspect_err(|_| self.turned_away("source"))
    }

    pub(super) fn turned_away(&self, bucket: &str) {
        self.parts.metrics.turned_away.with_label_values(&[bucket]).inc();
    }

    fn count<T>(&self, outcome: &Result<T, Failure>) {
        match outcome {
            Ok(_) => self.parts.metrics.submissions.with_label_values(&["logged"]).inc(),
            Err(failure) => self.count_refusal(failure),
        }
    }

    fn count_refusal(&self, Failure(problem): &Failure) {
        let result = problem.token().map_or("other", Token::as_str);
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
