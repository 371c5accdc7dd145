//! A sliding window over what was used: bounded in memory, and never forgetting too early.

use std::collections::VecDeque;

use crate::time::UnixMillis;

/// A bucket is so small a part of the period.
const PARTS: u64 = 64;
/// How many times the shortest period that a counter has seen may lie in the longest before buckets take no more
/// notice of it: this bounds a counter to about a thousand buckets, whatever periods it sees.
const MOST_RATIO: u64 = 1024;

/// What was used from one moment to another, both included. All of it counts as used at the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) first: UnixMillis,
    pub(super) last: UnixMillis,
    /// Wide enough that no number of amounts overflows it.
    pub(super) sum: u128,
}

/// What was used, for as long as the longest period that asked.
///
/// Buckets are disjoint and in their order, and none is empty. A new one is as wide as one part in 64 of the
/// shortest period seen. With age they may grow together up to one part in 64 of their age: only a period that is
/// longer than that still sees them, so that for every period a use leaves by at most one part in 64 of it too late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    shortest_ms: u64,
    longest_ms: u64,
    buckets: VecDeque<Bucket>,
}

impl Window {
    /// An empty window that has seen these periods, of at least a millisecond.
    pub(super) fn new(shortest_ms: u64, longest_ms: u64) -> Self {
        Self { shortest_ms: shortest_ms.max(1), longest_ms: longest_ms.max(1), buckets: VecDeque::new() }
    }

    /// The shortest and the longest period seen.
    pub(super) const fn periods(&self) -> (u64, u64) {
        (self.shortest_ms, self.longest_ms)
    }

    pub(super) fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        self.buckets.iter()
    }

    pub(super) fn bucket(&self, first: UnixMillis) -> Option<&Bucket> {
        self.buckets.get(self.buckets.binary_search_by_key(&first, |bucket| bucket.first).ok()?)
    }

    /// Puts a bucket behind the others; whether it may stand there.
    pub(super) fn restore(&mut self, bucket: Bucket) -> bool {
        let follows = self.buckets.back().is_none_or(|back| back.last < bucket.first);
        let right = follows && bucket.first <= bucket.last && bucket.sum > 0;
        if right {
            self.buckets.push_back(bucket);
        }
        right
    }

    /// Takes notice of a period; whether it is shorter or longer than all before.
    pub(super) fn see(&mut self, period_ms: u64) -> bool {
        let before = self.periods();
        self.shortest_ms = self.shortest_ms.min(period_ms).max(1);
        self.longest_ms = self.longest_ms.max(period_ms);
        self.periods() != before
    }

    /// The moment from which on nothing in it counts any more, for any period seen.
    pub(super) fn ends(&self) -> UnixMillis {
        self.buckets.back().map_or_else(UnixMillis::default, |back| back.last.saturating_add(self.longest_ms))
    }

    /// How much of it lies within the period that ends now, or within the longest period seen if that is shorter.
    pub(super) fn used(&self, period_ms: u64, now: UnixMillis) -> u128 {
        let period_ms = period_ms.min(self.longest_ms);
        let within = self.buckets.iter().rev().take_while(|bucket| now.since(bucket.last) < period_ms);
        within.fold(0, |used, bucket| used.saturating_add(bucket.sum))
    }

    /// When no more than `most` of it will be within the period.
    pub(super) fn falls_to(&self, most: u128, period_ms: u64, now: UnixMillis) -> UnixMillis {
        let period_ms = period_ms.min(self.longest_ms);
        let mut used = self.used(period_ms, now);
        let within = self.buckets.iter().skip_while(|bucket| now.since(bucket.last) >= period_ms);
        let mut moment = now;
        for bucket in within {
            if used <= most {
                break;
            }
            used = used.saturating_sub(bucket.sum);
            moment = bucket.last.saturating_add(period_ms);
        }
        moment
    }

    /// Adds what is used now, which must not lie before anything that it has. Tells `changed` where the buckets
    /// begin that it changed, made or dropped.
    pub(super) fn add(&mut self, amount: u64, now: UnixMillis, mut changed: impl FnMut(UnixMillis)) {
        while let Some(front) = self.buckets.front().filter(|front| now.since(front.last) >= self.longest_ms) {
            changed(front.first);
            self.buckets.pop_front();
        }
        let fine = self.finest();
        if let Some(back) = self.buckets.back_mut()
            // Where the width has shrunk meanwhile, two uses of one moment still lie in one bucket.
            && (now.since(back.first) < fine || now == back.last)
        {
            (back.last, back.sum) = (now, back.sum.saturating_add(amount.into()));
            return changed(back.first);
        }
        self.coarsen(now, &mut changed);
        self.buckets.push_back(Bucket { first: now, last: now, sum: amount.into() });
        changed(now);
    }

    /// Gives back what was added at this moment, if it is still there.
    pub(super) fn take(&mut self, amount: u64, at: UnixMillis, mut changed: impl FnMut(UnixMillis)) {
        let behind = self.buckets.partition_point(|bucket| bucket.first <= at);
        let Some(place) = behind.checked_sub(1) else { return };
        let Some(bucket) = self.buckets.get_mut(place).filter(|bucket| at <= bucket.last) else { return };
        bucket.sum = bucket.sum.saturating_sub(amount.into());
        changed(bucket.first);
        if bucket.sum == 0 {
            self.buckets.remove(place);
        }
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// How wide a new bucket may get.
    fn finest(&self) -> u64 {
        (self.shortest_ms.max(self.longest_ms / MOST_RATIO) / PARTS).max(1)
    }

    /// Puts together what is so old that only long periods see it.
    fn coarsen(&mut self, now: UnixMillis, changed: &mut impl FnMut(UnixMillis)) {
        if self.shortest_ms == self.longest_ms {
            return; // Nothing gets that old.
        }
        let fine = self.finest();
        let mut kept: VecDeque<Bucket> = VecDeque::with_capacity(self.buckets.len());
        for bucket in self.buckets.drain(..) {
            let width = fine.max(now.since(bucket.last) / PARTS);
            match kept.back_mut() {
                Some(back) if bucket.last.since(back.first) < width => {
                    (back.last, back.sum) = (bucket.last, back.sum.saturating_add(bucket.sum));
                    changed(back.first);
                    changed(bucket.first);
                }
                _ => kept.push_back(bucket),
            }
        }
        self.buckets = kept;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const DAY_MS: u64 = 86_400_000;

    fn moment(millis: u64) -> UnixMillis {
        UnixMillis::new(millis)
    }

    /// What was really used in the period that ends now.
    fn exact(uses: &[(u64, u64)], period_ms: u64, now: u64) -> u128 {
        uses.iter().filter(|(at, _)| now - at < period_ms).map(|(_, amount)| u128::from(*amount)).sum()
    }

    fn filled(periods: &[u64], uses: &[(u64, u64)]) -> Window {
        let mut window = Window::new(periods[0], periods[0]);
        for period in periods {
            window.see(*period);
        }
        uses.iter().for_each(|(at, amount)| window.add(*amount, moment(*at), |_| ()));
        window
    }

    /// Steps of very different lengths, as moments.
    fn uses() -> impl Strategy<Value = Vec<(u64, u64)>> {
        let step = prop_oneof![0..20u64, 0..2_000u64, 0..200_000u64];
        vec((step, 1..1000u64), 1..150).prop_map(|steps| {
            let mut now = 0;
            let at = |(step, amount)| {
                now += step;
                (now, amount)
            };
            steps.into_iter().map(at).collect()
        })
    }

    #[test]
    fn a_use_counts_to_the_millisecond_where_it_is_alone() {
        let window = filled(&[64_000], &[(5_000, 3)]);
        assert_eq!(window.used(64_000, moment(68_999)), 3);
        assert_eq!(window.used(64_000, moment(69_000)), 0);
        assert_eq!(window.falls_to(2, 64_000, moment(5_000)), moment(69_000));
        assert_eq!(window.ends(), moment(69_000));
        // Within a second they are one, and count from the last.
        let window = filled(&[64_000], &[(5_000, 3), (5_999, 1), (6_000, 1)]);
        assert_eq!(
            window.buckets().map(|b| (b.first.get(), b.last.get(), b.sum)).collect::<Vec<_>>(),
            [(5_000, 5_999, 4), (6_000, 6_000, 1)]
        );
        assert_eq!(window.used(64_000, moment(69_998)), 5);
        assert_eq!(window.used(64_000, moment(69_999)), 1);
        // What is added later forgets no more than what is over.
        for (at, left) in [(69_998, 5), (69_999, 1), (70_000, 0)] {
            let mut window = window.clone();
            window.add(9, moment(at), |_| ());
            assert_eq!(window.used(64_000, moment(at)), left + 9);
        }
    }

    #[test]
    fn the_end_of_time_overflows_nothing() {
        let (end, most) = (u64::MAX, u64::from(u32::MAX) * 1000);
        let mut window = filled(&[1, most], &[(end - 1, u64::MAX), (end, u64::MAX)]);
        assert_eq!(window.used(most, moment(end)), 2 * u128::from(u64::MAX));
        assert_eq!(window.falls_to(0, most, moment(end)), moment(end));
        window.take(u64::MAX, moment(end), |_| ());
        assert_eq!(window.used(most, moment(end)), u128::from(u64::MAX));
    }

    #[test]
    fn one_period_needs_few_buckets_and_many_periods_not_too_many() {
        for step in [1, 700, 1_351_000, 5_000_000] {
            let mut window = Window::new(DAY_MS, DAY_MS);
            for n in 0..200 {
                window.add(1, moment(n * step), |_| ());
                assert!(window.buckets.len() <= 65, "{step}: {}", window.buckets.len());
            }
        }
        let mut window = Window::new(1000, DAY_MS);
        let mut most = 0;
        for n in 0..22_000 {
            window.add(1, moment(n * 5_000), |_| ());
            most = most.max(window.buckets.len());
        }
        assert!((300..=1000).contains(&most), "{most}");
        assert_eq!(window.used(DAY_MS * 2, moment(22_000 * 5_000 - 5_000)), window.buckets().map(|b| b.sum).sum());
    }

    proptest! {
        #[test]
        fn never_less_than_was_used_and_at_most_a_bucket_more(
            uses in uses(), seconds in prop::sample::subsequence(vec![1u64, 7, 60, 100, 3600], 1..=5), later in 0..200_000u64,
        ) {
            let periods: Vec<u64> = seconds.iter().map(|s| s * 1000).collect();
            let window = filled(&periods, &uses);
            let finest = window.finest();
            let now = uses.last().unwrap().0 + later;
            for period in periods {
                let used = window.used(period, moment(now));
                let bucket = finest.max(period / PARTS);
                prop_assert!(used >= exact(&uses, period, now));
                prop_assert!(used <= exact(&uses, period + bucket, now));
                let most = used / 2;
                let falls = window.falls_to(most, period, moment(now)).get();
                prop_assert!(window.used(period, moment(falls)) <= most);
                prop_assert!(falls == now || window.used(period, moment(falls - 1)) > most);
            }
        }

        #[test]
        fn what_is_taken_back_is_there_again(
            uses in uses(), seconds in prop::sample::subsequence(vec![1u64, 60, 3600], 1..=3), picked in any::<prop::sample::Index>(),
        ) {
            let periods: Vec<u64> = seconds.iter().map(|s| s * 1000).collect();
            let longest = *periods.last().unwrap();
            let mut window = filled(&periods, &uses);
            let (now, (at, amount)) = (uses.last().unwrap().0, *picked.get(&uses));
            let used = |window: &Window| window.used(longest, moment(now));
            let before = used(&window);
            let counted = window.buckets().any(|b| b.first <= moment(at) && moment(at) <= b.last);
            let mut changed = Vec::new();
            window.take(amount, moment(at), |first| changed.push(first));
            let expected = if counted { before - u128::from(amount) } else { before };
            prop_assert_eq!(used(&window), expected);
            prop_assert_eq!(changed.len(), usize::from(counted));
            prop_assert!(window.buckets().all(|b| b.sum > 0));
        }
    }
}
