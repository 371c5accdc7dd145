//! Growing the tree: an edge and new leaves give the new edge and the tiles to write.

use thiserror::Error;

use super::subtree::fold;
use super::tile::{Tile, TileId, hashes_at};
use super::{Edge, Hash, TILE_WIDTH, TreeSize};

/// More leaves than 64 bits can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{more} leaves on top of {size} are more than a tree can have")]
pub struct TreeFull {
    /// Leaves that the tree has.
    pub size: TreeSize,
    /// Leaves to append.
    pub more: usize,
}

/// What appending leaves comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integration {
    /// The edge of the grown tree, and with it its size and root.
    pub edge: Edge,
    /// Every tile that is new or wider now, whole, from the leaves up and from left to right.
    /// Writing each over its narrower version makes a store of the old tree one of the new.
    pub tiles: Vec<(TileId, Tile)>,
}

/// Appends `leaves`, which are leaf hashes, to the tree that ends in `edge`.
///
/// Each node is hashed once when its tile fills; the root of the grown tree is not computed
/// before somebody asks [`Edge::root`] for it.
pub fn integrate(edge: &Edge, leaves: &[Hash]) -> Result<Integration, TreeFull> {
    let size = edge.size();
    let full = || TreeFull { size, more: leaves.len() };
    u64::try_from(leaves.len()).ok().and_then(|more| size.checked_add(more)).ok_or_else(full)?;

    let mut tiles = Vec::with_capacity(leaves.len() / TILE_WIDTH + 8);
    let mut levels = Vec::new();
    let mut above = append(0, size, edge.level(0), leaves, &mut tiles, &mut levels);
    for level in 1..=TileId::MAX_LEVEL {
        above = append(level, size, edge.level(level), &above, &mut tiles, &mut levels);
    }
    Ok(Integration { edge: Edge::from_levels(levels), tiles })
}

/// Appends `new` hashes to one level of the tree of `size` leaves, whose partial tile holds
/// `old`. Returns the roots of the tiles that are full now: what the level above appends.
fn append(
    level: u8,
    size: TreeSize,
    old: &[Hash],
    new: &[Hash],
    tiles: &mut Vec<(TileId, Tile)>,
    levels: &mut Vec<Vec<Hash>>,
) -> Vec<Hash> {
    let mut full = Vec::new();
    let mut partial = Vec::with_capacity(TILE_WIDTH.min(old.len() + new.len()));
    partial.extend_from_slice(old);
    let mut next = hashes_at(level, size);
    let mut rest = new;
    while !rest.is_empty() {
        let (fitting, beyond) = rest.split_at(rest.len().min(TILE_WIDTH - partial.len()));
        let (id, _) = TileId::holding(level, next);
        partial.extend_from_slice(fitting);
        next += fitting.len() as u64;
        rest = beyond;
        let hashes = if partial.len() < TILE_WIDTH {
            partial.clone()
        } else {
            full.extend(fold(&partial, None));
            std::mem::take(&mut partial)
        };
        tiles.extend(Tile::new(hashes).ok().map(|tile| (id, tile)));
    }
    levels.push(partial);
    full
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::merkle::{reference, shapes};

    #[test]
    fn nothing_appended_is_nothing_changed() {
        let edge = integrate(&Edge::empty(), &reference::leaves(300)).unwrap().edge;
        let same = integrate(&edge, &[]).unwrap();
        assert_eq!((same.edge, same.tiles), (edge, Vec::new()));
    }

    #[test]
    fn a_full_tree_takes_no_more() {
        let leaves = reference::leaves(255);
        let edge = Edge::from_levels(vec![leaves.clone(); 8]);
        let size = TreeSize::new(u64::MAX);
        assert_eq!(integrate(&edge, &leaves[..1]), Err(TreeFull { size, more: 1 }));
        assert!(integrate(&edge, &[]).is_ok());
    }

    #[test]
    fn tiles_fill_up_to_the_last_leaf_of_the_largest_tree() {
        let mut levels = vec![reference::leaves(255); 8];
        levels[0].truncate(254);
        let last = integrate(&Edge::from_levels(levels), &reference::leaves(1)).unwrap();
        assert_eq!(last.edge.size(), TreeSize::new(u64::MAX));
        assert_eq!(last.tiles.len(), 1);
    }

    /// A store that takes whole tiles, and checks that none ever shrinks or changes.
    #[derive(Default)]
    struct Store(HashMap<TileId, Tile>);

    impl Store {
        fn write(&mut self, tiles: Vec<(TileId, Tile)>) {
            for (id, tile) in tiles {
                if let Some(old) = self.0.get(&id) {
                    assert!(old.width() < tile.width() && tile.hashes().starts_with(old.hashes()), "{id:?}");
                }
                self.0.insert(id, tile);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_split_gives_the_reference_tree(batches in prop::collection::vec(0_usize..700, 1..6)) {
            let leaves = reference::leaves(batches.iter().sum());
            let (mut edge, mut store, mut done) = (Edge::empty(), Store::default(), 0);
            for batch in batches {
                let step = integrate(&edge, &leaves[done..done + batch]).unwrap();
                done += batch;
                edge = step.edge;
                store.write(step.tiles);
                let size = TreeSize::new(done as u64);
                prop_assert_eq!((edge.size(), edge.root()), (size, reference::root(&leaves[..done])));

                let held: HashMap<_, _> = store.0.iter().map(|(id, tile)| (*id, tile.width())).collect();
                prop_assert_eq!(held, shapes(size).map(|(id, width)| (id, width.get())).collect());
                let edge_tiles: Vec<_> = Edge::tiles_needed(size).iter().map(|id| store.0[id].clone()).collect();
                prop_assert_eq!(Edge::from_tiles(size, &edge_tiles), Ok(edge.clone()));
            }
        }
    }
}
