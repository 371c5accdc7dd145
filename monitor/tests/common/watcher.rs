//! A monitor's heads, with a clock that is set and evidence that is kept in memory.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use atl::keys::Ed25519Signer;
use atl::time::{Clock, UnixMillis};
use atl_monitor::alert::ALERTS;
use atl_monitor::board::Board;
use atl_monitor::config::Peer;
use atl_monitor::evidence::{Exhibit, KeepError, Keeper};
use atl_monitor::finding::{Class, Finding};
use atl_monitor::heads::Heads;
use atl_monitor::http::Shared;
use atl_monitor::state::{State, StateError};
use atl_monitor::watched::WatchedLog;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// When the tests begin.
pub const START: u64 = 1_800_000_000_000;

/// A clock that stands until it is set.
pub struct HandClock(AtomicU64);

impl Clock for HandClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::SeqCst))
    }
}

impl HandClock {
    /// Goes on by this much.
    pub fn advance(&self, millis: u64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

/// Evidence in memory, whose disk can be full.
#[derive(Default)]
pub struct Cabinet {
    /// What was kept, under its name.
    pub kept: Mutex<Vec<(String, Exhibit)>>,
    /// Whether nothing can be kept.
    pub full: AtomicBool,
}

impl Keeper for Cabinet {
    fn keep(&self, exhibit: &Exhibit, _now: UnixMillis) -> Result<String, KeepError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(KeepError("the disk is full".into()));
        }
        let name = hex::encode(Sha256::digest(format!("{exhibit:?}")));
        self.kept.lock().push((name.clone(), exhibit.clone()));
        Ok(name)
    }
}

/// The key of the monitor of this name.
pub fn signer_of(name: &str) -> Ed25519Signer {
    Ed25519Signer::from_seed(&Sha256::digest(name).into()).unwrap()
}

/// One monitor.
pub struct Watcher {
    pub dir: TempDir,
    pub clock: Arc<HandClock>,
    pub cabinet: Arc<Cabinet>,
    pub shared: Arc<Shared>,
    pub heads: Heads,
}

impl Watcher {
    /// A monitor of this name that watches these logs and has these peers.
    pub fn new(name: &str, logs: &[&WatchedLog], peers: Vec<Peer>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(&dir.path().join("state.redb")).unwrap());
        Self::with(dir, state, name, logs, peers)
    }

    fn with(dir: TempDir, state: Arc<State>, name: &str, logs: &[&WatchedLog], peers: Vec<Peer>) -> Self {
        let clock = Arc::new(HandClock(AtomicU64::new(START)));
        let cabinet = Arc::new(Cabinet::default());
        let shared = Arc::new(Shared {
            name: name.parse().unwrap(),
            logs: logs.iter().map(|log| (*log).clone()).collect(),
            peers,
            state: state.clone(),
            board: Arc::new(Board::default()),
            clock: clock.clone(),
            signer: Arc::new(signer_of(name)),
            witness: None,
            evidence_dir: PathBuf::new(),
        });
        let heads = Heads::open(state, shared.board.clone(), cabinet.clone(), clock.clone()).unwrap();
        Self { dir, clock, cabinet, shared, heads }
    }

    /// The same monitor after it was stopped and started, wherever it was.
    pub fn restarted(self) -> Self {
        let Self { dir, shared, heads, .. } = self;
        let (name, logs) = (shared.name.to_string(), shared.logs.clone());
        drop((shared, heads));
        let state = Arc::new(State::open(&dir.path().join("state.redb")).unwrap());
        Self::with(dir, state, &name, &logs.iter().collect::<Vec<_>>(), Vec::new())
    }

    /// The same at this moment.
    pub fn restarted_at(self, at: u64) -> Self {
        let watcher = self.restarted();
        watcher.clock.0.store(at, Ordering::SeqCst);
        watcher
    }

    /// The findings of all alerts raised.
    pub fn findings(&self) -> Vec<Finding> {
        let rows = self.shared.state.read(|read| read.first(&ALERTS, b"", usize::MAX));
        let rows: Result<_, StateError> = rows;
        rows.unwrap().into_iter().map(|(_, alert)| alert.finding).collect()
    }

    /// Their classes, sorted.
    pub fn classes(&self) -> Vec<Class> {
        let mut classes: Vec<_> = self.findings().into_iter().map(|finding| finding.class).collect();
        classes.sort();
        classes
    }

    /// The one case kept.
    pub fn case(&self) -> (String, Exhibit) {
        let kept = self.cabinet.kept.lock();
        assert_eq!(kept.len(), 1, "{kept:?}");
        kept[0].clone()
    }
}
