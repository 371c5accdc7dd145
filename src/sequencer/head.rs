//! When the tree may be signed, and the proof that comes before the signature.

use thiserror::Error;

use crate::keys::{SignError, Signer};
use crate::log::checkpoint::{Origin, sign_checkpoint};
use crate::log::sth::{SignedTreeHead, TreeHead};
use crate::log::store::{LogStore, StoreError, TreeState};
use crate::log::view::{View, ViewError};
use crate::merkle::{ProofError, verify_consistency};
use crate::time::UnixMillis;

/// A clock that is off by more than this did not drift: it was set. Less is waited for.
pub const MAX_CLOCK_STEP_MS: u64 = 60_000;

/// What to do about the next head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Sign this one.
    Sign(TreeHead),
    /// Not yet: look again after so many milliseconds.
    Wait(u64),
    /// Never: the clock is so far behind what was signed that waiting would not do.
    ClockWentBack {
        /// How far behind, in milliseconds.
        behind_ms: u64,
    },
}

/// Decides about the next head of `tree`, `last` being the one before.
///
/// A head is later than the one before and not earlier than any SAT it covers (protocol
/// section 4), so a clock that is behind must catch up first.
pub fn decide(last: Option<&TreeHead>, tree: &TreeState, interval_ms: u64, now: UnixMillis) -> Decision {
    let floor = last.map_or(tree.newest, |last| tree.newest.max(last.timestamp.saturating_add(1)));
    let due = last.map_or(floor, |last| floor.max(last.timestamp.saturating_add(interval_ms)));
    if now >= due {
        return Decision::Sign(TreeHead { size: tree.size, root: tree.root, timestamp: now });
    }
    match floor.since(now) {
        behind_ms if behind_ms > MAX_CLOCK_STEP_MS => Decision::ClockWentBack { behind_ms },
        _ => Decision::Wait(due.since(now)),
    }
}

/// Why a tree must not be signed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeadError {
    /// What is stored could not be read back, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored hashes to another root than what was committed.
    #[error("the tiles in the store hash to root {found} at size {size}, but {expected} was committed")]
    RootDiffers {
        /// The size of the tree.
        size: crate::merkle::TreeSize,
        /// The root committed.
        expected: crate::merkle::Hash,
        /// The root found.
        found: crate::merkle::Hash,
    },
    /// The tree does not grow from the one signed last.
    #[error("the tree in the store does not grow from the last signed head: {0}")]
    Inconsistent(ProofError),
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Derives the root of `next` again from what the store gives back, and proves that the tree
/// signed as `last` is a prefix of it.
pub fn prove(store: &(impl LogStore + ?Sized), last: Option<&TreeHead>, next: &TreeHead) -> Result<(), HeadError> {
    let view = View::new(store, next.size);
    let found = view.root(next.size).map_err(store_error)?;
    if found != next.root {
        return Err(HeadError::RootDiffers { size: next.size, expected: next.root, found });
    }
    if let Some(last) = last {
        let proof = view.consistency(last.size, next.size).map_err(store_error)?;
        verify_consistency(last.size, next.size, &last.root, &next.root, &proof).map_err(HeadError::Inconsistent)?;
    }
    Ok(())
}

fn store_error(error: ViewError) -> StoreError {
    match error {
        ViewError::Store(error) => error,
        other => StoreError::Corrupt(other.to_string()),
    }
}

/// A head in both its signed forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedHead {
    /// For `get-sth`.
    pub sth: SignedTreeHead,
    /// For `/checkpoint`: the same head as a C2SP signed note.
    pub checkpoint: String,
}

impl PublishedHead {
    /// Signs the checkpoint of a signed tree head.
    pub fn new(signer: &dyn Signer, origin: &Origin, sth: SignedTreeHead) -> Result<Self, SignError> {
        let checkpoint = sign_checkpoint(signer, origin, &sth.head)?;
        Ok(Self { sth, checkpoint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{TreeSize, empty_root};

    fn head(ms: u64) -> TreeHead {
        TreeHead { size: TreeSize::EMPTY, root: empty_root(), timestamp: UnixMillis::new(ms) }
    }

    fn tree(newest_ms: u64) -> TreeState {
        TreeState { newest: UnixMillis::new(newest_ms), ..TreeState::empty() }
    }

    fn decided(last: Option<u64>, newest: u64, now: u64) -> Decision {
        decide(last.map(head).as_ref(), &tree(newest), 1000, UnixMillis::new(now))
    }

    #[test]
    fn the_first_head_is_due_at_once_and_the_next_after_the_interval() {
        assert_eq!(decided(None, 0, 5), Decision::Sign(head(5)));
        assert_eq!(decided(Some(5), 0, 6), Decision::Wait(999));
        assert_eq!(decided(Some(5), 0, 1005), Decision::Sign(head(1005)));
    }

    #[test]
    fn never_before_a_timestamp_that_was_given_out() {
        assert_eq!(decided(None, 70, 50), Decision::Wait(20));
        assert_eq!(decided(Some(5), 2000, 1500), Decision::Wait(500));
        assert_eq!(decided(Some(5), 2000, 2000), Decision::Sign(head(2000)));
    }

    #[test]
    fn a_clock_that_was_set_back_stops_the_log() {
        let long_ago = Decision::ClockWentBack { behind_ms: 99_001 };
        assert_eq!(decided(Some(100_000), 0, 1000), long_ago);
        assert_eq!(decided(Some(100_000), 0, 99_999), Decision::Wait(1001));
    }
}
