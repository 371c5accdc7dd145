//! Signed tree heads, as get-sth answers (protocol sections 4 and 5).

use serde_json::json;

use super::content::Content;
use super::kind::Kind;
use super::report::Report;
use crate::api::SthResponse;
use crate::cli::words::duration;
use crate::merkle::empty_root;
use crate::time::UnixMillis;

/// The kind.
pub const KIND: Kind = Kind { name: "sth", what: "a signed tree head", labels: &[], looks, explain };

fn looks(content: &Content) -> bool {
    content.has_members(&["tree_size", "root_hash"])
}

fn explain(content: &Content, now: UnixMillis) -> Result<Report, String> {
    let sth: SthResponse = serde_json::from_str(content.json()?).map_err(|e| e.to_string())?;
    Ok(of(&sth, now))
}

fn of(sth: &SthResponse, now: UnixMillis) -> Report {
    let size = sth.tree_size.get();
    let mut report = Report::of_signed(format!("signed tree head of {size} {}", entries(size)));
    report.row("log id", sth.log_id);
    report.row("tree size", size);
    report.row("signed at", format!("{} ({})", sth.timestamp, ago(sth.timestamp, now)));
    report.row("root hash", sth.root_hash);
    report.row("signature", format!("{} octets, over TreeHeadDataV2 (RFC 9162 section 4.10)", sth.signature.0.len()));
    report.warnings.extend(empty_tree_fault(size, &sth.root_hash));
    if sth.signature.0.is_empty() {
        report.malformed.push("signature: it is empty".into());
    }
    report.facts(json!({
        "log_id": sth.log_id.to_string(),
        "tree_size": size,
        "timestamp": sth.timestamp,
        "root_hash": sth.root_hash.to_string(),
        "signature": sth.signature,
    }));
    report
}

/// A tree without entries has one root (RFC 9162 section 2.1.1).
pub fn empty_tree_fault(size: u64, root: &crate::merkle::Hash) -> Option<String> {
    (size == 0 && *root != empty_root()).then(|| format!("the root of no entries is {}", empty_root()))
}

/// `entry` or `entries`.
pub const fn entries(count: u64) -> &'static str {
    if count == 1 { "entry" } else { "entries" }
}

/// A moment as seen from another.
pub fn ago(then: UnixMillis, now: UnixMillis) -> String {
    match (then <= now, duration(now.since(then)), duration(then.since(now))) {
        (true, length, _) => format!("{length} ago"),
        (false, _, length) => format!("in {length}"),
    }
}
