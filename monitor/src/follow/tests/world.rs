//! A follower with all that it needs, and what it tells.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atl::client::LogClient;
use atl::log::checkpoint::Origin;
use atl::merkle::TreeSize;
use atl::time::{Clock, UnixMillis};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::super::{Dated, EntryJudge, Follower, HeadJudge, Observing, Pace, Parts};
use super::server::TestLog;
use crate::alert::ALERTS;
use crate::board::Board;
use crate::config::FollowedLog;
use crate::errand::Errand;
use crate::finding::{Class, EntryRef, Finding};
use crate::head::SignedHead;
use crate::rules::{Entry, Judged, Memory};
use crate::state::{State, StateError, Table};
use crate::watched::WatchedLog;

/// A clock that a test sets.
pub(crate) struct TestClock(AtomicU64);

impl TestClock {
    pub(crate) fn set(&self, at: u64) {
        self.0.store(at, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::SeqCst))
    }
}

/// Tells of certificates with `evil` in them, and asks about those with `ask`.
struct Words;

impl EntryJudge for Words {
    fn judge(&self, entry: &Entry<'_>, _: &mut Memory, now: UnixMillis) -> Judged {
        let mut judged = Judged::default();
        let text = String::from_utf8_lossy(entry.der.unwrap_or_default());
        let hash = entry.cert_hash.to_string();
        if text.contains("evil") {
            let summary = format!("{text} is evil");
            judged.findings.push(Finding::new(Class::Lookalike, Some(&entry.log.origin), &hash, summary, now));
        }
        if text.contains("ask") {
            let entry =
                EntryRef { log: entry.log.origin.as_str().to_owned(), index: entry.index, cert_hash: entry.cert_hash };
            judged.errands.push(Errand::Parent { parent: entry.cert_hash, child: entry });
        }
        judged
    }
}

/// Remembers dated heads, and believes them.
#[derive(Default)]
pub(crate) struct PlainHeads {
    known: Mutex<BTreeMap<u64, Dated>>,
    pub frozen: Mutex<Option<String>>,
}

impl PlainHeads {
    pub(crate) fn know(&self, size: u64, timestamp: u64) {
        let dated = Dated { size: TreeSize::new(size), timestamp: UnixMillis::new(timestamp) };
        self.known.lock().insert(size, dated);
    }
}

impl HeadJudge for PlainHeads {
    fn observe<'a>(&'a self, _: &'a WatchedLog, _: &'a LogClient, head: SignedHead) -> Observing<'a> {
        if let Some(dated) = Dated::of(&head) {
            self.known.lock().entry(dated.size.get()).or_insert(dated);
        }
        Box::pin(async { Ok(()) })
    }

    fn frozen(&self, _: &Origin) -> Result<Option<String>, StateError> {
        Ok(self.frozen.lock().clone())
    }

    fn dated(&self, _: &Origin) -> Result<Vec<Dated>, StateError> {
        Ok(self.known.lock().values().copied().collect())
    }
}

pub(crate) struct World {
    pub log: Arc<TestLog>,
    pub clock: Arc<TestClock>,
    pub heads: Arc<PlainHeads>,
    pub board: Arc<Board>,
    pub state: Arc<State>,
    pub pace: Pace,
    dir: TempDir,
}

impl World {
    /// A log without entries, and a monitor without state. It is ten past.
    pub(crate) async fn start() -> Self {
        let log = TestLog::start("log.example/1").await;
        Self::beside(&log)
    }

    /// A monitor without state of a log that is there.
    pub(crate) fn beside(log: &Arc<TestLog>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            log: Arc::clone(log),
            clock: Arc::new(TestClock(AtomicU64::new(600_000))),
            heads: Arc::default(),
            board: Arc::default(),
            state: Arc::new(State::open(&dir.path().join("state.redb")).unwrap()),
            pace: Pace { at_once: 4, chunk: 2, patience: Duration::ZERO, ..Pace::default() },
            dir,
        }
    }

    /// Opens the database anew, as the next process does.
    pub(crate) fn reopen(&mut self) {
        self.state = Arc::new(State::open(&self.dir.path().join("other.redb")).unwrap());
        self.state = Arc::new(State::open(&self.dir.path().join("state.redb")).unwrap());
    }

    pub(crate) fn follower(&self) -> Follower {
        let log = self.log.watched.clone();
        Follower::new(Parts {
            client: LogClient::new(&log.url).unwrap(),
            followed: FollowedLog { log, poll_seconds: 1, max_head_age_seconds: 300 },
            state: Arc::clone(&self.state),
            board: Arc::clone(&self.board),
            rules: Arc::new(Words),
            heads: Arc::clone(&self.heads) as Arc<dyn HeadJudge>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            pace: self.pace,
        })
    }

    /// All alerts.
    pub(crate) fn alerts(&self) -> Vec<Finding> {
        let rows = self.state.read(|read| read.first(&ALERTS, b"", usize::MAX));
        rows.map(|rows| rows.into_iter().map(|(_, alert)| alert.finding).collect()).map_err(|e: StateError| e).unwrap()
    }

    /// Alerts of a class.
    pub(crate) fn alerts_of(&self, class: Class) -> Vec<Finding> {
        self.alerts().into_iter().filter(|finding| finding.class == class).collect()
    }

    /// The names of all alerts, by class and subject, and of all errands.
    pub(crate) fn told(&self) -> BTreeSet<String> {
        let errands: Table<serde_json::Value> = Table::new("errands");
        let errands: Vec<_> = self.state.read::<_, StateError>(|read| read.first(&errands, b"", usize::MAX)).unwrap();
        let errands = errands.into_iter().map(|(key, _)| hex::encode(key));
        self.alerts()
            .into_iter()
            .map(|finding| format!("{} {}", finding.class, finding.subject))
            .chain(errands)
            .collect()
    }
}

/// Certificates from `range`, each hundredth evil and each hundred-and-first to be asked about.
pub(crate) fn certificates(range: std::ops::Range<u64>) -> impl Iterator<Item = Vec<u8>> {
    range.map(|n| {
        match n % 100 {
            50 => format!("evil {n}"),
            51 => format!("ask {n}"),
            _ => format!("certificate {n}"),
        }
        .into_bytes()
    })
}
