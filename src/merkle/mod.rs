//! The Merkle tree of RFC 9162 section 2.1 over SHA-256, and its C2SP tiles.
//!
//! Everything here is a pure function of octets: no clock, no store, no allocation that an
//! input can blow up.

mod hash;
mod index;

pub use hash::{Hash, empty_root, leaf_hash, node_hash};
pub use index::{LeafIndex, TreeSize};
