//! What a log has said, kept against it: every SAT and every head, audited over HTTP.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use atl::api::{ConsistencyResponse, EntryResponse, ProofResponse, SthResponse, SubmitEntryResponse};
use atl::keys::PublicKey;
use atl::log::bundle::{CertBundle, EntryBundle};
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::log::sth::{SignedTreeHead, TreeHead};
use atl::merkle::{Hash, TilePath, TreeSize, Width, verify_consistency, verify_inclusion};
use sha2::{Digest, Sha256};

use crate::pki::submission;
use crate::raw_http::Connection;

/// Everything heard of one log.
pub struct Ledger {
    key: PublicKey,
    sats: Mutex<BTreeMap<CertHash, (Vec<u8>, SubmitEntryResponse)>>,
    heads: Mutex<Vec<SthResponse>>,
}

impl Ledger {
    /// Nothing heard yet of the log with this key.
    pub fn new(key: &PublicKey) -> Self {
        Self { key: key.clone(), sats: Mutex::default(), heads: Mutex::default() }
    }

    /// SATs of distinct certificates heard.
    pub fn sats(&self) -> usize {
        self.sats.lock().unwrap().len()
    }

    /// Distinct heads heard.
    pub fn heads(&self) -> usize {
        self.heads.lock().unwrap().len()
    }

    /// The certificate that a SAT gave this index.
    pub fn certificate_of(&self, index: u64) -> Vec<u8> {
        let sats = self.sats.lock().unwrap();
        sats.values().find(|(_, sat)| sat.leaf_index.get() == index).map(|(der, _)| der.clone()).unwrap()
    }

    /// Its leaf hash.
    pub fn leaf_of(&self, index: u64) -> Hash {
        CertHash::of_certificate(&self.certificate_of(index)).leaf_hash()
    }

    /// Takes down the answer to a submission: it must be signed, and what was said before.
    #[track_caller]
    pub fn hear(&self, der: &[u8], answer: SubmitEntryResponse) {
        let cert_hash = CertHash::of_certificate(der);
        let sat = SignedAgentTimestamp::from_der(answer.sat.as_slice()).unwrap();
        sat.verify(&self.key, cert_hash).unwrap();
        assert_eq!((sat.timestamp, *cert_hash.hash()), (answer.timestamp, answer.cert_hash));
        let mut sats = self.sats.lock().unwrap();
        let known = sats.entry(cert_hash).or_insert_with(|| (der.to_vec(), answer.clone()));
        assert_eq!(known.1, answer, "the log answers otherwise than before");
    }

    /// Submits; takes a SAT down. Otherwise the token, or nothing where the connection broke.
    pub fn submit(&self, http: &mut Connection, der: &[u8]) -> Result<(), Option<String>> {
        let answer = http.post("/atl/v1/submit-entry", &submission(der)).map_err(|_| None)?;
        match answer.status {
            200 => {
                self.hear(der, answer.json());
                Ok(())
            }
            _ => Err(Some(answer.token())),
        }
    }

    /// Asks for the head and takes it down; its size. Nothing where the connection broke.
    pub fn look(&self, http: &mut Connection) -> Option<TreeSize> {
        let sth: SthResponse = http.get("/atl/v1/get-sth").ok()?.json();
        let size = sth.tree_size;
        self.signed(&sth).verify(&self.key).unwrap();
        let mut heads = self.heads.lock().unwrap();
        if !heads.contains(&sth) {
            heads.push(sth);
        }
        Some(size)
    }

    fn signed(&self, sth: &SthResponse) -> SignedTreeHead {
        let head = TreeHead { size: sth.tree_size, timestamp: sth.timestamp, root: sth.root_hash };
        SignedTreeHead { log_id: sth.log_id, head, signature: sth.signature.0.clone() }
    }

    /// Waits until a head covers every SAT heard.
    #[track_caller]
    pub fn settle(&self, http: &mut Connection) -> SthResponse {
        let last = self.sats.lock().unwrap().values().map(|(_, sat)| sat.leaf_index.get() + 1).max().unwrap_or(0);
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.look(http).expect("the log answers").get() < last {
            assert!(Instant::now() < deadline, "no head covers the {last} entries that SATs were given for");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.heads.lock().unwrap().last().cloned().unwrap()
    }

    /// The whole audit: heads, SATs, the same answers again, and the tree from its leaves.
    #[track_caller]
    pub fn audit(&self, http: &mut Connection) {
        let sth = self.settle(http);
        self.audit_heads(http);
        self.audit_sats(http, &sth);
        rederive(http, &sth);
    }

    /// Every head heard grows from the one before, whatever happened in between.
    #[track_caller]
    pub fn audit_heads(&self, http: &mut Connection) {
        let mut heads = self.heads.lock().unwrap().clone();
        heads.sort_by_key(|sth| sth.timestamp);
        for pair in heads.windows(2) {
            let (first, second) = (&pair[0], &pair[1]);
            assert!(first.timestamp < second.timestamp, "two heads at one moment: {pair:?}");
            let target = format!("/atl/v1/get-sth-consistency?first={}&second={}", first.tree_size, second.tree_size);
            let answer = http.get(&target).unwrap();
            assert_eq!(answer.status, 200, "{target}: {answer:?}");
            let proof: ConsistencyResponse = answer.json();
            let sizes = (first.tree_size, second.tree_size);
            verify_consistency(sizes.0, sizes.1, &first.root_hash, &second.root_hash, &proof.consistency).unwrap();
        }
    }

    /// Every SAT heard is in the tree of `sth`, and sending its certificate again says the same.
    #[track_caller]
    pub fn audit_sats(&self, http: &mut Connection, sth: &SthResponse) {
        let sats = self.sats.lock().unwrap().clone();
        for (cert_hash, (der, sat)) in &sats {
            let escaped = |hash: &Hash| {
                let text = crate::pki::b64(hash.as_bytes());
                text.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")
            };
            let target = format!("/atl/v1/get-entry-by-cert-hash?cert_hash={}", escaped(cert_hash.hash()));
            let answer = http.get(&target).unwrap();
            assert_eq!(answer.status, 200, "a SAT was given for {cert_hash}, but: {answer:?}");
            let entry: EntryResponse = answer.json();
            assert_eq!((entry.leaf_index, entry.timestamp), (sat.leaf_index, sat.timestamp));
            assert_eq!(entry.submission.as_ref().map(|s| s.as_slice()), Some(&der[..]));
            let leaf = cert_hash.leaf_hash();
            let target = format!("/atl/v1/get-proof-by-hash?hash={}&tree_size={}", escaped(&leaf), sth.tree_size);
            let proof: ProofResponse = http.get(&target).unwrap().json();
            assert_eq!(proof.leaf_index, sat.leaf_index);
            verify_inclusion(&leaf, proof.leaf_index, proof.tree_size, &proof.inclusion, &sth.root_hash).unwrap();
            assert!(sat.timestamp <= sth.timestamp, "a head is older than a SAT that it covers");
            let again = http.post("/atl/v1/submit-entry", &submission(der)).unwrap();
            assert_eq!(again.status, 200, "{again:?}");
            assert_eq!(&again.json::<SubmitEntryResponse>(), sat, "the second SAT is another");
        }
    }
}

/// Reads every entry and every tile of the tree of `sth`, and makes the tree again from the
/// certificates alone, with nothing of the program's own arithmetic.
#[track_caller]
pub fn rederive(http: &mut Connection, sth: &SthResponse) {
    let size = usize::try_from(sth.tree_size.get()).unwrap();
    let mut fetch = |path: TilePath| {
        let answer = http.get(&format!("/{path}")).unwrap();
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body
    };
    let (mut level, mut newest) = (Vec::with_capacity(size), 0);
    for bundle in 0..size.div_ceil(256) {
        let width = Width::new((size - bundle * 256).min(256)).unwrap();
        let entries = EntryBundle::from_octets(&fetch(TilePath::entries(bundle as u64, width))).unwrap();
        let certs = CertBundle::from_octets(&fetch(TilePath::certs(bundle as u64, width))).unwrap();
        assert_eq!((entries.entries().len(), certs.rows().len()), (width.get(), width.get()));
        for (entry, row) in entries.entries().iter().zip(certs.rows()) {
            let certificate = row.certificate.as_ref().expect("nothing was pruned");
            assert_eq!(Sha256::digest(certificate).as_slice(), entry.as_bytes());
            assert!(row.timestamp.get() >= newest, "entries are not in the order of their timestamps");
            newest = row.timestamp.get();
            level.push(hash(&[&[0], entry.as_bytes()]));
        }
    }
    let mut distinct = level.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), size, "one certificate has two places");
    assert_eq!(root(&level).as_slice(), sth.root_hash.as_bytes(), "the head is not over these entries");
    for number in 0.. {
        for (index, hashes) in level.chunks(256).enumerate() {
            let tile = atl::merkle::TileId::new(number, index as u64).unwrap();
            let octets = fetch(TilePath::hashes(tile, Width::new(hashes.len()).unwrap()));
            assert_eq!(octets, hashes.concat(), "tile {index} of level {number}");
        }
        level = level.chunks_exact(256).map(root).collect();
        if level.is_empty() {
            break;
        }
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    Sha256::digest(parts.concat()).into()
}

/// RFC 9162 section 2.1.1, word for word: the largest power of two below *n* to the left.
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => hash(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            hash(&[&[1], &root(left), &root(right)])
        }
    }
}
