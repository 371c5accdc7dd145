//! Evidence bundles: a signed action with what stood behind it.

use super::content::Content;
use super::kind::Kind;
use super::report::Report;
use crate::cli::evidence::show::{rows, summary};
use crate::time::UnixMillis;
use crate::verify::evidence::Evidence;

/// The kind.
pub const KIND: Kind = Kind { name: "evidence", what: "an evidence bundle", labels: &[], looks, explain };

fn looks(content: &Content) -> bool {
    content.has_members(&["made_at", "made_by"])
}

fn explain(content: &Content, _: UnixMillis) -> Result<Report, String> {
    let evidence = Evidence::parse(content.json()?.as_bytes()).map_err(|e| e.to_string())?;
    let certificate = evidence.certificates().next();
    let agent = certificate.and_then(|certificate| certificate.agent_uri().ok());
    let agent = agent.map_or_else(|| "somebody".to_owned(), |agent| agent.to_string());
    let mut report = Report::of_signed(format!("evidence of an action that {agent} says it signed"));
    report.rows.extend(rows(&evidence));
    if let serde_json::Value::Object(members) = summary(&evidence) {
        report.json.extend(members);
    }
    Ok(report)
}
