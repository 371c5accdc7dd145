//! Signed OCSP answers at hand: for questions about one certificate, without a nonce.
//!
//! A cached answer is only ever served together with what the board says at that moment, so a revocation ends
//! all of them at once; nothing has to be searched for and thrown away.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::time::UnixMillis;

/// Parts of the cache with a lock of their own, so that two askers seldom meet.
const PARTS: usize = 32;
/// Most answers at hand.
const MAX_ANSWERS: usize = 100_000;
/// Most octets of them, with their keys.
const MAX_OCTETS: usize = 64 << 20;

/// A signed answer.
#[derive(Clone)]
pub(super) struct Cached {
    /// The OCSPResponse.
    pub(super) der: Arc<[u8]>,
    /// Whether it says that the certificate is revoked.
    pub(super) revoked: bool,
    /// Since when it is true.
    pub(super) this_update: UnixMillis,
    /// From when on a new one is signed.
    pub(super) stale: UnixMillis,
    /// Until when others may show it.
    pub(super) next_update: UnixMillis,
}

/// Answers by the octets of the CertID that was asked about. The oldest questions go first where it is full.
pub(super) struct Cache {
    hasher: RandomState,
    parts: Vec<Mutex<Part>>,
    max_answers: usize,
    max_octets: usize,
}

#[derive(Default)]
struct Part {
    answers: HashMap<Arc<[u8]>, Cached>,
    order: VecDeque<Arc<[u8]>>,
    octets: usize,
}

impl Default for Cache {
    fn default() -> Self {
        Self::with(MAX_ANSWERS, MAX_OCTETS)
    }
}

impl Cache {
    fn with(max_answers: usize, max_octets: usize) -> Self {
        let parts = (0..PARTS).map(|_| Mutex::default()).collect();
        Self { hasher: RandomState::new(), parts, max_answers: max_answers / PARTS, max_octets: max_octets / PARTS }
    }

    fn part(&self, id: &[u8]) -> &Mutex<Part> {
        // The remainder is less than the number of parts.
        &self.parts[(self.hasher.hash_one(id) % PARTS as u64) as usize]
    }

    /// The answer about this CertID, if it is as good as a new one: of this half of its life, and saying what
    /// the board says now.
    pub(super) fn get(&self, id: &[u8], revoked: bool, now: UnixMillis) -> Option<Cached> {
        let part = self.part(id).lock();
        let fits = |c: &&Cached| c.revoked == revoked && c.this_update <= now && now < c.stale;
        part.answers.get(id).filter(fits).cloned()
    }

    /// Keeps an answer in place of the one before.
    pub(super) fn put(&self, id: &[u8], answer: Cached) {
        let mut part = self.part(id).lock();
        let part = &mut *part;
        part.octets += answer.der.len();
        if let Some(earlier) = part.answers.get_mut(id) {
            part.octets -= earlier.der.len();
            *earlier = answer;
        } else {
            let key: Arc<[u8]> = id.into();
            part.octets += key.len();
            part.order.push_back(Arc::clone(&key));
            part.answers.insert(key, answer);
        }
        while part.answers.len() > self.max_answers || part.octets > self.max_octets {
            let Some(oldest) = part.order.pop_front() else { break };
            if let Some(gone) = part.answers.remove(&oldest) {
                part.octets -= gone.der.len() + oldest.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(octets: usize, revoked: bool, at: u64) -> Cached {
        let at = UnixMillis::new(at);
        let (stale, next_update) = (at.saturating_add(30), at.saturating_add(60));
        Cached { der: vec![0; octets].into(), revoked, this_update: at, stale, next_update }
    }

    #[test]
    fn an_answer_is_served_while_it_is_young_and_true() {
        let (cache, at) = (Cache::default(), UnixMillis::new);
        cache.put(b"id", answer(5, false, 100));
        for now in [100, 129] {
            assert!(cache.get(b"id", false, at(now)).is_some());
            assert!(cache.get(b"id", true, at(now)).is_none(), "the board says that it is revoked");
        }
        // Neither past half of its life, nor where the clock went back.
        assert!(cache.get(b"id", false, at(130)).is_none() && cache.get(b"id", false, at(99)).is_none());
        assert!(cache.get(b"other", false, at(100)).is_none());
        cache.put(b"id", answer(5, true, 130));
        assert!(cache.get(b"id", true, at(130)).is_some() && cache.get(b"id", false, at(130)).is_none());
    }

    #[test]
    fn it_is_bounded_in_answers_and_octets() {
        let counts = |cache: &Cache| {
            let parts = cache.parts.iter().map(|part| part.lock());
            let counts = parts.map(|part| {
                let sum: usize = part.answers.iter().map(|(id, answer)| id.len() + answer.der.len()).sum();
                assert_eq!((part.octets, part.order.len()), (sum, part.answers.len()));
                (part.answers.len(), part.octets)
            });
            counts.fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
        };
        let few = Cache::with(320, usize::MAX);
        let small = Cache::with(usize::MAX, 32_000);
        for n in 0..5_000_u32 {
            few.put(&n.to_be_bytes(), answer(10, false, 1));
            small.put(&(n % 700).to_be_bytes(), answer(n as usize % 90, false, 1));
        }
        assert_eq!(counts(&few).0, 320);
        let (answers, octets) = counts(&small);
        assert!(answers > 200 && octets <= 32_000, "{answers} {octets}");
        // The newest is there, and one that alone is too much is not.
        assert!(few.get(&4_999_u32.to_be_bytes(), false, UnixMillis::new(1)).is_some());
        small.put(b"huge", answer(2_000, false, 1));
        assert!(small.get(b"huge", false, UnixMillis::new(1)).is_none());
        counts(&small);
    }
}
