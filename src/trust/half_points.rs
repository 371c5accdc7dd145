//! Half-points: the unit in which scores are kept, so that the draft's half points (6.3) are whole numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::apki::trust_score::Score;

/// A score, or a change of one, in half-points. A score is 0 to 200; a change may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HalfPoints(i32);

impl HalfPoints {
    /// None.
    pub const ZERO: Self = Self(0);
    /// The highest score: 100 points.
    pub const MAX: Self = Self(200);

    /// So many half-points.
    pub const fn new(half_points: i32) -> Self {
        Self(half_points)
    }

    /// So many points.
    pub const fn from_points(points: i16) -> Self {
        Self(points as i32 * 2)
    }

    /// The number.
    pub const fn get(self) -> i32 {
        self.0
    }

    /// The nearest score: 0 to 200.
    #[must_use]
    pub fn clamped(self) -> Self {
        self.clamp(Self::ZERO, Self::MAX)
    }

    /// The score in whole points, rounded down: what a certificate says.
    pub fn score(self) -> Score {
        // 0 to 100 by the clamp.
        u8::try_from(self.clamped().0 / 2).ok().and_then(|points| Score::new(points).ok()).unwrap_or(Score::MAX)
    }

    /// The sum, which stops at the ends of the number range.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, which stops at the ends of the number range.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Without its sign.
    #[must_use]
    pub const fn size(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// Its direction; `None` for none.
    pub const fn direction(self) -> Option<Direction> {
        match self.0 {
            0 => None,
            1.. => Some(Direction::Up),
            _ => Some(Direction::Down),
        }
    }
}

impl From<Score> for HalfPoints {
    fn from(score: Score) -> Self {
        Self(i32::from(score.get()) * 2)
    }
}

impl std::iter::Sum for HalfPoints {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Self::plus)
    }
}

/// In points, as people read them: `12.5`.
impl fmt::Display for HalfPoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let half = self.0.unsigned_abs();
        let text = format!("{sign}{}{}", half / 2, if half % 2 == 1 { ".5" } else { "" });
        f.pad(&text)
    }
}

/// Whether a change raises or lowers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Raises.
    Up,
    /// Lowers.
    Down,
}

impl Direction {
    /// So much in this direction.
    pub const fn of(self, size: HalfPoints) -> HalfPoints {
        match self {
            Self::Up => HalfPoints(size.0.saturating_abs()),
            Self::Down => HalfPoints(-size.0.saturating_abs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_rounded_down_and_stays_in_its_range() {
        let cases = [(-1, 0), (0, 0), (1, 0), (2, 1), (39, 19), (40, 20), (199, 99), (200, 100), (i32::MAX, 100)];
        for (half, score) in cases {
            assert_eq!(HalfPoints::new(half).score().get(), score, "{half}");
        }
        assert_eq!(HalfPoints::from(Score::new(73).unwrap()), HalfPoints::new(146));
    }

    #[test]
    fn people_read_points() {
        let cases = [(0, "0"), (1, "0.5"), (-1, "-0.5"), (-3, "-1.5"), (40, "20"), (i32::MIN, "-1073741824")];
        for (half, text) in cases {
            assert_eq!(HalfPoints::new(half).to_string(), text);
        }
    }
}
