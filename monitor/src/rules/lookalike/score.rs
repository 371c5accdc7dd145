//! The unit in which agreement and tricks are counted, and the score that comes of it.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Sub};

use serde::Serialize;

/// Evidence, in tenths of a bit: ten of them halve the odds that a likeness is chance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bits(i32);

impl Bits {
    /// None.
    pub const ZERO: Self = Self(0);

    /// So many tenths of a bit.
    pub const fn tenths(tenths: i32) -> Self {
        Self(tenths)
    }

    /// In tenths.
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl Add for Bits {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Bits {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Bits {
    fn sum<I: Iterator<Item = Self>>(bits: I) -> Self {
        bits.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{}", self.0.unsigned_abs() / 10, self.0.unsigned_abs() % 10)
    }
}

/// How much a name looks made to be taken for another, from 0 to 99.
///
/// With `b` bits left it is `100 b / (b + 10)`, and 0 where none are left: 50 at ten bits, 75 at thirty, and never
/// quite 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Score(u8);

impl Score {
    /// Where somebody should be told at once: ten bits.
    pub const ALERT: Self = Self(50);

    /// Where it is worth a line in a digest that is read now and then.
    pub const DIGEST: Self = Self(40);

    /// More than nothing.
    pub const LEAST: Self = Self(1);

    /// This score; `None` above 100.
    pub const fn new(score: u8) -> Option<Self> {
        if score <= 100 { Some(Self(score)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl From<Bits> for Score {
    fn from(bits: Bits) -> Self {
        let left = i64::from(bits.get().max(0));
        Self(u8::try_from(100 * left / (left + 100)).unwrap_or(100))
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_bits() {
        for (tenths, score) in
            [(i32::MIN, 0), (-1, 0), (0, 0), (67, 40), (99, 49), (100, 50), (300, 75), (i32::MAX, 99)]
        {
            assert_eq!(Score::from(Bits::tenths(tenths)).get(), score, "{tenths}");
        }
        assert_eq!((Score::new(100).map(Score::get), Score::new(101)), (Some(100), None));
    }

    #[test]
    fn shows_tenths() {
        assert_eq!([-5, 0, 7, 315].map(|t| Bits::tenths(t).to_string()), ["-0.5", "0.0", "0.7", "31.5"]);
    }
}
