//! `atl log serve` as a process of its own, on a directory that outlives it.
#![allow(dead_code, reason = "each test program uses a part")]

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use atl::config::LogConfig;
use atl::keys::{Ed25519Signer, PublicKey, Signer};

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use crate::pki::Authority;
use crate::raw_http::Connection;

/// What a log needs to be served: configuration, key, anchors, and the database to come.
pub struct LogDir {
    dir: PathBuf,
    _own: Option<tempfile::TempDir>,
    runs: AtomicUsize,
    pub key: PublicKey,
}

impl LogDir {
    /// A new log that records agents below `root`, a head every second, on a port of its own.
    /// `change` sets what is otherwise.
    pub fn new(root: &Authority, change: impl FnOnce(&mut LogConfig)) -> Self {
        let own = tempfile::tempdir().unwrap();
        let dir = own.path().to_owned();
        Self { _own: Some(own), ..Self::at(&dir, root, change) }
    }

    /// The same in a directory of the caller's.
    pub fn at(dir: &Path, root: &Authority, change: impl FnOnce(&mut LogConfig)) -> Self {
        let mut config = LogConfig::new("log.example/2026").unwrap();
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.sth_interval_seconds = 1;
        config.disk_low_watermark_bytes = 0;
        change(&mut config);
        fs::create_dir_all(dir.join("anchors")).unwrap();
        fs::write(dir.join("anchors/root.pem"), root.pem()).unwrap();
        fs::write(dir.join("log.toml"), config.render().unwrap()).unwrap();
        let key = write_key(dir, [7; 32]);
        Self { dir: dir.to_owned(), _own: None, runs: AtomicUsize::new(0), key }
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Puts another key in the place of the log's.
    pub fn replace_key(&self, seed: [u8; 32]) {
        write_key(&self.dir, seed);
    }

    /// Starts the server and waits until it serves; how it ended where it does not.
    pub fn start(&self) -> Result<LogProcess, Ended> {
        self.start_with(Command::new(env!("CARGO_BIN_EXE_atl")))
    }

    /// The same behind a shell that first runs `prelude`, such as `ulimit -f 100;`.
    pub fn start_behind(&self, prelude: &str) -> Result<LogProcess, Ended> {
        let mut command = Command::new("bash");
        command.arg("-c").arg(format!("{prelude} exec \"$0\" \"$@\"")).arg(env!("CARGO_BIN_EXE_atl"));
        self.start_with(command)
    }

    fn start_with(&self, mut command: Command) -> Result<LogProcess, Ended> {
        // Kept apart from the log's own directory, whose disk some tests fill.
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let stderr = std::env::temp_dir().join(format!("atl-test-{}-{run}-{:p}.stderr", std::process::id(), self));
        command.args(["log", "serve", "--config"]).arg(self.path("log.toml"));
        command.env("NO_COLOR", "1").env("RUST_LOG", "info").stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&stderr).unwrap());
        let child = command.spawn().unwrap();
        let mut process = LogProcess { child, stderr, address: ([127, 0, 0, 1], 0).into() };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(address) = process.listening() {
                process.address = address;
                return Ok(process);
            }
            if process.child.try_wait().unwrap().is_some() {
                return Err(process.wait());
            }
            assert!(Instant::now() < deadline, "the log does not start:\n{}", process.stderr());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn write_key(dir: &Path, seed: [u8; 32]) -> PublicKey {
    let signer = Ed25519Signer::from_seed(&seed).unwrap();
    fs::write(dir.join("log-key.pem"), signer.to_pkcs8_pem().unwrap()).unwrap();
    signer.public_key().clone()
}

/// How a server ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stderr: String,
}

impl Ended {
    /// Asserts that the program ended by itself, unhappily, in these words, and without a panic.
    #[track_caller]
    pub fn says(&self, words: &[&str]) {
        assert!(self.status.code().is_some_and(|code| code != 0), "{self:?}");
        self.is_orderly();
        let last = self.stderr.lines().rev().find(|l| l.starts_with("atl: ")).unwrap_or_default();
        for words in words {
            assert!(last.contains(words), "{words:?} is not in {last:?}\nall of it:\n{}", self.stderr);
        }
    }

    /// Asserts that nothing panicked.
    #[track_caller]
    pub fn is_orderly(&self) {
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        assert!(self.status.signal().is_none_or(|s| s == 9), "{self:?}");
    }
}

/// A server that runs; killed when dropped.
pub struct LogProcess {
    child: Child,
    stderr: PathBuf,
    pub address: SocketAddr,
}

impl LogProcess {
    /// A connection to it.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address).unwrap()
    }

    /// A connection that says nothing.
    pub fn open(&self) -> std::io::Result<std::net::TcpStream> {
        std::net::TcpStream::connect_timeout(&self.address, Duration::from_secs(1))
    }

    /// What it has said so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    /// `kill -9`, and the end that follows.
    pub fn kill(self) -> Ended {
        self.signal(Signal::KILL);
        self.wait()
    }

    /// Sends a signal, without waiting.
    pub fn signal(&self, signal: Signal) {
        // Not waited for yet, so the id is still its own even where it has ended.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The memory that it has, in KiB (`VmRSS`).
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Ended { status, stderr: self.stderr() };
            }
            assert!(Instant::now() < deadline, "the log does not end:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn listening(&self) -> Option<SocketAddr> {
        let text = self.stderr();
        // A line is whole only with its end.
        let line = text.split_inclusive('\n').find(|l| l.ends_with('\n') && l.contains("serving"))?;
        line.split_whitespace().find_map(|word| word.strip_prefix("listen=")?.parse().ok())
    }
}

impl Drop for LogProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.stderr);
    }
}
