//! Reading a bundle: the octets that a log serves for up to 256 entries, brought together to what each entry is.
//!
//! A log says three times what an entry is: by its certificate, by its certificate hash, and by the leaf of its tree.
//! Where the first two differ or one cannot be read, `get-entries` is asked as well, and decides. What was decided is
//! not believed for that: the tree is built from it, and the signed root says whether it is right. Each difference is
//! a fault that somebody is told.

use std::ops::Range;

use atl::api::EntryResponse;
use atl::log::bundle::{CertBundle, CertRow, EntryBundle};
use atl::log::entry::{CertHash, Fingerprint};
use atl::merkle::{LeafIndex, TILE_WIDTH, TileId, TilePath, TreeSize, Width};
use atl::verify::auditor::check_rows;
use atl::verify::fault::{Damage, Fault};

/// Entries of a whole bundle.
pub(super) const WIDTH: u64 = TILE_WIDTH as u64;

/// Which bundle, and as wide as which tree has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The position among the bundles, from 0.
    pub index: u64,
    /// Entries that it has.
    pub width: Width,
}

impl Shape {
    /// The bundle of this index in a tree of `size` leaves; `None` where that tree has nothing of it.
    pub fn at(index: u64, size: TreeSize) -> Option<Self> {
        Some(Self { index, width: TileId::new(0, index)?.width_at(size)? })
    }

    /// The first entry.
    pub const fn first(&self) -> LeafIndex {
        LeafIndex::new(self.index.saturating_mul(WIDTH))
    }

    /// All entries.
    pub fn entries(&self) -> Range<u64> {
        let first = self.first().get();
        first..first.saturating_add(self.width.get() as u64)
    }

    /// The tiles that fill up with its last entry, from the leaves up; none while it is not whole.
    pub fn tiles(&self) -> Vec<TileId> {
        let mut tiles = Vec::new();
        let mut end = self.index.saturating_add(1);
        if self.width.is_full() {
            tiles.extend(TileId::new(0, self.index));
            for level in 1..=TileId::MAX_LEVEL {
                if !end.is_multiple_of(WIDTH) {
                    break;
                }
                end /= WIDTH;
                tiles.extend(TileId::new(level, end - 1));
            }
        }
        tiles
    }
}

/// Octets as a log served them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Octets {
    /// The octets.
    pub octets: Vec<u8>,
    /// Whether they are those of the whole bundle, because the log does not keep the narrower one any more (C2SP
    /// tlog-tiles allows that): only the first rows count.
    pub wider: bool,
}

impl From<Vec<u8>> for Octets {
    fn from(octets: Vec<u8>) -> Self {
        Self { octets, wider: false }
    }
}

/// What a log served for a bundle; `None` where it has nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// `tile/certs/<N>`.
    pub certs: Option<Octets>,
    /// `tile/entries/<N>`.
    pub entries: Option<Octets>,
    /// The tiles of [`Shape::tiles`].
    pub tiles: Vec<(TileId, Option<Vec<u8>>)>,
}

/// A bundle that was read: what its entries are, as far as the log itself can be taken at its word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Which.
    pub shape: Shape,
    /// The certificate hashes, in the order of the leaves.
    pub hashes: Vec<CertHash>,
    /// As many rows. A certificate is there only if it has the hash beside it.
    pub rows: Vec<CertRow>,
    /// The tiles that fill up with it, as they were served.
    pub tiles: Vec<(TileId, Option<Vec<u8>>)>,
    /// What was wrong.
    pub faults: Vec<Fault>,
}

/// What came of reading the octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// All is there.
    Whole(Bundle),
    /// Something is missing or does not fit; `get-entries` may know better.
    Wanting(Wanting),
}

/// A bundle of which something is missing or does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanting {
    shape: Shape,
    hashes: Option<Vec<CertHash>>,
    rows: Option<Vec<CertRow>>,
    tiles: Vec<(TileId, Option<Vec<u8>>)>,
    faults: Vec<Fault>,
}

/// Entries that could not be read in any way that the protocol has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Which bundle.
    pub shape: Shape,
    /// What was wrong.
    pub faults: Vec<Fault>,
}

impl Served {
    /// Brings together what was served for the bundle of this shape.
    pub fn read(self, shape: Shape) -> Reading {
        let Self { certs, entries, tiles } = self;
        let mut faults = Vec::new();
        let path = TilePath::certs(shape.index, shape.width);
        let rows = kept(certs.map(|octets| rows(path, &octets)), path, &mut faults);
        let path = TilePath::entries(shape.index, shape.width);
        let hashes = kept(entries.map(|octets| hashes(path, &octets)), path, &mut faults);
        match (hashes, rows) {
            (Some(hashes), Some(rows)) => {
                // Any certificate may have been pruned: what retention a log promises is not signed.
                let found = check_rows(shape.first(), &hashes, &rows, LeafIndex::new(u64::MAX));
                if found.is_empty() {
                    return Reading::Whole(Bundle { shape, hashes, rows, tiles, faults });
                }
                faults.extend(found);
                Reading::Wanting(Wanting { shape, hashes: Some(hashes), rows: Some(rows), tiles, faults })
            }
            (None, Some(rows)) => {
                let hashes: Option<Vec<_>> = rows.iter().map(own_hash).collect();
                match hashes {
                    Some(hashes) => Reading::Whole(Bundle { shape, hashes, rows, tiles, faults }),
                    None => Reading::Wanting(Wanting { shape, hashes: None, rows: Some(rows), tiles, faults }),
                }
            }
            (hashes, rows) => Reading::Wanting(Wanting { shape, hashes, rows, tiles, faults }),
        }
    }
}

impl Wanting {
    /// Which bundle.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    /// Brings what was served together with the answer of `get-entries` for the same entries; `None` where the log did
    /// not give it whole.
    ///
    /// # Errors
    /// Where even so not every entry has a hash and a time.
    pub fn complete(self, answer: Option<&[EntryResponse]>) -> Result<Bundle, Unread> {
        let Self { shape, hashes, rows, tiles, mut faults } = self;
        let answer = answer.filter(|entries| {
            entries.len() == shape.width.get()
                && entries.iter().zip(shape.entries()).all(|(entry, index)| entry.leaf_index.get() == index)
        });
        let mut bundle = Bundle { shape, hashes: Vec::new(), rows: Vec::new(), tiles, faults: Vec::new() };
        for n in 0..shape.width.get() {
            let listed = hashes.as_ref().and_then(|hashes| hashes.get(n)).copied();
            let row = rows.as_ref().and_then(|rows| rows.get(n));
            let entry = answer.and_then(|entries| entries.get(n));
            let Some((hash, row)) = decide(listed, row, entry) else {
                if answer.is_none() {
                    faults.push(Fault::in_entry(LeafIndex::new(shape.first().get() + n as u64), Damage::Missing));
                }
                return Err(Unread { shape, faults });
            };
            bundle.hashes.push(hash);
            bundle.rows.push(row);
        }
        bundle.faults = faults;
        Ok(bundle)
    }
}

/// What an entry is, of what the two bundles and `get-entries` say. `None` where none of them names its hash, or none
/// its time.
fn decide(
    listed: Option<CertHash>,
    row: Option<&CertRow>,
    entry: Option<&EntryResponse>,
) -> Option<(CertHash, CertRow)> {
    let of_row = row.and_then(own_hash);
    let of_answer = entry.map(|entry| CertHash::from(entry.cert_hash));
    // Of two that differ, the one that the third agrees with; the list where nobody does.
    let hash = match (of_row, of_answer) {
        (Some(one), Some(other)) if one == other => one,
        (of_row, of_answer) => listed.or(of_answer).or(of_row)?,
    };
    let fits = |der: &&Vec<u8>| CertHash::of_certificate(der) == hash;
    let submission = || entry.and_then(|entry| entry.submission.as_ref()).map(|der| &der.0).filter(fits);
    let certificate = match row.and_then(|row| row.certificate.as_ref()) {
        Some(der) if of_row == Some(hash) => Some(der),
        _ => submission(),
    };
    let chain =
        || entry.map(|entry| entry.chain.iter().map(|der| *Fingerprint::of_certificate(&der.0).hash()).collect());
    Some((
        hash,
        CertRow {
            timestamp: row.map(|row| row.timestamp).or(entry.map(|entry| entry.timestamp))?,
            certificate: certificate.cloned(),
            chain: row.map(|row| row.chain.clone()).or_else(chain)?,
        },
    ))
}

fn own_hash(row: &CertRow) -> Option<CertHash> {
    row.certificate.as_deref().map(CertHash::of_certificate)
}

/// What was read, or a fault.
fn kept<T>(read: Option<Result<T, Fault>>, path: TilePath, faults: &mut Vec<Fault>) -> Option<T> {
    match read.unwrap_or(Err(Fault::in_path(path, Damage::Missing))) {
        Ok(value) => Some(value),
        Err(fault) => {
            faults.push(fault);
            None
        }
    }
}

fn rows(path: TilePath, octets: &Octets) -> Result<Vec<CertRow>, Fault> {
    let bundle = CertBundle::from_octets(&octets.octets).map_err(|bad| Fault::in_path(path, bad.into()))?;
    fit(bundle.into_rows(), path, octets.wider)
}

fn hashes(path: TilePath, octets: &Octets) -> Result<Vec<CertHash>, Fault> {
    let bundle = EntryBundle::from_octets(&octets.octets).map_err(|bad| Fault::in_path(path, bad.into()))?;
    fit(bundle.entries().to_vec(), path, octets.wider)
}

fn fit<T>(mut rows: Vec<T>, path: TilePath, wider: bool) -> Result<Vec<T>, Fault> {
    let needed = path.width().get();
    if wider {
        rows.truncate(needed);
    }
    match rows.len() {
        found if found == needed => Ok(rows),
        found => Err(Fault::in_path(path, Damage::Width { found, needed })),
    }
}

#[cfg(test)]
mod tests {
    use atl::api::B64;
    use atl::log::entry::EntryType;
    use atl::time::UnixMillis;

    use super::*;

    fn der(n: u64) -> Vec<u8> {
        format!("certificate {n}").into_bytes()
    }

    fn row(n: u64) -> CertRow {
        CertRow { timestamp: UnixMillis::new(n), certificate: Some(der(n)), chain: Vec::new() }
    }

    fn served(rows: Vec<CertRow>, of: &[u64]) -> Served {
        let hashes = of.iter().map(|n| CertHash::of_certificate(&der(*n))).collect();
        Served {
            certs: Some(CertBundle::new(rows).unwrap().to_octets().unwrap().into()),
            entries: Some(EntryBundle::new(hashes).unwrap().to_octets().into()),
            tiles: Vec::new(),
        }
    }

    fn answer(n: u64, of: u64) -> EntryResponse {
        EntryResponse {
            leaf_index: LeafIndex::new(n),
            timestamp: UnixMillis::new(n),
            entry_type: EntryType::Certificate,
            submission: Some(B64(der(of))),
            cert_hash: *CertHash::of_certificate(&der(of)).hash(),
            chain: Vec::new(),
        }
    }

    fn shape(width: usize) -> Shape {
        Shape { index: 0, width: Width::new(width).unwrap() }
    }

    fn wanting(served: Served) -> Wanting {
        match served.read(shape(2)) {
            Reading::Wanting(wanting) => wanting,
            Reading::Whole(bundle) => panic!("{bundle:?}"),
        }
    }

    #[test]
    fn what_fits_is_read_and_pruned_rows_have_their_hash() {
        let pruned = CertRow { certificate: None, ..row(1) };
        let Reading::Whole(bundle) = served(vec![row(0), pruned], &[0, 1]).read(shape(2)) else { panic!() };
        assert_eq!((bundle.faults.len(), bundle.rows[1].certificate.clone()), (0, None));
        assert_eq!(bundle.hashes[1], CertHash::of_certificate(&der(1)));
    }

    #[test]
    fn certificates_stand_in_for_their_hashes() {
        let all = Served { entries: None, ..served(vec![row(0), row(1)], &[0, 1]) };
        let Reading::Whole(bundle) = all.read(shape(2)) else { panic!() };
        assert_eq!(bundle.hashes, [0, 1].map(|n| CertHash::of_certificate(&der(n))));
        assert_eq!(bundle.faults, [Fault::in_path(TilePath::entries(0, shape(2).width), Damage::Missing)]);
    }

    #[test]
    fn the_third_voice_decides_and_the_fault_stays() {
        // The certificate bundle is wrong, and get-entries agrees with the list.
        let bad = wanting(served(vec![row(0), CertRow { certificate: Some(der(9)), ..row(1) }], &[0, 1]));
        let bundle = bad.clone().complete(Some(&[answer(0, 0), answer(1, 1)])).unwrap();
        assert_eq!(bundle.hashes[1], CertHash::of_certificate(&der(1)));
        assert_eq!((bundle.rows[1].certificate.clone(), bundle.faults.len()), (Some(der(1)), 1));
        // Nobody else: the list, and no certificate.
        let bundle = bad.complete(None).unwrap();
        assert_eq!(bundle.hashes[1], CertHash::of_certificate(&der(1)));
        assert_eq!((bundle.rows[1].certificate.clone(), bundle.faults.len()), (None, 1));
        // The list is wrong, and get-entries agrees with the certificate.
        let bad = wanting(served(vec![row(0), row(1)], &[0, 9]));
        let bundle = bad.complete(Some(&[answer(0, 0), answer(1, 1)])).unwrap();
        assert_eq!((bundle.hashes[1], bundle.rows[1].clone()), (CertHash::of_certificate(&der(1)), row(1)));
    }

    #[test]
    fn entries_alone_will_do_and_nothing_will_not() {
        let nothing = wanting(Served::default());
        let bundle = nothing.clone().complete(Some(&[answer(0, 0), answer(1, 1)])).unwrap();
        assert_eq!((bundle.rows, bundle.faults.len()), (vec![row(0), row(1)], 2));
        for bad in [None, Some(&[answer(0, 0)][..]), Some(&[answer(0, 0), answer(2, 2)])] {
            let unread = nothing.clone().complete(bad).unwrap_err();
            assert_eq!(unread.faults.len(), 3, "{unread:?}");
        }
        // A list without certificates has no times.
        let list = wanting(Served { certs: None, ..served(vec![row(0)], &[0, 1]) });
        assert!(list.clone().complete(None).is_err());
        assert!(list.complete(Some(&[answer(0, 0), answer(1, 1)])).is_ok());
    }

    #[test]
    fn a_wider_bundle_is_cut_where_that_is_known_only() {
        let wide = served(vec![row(0), row(1), row(2)], &[0, 1, 2]);
        assert_eq!(wanting(wide.clone()).faults.len(), 2);
        let cut = |octets: Option<Octets>| octets.map(|octets| Octets { wider: true, ..octets });
        let wide = Served { certs: cut(wide.certs), entries: cut(wide.entries), tiles: Vec::new() };
        assert!(matches!(wide.read(shape(2)), Reading::Whole(bundle) if bundle.rows.len() == 2));
    }

    #[test]
    fn tiles_fill_up_with_their_last_entry() {
        let of = |index, width| Shape { index, width: Width::new(width).unwrap() }.tiles();
        let id = |level, index| TileId::new(level, index).unwrap();
        assert_eq!(of(255, 255), []);
        assert_eq!(of(254, 256), [id(0, 254)]);
        assert_eq!(of(511, 256), [id(0, 511), id(1, 1)]);
        assert_eq!(of(65_535, 256), [id(0, 65_535), id(1, 255), id(2, 0)]);
        assert_eq!(Shape::at(1, TreeSize::new(300)).map(|shape| shape.entries()), Some(256..300));
        assert_eq!(Shape::at(2, TreeSize::new(512)), None);
    }
}
