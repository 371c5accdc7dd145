//! Tiles, bundles, and proofs between trees of any size.

use std::collections::BTreeMap;

use atl::log::bundle::{CertBundle, EntryBundle};
use atl::merkle::{
    ConsistencyPlan, Edge, Hash, InclusionPlan, LeafIndex, ProofError, Tile, TileId, TileKind, TilePath, TreeSize,
    Width, integrate, verify_consistency, verify_inclusion,
};
use atl::wire::Reader;

/// Most leaves that [`grown`] appends: more than two tiles, so that one fills from its middle.
const MOST_LEAVES: u64 = 600;

/// A path has one spelling, and names nothing that no tree has.
pub fn tile_path(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(path) = text.parse::<TilePath>() else { return };
    assert_eq!(path.to_string(), text);
    for size in [0, 1, 256, 257, 65_536, 1 << 40, u64::MAX] {
        let width = path.width_at(TreeSize::new(size));
        assert!(width.is_none() || path.tile().is_some());
    }
    match (path.kind(), path.tile()) {
        (TileKind::Hash(_), Some(tile)) => assert_eq!(TilePath::hashes(tile, path.width()), path),
        (TileKind::Hash(_), None) => assert_eq!(path.width_at(TreeSize::new(u64::MAX)), None),
        (TileKind::Entries, _) => assert_eq!(TilePath::entries(path.index(), path.width()), path),
        (TileKind::Certs, _) => assert_eq!(TilePath::certs(path.index(), path.width()), path),
    }
}

/// Tiles and bundles have one form.
pub fn bundles(input: &[u8]) {
    if let Ok(bundle) = EntryBundle::from_octets(input) {
        assert_eq!(bundle.to_octets(), input);
        assert_eq!(EntryBundle::new(bundle.entries().to_vec()).as_ref(), Ok(&bundle));
    }
    if let Ok(bundle) = CertBundle::from_octets(input) {
        assert_eq!(bundle.to_octets().unwrap(), input);
        assert_eq!(CertBundle::new(bundle.rows().to_vec()).as_ref(), Ok(&bundle));
    }
    if let Ok(tile) = Tile::from_octets(input) {
        assert_eq!(tile.to_octets(), input);
        assert_eq!(Tile::new(tile.hashes().to_vec()).as_ref(), Ok(&tile));
        assert!(tile.root().is_some());
        let width = Width::new(usize::from(input[0]) + 1).unwrap();
        let narrow = tile.octets_at(width);
        assert_eq!(narrow.as_deref(), input.get(..width.get() * Hash::LEN));
    }
}

/// Two numbers of 64 bits and some hashes, taken for proofs and for the sizes of trees.
pub fn proofs(input: &[u8]) {
    let mut reader = Reader::new(input);
    let (Ok(first), Ok(second)) = (reader.u64(), reader.u64()) else { return };
    let hashes: Vec<Hash> = std::iter::from_fn(|| reader.array().ok().map(Hash::new)).collect();
    if let [one, other, proof @ ..] = &hashes[..] {
        let _ = verify_inclusion(one, LeafIndex::new(first), TreeSize::new(second), proof, other);
        let _ = verify_consistency(TreeSize::new(first), TreeSize::new(second), one, other, proof);
    }
    inclusion_planned(LeafIndex::new(first), TreeSize::new(second));
    consistency_planned(TreeSize::new(first), TreeSize::new(second));
    grown(TreeSize::new(first), second % MOST_LEAVES);
}

/// A proof out of tiles has as many hashes as its verifier wants, at any size.
fn inclusion_planned(index: LeafIndex, size: TreeSize) {
    let Ok(plan) = InclusionPlan::new(index, size) else { return assert!(!index.is_in(size)) };
    let tiles = filled(plan.tiles(), size);
    let proof = plan.prove(&tiles).unwrap();
    let verdict = verify_inclusion(&hash(1), index, size, &proof, &hash(2));
    assert!(matches!(verdict, Err(ProofError::Root)), "{verdict:?}");
    assert!(tiles.is_empty() || plan.prove(&tiles[1..]).is_err());
}

fn consistency_planned(first: TreeSize, second: TreeSize) {
    let Ok(plan) = ConsistencyPlan::new(first, second) else { return assert!(first > second) };
    let tiles = filled(plan.tiles(), second);
    let proof = plan.prove(&tiles).unwrap();
    let verdict = verify_consistency(first, second, &hash(1), &hash(2), &proof);
    assert!(matches!(verdict, Err(ProofError::FirstRoot | ProofError::SecondRoot)), "{verdict:?}");
    assert!(tiles.is_empty() || plan.prove(&tiles[1..]).is_err());
}

/// A tree of any size that `more` leaves are appended to: its edge and the tiles written hold all
/// that it takes to prove that it only grew, and that the new leaves are in it.
fn grown(size: TreeSize, more: u64) {
    let needed = Edge::tiles_needed(size);
    let old = filled(&needed, size);
    let edge = Edge::from_tiles(size, &old).unwrap();
    assert_eq!(edge.size(), size);
    let leaves: Vec<Hash> = (0..more).map(|leaf| hash(leaf << 8)).collect();
    let integration = match (integrate(&edge, &leaves), size.checked_add(more)) {
        (Ok(integration), Some(size)) if integration.edge.size() == size => integration,
        (Err(_), None) => return,
        (other, _) => panic!("{more} leaves on top of {size}: {other:?}"),
    };
    let grown = integration.edge.size();
    let mut store: BTreeMap<TileId, Tile> = needed.into_iter().zip(old).collect();
    for (id, tile) in integration.tiles {
        assert_eq!(id.width_at(grown).map(Width::get), Some(tile.width()));
        store.insert(id, tile);
    }
    let read = |ids: &[TileId]| -> Vec<Tile> { ids.iter().map(|id| store[id].clone()).collect() };
    assert_eq!(Edge::from_tiles(grown, &read(&Edge::tiles_needed(grown))).as_ref(), Ok(&integration.edge));

    let (old_root, root) = (edge.root(), integration.edge.root());
    let plan = ConsistencyPlan::new(size, grown).unwrap();
    let proof = plan.prove(&read(plan.tiles())).unwrap();
    assert_eq!(verify_consistency(size, grown, &old_root, &root, &proof), Ok(()));
    let Some(place) = size.get().checked_rem(more) else { return };
    let index = LeafIndex::new(size.get() + place);
    let plan = InclusionPlan::new(index, grown).unwrap();
    let proof = plan.prove(&read(plan.tiles())).unwrap();
    assert_eq!(verify_inclusion(&leaves[place as usize], index, grown, &proof, &root), Ok(()));
}

/// Tiles for these places, as wide as a tree of `size` leaves has them, full of made-up hashes.
fn filled(ids: &[TileId], size: TreeSize) -> Vec<Tile> {
    let tile = |id: &TileId| {
        let width = id.width_at(size).expect("a planned tile is in the tree").get() as u64;
        Tile::new((0..width).map(|place| hash(u64::from(id.level()) << 56 | place)).collect()).unwrap()
    };
    ids.iter().map(tile).collect()
}

/// A hash that is told from others by `number`; nobody has its preimage.
fn hash(number: u64) -> Hash {
    let mut octets = [0xa5; Hash::LEN];
    octets[..8].copy_from_slice(&number.to_be_bytes());
    Hash::new(octets)
}
