//! Proof files: that a certificate is in a log (C2SP tlog-proof).

use serde_json::json;

use super::checkpoint;
use super::content::Content;
use super::kind::Kind;
use super::report::Report;
use super::sth::entries;
use crate::log::proof::TlogProof;
use crate::time::UnixMillis;

/// The kind.
pub const KIND: Kind = Kind { name: "tlog-proof", what: "a proof of inclusion", labels: &[], looks, explain };

fn looks(content: &Content) -> bool {
    content.text().is_ok_and(|text| text.starts_with(checkpoint::PROOF))
}

fn explain(content: &Content, now: UnixMillis) -> Result<Report, String> {
    let proof = TlogProof::parse(content.text()?.as_bytes()).map_err(|e| e.to_string())?;
    let mut report = checkpoint::of_note(proof.checkpoint(), now);
    let (index, hashes) = (proof.index().get(), proof.inclusion().len());
    report.title = format!("proof that something is entry {index} under a {}", report.title);
    report.row("leaf index", index);
    report.row("proof", format!("{hashes} hashes up to the root of the checkpoint below"));
    if let Some(extra) = proof.extra() {
        report.row("extra", format!("{} octets, which nobody signs", extra.len()));
    }
    report.row("of what", "the file does not say: of the certificate that it is presented with, or of none");
    if let Some(size) = report.json.get("tree_size").and_then(serde_json::Value::as_u64).filter(|size| index >= *size) {
        report.malformed.push(format!("the tree has {size} {}, and none with the index {index}", entries(size)));
    }
    report.facts(json!({
        "leaf_index": index,
        "inclusion": proof.inclusion().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "extra": proof.extra().map(hex::encode),
    }));
    Ok(report)
}
