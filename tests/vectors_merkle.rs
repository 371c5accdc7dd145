//! The tree against the vectors of an independent implementation.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/vectors.rs"]
mod vectors;

use std::collections::HashMap;

use atl::log::bundle::{CertBundle, CertRow, EntryBundle};
use atl::log::entry::CertHash;
use atl::merkle::{
    ConsistencyPlan, Edge, Hash, InclusionPlan, LeafIndex, Tile, TileId, TileKind, TilePath, TreeSize, integrate,
    leaf_hash, shapes, verify_consistency, verify_inclusion,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use vectors::{counted, from_hex, json};

fn hash(value: &Value) -> Hash {
    Hash::from_slice(&from_hex(value)).unwrap()
}

fn size(value: &Value) -> TreeSize {
    TreeSize::new(value.as_u64().unwrap())
}

/// The hashes of a proof, or `None` where one of them is not of 32 octets.
fn proof(row: &Value) -> Option<Vec<Hash>> {
    row["proof"].as_array().unwrap().iter().map(|element| Hash::from_slice(&from_hex(element))).collect()
}

/// A tree of which all tiles are at hand.
struct Tree {
    edge: Edge,
    tiles: HashMap<TileId, Tile>,
}

impl Tree {
    /// Grows in batches as a log does, for the tiles to be rewritten many times.
    fn of(leaves: &[Hash]) -> Self {
        let mut tree = Self { edge: Edge::empty(), tiles: HashMap::new() };
        for batch in leaves.chunks(4001) {
            let step = integrate(&tree.edge, batch).unwrap();
            tree.edge = step.edge;
            tree.tiles.extend(step.tiles);
        }
        tree
    }

    fn tiles(&self, ids: &[TileId]) -> Vec<Tile> {
        ids.iter().map(|id| self.tiles[id].clone()).collect()
    }

    fn root_at(&self, size: TreeSize) -> Hash {
        Edge::from_tiles(size, &self.tiles(&Edge::tiles_needed(size))).unwrap().root()
    }
}

#[test]
fn merkle_roots_at_every_listed_size() {
    let file = json("merkle.json");
    let leaves: Vec<_> = counted(&file, "leaves", 300).iter().map(|entry| leaf_hash(&from_hex(entry))).collect();
    for (leaf, listed) in leaves.iter().zip(counted(&file, "leaf_hashes_first_8", 8)) {
        assert_eq!(*leaf, hash(listed));
    }
    let tree = Tree::of(&leaves);
    for row in counted(&file, "roots", 45) {
        let size = size(&row["size"]);
        let grown = integrate(&Edge::empty(), &leaves[..size.get() as usize]).unwrap().edge;
        assert_eq!((grown.root(), tree.root_at(size)), (hash(&row["root"]), hash(&row["root"])), "size {size}");
    }
}

#[test]
fn merkle_inclusion_proofs_good_and_bad() {
    let file = json("merkle.json");
    let leaves: Vec<_> = counted(&file, "leaves", 300).iter().map(|entry| leaf_hash(&from_hex(entry))).collect();
    let tree = Tree::of(&leaves);
    let mut good = 0;
    for row in counted(&file, "inclusion", 270) {
        let (index, size) = (LeafIndex::new(row["index"].as_u64().unwrap()), size(&row["size"]));
        let verified = proof(row).is_some_and(|proof| {
            verify_inclusion(&hash(&row["leaf_hash"]), index, size, &proof, &hash(&row["root"])).is_ok()
        });
        assert_eq!(verified, row["ok"].as_bool().unwrap(), "{row}");
        if verified {
            let plan = InclusionPlan::new(index, size).unwrap();
            assert_eq!(plan.prove(&tree.tiles(plan.tiles())).ok(), proof(row), "{row}");
            good += 1;
        }
    }
    assert_eq!(good, 63);
}

#[test]
fn merkle_consistency_proofs_good_and_bad() {
    let file = json("merkle.json");
    let leaves: Vec<_> = counted(&file, "leaves", 300).iter().map(|entry| leaf_hash(&from_hex(entry))).collect();
    let tree = Tree::of(&leaves);
    let mut good = 0;
    for row in counted(&file, "consistency", 243) {
        let (first, second) = (size(&row["first"]), size(&row["second"]));
        let (first_root, second_root) = (hash(&row["first_root"]), hash(&row["second_root"]));
        let verified = proof(row)
            .is_some_and(|proof| verify_consistency(first, second, &first_root, &second_root, &proof).is_ok());
        assert_eq!(verified, row["ok"].as_bool().unwrap(), "{row}");
        if verified {
            let plan = ConsistencyPlan::new(first, second).unwrap();
            assert_eq!(plan.prove(&tree.tiles(plan.tiles())).ok(), proof(row), "{row}");
            good += 1;
        }
    }
    assert_eq!(good, 71);
}

#[test]
fn tile_paths() {
    let file = json("tiles.json");
    let mut good = 0;
    for row in counted(&file, "paths", 45) {
        let text = row["path"].as_str().unwrap();
        let parsed = text.parse::<TilePath>();
        assert_eq!(parsed.is_ok(), row["ok"].as_bool().unwrap(), "{row}");
        let Ok(path) = parsed else { continue };
        let kind = match row["level"].as_str().unwrap() {
            "entries" => TileKind::Entries,
            "certs" => TileKind::Certs,
            level => TileKind::Hash(level.parse().unwrap()),
        };
        assert_eq!((path.kind(), Some(path.index())), (kind, row["index"].as_u64()), "{row}");
        assert_eq!(path.width().get() as u64, row["width"].as_u64().unwrap(), "{row}");
        assert_eq!(path.to_string(), text);
        good += 1;
    }
    assert_eq!(good, 17);
}

#[test]
fn tile_shapes() {
    let file = json("tiles.json");
    for row in counted(&file, "shapes", 9) {
        let mut partial = Vec::new();
        let mut full: Vec<(u8, u64)> = Vec::new();
        for (tile, width) in shapes(size(&row["tree_size"])) {
            match full.last_mut() {
                _ if !width.is_full() => partial.push(TilePath::hashes(tile, width).to_string()),
                Some((level, count)) if *level == tile.level() => *count += 1,
                _ => full.push((tile.level(), 1)),
            }
        }
        let listed = row["full"].as_array().unwrap().iter();
        let listed: Vec<_> =
            listed.map(|f| (f["level"].as_u64().unwrap() as u8, f["count"].as_u64().unwrap())).collect();
        assert_eq!(full, listed, "{row}");
        assert_eq!(serde_json::to_value(partial).unwrap(), row["partial"], "{row}");
    }
}

/// Entry `i` of the tree that tiles.json describes by rule.
fn entry(i: u64) -> CertHash {
    let octets = Sha256::new().chain_update(b"atl-vector-leaf").chain_update(i.to_be_bytes()).finalize();
    CertHash::new(octets.into())
}

fn ruled_tree(leaves: u64) -> Tree {
    let leaves: Vec<_> = (0..leaves).map(|i| entry(i).leaf_hash()).collect();
    Tree::of(&leaves)
}

#[test]
fn tiles_roots_and_proofs_of_70_000_leaves() {
    let file = json("tiles.json");
    let tree = ruled_tree(70_000);
    for row in counted(&file, "roots", 11) {
        let size = size(&row["size"]);
        let root = if size.get() <= 70_000 { tree.root_at(size) } else { ruled_tree(size.get()).edge.root() };
        assert_eq!(root, hash(&row["root"]), "size {size}");
    }
    for row in counted(&file, "tiles", 31) {
        let path: TilePath = row["path"].as_str().unwrap().parse().unwrap();
        assert_eq!(path.width_at(size(&row["tree_size"])), Some(path.width()), "{row}");
        let octets = tree.tiles[&path.tile().unwrap()].octets_at(path.width()).unwrap();
        let tile = Tile::from_octets(&octets).unwrap();
        assert_eq!((tile.to_octets(), tile.width()), (octets.clone(), path.width().get()));
        assert_eq!(octets.len() as u64, row["length"].as_u64().unwrap(), "{row}");
        assert_eq!(Hash::of(&octets), hash(&row["sha256"]), "{row}");
        assert_eq!(tile.hashes().first(), Some(&hash(&row["first_hash"])));
        assert_eq!(tile.hashes().last(), Some(&hash(&row["last_hash"])));
    }
    for row in counted(&file, "inclusion", 9) {
        let (index, size) = (row["index"].as_u64().unwrap(), size(&row["size"]));
        let plan = InclusionPlan::new(LeafIndex::new(index), size).unwrap();
        let made = plan.prove(&tree.tiles(plan.tiles())).unwrap();
        assert_eq!(Some(&made), proof(row).as_ref(), "{row}");
        let joined: Vec<u8> = made.iter().flat_map(Hash::as_bytes).copied().collect();
        assert_eq!(Hash::of(&joined), hash(&row["sha256_of_joined_proof"]));
        let root = tree.root_at(size);
        assert_eq!(verify_inclusion(&entry(index).leaf_hash(), LeafIndex::new(index), size, &made, &root), Ok(()));
    }
    for row in counted(&file, "consistency", 8) {
        let (first, second) = (size(&row["first"]), size(&row["second"]));
        let plan = ConsistencyPlan::new(first, second).unwrap();
        let made = plan.prove(&tree.tiles(plan.tiles())).unwrap();
        assert_eq!(Some(&made), proof(row).as_ref(), "{row}");
        let (old, new) = (tree.root_at(first), tree.root_at(second));
        assert_eq!(verify_consistency(first, second, &old, &new, &made), Ok(()));
    }
}

#[test]
fn entry_bundles() {
    let file = json("tiles.json");
    assert_eq!(entry(0).as_bytes().as_slice(), from_hex(&file["entry_0"]));
    assert_eq!(entry(69_999).as_bytes().as_slice(), from_hex(&file["entry_69999"]));
    let mut good = 0;
    for row in counted(&file, "entry_bundles", 11) {
        if !row["ok"].as_bool().unwrap() {
            let encoded = match &row["repeat"] {
                Value::Null => from_hex(&row["hex"]),
                repeat => from_hex(&repeat["hex"]).repeat(repeat["times"].as_u64().unwrap() as usize),
            };
            assert!(EntryBundle::from_octets(&encoded).is_err(), "{row}");
            continue;
        }
        let path: TilePath = row["path"].as_str().unwrap().parse().unwrap();
        assert_eq!(path.kind(), TileKind::Entries);
        let first = path.index() * 256;
        let bundle = EntryBundle::new((first..first + path.width().get() as u64).map(entry).collect()).unwrap();
        let encoded = bundle.to_octets();
        assert_eq!(encoded.len() as u64, row["length"].as_u64().unwrap());
        assert_eq!(Hash::of(&encoded), hash(&row["sha256"]), "{row}");
        assert_eq!(EntryBundle::from_octets(&encoded), Ok(bundle));
        good += 1;
    }
    assert_eq!(good, 5);
}

#[test]
fn cert_bundles() {
    let file = json("tiles.json");
    let mut good = 0;
    for row in counted(&file, "cert_bundles", 6) {
        let encoded = from_hex(&row["hex"]);
        let parsed = CertBundle::from_octets(&encoded);
        assert_eq!(parsed.is_ok(), row["ok"].as_bool().unwrap(), "{row}");
        let Ok(bundle) = parsed else { continue };
        let listed = row["rows"].as_array().unwrap();
        assert_eq!(bundle.rows().len(), listed.len());
        for (row, listed) in bundle.rows().iter().zip(listed) {
            assert_eq!(Some(row.timestamp.get()), listed["timestamp"].as_u64());
            let certificate = from_hex(&listed["certificate_hex"]);
            assert_eq!(row.certificate.as_deref().unwrap_or_default(), certificate);
            assert_eq!(Some(row.certificate.is_none()), listed["pruned"].as_bool());
            let chain: Vec<_> = listed["chain_sha256"].as_array().unwrap().iter().map(hash).collect();
            assert_eq!(row.chain, chain);
        }
        assert_eq!(bundle.to_octets().unwrap(), encoded);
        let again = CertBundle::new(bundle.rows().iter().map(CertRow::clone).collect()).unwrap();
        assert_eq!(again, bundle);
        good += 1;
    }
    assert_eq!(good, 1);
}
