//! That a larger tree does not begin with a smaller one, checked from a few roots of subtrees.

use atl::merkle::{Hash, TreeSize, empty_root, node_hash};

use super::Divergence;
use crate::heads::subtrees::subtrees;

/// The roots that a divergence comes to: of the larger tree's first `first_size` leaves, and of all its `second_size`
/// leaves (RFC 9162 section 2.1.1). `None` where it has not as many subtrees as these sizes take, or the first size
/// is the larger one.
///
/// Where the second root is the one that the log signed, the subtrees are of that tree, and the first root is what
/// the smaller head had to say.
pub fn roots(first_size: TreeSize, second_size: TreeSize, divergence: &Divergence) -> Option<(Hash, Hash)> {
    let (first, second) = (first_size.get(), second_size.get());
    if first > second {
        return None;
    }
    let mut row = Vec::new();
    stack(&mut row, 0..first, &divergence.first)?;
    let begun = fold(&row);
    stack(&mut row, first..second, &divergence.rest)?;
    Some((begun, fold(&row)))
}

/// A perfect subtree: its leaves and its root.
type Perfect = (u64, Hash);

/// Puts the subtrees over `leaves` to the right of those in `row`, joining two of one size to the one above them.
fn stack(row: &mut Vec<Perfect>, leaves: std::ops::Range<u64>, hashes: &[Hash]) -> Option<()> {
    let wanted = subtrees(leaves);
    if wanted.len() != hashes.len() {
        return None;
    }
    for (subtree, hash) in wanted.iter().zip(hashes) {
        let mut top = (subtree.leaves, *hash);
        while let Some((size, left)) = row.pop_if(|(size, _)| *size == top.0) {
            top = (size.saturating_mul(2), node_hash(&left, &top.1));
        }
        row.push(top);
    }
    Some(())
}

/// The root over subtrees that get smaller to the right.
fn fold(row: &[Perfect]) -> Hash {
    let hashes = row.iter().rev().map(|(_, hash)| *hash);
    hashes.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
}

#[cfg(test)]
mod tests {
    use atl::merkle::{Edge, integrate, leaf_hash};
    use proptest::prelude::*;

    use super::*;

    fn leaves(n: u64, salt: u8) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(&[&i.to_be_bytes()[..], &[salt]].concat())).collect()
    }

    fn root(leaves: &[Hash]) -> Hash {
        integrate(&Edge::empty(), leaves).unwrap().edge.root()
    }

    /// The roots of the subtrees over these leaves of the tree.
    fn over(tree: &[Hash], range: std::ops::Range<u64>) -> Vec<Hash> {
        let slice = |from: u64, count: u64| &tree[from as usize..(from + count) as usize];
        subtrees(range).iter().map(|s| root(slice(s.first, s.leaves))).collect()
    }

    proptest! {
        #[test]
        fn the_roots_are_those_of_the_tree(first in 0..700_u64, more in 0..700_u64) {
            let tree = leaves(first + more, 0);
            let (one, two) = (TreeSize::new(first), TreeSize::new(first + more));
            let divergence = Divergence { first: over(&tree, 0..first), rest: over(&tree, first..first + more) };
            let expected = (root(&tree[..first as usize]), root(&tree));
            prop_assert_eq!(roots(one, two, &divergence), Some(expected));
            let mut longer = divergence.clone();
            longer.rest.push(expected.0);
            prop_assert_eq!(roots(one, two, &longer), None);
            let shorter = Divergence { first: divergence.first.get(1..).unwrap_or(&[]).to_vec(), ..divergence.clone() };
            prop_assert_eq!(roots(one, two, &shorter).is_none(), first > 0);
            prop_assert_eq!(roots(two, one, &divergence).is_none(), more > 0);
        }

        #[test]
        fn no_sizes_make_it_panic(first: u64, second: u64, hashes in 0..70_usize) {
            let divergence = Divergence { first: leaves(hashes as u64, 0), rest: Vec::new() };
            let _ = roots(TreeSize::new(first), TreeSize::new(second), &divergence);
        }
    }

    #[test]
    fn the_largest_trees_are_counted_without_overflow() {
        let all = subtrees(0..u64::MAX);
        assert_eq!(all.len(), 64);
        let divergence = Divergence { first: leaves(64, 0), rest: Vec::new() };
        assert!(roots(TreeSize::new(u64::MAX), TreeSize::new(u64::MAX), &divergence).is_some());
        let first = leaves(1, 0);
        let rest = leaves(subtrees(1..u64::MAX).len() as u64, 0);
        assert!(roots(TreeSize::new(1), TreeSize::new(u64::MAX), &Divergence { first, rest }).is_some());
    }
}
