//! The paths under which tiles are served (C2SP tlog-tiles, protocol section 5).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{TileId, TreeSize, Width};

/// The highest level that C2SP gives a path to.
const MAX_PATH_LEVEL: u8 = 63;

/// No path of ours is longer: two words, seven groups of an index of 64 bits, a width.
const MAX_PATH_OCTETS: usize = 64;

/// A path that names no tile, or not in the one canonical spelling (ruling R25).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the path is not of the form tile/<level>/<index>[.p/<width>] in its canonical spelling")]
pub struct BadTilePath;

/// What lies under a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TileKind {
    /// Hashes of this level, which C2SP bounds at 63. Levels above 7 are always empty.
    Hash(u8),
    /// The entries below a tile of level 0: certificate hashes.
    Entries,
    /// The certificates of those entries.
    Certs,
}

/// A parsed path: `tile/<L>/<N>[.p/<W>]`, `tile/entries/<N>[.p/<W>]` or `tile/certs/<N>[.p/<W>]`.
///
/// It is written with [`Display`](fmt::Display) and read with [`FromStr`], without a leading slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: Width,
}

impl TilePath {
    /// The path of a tile of hashes.
    pub const fn hashes(tile: TileId, width: Width) -> Self {
        Self { kind: TileKind::Hash(tile.level()), index: tile.index(), width }
    }

    /// The path of the `index`-th entry bundle.
    pub const fn entries(index: u64, width: Width) -> Self {
        Self { kind: TileKind::Entries, index, width }
    }

    /// The path of the `index`-th certificate bundle.
    pub const fn certs(index: u64, width: Width) -> Self {
        Self { kind: TileKind::Certs, index, width }
    }

    /// What lies there.
    pub const fn kind(&self) -> TileKind {
        self.kind
    }

    /// The position among the tiles of its kind and level, from 0.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// How many hashes, entries or certificates are asked for.
    pub const fn width(&self) -> Width {
        self.width
    }

    /// The tile of hashes with this place in the tree: the tile itself, or for a bundle the tile
    /// of level 0 above its entries. `None` where no tree of 64-bit size has it.
    pub fn tile(&self) -> Option<TileId> {
        match self.kind {
            TileKind::Hash(level) => TileId::new(level, self.index),
            TileKind::Entries | TileKind::Certs => TileId::new(0, self.index),
        }
    }

    /// How wide this tile or bundle is in a tree of `size` leaves, or `None` where that tree has
    /// nothing of it.
    pub fn width_at(&self, size: TreeSize) -> Option<Width> {
        self.tile()?.width_at(size)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hash(level) => write!(f, "tile/{level}/")?,
            TileKind::Entries => f.write_str("tile/entries/")?,
            TileKind::Certs => f.write_str("tile/certs/")?,
        }
        write_groups(f, self.index / 1000)?;
        write!(f, "{:03}", self.index % 1000)?;
        if self.width.is_full() {
            return Ok(());
        }
        write!(f, ".p/{}", self.width.get())
    }
}

/// Writes the digits of an index above its last three, in groups `x000/` from the left.
fn write_groups(f: &mut fmt::Formatter<'_>, thousands: u64) -> fmt::Result {
    if thousands == 0 {
        return Ok(());
    }
    write_groups(f, thousands / 1000)?;
    write!(f, "x{:03}/", thousands % 1000)
}

impl FromStr for TilePath {
    type Err = BadTilePath;

    /// Reads loosely and then compares with the canonical spelling, so that a tile has one path.
    fn from_str(path: &str) -> Result<Self, BadTilePath> {
        if path.len() > MAX_PATH_OCTETS {
            return Err(BadTilePath);
        }
        read(path).filter(|parsed| parsed.to_string() == path).ok_or(BadTilePath)
    }
}

fn read(path: &str) -> Option<TilePath> {
    let (kind, place) = path.strip_prefix("tile/")?.split_once('/')?;
    let kind = match kind {
        "entries" => TileKind::Entries,
        "certs" => TileKind::Certs,
        level => TileKind::Hash(level.parse().ok().filter(|level| *level <= MAX_PATH_LEVEL)?),
    };
    let (groups, width) = match place.split_once(".p/") {
        Some((groups, width)) => (groups, Width::new(width.parse().ok()?)?),
        None => (place, Width::FULL),
    };
    let index = groups.split('/').try_fold(0_u64, |index, group| {
        let group: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
        index.checked_mul(1000)?.checked_add(group)
    })?;
    Some(TilePath { kind, index, width })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_index_has_a_path() {
        let path = TilePath::certs(u64::MAX, Width::new(255).unwrap()).to_string();
        assert_eq!(path, "tile/certs/x018/x446/x744/x073/x709/x551/615.p/255");
        assert_eq!(path.parse::<TilePath>().unwrap().index(), u64::MAX);
        assert_eq!("tile/certs/x018/x446/x744/x073/x709/x551/616".parse::<TilePath>(), Err(BadTilePath));
    }

    #[test]
    fn one_tile_has_one_spelling() {
        for path in
            ["tile/0/1000", "tile/+1/000", "tile/0/+00", "tile/0/xx01/000", "tile/0/000.p/+1", "tile/0/000.p/256"]
        {
            assert_eq!(path.parse::<TilePath>(), Err(BadTilePath), "{path}");
        }
    }

    #[test]
    fn levels_beyond_the_tree_have_a_path_but_no_width() {
        let path: TilePath = "tile/8/000".parse().unwrap();
        assert_eq!(path.kind(), TileKind::Hash(8));
        assert_eq!((path.tile(), path.width_at(TreeSize::new(u64::MAX))), (None, None));
    }

    #[test]
    fn a_bundle_is_as_wide_as_the_tile_above_it() {
        let path: TilePath = "tile/entries/001".parse().unwrap();
        assert_eq!(path.width_at(TreeSize::new(257)), Width::new(1));
        assert_eq!(path.width_at(TreeSize::new(256)), None);
    }

    proptest! {
        #[test]
        fn paths_come_back(level in 0_u8..=63, index: u64, shift in 0_u32..64, width in 1_usize..=256, which in 0_usize..3) {
            let kind = [TileKind::Hash(level), TileKind::Entries, TileKind::Certs][which];
            let path = TilePath { kind, index: index >> shift, width: Width::new(width).unwrap() };
            prop_assert_eq!(path.to_string().parse::<TilePath>(), Ok(path));
        }

        #[test]
        fn what_parses_is_written_back(text in "tile/([0-9]{1,2}|entries|certs)/(x?[0-9]{3}/){0,3}[0-9]{2,3}(\\.p/[0-9]{1,3})?") {
            if let Ok(path) = text.parse::<TilePath>() {
                prop_assert_eq!(path.to_string(), text);
            }
        }
    }
}
