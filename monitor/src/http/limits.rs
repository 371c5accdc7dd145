//! How much anybody may ask for.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// Sources that have a bucket of their own at once; further ones share one.
const MAX_SOURCES: usize = 8192;

/// Octets of a body, where a route says nothing else.
pub const MAX_BODY: usize = 64 << 10;

/// What the server lets anybody take of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Connections of one source address at once; further ones are closed.
    pub connections_per_source: usize,
    /// Requests answered at once, each by a thread of its own.
    pub requests: usize,
    /// Large answers in memory at once, until the last octet of each is taken.
    pub large: usize,
    /// Large answers of one source address at once.
    pub large_per_source: usize,
    /// How long a request waits for such a thread before it is sent away.
    pub queue: Duration,
    /// POST requests per second of one source address in the long run.
    pub posts_per_second: u32,
    /// POST requests of one source address at once.
    pub post_burst: u32,
    /// GET requests per second of one source address in the long run, besides those that cost nothing.
    pub gets_per_second: u32,
    /// GET requests of one source address at once.
    pub get_burst: u32,
    /// How long a client may take for the head of a request, and be idle before it.
    pub head: Duration,
    /// How long a client may take for the body of a request.
    pub body: Duration,
    /// How long a client may take for 512 KiB of an answer, or what is left of it.
    pub stall: Duration,
    /// How long requests under way have at the end.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            connections_per_source: 64,
            requests: 32,
            large: 8,
            large_per_source: 2,
            queue: Duration::from_secs(2),
            posts_per_second: 10,
            post_burst: 40,
            gets_per_second: 50,
            get_burst: 500,
            head: Duration::from_secs(15),
            body: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            drain: Duration::from_secs(20),
        }
    }
}

/// Whom a limit per source counts as one: an IPv4 address, or an IPv6 network of 64 bits, since whoever has one
/// address of such a network has all of them.
pub fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

/// A token bucket per key, without a clock: times are microseconds from a start that the caller has chosen.
///
/// Kept is only when a bucket will be full again. A bucket that is full is the same as none, so that it needs no
/// place; and when all places are taken, those without one share the last.
#[derive(Debug)]
pub struct Buckets<K> {
    full_at: HashMap<Option<K>, u64>,
    places: usize,
    interval: u64,
    burst: u64,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Buckets of `burst` tokens, to which `per_second` come each second; either counts as at least 1.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self::with_places(per_second, burst, MAX_SOURCES)
    }

    fn with_places(per_second: u32, burst: u32, places: usize) -> Self {
        let interval = 1_000_000 / u64::from(per_second.max(1));
        Self { full_at: HashMap::new(), places, interval, burst: u64::from(burst.max(1)) * interval }
    }

    /// Takes a token from the bucket of `key` at the moment `now`. `Err` says in how many seconds one will be there.
    pub fn take(&mut self, key: K, now: u64) -> Result<(), u32> {
        let mut key = Some(key);
        if !self.full_at.contains_key(&key) && self.full_at.len() >= self.places {
            self.full_at.retain(|_, full_at| *full_at > now);
            if self.full_at.len() >= self.places {
                key = None;
            }
        }
        let full_at = self.full_at.get(&key).map_or(now, |full_at| now.max(*full_at)).saturating_add(self.interval);
        match (full_at - now).checked_sub(self.burst) {
            None | Some(0) => {
                self.full_at.insert(key, full_at);
                Ok(())
            }
            Some(wait) => Err(u32::try_from(wait.div_ceil(1_000_000)).unwrap_or(u32::MAX)),
        }
    }
}

/// How much each key has of something at once, and may have at most.
#[derive(Clone, Debug)]
pub struct Shares<K: Hash + Eq> {
    taken: Arc<Mutex<HashMap<K, usize>>>,
    most: usize,
}

/// One of what a key may have; given back when dropped.
#[derive(Debug)]
pub struct Share<K: Hash + Eq + Clone> {
    shares: Shares<K>,
    key: K,
}

impl<K: Hash + Eq + Clone> Shares<K> {
    /// At most `most` for each key.
    pub fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// One for `key`, or `None` where it has all that it may have.
    pub fn take(&self, key: K) -> Option<Share<K>> {
        let mut taken = self.taken.lock();
        let mine = taken.entry(key.clone()).or_default();
        if *mine >= self.most {
            return None;
        }
        *mine += 1;
        drop(taken);
        Some(Share { shares: self.clone(), key })
    }
}

impl<K: Hash + Eq + Clone> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = self.shares.taken.lock();
        if let Some(mine) = taken.get_mut(&self.key) {
            *mine -= 1;
            if *mine == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let mut buckets = Buckets::new(2, 3);
        assert_eq!([0; 4].map(|_| buckets.take('a', 5 * SECOND)), [Ok(()), Ok(()), Ok(()), Err(1)]);
        assert_eq!(buckets.take('b', 5 * SECOND), Ok(()));
        assert_eq!(buckets.take('a', 5 * SECOND + SECOND / 2 - 1), Err(1));
        assert_eq!(buckets.take('a', 5 * SECOND + SECOND / 2), Ok(()));
        assert_eq!(buckets.take('a', 5 * SECOND + SECOND / 2), Err(1));
        assert_eq!([0; 4].map(|_| buckets.take('a', 60 * SECOND)), [Ok(()), Ok(()), Ok(()), Err(1)]);
    }

    #[test]
    fn places_are_bounded_and_those_without_one_share() {
        let mut buckets = Buckets::with_places(1, 1, 2);
        assert_eq!(['a', 'b', 'c', 'd', 'a'].map(|key| buckets.take(key, 0)), [Ok(()), Ok(()), Ok(()), Err(1), Err(1)]);
        assert_eq!(buckets.full_at.len(), 3);
        assert_eq!(['d', 'c', 'e'].map(|key| buckets.take(key, SECOND)), [Ok(()), Ok(()), Ok(())]);
        assert!(buckets.full_at.len() <= 3);
    }

    #[test]
    fn sources_are_addresses_or_networks() {
        let of = |text: &str| source(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }

    #[test]
    fn a_share_is_given_back() {
        let shares = Shares::new(2);
        let (one, two) = (shares.take(1).unwrap(), shares.take(1).unwrap());
        assert!(shares.take(1).is_none() && shares.take(2).is_some());
        drop(one);
        assert!(shares.take(1).is_some());
        drop(two);
        assert!(shares.taken.lock().is_empty());
    }

    proptest! {
        /// However the requests come, in any stretch of time no more pass than the burst and what came meanwhile.
        #[test]
        fn no_more_pass_than_the_rate(rate in 1_u32..50, burst in 1_u32..20, gaps in prop::collection::vec(0_u64..400_000, 1..200)) {
            let mut buckets = Buckets::new(rate, burst);
            let (mut now, mut passed) = (0, Vec::new());
            for gap in gaps {
                now += gap;
                if buckets.take((), now).is_ok() {
                    passed.push(now);
                }
            }
            for (n, begin) in passed.iter().enumerate() {
                for (m, end) in passed.iter().enumerate().skip(n) {
                    let came = (end - begin) / (SECOND / u64::from(rate));
                    prop_assert!((m - n + 1) as u64 <= u64::from(burst) + came);
                }
            }
        }
    }
}
