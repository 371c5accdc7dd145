//! Which score a certificate gets (draft 7.1 step 5, 9.1 rule 2): what the evidence is worth, or what the trust
//! engine says, and below a parent no more than that one has.

use super::{Objections, Standing};
use crate::apki::attestation::AttestationMethod;
use crate::apki::trust_score::Score;
use crate::ca::policy::Policy;
use crate::ca::record::ReasonCode;
use crate::ca::request::EngineScore;
use crate::ca::trust::initial::ScoreInputs;
use crate::time::UnixMillis;

/// What is known of how far the agent itself is to be trusted.
pub(super) struct Worth<'a> {
    /// What the evidence is worth.
    pub(super) inputs: &'a ScoreInputs,
    /// On what the attestation rests.
    pub(super) method: AttestationMethod,
    /// What the trust engine says.
    pub(super) engine: Option<EngineScore>,
}

/// The score, held against the least that policy issues for.
pub(super) fn decide(
    worth: &Worth<'_>,
    standing: &Standing<'_>,
    policy: &Policy,
    now: UnixMillis,
    against: &mut Objections,
) -> Score {
    let own = worth.engine.map_or_else(|| worth.inputs.total(), |engine| engine.score);
    if own < policy.min_score {
        against.add(ReasonCode::Score, too_low(worth, policy));
        return own;
    }
    let Some(line) = standing.line() else { return own };
    // Without one, that there is none is the objection, and it comes with the other rules.
    let most = line.most(now).unwrap_or(own);
    let most = match standing {
        Standing::Child { engine: Some(engine), .. } => most.min(engine.score),
        _ => most,
    };
    if most < policy.min_score {
        let detail = format!(
            "below {} a score is {} at most by now, and this CA issues from {} on: the parent has to renew first, or to \
             be trusted more",
            line.parent_uri(),
            most.get(),
            policy.min_score.get()
        );
        against.add(ReasonCode::Score, detail);
    }
    own.min(most)
}

fn too_low(worth: &Worth<'_>, policy: &Policy) -> String {
    let least = policy.min_score.get();
    if let Some(engine) = worth.engine {
        let score = engine.score.get();
        return format!("the trust engine has the agent's score at {score}, and this CA issues from {least} on");
    }
    let ScoreInputs { attestation, organization, provenance, code, history } = worth.inputs;
    format!(
        "the score is {}, and this CA issues from {least} on: attestation {attestation} of 30 ({}), organization \
         {organization} of 20, provenance {provenance} of 15, code {code} of 15, history {history} of 20; name model, \
         version, framework and build in the evidence, or have the build registered",
        worth.inputs.total().get(),
        worth.method.name(),
    )
}
