//! How many different things were seen, approximately and in little memory.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const REGISTERS: usize = 128;

/// A HyperLogLog sketch (Flajolet et al., 2007) of 128 registers, kept as 128 hex digits: a few
/// hundred are counted within about 7 percent, and up to a million within about 10.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sketch(pub(super) Option<Box<[u8; REGISTERS]>>);

impl Sketch {
    /// Counts what has this hash, which must be uniform; whether anything changed by it.
    pub(super) fn add(&mut self, hash: u64) -> bool {
        let registers = self.0.get_or_insert_with(|| Box::new([0; REGISTERS]));
        // One more than the zeros in front, of 57 bits; what a hex digit does not hold is far beyond any count.
        let rank = ((hash << 7 | 0x40).leading_zeros() + 1).min(15) as u8;
        match registers.get_mut((hash >> 57) as usize) {
            Some(register) if *register < rank => {
                *register = rank;
                true
            }
            _ => false,
        }
    }

    /// How many different hashes were counted.
    pub(super) fn count(&self) -> u64 {
        let Some(registers) = &self.0 else { return 0 };
        let m = REGISTERS as f64;
        let empty = registers.iter().filter(|register| **register == 0).count();
        let sum: f64 = registers.iter().map(|register| 1.0 / f64::from(1_u32 << register)).sum();
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let count = if raw <= 2.5 * m && empty > 0 { m * (m / empty as f64).ln() } else { raw };
        count.round() as u64
    }
}

/// As 128 hex digits, or nothing where nothing was counted.
impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |register: &u8| char::from_digit(u32::from(*register), 16).unwrap_or('f');
        let text: String = self.0.iter().flat_map(|registers| registers.iter()).map(digit).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        let digits = text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
        let registers: Option<Vec<u8>> = digits.collect();
        let registers = registers.and_then(|registers| registers.into_boxed_slice().try_into().ok());
        registers.map(|registers| Self(Some(registers))).ok_or_else(|| de::Error::custom("a sketch has 128 hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn hash(n: u64) -> u64 {
        let hash: [u8; 32] = Sha256::digest(n.to_be_bytes()).into();
        u64::from_be_bytes(hash[..8].try_into().unwrap())
    }

    #[test]
    fn counts_what_differs_and_nothing_twice() {
        for (n, least, most) in
            [(0, 0, 0), (1, 1, 1), (10, 8, 12), (100, 85, 115), (1000, 750, 1250), (100_000, 75_000, 125_000)]
        {
            let mut sketch = Sketch::default();
            (0..n).for_each(|n| _ = sketch.add(hash(n)));
            assert!((least..=most).contains(&sketch.count()), "{n}: {}", sketch.count());
            let before = sketch.clone();
            assert!((0..n).all(|n| !sketch.add(hash(n))), "nothing new");
            assert_eq!(sketch, before);
            let text = serde_json::to_string(&sketch).unwrap();
            assert!(text.len() <= 130);
            assert_eq!(serde_json::from_str::<Sketch>(&text).unwrap(), sketch);
        }
    }

    #[test]
    fn another_text_is_no_sketch() {
        for text in ["\"0\"", "\"zz\"", "1"] {
            assert!(serde_json::from_str::<Sketch>(text).is_err());
        }
        assert!(serde_json::from_str::<Sketch>(&format!("\"{}\"", "g".repeat(128))).is_err());
        let most = serde_json::from_str::<Sketch>(&format!("\"{}\"", "f".repeat(128))).unwrap();
        assert!(most.count() > 1_000_000, "every digit is a register");
    }
}
