//! What a head shows at once, held against those that are known: no proof of the log's is needed for it.

use atl::merkle::{Hash, TreeSize};
use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::finding::Class;
use crate::head::SignedHead;

/// How far ahead of our clock a head may be dated, in milliseconds.
pub const MAX_AHEAD_MILLIS: u64 = 60_000;

/// What a head states, which tells it from all others of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HeadId {
    /// The number of leaves.
    pub size: TreeSize,
    /// The root over them.
    pub root: Hash,
    /// When it was signed: a tree head says, a checkpoint does not.
    pub timestamp: Option<UnixMillis>,
}

impl From<&SignedHead> for HeadId {
    fn from(head: &SignedHead) -> Self {
        Self { size: head.size(), root: head.root(), timestamp: head.timestamp() }
    }
}

/// In words, for people.
impl std::fmt::Display for HeadId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.timestamp {
            Some(timestamp) => write!(f, "the tree head of {} leaves signed at {timestamp}", self.size)?,
            None => write!(f, "the checkpoint of {} leaves", self.size)?,
        }
        write!(f, " with root {}", self.root)
    }
}

/// A head, and whether the log showed it to this monitor itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What it states.
    pub id: HeadId,
    /// Whether the log showed it to us; otherwise other monitors alone have seen it.
    pub to_us: bool,
}

/// A case that a new head shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Which.
    pub class: Class,
    /// The known head that it is shown with; a head from the future stands alone.
    pub other: Option<HeadId>,
}

/// What `new` shows together with the heads in `known`, at most one case of a kind and the plainest one of it.
///
/// A history of an honest log shows nothing, in whatever order its heads come in: sizes do not fall as timestamps
/// rise, timestamps are not used twice, and one size has one root (protocol section 4).
pub fn compare(known: &[Shown], new: &Shown, now: UnixMillis) -> Vec<Contradiction> {
    let others = || known.iter().filter(|other| other.id != new.id);
    let found = |class, other: &Shown| Contradiction { class, other: Some(other.id) };

    let clash = others().filter(|other| other.id.size == new.id.size && other.id.root != new.id.root);
    let same_form = |other: &Shown| other.id.timestamp.is_some() == new.id.timestamp.is_some();
    let clash = clash.max_by_key(|other| (other.to_us, same_form(other))).map(|other| {
        let class = match (other.to_us && new.to_us, same_form(other)) {
            (false, _) => Class::SplitView,
            (true, true) => Class::SameSizeOtherRoot,
            (true, false) => Class::CheckpointDiffers,
        };
        found(class, other)
    });

    let rollback = others().filter(|other| is_rollback(&other.id, &new.id) || is_rollback(&new.id, &other.id));
    let rollback = rollback.max_by_key(|other| (other.to_us, other.id.size.get().abs_diff(new.id.size.get())));

    let same_time = |other: &&Shown| new.id.timestamp.is_some() && other.id.timestamp == new.id.timestamp;
    let twin = others().filter(same_time).max_by_key(|other| other.to_us);

    let ahead = new.id.timestamp.filter(|timestamp| timestamp.since(now) > MAX_AHEAD_MILLIS);
    clash
        .into_iter()
        .chain(rollback.map(|other| found(Class::Rollback, other)))
        .chain(twin.map(|other| found(Class::SameTimestamp, other)))
        .chain(ahead.map(|_| Contradiction { class: Class::FutureHead, other: None }))
        .collect()
}

/// Whether `later` was signed after `earlier` over a smaller tree.
fn is_rollback(earlier: &HeadId, later: &HeadId) -> bool {
    match (earlier.timestamp, later.timestamp) {
        (Some(before), Some(after)) => before < after && earlier.size > later.size,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis::new(1_000_000);

    fn sth(size: u64, root: u8, timestamp: u64) -> HeadId {
        HeadId { size: TreeSize::new(size), root: Hash::new([root; 32]), timestamp: Some(UnixMillis::new(timestamp)) }
    }

    fn note(size: u64, root: u8) -> HeadId {
        HeadId { timestamp: None, ..sth(size, root, 0) }
    }

    fn ours(id: HeadId) -> Shown {
        Shown { id, to_us: true }
    }

    fn theirs(id: HeadId) -> Shown {
        Shown { id, to_us: false }
    }

    /// The classes that the second head shows with the first, which are the same the other way round.
    fn classes(one: Shown, two: Shown) -> Vec<Class> {
        let classes = |known: Shown, new: Shown| -> Vec<_> {
            let cases = compare(&[known], &new, NOW);
            assert!(cases.iter().all(|case| case.other == Some(known.id)));
            cases.into_iter().map(|case| case.class).collect()
        };
        assert_eq!(classes(one, two), classes(two, one));
        classes(one, two)
    }

    #[test]
    fn each_case_is_the_one_it_is() {
        assert_eq!(classes(ours(sth(7, 1, 10)), ours(sth(7, 2, 11))), [Class::SameSizeOtherRoot]);
        assert_eq!(classes(ours(note(7, 1)), ours(note(7, 2))), [Class::SameSizeOtherRoot]);
        assert_eq!(classes(ours(sth(7, 1, 10)), theirs(sth(7, 2, 11))), [Class::SplitView]);
        assert_eq!(classes(theirs(sth(7, 1, 10)), theirs(note(7, 2))), [Class::SplitView]);
        assert_eq!(classes(ours(sth(7, 1, 10)), ours(note(7, 2))), [Class::CheckpointDiffers]);
        assert_eq!(classes(ours(sth(7, 1, 10)), ours(sth(6, 2, 11))), [Class::Rollback]);
        assert_eq!(classes(ours(sth(7, 1, 10)), theirs(sth(6, 2, 11))), [Class::Rollback]);
        assert_eq!(classes(ours(sth(7, 1, 10)), ours(sth(8, 2, 10))), [Class::SameTimestamp]);
        let both = [Class::SameSizeOtherRoot, Class::SameTimestamp];
        assert_eq!(classes(ours(sth(7, 1, 10)), ours(sth(7, 2, 10))), both);
    }

    #[test]
    fn what_an_honest_log_does_is_no_case() {
        for (one, two) in [
            (sth(7, 1, 10), sth(7, 1, 11)),
            (sth(7, 1, 10), sth(7, 1, 10)),
            (sth(7, 1, 10), sth(8, 2, 11)),
            (sth(7, 1, 10), note(7, 1)),
            (sth(7, 1, 10), note(3, 2)),
            (note(7, 1), note(8, 2)),
        ] {
            assert_eq!(classes(ours(one), theirs(two)), []);
        }
    }

    #[test]
    fn a_minute_ahead_is_the_future() {
        let at = |millis| compare(&[], &ours(sth(7, 1, millis)), NOW);
        assert_eq!(at(NOW.get() + MAX_AHEAD_MILLIS), []);
        let future = Contradiction { class: Class::FutureHead, other: None };
        assert_eq!(at(NOW.get() + MAX_AHEAD_MILLIS + 1), [future]);
        assert_eq!(at(u64::MAX), [future]);
    }

    #[test]
    fn the_plainest_head_is_named() {
        let known =
            [theirs(sth(7, 2, 1)), ours(note(7, 2)), ours(sth(7, 2, 2)), ours(sth(9, 3, 3)), ours(sth(8, 4, 4))];
        let cases = compare(&known, &ours(sth(7, 1, 5)), NOW);
        let expected = [(Class::SameSizeOtherRoot, Some(sth(7, 2, 2))), (Class::Rollback, Some(sth(9, 3, 3)))];
        assert_eq!(cases.iter().map(|c| (c.class, c.other)).collect::<Vec<_>>(), expected);
    }

    /// Heads of an honest log whose tree has the root `root(size)`.
    fn history(steps: &[(u64, u64, bool)], root: impl Fn(u64) -> u8) -> Vec<HeadId> {
        let (mut size, mut timestamp) = (0, 0);
        let mut heads = Vec::new();
        for (grown, later, with_note) in steps {
            size += grown;
            timestamp += 1 + later;
            heads.push(sth(size, root(size), timestamp));
            heads.extend(with_note.then(|| note(size, root(size))));
        }
        heads
    }

    fn steps() -> impl Strategy<Value = Vec<(u64, u64, bool)>> {
        prop::collection::vec((0..4_u64, 0..5_u64, any::<bool>()), 1..20)
    }

    proptest! {
        #[test]
        fn honest_histories_show_nothing_in_any_order(
            steps in steps(),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
            to_us: bool,
        ) {
            let heads = history(&steps, |size| size as u8);
            let mut known: Vec<Shown> = Vec::new();
            for index in order {
                let new = Shown { id: *index.get(&heads), to_us };
                prop_assert_eq!(compare(&known, &new, NOW), []);
                known.push(new);
            }
        }

        #[test]
        fn a_fork_shows_once_both_have_a_head_of_one_size(
            steps in steps(), at in 0..40_u64, order: bool,
        ) {
            // Two views of one log that part at leaf `at`; each of two monitors has been shown one of them.
            let honest = history(&steps, |size| size as u8);
            let forked = history(&steps, |size| if size > at { 100 + size as u8 } else { size as u8 });
            let (known, new) = if order { (honest, forked) } else { (forked, honest) };
            let known: Vec<_> = known.into_iter().map(ours).collect();
            for id in new {
                let cases = compare(&known, &theirs(id), NOW);
                let split = cases.iter().any(|case| case.class == Class::SplitView);
                prop_assert_eq!(split, id.size.get() > at, "{:?}: {:?}", id, cases);
            }
        }
    }
}
