//! Re-derives a log from its entries: entries give leaf hashes, those give tiles, tiles give the
//! tiles above them and the root (RFC 9162 section 2.1, C2SP tlog-tiles), and each is held against
//! what the log says it is.
//!
//! The auditor neither reads nor asks for anything. Its owner feeds it entries in the order of
//! their leaves and holds the tiles that come back against those of the log, wherever it has them
//! from. However large the log, the auditor keeps its right edge and the marks asked for.

use std::collections::BTreeMap;

use super::fault::{Damage, Fault};
use crate::log::bundle::{CertRow, EntryBundle};
use crate::log::entry::CertHash;
use crate::log::sth::TreeHead;
use crate::merkle::{Edge, Hash, LeafIndex, TILE_WIDTH, Tile, TileId, TilePath, TreeFull, TreeSize, Width, integrate};
use crate::time::UnixMillis;

/// What is known of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The data entry of its leaf.
    pub cert_hash: CertHash,
    /// The timestamp of its SAT, or `None` where it could not be read.
    pub timestamp: Option<UnixMillis>,
}

/// What the log must hold by its own entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// Tiles that filled up: they will not change again, so each is compared once.
    pub tiles: Vec<(TileId, Tile)>,
    /// What is wrong with the entries themselves.
    pub faults: Vec<Fault>,
}

/// The tree at a size that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    root: Hash,
    newest: UnixMillis,
}

/// A log re-derived, so far.
#[derive(Clone, Debug)]
pub struct Auditor {
    edge: Edge,
    size: TreeSize,
    newest: UnixMillis,
    /// Sizes at which somebody stated a root; `None` until the size is reached.
    marks: BTreeMap<TreeSize, Option<Mark>>,
}

impl Default for Auditor {
    fn default() -> Self {
        Self::resume(Edge::empty(), UnixMillis::default())
    }
}

impl Auditor {
    /// An auditor that goes on from a tree that was audited before: its edge, and the newest
    /// timestamp in it.
    pub fn resume(edge: Edge, newest: UnixMillis) -> Self {
        Self { size: edge.size(), edge, newest, marks: BTreeMap::new() }
    }

    /// Entries audited.
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// The root of the entries audited.
    pub fn root(&self) -> Hash {
        self.edge.root()
    }

    /// The timestamp of the newest entry; the epoch where there is none.
    pub const fn newest(&self) -> UnixMillis {
        self.newest
    }

    /// The right edge: with the newest timestamp, all that [`resume`](Self::resume) needs.
    pub const fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Remembers the root at `size` when it comes by, for a head or a checkpoint of that size.
    /// A size that went by already, and was not remembered, stays unknown.
    pub fn remember(&mut self, size: TreeSize) {
        let mark = (size == self.size).then(|| self.mark());
        if size >= self.size {
            self.marks.entry(size).or_insert(mark);
        }
    }

    /// The root of the first `size` entries, if they are all there are or it was remembered.
    pub fn root_at(&self, size: TreeSize) -> Option<Hash> {
        self.at(size).map(|mark| mark.root)
    }

    /// Takes the next entries, in the order of their leaves.
    ///
    /// # Errors
    /// Past 2^64 - 1 entries; nothing was taken in beyond the last step then.
    pub fn append(&mut self, entries: &[Seen]) -> Result<Derived, TreeFull> {
        let mut derived = Derived::default();
        let mut rest = entries;
        while !rest.is_empty() {
            let (step, beyond) = rest.split_at(self.step(rest.len()));
            let leaves: Vec<Hash> = step.iter().map(|entry| entry.cert_hash.leaf_hash()).collect();
            let grown = integrate(&self.edge, &leaves)?;
            for (index, entry) in (self.size.get()..).zip(step) {
                derived.faults.extend(self.date(LeafIndex::new(index), entry.timestamp));
            }
            derived.tiles.extend(grown.tiles.into_iter().filter(|(_, tile)| tile.width() == TILE_WIDTH));
            self.edge = grown.edge;
            self.size = self.edge.size();
            let now = self.mark();
            self.marks.entry(self.size).and_modify(|mark| *mark = Some(now));
            rest = beyond;
        }
        Ok(derived)
    }

    /// The tiles of the right edge, which are not full: what is left to compare at the end.
    pub fn partial_tiles(&self) -> Vec<(TileId, Tile)> {
        self.edge.tiles()
    }

    /// Holds a root that somebody stated for `size` against the entries.
    pub fn check_root(&self, size: TreeSize, stated: &Hash) -> Option<Fault> {
        match self.root_at(size) {
            None => Some(Fault::in_tree(size, Damage::NotReached { reached: self.size })),
            Some(derived) if derived == *stated => None,
            Some(derived) => Some(Fault::in_tree(size, Damage::Root { stated: *stated, derived })),
        }
    }

    /// Holds a head against the entries: its root, and that it is not dated before any of them
    /// (protocol section 4). Its signature is for the caller to check.
    pub fn check_head(&self, head: &TreeHead) -> Vec<Fault> {
        let root = self.check_root(head.size, &head.root);
        let newest = self.at(head.size).map(|mark| mark.newest).filter(|newest| *newest > head.timestamp);
        let date =
            newest.map(|newest| Fault::in_tree(head.size, Damage::HeadBeforeEntry { stated: head.timestamp, newest }));
        root.into_iter().chain(date).collect()
    }

    /// How many of `more` entries to take at once: up to the end of the tile or the next mark.
    fn step(&self, more: usize) -> usize {
        let tile = TILE_WIDTH as u64 - self.size.get() % TILE_WIDTH as u64;
        let mark = self.marks.range(self.size.next_index().covering_size()..).next();
        let mark = mark.map_or(tile, |(size, _)| size.get() - self.size.get());
        usize::try_from(tile.min(mark)).unwrap_or(more).min(more)
    }

    fn date(&mut self, index: LeafIndex, timestamp: Option<UnixMillis>) -> Option<Fault> {
        let timestamp = timestamp?;
        // The last one counts, not the latest: one entry dated ahead is one fault, and not one of
        // each entry behind it.
        let before = std::mem::replace(&mut self.newest, timestamp);
        (timestamp < before).then(|| Fault::in_entry(index, Damage::TimeBack { timestamp, before }))
    }

    fn mark(&self) -> Mark {
        Mark { root: self.edge.root(), newest: self.newest }
    }

    fn at(&self, size: TreeSize) -> Option<Mark> {
        if size == self.size { Some(self.mark()) } else { self.marks.get(&size).copied().flatten() }
    }
}

/// Holds a tile of the log, `None` where it has none, against the one that its entries give.
/// All hashes are compared; the first that differs is named.
pub fn check_tile(id: TileId, derived: &Tile, served: Option<&[u8]>) -> Option<Fault> {
    let width = Width::new(derived.width())?;
    let path = TilePath::hashes(id, width);
    let Some(octets) = served else { return Some(Fault::in_path(path, Damage::Missing)) };
    let tile = match Tile::from_octets(octets) {
        Ok(tile) => tile,
        Err(bad) => return Some(Fault::in_path(path, bad.into())),
    };
    if tile.width() != derived.width() {
        return Some(Fault::in_path(path, Damage::Width { found: tile.width(), needed: derived.width() }));
    }
    let mut pairs = tile.hashes().iter().zip(derived.hashes()).enumerate().filter(|(_, (found, want))| found != want);
    let (position, (found, derived)) = pairs.next()?;
    let (found, derived, differing) = (*found, *derived, 1 + pairs.count());
    let index = LeafIndex::new(id.index().saturating_mul(TILE_WIDTH as u64).saturating_add(position as u64));
    Some(Fault::in_path(
        path,
        match id.level() {
            0 => Damage::Leaf { index, found, derived, differing },
            _ => Damage::Node { position, found, derived, differing },
        },
    ))
}

/// Reads the `index`-th entry bundle, which has `width` entries in the tree at hand.
pub fn read_entries(index: u64, width: Width, octets: &[u8]) -> Result<Vec<CertHash>, Fault> {
    let path = TilePath::entries(index, width);
    let bundle = EntryBundle::from_octets(octets).map_err(|bad| Fault::in_path(path, bad.into()))?;
    match bundle.entries().len() {
        found if found == width.get() => Ok(bundle.entries().to_vec()),
        found => Err(Fault::in_path(path, Damage::Width { found, needed: width.get() })),
    }
}

/// Holds certificates against the entries whose leaves begin at `first`. Certificates of leaves
/// before `kept_from` may have been pruned.
pub fn check_rows(first: LeafIndex, entries: &[CertHash], rows: &[CertRow], kept_from: LeafIndex) -> Vec<Fault> {
    let fault = |(index, (logged, row)): (u64, (&CertHash, &CertRow))| {
        let index = LeafIndex::new(index);
        match &row.certificate {
            None if index < kept_from => None,
            None => Some(Fault::in_entry(index, Damage::Pruned)),
            Some(der) => {
                let (found, logged) = (CertHash::of_certificate(der), *logged);
                (found != logged).then(|| Fault::in_entry(index, Damage::Certificate { found, logged }))
            }
        }
    };
    (first.get()..).zip(entries.iter().zip(rows)).filter_map(fault).collect()
}

#[cfg(test)]
#[path = "auditor/tests.rs"]
mod tests;
