//! The JSON calls that read: heads, proofs, entries, and what the log says of itself.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::{LogService, cache};
use crate::api::{
    AnchorsResponse, B64, CertHashQuery, ConsistencyQuery, ConsistencyResponse, EntriesQuery, EntriesResponse,
    EntryResponse, ProofAndHeadResponse, ProofQuery, ProofResponse, SthResponse, Token,
};
use crate::http::problem::Failure;
use crate::log::entry::{CertHash, Fingerprint};
use crate::log::sth::SignedTreeHead;
use crate::log::store::{LogStore, StoreError};
use crate::log::view::{View, ViewError, ViewedEntry};
use crate::merkle::TreeSize;
use crate::sequencer::head::PublishedHead;
use crate::time::Stopwatch;

type Service = State<Arc<LogService>>;

/// What readers see: the store up to the last signed head.
pub type Covered<'a> = View<'a, dyn LogStore>;

/// Why a reader gets nothing.
pub enum Denied {
    /// The request asks for what cannot be.
    Request(Failure),
    /// What it asks for is not to be seen.
    View(ViewError),
}

impl From<Failure> for Denied {
    fn from(failure: Failure) -> Self {
        Self::Request(failure)
    }
}

impl From<ViewError> for Denied {
    fn from(error: ViewError) -> Self {
        Self::View(error)
    }
}

impl LogService {
    /// Reads from the store on a thread that may block, `call` naming the metric.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        call: &'static str,
        read: impl FnOnce(&Covered<'_>, &PublishedHead) -> Result<T, Denied> + Send + 'static,
    ) -> Result<T, Failure> {
        let Ok(permit) = Arc::clone(&self.readers).try_acquire_owned() else {
            self.turned_away("readers");
            return Err(Failure::new(Token::Overloaded, "too many readers are being answered; try again"));
        };
        let service = Arc::clone(self);
        let work = move || {
            let watch = Stopwatch::start();
            let head = service.parts.sequencer.head();
            let answer = read(&View::new(&*service.parts.store, head.sth.head.size), &head);
            service.parts.metrics.read_seconds.with_label_values(&[call]).observe(watch.elapsed().as_secs_f64());
            drop(permit);
            answer.map_err(|denied| service.refuse(denied, &head))
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| Err(Failure::new(Token::Internal, "the answer could not be read")))
    }

    /// The refusal that a reader gets. Damage also stops the log: what else it would say cannot
    /// be trusted either.
    fn refuse(&self, denied: Denied, head: &PublishedHead) -> Failure {
        let error = match denied {
            Denied::Request(failure) => return failure,
            Denied::View(error) => error,
        };
        match &error {
            ViewError::Store(StoreError::Corrupt(what)) => {
                self.damage.send_if_modified(|first| first.is_none() && first.replace(what.clone()).is_none());
            }
            ViewError::NotCovered => {
                // It is worth asking again behind the next head.
                let next = head.sth.head.timestamp.saturating_add(self.sth_interval_ms());
                let seconds = next.since(self.parts.clock.now()).div_ceil(1000);
                let seconds = u32::try_from(seconds).unwrap_or(u32::MAX).max(1);
                return Failure(Failure::from(error).0.retry_after(seconds));
            }
            _ => {}
        }
        Failure::from(error)
    }

    pub(super) const fn sth_interval_ms(&self) -> u64 {
        self.parts.descriptor.sth_interval_seconds.saturating_mul(1000)
    }

    /// Entries never change where nothing is ever pruned.
    pub(super) const fn body_cache(&self) -> axum::http::HeaderValue {
        if self.parts.descriptor.retention_seconds == 0 { cache::FOREVER } else { cache::HOUR }
    }
}

/// `GET /atl/v1/get-sth`
pub async fn get_sth(State(service): Service) -> Response {
    let head = service.parts.sequencer.head();
    let cache = cache::until_next_head(&head, service.sth_interval_ms(), service.parts.clock.now());
    cache::json(cache, &sth_response(&head.sth))
}

/// `GET /atl/v1/get-sth-consistency`
pub async fn get_sth_consistency(State(service): Service, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = ConsistencyQuery::parse(query.as_deref().unwrap_or_default())?;
    let answer = service.read("get-sth-consistency", move |view, head| {
        let covered = head.sth.head.size;
        let second = query.second.unwrap_or(covered);
        let unknown = |token, size: TreeSize| {
            let detail = format!("no signed tree head covers {size} entries; the last one has {covered}");
            Err(Failure::new(token, detail).into())
        };
        if query.first > covered {
            return unknown(Token::FirstUnknown, query.first);
        }
        if second > covered {
            return unknown(Token::SecondUnknown, second);
        }
        let consistency = view.consistency(query.first, second)?;
        Ok(ConsistencyResponse { first: query.first, second, consistency })
    });
    let cache = if query.second.is_some() { cache::FOREVER } else { cache::NEVER };
    Ok(cache::json(cache, &answer.await?))
}

/// `GET /atl/v1/get-proof-by-hash`
pub async fn get_proof_by_hash(State(service): Service, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = ProofQuery::parse(query.as_deref().unwrap_or_default())?;
    let answer = service.read("get-proof-by-hash", move |view, head| Ok(proof(view, head, query)?)).await?;
    let cache = if query.tree_size.is_some() { cache::FOREVER } else { cache::NEVER };
    Ok(cache::json(cache, &answer))
}

/// `GET /atl/v1/get-all-by-hash`
pub async fn get_all_by_hash(State(service): Service, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = ProofQuery::parse(query.as_deref().unwrap_or_default())?;
    let answer = service.read("get-all-by-hash", move |view, head| {
        let proof = proof(view, head, query)?;
        let consistency = view.consistency(proof.tree_size, head.sth.head.size)?;
        Ok(ProofAndHeadResponse { proof, sth: sth_response(&head.sth), consistency })
    });
    Ok(cache::json(cache::NEVER, &answer.await?))
}

/// `GET /atl/v1/get-entries`
pub async fn get_entries(State(service): Service, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = EntriesQuery::parse(query.as_deref().unwrap_or_default())?;
    let entries = service.read("get-entries", move |view, head| {
        let Some(entries) = view.entries(query.start, query.end)? else {
            let detail =
                format!("no signed tree head covers index {}; the last one has {}", query.start, head.sth.head.size);
            return Err(Failure::new(Token::StartUnknown, detail).into());
        };
        Ok(entry_responses(view, entries)?)
    });
    let entries = entries.await?;
    let complete = entries.last().is_some_and(|last| last.leaf_index == query.end);
    let cache = if complete { service.body_cache() } else { cache::NEVER };
    Ok(cache::json(cache, &EntriesResponse { entries }))
}

/// `GET /atl/v1/get-entry-by-cert-hash`
pub async fn get_entry_by_cert_hash(State(service): Service, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = CertHashQuery::parse(query.as_deref().unwrap_or_default())?;
    let entry = service.read("get-entry-by-cert-hash", move |view, _| {
        let entry = view.entry(&CertHash::from(query.cert_hash))?;
        Ok(entry_responses(view, vec![entry])?.pop())
    });
    let entry = entry.await?.ok_or_else(|| Failure::new(Token::Internal, "the entry could not be read"))?;
    Ok(cache::json(service.body_cache(), &entry))
}

/// `GET /atl/v1/get-anchors`
pub async fn get_anchors(State(service): Service) -> Response {
    let certificates = service.parts.anchors.iter().map(|anchor| B64(anchor.certificate().der().to_vec())).collect();
    let max_chain_length = u32::try_from(service.parts.rules.max_chain_length).unwrap_or(u32::MAX);
    cache::json(cache::NEVER, &AnchorsResponse { certificates, max_chain_length })
}

/// `GET /atl/v1/log`
pub async fn get_log(State(service): Service) -> Response {
    cache::json(cache::NEVER, &service.parts.descriptor)
}

fn proof(view: &Covered<'_>, head: &PublishedHead, query: ProofQuery) -> Result<ProofResponse, ViewError> {
    let tree_size = query.tree_size.unwrap_or(head.sth.head.size);
    if tree_size.is_empty() && query.tree_size.is_none() {
        // Nothing is covered yet: say whether the hash is on its way, rather than talk of sizes.
        view.locate(&query.hash)?;
    }
    let (leaf_index, inclusion) = view.inclusion(&query.hash, tree_size)?;
    Ok(ProofResponse { leaf_index, tree_size, inclusion })
}

fn sth_response(sth: &SignedTreeHead) -> SthResponse {
    SthResponse {
        log_id: sth.log_id,
        tree_size: sth.head.size,
        timestamp: sth.head.timestamp,
        root_hash: sth.head.root,
        signature: B64(sth.signature.clone()),
    }
}

fn entry_responses(view: &Covered<'_>, entries: Vec<ViewedEntry>) -> Result<Vec<EntryResponse>, ViewError> {
    let mut wanted: Vec<_> = entries.iter().flat_map(|e| e.record.chain.iter().copied()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let found = view.issuers(&wanted)?;
    let certificate =
        |print: &Fingerprint| wanted.binary_search(print).ok().and_then(|place| found.get(place)?.clone()).map(B64);
    let response = |entry: ViewedEntry| {
        let chain: Option<Vec<B64>> = entry.record.chain.iter().map(certificate).collect();
        let missing = || StoreError::Corrupt(format!("a chain certificate of index {} is missing", entry.index));
        Ok(EntryResponse {
            chain: chain.ok_or_else(missing)?,
            leaf_index: entry.index,
            timestamp: entry.record.timestamp,
            entry_type: entry.record.entry_type,
            submission: entry.submission.map(B64),
            cert_hash: *entry.record.cert_hash.hash(),
        })
    };
    let responses: Result<_, StoreError> = entries.into_iter().map(response).collect();
    responses.map_err(ViewError::from)
}
