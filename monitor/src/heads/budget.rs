//! How often others can make us ask a log.

use atl::time::UnixMillis;

/// Proofs in a row.
const BURST: u64 = 6;

/// Milliseconds after which one more may be asked for.
const REFILL_MILLIS: u64 = 10_000;

/// What may be asked of one log on behalf of others: six proofs at once, and six a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    left: u64,
    since: UnixMillis,
}

impl Budget {
    pub(super) const fn full(now: UnixMillis) -> Self {
        Self { left: BURST, since: now }
    }

    /// Takes one, where there is one.
    pub(super) fn take(&mut self, now: UnixMillis) -> bool {
        let earned = now.since(self.since) / REFILL_MILLIS;
        if earned > 0 || now < self.since {
            self.left = self.left.saturating_add(earned).min(BURST);
            // A clock that was set back earns nothing for the time that it goes through twice.
            self.since = now;
        }
        let taken = self.left > 0;
        self.left = self.left.saturating_sub(1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_a_minute_and_no_more() {
        let mut budget = Budget::full(UnixMillis::new(0));
        let mut taken =
            |from: u64, until: u64| (from..until).step_by(1000).filter(|at| budget.take(UnixMillis::new(*at))).count();
        assert_eq!(taken(0, 60_000), 6 + 5);
        assert_eq!(taken(60_000, 120_000), 6);
        assert_eq!(taken(100_000, 100_001), 0);
        assert_eq!(taken(10_000_000, 10_000_001) + taken(10_000_000, 10_000_001), 2);
    }
}
