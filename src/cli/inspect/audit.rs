//! Audit statements: what a monitor says of a log.

use serde_json::json;

use super::checkpoint::{self, FORMAT_OF_AUDITS};
use super::content::Content;
use super::kind::Kind;
use super::report::Report;
use super::sth::{ago, entries};
use crate::log::audit::{AuditStatement, Verdict};
use crate::log::note::Note;
use crate::time::UnixMillis;

/// The kind.
pub const KIND: Kind = Kind { name: "audit", what: "an audit statement", labels: &[], looks, explain };

fn looks(content: &Content) -> bool {
    content.text().is_ok_and(|text| text.starts_with(FORMAT_OF_AUDITS))
}

fn explain(content: &Content, now: UnixMillis) -> Result<Report, String> {
    let note = Note::parse(content.text()?.as_bytes()).map_err(|e| e.to_string())?;
    let said = AuditStatement::parse(note.text()).map_err(|e| e.to_string())?;
    let size = said.size.get();
    let found = match said.verdict {
        Verdict::Consistent => "kept to its word",
        Verdict::Inconsistent => "DID NOT KEEP to its word",
    };
    let mut report = Report::of_signed(format!("audit: {} {found} up to {size} {}", said.origin, entries(size)));
    report.row("origin", said.origin.as_str());
    report.row("log id", said.log_id);
    report.row("audited at", format!("{} ({})", said.at, ago(said.at, now)));
    report.row("tree size", size);
    report.row("root hash", said.root);
    if said.age(now).is_none() {
        report.warnings.push("it is dated ahead, and does not count".into());
    }
    report.section("Signature lines", checkpoint::lines(&note, now));
    report.facts(json!({
        "origin": said.origin.as_str(),
        "log_id": said.log_id.to_string(),
        "at": said.at,
        "tree_size": size,
        "root_hash": said.root.to_string(),
        "verdict": said.verdict.as_str(),
        "signatures": checkpoint::signatures_json(&note),
    }));
    Ok(report)
}
