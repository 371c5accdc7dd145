//! One reason for a refusal, and the list that checks add theirs to.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::code::Code;
use crate::apki::attenuation::Violation;

/// Which of the presented certificates a reason is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The agent's own.
    Agent,
    /// That of an agent above it in the delegation; 1 is its parent.
    Parent(u8),
}

impl Subject {
    /// The agent for 0, and the parents from 1 on.
    pub const fn at(depth: usize) -> Self {
        match depth {
            0 => Self::Agent,
            // A line is never as long as that.
            above if above > u8::MAX as usize => Self::Parent(u8::MAX),
            above => Self::Parent(above as u8),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent => f.write_str("agent"),
            Self::Parent(1) => f.write_str("parent"),
            Self::Parent(above) => write!(f, "parent {above}"),
        }
    }
}

/// One thing that speaks against an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What, for programs.
    pub code: Code,
    /// Which certificate it is about.
    pub subject: Subject,
    /// What exactly, for people. Parts of it may come from the certificate.
    pub detail: String,
}

impl Reason {
    /// The reason with this code.
    pub fn new(code: Code, subject: Subject, detail: impl fmt::Display) -> Self {
        Self { code, subject, detail: detail.to_string() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject {
            Subject::Agent => write!(f, "{}: {}", self.code.as_str(), self.detail),
            parent => write!(f, "{} ({parent}): {}", self.code.as_str(), self.detail),
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut reason = serializer.serialize_struct("Reason", 5)?;
        reason.serialize_field("code", self.code.as_str())?;
        reason.serialize_field("certificate", &self.subject.to_string())?;
        reason.serialize_field("detail", &self.detail)?;
        reason.serialize_field("rule", self.code.rule())?;
        reason.serialize_field("help", self.code.help())?;
        reason.end()
    }
}

/// Something worth knowing that refuses nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Which certificate it is about.
    #[serde(rename = "certificate", serialize_with = "as_text")]
    pub subject: Subject,
    /// What.
    pub detail: String,
}

fn as_text<S: Serializer>(subject: &Subject, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(subject)
}

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    pub(super) reasons: Vec<Reason>,
    pub(super) notes: Vec<Note>,
}

impl Findings {
    pub(super) fn against(&mut self, code: Code, subject: Subject, detail: impl fmt::Display) {
        self.reasons.push(Reason::new(code, subject, detail));
    }

    pub(super) fn note(&mut self, subject: Subject, detail: impl Into<String>) {
        self.notes.push(Note { subject, detail: detail.into() });
    }

    /// A violation of the rules of delegation, under the code of the same name.
    pub(super) fn violation(&mut self, subject: Subject, violation: &Violation) {
        let named = |code: &Code| code.as_str().strip_prefix("delegation.") == Some(violation.code());
        // Every violation that a relying party meets has a code; a test holds it to that.
        let code = Code::ALL.iter().copied().find(named).unwrap_or(Code::DelegationMissing);
        self.against(code, subject, violation);
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.reasons.extend(other.reasons);
        self.notes.extend(other.notes);
    }

    pub(super) fn is_clean(&self) -> bool {
        self.reasons.is_empty()
    }
}
