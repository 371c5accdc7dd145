//! Heads and promises of a log.

use atl::log::entry::CertHash;
use proptest::prelude::*;

use super::super::testing::{NOW, TestLog, diverging, leaves, outcome, rewritten, rich};
use super::super::{Exhibit, Outcome, Verdict};
use crate::finding::Class;

fn says(exhibit: &Exhibit, verdict: Verdict, word: &str) {
    let outcome = outcome(exhibit);
    assert_eq!(outcome.verdict(), verdict, "{outcome:?}");
    assert!(outcome.says().contains(word), "{word:?} in {outcome:?}");
}

#[test]
fn two_roots_of_one_size() {
    let log = TestLog::new(1);
    let (one, other) = (leaves(9, 1), leaves(9, 2));
    let sths = [log.sth(&one, 1000), log.sth(&other, 2000)];
    let mixed = [log.checkpoint(&other), log.sth(&one, 1000)];
    for (class, heads) in [
        (Class::SameSizeOtherRoot, &sths),
        (Class::SplitView, &sths),
        (Class::SameSizeOtherRoot, &mixed),
        (Class::SplitView, &mixed),
        (Class::CheckpointDiffers, &mixed),
    ] {
        says(&log.heads(class, heads.clone()), Verdict::Proven, "two trees of one size");
    }
    says(&log.heads(Class::CheckpointDiffers, sths), Verdict::NotProven, "no tree head and checkpoint");
    let honest = [log.sth(&one, 1000), log.sth(&one, 2000), log.checkpoint(&one)];
    for class in
        [Class::SameSizeOtherRoot, Class::CheckpointDiffers, Class::SplitView, Class::SameTimestamp, Class::Rollback]
    {
        assert_eq!(outcome(&log.heads(class, honest.clone())).verdict(), Verdict::NotProven, "{class}");
    }
}

#[test]
fn a_rewritten_past() {
    let exhibit = rewritten();
    says(&exhibit, Verdict::Proven, "rewritten its past");
    let split = Exhibit { class: Class::SplitView, ..exhibit.clone() };
    says(&split, Verdict::Proven, "rewritten its past");
    says(&Exhibit { divergence: None, ..exhibit.clone() }, Verdict::NotProven, "no nodes");
    let mut swapped = exhibit.clone();
    swapped.heads.reverse();
    says(&swapped, Verdict::Proven, "rewritten its past");
    let mut changed = exhibit;
    changed.divergence.as_mut().unwrap().first.swap(0, 1);
    says(&changed, Verdict::NotProven, "do not show");
}

#[test]
fn a_rollback_is_later_and_smaller() {
    let log = TestLog::new(1);
    let tree = leaves(9, 1);
    let heads = |small, large| log.heads(Class::Rollback, [log.sth(&tree, large), log.sth(&tree[..4], small)]);
    says(&heads(2000, 1000), Verdict::Proven, "has gone back");
    says(&heads(1000, 2000), Verdict::NotProven, "no tree head");
    says(&heads(1000, 1000), Verdict::NotProven, "no tree head");
    let undated = [log.sth(&tree, 1000), log.checkpoint(&tree[..4])];
    says(&log.heads(Class::Rollback, undated), Verdict::NotProven, "no tree head");
}

#[test]
fn one_head_at_a_time() {
    let log = TestLog::new(1);
    let tree = leaves(9, 1);
    let heads = |at| log.heads(Class::SameTimestamp, [log.sth(&tree[..4], 1000), log.sth(&tree, at)]);
    says(&heads(1000), Verdict::Proven, "two trees at one moment");
    says(&heads(1001), Verdict::NotProven, "no two tree heads");
}

#[test]
fn what_the_log_did_not_sign_is_nothing() {
    let (log, other) = (TestLog::new(1), TestLog::new(2));
    let heads = [log.sth(&leaves(3, 1), 1), other.sth(&leaves(3, 2), 2)];
    for class in Class::ALL {
        says(&log.heads(*class, heads.clone()), Verdict::NotProven, "head 2: the tree head is of log");
    }
}

#[test]
fn what_one_monitor_was_answered_is_a_suspicion() {
    let log = TestLog::new(1);
    let tree = leaves(3, 1);
    for class in [
        Class::StaleHead,
        Class::FutureHead,
        Class::RootMismatch,
        Class::BadTile,
        Class::ProofRefused,
        Class::ProofGarbage,
        Class::Unreachable,
        Class::BulkRegistration,
        Class::ParentUnresolved,
        Class::MissingFromOtherLog,
        Class::TimestampOutOfBounds,
        Class::Lookalike,
    ] {
        let outcome = outcome(&log.heads(class, [log.sth(&tree, 5)]));
        assert_eq!(outcome.verdict(), Verdict::SuspicionOnly, "{class}");
        assert_eq!(outcome.by().len(), 1);
    }
}

#[test]
fn a_promise_is_broken_where_all_leaves_are_there() {
    let exhibit = rich();
    says(&exhibit, Verdict::Proven, "broke its promise");

    let mut unknown = exhibit.clone();
    unknown.leaves.clear();
    says(&unknown, Verdict::SuspicionOnly, "does not have all leaves");
    unknown.heads.clear();
    says(&unknown, Verdict::SuspicionOnly, "no later head");
    let nothing = Exhibit { sats: Vec::new(), ..exhibit.clone() };
    says(&nothing, Verdict::NotProven, "nothing was promised");
    let mut fewer = exhibit.clone();
    fewer.leaves.pop();
    says(&fewer, Verdict::NotProven, "not that of head 1");
    let mut swapped = exhibit.clone();
    swapped.leaves.swap(0, 1);
    says(&swapped, Verdict::NotProven, "not that of head 1");

    let log = TestLog::new(1);
    let mut early = exhibit.clone();
    early.heads[0] = log.sth(&early.leaves, NOW.get() + 3_599_999);
    says(&early, Verdict::SuspicionOnly, "within an hour");
    let mut undated = exhibit.clone();
    undated.heads.swap(0, 1);
    says(&undated, Verdict::SuspicionOnly, "does not say when");

    let mut kept = exhibit;
    kept.leaves[3] = CertHash::new([7; 32]).leaf_hash();
    kept.heads = vec![log.sth(&kept.leaves, NOW.get() + 3_600_000)];
    says(&kept, Verdict::NotProven, "kept its promise");
}

#[test]
fn an_empty_tree_keeps_no_promise() {
    let log = TestLog::new(1);
    let sats = vec![log.sat(CertHash::new([7; 32]), NOW).into()];
    let exhibit = log.heads(Class::NotIncluded, [log.sth(&[], NOW.get() + 3_600_000)]);
    says(&Exhibit { sats, ..exhibit }, Verdict::Proven, "broke its promise");
}

#[test]
fn a_head_is_not_older_than_what_it_covers() {
    let log = TestLog::new(1);
    let certificate = b"not even a certificate".as_slice();
    let hash = CertHash::of_certificate(certificate);
    let exhibit = |at: u64, hash| Exhibit {
        certificates: vec![log.holds(certificate, NOW.get())],
        sats: vec![log.sat(hash, NOW.saturating_add(at)).into()],
        ..log.exhibit(Class::EntryNewerThanHead)
    };
    says(&exhibit(1, hash), Verdict::Proven, "misdates");
    says(&exhibit(0, hash), Verdict::NotProven, "is not after");
    says(&exhibit(1, CertHash::new([0; 32])), Verdict::SuspicionOnly, "not in here");

    // Where the log has dropped the certificate, all leaves of the head say that it covers the entry.
    let mut tree = leaves(7, 9);
    tree[2] = hash.leaf_hash();
    let by_leaves = |at: u64, hash, leaves| Exhibit {
        sats: vec![log.sat(hash, NOW.saturating_add(at)).into()],
        leaves,
        ..log.heads(Class::EntryNewerThanHead, [log.sth(&tree, NOW.get())])
    };
    says(&by_leaves(1, hash, tree.clone()), Verdict::Proven, "misdates: leaf 2 of");
    says(&by_leaves(0, hash, tree.clone()), Verdict::NotProven, "is not after");
    says(&by_leaves(1, hash, leaves(7, 9)), Verdict::NotProven, "not that of head 1");
    says(&by_leaves(1, CertHash::new([0; 32]), tree.clone()), Verdict::SuspicionOnly, "not proven here");
    says(&by_leaves(1, hash, Vec::new()), Verdict::SuspicionOnly, "not proven here");
}

proptest! {
    // Each case verifies signatures, which takes its time in a build that is not optimised.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_honest_log_is_convicted(second in 1_u64..60, part: u64, at in 0_u64..3, nodes: u64, class in 0_usize..6) {
        let log = TestLog::new(1);
        let tree = leaves(second, 1);
        let first = part % (second + 1);
        let old = &tree[..first as usize];
        let heads = [log.sth(old, 10), log.sth(&tree, 11 + at), log.checkpoint(old), log.checkpoint(&tree)];
        let class = [
            Class::SameSizeOtherRoot, Class::InconsistentHeads, Class::Rollback, Class::SameTimestamp,
            Class::CheckpointDiffers, Class::SplitView,
        ][class];
        let divergence = Some(diverging(&tree, nodes % (second + 1)));
        let exhibit = Exhibit { divergence, ..log.heads(class, heads) };
        prop_assert_eq!(outcome(&exhibit).verdict(), Verdict::NotProven, "{}", class);
    }

    #[test]
    fn every_rewritten_past_is_proven(second in 2_u64..60, part: u64, which: u64) {
        let log = TestLog::new(1);
        let new = leaves(second, 1);
        let first = 1 + part % (second - 1);
        let mut old = new[..first as usize].to_vec();
        let at = (which % first) as usize;
        old[at] = leaves(1, 2)[0];
        let heads = [log.sth(&old, 1), log.sth(&new, 2)];
        let exhibit = Exhibit { divergence: Some(diverging(&new, first)), ..log.heads(Class::InconsistentHeads, heads) };
        let outcome = outcome(&exhibit);
        prop_assert!(matches!(outcome, Outcome::Proven { .. }), "{:?}", outcome);
    }
}
