//! A log that runs, held against what it serves.

use std::collections::{HashSet, VecDeque};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use tokio::task::JoinHandle;

use super::report::{Finding, Progress, Report};
use crate::api::{ConsistencyQuery, EntriesQuery, ProofQuery};
use crate::cli::log::remote::{RemoteLog, failed, is_answer, polite, signed};
use crate::cli::output::{CliError, Context};
use crate::client::{ClientError, LogClient};
use crate::log::bundle::{CertBundle, CertRow};
use crate::log::checkpoint::open_checkpoint;
use crate::log::entry::CertHash;
use crate::log::sth::SignedTreeHead;
use crate::merkle::{
    Hash, LeafIndex, TILE_WIDTH, Tile, TileId, TilePath, TreeSize, Width, verify_consistency, verify_inclusion,
};
use crate::verify::auditor::{Auditor, Seen, check_rows, check_tile, read_entries};
use crate::verify::fault::{Damage, Fault};

/// Entries of which the other calls are tried, too.
const SAMPLES: u64 = 16;

/// Checks the log, with `parallel` requests under way.
pub async fn check(log: &RemoteLog, parallel: usize) -> Result<Report, CliError> {
    let mut report = Report::new(log.client.base_url().to_owned());
    let Some(stated) = Stated::fetch(log, &mut report).await? else { return Ok(report) };
    let mut auditor = Auditor::default();
    let size = stated.sth.head.size.max(stated.checkpoint.0);
    let half = TreeSize::new(size.get() / 2);
    [size, half, stated.sth.head.size, stated.checkpoint.0].into_iter().for_each(|size| auditor.remember(size));
    let mut check = Check { log, size, report, auditor, issuers: HashSet::new(), samples: samples(size)? };
    check.bundles(parallel).await?;
    for (id, tile) in check.auditor.partial_tiles() {
        let path = TilePath::hashes(id, Width::new(tile.width()).unwrap_or(Width::FULL));
        let octets = fetch(&log.client, path).await.map_err(failed)?;
        check.tile(id, &tile, octets);
    }
    let faults = check.auditor.check_head(&stated.sth.head);
    check.report.statement(faults.into_iter().map(|fault| Finding::new("get-sth", fault)));
    let fault = check.auditor.check_root(stated.checkpoint.0, &stated.checkpoint.1);
    check.report.statement(fault.map(|fault| Finding::new("checkpoint", fault)));
    if check.auditor.size() == size {
        check.samples().await?;
        check.consistency(half).await?;
    }
    check.report.entries = check.auditor.size();
    check.report.root = check.auditor.root();
    Ok(check.report)
}

/// What the log has signed.
struct Stated {
    sth: SignedTreeHead,
    checkpoint: (TreeSize, Hash),
}

impl Stated {
    /// Both heads, or `None` where one of them is not the log's: nothing can be held against it.
    async fn fetch(log: &RemoteLog, report: &mut Report) -> Result<Option<Self>, CliError> {
        let note = polite(|| log.client.checkpoint()).await.map_err(failed)?;
        let sth = signed(polite(|| log.client.sth()).await.map_err(failed)?);
        if log.descriptor.vkey != log.vkey.to_string() {
            let what =
                format!("the log says that its key is {}, and it is held against {}", log.descriptor.vkey, log.vkey);
            report.add([Finding::new("atl/v1/log", what)]);
        }
        let checkpoint = open_checkpoint(note.as_bytes(), &log.vkey).map_err(|e| Finding::new("checkpoint", e));
        let verified = sth.verify(log.key()).map_err(|e| Finding::new("get-sth", e));
        report.add(checkpoint.as_ref().err().cloned().into_iter().chain(verified.as_ref().err().cloned()));
        let (Ok(checkpoint), Ok(())) = (checkpoint, verified) else { return Ok(None) };
        Ok(Some(Self { sth, checkpoint: (checkpoint.size, checkpoint.root) }))
    }
}

/// An entry that the other calls are asked for, as the bundles have it.
struct Sample {
    index: LeafIndex,
    seen: Option<(CertHash, Option<CertRow>)>,
}

/// The first entry, the last, and some that nobody can guess.
fn samples(size: TreeSize) -> Result<Vec<Sample>, CliError> {
    let mut indices: Vec<u64> = [0, size.get().saturating_sub(1)].into();
    for _ in 0..SAMPLES {
        let mut octets = [0; 8];
        SystemRandom::new().fill(&mut octets).context("the system's randomness")?;
        indices.push(u64::from_be_bytes(octets) % size.get().max(1));
    }
    indices.sort_unstable();
    indices.dedup();
    let sample = |index| Sample { index: LeafIndex::new(index), seen: None };
    Ok(indices.into_iter().filter(|i| *i < size.get()).map(sample).collect())
}

/// What came back for a path: octets, or in words what the log answered.
type Fetched = Result<Vec<u8>, String>;

/// One bundle as the log serves it.
struct Bundle {
    index: u64,
    width: Width,
    entries: Fetched,
    certs: Fetched,
    tile: Fetched,
}

/// A tile or bundle. That the log refuses it is an answer; an error means that there was none.
async fn fetch(client: &LogClient, path: TilePath) -> Result<Fetched, ClientError> {
    let path = path.to_string();
    match polite(|| client.tile(&path)).await {
        Ok(octets) => Ok(Ok(octets)),
        Err(error) if is_answer(&error) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

async fn fetch_bundle(client: LogClient, id: TileId, width: Width) -> Result<Bundle, ClientError> {
    let index = id.index();
    let entries = fetch(&client, TilePath::entries(index, width)).await?;
    let certs = fetch(&client, TilePath::certs(index, width)).await?;
    // The tile of the right edge is asked for in the end, with the others there.
    let tile = if width.is_full() { fetch(&client, TilePath::hashes(id, width)).await? } else { Ok(Vec::new()) };
    Ok(Bundle { index, width, entries, certs, tile })
}

struct Check<'a> {
    log: &'a RemoteLog,
    size: TreeSize,
    report: Report,
    auditor: Auditor,
    issuers: HashSet<Hash>,
    samples: Vec<Sample>,
}

impl Check<'_> {
    async fn bundles(&mut self, parallel: usize) -> Result<(), CliError> {
        let mut progress = Progress::towards(self.size);
        let (client, size) = (self.log.client.clone(), self.size);
        let mut wanted = (0..).map_while(move |index| {
            let id = TileId::new(0, index)?;
            Some(tokio::spawn(fetch_bundle(client.clone(), id, id.width_at(size)?)))
        });
        let mut under_way: VecDeque<JoinHandle<_>> = wanted.by_ref().take(parallel).collect();
        while let Some(bundle) = under_way.pop_front() {
            let bundle = bundle.await.context("a download")?.map_err(failed)?;
            under_way.extend(wanted.next());
            if !self.take(bundle).await? {
                under_way.iter().for_each(JoinHandle::abort);
                break;
            }
            progress.at(self.auditor.size());
        }
        Ok(())
    }

    /// Takes the next bundle in; false where it cannot be read, so that nothing behind it can be
    /// re-derived.
    async fn take(&mut self, bundle: Bundle) -> Result<bool, CliError> {
        let Bundle { index, width, entries, certs, tile } = bundle;
        let first = LeafIndex::new(index * TILE_WIDTH as u64);
        let read = match entries {
            Ok(octets) => read_entries(index, width, &octets).map_err(Finding::from),
            Err(what) => Err(Finding::new(TilePath::entries(index, width), what)),
        };
        let entries = match read {
            Ok(entries) => entries,
            Err(finding) => {
                self.report.add([finding]);
                return Ok(false);
            }
        };
        let rows = self.rows(first, width, &entries, TilePath::certs(index, width), certs);
        for hash in rows.iter().flat_map(|row| &row.chain) {
            self.issuer(*hash).await?;
        }
        self.keep_samples(first, &entries, &rows);
        let timestamp = |place: usize| rows.get(place).map(|row| row.timestamp);
        let seen: Vec<Seen> = entries
            .iter()
            .enumerate()
            .map(|(place, entry)| Seen { cert_hash: *entry, timestamp: timestamp(place) })
            .collect();
        let derived = self.auditor.append(&seen).context("the log")?;
        self.report.add(derived.faults);
        let mut leaf_tile = Some(tile);
        for (id, derived) in derived.tiles {
            let read = if id.level() == 0 { leaf_tile.take() } else { None };
            let octets = match read {
                Some(octets) => octets,
                None => fetch(&self.log.client, TilePath::hashes(id, Width::FULL)).await.map_err(failed)?,
            };
            self.tile(id, &derived, octets);
        }
        Ok(true)
    }

    fn tile(&mut self, id: TileId, derived: &Tile, octets: Fetched) {
        self.report.tiles += 1;
        match octets {
            Ok(octets) => self.report.add(check_tile(id, derived, Some(&octets))),
            Err(what) => {
                let width = Width::new(derived.width()).unwrap_or(Width::FULL);
                self.report.add([Finding::new(TilePath::hashes(id, width), what)]);
            }
        }
    }

    /// The rows of a certificate bundle, held against the entries; none where they do not fit.
    fn rows(
        &mut self,
        first: LeafIndex,
        width: Width,
        entries: &[CertHash],
        path: TilePath,
        certs: Fetched,
    ) -> Vec<CertRow> {
        let read = certs.map_err(|what| Finding::new(path, what)).and_then(|octets| {
            let bundle =
                CertBundle::from_octets(&octets).map_err(|bad| Finding::from(Fault::in_path(path, bad.into())))?;
            match bundle.rows().len() {
                found if found == width.get() => Ok(bundle.rows().to_vec()),
                found => Err(Fault::in_path(path, Damage::Width { found, needed: width.get() }).into()),
            }
        });
        let rows = match read {
            Ok(rows) => rows,
            Err(finding) => {
                self.report.add([finding]);
                return Vec::new();
            }
        };
        let kept_from = if self.log.descriptor.retention_seconds == 0 { 0 } else { u64::MAX };
        self.report.add(check_rows(first, entries, &rows, LeafIndex::new(kept_from)));
        let kept = rows.iter().filter(|row| row.certificate.is_some()).count() as u64;
        self.report.certificates += kept;
        self.report.pruned += rows.len() as u64 - kept;
        rows
    }

    async fn issuer(&mut self, fingerprint: Hash) -> Result<(), CliError> {
        if !self.issuers.insert(fingerprint) {
            return Ok(());
        }
        self.report.issuers += 1;
        let what = match polite(|| self.log.client.issuer(&fingerprint)).await {
            Ok(der) if Hash::of(&der) == fingerprint => return Ok(()),
            Ok(der) => format!("the certificate served has SHA-256 {}", Hash::of(&der)),
            Err(error) if is_answer(&error) => error.to_string(),
            Err(error) => return Err(failed(error)),
        };
        self.report.add([Finding::new(format_args!("issuer/{fingerprint}"), what)]);
        Ok(())
    }

    fn keep_samples(&mut self, first: LeafIndex, entries: &[CertHash], rows: &[CertRow]) {
        for sample in &mut self.samples {
            let place = sample.index.get().checked_sub(first.get()).and_then(|n| usize::try_from(n).ok());
            if let Some((place, entry)) = place.and_then(|place| Some((place, entries.get(place)?))) {
                sample.seen = Some((*entry, rows.get(place).cloned()));
            }
        }
    }

    async fn samples(&mut self) -> Result<(), CliError> {
        for sample in std::mem::take(&mut self.samples) {
            let Some((cert_hash, row)) = sample.seen else { continue };
            let what = self.entry(sample.index, cert_hash, row).await?;
            self.report.statement(what.map(|what| Finding::new(format_args!("get-entries of {}", sample.index), what)));
            let what = self.proof(sample.index, cert_hash).await?;
            let at = format!("get-proof-by-hash of entry {}", sample.index);
            self.report.statement(what.map(|what| Finding::new(at, what)));
        }
        Ok(())
    }

    /// What `get-entries` says otherwise than the bundles.
    async fn entry(&self, index: LeafIndex, hash: CertHash, row: Option<CertRow>) -> Result<Option<String>, CliError> {
        let query = EntriesQuery { start: index, end: index };
        let answer = match answered(polite(|| self.log.client.entries(query)).await)? {
            Ok(answer) => answer,
            Err(what) => return Ok(Some(what)),
        };
        let [entry] = answer.entries.as_slice() else {
            return Ok(Some(format!("{} entries came where one was asked for", answer.entries.len())));
        };
        let submission = entry.submission.as_ref().map(|der| CertHash::of_certificate(&der.0));
        if entry.leaf_index != index || entry.cert_hash != *hash.hash() || submission.is_some_and(|s| s != hash) {
            return Ok(Some(format!("the entry is not {hash}, which the entry bundle has there")));
        }
        let Some(row) = row else { return Ok(None) };
        let chain: Vec<Hash> = entry.chain.iter().map(|der| Hash::of(&der.0)).collect();
        let differs = entry.timestamp != row.timestamp || chain != row.chain;
        Ok(differs.then(|| "its timestamp or chain is not that of the certificate bundle".to_owned()))
    }

    /// Why the inclusion proof of an entry does not hold.
    async fn proof(&self, index: LeafIndex, cert_hash: CertHash) -> Result<Option<String>, CliError> {
        let leaf = cert_hash.leaf_hash();
        let query = ProofQuery { hash: leaf, tree_size: Some(self.size) };
        Ok(match answered(polite(|| self.log.client.proof_by_hash(query)).await)? {
            Err(what) => Some(what),
            Ok(answer) if answer.leaf_index != index => Some(format!("the proof is of entry {}", answer.leaf_index)),
            Ok(answer) => verify_inclusion(&leaf, index, self.size, &answer.inclusion, &self.auditor.root())
                .err()
                .map(|e| e.to_string()),
        })
    }

    async fn consistency(&mut self, first: TreeSize) -> Result<(), CliError> {
        let Some(root) = self.auditor.root_at(first) else { return Ok(()) };
        let query = ConsistencyQuery { first, second: Some(self.size) };
        let what = match answered(polite(|| self.log.client.consistency(query)).await)? {
            Err(what) => Some(what),
            Ok(answer) => verify_consistency(first, self.size, &root, &self.auditor.root(), &answer.consistency)
                .err()
                .map(|e| e.to_string()),
        };
        let at = format!("get-sth-consistency from {first} to {}", self.size);
        self.report.statement(what.map(|what| Finding::new(at, what)));
        Ok(())
    }
}

/// Tells an answer, perhaps a refusal in words, from none.
fn answered<T>(result: Result<T, ClientError>) -> Result<Result<T, String>, CliError> {
    match result {
        Ok(answer) => Ok(Ok(answer)),
        Err(error) if is_answer(&error) => Ok(Err(error.to_string())),
        Err(error) => Err(failed(error)),
    }
}
