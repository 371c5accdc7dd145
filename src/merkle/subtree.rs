//! Roots of subtrees out of tiles: the one machine behind the edge and both kinds of proof.

use std::ops::Range;

use super::tile::{TileId, TilesError, leaves_under};
use super::{Hash, Tile, node_hash};

/// The root over `nodes`, each the root of a perfect subtree of one and the same size, with
/// `tail` to the right of them: the root of something smaller still. `None` over nothing.
///
/// Pairing neighbours row by row and letting an odd last one rise is RFC 9162's split at the
/// largest power of two, without the recursion.
pub(super) fn fold(nodes: &[Hash], tail: Option<Hash>) -> Option<Hash> {
    let mut row = Vec::with_capacity(nodes.len() + 1);
    row.extend_from_slice(nodes);
    row.extend(tail);
    while row.len() > 1 {
        let (pairs, odd) = (row.len() / 2, row.len() % 2);
        for i in 0..pairs {
            row[i] = node_hash(&row[2 * i], &row[2 * i + 1]);
        }
        if odd == 1 {
            row[pairs] = row[2 * pairs];
        }
        row.truncate(pairs + odd);
    }
    row.first().copied()
}

/// The largest power of two smaller than `n`, which is at least 2: where RFC 9162 section 2.1.1
/// splits a tree of `n` leaves.
pub(super) const fn split(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

/// A run of neighbouring hashes in one of a plan's tiles.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    tile: usize,
    hashes: Range<usize>,
}

/// The tiles that the roots of some subtrees are computed from, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SubtreePlan {
    tiles: Vec<TileId>,
    /// Per subtree its runs, from the highest level down, which is from left to right.
    subtrees: Vec<Vec<Run>>,
}

impl SubtreePlan {
    /// Plans the roots of `subtrees`, each the leaves from `start` to before `end`. They must be
    /// subtrees as RFC 9162 splits a tree: not empty, `start` a multiple of the power of two that
    /// is not less than the number of leaves.
    pub(super) fn new(subtrees: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut plan = Self::default();
        for leaves in subtrees {
            let runs = plan.runs(leaves);
            plan.subtrees.push(runs);
        }
        plan
    }

    /// Covers `leaves` with as few hashes as there are. On each level these are fewer than 256
    /// and, by the subtree's alignment, all in one tile.
    fn runs(&mut self, mut leaves: Range<u64>) -> Vec<Run> {
        let mut runs = Vec::new();
        for level in (0..=TileId::MAX_LEVEL).rev() {
            let under = leaves_under(level);
            let count = (leaves.end - leaves.start) / under;
            if count == 0 {
                continue;
            }
            let (id, first) = TileId::holding(level, leaves.start / under);
            runs.push(Run { tile: self.place_of(id), hashes: first..first + count as usize });
            leaves.start += count * under;
        }
        runs
    }

    fn place_of(&mut self, id: TileId) -> usize {
        self.tiles.iter().position(|known| *known == id).unwrap_or_else(|| {
            self.tiles.push(id);
            self.tiles.len() - 1
        })
    }

    /// The tiles to read, each once.
    pub(super) fn tiles(&self) -> &[TileId] {
        &self.tiles
    }

    /// The roots of the planned subtrees, in their order, out of the tiles in theirs.
    pub(super) fn roots(&self, tiles: &[Tile]) -> Result<Vec<Hash>, TilesError> {
        TilesError::check_count(&self.tiles, tiles)?;
        let mut roots = Vec::with_capacity(self.subtrees.len());
        for runs in &self.subtrees {
            let mut root = None;
            for Run { tile, hashes } in runs.iter().rev() {
                let row = TilesError::cut(self.tiles[*tile], &tiles[*tile], hashes.end)?;
                root = fold(&row[hashes.start..], root);
            }
            roots.extend(root);
        }
        Ok(roots)
    }
}

impl Tile {
    /// The root over the hashes: for a full tile, the hash that the level above has of it.
    pub fn root(&self) -> Option<Hash> {
        fold(self.hashes(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_largest_smaller_power_of_two() {
        assert_eq!([2, 3, 4, 5, 8, 9].map(split), [1, 2, 2, 4, 4, 8]);
        assert_eq!((split(u64::MAX), split((1 << 63) + 1), split(1 << 63)), (1 << 63, 1 << 63, 1 << 62));
    }

    #[test]
    fn whole_tiles_are_taken_from_the_level_above() {
        let plan = SubtreePlan::new([0..256, 256..512, 512..513]);
        assert_eq!(plan.tiles(), [TileId::new(1, 0).unwrap(), TileId::new(0, 2).unwrap()]);
    }

    #[test]
    fn tiles_that_do_not_suffice_are_named() {
        let plan = SubtreePlan::new(std::iter::once(256..258));
        let tile = Tile::new(vec![Hash::new([1; 32])]).unwrap();
        let id = TileId::new(0, 1).unwrap();
        assert_eq!(plan.roots(&[]), Err(TilesError::Count { wanted: 1, given: 0 }));
        assert_eq!(plan.roots(&[tile]), Err(TilesError::Narrow { tile: id, width: 1, needed: 2 }));
    }
}
