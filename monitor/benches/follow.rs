//! How many entries a second one core verifies, and what bounds it.
//!
//! Entries are synthetic certificates of 1 kB, one of an agent with another signature each, in bundles as a log serves
//! them. Measured are the steps between the network and the alerts: reading a bundle (SHA-256 of each certificate, held
//! against the list), growing the tree and holding full tiles against those served, the rules, and the position written
//! down every 32 bundles. The floor is SHA-256 of the same octets and nothing else. `ATL_BENCH_SECONDS` says for how
//! long each (2).
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

mod common;

use std::sync::Arc;

use atl::apki::federation::TrustDomain;
use atl::keys::{Ed25519Signer, Signer};
use atl::log::bundle::{CertBundle, CertRow, EntryBundle};
use atl::log::checkpoint::Origin;
use atl::log::entry::CertHash;
use atl::merkle::{Edge, Hash, TILE_WIDTH, TileId, Width, integrate};
use atl::time::{Stopwatch, UnixMillis};
use atl_monitor::follow::bounds::Bounds;
use atl_monitor::follow::bundle::{Bundle, Octets, Reading, Served, Shape};
use atl_monitor::follow::position::{Ledger, Position};
use atl_monitor::follow::walk::Walk;
use atl_monitor::follow::{EntryJudge, Pace};
use atl_monitor::rules::lookalike::{Name, Score, Watchlist};
use atl_monitor::rules::settings::{Owner, Settings};
use atl_monitor::rules::{Entry, Imitations, Judged, Memory, Rulebook};
use atl_monitor::state::State;
use atl_monitor::watched::WatchedLog;

use common::{peak_kib, processor_ms};

/// Bundles that are different; after them the same come again. It divides 256, so all tiles of a level are alike.
const BUNDLES: usize = 32;
/// An agent's certificate with all extensions and the timestamps of two logs, somewhat more than 1 kB.
const CERTIFICATE: &[u8] = include_bytes!("../../tests/vectors/certs/ed25519/cases/final-submitted-submission.der");
const NOW: UnixMillis = UnixMillis::new(1_775_822_400_000);

/// Found in one bundle: what the certificate's profile lacks is told once, since all bundles have the same.
const MOST_FOUND: usize = TILE_WIDTH;

/// All rules, for an owner of whom nothing is in the log, who has one name watched for look-alikes.
fn owners() -> Rulebook {
    let domain = TrustDomain::parse("bank.example").unwrap();
    let owner = Owner { domains: vec![domain], organizations: vec!["bank".into()], ..Owner::default() };
    let watched = Watchlist::new([Name::parse("bank.example").unwrap()], []).unwrap();
    let imitations = Imitations::new(watched, Score::ALERT, Score::DIGEST);
    Rulebook::new(Settings::default(), owner, &[], Some(imitations), None)
}

/// Finds nothing.
struct Nothing;

impl EntryJudge for Nothing {
    fn judge(&self, _: &Entry<'_>, _: &mut Memory, _: UnixMillis) -> Judged {
        Judged::default()
    }
}

/// What a log serves for one bundle.
struct Given {
    certs: Vec<u8>,
    entries: Vec<u8>,
    tile: Vec<u8>,
}

struct Bench {
    given: Vec<Given>,
    /// A full tile of level 1.
    above: Vec<u8>,
    log: Arc<WatchedLog>,
}

impl Bench {
    fn new() -> Self {
        let signer = Ed25519Signer::from_seed(&[1; 32]).unwrap();
        let origin: Origin = "log.example/1".parse().unwrap();
        let key = origin.verifier_key(signer.public_key()).unwrap();
        let log = Arc::new(WatchedLog::new(key, String::new(), String::new()).unwrap());
        let given: Vec<Given> = (0..BUNDLES).map(given).collect();
        let leaves: Vec<Hash> = (0..TILE_WIDTH).flat_map(|n| hashes(&given[n % BUNDLES].tile)).collect();
        let grown = integrate(&Edge::empty(), &leaves).unwrap();
        let level = TileId::new(1, 0).unwrap();
        let (_, above) = grown.tiles.into_iter().find(|(id, _)| *id == level).unwrap();
        Self { given, above: above.to_octets(), log }
    }

    /// The bundle number `index`, as it comes from the network.
    fn served(&self, index: u64) -> (Shape, Served) {
        let given = &self.given[index as usize % BUNDLES];
        let shape = Shape { index, width: Width::FULL };
        let tile = |id: TileId| (id, Some(if id.level() == 0 { given.tile.clone() } else { self.above.clone() }));
        let octets = |octets: &Vec<u8>| Some(Octets::from(octets.clone()));
        let tiles = shape.tiles().into_iter().map(tile).collect();
        (shape, Served { certs: octets(&given.certs), entries: octets(&given.entries), tiles })
    }

    fn bundle(&self, index: u64) -> Bundle {
        let (shape, served) = self.served(index);
        let Reading::Whole(bundle) = served.read(shape) else { panic!("bundle {index} does not read") };
        bundle
    }

    /// Walks with these rules; each 32 bundles are written down where there is a ledger. Each finding is an error.
    fn walk(&self, rules: Arc<dyn EntryJudge>, ledger: Option<&Ledger>) -> impl FnMut(u64) {
        let mut walk = Walk::resume(Arc::clone(&self.log), rules, Position::default());
        move |index| {
            let bundle = self.bundle(index);
            let bounds = Bounds::of(bundle.shape.entries(), &[]);
            let found = walk.take(&bundle, &bounds, NOW).unwrap();
            assert!(found.len() <= MOST_FOUND, "{found:?}");
            if let Some(ledger) = ledger
                && (index + 1).is_multiple_of(Pace::default().chunk as u64)
            {
                ledger.commit(&walk.position(), &found).unwrap();
            }
        }
    }
}

fn given(n: usize) -> Given {
    let certificate = |row: usize| {
        // Another signature, which nobody checks here, makes it another certificate.
        let mut der = CERTIFICATE.to_vec();
        let end = der.len() - 8;
        der[end..].copy_from_slice(&((n * TILE_WIDTH + row) as u64).to_be_bytes());
        der
    };
    let chain = vec![Hash::new([1; 32]), Hash::new([2; 32])];
    let row = |row| CertRow { timestamp: NOW, certificate: Some(certificate(row)), chain: chain.clone() };
    let rows: Vec<CertRow> = (0..TILE_WIDTH).map(row).collect();
    let hashes = rows.iter().map(|row| CertHash::of_certificate(row.certificate.as_ref().unwrap()));
    let hashes: Vec<CertHash> = hashes.collect();
    Given {
        tile: hashes.iter().flat_map(|hash| *hash.leaf_hash().as_bytes()).collect(),
        entries: EntryBundle::new(hashes).unwrap().to_octets(),
        certs: CertBundle::new(rows).unwrap().to_octets().unwrap(),
    }
}

fn hashes(tile: &[u8]) -> impl Iterator<Item = Hash> {
    tile.chunks(32).map(|octets| Hash::from_slice(octets).unwrap())
}

/// Runs `step` with 0, 1, 2 ... for the time given; entries a second of processor time and of time by the wall.
fn measure(what: &str, mut step: impl FnMut(u64)) {
    let seconds = std::env::var("ATL_BENCH_SECONDS").map_or(2.0, |text| text.parse().unwrap());
    let (before, watch, mut count) = (processor_ms(), Stopwatch::start(), 0_u64);
    while watch.elapsed().as_secs_f64() < seconds {
        step(count);
        count += 1;
    }
    let entries = (count * TILE_WIDTH as u64) as f64;
    let (busy, wall) = ((processor_ms() - before) as f64 / 1000.0, watch.elapsed().as_secs_f64());
    println!(
        "{what:<58} {:>8.0} entries/s of processor time, {:>8.0} by the wall, {:.2} us each",
        entries / busy,
        entries / wall,
        busy / entries * 1e6
    );
}

fn main() {
    let bench = Bench::new();
    let inputs = peak_kib();
    println!("certificates of {} octets", CERTIFICATE.len());
    measure("floor: SHA-256 of the certificates", |index| {
        let certs = &bench.given[index as usize % BUNDLES].certs;
        let hash = |octets| CertHash::of_certificate(octets);
        let sum: usize =
            certs.chunks_exact(CERTIFICATE.len()).take(TILE_WIDTH).map(|der| hash(der).as_bytes().len()).sum();
        assert_eq!(sum, TILE_WIDTH * 32);
    });
    measure("reading: the same, parsed and held against the list", |index| drop(bench.bundle(index)));
    measure("verifying: reading, the tree, tiles, no rules", bench.walk(Arc::new(Nothing), None));
    measure("judging: verifying, with all rules of an owner", bench.walk(Arc::new(owners()), None));
    // Below the target directory, which is on a disk; what is temporary may be in memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let state = Arc::new(State::open(&dir.path().join("state.redb")).unwrap());
    let ledger = Ledger::new(state, Arc::clone(&bench.log));
    measure("all: judging, and the position written every 32 bundles", bench.walk(Arc::new(owners()), Some(&ledger)));
    let (position, watch) = (ledger.downloaded().unwrap(), Stopwatch::start());
    (0..20).for_each(|_| ledger.commit(&position, &[]).unwrap());
    let each = watch.elapsed().as_secs_f64() / 20.0 * 1000.0;
    let size = position.size();
    println!("a position after {size} entries takes {each:.2} ms to write, synced to the disk");
    println!("peak memory {} MiB, of which the inputs {} MiB", peak_kib() / 1024, inputs / 1024);
}
