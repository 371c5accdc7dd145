//! A log for tests that answers over HTTP what a log answers to whoever checks it (protocol section 5), from a tree in
//! memory: honestly, or with the lies that a test asks for.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;

use atl::api::{
    B64, CertHashQuery, EntryResponse, LogDescriptor, Problem, ProofQuery, ProofResponse, SthResponse, Token,
};
use atl::keys::{Ed25519Signer, Signer};
use atl::log::checkpoint::Origin;
use atl::log::entry::{CertHash, EntryType};
use atl::log::note::VerifierKey;
use atl::log::sth::{SignedTreeHead, TreeHead};
use atl::merkle::{Hash, LeafIndex, TreeSize, empty_root, node_hash};
use atl::time::UnixMillis;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::net::TcpListener;

/// What the log says that is not so.
#[derive(Default)]
pub struct Lies {
    /// It denies these.
    pub denied: HashSet<CertHash>,
    /// It says of them, and of what no head covers, that the next head will.
    pub soon: bool,
    /// It gives proofs with a wrong node.
    pub garbage: bool,
    /// It answers everything but its head with this status and these seconds to wait.
    pub refuses: Option<(Token, u32)>,
    /// It dates these otherwise.
    pub dated: HashMap<CertHash, UnixMillis>,
    /// It gives these octets as the certificates of all entries.
    pub certificate: Option<Vec<u8>>,
    /// It serves other leaves than those under its head.
    pub leaves: bool,
    /// It has dropped all certificates.
    pub pruned: bool,
    /// Gives no proofs in older trees than the newest.
    pub old_proofs: bool,
    /// It answers nothing until the test lets it.
    pub gate: Option<Arc<tokio::sync::Semaphore>>,
}

struct Row {
    cert_hash: CertHash,
    der: Vec<u8>,
    at: UnixMillis,
    chain: Vec<Vec<u8>>,
}

struct Tree {
    rows: Vec<Row>,
    head: TreeHead,
    lies: Lies,
    asked: Vec<String>,
}

/// The log; it ends with the runtime that it was started on.
pub struct TestLog {
    pub url: String,
    pub vkey: VerifierKey,
    signer: Ed25519Signer,
    tree: Arc<Mutex<Tree>>,
}

/// The merge delay that the log states, in milliseconds.
pub const MMD: u64 = 60_000;

impl TestLog {
    /// A log of this name whose key has this seed, empty, with a head of this moment.
    pub async fn start(origin: &str, seed: u8, at: UnixMillis) -> Self {
        let signer = Ed25519Signer::from_seed(&[seed; 32]).unwrap();
        let origin: Origin = origin.parse().unwrap();
        let vkey = origin.verifier_key(signer.public_key()).unwrap();
        let head = TreeHead { size: TreeSize::EMPTY, timestamp: at, root: empty_root() };
        let tree = Tree { rows: Vec::new(), head, lies: Lies::default(), asked: Vec::new() };
        let tree = Arc::new(Mutex::new(tree));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::new(Server { seed, vkey: vkey.clone(), tree: Arc::clone(&tree) });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    let service = service_fn(move |request| Arc::clone(&server).answer(request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { url, vkey, signer, tree }
    }

    /// Takes a certificate in; no head covers it yet.
    pub fn add(&self, der: &[u8], at: UnixMillis, chain: &[&[u8]]) -> CertHash {
        let cert_hash = CertHash::of_certificate(der);
        let chain = chain.iter().map(|der| der.to_vec()).collect();
        self.tree.lock().rows.push(Row { cert_hash, der: der.to_vec(), at, chain });
        cert_hash
    }

    /// Signs a head over all that there is.
    pub fn sign(&self, at: UnixMillis) {
        let mut tree = self.tree.lock();
        let leaves: Vec<Hash> = tree.rows.iter().map(|row| row.cert_hash.leaf_hash()).collect();
        tree.head = TreeHead { size: TreeSize::new(leaves.len() as u64), timestamp: at, root: root(&leaves) };
    }

    /// The newest head, signed.
    pub fn head(&self) -> SignedTreeHead {
        SignedTreeHead::sign(&self.signer, self.tree.lock().head).unwrap()
    }

    /// Has the log lie.
    pub fn lie(&self, lie: impl FnOnce(&mut Lies)) {
        lie(&mut self.tree.lock().lies);
    }

    /// The calls so far whose path has this in it.
    pub fn asked(&self, what: &str) -> usize {
        self.tree.lock().asked.iter().filter(|path| path.contains(what)).count()
    }
}

struct Server {
    seed: u8,
    vkey: VerifierKey,
    tree: Arc<Mutex<Tree>>,
}

type Answer = Result<Vec<u8>, Box<Problem>>;

fn json(value: &impl Serialize) -> Answer {
    Ok(serde_json::to_vec(value).unwrap())
}

fn refuse(token: Token, seconds: Option<u32>) -> Answer {
    let mut problem = Problem::new(token, "as the test wants it");
    problem.retry_after_seconds = seconds;
    Err(Box::new(problem))
}

impl Server {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path_and_query().unwrap().as_str().to_owned();
        let gate = {
            let mut tree = self.tree.lock();
            tree.asked.push(path.clone());
            tree.lies.gate.clone()
        };
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let query = request.uri().query().unwrap_or_default();
        let answer = self.answer_to(request.uri().path(), query);
        Ok(match answer {
            Ok(octets) => Response::new(Full::new(octets.into())),
            Err(problem) => {
                let mut response = Response::builder().status(problem.status);
                if let Some(seconds) = problem.retry_after_seconds {
                    response = response.header("retry-after", seconds);
                }
                response.body(Full::new(serde_json::to_vec(&problem).unwrap().into())).unwrap()
            }
        })
    }

    fn answer_to(&self, path: &str, query: &str) -> Answer {
        let tree = self.tree.lock();
        if let Some((token, seconds)) = tree.lies.refuses.filter(|_| path != "/atl/v1/get-sth") {
            return refuse(token, Some(seconds));
        }
        match path {
            "/atl/v1/get-sth" => {
                let signer = Ed25519Signer::from_seed(&[self.seed; 32]).unwrap();
                let signed = SignedTreeHead::sign(&signer, tree.head).unwrap();
                json(&SthResponse {
                    log_id: signed.log_id,
                    tree_size: signed.head.size,
                    timestamp: signed.head.timestamp,
                    root_hash: signed.head.root,
                    signature: B64(signed.signature),
                })
            }
            "/atl/v1/log" => json(&self.descriptor()),
            "/atl/v1/get-proof-by-hash" => tree.proof(ProofQuery::parse(query).unwrap()),
            "/atl/v1/get-entry-by-cert-hash" => tree.entry(CertHashQuery::parse(query).unwrap().cert_hash),
            other => {
                other.strip_prefix("/tile/0/").map_or_else(|| refuse(Token::NotFound, None), |name| tree.tile(name))
            }
        }
    }

    fn descriptor(&self) -> LogDescriptor {
        LogDescriptor {
            origin: self.vkey.name().to_string(),
            log_id: self.vkey.key().log_id(),
            key: B64(self.vkey.key().spki_der().to_vec()),
            vkey: self.vkey.to_string(),
            operator: "Test".into(),
            sth_interval_seconds: MMD / 1000,
            mmd_seconds: MMD / 1000,
            not_after_start: UnixMillis::new(0),
            not_after_limit: UnixMillis::new(u64::MAX),
            retention_seconds: 0,
            witnesses: Vec::new(),
            hash: "SHA-256".into(),
            signature_algorithm: "Ed25519".into(),
            oid_arc: "1.3.6.1.4.1.32473.1".into(),
        }
    }
}

impl Tree {
    fn covered(&self) -> &[Row] {
        &self.rows[..self.head.size.get() as usize]
    }

    fn find(&self, is: impl Fn(&Row) -> bool) -> Result<usize, Box<Problem>> {
        let soon = self.lies.soon.then_some(30);
        let unknown = |seconds| refuse(Token::HashUnknown, seconds).unwrap_err();
        let index = self.rows.iter().position(|row| is(row) && !self.lies.denied.contains(&row.cert_hash));
        let index = index.ok_or_else(|| unknown(soon))?;
        if index < self.covered().len() { Ok(index) } else { Err(unknown(Some(30))) }
    }

    fn proof(&self, query: ProofQuery) -> Answer {
        let size = query.tree_size.unwrap_or(self.head.size);
        if self.lies.old_proofs && size < self.head.size {
            return refuse(Token::NotFound, None);
        }
        let index = self.find(|row| row.cert_hash.leaf_hash() == query.hash)?;
        let leaves: Vec<Hash> = self.rows[..size.get() as usize].iter().map(|row| row.cert_hash.leaf_hash()).collect();
        let mut inclusion = way(index, &leaves);
        if self.lies.garbage {
            inclusion.insert(0, Hash::new([7; 32]));
        }
        json(&ProofResponse { leaf_index: LeafIndex::new(index as u64), tree_size: size, inclusion })
    }

    fn entry(&self, cert_hash: Hash) -> Answer {
        let index = self.find(|row| *row.cert_hash.hash() == cert_hash)?;
        let row = &self.rows[index];
        let der = self.lies.certificate.clone().unwrap_or_else(|| row.der.clone());
        json(&EntryResponse {
            leaf_index: LeafIndex::new(index as u64),
            timestamp: self.lies.dated.get(&row.cert_hash).copied().unwrap_or(row.at),
            entry_type: EntryType::Certificate,
            submission: (!self.lies.pruned).then_some(B64(der)),
            cert_hash: *row.cert_hash.hash(),
            chain: row.chain.iter().cloned().map(B64).collect(),
        })
    }

    /// A tile of level 0 of a tree of less than 256,000 leaves: `000` or `000.p/5`.
    fn tile(&self, name: &str) -> Answer {
        let (index, width) = name.split_once(".p/").unwrap_or((name, "256"));
        let start = index.parse::<usize>().unwrap() * 256;
        let rows = &self.covered()[start..start + width.parse::<usize>().unwrap()];
        let mut octets: Vec<u8> = rows.iter().flat_map(|row| *row.cert_hash.leaf_hash().as_bytes()).collect();
        octets[0] ^= u8::from(self.lies.leaves);
        Ok(octets)
    }
}

/// The largest power of two smaller than `n`, which is 2 at least.
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// `MTH(D_n)` of RFC 9162 section 2.1.1, over leaf hashes.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// `PATH(m, D_n)` of RFC 9162 section 2.1.3.1.
fn way(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    if m < k { [way(m, left), vec![root(right)]].concat() } else { [way(m - k, right), vec![root(left)]].concat() }
}
