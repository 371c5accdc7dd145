//! A log's own files, held against each other.

use std::collections::HashSet;
use std::num::NonZero;
use std::ops::Range;

use super::report::{Finding, Progress, Report};
use crate::apki::Certificate;
use crate::apki::precertificate::Precertificate;
use crate::keys::PublicKey;
use crate::log::bundle::CertRow;
use crate::log::entry::{CertHash, EntryType, Fingerprint, Record};
use crate::log::sth::SignedTreeHead;
use crate::log::store::{BlobId, Kept, LogStore, StoreError, StoreState};
use crate::merkle::{LeafIndex, TILE_WIDTH, Tile, TileId};
use crate::verify::auditor::{Auditor, Seen, check_rows, check_tile};

/// Bundles that a thread reads before their results are joined.
const BUNDLES_PER_THREAD: u64 = 16;

/// What there is of a log that does not run.
pub struct Files<'a, S: ?Sized> {
    /// Its store.
    pub store: &'a S,
    /// What is kept apart from the store, and the name of the file that it is in.
    pub kept: Result<Option<Kept>, StoreError>,
    /// The file's name.
    pub head_file: String,
    /// The log's key.
    pub key: &'a PublicKey,
}

/// Checks everything. An error means that the store could not be read, not that it is damaged.
pub fn check<S: LogStore + ?Sized>(files: &Files<'_, S>, report: &mut Report) -> Result<(), StoreError> {
    let state = match files.store.state() {
        Ok(state) => state.unwrap_or_else(StoreState::empty),
        Err(StoreError::Corrupt(what)) => {
            report.add([Finding::new("the database's state", what)]);
            return Ok(());
        }
        Err(other) => return Err(other),
    };
    let mut auditor = Auditor::default();
    auditor.remember(state.tree.size);
    let kept = files.kept.as_ref().ok().and_then(Option::as_ref);
    state.head.iter().chain(kept.map(|kept| &kept.head)).for_each(|sth| auditor.remember(sth.head.size));

    let mut check = Check { store: files.store, report, auditor, issuers: HashSet::new() };
    check.entries(&state)?;
    for (id, tile) in check.auditor.partial_tiles() {
        check.tile(id, &tile, None)?;
    }
    check.state(&state);
    check.heads(files, &state);
    check.report.entries = check.auditor.size();
    check.report.root = check.auditor.root();
    Ok(())
}

struct Check<'a, S: ?Sized> {
    store: &'a S,
    report: &'a mut Report,
    auditor: Auditor,
    issuers: HashSet<Fingerprint>,
}

impl<S: LogStore + ?Sized> Check<'_, S> {
    fn entries(&mut self, state: &StoreState) -> Result<(), StoreError> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(8);
        let bundles = state.tree.size.get().div_ceil(TILE_WIDTH as u64);
        let mut progress = Progress::towards(state.tree.size);
        let mut next = 0;
        while next < bundles {
            let starts: Vec<u64> = (0..threads as u64).map(|t| next + t * BUNDLES_PER_THREAD).collect();
            let store = self.store;
            let read = |start: u64| {
                let stop = bundles.min(start + BUNDLES_PER_THREAD);
                (start..stop).map(|n| Bundle::read(store, n, state)).collect::<Result<Vec<_>, _>>()
            };
            let read = &read;
            let rounds: Vec<_> = std::thread::scope(|scope| {
                let workers: Vec<_> = starts.iter().map(|start| scope.spawn(move || read(*start))).collect();
                workers.into_iter().map(|worker| worker.join()).collect()
            });
            for bundle in
                rounds.into_iter().map(|r| r.unwrap_or_else(|_| Err(panicked()))).collect::<Result<Vec<_>, _>>()?
            {
                for bundle in bundle {
                    if bundle.is_gone() {
                        let what = format!("the records end before index {}", bundle.first);
                        self.report.add([Finding::new(format_args!("tree of {} entries", state.tree.size), what)]);
                        return Ok(());
                    }
                    self.take(bundle)?;
                }
            }
            next += threads as u64 * BUNDLES_PER_THREAD;
            progress.at(self.auditor.size());
        }
        Ok(())
    }

    fn take(&mut self, bundle: Bundle) -> Result<(), StoreError> {
        self.report.add(bundle.findings);
        self.report.certificates += bundle.certificates;
        self.report.pruned += bundle.pruned;
        for (index, fingerprint) in bundle.chains {
            if self.issuers.insert(fingerprint) {
                self.issuer(index, fingerprint)?;
            }
        }
        let derived = self.auditor.append(&bundle.seen).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        self.report.add(derived.faults);
        let mut leaf_tile = Some(bundle.tile);
        for (id, tile) in derived.tiles {
            let read = if id.level() == 0 { leaf_tile.take() } else { None };
            self.tile(id, &tile, read)?;
        }
        Ok(())
    }

    fn tile(&mut self, id: TileId, derived: &Tile, read: Option<Read<Option<Vec<u8>>>>) -> Result<(), StoreError> {
        let found = match read {
            Some(read) => read,
            None => one(self.store, BlobId::Tile(id))?,
        };
        self.report.tiles += 1;
        match found {
            Ok(octets) => self.report.add(check_tile(id, derived, octets.as_deref())),
            Err(what) => {
                let at = format!("tile {} of level {}", id.index(), id.level());
                self.report.add([Finding::new(at, what)]);
            }
        }
        Ok(())
    }

    fn issuer(&mut self, index: LeafIndex, fingerprint: Fingerprint) -> Result<(), StoreError> {
        self.report.issuers += 1;
        let what = match one(self.store, BlobId::Issuer(fingerprint))? {
            Ok(Some(der)) if Fingerprint::of_certificate(&der) == fingerprint => return Ok(()),
            Ok(Some(der)) => {
                format!("another certificate, of SHA-256 {}, is stored as this one", Fingerprint::of_certificate(&der))
            }
            Ok(None) => format!("is missing, and entry {index} has it in its chain"),
            Err(what) => what,
        };
        self.report.add([Finding::new(format_args!("chain certificate {fingerprint}"), what)]);
        Ok(())
    }

    fn state(&mut self, state: &StoreState) {
        self.report.statement(self.auditor.check_root(state.tree.size, &state.tree.root));
        if self.auditor.size() == state.tree.size && self.auditor.newest() != state.tree.newest {
            let (stated, found) = (state.tree.newest, self.auditor.newest());
            let what = format!("says that the newest entry is of {stated}, and the newest is of {found}");
            self.report.add([Finding::new("the database's state", what)]);
        }
    }

    fn heads(&mut self, files: &Files<'_, S>, state: &StoreState) {
        if let Some(sth) = &state.head {
            self.head("the head in the database", sth, files.key);
        }
        let file = format!("the head file {}", files.head_file);
        let found = match &files.kept {
            Err(error) => Some(error.to_string()),
            Ok(None) if state.tree.size.is_empty() && state.head.is_none() => None,
            Ok(None) => Some("is missing; the log does not start without it".to_owned()),
            Ok(Some(kept)) => {
                let (promised, kept) = (kept.size, &kept.head);
                self.head(&file, kept, files.key);
                let older = state.head.as_ref().filter(|stored| stored.head.timestamp > kept.head.timestamp);
                let older = older.map(|stored| {
                    let (kept, stored) = (kept.head.timestamp, stored.head.timestamp);
                    format!("is of {kept}, older than the head of {stored} in the database")
                });
                let promised = promised.max(kept.head.size);
                let ahead = (promised > state.tree.size).then(|| {
                    let found = state.tree.size;
                    format!("speaks of {promised} entries, and the database holds {found}: it is an older copy")
                });
                ahead.or(older)
            }
        };
        self.report.add(found.map(|what| Finding::new(file, what)));
    }

    fn head(&mut self, place: &str, sth: &SignedTreeHead, key: &PublicKey) {
        let signature = sth.verify(key).err().map(|e| Finding::new(place, e));
        let faults = self.auditor.check_head(&sth.head);
        let faults = faults.into_iter().map(|fault| Finding::new(place, fault));
        self.report.statement(signature.into_iter().chain(faults));
    }
}

/// What was read, or in words why it cannot be.
type Read<T> = Result<T, String>;

/// The entries below one leaf tile, checked as far as that goes without their neighbours.
struct Bundle {
    first: LeafIndex,
    seen: Vec<Seen>,
    tile: Read<Option<Vec<u8>>>,
    /// Each chain certificate with the first entry here that has it.
    chains: Vec<(LeafIndex, Fingerprint)>,
    certificates: u64,
    pruned: u64,
    /// Entries of which neither record nor certificate is left, as runs of neighbours.
    gone: Vec<Range<u64>>,
    findings: Vec<Finding>,
}

impl Bundle {
    fn read<S: LogStore + ?Sized>(store: &S, number: u64, state: &StoreState) -> Result<Self, StoreError> {
        let start = number * TILE_WIDTH as u64;
        let indices: Vec<u64> = (start..state.tree.size.get().min(start + TILE_WIDTH as u64)).collect();
        let records = each(&indices, |part| match part {
            [first, .., last] => store.records(LeafIndex::new(*first)..LeafIndex::new(last + 1)),
            [only] => store.records(LeafIndex::new(*only)..LeafIndex::new(only + 1)),
            [] => Ok(Vec::new()),
        })?;
        let ids: Vec<BlobId> = indices.iter().map(|i| BlobId::Submission(LeafIndex::new(*i))).collect();
        let submissions = each(&ids, |ids| store.blobs(ids))?;
        let tile = TileId::new(0, number).map_or(Ok(Ok(None)), |id| one(store, BlobId::Tile(id)))?;
        let mut bundle = Self {
            first: LeafIndex::new(start),
            seen: Vec::with_capacity(indices.len()),
            tile,
            chains: Vec::new(),
            certificates: 0,
            pruned: 0,
            gone: Vec::new(),
            findings: Vec::new(),
        };
        for ((index, record), submission) in indices.iter().zip(records).zip(submissions) {
            bundle.entry(LeafIndex::new(*index), record, submission, state.pruned_before);
        }
        bundle.places(store)?;
        for run in &bundle.gone {
            let at = if run.end - run.start == 1 {
                format!("entry {}", run.start)
            } else {
                format!("entries {} to {}", run.start, run.end - 1)
            };
            bundle.findings.push(Finding::new(at, "the record is missing or damaged, and there is no certificate"));
        }
        Ok(bundle)
    }

    /// Whether nothing at all is left of these entries.
    fn is_gone(&self) -> bool {
        self.gone.iter().map(|run| run.end - run.start).sum::<u64>() == self.seen.len() as u64
    }

    fn entry(&mut self, index: LeafIndex, record: Read<Record>, submission: Read<Option<Vec<u8>>>, kept: LeafIndex) {
        let at = format_args!("entry {index}").to_string();
        let unread = submission.is_err();
        let certificate = submission.unwrap_or_else(|what| {
            self.findings.push(Finding::new(&at, format_args!("the certificate cannot be read: {what}")));
            None
        });
        self.certificates += u64::from(certificate.is_some());
        let record = match record {
            Ok(record) => record,
            Err(what) => {
                // Its certificate still tells which leaf it is, so that the tree above can be held
                // against the rest.
                match &certificate {
                    Some(_) => self.findings.push(Finding::new(&at, what)),
                    None => self.lose(index.get()),
                }
                let cert_hash = certificate.as_deref().map_or(CertHash::new([0; 32]), CertHash::of_certificate);
                self.seen.push(Seen { cert_hash, timestamp: None });
                return;
            }
        };
        if let Some(what) = certificate.as_deref().and_then(|der| other_type(der, record.entry_type)) {
            self.findings.push(Finding::new(&at, what));
        }
        let pruned = certificate.is_none() && index < kept;
        let row = CertRow { timestamp: record.timestamp, certificate, chain: Vec::new() };
        let kept = if unread { LeafIndex::new(u64::MAX) } else { kept };
        self.findings.extend(check_rows(index, &[record.cert_hash], &[row], kept).into_iter().map(Finding::from));
        self.pruned += u64::from(pruned);
        for fingerprint in record.chain {
            if self.chains.iter().all(|(_, known)| *known != fingerprint) {
                self.chains.push((index, fingerprint));
            }
        }
        self.seen.push(Seen { cert_hash: record.cert_hash, timestamp: Some(record.timestamp) });
    }

    fn lose(&mut self, index: u64) {
        match self.gone.last_mut().filter(|run| run.end == index) {
            Some(run) => run.end += 1,
            None => self.gone.push(index..index + 1),
        }
    }

    /// Each entry is found by its leaf hash, where it is and nowhere else.
    fn places<S: LogStore + ?Sized>(&mut self, store: &S) -> Result<(), StoreError> {
        let here =
            (self.first.get()..).zip(&self.seen).filter(|(index, _)| self.gone.iter().all(|run| !run.contains(index)));
        let (indices, leaves): (Vec<u64>, Vec<_>) = here.map(|(i, entry)| (i, entry.cert_hash.leaf_hash())).unzip();
        let found = each(&leaves, |leaves| store.find(leaves))?;
        let wrong = indices.into_iter().zip(leaves.iter().zip(found)).filter_map(|(index, (leaf, found))| {
            let what = match found {
                Ok(Some(found)) if found.get() == index => return None,
                Ok(Some(found)) => format!("the index of leaf hashes has {leaf} at {found}"),
                Ok(None) => format!("the index of leaf hashes lacks {leaf}: nobody can ask for its proof"),
                Err(what) => what,
            };
            Some(Finding::new(format_args!("entry {index}"), what))
        });
        self.findings.extend(wrong);
        Ok(())
    }
}

/// What is wrong with a record's type, going by the certificate.
fn other_type(der: &[u8], recorded: EntryType) -> Option<String> {
    // A certificate that does not even parse is not the one logged, which its hash shows.
    let certificate = Certificate::parse(der).ok()?;
    let found = match Precertificate::of(&certificate).ok()? {
        Some(_) => EntryType::Precertificate,
        None => EntryType::Certificate,
    };
    let (found, recorded) = (found.number(), recorded.number());
    (found != recorded).then(|| format!("is recorded as type {recorded}, and its certificate is of type {found}"))
}

fn one<S: LogStore + ?Sized>(store: &S, id: BlobId) -> Result<Read<Option<Vec<u8>>>, StoreError> {
    Ok(each(&[id], |ids| store.blobs(ids))?.pop().unwrap_or(Ok(None)))
}

/// Reads all items at once; where damage prevents that, one by one, to find the damaged ones.
fn each<I: Copy, T>(
    items: &[I],
    read: impl Fn(&[I]) -> Result<Vec<T>, StoreError>,
) -> Result<Vec<Read<T>>, StoreError> {
    let single = |item: &I| match read(std::slice::from_ref(item)) {
        Ok(mut found) => Ok(found.pop().ok_or_else(|| "is missing".to_owned())),
        Err(StoreError::Corrupt(what)) => Ok(Err(what)),
        Err(other) => Err(other),
    };
    match read(items) {
        Ok(found) => Ok(found.into_iter().map(Ok).collect()),
        Err(StoreError::Corrupt(_)) => items.iter().map(single).collect(),
        Err(other) => Err(other),
    }
}

fn panicked() -> StoreError {
    StoreError::Unavailable("a thread that reads the store ended".to_owned())
}
