//! The decision: may this agent do this now, and has it room for it?
//!
//! The cheap comes first. A request that is no operation costs no look at a certificate; a certificate that is
//! refused for what it says costs no signature; one whose signatures were verified costs none again; nobody is
//! asked about one that does not stand below a trusted anchor; and only what is allowed is charged. Since the proxy
//! says nothing of how the call ended, what is authorised counts as used at once.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::GatewayApi;
use super::ask::Question;
use super::cache::{Kept, PresentationKey};
use super::chain::with_issuers;
use super::charge;
use super::fault::Fault;
use super::ports::{Lesson, Material, Unsettled};
use crate::time::UnixMillis;
use crate::verify::relying::{
    Accepted, Code, Facts, Known, Operation, Presented, Reason, Refused, Request, RevocationMode, Verdict,
};

/// How long a question waits until others may be asked about it.
const PLACE: Duration = Duration::from_secs(1);

/// What came of a question.
#[derive(Debug)]
pub enum Decision {
    /// Yes, and it is charged.
    Allowed(Box<Allowed>),
    /// No, and nothing is charged.
    Refused(Box<No>),
}

/// Who may do what.
#[derive(Debug)]
pub struct Allowed {
    /// The agent, and the rights that it has for the operation.
    pub accepted: Accepted,
}

/// What kind of a no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nobody said who the agent is.
    Unauthenticated,
    /// The agent may not.
    Forbidden,
    /// Not so often.
    TooOften,
    /// What the decision needs is not to be had at the moment.
    Unavailable,
}

impl Kind {
    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::TooOften => "too_often",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Why not; there is one reason at least.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct No {
    kind: Kind,
    reasons: Vec<(&'static str, String)>,
    /// Who it says it is, where that could be read.
    pub claims: Option<String>,
    retry_after: Option<u32>,
}

impl No {
    /// A no for one reason.
    pub(super) fn new(kind: Kind, code: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, reasons: vec![(code, detail.into())], claims: None, retry_after: None }
    }

    /// The same, of another kind.
    pub(super) const fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The same for several.
    pub(super) fn of(kind: Kind, reasons: Vec<(&'static str, String)>) -> Self {
        Self { kind, reasons, claims: None, retry_after: None }
    }

    /// The same, of somebody.
    pub(super) fn about(mut self, agent: impl ToString) -> Self {
        self.claims = Some(agent.to_string());
        self
    }

    /// The same, to be tried again after so many seconds.
    pub(super) const fn after(mut self, seconds: Option<u32>) -> Self {
        self.retry_after = seconds;
        self
    }

    /// What kind it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The reasons, each with its code.
    pub fn reasons(&self) -> &[(&'static str, String)] {
        &self.reasons
    }

    /// Seconds after which it may be another answer, where that is known.
    pub const fn retry_after(&self) -> Option<u32> {
        self.retry_after
    }
}

impl From<Fault> for No {
    fn from(fault: Fault) -> Self {
        let kind = if fault == Fault::NoCertificate { Kind::Unauthenticated } else { Kind::Forbidden };
        Self::new(kind, fault.code(), fault.to_string())
    }
}

/// A refusal for nothing but what is not known at the moment is no word against the agent.
impl From<&Refused> for No {
    fn from(refused: &Refused) -> Self {
        let missing = |reason: &Reason| matches!(reason.code, Code::StatusUnavailable | Code::StatusStale);
        let kind = if refused.reasons().iter().all(missing) { Kind::Unavailable } else { Kind::Forbidden };
        let reasons = refused.reasons().iter().map(|reason| {
            let (detail, help) = (&reason.detail, reason.code.help());
            (reason.code.as_str(), format!("{detail}; {help}"))
        });
        let no = Self::of(kind, reasons.collect());
        match &refused.claims {
            Some(agent) => no.about(agent.as_str()),
            None => no,
        }
    }
}

impl GatewayApi {
    /// Decides, and charges what it allows.
    pub(super) async fn decide(&self, question: Question, material: &Arc<Material>) -> Decision {
        match self.judged(question, material).await {
            Ok(accepted) => match charge::charge(&*self.ledger, &accepted, material, self.clock.now()).await {
                Ok(()) => Decision::Allowed(Box::new(Allowed { accepted })),
                Err(no) => Decision::Refused(Box::new(no.about(accepted.agent.as_str()))),
            },
            Err(no) => Decision::Refused(no),
        }
    }

    async fn judged(&self, question: Question, material: &Arc<Material>) -> Result<Accepted, Box<No>> {
        let Question { certificates, operation } = question;
        let key = PresentationKey::of(material.generation, &certificates);
        let found = self.examinations.get(&key);
        self.metrics.looked_up("examinations", found.is_some());
        let kept = match found {
            Some(kept) => kept,
            None => self.examined(key, certificates, &operation, material).await?,
        };
        let asked = Asked { gateway: self, key, operation: &operation, material };
        let now = self.clock.now();
        let facts = asked.facts(&kept, now);
        let verdict = match asked.verdict(&kept, &facts, now) {
            verdict if !asked.is_open(&verdict, &kept, &facts, now) => verdict,
            verdict => asked.settled(kept, verdict).await?,
        };
        match verdict {
            Verdict::Accepted(accepted) => Ok(*accepted),
            Verdict::Refused(refused) => Err(Box::new(No::from(&*refused))),
        }
    }

    /// Reads and verifies a presentation that was not seen before, away from the threads that answer. Whoever is
    /// refused for what the certificates say costs no signature.
    async fn examined(
        &self,
        key: PresentationKey,
        certificates: Vec<Vec<u8>>,
        operation: &Operation,
        material: &Arc<Material>,
    ) -> Result<Arc<Kept>, Box<No>> {
        let (material, operation, now) = (Arc::clone(material), operation.clone(), self.clock.now());
        let work = tokio::task::spawn_blocking(move || {
            let presented = Presented::from_der(certificates.iter().map(Vec::as_slice));
            let presented = presented.map_err(|reason| Box::new(Refused::unread(*reason, now)))?;
            let presented = with_issuers(presented, &material);
            let facts = Facts::default();
            let request = Request { operation: Some(&operation), facts: &facts, now, past: false };
            let examination = material.party.screen_incomplete(presented, &request)?;
            Ok::<_, Box<Refused>>(Kept::new(examination, Vec::new()))
        });
        match work.await {
            Ok(Ok(kept)) => Ok(self.keep(key, kept)),
            Ok(Err(refused)) => Err(Box::new(No::from(&*refused))),
            Err(error) => {
                tracing::error!(%error, "an examination did not come to its end");
                Err(Box::new(No::new(Kind::Unavailable, "gateway.failed", "the gateway failed; its operator is told")))
            }
        }
    }

    /// Keeps what is proven; what is not, whoever asks again has verified again.
    fn keep(&self, key: PresentationKey, kept: Kept) -> Arc<Kept> {
        let kept = Arc::new(kept);
        if kept.examination.is_proven() {
            self.examinations.put(key, Arc::clone(&kept));
        }
        kept
    }
}

/// A question about somebody who was examined.
struct Asked<'a> {
    gateway: &'a GatewayApi,
    key: PresentationKey,
    operation: &'a Operation,
    material: &'a Material,
}

impl Asked<'_> {
    /// What is known of everybody, and what of it beside.
    fn facts(&self, kept: &Kept, now: UnixMillis) -> Cow<'_, Facts> {
        let known = self.gateway.standings.of(&kept.questionable, now);
        let mut facts = Cow::Borrowed(&self.material.facts);
        if !known.is_empty() || !kept.inclusions.is_empty() {
            let facts = facts.to_mut();
            facts.revocations.answers.extend(known);
            facts.inclusions.extend(&kept.inclusions);
        }
        facts
    }

    fn request<'b>(&'b self, facts: &'b Facts, now: UnixMillis) -> Request<'b> {
        Request { operation: Some(self.operation), facts, now, past: false }
    }

    /// The verdict by what is known.
    fn verdict(&self, kept: &Kept, facts: &Facts, now: UnixMillis) -> Verdict {
        self.material.party.judge(&kept.examination, &self.request(facts, now))
    }

    /// Whether somebody has to be asked for a better one: where nothing but knowledge is missing, and where a policy
    /// that does not insist on it prefers to know.
    fn is_open(&self, verdict: &Verdict, kept: &Kept, facts: &Facts, now: UnixMillis) -> bool {
        if !verdict.is_accepted() {
            return verdict.reasons().iter().all(is_about_knowledge);
        }
        let party = &self.material.party;
        if party.policy.revocation.mode != RevocationMode::SoftFail {
            return false;
        }
        let request = self.request(facts, now);
        let known = |member| matches!(party.known(member, &request), Some(Known::Good { .. } | Known::Revoked { .. }));
        !kept.examination.members().all(known)
    }

    /// The verdict once somebody was asked. Where too many others wait for answers it stays at `unasked` if that lets
    /// the agent in, since such a policy does not insist on knowing; who is not let in is told to come again.
    async fn settled(&self, kept: Arc<Kept>, unasked: Verdict) -> Result<Verdict, Box<No>> {
        let gateway = self.gateway;
        let Ok(_place) = timeout(PLACE, gateway.asking.acquire()).await else {
            let (code, why) = ("gateway.busy", "too many questions wait for answers of others; try again");
            let busy = || Box::new(No::new(Kind::Unavailable, code, why).after(Some(1)));
            return if unasked.is_accepted() { Ok(unasked) } else { Err(busy()) };
        };
        // Those who waited for a place may find that the one before them has learned it.
        let kept = gateway.examinations.get(&self.key).unwrap_or(kept);
        let now = gateway.clock.now();
        let facts = self.facts(&kept, now);
        let verdict = self.verdict(&kept, &facts, now);
        if !self.is_open(&verdict, &kept, &facts, now) || gateway.examinations.was_in_vain(&self.key, now) {
            return Ok(verdict);
        }
        let Some(presented) = kept.examination.presented() else { return Ok(verdict) };
        let before = facts.revocations.answers.clone();
        let about = Unsettled { presented, operation: self.operation, facts: facts.into_owned(), now };
        let Some(Lesson { examination, facts }) = gateway.knowledge.learn(self.material, about).await else {
            return Ok(verdict);
        };
        let now = gateway.clock.now();
        let fresh = facts.revocations.answers.iter().filter(|answer| !before.contains(answer));
        gateway.standings.keep(fresh, now);
        let verdict = self.material.party.judge(&examination, &self.request(&facts, now));
        let kept = gateway.keep(self.key, Kept::new(examination, facts.inclusions));
        if self.is_open(&verdict, &kept, &self.facts(&kept, now), now) {
            gateway.examinations.is_in_vain(self.key, now);
        }
        Ok(verdict)
    }
}

/// Reasons that are no word against the agent: others may know more.
fn is_about_knowledge(reason: &Reason) -> bool {
    use Code::{InclusionInvalid, InclusionStale, NoInclusion, NoParent};
    use Code::{StatusInvalid, StatusStale, StatusUnavailable, StatusUnknown};
    matches!(
        reason.code,
        NoParent
            | StatusUnavailable
            | StatusStale
            | StatusUnknown
            | StatusInvalid
            | NoInclusion
            | InclusionStale
            | InclusionInvalid
    )
}
