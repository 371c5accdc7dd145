//! Scores of one domain in the measure of another (draft 10.3).
//!
//! A mapping is applied to the score that is left after decay, and before the local minimum: first its
//! table, then its offset, then its cap, each within 0 to 100. It is rising or level everywhere, so that
//! of two agents the one with more points never ends up with fewer; and it gives nobody more points than
//! the certificate has, unless it says `allow_raise`.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::apki::trust_score::{Score, TrustTier};

/// Most steps of a table: one for each score.
const MAX_STEPS: usize = 101;
/// The highest and the lowest offset.
const MAX_OFFSET: i16 = 100;

/// Why numbers are no mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MappingError {
    /// An offset beyond the range of scores.
    #[error("the offset {0} is not within -100 to 100")]
    Offset(i16),
    /// More steps than there are scores.
    #[error("a table has at most {MAX_STEPS} steps, and this one has {0}")]
    TooManySteps(usize),
    /// Steps out of order.
    #[error("the step from {from} must stand after one from a lower score, and must not lead to fewer points than it")]
    Order {
        /// Where the step begins.
        from: u8,
    },
    /// It would give points that the certificate does not have.
    #[error("it turns {from} points into {to}: a mapping that raises scores must say so (`allow_raise`)")]
    Raises {
        /// The lowest score that is raised.
        from: u8,
        /// What it would become.
        to: u8,
    },
}

/// From this many points on, a score counts as so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The least points that it is for.
    pub from: Score,
    /// What they count as.
    pub to: Score,
}

/// The numbers of a mapping, as they stand in a file. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Numbers {
    /// Steps, lowest first; a score below the first counts as 0. Without steps scores stay as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub table: Vec<Step>,
    /// Points to add, -100 to 100.
    pub offset: i16,
    /// The most that any score counts as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<Score>,
    /// Whether a score may become higher than it is.
    pub allow_raise: bool,
}

/// A mapping that was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Numbers", into = "Numbers")]
pub struct ScoreMapping(Numbers);

impl ScoreMapping {
    /// The mapping of these numbers.
    ///
    /// # Errors
    /// [`MappingError`] where they are out of range or order, or raise a score without saying so.
    pub fn new(numbers: Numbers) -> Result<Self, MappingError> {
        if !(-MAX_OFFSET..=MAX_OFFSET).contains(&numbers.offset) {
            return Err(MappingError::Offset(numbers.offset));
        }
        if numbers.table.len() > MAX_STEPS {
            return Err(MappingError::TooManySteps(numbers.table.len()));
        }
        for (lower, step) in numbers.table.iter().zip(numbers.table.iter().skip(1)) {
            if step.from <= lower.from || step.to < lower.to {
                return Err(MappingError::Order { from: step.from.get() });
            }
        }
        let mapping = Self(numbers);
        let raised = (0..=Score::MAX.get()).map(|from| (from, mapping.points(from))).find(|(from, to)| to > from);
        match raised {
            Some((from, to)) if !mapping.0.allow_raise => Err(MappingError::Raises { from, to }),
            _ => Ok(mapping),
        }
    }

    /// What `score` counts as.
    pub fn apply(&self, score: Score) -> Score {
        // What `points` says is a score; were it none, nobody would gain by it.
        Score::new(self.points(score.get())).unwrap_or(TrustTier::Untrusted.floor())
    }

    /// The numbers.
    pub const fn numbers(&self) -> &Numbers {
        &self.0
    }

    /// Whether every score stays as it is.
    pub fn is_identity(&self) -> bool {
        (0..=Score::MAX.get()).all(|score| self.points(score) == score)
    }

    fn points(&self, score: u8) -> u8 {
        let Numbers { table, offset, cap, .. } = &self.0;
        let reached = table.iter().rev().find(|step| step.from.get() <= score);
        let stepped = match reached {
            Some(step) => step.to.get(),
            None if table.is_empty() => score,
            None => 0,
        };
        let moved = (i16::from(stepped) + offset).clamp(0, i16::from(Score::MAX.get()));
        let most = cap.unwrap_or(Score::MAX).get();
        u8::try_from(moved).unwrap_or(0).min(most)
    }
}

impl TryFrom<Numbers> for ScoreMapping {
    type Error = MappingError;

    fn try_from(numbers: Numbers) -> Result<Self, MappingError> {
        Self::new(numbers)
    }
}

impl From<ScoreMapping> for Numbers {
    fn from(mapping: ScoreMapping) -> Self {
        mapping.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn score(points: u8) -> Score {
        Score::new(points).unwrap()
    }

    fn table(steps: &[(u8, u8)]) -> Vec<Step> {
        steps.iter().map(|(from, to)| Step { from: score(*from), to: score(*to) }).collect()
    }

    #[test]
    fn table_then_offset_then_cap() {
        let numbers = Numbers {
            table: table(&[(40, 40), (60, 55), (80, 78)]),
            offset: -10,
            cap: Some(score(60)),
            ..Numbers::default()
        };
        let mapping = ScoreMapping::new(numbers).unwrap();
        for (from, to) in [(0, 0), (39, 0), (40, 30), (59, 30), (60, 45), (79, 45), (80, 60), (100, 60)] {
            assert_eq!(mapping.apply(score(from)).get(), to, "{from}");
        }
        assert!(!mapping.is_identity() && ScoreMapping::default().is_identity());
        // The draft's example: ten points less trustworthy.
        let less = ScoreMapping::new(Numbers { offset: -10, ..Numbers::default() }).unwrap();
        assert_eq!([5, 10, 70].map(|points| less.apply(score(points)).get()), [0, 0, 60]);
    }

    #[test]
    fn who_raises_must_say_so() {
        let raising = [
            (Numbers { offset: 1, ..Numbers::default() }, MappingError::Raises { from: 0, to: 1 }),
            (Numbers { table: table(&[(40, 41)]), ..Numbers::default() }, MappingError::Raises { from: 40, to: 41 }),
            (
                Numbers { table: table(&[(50, 30)]), offset: 21, ..Numbers::default() },
                MappingError::Raises { from: 0, to: 21 },
            ),
        ];
        for (numbers, error) in raising {
            assert_eq!(ScoreMapping::new(numbers.clone()), Err(error));
            assert!(ScoreMapping::new(Numbers { allow_raise: true, ..numbers }).is_ok());
        }
        // An offset up that never gets anybody above where they were is no raise.
        let level = Numbers { offset: 100, cap: Some(score(0)), ..Numbers::default() };
        assert!(ScoreMapping::new(level).is_ok());
    }

    #[test]
    fn what_is_out_of_range_or_order_is_refused() {
        let with_table = |steps: &[(u8, u8)]| Numbers { table: table(steps), ..Numbers::default() };
        for (numbers, error) in [
            (Numbers { offset: -101, ..Numbers::default() }, MappingError::Offset(-101)),
            (Numbers { offset: i16::MAX, ..Numbers::default() }, MappingError::Offset(i16::MAX)),
            (with_table(&[(40, 10), (40, 20)]), MappingError::Order { from: 40 }),
            (with_table(&[(40, 10), (39, 20)]), MappingError::Order { from: 39 }),
            (with_table(&[(40, 20), (50, 19)]), MappingError::Order { from: 50 }),
            (with_table(&[(1, 1); 102]), MappingError::TooManySteps(102)),
        ] {
            assert_eq!(ScoreMapping::new(numbers), Err(error));
        }
        let read = |text: &str| serde_json::from_str::<ScoreMapping>(text);
        assert_eq!(read("{}").unwrap(), ScoreMapping::default());
        let mapping = read(r#"{"table":[{"from":40,"to":30}],"offset":-5,"cap":20}"#).unwrap();
        assert_eq!(read(&serde_json::to_string(&mapping).unwrap()).unwrap(), mapping);
        for wrong in [
            r#"{"offset":1}"#,
            r#"{"offset":-101}"#,
            r#"{"cap":101}"#,
            r#"{"ceiling":1}"#,
            r#"{"offset":-1.5}"#,
            r#"{"table":[{"from":40}]}"#,
            r#"{"table":[{"from":40,"to":30,"x":1}]}"#,
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    fn any_numbers() -> impl Strategy<Value = Numbers> {
        let steps = prop::collection::btree_map(0u8..=100, 0u8..=100, 0..8);
        (steps, -120i16..=120, prop::option::of(0u8..=100), any::<bool>()).prop_map(
            |(steps, offset, cap, allow_raise)| {
                let mut to: Vec<u8> = steps.values().copied().collect();
                to.sort_unstable();
                let table = steps.keys().zip(to).map(|(from, to)| Step { from: score(*from), to: score(to) }).collect();
                Numbers { table, offset, cap: cap.map(score), allow_raise }
            },
        )
    }

    proptest! {
        #[test]
        fn nobody_gains_and_nobody_is_overtaken(numbers in any_numbers(), a in 0u8..=100, b in 0u8..=100) {
            if let Ok(mapping) = ScoreMapping::new(numbers.clone()) {
                let (low, high) = (score(a.min(b)), score(a.max(b)));
                prop_assert!(mapping.apply(low) <= mapping.apply(high));
                prop_assert!(numbers.allow_raise || mapping.apply(high) <= high);
                prop_assert!(numbers.cap.is_none_or(|cap| mapping.apply(high) <= cap));
            }
        }
    }
}
