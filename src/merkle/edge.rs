//! The right edge of a growing tree: all that appending to it needs to know.

use super::subtree::fold;
use super::tile::{Tile, TileId, TilesError, hashes_at, leaves_under};
use super::{Hash, TILE_WIDTH, TreeSize, empty_root};

/// For each level of tiles, the hashes of the one that is not full yet.
///
/// The full tiles to the left of them are already summed up, each as a hash of the level above,
/// so the edge determines the tree's size and root. At most 255 hashes a level: some 16 KiB for a
/// tree of millions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    /// From the leaves up; 0 to 255 hashes each, the last level not empty, at most 8 levels.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of the tree without leaves.
    pub const fn empty() -> Self {
        Self { levels: Vec::new() }
    }

    /// The edge with these levels, from the leaves up: at most 8 of at most 255 hashes.
    pub(super) fn from_levels(mut levels: Vec<Vec<Hash>>) -> Self {
        while levels.last().is_some_and(Vec::is_empty) {
            levels.pop();
        }
        Self { levels }
    }

    /// The hashes of the partial tile of `level`; none where it has not begun.
    pub(super) fn level(&self, level: u8) -> &[Hash] {
        self.levels.get(usize::from(level)).map_or(&[], Vec::as_slice)
    }

    /// The number of leaves of the tree.
    pub fn size(&self) -> TreeSize {
        let levels = (0..=TileId::MAX_LEVEL).map(|level| leaves_under(level) * self.level(level).len() as u64);
        TreeSize::new(levels.sum())
    }

    /// The root of the tree (RFC 9162 section 2.1.1).
    pub fn root(&self) -> Hash {
        self.levels.iter().fold(None, |right, level| fold(level, right)).unwrap_or_else(empty_root)
    }

    /// The tiles that hold the edge of a tree of `size` leaves: the last one of each level that
    /// is not full at that size, from the leaves up.
    pub fn tiles_needed(size: TreeSize) -> Vec<TileId> {
        (0..=TileId::MAX_LEVEL).filter_map(|level| Some(partial(level, size)?.0)).collect()
    }

    /// The tiles that hold this edge, as [`tiles_needed`](Self::tiles_needed) lists them.
    pub fn tiles(&self) -> Vec<(TileId, Tile)> {
        let ids = Self::tiles_needed(self.size());
        ids.into_iter().filter_map(|id| Some((id, Tile::new(self.level(id.level()).to_vec()).ok()?))).collect()
    }

    /// The edge of a tree of `size` leaves, from the tiles that [`tiles_needed`](Self::tiles_needed)
    /// lists, in that order. A tile that has grown since is cut to what it was.
    ///
    /// Whether these hashes are the right ones shows in [`root`](Self::root) alone.
    pub fn from_tiles(size: TreeSize, tiles: &[Tile]) -> Result<Self, TilesError> {
        TilesError::check_count(&Self::tiles_needed(size), tiles)?;
        let mut tiles = tiles.iter();
        let mut levels = Vec::new();
        for level in 0..=TileId::MAX_LEVEL {
            let hashes = match partial(level, size) {
                Some((id, width)) => tiles.next().map_or(Ok(&[][..]), |tile| TilesError::cut(id, tile, width))?,
                None => &[],
            };
            levels.push(hashes.to_vec());
        }
        Ok(Self::from_levels(levels))
    }
}

/// The tile of `level` that is not full in a tree of `size` leaves and how many hashes it has,
/// 1 to 255; `None` where all are full.
const fn partial(level: u8, size: TreeSize) -> Option<(TileId, usize)> {
    match TileId::holding(level, hashes_at(level, size)) {
        (_, 0) => None,
        (tile, hashes) => Some((tile, hashes)),
    }
}

const _: () = assert!(TILE_WIDTH == 256, "an edge of 8 levels with 255 hashes each has 2^64 - 1 leaves");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::reference;

    fn tile(hashes: &[Hash]) -> Tile {
        Tile::new(hashes.to_vec()).unwrap()
    }

    #[test]
    fn the_empty_edge() {
        assert_eq!((Edge::empty().size(), Edge::empty().root()), (TreeSize::EMPTY, empty_root()));
        assert_eq!(Edge::from_tiles(TreeSize::EMPTY, &[]), Ok(Edge::empty()));
    }

    #[test]
    fn wider_tiles_are_cut() {
        let leaves = reference::leaves(200);
        let edge = Edge::from_tiles(TreeSize::new(100), &[tile(&leaves)]).unwrap();
        assert_eq!((edge.size(), edge.root()), (TreeSize::new(100), reference::root(&leaves[..100])));
        assert_eq!(edge.tiles(), [(TileId::new(0, 0).unwrap(), tile(&leaves[..100]))]);
    }

    #[test]
    fn narrower_and_missing_tiles_are_named() {
        let leaves = reference::leaves(10);
        let id = TileId::new(0, 1).unwrap();
        let size = TreeSize::new(256 + 11);
        assert_eq!(Edge::tiles_needed(size), [id, TileId::new(1, 0).unwrap()]);
        assert_eq!(
            Edge::from_tiles(size, &[tile(&leaves), tile(&leaves)]),
            Err(TilesError::Narrow { tile: id, width: 10, needed: 11 })
        );
        assert_eq!(Edge::from_tiles(size, &[tile(&leaves)]), Err(TilesError::Count { wanted: 2, given: 1 }));
    }

    #[test]
    fn the_largest_edge_has_the_largest_size() {
        let edge = Edge::from_levels(vec![reference::leaves(255); 8]);
        assert_eq!(edge.size(), TreeSize::new(u64::MAX));
        assert_eq!(Edge::tiles_needed(edge.size()).len(), 8);
    }
}
