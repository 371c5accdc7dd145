//! Logs, trees and cases for tests, all with real signatures.

use std::sync::{Arc, LazyLock};

use atl::keys::{Ed25519Signer, Signer};
use atl::log::checkpoint::{Origin, sign_checkpoint};
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::log::sth::{SignedTreeHead, TreeHead};
use atl::merkle::{Edge, Hash, InclusionPlan, LeafIndex, Tile, TreeSize, integrate};
use atl::time::UnixMillis;

use super::{Archive, Case, Divergence, Exhibit, Files, Included, Outcome, Receipt, divergence, files, judge};
use crate::finding::Class;
use crate::head::RawHead;
use crate::watched::WatchedLog;

#[path = "../../../tests/common/agents.rs"]
pub mod agents;

pub const NOW: UnixMillis = agents::NOW;

/// A log with its key.
pub struct TestLog {
    pub signer: Ed25519Signer,
    pub watched: WatchedLog,
}

impl TestLog {
    pub fn new(seed: u8) -> Self {
        let signer = Ed25519Signer::from_seed(&[seed; 32]).unwrap();
        let origin: Origin = format!("log-{seed}.example/2026").parse().unwrap();
        let key = origin.verifier_key(signer.public_key()).unwrap();
        let url = format!("https://log-{seed}.example");
        Self { signer, watched: WatchedLog::new(key, url, "Operator".into()).unwrap() }
    }

    pub fn sth(&self, tree: &[Hash], at: u64) -> RawHead {
        SignedTreeHead::sign(&self.signer, head(tree, at)).unwrap().into()
    }

    pub fn checkpoint(&self, tree: &[Hash]) -> RawHead {
        RawHead::Checkpoint(sign_checkpoint(&self.signer, &self.watched.origin, &head(tree, 0)).unwrap())
    }

    pub fn sat(&self, hash: CertHash, at: UnixMillis) -> Vec<u8> {
        SignedAgentTimestamp::sign(&self.signer, at, hash).unwrap().to_der()
    }

    /// The certificate as the third leaf of seven, under a head of `at`.
    pub fn holds(&self, der: &[u8], at: u64) -> Included {
        let mut tree = leaves(7, 9);
        tree[2] = CertHash::of_certificate(der).leaf_hash();
        let index = LeafIndex::new(2);
        let plan = InclusionPlan::new(index, TreeSize::new(7)).unwrap();
        let inclusion = plan.prove(&[Tile::new(tree.clone()).unwrap()]).unwrap();
        let log = self.watched.origin.to_string();
        Included { certificate: der.to_vec().into(), log, index, inclusion, head: self.sth(&tree, at) }
    }

    pub fn exhibit(&self, class: Class) -> Exhibit {
        Exhibit::new(class, vec![self.watched.clone()], format!("Something of the class {class}"))
    }

    /// An exhibit of these heads, shown by two.
    pub fn heads(&self, class: Class, heads: impl IntoIterator<Item = RawHead>) -> Exhibit {
        let shown_by = vec!["log".into(), "other.example/monitor".into()];
        Exhibit { heads: heads.into_iter().collect(), shown_by, ..self.exhibit(class) }
    }
}

fn head(tree: &[Hash], at: u64) -> TreeHead {
    TreeHead { size: TreeSize::new(tree.len() as u64), timestamp: UnixMillis::new(at), root: root(tree) }
}

pub fn root(tree: &[Hash]) -> Hash {
    integrate(&Edge::empty(), tree).unwrap().edge.root()
}

pub fn leaves(n: u64, seed: u8) -> Vec<Hash> {
    (0..n).map(|i| Hash::of(&[&[seed][..], &i.to_be_bytes()].concat())).collect()
}

/// The subtrees of `tree` for a head of its first `first` leaves.
pub fn diverging(tree: &[Hash], first: u64) -> Divergence {
    let plan = divergence::plan(TreeSize::new(first), TreeSize::new(tree.len() as u64)).unwrap();
    let [first, rest] =
        plan.map(|steps| steps.into_iter().map(|(start, level)| root(&tree[start as usize..][..1 << level])).collect());
    Divergence { first, rest }
}

/// A log that has rewritten its past: heads of 5 and 12 leaves, and where they part.
pub fn rewritten() -> Exhibit {
    let log = TestLog::new(1);
    let (old, new) = (leaves(5, 1), leaves(12, 2));
    let heads = [log.sth(&old, 1000), log.sth(&new, 2000)];
    Exhibit { divergence: Some(diverging(&new, 5)), ..log.heads(Class::InconsistentHeads, heads) }
}

/// A case with something of everything in it, that is proven: a head over all of its leaves without the one that
/// was promised. It is the same each time.
pub fn rich() -> Exhibit {
    static RICH: LazyLock<Exhibit> = LazyLock::new(made_rich);
    RICH.clone()
}

fn made_rich() -> Exhibit {
    let (log, other) = (TestLog::new(1), TestLog::new(2));
    let world = agents::World::new();
    let agent = world.agent(&agents::Profile::new("one", 50));
    let promised = CertHash::new([7; 32]);
    let tree = leaves(6, 3);
    Exhibit {
        logs: vec![log.watched.clone(), other.watched.clone()],
        sats: vec![log.sat(promised, NOW).into()],
        leaves: tree.clone(),
        certificates: vec![other.holds(agent.certificate.der(), 9000)],
        issuers: vec![world.ca.certificate.der().to_vec().into()],
        terms: Some(super::Terms { max_score: Some(70), ..super::Terms::default() }),
        receipts: vec![Receipt {
            asked: "GET https://log-1.example/x".into(),
            status: 404,
            body: b"no\n".to_vec().into(),
        }],
        ..log.heads(Class::NotIncluded, [log.sth(&tree, NOW.get() + 3_600_000), log.checkpoint(&tree)])
    }
}

pub fn outcome(exhibit: &Exhibit) -> Outcome {
    judge(&Case::of(exhibit).unwrap())
}

pub fn archive(dir: &std::path::Path) -> Archive {
    let signer = Ed25519Signer::from_seed(&[77; 32]).unwrap();
    Archive::open(dir, Arc::new(signer), "monitor.example/1".parse().unwrap()).unwrap()
}

/// The files of an exhibit, as they were kept.
pub fn kept(exhibit: &Exhibit) -> Files {
    let dir = tempfile::tempdir().unwrap();
    let id = archive(dir.path()).keep(exhibit, NOW).unwrap();
    files(dir.path(), &id).unwrap()
}
