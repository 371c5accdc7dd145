//! What an audit finds, and where: each fault is one line that an operator can go and look at.

use std::fmt;

use thiserror::Error;

use crate::log::bundle::BadBundle;
use crate::log::entry::CertHash;
use crate::merkle::{BadTile, Hash, LeafIndex, TilePath, TreeSize};
use crate::time::UnixMillis;

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A tile or a bundle, under the path that it is served at.
    Path(TilePath),
    /// An entry.
    Entry(LeafIndex),
    /// The whole tree of this size.
    Tree(TreeSize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Entry(index) => write!(f, "entry {index}"),
            Self::Tree(size) => write!(f, "tree of {size} entries"),
        }
    }
}

/// Something at a place that is not what the rest of the log says it must be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{at}: {what}")]
pub struct Fault {
    /// Where.
    pub at: Place,
    /// What.
    pub what: Damage,
}

impl Fault {
    /// The fault `what` at a tile or bundle.
    pub const fn in_path(path: TilePath, what: Damage) -> Self {
        Self { at: Place::Path(path), what }
    }

    /// The fault `what` of an entry.
    pub const fn in_entry(index: LeafIndex, what: Damage) -> Self {
        Self { at: Place::Entry(index), what }
    }

    /// The fault `what` of the tree of `size` leaves.
    pub const fn in_tree(size: TreeSize, what: Damage) -> Self {
        Self { at: Place::Tree(size), what }
    }
}

/// What is wrong at a place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// Nothing is there.
    #[error("is missing")]
    Missing,
    /// The octets are no tile.
    #[error("{0}")]
    Tile(#[from] BadTile),
    /// The octets are no bundle.
    #[error("{0}")]
    Bundle(#[from] BadBundle),
    /// A tile or bundle of another width than the tree gives it.
    #[error("has {found} rows where the tree has {needed}")]
    Width {
        /// Rows found.
        found: usize,
        /// Rows that the tree has there.
        needed: usize,
    },
    /// A leaf tile does not hold the leaf hash of an entry.
    #[error("the leaf of entry {index} is {found}, and the entry gives {derived} ({differing} leaves differ)")]
    Leaf {
        /// The first entry in question.
        index: LeafIndex,
        /// What the tile holds.
        found: Hash,
        /// What the entry gives.
        derived: Hash,
        /// How many hashes of the tile differ.
        differing: usize,
    },
    /// A tile above the leaves holds another hash than the entries below it give.
    #[error("hash {position} is {found}, and the entries give {derived} ({differing} hashes differ)")]
    Node {
        /// The first hash in question, counted from 0 in its tile.
        position: usize,
        /// What the tile holds.
        found: Hash,
        /// What the entries give.
        derived: Hash,
        /// How many hashes of the tile differ.
        differing: usize,
    },
    /// The certificate is not the one that was logged.
    #[error("the certificate has SHA-256 {found}, and what was logged is {logged}")]
    Certificate {
        /// The hash of the certificate found.
        found: CertHash,
        /// The hash in the tree.
        logged: CertHash,
    },
    /// The certificate is gone although it must still be there.
    #[error("the certificate is missing, and it should not have been pruned")]
    Pruned,
    /// An entry is older than the one before it.
    #[error("the timestamp {timestamp} lies before {before}, that of the entry before")]
    TimeBack {
        /// Its timestamp.
        timestamp: UnixMillis,
        /// The timestamp before it.
        before: UnixMillis,
    },
    /// A root that is not the root of the entries.
    #[error("the root stated is {stated}, and the entries give {derived}")]
    Root {
        /// What was stated.
        stated: Hash,
        /// What the entries give.
        derived: Hash,
    },
    /// A head that is dated before an entry that it covers.
    #[error("the head is dated {stated}, before the timestamp {newest} of an entry that it covers")]
    HeadBeforeEntry {
        /// The head's timestamp.
        stated: UnixMillis,
        /// The newest timestamp that it covers.
        newest: UnixMillis,
    },
    /// A statement about a size that was not derived.
    #[error("the entries that could be read end at {reached}")]
    NotReached {
        /// Entries audited.
        reached: TreeSize,
    },
}
