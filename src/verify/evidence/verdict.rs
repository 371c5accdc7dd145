//! The verification of a bundle.

use sha2::{Digest as _, Sha256};

use super::action::{Digest, Statement};
use super::bundle::Evidence;
use super::finding::{Answers, Entry, Finding, Limits, Logged, OnBehalfOf, Parent, RevokedLater, Right, Who};
use super::gather::{Gathered, gather};
use super::link::{ActionCode, Failure, Link, Outcome, Step};
use crate::apki::extension::Text;
use crate::apki::jws::thumbprint;
use crate::apki::status::CLOCK_SKEW;
use crate::keys::PublicKey;
use crate::log::MAX_AHEAD_MS;
use crate::time::UnixMillis;
use crate::verify::relying::{
    Accepted, Code, Examination, Examined, Facts, Known, Link as PresentedLink, Operation, Presented, Reason,
    RelyingParty, Request, RevocationMode, Subject, TrustedLog, Verdict,
};

/// What the verifier knows besides, and holds against the agent's own words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'a> {
    /// The action's octets that the verifier has. Without them those in the bundle count, and where there are none,
    /// the verdict is about octets that nobody has shown.
    pub action: Option<Digest>,
    /// What the verifier takes the octets for. Without it the agent's own word counts, and where the agent says
    /// nothing, limits are not judged.
    pub operation: Option<&'a Operation>,
    /// When the verifier had the action in its hands. Then everything is judged at this moment instead of the one
    /// that the agent states: whoever has got hold of a key can date a signature back, but cannot hand it over
    /// earlier.
    pub received_at: Option<UnixMillis>,
    /// The human who is said to answer for the agent.
    pub principal: Option<Principal<'a>>,
    /// What the verifier knows of revocation, inclusion and audits from elsewhere.
    pub facts: Option<&'a Facts>,
}

/// A human by name, as the CA's operator reveals one (protocol section 6).
#[derive(Clone, Copy, Debug)]
pub struct Principal<'a> {
    /// The name.
    pub name: &'a str,
    /// The CA's salt; not needed where the CA publishes names.
    pub salt: Option<&'a [u8]>,
}

impl Principal<'_> {
    /// Whether a `humanPrincipal` means this human.
    pub fn is(&self, human_principal: &Text) -> bool {
        let said = human_principal.as_str();
        let hashed = self.salt.map(|salt| Sha256::new().chain_update(salt).chain_update(self.name).finalize());
        match said.strip_prefix("sha256:") {
            Some(digits) => hashed.is_some_and(|hash| digits == hex::encode(hash)),
            None => said == self.name,
        }
    }
}

/// Who authorised this, under what limits, on whose behalf, and was it in the public log at the time? Or else, which
/// link fails.
///
/// `party` is the verifier's own: nothing in the bundle is trusted for what it says of domains, logs or itself. The
/// moment that is asked about is the agent's `signed_at`, or [`Question::received_at`].
pub fn verify(evidence: &Evidence, party: &RelyingParty, question: &Question<'_>) -> Finding {
    let statement = evidence.signature.statement();
    let at = question.received_at.unwrap_or(statement.signed_at);
    let examination = party.examine(presented(evidence));
    let gathered = gather(evidence, party, &examination, question.facts);
    let operation = question.operation.or(statement.operation.as_ref());
    let request = Request { operation, facts: &gathered.facts, now: at, past: true };
    let verdict = party.judge(&examination, &request);
    let inquiry = Inquiry {
        evidence,
        party,
        question,
        statement,
        at,
        examination: &examination,
        gathered: &gathered,
        verdict: &verdict,
        request: &request,
    };
    let links = inquiry.links();
    let notes = [verdict.notes(), &gathered.notes].concat();
    let clean = links.iter().all(|link| link.outcome != Outcome::Fails);
    let answers = match &verdict {
        Verdict::Accepted(accepted) if clean => inquiry.answers(accepted).map(Box::new),
        _ => None,
    };
    let claims = examination.claims().cloned();
    Finding { statement: statement.clone(), judged_at: at, links, notes, claims, answers }
}

/// The certificates as they would be presented, each with the timestamps that travel beside it.
fn presented(evidence: &Evidence) -> Presented {
    let agent = || evidence.certificate.clone();
    let all: Vec<_> = std::iter::once(agent()).chain(evidence.chain.iter().cloned()).collect();
    let alone = |_| Presented { agent: PresentedLink::new(agent(), Vec::new()), parents: Vec::new() };
    let mut presented = Presented::from_certificates(all).unwrap_or_else(alone);
    for link in std::iter::once(&mut presented.agent).chain(&mut presented.parents) {
        let fingerprint = link.certificate.fingerprint();
        let own = evidence.timestamps.iter().filter(|timestamp| timestamp.certificate == fingerprint);
        link.detached = own.map(|timestamp| timestamp.fact.clone()).collect();
    }
    presented
}

/// Everything that the links are made of.
struct Inquiry<'a> {
    evidence: &'a Evidence,
    party: &'a RelyingParty,
    question: &'a Question<'a>,
    statement: &'a Statement,
    at: UnixMillis,
    examination: &'a Examination,
    gathered: &'a Gathered<'a>,
    verdict: &'a Verdict,
    request: &'a Request<'a>,
}

impl<'a> Inquiry<'a> {
    fn links(&self) -> Vec<Link> {
        let mut links = vec![self.action(), self.signature()];
        for (depth, member) in self.examination.members().enumerate() {
            let subject = Subject::at(depth);
            let of = |step| self.failures(step, Some(subject));
            let link = |step, otherwise| Link::new(step, Some(subject), of(step), otherwise);
            links.push(link(Step::Certificate, certificate(member)));
            links.push(link(Step::Chain, chain(member)));
            links.push(link(Step::Delegation, delegation(member)));
            links.push(self.log(member, subject));
            links.push(link(Step::Revocation, self.revocation(member)));
        }
        links.extend([self.trust(), self.limits()]);
        links.extend(self.question.principal.map(|principal| self.principal(principal)));
        links
    }

    /// What the relying party and the facts have against a link.
    fn failures(&self, step: Step, subject: Option<Subject>) -> Vec<Failure> {
        let is_of = |found: Subject| subject.is_none_or(|subject| subject == found);
        let reasons = self.verdict.reasons().iter().filter(|reason| Step::of(reason) == step && is_of(reason.subject));
        let facts = self.gathered.failures.iter().filter(|(of, failure)| *of == step && is_of(failure.subject));
        let mut found: Vec<Failure> = reasons.map(Failure::from).collect();
        for (_, failure) in facts {
            // The relying party has found the same where there was nothing else to go by.
            if found.iter().all(|known| (known.code, known.subject) != (failure.code, failure.subject)) {
                found.push(failure.clone());
            }
        }
        found
    }

    /// Whether anything was asked of a domain that is trusted.
    fn is_judged(&self) -> bool {
        self.examination.members().next().is_some_and(|agent| agent.is_tried())
    }

    fn action(&self) -> Link {
        let own = self.evidence.action.as_deref().map(Digest::of);
        let signed = self.statement.digest;
        let other = self.question.action.into_iter().chain(own).find(|digest| *digest != signed);
        let failures = other.map(|other| {
            let [found, expected] =
                [other, signed].map(|d| format!("{} octets, SHA-256 {}", d.length, hex::encode(d.sha256)));
            Failure::of_action(
                ActionCode::Content,
                format!("the octets at hand are {found}, and signed were {expected}"),
            )
        });
        let otherwise = match self.question.action.or(own) {
            Some(_) => (Outcome::Holds, format!("the {} octets at hand are the signed ones", signed.length)),
            None => {
                (Outcome::Open, "the octets are not at hand; what follows is about whatever has the hash".to_owned())
            }
        };
        Link::new(Step::Action, None, failures.into_iter().collect(), otherwise)
    }

    fn signature(&self) -> Link {
        let certificate = &self.evidence.certificate;
        let mut failures = Vec::new();
        let mut fail = |code, detail: String| failures.push(Failure::of_action(code, detail));
        let key = PublicKey::from_spki_der(certificate.spki_der());
        match key.map(|key| self.evidence.signature.verify(&key)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => fail(ActionCode::Signature, error.to_string()),
            Err(error) => fail(ActionCode::Signature, format!("the key in the agent's certificate: {error}")),
        }
        let (named, found) = (self.statement.certificate, certificate.fingerprint());
        if named != found {
            let [named, found] = [named, found].map(hex::encode);
            fail(ActionCode::Certificate, format!("signed is the certificate {named}, and in the bundle is {found}"));
        }
        if let Some(why) = self.time() {
            fail(ActionCode::Time, why);
        }
        let holds =
            format!("signed with the key of the agent's certificate, by its own clock at {}", self.statement.signed_at);
        Link::new(Step::Signature, None, failures, (Outcome::Holds, holds))
    }

    /// What is wrong with the time that the agent states, where the verifier has one of its own. Without, everything
    /// else is judged at that time.
    fn time(&self) -> Option<String> {
        let (received, signed) = (self.question.received_at?, self.statement.signed_at);
        let certificate = &self.evidence.certificate;
        let (from, to) = (certificate.not_before(), certificate.not_after());
        if signed.since(received) > CLOCK_SKEW {
            return Some(format!("it says that it was signed at {signed}, and it was received before, at {received}"));
        }
        (signed < from || signed > to).then(|| {
            format!("it says that it was signed at {signed}, and the certificate is valid from {from} to {to}")
        })
    }

    fn log(&self, member: Examined<'a>, subject: Subject) -> Link {
        let mut failures = self.failures(Step::Log, Some(subject));
        let stamps = self.stamps(member);
        let is_proven = stamps.iter().any(|(log, _)| self.entry(subject, log).is_some());
        if failures.is_empty() && member.is_tried() && !is_proven {
            let detail = "there is no proof of inclusion from a log that gave a timestamp";
            failures.push(Failure::from(&Reason::new(Code::NoInclusion, subject, detail)));
        }
        let outcome = if member.is_tried() { Outcome::Holds } else { Outcome::Open };
        let told = stamps.iter().map(|(log, since)| match self.entry(subject, log) {
            Some(entry) => {
                let head = entry.head_at.map_or_else(|| "a checkpoint".to_owned(), |at| format!("the head of {at}"));
                format!("in {} since {since}: entry {} of {} under {head}", log.name, entry.leaf_index, entry.tree_size)
            }
            None => format!("in {} since {since}, by its word", log.name),
        });
        Link::new(Step::Log, Some(subject), failures, (outcome, told.collect::<Vec<_>>().join("; ")))
    }

    /// The timestamps from before the moment in question, of logs that count.
    fn stamps(&self, member: Examined<'a>) -> Vec<(&'a TrustedLog, UnixMillis)> {
        let stamps = self.party.stamps(member).filter(|(_, since)| since.since(self.at) <= MAX_AHEAD_MS);
        stamps.filter(|(log, _)| self.party.is_audited(log, self.request)).collect()
    }

    /// Where the member's entry is in this log, under the newest head.
    fn entry(&self, subject: Subject, log: &TrustedLog) -> Option<Entry> {
        let places = self.gathered.places_of(subject).filter(|place| place.log == log);
        let newest = places.max_by_key(|place| (place.head_at, place.size))?;
        Some(Entry { leaf_index: newest.index, tree_size: newest.size, head_at: newest.head_at })
    }

    fn revocation(&self, member: Examined<'a>) -> (Outcome, String) {
        if self.party.policy.revocation.mode == RevocationMode::Off {
            return (Outcome::Open, "the policy does not ask".to_owned());
        }
        let open = |why: &str| (Outcome::Open, why.to_owned());
        match self.party.known(member, self.request) {
            None => open("nobody can be believed about it, since the chain does not hold"),
            Some(Known::Good { later: None, .. }) => (Outcome::Holds, format!("not revoked at {}", self.at)),
            Some(Known::Good { later: Some((at, reason)), .. }) => {
                (Outcome::Holds, format!("revoked later, at {at}: {reason}"))
            }
            // What the policy would refuse for is among the failures.
            Some(Known::Revoked { at, .. }) => (Outcome::Open, format!("revoked at {at}")),
            Some(Known::Unknown) => open("its CA does not know it, and the policy does not insist"),
            Some(Known::Stale(at)) => {
                (Outcome::Open, format!("the newest that is known is of {at}, and the policy does not insist"))
            }
            Some(Known::Invalid(_) | Known::Nothing) => open("nothing is known, and the policy does not insist"),
        }
    }

    fn trust(&self) -> Link {
        let otherwise = match self.verdict {
            Verdict::Accepted(accepted) => (
                Outcome::Holds,
                format!("a score of {} at {}, and {} is enough", accepted.score.get(), self.at, accepted.minimum.get()),
            ),
            Verdict::Refused(_) if self.is_judged() => (Outcome::Holds, String::new()),
            Verdict::Refused(_) => (Outcome::Open, String::new()),
        };
        Link::new(Step::Trust, None, self.failures(Step::Trust, None), otherwise)
    }

    fn limits(&self) -> Link {
        let mut failures = self.failures(Step::Limits, None);
        if let (Some(own), Some(said)) = (self.question.operation, &self.statement.operation)
            && own != said
        {
            let detail = format!("the agent says that this is `{said}`, and it is `{own}`");
            failures.push(Failure::of_action(ActionCode::Operation, detail));
        }
        let otherwise = match self.request.operation {
            None => (Outcome::Open, "nobody says what the action is in the terms of a capability".to_owned()),
            Some(_) if !self.is_judged() => (Outcome::Open, String::new()),
            Some(operation) => (Outcome::Holds, format!("`{operation}` is within them")),
        };
        Link::new(Step::Limits, None, failures, otherwise)
    }

    fn human_principal(&self) -> Option<&Text> {
        let root = self.examination.members().last()?.delegation().filter(|delegation| delegation.depth == 0)?;
        root.human_principal.as_ref()
    }

    fn principal(&self, principal: Principal<'_>) -> Link {
        let detail = match self.human_principal() {
            Some(said) if principal.is(said) => None,
            Some(said) => Some(format!("the name and the salt that were brought do not make {}", said.as_str())),
            None => Some("no human answers for the line that is in the bundle".to_owned()),
        };
        let failures = detail.map(|detail| Failure::of_action(ActionCode::Principal, detail)).into_iter().collect();
        Link::new(Step::Principal, None, failures, (Outcome::Holds, format!("{} answers for the line", principal.name)))
    }

    fn answers(&self, accepted: &Accepted) -> Option<Answers> {
        let certificate = &self.evidence.certificate;
        let grant = accepted.grant.as_ref();
        let right =
            |(agent, capability): &(_, _)| Right { agent: Clone::clone(agent), capability: Clone::clone(capability) };
        let parents = self.examination.members().skip(1);
        let parents =
            parents.map(|member| Some(Parent { agent: member.uri()?.clone(), certificate: member.fingerprint() }));
        Some(Answers {
            who: Who {
                agent: accepted.agent.clone(),
                domain: accepted.domain.clone(),
                certificate: accepted.certificate,
                key: PublicKey::from_spki_der(certificate.spki_der()).map(|key| thumbprint(&key)).ok()?,
                not_before: certificate.not_before(),
                not_after: certificate.not_after(),
            },
            limits: Limits {
                operation: grant.map(|grant| grant.operation.clone()),
                rights: grant.map(|grant| grant.rights.iter().map(right).collect()).unwrap_or_default(),
                capabilities: accepted.capabilities.clone(),
                score: accepted.score,
                minimum_score: accepted.minimum,
            },
            on_behalf_of: OnBehalfOf {
                parents: parents.collect::<Option<_>>()?,
                human_principal: accepted.human_principal.clone(),
                name: self.question.principal.map(|principal| principal.name.to_owned()),
            },
            logged: self
                .examination
                .members()
                .enumerate()
                .flat_map(|(depth, member)| self.logged(depth, member))
                .collect(),
            revoked_later: self.examination.members().filter_map(|member| self.revoked_later(member)).collect(),
        })
    }

    fn logged(&self, depth: usize, member: Examined<'a>) -> Vec<Logged> {
        let Some(agent) = member.uri() else { return Vec::new() };
        let stamps = self.stamps(member).into_iter();
        let logged = stamps.map(|(log, since)| Logged {
            agent: agent.clone(),
            certificate: member.fingerprint(),
            log: log.name.clone(),
            operator: log.operator.clone(),
            log_id: log.key.log_id(),
            since,
            entry: self.entry(Subject::at(depth), log),
        });
        logged.collect()
    }

    fn revoked_later(&self, member: Examined<'a>) -> Option<RevokedLater> {
        match self.party.known(member, self.request)? {
            Known::Good { later: Some((at, reason)), .. } => {
                Some(RevokedLater { agent: member.uri()?.clone(), at, reason })
            }
            _ => None,
        }
    }
}

fn certificate(member: Examined<'_>) -> (Outcome, String) {
    let certificate = member.certificate();
    let name = member.uri().map_or("", |uri| uri.as_str());
    let (from, to) = (certificate.not_before(), certificate.not_after());
    (Outcome::Holds, format!("{name}, valid from {from} to {to}"))
}

fn chain(member: Examined<'_>) -> (Outcome, String) {
    match member.path() {
        Some(path) => {
            let anchor = hex::encode(path.anchor().fingerprint());
            (Outcome::Holds, format!("{} CAs, up to the anchor {anchor}", path.iter().count()))
        }
        None => (Outcome::Open, String::new()),
    }
}

fn delegation(member: Examined<'_>) -> (Outcome, String) {
    let detail = match member.delegation() {
        None => "nothing is delegated".to_owned(),
        Some(delegation) => match (&delegation.human_principal, delegation.depth) {
            (Some(human), 0) => format!("at the root of the line, for which {} answers", human.as_str()),
            (_, depth) => format!("at depth {depth} of at most {}", delegation.max_depth),
        },
    };
    (Outcome::Holds, detail)
}
