//! Heads that cannot all be honest (draft 11.2.5): a log grows, and only grows.

use super::Claim;
use super::ground::{Ground, words};
use crate::evidence::divergence::roots;
use crate::head::{RawHead, SignedHead};

type Numbered<'a> = (usize, &'a SignedHead);

/// Two heads of one size and two roots.
pub(super) fn same_size(ground: &Ground<'_>) -> Result<Claim, String> {
    two_trees(ground, |_, _| true).ok_or_else(|| "no two heads in it have one size and different roots".into())
}

/// The same, one being a tree head and one a checkpoint.
pub(super) fn checkpoint_differs(ground: &Ground<'_>) -> Result<Claim, String> {
    let kinds = |one: &RawHead, other: &RawHead| matches!((one, other), (RawHead::Sth(_), RawHead::Checkpoint(_)));
    let found = two_trees(ground, kinds);
    found.ok_or_else(|| "no tree head and checkpoint in it have one size and different roots".into())
}

/// A larger head that does not continue a smaller one.
pub(super) fn inconsistent(ground: &Ground<'_>) -> Result<Claim, String> {
    diverging(ground)
}

/// Either of the two; who showed which head is the observer's word and changes nothing.
pub(super) fn split_view(ground: &Ground<'_>) -> Result<Claim, String> {
    two_trees(ground, |_, _| true).map_or_else(|| diverging(ground), Ok)
}

/// A later head of a smaller tree.
pub(super) fn rollback(ground: &Ground<'_>) -> Result<Claim, String> {
    let later_and_smaller = |(one, other): &(Numbered<'_>, Numbered<'_>)| {
        let times = one.1.timestamp().zip(other.1.timestamp());
        times.is_some_and(|(earlier, later)| earlier < later) && one.1.size() > other.1.size()
    };
    let ((m, earlier), (n, later)) =
        ground.pairs().find(later_and_smaller).ok_or("no tree head in it is later than another and smaller")?;
    Ok(Claim::Holds(format!(
        "The log {} has gone back: it signed {} (head {m}), and later {} (head {n}). A log only grows.",
        ground.accused.origin,
        words(earlier),
        words(later)
    )))
}

/// Two heads with one timestamp.
pub(super) fn same_timestamp(ground: &Ground<'_>) -> Result<Claim, String> {
    let twice = |(one, other): &(Numbered<'_>, Numbered<'_>)| {
        let differ = (one.1.size(), one.1.root()) != (other.1.size(), other.1.root());
        one.1.timestamp().is_some() && one.1.timestamp() == other.1.timestamp() && differ
    };
    let ((m, one), (n, other)) =
        ground.pairs().find(twice).ok_or("no two tree heads in it have one timestamp and different trees")?;
    Ok(Claim::Holds(format!(
        "The log {} signed two trees at one moment: {} (head {m}) and {} (head {n}). Each of its heads is later than \
         the one before (protocol section 4).",
        ground.accused.origin,
        words(one),
        words(other)
    )))
}

fn two_trees(ground: &Ground<'_>, kinds: impl Fn(&RawHead, &RawHead) -> bool) -> Option<Claim> {
    let differ = |(one, other): &(Numbered<'_>, Numbered<'_>)| {
        one.1.size() == other.1.size() && one.1.root() != other.1.root() && kinds(one.1.raw(), other.1.raw())
    };
    let ((m, one), (n, other)) = ground.pairs().find(differ)?;
    Some(Claim::Holds(format!(
        "The log {} has shown two trees of one size: it signed {} (head {m}) and {} (head {n}). A tree has one root.",
        ground.accused.origin,
        words(one),
        words(other)
    )))
}

fn diverging(ground: &Ground<'_>) -> Result<Claim, String> {
    let nodes = ground.case.divergence.as_ref().ok_or("it has no nodes that show where two heads part")?;
    let parts = |(one, other): &(Numbered<'_>, Numbered<'_>)| {
        let derived = roots(one.1.size(), other.1.size(), nodes);
        derived.is_some_and(|(first, all)| all == other.1.root() && first != one.1.root())
    };
    let ((m, smaller), (n, larger)) = ground.pairs().find(parts).ok_or(
        "the nodes in it do not show that a larger head parts from a smaller one: they have to give the root of the \
         larger, and another one than that of the smaller",
    )?;
    let (size, _) = (smaller.size(), larger.size());
    let honest = roots(size, larger.size(), nodes).map(|(first, _)| first.to_string()).unwrap_or_default();
    Ok(Claim::Holds(format!(
        "The log {} has rewritten its past: it signed {} (head {m}) and {} (head {n}), but by the nodes in here, which \
         give the root of head {n}, the first {size} leaves of head {n} have the root {honest}.",
        ground.accused.origin,
        words(smaller),
        words(larger)
    )))
}
