//! Alerts in words and in JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Alert, CliError, Letterhead};
use crate::alert::Delivery;
use crate::alert::message::{Message, Notice};
use crate::finding::Severity;
use crate::text::excerpt;

/// What is said of an alert in JSON: what its sinks are sent, and how it stands with each.
#[derive(Serialize)]
struct Report<'a> {
    alert: &'a Notice,
    seq: u64,
    silenced: Option<&'a str>,
    acknowledged_at: Option<atl::time::UnixMillis>,
    deliveries: &'a std::collections::BTreeMap<String, Delivery>,
}

/// One alert on one screen.
pub fn one(alert: &Alert, letterhead: &Letterhead, json: bool) -> Result<String, CliError> {
    let notice = letterhead.notice(&alert.finding);
    if json {
        let report = Report {
            alert: &notice,
            seq: alert.seq,
            silenced: alert.silenced.as_deref(),
            acknowledged_at: alert.acknowledged_at,
            deliveries: &alert.deliveries,
        };
        let json = serde_json::to_string_pretty(&report).map_err(|e| CliError::new(e.to_string()))?;
        return Ok(format!("{json}\n"));
    }
    let mut out = Message::Alert(Box::new(notice)).text();
    out.push('\n');
    if let Some(reason) = &alert.silenced {
        let _ = writeln!(out, "Nobody was told: {}", excerpt(reason, 200));
    }
    if let Some(at) = alert.acknowledged_at {
        let _ = writeln!(out, "Acknowledged at {at}.");
    }
    for (sink, delivery) in &alert.deliveries {
        let _ = writeln!(out, "{sink}: {}", stands(delivery));
    }
    Ok(out)
}

/// A line for each.
pub fn list(alerts: &[Alert], json: bool) -> Result<String, CliError> {
    let mut out = String::new();
    for alert in alerts {
        if json {
            let line = serde_json::to_string(&Line::of(alert)).map_err(|e| CliError::new(e.to_string()))?;
            let _ = writeln!(out, "{line}");
            continue;
        }
        let Line { id, severity, class, state, summary, .. } = Line::of(alert);
        let at = alert.finding.found_at;
        let _ = writeln!(out, "{id}  {at}  {:<8}  {class}  [{state}]", severity.as_str());
        let _ = writeln!(out, "    {}", excerpt(summary, 200));
    }
    if alerts.is_empty() && !json {
        out.push_str("Nothing was found so far.\n");
    }
    Ok(out)
}

#[derive(Serialize)]
struct Line<'a> {
    id: String,
    seq: u64,
    found_at: atl::time::UnixMillis,
    severity: Severity,
    class: &'a str,
    log: &'a str,
    summary: &'a str,
    state: &'static str,
}

impl<'a> Line<'a> {
    fn of(alert: &'a Alert) -> Self {
        let finding = &alert.finding;
        let state = match alert {
            alert if alert.acknowledged_at.is_some() => "acknowledged",
            alert if alert.silenced.is_some() => "silenced",
            alert if alert.is_pending() => "undelivered",
            alert if alert.deliveries.is_empty() => "sent to nobody",
            _ => "delivered",
        };
        Self {
            id: finding.id().to_string(),
            seq: alert.seq,
            found_at: finding.found_at,
            severity: finding.class.severity(),
            class: finding.class.code(),
            log: &finding.log,
            summary: &finding.summary,
            state,
        }
    }
}

fn stands(delivery: &Delivery) -> String {
    let gathered = if delivery.digest.is_some() { " in a digest" } else { "" };
    match (delivery.delivered_at, delivery.next_attempt_at, &delivery.last_error) {
        (Some(at), None, _) => format!("delivered{gathered} at {at}"),
        (_, Some(next), Some(error)) => {
            let (attempts, error) = (delivery.attempts, excerpt(error, 300));
            format!(
                "not delivered after {attempts} attempts, tried again{gathered} at {next}; the last error:\n    {error}"
            )
        }
        (_, Some(next), None) => format!("to be sent{gathered} at {next}"),
        (None, None, _) => "not to be sent".into(),
    }
}
