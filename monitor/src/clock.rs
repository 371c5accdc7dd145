//! Whether our clock can be right, by what logs sign.
//!
//! A log signs a head every hour at least (protocol section 4). Where all logs that are followed have signed nothing for
//! more than a day, it may be that none of them works; it is more likely that our clock is ahead, and what follows from
//! such a clock must not be for good: nothing old is forgotten then, nothing is cosigned, and no question is given up. Once a
//! log signs again, or the clock is set right, that goes on by itself.

use atl::time::UnixMillis;

/// How far the newest head of all logs may be behind our clock, in milliseconds.
pub const MOST_BEHIND_MS: u64 = 86_400_000;

/// By how many milliseconds `now` is ahead of `newest`, the time at which the newest head of all was signed, where that
/// is so much that the clock may be wrong. Without a head nothing is known.
pub fn ahead(newest: Option<UnixMillis>, now: UnixMillis) -> Option<u64> {
    newest.map(|newest| now.since(newest)).filter(|ahead| *ahead > MOST_BEHIND_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ahead_of_all_logs_is_too_much() {
        let newest = Some(UnixMillis::new(1_000));
        let at = |now| ahead(newest, UnixMillis::new(now));
        assert_eq!((at(0), at(1_000), at(1_000 + MOST_BEHIND_MS)), (None, None, None));
        assert_eq!(at(1_001 + MOST_BEHIND_MS), Some(MOST_BEHIND_MS + 1));
        assert_eq!(ahead(None, UnixMillis::new(u64::MAX)), None);
    }
}
