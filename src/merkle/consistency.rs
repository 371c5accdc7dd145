//! Consistency proofs (RFC 9162 section 2.1.4): a later tree begins with an earlier one.

use super::proof::{Climb, Sibling};
use super::subtree::{SubtreePlan, split};
use super::{Hash, ProofError, Tile, TileId, TreeSize, empty_root, node_hash};

/// Which tiles the proof that one tree begins with another is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyPlan(SubtreePlan);

impl ConsistencyPlan {
    /// Plans the proof that the tree of `second` leaves begins with that of `first`. From size 0
    /// and between equal sizes the proof is empty (ruling R13).
    pub fn new(first: TreeSize, second: TreeSize) -> Result<Self, ProofError> {
        if first > second {
            return Err(ProofError::Shrinks { first, second });
        }
        if first.is_empty() || first == second {
            return Ok(Self(SubtreePlan::default()));
        }
        // Down to where the first tree ends at the end of a subtree of the second.
        let first = first.get();
        let mut nodes = Vec::with_capacity(65);
        let (mut start, mut end) = (0, second.get());
        while end != first {
            let middle = start + split(end - start);
            if first <= middle {
                nodes.push(middle..end);
                end = middle;
            } else {
                nodes.push(start..middle);
                start = middle;
            }
        }
        // Where that subtree is the whole first tree, its root is known to who checks the proof.
        if start > 0 {
            nodes.push(start..end);
        }
        Ok(Self(SubtreePlan::new(nodes.into_iter().rev())))
    }

    /// The tiles to read, each once; a handful for trees of any size.
    pub fn tiles(&self) -> &[TileId] {
        self.0.tiles()
    }

    /// The proof, from the bottom up, out of the tiles in the order of [`tiles`](Self::tiles).
    /// They may be wider than the trees of the plan have them.
    pub fn prove(&self, tiles: &[Tile]) -> Result<Vec<Hash>, ProofError> {
        Ok(self.0.roots(tiles)?)
    }
}

/// Checks that the tree of `second` leaves with `second_root` begins with the tree of `first`
/// leaves with `first_root` (RFC 9162 section 2.1.4.2; ruling R13 for size 0 and equal sizes).
pub fn verify_consistency(
    first: TreeSize,
    second: TreeSize,
    first_root: &Hash,
    second_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if first > second {
        return Err(ProofError::Shrinks { first, second });
    }
    if first.is_empty() && *first_root != empty_root() {
        return Err(ProofError::FirstRoot);
    }
    if first.is_empty() || first == second {
        return match (proof, first == second && first_root != second_root) {
            ([], false) => Ok(()),
            ([], true) => Err(ProofError::SecondRoot),
            _ => Err(ProofError::Length(proof.len())),
        };
    }
    // Where the first tree is one perfect subtree of the second, its root opens the proof unsaid.
    let (start, rest) = match proof.split_first() {
        Some(_) if first.get().is_power_of_two() => (first_root, proof),
        Some((start, rest)) => (start, rest),
        None => return Err(ProofError::Length(0)),
    };
    let (old, new) = climb(first, second, start, rest).ok_or(ProofError::Length(proof.len()))?;
    if old != *first_root {
        return Err(ProofError::FirstRoot);
    }
    if new != *second_root {
        return Err(ProofError::SecondRoot);
    }
    Ok(())
}

/// The roots of both trees that `proof` leads to from `start`, the last subtree of the first
/// tree; `None` where it is too long or too short. Both sizes are at least 1.
fn climb(first: TreeSize, second: TreeSize, start: &Hash, proof: &[Hash]) -> Option<(Hash, Hash)> {
    let end = first.get() - 1;
    let whole = end.trailing_ones();
    let mut way = Climb::new(end >> whole, (second.get() - 1) >> whole);
    let (mut old, mut new) = (*start, *start);
    for sibling in proof {
        match way.step()? {
            Sibling::Left => {
                old = node_hash(sibling, &old);
                new = node_hash(sibling, &new);
            }
            Sibling::Right => new = node_hash(&new, sibling),
        }
    }
    way.is_done().then_some((old, new))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::reference::{self, Grown};
    use proptest::prelude::*;

    fn check(grown: &Grown, first: u64, second: u64) {
        let (from, to) = (TreeSize::new(first), TreeSize::new(second));
        let plan = ConsistencyPlan::new(from, to).unwrap();
        let proof = plan.prove(&grown.tiles(plan.tiles())).unwrap();
        let leaves = &grown.leaves[..second as usize];
        let (old, new) = (reference::root(&leaves[..first as usize]), reference::root(leaves));
        if first > 0 {
            assert_eq!(proof, reference::consistency(first as usize, leaves), "{first} to {second}");
        }
        assert_eq!(verify_consistency(from, to, &old, &new, &proof), Ok(()), "{first} to {second}");
    }

    #[test]
    fn all_pairs_of_small_trees_and_samples_of_larger_ones() {
        let grown = Grown::new(600);
        for second in 0..50 {
            (0..=second).for_each(|first| check(&grown, first, second));
        }
        for second in (50..600).step_by(3) {
            [1, second / 3, second - 1].into_iter().for_each(|first| check(&grown, first, second));
        }
        for second in [255, 256, 257, 511, 512, 513, 600] {
            (0..=second).step_by(5).for_each(|first| check(&grown, first, second));
        }
    }

    #[test]
    fn around_the_third_level() {
        let grown = Grown::new(65_536 + 300);
        for second in [65_536, 65_537, 65_536 + 257] {
            [1, 255, 256, 257, 65_280, 65_535, 65_536].into_iter().for_each(|first| check(&grown, first, second));
        }
    }

    #[test]
    fn plans_stay_small_at_any_size() {
        let second = TreeSize::new(u64::MAX);
        for first in [1, 1 << 40, 1 << 63, u64::MAX / 3, u64::MAX - 1] {
            let plan = ConsistencyPlan::new(TreeSize::new(first), second).unwrap();
            assert!(plan.tiles().len() <= 16, "{}", plan.tiles().len());
        }
    }

    #[test]
    fn the_cases_with_an_empty_proof() {
        let [a, b] = [Hash::new([1; 32]), Hash::new([2; 32])];
        let [none, three, five] = [0, 3, 5].map(TreeSize::new);
        assert_eq!(verify_consistency(none, five, &empty_root(), &a, &[]), Ok(()));
        assert_eq!(verify_consistency(none, five, &a, &a, &[]), Err(ProofError::FirstRoot));
        assert_eq!(verify_consistency(none, five, &empty_root(), &a, &[b]), Err(ProofError::Length(1)));
        assert_eq!(verify_consistency(none, none, &empty_root(), &a, &[]), Err(ProofError::SecondRoot));
        assert_eq!(verify_consistency(none, none, &a, &a, &[]), Err(ProofError::FirstRoot));
        assert_eq!(verify_consistency(five, five, &a, &a, &[]), Ok(()));
        assert_eq!(verify_consistency(five, five, &a, &b, &[]), Err(ProofError::SecondRoot));
        assert_eq!(verify_consistency(five, five, &a, &a, &[b]), Err(ProofError::Length(1)));
        assert_eq!(verify_consistency(three, five, &a, &b, &[]), Err(ProofError::Length(0)));
        let shrinks = ProofError::Shrinks { first: five, second: three };
        assert_eq!(verify_consistency(five, three, &a, &b, &[]), Err(shrinks));
        assert_eq!(ConsistencyPlan::new(five, three), Err(shrinks));
    }

    proptest! {
        #[test]
        fn a_tampered_proof_fails(second in 2_u64..600, first: prop::sample::Index, at: prop::sample::Index, bit in 0_usize..256) {
            let leaves = reference::leaves(second as usize);
            let first = 1 + first.index(second as usize - 1);
            let (old, new) = (reference::root(&leaves[..first]), reference::root(&leaves));
            let good = reference::consistency(first, &leaves);
            let (from, to) = (TreeSize::new(first as u64), TreeSize::new(second));
            let verify = |proof: &[Hash], old: &Hash, new: &Hash| verify_consistency(from, to, old, new, proof);
            prop_assert_eq!(verify(&good, &old, &new), Ok(()));
            prop_assert!(verify(&good[1..], &old, &new).is_err());
            prop_assert!(verify(&good[..good.len() - 1], &old, &new).is_err());
            prop_assert_eq!(verify(&[&good[..], &good[..1]].concat(), &old, &new), Err(ProofError::Length(good.len() + 1)));
            prop_assert!(verify(&good, &reference::flip(old, bit), &new).is_err());
            prop_assert!(verify(&good, &old, &reference::flip(new, bit)).is_err());
            let mut bad = good.clone();
            let at = at.index(good.len());
            bad[at] = reference::flip(bad[at], bit);
            prop_assert!(verify(&bad, &old, &new).is_err());
        }

        #[test]
        fn no_input_makes_the_verifier_panic(first in 1_u64.., second: u64, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70)) {
            let proof: Vec<_> = hashes.into_iter().map(Hash::new).collect();
            let (from, to) = (TreeSize::new(first), TreeSize::new(second));
            prop_assert!(verify_consistency(from, to, &Hash::new([1; 32]), &Hash::new([2; 32]), &proof).is_err());
        }
    }
}
