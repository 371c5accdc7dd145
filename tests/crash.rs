//! `kill -9` in the middle of load, again and again on one data directory: whatever the log has
//! said before a kill, it stands by after it.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, clippy::print_stdout)]

#[path = "common/ledger.rs"]
mod ledger;
#[path = "common/log_process.rs"]
mod log_process;
#[path = "common/pki.rs"]
mod pki;
#[path = "common/raw_http.rs"]
mod raw_http;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use atl::api::{SubmitEntriesResponse, SubmitResult};

use ledger::Ledger;
use log_process::{LogDir, LogProcess, Signal};
use pki::{Authority, submission};
use raw_http::Connection;

/// Precertificates that one round may use up.
const PER_ROUND: usize = 900;
/// Threads that submit one by one; one more submits in batches.
const CLIENTS: usize = 4;
const BATCH: usize = 16;

/// `ATL_CRASH_ROUNDS` makes the run longer.
fn rounds() -> usize {
    std::env::var("ATL_CRASH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

/// Certificates still to be sent, and those whose answer a kill swallowed.
struct Work {
    supply: Vec<Vec<u8>>,
    next: AtomicUsize,
    doubtful: Mutex<Vec<Vec<u8>>>,
}

impl Work {
    fn take(&self) -> Option<Vec<u8>> {
        let doubtful = self.doubtful.lock().unwrap().pop();
        doubtful.or_else(|| self.supply.get(self.next.fetch_add(1, SeqCst)).cloned())
    }

    fn give_back(&self, der: Vec<u8>) {
        self.doubtful.lock().unwrap().push(der);
    }
}

fn submit_one_by_one(log: &LogProcess, ledger: &Ledger, work: &Work) {
    let Ok(mut http) = Connection::open(log.address) else { return };
    while let Some(der) = work.take() {
        match ledger.submit(&mut http, &der) {
            Ok(()) => std::thread::sleep(Duration::from_millis(8)),
            Err(None) => return work.give_back(der),
            Err(Some(token)) => panic!("refused: {token}"),
        }
    }
}

fn submit_batches(log: &LogProcess, ledger: &Ledger, work: &Work) {
    let Ok(mut http) = Connection::open(log.address) else { return };
    loop {
        let batch: Vec<Vec<u8>> = std::iter::from_fn(|| work.take()).take(BATCH).collect();
        if batch.is_empty() {
            return;
        }
        let body: Vec<String> = batch.iter().map(|der| submission(der)).collect();
        let Ok(answer) = http.post("/atl/v1/submit-entries", &format!("{{\"entries\":[{}]}}", body.join(","))) else {
            return batch.into_iter().for_each(|der| work.give_back(der));
        };
        for (der, result) in batch.iter().zip(answer.json::<SubmitEntriesResponse>().results) {
            match result {
                SubmitResult::Logged(logged) => ledger.hear(der, logged),
                SubmitResult::Refused(problem) => panic!("refused: {problem:?}"),
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn poll_heads(log: &LogProcess, ledger: &Ledger, over: &AtomicBool) {
    let Ok(mut http) = Connection::open(log.address) else { return };
    while !over.load(SeqCst) && ledger.look(&mut http).is_some() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Load for as long as `lasting`, then the kill while the load goes on.
fn round(dir: &LogDir, ledger: &Ledger, work: &Work, lasting: Duration) {
    let log = dir.start().unwrap_or_else(|ended| panic!("the log does not start after a kill: {ended:?}"));
    let (before, over) = (ledger.sats(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let mut threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(|| submit_one_by_one(&log, ledger, work))).collect();
        threads.push(scope.spawn(|| submit_batches(&log, ledger, work)));
        threads.push(scope.spawn(|| poll_heads(&log, ledger, &over)));
        std::thread::sleep(lasting);
        let deadline = Instant::now() + Duration::from_secs(10);
        while ledger.sats() == before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        log.signal(Signal::KILL);
        over.store(true, SeqCst);
    });
    assert!(ledger.sats() > before, "the log took nothing in:\n{}", log.stderr());
    log.kill().is_orderly();
}

#[test]
fn every_sat_and_every_head_outlives_kill_9() {
    let root = Authority::root("Root");
    let dir = LogDir::new(&root, |_| {});
    let ledger = Ledger::new(&dir.key);
    let rounds = rounds();
    let supply = root.precertificates(0, (rounds * PER_ROUND) as u64);
    let work = Work { supply, next: AtomicUsize::new(0), doubtful: Mutex::default() };
    for number in 0..rounds {
        round(&dir, &ledger, &work, Duration::from_millis(200 + number as u64 * 373 % 1600));
        is_clean(&dir);
    }
    let log = dir.start().unwrap();
    let mut http = log.connect();
    ledger.audit(&mut http);
    assert!(ledger.heads() > rounds / 2, "too few heads were seen to prove anything: {}", ledger.heads());
    println!("{} SATs and {} heads over {rounds} kills", ledger.sats(), ledger.heads());
    log.signal(Signal::TERM);
    let ended = log.wait();
    assert!(ended.status.success(), "{ended:?}");
    is_clean(&dir);
}

/// What `atl log fsck` says of the files of a log that does not run.
fn is_clean(dir: &LogDir) {
    let mut fsck = std::process::Command::new(env!("CARGO_BIN_EXE_atl"));
    let output = fsck.args(["log", "fsck", "--config"]).arg(dir.path("log.toml")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
