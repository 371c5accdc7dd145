//! Inclusion proofs (RFC 9162 section 2.1.3): a leaf is in a tree.

use super::proof::{Climb, Sibling};
use super::subtree::{SubtreePlan, split};
use super::{Hash, LeafIndex, ProofError, Tile, TileId, TreeSize, node_hash};

/// Which tiles the proof that a leaf is in a tree is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionPlan(SubtreePlan);

impl InclusionPlan {
    /// Plans the proof that the leaf at `index` is in the tree of `size` leaves.
    pub fn new(index: LeafIndex, size: TreeSize) -> Result<Self, ProofError> {
        if !index.is_in(size) {
            return Err(ProofError::NotInTree { index, size });
        }
        // Down from the root to the leaf; what is not on the way at each split is on the proof.
        let mut siblings = Vec::with_capacity(64);
        let (mut start, mut end) = (0, size.get());
        while end - start > 1 {
            let middle = start + split(end - start);
            if index.get() < middle {
                siblings.push(middle..end);
                end = middle;
            } else {
                siblings.push(start..middle);
                start = middle;
            }
        }
        Ok(Self(SubtreePlan::new(siblings.into_iter().rev())))
    }

    /// The tiles to read, each once; a handful for a tree of any size.
    pub fn tiles(&self) -> &[TileId] {
        self.0.tiles()
    }

    /// The proof, from the leaf up, out of the tiles in the order of [`tiles`](Self::tiles). They
    /// may be wider than the tree of the plan has them.
    pub fn prove(&self, tiles: &[Tile]) -> Result<Vec<Hash>, ProofError> {
        Ok(self.0.roots(tiles)?)
    }
}

/// Checks that `leaf`, a leaf hash, is at `index` in the tree of `size` leaves with this `root`
/// (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(
    leaf: &Hash,
    index: LeafIndex,
    size: TreeSize,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if !index.is_in(size) {
        return Err(ProofError::NotInTree { index, size });
    }
    let mut way = Climb::new(index.get(), size.get() - 1);
    let mut hash = *leaf;
    for sibling in proof {
        hash = match way.step() {
            Some(Sibling::Left) => node_hash(sibling, &hash),
            Some(Sibling::Right) => node_hash(&hash, sibling),
            None => return Err(ProofError::Length(proof.len())),
        };
    }
    match (way.is_done(), hash == *root) {
        (false, _) => Err(ProofError::Length(proof.len())),
        (true, false) => Err(ProofError::Root),
        (true, true) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::reference::{self, Grown};
    use proptest::prelude::*;

    fn check(grown: &Grown, index: u64, size: u64) {
        let (at, of) = (LeafIndex::new(index), TreeSize::new(size));
        let plan = InclusionPlan::new(at, of).unwrap();
        let proof = plan.prove(&grown.tiles(plan.tiles())).unwrap();
        let leaves = &grown.leaves[..size as usize];
        let root = reference::root(leaves);
        assert_eq!(proof, reference::path(index as usize, leaves), "{index} in {size}");
        assert_eq!(verify_inclusion(&leaves[index as usize], at, of, &proof, &root), Ok(()), "{index} in {size}");
    }

    #[test]
    fn every_leaf_of_small_trees() {
        let grown = Grown::new(600);
        for size in (1..70).chain([127, 128, 129, 255, 256, 257, 511, 512, 513, 600]) {
            let step = if size < 70 { 1 } else { 7 };
            (0..size).step_by(step).chain([size - 1]).for_each(|index| check(&grown, index, size));
        }
        for size in 70..600 {
            [0, size / 2, size - 1].into_iter().for_each(|index| check(&grown, index, size));
        }
    }

    #[test]
    fn around_the_third_level() {
        let grown = Grown::new(65_536 + 300);
        for size in [65_535, 65_536, 65_537, 65_536 + 257] {
            [0, 255, 256, 65_279, 65_280, size - 2, size - 1].into_iter().for_each(|index| check(&grown, index, size));
        }
    }

    #[test]
    fn plans_stay_small_at_any_size() {
        for index in [0, 1 << 40, u64::MAX / 3, u64::MAX - 1] {
            let plan = InclusionPlan::new(LeafIndex::new(index), TreeSize::new(u64::MAX)).unwrap();
            assert!(plan.tiles().len() <= 16, "{}", plan.tiles().len());
            for (i, id) in plan.tiles().iter().enumerate() {
                assert!(!plan.tiles()[..i].contains(id));
                assert!(TileId::new(id.level(), id.index()).is_some());
            }
        }
        let one = InclusionPlan::new(LeafIndex::new(0), TreeSize::new(1)).unwrap();
        assert_eq!((one.tiles(), one.prove(&[])), (&[][..], Ok(Vec::new())));
    }

    #[test]
    fn there_is_no_plan_beyond_the_tree() {
        for size in [0, 5] {
            let (index, size) = (LeafIndex::new(size), TreeSize::new(size));
            assert_eq!(InclusionPlan::new(index, size), Err(ProofError::NotInTree { index, size }));
        }
    }

    proptest! {
        #[test]
        fn a_tampered_proof_fails(size in 2_u64..600, index: prop::sample::Index, at: prop::sample::Index, bit in 0_usize..256) {
            let leaves = reference::leaves(size as usize);
            let index = index.index(size as usize);
            let root = reference::root(&leaves);
            let good = reference::path(index, &leaves);
            let verify = |proof: &[Hash], at: usize| {
                verify_inclusion(&leaves[index], LeafIndex::new(at as u64), TreeSize::new(size), proof, &root)
            };
            prop_assert_eq!(verify(&good, index), Ok(()));
            prop_assert_eq!(verify(&good[1..], index), Err(ProofError::Length(good.len() - 1)));
            prop_assert_eq!(verify(&[&good[..], &good[..1]].concat(), index), Err(ProofError::Length(good.len() + 1)));
            prop_assert!(verify(&good, (index + 1) % size as usize).is_err());
            let mut bad = good.clone();
            let at = at.index(good.len());
            bad[at] = reference::flip(bad[at], bit);
            prop_assert_eq!(verify(&bad, index), Err(ProofError::Root));
        }

        #[test]
        fn no_input_makes_the_verifier_panic(index: u64, size: u64, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70)) {
            let proof: Vec<_> = hashes.into_iter().map(Hash::new).collect();
            let leaf = Hash::new([1; 32]);
            prop_assert!(verify_inclusion(&leaf, LeafIndex::new(index), TreeSize::new(size), &proof, &Hash::new([2; 32])).is_err());
        }
    }
}
