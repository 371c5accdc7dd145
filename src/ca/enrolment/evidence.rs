//! What is to be made of an agent's evidence (draft 5.5, 5.6, 7.1 step 5).

use super::Objections;
use crate::apki::attestation::AttestationMethod;
use crate::apki::provenance::MAX_EVIDENCE;
use crate::ca::application::{Application, Evidence};
use crate::ca::policy::Policy;
use crate::ca::record::{Agent, ReasonCode};
use crate::ca::trust::initial::{Build, Facts, History, ScoreInputs, score};
use crate::time::UnixMillis;

/// On what the attestation rests, and the parts of the score. What is missing scores less; policy may
/// want it all the same.
pub(super) fn weigh(
    application: &Application,
    agent: Option<&Agent>,
    policy: &Policy,
    now: UnixMillis,
) -> (AttestationMethod, ScoreInputs) {
    let evidence = application.evidence.as_ref();
    let build = match evidence.and_then(|evidence| evidence.build_hash) {
        None => Build::Unstated,
        Some(hash) if policy.registry.find(&hash, &application.agent, now).is_some() => Build::Registered,
        Some(_) => Build::Stated,
    };
    let method = match build {
        Build::Registered => AttestationMethod::CaVerified,
        Build::Unstated | Build::Stated => AttestationMethod::SelfDeclared,
    };
    let (models, frameworks) = (&policy.provenance.models, &policy.provenance.frameworks);
    let reputation = policy.reputations.get(application.agent.org()).copied();
    let facts = Facts {
        method,
        reputation: reputation.unwrap_or(policy.default_reputation),
        known_model: evidence.is_some_and(|e| is_known(models, e.model_family.as_str())),
        known_framework: evidence.is_some_and(|e| is_known(frameworks, e.framework.as_str())),
        version_stated: evidence.is_some_and(|e| !e.model_version.as_str().is_empty()),
        build,
        history: History::of(agent, now),
    };
    (method, score(&facts))
}

/// What policy wants of the evidence, and what fits a certificate.
pub(super) fn check(evidence: Option<&Evidence>, policy: &Policy, against: &mut Objections) {
    let Some(evidence) = evidence else {
        if policy.provenance.required {
            let detail = "there is no evidence: say from which model, framework and organization the agent is built";
            against.add(ReasonCode::Provenance, detail);
        }
        return;
    };
    if let Some(octets) = evidence.attestation.as_ref().map(|octets| octets.0.len()).filter(|n| *n > MAX_EVIDENCE) {
        let detail = format!("the attestation has {octets} octets, and a certificate takes {MAX_EVIDENCE}: send less");
        against.add(ReasonCode::Provenance, detail);
    }
    if !policy.provenance.required {
        return;
    }
    let named = [
        ("model family", &evidence.model_family, &policy.provenance.models),
        ("framework", &evidence.framework, &policy.provenance.frameworks),
    ];
    for (what, found, list) in named {
        let found = found.as_str();
        if is_known(list, found) {
            continue;
        }
        let detail = match (found.is_empty(), list.is_empty()) {
            (true, true) => format!("the evidence names no {what}: say which it is"),
            (true, false) => format!("the evidence names no {what}: this CA knows {}", list.join(", ")),
            _ => format!(
                "the {what} `{found}` is not one that this CA knows, which are {}: use one of them, or ask an operator to \
                 list it",
                list.join(", ")
            ),
        };
        against.add(ReasonCode::Provenance, detail);
    }
}

/// Whether this is on the list. An empty list knows everything that has a name.
fn is_known(list: &[String], name: &str) -> bool {
    !name.is_empty() && (list.is_empty() || list.iter().any(|known| known == name))
}
