//! Moments and the clock they come from.
//!
//! The pure floors take `now` as an argument; [`SystemClock`] is the one place that asks the
//! machine for the time.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted: the unit of every
/// timestamp in a SAT, a tree head or an API answer (protocol section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// The moment `millis` milliseconds after the epoch.
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// The moment `seconds` seconds after the epoch, or `None` past the end of time.
    pub const fn from_secs(seconds: u64) -> Option<Self> {
        match seconds.checked_mul(1000) {
            Some(millis) => Some(Self(millis)),
            None => None,
        }
    }

    /// Milliseconds since the epoch.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This moment `millis` later, stopping at the end of time.
    pub const fn saturating_add(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This moment `millis` earlier, stopping at the epoch.
    pub const fn saturating_sub(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }

    /// Milliseconds from `earlier` to `self`; 0 where `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(moment) = der::DateTime::from_unix_duration(std::time::Duration::from_millis(self.0)) else {
            return write!(f, "{} ms after 1970", self.0);
        };
        let text = moment.to_string();
        write!(f, "{}.{:03}Z", text.trim_end_matches('Z'), self.0 % 1000)
    }
}

/// A source of the present moment. One instance stamps a log's SATs and its tree heads, so that
/// the two can be compared.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> UnixMillis;

    /// Milliseconds on a clock that nobody can set, from a start of its own: what tells a clock
    /// that was set ahead from time that has passed. `None` where there is no such clock.
    fn steady(&self) -> Option<u64> {
        None
    }
}

/// The machine's clock, without a steady one beside it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The machine's clock, and beside it the steady one that runs since the machine started.
#[derive(Clone, Copy, Debug)]
pub struct WatchedClock(Stopwatch);

impl WatchedClock {
    /// A clock whose steady part begins now.
    pub fn start() -> Self {
        Self(Stopwatch::start())
    }
}

impl Clock for WatchedClock {
    fn now(&self) -> UnixMillis {
        SystemClock.now()
    }

    fn steady(&self) -> Option<u64> {
        u64::try_from(self.0.elapsed().as_millis()).ok()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // the one place where ambient time enters
    fn now(&self) -> UnixMillis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        UnixMillis(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Measures how long something takes. For metrics only: nothing is decided by it.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts now.
    #[allow(clippy::disallowed_methods)] // a measurement, not a decision
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(&self) -> std::time::Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_as_rfc3339_with_milliseconds() {
        assert_eq!(UnixMillis::new(1_775_822_400_007).to_string(), "2026-04-10T12:00:00.007Z");
        assert_eq!(UnixMillis::new(u64::MAX).to_string(), "18446744073709551615 ms after 1970");
    }
}
