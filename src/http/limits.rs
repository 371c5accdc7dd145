//! Admission control in front of the log: a token bucket per source address and one per anchor.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use super::problem::Failure;
use crate::api::{Problem, Token};

/// A rate and how much of it may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Submissions per second in the long run.
    pub per_second: NonZeroU32,
    /// Submissions at once.
    pub burst: NonZeroU32,
}

/// One token bucket per key.
pub struct Buckets<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    burst: NonZeroU32,
    /// Whose bucket it is, for the message.
    whose: &'static str,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    /// Buckets of this rate, `whose` naming their owners in messages.
    pub fn new(rate: Rate, whose: &'static str) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self {
            limiter: DefaultKeyedRateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            burst: rate.burst,
            whose,
        }
    }

    /// Takes `n` tokens from the bucket of `key`. More than the bucket can ever hold take all of
    /// it, so that a small bucket slows a batch down instead of shutting it out.
    pub fn take(&self, key: &K, n: u32) -> Result<(), Failure> {
        let Some(n) = NonZeroU32::new(n).map(|n| n.min(self.burst)) else { return Ok(()) };
        match self.limiter.check_key_n(key, n) {
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(not_until)) => Err(self.refuse(not_until.wait_time_from(self.clock.now()))),
        }
    }

    /// Forgets buckets that are full again, so that memory follows the present and not the past.
    pub fn forget_idle(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }

    fn refuse(&self, wait: Duration) -> Failure {
        let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        let detail = format!("{} sends more than this log takes; wait {seconds} s", self.whose);
        Failure(Problem::new(Token::RateLimited, detail).retry_after(seconds))
    }
}

/// The source that a bucket belongs to: an IPv4 address, or the /64 network of an IPv6 one,
/// because a single host has a whole /64 to send from.
pub fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(per_second: u32, burst: u32) -> Buckets<u8> {
        let number = |n| NonZeroU32::new(n).unwrap();
        Buckets::new(Rate { per_second: number(per_second), burst: number(burst) }, "this source")
    }

    #[test]
    fn each_key_has_a_bucket_of_its_own() {
        let buckets = buckets(1, 2);
        assert!((buckets.take(&1, 1).is_ok(), buckets.take(&1, 1).is_ok()) == (true, true));
        let refused = buckets.take(&1, 1).unwrap_err().0;
        assert_eq!((refused.status, refused.retry_after_seconds), (429, Some(1)));
        assert!(buckets.take(&2, 2).is_ok());
    }

    #[test]
    fn a_batch_above_the_burst_empties_the_bucket_and_no_more() {
        let buckets = buckets(1, 2);
        assert!(buckets.take(&1, 256).is_ok());
        assert!(buckets.take(&1, 1).is_err());
    }

    #[test]
    fn a_host_has_one_bucket_for_its_network() {
        let of = |text: &str| source(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }
}
