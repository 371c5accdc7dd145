//! What depends on the present, the policy and the operation.

use super::code::Code;
use super::facts::{Audited, Facts, Inclusion};
use super::grant::grant;
use super::logs::LogList;
use super::member::Member;
use super::operation::Operation;
use super::policy::{InclusionPolicy, Policy, RevocationMode, TWO_OPERATORS, ToolRule};
use super::proven::{Named, Proven};
use super::reason::{Findings, Subject};
use super::standing::{Certified, Known, Wanted};
use super::verdict::Grant;
use super::{Examination, Request};
use crate::apki::attestation::AttestationMethod;
use crate::apki::chain::IssuerPath;
use crate::apki::federation::BundleError;
use crate::apki::trust_score::{Score, TrustTier};
use crate::keys::LogId;
use crate::log::MAX_AHEAD_MS;
use crate::time::UnixMillis;

/// The scores of the line.
#[derive(Clone, Debug)]
pub(super) struct Scores {
    /// Of each member, the least from it up to the root after decay (R31); `None` where one has none.
    pub(super) effective: Vec<Option<Score>>,
    /// That of the agent, mapped.
    pub(super) mapped: Option<Score>,
    /// What it must reach.
    pub(super) minimum: Score,
}

/// The end of what a verdict rests on.
pub(super) struct Until(pub(super) UnixMillis);

impl Until {
    fn at_most(&mut self, moment: UnixMillis) {
        self.0 = self.0.min(moment);
    }
}

/// The checks that need no signature.
pub(super) struct Local<'a> {
    pub(super) policy: &'a Policy,
    pub(super) domain: Named<'a>,
    pub(super) members: &'a [Member],
    pub(super) now: UnixMillis,
    /// Whether `now` is past.
    pub(super) past: bool,
    pub(super) operation: Option<&'a Operation>,
}

impl Local<'_> {
    /// Everything that the certificates say, held against the present, the policy and the operation.
    pub(super) fn check(&self, until: &mut Until, found: &mut Findings) -> (Scores, Option<Grant>) {
        self.bundle(until, found);
        for (depth, member) in self.members.iter().enumerate() {
            self.validity(member, Subject::at(depth), until, found);
        }
        let scores = self.scores(until, found);
        self.peer(found);
        self.provenance(found);
        (scores, self.grant(found))
    }

    fn rule(&self) -> Option<&ToolRule> {
        self.policy.rule_for(self.operation?.tool_uri.as_str())
    }

    fn bundle(&self, until: &mut Until, found: &mut Findings) {
        let Some(bundle) = self.domain.1.trusted.bundle() else { return };
        until.at_most(bundle.expires_at().millis());
        let held = match bundle.holds_at(self.now) {
            // A bundle from after what is asked about names the domain's CAs too; whether each of them was valid
            // then, its own certificate says.
            Err(BundleError::Ahead { domain, issued_at }) if self.past => {
                let note = format!("the bundle of {domain} is of {issued_at}, which is later than what is asked about");
                found.note(Subject::Agent, note);
                Ok(())
            }
            held => held,
        };
        for error in [bundle.is_of(self.domain.0), held].into_iter().filter_map(Result::err) {
            found.against(Code::Bundle, Subject::Agent, error);
        }
    }

    fn validity(&self, member: &Member, subject: Subject, until: &mut Until, found: &mut Findings) {
        let certificate = &member.link.certificate;
        let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
        until.at_most(not_after);
        if self.now < not_before {
            let detail = format!("the certificate is valid from {not_before} on, and it is {}", self.now);
            found.against(Code::NotYetValid, subject, detail);
        }
        if self.now > not_after {
            let detail = format!("the certificate ran out at {not_after}, and it is {}", self.now);
            found.against(Code::Expired, subject, detail);
        }
    }

    fn scores(&self, until: &mut Until, found: &mut Findings) -> Scores {
        let mut effective = vec![None; self.members.len()];
        let mut least = Some(Score::MAX);
        for (depth, member) in self.members.iter().enumerate().rev() {
            let own = match member.score.get().map(|score| score.effective(self.now)) {
                Some(Ok(own)) => Some(own),
                Some(Err(error)) => {
                    found.against(Code::ScoreAhead, Subject::at(depth), error);
                    None
                }
                None => None,
            };
            least = least.zip(own).map(|(least, own)| least.min(own));
            effective[depth] = least;
        }
        let (_, domain) = self.domain;
        let rule = self.rule().map_or(TrustTier::Untrusted.floor(), |rule| rule.minimum);
        let minimum = self.policy.minimum.max(domain.minimum()).max(rule);
        let agent = effective.first().copied().flatten();
        let mapped = agent.map(|score| domain.mapping.apply(score));
        if let Some((effective, mapped)) = agent.zip(mapped).filter(|(_, mapped)| *mapped < minimum) {
            let (effective, mapped, minimum) = (effective.get(), mapped.get(), minimum.get());
            let measure = if effective == mapped { String::new() } else { format!(" ({effective} in its own domain)") };
            let detail = format!("the score is {mapped} after decay{measure}, and {minimum} is the minimum");
            found.against(Code::ScoreTooLow, Subject::Agent, detail);
        }
        // The least points in the domain's own measure that are enough: when the line falls below them, the
        // verdict is another.
        let enough =
            (0..=Score::MAX.get()).filter_map(|n| Score::new(n).ok()).find(|s| domain.mapping.apply(*s) >= minimum);
        let falls = self.members.iter().filter_map(|member| member.score.get()?.falls_below(enough?));
        falls.for_each(|moment| until.at_most(moment));
        Scores { effective, mapped, minimum }
    }

    fn peer(&self, found: &mut Findings) {
        let agent = self.members.first().and_then(|agent| agent.uri.as_ref());
        if let Some(agent) = agent.filter(|agent| !self.policy.peers.admit(agent)) {
            let detail = format!("{} is not among the agents that are taken here", agent.as_str());
            found.against(Code::Peer, Subject::Agent, detail);
        }
    }

    /// What the agent runs (draft 11.2.9).
    fn provenance(&self, found: &mut Findings) {
        let Some(agent) = self.members.first() else { return };
        let wanted = &self.policy.provenance;
        let rule = self.rule().and_then(|rule| rule.minimum_method);
        if let Some(least) = wanted.minimum_method.max(rule) {
            let has = agent.attestation.get().map(|attestation| attestation.method);
            if has.is_none_or(|method| method < least) && !agent.attestation.is_malformed() {
                let has = has.map_or("none", AttestationMethod::name);
                let detail = format!("the attestation is {has}, and {} is the weakest that is taken", least.name());
                found.against(Code::AttestationMethod, Subject::Agent, detail);
            }
        }
        if wanted.builds.is_none() && wanted.models.is_none() || agent.provenance.is_malformed() {
            return;
        }
        let Some(provenance) = agent.provenance.get() else {
            return found.against(Code::NoProvenance, Subject::Agent, "the certificate has no agentProvenance");
        };
        if let Some(builds) = &wanted.builds
            && !provenance.build_hash.is_some_and(|hash| builds.contains(&hash))
        {
            let build = provenance.build_hash.map_or_else(|| "none".to_owned(), hex::encode);
            found.against(Code::BuildHash, Subject::Agent, format!("the build, SHA-256 {build}, is not on the list"));
        }
        let model = provenance.model_family.as_str();
        if wanted.models.as_ref().is_some_and(|models| !models.contains(model)) {
            found.against(Code::Model, Subject::Agent, format!("the model family `{model}` is not on the list"));
        }
    }

    /// The rights by which the operation is granted: the agent's, and those that it was handed on from.
    fn grant(&self, found: &mut Findings) -> Option<Grant> {
        let operation = self.operation?;
        let mut rights = Vec::with_capacity(self.members.len());
        for (depth, member) in self.members.iter().enumerate() {
            let (uri, capabilities) = (member.uri.clone()?, member.capabilities.get()?);
            match grant(capabilities, operation) {
                Ok(capability) => rights.push((uri, capability.clone())),
                Err(denied) => {
                    found.against(denied.code, Subject::at(depth), denied.detail);
                    return None;
                }
            }
        }
        Some(Grant { operation: operation.clone(), rights })
    }
}

/// The checks of what signatures have proven.
pub(super) struct Shown<'a> {
    pub(super) policy: &'a Policy,
    pub(super) logs: &'a LogList,
    pub(super) examination: &'a Examination,
    pub(super) request: &'a Request<'a>,
    pub(super) scores: &'a Scores,
}

impl Shown<'_> {
    pub(super) fn check(&self, until: &mut Until, found: &mut Findings) {
        let members = self.examination.line.members.iter().zip(&self.examination.proven);
        for (depth, (member, proven)) in members.enumerate() {
            let subject = Subject::at(depth);
            if let Some(path) = &proven.path {
                self.issuers(path, subject, until, found);
                self.revocation(member, path, depth, until, found);
            }
            self.stamps(member, proven, depth, until, found);
        }
        if let (Some(wanted), Some(agent)) = (&self.policy.inclusion, self.examination.line.members.first()) {
            self.inclusion(agent, wanted, until, found);
        }
    }

    fn now(&self) -> UnixMillis {
        self.request.now
    }

    /// The CAs on the way are valid now (R23).
    fn issuers(&self, path: &IssuerPath, subject: Subject, until: &mut Until, found: &mut Findings) {
        for (place, issuer) in path.iter().enumerate() {
            let certificate = issuer.certificate();
            let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
            until.at_most(not_after);
            if self.now() < not_before || self.now() > not_after {
                let detail = format!("CA {} of the chain is valid from {not_before} to {not_after} only", place + 1);
                found.against(Code::IssuerValidity, subject, detail);
            }
        }
    }

    /// As many timestamps as the score wants (protocol section 6), of audited logs where that is wanted.
    fn stamps(&self, member: &Member, proven: &Proven, depth: usize, until: &mut Until, found: &mut Findings) {
        let subject = Subject::at(depth);
        let mut operators: Vec<&str> = Vec::new();
        let mut unaudited = Vec::new();
        let mut good_until = Vec::new();
        for stamp in &proven.stamps {
            let Some(log) = self.logs.at(stamp.log) else { continue };
            if stamp.timestamp.since(self.now()) > MAX_AHEAD_MS {
                found.note(subject, format!("the timestamp of {} does not count: it is of the future", log.name));
                continue;
            }
            match self.audit(&log.key.log_id()) {
                Ok(until) => {
                    good_until.extend(until);
                    operators.push(&log.operator);
                }
                Err(why) => unaudited.push(format!("the timestamp of {} does not count: {why}", log.name)),
            }
        }
        operators.sort_unstable();
        operators.dedup();
        // A mapping may make more of a score than its domain does.
        let own = self.scores.effective.get(depth).copied().flatten();
        let here = if depth == 0 { self.scores.mapped } else { None };
        let two = own.max(here).is_some_and(|score| score >= TWO_OPERATORS);
        let enough = operators.len() > usize::from(two);
        if enough {
            good_until.into_iter().for_each(|moment| until.at_most(moment));
            unaudited.into_iter().for_each(|why| found.note(subject, why));
        } else if !unaudited.is_empty() {
            found.against(Code::SatAudit, subject, unaudited.join("; "));
        } else if member.sats_refused {
            // What is malformed, or over another certificate, was told before.
        } else if operators.is_empty() {
            let detail = match member.sats.is_empty() {
                true => "there is no timestamp of a log",
                false => "no timestamp of a log that is trusted here is valid for the certificate",
            };
            found.against(Code::NoSat, subject, detail);
        } else {
            let detail = format!("the timestamps are of one operator, {}, and two are wanted", operators.join(", "));
            found.against(Code::SatOperators, subject, detail);
        }
    }

    fn audit(&self, log: &LogId) -> Result<Option<UnixMillis>, String> {
        audit(self.policy, self.request, log)
    }

    fn revocation(&self, member: &Member, path: &IssuerPath, depth: usize, until: &mut Until, found: &mut Findings) {
        let policy = self.policy.revocation;
        let subject = Subject::at(depth);
        let wanted = wanted(self.policy, self.request);
        // A tool that wants an answer at once wants it whatever holds for the others.
        if policy.mode == RevocationMode::Off && !wanted.ocsp_only {
            return;
        }
        let hard = policy.mode == RevocationMode::HardFail || wanted.ocsp_only;
        tell(known(self.request, member, path, wanted), "the certificate", hard, subject, until, found);
        if !policy.issuers || policy.mode == RevocationMode::Off {
            return;
        }
        let wanted = Wanted { max_age: policy.max_age, ocsp_only: false, ..wanted };
        let issuers: Vec<_> = path.iter().collect();
        let revocations = &self.request.facts.revocations;
        for (place, pair) in issuers.windows(2).enumerate() {
            let [issuer, above] = pair else { continue };
            let (certificate, fingerprint) = (issuer.certificate(), issuer.fingerprint());
            let of = Certified { certificate, fingerprint, issuer: above, anchor: path.anchor() };
            let known = revocations.ask(of, wanted);
            let what = format!("the certificate of CA {} of the chain", place + 1);
            tell(known, &what, policy.mode == RevocationMode::HardFail, subject, until, found);
        }
    }

    /// The agent's certificate is in a log, under a head that is recent enough and was seen by those who
    /// must have seen it.
    fn inclusion(&self, agent: &Member, wanted: &InclusionPolicy, until: &mut Until, found: &mut Findings) {
        let facts: &Facts = self.request.facts;
        let (any, newest) = newest_inclusion(wanted, self.policy, self.logs, self.request, agent);
        match newest {
            Some(at) if self.now().since(at) <= wanted.max_age => until.at_most(at.saturating_add(wanted.max_age)),
            Some(at) => {
                let detail = format!("the newest head of a proof of inclusion is of {at}");
                found.against(Code::InclusionStale, Subject::Agent, detail);
            }
            None if any => {
                let detail = match &wanted.witnesses {
                    Some(quorum) => format!(
                        "the head of the proof of inclusion was not seen by {} of the {} witnesses",
                        quorum.needed(),
                        quorum.witnesses().len()
                    ),
                    None => "the head of the proof of inclusion says no time: it takes a signed tree head, or \
                        witnesses in the policy"
                        .to_owned(),
                };
                found.against(Code::InclusionStale, Subject::Agent, detail);
            }
            None if !facts.invalid_proofs.is_empty() => {
                found.against(Code::InclusionInvalid, Subject::Agent, facts.invalid_proofs.join("; "));
            }
            None => found.against(Code::NoInclusion, Subject::Agent, "no proof of inclusion was brought"),
        }
    }
}

/// Whether the log counts as audited, where the policy wants that, and until when.
pub(super) fn audit(policy: &Policy, request: &Request<'_>, log: &LogId) -> Result<Option<UnixMillis>, String> {
    let Some(within) = policy.audited_within else { return Ok(None) };
    let now = request.now;
    let audits: Vec<&Audited> = request.facts.audits.iter().filter(|audit| audit.log == *log).collect();
    if let Some(bad) = audits.iter().find(|audit| !audit.consistent) {
        return Err(format!("an audit of {} found the log inconsistent", bad.at));
    }
    // A later audit covers what was logged before it.
    let fresh = |audit: &&&Audited| now.since(audit.at) <= within && is_not_ahead(request, audit.at);
    match audits.iter().filter(fresh).map(|audit| audit.at).max() {
        Some(at) => Ok(Some(at.saturating_add(within))),
        None => Err("nobody has audited the log recently enough".into()),
    }
}

/// Whether what is dated so may be known at the moment that is asked about: of the past everything that was found
/// out since.
fn is_not_ahead(request: &Request<'_>, at: UnixMillis) -> bool {
    request.past || at.since(request.now) <= MAX_AHEAD_MS
}

/// Whether there are proofs that the agent's certificate is in a log that counts, and when the newest of their heads
/// was seen as `wanted`.
pub(super) fn newest_inclusion(
    wanted: &InclusionPolicy,
    policy: &Policy,
    logs: &LogList,
    request: &Request<'_>,
    agent: &Member,
) -> (bool, Option<UnixMillis>) {
    let seen = |inclusion: &&Inclusion| match wanted.witnesses {
        Some(_) => inclusion.witnessed_at,
        None => inclusion.signed_at.max(inclusion.witnessed_at),
    };
    let about = |inclusion: &&Inclusion| {
        let hash = inclusion.cert_hash;
        let log = logs.get(&inclusion.log);
        (hash == agent.cert_hash || *hash.as_bytes() == agent.fingerprint)
            && log.is_some_and(|log| seen(inclusion).is_none_or(|at| log.trusted_at(at)))
            && audit(policy, request, &inclusion.log).is_ok()
    };
    let inclusions = || request.facts.inclusions.iter().filter(about);
    let newest = inclusions().filter_map(|inclusion| seen(&inclusion)).filter(|at| is_not_ahead(request, *at)).max();
    (inclusions().next().is_some(), newest)
}

/// What an answer about an agent's own certificate must be worth.
pub(super) fn wanted(policy: &Policy, request: &Request<'_>) -> Wanted {
    let rule = request.operation.and_then(|operation| policy.rule_for(operation.tool_uri.as_str()));
    let at_once = rule.and_then(|rule| rule.ocsp_within);
    Wanted {
        now: request.now,
        past: request.past,
        max_age: [policy.revocation.max_age, at_once].into_iter().flatten().min(),
        ocsp_only: at_once.is_some(),
    }
}

/// What is known of the member's own certificate.
pub(super) fn known(request: &Request<'_>, member: &Member, path: &IssuerPath, wanted: Wanted) -> Known {
    let (certificate, fingerprint) = (&member.link.certificate, &member.fingerprint);
    let of = Certified { certificate, fingerprint, issuer: path.issuer(), anchor: path.anchor() };
    request.facts.revocations.ask(of, wanted)
}

/// Turns what is known of a certificate into a reason; without hard fail only a revocation is one.
fn tell(known: Known, what: &str, hard: bool, subject: Subject, until: &mut Until, found: &mut Findings) {
    let (code, detail) = match known {
        Known::Good { until: next, later } => {
            if let Some((at, reason)) = later {
                found.note(subject, format!("{what} was revoked later, at {at}: {reason}"));
            }
            return until.at_most(next);
        }
        Known::Revoked { at, reason } => {
            return found.against(Code::Revoked, subject, format!("{what} was revoked at {at}: {reason}"));
        }
        Known::Unknown => (Code::StatusUnknown, format!("its CA does not know {what}")),
        Known::Stale(at) => (Code::StatusStale, format!("the newest that is known of {what} is of {at}")),
        Known::Invalid(why) => (Code::StatusInvalid, format!("the answer about {what}: {why}")),
        Known::Nothing => (Code::StatusUnavailable, format!("nothing is known of whether {what} was revoked")),
    };
    match hard {
        true => found.against(code, subject, detail),
        false => found.note(subject, detail),
    }
}
