//! Walking over entries: each becomes a leaf, is held against what the log says around it, and is judged. Pure: the
//! same bundles from the same position give the same findings.

use std::sync::Arc;

use atl::log::entry::Fingerprint;
use atl::merkle::{Hash, LeafIndex, TreeFull, TreeSize};
use atl::time::UnixMillis;
use atl::verify::auditor::{Auditor, Seen, check_tile};
use atl::verify::fault::Fault;
use thiserror::Error;

use super::bounds::Bounds;
use super::bundle::Bundle;
use super::fault;
use super::judge::EntryJudge;
use super::position::{Pending, Position};
use crate::finding::{EntryRef, Finding};
use crate::rules::{Entry, Judged, Memory};
use crate::watched::WatchedLog;

/// Entries of one bundle that are told for their times; the others of it are as wrong.
const MOST_TIMES: usize = 8;

/// Why a bundle is not the next one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WalkError {
    /// It begins behind the position, or ends before it.
    #[error("the entries {} to {} do not continue {size}", .entries.start, .entries.end)]
    Gap {
        /// The entries given.
        entries: std::ops::Range<u64>,
        /// Entries walked over so far.
        size: TreeSize,
    },
    /// There are no more leaves.
    #[error(transparent)]
    Full(#[from] TreeFull),
}

/// A walk over the entries of one log, from a position on.
pub struct Walk {
    log: Arc<WatchedLog>,
    rules: Arc<dyn EntryJudge>,
    auditor: Auditor,
    memory: Memory,
}

impl Walk {
    /// A walk that goes on from `position`.
    pub fn resume(log: Arc<WatchedLog>, rules: Arc<dyn EntryJudge>, position: Position) -> Self {
        Self { log, rules, auditor: Auditor::resume(position.edge, position.newest), memory: position.memory }
    }

    /// Entries walked over.
    pub const fn size(&self) -> TreeSize {
        self.auditor.size()
    }

    /// The root over them.
    pub fn root(&self) -> Hash {
        self.auditor.root()
    }

    /// Where it stands.
    pub fn position(&self) -> Position {
        Position { edge: self.auditor.edge().clone(), newest: self.auditor.newest(), memory: self.memory.clone() }
    }

    /// Walks over the entries of `bundle` that are not behind it already, and gives what was found, in the order of the
    /// entries.
    ///
    /// # Errors
    /// Where the bundle does not continue the walk. Nothing was taken in then.
    pub fn take(
        &mut self,
        bundle: &Bundle,
        bounds: &Bounds,
        now: UnixMillis,
    ) -> Result<Vec<(LeafIndex, Pending)>, WalkError> {
        let (entries, size) = (bundle.shape.entries(), self.size());
        let gap = || WalkError::Gap { entries: entries.clone(), size };
        let skip = size.get().checked_sub(entries.start).and_then(|skip| usize::try_from(skip).ok()).ok_or_else(gap)?;
        let hashes = bundle.hashes.get(skip..).filter(|hashes| !hashes.is_empty()).ok_or_else(gap)?;
        let rows = bundle.rows.get(skip..).filter(|rows| rows.len() == hashes.len()).ok_or_else(gap)?;
        let seen =
            |(hash, row): (&_, &atl::log::bundle::CertRow)| Seen { cert_hash: *hash, timestamp: Some(row.timestamp) };
        let seen: Vec<Seen> = hashes.iter().zip(rows).map(seen).collect();
        let derived = self.auditor.append(&seen)?;

        let mut found = Vec::new();
        let mut chain = Vec::new();
        let mut times = 0;
        for ((index, seen), row) in (size.get()..).map(LeafIndex::new).zip(&seen).zip(rows) {
            if let Some(wrong) = bounds.check(index, row.timestamp) {
                times += 1;
                if times <= MOST_TIMES {
                    let finding = fault::out_of_bounds(
                        &self.log.origin,
                        (index, Some(seen.cert_hash)),
                        row.timestamp,
                        wrong,
                        now,
                    );
                    found.push((index, Pending::Finding(Box::new(finding))));
                }
            }
            chain.clear();
            chain.extend(row.chain.iter().map(|hash| Fingerprint::new(*hash.as_bytes())));
            let entry = Entry {
                log: &self.log,
                index,
                timestamp: row.timestamp,
                cert_hash: seen.cert_hash,
                der: row.certificate.as_deref(),
                chain: &chain,
            };
            let judged = self.rules.judge(&entry, &mut self.memory, now);
            found.extend(pending(&entry, judged).map(|pending| (index, pending)));
        }
        let last = LeafIndex::new(self.size().get().saturating_sub(1));
        found.extend(self.faults(bundle, derived, now).map(|finding| (last, Pending::Finding(Box::new(finding)))));
        Ok(found)
    }

    /// What is wrong with the bundle itself, with its entries' order, and with the tiles that filled up.
    fn faults(
        &self,
        bundle: &Bundle,
        derived: atl::verify::auditor::Derived,
        now: UnixMillis,
    ) -> impl Iterator<Item = Finding> + use<> {
        let served =
            |id| bundle.tiles.iter().find(|(served, _)| *served == id).and_then(|(_, octets)| octets.as_deref());
        let tiles = derived.tiles.iter().filter_map(|(id, tile)| check_tile(*id, tile, served(*id)));
        let times = derived.faults.iter().take(MOST_TIMES).cloned();
        let faults: Vec<Fault> = bundle.faults.iter().cloned().chain(times).chain(tiles).collect();
        fault::of_bundle(&self.log.origin, &faults, now).into_iter()
    }
}

/// What came of judging an entry; each finding says which entry it is about.
fn pending(entry: &Entry<'_>, judged: Judged) -> impl Iterator<Item = Pending> + use<> {
    let Judged { findings, errands } = judged;
    let (log, index, cert_hash) = (entry.log.origin.clone(), entry.index, entry.cert_hash);
    let findings = findings.into_iter().map(move |mut finding| {
        let here = || EntryRef { log: log.as_str().to_owned(), index, cert_hash };
        finding.entry.get_or_insert_with(here);
        Pending::Finding(Box::new(finding))
    });
    findings.chain(errands.into_iter().map(Pending::Errand))
}
