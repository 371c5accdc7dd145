//! A runner with two logs that answer over HTTP, a clock that the test sets, and a keeper of evidence in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use atl::apki::Certificate;
use atl::apki::precertificate::recover;
use atl::client::LogClient;
use atl::log::entry::CertHash;
use atl::merkle::{LeafIndex, verify_inclusion};
use atl::time::{Clock, UnixMillis};
use parking_lot::Mutex;

use super::agents::{NOW, World};
use super::test_log::TestLog;
use crate::alert::ALERTS;
use crate::board::Board;
use crate::errand::{Errand, Kept, Runner, due, post};
use crate::evidence::{Exhibit, KeepError, Keeper};
use crate::finding::{EntryRef, Finding};
use crate::head::SignedHead;
use crate::state::State;
use crate::watched::WatchedLog;

pub const SECOND: u64 = 1000;
pub const HOUR: u64 = 3_600_000;
pub const DAY: u64 = 24 * HOUR;

/// A clock that stands until it is set.
pub struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::SeqCst))
    }
}

/// Evidence in memory; it can be full, and it can wait to be let on.
#[derive(Default)]
pub struct Memory {
    pub exhibits: Mutex<Vec<Exhibit>>,
    pub full: Mutex<bool>,
    pub wait: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
}

impl Keeper for Memory {
    fn keep(&self, exhibit: &Exhibit, _now: UnixMillis) -> Result<String, KeepError> {
        if *self.full.lock() {
            return Err(KeepError("no space left".into()));
        }
        self.exhibits.lock().push(exhibit.clone());
        if let Some(wait) = self.wait.lock().take() {
            let _ = wait.recv();
        }
        Ok(format!("evidence-{}", exhibit.class.code()))
    }
}

pub struct Rig {
    _dir: tempfile::TempDir,
    pub state: Arc<State>,
    pub clock: Arc<TestClock>,
    pub keeper: Arc<Memory>,
    pub board: Arc<Board>,
    pub logs: Vec<TestLog>,
    pub world: World,
}

impl Rig {
    /// Two logs with the keys that the world's timestamps are from, empty at the time of the world's certificates.
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(&dir.path().join("state.redb")).unwrap());
        let early = NOW.saturating_sub(2 * HOUR);
        let logs =
            vec![TestLog::start("one.example/1", 11, early).await, TestLog::start("two.example/1", 12, early).await];
        Self {
            _dir: dir,
            state,
            clock: Arc::new(TestClock(AtomicU64::new(NOW.get()))),
            keeper: Arc::default(),
            board: Arc::default(),
            logs,
            world: World::new(),
        }
    }

    pub fn watched(&self, n: usize) -> WatchedLog {
        let log = &self.logs[n];
        WatchedLog::new(log.vkey.clone(), log.url.clone(), String::new()).unwrap()
    }

    /// A runner as a new process would have it.
    pub fn runner(&self) -> Runner {
        let logs = (0..self.logs.len()).map(|n| (self.watched(n), LogClient::new(&self.logs[n].url).unwrap()));
        Runner::new(
            Arc::clone(&self.state),
            logs,
            Arc::<Memory>::clone(&self.keeper),
            Arc::clone(&self.board),
            Arc::<TestClock>::clone(&self.clock),
        )
    }

    pub fn post(&self, errand: &Errand) {
        self.state.write(|write| post(write, errand)).unwrap();
    }

    pub fn pass(&self, millis: u64) {
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// Lets all logs sign a head of now over all that they have.
    pub fn sign(&self) {
        self.logs.iter().for_each(|log| log.sign(self.now()));
    }

    /// Runs what is due, as a process that has just started.
    pub async fn once(&self) -> usize {
        self.runner().once().await.unwrap()
    }

    pub fn waiting(&self) -> Vec<Kept> {
        self.state.read(|read| due(read, UnixMillis::new(u64::MAX), 100)).unwrap()
    }

    /// What was told, in the order of codes.
    pub fn told(&self) -> Vec<Finding> {
        let rows = self.state.read(|read| read.first(&ALERTS, b"", 100)).unwrap();
        let mut told: Vec<Finding> = rows.into_iter().map(|(_, alert)| alert.finding).collect();
        told.sort_by_key(|finding| finding.class.code());
        told
    }

    pub fn codes(&self) -> Vec<&'static str> {
        self.told().iter().map(|finding| finding.class.code()).collect()
    }

    pub fn exhibits(&self) -> Vec<Exhibit> {
        self.keeper.exhibits.lock().clone()
    }

    /// Takes a certificate into a log with the CA behind it.
    pub fn add(&self, n: usize, der: &[u8], at: UnixMillis) -> EntryRef {
        let index = self.logs[n].head().head.size.get();
        let ca = self.world.ca.certificate.der();
        let cert_hash = self.logs[n].add(der, at, &[ca]);
        self.sign();
        let log = self.logs[n].vkey.name().to_string();
        EntryRef { log, index: LeafIndex::new(index), cert_hash }
    }
}

/// The precertificate behind a final certificate.
pub fn precertificate_of(certificate: &Certificate) -> Vec<u8> {
    recover(certificate).unwrap().unwrap().precertificate_der
}

/// Whether every certificate of an exhibit is proven to be in one of its logs.
pub fn is_proven(exhibit: &Exhibit) -> bool {
    exhibit.certificates.iter().all(|included| {
        let log = exhibit.logs.iter().find(|log| log.origin.as_str() == included.log).unwrap();
        let head = SignedHead::open(included.head.clone(), log).unwrap();
        let leaf = CertHash::of_certificate(included.certificate.as_slice()).leaf_hash();
        verify_inclusion(&leaf, included.index, head.size(), &included.inclusion, &head.root()).is_ok()
    })
}
