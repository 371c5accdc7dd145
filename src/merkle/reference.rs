//! The tree as RFC 9162 section 2.1 words it: recursive, slow, and right at a glance. The tests
//! hold the real one to it.

use std::collections::HashMap;

use super::{Edge, Hash, Tile, TileId, empty_root, integrate, leaf_hash, node_hash};

/// The largest power of two smaller than `n`.
fn k(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// `MTH(D_n)`, over leaf hashes.
pub(super) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(k(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// `PATH(m, D_n)`.
pub(super) fn path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = k(leaves.len());
    let (left, right) = leaves.split_at(k);
    if m < k { [path(m, left), vec![root(right)]].concat() } else { [path(m - k, right), vec![root(left)]].concat() }
}

/// `PROOF(m, D_n)`.
pub(super) fn consistency(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    subproof(m, leaves, true)
}

fn subproof(m: usize, leaves: &[Hash], b: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if b { Vec::new() } else { vec![root(leaves)] };
    }
    let k = k(leaves.len());
    let (left, right) = leaves.split_at(k);
    if m <= k {
        [subproof(m, left, b), vec![root(right)]].concat()
    } else {
        [subproof(m - k, right, false), vec![root(left)]].concat()
    }
}

/// `n` different leaf hashes.
pub(super) fn leaves(n: usize) -> Vec<Hash> {
    (0..n as u64).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

/// `hash` with one of its 256 bits turned.
pub(super) fn flip(hash: Hash, bit: usize) -> Hash {
    let mut octets = *hash.as_bytes();
    octets[bit / 8] ^= 1 << (bit % 8);
    Hash::new(octets)
}

/// A tree of [`leaves`] with all its tiles.
pub(super) struct Grown {
    /// The leaf hashes.
    pub(super) leaves: Vec<Hash>,
    tiles: HashMap<TileId, Tile>,
}

impl Grown {
    pub(super) fn new(n: usize) -> Self {
        let leaves = leaves(n);
        let tiles = integrate(&Edge::empty(), &leaves).unwrap().tiles.into_iter().collect();
        Self { leaves, tiles }
    }

    pub(super) fn tiles(&self, ids: &[TileId]) -> Vec<Tile> {
        ids.iter().map(|id| self.tiles[id].clone()).collect()
    }
}
