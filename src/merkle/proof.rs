//! What both kinds of proof have in common: their errors, and the way up the tree that a verifier
//! follows.

use thiserror::Error;

use super::{LeafIndex, TilesError, TreeSize};

/// Why there is no proof, or why one does not prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The leaf is not in a tree of this size.
    #[error("leaf {index} is not in a tree of {size} leaves")]
    NotInTree {
        /// The leaf asked for.
        index: LeafIndex,
        /// The size of the tree.
        size: TreeSize,
    },
    /// The second tree is smaller than the first.
    #[error("the second size, {second}, is smaller than the first, {first}")]
    Shrinks {
        /// The earlier size.
        first: TreeSize,
        /// The later size.
        second: TreeSize,
    },
    /// The tiles are not those that the plan listed.
    #[error(transparent)]
    Tiles(#[from] TilesError),
    /// The proof has more or fewer hashes than one between these positions.
    #[error("a proof of {0} hashes is too short or too long here")]
    Length(usize),
    /// The proof leads to another root than the one given.
    #[error("the proof leads to another root")]
    Root,
    /// The proof leads to another root than the one given for the first tree.
    #[error("the proof leads to another root of the first tree")]
    FirstRoot,
    /// The proof leads to another root than the one given for the second tree.
    #[error("the proof leads to another root of the second tree")]
    SecondRoot,
}

/// On which side of the way up a proof's next hash stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sibling {
    Left,
    Right,
}

/// The way from a node up to the root, as RFC 9162 sections 2.1.3.2 and 2.1.4.2 walk it: `fn` and
/// `sn` there are `node` and `last` here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Climb {
    node: u64,
    last: u64,
}

impl Climb {
    /// The way up from number `node` of a row that ends with number `last`, `node <= last`.
    pub(super) const fn new(node: u64, last: u64) -> Self {
        Self { node, last }
    }

    /// Whether the root is reached.
    pub(super) const fn is_done(self) -> bool {
        self.last == 0
    }

    /// Goes up past the next sibling and says where that one stands; `None` at the root.
    pub(super) const fn step(&mut self) -> Option<Sibling> {
        if self.last == 0 {
            return None;
        }
        let side = if self.node % 2 == 1 || self.node == self.last {
            // The last node of its row rises alone until it is a right child. It is not number 0,
            // or the root would be reached, so there is a bit set to rise to.
            let alone = self.node.trailing_zeros();
            self.node >>= alone;
            self.last >>= alone;
            Sibling::Left
        } else {
            Sibling::Right
        };
        self.node >>= 1;
        self.last >>= 1;
        Some(side)
    }
}
