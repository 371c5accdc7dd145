//! What a reader may see of a log: the part that a signed head covers (protocol section 5).
//!
//! Entries, tiles and proofs beyond the last signed head do not exist here yet, although the
//! store holds them already.

use std::collections::HashMap;

use thiserror::Error;

use super::bundle::{CertBundle, CertRow, EntryBundle};
use super::entry::{CertHash, Fingerprint, Record};
use super::store::{BlobId, LogStore, StoreError, read_tiles};
use crate::merkle::{
    ConsistencyPlan, Edge, Hash, InclusionPlan, LeafIndex, ProofError, TILE_WIDTH, TileKind, TilePath, TreeSize,
};

/// The most entries that one answer holds.
pub const MAX_ENTRIES: u64 = 1000;
/// Certificates in one answer, those of the chains each time they occur, stop after this many
/// octets.
const MAX_OCTETS: usize = 8 << 20;
/// Entries read at a time: what is read in vain, and how far memory is beyond the bound, is less
/// than this many.
const CHUNK: u64 = 16;

/// Why something is not to be seen.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ViewError {
    /// The store failed; not the reader's fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No leaf has this hash.
    #[error("no entry of this log has this hash")]
    HashUnknown,
    /// The leaf is logged, but no signed head covers it yet.
    #[error("the entry is logged, but no signed tree head covers it yet; ask again after the next one")]
    NotCovered,
    /// The leaf lies beyond the tree size that the reader named.
    #[error("the entry has index {index}, which a tree of {size} leaves does not hold")]
    OutsideTree {
        /// The leaf.
        index: LeafIndex,
        /// The tree named.
        size: TreeSize,
    },
    /// A tree larger than the last signed head, or of no leaves where some are needed.
    #[error("no signed tree head covers a tree of {asked} leaves; the last one has {covered}")]
    TreeSizeUnknown {
        /// The size asked for.
        asked: TreeSize,
        /// The size of the last head.
        covered: TreeSize,
    },
}

/// An entry with everything that is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewedEntry {
    /// Its leaf.
    pub index: LeafIndex,
    /// What is kept for ever.
    pub record: Record,
    /// The DER submitted, or `None` once pruned.
    pub submission: Option<Vec<u8>>,
}

/// The log as of a signed head of size `covered`.
pub struct View<'a, S: ?Sized> {
    store: &'a S,
    covered: TreeSize,
}

impl<'a, S: LogStore + ?Sized> View<'a, S> {
    /// What a head of `covered` leaves shows of `store`.
    pub const fn new(store: &'a S, covered: TreeSize) -> Self {
        Self { store, covered }
    }

    /// The root of the first `size` leaves, derived from the tiles in the store.
    pub fn root(&self, size: TreeSize) -> Result<Hash, ViewError> {
        self.check_size(size)?;
        let tiles = read_tiles(self.store, &Edge::tiles_needed(size))?;
        let edge = Edge::from_tiles(size, &tiles).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        Ok(edge.root())
    }

    /// The leaf with this hash.
    pub fn locate(&self, leaf_hash: &Hash) -> Result<LeafIndex, ViewError> {
        let found = self.store.find(std::slice::from_ref(leaf_hash))?;
        let index = found.into_iter().next().flatten().ok_or(ViewError::HashUnknown)?;
        if index.is_in(self.covered) { Ok(index) } else { Err(ViewError::NotCovered) }
    }

    /// The leaf with this hash and the proof that the tree of `size` leaves holds it
    /// (RFC 9162 section 2.1.3).
    pub fn inclusion(&self, leaf_hash: &Hash, size: TreeSize) -> Result<(LeafIndex, Vec<Hash>), ViewError> {
        self.check_size(size)?;
        if size.is_empty() {
            return Err(ViewError::TreeSizeUnknown { asked: size, covered: self.covered });
        }
        let index = self.locate(leaf_hash)?;
        if !index.is_in(size) {
            return Err(ViewError::OutsideTree { index, size });
        }
        let plan = InclusionPlan::new(index, size).map_err(damaged)?;
        let tiles = read_tiles(self.store, plan.tiles())?;
        Ok((index, plan.prove(&tiles).map_err(damaged)?))
    }

    /// The proof that the tree of `second` leaves begins with that of `first` leaves
    /// (RFC 9162 section 2.1.4). `first` must not be above `second`.
    pub fn consistency(&self, first: TreeSize, second: TreeSize) -> Result<Vec<Hash>, ViewError> {
        self.check_size(second)?;
        let plan = ConsistencyPlan::new(first, second)
            .map_err(|_| ViewError::TreeSizeUnknown { asked: first, covered: second })?;
        let tiles = read_tiles(self.store, plan.tiles())?;
        Ok(plan.prove(&tiles).map_err(damaged)?)
    }

    /// The entries from `start` to `end`, both included: at least one, but perhaps fewer than
    /// asked for. `None` where no signed head covers `start`.
    pub fn entries(&self, start: LeafIndex, end: LeafIndex) -> Result<Option<Vec<ViewedEntry>>, ViewError> {
        if !start.is_in(self.covered) {
            return Ok(None);
        }
        let stop = end.get().saturating_add(1).min(self.covered.get()).min(start.get().saturating_add(MAX_ENTRIES));
        let mut entries = Vec::new();
        let (mut next, mut octets, mut sizes) = (start.get(), 0, HashMap::new());
        while next < stop {
            let chunk = self.read(next, stop.min(next + CHUNK))?;
            next += chunk.len() as u64;
            self.add_sizes(&chunk, &mut sizes)?;
            for entry in chunk {
                if octets >= MAX_OCTETS {
                    return Ok(Some(entries));
                }
                let chain = entry.record.chain.iter().filter_map(|print| sizes.get(print)).sum::<usize>();
                octets += chain + entry.submission.as_ref().map_or(0, Vec::len);
                entries.push(entry);
            }
        }
        Ok(Some(entries))
    }

    /// Adds the octets of the chain certificates that are not in `sizes` yet. One that is missing
    /// has none; whoever wants to read it finds that out.
    fn add_sizes(&self, entries: &[ViewedEntry], sizes: &mut HashMap<Fingerprint, usize>) -> Result<(), ViewError> {
        let named = entries.iter().flat_map(|entry| entry.record.chain.iter().copied());
        let mut fresh: Vec<Fingerprint> = named.filter(|print| !sizes.contains_key(print)).collect();
        fresh.sort_unstable();
        fresh.dedup();
        let found = self.issuers(&fresh)?;
        sizes.extend(fresh.into_iter().zip(found.into_iter().map(|der| der.map_or(0, |der| der.len()))));
        Ok(())
    }

    /// The entry of a submission.
    pub fn entry(&self, cert_hash: &CertHash) -> Result<ViewedEntry, ViewError> {
        let index = self.locate(&cert_hash.leaf_hash())?;
        let mut entries = self.read(index.get(), index.get() + 1)?;
        entries.pop().ok_or_else(|| StoreError::Corrupt(format!("the entry at index {index} is missing")).into())
    }

    /// A chain certificate.
    pub fn issuer(&self, fingerprint: &Fingerprint) -> Result<Option<Vec<u8>>, ViewError> {
        Ok(self.issuers(std::slice::from_ref(fingerprint))?.pop().flatten())
    }

    /// Chain certificates, in the order asked.
    pub fn issuers(&self, fingerprints: &[Fingerprint]) -> Result<Vec<Option<Vec<u8>>>, ViewError> {
        let ids: Vec<BlobId> = fingerprints.iter().copied().map(BlobId::Issuer).collect();
        Ok(self.store.blobs(&ids)?)
    }

    /// The octets at a tile path, or `None` where the covered tree has no such tile.
    pub fn tile(&self, path: &TilePath) -> Result<Option<Vec<u8>>, ViewError> {
        let (Some(id), Some(available)) = (path.tile(), path.width_at(self.covered)) else { return Ok(None) };
        if available < path.width() {
            return Ok(None);
        }
        let start = path.index() * TILE_WIDTH as u64;
        let stop = start + path.width().get() as u64;
        Ok(Some(match path.kind() {
            TileKind::Hash(_) => {
                let octets = read_tiles(self.store, &[id])?.first().and_then(|tile| tile.octets_at(path.width()));
                octets.ok_or_else(|| StoreError::Corrupt(format!("{path} is shorter than the tree")))?
            }
            TileKind::Entries => {
                let records = self.store.records(LeafIndex::new(start)..LeafIndex::new(stop))?;
                let bundle = EntryBundle::new(records.iter().map(|r| r.cert_hash).collect());
                bundle.map_err(|e| StoreError::Corrupt(format!("{path}: {e}")))?.to_octets()
            }
            TileKind::Certs => {
                let bundle = CertBundle::new(self.read(start, stop)?.into_iter().map(CertRow::from).collect());
                let octets = bundle.and_then(|bundle| bundle.to_octets());
                octets.map_err(|e| StoreError::Corrupt(format!("{path}: {e}")))?
            }
        }))
    }

    /// Entries whole, each held against its hash: a flipped bit is found before it is served.
    fn read(&self, start: u64, stop: u64) -> Result<Vec<ViewedEntry>, ViewError> {
        let records = self.store.records(LeafIndex::new(start)..LeafIndex::new(stop))?;
        let ids: Vec<BlobId> = (start..stop).map(|i| BlobId::Submission(LeafIndex::new(i))).collect();
        let submissions = self.store.blobs(&ids)?;
        if let Some(missing) = submissions.iter().position(Option::is_none) {
            self.check_pruned(missing as u64 + start, &submissions[missing..])?;
        }
        let entry = |((index, record), submission): ((u64, Record), Option<Vec<u8>>)| {
            let found = submission.as_deref().map(CertHash::of_certificate);
            if found.is_some_and(|found| found != record.cert_hash) {
                return Err(StoreError::Corrupt(format!(
                    "the certificate at index {index} is not the one that was logged: SHA-256 {}, logged {}",
                    found.unwrap_or(record.cert_hash),
                    record.cert_hash
                )));
            }
            Ok(ViewedEntry { index: LeafIndex::new(index), record, submission })
        };
        Ok((start..stop).zip(records).zip(submissions).map(entry).collect::<Result<_, _>>()?)
    }

    /// A certificate that is not there must have been pruned; else it is lost.
    fn check_pruned(&self, first: u64, submissions: &[Option<Vec<u8>>]) -> Result<(), StoreError> {
        let pruned_before = self.store.state()?.map_or(0, |state| state.pruned_before.get());
        let lost = (first..).zip(submissions).find(|(index, found)| found.is_none() && *index >= pruned_before);
        match lost {
            None => Ok(()),
            Some((index, _)) => Err(StoreError::Corrupt(format!("the certificate at index {index} is missing"))),
        }
    }

    fn check_size(&self, asked: TreeSize) -> Result<(), ViewError> {
        if asked > self.covered { Err(ViewError::TreeSizeUnknown { asked, covered: self.covered }) } else { Ok(()) }
    }
}

impl From<ViewedEntry> for CertRow {
    fn from(entry: ViewedEntry) -> Self {
        Self {
            timestamp: entry.record.timestamp,
            certificate: entry.submission,
            chain: entry.record.chain.iter().map(|print| *print.hash()).collect(),
        }
    }
}

/// The plan names the tiles; tiles that do not serve it were not written by us.
fn damaged(error: ProofError) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
