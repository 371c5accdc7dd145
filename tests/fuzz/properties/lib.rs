//! What must hold of every parser of untrusted input, whatever the octets: it does not panic, and
//! what it takes it gives back octet for octet.
//!
//! The fuzz targets look for octets that break a property; `tests/fuzz_corpus.rs` holds the
//! checked-in seeds to the same ones.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a panic is how a property says no

mod admission;
mod api;
#[cfg(feature = "server")]
mod ca;
mod certificates;
mod evidence;
mod signed;
mod tree;
mod verdict;
mod witnessed;

pub use admission::admission;
pub use api::{json, query};
#[cfg(feature = "server")]
pub use ca::{ca_config, csr, journal, registry, token};
pub use certificates::{agent_uri, certificate, extensions};
pub use evidence::{evidence, holds};
pub use signed::{checkpoint, sat};
pub use tree::{bundles, proofs, tile_path};
#[allow(unused_imports, reason = "the replay of the seeds alone asks")]
pub use verdict::{accepts, verdict};
pub use witnessed::{audit, cosignature, tlog_proof};

/// Panics where `input` breaks it.
pub type Property = fn(&[u8]);

/// Every property under the name of its fuzz target and of its directory of seeds.
pub const ALL: &[(&str, Property)] = &[
    ("admission", admission),
    ("agent_uri", agent_uri),
    ("audit", audit),
    ("bundles", bundles),
    #[cfg(feature = "server")]
    ("ca_config", ca_config),
    ("certificate", certificate),
    ("checkpoint", checkpoint),
    ("cosignature", cosignature),
    #[cfg(feature = "server")]
    ("csr", csr),
    ("evidence", evidence),
    ("extensions", extensions),
    #[cfg(feature = "server")]
    ("journal", journal),
    ("json", json),
    ("proofs", proofs),
    ("query", query),
    #[cfg(feature = "server")]
    ("registry", registry),
    ("sat", sat),
    ("tile_path", tile_path),
    ("tlog_proof", tlog_proof),
    #[cfg(feature = "server")]
    ("token", token),
    ("verdict", verdict),
];
