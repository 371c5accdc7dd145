//! What a log promised by a timestamp (protocol sections 3 and 4) and did not keep.

use atl::log::sat::SignedAgentTimestamp;
use atl::merkle::{Edge, Hash, LeafIndex, integrate};

use super::Claim;
use super::ground::{Ground, words};
use crate::head::SignedHead;

/// Between two heads of a log there is at most an hour (protocol section 4), and a head covers what was logged before
/// it: the longest time that a log may take for what it promised, whatever it says its merge delay is.
const LONGEST_MERGE_DELAY_MS: u64 = 3_600_000;

/// A timestamp whose entry is not in the tree. Proven where all leaves of a head signed late enough are at hand.
pub(super) fn not_included(ground: &Ground<'_>) -> Result<Claim, String> {
    let origin = ground.accused.origin.as_str();
    let (_, sat) = ground
        .sats
        .iter()
        .find(|(log, _)| log == origin)
        .ok_or("it has no timestamp of the accused log, so nothing was promised")?;
    let Some(head) = ground.heads.first() else { return Ok(open("it has no later head of the log")) };
    if ground.case.leaves.is_empty() && !head.size().is_empty() {
        return Ok(open("it does not have all leaves of a later head"));
    }
    let tree = are_under(&ground.case.leaves, head)?;
    if ground.case.leaves.contains(&sat.cert_hash.leaf_hash()) {
        return Err("the entry of the timestamp is among the leaves in it, so the log kept its promise".into());
    }
    let Some(signed) = head.timestamp() else { return Ok(open("head 1 does not say when it was signed")) };
    if signed < sat.timestamp.saturating_add(LONGEST_MERGE_DELAY_MS) {
        return Ok(open("head 1 was signed within an hour of the timestamp, when the log may not yet have covered it"));
    }
    Ok(Claim::Holds(format!(
        "The log {origin} broke its promise: at {} it signed that it holds the certificate {}, and none of the {} leaves \
         of {} (head 1) is that.",
        sat.timestamp,
        sat.cert_hash,
        tree.size(),
        words(head)
    )))
}

/// An entry dated after the head that covers it. Proven by the entry's timestamp, and by what shows that the entry is
/// under that head: an inclusion proof, or all of the head's leaves. The log's date of an entry is no part of its leaf.
pub(super) fn entry_newer(ground: &Ground<'_>) -> Result<Claim, String> {
    if !ground.case.leaves.is_empty() {
        return newer_by_leaves(ground);
    }
    let Some(logged) = ground.certificates.first() else { return Ok(uncovered()) };
    let of_entry = |log: &str, hash| log == logged.log && hash == logged.cert_hash;
    let sat = ground.sats.iter().find(|(log, sat)| of_entry(log, sat.cert_hash)).map(|(_, sat)| sat);
    let Some(sat) = sat else {
        return Ok(Claim::Open(
            "The log's date of an entry is signed only in the entry's timestamp, which is not in here. Fetch the \
             certificate and look at the timestamps in it."
                .into(),
        ));
    };
    newer(&logged.log, logged.index, &logged.head, sat)
}

fn newer_by_leaves(ground: &Ground<'_>) -> Result<Claim, String> {
    let head = ground.heads.first().ok_or("it has leaves and no head that is over them")?;
    are_under(&ground.case.leaves, head)?;
    let origin = ground.accused.origin.as_str();
    let of_leaf = |sat: &SignedAgentTimestamp| {
        let leaf = sat.cert_hash.leaf_hash();
        ground
            .case
            .leaves
            .iter()
            .zip(0_u64..)
            .find(|(other, _)| **other == leaf)
            .map(|(_, index)| LeafIndex::new(index))
    };
    let mut sats = ground.sats.iter().filter(|(log, _)| log == origin);
    let Some((index, sat)) = sats.find_map(|(_, sat)| Some((of_leaf(sat)?, sat))) else { return Ok(uncovered()) };
    newer(origin, index, head, sat)
}

fn newer(log: &str, index: LeafIndex, head: &SignedHead, sat: &SignedAgentTimestamp) -> Result<Claim, String> {
    let signed = head.timestamp().ok_or("the head over the entry is a checkpoint, which does not say when")?;
    if sat.timestamp <= signed {
        return Err(format!("the timestamp of the entry, {}, is not after the head over it, {signed}", sat.timestamp));
    }
    Ok(Claim::Holds(format!(
        "The log {log} misdates: leaf {index} of {} has a timestamp of {}, and a head is never older than what it covers \
         (protocol section 4).",
        words(head),
        sat.timestamp
    )))
}

fn uncovered() -> Claim {
    Claim::Open(
        "The log signed a timestamp that is later than a head, but that the head covers its entry is not proven here. Ask \
         the log for a proof of inclusion (get-proof-by-hash) with the hash of the leaf and the size of that head."
            .into(),
    )
}

/// Whether these are all leaves of this head; the error says why not.
fn are_under(leaves: &[Hash], head: &SignedHead) -> Result<Edge, String> {
    let tree = integrate(&Edge::empty(), leaves).map_err(|e| e.to_string())?.edge;
    match (tree.size(), tree.root()) == (head.size(), head.root()) {
        true => Ok(tree),
        false => Err(format!("the leaves in it have the root {}, which is not that of head 1", tree.root())),
    }
}

fn open(missing: &str) -> Claim {
    Claim::Open(format!(
        "The log signed a timestamp, but that its entry is missing is not proven here: {missing}. Ask the log for a proof \
         of inclusion (get-proof-by-hash) with the hash of the leaf; an honest log can give it."
    ))
}
