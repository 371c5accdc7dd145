//! Admission control in front of a server: a token bucket per source address and one per anchor or
//! enrolment token, and each source's share of what there is only so much of.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use parking_lot::Mutex;

use super::problem::Failure;
use crate::api::{Problem, Token};

/// A rate and how much of it may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests per second in the long run.
    pub per_second: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

/// One token bucket per key.
pub struct Buckets<K: Hash + Eq + Clone> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    burst: NonZeroU32,
    /// How long one token takes to come.
    interval: Duration,
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
            interval: quota.replenish_interval(),
            whose,
        }
    }

    /// Takes `n` tokens from the bucket of `key`. More than the bucket can ever hold take all of
    /// it, so that a small bucket slows a batch down instead of shutting it out.
    pub fn take(&self, key: &K, n: u32) -> Result<(), Failure> {
        self.try_take(key, n.min(self.burst.get())).map_err(|wait| self.refuse(wait))
    }

    /// Takes what `n` tokens cost beyond the first, which [`Buckets::take`] has had already.
    pub fn take_rest(&self, key: &K, n: u32) -> Result<(), Failure> {
        let rest = n.min(self.burst.get()).saturating_sub(1);
        // The next try costs its first token again.
        self.try_take(key, rest).map_err(|wait| self.refuse(wait + self.interval))
    }

    /// `n` tokens, or how long it takes until they are there.
    fn try_take(&self, key: &K, n: u32) -> Result<(), Duration> {
        let Some(n) = NonZeroU32::new(n) else { return Ok(()) };
        match self.limiter.check_key_n(key, n) {
            Ok(Ok(())) | Err(_) => Ok(()),
            Ok(Err(not_until)) => Err(not_until.wait_time_from(self.clock.now())),
        }
    }

    /// Forgets buckets that are full again, so that memory follows the present and not the past.
    pub fn forget_idle(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }

    fn refuse(&self, wait: Duration) -> Failure {
        let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
        let detail = format!("{} sends too much; wait {seconds} s", self.whose);
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

/// What each source may hold at one time of something that all share. The loopback may hold as
/// much as there is: behind a proxy on this host everybody is one source.
#[derive(Debug)]
pub struct Shares {
    limit: usize,
    held: Mutex<HashMap<IpAddr, usize>>,
}

/// What one source holds; given back when dropped.
#[derive(Debug)]
pub struct Share {
    shares: Arc<Shares>,
    /// `None` for the loopback.
    source: Option<IpAddr>,
    amount: usize,
}

impl Shares {
    /// Shares of at most `limit` for each source.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: Mutex::default() })
    }

    /// A share of nothing, to be grown, for the source of `address`.
    pub fn of(self: &Arc<Self>, address: IpAddr) -> Share {
        let source = (!address.to_canonical().is_loopback()).then(|| source(address));
        Share { shares: Arc::clone(self), source, amount: 0 }
    }
}

impl Share {
    /// Adds `amount`, unless the source would then hold more than its limit.
    pub fn grow(&mut self, amount: usize) -> bool {
        let Some(source) = self.source.filter(|_| amount > 0) else { return true };
        let mut held = self.shares.held.lock();
        let before = held.get(&source).copied().unwrap_or_default();
        if amount > self.shares.limit - before {
            return false;
        }
        held.insert(source, before + amount);
        self.amount += amount;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(source) = self.source.filter(|_| self.amount > 0) else { return };
        let mut held = self.shares.held.lock();
        // Who holds nothing is forgotten, so that memory follows the present.
        match held.get_mut(&source) {
            Some(amount) if *amount > self.amount => *amount -= self.amount,
            _ => drop(held.remove(&source)),
        }
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
    fn a_batch_pays_its_first_token_beforehand() {
        let buckets = buckets(1, 3);
        assert!(buckets.take(&1, 1).is_ok() && buckets.take_rest(&1, 256).is_ok(), "a full bucket lets any batch in");
        assert!(buckets.take(&1, 1).is_err());
        assert!(buckets.take(&2, 2).is_ok() && buckets.take_rest(&2, 1).is_ok() && buckets.take_rest(&2, 0).is_ok());
        // One token is left, two more are wanted, and the next try needs all three.
        assert_eq!(buckets.take_rest(&2, 3).unwrap_err().0.retry_after_seconds, Some(2));
    }

    #[test]
    fn a_source_has_its_share_and_gives_it_back() {
        let shares = Shares::new(3);
        let of = |text: &str| shares.of(text.parse().unwrap());
        let (mut one, mut same, mut other) = (of("2001:db8::1"), of("2001:db8::2"), of("192.0.2.1"));
        assert!(one.grow(2) && same.grow(1) && other.grow(3));
        assert!(!one.grow(1) && !same.grow(1) && !other.grow(usize::MAX) && one.grow(0));
        drop(one);
        assert!(same.grow(2) && !same.grow(1));
        drop((same, other));
        assert!(shares.held.lock().is_empty());
        for local in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(of(local).grow(4), "{local}");
        }
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
