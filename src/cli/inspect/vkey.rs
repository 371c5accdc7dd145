//! Verifier keys (C2SP signed-note): a name, and the Ed25519 key that signs notes under it.

use super::content::Content;
use super::kind::Kind;
use super::public_key;
use super::report::Report;
use crate::log::note::{BadVerifierKey, VerifierKey};
use crate::time::UnixMillis;

/// The kind.
pub const KIND: Kind = Kind { name: "vkey", what: "a verifier key (vkey)", labels: &[], looks, explain };

/// A name, a `+`, eight hex digits, a `+`, and something.
fn looks(content: &Content) -> bool {
    let Ok(text) = content.text() else { return false };
    let mut parts = text.trim().splitn(3, '+');
    let name = parts.next().is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace));
    let id = parts.next().is_some_and(|id| id.len() == 8 && id.bytes().all(|c| c.is_ascii_hexdigit()));
    name && id && parts.next().is_some_and(|key| !key.trim().contains('\n'))
}

fn explain(content: &Content, _: UnixMillis) -> Result<Report, String> {
    let vkey: VerifierKey = content.text()?.trim().parse().map_err(|e: BadVerifierKey| e.to_string())?;
    let (name, id) = (vkey.name().to_string(), hex::encode(vkey.id()));
    let mut report = public_key::of(vkey.key(), format!("verifier key of {name}, Ed25519"));
    report.rows.insert(0, ("name", name.clone()));
    report.rows.insert(1, ("key id", format!("{id} (tells its lines on a note from others)")));
    report.facts(serde_json::json!({ "name": name, "key_id": id }));
    Ok(report)
}
