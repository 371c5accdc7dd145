//! What is kept of agents that come again: what their certificates' signatures proved, and how these stand.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::time::UnixMillis;
use crate::verify::relying::{Examination, Inclusion, Standing, Status};

/// Most presentations whose examination is kept.
const MAX_EXAMINED: usize = 10_000;
/// Most octets of their certificates.
const MAX_OCTETS: usize = 64 << 20;
/// Milliseconds for which nobody is asked again who had no answer that was enough.
const IN_VAIN_MS: u64 = 2_000;
/// Most certificates whose standing is kept.
const MAX_STANDINGS: usize = 100_000;

/// A presentation whose signatures were verified.
#[derive(Debug)]
pub struct Kept {
    /// What came of it.
    pub examination: Examination,
    /// SHA-256 of the certificates that can be revoked, of the agents and of the CAs.
    pub questionable: Vec<[u8; 32]>,
    /// That it is in logs, where that was asked for.
    pub inclusions: Vec<Inclusion>,
}

impl Kept {
    /// What came of it, and what was learned for it alone: of proofs of one certificate in one log the last, since
    /// those before it were not enough.
    pub fn new(examination: Examination, learned: Vec<Inclusion>) -> Self {
        let mut inclusions: Vec<Inclusion> = Vec::new();
        for proof in learned.into_iter().rev() {
            if !inclusions.iter().any(|later| (later.log, later.cert_hash) == (proof.log, proof.cert_hash)) {
                inclusions.push(proof);
            }
        }
        let questionable = examination.questionable().iter().map(|q| q.certificate.fingerprint()).collect();
        Self { examination, questionable, inclusions }
    }

    /// Octets of its certificates.
    fn weight(&self) -> usize {
        let members = self.examination.members();
        let certificates = members.flat_map(|member| {
            let path = member.path().into_iter().flat_map(|path| path.iter().map(|issuer| issuer.certificate()));
            [member.certificate()].into_iter().chain(path)
        });
        certificates.map(|certificate| certificate.der().len()).sum()
    }
}

/// Values by key, of which those that were not asked for the longest go first.
struct Recent<K, V> {
    values: HashMap<K, (u64, usize, V)>,
    order: BTreeMap<u64, K>,
    clock: u64,
    weight: usize,
    most: usize,
    most_weight: usize,
}

impl<K: Copy + Eq + Hash, V: Clone> Recent<K, V> {
    fn new(most: usize, most_weight: usize) -> Self {
        Self { values: HashMap::new(), order: BTreeMap::new(), clock: 0, weight: 0, most, most_weight }
    }

    fn get(&mut self, key: &K) -> Option<V> {
        let (at, _, value) = self.values.get_mut(key)?;
        self.order.remove(at);
        self.clock += 1;
        *at = self.clock;
        self.order.insert(self.clock, *key);
        Some(value.clone())
    }

    fn put(&mut self, key: K, weight: usize, value: V) {
        self.remove(&key);
        self.clock += 1;
        self.weight += weight;
        self.order.insert(self.clock, key);
        self.values.insert(key, (self.clock, weight, value));
        while self.values.len() > self.most || self.weight > self.most_weight {
            let Some((_, oldest)) = self.order.first_key_value() else { return };
            let oldest = *oldest;
            self.remove(&oldest);
        }
    }

    fn remove(&mut self, key: &K) {
        if let Some((at, weight, _)) = self.values.remove(key) {
            self.order.remove(&at);
            self.weight -= weight;
        }
    }
}

/// Names a presentation and what it was examined by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PresentationKey([u8; 32]);

impl PresentationKey {
    /// The name of these certificates, in DER and in this order, before material of this generation.
    pub fn of(generation: u64, certificates: &[Vec<u8>]) -> Self {
        let mut hash = Sha256::new();
        hash.update(generation.to_be_bytes());
        for der in certificates {
            hash.update((der.len() as u64).to_be_bytes());
            hash.update(der);
        }
        Self(hash.finalize().into())
    }
}

/// The examinations at hand. Only of presentations that prove something, so that nobody who makes certificates up
/// can crowd the others out. And which of them others were asked about in vain.
pub struct Examinations {
    kept: Mutex<Recent<PresentationKey, Arc<Kept>>>,
    in_vain: Mutex<Recent<PresentationKey, UnixMillis>>,
}

impl Default for Examinations {
    fn default() -> Self {
        let in_vain = Mutex::new(Recent::new(MAX_EXAMINED, usize::MAX));
        Self { kept: Mutex::new(Recent::new(MAX_EXAMINED, MAX_OCTETS)), in_vain }
    }
}

impl Examinations {
    /// What came of this presentation before.
    pub fn get(&self, key: &PresentationKey) -> Option<Arc<Kept>> {
        self.kept.lock().get(key)
    }

    /// Keeps it.
    pub fn put(&self, key: PresentationKey, kept: Arc<Kept>) {
        self.kept.lock().put(key, kept.weight(), kept);
    }

    /// Whether others were asked about this one a moment ago, and had no answer that was enough.
    pub fn was_in_vain(&self, key: &PresentationKey, now: UnixMillis) -> bool {
        self.in_vain.lock().get(key).is_some_and(|at| at <= now && now.since(at) < IN_VAIN_MS)
    }

    /// Notes that it is so now.
    pub fn is_in_vain(&self, key: PresentationKey, now: UnixMillis) {
        self.in_vain.lock().put(key, 1, now);
    }
}

/// OCSP answers at hand, by certificate.
pub struct Standings {
    answers: Mutex<Recent<[u8; 32], (UnixMillis, Standing)>>,
    /// Milliseconds after which it is asked anew, however long the answer may be kept.
    most_age: u64,
}

impl Standings {
    /// None yet; each is to be used for so many milliseconds at most.
    pub fn new(most_age: u64) -> Self {
        Self { answers: Mutex::new(Recent::new(MAX_STANDINGS, usize::MAX)), most_age }
    }

    /// What is known of these certificates. A revocation is never taken back, so it is known for good.
    pub fn of(&self, certificates: &[[u8; 32]], now: UnixMillis) -> Vec<Standing> {
        let mut answers = self.answers.lock();
        let known = certificates.iter().filter_map(|certificate| answers.get(certificate));
        let holds = |(at, answer): &(UnixMillis, Standing)| {
            matches!(answer.status, Status::Revoked { .. }) || (now.since(*at) <= self.most_age && *at <= now)
        };
        known.filter(holds).map(|(_, answer)| answer).collect()
    }

    /// Keeps answers that were given now. No answer takes the place of a revocation.
    pub fn keep<'a>(&self, given: impl IntoIterator<Item = &'a Standing>, now: UnixMillis) {
        let mut answers = self.answers.lock();
        for answer in given {
            let before = answers.get(&answer.certificate);
            if !before.is_some_and(|(_, before)| matches!(before.status, Status::Revoked { .. })) {
                answers.put(answer.certificate, 1, (now, *answer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::apki::status::RevocationReason;
    use crate::apki::testing::key;
    use crate::keys::Signer as _;
    use crate::log::entry::CertHash;
    use crate::verify::relying::tests::rig::World;

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let mut recent = Recent::new(3, usize::MAX);
        for n in 1..=3 {
            recent.put(n, 1, n * 10);
        }
        assert_eq!(recent.get(&1), Some(10));
        recent.put(4, 1, 40);
        assert_eq!([1, 2, 3, 4].map(|n| recent.get(&n)), [Some(10), None, Some(30), Some(40)]);
        recent.put(3, 1, 31);
        assert_eq!((recent.get(&3), recent.values.len()), (Some(31), 3));
        let mut heavy = Recent::new(9, 100);
        heavy.put(1, 60, ());
        heavy.put(2, 60, ());
        assert_eq!((heavy.get(&1), heavy.get(&2)), (None, Some(())));
        heavy.put(3, 101, ());
        assert_eq!((heavy.values.len(), heavy.weight), (0, 0));
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_counts_right(calls in vec((any::<bool>(), 0..20_u8, 0..40_usize), 0..200)) {
            let mut recent = Recent::new(5, 100);
            for (put, key, weight) in calls {
                if put { recent.put(key, weight, key) } else { let _ = recent.get(&key); }
                let weight: usize = recent.values.values().map(|(_, weight, _)| weight).sum();
                prop_assert_eq!(recent.weight, weight);
                prop_assert!(weight <= 100 && recent.values.len() <= 5 && recent.order.len() == recent.values.len());
                prop_assert!(recent.order.iter().all(|(at, key)| recent.values[key].0 == *at));
            }
        }
    }

    #[test]
    fn of_proofs_of_one_certificate_in_one_log_the_last_is_kept() {
        let world = World::new();
        let proof = |log: u8, hash, at| Inclusion {
            cert_hash: CertHash::new([hash; 32]),
            log: key(log).public_key().log_id(),
            signed_at: Some(UnixMillis::new(at)),
            witnessed_at: None,
        };
        let learned = vec![proof(1, 1, 1), proof(2, 1, 2), proof(1, 2, 3), proof(1, 1, 4), proof(1, 1, 5)];
        let mut kept = Kept::new(world.party.examine(world.presented()), learned).inclusions;
        kept.sort_by_key(|proof| proof.signed_at);
        assert_eq!(kept, [proof(2, 1, 2), proof(1, 2, 3), proof(1, 1, 5)]);
    }

    #[test]
    fn a_presentation_has_one_name() {
        let key = |generation, certificates: &[&[u8]]| {
            let certificates: Vec<Vec<u8>> = certificates.iter().map(|der| der.to_vec()).collect();
            PresentationKey::of(generation, &certificates)
        };
        assert_eq!(key(1, &[b"ab", b"c"]), key(1, &[b"ab", b"c"]));
        let others = [key(2, &[b"ab", b"c"]), key(1, &[b"a", b"bc"]), key(1, &[b"c", b"ab"]), key(1, &[b"abc"])];
        assert!(others.iter().all(|other| *other != key(1, &[b"ab", b"c"])));
    }

    #[test]
    fn an_answer_is_used_for_a_while_and_a_revocation_for_good() {
        let at = UnixMillis::new;
        let standing = |status| Standing { certificate: [1; 32], status, this_update: at(0), next_update: at(1 << 40) };
        let revoked = Status::Revoked { at: at(5), reason: RevocationReason::KeyCompromise };
        let standings = Standings::new(1000);
        assert!(standings.of(&[[1; 32]], at(0)).is_empty());
        standings.keep(&[standing(Status::Good)], at(100));
        assert_eq!(standings.of(&[[1; 32], [2; 32]], at(1100)), [standing(Status::Good)]);
        assert!(standings.of(&[[1; 32]], at(1101)).is_empty());
        assert!(standings.of(&[[1; 32]], at(99)).is_empty(), "the clock went back");
        standings.keep(&[standing(revoked)], at(200));
        standings.keep(&[standing(Status::Good)], at(300));
        assert_eq!(standings.of(&[[1; 32]], at(1 << 50)), [standing(revoked)]);
    }
}
