//! The log's HTTP API (protocol section 5).

mod kept;
mod ops;
mod read;
mod submit;
mod tiles;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::routing::{MethodRouter, get, post};
use kept::Kept;
use parking_lot::RwLock;
use tokio::sync::{Semaphore, watch};

use super::body::Intake;
use super::cache;
use super::limits::{Buckets, Rate};
use super::metrics::{Metrics, level};
use super::ops::healthz;
use super::problem::Failure;
use crate::api::{LogDescriptor, Token};
use crate::keys::Signer;
use crate::log::admission::{Anchors, Rules, VerifiedPath};
use crate::log::entry::Fingerprint;
use crate::log::store::LogStore;
use crate::log::witnessing::{Cosignature, Cosignatures};
use crate::sequencer::task::Sequencer;
use crate::time::Clock;

/// Readers that may be at the store or wait for their turn there, of small answers and of large
/// ones each; more are asked to come again.
const MAX_READERS: usize = 64;
/// Turns of those readers whose answers are large, so that what they work with stays bounded.
const LARGE_TURNS: usize = 4;
/// Octets of all answers together that readers have not taken yet.
const MAX_ANSWERS: usize = 128 << 20;

/// What the log's calls work with: ports and plain settings.
pub struct LogParts {
    /// Gives submissions their place and knows the last head.
    pub sequencer: Arc<Sequencer>,
    /// What readers read.
    pub store: Arc<dyn LogStore>,
    /// Signs SATs.
    pub signer: Arc<dyn Signer>,
    /// The clock that admission compares with.
    pub clock: Arc<dyn Clock>,
    /// Whose certificates the log records.
    pub anchors: Anchors,
    /// What else a submission must satisfy.
    pub rules: Rules,
    /// What the log says of itself.
    pub descriptor: LogDescriptor,
    /// Submissions per source address.
    pub per_source: Rate,
    /// Submissions per anchor.
    pub per_anchor: Rate,
    /// Octets that a `submit-entry` body may have.
    pub max_body_bytes: usize,
    /// Octets that a `submit-entries` body may have.
    pub max_batch_body_bytes: usize,
    /// Where measurements go.
    pub metrics: Arc<Metrics>,
}

/// One log behind its HTTP API. A process may have several.
pub struct LogService {
    parts: LogParts,
    gate: Gate,
    paths: Kept<VerifiedPath>,
    cosignatures: RwLock<Cosignatures>,
    per_source: Buckets<std::net::IpAddr>,
    per_anchor: Buckets<Fingerprint>,
    anchors: Bytes,
    intake: Intake,
    readers: Arc<Semaphore>,
    large_readers: Arc<Semaphore>,
    large: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    probes: Arc<Semaphore>,
    damage: watch::Sender<Option<String>>,
}

/// Why the log takes nothing in at the moment, if so.
#[derive(Debug, Default)]
struct Gate {
    disk_low: AtomicBool,
    closing: AtomicBool,
}

/// Where metrics are, on this listener or on one of their own.
const METRICS: &str = "/metrics";

/// Every path beside that of the metrics, and what answers there.
fn routes() -> [(&'static str, MethodRouter<Arc<LogService>>); 16] {
    [
        ("/atl/v1/submit-entry", post(submit::submit_entry)),
        ("/atl/v1/submit-entries", post(submit::submit_entries)),
        ("/atl/v1/get-sth", get(read::get_sth)),
        ("/atl/v1/get-sth-consistency", get(read::get_sth_consistency)),
        ("/atl/v1/get-proof-by-hash", get(read::get_proof_by_hash)),
        ("/atl/v1/get-all-by-hash", get(read::get_all_by_hash)),
        ("/atl/v1/get-entries", get(read::get_entries)),
        ("/atl/v1/get-entry-by-cert-hash", get(read::get_entry_by_cert_hash)),
        ("/atl/v1/get-anchors", get(read::get_anchors)),
        ("/atl/v1/log", get(read::get_log)),
        ("/checkpoint", get(tiles::checkpoint)),
        ("/tile/{*path}", get(tiles::tile)),
        ("/issuer/{fingerprint}", get(tiles::issuer)),
        ("/healthz", get(healthz)),
        ("/readyz", get(ops::readyz)),
        ("/openapi.json", get(ops::openapi)),
    ]
}

/// Every path that a log answers at; `{*path}` stands for the rest of one. What the OpenAPI document
/// must describe.
pub fn paths() -> impl Iterator<Item = &'static str> {
    routes().into_iter().map(|(path, _)| path).chain([METRICS])
}

impl LogService {
    /// The service of these parts.
    pub fn new(parts: LogParts) -> Self {
        parts.metrics.starts_at(&parts.sequencer.head().sth);
        Self {
            gate: Gate::default(),
            paths: Kept::new(),
            cosignatures: RwLock::new(Cosignatures::of(parts.descriptor.witnesses.len())),
            per_source: Buckets::new(parts.per_source, "this source address"),
            per_anchor: Buckets::new(parts.per_anchor, "this anchor"),
            anchors: read::anchors_json(&parts.anchors, &parts.rules),
            intake: Intake::new(),
            readers: Arc::new(Semaphore::new(MAX_READERS)),
            large_readers: Arc::new(Semaphore::new(MAX_READERS)),
            large: Arc::new(Semaphore::new(LARGE_TURNS)),
            answers: Arc::new(Semaphore::new(MAX_ANSWERS)),
            probes: Arc::new(Semaphore::new(1)),
            damage: watch::Sender::new(None),
            parts,
        }
    }

    /// The routes of this log. `with_metrics` serves `/metrics` beside them.
    pub fn router(self: Arc<Self>, with_metrics: bool) -> Router {
        let router = routes().into_iter().fold(Router::new(), |router, (path, answer)| router.route(path, answer));
        let router = if with_metrics { router.route(METRICS, get(ops::metrics)) } else { router };
        router
            .fallback(|| async { Failure::new(Token::NotFound, "no call or file of this log has this path") })
            .method_not_allowed_fallback(|| async {
                Failure::new(Token::MethodNotAllowed, "this path answers to another method")
            })
            .layer(DefaultBodyLimit::disable()) // each handler bounds its own body
            .with_state(self)
    }

    /// The `/metrics` route alone, for a listener of its own.
    pub fn metrics_router(self: Arc<Self>) -> Router {
        Router::new().route(METRICS, get(ops::metrics)).with_state(self)
    }

    /// Opens or closes the log for submissions, by the room that the disk has left.
    pub fn set_disk(&self, available: u64, low_watermark: Option<NonZeroU64>) {
        use std::sync::atomic::Ordering::Relaxed;
        let low = low_watermark.is_some_and(|mark| available < mark.get());
        if low != self.gate.disk_low.swap(low, Relaxed) {
            tracing::warn!(available, read_only = low, "the disk crossed its low watermark");
        }
        self.parts.metrics.disk_available.set(level(available));
        self.parts.metrics.read_only.set(i64::from(low));
    }

    /// Serves this cosignature on the checkpoint from now on, where the newest head still is of its tree. `witness`
    /// is the place of whose it is among those of the descriptor.
    pub fn cosigned(&self, witness: usize, cosignature: Cosignature) {
        let head = self.parts.sequencer.head();
        self.cosignatures.write().add(witness, cosignature, &head.checkpoint);
    }

    /// Takes no more submissions; readers are still answered.
    pub fn close(&self) {
        self.gate.closing.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Resolves when a reader came upon damage in the store, with what it is.
    pub async fn damaged(&self) -> String {
        let mut damage = self.damage.subscribe();
        match damage.wait_for(Option::is_some).await {
            Ok(what) => what.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Forgets rate limits that are at rest. To be called now and then.
    pub fn forget_idle(&self) {
        self.per_source.forget_idle();
        self.per_anchor.forget_idle();
    }
}
