//! Signed agent timestamps, and lists of them (protocol section 3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::content::Content;
use super::kind::Kind;
use super::outline::Shape;
use super::report::Report;
use super::schema;
use super::sth::ago;
use crate::apki::tlv::{INTEGER, OCTET_STRING};
use crate::log::sat::{SatList, SignedAgentTimestamp};
use crate::time::UnixMillis;

/// One.
pub const KIND: Kind = Kind {
    name: "sat",
    what: "a signed agent timestamp (SAT)",
    labels: &[],
    looks: |content| content.der().is_ok_and(|der| is_sat(Shape::of(der))),
    explain,
};

/// Several.
pub const LIST: Kind = Kind {
    name: "sat-list",
    what: "a list of signed agent timestamps",
    labels: &[],
    looks: |content| content.der().is_ok_and(|der| is_sat(Shape::of(der).at(0))),
    explain: explain_list,
};

/// Also one that is cut off behind the log id.
fn is_sat(shape: Shape<'_>) -> bool {
    shape.begins(&[INTEGER, OCTET_STRING]) && matches!(shape.tags().get(2), None | Some(&INTEGER))
}

fn explain(content: &Content, now: UnixMillis) -> Result<Report, String> {
    let der = content.der()?;
    let sat = match SignedAgentTimestamp::from_der(der) {
        Ok(sat) => sat,
        Err(error) => return Ok(Report::broken(KIND.what, der, &schema::SAT, &error)),
    };
    let mut report = Report::of_signed("signed agent timestamp (SAT): a log has a certificate");
    report.rows = rows(&sat, now);
    report.facts(sat_json(&sat));
    Ok(report)
}

fn explain_list(content: &Content, now: UnixMillis) -> Result<Report, String> {
    let der = content.der()?;
    let list = match SatList::from_der(der) {
        Ok(list) => list,
        Err(error) => return Ok(Report::broken(LIST.what, der, &schema::SAT_LIST, &error)),
    };
    let sats = list.sats();
    let mut report = Report::of_signed(format!("list of {} signed agent timestamps", sats.len()));
    for sat in sats {
        let lines = rows(sat, now).into_iter().map(|(name, value)| format!("{name:9}  {value}")).collect();
        report.section("Timestamp", lines);
    }
    if sats.iter().any(|sat| Some(sat.cert_hash) != sats.first().map(|first| first.cert_hash)) {
        report
            .warnings
            .push("they are for different certificates: a certificate with this list is refused (R12)".into());
    }
    report.facts(json!({ "sats": sats.iter().map(sat_json).collect::<Vec<_>>() }));
    Ok(report)
}

fn rows(sat: &SignedAgentTimestamp, now: UnixMillis) -> Vec<(&'static str, String)> {
    vec![
        ("log id", sat.log_id.to_string()),
        ("since", format!("{} ({})", sat.timestamp, ago(sat.timestamp, now))),
        ("certHash", format!("{} (of what was submitted)", sat.cert_hash)),
        ("leaf hash", sat.cert_hash.leaf_hash().to_string()),
        ("signature", format!("{} octets, not verified here: atl verify", sat.signature.len())),
    ]
}

fn sat_json(sat: &SignedAgentTimestamp) -> Value {
    json!({
        "log_id": sat.log_id.to_string(),
        "timestamp": sat.timestamp,
        "cert_hash": sat.cert_hash.to_string(),
        "leaf_hash": sat.cert_hash.leaf_hash().to_string(),
        "signature": STANDARD.encode(&sat.signature),
    })
}
