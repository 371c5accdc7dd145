//! What must hold of every parser of untrusted input, whatever the octets: it does not panic, and
//! what it takes it gives back octet for octet.
//!
//! The fuzz targets look for octets that break a property; `tests/fuzz_corpus.rs` holds the
//! checked-in seeds to the same ones.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is how a property says no

mod admission;
mod api;
mod certificates;
mod signed;
mod tree;

pub use admission::admission;
pub use api::{json, query};
pub use certificates::{agent_uri, certificate, extensions};
pub use signed::{checkpoint, sat};
pub use tree::{bundles, proofs, tile_path};

/// Panics where `input` breaks it.
pub type Property = fn(&[u8]);

/// Every property under the name of its fuzz target and of its directory of seeds.
pub const ALL: &[(&str, Property)] = &[
    ("admission", admission),
    ("agent_uri", agent_uri),
    ("bundles", bundles),
    ("certificate", certificate),
    ("checkpoint", checkpoint),
    ("extensions", extensions),
    ("json", json),
    ("proofs", proofs),
    ("query", query),
    ("sat", sat),
    ("tile_path", tile_path),
];
