//! The page of one alert.

use maud::{Markup, html};

use super::{ShownAlert, View, badge, moment};

/// All that is known of it.
pub fn alert(view: &View, alert: &ShownAlert) -> Markup {
    let finding = &alert.finding;
    html! {
        header {
            p { a href="/" { "← " (view.name) } }
            h1 { (finding.summary) }
            p { (badge(alert.severity)) " " (finding.class.title()) ", found " (moment(finding.found_at, view.now)) }
        }
        section {
            h2 { "What to do" }
            p { (finding.class.advice()) }
            p class="aside" { "It proves " (finding.class.proves(finding.evidence.is_some())) "." }
        }
        section {
            h2 { "What is known" }
            dl class="wide" {
                dt { "Rule" } dd { code { (finding.class.code()) } }
                @if !finding.log.is_empty() { dt { "Log" } dd { (finding.log) } }
                @if let Some(entry) = &finding.entry {
                    dt { "Entry" } dd { (entry.index.get()) " of " (entry.log) }
                    dt { "Certificate" } dd { code { (entry.cert_hash) } }
                }
                @for (name, value) in &finding.details { dt { (name) } dd { (value) } }
                dt { "Found" } dd { (finding.found_at) }
                dt { "Alert" } dd { code { (finding.id()) } }
                @if let Some(evidence) = &finding.evidence {
                    dt { "Evidence" }
                    dd { a href=(format!("/evidence/{evidence}.tar")) { code { (evidence) } } }
                }
            }
        }
        (told(view, alert))
    }
}

/// Who was told.
fn told(view: &View, alert: &ShownAlert) -> Markup {
    html! {
        section {
            h2 { "Who was told" }
            @if let Some(reason) = &alert.silenced { p class="reason" { "Not sent: " (reason) } }
            @if let Some(at) = alert.acknowledged_at { p { "Acknowledged " (moment(at, view.now)) "." } }
            @if alert.deliveries.is_empty() && alert.silenced.is_none() {
                p { "Nobody: no sink is configured for it. See " code { "[alerts]" } " in the configuration." }
            }
            dl { @for (sink, state) in &alert.deliveries { dt { (sink) } dd { (state) } } }
        }
    }
}
