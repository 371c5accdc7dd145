//! Readers' load: questions for inclusion proofs, and whether each proof leads to the signed root.

use std::sync::Arc;

use super::check::{Checked, Judge};
use super::http::Target;
use super::load::{Prepared, Supply, Taken};
use crate::api::{ProofQuery, ProofResponse};
use crate::cli::log::remote::{RemoteLog, failed, polite};
use crate::cli::output::{CliError, Context};
use crate::log::bundle::EntryBundle;
use crate::log::entry::CertHash;
use crate::log::sth::TreeHead;
use crate::merkle::{Hash, LeafIndex, TILE_WIDTH, TileId, TilePath, verify_inclusion};

/// Bundles of entries that are fetched at most: some 20,000 leaves.
const MAX_BUNDLES: u64 = 78;
/// Where the pseudo-random order begins, the same in each run.
const SEED: u64 = 0x6174_6c20_7072_6f6f;

/// A leaf that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Where it is in the tree.
    pub index: LeafIndex,
    /// Its hash.
    pub hash: Hash,
}

/// Leaves of the log under `head`, from bundles spread evenly over the tree, oldest and newest
/// among them.
pub async fn leaves(log: &RemoteLog, head: &TreeHead) -> Result<Vec<Leaf>, CliError> {
    let mut leaves = Vec::new();
    for bundle in spread(head.size.get().div_ceil(TILE_WIDTH as u64)) {
        let width = TileId::new(0, bundle).and_then(|tile| tile.width_at(head.size));
        let width = width.ok_or_else(|| CliError::new(format!("the tree has no bundle {bundle}")))?;
        let path = TilePath::entries(bundle, width).to_string();
        let octets = polite(|| log.client.tile(&path)).await.map_err(failed)?;
        let entries = EntryBundle::from_octets(&octets).context(&path)?;
        if entries.entries().len() != width.get() {
            return Err(CliError::negative(format!("{path} has {} entries", entries.entries().len())));
        }
        let indices = bundle * TILE_WIDTH as u64..;
        let leaf = |(index, entry): (u64, &CertHash)| Leaf { index: LeafIndex::new(index), hash: entry.leaf_hash() };
        leaves.extend(indices.zip(entries.entries()).map(leaf));
    }
    Ok(leaves)
}

/// At most [`MAX_BUNDLES`] of `bundles`, the first and the last among them.
fn spread(bundles: u64) -> impl Iterator<Item = u64> {
    let count = bundles.min(MAX_BUNDLES);
    let (last, steps) = (u128::from(bundles.saturating_sub(1)), u128::from(count.saturating_sub(1).max(1)));
    (0..count).map(move |step| (u128::from(step) * last / steps) as u64)
}

/// Questions without end, for the same leaves in the same pseudo-random order each time.
pub struct Questions {
    requests: Vec<(Arc<[u8]>, Leaf)>,
    state: u64,
}

impl Questions {
    /// One question for each leaf: its proof in the tree under `head`.
    pub fn new(target: &Target, head: &TreeHead, leaves: &[Leaf]) -> Self {
        let request = |leaf: &Leaf| {
            let query = ProofQuery { hash: leaf.hash, tree_size: Some(head.size) }.to_query();
            (target.get(&format!("/atl/v1/get-proof-by-hash?{query}")).into(), *leaf)
        };
        Self { requests: leaves.iter().map(request).collect(), state: SEED }
    }

    /// Octets of one request; they differ by a few.
    pub fn octets(&self) -> usize {
        self.requests.first().map_or(0, |(request, _)| request.len())
    }

    /// A number below `bound`, as SplitMix64 gives them (Steele, Lea and Flood 2014).
    fn next(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((u128::from(mixed) * bound as u128) >> 64) as usize
    }
}

impl Supply for Questions {
    type Subject = Leaf;

    fn take(&mut self) -> Result<Taken<Leaf>, CliError> {
        let place = self.next(self.requests.len());
        Ok(match self.requests.get(place) {
            Some((request, leaf)) => Taken::Request(Prepared { request: Arc::clone(request), subject: *leaf }),
            None => Taken::Empty,
        })
    }
}

/// Judges proofs: each must lead from its leaf to the root under this head.
impl Judge for TreeHead {
    type Subject = Leaf;
    type Noted = ();

    fn wanted(&self, _: &Leaf) -> usize {
        1
    }

    fn answer(&self, leaf: &Leaf, body: &[u8], checked: &mut Checked<()>) {
        checked.judged(judge(self, leaf, body));
    }
}

fn judge(head: &TreeHead, leaf: &Leaf, body: &[u8]) -> Result<(), &'static str> {
    let proof: ProofResponse = serde_json::from_slice(body).map_err(|_| "answers that do not parse")?;
    if proof.tree_size != head.size {
        return Err("proofs in another tree than the one asked for");
    }
    if proof.leaf_index != leaf.index {
        return Err("proofs of a leaf at another index");
    }
    verify_inclusion(&leaf.hash, leaf.index, head.size, &proof.inclusion, &head.root)
        .map_err(|_| "proofs that do not lead to the signed root")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli::log::hammer::check::check;
    use crate::cli::log::hammer::http::Answer;
    use crate::cli::log::hammer::load::Exchange;
    use crate::merkle::{TreeSize, leaf_hash, node_hash};
    use crate::time::UnixMillis;

    fn two() -> (TreeHead, [Leaf; 2]) {
        let leaf = |n: u8| Leaf { index: LeafIndex::new(n.into()), hash: leaf_hash(&[n]) };
        let leaves = [leaf(0), leaf(1)];
        let root = node_hash(&leaves[0].hash, &leaves[1].hash);
        (TreeHead { size: TreeSize::new(2), timestamp: UnixMillis::new(1), root }, leaves)
    }

    #[test]
    fn bundles_are_spread_from_the_first_to_the_last() {
        let of = |bundles| spread(bundles).collect::<Vec<_>>();
        assert!(of(0).is_empty());
        assert_eq!(of(1), [0]);
        assert_eq!(of(MAX_BUNDLES), (0..MAX_BUNDLES).collect::<Vec<_>>());
        for bundles in [MAX_BUNDLES + 1, 100_000, u64::MAX] {
            let found = of(bundles);
            assert!(found.is_sorted_by(|a, b| a < b) && found.len() as u64 == MAX_BUNDLES, "{bundles}");
            assert_eq!((found[0], found[found.len() - 1]), (0, bundles - 1));
        }
    }

    #[test]
    fn the_order_is_the_same_each_time_and_leaves_nobody_out() {
        let (head, _) = two();
        let leaves: Vec<_> =
            (0..100).map(|n| Leaf { index: LeafIndex::new(n), hash: leaf_hash(&n.to_be_bytes()) }).collect();
        let target = Target { host: "log.example".into(), port: 80, base: "/x".into() };
        let order = || {
            let mut questions = Questions::new(&target, &head, &leaves);
            let index = |taken| match taken {
                Ok(Taken::Request(Prepared { request, subject: Leaf { index, .. } })) => {
                    let text = String::from_utf8(request.to_vec()).unwrap();
                    assert!(text.starts_with("GET /x/atl/v1/get-proof-by-hash?hash="), "{text}");
                    assert!(text.ends_with("&tree_size=2 HTTP/1.1\r\nhost: log.example:80\r\n\r\n"), "{text}");
                    index.get()
                }
                _ => panic!("there is always a question"),
            };
            (0..1000).map(|_| index(questions.take())).collect::<Vec<_>>()
        };
        let first = order();
        assert_eq!(first, order());
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 100);
        assert!(matches!(Questions::new(&target, &head, &[]).take(), Ok(Taken::Empty)));
    }

    #[test]
    fn each_fault_is_named() {
        let (head, [first, second]) = two();
        let good = ProofResponse { leaf_index: first.index, tree_size: head.size, inclusion: vec![second.hash] };
        let cases = [
            (good.clone(), None),
            (ProofResponse { tree_size: TreeSize::new(3), ..good.clone() }, Some("another tree")),
            (ProofResponse { leaf_index: second.index, ..good.clone() }, Some("another index")),
            (ProofResponse { inclusion: vec![first.hash], ..good.clone() }, Some("signed root")),
            (ProofResponse { inclusion: vec![], ..good }, Some("signed root")),
        ];
        for (answer, fault) in cases {
            let verdict = judge(&head, &first, &serde_json::to_vec(&answer).unwrap());
            assert!(verdict.err().map_or(fault.is_none(), |what| fault.is_some_and(|f| what.contains(f))), "{fault:?}");
        }
        assert!(judge(&head, &first, b"{}").is_err());

        let zero = std::time::Duration::ZERO;
        let outcome = Ok(Answer { status: 503, body: Box::default() });
        let lost = Exchange { due: zero, sent: zero, done: zero, subject: first, outcome };
        let checked = check(&[lost], &head);
        assert_eq!((checked.good, checked.bad.len(), checked.refused.values().sum::<usize>()), (0, 0, 1));
    }
}
