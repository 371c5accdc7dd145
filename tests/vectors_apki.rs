//! The module `apki` against test vectors of an independent implementation (see
//! `tests/vectors/README.md`): every row of `uri.json` and `extensions.json`, and of `certs.json`
//! what this floor decides.
#![allow(clippy::unwrap_used)] // a vector file of another shape is a failed test

#[path = "vectors_apki/certs.rs"]
mod certs;
#[path = "vectors_apki/extensions.rs"]
mod extensions;
#[path = "vectors_apki/uri.rs"]
mod uri;

use std::path::PathBuf;

use serde_json::Value;

fn vectors(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&vectors(name)).unwrap()
}

fn rows<'a>(file: &'a Value, list: &str) -> &'a [Value] {
    file[list].as_array().unwrap()
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_else(|| panic!("no text {field} in {row}"))
}
