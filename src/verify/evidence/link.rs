//! The links of a bundle: what was asked of it, one after the other, and what came out.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::verify::relying::{Reason, Subject};

/// What has to hold. Those from [`Certificate`](Self::Certificate) to [`Revocation`](Self::Revocation) are asked of
/// each agent of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// The octets at hand are those that were signed.
    Action,
    /// The agent's key signed them, for the certificate in the bundle, while that was valid.
    Signature,
    /// The certificate is an agent's, and was valid at the time.
    Certificate,
    /// CAs that were valid at the time lead from it to an anchor of its domain.
    Chain,
    /// It was handed on within what its parent had; at depth 0 a human answers for it.
    Delegation,
    /// It was in the public log at the time: timestamps from before, and the proof that they were kept.
    Log,
    /// It was not revoked at the time.
    Revocation,
    /// It was trusted as far as the policy wants, and is built as it wants.
    Trust,
    /// What it did was within what it may do, and so was it for everybody above it.
    Limits,
    /// The human is the one who was named to the verifier.
    Principal,
}

impl Step {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Signature => "signature",
            Self::Certificate => "certificate",
            Self::Chain => "chain",
            Self::Delegation => "delegation",
            Self::Log => "log",
            Self::Revocation => "revocation",
            Self::Trust => "trust",
            Self::Limits => "limits",
            Self::Principal => "principal",
        }
    }

    /// The step that a reason of the relying party's belongs to, by the family of its code.
    pub(super) fn of(reason: &Reason) -> Self {
        match reason.code.family() {
            "chain" | "federation" => Self::Chain,
            "delegation" => Self::Delegation,
            "sat" => Self::Log,
            "revocation" => Self::Revocation,
            "trust" | "provenance" => Self::Trust,
            "capability" => Self::Limits,
            // profile and algorithm
            _ => Self::Certificate,
        }
    }
}

/// What came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It holds.
    Holds,
    /// It does not.
    Fails,
    /// It was not asked, or nobody could say: because another link fails, or because the policy does not want it.
    Open,
}

/// What can be wrong with the signature of an action, beside all that a [relying party](crate::verify::relying)
/// refuses for. The texts stay what they are for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionCode {
    /// Other octets than the signed ones.
    Content,
    /// Not signed by the key of the certificate.
    Signature,
    /// Signed for another certificate.
    Certificate,
    /// Signed at a time that cannot be.
    Time,
    /// Another operation than the one that the agent names.
    Operation,
    /// Another human than the one who was named.
    Principal,
}

impl ActionCode {
    /// Every code.
    pub const ALL: [Self; 6] =
        [Self::Content, Self::Signature, Self::Certificate, Self::Time, Self::Operation, Self::Principal];

    /// The stable text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "action.content",
            Self::Signature => "action.signature",
            Self::Certificate => "action.certificate",
            Self::Time => "action.time",
            Self::Operation => "action.operation",
            Self::Principal => "action.principal",
        }
    }

    /// What would help, and who can do it.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Content => "bring the octets that were signed, exactly as they were",
            Self::Signature => "bring the signature together with the certificate of the key that made it",
            Self::Certificate => "bring the certificate that the signature names: the agent may have renewed since",
            Self::Time => "the agent has to sign while its certificate is valid, with a clock that is right",
            Self::Operation => {
                "the octets are to be judged as what they are: ask the agent's owner why it said otherwise"
            }
            Self::Principal => "get name and salt from the CA's operator anew: they hash to another humanPrincipal",
        }
    }
}

/// One thing that is wrong with a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code: of [`ActionCode`], or of the relying party's [`Code`](crate::verify::relying::Code).
    pub code: &'static str,
    /// Which certificate it is about.
    pub subject: Subject,
    /// What exactly. Parts of it may come from the bundle.
    pub detail: String,
    /// The rule: where it is written that it must not be so.
    pub rule: &'static str,
    /// What would help, and who can do it.
    pub help: &'static str,
}

impl Failure {
    pub(super) fn of_action(code: ActionCode, detail: impl fmt::Display) -> Self {
        let rule = "evidence v1";
        Self { code: code.as_str(), subject: Subject::Agent, detail: detail.to_string(), rule, help: code.help() }
    }
}

impl From<&Reason> for Failure {
    fn from(reason: &Reason) -> Self {
        let Reason { code, subject, detail } = reason;
        Self { code: code.as_str(), subject: *subject, detail: detail.clone(), rule: code.rule(), help: code.help() }
    }
}

impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut failure = serializer.serialize_struct("Failure", 5)?;
        failure.serialize_field("code", self.code)?;
        failure.serialize_field("certificate", &self.subject.to_string())?;
        failure.serialize_field("detail", &self.detail)?;
        failure.serialize_field("rule", self.rule)?;
        failure.serialize_field("help", self.help)?;
        failure.end()
    }
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What was asked.
    pub step: Step,
    /// Of whom; `None` where it is asked once.
    pub subject: Option<Subject>,
    /// What came out.
    pub outcome: Outcome,
    /// What was found, in words; empty where the failures say it.
    pub detail: String,
    /// Why it fails; empty where it does not.
    pub failures: Vec<Failure>,
}

impl Link {
    /// A link that fails where there are failures, and otherwise has this outcome.
    pub(super) fn new(
        step: Step,
        subject: Option<Subject>,
        failures: Vec<Failure>,
        otherwise: (Outcome, String),
    ) -> Self {
        let (outcome, detail) = if failures.is_empty() { otherwise } else { (Outcome::Fails, String::new()) };
        Self { step, subject, outcome, detail, failures }
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut link = serializer.serialize_struct("Link", 5)?;
        link.serialize_field("link", self.step.as_str())?;
        link.serialize_field("certificate", &self.subject.map(|subject| subject.to_string()))?;
        link.serialize_field("outcome", &self.outcome)?;
        link.serialize_field("detail", &self.detail)?;
        link.serialize_field("failures", &self.failures)?;
        link.end()
    }
}
