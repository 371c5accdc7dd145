//! The relying party: may this agent do this, now? One answer, with its reasons (draft sections 5, 6, 8.2, 9.1,
//! 10.2, 10.3 and 11.2, protocol sections 6 and 7).
//!
//! A relying party has a [`Policy`], the trust [`Domains`] whose agents it takes, and a list of logs
//! ([`LogList`]). An agent presents its certificate, with those of its CAs and of the agents above it
//! ([`Presented`]). What else is known is brought along as [`Facts`]: revocation, proofs, audits.
//!
//! # In three steps, the cheap first
//! 1. What the certificates say is read and held against the rules that need no key and no clock: profile,
//!    extensions, delegation. Then against the present, the policy and the operation.
//! 2. Signatures: the chains to the anchors of exactly the domain in the agent's URI, the timestamps of the
//!    logs. Their number is bounded whatever is presented, and where the first step refused, there are none
//!    ([`Effort::Bounded`]).
//! 3. What follows from them: enough timestamps, nobody revoked.
//!
//! [`RelyingParty::decide`] does all of it. Who asks about one certificate again and again keeps what the
//! signatures proved ([`RelyingParty::examine`]) and asks [`RelyingParty::judge`], which verifies none.
//!
//! Nothing here asks the time or the network; what fails, fails closed. Limits that need a memory (spending in
//! a period, calls in a period) are kept by a [ledger](super::ledger), which is asked behind the verdict
//! ([`Accepted::reserve`]).

mod code;
mod domains;
mod examined;
mod facts;
mod grant;
mod judge;
mod line;
mod logs;
mod member;
mod operation;
mod policy;
mod presented;
mod proven;
mod reason;
mod spending;
mod standing;
#[cfg(test)]
pub(crate) mod tests;
mod verdict;

pub use self::code::Code;
pub use self::domains::{Domain, Domains, Trusted};
pub use self::examined::Examined;
pub use self::facts::{Audited, AuditedError, Facts, Inclusion, InclusionError};
pub use self::logs::{LogList, LogListError, TrustedLog};
pub use self::member::structure;
pub use self::operation::{Operation, Spend};
pub use self::policy::{
    InclusionPolicy, MAX_DEPTH, PeerPattern, Peers, Policy, ProvenancePolicy, RECOMMENDED_DEPTH, RevocationMode,
    RevocationPolicy, TWO_OPERATORS, ToolRule,
};
pub use self::presented::{Link, MAX_CERTIFICATE, MAX_CERTIFICATES, Presented};
pub use self::reason::{Note, Reason, Subject};
pub use self::spending::{ChargedTo, Overdrawn};
pub use self::standing::{CrlRefused, Known, RevocationLists, Revocations, Standing, StandingError, Status};
pub use self::verdict::{Accepted, Grant, Refused, Verdict};

use self::judge::{Local, Scores, Shown, Until};
use self::line::Line;
use self::proven::{Named, Proven, prove};
use self::reason::Findings;
use crate::apki::chain::IssuerPath;
use crate::apki::{AgentUri, Certificate};
use crate::time::UnixMillis;

/// Who decides: what is trusted, and what is wanted.
#[derive(Clone, Debug)]
pub struct RelyingParty {
    /// What is wanted.
    pub policy: Policy,
    /// The domains whose agents are taken.
    pub domains: Domains,
    /// The logs whose timestamps count.
    pub logs: LogList,
}

/// What is asked about an agent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What it wants to do; without one, the question is only who it is.
    pub operation: Option<&'a Operation>,
    /// What is known beside its certificates.
    pub facts: &'a Facts,
    /// The moment that is asked about.
    pub now: UnixMillis,
    /// Whether that moment is past: what was said of revocation since then counts too, since no revocation is
    /// ever taken back.
    pub past: bool,
}

/// How far to go with an agent who is refused already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Stop before the first signature: for servers, where strangers ask.
    Bounded,
    /// Find every reason: for people.
    Whole,
}

/// A presentation that was read, with what its signatures prove. It stays true as long as the relying party
/// that examined it has the same policy, domains and logs; only that one may judge it.
#[derive(Clone, Debug)]
pub struct Examination {
    line: Line,
    proven: Vec<Proven>,
    findings: Findings,
}

/// A certificate whose revocation is to be known: the agent's, one above it, or a CA's on the way.
#[derive(Clone, Copy, Debug)]
pub struct Questionable<'a> {
    /// The certificate.
    pub certificate: &'a Certificate,
    /// Who issued it.
    pub issuer: &'a Certificate,
    /// Whether it is a CA's.
    pub is_ca: bool,
}

impl Examination {
    /// Who the agent says it is, where that could be read.
    pub fn claims(&self) -> Option<&AgentUri> {
        self.line.members.first()?.uri.as_ref()
    }

    /// The agent's certificate.
    pub fn certificate(&self) -> Option<&Certificate> {
        Some(&self.line.members.first()?.link.certificate)
    }

    /// Whether every certificate was proven to stand below an anchor of the agent's domain, and nothing speaks
    /// against any of them whatever time it is: what strangers make up is never proven.
    pub fn is_proven(&self) -> bool {
        let proven = self.proven.len() == self.line.members.len();
        proven && self.findings.is_clean() && self.proven.iter().all(|proven| proven.path.is_some())
    }

    /// What was examined, as it would be presented again.
    pub fn presented(&self) -> Option<Presented> {
        let mut links = self.line.members.iter().map(|member| member.link.clone());
        Some(Presented { agent: links.next()?, parents: links.collect() })
    }

    /// The certificates whose revocation matters, each once, with who issued it; those whose chain does not
    /// hold are left out.
    pub fn questionable(&self) -> Vec<Questionable<'_>> {
        let mut found: Vec<Questionable<'_>> = Vec::new();
        let mut add = |certificate, issuer, is_ca| {
            if found.iter().all(|known| known.certificate != certificate) {
                found.push(Questionable { certificate, issuer, is_ca });
            }
        };
        let paths = self.line.members.iter().zip(&self.proven);
        let paths: Vec<(&Certificate, &IssuerPath)> =
            paths.filter_map(|(member, proven)| Some((&member.link.certificate, proven.path.as_ref()?))).collect();
        for (certificate, path) in &paths {
            add(certificate, path.issuer().certificate(), false);
        }
        for (_, path) in &paths {
            let issuers: Vec<_> = path.iter().map(|issuer| issuer.certificate()).collect();
            for pair in issuers.windows(2) {
                add(pair[0], pair[1], true);
            }
        }
        found
    }
}

impl RelyingParty {
    /// May the agent do what it asks for?
    pub fn decide(&self, presented: Presented, request: &Request<'_>, effort: Effort) -> Verdict {
        let examination = match effort {
            Effort::Whole => self.examine(presented),
            Effort::Bounded => match self.screen(presented, request) {
                Ok(examination) => examination,
                Err(refused) => return Verdict::Refused(refused),
            },
        };
        self.judge(&examination, request)
    }

    /// [`examine`](Self::examine) for servers, where strangers ask: what speaks against an agent without a
    /// signature refuses it before the first one is verified.
    ///
    /// # Errors
    /// The refusal, with the reasons that need no signature.
    pub fn screen(&self, presented: Presented, request: &Request<'_>) -> Result<Examination, Box<Refused>> {
        self.screen_but_for(presented, request, |_| false)
    }

    /// The same, but that a parent that is missing refuses nobody yet: for servers that can look for it. Without it,
    /// [`judge`](Self::judge) refuses.
    ///
    /// # Errors
    /// The refusal, with the reasons that need no signature.
    pub fn screen_incomplete(&self, presented: Presented, request: &Request<'_>) -> Result<Examination, Box<Refused>> {
        self.screen_but_for(presented, request, |reason| reason.code == Code::NoParent)
    }

    fn screen_but_for(
        &self,
        presented: Presented,
        request: &Request<'_>,
        passes: impl Fn(&Reason) -> bool,
    ) -> Result<Examination, Box<Refused>> {
        let mut findings = Findings::default();
        let line = Line::read(presented, &self.policy, &mut findings);
        let mut first = Findings::default();
        let domain = self.domain_of(&line, &mut first);
        if let Some(domain) = domain {
            self.local(&line, domain, request, &mut first);
        }
        if !(findings.reasons.iter().all(passes) && first.is_clean()) {
            findings.extend(first);
            return Err(refuse(&line, findings, request.now));
        }
        let proven = domain.map_or_else(Vec::new, |domain| self.prove(&line, domain, &mut findings));
        Ok(Examination { line, proven, findings })
    }

    /// Reads what was presented and verifies its signatures; the verdict comes from [`judge`](Self::judge).
    pub fn examine(&self, presented: Presented) -> Examination {
        let mut findings = Findings::default();
        let line = Line::read(presented, &self.policy, &mut findings);
        // Without a domain there is nobody to prove anything to; `judge` says so.
        let domain = self.domain_of(&line, &mut Findings::default());
        let proven = domain.map_or_else(Vec::new, |domain| self.prove(&line, domain, &mut findings));
        Examination { line, proven, findings }
    }

    /// The verdict about what this relying party examined. It verifies no signature.
    pub fn judge(&self, examination: &Examination, request: &Request<'_>) -> Verdict {
        let mut findings = examination.findings.clone();
        let line = &examination.line;
        let Some(domain) = self.domain_of(line, &mut findings) else {
            return Verdict::Refused(refuse(line, findings, request.now));
        };
        let (scores, grant, mut until) = self.local(line, domain, request, &mut findings);
        let shown = Shown { policy: &self.policy, logs: &self.logs, examination, request, scores: &scores };
        shown.check(&mut until, &mut findings);
        findings.notes.extend(request.facts.notes.iter().cloned());
        accept(line, domain, &scores, grant, &until, &findings, request.now)
            .unwrap_or_else(|| Verdict::Refused(refuse(line, findings, request.now)))
    }

    fn local(
        &self,
        line: &Line,
        domain: Named<'_>,
        request: &Request<'_>,
        found: &mut Findings,
    ) -> (Scores, Option<Grant>, Until) {
        let Request { now, past, operation, .. } = *request;
        let mut until = Until(UnixMillis::new(u64::MAX));
        let local = Local { policy: &self.policy, domain, members: &line.members, now, past, operation };
        let (scores, grant) = local.check(&mut until, found);
        (scores, grant, until)
    }

    fn prove(&self, line: &Line, domain: Named<'_>, found: &mut Findings) -> Vec<Proven> {
        prove(line, domain, &self.logs, &self.policy, found)
    }

    /// Exactly the domain in the agent's URI, never another one (R38, draft 11.2.7).
    fn domain_of(&self, line: &Line, found: &mut Findings) -> Option<Named<'_>> {
        let name = line.members.first()?.uri.as_ref()?.trust_domain();
        let domain = self.domains.get(name);
        if domain.is_none() {
            let detail = format!("the domain {name} is not among those that are trusted here");
            found.against(Code::UnknownDomain, Subject::Agent, detail);
        }
        domain
    }
}

/// The acceptance, where nothing speaks against it and all of it is there.
fn accept(
    line: &Line,
    (domain, _): Named<'_>,
    scores: &Scores,
    grant: Option<Grant>,
    until: &Until,
    findings: &Findings,
    at: UnixMillis,
) -> Option<Verdict> {
    let (agent, above) = line.members.split_first()?;
    let accepted = Accepted {
        agent: agent.uri.clone()?,
        domain: domain.clone(),
        certificate: agent.fingerprint,
        score: scores.mapped?,
        effective: scores.effective.first().copied().flatten()?,
        minimum: scores.minimum,
        capabilities: agent.capabilities.get()?.clone(),
        parents: above.iter().map(|parent| parent.uri.clone()).collect::<Option<_>>()?,
        human_principal: line.root().and_then(|root| root.human_principal.clone()),
        grant,
        good_until: until.0,
        at,
        notes: findings.notes.clone(),
    };
    findings.is_clean().then(|| Verdict::Accepted(Box::new(accepted)))
}

/// The refusal. Should nothing have been found and still something be missing, that refuses.
fn refuse(line: &Line, findings: Findings, at: UnixMillis) -> Box<Refused> {
    let claims = line.members.first().and_then(|agent| agent.uri.clone());
    let refused = Refused::new(claims, findings.reasons, findings.notes, at);
    let incomplete = || {
        let detail = "the certificate lacks something without which nobody can be accepted";
        Refused::unread(Reason::new(Code::ProfileMalformed, Subject::Agent, detail), at)
    };
    Box::new(refused.unwrap_or_else(incomplete))
}
