//! What a batch does to the tree: a pure function from the state, the batch and the time to one
//! commit and an answer for every submission.

use std::collections::HashSet;

use thiserror::Error;

use crate::log::entry::{Fingerprint, Record, Sequenced, Submission};
use crate::log::store::{Commit, NewEntry, TreeState};
use crate::merkle::{Edge, Hash, LeafIndex, integrate};
use crate::time::UnixMillis;

/// Why no plan could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// The clock shows less than a timestamp that was given out: nothing may be stamped before
    /// it catches up (protocol section 4).
    #[error("the clock is {behind_ms} ms behind a timestamp that was given out already")]
    ClockBehind {
        /// How far.
        behind_ms: u64,
    },
    /// The tree has no room.
    #[error("the tree is full")]
    TreeFull,
}

/// The change that a batch makes.
#[derive(Debug)]
pub struct Plan {
    /// To be committed; `None` where every submission was known.
    pub commit: Option<Commit>,
    /// The right edge of the tree after it.
    pub edge: Edge,
    /// The place of each submission, in the order of the batch. Valid only behind the commit.
    pub places: Vec<Sequenced>,
}

/// Plans a batch of distinct submissions onto the tree `(edge, tree)`.
///
/// `known` says for each where it is logged already, `floor` is the newest timestamp given out,
/// `stored` names chain certificates that need not be written again.
pub fn plan(
    (edge, tree): (&Edge, &TreeState),
    batch: Vec<Submission>,
    known: &[Option<Sequenced>],
    stored: &HashSet<Fingerprint>,
    floor: UnixMillis,
    now: UnixMillis,
) -> Result<Plan, PlanError> {
    let fresh = known.iter().filter(|k| k.is_none()).count();
    if fresh == 0 {
        return Ok(Plan { commit: None, edge: edge.clone(), places: known.iter().flatten().copied().collect() });
    }
    if now < floor {
        return Err(PlanError::ClockBehind { behind_ms: floor.since(now) });
    }
    let mut commit = Commit::on(*tree);
    commit.entries.reserve_exact(fresh);
    let mut places = Vec::with_capacity(batch.len());
    let mut new_issuers = HashSet::new();
    let mut next = tree.size.get();
    for (submission, known) in batch.into_iter().zip(known) {
        if let Some(place) = known {
            places.push(*place);
            continue;
        }
        places.push(Sequenced { index: LeafIndex::new(next), timestamp: now });
        next = next.checked_add(1).ok_or(PlanError::TreeFull)?;
        for (fingerprint, der) in submission.chain.certificates() {
            if !stored.contains(&fingerprint) && new_issuers.insert(fingerprint) {
                commit.issuers.push((fingerprint, der.to_vec()));
            }
        }
        commit.entries.push(entry(submission, now));
    }
    let leaves: Vec<Hash> = commit.entries.iter().map(|e| e.leaf_hash).collect();
    let grown = integrate(edge, &leaves).map_err(|_| PlanError::TreeFull)?;
    commit.tree = TreeState { size: grown.edge.size(), root: grown.edge.root(), newest: now };
    commit.tiles = grown.tiles;
    Ok(Plan { commit: Some(commit), edge: grown.edge, places })
}

fn entry(submission: Submission, timestamp: UnixMillis) -> NewEntry {
    NewEntry {
        leaf_hash: submission.cert_hash.leaf_hash(),
        record: Record {
            cert_hash: submission.cert_hash,
            timestamp,
            entry_type: submission.entry_type,
            chain: submission.chain.fingerprints(),
        },
        submission: submission.der,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::entry::{CertHash, Chain, EntryType};
    use crate::merkle::{TreeSize, leaf_hash, node_hash};

    fn submission(der: &[u8]) -> Submission {
        let chain = Chain::new([&b"issuer"[..], &b"anchor"[..]]);
        Submission {
            cert_hash: CertHash::of_certificate(der),
            entry_type: EntryType::Precertificate,
            der: der.to_vec(),
            chain,
        }
    }

    fn at(ms: u64) -> UnixMillis {
        UnixMillis::new(ms)
    }

    #[test]
    fn new_entries_follow_in_order_and_known_ones_keep_their_place() {
        let known = Sequenced { index: LeafIndex::new(7), timestamp: at(3) };
        let batch = vec![submission(b"a"), submission(b"old"), submission(b"b")];
        let (edge, tree) = (Edge::empty(), TreeState::empty());
        let plan = plan((&edge, &tree), batch, &[None, Some(known), None], &HashSet::new(), at(5), at(5)).unwrap();
        let place = |i| Sequenced { index: LeafIndex::new(i), timestamp: at(5) };
        assert_eq!(plan.places, vec![place(0), known, place(1)]);
        let commit = plan.commit.unwrap();
        assert_eq!((commit.base, commit.tree.size), (TreeSize::EMPTY, TreeSize::new(2)));
        let leaf = |der: &[u8]| leaf_hash(CertHash::of_certificate(der).as_bytes());
        assert_eq!(commit.tree.root, node_hash(&leaf(b"a"), &leaf(b"b")));
        assert_eq!(commit.tree.newest, at(5));
        assert_eq!(commit.issuers.len(), 2, "the chain of both entries is written once");
        assert_eq!(commit.entries[1].submission, b"b");
    }

    #[test]
    fn chain_certificates_that_are_stored_are_not_written_again() {
        let stored = submission(b"a").chain.fingerprints().into_iter().collect();
        let (edge, tree) = (Edge::empty(), TreeState::empty());
        let plan = plan((&edge, &tree), vec![submission(b"a")], &[None], &stored, at(0), at(5)).unwrap();
        assert_eq!(plan.commit.unwrap().issuers, vec![]);
    }

    #[test]
    fn nothing_is_stamped_before_what_was_given_out() {
        let (edge, tree) = (Edge::empty(), TreeState::empty());
        let refused = plan((&edge, &tree), vec![submission(b"a")], &[None], &HashSet::new(), at(10), at(8));
        assert_eq!(refused.unwrap_err(), PlanError::ClockBehind { behind_ms: 2 });
    }

    #[test]
    fn a_batch_of_known_submissions_writes_nothing_whatever_the_clock_says() {
        let known = Sequenced { index: LeafIndex::new(0), timestamp: at(3) };
        let (edge, tree) = (Edge::empty(), TreeState::empty());
        let plan = plan((&edge, &tree), vec![submission(b"a")], &[Some(known)], &HashSet::new(), at(9), at(1)).unwrap();
        assert_eq!((plan.commit, plan.places), (None, vec![known]));
    }
}
