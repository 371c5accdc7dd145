//! How long to wait after a delivery that failed.

/// The shortest wait, in milliseconds.
const FIRST: u64 = 1_000;

/// The shortest wait where the receiver refused what it was sent: the same again will hardly do, but a fault of
/// its configuration may be repaired.
const FIRST_REFUSED: u64 = 60_000;

/// The longest wait, however often it has failed. It is tried for ever.
pub const LONGEST: u64 = 3_600_000;

/// The longest time for which a sink is left alone because another alert did not get through to it.
pub const LONGEST_PAUSE: u64 = 60_000;

/// Milliseconds to wait after `attempts` failures in a row, of which there is at least one. `random` decides within
/// the upper half, so that many do not come back at once; where the receiver says how long to wait
/// (`retry_after`, milliseconds), it is no less than that.
pub fn delay(attempts: u32, refused: bool, retry_after: Option<u64>, random: u64) -> u64 {
    let first = if refused { FIRST_REFUSED } else { FIRST };
    let doublings = attempts.saturating_sub(1).min(32);
    let full = first.saturating_mul(1 << doublings).min(LONGEST);
    let jittered = full / 2 + random % (full / 2 + 1);
    jittered.max(first).max(retry_after.unwrap_or(0)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn doubles_up_to_an_hour() {
        assert_eq!(delay(1, false, None, 7), 1_000);
        assert_eq!(delay(3, false, None, 0), 2_000);
        assert_eq!(delay(3, false, None, 2_000), 4_000);
        assert_eq!(delay(1, true, None, 0), 60_000);
        assert_eq!(delay(13, false, None, LONGEST / 2), LONGEST);
        assert_eq!(delay(u32::MAX, false, None, 0), LONGEST / 2);
        assert_eq!(delay(1, false, Some(30_000), 0), 30_000);
        assert_eq!(delay(1, false, Some(u64::MAX), 0), LONGEST);
    }

    proptest! {
        #[test]
        fn is_within_its_bounds(attempts: u32, refused: bool, random: u64) {
            let waited = delay(attempts, refused, None, random);
            prop_assert!((FIRST..=LONGEST).contains(&waited));
            prop_assert!(!refused || waited >= FIRST_REFUSED);
            // The jitter takes no more than half away.
            let full = (if refused { FIRST_REFUSED } else { FIRST }).saturating_mul(1 << attempts.saturating_sub(1).min(32)).min(LONGEST);
            prop_assert!(waited >= full / 2 && waited <= full);
        }
    }
}
