//! The registration authority: who may have which certificate (draft 7.1 step 4, 7.2, protocol
//! section 6). It decides and never signs.
//!
//! [`assess`] says everything that speaks against an application at once, so that whoever asks does
//! not learn of it piece by piece. A renewal has what its certificate has, or less: its agent, its
//! SPIFFE ID, its capabilities and its place in a line of delegation. Only its score is computed
//! anew, from the evidence that comes with it (draft 7.3).

mod evidence;
mod rights;

use super::application::Application;
use super::policy::{ApprovalRule, Policy, RenewalKeyRule, ValidityRule};
use super::record::{Agent, Reason, ReasonCode, Refusals};
use super::request::{Assessment, Grant, HoldReason, Request};
use super::token::Token;
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
    },
}

/// Judges an application at the moment `now`. `agent` is what the CA keeps of the agent that the
/// application, or for a renewal the current certificate, is for.
pub fn assess(
    application: &Application,
    entitlement: &Entitlement<'_>,
    agent: Option<&Agent>,
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
    check_spiffe(application, &standing, policy, &mut against);
    check_key(application, &standing, policy, &mut against);
    let capabilities = rights::capabilities(application, &standing, policy, &mut against);
    let validity_seconds = validity(application, &standing, &policy.validity, &mut against);
    let delegation = rights::delegation(application, &standing, policy, &mut against);
    let (method, inputs) = evidence::weigh(application, agent, policy, now, &mut against);
    if !against.0.is_empty() {
        return Assessment::Refused(Refusals(against.0));
    }
    let score = inputs.total();
    let grant = Grant {
        capabilities,
        validity_seconds,
        score,
        inputs,
        scored_at: now,
        method,
        delegation,
        parent: None,
        ends_by: None,
        engine: None,
    };
    match holds(&standing, method, agent, policy, now) {
        none if none.is_empty() => Assessment::Granted(grant),
        reasons => Assessment::Held(grant, reasons),
    }
}

/// What speaks against an application, in the order found.
#[derive(Debug, Default)]
struct Objections(Vec<Reason>);

impl Objections {
    /// One more. What a stranger wrote is quoted in it, and must not move the reader's terminal.
    fn add(&mut self, code: ReasonCode, detail: impl AsRef<str>) {
        let mut fit = String::with_capacity(detail.as_ref().len());
        for c in detail.as_ref().chars() {
            match c {
                ' '..='~' => fit.push(c),
                c if c.is_alphanumeric() => fit.push(c),
                other => fit.extend(other.escape_unicode()),
            }
        }
        self.0.push(Reason { code, rule: None, detail: fit });
    }
}

/// An entitlement, read.
enum Standing<'a> {
    Token(&'a Token),
    Renewal(Box<Current<'a>>),
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
}

impl<'a> Standing<'a> {
    fn of(entitlement: &Entitlement<'a>) -> Result<Self, String> {
        match entitlement {
            Entitlement::Token(token) => Ok(Self::Token(token)),
            Entitlement::Certificate { certificate, answered } => {
                let certificate = Certificate::parse(*certificate).map_err(|e| e.to_string())?;
                Ok(Self::Renewal(Box::new(Current::of(&certificate, *answered)?)))
            }
        }
    }
}

impl<'a> Current<'a> {
    fn of(certificate: &Certificate, answered: Option<&'a Request>) -> Result<Self, String> {
        let names = certificate.uri_names().map_err(|e| e.to_string())?;
        let spiffe = names.into_iter().find(|name| name.starts_with(b"spiffe://"));
        Ok(Self {
            agent: certificate.agent_uri().map_err(|e| e.to_string())?,
            spiffe: spiffe.map(|name| String::from_utf8_lossy(name).into_owned()),
            spki: certificate.spki_der().to_vec(),
            // Without the extension it may do nothing, and that is what it may go on doing.
            capabilities: certificate.capabilities().map_err(|e| e.to_string())?.unwrap_or_default(),
            delegation: certificate.delegation().map_err(|e| e.to_string())?,
            verified: certificate
                .attestation()
                .map_err(|e| e.to_string())?
                .is_some_and(|attestation| attestation.method != AttestationMethod::SelfDeclared),
            answered,
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

/// For how many seconds. A token may allow less than the CA, never more.
fn validity(application: &Application, standing: &Standing<'_>, rule: &ValidityRule, against: &mut Objections) -> u32 {
    let token = match standing {
        Standing::Token(token) => token.scope.max_validity_seconds,
        Standing::Renewal(_) => None,
    };
    let most = token.map_or(rule.max, |token| token.min(rule.max));
    let seconds = application.validity_seconds.unwrap_or(rule.default.min(most));
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
    let token = match standing {
        Standing::Token(token) => token,
        // What was verified when it enrolled is not verified any more: another build is another decision.
        Standing::Renewal(current) => {
            let fell = current.verified && method == AttestationMethod::SelfDeclared;
            let held = policy.approval == ApprovalRule::Unregistered && fell;
            return if held { vec![HoldReason::UnregisteredBuild] } else { Vec::new() };
        }
    };
    // The last moment of validity is one of it (RFC 5280 section 4.1.2.5).
    let exists = agent.is_some_and(|agent| now <= agent.current_not_after);
    let unregistered = method == AttestationMethod::SelfDeclared;
    let all = [
        (policy.approval == ApprovalRule::Always, HoldReason::Policy),
        (policy.approval == ApprovalRule::Unregistered && unregistered, HoldReason::UnregisteredBuild),
        (exists && !token.scope.replaces, HoldReason::AgentExists),
    ];
    all.into_iter().filter(|(holds, _)| *holds).map(|(_, reason)| reason).collect()
}

#[cfg(test)]
mod tests;
