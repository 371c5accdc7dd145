//! A log in memory behind a real socket: an honest tree, and whatever lies a test tells it to tell.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use atl::api::{
    B64, CertHashQuery, ConsistencyQuery, ConsistencyResponse, EntriesQuery, EntriesResponse, EntryResponse,
    LogDescriptor, Problem, ProofQuery, ProofResponse, Token,
};
use atl::keys::{Ed25519Signer, Signer};
use atl::log::bundle::{CertBundle, CertRow, EntryBundle};
use atl::log::checkpoint::{Origin, sign_checkpoint};
use atl::log::entry::{CertHash, EntryType};
use atl::log::sth::{SignedTreeHead, TreeHead};
use atl::merkle::{
    ConsistencyPlan, Edge, Hash, InclusionPlan, LeafIndex, TILE_WIDTH, Tile, TileId, TileKind, TilePath, TreeSize,
    integrate,
};
use atl::time::UnixMillis;
use atl_monitor::head::RawHead;
use atl_monitor::watched::WatchedLog;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;

/// What a log answers.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<u32>,
    pub body: Vec<u8>,
    /// Whether the connection is kept open, and nothing is ever answered.
    pub silent: bool,
}

impl Answer {
    pub fn ok(body: Vec<u8>) -> Self {
        Self { status: 200, body, ..Self::default() }
    }

    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn silence() -> Self {
        Self { silent: true, ..Self::default() }
    }

    pub fn json(value: &impl serde::Serialize) -> Self {
        Self::ok(serde_json::to_vec(value).unwrap())
    }
}

type Lie = Box<dyn FnMut(&str) -> Option<Answer> + Send>;

#[derive(Default)]
struct Inner {
    rows: Vec<CertRow>,
    hashes: Vec<CertHash>,
    places: BTreeMap<Hash, u64>,
    issuers: BTreeMap<Hash, Vec<u8>>,
    edge: Edge,
    tiles: BTreeMap<TileId, Tile>,
    sth: Option<TreeHead>,
    checkpoint: Option<TreeHead>,
    lie: Option<Lie>,
    asked: Vec<String>,
    /// Requests for certificate bundles that are being answered, and the most that ever were.
    open: (usize, usize),
}

/// A log with its server, which ends with the runtime.
pub struct TestLog {
    pub signer: Ed25519Signer,
    pub watched: WatchedLog,
    inner: Mutex<Inner>,
}

impl TestLog {
    /// Starts a log without entries and without a head.
    pub async fn start(name: &str) -> Arc<Self> {
        Self::start_with(name, 7).await
    }

    /// The same with the key of this seed, for a second log beside the first.
    pub async fn start_with(name: &str, seed: u8) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let signer = Ed25519Signer::from_seed(&[seed; 32]).unwrap();
        let origin: Origin = name.parse().unwrap();
        let key = origin.verifier_key(signer.public_key()).unwrap();
        let watched = WatchedLog::new(key, url, "Example".into()).unwrap();
        let log = Arc::new(Self { signer, watched, inner: Mutex::default() });
        let serving = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&serving);
                let answer = service_fn(move |request: hyper::Request<Incoming>| {
                    let log = Arc::clone(&log);
                    async move { log.serve(&request).await }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        log
    }

    /// Logs certificates at one time.
    pub fn append(&self, certificates: impl IntoIterator<Item = Vec<u8>>, at: u64) {
        self.append_below(&[], certificates, at);
    }

    /// Logs certificates at one time whose chain, the issuer first, is this.
    pub fn append_below(&self, chain: &[Vec<u8>], certificates: impl IntoIterator<Item = Vec<u8>>, at: u64) {
        self.append_dated(chain, certificates.into_iter().map(|der| (der, at)));
    }

    /// Logs certificates, each at its own time, whose chain, the issuer first, is this.
    pub fn append_dated(&self, chain: &[Vec<u8>], certificates: impl IntoIterator<Item = (Vec<u8>, u64)>) {
        let fingerprints: Vec<Hash> = chain.iter().map(|der| Hash::of(der)).collect();
        let mut inner = self.inner.lock();
        let mut leaves = Vec::new();
        for (der, at) in certificates {
            let hash = CertHash::of_certificate(&der);
            leaves.push(hash.leaf_hash());
            let place = inner.hashes.len() as u64;
            inner.places.insert(hash.leaf_hash(), place);
            inner.hashes.push(hash);
            let (timestamp, chain) = (UnixMillis::new(at), fingerprints.clone());
            inner.rows.push(CertRow { timestamp, certificate: Some(der), chain });
        }
        inner.issuers.extend(fingerprints.iter().copied().zip(chain.iter().cloned()));
        let grown = integrate(&inner.edge, &leaves).unwrap();
        inner.edge = grown.edge;
        inner.tiles.extend(grown.tiles);
    }

    /// Drops the certificates before `index`.
    pub fn prune(&self, index: usize) {
        self.inner.lock().rows[..index].iter_mut().for_each(|row| row.certificate = None);
    }

    /// The head of all there is at `at`, shown to nobody.
    pub fn next_head(&self, at: u64) -> TreeHead {
        let inner = self.inner.lock();
        TreeHead { size: inner.edge.size(), timestamp: UnixMillis::new(at), root: inner.edge.root() }
    }

    /// The head of all there is, signed at `at`, as tree head and as checkpoint.
    pub fn sign(&self, at: u64) -> TreeHead {
        let head = self.next_head(at);
        self.show(head, head);
        head
    }

    /// Shows these heads, whatever the tree.
    pub fn show(&self, sth: TreeHead, checkpoint: TreeHead) {
        let mut inner = self.inner.lock();
        (inner.sth, inner.checkpoint) = (Some(sth), Some(checkpoint));
    }

    /// Lets `lie` answer first, with the path and query of each request.
    pub fn lie(&self, lie: impl FnMut(&str) -> Option<Answer> + Send + 'static) {
        self.inner.lock().lie = Some(Box::new(lie));
    }

    /// Lies no more.
    pub fn be_honest(&self) {
        self.inner.lock().lie = None;
    }

    /// What was asked so far, and forgets it.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().asked)
    }

    /// The most certificate bundles that were asked for at once.
    pub fn most_open(&self) -> usize {
        self.inner.lock().open.1
    }

    /// The honest answer.
    pub fn honest(&self, path: &str) -> Answer {
        let inner = self.inner.lock();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let path = path.trim_start_matches('/');
        let answer = match path {
            "atl/v1/get-sth" => inner.sth.map(|head| {
                let RawHead::Sth(sth) = RawHead::from(SignedTreeHead::sign(&self.signer, head).unwrap()) else {
                    panic!()
                };
                Answer::json(&sth)
            }),
            "checkpoint" => inner.checkpoint.map(|head| {
                Answer::ok(sign_checkpoint(&self.signer, &self.watched.origin, &head).unwrap().into_bytes())
            }),
            "atl/v1/get-entries" => inner.entries(query),
            "atl/v1/get-entry-by-cert-hash" => inner.entry(query),
            "atl/v1/get-proof-by-hash" => inner.proof(query),
            "atl/v1/log" => Some(Answer::json(&self.descriptor())),
            "atl/v1/get-sth-consistency" => inner.consistency(query),
            path => path.parse().ok().and_then(|path| inner.tile(&path)),
        };
        // What nobody has logged is said as the protocol says it; of anything else there is no word.
        let unknown = || match path {
            "atl/v1/get-entry-by-cert-hash" | "atl/v1/get-proof-by-hash" => {
                Answer { status: 404, ..Answer::json(&Problem::new(Token::HashUnknown, "no such entry")) }
            }
            _ => Answer::status(404),
        };
        answer.unwrap_or_else(unknown)
    }

    fn descriptor(&self) -> LogDescriptor {
        let key = self.signer.public_key();
        LogDescriptor {
            origin: self.watched.origin.to_string(),
            log_id: key.log_id(),
            key: B64(key.spki_der().to_vec()),
            vkey: self.watched.key.to_string(),
            operator: "Example".into(),
            sth_interval_seconds: 1,
            mmd_seconds: 1,
            not_after_start: UnixMillis::new(0),
            not_after_limit: UnixMillis::new(u64::MAX),
            retention_seconds: 0,
            witnesses: Vec::new(),
            hash: "SHA-256".into(),
            signature_algorithm: "Ed25519".into(),
            oid_arc: "1.3.6.1.4.1.32473.1".into(),
        }
    }

    async fn serve(
        &self,
        request: &hyper::Request<Incoming>,
    ) -> Result<hyper::Response<Full<Bytes>>, hyper::http::Error> {
        let path = request.uri().path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default();
        let certs = path.starts_with("/tile/certs/");
        if certs {
            let mut inner = self.inner.lock();
            inner.open.0 += 1;
            inner.open.1 = inner.open.1.max(inner.open.0);
        }
        // Others may ask before this is answered.
        tokio::task::yield_now().await;
        let told = {
            let mut inner = self.inner.lock();
            inner.asked.push(path.clone());
            inner.lie.as_mut().and_then(|lie| lie(&path))
        };
        let answer = told.unwrap_or_else(|| self.honest(&path));
        if certs {
            self.inner.lock().open.0 -= 1;
        }
        if answer.silent {
            std::future::pending::<()>().await;
        }
        let mut response = hyper::Response::builder().status(answer.status);
        if let Some(seconds) = answer.retry_after {
            response = response.header("retry-after", seconds);
        }
        response.body(Full::new(answer.body.into()))
    }
}

impl Inner {
    fn covered(&self) -> TreeSize {
        let size = |head: Option<TreeHead>| head.map(|head| head.size).unwrap_or_default();
        size(self.sth).max(size(self.checkpoint)).min(self.edge.size())
    }

    fn tile(&self, path: &TilePath) -> Option<Answer> {
        let available = path.width_at(self.covered())?;
        if available < path.width() {
            return None;
        }
        let start = path.index() as usize * TILE_WIDTH;
        let range = start..start + path.width().get();
        Some(Answer::ok(match path.kind() {
            TileKind::Hash(_) => self.tiles.get(&path.tile()?)?.octets_at(path.width())?,
            TileKind::Entries => EntryBundle::new(self.hashes[range].to_vec()).unwrap().to_octets(),
            TileKind::Certs => CertBundle::new(self.rows[range].to_vec()).unwrap().to_octets().unwrap(),
        }))
    }

    fn entries(&self, query: &str) -> Option<Answer> {
        let query = EntriesQuery::parse(query).unwrap();
        // As few at once as a log may give.
        let end = (query.end.get() + 1).min(self.covered().get()).min(query.start.get() + 100);
        let entries = (query.start.get()..end).map(|n| self.row(n)).collect();
        Some(Answer::json(&EntriesResponse { entries }))
    }

    fn entry(&self, query: &str) -> Option<Answer> {
        let hash = CertHash::from(CertHashQuery::parse(query).unwrap().cert_hash);
        let index = *self.places.get(&hash.leaf_hash())?;
        LeafIndex::new(index).is_in(self.covered()).then(|| Answer::json(&self.row(index)))
    }

    fn row(&self, n: u64) -> EntryResponse {
        let row = &self.rows[n as usize];
        EntryResponse {
            leaf_index: LeafIndex::new(n),
            timestamp: row.timestamp,
            entry_type: EntryType::Certificate,
            submission: row.certificate.clone().map(B64),
            cert_hash: *self.hashes[n as usize].hash(),
            chain: row.chain.iter().filter_map(|print| self.issuers.get(print).cloned().map(B64)).collect(),
        }
    }

    fn proof(&self, query: &str) -> Option<Answer> {
        let query = ProofQuery::parse(query).unwrap();
        let index = *self.places.get(&query.hash)?;
        let (leaf_index, tree_size) = (LeafIndex::new(index), query.tree_size.unwrap_or(self.covered()));
        let plan = InclusionPlan::new(leaf_index, tree_size).ok()?;
        let inclusion = plan.prove(&self.tiles(plan.tiles())).unwrap();
        Some(Answer::json(&ProofResponse { leaf_index, tree_size, inclusion }))
    }

    fn consistency(&self, query: &str) -> Option<Answer> {
        let query = ConsistencyQuery::parse(query).unwrap();
        let (first, second) = (query.first, query.second.unwrap_or(self.covered()));
        let plan = ConsistencyPlan::new(first, second).ok()?;
        let consistency: Vec<Hash> = plan.prove(&self.tiles(plan.tiles())).unwrap();
        Some(Answer::json(&ConsistencyResponse { first, second, consistency }))
    }

    fn tiles(&self, ids: &[TileId]) -> Vec<Tile> {
        ids.iter().map(|id| self.tiles[id].clone()).collect()
    }
}
