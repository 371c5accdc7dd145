//! The module `apki` against test vectors of an independent implementation (see
//! `tests/vectors/README.md`): every row of `uri.json`, `extensions.json` and `decay.json`,
//! and of `certs.json` what this floor decides.
#![allow(clippy::unwrap_used)] // a vector file of another shape is a failed test

#[path = "vectors_apki/certs.rs"]
mod certs;
#[path = "vectors_apki/decay.rs"]
mod decay;
#[path = "vectors_apki/extensions.rs"]
mod extensions;
#[path = "vectors_apki/uri.rs"]
mod uri;
#[path = "common/vectors.rs"]
mod vectors;
