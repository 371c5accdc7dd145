//! The perfect subtrees that cover a run of leaves, and their roots out of tiles.

use std::ops::Range;

use atl::merkle::{Hash, Tile, TileId, TreeSize};

/// Levels of the tree in one level of tiles.
const TILE_HEIGHT: u32 = 8;

/// A perfect subtree of a tree: where it begins, and how many leaves it has, a power of two that divides where it
/// begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subtree {
    /// Its first leaf.
    pub(crate) first: u64,
    /// Its leaves.
    pub(crate) leaves: u64,
}

/// The subtrees over `leaves`, from left to right, each as large as its place allows; at most 126.
pub(crate) fn subtrees(leaves: Range<u64>) -> Vec<Subtree> {
    let mut covered = Vec::new();
    let mut first = leaves.start;
    while first < leaves.end {
        let fits = 1 << (leaves.end - first).ilog2();
        let aligned = if first == 0 { fits } else { 1 << first.trailing_zeros() };
        let leaves = fits.min(aligned);
        covered.push(Subtree { first, leaves });
        first += leaves;
    }
    covered
}

impl Subtree {
    /// The tile with the hashes that the root is made of, and which of them.
    fn place(self) -> Option<(TileId, Range<usize>)> {
        let height = self.leaves.ilog2();
        // Where the hash itself stands in a tile, that one is read; otherwise the row of the tile above which it lies.
        let level = height / TILE_HEIGHT;
        let start = self.first >> (TILE_HEIGHT * level);
        let count = 1_usize << (height % TILE_HEIGHT);
        let within = usize::try_from(start % 256).ok()?;
        Some((TileId::new(u8::try_from(level).ok()?, start / 256)?, within..within + count))
    }
}

/// The tiles that the subtrees over these runs of leaves are made of, each once.
pub(crate) fn tiles_of(runs: &[Range<u64>]) -> Vec<TileId> {
    let mut tiles = Vec::new();
    for (id, _) in runs.iter().cloned().flat_map(subtrees).filter_map(Subtree::place) {
        if !tiles.contains(&id) {
            tiles.push(id);
        }
    }
    tiles
}

/// The roots of the subtrees over `leaves`, out of these tiles; `None` where one is missing or too narrow.
pub(crate) fn roots_over(leaves: Range<u64>, tiles: &[(TileId, Tile)]) -> Option<Vec<Hash>> {
    let root = |subtree: Subtree| {
        let (id, range) = subtree.place()?;
        let (_, tile) = tiles.iter().find(|(found, _)| *found == id)?;
        Tile::new(tile.hashes().get(range)?.to_vec()).ok()?.root()
    };
    subtrees(leaves).into_iter().map(root).collect()
}

/// How a tree of `second` leaves is cut where one of `first` leaves ends.
pub(crate) fn cut(first: TreeSize, second: TreeSize) -> [Range<u64>; 2] {
    [0..first.get(), first.get()..second.get()]
}

#[cfg(test)]
mod tests {
    use atl::merkle::{Edge, integrate, leaf_hash};
    use proptest::prelude::*;

    use super::*;
    use crate::evidence::Divergence;
    use crate::evidence::divergence::roots;

    #[test]
    fn subtrees_of_seven_and_of_three_to_eleven() {
        let shape = |range| subtrees(range).iter().map(|s| (s.first, s.leaves)).collect::<Vec<_>>();
        assert_eq!(shape(0..7), [(0, 4), (4, 2), (6, 1)]);
        assert_eq!(shape(3..11), [(3, 1), (4, 4), (8, 2), (10, 1)]);
        assert_eq!(shape(5..5), []);
        assert_eq!(shape(0..8), [(0, 8)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn tiles_give_both_roots(first in 0..70_000_u64, more in 0..3_000_u64) {
            let hashes: Vec<Hash> = (0..first + more).map(|i| leaf_hash(&i.to_be_bytes())).collect();
            let grown = integrate(&Edge::empty(), &hashes).unwrap();
            let begun = integrate(&Edge::empty(), &hashes[..first as usize]).unwrap().edge.root();
            let (one, two) = (TreeSize::new(first), TreeSize::new(first + more));
            let wanted = tiles_of(&cut(one, two));
            prop_assert!(wanted.len() <= 2 * 3 + 1, "{wanted:?}");
            let tiles: Vec<_> = grown.tiles.into_iter().filter(|(id, _)| wanted.contains(id)).collect();
            let [head, tail] = cut(one, two);
            let divergence = Divergence {
                first: roots_over(head, &tiles).unwrap(),
                rest: roots_over(tail, &tiles).unwrap(),
            };
            prop_assert_eq!(roots(one, two, &divergence), Some((begun, grown.edge.root())));
        }

        #[test]
        fn no_sizes_make_it_panic(first: u64, second: u64) {
            prop_assert!(tiles_of(&cut(TreeSize::new(first), TreeSize::new(second))).len() <= 24);
        }
    }
}
