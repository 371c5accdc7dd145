//! The Merkle tree of RFC 9162 section 2.1 over SHA-256, and its C2SP tiles.
//!
//! A tree is kept as *tiles*: rows of up to 256 neighbouring hashes, level 0 being leaf hashes and
//! each hash of level *L* + 1 the root of one full tile of level *L*. Growing a tree takes its
//! right [`Edge`] and new leaves ([`integrate()`]); proving something about it takes a handful of
//! tiles, which a plan names before anybody reads them ([`InclusionPlan`], [`ConsistencyPlan`]).
//!
//! Everything here is a pure function of octets: no clock, no store, no allocation that an
//! input can blow up.

mod consistency;
mod edge;
mod hash;
mod inclusion;
mod index;
mod integrate;
mod path;
mod proof;
mod subtree;
mod tile;

#[cfg(test)]
mod reference;

pub use consistency::{ConsistencyPlan, verify_consistency};
pub use edge::Edge;
pub use hash::{Hash, empty_root, leaf_hash, node_hash};
pub use inclusion::{InclusionPlan, verify_inclusion};
pub use index::{LeafIndex, TreeSize};
pub use integrate::{Integration, TreeFull, integrate};
pub use path::{BadTilePath, TileKind, TilePath};
pub use proof::ProofError;
pub use tile::{BadTile, TILE_WIDTH, Tile, TileId, TilesError, Width, shapes};
