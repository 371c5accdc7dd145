//! What a sink is sent, as JSON and as text.
//!
//! # The JSON form, version 1
//!
//! One finding is an object with `"version": 1` and `"kind": "alert"`, and these members, all of them always there
//! unless it says otherwise:
//!
//! | member | what it is |
//! | --- | --- |
//! | `id` | 32 hex digits: the same finding always has the same. Receivers drop what they have by it |
//! | `monitor` | the name of the monitor that found it |
//! | `class` | the stable code of what was found, such as `log.split-view` |
//! | `severity` | `info`, `warning` or `critical` |
//! | `weight` | how much the class proves at most to somebody who does not trust the monitor: `proof`, `challenge`, `suspicion` |
//! | `title` | what the class is, in a few words |
//! | `summary` | what happened, one sentence |
//! | `details` | an array of objects with `name` and `value`, more for people |
//! | `log` | the origin of the log; empty for none |
//! | `entry` | the entry in question: `log`, `index`, `cert_hash`; `null` for none. Where its inclusion was proven, the proof is among the details or in the evidence |
//! | `evidence` | the name of the evidence's directory (SHA-256, hex), or `null` |
//! | `links` | `alert` and `evidence`, URLs on the monitor's page; each is missing where there is none, both where no `public_url` is configured |
//! | `advice` | what to do |
//! | `found_at` | milliseconds since 1970 |
//!
//! A digest is an object with `"version": 1` and `"kind": "digest"`, an `id` of its own, `monitor`, and `alerts`: an
//! array of objects as above. Members may be added within a version; none changes its meaning or goes away.

use std::fmt::Write as _;

use atl::time::UnixMillis;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::finding::{Class, EntryRef, Finding, INCLUSION_PROOF, Severity, Weight};
use crate::text::{clean, excerpt, wrap};

/// The version of the JSON form.
pub const VERSION: u32 = 1;

/// Columns of the text form.
const WIDTH: usize = 76;

/// Lines of details in the text form of one finding, and characters of each: a certificate in words has a dozen.
const MOST_DETAILS: usize = 24;
const MOST_OF_DETAIL: usize = 200;

/// Characters of an inclusion proof: the longest has 63 hashes.
const MOST_OF_PROOF: usize = 5_000;

/// Findings that the text form of a digest tells one by one.
const MOST_TOLD: usize = 50;

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letterhead {
    /// The monitor's name.
    pub monitor: String,
    /// The base URL of its page, without a slash at its end, where people can reach it.
    pub public_url: Option<String>,
}

/// A finding as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    version: u32,
    kind: &'static str,
    /// The finding's name.
    pub id: String,
    /// Who found it.
    pub monitor: String,
    /// What was found.
    pub class: Class,
    /// How soon somebody should look.
    pub severity: Severity,
    weight: Weight,
    title: &'static str,
    /// What happened.
    pub summary: String,
    details: Vec<Detail>,
    /// The log's origin; empty for none.
    pub log: String,
    entry: Option<EntryRef>,
    evidence: Option<String>,
    /// Where to read on.
    pub links: Links,
    /// What to do.
    pub advice: &'static str,
    /// When.
    pub found_at: UnixMillis,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Detail {
    name: String,
    value: String,
}

/// Where to read on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Links {
    /// The alert on the monitor's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// The evidence there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

impl Letterhead {
    /// `finding` as it is told.
    pub fn notice(&self, finding: &Finding) -> Notice {
        let Finding { class, log, summary, details, entry, evidence, found_at, .. } = finding.clone();
        let id = finding.id().to_string();
        let link = |path: String| self.public_url.as_ref().map(|base| format!("{base}/{path}"));
        Notice {
            version: VERSION,
            kind: "alert",
            monitor: self.monitor.clone(),
            class,
            severity: class.severity(),
            weight: class.weight(),
            title: class.title(),
            summary,
            details: details.into_iter().map(|(name, value)| Detail { name, value }).collect(),
            log,
            entry,
            links: Links {
                alert: link(format!("alerts/{id}")),
                evidence: evidence.as_ref().and_then(|name| link(format!("evidence/{name}"))),
            },
            evidence,
            advice: class.advice(),
            found_at,
            id,
        }
    }

    /// What goes out for one finding.
    pub fn message(&self, finding: &Finding) -> Message {
        Message::Alert(Box::new(self.notice(finding)))
    }

    /// What goes out for findings gathered for `sink` until the time `planned`. The same digest always has the same
    /// name.
    pub fn digest<'a>(&self, sink: &str, planned: u64, findings: impl Iterator<Item = &'a Finding>) -> Message {
        let alerts: Vec<_> = findings.map(|finding| self.notice(finding)).collect();
        let mut hasher = Sha256::new();
        for part in ["digest", &self.monitor, sink] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        hasher.update(planned.to_be_bytes());
        let hash = hex::encode(hasher.finalize());
        let id = hash.chars().take(32).collect();
        Message::Digest(Digest { version: VERSION, kind: "digest", id, monitor: self.monitor.clone(), alerts })
    }
}

/// Findings that can wait, in one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Digest {
    version: u32,
    kind: &'static str,
    id: String,
    monitor: String,
    alerts: Vec<Notice>,
}

/// What is sent at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Message {
    /// One finding.
    Alert(Box<Notice>),
    /// Several that can wait.
    Digest(Digest),
}

impl Message {
    /// Its name, by which receivers know it again.
    pub fn id(&self) -> &str {
        match self {
            Self::Alert(notice) => &notice.id,
            Self::Digest(digest) => &digest.id,
        }
    }

    /// `alert` or `digest`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Alert(notice) => notice.kind,
            Self::Digest(digest) => digest.kind,
        }
    }

    /// The findings.
    pub fn notices(&self) -> &[Notice] {
        match self {
            Self::Alert(notice) => std::slice::from_ref(notice),
            Self::Digest(digest) => &digest.alerts,
        }
    }

    /// The JSON form.
    ///
    /// # Errors
    /// Never for what is a message; the type of the JSON writer cannot say so.
    pub fn json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// One line that says what it is about.
    pub fn subject(&self) -> String {
        match self {
            Self::Alert(notice) => {
                let at = if notice.log.is_empty() { &notice.monitor } else { &notice.log };
                format!("[atl {}] {}: {}", notice.severity.as_str(), excerpt(at, 80), notice.title)
            }
            Self::Digest(digest) => format!("[atl digest] {}: {} findings", digest.monitor, digest.alerts.len()),
        }
    }

    /// The text form: what matters first, and last the proof that an entry is in the log.
    pub fn text(&self) -> String {
        match self {
            Self::Alert(notice) => notice.text(),
            Self::Digest(digest) => digest.text(),
        }
    }
}

impl Notice {
    /// The evidence: where it is to be had, or else its name.
    pub fn evidence(&self) -> Option<&str> {
        self.links.evidence.as_deref().or(self.evidence.as_deref())
    }

    fn text(&self) -> String {
        let mut out = format!("{}: {}\n\n", self.severity.as_str().to_uppercase(), self.title);
        let line = |out: &mut String, name: &str, value: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(out, "{:<12} {}", format!("{}:", excerpt(name, 40)), excerpt(value, MOST_OF_DETAIL));
        };
        let _ = writeln!(out, "{}\n", wrap(&excerpt(&self.summary, 600), WIDTH, ""));
        let _ = writeln!(out, "What to do:\n{}\n", wrap(self.advice, WIDTH, "  "));
        if !self.log.is_empty() {
            line(&mut out, "log", &self.log);
        }
        if let Some(entry) = &self.entry {
            line(&mut out, "entry", &format!("{} of {}", entry.index, entry.log));
        }
        let (proofs, details): (Vec<_>, Vec<_>) =
            self.details.iter().partition(|detail| detail.name == INCLUSION_PROOF);
        for detail in details.iter().take(MOST_DETAILS) {
            line(&mut out, &detail.name, &detail.value);
        }
        if let Some(more) = details.len().checked_sub(MOST_DETAILS).filter(|more| *more > 0) {
            let _ = writeln!(out, "             and {more} more");
        }
        line(&mut out, "proves", &self.class.proves(self.evidence.is_some()));
        if let Some(evidence) = self.evidence() {
            line(&mut out, "evidence", evidence);
        }
        line(&mut out, "found", &self.found_at.to_string());
        line(&mut out, "class", self.class.code());
        line(&mut out, "alert", self.links.alert.as_ref().unwrap_or(&self.id));
        line(&mut out, "monitor", &self.monitor);
        // Long, and for a machine: what a person reads is above.
        if let Some(proof) = proofs.first() {
            let _ = writeln!(out, "\n{INCLUSION_PROOF}:\n{}", wrap(&excerpt(&proof.value, MOST_OF_PROOF), WIDTH, "  "));
        }
        out
    }
}

impl Digest {
    fn text(&self) -> String {
        let mut out = format!("{} findings that could wait, the oldest first.\n", self.alerts.len());
        for notice in self.alerts.iter().take(MOST_TOLD) {
            let (title, at) = (notice.title, if notice.log.is_empty() { "" } else { " in " });
            let _ = write!(out, "\n{}  {title}{at}{}\n", notice.found_at, clean(&notice.log));
            let _ = writeln!(out, "{}", wrap(&excerpt(&notice.summary, 300), WIDTH, "  "));
            let _ = writeln!(out, "  {}", notice.links.alert.as_ref().unwrap_or(&notice.id));
        }
        if let Some(more) = self.alerts.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
            let _ = writeln!(out, "\nAnd {more} more: atl-monitor alerts, or the monitor's page, lists them.");
        }
        let _ = writeln!(out, "\nmonitor: {}", clean(&self.monitor));
        out
    }
}

#[cfg(test)]
mod tests {
    use atl::log::entry::CertHash;
    use atl::merkle::LeafIndex;
    use serde_json::json;

    use super::*;

    fn letterhead(public_url: Option<&str>) -> Letterhead {
        Letterhead { monitor: "monitor.example/1".into(), public_url: public_url.map(str::to_owned) }
    }

    fn finding() -> Finding {
        let log = "log.example/1".parse().unwrap();
        let summary = "log.example/1 has shown two trees of 7 leaves.".into();
        let mut finding = Finding::new(Class::SplitView, Some(&log), "ab", summary, UnixMillis::new(1_775_822_400_007))
            .with("shown by", "peer \u{1b}[2Jone");
        finding.evidence = Some("e".repeat(64));
        finding.entry =
            Some(EntryRef { log: log.to_string(), index: LeafIndex::new(6), cert_hash: CertHash::new([1; 32]) });
        finding
    }

    #[test]
    fn the_json_form_is_the_documented_one() {
        let message = letterhead(Some("https://m.example")).message(&finding());
        let (id, evidence) = (finding().id().to_string(), "e".repeat(64));
        let entry = finding().entry;
        let expected = json!({
            "version": 1, "kind": "alert", "id": id, "monitor": "monitor.example/1",
            "class": "log.split-view", "severity": "critical", "weight": "proof",
            "title": Class::SplitView.title(), "summary": "log.example/1 has shown two trees of 7 leaves.",
            "details": [{ "name": "shown by", "value": "peer \u{1b}[2Jone" }],
            "log": "log.example/1", "entry": entry, "evidence": evidence,
            "links": {
                "alert": format!("https://m.example/alerts/{id}"),
                "evidence": format!("https://m.example/evidence/{evidence}"),
            },
            "advice": Class::SplitView.advice(), "found_at": 1_775_822_400_007_u64,
        });
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&message.json().unwrap()).unwrap(), expected);
        let bare = letterhead(None).message(&Finding::new(Class::Test, None, "", "x".into(), UnixMillis::new(0)));
        let bare: serde_json::Value = serde_json::from_slice(&bare.json().unwrap()).unwrap();
        assert_eq!((&bare["links"], &bare["entry"], &bare["log"]), (&json!({}), &json!(null), &json!("")));
    }

    #[test]
    fn the_text_form_is_clean_with_what_matters_first() {
        let mut finding = finding();
        finding.details.extend((0..40).map(|n| (format!("line {n}"), "x".repeat(5_000))));
        let message = letterhead(None).message(&finding);
        let text = message.text();
        assert!(text.starts_with("CRITICAL: the log shows different trees to different monitors\n\nlog.example/1 has"));
        let place = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
        assert!(place("What to do:") < place("shown by:    peer \\u{1b}[2Jone"));
        assert!(place("entry:       6 of log.example/1") < place("and 17 more"));
        assert!(place("2026-04-10T12:00:00.007Z") < place(&finding.id().to_string()));
        assert!(text.lines().count() <= 45 && text.lines().all(|line| line.chars().count() <= 260), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        assert_eq!(
            message.subject(),
            "[atl critical] log.example/1: the log shows different trees to different monitors"
        );
    }

    #[test]
    fn an_alert_about_an_entry_has_the_certificate_and_its_proof_whole() {
        let log = "log.example/1".parse().unwrap();
        let mut finding =
            Finding::new(Class::Unauthorised, Some(&log), "c", "Nobody ordered it.".into(), UnixMillis::new(1));
        finding.details = (0..14).map(|n| (format!("line {n}"), format!("value {n}"))).collect();
        let nodes: Vec<String> = (0..63).map(|n| hex::encode([n; 32])).collect();
        let proof = format!("leaf 5 of 9223372036854775807: {}", nodes.join(" "));
        finding.details.insert(3, (INCLUSION_PROOF.into(), proof.clone()));
        let text = letterhead(None).message(&finding).text();
        assert!((0..14).all(|n| text.contains(&format!("value {n}\n"))), "{text}");
        let told = text.split_once("\ninclusion proof:\n").unwrap().1;
        assert_eq!(told.split_whitespace().collect::<Vec<_>>().join(" "), proof);
        assert!(told.lines().all(|line| line.chars().count() <= WIDTH), "{told}");
    }

    #[test]
    fn a_digest_has_the_same_name_each_time_and_tells_what_it_holds() {
        let findings: Vec<_> = (0..60)
            .map(|n| Finding::new(Class::Test, None, &n.to_string(), format!("Number {n}."), UnixMillis::new(n)))
            .collect();
        let digest = |sink, planned| letterhead(None).digest(sink, planned, findings.iter());
        let one = digest("ops", 5);
        assert_eq!((one.id(), one.id().len(), one.kind()), (digest("ops", 5).id(), 32, "digest"));
        assert!(one.id() != digest("ops", 6).id() && one.id() != digest("dev", 5).id());
        let json: serde_json::Value = serde_json::from_slice(&one.json().unwrap()).unwrap();
        assert_eq!((json["kind"].as_str(), json["alerts"].as_array().unwrap().len()), (Some("digest"), 60));
        assert_eq!(json["alerts"][3]["summary"], "Number 3.");
        let text = one.text();
        assert!(text.contains("Number 49.") && !text.contains("Number 50.") && text.contains("And 10 more"), "{text}");
        assert_eq!(one.subject(), "[atl digest] monitor.example/1: 60 findings");
    }
}
