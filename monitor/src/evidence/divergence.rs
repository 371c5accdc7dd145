//! The roots of a tree and of its beginning, out of one row of subtrees.
//!
//! A consistency proof shows that one tree begins with another. This is its counterpart: that a tree does *not* begin
//! with what was signed as its beginning.

use atl::merkle::{Hash, TreeSize, empty_root, node_hash};

use super::Divergence;

/// The roots that `divergence` gives: of the first `first_size` leaves, and of all `second_size` leaves. `None` where
/// the sizes are in the wrong order, or where the subtrees are more or fewer than the sizes ask for.
///
/// The subtrees are those of the tree of `second_size` leaves, from left to right. Each begins where the one before
/// ends and is perfect (a power of two of leaves, at a multiple of itself), and as large as that allows without
/// reaching beyond the leaves that its list covers.
pub fn roots(first_size: TreeSize, second_size: TreeSize, divergence: &Divergence) -> Option<(Hash, Hash)> {
    let mut row = Row::default();
    row.extend(first_size, &divergence.first)?;
    let first = row.root();
    row.extend(second_size, &divergence.rest)?;
    Some((first, row.root()))
}

/// The leaves that the subtrees of a divergence cover, for whoever collects them: of the first list, then of the
/// rest, each as its first leaf and its level (the subtree has two to the power of the level leaves). `None` where
/// the sizes are in the wrong order.
pub fn plan(first_size: TreeSize, second_size: TreeSize) -> Option<[Vec<(u64, u32)>; 2]> {
    (first_size <= second_size)
        .then(|| [steps(0, first_size.get()).collect(), steps(first_size.get(), second_size.get()).collect()])
}

/// The largest perfect subtrees from `start` on up to before `end`.
fn steps(start: u64, end: u64) -> impl Iterator<Item = (u64, u32)> {
    let mut at = start;
    std::iter::from_fn(move || {
        let room = end.checked_sub(at)?.checked_ilog2()?;
        let level = at.trailing_zeros().min(room);
        let step = (at, level);
        at += 1 << level;
        Some(step)
    })
}

/// Subtrees side by side, each smaller than the one to its left: neighbours of one size are joined.
#[derive(Default)]
struct Row {
    peaks: Vec<(u32, Hash)>,
    size: u64,
}

impl Row {
    /// Appends subtrees up to `size` leaves; `None` unless they are exactly as many as that takes.
    fn extend(&mut self, size: TreeSize, subtrees: &[Hash]) -> Option<()> {
        if size.get() < self.size {
            return None;
        }
        let mut given = subtrees.iter();
        for (_, level) in steps(self.size, size.get()) {
            self.push(level, *given.next()?);
        }
        self.size = size.get();
        given.next().is_none().then_some(())
    }

    fn push(&mut self, mut level: u32, mut hash: Hash) {
        while let Some((_, left)) = self.peaks.pop_if(|(peak, _)| *peak == level) {
            hash = node_hash(&left, &hash);
            level += 1;
        }
        self.peaks.push((level, hash));
    }

    /// The root over all (RFC 9162 section 2.1.1): the smallest subtrees are joined first.
    fn root(&self) -> Hash {
        let mut from_right = self.peaks.iter().rev().map(|(_, hash)| *hash);
        match from_right.next() {
            None => empty_root(),
            Some(last) => from_right.fold(last, |right, left| node_hash(&left, &right)),
        }
    }
}

#[cfg(test)]
mod tests {
    use atl::merkle::{Edge, integrate};
    use proptest::prelude::*;

    use super::*;

    fn leaves(n: u64, seed: u8) -> Vec<Hash> {
        (0..n).map(|i| Hash::of(&[&[seed][..], &i.to_be_bytes()].concat())).collect()
    }

    fn root(leaves: &[Hash]) -> Hash {
        integrate(&Edge::empty(), leaves).unwrap().edge.root()
    }

    fn collect(leaves: &[Hash], first: u64) -> Divergence {
        let second = leaves.len() as u64;
        let subtree = |(start, level): (u64, u32)| root(&leaves[start as usize..][..1 << level]);
        let [first, rest] = plan(TreeSize::new(first), TreeSize::new(second)).unwrap();
        Divergence { first: first.into_iter().map(subtree).collect(), rest: rest.into_iter().map(subtree).collect() }
    }

    #[test]
    fn both_roots_come_out_at_every_pair_of_small_sizes() {
        let leaves = leaves(40, 1);
        for second in 0..=40_u64 {
            let tree = &leaves[..second as usize];
            for first in 0..=second {
                let found = roots(TreeSize::new(first), TreeSize::new(second), &collect(tree, first));
                assert_eq!(found, Some((root(&tree[..first as usize]), root(tree))), "{first} {second}");
            }
        }
    }

    #[test]
    fn a_wrong_number_of_subtrees_is_no_divergence() {
        let tree = leaves(13, 2);
        let good = collect(&tree, 6);
        let found = |change: &dyn Fn(&mut Divergence)| {
            let mut changed = good.clone();
            change(&mut changed);
            roots(TreeSize::new(6), TreeSize::new(13), &changed)
        };
        assert!(found(&|_| ()).is_some());
        assert_eq!(found(&|d| d.first.truncate(1)), None);
        assert_eq!(found(&|d| d.first.push(tree[0])), None);
        assert_eq!(found(&|d| d.rest.truncate(1)), None);
        assert_eq!(found(&|d| d.rest.push(tree[0])), None);
        assert_eq!(roots(TreeSize::new(13), TreeSize::new(6), &good), None);
        assert_eq!(plan(TreeSize::new(2), TreeSize::new(1)), None);
    }

    #[test]
    fn the_largest_sizes_are_no_trouble() {
        let all = TreeSize::new(u64::MAX);
        let [first, rest] = plan(TreeSize::new(u64::MAX - 1), all).unwrap();
        assert_eq!((first.len(), rest), (63, vec![(u64::MAX - 1, 0)]));
        let divergence = Divergence { first: leaves(63, 3), rest: leaves(1, 4) };
        assert!(roots(TreeSize::new(u64::MAX - 1), all, &divergence).is_some());
        let [first, rest] = plan(TreeSize::new(1), all).unwrap();
        assert_eq!((first.len(), rest.len()), (1, 126));
    }

    proptest! {
        #[test]
        fn any_other_subtree_changes_a_root(second in 1_u64..300, part: u64, which: usize) {
            let tree = leaves(second, 5);
            let first = part % (second + 1);
            let mut divergence = collect(&tree, first);
            let (size, all) = (TreeSize::new(first), TreeSize::new(second));
            let honest = roots(size, all, &divergence).unwrap();
            let count = divergence.first.len() + divergence.rest.len();
            let at = which % count;
            let hash = divergence.first.iter_mut().chain(divergence.rest.iter_mut()).nth(at).unwrap();
            *hash = Hash::of(hash.as_bytes());
            let changed = roots(size, all, &divergence).unwrap();
            prop_assert_ne!(changed.1, honest.1);
            prop_assert_eq!(changed.0 != honest.0, at < divergence.first.len());
        }
    }
}
