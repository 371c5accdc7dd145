//! What a log answers, verified: heads by their signature, proofs by the head's root, certificates by their hash.
//! What comes out of here is an answer, a contradiction with the receipt of it, or no answer yet.

use std::collections::BTreeMap;
use std::time::Duration;

use atl::api::{B64, CertHashQuery, EntryResponse, ProofQuery, ProofResponse, Token};
use atl::client::{ClientError, LogClient};
use atl::log::entry::CertHash;
use atl::merkle::{
    Edge, Hash, InclusionPlan, LeafIndex, TILE_WIDTH, Tile, TileId, TilePath, TreeSize, integrate, verify_inclusion,
};
use atl::time::UnixMillis;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::evidence::Receipt;
use crate::head::{RawHead, SignedHead};
use crate::watched::WatchedLog;

/// Questions that are open to one log at a time.
const TURNS: usize = 4;
/// For how long a head is the newest one, in milliseconds: so many questions of one moment need one head.
const HEAD_MS: u64 = 1000;
/// Milliseconds for which what a log says of its merge delay is believed.
const MMD_KEPT_MS: u64 = 3_600_000;
/// The longest merge delay there is, in milliseconds (protocol section 4: heads are signed every 1 to 3600 s).
pub const MAX_MMD_MS: u64 = 3_600_000;
/// Most leaves that are fetched to show that one is not among them.
pub const MAX_LEAVES: u64 = 65_536;
/// Heads of one log that are remembered.
const HEADS: usize = 1024;
/// Octets of an answer that a receipt keeps.
const MAX_RECEIPT: usize = 64 << 10;
/// The longest that a log is left alone, in milliseconds, whatever it asks for.
const MAX_REST_MS: u64 = 3_600_000;

/// Why a question is not answered.
#[derive(Clone, Debug)]
pub struct Failure {
    /// In words.
    pub why: String,
    /// Whether the log answered, and answered with a refusal.
    pub refused: bool,
    /// How long it asks to wait.
    pub retry_after: Option<Duration>,
    /// What it said.
    pub receipt: Receipt,
}

/// Whether a leaf is in the tree of a head.
#[derive(Clone, Debug)]
pub enum Inclusion {
    /// It is, and the proof verifies.
    Proven(Proof),
    /// The log says that it is not.
    Absent {
        /// The head that the question was about.
        head: Box<SignedHead>,
        /// Whether the log says that the next head will cover it.
        soon: bool,
        /// What it said; `None` where the tree is empty, so that nothing had to be asked.
        receipt: Option<Receipt>,
    },
    /// The log gave a proof that does not verify.
    Garbage {
        /// The head that the question was about.
        head: Box<SignedHead>,
        /// What is wrong with it.
        reason: String,
        /// The proof.
        receipt: Receipt,
    },
    /// No answer yet.
    Failed(Failure),
}

/// A proof that verifies.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The head whose tree holds the leaf.
    pub head: Box<SignedHead>,
    /// Where.
    pub index: LeafIndex,
    /// The audit path.
    pub path: Vec<Hash>,
}

/// What shows to others that a head covers a leaf.
#[derive(Clone, Debug, Default)]
pub enum Covering {
    /// The proof.
    Proof(Proof),
    /// All leaves of the head's tree, which has its root.
    Leaves(Vec<Hash>),
    /// The log gives neither.
    #[default]
    Unshown,
}

/// An entry by the hash of its certificate.
#[derive(Clone, Debug)]
pub enum Entry {
    /// It is there, and is what was asked for; its certificate is missing where it was pruned.
    There(Box<EntryResponse>, Receipt),
    /// The log says that it has none of this hash; with whether the next head will cover it.
    Absent(bool, Receipt),
    /// The log gave something else.
    Other(String, Receipt),
    /// No answer yet.
    Failed(Failure),
}

/// When a log wants to be left alone.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    until: UnixMillis,
    failures: u32,
}

/// A followed log that can be asked.
#[derive(Debug)]
pub struct Respondent {
    /// The log.
    pub log: WatchedLog,
    client: LogClient,
    turns: Semaphore,
    rest: Mutex<Rest>,
    newest: tokio::sync::Mutex<Option<(UnixMillis, SignedHead)>>,
    mmd: tokio::sync::Mutex<Option<(UnixMillis, u64)>>,
    seen: Mutex<BTreeMap<(TreeSize, UnixMillis), SignedHead>>,
}

impl Respondent {
    /// The log, asked through `client`.
    pub fn new(log: WatchedLog, client: LogClient) -> Self {
        Self {
            log,
            client,
            turns: Semaphore::new(TURNS),
            rest: Mutex::default(),
            newest: tokio::sync::Mutex::default(),
            mmd: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// Until when the log is to be left alone, where that is later than `now`.
    pub fn rests_until(&self, now: UnixMillis) -> Option<UnixMillis> {
        // Further away than any rest is, it was said under a clock that has been set back since.
        Some(self.rest.lock().until).filter(|until| *until > now && until.since(now) <= MAX_REST_MS)
    }

    /// The merge delay in milliseconds that the log states, within what the protocol allows; the longest allowed
    /// where it states none. It is not signed, so a log can only make us ask sooner with it, or as late as any.
    pub async fn mmd_ms(&self, now: UnixMillis) -> u64 {
        let mut kept = self.mmd.lock().await;
        if let Some((at, mmd)) = *kept
            && now.since(at) < MMD_KEPT_MS
        {
            return mmd;
        }
        match self.turn(now, "atl/v1/log", self.client.descriptor()).await {
            Ok(descriptor) => {
                let mmd = descriptor.mmd_seconds.saturating_mul(1000).clamp(1000, MAX_MMD_MS);
                *kept = Some((now, mmd));
                mmd
            }
            Err(_) => MAX_MMD_MS,
        }
    }

    /// The newest head, as of `now`, its signature verified.
    pub async fn head(&self, now: UnixMillis) -> Result<SignedHead, Failure> {
        // Whoever waits here wants the same head.
        let mut newest = self.newest.lock().await;
        if let Some((at, head)) = &*newest
            && now.since(*at) < HEAD_MS
            && *at <= now
        {
            return Ok(head.clone());
        }
        let asked = "atl/v1/get-sth";
        let sth = self.turn(now, asked, self.client.sth()).await?;
        let receipt = self.receipt_of(asked, &sth);
        let head = SignedHead::open(RawHead::Sth(sth), &self.log).map_err(|error| Failure {
            why: format!("the head that {} gives: {error}", self.log.origin),
            refused: true,
            retry_after: None,
            receipt,
        })?;
        self.remember(&head);
        *newest = Some((now, head.clone()));
        Ok(head)
    }

    /// Heads that were seen here next to this leaf: the newest ones without it, and the oldest ones with it.
    pub fn around(&self, index: LeafIndex) -> Vec<SignedHead> {
        let seen = self.seen.lock();
        let with = (index.covering_size(), UnixMillis::new(0));
        let before = seen.range(..with).next_back();
        let behind = seen.range(with..).next();
        before.into_iter().chain(behind).map(|(_, head)| head.clone()).collect()
    }

    fn remember(&self, head: &SignedHead) {
        let Some(timestamp) = head.timestamp() else { return };
        let mut seen = self.seen.lock();
        seen.insert((head.size(), timestamp), head.clone());
        if seen.len() > HEADS {
            seen.pop_first();
        }
    }

    /// Whether the tree of the newest head has this leaf.
    pub async fn inclusion(&self, leaf: Hash, now: UnixMillis) -> Inclusion {
        let head = match self.head(now).await {
            Ok(head) => Box::new(head),
            Err(failure) => return Inclusion::Failed(failure),
        };
        if head.size().is_empty() {
            return Inclusion::Absent { head, soon: false, receipt: None };
        }
        let query = ProofQuery { hash: leaf, tree_size: Some(head.size()) };
        let asked = format!("atl/v1/get-proof-by-hash?{}", query.to_query());
        match self.question(now, &asked, self.client.proof_by_hash(query)).await {
            Ok(proof) => self.verified(head, &leaf, proof, &asked),
            Err(Refusal::Unknown(soon, receipt)) => Inclusion::Absent { head, soon, receipt: Some(receipt) },
            Err(Refusal::Failed(failure)) => Inclusion::Failed(failure),
        }
    }

    fn verified(&self, head: Box<SignedHead>, leaf: &Hash, proof: ProofResponse, asked: &str) -> Inclusion {
        let reason = if proof.tree_size == head.size() {
            verify_inclusion(leaf, proof.leaf_index, head.size(), &proof.inclusion, &head.root())
                .err()
                .map(|error| error.to_string())
        } else {
            Some(format!("it is for a tree of {} leaves, and {} were asked for", proof.tree_size, head.size()))
        };
        match reason {
            None => Inclusion::Proven(Proof { head, index: proof.leaf_index, path: proof.inclusion }),
            Some(reason) => Inclusion::Garbage { head, reason, receipt: self.receipt_of(asked, &proof) },
        }
    }

    /// What shows that the tree of `head` has this leaf at `index`: the proof as the log gives it, else as its tiles do,
    /// and where that is of no use without the certificate, all of its leaves.
    pub async fn covering(
        &self,
        head: &SignedHead,
        leaf: Hash,
        index: LeafIndex,
        has_certificate: bool,
        now: UnixMillis,
    ) -> Covering {
        let is_good = |path: &[Hash]| verify_inclusion(&leaf, index, head.size(), path, &head.root()).is_ok();
        if has_certificate {
            let query = ProofQuery { hash: leaf, tree_size: Some(head.size()) };
            let asked = format!("atl/v1/get-proof-by-hash?{}", query.to_query());
            let answer = self.turn(now, &asked, self.client.proof_by_hash(query)).await;
            let path = match answer.ok().map(|proof| proof.inclusion).filter(|path| is_good(path)) {
                Some(path) => Some(path),
                None => self.path_in_tiles(head, index, now).await.filter(|path| is_good(path)),
            };
            if let Some(path) = path {
                return Covering::Proof(Proof { head: Box::new(head.clone()), index, path });
            }
        }
        match self.leaves(head, now).await {
            Some(leaves) if leaves.contains(&leaf) => Covering::Leaves(leaves),
            _ => Covering::Unshown,
        }
    }

    async fn path_in_tiles(&self, head: &SignedHead, index: LeafIndex, now: UnixMillis) -> Option<Vec<Hash>> {
        let plan = InclusionPlan::new(index, head.size()).ok()?;
        let mut tiles = Vec::new();
        for id in plan.tiles() {
            let path = TilePath::hashes(*id, id.width_at(head.size())?).to_string();
            tiles.push(Tile::from_octets(&self.turn(now, &path, self.client.tile(&path)).await.ok()?).ok()?);
        }
        plan.prove(&tiles).ok()
    }

    /// The entry whose certificate has this hash.
    pub async fn entry(&self, cert_hash: CertHash, now: UnixMillis) -> Entry {
        let query = CertHashQuery { cert_hash: *cert_hash.hash() };
        let asked = format!("atl/v1/get-entry-by-cert-hash?{}", query.to_query());
        let entry = match self.question(now, &asked, self.client.entry_by_cert_hash(query)).await {
            Ok(entry) => entry,
            Err(Refusal::Unknown(soon, receipt)) => return Entry::Absent(soon, receipt),
            Err(Refusal::Failed(failure)) => return Entry::Failed(failure),
        };
        let receipt = self.receipt_of(&asked, &entry);
        if entry.cert_hash != *cert_hash.hash() {
            return Entry::Other(format!("it answers with the entry of {}", entry.cert_hash), receipt);
        }
        match &entry.submission {
            Some(der) if CertHash::of_certificate(der.as_slice()) != cert_hash => {
                Entry::Other("the certificate that it answers with has another hash".into(), receipt)
            }
            _ => Entry::There(Box::new(entry), receipt),
        }
    }

    /// All leaf hashes of the tree of `head`, where they give its root and are not too many.
    pub async fn leaves(&self, head: &SignedHead, now: UnixMillis) -> Option<Vec<Hash>> {
        let size = head.size();
        if size.get() > MAX_LEAVES {
            return None;
        }
        let mut leaves = Vec::new();
        for n in 0..size.get().div_ceil(TILE_WIDTH as u64) {
            let id = TileId::new(0, n)?;
            let width = id.width_at(size)?;
            let path = TilePath::hashes(id, width).to_string();
            let octets = self.turn(now, &path, self.client.tile(&path)).await.ok()?;
            let tile = Tile::from_octets(&octets).ok().filter(|tile| tile.width() == width.get())?;
            leaves.extend_from_slice(tile.hashes());
        }
        let root = integrate(&Edge::empty(), &leaves).ok()?.edge.root();
        (root == head.root()).then_some(leaves)
    }

    /// A question to which `hashUnknown` is an answer.
    async fn question<T>(
        &self,
        now: UnixMillis,
        path: &str,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, Refusal> {
        let Ok(_turn) = self.turns.acquire().await else { return Err(Refusal::Failed(self.unasked(path, None))) };
        // Somebody who had a turn before may have found that the log wants to be left alone.
        if let Some(until) = self.rests_until(now) {
            return Err(Refusal::Failed(self.unasked(path, Some(Duration::from_millis(until.since(now))))));
        }
        let error = match call.await {
            Ok(answer) => {
                self.rest.lock().failures = 0;
                return Ok(answer);
            }
            Err(error) => error,
        };
        if error.token() == Some(Token::HashUnknown) {
            self.rest.lock().failures = 0;
            return Err(Refusal::Unknown(error.retry_after().is_some(), self.receipt(path, &error)));
        }
        Err(Refusal::Failed(self.failure(now, path, &error)))
    }

    /// A question to which there is no answer but a good one.
    async fn turn<T>(
        &self,
        now: UnixMillis,
        path: &str,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, Failure> {
        self.question(now, path, call).await.map_err(|refusal| match refusal {
            Refusal::Failed(failure) => failure,
            Refusal::Unknown(_, receipt) => {
                let why = format!("{} answers {path} with hashUnknown", self.log.origin);
                Failure { why, refused: true, retry_after: None, receipt }
            }
        })
    }

    /// Leaves a log alone that does not answer, or that asks for it: the others' errands go on meanwhile.
    fn failure(&self, now: UnixMillis, path: &str, error: &ClientError) -> Failure {
        // Where a proxy answers in its place, the log said nothing either.
        let silent = match error {
            ClientError::Transport { .. } => true,
            ClientError::Status { status, .. } => *status >= 500,
            _ => false,
        };
        let busy = matches!(error.status(), Some(429 | 503));
        if silent || busy {
            let mut rest = self.rest.lock();
            let own = if silent { 1000_u64 << rest.failures.min(8) } else { 0 };
            let asked = error.retry_after().map_or(0, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            rest.failures = rest.failures.saturating_add(u32::from(silent));
            rest.until = rest.until.max(now.saturating_add(own.max(asked).min(MAX_REST_MS)));
        }
        Failure {
            why: error.to_string(),
            refused: !silent,
            retry_after: error.retry_after(),
            receipt: self.receipt(path, error),
        }
    }

    fn unasked(&self, path: &str, retry_after: Option<Duration>) -> Failure {
        let receipt = Receipt { asked: self.asked(path), status: 0, body: B64(b"not asked".to_vec()) };
        Failure { why: "the log is left alone for a while".into(), refused: false, retry_after, receipt }
    }

    /// Leaves the log alone for a while, longer each time: it kept us waiting.
    pub fn tire(&self, now: UnixMillis) {
        let mut rest = self.rest.lock();
        if rest.until <= now {
            rest.until = now.saturating_add(1000_u64 << rest.failures.min(8));
            rest.failures = rest.failures.saturating_add(1);
        }
    }

    fn asked(&self, path: &str) -> String {
        format!("GET {}/{path}", self.client.base_url())
    }

    fn receipt(&self, path: &str, error: &ClientError) -> Receipt {
        let body = match error {
            ClientError::Problem { problem, .. } => serde_json::to_vec(problem).unwrap_or_default(),
            other => other.to_string().into_bytes(),
        };
        let body = body.into_iter().take(MAX_RECEIPT).collect();
        Receipt { asked: self.asked(path), status: error.status().unwrap_or(0), body: B64(body) }
    }

    fn receipt_of(&self, path: &str, answer: &impl Serialize) -> Receipt {
        let body = serde_json::to_vec(answer).unwrap_or_default().into_iter().take(MAX_RECEIPT).collect();
        Receipt { asked: self.asked(path), status: 200, body: B64(body) }
    }
}

enum Refusal {
    Unknown(bool, Receipt),
    Failed(Failure),
}
