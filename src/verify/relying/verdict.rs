//! The one answer: accept, with who it is and until when that holds, or refuse, with every reason found.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::operation::Operation;
use super::reason::{Note, Reason};
use crate::apki::AgentUri;
use crate::apki::capabilities::{Capabilities, Capability};
use crate::apki::extension::Text;
use crate::apki::federation::TrustDomain;
use crate::apki::trust_score::{Score, TrustTier};
use crate::time::UnixMillis;

/// May this agent do this, now?
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Accepted(Box<Accepted>),
    /// No.
    Refused(Box<Refused>),
}

/// Who was accepted, for what, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The agent.
    pub agent: AgentUri,
    /// Its trust domain, which is one of those trusted.
    pub domain: TrustDomain,
    /// SHA-256 of its certificate.
    pub certificate: [u8; 32],
    /// What its score counts as here: the least of its line after decay, mapped.
    pub score: Score,
    /// The same in its own domain's measure.
    pub effective: Score,
    /// What it had to reach.
    pub minimum: Score,
    /// What it may do.
    pub capabilities: Capabilities,
    /// Who is above it, its parent first.
    pub parents: Vec<AgentUri>,
    /// The human who answers for it, as the root of the line says.
    pub human_principal: Option<Text>,
    /// What was asked for, and by which rights it is granted.
    pub grant: Option<Grant>,
    /// The verdict must be taken anew from then on: something that it rests on ends.
    pub good_until: UnixMillis,
    /// When it was taken.
    pub at: UnixMillis,
    /// What is worth knowing.
    pub notes: Vec<Note>,
}

impl Accepted {
    /// The tier that its score is in here.
    pub const fn tier(&self) -> TrustTier {
        self.score.tier()
    }
}

/// The rights behind an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What was asked for.
    pub operation: Operation,
    /// Whose capability it is: the agent's own first, then those of the agents above it.
    pub rights: Vec<(AgentUri, Capability)>,
}

/// What speaks against an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Who it says it is, where that could be read.
    pub claims: Option<AgentUri>,
    /// Every reason found, in the order of [`Code::ALL`](super::Code::ALL); there is one at least.
    reasons: Vec<Reason>,
    /// When it was refused.
    pub at: UnixMillis,
    /// What is worth knowing.
    pub notes: Vec<Note>,
}

impl Refused {
    /// The refusal for these reasons; `None` where there are none.
    pub(super) fn new(
        claims: Option<AgentUri>,
        mut reasons: Vec<Reason>,
        notes: Vec<Note>,
        at: UnixMillis,
    ) -> Option<Self> {
        reasons.sort_by_key(|reason| (reason.code, reason.subject));
        reasons.dedup();
        (!reasons.is_empty()).then_some(Self { claims, reasons, at, notes })
    }

    /// The refusal of something that could not even be read.
    pub fn unread(reason: Reason, at: UnixMillis) -> Self {
        Self { claims: None, reasons: vec![reason], at, notes: Vec::new() }
    }

    /// Every reason found.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }
}

impl Verdict {
    /// Whether it is a yes.
    pub const fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }

    /// The same verdict with something more that speaks against the agent, which refuses it: what is known
    /// where the verdict is used, such as whom one wants to talk to.
    #[must_use]
    pub fn against(self, reason: Reason) -> Box<Refused> {
        let (claims, mut reasons, notes, at) = match self {
            Self::Accepted(accepted) => (Some(accepted.agent), Vec::new(), accepted.notes, accepted.at),
            Self::Refused(refused) => (refused.claims, refused.reasons, refused.notes, refused.at),
        };
        reasons.push(reason);
        reasons.sort_by_key(|reason| (reason.code, reason.subject));
        Box::new(Refused { claims, reasons, at, notes })
    }

    /// The reasons of a refusal; none of an acceptance.
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Self::Accepted(_) => &[],
            Self::Refused(refused) => refused.reasons(),
        }
    }

    /// What is worth knowing.
    pub fn notes(&self) -> &[Note] {
        match self {
            Self::Accepted(accepted) => &accepted.notes,
            Self::Refused(refused) => &refused.notes,
        }
    }
}

/// `; ` between the reasons, for logs and errors of one line.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.reasons.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Accepted(accepted) => {
                map.serialize_entry("verdict", "accept")?;
                accepted.entries(&mut map)?;
            }
            Self::Refused(refused) => {
                map.serialize_entry("verdict", "refuse")?;
                map.serialize_entry("claims", &refused.claims)?;
                map.serialize_entry("at", &refused.at)?;
                map.serialize_entry("reasons", &refused.reasons)?;
                map.serialize_entry("notes", &refused.notes)?;
            }
        }
        map.end()
    }
}

impl Accepted {
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("agent", &self.agent)?;
        map.serialize_entry("domain", &self.domain)?;
        map.serialize_entry("certificate", &hex::encode(self.certificate))?;
        map.serialize_entry("tier", self.tier().name())?;
        map.serialize_entry("score", &self.score)?;
        map.serialize_entry("effective_score", &self.effective)?;
        map.serialize_entry("minimum_score", &self.minimum)?;
        map.serialize_entry("capabilities", self.capabilities.as_slice())?;
        map.serialize_entry("parents", &self.parents)?;
        map.serialize_entry("human_principal", &self.human_principal)?;
        map.serialize_entry("operation", &self.grant.as_ref().map(|grant| &grant.operation))?;
        map.serialize_entry("at", &self.at)?;
        map.serialize_entry("good_until", &self.good_until)?;
        map.serialize_entry("notes", &self.notes)
    }
}
