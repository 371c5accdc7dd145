//! What a start may find: an older database, a damaged one, another key, no room. The log stops
//! with words that say what happened and what to do, and never says anything that contradicts
//! what it said before.
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

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use atl::config::LogConfig;
use atl::merkle::{LeafIndex, TileId};
use atl::storage::schema::{Family, index_key, tile_key};
use ledger::Ledger;
use log_process::{LogDir, LogProcess, Signal};
use pki::{Authority, submission};
use raw_http::Connection;
use rocksdb::{DB, Options};

/// A log with a history, what it has said, and more certificates to send.
struct Log {
    root: Authority,
    dir: LogDir,
    ledger: Ledger,
    next: std::cell::Cell<u64>,
}

impl Log {
    fn new(change: impl FnOnce(&mut LogConfig)) -> Self {
        let root = Authority::root("Root");
        let dir = LogDir::new(&root, change);
        Self { ledger: Ledger::new(&dir.key), dir, root, next: 0.into() }
    }

    /// A log that has run once and taken `count` certificates in.
    fn with_history(count: u64) -> Self {
        let log = Self::new(|_| {});
        log.grow(count);
        log
    }

    fn data(&self) -> PathBuf {
        self.dir.path("data")
    }

    fn head_file(&self) -> PathBuf {
        self.dir.path("data.head")
    }

    fn fresh(&self, count: u64) -> Vec<Vec<u8>> {
        self.root.precertificates(self.next.replace(self.next.get() + count), count)
    }

    fn submit(&self, http: &mut Connection, count: u64) {
        for der in self.fresh(count) {
            self.ledger.submit(http, &der).unwrap();
        }
    }

    /// Runs the log, lets it grow, and ends it in good order.
    fn grow(&self, count: u64) {
        let log = self.dir.start().unwrap();
        let mut http = log.connect();
        self.ledger.look(&mut http).unwrap();
        self.submit(&mut http, count);
        self.ledger.settle(&mut http);
        log.signal(Signal::TERM);
        assert!(log.wait().status.success());
    }

    /// The log must not start, for this reason, and must leave the head as it is.
    #[track_caller]
    fn refuses(&self, words: &[&str]) {
        let head = fs::read(self.head_file()).ok();
        match self.dir.start() {
            Ok(log) => panic!("the log starts:\n{}", log.stderr()),
            Err(ended) => ended.says(words),
        }
        assert_eq!(fs::read(self.head_file()).ok(), head, "something was signed");
    }

    /// The log must start, and stand by all it has said.
    #[track_caller]
    fn stands_by_its_word(&self) {
        let log = self.dir.start().unwrap_or_else(|ended| panic!("{ended:?}"));
        let mut http = log.connect();
        self.submit(&mut http, 3);
        self.ledger.audit(&mut http);
        log.signal(Signal::TERM);
        assert!(log.wait().status.success());
    }

    /// Changes a value in the database as a program would, so that every block checksum holds.
    fn change(&self, family: Family, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
        let families = DB::list_cf(&Options::default(), self.data()).unwrap();
        let db = DB::open_cf(&Options::default(), self.data(), families).unwrap();
        let family = db.cf_handle(family.name()).unwrap();
        let mut value = db.get_cf(&family, key).unwrap().expect("the key is there");
        change(&mut value);
        match value.is_empty() {
            true => db.delete_cf(&family, key).unwrap(),
            false => db.put_cf(&family, key, value).unwrap(),
        }
        db.flush_cf(&family).unwrap();
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let files = fs::read_dir(self.data()).unwrap().map(|e| e.unwrap().path());
        let mut files: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == extension)).collect();
        files.sort();
        files
    }
}

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn an_older_database_is_not_signed_for() {
    let log = Log::with_history(300);
    let yesterday = log.dir.path("yesterday");
    let yesterdays_head = fs::read(log.head_file()).unwrap();
    copy(&log.data(), &yesterday);
    log.grow(10);
    let (today, head) = (log.dir.path("today"), fs::read(log.head_file()).unwrap());
    copy(&log.data(), &today);

    copy(&yesterday, &log.data());
    log.refuses(&["rolled back", "300 entries", "310", "put the newest copy back", "split view"]);
    fs::remove_dir_all(log.data()).unwrap();
    log.refuses(&["missing or empty", "310 entries", "put the database of this log back", "a new key and origin"]);

    copy(&today, &log.data());
    fs::remove_file(log.head_file()).unwrap();
    log.refuses(&["310 entries", "the file with the last signed head is missing", "put it back"]);
    fs::write(log.head_file(), &yesterdays_head).unwrap();
    log.refuses(&["older copy", "put the newest file back"]);
    for damaged in [&b""[..], b"x", &head[..head.len() / 2], &head[..head.len() - 3]] {
        fs::write(log.head_file(), damaged).unwrap();
        log.refuses(&["data.head", "put"]);
    }
    fs::write(log.head_file(), &head).unwrap();
    log.stands_by_its_word();
}

#[test]
fn entries_that_no_head_covers_yet_are_missed_too() {
    let log = Log::new(|config| config.sth_interval_seconds = 3600);
    let older = log.dir.path("older");
    for count in [5, 3] {
        let process = log.dir.start().unwrap();
        log.submit(&mut process.connect(), count);
        // How far the log has come is kept within a second or so.
        std::thread::sleep(Duration::from_millis(1500));
        process.kill();
        if count == 5 {
            copy(&log.data(), &older);
        }
    }
    copy(&older, &log.data());
    log.refuses(&["rolled back", "it holds 5 entries", "its word for 8", "put the newest copy back"]);
}

#[test]
fn connections_never_take_the_files_that_the_log_itself_needs() {
    let log = Log::with_history(3);
    match log.dir.start_behind("ulimit -n 500;") {
        Err(ended) => ended.says(&["this process may open 500 files", "raise the limit"]),
        Ok(_) => panic!("the log starts with too few files"),
    }
    let mut process = log.dir.start_behind("ulimit -n 1024;").unwrap();
    let before = fs::read(log.head_file()).unwrap();
    // More idle connections than the process may have files, and tree heads meanwhile.
    let idle: Vec<_> = (0..1100).map_while(|_| process.open().ok()).collect();
    std::thread::sleep(Duration::from_millis(2500));
    assert!(process.runs(), "{}", process.stderr());
    assert_ne!(fs::read(log.head_file()).unwrap(), before, "heads are signed with {} connections open", idle.len());
    drop(idle);
    process.signal(Signal::TERM);
    assert!(process.wait().status.success());
    log.stands_by_its_word();
}

#[test]
fn another_key_or_anothers_head_is_refused() {
    let log = Log::with_history(5);
    let head = fs::read(log.head_file()).unwrap();
    log.dir.replace_key([8; 32]);
    log.refuses(&["was not signed by this log's key", "is this the right key file?"]);
    let other = Log::new(|_| {});
    other.dir.replace_key([8; 32]);
    let process = other.dir.start().unwrap();
    process.signal(Signal::TERM);
    assert!(process.wait().status.success());
    log.dir.replace_key([7; 32]);
    fs::copy(other.head_file(), log.head_file()).unwrap();
    log.refuses(&["was not signed by this log's key"]);
    fs::write(log.head_file(), head).unwrap();
    log.stands_by_its_word();
}

#[test]
fn a_bit_flipped_behind_the_checksums_is_found() {
    let log = Log::with_history(600);
    let sound = log.dir.path("sound");
    copy(&log.data(), &sound);
    let tile = |level, index| tile_key(TileId::new(level, index).unwrap());
    for (key, octet) in [(tile(0, 0), 0), (tile(0, 1), 8191), (tile(0, 2), 40), (tile(1, 0), 33)] {
        log.change(Family::Tiles, &key, |value| value[octet] ^= 0x10);
        log.refuses(&["put an undamaged copy of the database back", "look at the disk"]);
        copy(&sound, &log.data());
    }
    // In the certificate hash, in the timestamp, and in what says how long the chain is.
    for (index, octet) in [(0, 0), (300, 31), (599, 7), (300, 33), (599, 33), (5, 42)] {
        log.change(Family::Records, &index_key(LeafIndex::new(index)), |value| value[octet] ^= 0x40);
        log.refuses(&["record", "put an undamaged copy of the database back"]);
        copy(&sound, &log.data());
    }
    // A certificate itself is found when somebody reads it, and never served.
    log.change(Family::Submissions, &index_key(LeafIndex::new(7)), |value| value[100] ^= 1);
    let process = log.dir.start().unwrap();
    let answer = process.connect().get("/atl/v1/get-entries?start=7&end=7").unwrap();
    assert_eq!((answer.status, &*answer.token()), (500, "internal"));
    process.wait().says(&["the certificate at index 7 is not the one that was logged", "put an undamaged copy back"]);
    // One that is gone, though nothing was ever pruned, as well.
    copy(&sound, &log.data());
    log.change(Family::Submissions, &index_key(LeafIndex::new(7)), Vec::clear);
    let process = log.dir.start().unwrap();
    assert_eq!(process.connect().get("/atl/v1/get-entries?start=7&end=7").unwrap().token(), "internal");
    process.wait().says(&["the certificate at index 7 is missing"]);
    // An index that points to another entry would make a second, different SAT.
    copy(&sound, &log.data());
    let leaf = log.ledger.leaf_of(9);
    log.change(Family::Leaves, leaf.as_bytes(), |value| value[7] ^= 1);
    let process = log.dir.start().unwrap();
    let answer = process.connect().post("/atl/v1/submit-entry", &submission(&log.ledger.certificate_of(9)));
    assert!(answer.map_or(true, |answer| answer.token() == "shutdown"));
    process.wait().says(&["is said to be at index 8, but is not"]);
    copy(&sound, &log.data());
    let _ = fs::remove_file(log.data().join("LOCK"));
    log.catches_up();
    log.stands_by_its_word();
}

impl Log {
    /// The copy in `sound` may lack heads of size 600 that were signed since; its tree has all.
    fn catches_up(&self) {
        let log = self.dir.start().unwrap();
        self.ledger.look(&mut log.connect()).unwrap();
        log.signal(Signal::TERM);
        assert!(log.wait().status.success());
    }
}

fn flip(file: &Path, at: usize) {
    let mut octets = fs::read(file).unwrap();
    octets[at] ^= 0x04;
    fs::write(file, octets).unwrap();
}

#[test]
fn a_flipped_byte_on_the_disk_is_found() {
    let log = Log::with_history(400);
    let tables = log.files("sst");
    assert!(!tables.is_empty());
    let sound = log.dir.path("sound");
    copy(&log.data(), &sound);
    let (mut refused, mut unharmed) = (0, 0);
    for table in &tables {
        let size = fs::metadata(table).unwrap().len() as usize;
        for part in [10, 40, 90] {
            flip(table, size * part / 100);
            match log.dir.start() {
                Err(ended) => {
                    ended.says(&["orrupt"]);
                    refused += 1;
                }
                // Certificates are not read by a start; whoever reads them hears of the damage.
                Ok(process) => {
                    log.is_true_to_its_word_or_silent(&process);
                    process.kill();
                    unharmed += 1;
                }
            }
            copy(&sound, &log.data());
        }
    }
    println!("{refused} refused, {unharmed} started");
    assert!(refused >= tables.len(), "{refused} refused, {unharmed} started");
    log.catches_up();
    log.stands_by_its_word();
}

impl Log {
    /// Every answer is either the truth or an error.
    fn is_true_to_its_word_or_silent(&self, process: &LogProcess) {
        let mut http = process.connect();
        for start in (0..400).step_by(50) {
            let path = format!("/atl/v1/get-entries?start={start}&end={}", start + 49);
            // A log that came upon damage says so once, and ends.
            let Ok(answer) = http.get(&path) else { return };
            if answer.status == 200 {
                for entry in answer.json::<atl::api::EntriesResponse>().entries {
                    let expected = self.ledger.certificate_of(entry.leaf_index.get());
                    assert_eq!(entry.submission.map(|s| s.0), Some(expected));
                }
            } else {
                assert_eq!(answer.token(), "internal");
            }
        }
    }
}

#[test]
fn a_flipped_byte_in_the_write_ahead_log_is_found() {
    let log = Log::new(|_| {});
    let process = log.dir.start().unwrap();
    let mut http = process.connect();
    log.submit(&mut http, 200);
    log.ledger.settle(&mut http);
    process.kill();
    let wal = log.files("log").into_iter().max_by_key(|f| fs::metadata(f).unwrap().len()).unwrap();
    let used = fs::read(&wal).unwrap().iter().rposition(|b| *b != 0).unwrap();
    assert!(used > 10_000, "the entries are in the write-ahead log");
    let sound = log.dir.path("sound");
    copy(&log.data(), &sound);
    let head = fs::read(log.head_file()).unwrap();
    let mut refused = 0;
    for part in 0..12 {
        let at = used * part / 12 + 3 * part;
        flip(&wal, at);
        match log.dir.start() {
            Err(ended) => {
                ended.says(&[]);
                refused += 1;
            }
            Ok(process) => {
                // Where the log starts, nothing that was answered may be gone.
                log.ledger.audit(&mut process.connect());
                process.kill();
            }
        }
        copy(&sound, &log.data());
        fs::write(log.head_file(), &head).unwrap();
    }
    assert!(refused >= 8, "{refused} of 12");
    log.stands_by_its_word();
}

#[test]
fn only_one_server_has_the_directory() {
    let log = Log::new(|_| {});
    let process = log.dir.start().unwrap();
    log.submit(&mut process.connect(), 3);
    match log.dir.start() {
        Ok(_) => panic!("two servers on one database"),
        Err(ended) => ended.says(&["does not open", "LOCK"]),
    }
    log.submit(&mut process.connect(), 3);
    process.kill();
    log.stands_by_its_word();
}

/// Submits until the log ends; it must say why. Far fewer entries than these fill what room it has, however long
/// a busy machine takes for them.
fn until_it_breaks(log: &Log, mut process: LogProcess) -> log_process::Ended {
    let mut http = process.connect();
    'load: for _ in 0..400 {
        if !process.runs() {
            break;
        }
        for der in log.fresh(50) {
            if log.ledger.submit(&mut http, &der).is_err() {
                break 'load;
            }
        }
    }
    process.wait()
}

#[test]
fn a_write_that_fails_ends_the_log_and_loses_nothing() {
    let log = Log::with_history(20);
    let process = log.dir.start_behind("trap '' XFSZ; ulimit -f 300;").unwrap();
    let ended = until_it_breaks(&log, process);
    ended.says(&["the log stopped to keep its promises", "may or may not be on the disk"]);
    assert!(log.ledger.sats() > 50, "it broke under load, not at once: {}", log.ledger.sats());
    log.stands_by_its_word();
}

/// A file system of its own, unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"])
            .arg(dir.path())
            .output();
        mount.is_ok_and(|out| out.status.success()).then(|| Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_ends_the_log_and_loses_nothing() {
    // Only root may mount; elsewhere the limit on file sizes above has to do.
    let Some(disk) = SmallDisk::mount() else { return println!("skipped: no right to mount a small disk") };
    let root = Authority::root("Root");
    let dir = LogDir::at(disk.0.path(), &root, |_| {});
    let log = Log { ledger: Ledger::new(&dir.key), dir, root, next: 0.into() };
    let process = log.dir.start().unwrap();
    log.submit(&mut process.connect(), 100);
    let available = rustix::fs::statvfs(disk.0.path()).unwrap();
    let room = (available.f_bavail * available.f_frsize).saturating_sub(300 << 10);
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![1; room as usize]).unwrap();
    let ended = until_it_breaks(&log, process);
    ended.says(&["the log stopped to keep its promises"]);
    fs::remove_file(&ballast).unwrap();
    log.stands_by_its_word();
}

#[test]
fn below_the_low_watermark_the_log_only_reads() {
    let log = Log::with_history(5);
    let config = fs::read_to_string(log.dir.path("log.toml")).unwrap();
    let low = config.replace("disk_low_watermark_bytes = 0", "disk_low_watermark_bytes = 9223372036854775807");
    assert_ne!(low, config);
    fs::write(log.dir.path("log.toml"), low).unwrap();
    let process = log.dir.start().unwrap();
    let mut http = process.connect();
    let deadline = Instant::now() + Duration::from_secs(5);
    let ready = loop {
        let ready = http.get("/readyz").unwrap();
        if ready.status == 503 || Instant::now() > deadline {
            break ready;
        }
    };
    assert_eq!((ready.status, ready.header("retry-after").is_some()), (503, true));
    assert!(String::from_utf8_lossy(&ready.body).contains("below the low watermark"));
    let refused = http.post("/atl/v1/submit-entry", &submission(&log.fresh(1)[0])).unwrap();
    assert_eq!((refused.status, &*refused.token()), (503, "readOnly"));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(http.get("/healthz").unwrap().status, 200);
    let sth = log.ledger.settle(&mut http);
    ledger::rederive(&mut http, &sth);
    process.signal(Signal::TERM);
    assert!(process.wait().status.success());
    fs::write(log.dir.path("log.toml"), config).unwrap();
    log.stands_by_its_word();
}
