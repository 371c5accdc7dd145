//! The decision: may this agent do this now, and has it room for it?
//!
//! The cheap comes first. A request that is no operation costs no look at a certificate; a certificate that is
//! refused for what it says costs no signature; one whose signatures were verified costs none again; nobody is
//! asked about one that does not stand below a trusted anchor; and only what is allowed is charged. Since the proxy
//! says nothing of how the call ended, what is authorised counts as used at once.

use std::sync::Arc;

use super::GatewayApi;
use super::ask::Question;
use super::cache::{Kept, PresentationKey};
use super::chain::with_issuers;
use super::fault::Fault;
use super::ports::Material;
use crate::http::gateway::charge;
use crate::time::UnixMillis;
use crate::verify::relying::{
    Accepted, Code, Examination, Facts, Known, MAX_DEPTH, Operation, Presented, Reason, Refused, Request,
    RevocationMode, Standing, Verdict,
};

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
        let asked = Asked { gateway: self, kept: &kept, operation: &operation, material };
        let verdict = match asked.verdict(Vec::new(), self.clock.now()) {
            (verdict, unanswered) if unanswered.is_empty() => verdict,
            (_, unanswered) => {
                let found = self.knowledge.standings(Arc::clone(&kept.examination), unanswered).await;
                let now = self.clock.now();
                self.standings.keep(&found.answers, now);
                asked.verdict(found.invalid, now).0
            }
        };
        match verdict {
            Verdict::Accepted(accepted) => Ok(*accepted),
            Verdict::Refused(refused) => Err(Box::new(No::from(&*refused))),
        }
    }

    /// Reads and verifies a presentation that was not seen before.
    async fn examined(
        &self,
        key: PresentationKey,
        certificates: Vec<Vec<u8>>,
        operation: &Operation,
        material: &Arc<Material>,
    ) -> Result<Arc<Kept>, Box<No>> {
        let now = self.clock.now();
        let octets = certificates.iter().map(Vec::len).sum();
        let unread = |reason: Box<Reason>| Box::new(No::from(&Refused::unread(*reason, now)));
        let presented = Presented::from_der(certificates.iter().map(Vec::as_slice)).map_err(unread)?;
        let mut presented = with_issuers(presented, material);
        let mut examination = prove(presented.clone(), operation, material, now).await?;
        for _ in 0..MAX_DEPTH {
            let Some(missing) = examination.missing_parent() else { break };
            let Some(parent) = self.knowledge.parent(missing).await else { break };
            presented.parents.push(parent);
            presented = with_issuers(presented, material);
            examination = prove(presented.clone(), operation, material, now).await?;
        }
        let questionable = examination.questionable().iter().map(|q| q.certificate.fingerprint()).collect();
        let proven = examination.is_proven();
        let kept = Arc::new(Kept { examination: Arc::new(examination), questionable });
        if proven {
            self.examinations.put(key, octets, Arc::clone(&kept));
        }
        Ok(kept)
    }
}

/// Verifies the signatures of a presentation, away from the threads that answer. Whoever is refused for what the
/// certificates say costs none.
async fn prove(
    presented: Presented,
    operation: &Operation,
    material: &Arc<Material>,
    now: UnixMillis,
) -> Result<Examination, Box<No>> {
    let (material, operation) = (Arc::clone(material), operation.clone());
    let work = tokio::task::spawn_blocking(move || {
        let facts = Facts::default();
        let request = Request { operation: Some(&operation), facts: &facts, now, past: false };
        material.party.screen_incomplete(presented, &request)
    });
    match work.await {
        Ok(Ok(examination)) => Ok(examination),
        Ok(Err(refused)) => Err(Box::new(No::from(&*refused))),
        Err(error) => {
            tracing::error!(%error, "an examination did not come to its end");
            Err(Box::new(No::new(Kind::Unavailable, "gateway.failed", "the gateway failed; its operator is told")))
        }
    }
}

/// A question about somebody who was examined.
struct Asked<'a> {
    gateway: &'a GatewayApi,
    kept: &'a Kept,
    operation: &'a Operation,
    material: &'a Material,
}

impl Asked<'_> {
    /// The verdict by what is known, and the certificates that somebody has to be asked about for a better one.
    fn verdict(&self, invalid: Vec<([u8; 32], String)>, now: UnixMillis) -> (Verdict, Vec<[u8; 32]>) {
        let common = &self.material.facts;
        let known = self.gateway.standings.of(&self.kept.questionable, now);
        let more = (!known.is_empty() || !invalid.is_empty()).then(|| {
            let mut facts = common.clone();
            facts.revocations.answers.extend(&known);
            facts.revocations.invalid.extend(invalid);
            facts
        });
        let facts = more.as_ref().unwrap_or(common);
        let request = Request { operation: Some(self.operation), facts, now, past: false };
        let verdict = self.material.party.judge(&self.kept.examination, &request);
        let unanswered = self.unanswered(&verdict, &known, &request);
        (verdict, unanswered)
    }

    /// SHA-256 of the certificates of whose revocation too little is known for the policy. Whoever is refused for
    /// anything else is not asked about.
    fn unanswered(&self, verdict: &Verdict, known: &[Standing], request: &Request<'_>) -> Vec<[u8; 32]> {
        let party = &self.material.party;
        let policy = party.policy.revocation;
        let decided = verdict.is_accepted() && policy.mode == RevocationMode::HardFail;
        if decided || policy.mode == RevocationMode::Off || !verdict.reasons().iter().all(is_about_knowledge) {
            return Vec::new();
        }
        let open =
            |known: &Known| matches!(known, Known::Nothing | Known::Stale(_) | Known::Invalid(_) | Known::Unknown);
        let members = self.kept.examination.members();
        let members = members.filter(|member| party.known(*member, request).as_ref().is_some_and(open));
        let mut found: Vec<[u8; 32]> = members.map(|member| member.certificate().fingerprint()).collect();
        if policy.issuers {
            let questionable = self.kept.examination.questionable();
            let issuers = questionable.iter().filter(|question| question.is_ca);
            let issuers = issuers.map(|question| question.certificate.fingerprint());
            found.extend(issuers.filter(|issuer| known.iter().all(|answer| answer.certificate != *issuer)));
        }
        found
    }
}

fn is_about_knowledge(reason: &Reason) -> bool {
    use Code::{StatusInvalid, StatusStale, StatusUnavailable, StatusUnknown};
    matches!(reason.code, StatusUnavailable | StatusStale | StatusUnknown | StatusInvalid)
}
