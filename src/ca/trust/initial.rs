//! The initial trust score of draft 7.1 step 5: five parts that add up to at most 100.
//!
//! | part | points | of |
//! |---|---|---|
//! | attestation | selfDeclared 15, caVerified 25, thirdParty 27, hardwareBound 30 | 30 |
//! | organization | as the operator set for it | 20 |
//! | provenance | a known model family 5, a known framework 5, a version of the model that is stated 5 | 15 |
//! | code | a build that is stated 5, a registered one 15 | 15 |
//! | history | one for every whole day since the first certificate, and no more than there were certificates | 20 |
//!
//! With [`DEFAULT_REPUTATION`] an agent that says nothing of itself has 25 points (RESTRICTED), one
//! that says everything 45 (STANDARD), and one of a registered build 65 (ELEVATED). Each is five points
//! above the floor of its tier, and that margin is meant: decay begins at once and is rounded down
//! (draft 6.2), so that a score on the floor is below it, and in the lower tier, a second after it
//! was computed. At two points an hour, the default, five last through a certificate of two hours.
//!
//! History asks for days and for certificates, so that neither an agent that renews every minute nor
//! one that is asleep gains by it. It lifts no agent into ELEVATED of which nothing but its own word is
//! known: there it ends at 59 points. What is not in a table above does not count: nothing lowers the score.

use serde::{Deserialize, Serialize};

use crate::apki::attestation::AttestationMethod;
use crate::apki::trust_score::Score;
use crate::ca::record::Agent;
use crate::time::UnixMillis;

/// The most points that an organisation may have.
pub const MAX_REPUTATION: u8 = 20;
/// The points of organisations of which the operator said nothing.
pub const DEFAULT_REPUTATION: u8 = 10;

const MAX_HISTORY: u8 = 20;
/// The most that history lifts an agent to of which nothing was verified: the last point below ELEVATED.
const MAX_UNVERIFIED: u8 = 59;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// What a score is computed from, once policy has looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// On what the attestation rests.
    pub method: AttestationMethod,
    /// The points of the agent's organisation; above [`MAX_REPUTATION`] they are as many as that.
    pub reputation: u8,
    /// The family of the model is one that policy knows.
    pub known_model: bool,
    /// The framework is one that policy knows.
    pub known_framework: bool,
    /// The version of the model is stated.
    pub version_stated: bool,
    /// What is known of the code.
    pub build: Build,
    /// What is known of the agent.
    pub history: History,
}

/// What is known of an agent's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Build {
    /// Nothing.
    Unstated,
    /// The hash that the agent states.
    Stated,
    /// It is a build in the registry.
    Registered,
}

/// What is known of an agent: its certificates so far, which all came to be issued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// How many.
    pub certificates: u64,
    /// Whole days since the first.
    pub days: u64,
}

impl History {
    /// The history of this agent, as of `now`; a new one has none.
    pub fn of(agent: Option<&Agent>, now: UnixMillis) -> Self {
        agent.map_or_else(Self::default, |agent| Self {
            certificates: agent.certificates,
            days: now.since(agent.first_issued_at) / DAY_MS,
        })
    }

    fn points(self) -> u8 {
        u8::try_from(self.certificates.min(self.days)).map_or(MAX_HISTORY, |points| points.min(MAX_HISTORY))
    }
}

/// The five parts of a score, in points. They are recorded with the decision, so that anybody who
/// reads the journal can add them up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreInputs {
    /// How strong the attestation is: 0 to 30.
    pub attestation: u8,
    /// The reputation of the organisation: 0 to 20.
    pub organization: u8,
    /// Where the model and its framework come from: 0 to 15.
    pub provenance: u8,
    /// What is known of the code: 0 to 15.
    pub code: u8,
    /// What is known of the agent: 0 to 20.
    pub history: u8,
}

impl ScoreInputs {
    /// The sum, and at most 100.
    pub fn total(&self) -> Score {
        let parts = [self.attestation, self.organization, self.provenance, self.code, self.history];
        let sum = parts.into_iter().map(u16::from).sum::<u16>();
        u8::try_from(sum).ok().and_then(|sum| Score::new(sum).ok()).unwrap_or(Score::MAX)
    }
}

/// The points for these facts, by the table above.
pub fn score(facts: &Facts) -> ScoreInputs {
    let provenance = [facts.known_model, facts.known_framework, facts.version_stated];
    let mut inputs = ScoreInputs {
        attestation: match facts.method {
            AttestationMethod::SelfDeclared => 15,
            AttestationMethod::CaVerified => 25,
            AttestationMethod::ThirdParty => 27,
            AttestationMethod::HardwareBound => 30,
        },
        organization: facts.reputation.min(MAX_REPUTATION),
        provenance: provenance.into_iter().map(|known| if known { 5 } else { 0 }).sum(),
        code: match facts.build {
            Build::Unstated => 0,
            Build::Stated => 5,
            Build::Registered => 15,
        },
        history: 0,
    };
    let points = facts.history.points();
    inputs.history = match facts.method {
        AttestationMethod::SelfDeclared => points.min(MAX_UNVERIFIED.saturating_sub(inputs.total().get())),
        _ => points,
    };
    inputs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apki::trust_score::TrustTier;
    use proptest::prelude::*;

    const NOTHING: Facts = Facts {
        method: AttestationMethod::SelfDeclared,
        reputation: DEFAULT_REPUTATION,
        known_model: false,
        known_framework: false,
        version_stated: false,
        build: Build::Unstated,
        history: History { certificates: 0, days: 0 },
    };
    const EVERYTHING: Facts =
        Facts { known_model: true, known_framework: true, version_stated: true, build: Build::Stated, ..NOTHING };
    const METHODS: [AttestationMethod; 4] = [
        AttestationMethod::SelfDeclared,
        AttestationMethod::CaVerified,
        AttestationMethod::ThirdParty,
        AttestationMethod::HardwareBound,
    ];
    const BUILDS: [Build; 3] = [Build::Unstated, Build::Stated, Build::Registered];

    #[test]
    fn the_three_usual_agents_have_the_three_usual_tiers() {
        let registered = Facts { method: AttestationMethod::CaVerified, build: Build::Registered, ..EVERYTHING };
        let total = |facts: &Facts| (score(facts).total().get(), score(facts).total().tier());
        assert_eq!(total(&NOTHING), (25, TrustTier::Restricted));
        assert_eq!(total(&EVERYTHING), (45, TrustTier::Standard));
        assert_eq!(total(&registered), (65, TrustTier::Elevated));
    }

    #[test]
    fn the_best_of_everything_is_100() {
        let history = History { certificates: u64::MAX, days: u64::MAX };
        let best = Facts {
            method: AttestationMethod::HardwareBound,
            reputation: u8::MAX,
            build: Build::Registered,
            history,
            ..EVERYTHING
        };
        let inputs = ScoreInputs { attestation: 30, organization: 20, provenance: 15, code: 15, history: 20 };
        assert_eq!(score(&best), inputs);
        assert_eq!(inputs.total(), Score::MAX);
        // Whatever a journal may say, it is a score.
        let damaged = ScoreInputs { attestation: 255, organization: 255, provenance: 255, code: 255, history: 255 };
        assert_eq!(damaged.total(), Score::MAX);
    }

    #[test]
    fn history_asks_for_days_and_for_certificates() {
        let points = |certificates, days| History { certificates, days }.points();
        assert_eq!((points(0, 0), points(10_000, 0), points(1, 400)), (0, 0, 1));
        assert_eq!((points(3, 5), points(300, 19), points(300, 21), points(256, 256)), (3, 19, 20, 20));
    }

    fn facts() -> impl Strategy<Value = Facts> {
        let history = (prop_oneof![0..30u64, any::<u64>()], prop_oneof![0..30u64, any::<u64>()]);
        let method = prop::sample::select(&METHODS[..]);
        let build = prop::sample::select(&BUILDS[..]);
        (method, any::<u8>(), any::<[bool; 3]>(), build, history).prop_map(
            |(method, reputation, [known_model, known_framework, version_stated], build, (certificates, days))| Facts {
                method,
                reputation,
                known_model,
                known_framework,
                version_stated,
                build,
                history: History { certificates, days },
            },
        )
    }

    /// The same facts with one of them better, or as good.
    fn better(of: Facts, which: u8, other: Facts) -> Facts {
        match which {
            0 => Facts { method: of.method.max(other.method), ..of },
            1 => Facts { reputation: of.reputation.max(other.reputation), ..of },
            2 => Facts { known_model: true, ..of },
            3 => Facts { known_framework: true, ..of },
            4 => Facts { version_stated: true, ..of },
            5 => Facts { build: of.build.max(other.build), ..of },
            6 => {
                let certificates = of.history.certificates.max(other.history.certificates);
                Facts { history: History { certificates, ..of.history }, ..of }
            }
            _ => Facts { history: History { days: of.history.days.max(other.history.days), ..of.history }, ..of },
        }
    }

    proptest! {
        #[test]
        fn every_part_is_within_its_bounds_and_they_add_up(facts in facts()) {
            let inputs = score(&facts);
            prop_assert!((15..=30).contains(&inputs.attestation));
            prop_assert!(inputs.organization <= 20 && inputs.provenance <= 15);
            prop_assert!(inputs.code <= 15 && inputs.history <= 20);
            let sum = inputs.attestation + inputs.organization + inputs.provenance + inputs.code + inputs.history;
            prop_assert_eq!(inputs.total().get(), sum);
            let json = serde_json::to_string(&inputs).unwrap();
            prop_assert_eq!(serde_json::from_str::<ScoreInputs>(&json).unwrap(), inputs);
        }

        #[test]
        fn nothing_good_lowers_it(of in facts(), other in facts(), which in 0..8u8) {
            prop_assert!(score(&better(of, which, other)).total() >= score(&of).total());
        }
    }
}
