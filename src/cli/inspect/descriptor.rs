//! What a log says of itself: `GET /atl/v1/log` (protocol section 5).

use serde_json::json;

use super::content::Content;
use super::key_words;
use super::kind::Kind;
use super::report::{Report, Subject};
use crate::api::LogDescriptor;
use crate::apki::oid::ARC;
use crate::cli::words::{columns, duration};
use crate::keys::PublicKey;
use crate::log::checkpoint::Origin;
use crate::log::note::VerifierKey;
use crate::time::UnixMillis;

/// The kind.
pub const KIND: Kind = Kind { name: "log", what: "what a log says of itself", labels: &[], looks, explain };

fn looks(content: &Content) -> bool {
    content.has_members(&["origin", "vkey"])
}

fn explain(content: &Content, now: UnixMillis) -> Result<Report, String> {
    let log: LogDescriptor = serde_json::from_str(content.json()?).map_err(|e| e.to_string())?;
    Ok(of(&log, now))
}

fn of(log: &LogDescriptor, now: UnixMillis) -> Report {
    let mut report = Report::new(format!("what the log {} says of itself", log.origin));
    let seconds = |n: u64| duration(n.saturating_mul(1000));
    report.row("origin", &log.origin);
    report.row("operator", &log.operator);
    report.row("log id", log.log_id);
    report.row("key", key_words::key(&log.key.0));
    report.row("vkey", &log.vkey);
    report.row(
        "heads",
        format!("each {}; an entry is covered within {}", seconds(log.sth_interval_seconds), seconds(log.mmd_seconds)),
    );
    let (start, limit) = (log.not_after_start, log.not_after_limit);
    let shard = match (now < start, now < limit) {
        (true, _) => "not yet",
        (false, true) => "it takes what ends now",
        (false, false) => "over",
    };
    report.row("takes", format!("certificates that end from {start} on and before {limit} ({shard})"));
    let kept = match log.retention_seconds {
        0 => "for ever".to_owned(),
        n => format!("for {}; hashes and proofs for ever", seconds(n)),
    };
    report.row("keeps", format!("certificates {kept}"));
    report.row("algorithms", format!("{}, {}; extensions below {}", log.hash, log.signature_algorithm, log.oid_arc));
    let witnesses: Vec<[String; 1]> = log.witnesses.iter().map(|vkey| [vkey.clone()]).collect();
    report.section("Witnesses", columns(&witnesses));
    key_faults(log, &mut report);
    report.warnings.extend(other_faults(log));
    report.facts(json!({ "descriptor": log }));
    report
}

/// Key, log id and verifier key are three ways to say one thing.
fn key_faults(log: &LogDescriptor, report: &mut Report) {
    let key = match PublicKey::from_spki_der(&log.key.0) {
        Ok(key) => key,
        Err(error) => return report.malformed.push(format!("key: {error}")),
    };
    if key.log_id() != log.log_id {
        report.warnings.push(format!("log_id is not the SHA-256 of key, which is {}", key.log_id()));
    }
    match log.vkey.parse::<VerifierKey>() {
        Ok(vkey) => {
            if *vkey.key() != key {
                report.warnings.push("vkey has another key than key".into());
            }
            if vkey.name().as_str() != log.origin {
                report.warnings.push(format!("vkey is named {}, and the origin is {}", vkey.name(), log.origin));
            }
        }
        Err(error) => report.malformed.push(format!("vkey: {error}")),
    }
    report.malformed.extend(log.origin.parse::<Origin>().err().map(|error| format!("origin: {error}")));
    report.subject = Subject::Key(log.key.0.clone());
}

fn other_faults(log: &LogDescriptor) -> Vec<String> {
    let mut faults = Vec::new();
    let mut demand = |good: bool, fault: String| {
        if !good {
            faults.push(fault);
        }
    };
    demand(log.hash == "SHA-256", format!("hash is {}, and SHA-256 is the only one (R37)", log.hash));
    let algorithm = &log.signature_algorithm;
    demand(algorithm == "Ed25519", format!("signature_algorithm is {algorithm}, and Ed25519 is the only one (R37)"));
    demand(
        log.oid_arc == ARC,
        format!("oid_arc is {}, and {ARC} is known here: extensions would not be found", log.oid_arc),
    );
    demand(log.mmd_seconds == log.sth_interval_seconds, "mmd_seconds is not sth_interval_seconds (R37)".into());
    demand(
        log.not_after_start < log.not_after_limit,
        "not_after_start is not before not_after_limit: it takes nothing".into(),
    );
    faults
}
