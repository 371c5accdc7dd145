//! The registration authority: who may have which certificate (draft 7.1 step 4, 7.2, protocol
//! section 6). It decides and never signs.
//!
//! [`assess`] says everything that speaks against an application at once, so that whoever asks does
//! not learn of it piece by piece. A renewal has what its certificate has, or less: its agent, its
//! SPIFFE ID, its capabilities and its place in a line of delegation. Only its score is computed
//! anew, from the evidence that comes with it (draft 7.3). Whoever stands below another has no more than
//! that one has at this moment, be it at first or at a renewal (draft 9.1).

mod below;
mod evidence;
mod rights;
mod score;

use super::application::Application;
use super::delegation::Line;
use super::policy::{ApprovalRule, Policy, RenewalKeyRule, ValidityRule};
use super::record::{Agent, Reason, ReasonCode, Refusals};
use super::request::{Assessment, EngineScore, Grant, HoldReason, Request};
use super::token::Token;
use super::trust::initial::ScoreInputs;
use crate::apki::attenuation::Violation;
use crate::apki::attestation::AttestationMethod;
use crate::apki::capabilities::Capabilities;
use crate::apki::delegation::Delegation;
use crate::apki::{AgentUri, Certificate};
use crate::time::UnixMillis;

/// What a requester, who has proven to hold it, is entitled by.
#[derive(Clone, Copy, Debug)]
pub enum Entitlement<'a> {
    /// An enrolment token that is neither spent nor expired.
    Token(&'a Token),
    /// The agent's own certificate, issued by this CA and not expired.
    Certificate {
        /// Its octets, in DER.
        certificate: &'a [u8],
        /// The request that it answered, where the CA still has it.
        answered: Option<&'a Request>,
        /// The line above the agent by the parent's current certificate; `None` at the root of a line.
        line: Option<&'a Line>,
    },
    /// Another agent's certificate, issued by this CA and not expired: it hands its rights on.
    Parent {
        /// That certificate, and those above it.
        line: &'a Line,
        /// What the CA keeps of that agent.
        parent: &'a Agent,
        /// What the trust engine says of it, where there is one.
        engine: Option<EngineScore>,
    },
}

/// What the evidence of an application is worth by itself: what a trust engine opens an account with.
pub fn base(application: &Application, agent: Option<&Agent>, policy: &Policy, now: UnixMillis) -> ScoreInputs {
    evidence::weigh(application, agent, policy, now).1
}

/// Judges an application at the moment `now`. `agent` is what the CA keeps of the agent that the
/// application, or for a renewal the current certificate, is for; `engine` what the trust engine says of it,
/// where there is one.
pub fn assess(
    application: &Application,
    entitlement: &Entitlement<'_>,
    agent: Option<&Agent>,
    engine: Option<EngineScore>,
    policy: &Policy,
    now: UnixMillis,
) -> Assessment {
    let mut against = Objections::default();
    let standing = match Standing::of(entitlement) {
        Ok(standing) => standing,
        Err(why) => {
            let detail = format!("the current certificate does not read ({why}): enrol again with a token");
            against.add(ReasonCode::AgentUri, detail);
            return Assessment::Refused(Refusals(against.0));
        }
    };
    check_agent(application, &standing, policy, &mut against);
    below::check(application, &standing, agent, policy, now, &mut against);
    check_spiffe(application, &standing, policy, &mut against);
    check_key(application, &standing, policy, &mut against);
    let capabilities = rights::capabilities(application, &standing, policy, &mut against);
    let validity_seconds = validity(application, &standing, &policy.validity, now, &mut against);
    let delegation = rights::delegation(application, &standing, policy, &mut against);
    evidence::check(application.evidence.as_ref(), policy, &mut against);
    let (method, inputs) = evidence::weigh(application, agent, policy, now);
    let worth = score::Worth { inputs: &inputs, method, engine };
    let score = score::decide(&worth, &standing, policy, now, &mut against);
    let grant = Grant {
        capabilities,
        validity_seconds,
        score,
        inputs,
        // Nothing is dated ahead, whatever an engine's clock says.
        scored_at: engine.map_or(now, |engine| engine.as_of.min(now)),
        method,
        delegation,
        parent: standing.line().map(|line| line.serial),
        ends_by: standing.line().map(Line::ends_by),
        engine,
    };
    if let Some(line) = standing.line() {
        below::attenuates(&application.agent, &grant, line, policy, now, &mut against);
    }
    if !against.0.is_empty() {
        return Assessment::Refused(Refusals(against.0));
    }
    match holds(&standing, method, agent, policy, now) {
        none if none.is_empty() => Assessment::Granted(grant),
        reasons => Assessment::Held(grant, reasons),
    }
}

/// What speaks against an application, in the order found.
#[derive(Debug, Default)]
struct Objections(Vec<Reason>);

impl Objections {
    /// One more.
    fn add(&mut self, code: ReasonCode, detail: impl AsRef<str>) {
        self.0.push(Reason { code, rule: None, detail: fit(detail.as_ref()) });
    }

    /// A rule of attenuation that would be broken.
    fn add_violation(&mut self, violation: &Violation) {
        let (code, rule) = (ReasonCode::Attenuation, Some(violation.code().to_owned()));
        self.0.push(Reason { code, rule, detail: fit(&violation.to_string()) });
    }
}

/// Without what would move the reader's terminal: what strangers wrote is quoted in it.
fn fit(detail: &str) -> String {
    let mut fit = String::with_capacity(detail.len());
    for c in detail.chars() {
        match c {
            ' '..='~' => fit.push(c),
            c if c.is_alphanumeric() => fit.push(c),
            other => fit.extend(other.escape_unicode()),
        }
    }
    fit
}

/// An entitlement, read.
enum Standing<'a> {
    Token(&'a Token),
    Renewal(Box<Current<'a>>),
    Child { line: &'a Line, parent: &'a Agent, engine: Option<EngineScore> },
}

/// What the current certificate says.
struct Current<'a> {
    agent: AgentUri,
    spiffe: Option<String>,
    spki: Vec<u8>,
    capabilities: Capabilities,
    delegation: Option<Delegation>,
    /// Somebody else than the agent itself vouched for it.
    verified: bool,
    answered: Option<&'a Request>,
    line: Option<&'a Line>,
}

impl<'a> Standing<'a> {
    fn of(entitlement: &Entitlement<'a>) -> Result<Self, String> {
        match entitlement {
            Entitlement::Token(token) => Ok(Self::Token(token)),
            Entitlement::Certificate { certificate, answered, line } => {
                let certificate = Certificate::parse(*certificate).map_err(|e| e.to_string())?;
                Ok(Self::Renewal(Box::new(Current::of(&certificate, *answered, *line)?)))
            }
            Entitlement::Parent { line, parent, engine } => Ok(Self::Child { line, parent, engine: *engine }),
        }
    }

    /// The line above the agent, where it is not the root of one.
    const fn line(&self) -> Option<&'a Line> {
        match self {
            Self::Token(_) => None,
            Self::Renewal(current) => current.line,
            Self::Child { line, .. } => Some(line),
        }
    }
}

impl<'a> Current<'a> {
    fn of(certificate: &Certificate, answered: Option<&'a Request>, line: Option<&'a Line>) -> Result<Self, String> {
        let delegation = certificate.delegation().map_err(|e| e.to_string())?;
        // Otherwise it would renew as what it is not, a root.
        if delegation.as_ref().is_some_and(|delegation| delegation.depth > 0) != line.is_some() {
            return Err("it is below another, and the CA does not know which".into());
        }
        let names = certificate.uri_names().map_err(|e| e.to_string())?;
        let spiffe = names.into_iter().find(|name| name.starts_with(b"spiffe://"));
        Ok(Self {
            agent: certificate.agent_uri().map_err(|e| e.to_string())?,
            spiffe: spiffe.map(|name| String::from_utf8_lossy(name).into_owned()),
            spki: certificate.spki_der().to_vec(),
            // Without the extension it may do nothing, and that is what it may go on doing.
            capabilities: certificate.capabilities().map_err(|e| e.to_string())?.unwrap_or_default(),
            delegation,
            verified: certificate
                .attestation()
                .map_err(|e| e.to_string())?
                .is_some_and(|attestation| attestation.method != AttestationMethod::SelfDeclared),
            answered,
            line,
        })
    }
}

/// That the agent is of our trust domain, and the one that the credential is for.
fn check_agent(application: &Application, standing: &Standing<'_>, policy: &Policy, against: &mut Objections) {
    let (agent, ours) = (&application.agent, &policy.trust_domain);
    if agent.trust_domain() != ours {
        let detail = format!(
            "{agent} is in the trust domain {}, and this CA speaks for {ours}: ask the CA of that domain, or ask for an \
             agent://{ours}/ name",
            agent.trust_domain()
        );
        against.add(ReasonCode::TrustDomain, detail);
    }
    match standing {
        Standing::Token(token) if !token.scope.agents.matches(agent) => {
            let pattern = token.scope.agents.as_str();
            let detail = format!(
                "the enrolment token is for {pattern}, not for {agent}: ask an operator for a token that matches"
            );
            against.add(ReasonCode::AgentUri, detail);
        }
        Standing::Renewal(current) if current.agent != *agent => {
            let detail = format!(
                "the current certificate is {}'s and renews for no other agent: {agent} has to enrol with a token",
                current.agent
            );
            against.add(ReasonCode::AgentUri, detail);
        }
        _ => {}
    }
}

/// That a SPIFFE ID is wanted here (draft 4.3), that it is the agent's own name in that scheme, and for a
/// renewal the one that is there already. What an agent may be called is decided once, for both names:
/// otherwise any holder of a token could be any workload of the trust domain.
fn check_spiffe(application: &Application, standing: &Standing<'_>, policy: &Policy, against: &mut Objections) {
    let Some(spiffe) = &application.spiffe else { return };
    if !policy.spiffe {
        let detail = format!("this CA puts no SPIFFE ID into certificates: leave `{spiffe}` out");
        return against.add(ReasonCode::Spiffe, detail);
    }
    let agent = &application.agent;
    let own = agent.spiffe_id();
    if *spiffe != own {
        let detail = format!("`{spiffe}` is not the SPIFFE ID of {agent}, which is {own}: ask for that, or none");
        return against.add(ReasonCode::Spiffe, detail);
    }
    if let Standing::Renewal(current) = standing
        && current.spiffe.as_ref() != Some(spiffe)
    {
        let has = current.spiffe.as_deref().unwrap_or("none");
        let detail = format!(
            "a renewal brings no new SPIFFE ID: `{spiffe}` is asked for, and the current certificate has {has}; ask for \
             that, or enrol again with a token"
        );
        against.add(ReasonCode::Spiffe, detail);
    }
}

/// That a renewal is for the key that policy wants. A first certificate is for any key.
fn check_key(application: &Application, standing: &Standing<'_>, policy: &Policy, against: &mut Objections) {
    let Standing::Renewal(current) = standing else { return };
    let same = application.public_key.spki_der() == current.spki;
    let detail = match policy.renewal_key {
        RenewalKeyRule::New if same => {
            "a renewal has to bring a new key, and this is the current one: make a new key pair"
        }
        RenewalKeyRule::Same if !same => {
            "a renewal has to be for the key of the current certificate, and this is another: use that key, or enrol \
             again with a token"
        }
        _ => return,
    };
    against.add(ReasonCode::PublicKey, detail);
}

/// For how many seconds. A token may allow less than the CA, never more. Below a parent it is cut to what that one
/// has left, unless the application says how long: then it is held against that with the other rules.
fn validity(
    application: &Application,
    standing: &Standing<'_>,
    rule: &ValidityRule,
    now: UnixMillis,
    against: &mut Objections,
) -> u32 {
    let token = match standing {
        Standing::Token(token) => token.scope.max_validity_seconds,
        Standing::Renewal(_) | Standing::Child { .. } => None,
    };
    let left = standing.line().map(|line| u32::try_from(line.ends_by().since(now) / 1000).unwrap_or(u32::MAX));
    if let Some(left) = left.filter(|left| *left < rule.min) {
        let detail = format!(
            "the parent's certificate ends in {left} s, and this CA issues for {} s or more: the parent has to renew first",
            rule.min
        );
        against.add(ReasonCode::Validity, detail);
        return left;
    }
    let most = token.map_or(rule.max, |token| token.min(rule.max));
    let unasked = rule.default.min(most).min(left.unwrap_or(u32::MAX));
    let seconds = application.validity_seconds.unwrap_or(unasked);
    if (rule.min..=most).contains(&seconds) {
        return seconds;
    }
    let allowed = match token {
        Some(token) => format!("this CA issues for {} to {} s, and the token allows {token} s", rule.min, rule.max),
        None => format!("this CA issues for {} to {} s", rule.min, rule.max),
    };
    let detail = if most < rule.min {
        format!("{allowed}: no validity is both, so ask an operator for a token that allows {} s or more", rule.min)
    } else {
        format!("a validity of {seconds} s is out of bounds: {allowed}; ask for {} to {most} s", rule.min)
    };
    against.add(ReasonCode::Validity, detail);
    seconds
}

/// Why an operator has to look at it. A renewal was looked at when its agent enrolled.
fn holds(
    standing: &Standing<'_>,
    method: AttestationMethod,
    agent: Option<&Agent>,
    policy: &Policy,
    now: UnixMillis,
) -> Vec<HoldReason> {
    let unregistered = method == AttestationMethod::SelfDeclared;
    // The last moment of validity is one of it (RFC 5280 section 4.1.2.5).
    let exists = agent.is_some_and(|agent| agent.revoked.is_none() && now <= agent.current_not_after);
    let revoked = agent.is_some_and(|agent| agent.revoked.is_some());
    let replaces = match standing {
        Standing::Token(token) => token.scope.replaces,
        // That the parent may is seen elsewhere.
        Standing::Child { .. } => true,
        // What was verified when it enrolled is not verified any more: another build is another decision.
        Standing::Renewal(current) => {
            let held = policy.approval == ApprovalRule::Unregistered && current.verified && unregistered;
            return if held { vec![HoldReason::UnregisteredBuild] } else { Vec::new() };
        }
    };
    let all = [
        (policy.approval == ApprovalRule::Always, HoldReason::Policy),
        (policy.approval == ApprovalRule::Unregistered && unregistered, HoldReason::UnregisteredBuild),
        (exists && !replaces, HoldReason::AgentExists),
        (revoked && !replaces, HoldReason::AgentRevoked),
    ];
    all.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason).collect()
}

#[cfg(test)]
mod tests;
