//! The JSON calls that read: heads, proofs, entries, and what the log says of itself.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderValue;
use axum::response::Response;
use serde::Serialize;
use tokio::sync::Semaphore;

use super::{LogService, cache};
use crate::api::{
    AnchorsResponse, B64, CertHashQuery, ConsistencyQuery, ConsistencyResponse, EntriesQuery, EntriesResponse,
    EntryResponse, ProofAndHeadResponse, ProofQuery, ProofResponse, SthResponse, Token,
};
use crate::http::activity::Tied;
use crate::http::problem::Failure;
use crate::log::admission::{Anchors, Rules};
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

/// An answer as it goes out, made where it may take its time.
pub struct Answer {
    octets: Vec<u8>,
    content_type: HeaderValue,
    cache: HeaderValue,
}

impl Answer {
    /// JSON.
    pub fn json(cache: HeaderValue, value: &impl Serialize) -> Result<Self, Denied> {
        let octets = serde_json::to_vec(value).map_err(|error| {
            tracing::error!(%error, "an answer cannot be written as JSON");
            Failure::new(Token::Internal, "the answer cannot be written")
        })?;
        Ok(Self::octets(cache, HeaderValue::from_static("application/json"), octets))
    }

    /// Octets of any type.
    pub const fn octets(cache: HeaderValue, content_type: HeaderValue, octets: Vec<u8>) -> Self {
        Self { octets, content_type, cache }
    }
}

/// How much memory a read works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Kilobytes.
    Small,
    /// As much as one answer may have; a few at a time.
    Large,
    /// Certificates of a whole bundle, which cannot be cut short.
    Bundle,
}

impl Weight {
    const fn turns(self) -> u32 {
        match self {
            Self::Small => 0,
            Self::Large => 1,
            Self::Bundle => 2,
        }
    }
}

impl LogService {
    /// Answers from the store, `call` naming the metric. The answer's octets count as long as they
    /// are in memory.
    pub(super) async fn read(
        self: &Arc<Self>,
        call: &'static str,
        weight: Weight,
        read: impl FnOnce(&Covered<'_>, &PublishedHead) -> Result<Answer, Denied> + Send + 'static,
    ) -> Result<Response, Failure> {
        // Those who wait for a turn must not take the places of those who need none.
        let places = if weight == Weight::Small { &self.readers } else { &self.large_readers };
        let Ok(permit) = Arc::clone(places).try_acquire_owned() else {
            self.turned_away("readers");
            return Err(Failure::new(Token::Overloaded, "too many readers are being answered; try again"));
        };
        let closed = |_| Failure::new(Token::Internal, "the log reads no more");
        let turn = Arc::clone(&self.large).acquire_many_owned(weight.turns()).await.map_err(closed)?;
        let service = Arc::clone(self);
        let answer = self.at_store(call, move |view, head| {
            let _turns = (permit, turn);
            let mut answer = read(view, head)?;
            answer.octets.shrink_to_fit();
            let octets = within(&service.answers, std::mem::take(&mut answer.octets));
            Ok((answer, octets.inspect_err(|_| service.turned_away("answers"))?))
        });
        let (answer, octets) = answer.await?;
        Ok(cache::octets(answer.cache, answer.content_type, octets))
    }

    /// Does something with the store on a thread that may block.
    pub(super) async fn at_store<T: Send + 'static>(
        self: &Arc<Self>,
        call: &'static str,
        read: impl FnOnce(&Covered<'_>, &PublishedHead) -> Result<T, Denied> + Send + 'static,
    ) -> Result<T, Failure> {
        let service = Arc::clone(self);
        let work = move || {
            let watch = Stopwatch::start();
            let head = service.parts.sequencer.head();
            let answer = read(&View::new(&*service.parts.store, head.sth.head.size), &head);
            service.parts.metrics.read_seconds.with_label_values(&[call]).observe(watch.elapsed().as_secs_f64());
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
    pub(super) const fn body_cache(&self) -> HeaderValue {
        if self.parts.descriptor.retention_seconds == 0 { cache::FOREVER } else { cache::HOUR }
    }
}

/// Octets that hold their part of the budget until the last of them is gone, from whatever buffer
/// they wait in.
fn within(budget: &Arc<Semaphore>, octets: Vec<u8>) -> Result<Bytes, Failure> {
    let permit = u32::try_from(octets.len()).ok().and_then(|n| Arc::clone(budget).try_acquire_many_owned(n).ok());
    let detail = "readers have yet to take what they were answered; try again";
    let permit = permit.ok_or_else(|| Failure::new(Token::Overloaded, detail))?;
    Ok(Bytes::from_owner(Tied(octets.into(), permit)))
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
    let cache = if query.second.is_some() { cache::FOREVER } else { cache::NEVER };
    let answer = service.read("get-sth-consistency", Weight::Small, move |view, head| {
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
        Answer::json(cache, &ConsistencyResponse { first: query.first, second, consistency })
    });
    answer.await
}

/// `GET /atl/v1/get-proof-by-hash`
pub async fn get_proof_by_hash(State(service): Service, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = ProofQuery::parse(query.as_deref().unwrap_or_default())?;
    let cache = if query.tree_size.is_some() { cache::FOREVER } else { cache::NEVER };
    let answer = move |view: &Covered<'_>, head: &PublishedHead| Answer::json(cache, &proof(view, head, query)?);
    service.read("get-proof-by-hash", Weight::Small, answer).await
}

/// `GET /atl/v1/get-all-by-hash`
pub async fn get_all_by_hash(State(service): Service, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = ProofQuery::parse(query.as_deref().unwrap_or_default())?;
    let answer = service.read("get-all-by-hash", Weight::Small, move |view, head| {
        let proof = proof(view, head, query)?;
        let consistency = view.consistency(proof.tree_size, head.sth.head.size)?;
        Answer::json(cache::NEVER, &ProofAndHeadResponse { proof, sth: sth_response(&head.sth), consistency })
    });
    answer.await
}

/// `GET /atl/v1/get-entries`
pub async fn get_entries(State(service): Service, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = EntriesQuery::parse(query.as_deref().unwrap_or_default())?;
    let body_cache = service.body_cache();
    let answer = service.read("get-entries", Weight::Large, move |view, head| {
        let Some(entries) = view.entries(query.start, query.end)? else {
            let detail =
                format!("no signed tree head covers index {}; the last one has {}", query.start, head.sth.head.size);
            return Err(Failure::new(Token::StartUnknown, detail).into());
        };
        let complete = entries.last().is_some_and(|last| last.index == query.end);
        let cache = if complete { body_cache } else { cache::NEVER };
        Answer::json(cache, &EntriesResponse { entries: entry_responses(view, entries)? })
    });
    answer.await
}

/// `GET /atl/v1/get-entry-by-cert-hash`
pub async fn get_entry_by_cert_hash(State(service): Service, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let query = CertHashQuery::parse(query.as_deref().unwrap_or_default())?;
    let cache = service.body_cache();
    let answer = service.read("get-entry-by-cert-hash", Weight::Small, move |view, _| {
        let entry = view.entry(&CertHash::from(query.cert_hash))?;
        let entry = entry_responses(view, vec![entry])?.pop();
        Answer::json(cache, &entry.ok_or_else(|| Failure::new(Token::Internal, "the entry could not be read"))?)
    });
    answer.await
}

/// `GET /atl/v1/get-anchors`
pub async fn get_anchors(State(service): Service) -> Response {
    cache::octets(cache::NEVER, HeaderValue::from_static("application/json"), service.anchors.clone())
}

/// What `get-anchors` answers, written once: anchors do not change while a log runs.
pub fn anchors_json(anchors: &Anchors, rules: &Rules) -> Bytes {
    let certificates = anchors.iter().map(|anchor| B64(anchor.certificate().der().to_vec())).collect();
    let max_chain_length = u32::try_from(rules.max_chain_length).unwrap_or(u32::MAX);
    serde_json::to_vec(&AnchorsResponse { certificates, max_chain_length }).unwrap_or_default().into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_hold_their_budget_as_long_as_any_octet_is_left() {
        let budget = Arc::new(Semaphore::new(10));
        let mut answer = within(&budget, vec![1; 8]).unwrap();
        let refused = within(&budget, vec![1; 3]).unwrap_err().0;
        assert_eq!((refused.status, refused.retry_after_seconds), (503, Some(1)));
        let rest = answer.split_off(7);
        drop(answer);
        assert_eq!(budget.available_permits(), 2);
        drop(rest);
        assert_eq!(budget.available_permits(), 10);
    }
}
