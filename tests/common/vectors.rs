//! The files below `tests/vectors`, and what is in their rows.
#![allow(dead_code, reason = "each test program uses a part")]

use std::path::PathBuf;

use serde_json::Value;

/// The octets of a file.
pub fn octets(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A file of JSON.
pub fn json(name: &str) -> Value {
    serde_json::from_slice(&octets(name)).unwrap()
}

/// The rows of a list.
pub fn rows<'a>(file: &'a Value, list: &str) -> &'a [Value] {
    file[list].as_array().unwrap_or_else(|| panic!("no list {list}"))
}

/// The rows of a list that must have so many.
pub fn counted<'a>(file: &'a Value, list: &str, count: usize) -> &'a [Value] {
    let rows = rows(file, list);
    assert_eq!(rows.len(), count, "{list}");
    rows
}

/// The text in a field of a row.
pub fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_else(|| panic!("no text {field} in {row}"))
}

/// The octets that a text says in hexadecimal.
pub fn from_hex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}
