//! A log that signs whatever it is told, and shows each client what it likes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atl::api::{ConsistencyQuery, ConsistencyResponse, Problem, Token};
use atl::client::LogClient;
use atl::keys::{Ed25519Signer, Signer};
use atl::log::checkpoint::{Origin, sign_checkpoint};
use atl::log::sth::{SignedTreeHead, TreeHead};
use atl::merkle::{ConsistencyPlan, Edge, Hash, Tile, TileId, TilePath, TreeSize, integrate, leaf_hash};
use atl::time::UnixMillis;
use atl_monitor::head::{RawHead, SignedHead};
use atl_monitor::http::{Request, Response};
use atl_monitor::watched::WatchedLog;
use parking_lot::Mutex;

use super::serve::Server;

/// A tree, whole and in memory.
#[derive(Clone)]
pub struct Tree {
    leaves: Vec<Hash>,
    tiles: HashMap<TileId, Tile>,
}

impl Tree {
    /// The tree of `size` leaves that parts from the honest one at leaf `fork`.
    pub fn forked(size: u64, fork: u64) -> Self {
        let leaf = |i: u64| leaf_hash(&[&i.to_be_bytes()[..], if i < fork { b"one" } else { b"two" }].concat());
        let leaves: Vec<Hash> = (0..size).map(leaf).collect();
        let tiles = integrate(&Edge::empty(), &leaves).unwrap().tiles.into_iter().collect();
        Self { leaves, tiles }
    }

    /// The honest tree of `size` leaves.
    pub fn honest(size: u64) -> Self {
        Self::forked(size, u64::MAX)
    }

    /// The root over the first `size` leaves.
    pub fn root(&self, size: u64) -> Hash {
        integrate(&Edge::empty(), &self.leaves[..size as usize]).unwrap().edge.root()
    }

    fn size(&self) -> TreeSize {
        TreeSize::new(self.leaves.len() as u64)
    }

    fn consistency(&self, query: ConsistencyQuery) -> Option<ConsistencyResponse> {
        let (first, second) = (query.first, query.second.unwrap_or(self.size()));
        if second > self.size() {
            return None;
        }
        let plan = ConsistencyPlan::new(first, second).ok()?;
        let tiles: Vec<Tile> = plan.tiles().iter().map(|id| self.tiles[id].clone()).collect();
        Some(ConsistencyResponse { first, second, consistency: plan.prove(&tiles).ok()? })
    }
}

/// What a log answers where a consistency proof is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proofs {
    /// The proof in the tree at hand.
    Given,
    /// With a hash that is wrong.
    Garbled,
    /// No JSON at all.
    Nonsense,
    /// No, with this status, as a log that does not want to.
    Status(u16),
    /// No, as a node that does not know the larger head yet.
    Behind,
}

/// What a log shows to one client.
#[derive(Clone)]
pub struct View {
    /// The tree of its tiles and proofs.
    pub tree: Tree,
    /// How it proves.
    pub proofs: Proofs,
    /// Whether it serves tiles.
    pub tiles: bool,
}

impl View {
    /// An honest view of this tree.
    pub fn of(tree: Tree) -> Self {
        Self { tree, proofs: Proofs::Given, tiles: true }
    }
}

/// The log: one key, and a view of its own for each client.
pub struct DishonestLog {
    signer: Ed25519Signer,
    /// What monitors know of it.
    pub watched: WatchedLog,
    views: Arc<Mutex<BTreeMap<String, View>>>,
    asked: Arc<AtomicUsize>,
    server: Server,
}

impl DishonestLog {
    /// A log of this name, with an honest view named `a` of an empty tree.
    pub async fn start(origin: &str) -> Self {
        let origin: Origin = origin.parse().unwrap();
        let signer = Ed25519Signer::from_seed(&[7; 32]).unwrap();
        let key = origin.verifier_key(signer.public_key()).unwrap();
        let views: Arc<Mutex<BTreeMap<String, View>>> = Arc::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let (shown, count) = (views.clone(), asked.clone());
        let server = Server::start(move |request| respond(&shown.lock(), &count, &request)).await;
        let watched = WatchedLog::new(key, server.url.clone(), "mallory".into()).unwrap();
        let log = Self { signer, watched, views, asked, server };
        log.show("a", View::of(Tree::honest(0)));
        log
    }

    /// Shows this to the client `client` from now on.
    pub fn show(&self, client: &str, view: View) {
        self.views.lock().insert(client.to_owned(), view);
    }

    /// The way of the client `client` to the log.
    pub fn client(&self, client: &str) -> LogClient {
        LogClient::new(&format!("{}/{client}", self.server.url)).unwrap()
    }

    /// Consistency proofs that were asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn open(&self, raw: RawHead) -> SignedHead {
        SignedHead::open(raw, &self.watched).unwrap()
    }

    fn head(size: u64, root: Hash, timestamp: u64) -> TreeHead {
        TreeHead { size: TreeSize::new(size), root, timestamp: UnixMillis::new(timestamp) }
    }

    /// A tree head over the first `size` leaves of `tree`.
    pub fn sth(&self, tree: &Tree, size: u64, timestamp: u64) -> SignedHead {
        self.sth_of(size, tree.root(size), timestamp)
    }

    /// A tree head that says this, whatever tree it is of.
    pub fn sth_of(&self, size: u64, root: Hash, timestamp: u64) -> SignedHead {
        let head = Self::head(size, root, timestamp);
        self.open(SignedTreeHead::sign(&self.signer, head).unwrap().into())
    }

    /// A checkpoint over them.
    pub fn checkpoint(&self, tree: &Tree, size: u64) -> SignedHead {
        let head = Self::head(size, tree.root(size), 0);
        self.open(RawHead::Checkpoint(sign_checkpoint(&self.signer, &self.watched.origin, &head).unwrap()))
    }
}

fn respond(views: &BTreeMap<String, View>, asked: &AtomicUsize, request: &Request) -> Response {
    let path = request.uri().path().trim_start_matches('/');
    let (client, path) = path.split_once('/').unwrap_or((path, ""));
    let Some(view) = views.get(client) else { return refusal(404) };
    if path == "atl/v1/get-sth-consistency" {
        asked.fetch_add(1, Ordering::SeqCst);
        return prove(view, request.uri().query().unwrap_or_default());
    }
    let Ok(path) = path.parse::<TilePath>() else { return refusal(404) };
    let tile = path.tile().and_then(|id| view.tree.tiles.get(&id)).filter(|_| view.tiles);
    match tile.and_then(|tile| tile.octets_at(path.width())) {
        Some(octets) => Response::new(octets),
        None => refusal(404),
    }
}

fn prove(view: &View, query: &str) -> Response {
    if let Proofs::Status(status) = view.proofs {
        return refusal(status);
    }
    if view.proofs == Proofs::Behind {
        return refusal_of(Token::SecondUnknown, 400);
    }
    if view.proofs == Proofs::Nonsense {
        return Response::new(b"<html>".to_vec());
    }
    let answer = view.tree.consistency(ConsistencyQuery::parse(query).unwrap());
    let Some(mut answer) = answer else { return refusal_of(Token::SecondUnknown, 400) };
    if view.proofs == Proofs::Garbled {
        answer.consistency.iter_mut().for_each(|hash| *hash = Hash::of(hash.as_bytes()));
    }
    Response::new(serde_json::to_vec(&answer).unwrap())
}

fn refusal(status: u16) -> Response {
    refusal_of(Token::Malformed, status)
}

fn refusal_of(token: Token, status: u16) -> Response {
    let problem = Problem::new(token, "on purpose");
    let mut response = Response::new(serde_json::to_vec(&problem).unwrap());
    *response.status_mut() = status.try_into().unwrap();
    response
}
