//! What the owner has ordered: hashes of certificates, from several sources, each as of a moment.

use std::collections::HashSet;
use std::sync::Arc;

use atl::log::entry::CertHash;
use atl::time::UnixMillis;
use parking_lot::RwLock;

/// Hashes of certificates. A copy shares them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashes {
    /// Each less than half as large as the one before, so that there are few.
    parts: Vec<Arc<HashSet<[u8; 32]>>>,
}

impl Hashes {
    /// Adds those that are not there yet.
    pub fn extend(&mut self, hashes: impl IntoIterator<Item = CertHash>) {
        let new: HashSet<[u8; 32]> =
            hashes.into_iter().filter(|hash| !self.contains(hash)).map(|hash| *hash.as_bytes()).collect();
        if new.is_empty() {
            return;
        }
        let mut new = Arc::new(new);
        while let Some(last) = self.parts.pop_if(|last| last.len() < new.len().saturating_mul(2)) {
            let (mut large, small) = if last.len() > new.len() { (last, new) } else { (new, last) };
            Arc::make_mut(&mut large).extend(small.iter());
            new = large;
        }
        self.parts.push(new);
    }

    /// Whether this one is there.
    pub fn contains(&self, hash: &CertHash) -> bool {
        self.parts.iter().any(|part| part.contains(hash.as_bytes()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

impl FromIterator<CertHash> for Hashes {
    fn from_iter<I: IntoIterator<Item = CertHash>>(hashes: I) -> Self {
        let mut all = Self::default();
        all.extend(hashes);
        all
    }
}

/// A place from which the owner's hashes come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it is, for people.
    pub name: String,
    /// What it holds.
    pub hashes: Hashes,
    /// A moment as of which all that it held is known; `None` where it was never read whole.
    pub as_of: Option<UnixMillis>,
    /// Why it could not be read the last time.
    pub fault: Option<String>,
}

impl Source {
    /// A source that was not read yet.
    pub fn new(name: String) -> Self {
        Self { name, hashes: Hashes::default(), as_of: None, fault: None }
    }
}

/// All that the owner has ordered, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorised {
    /// Where it comes from.
    pub sources: Vec<Source>,
}

impl Authorised {
    /// Whether a certificate is among it by any of these hashes.
    pub fn knows(&self, known_as: &[CertHash]) -> bool {
        known_as.iter().any(|hash| self.sources.iter().any(|source| source.hashes.contains(hash)))
    }

    /// The first source that is not known as of this moment, or a later one.
    pub fn behind(&self, moment: UnixMillis) -> Option<&Source> {
        self.sources.iter().find(|source| source.as_of.is_none_or(|as_of| as_of < moment))
    }
}

/// The newest of what is known: whoever reads it keeps what was read, whatever comes meanwhile. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Newest(Arc<RwLock<Arc<Authorised>>>);

impl Newest {
    /// What is known now.
    pub fn get(&self) -> Arc<Authorised> {
        self.0.read().clone()
    }

    /// Puts what is known now in the place of what was.
    pub fn set(&self, authorised: Authorised) {
        *self.0.write() = Arc::new(authorised);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_added_is_there_and_nothing_else(rounds in proptest::collection::vec(proptest::collection::vec(0..400u16, 0..60), 0..30)) {
            let hash = |n: u16| CertHash::of_certificate(&n.to_be_bytes());
            let (mut hashes, mut plain) = (Hashes::default(), HashSet::new());
            for round in rounds {
                let before = hashes.clone();
                let (len, part) = (before.len(), round.len());
                hashes.extend(round.iter().map(|n| hash(*n)));
                plain.extend(round);
                prop_assert_eq!(before.len(), len, "a copy does not change");
                prop_assert!(hashes.len() <= len + part);
            }
            prop_assert_eq!(hashes.len(), plain.len());
            prop_assert!((0..400).all(|n| hashes.contains(&hash(n)) == plain.contains(&n)));
            prop_assert!(hashes.parts.len() <= 10);
        }
    }
}
