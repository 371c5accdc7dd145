//! The batch that gathers while the one before it syncs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::log::entry::{CertHash, Submission};

/// The most distinct submissions that one commit takes.
pub const MAX_ENTRIES: usize = 4096;
/// A batch takes no more submissions once it holds this many octets.
pub const MAX_OCTETS: usize = 16 << 20;

/// Submissions of one batch, each certificate once, with everybody who waits for it.
#[derive(Debug)]
pub struct Pool<T> {
    submissions: Vec<Submission>,
    waiting: Vec<Vec<T>>,
    places: HashMap<CertHash, usize>,
    octets: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { submissions: Vec::new(), waiting: Vec::new(), places: HashMap::new(), octets: 0 }
    }
}

impl<T> Pool<T> {
    /// Adds a submission and whoever waits for its place.
    pub fn add(&mut self, submission: Submission, waiter: T) {
        match self.places.entry(submission.cert_hash) {
            Entry::Occupied(place) => self.waiting[*place.get()].push(waiter),
            Entry::Vacant(place) => {
                place.insert(self.submissions.len());
                self.octets += submission.der.len();
                self.submissions.push(submission);
                self.waiting.push(vec![waiter]);
            }
        }
    }

    /// Whether the batch should be sequenced before more is added.
    pub fn is_full(&self) -> bool {
        self.submissions.len() >= MAX_ENTRIES || self.octets >= MAX_OCTETS
    }

    /// The distinct submissions, in the order they came.
    pub fn submissions(&self) -> &[Submission] {
        &self.submissions
    }

    /// The submissions, and who waits for each.
    pub fn into_parts(self) -> (Vec<Submission>, Vec<Vec<T>>) {
        (self.submissions, self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::entry::{Chain, EntryType};

    fn submission(der: &[u8]) -> Submission {
        let cert_hash = CertHash::of_certificate(der);
        Submission { cert_hash, entry_type: EntryType::Certificate, der: der.to_vec(), chain: Chain::new([]) }
    }

    #[test]
    fn one_certificate_takes_one_place_however_often_it_comes() {
        let mut pool = Pool::default();
        for (der, waiter) in [(b"a", 1), (b"b", 2), (b"a", 3)] {
            pool.add(submission(der), waiter);
        }
        let (submissions, waiting) = pool.into_parts();
        assert_eq!(submissions, vec![submission(b"a"), submission(b"b")]);
        assert_eq!(waiting, vec![vec![1, 3], vec![2]]);
    }

    #[test]
    fn is_full_by_number_and_by_octets() {
        let mut pool = Pool::default();
        for i in 0..MAX_ENTRIES {
            assert!(!pool.is_full());
            pool.add(submission(&i.to_be_bytes()), ());
        }
        assert!(pool.is_full());
        let mut pool = Pool::default();
        pool.add(submission(&vec![0; MAX_OCTETS]), ());
        assert!(pool.is_full());
    }
}
