//! Numbers and hashes as the lines of notes and proofs have them: one spelling each.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::merkle::Hash;

/// A number of 64 bits in decimal digits: no sign, no leading zeros.
pub(super) fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// A hash in base64 with padding.
pub(super) fn hash(text: &str) -> Option<Hash> {
    Hash::from_slice(&STANDARD.decode(text).ok()?)
}

/// The spelling that [`hash`] reads.
pub(super) fn base64_hash(hash: &Hash) -> String {
    STANDARD.encode(hash.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("18446744073709551615"), Some(u64::MAX));
        for bad in ["", "00", "01", "+1", "-0", "1 ", " 1", "1\n", "0x1", "1_0", "１", "18446744073709551616"] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn hashes_have_one_spelling() {
        let good = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_eq!(hash(good), Some(Hash::new([0; 32])));
        // Without padding, with bits left over, of 31 and 33 octets, in the alphabet of URLs.
        let (short, long) = ("A".repeat(40) + "AA==", "A".repeat(44));
        for bad in ["", &good[..43], &good.replace("A=", "B="), &short, &long, &good.replacen('A', "_", 1)] {
            assert_eq!(hash(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u64, octets: [u8; 32]) {
            prop_assert_eq!(decimal(&number.to_string()), Some(number));
            prop_assert_eq!(hash(&base64_hash(&Hash::new(octets))), Some(Hash::new(octets)));
        }
    }
}
