//! The page that people look at: how each log stands, what was found, and what proves it.
//!
//! It is HTML, one style sheet and an icon, made on the server: no script, nothing from elsewhere, so it works where nothing
//! but this server can be reached, and a content security policy can forbid the rest.

mod alert;
mod overview;
mod plot;
mod words;

use std::collections::BTreeMap;

use atl::time::UnixMillis;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::board::Standing;
use crate::finding::{Finding, Severity};

/// The one style sheet, served at [`STYLE_PATH`].
pub const STYLE: &str = include_str!("style.css");

/// Where the style sheet is.
pub const STYLE_PATH: &str = "/style.css";

/// The icon in a browser's tab, SVG, served at [`ICON_PATH`].
pub const ICON: &str = include_str!("icon.svg");

/// Where the icon is.
pub const ICON_PATH: &str = "/icon.svg";

/// Seconds after which the overview asks for itself again.
const REFRESH_SECONDS: u32 = 15;

/// An alert as it is shown.
#[derive(Clone, Debug)]
pub struct ShownAlert {
    /// What was found.
    pub finding: Finding,
    /// How soon somebody should look.
    pub severity: Severity,
    /// Why it is not sent, where a silence rule says so.
    pub silenced: Option<String>,
    /// When somebody said that they know, if anybody did.
    pub acknowledged_at: Option<UnixMillis>,
    /// For each sink its name and how delivery stands, in words.
    pub deliveries: Vec<(String, String)>,
}

/// A piece of evidence as it is listed.
#[derive(Clone, Debug)]
pub struct ShownEvidence {
    /// The name of its directory: a SHA-256 in hex.
    pub id: String,
    /// One sentence: what it shows.
    pub summary: String,
    /// When it was kept.
    pub kept_at: UnixMillis,
}

/// Everything that the pages show.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The monitor's name.
    pub name: String,
    /// The present.
    pub now: UnixMillis,
    /// How things stand.
    pub standing: Standing,
    /// What is watched, a line each: trust domains, organisations, feeds.
    pub watching: Vec<String>,
    /// Leaves of each log's heads over time, by origin, the oldest first.
    pub growth: BTreeMap<String, Vec<(UnixMillis, u64)>>,
    /// The newest alerts, the newest first.
    pub alerts: Vec<ShownAlert>,
    /// Whether there may be more of them.
    pub has_older: bool,
    /// The newest evidence, the newest first.
    pub evidence: Vec<ShownEvidence>,
}

impl View {
    /// The page that opens: all logs, peers and witnesses, the newest alerts and evidence.
    pub fn overview(&self) -> String {
        page(&self.name, Some(REFRESH_SECONDS), &overview::overview(self))
    }

    /// A page of alerts; the next older ones are behind the one with the place `before`, where there are any.
    pub fn listing(&self, before: Option<u64>) -> String {
        page(&format!("Alerts - {}", self.name), None, &overview::listing(self, before))
    }

    /// The page of one alert.
    pub fn alert(&self, alert: &ShownAlert) -> String {
        page(&format!("{} - {}", alert.finding.class.title(), self.name), None, &alert::alert(self, alert))
    }

    /// The page for what does not exist.
    pub fn missing(&self, what: &str) -> String {
        let body = html! {
            header { h1 { "Not here" } }
            p { (what) " " a href="/" { "Back to the overview" } "." }
        };
        page(&self.name, None, &body)
    }
}

/// A whole document around `body`.
fn page(title: &str, refresh_seconds: Option<u32>, body: &Markup) -> String {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(seconds) = refresh_seconds {
                    meta http-equiv="refresh" content=(seconds);
                }
                link rel="stylesheet" href=(STYLE_PATH);
                link rel="icon" href=(ICON_PATH);
                title { (title) }
            }
            body {
                main { (body) }
            }
        }
    };
    document.into_string()
}

/// A moment, with how long ago it is.
fn moment(at: UnixMillis, now: UnixMillis) -> Markup {
    html! { time datetime=(at) title=(at) { (words::ago(at, now)) } }
}

/// A severity as a coloured word.
fn badge(severity: Severity) -> Markup {
    html! { span class=(format!("badge {}", severity.as_str())) { (severity.as_str()) } }
}

/// Markup of our own making.
const fn own(markup: String) -> Markup {
    PreEscaped(markup)
}

#[cfg(test)]
mod tests;
