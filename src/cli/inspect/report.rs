//! What is said of one object: the same for people and for machines.

use std::fmt::Display;

use serde_json::{Map, Value, json};

use super::schema;
use super::trace::{Field, Stop, Trace};
use crate::apki::Certificate;
use crate::cli::words::clean;

/// What an object is to others: by this they are related.
#[derive(Debug, Default)]
pub enum Subject {
    /// Nothing that others refer to.
    #[default]
    None,
    /// A certificate.
    Certificate(Box<Certificate>),
    /// A key, by its SubjectPublicKeyInfo.
    Key(Vec<u8>),
}

/// What is said of one object. Nothing in it is cleaned yet: whoever prints it does that.
#[derive(Debug, Default)]
pub struct Report {
    /// What it is, in a line.
    pub title: String,
    /// Names and values.
    pub rows: Vec<(&'static str, String)>,
    /// Heads, and lines below them.
    pub sections: Vec<(&'static str, Vec<String>)>,
    /// In what its encoding, or that of a part of it, is not what it must be.
    pub malformed: Vec<String>,
    /// For what it will be refused although it is well-formed.
    pub warnings: Vec<String>,
    /// For machines.
    pub json: Map<String, Value>,
    /// What others may refer to.
    pub subject: Subject,
    /// Whether there is a signature in it that nobody verified here.
    pub signed: bool,
}

impl Report {
    /// A report with this title.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// The same, of something with a signature.
    pub fn of_signed(title: impl Into<String>) -> Self {
        Self { signed: true, ..Self::new(title) }
    }

    /// The report of something that is not what it was taken for.
    pub fn malformed(what: &str, why: impl Display) -> Self {
        let mut report = Self::new(format!("{what}, malformed"));
        report.malformed.push(why.to_string());
        report
    }

    /// The report of DER that does not read as `field`: how far it does, and what the parser says.
    pub fn broken(what: &str, der: &[u8], field: &Field, error: &dyn Display) -> Self {
        let trace = Trace::of(der, field);
        let mut report = Self::malformed(what, error);
        report.malformed.extend(trace.stop.as_ref().map(ToString::to_string));
        let read = trace.read();
        let words = match (&trace.stop, read.is_empty()) {
            (None, _) => "all of its fields: what is wrong is what one of them says".to_owned(),
            (Some(_), true) => "nothing".to_owned(),
            (Some(_), false) => read,
        };
        report.row("reads", &words);
        report.json.insert("reads".into(), words.into());
        let at = trace.stop.as_ref().map(|stop| json!({ "field": stop.field, "octet": stop.at, "why": stop.why }));
        report.json.insert("stops".into(), at.unwrap_or_default());
        report
    }

    /// One more row.
    pub fn row(&mut self, name: &'static str, value: impl Display) {
        self.rows.push((name, value.to_string()));
    }

    /// One more section, unless nothing is in it.
    pub fn section(&mut self, head: &'static str, lines: Vec<String>) {
        if !lines.is_empty() {
            self.sections.push((head, lines));
        }
    }

    /// Members for machines.
    pub fn facts(&mut self, members: Value) {
        if let Value::Object(members) = members {
            self.json.extend(members);
        }
    }

    /// The report as lines, nothing in them that steers a terminal.
    pub fn lines(&self) -> Vec<String> {
        let width = self.rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let mut lines: Vec<String> = self
            .rows
            .iter()
            .map(|(name, value)| format!("  {name:width$}  {}", clean(value)).trim_end().into())
            .collect();
        let sections = self.sections.iter().map(|(head, lines)| (*head, lines));
        let judged = [("Malformed", &self.malformed), ("Warnings", &self.warnings)];
        for (head, below) in sections.chain(judged).filter(|(_, below)| !below.is_empty()) {
            lines.push(String::new());
            lines.push(format!("  {head}"));
            lines.extend(below.iter().map(|line| format!("    {}", clean(line)).trim_end().to_owned()));
        }
        lines
    }

    /// The report for machines.
    pub fn as_json(&self, kind: &str) -> Value {
        let mut members = self.json.clone();
        members.insert("kind".into(), kind.into());
        members.insert("what".into(), self.title.clone().into());
        members.insert("malformed".into(), json!(self.malformed));
        members.insert("warnings".into(), json!(self.warnings));
        Value::Object(members)
    }
}

/// An error in the value of one of the project's extensions, and where it is.
pub fn extension_fault(oid: &der::asn1::ObjectIdentifier, value: &[u8], error: &dyn Display) -> String {
    let name = schema::name_of(oid.as_bytes());
    match schema::of_extension(oid).and_then(|field| Trace::of(value, field).stop) {
        None => format!("{name}: {error}"),
        Some(Stop { field, at, why }) => {
            format!("{name}: {error}; it stops in {field}, at octet {at} of the value: {why}")
        }
    }
}
