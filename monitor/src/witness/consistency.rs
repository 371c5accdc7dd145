//! Whether a checkpoint may be cosigned: it continues the tree that was cosigned last. Pure.

use atl::log::checkpoint::Checkpoint;
use atl::merkle::{Hash, ProofError, TreeSize, empty_root, verify_consistency};
use thiserror::Error;

/// The tree that was cosigned last of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its leaves.
    pub size: TreeSize,
    /// Its root.
    pub root: Hash,
}

/// Why a checkpoint is not cosigned, in the order in which C2SP tlog-witness looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Inconsistent {
    /// The client's proof begins at a larger tree than the checkpoint's.
    #[error("the old size {old} is larger than the checkpoint's, {size}")]
    OldBeyond {
        /// What the client says that we know.
        old: TreeSize,
        /// The size of the checkpoint.
        size: TreeSize,
    },
    /// The client's proof begins at another tree than the one cosigned last.
    #[error("the checkpoint cosigned last has the size {0}")]
    OtherOld(TreeSize),
    /// An empty tree has one root only.
    #[error("the checkpoint is of an empty tree, whose root is another (RFC 6962 section 2.1)")]
    EmptyRoot,
    /// A tree of the same size was cosigned, with another root.
    #[error("a checkpoint of this size with another root is cosigned already")]
    OtherRoot,
    /// The proof does not show that the tree continues the one cosigned last.
    #[error("the consistency proof: {0}")]
    Proof(#[from] ProofError),
}

impl Known {
    /// Before anything is cosigned.
    pub const NOTHING: Self = Self {
        size: TreeSize::EMPTY,
        // SHA-256 of nothing (RFC 6962 section 2.1).
        root: Hash::new([
            0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
            0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
        ]),
    };

    /// Whether one log cannot have both trees, which needs no proof: they are of one size.
    pub fn contradicts(&self, checkpoint: &Checkpoint) -> bool {
        self.size == checkpoint.size && self.root != checkpoint.root
    }
}

/// Decides whether `checkpoint` continues the tree `known`, from which the client believes `old` leaves to be known.
pub fn check(known: Known, old: TreeSize, proof: &[Hash], checkpoint: &Checkpoint) -> Result<(), Inconsistent> {
    let Checkpoint { size, root, .. } = checkpoint;
    if old > *size {
        return Err(Inconsistent::OldBeyond { old, size: *size });
    }
    if old != known.size {
        return Err(Inconsistent::OtherOld(known.size));
    }
    if size.is_empty() && *root != empty_root() {
        return Err(Inconsistent::EmptyRoot);
    }
    if known.contradicts(checkpoint) {
        return Err(Inconsistent::OtherRoot);
    }
    Ok(verify_consistency(old, *size, &known.root, root, proof)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_an_empty_tree() {
        assert_eq!(Known::NOTHING.root, empty_root());
    }

    #[test]
    fn the_first_fault_in_the_order_of_the_specification_is_named() {
        let root = |n| Hash::new([n; 32]);
        let known = |size, n| Known { size: TreeSize::new(size), root: root(n) };
        let check = |known: Known, old, proof: &[Hash], size, root: Hash| {
            let checkpoint = Checkpoint::new("log.example/1".parse().unwrap(), TreeSize::new(size), root);
            check(known, TreeSize::new(old), proof, &checkpoint)
        };
        let (empty, nothing) = (empty_root(), Known::NOTHING);
        let beyond = Inconsistent::OldBeyond { old: TreeSize::new(8), size: TreeSize::new(7) };
        assert_eq!(check(known(7, 1), 8, &[root(9)], 7, root(2)), Err(beyond));
        assert_eq!(check(known(7, 1), 6, &[], 7, root(2)), Err(Inconsistent::OtherOld(TreeSize::new(7))));
        assert_eq!(check(nothing, 0, &[root(9)], 0, root(2)), Err(Inconsistent::EmptyRoot));
        assert_eq!(check(known(7, 1), 7, &[root(9)], 7, root(2)), Err(Inconsistent::OtherRoot));
        assert_eq!(check(known(7, 1), 7, &[root(9)], 7, root(1)), Err(ProofError::Length(1).into()));
        assert_eq!(check(nothing, 0, &[root(9)], 7, root(1)), Err(ProofError::Length(1).into()));
        assert_eq!(check(known(7, 1), 7, &[], 8, root(2)), Err(ProofError::Length(0).into()));
        assert_eq!(check(nothing, 0, &[], 7, root(1)), Ok(()));
        assert_eq!(check(nothing, 0, &[], 0, empty), Ok(()));
        assert_eq!(check(known(7, 1), 7, &[], 7, root(1)), Ok(()));
    }
}
