//! Holds the look-alike engine to its goals on the data in `tests/data/lookalike`.
#![allow(clippy::unwrap_used)]

#[path = "common/recall.rs"]
mod recall;

use recall::{Outcome, engine, fold, measure, negatives, positives, watched, within_edits};

/// Recall that the average over classes must have.
const RECALL: f64 = 0.95;

/// The part of the near names that may be alerts: nobody has labelled them, and some are look-alikes.
const NEAR: f64 = 0.05;

fn assert_goals(what: &str, outcome: &Outcome) {
    assert!(outcome.macro_recall() >= RECALL, "{what}: {}", outcome.macro_recall());
    for kind in ["random", "top"] {
        assert_eq!(outcome.negatives[kind].alerts, 0, "{what}: {kind}");
    }
    assert!(outcome.negatives["hard"].rate() <= NEAR, "{what}: {}", outcome.negatives["hard"].rate());
}

#[test]
fn the_data_are_whole() {
    assert_eq!((positives().len(), negatives().len(), watched().len()), (7108, 9831, 12));
    assert_eq!(fold(0).len() + fold(1).len(), 12);
    let outcome = measure(&watched(), |_| true);
    assert_eq!((outcome.positives.len(), outcome.negatives.len()), (29, 3));
    assert!(outcome.positives.values().all(|count| count.rate() == 1.0) && outcome.false_per_10_000() == 10_000.0);
}

#[test]
fn all_watched_domains_together() {
    let all = watched();
    assert_goals("all", &measure(&all, engine(&all)));
}

#[test]
fn each_half_of_them_alone() {
    for n in 0..2 {
        let fold = fold(n);
        assert_goals(&fold.join(" "), &measure(&fold, engine(&fold)));
    }
}

#[test]
fn no_class_is_left_behind() {
    let all = watched();
    for (class, count) in measure(&all, engine(&all)).positives {
        assert!(count.rate() >= 0.8, "{class}: {} of {}", count.alerts, count.rows);
    }
}

#[test]
fn edit_distance_does_far_worse() {
    let all = watched();
    let engine = measure(&all, engine(&all)).macro_recall();
    for most in [1, 2] {
        let plain = measure(&all, within_edits(&all, most)).macro_recall();
        assert!(plain < engine - 0.2, "{most}: {plain} and {engine}");
    }
}
