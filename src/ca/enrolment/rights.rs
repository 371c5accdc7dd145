//! What a certificate lets its agent do, and how far that may be handed on.

use sha2::{Digest, Sha256};

use super::{Current, Objections, Standing};
use crate::apki::attenuation::{Mode, capabilities_within};
use crate::apki::capabilities::Capabilities;
use crate::apki::delegation::Delegation;
use crate::apki::extension::Text;
use crate::ca::application::{Application, DelegationTerms, Principal};
use crate::ca::policy::{Policy, PrincipalRule};
use crate::ca::record::ReasonCode;

/// The capabilities asked for, or those of the credential, held against every ceiling there is.
pub(super) fn capabilities(
    application: &Application,
    standing: &Standing<'_>,
    policy: &Policy,
    against: &mut Objections,
) -> Capabilities {
    let (own, whose, remedy) = match standing {
        Standing::Token(token) => (
            token.scope.capabilities.as_ref(),
            "what the enrolment token allows",
            "ask for less, or an operator for a token that allows it",
        ),
        Standing::Renewal(current) => (
            Some(&current.capabilities),
            "the current certificate's capabilities",
            "a renewal never has more: ask for less, or enrol again with a token",
        ),
        // What the parent has is held against them with the other rules of attenuation.
        Standing::Child { .. } => (None, "", ""),
    };
    let unasked = match standing {
        Standing::Child { line, .. } if policy.delegation.mode == Mode::Subset => {
            line.parent.party.capabilities.as_ref()
        }
        _ => own,
    };
    let Some(asked) = application.capabilities.as_ref().or(unasked) else {
        let detail = match standing {
            Standing::Child { .. } => {
                "a child has less than its parent, so the application has to say what: name the tools that it is to call; \
                 an empty list is for none"
            }
            _ => {
                "the enrolment token names no capabilities, so the application has to: say which tools the agent is to \
                 call; an empty list is for none"
            }
        };
        against.add(ReasonCode::Capability, detail);
        return Capabilities::default();
    };
    let ceilings = [(own, whose, remedy), (policy.ceiling.as_ref(), "what this CA allows any agent", "ask for less")];
    for (ceiling, whose, remedy) in ceilings {
        let Some(ceiling) = ceiling else { continue };
        for (index, violation) in capabilities_within(ceiling, asked) {
            let Some(capability) = asked.as_slice().get(index) else { continue };
            // Half a limit per period does not cover itself (R3), but to keep what one has is not more.
            if ceiling.as_slice().contains(capability) {
                continue;
            }
            let (tool, scope) = (capability.tool_uri.as_str(), capability.scope.as_str());
            let code = violation.code();
            let detail = format!(
                "capability {index}, tool `{tool}` in scope `{scope}`, is not within {whose} ({code}): {violation}; {remedy}"
            );
            against.add(ReasonCode::Capability, detail);
        }
    }
    asked.clone()
}

/// Where the agent stands in its line of delegation.
pub(super) fn delegation(
    application: &Application,
    standing: &Standing<'_>,
    policy: &Policy,
    against: &mut Objections,
) -> Option<Delegation> {
    let (principal, terms) = (application.principal.as_ref(), application.terms.as_ref());
    match standing {
        Standing::Token(_) => {
            if terms.is_some() {
                let detail = "how far an agent hands on that enrols with a token is said with its principal: leave the \
                              terms of a delegation out";
                against.add(ReasonCode::Principal, detail);
            }
            principal.map(|principal| root(principal, policy, against))
        }
        Standing::Child { line, .. } => {
            if principal.is_some() {
                let detail = "the human who answers for a child is the one who answers for its parent: leave the principal \
                              out";
                against.add(ReasonCode::Principal, detail);
            }
            line.child(terms.unwrap_or(&DelegationTerms::default()))
        }
        Standing::Renewal(current) => renewed(application, current, policy, against),
    }
}

/// A renewal keeps the principal, the terms and the place; below a parent the place is below its current
/// certificate, and goes no deeper than that one allows by now.
fn renewed(
    application: &Application,
    current: &Current<'_>,
    policy: &Policy,
    against: &mut Objections,
) -> Option<Delegation> {
    let other = |principal: &&Principal| !is_as_before(principal, current, policy);
    if let Some(principal) = application.principal.as_ref().filter(other) {
        let detail = format!(
            "a renewal keeps the principal of the current certificate, and `{}` with these rules is another: leave it out, \
             or enrol again with a token",
            principal.human.as_str()
        );
        against.add(ReasonCode::Principal, detail);
    }
    let own = current.delegation.as_ref();
    let kept = |terms: &&DelegationTerms| {
        own.is_some_and(|own| terms.rules == own.rules && terms.max_depth.is_none_or(|depth| depth == own.max_depth))
    };
    if application.terms.as_ref().is_some_and(|terms| !kept(&terms)) {
        let detail = "a renewal keeps the terms that the parent set, and these are others: leave them out, or have the \
                      parent delegate anew";
        against.add(ReasonCode::Principal, detail);
    }
    let (Some(line), Some(own)) = (current.line, own) else { return current.delegation.clone() };
    let most = line.parent.party.delegation.as_ref().map_or(own.max_depth, |above| above.max_depth);
    line.child(&DelegationTerms { max_depth: Some(own.max_depth.min(most)), rules: own.rules.clone() })
}

/// What stands in front of a hashed name (protocol section 6).
const HASHED: &str = "sha256:";

/// The root of a line: no parent, and a human who answers for it (protocol section 6).
fn root(principal: &Principal, policy: &Policy, against: &mut Objections) -> Delegation {
    let most = policy.max_delegation_depth;
    let max_depth = principal.max_depth.unwrap_or(most);
    if max_depth > most {
        let detail =
            format!("{max_depth} delegations are asked for, and this CA allows {most}: ask for {most} or fewer");
        against.add(ReasonCode::Principal, detail);
    }
    if !principal.rules.capabilities_subset {
        let detail = "capabilities_subset is false, and no delegation may grow: leave it out, or make it true";
        against.add(ReasonCode::Principal, detail);
    }
    if principal.human.as_str().is_empty() {
        let detail = "the principal has no name: say which human answers for the agent, or leave the principal out";
        against.add(ReasonCode::Principal, detail);
    }
    if principal.human.as_str().starts_with(HASHED) {
        let detail = "a name that starts with `sha256:` would be taken for a hashed one: write the name itself";
        against.add(ReasonCode::Principal, detail);
    }
    Delegation {
        parent_cert_hash: [0; 32],
        depth: 0,
        max_depth,
        rules: principal.rules.clone(),
        human_principal: named(&principal.human, &policy.principal),
    }
}

/// The human, as certificates name them (draft 11.4).
fn named(human: &Text, rule: &PrincipalRule) -> Option<Text> {
    match rule {
        PrincipalRule::Plain => Some(human.clone()),
        PrincipalRule::Hashed { salt } => {
            let hash = Sha256::new().chain_update(salt).chain_update(human.as_str()).finalize();
            // 71 octets are a Text; nothing else can come out, and a certificate without is refused later.
            Text::new(format!("{HASHED}{}", hex::encode(hash))).ok()
        }
    }
}

/// Whether a principal changes nothing: it is that of the request that the certificate answered, or
/// says what the certificate says.
fn is_as_before(principal: &Principal, current: &Current<'_>, policy: &Policy) -> bool {
    let repeated = current.answered.and_then(|request| request.application.principal.as_ref()) == Some(principal);
    let same = current.delegation.as_ref().is_some_and(|delegation| {
        delegation.human_principal == named(&principal.human, &policy.principal)
            && delegation.rules == principal.rules
            && principal.max_depth.is_none_or(|max_depth| max_depth == delegation.max_depth)
    });
    repeated || same
}
