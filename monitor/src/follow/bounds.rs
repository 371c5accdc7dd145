//! When an entry can have been logged, by the heads around it (protocol section 4): not later than the first head
//! that covers it, and not earlier than the last head that does not, because one clock stamps both.

use std::ops::Range;

use atl::merkle::{LeafIndex, TreeSize};
use atl::time::UnixMillis;

use crate::finding::Class;
use crate::head::SignedHead;

/// A head that says when it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dated {
    /// The number of leaves that it covers.
    pub size: TreeSize,
    /// When it was signed.
    pub timestamp: UnixMillis,
}

impl Dated {
    /// The head, where it is one that says when it was signed: a tree head, and no checkpoint.
    pub fn of(head: &SignedHead) -> Option<Self> {
        Some(Self { size: head.size(), timestamp: head.timestamp()? })
    }
}

/// Neighbouring entries between the same two heads.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stretch {
    entries: Range<u64>,
    before: Option<Dated>,
    after: Option<Dated>,
}

/// The heads around some neighbouring entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds(Vec<Stretch>);

impl Bounds {
    /// The bounds of `entries` by these heads, which are sorted by size, and among those of one size by time.
    pub fn of(entries: Range<u64>, heads: &[Dated]) -> Self {
        let mut stretches = Vec::new();
        let mut start = entries.start;
        while start < entries.end {
            // The last head that does not cover the entry at `start`, and the first one that does.
            let (below, above) = heads.split_at(heads.partition_point(|head| head.size.get() <= start));
            let (before, after) = (below.last().copied(), above.first().copied());
            let end = after.map_or(entries.end, |head| head.size.get().min(entries.end));
            stretches.push(Stretch { entries: start..end, before, after });
            start = end;
        }
        Self(stretches)
    }

    /// What is wrong with an entry of this time, and the head that says so.
    pub fn check(&self, index: LeafIndex, timestamp: UnixMillis) -> Option<(Class, Dated)> {
        let stretch = self.0.iter().find(|stretch| stretch.entries.contains(&index.get()))?;
        let newer = stretch.after.filter(|head| timestamp > head.timestamp);
        let older = stretch.before.filter(|head| timestamp < head.timestamp);
        let newer = newer.map(|head| (Class::EntryNewerThanHead, head));
        newer.or_else(|| older.map(|head| (Class::TimestampOutOfBounds, head)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(size: u64, timestamp: u64) -> Dated {
        Dated { size: TreeSize::new(size), timestamp: UnixMillis::new(timestamp) }
    }

    #[test]
    fn an_entry_is_held_against_its_own_neighbours() {
        // Of one size and several times, the last one was signed without the next entry, the first one with its last.
        let heads = [head(10, 100), head(20, 190), head(20, 200), head(30, 300), head(35, 350)];
        let bounds = Bounds::of(5..40, &heads);
        let check = |index, at| bounds.check(LeafIndex::new(index), UnixMillis::new(at));
        for (index, good) in [(9, 0), (9, 100), (10, 100), (19, 190), (20, 200), (34, 300), (34, 350), (35, 999)] {
            assert_eq!(check(index, good), None, "{index} at {good}");
        }
        assert_eq!(check(9, 101), Some((Class::EntryNewerThanHead, head(10, 100))));
        assert_eq!(check(10, 99), Some((Class::TimestampOutOfBounds, head(10, 100))));
        assert_eq!(check(19, 191), Some((Class::EntryNewerThanHead, head(20, 190))));
        assert_eq!(check(20, 199), Some((Class::TimestampOutOfBounds, head(20, 200))));
        assert_eq!(check(34, 351), Some((Class::EntryNewerThanHead, head(35, 350))));
        assert_eq!(check(39, 349), Some((Class::TimestampOutOfBounds, head(35, 350))));
        assert_eq!(check(40, 0), None);
    }

    #[test]
    fn without_heads_everything_goes() {
        let bounds = Bounds::of(0..300, &[]);
        assert_eq!(bounds.0.len(), 1);
        assert_eq!(bounds.check(LeafIndex::new(299), UnixMillis::new(u64::MAX)), None);
    }
}
