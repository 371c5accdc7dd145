//! The page that opens.

use maud::{Markup, html};

use super::words::{ago, short, span};
use super::{ShownAlert, View, badge, moment, plot};
use crate::board::{LogStatus, PeerStatus};
use crate::text::grouped;

/// All of it.
pub fn overview(view: &View) -> Markup {
    html! {
        header {
            h1 { (view.name) }
            (verdict(view))
        }
        (logs(view))
        (alerts(view))
        (others(view))
        (evidence(view))
        (watching(view))
        footer {
            p {
                "For machines: " a href="/metrics" { "metrics" } ", " a href="/healthz" { "health" } ", "
                a href="/readyz" { "readiness" } ", " a href="/audit/v1" { "audit statements" } "."
            }
        }
    }
}

/// The one line that says whether to read on.
fn verdict(view: &View) -> Markup {
    let standing = &view.standing;
    let frozen = standing.logs.values().filter(|log| log.frozen.is_some()).count();
    let unwell = standing.logs.values().filter(|log| log.error.is_some() || log.last_verified_at.is_none()).count();
    let (class, words) = match (&standing.broken, frozen, unwell, standing.logs.len()) {
        (Some(what), ..) => ("critical", format!("The monitor itself is broken: {what}")),
        (_, 1, ..) => ("critical", "One log is proven to have misbehaved. Nothing of it is trusted any more.".into()),
        (_, 2.., ..) => ("critical", format!("{frozen} logs are proven to have misbehaved.")),
        _ if standing.unkept.is_some() => {
            ("critical", "Evidence cannot be kept, and what it is of is not told before it is.".into())
        }
        (.., 0) => ("warning", "No log is followed yet.".into()),
        (_, 0, 0, _) if standing.feeds.values().any(|feed| feed.error.is_some()) => (
            "warning",
            "The owner's feed cannot be read: what the owner has ordered may be told as a stranger's.".into(),
        ),
        (_, 0, 0, 1) => ("good", "The log is in order, as far as it has shown itself.".into()),
        (_, 0, 0, many) => ("good", format!("All {many} logs are in order, as far as they have shown themselves.")),
        (_, 0, unwell, many) => ("warning", format!("{unwell} of {many} logs cannot be checked right now.")),
    };
    html! { p class=(format!("verdict {class}")) role="status" { (words) } }
}

fn logs(view: &View) -> Markup {
    html! {
        section aria-labelledby="logs" {
            h2 id="logs" { "Logs" }
            @for (origin, log) in &view.standing.logs {
                article class=(format!("card {}", state(log).0)) {
                    h3 { (origin) " " span class=(format!("badge {}", state(log).0)) { (state(log).1) } }
                    (log_lines(view, origin, log))
                    @if let Some(points) = view.growth.get(origin) && let Some(plot) = plot::growth(points, view.now) {
                        figure { (plot) figcaption { "Entries under signed heads over time" } }
                    }
                }
            }
        }
    }
}

/// How a log is, as a class of the style sheet and as a word.
fn state(log: &LogStatus) -> (&'static str, &'static str) {
    match log {
        LogStatus { frozen: Some(_), .. } => ("critical", "misbehaved"),
        LogStatus { error: Some(_), .. } => ("warning", "trouble"),
        LogStatus { last_verified_at: None, .. } => ("warning", "not verified yet"),
        LogStatus { verified, head_size, .. } if verified < head_size => ("info", "catching up"),
        _ => ("good", "in order"),
    }
}

fn log_lines(view: &View, origin: &str, log: &LogStatus) -> Markup {
    let backlog = log.head_size.saturating_sub(log.verified);
    html! {
        @if let Some(evidence) = &log.frozen {
            p class="reason" {
                "Proven misbehaviour: " a href=(format!("/evidence/{evidence}.tar")) { "the evidence" }
                ". What it serves since then is not followed."
            }
        }
        @if let Some(error) = &log.error { p class="reason" { (error) } }
        dl {
            dt { "Head" }
            dd {
                (grouped(log.head_size)) " entries"
                @if let Some(at) = log.head_timestamp { ", signed " (moment(at, view.now)) }
            }
            dt { "Verified" }
            dd {
                (grouped(log.verified)) " entries"
                @if let Some(at) = log.last_verified_at { ", " (moment(at, view.now)) }
                @if backlog > 0 && log.frozen.is_none() { ", " (grouped(backlog)) " to go" }
            }
            @if let Some(root) = log.head_root {
                dt { "Root" }
                dd { code title=(root) { (short(&root.to_string())) } }
            }
            @if !log.operator.is_empty() { dt { "Operator" } dd { (log.operator) } }
            dt { "Witnesses" }
            dd { (witnesses(view, origin, log)) }
            dt { "Address" }
            dd { code class="url" { (log.url) } }
        }
    }
}

fn witnesses(view: &View, origin: &str, log: &LogStatus) -> Markup {
    let cosigned = view.standing.witnesses.get(origin).map_or(&[][..], Vec::as_slice);
    html! {
        @if cosigned.is_empty() { "none has cosigned" }
        @for (n, by) in cosigned.iter().enumerate() {
            @if n > 0 { "; " }
            (by.witness) ": " (grouped(by.size)) " entries, " (moment(by.at, view.now))
            @if by.size < log.verified { " (" (grouped(log.verified - by.size)) " behind)" }
        }
    }
}

fn alerts(view: &View) -> Markup {
    html! {
        section aria-labelledby="alerts" {
            h2 id="alerts" { "Alerts" }
            @if view.alerts.is_empty() { p { "Nothing was found that is worth an alert." } }
            @if view.standing.undelivered > 0 {
                p class="reason" { (grouped(view.standing.undelivered)) " deliveries are still to come." }
            }
            ol class="alerts" {
                @for alert in &view.alerts { (alert_line(view, alert)) }
            }
            @if view.has_older { p { a href="/alerts" { "All alerts" } } }
        }
    }
}

/// One page of all alerts.
pub fn listing(view: &View, before: Option<u64>) -> Markup {
    html! {
        header { h1 { "Alerts" } p { a href="/" { "Back to the overview" } } }
        @if view.alerts.is_empty() { p { "There are none here." } }
        ol class="alerts" {
            @for alert in &view.alerts { (alert_line(view, alert)) }
        }
        @if let Some(seq) = before {
            p { a rel="next" href=(format!("/alerts?before={seq}")) { "Older alerts" } }
        }
    }
}

fn alert_line(view: &View, alert: &ShownAlert) -> Markup {
    let finding = &alert.finding;
    html! {
        li class=(alert.severity.as_str()) {
            (badge(alert.severity)) " "
            a href=(format!("/alerts/{}", finding.id())) { (finding.summary) }
            p class="aside" {
                (moment(finding.found_at, view.now))
                @if !finding.log.is_empty() { " · " (finding.log) }
                " · " (finding.class.code())
                @if alert.silenced.is_some() { " · silenced" }
                @if alert.acknowledged_at.is_some() { " · acknowledged" }
                @if let Some(evidence) = &finding.evidence {
                    " · " a href=(format!("/evidence/{evidence}.tar")) { "evidence" }
                }
            }
        }
    }
}

/// Other monitors, and whether they were shown the same.
fn others(view: &View) -> Markup {
    html! {
        section aria-labelledby="peers" {
            h2 id="peers" { "Other monitors" }
            @if view.standing.peers.is_empty() {
                p { "None is configured: a log that shows each of its readers something else is not found out." }
            }
            @for (name, peer) in &view.standing.peers { (peer_card(view, name, peer)) }
        }
    }
}

fn peer_card(view: &View, name: &str, peer: &PeerStatus) -> Markup {
    let disagrees = peer.heads.values().any(|(_, agrees)| *agrees == Some(false));
    let class = if disagrees { "critical" } else { "" };
    html! {
        article class=(format!("card {class}")) {
            h3 { (name) }
            @if let Some(error) = &peer.error { p class="reason" { (error) } }
            dl {
                dt { "Heads exchanged" }
                dd { @if let Some(at) = peer.last_exchange_at { (ago(at, view.now)) } @else { "not yet" } }
                @for (origin, (size, agrees)) in &peer.heads {
                    dt { (origin) }
                    dd {
                        (grouped(*size)) " entries, "
                        @match agrees {
                            Some(true) => { span class="badge good" { "agrees" } }
                            Some(false) => { span class="badge critical" { "contradicts" } }
                            None => { span class="badge info" { "not compared yet" } }
                        }
                    }
                }
            }
        }
    }
}

fn evidence(view: &View) -> Markup {
    html! {
        section aria-labelledby="evidence" {
            h2 id="evidence" { "Evidence" }
            @if view.evidence.is_empty() { p { "There is none." } }
            @else {
                p {
                    "Each is one archive that anybody can check offline with "
                    code { "atl-monitor verify-evidence DIR" } "."
                }
            }
            ul {
                @for kept in &view.evidence {
                    li {
                        a href=(format!("/evidence/{}.tar", kept.id)) { (kept.summary) }
                        p class="aside" { (moment(kept.kept_at, view.now)) " · " code { (short(&kept.id)) } }
                    }
                }
            }
        }
    }
}

fn watching(view: &View) -> Markup {
    html! {
        section aria-labelledby="watching" {
            h2 id="watching" { "What is watched" }
            @if view.watching.is_empty() {
                p { "No trust domain: heads and proofs are checked, but nothing is said about who is in the logs." }
            }
            ul { @for line in &view.watching { li { (line) } } }
            (unread(view))
            p class="aside" { "As of " (view.now) ", every " (span(u64::from(super::REFRESH_SECONDS) * 1000)) "." }
        }
    }
}

/// What the owner has ordered and cannot be read at the moment.
fn unread(view: &View) -> Markup {
    html! {
        @for (name, feed) in &view.standing.feeds {
            @if let Some(error) = &feed.error {
                p class="reason" {
                    "The owner's feed " (name) " cannot be read, and was last read "
                    @if let Some(at) = feed.last_read_at { (ago(at, view.now)) } @else { "never" }
                    ": " (error)
                }
            }
        }
    }
}
