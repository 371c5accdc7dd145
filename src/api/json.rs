//! JSON bodies, read from octets.

use serde::Deserialize;

use super::problem::Problem;

/// Reads a JSON object. Derived structs would take an array of their members as well; no API of
/// ours means that.
pub(super) fn object<'de, T: Deserialize<'de>>(what: &str, body: &'de [u8]) -> Result<T, Problem> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::malformed(format!("{what} is a JSON object")));
    }
    serde_json::from_slice(body).map_err(|e| {
        // The message may quote the value that it complains about, and that may be long.
        let why: String = e.to_string().chars().take(200).collect();
        Problem::malformed(format!("the body is not {what}: {why}"))
    })
}
