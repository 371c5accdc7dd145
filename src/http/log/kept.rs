//! What is worth keeping because it comes again and again, within bounds.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::merkle::Hash;

/// Values kept. Forgetting them costs work, no more.
const MAX_KEPT: usize = 4096;
/// Octets of what a kept value was made from: what is larger is made again each time.
const MAX_OCTETS: usize = 16 << 10;

/// Values by the hash of what they were made from.
#[derive(Debug)]
pub struct Kept<T>(RwLock<HashMap<Hash, Arc<T>>>);

impl<T> Kept<T> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self(RwLock::default())
    }

    /// The value, where it was kept.
    pub fn get(&self, key: &Hash) -> Option<Arc<T>> {
        self.0.read().get(key).cloned()
    }

    /// Keeps a value that was made from this many octets, unless they are too many.
    pub fn keep(&self, key: Hash, octets: usize, value: &Arc<T>) {
        if octets > MAX_OCTETS {
            return;
        }
        let mut kept = self.0.write();
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_many_nor_large_values_are_kept() {
        let (kept, value) = (Kept::new(), Arc::new(()));
        let key = |n: usize| Hash::of(&n.to_be_bytes());
        kept.keep(key(0), MAX_OCTETS, &value);
        kept.keep(key(1), MAX_OCTETS + 1, &value);
        assert!(kept.get(&key(0)).is_some() && kept.get(&key(1)).is_none());
        for n in 0..3 * MAX_KEPT {
            kept.keep(key(n), 1, &value);
            assert!(kept.0.read().len() <= MAX_KEPT && kept.get(&key(n)).is_some());
        }
    }
}
