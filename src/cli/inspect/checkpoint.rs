//! Checkpoints: a tree head as a signed note (C2SP tlog-checkpoint and signed-note, protocol section 4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::content::Content;
use super::kind::Kind;
use super::report::Report;
use super::sth::{ago, empty_tree_fault, entries};
use crate::cli::words::columns;
use crate::log::checkpoint::Checkpoint;
use crate::log::note::{Note, NoteSignature};
use crate::time::UnixMillis;

/// The kind.
pub const KIND: Kind = Kind { name: "checkpoint", what: "a checkpoint", labels: &[], looks, explain };

/// Octets of an Ed25519 signature.
const ED25519: usize = 64;
/// Those of a cosignature: when it was made, in seconds, and an Ed25519 signature (C2SP tlog-cosignature).
const COSIGNATURE: usize = 8 + ED25519;

/// What a proof of inclusion begins with, which ends with a checkpoint and is none (C2SP tlog-proof).
pub const PROOF: &str = "c2sp.org/tlog-proof@";
/// What an audit statement begins with, which is another signed note.
pub const FORMAT_OF_AUDITS: &str = "atl-audit/";

/// A line that begins as signature lines do.
fn looks(content: &Content) -> bool {
    let Ok(text) = content.text() else { return false };
    let other = text.starts_with(PROOF) || text.starts_with(FORMAT_OF_AUDITS);
    !other && text.lines().any(|line| line.starts_with("\u{2014} "))
}

fn explain(content: &Content, now: UnixMillis) -> Result<Report, String> {
    let note = Note::parse(content.text()?.as_bytes()).map_err(|e| e.to_string())?;
    Ok(of_note(&note, now))
}

/// The report of a note that should be a checkpoint.
pub fn of_note(note: &Note, now: UnixMillis) -> Report {
    let mut report = match Checkpoint::parse(note.text()) {
        Ok(checkpoint) => of(&checkpoint, note),
        Err(error) => {
            let mut report = Report::malformed(KIND.what, format!("the text of the note: {error}"));
            report.row("reads", "the signature lines");
            report.section("Text of the note", note.text().lines().map(str::to_owned).collect());
            report
        }
    };
    report.signed = true;
    report.section("Signature lines", lines(note, now));
    report.facts(json!({ "signatures": signatures_json(note) }));
    report
}

/// The signature lines, for machines.
pub fn signatures_json(note: &Note) -> Vec<serde_json::Value> {
    note.signatures().iter().map(signature_json).collect()
}

fn of(checkpoint: &Checkpoint, note: &Note) -> Report {
    let size = checkpoint.size.get();
    let origin = checkpoint.origin.as_str();
    let mut report = Report::new(format!("checkpoint of {origin}: {size} {}", entries(size)));
    report.row("origin", origin);
    report.row("tree size", size);
    report.row("root hash", checkpoint.root);
    report.section("Further lines of its text", checkpoint.extensions().to_vec());
    report.warnings.extend(empty_tree_fault(size, &checkpoint.root));
    if note.signatures().iter().all(|line| line.name.as_str() != origin) {
        report.warnings.push("no signature line has the name of the log: nobody takes it as the log's".into());
    }
    report.facts(json!({
        "origin": origin,
        "tree_size": size,
        "root_hash": checkpoint.root.to_string(),
        "extension_lines": checkpoint.extensions(),
    }));
    report
}

/// The signature lines, for people.
pub fn lines(note: &Note, now: UnixMillis) -> Vec<String> {
    let origin = note.text().lines().next();
    let row = |line: &NoteSignature| {
        let by = if Some(line.name.as_str()) == origin { "the log itself" } else { "somebody else" };
        let form = match (line.signature.len(), cosigned_at(line)) {
            (_, Some(at)) => format!("as long as a cosignature, then of {at} ({})", ago(at, now)),
            (ED25519, None) => "as long as an Ed25519 signature".to_owned(),
            (other, None) => format!("{other} octets"),
        };
        [line.name.to_string(), format!("key {}", hex::encode(line.key_id)), by.to_owned(), form]
    };
    columns(&note.signatures().iter().map(row).collect::<Vec<_>>())
}

/// When a cosignature was made, if it is one: only the key's type would tell.
fn cosigned_at(line: &NoteSignature) -> Option<UnixMillis> {
    let seconds = line.signature.first_chunk::<8>().filter(|_| line.signature.len() == COSIGNATURE)?;
    UnixMillis::from_secs(u64::from_be_bytes(*seconds))
}

fn signature_json(line: &NoteSignature) -> serde_json::Value {
    json!({
        "name": line.name.as_str(),
        "key_id": hex::encode(line.key_id),
        "signature": STANDARD.encode(&line.signature),
        "cosigned_at": cosigned_at(line),
    })
}
