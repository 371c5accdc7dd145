//! How the log lies in an ordered key-value store: column families, keys and values.
//!
//! | family        | key                      | value                                             |
//! |---------------|--------------------------|---------------------------------------------------|
//! | `state`       | `tree`, `head`           | the tree's size, root and newest time; the head   |
//! | `records`     | index                    | what is kept of an entry for ever                 |
//! | `submissions` | index                    | the DER submitted, until it is pruned             |
//! | `leaves`      | leaf hash                | index                                             |
//! | `tiles`       | level, index of the tile | its hashes, so far                                |
//! | `issuers`     | SHA-256 of a certificate | DER of a chain certificate                        |
//!
//! Integers are big-endian, so that keys lie in the order of the leaves.

use crate::keys::LogId;
use crate::log::entry::{CertHash, EntryType, Fingerprint, Record};
use crate::log::sth::{SignedTreeHead, TreeHead};
use crate::log::store::TreeState;
use crate::merkle::{Hash, LeafIndex, TileId, TreeSize};
use crate::time::UnixMillis;
use crate::wire::{Reader, WireError, Writer};

/// Version of this layout, first octet of the `tree` value.
const VERSION: u8 = 1;

/// Key of the tree in `state`.
pub const TREE_KEY: &[u8] = b"tree";
/// Key of the head in `state`.
pub const HEAD_KEY: &[u8] = b"head";

/// A column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// What changes in place.
    State,
    /// Records by index.
    Records,
    /// Submitted certificates by index.
    Submissions,
    /// Indices by leaf hash.
    Leaves,
    /// Hash tiles.
    Tiles,
    /// Chain certificates by fingerprint.
    Issuers,
}

impl Family {
    /// Its name in the database.
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Records => "records",
            Self::Submissions => "submissions",
            Self::Leaves => "leaves",
            Self::Tiles => "tiles",
            Self::Issuers => "issuers",
        }
    }
}

/// Key of a leaf in `records` and `submissions`.
pub const fn index_key(index: LeafIndex) -> [u8; 8] {
    index.get().to_be_bytes()
}

/// Key of a tile in `tiles`.
pub fn tile_key(id: TileId) -> [u8; 9] {
    let mut key = [0; 9];
    key[0] = id.level();
    key[1..].copy_from_slice(&id.index().to_be_bytes());
    key
}

/// Value of an index in `leaves`.
pub fn read_index(octets: &[u8]) -> Result<LeafIndex, WireError> {
    let mut reader = Reader::new(octets);
    let index = LeafIndex::new(reader.u64()?);
    reader.finish()?;
    Ok(index)
}

/// Writes a record.
pub fn write_record(record: &Record) -> Result<Vec<u8>, WireError> {
    let mut writer = Writer::with_capacity(48 + 32 * record.chain.len());
    writer.octets(record.cert_hash.as_bytes()).u64(record.timestamp.get()).u8(record.entry_type.number());
    let chain: Vec<u8> = record.chain.iter().flat_map(|f| *f.as_bytes()).collect();
    writer.opaque16(&chain)?;
    Ok(writer.into_vec())
}

/// Reads a record; `None` where it is not one.
pub fn read_record(octets: &[u8]) -> Option<Record> {
    let mut reader = Reader::new(octets);
    let cert_hash = CertHash::new(reader.array().ok()?);
    let timestamp = UnixMillis::new(reader.u64().ok()?);
    let entry_type = EntryType::from_number(u64::from(reader.u8().ok()?))?;
    let (prints, rest) = reader.opaque16().ok()?.as_chunks();
    reader.finish().ok()?;
    let chain = prints.iter().map(|print| Fingerprint::new(*print)).collect();
    rest.is_empty().then_some(Record { cert_hash, timestamp, entry_type, chain })
}

/// Writes what changes with every commit.
pub fn write_tree(tree: &TreeState, pruned_before: LeafIndex) -> Vec<u8> {
    let mut writer = Writer::with_capacity(57);
    writer.u8(VERSION).u64(tree.size.get()).octets(tree.root.as_bytes());
    writer.u64(tree.newest.get()).u64(pruned_before.get());
    writer.into_vec()
}

/// Reads it; `None` where it is not one, or of another version.
pub fn read_tree(octets: &[u8]) -> Option<(TreeState, LeafIndex)> {
    let mut reader = Reader::new(octets);
    let version = reader.u8().ok()?;
    let size = TreeSize::new(reader.u64().ok()?);
    let root = Hash::new(reader.array().ok()?);
    let newest = UnixMillis::new(reader.u64().ok()?);
    let pruned_before = LeafIndex::new(reader.u64().ok()?);
    reader.finish().ok()?;
    (version == VERSION).then_some((TreeState { size, root, newest }, pruned_before))
}

/// Writes a signed head.
pub fn write_head(sth: &SignedTreeHead) -> Result<Vec<u8>, WireError> {
    let mut writer = Writer::with_capacity(160);
    writer.octets(sth.log_id.as_bytes()).u64(sth.head.timestamp.get()).u64(sth.head.size.get());
    writer.octets(sth.head.root.as_bytes()).opaque16(&sth.signature)?;
    Ok(writer.into_vec())
}

/// Reads a signed head; its signature is for the caller to check.
pub fn read_head(octets: &[u8]) -> Result<SignedTreeHead, WireError> {
    let mut reader = Reader::new(octets);
    let log_id = LogId::new(reader.array()?);
    let timestamp = UnixMillis::new(reader.u64()?);
    let size = TreeSize::new(reader.u64()?);
    let root = Hash::new(reader.array()?);
    let signature = reader.opaque16()?.to_vec();
    reader.finish()?;
    Ok(SignedTreeHead { log_id, head: TreeHead { size, root, timestamp }, signature })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back_and_every_cut_is_refused() {
        let record = Record {
            cert_hash: CertHash::of_certificate(b"x"),
            timestamp: UnixMillis::new(7),
            entry_type: EntryType::Precertificate,
            chain: vec![Fingerprint::of_certificate(b"i"), Fingerprint::of_certificate(b"a")],
        };
        let octets = write_record(&record).unwrap();
        assert_eq!(read_record(&octets), Some(record));
        assert!((0..octets.len()).all(|cut| read_record(&octets[..cut]).is_none()));

        let tree = TreeState { size: TreeSize::new(3), root: Hash::of(b"r"), newest: UnixMillis::new(9) };
        let octets = write_tree(&tree, LeafIndex::new(2));
        assert_eq!(read_tree(&octets), Some((tree, LeafIndex::new(2))));
        assert!((0..octets.len()).all(|cut| read_tree(&octets[..cut]).is_none()));
        let other_version = [&[VERSION + 1], &octets[1..]].concat();
        assert_eq!(read_tree(&other_version), None);

        let head = TreeHead { size: tree.size, root: tree.root, timestamp: tree.newest };
        let sth = SignedTreeHead { log_id: LogId::new([5; 32]), head, signature: vec![1, 2, 3] };
        let octets = write_head(&sth).unwrap();
        assert_eq!(read_head(&octets), Ok(sth));
        assert!((0..octets.len()).all(|cut| read_head(&octets[..cut]).is_err()));
    }
}
