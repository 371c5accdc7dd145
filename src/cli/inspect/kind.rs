//! The kinds of objects: one file each, and one line in the table.

use super::content::{Content, Piece};
use super::outline::{Shape, tag_name};
use super::report::Report;
use super::{
    audit, bundle, certificate, checkpoint, descriptor, evidence, jws, ocsp, private_key, public_key, request,
    revocation_list,
};
use super::{sat, sth, tlog_proof, vkey};
use crate::time::UnixMillis;

/// A kind of object.
#[derive(Debug)]
pub struct Kind {
    /// As `--kind` and JSON have it.
    pub name: &'static str,
    /// In words, with its article.
    pub what: &'static str,
    /// The labels of its PEM blocks.
    pub labels: &'static [&'static str],
    /// Whether a content without a label looks like one, whole or broken. No two kinds look alike.
    pub looks: fn(&Content) -> bool,
    /// Explains one, at a moment; an error in words where it is not even written as this kind is.
    pub explain: fn(&Content, UnixMillis) -> Result<Report, String>,
}

/// Every kind. The first that a content looks like is taken.
pub static KINDS: &[Kind] = &[
    private_key::KIND,
    certificate::KIND,
    request::KIND,
    revocation_list::KIND,
    ocsp::RESPONSE,
    ocsp::REQUEST,
    sat::KIND,
    sat::LIST,
    public_key::KIND,
    sth::KIND,
    descriptor::KIND,
    bundle::KIND,
    checkpoint::KIND,
    tlog_proof::KIND,
    audit::KIND,
    evidence::KIND,
    vkey::KIND,
    jws::KIND,
];

impl Kind {
    /// The kind of this name.
    ///
    /// # Errors
    /// In words, with all names, where there is none.
    pub fn of_name(name: &str) -> Result<&'static Self, String> {
        KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| format!("the kinds are {}", names()))
    }

    fn of_label(label: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.labels.contains(&label))
    }

    fn of_shape(content: &Content) -> Option<&'static Self> {
        KINDS.iter().find(|kind| (kind.looks)(content))
    }

    /// The kind of an object.
    ///
    /// # Errors
    /// In words, with what it is as far as that can be told, where nobody here knows it.
    pub fn of(piece: &Piece) -> Result<&'static Self, String> {
        let known = match &piece.label {
            Some(label) => Self::of_label(label),
            None => Self::of_shape(&piece.content),
        };
        known.ok_or_else(|| {
            let what = match &piece.label {
                Some(label) => format!("a PEM block `{label}`"),
                None => unknown(&piece.content),
            };
            format!("{what}, which is no kind of object that is known here; --kind takes it for one of {}", names())
        })
    }

    /// Explains an object as one of this kind.
    pub fn report(&self, piece: &Piece, now: UnixMillis) -> Report {
        let explained = (self.explain)(&piece.content, now);
        let mut report = explained.unwrap_or_else(|why| Report::malformed(self.what, why));
        report.malformed.splice(0..0, piece.fault.clone());
        // A label is what somebody wrote on it.
        let shape = Self::of_shape(&piece.content).filter(|shape| shape.name != self.name);
        if let Some(shape) = shape.filter(|_| !report.malformed.is_empty()) {
            report.malformed.push(format!("by its shape it is {}", shape.what));
        }
        report
    }
}

/// The names of all kinds.
pub fn names() -> String {
    KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ")
}

/// What can be said of a content that nobody knows. A text is not repeated: it may be a secret.
fn unknown(content: &Content) -> String {
    match content {
        Content::Text(_) => "a text that is neither PEM, JSON, base64 of DER, a signed note, a JWS nor a vkey".into(),
        Content::Json(text) => {
            let members = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
            match members {
                Ok(members) => {
                    let names: Vec<_> = members.keys().take(12).map(|name| format!("`{name}`")).collect();
                    format!("a JSON object with the members {}", names.join(", "))
                }
                Err(error) => format!("JSON that does not read ({error})"),
            }
        }
        Content::Der(der) => {
            let tags: Vec<String> = Shape::of(der).tags().into_iter().map(tag_name).collect();
            match (der.first(), tags.is_empty()) {
                (Some(0x30), false) => format!("DER of a SEQUENCE of {}", tags.join(", ")),
                _ => "octets that are neither a text nor DER".into(),
            }
        }
    }
}
