//! How hard a log is read.

use std::time::Duration;

use atl::time::Stopwatch;

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
    /// Findings and errands of one log that may wait for a head to be reached. With more of them the log has to prove
    /// first that what was read begins the tree of that head.
    pub pending: usize,
    /// How long a round reads before the log is asked for its heads again.
    pub stretch: Duration,
    /// Rounds in a row in which the log shows a head that was overtaken on the way to a larger one, until that is
    /// reached first.
    pub overtaken: u32,
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
            pending: 16_384,
            stretch: Duration::from_secs(60),
            overtaken: 3,
            progress: Duration::from_secs(5),
        }
    }
}

/// How long a round reads.
pub(super) struct Stretch {
    watch: Stopwatch,
    most: Duration,
}

impl Stretch {
    pub(super) fn start(most: Duration) -> Self {
        Self { watch: Stopwatch::start(), most }
    }

    pub(super) fn is_over(&self) -> bool {
        self.watch.elapsed() >= self.most
    }
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
