use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::fault::Place;
use super::*;
use crate::merkle::{leaf_hash, shapes};

const SIZE: u64 = 256 * 256 + 256 + 77;

fn seen(index: u64) -> Seen {
    Seen { cert_hash: CertHash::of_certificate(&index.to_be_bytes()), timestamp: Some(UnixMillis::new(1000 + index)) }
}

/// A log that holds `size` entries and every tile over them.
struct Log {
    entries: Vec<Seen>,
    tiles: BTreeMap<TileId, Vec<u8>>,
    edge: Edge,
}

impl Log {
    fn new(size: u64) -> Self {
        let entries: Vec<Seen> = (0..size).map(seen).collect();
        let leaves: Vec<Hash> = entries.iter().map(|e| leaf_hash(e.cert_hash.as_bytes())).collect();
        let grown = integrate(&Edge::empty(), &leaves).unwrap();
        let tiles = grown.tiles.into_iter().map(|(id, tile)| (id, tile.to_octets())).collect();
        Self { entries, tiles, edge: grown.edge }
    }

    fn flip(&mut self, level: u8, index: u64, octet: usize) {
        self.tiles.get_mut(&TileId::new(level, index).unwrap()).unwrap()[octet] ^= 1;
    }

    /// Everything that an audit in steps of `step` entries finds; each tile is looked at once.
    fn audit(&self, auditor: &mut Auditor, step: usize) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut tiles = Vec::new();
        for entries in self.entries.chunks(step) {
            let derived = auditor.append(entries).unwrap();
            faults.extend(derived.faults);
            tiles.extend(derived.tiles);
        }
        tiles.extend(auditor.partial_tiles());
        assert_eq!(tiles.len(), shapes(auditor.size()).count(), "each tile once");
        faults.extend(tiles.iter().filter_map(|(id, t)| check_tile(*id, t, self.tiles.get(id).map(Vec::as_slice))));
        faults.extend(auditor.check_root(self.edge.size(), &self.edge.root()));
        faults
    }

    fn faults(&self) -> Vec<Fault> {
        self.audit(&mut Auditor::default(), 256)
    }
}

fn lines(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(Fault::to_string).collect()
}

#[test]
fn an_honest_log_has_no_faults_whatever_the_steps() {
    let log = Log::new(SIZE);
    for step in [1000, 256, 255, 65_536, usize::MAX] {
        let mut auditor = Auditor::default();
        assert_eq!(log.audit(&mut auditor, step), []);
        assert_eq!((auditor.size(), auditor.root()), (TreeSize::new(SIZE), log.edge.root()));
        assert_eq!(auditor.newest(), UnixMillis::new(1000 + SIZE - 1));
    }
    assert_eq!(Log::new(0).faults(), []);
}

#[test]
fn roots_are_remembered_where_they_were_asked_for_and_nowhere_else() {
    let log = Log::new(1000);
    let mut auditor = Auditor::default();
    let sizes = [0, 1, 255, 256, 257, 300, 301, 999, 1000, 1001].map(TreeSize::new);
    sizes.iter().for_each(|size| auditor.remember(*size));
    log.audit(&mut auditor, 400);
    for size in sizes {
        let expected = (size.get() <= 1000).then(|| Log::new(size.get()).edge.root());
        assert_eq!(auditor.root_at(size), expected, "{size}");
    }
    auditor.remember(TreeSize::new(500));
    assert_eq!(auditor.root_at(TreeSize::new(500)), None);
    let late = auditor.check_root(TreeSize::new(500), &Hash::new([0; 32])).unwrap();
    assert_eq!(late.what, Damage::NotReached { reached: TreeSize::new(1000) });
}

#[test]
fn a_resumed_audit_ends_where_a_whole_one_does() {
    let log = Log::new(1000);
    let mut first = Auditor::default();
    first.append(&log.entries[..700]).unwrap();
    let mut second = Auditor::resume(first.edge().clone(), first.newest());
    second.append(&log.entries[700..]).unwrap();
    assert_eq!((second.root(), second.partial_tiles()), (log.edge.root(), log.edge.tiles()));
}

#[test]
fn a_flipped_bit_is_named_on_every_level() {
    let mut log = Log::new(SIZE);
    log.flip(0, 3, 32 * 5 + 31);
    log.flip(0, 257, 0);
    log.flip(1, 0, 32 * 9);
    log.flip(1, 1, 0);
    log.flip(2, 0, 1);
    let faults = log.faults();
    let places: Vec<String> = faults.iter().map(|f| f.at.to_string()).collect();
    assert_eq!(places, ["tile/0/003", "tile/1/000", "tile/0/257.p/77", "tile/1/001.p/1", "tile/2/000.p/1"]);
    assert!(matches!(faults[0].what, Damage::Leaf { index, differing: 1, .. } if index.get() == 3 * 256 + 5));
    assert!(matches!(faults[1].what, Damage::Node { position: 9, differing: 1, .. }));
}

#[test]
fn missing_short_and_long_tiles_are_named() {
    let mut log = Log::new(700);
    let id = |index| TileId::new(0, index).unwrap();
    log.tiles.remove(&id(0));
    log.tiles.get_mut(&id(1)).unwrap().truncate(32 * 255);
    log.tiles.get_mut(&id(2)).unwrap().extend([0; 32]);
    log.tiles.get_mut(&TileId::new(1, 0).unwrap()).unwrap().push(0);
    let expected = [
        "tile/0/000: is missing",
        "tile/0/001: has 255 rows where the tree has 256",
        "tile/0/002.p/188: has 189 rows where the tree has 188",
        "tile/1/000.p/2: 65 octets are no whole number of 32-octet hashes",
    ];
    assert_eq!(lines(&log.faults()), expected);
}

#[test]
fn another_entry_shows_in_its_leaf_in_all_above_and_in_the_root() {
    let mut log = Log::new(SIZE);
    log.entries[300].cert_hash = CertHash::new([0; 32]);
    let faults = log.faults();
    assert!(matches!(faults[0].what, Damage::Leaf { index, differing: 1, .. } if index.get() == 300));
    assert_eq!(faults.len(), 4, "{:?}", lines(&faults));
    assert!(matches!(faults[3], Fault { at: Place::Tree(_), what: Damage::Root { .. } }));
}

#[test]
fn time_that_goes_back_is_named_once() {
    let mut log = Log::new(300);
    let [early, late] = [1, u64::MAX].map(UnixMillis::new);
    log.entries[100].timestamp = Some(early);
    log.entries[101].timestamp = None;
    log.entries[200].timestamp = Some(late);
    let back =
        |index, timestamp, before| Fault::in_entry(LeafIndex::new(index), Damage::TimeBack { timestamp, before });
    let expected = [back(100, early, UnixMillis::new(1099)), back(201, UnixMillis::new(1201), late)];
    assert_eq!(log.faults(), expected);
}

#[test]
fn heads_are_held_against_the_entries_they_cover() {
    let log = Log::new(300);
    let mut auditor = Auditor::default();
    auditor.remember(TreeSize::new(200));
    log.audit(&mut auditor, 256);
    let root = Log::new(200).edge.root();
    let head = TreeHead { size: TreeSize::new(200), timestamp: UnixMillis::new(1199), root };
    assert_eq!(auditor.check_head(&head), []);
    let early = auditor.check_head(&TreeHead { timestamp: UnixMillis::new(1198), ..head });
    assert!(matches!(early[..], [Fault { what: Damage::HeadBeforeEntry { .. }, .. }]));
    let forged = auditor.check_head(&TreeHead { root: Hash::new([1; 32]), ..head });
    assert!(matches!(forged[..], [Fault { what: Damage::Root { .. }, .. }]));
    let beyond = auditor.check_head(&TreeHead { size: TreeSize::new(301), ..head });
    assert!(matches!(beyond[..], [Fault { what: Damage::NotReached { .. }, .. }]));
}

#[test]
fn bundles_are_read_strictly() {
    let entries: Vec<CertHash> = (0..3).map(|i| seen(i).cert_hash).collect();
    let octets = EntryBundle::new(entries.clone()).unwrap().to_octets();
    let width = |n| Width::new(n).unwrap();
    assert_eq!(read_entries(0, width(3), &octets), Ok(entries));
    let short = read_entries(7, width(4), &octets).unwrap_err();
    assert_eq!(short.to_string(), "tile/entries/007.p/4: has 3 rows where the tree has 4");
    assert!(matches!(read_entries(0, width(3), &octets[1..]).unwrap_err().what, Damage::Bundle(_)));
}

#[test]
fn certificates_are_held_against_their_hashes() {
    let row = |octets: Option<&[u8]>| CertRow {
        timestamp: UnixMillis::new(1),
        certificate: octets.map(<[u8]>::to_vec),
        chain: Vec::new(),
    };
    let entries = [b"a", b"b", b"c"].map(|der| CertHash::of_certificate(der));
    let rows = [row(None), row(Some(b"x")), row(Some(b"c"))];
    let check = |kept_from| check_rows(LeafIndex::new(9), &entries, &rows, LeafIndex::new(kept_from));
    let pruned = check(10);
    assert_eq!(pruned.len(), 1);
    assert!(matches!(pruned[0], Fault { at: Place::Entry(i), what: Damage::Certificate { .. } } if i.get() == 10));
    assert_eq!(check(9)[0], Fault::in_entry(LeafIndex::new(9), Damage::Pruned));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn no_flipped_octet_of_any_tile_goes_unseen(size in 1_u64..1200, tile: prop::sample::Index, octet: prop::sample::Index, bit in 0_u8..8) {
        let mut log = Log::new(size);
        let id = *tile.get(&log.tiles.keys().copied().collect::<Vec<_>>());
        let octets = log.tiles.get_mut(&id).unwrap();
        let place = octet.index(octets.len());
        octets[place] ^= 1 << bit;
        let faults = log.faults();
        prop_assert_eq!(faults.len(), 1);
        let Place::Path(path) = faults[0].at else { panic!("{}", faults[0]) };
        prop_assert_eq!(path.tile(), Some(id));
    }

    #[test]
    fn no_octets_make_the_checks_panic(octets in prop::collection::vec(any::<u8>(), 0..300), width in 1_usize..=256) {
        let derived = Tile::new(vec![Hash::new([1; 32]); width]).unwrap();
        prop_assert!(check_tile(TileId::new(0, 0).unwrap(), &derived, Some(&octets)).is_some());
        let _ = read_entries(0, Width::new(width).unwrap(), &octets);
    }
}
