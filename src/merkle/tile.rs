//! Tiles and where they lie (C2SP tlog-tiles, with its height of 8).

use std::num::NonZeroU16;

use thiserror::Error;

use super::{Hash, TreeSize};

/// Hashes in a full tile.
pub const TILE_WIDTH: usize = 256;

/// Levels of the tree that one tile spans; `TILE_WIDTH` is two to this power.
const TILE_HEIGHT: u8 = 8;

/// How many hashes of a tile there are: 1 to 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Width(NonZeroU16);

impl Width {
    /// The width of a full tile, 256.
    pub const FULL: Self = Self(NonZeroU16::new(TILE_WIDTH as u16).unwrap());

    /// The width `hashes`, or `None` unless it is 1 to 256.
    pub fn new(hashes: usize) -> Option<Self> {
        let hashes = u16::try_from(hashes).ok().filter(|n| usize::from(*n) <= TILE_WIDTH)?;
        NonZeroU16::new(hashes).map(Self)
    }

    /// The number of hashes, 1 to 256.
    pub fn get(self) -> usize {
        usize::from(self.0.get())
    }

    /// Whether the tile is full, and so never changes again.
    pub fn is_full(self) -> bool {
        self == Self::FULL
    }
}

/// Names a tile of hashes: the `index`-th of its level, counted from the left.
///
/// Level 7 is the highest that a tree of 2^64 - 1 leaves can have, and no index goes past what
/// such a tree holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    level: u8,
    index: u64,
}

impl TileId {
    /// The highest level of tiles, in a tree of 2^64 - 1 leaves.
    pub const MAX_LEVEL: u8 = 7;

    /// The tile with this level and index, or `None` where no tree of 64-bit size has it.
    pub fn new(level: u8, index: u64) -> Option<Self> {
        (level <= Self::MAX_LEVEL && index <= hashes_at(level, TreeSize::new(u64::MAX)) >> TILE_HEIGHT)
            .then_some(Self { level, index })
    }

    /// The level: 0 holds leaf hashes, each one above a hash per full tile of the level below.
    pub const fn level(self) -> u8 {
        self.level
    }

    /// The position among the tiles of the level, from 0.
    pub const fn index(self) -> u64 {
        self.index
    }

    /// How many hashes of this tile a tree of `size` leaves has, or `None` where it has none.
    pub fn width_at(self, size: TreeSize) -> Option<Width> {
        let hashes = hashes_at(self.level, size).checked_sub(self.index << TILE_HEIGHT)?;
        Width::new(usize::try_from(hashes).map_or(TILE_WIDTH, |n| n.min(TILE_WIDTH)))
    }

    /// The tile that holds hash number `hash` of `level`, and the place of the hash in it.
    pub(super) const fn holding(level: u8, hash: u64) -> (Self, usize) {
        (Self { level, index: hash >> TILE_HEIGHT }, (hash % TILE_WIDTH as u64) as usize)
    }
}

/// Hashes of `level` that a tree of `size` leaves has: its whole subtrees of 256^level leaves.
/// `level` is at most 7.
pub(super) const fn hashes_at(level: u8, size: TreeSize) -> u64 {
    size.get() >> (TILE_HEIGHT * level)
}

/// Leaves under one hash of `level`, which is at most 7.
pub(super) const fn leaves_under(level: u8) -> u64 {
    1 << (TILE_HEIGHT * level)
}

/// Every tile of a tree of `size` leaves with its width, level by level from the leaves, from
/// left to right: what a complete store of the tree holds.
pub fn shapes(size: TreeSize) -> impl Iterator<Item = (TileId, Width)> {
    (0..=TileId::MAX_LEVEL).flat_map(move |level| {
        let tiles = hashes_at(level, size).div_ceil(TILE_WIDTH as u64);
        (0..tiles).filter_map(move |index| {
            let tile = TileId { level, index };
            Some((tile, tile.width_at(size)?))
        })
    })
}

/// Why octets or hashes are not a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadTile {
    /// Not 1 to 256 hashes.
    #[error("a tile has 1 to 256 hashes, not {0}")]
    Width(usize),
    /// The octets do not divide into hashes.
    #[error("{0} octets are no whole number of 32-octet hashes")]
    Octets(usize),
}

/// 1 to 256 neighbouring hashes of one level, from the first of their tile on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile(Vec<Hash>);

impl Tile {
    /// The tile of these hashes.
    pub fn new(hashes: Vec<Hash>) -> Result<Self, BadTile> {
        match Width::new(hashes.len()) {
            Some(_) => Ok(Self(hashes)),
            None => Err(BadTile::Width(hashes.len())),
        }
    }

    /// Reads a tile as it is stored and served: its hashes one behind the other.
    pub fn from_octets(octets: &[u8]) -> Result<Self, BadTile> {
        let (hashes, []) = octets.as_chunks::<{ Hash::LEN }>() else {
            return Err(BadTile::Octets(octets.len()));
        };
        match Width::new(hashes.len()) {
            Some(_) => Ok(Self(hashes.iter().copied().map(Hash::new).collect())),
            None => Err(BadTile::Width(hashes.len())),
        }
    }

    /// The tile as it is stored and served.
    pub fn to_octets(&self) -> Vec<u8> {
        octets_of(&self.0)
    }

    /// The number of hashes, 1 to 256.
    pub const fn width(&self) -> usize {
        self.0.len()
    }

    /// The hashes, from the first of the tile on.
    pub fn hashes(&self) -> &[Hash] {
        &self.0
    }

    /// The octets of the first `width` hashes: the tile as a smaller tree had it. `None` where
    /// this tile is narrower.
    pub fn octets_at(&self, width: Width) -> Option<Vec<u8>> {
        self.0.get(..width.get()).map(octets_of)
    }
}

fn octets_of(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(Hash::as_bytes).copied().collect()
}

/// Why the tiles that were handed in are not those that were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TilesError {
    /// Not as many tiles as were listed.
    #[error("{wanted} tiles were asked for and {given} were given")]
    Count {
        /// Tiles listed.
        wanted: usize,
        /// Tiles given.
        given: usize,
    },
    /// A tile lacks hashes that the tree must have.
    #[error("the tile at level {}, index {} has {width} hashes where the tree needs {needed}", .tile.level, .tile.index)]
    Narrow {
        /// The tile in question.
        tile: TileId,
        /// Hashes that it has.
        width: usize,
        /// Hashes that it should have, at least.
        needed: usize,
    },
}

impl TilesError {
    /// Checks that there is one tile for each that was listed.
    pub(super) const fn check_count(wanted: &[TileId], given: &[Tile]) -> Result<(), Self> {
        if wanted.len() == given.len() {
            return Ok(());
        }
        Err(Self::Count { wanted: wanted.len(), given: given.len() })
    }

    /// The first `needed` hashes of `tile`, which stands at `id`.
    pub(super) fn cut(id: TileId, tile: &Tile, needed: usize) -> Result<&[Hash], Self> {
        tile.0.get(..needed).ok_or(Self::Narrow { tile: id, width: tile.width(), needed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_bounded_by_the_largest_tree() {
        assert!(TileId::new(0, (1 << 56) - 1).is_some());
        assert_eq!(TileId::new(0, 1 << 56), None);
        assert!(TileId::new(7, 0).is_some());
        assert_eq!((TileId::new(7, 1), TileId::new(8, 0)), (None, None));
    }

    #[test]
    fn the_largest_tree_ends_in_255_at_each_level() {
        let size = TreeSize::new(u64::MAX);
        for level in 0..=7 {
            let last = hashes_at(level, size) >> 8;
            assert_eq!(TileId::new(level, last).unwrap().width_at(size), Width::new(255));
            if last > 0 {
                assert_eq!(TileId::new(level, last - 1).unwrap().width_at(size), Some(Width::FULL));
            }
        }
    }

    #[test]
    fn widths_around_a_boundary() {
        let first = TileId::new(0, 0).unwrap();
        let width = |tile: TileId, size| tile.width_at(TreeSize::new(size)).map(Width::get);
        assert_eq!([0, 1, 255, 256, 257].map(|n| width(first, n)), [None, Some(1), Some(255), Some(256), Some(256)]);
        let second = TileId::new(0, 1).unwrap();
        assert_eq!([255, 256, 257].map(|n| width(second, n)), [None, None, Some(1)]);
        let above = TileId::new(1, 0).unwrap();
        assert_eq!([255, 256, 511, 512].map(|n| width(above, n)), [None, Some(1), Some(1), Some(2)]);
    }

    #[test]
    fn refuses_octets_that_are_no_tile() {
        assert_eq!(Tile::from_octets(&[]), Err(BadTile::Width(0)));
        assert_eq!(Tile::from_octets(&[0; 33]), Err(BadTile::Octets(33)));
        assert_eq!(Tile::from_octets(&[0; 32 * 257]), Err(BadTile::Width(257)));
        assert_eq!(Tile::new(Vec::new()), Err(BadTile::Width(0)));
        let octets = [7; 32 * 256];
        assert_eq!(Tile::from_octets(&octets).unwrap().to_octets(), octets);
    }

    #[test]
    fn a_tile_can_be_cut_but_not_stretched() {
        let tile = Tile::from_octets(&[7; 64]).unwrap();
        assert_eq!(tile.octets_at(Width::new(1).unwrap()), Some(vec![7; 32]));
        assert_eq!(tile.octets_at(Width::FULL), None);
    }
}
