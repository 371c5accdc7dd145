//! A position in the tree and a number of leaves are both integers, and confusing them is the
//! classical mistake of this trade; here the compiler tells them apart.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The position of a leaf, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LeafIndex(u64);

/// A number of leaves: the tree of size *n* holds the leaves 0 to *n* - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TreeSize(u64);

impl LeafIndex {
    /// The leaf at position `index`.
    pub const fn new(index: u64) -> Self {
        Self(index)
    }

    /// The position as an integer.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether a tree of `size` leaves holds this one.
    pub const fn is_in(self, size: TreeSize) -> bool {
        self.0 < size.0
    }

    /// The size of the smallest tree that holds this leaf.
    pub const fn covering_size(self) -> TreeSize {
        TreeSize(self.0.saturating_add(1))
    }
}

impl TreeSize {
    /// The tree without leaves.
    pub const EMPTY: Self = Self(0);

    /// A tree of `leaves` leaves.
    pub const fn new(leaves: u64) -> Self {
        Self(leaves)
    }

    /// The number of leaves as an integer.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether the tree has no leaf.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The position that the next leaf gets.
    pub const fn next_index(self) -> LeafIndex {
        LeafIndex(self.0)
    }

    /// This tree with `more` leaves appended, or `None` past 2^64 - 1.
    pub const fn checked_add(self, more: u64) -> Option<Self> {
        match self.0.checked_add(more) {
            Some(n) => Some(Self(n)),
            None => None,
        }
    }
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
