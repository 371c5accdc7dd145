//! How often a log is asked, and how long it is left alone where that failed.

use std::time::Duration;

use atl::time::Stopwatch;

/// The longest pause that a log can ask for, and that failures lead to.
const LONGEST: Duration = Duration::from_secs(600);

/// How hard a log is read.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Bundles of 256 entries fetched at once while they are small.
    pub at_once: usize,
    /// Octets of bundles that are fetched at once. A bundle that is larger than its share is fetched by itself.
    pub octets: usize,
    /// Bundles after which the position is written down.
    pub chunk: usize,
    /// How long to wait before something that is missing is asked for once more.
    pub patience: Duration,
    /// For how long a batch of alerts waits for the proofs that go with them.
    pub proofs: Duration,
    /// How often it is told how far a long download is.
    pub progress: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            at_once: 8,
            octets: 32 << 20,
            chunk: 32,
            patience: Duration::from_millis(500),
            proofs: Duration::from_secs(20),
            progress: Duration::from_secs(5),
        }
    }
}

/// How long to wait before the log is asked again, after `failures` rounds in a row that failed: `interval` after none,
/// and twice as long for each one more, up to ten minutes or `interval`. Never shorter than `asked`, the log's own
/// `Retry-After`, up to an hour. `random` spreads the pause: over the second half of it after failures, over a tenth
/// otherwise, so that many monitors do not ask at one moment.
pub fn pause(interval: Duration, failures: u32, asked: Option<Duration>, random: u32) -> Duration {
    let share = f64::from(random) / (f64::from(u32::MAX) + 1.0);
    let backed_off =
        interval.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(LONGEST.max(interval));
    let pause = match failures {
        0 => interval.mul_f64(0.95 + share / 10.0),
        _ => backed_off.mul_f64(0.5 + share / 2.0),
    };
    // What is asked for is a minimum: spread behind it.
    let asked = asked.unwrap_or_default().min(6 * LONGEST).mul_f64(1.0 + share / 10.0);
    pause.max(asked)
}

/// Tells now and then how far a download is.
pub(super) struct Progress {
    watch: Stopwatch,
    every: Duration,
    told: Duration,
    from: u64,
}

impl Progress {
    /// Begins at entry `from`.
    pub(super) fn start(from: u64, every: Duration) -> Self {
        Self { watch: Stopwatch::start(), every, told: Duration::ZERO, from }
    }

    /// Says where the download is, if it has not been said for a while.
    pub(super) fn tell(&mut self, log: &str, at: u64, of: u64) {
        let elapsed = self.watch.elapsed();
        if elapsed.saturating_sub(self.told) >= self.every {
            self.told = elapsed;
            let per_second = at.saturating_sub(self.from) as f64 / elapsed.as_secs_f64().max(0.001);
            let remaining = of.saturating_sub(at);
            tracing::info!(log, entries = at, remaining, entries_per_second = per_second.round(), "catching up");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn failures_double_the_pause() {
        let longest = |failures| pause(10 * S, failures, None, u32::MAX).as_secs_f64().round();
        assert_eq!([1, 2, 3, 9, 40, u32::MAX].map(longest), [20.0, 40.0, 80.0, 600.0, 600.0, 600.0]);
        assert_eq!(pause(10 * S, 3, None, 0), 40 * S);
        assert_eq!(pause(3600 * S, 3, None, 0), 1800 * S);
    }

    #[test]
    fn a_log_may_ask_for_longer_but_not_for_ever() {
        assert_eq!(pause(10 * S, 1, Some(120 * S), 0), 120 * S);
        assert_eq!(pause(10 * S, 1, Some(u32::MAX * S), 0), 3600 * S);
        assert!(pause(10 * S, 1, Some(120 * S), u32::MAX) > 131 * S);
    }

    proptest! {
        #[test]
        fn no_pause_is_out_of_bounds(seconds in 1_u64..=3600, failures: u32, asked in prop::option::of(any::<u32>()), random: u32) {
            let interval = Duration::from_secs(seconds);
            let asked = asked.map(|asked| Duration::from_secs(asked.into()));
            let pause = pause(interval, failures, asked, random);
            prop_assert!(pause >= interval / 2 && pause <= 3961 * S, "{pause:?}");
        }
    }
}
