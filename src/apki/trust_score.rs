//! AgentTrustScore (draft 5.2): how far an agent is trusted, as of a moment.

use der::asn1::{GeneralizedTime, ObjectIdentifier, Utf8StringRef};
use der::{Encode, Enumerated, Sequence};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::extension::{AgentExtension, ExtensionError, Text, ValueError, decode_strict, ranged};
use super::moment::Moment;
use super::oid;
use crate::time::UnixMillis;

/// How far the clocks of two parties may be apart.
const CLOCK_SKEW_MS: u64 = 60_000;
const HOUR_MS: u64 = 3_600_000;

/// A trust score, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(u8);

impl Score {
    /// The highest score.
    pub const MAX: Self = Self(100);

    /// `score`, where it is at most 100.
    pub fn new(score: u8) -> Result<Self, ValueError> {
        Self::from_integer(i64::from(score))
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The tier that this score is in (draft 6.1).
    pub const fn tier(self) -> TrustTier {
        match self.0 {
            0..=19 => TrustTier::Untrusted,
            20..=39 => TrustTier::Restricted,
            40..=59 => TrustTier::Standard,
            60..=79 => TrustTier::Elevated,
            _ => TrustTier::Full,
        }
    }

    pub(super) fn from_integer(value: i64) -> Result<Self, ValueError> {
        ranged(value, 0, 100).map(Self)
    }
}

/// What a score entitles to (draft 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumerated, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum TrustTier {
    /// 0 to 19
    Untrusted = 0,
    /// 20 to 39
    Restricted = 1,
    /// 40 to 59
    Standard = 2,
    /// 60 to 79
    Elevated = 3,
    /// 80 to 100
    Full = 4,
}

impl TrustTier {
    /// The lowest score of the tier (draft 6.1).
    pub const fn floor(self) -> Score {
        Score(match self {
            Self::Untrusted => 0,
            Self::Restricted => 20,
            Self::Standard => 40,
            Self::Elevated => 60,
            Self::Full => 80,
        })
    }

    /// Its name in the ASN.1 module.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Restricted => "restricted",
            Self::Standard => "standard",
            Self::Elevated => "elevated",
            Self::Full => "full",
        }
    }
}

/// How many points a score loses in an hour, 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecayRate(u8);

impl DecayRate {
    /// `points` an hour, where they are at most 100.
    pub fn new(points: u8) -> Result<Self, ValueError> {
        ranged(i64::from(points), 0, 100).map(Self)
    }

    /// Points an hour.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// The extension. The trustTier is that of the score and therefore not a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustScore {
    /// The score at `last_updated`.
    pub score: Score,
    /// How fast it fades.
    pub decay_rate: DecayRate,
    /// When it was computed.
    pub last_updated: Moment,
    /// How it was computed, in the CA's words.
    pub computation_method: Option<Text>,
}

/// A score of the future: its certificate is malformed (protocol section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("lastUpdated is {0} ms ahead, more than the 60 s that clocks may differ")]
pub struct ScoreAhead(pub u64);

impl TrustScore {
    /// What is left of the score at `now` (draft 6.2): its decay in exact hours, rounded down. It is
    /// never above the score; up to 60 s ahead counts as no time (R1).
    ///
    /// # Errors
    /// [`ScoreAhead`] where `lastUpdated` is further ahead.
    pub fn effective(&self, now: UnixMillis) -> Result<Score, ScoreAhead> {
        let updated = self.last_updated.millis();
        let ahead = updated.since(now);
        if ahead > CLOCK_SKEW_MS {
            return Err(ScoreAhead(ahead));
        }
        let lost = u128::from(self.decay_rate.0) * u128::from(now.since(updated));
        let lost = u8::try_from(lost.div_ceil(u128::from(HOUR_MS))).unwrap_or(u8::MAX);
        Ok(Score(self.score.0.saturating_sub(lost)))
    }

    /// The first moment at which the effective score is below `score`; `None` where it never is.
    pub fn falls_below(&self, score: Score) -> Option<UnixMillis> {
        let updated = self.last_updated.millis();
        let Some(margin) = self.score.0.checked_sub(score.0) else { return Some(updated) };
        if self.decay_rate.0 == 0 || score.0 == 0 {
            return None;
        }
        Some(updated.saturating_add(u64::from(margin) * HOUR_MS / u64::from(self.decay_rate.0) + 1))
    }
}

#[derive(Sequence)]
struct AgentTrustScore<'a> {
    score: i64,
    trust_tier: TrustTier,
    decay_rate: i64,
    last_updated: GeneralizedTime,
    #[asn1(optional = "true")]
    computation_method: Option<Utf8StringRef<'a>>,
}

impl AgentExtension for TrustScore {
    const OID: ObjectIdentifier = oid::AGENT_TRUST_SCORE;

    fn from_der(der: &[u8]) -> Result<Self, ExtensionError> {
        let raw: AgentTrustScore<'_> = decode_strict(der)?;
        let score = Score::from_integer(raw.score).map_err(|e| e.of("score"))?;
        if raw.trust_tier != score.tier() {
            return Err(ExtensionError::Tier { score: score.get(), tier: raw.trust_tier.name() });
        }
        let method = raw.computation_method.map(Text::new).transpose();
        Ok(Self {
            score,
            decay_rate: ranged(raw.decay_rate, 0, 100).map(DecayRate).map_err(|e| e.of("decayRate"))?,
            last_updated: raw.last_updated.into(),
            computation_method: method.map_err(|e| e.of("computationMethod"))?,
        })
    }

    fn to_der(&self) -> Result<Vec<u8>, ExtensionError> {
        let method = self.computation_method.as_ref().map(|text| Utf8StringRef::new(text.as_str())).transpose()?;
        let raw = AgentTrustScore {
            score: self.score.get().into(),
            trust_tier: self.score.tier(),
            decay_rate: self.decay_rate.get().into(),
            last_updated: self.last_updated.into(),
            computation_method: method,
        };
        Ok(raw.to_der()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_score_falls_below_at_the_moment_that_is_named(score in 0u8..=100, rate in 0u8..=100, below in 0u8..=100) {
            let last_updated = Moment::floor(UnixMillis::new(1_775_822_400_000)).unwrap();
            let [score, below] = [score, below].map(|n| Score::new(n).unwrap());
            let trust = TrustScore { score, decay_rate: DecayRate(rate), last_updated, computation_method: None };
            match trust.falls_below(below) {
                None => prop_assert!(trust.effective(UnixMillis::new(u64::MAX)).unwrap() >= below),
                Some(at) => {
                    prop_assert!(trust.effective(at).unwrap() < below);
                    let before = at.saturating_sub(1);
                    prop_assert!(at == last_updated.millis() || trust.effective(before).unwrap() >= below);
                }
            }
        }
    }

    #[test]
    fn tiers_begin_at_their_floor() {
        for n in 0..=100 {
            let score = Score(n);
            assert!(score >= score.tier().floor() && score.tier().floor().tier() == score.tier());
        }
    }
}
