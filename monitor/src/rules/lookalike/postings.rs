//! From a key to those who have it, in about five octets for each.

/// Most identifiers: above it too few bits would be left to tell keys of one bucket apart.
pub(super) const MOST_IDS: u32 = 1 << 20;

/// Buckets for each identifier, about: with three keys in each.
const BUCKETS_EACH: u32 = 16;

/// Bits of the filter for each bucket, as a power of two.
const FILTER_BITS: u32 = 4;

/// Parts in which the index is built, a power of two.
const PARTS: u64 = 4;

/// An index from 64-bit keys to small identifiers.
///
/// The first bits of a key choose a bucket, the next ones are kept beside the identifier. So a look-up gives now
/// and then, in the order of one in ten thousand, somebody who has another key; who asks compares anyway. Most
/// keys that are asked for nobody has, and most of those end at a filter, which is small enough for a cache.
pub(super) struct Postings {
    /// For each of the first bits of a key, some more than choose the bucket, whether there is such a key.
    filter: Box<[u64]>,
    /// Bits of a key that choose its bucket.
    bucket_bits: u32,
    /// Bits of an entry that are the identifier.
    id_bits: u32,
    /// Where each bucket begins, and behind the last one where it ends.
    starts: Box<[u32]>,
    entries: Box<[u32]>,
}

impl Postings {
    /// Builds it from those keys that `keys_of` tells for each identifier below `ids`. It is asked once for each
    /// of a few parts of the index, so that only one part has to be sorted at a time, and must tell the same each
    /// time.
    ///
    /// `None` where there are more than [`MOST_IDS`] or than 2^32 keys.
    pub(super) fn build(ids: u32, mut keys_of: impl FnMut(u32, &mut dyn FnMut(u64))) -> Option<Self> {
        if ids > MOST_IDS {
            return None;
        }
        let bucket_bits = 32 - (ids * BUCKETS_EACH).leading_zeros().min(26);
        let id_bits = 32 - ids.leading_zeros();
        let filter = vec![0_u64; 1 << (bucket_bits + FILTER_BITS - 6)].into_boxed_slice();
        let starts = vec![0_u32; (1 << bucket_bits) + 1].into_boxed_slice();
        let mut index = Self { filter, bucket_bits, id_bits, starts, entries: Box::default() };
        let (mut entries, mut keys) = (Vec::new(), Vec::new());
        for part in 0..PARTS {
            // A key's last bits are not looked at: the identifier goes there.
            for id in 0..ids {
                keys_of(id, &mut |key| {
                    if key >> (64 - PARTS.trailing_zeros()) == part {
                        keys.push(key >> id_bits << id_bits | u64::from(id));
                    }
                });
            }
            keys.sort_unstable();
            keys.dedup();
            entries.reserve_exact(keys.len());
            keys.drain(..).for_each(|key| index.put(key, &mut entries));
        }
        // So far each start counts its own bucket; from here on, all before it.
        let (mut start, total) = (0, u32::try_from(entries.len()).ok()?);
        for count in &mut index.starts {
            start += std::mem::replace(count, start);
        }
        index.entries = entries.into_boxed_slice();
        (start == total).then_some(index)
    }

    /// Puts a key with its identifier behind those that come before it.
    fn put(&mut self, key: u64, entries: &mut Vec<u32>) {
        let id = key as u32 & ((1 << self.id_bits) - 1);
        entries.push(self.tag(key) | id);
        let (word, bit) = self.place_in_filter(key);
        self.filter.get_mut(word).into_iter().for_each(|word| *word |= 1 << bit);
        let bucket = self.bucket(key);
        self.starts.get_mut(bucket).into_iter().for_each(|count| *count = count.saturating_add(1));
    }

    const fn bucket(&self, key: u64) -> usize {
        (key >> (64 - self.bucket_bits)) as usize
    }

    const fn place_in_filter(&self, key: u64) -> (usize, u32) {
        let place = key >> (64 - self.bucket_bits - FILTER_BITS);
        ((place >> 6) as usize, (place & 63) as u32)
    }

    /// The bits of a key that an entry keeps, above its identifier.
    const fn tag(&self, key: u64) -> u32 {
        let after_bucket = (key << self.bucket_bits >> 32) as u32;
        if self.id_bits >= 32 { 0 } else { after_bucket >> self.id_bits << self.id_bits }
    }

    /// Who has this key, and now and then somebody else.
    pub(super) fn get(&self, key: u64) -> impl Iterator<Item = u32> {
        let (word, bit) = self.place_in_filter(key);
        let entries = self.filter.get(word).filter(|word| **word >> bit & 1 == 1).and_then(|_| {
            let (start, end) = self.starts.get(self.bucket(key)).zip(self.starts.get(self.bucket(key) + 1))?;
            self.entries.get(*start as usize..*end as usize)
        });
        let (mask, tag) = ((1 << self.id_bits) - 1, self.tag(key));
        entries.unwrap_or_default().iter().filter(move |entry| **entry & !mask == tag).map(move |entry| entry & mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A key that is spread over 64 bits.
    fn spread(n: u64) -> u64 {
        (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    proptest! {
        #[test]
        fn everybody_is_found_under_each_key(keys in proptest::collection::vec(proptest::collection::vec(0_u64..50, 0..9), 0..40)) {
            let told = |id: u32, tell: &mut dyn FnMut(u64)| keys[id as usize].iter().for_each(|key| tell(spread(*key)));
            let index = Postings::build(keys.len() as u32, told).unwrap();
            for key in 0..60 {
                let mut found: Vec<u32> = index.get(spread(key)).collect();
                found.sort_unstable();
                let has = |(id, keys): (usize, &Vec<u64>)| keys.contains(&key).then_some(id as u32);
                let expected: Vec<u32> = keys.iter().enumerate().filter_map(has).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn has_a_bound() {
        assert!(Postings::build(MOST_IDS + 1, |_, _| ()).is_none());
        let most = Postings::build(MOST_IDS, |id, tell| {
            if id == MOST_IDS - 1 {
                tell(spread(7))
            }
        })
        .unwrap();
        assert_eq!(most.get(spread(7)).collect::<Vec<_>>(), [MOST_IDS - 1]);
    }

    #[test]
    fn another_key_is_rarely_taken_for_one() {
        let index =
            Postings::build(10_000, |id, tell| (0..10).for_each(|n| tell(spread(u64::from(id * 10 + n))))).unwrap();
        let wrong = (1_000_000..1_100_000).filter(|n| index.get(spread(*n)).next().is_some()).count();
        assert!(wrong < 100, "{wrong}");
    }
}
