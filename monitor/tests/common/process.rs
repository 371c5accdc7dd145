//! `atl-monitor run` as a process of its own, on a directory that outlives it, beside the `atl` that it reads.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::disallowed_methods, reason = "patience is measured")]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use atl::keys::{Ed25519Signer, Signer};
use atl::log::note::{KeyName, VerifierKey};
use rustix::process::{Pid, Signal, kill_process};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program `atl`, which a build of the whole workspace puts beside this one.
pub fn atl() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_atl-monitor")).with_file_name("atl");
    let program = std::env::var_os("ATL_BIN").map_or(beside, PathBuf::from);
    assert!(program.exists(), "{} is missing: build the workspace (cargo build --workspace)", program.display());
    program
}

/// Waits until `look` has seen something.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not in {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A key that follows from a name.
fn signer_of(name: &str) -> Ed25519Signer {
    let seed = name.bytes().fold([1; 32], |mut seed, octet| {
        seed.rotate_left(1);
        seed[0] ^= octet;
        seed
    });
    Ed25519Signer::from_seed(&seed).unwrap()
}

/// Writes a file that its owner alone can read.
pub fn write_secret(path: &Path, text: &str) {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Where the first table begins in a configuration.
fn tables_of(more: &str) -> usize {
    if more.starts_with('[') { 0 } else { more.find("\n[").map_or(more.len(), |end| end + 1) }
}

/// A monitor's directory: configuration, keys, and what it keeps.
pub struct MonitorDir {
    pub dir: tempfile::TempDir,
    pub name: String,
}

impl MonitorDir {
    /// A monitor of this name that follows these logs (URL and verifier key), with `more` in its configuration.
    pub fn new(name: &str, logs: &[(&str, &str)], more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_secret(&dir.path().join("monitor-key.pem"), &signer_of(name).to_pkcs8_pem().unwrap());
        let mut config = format!("name = {name:?}\nlisten = \"127.0.0.1:0\"\n");
        let (top, tables) = more.split_at(tables_of(more));
        config.push_str(top);
        for (url, vkey) in logs {
            config.push_str(&format!("\n[[logs]]\nurl = {url:?}\nvkey = {vkey:?}\npoll_seconds = 1\n"));
        }
        config.push('\n');
        config.push_str(tables);
        fs::write(dir.path().join("monitor.toml"), config).unwrap();
        Self { dir, name: name.to_owned() }
    }

    /// Its key, for those who are to know it.
    pub fn vkey(&self) -> String {
        Self::vkey_of(&self.name)
    }

    /// The key of the monitor of this name.
    pub fn vkey_of(name: &str) -> String {
        let key = signer_of(name).public_key().clone();
        VerifierKey::new(name.parse::<KeyName>().unwrap(), key).unwrap().to_string()
    }

    /// Has it listen here.
    pub fn listen(&self, address: SocketAddr) {
        let path = self.path("monitor.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("\"127.0.0.1:0\"", &format!("\"{address}\""))).unwrap();
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Adds to the configuration.
    pub fn configure(&self, more: &str) {
        let path = self.path("monitor.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text + more).unwrap();
    }

    /// A command of the program on this directory's configuration.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl-monitor"));
        command.args(words).arg("--config").arg(self.path("monitor.toml"));
        command.env("NO_COLOR", "1").env("RUST_LOG", "info").stdin(Stdio::null());
        command
    }

    /// The same, run to its end.
    pub fn output(&self, words: &[&str]) -> Output {
        let child = self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let (ended, end) = std::sync::mpsc::channel();
        std::thread::spawn(move || ended.send(child.wait_with_output()));
        end.recv_timeout(PATIENCE).map_or_else(
            |_| {
                let _ = kill_process(pid, Signal::ABORT);
                let said = end.recv().map(|output| format!("{output:?}"));
                panic!("it did not end in {PATIENCE:?}: {words:?} {said:?}")
            },
            Result::unwrap,
        )
    }

    /// Starts the monitor and waits until it serves.
    pub fn start(&self) -> Monitor {
        let stderr = self.path(&format!("stderr-{}", fs::read_dir(self.dir.path()).unwrap().count()));
        let mut command = self.command(&["run"]);
        command.stdout(File::create(self.path("stdout")).unwrap()).stderr(File::create(&stderr).unwrap());
        let mut monitor = Monitor { child: command.spawn().unwrap(), stderr, address: ([127, 0, 0, 1], 0).into() };
        monitor.address = eventually("the monitor serves", || {
            let ended = monitor.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended with {ended:?}:\n{}", monitor.said());
            monitor.listening()
        });
        monitor
    }

    /// Ends the one that runs, and starts the next one.
    pub fn start_again(&self, running: Monitor) -> Monitor {
        running.stop();
        self.start()
    }

    /// The names of the directories of evidence.
    pub fn evidence(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path("data/evidence")) else { return Vec::new() };
        let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        found.retain(|path| path.file_name().is_some_and(|name| name.len() == 64));
        found.sort();
        found
    }
}

/// A monitor that runs; killed when dropped.
pub struct Monitor {
    pub child: Child,
    stderr: PathBuf,
    pub address: SocketAddr,
}

impl Monitor {
    /// What it has said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    fn listening(&self) -> Option<SocketAddr> {
        let text = self.said();
        let line = text.split_inclusive('\n').find(|line| line.ends_with('\n') && line.contains("listen="))?;
        line.split_whitespace().find_map(|word| word.strip_prefix("listen=")?.parse().ok())
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as an operator does; it must end well.
    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            if let Some(ended) = self.child.try_wait().unwrap() {
                break ended;
            }
            assert!(Instant::now() < deadline, "it does not stop:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(ended.success(), "{ended}:\n{}", self.said());
    }

    /// A GET: status and body.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: monitor\r\nConnection: close\r\n\r\n"))
    }

    /// A POST of JSON: status and body.
    pub fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.ask(&format!(
            "POST {path} HTTP/1.1\r\nHost: monitor\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        ))
    }

    fn ask(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    /// The memory that it has, in KiB (`VmRSS`).
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// A value of the metrics.
    pub fn metric(&self, line_start: &str) -> Option<f64> {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200, "{text}");
        text.lines().find_map(|line| line.strip_prefix(line_start)?.trim().parse().ok())
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `atl log serve` as a process of its own.
pub struct HonestLog {
    pub dir: tempfile::TempDir,
    child: Option<Child>,
    pub address: SocketAddr,
    pub vkey: String,
}

impl HonestLog {
    /// A log of this name that records what stands below `root` (PEM), with a head every second.
    pub fn start(origin: &str, root: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("root.pem"), root).unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let made = Command::new(atl())
            .args(["log", "init", "--origin", origin, "--sth-interval-seconds", "1", "--operator", "Example Ltd"])
            .args(["--listen", &address.to_string(), "--dir"])
            .arg(dir.path().join("log"))
            .arg("--anchor")
            .arg(dir.path().join("root.pem"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let pem = fs::read_to_string(dir.path().join("log/log-key.pem")).unwrap();
        let key = Ed25519Signer::from_pkcs8_pem(&pem).unwrap().public_key().clone();
        let vkey = VerifierKey::new(origin.parse::<KeyName>().unwrap(), key).unwrap().to_string();
        let mut log = Self { dir, child: None, address, vkey };
        log.resume();
        log
    }

    /// Starts it again where it was stopped.
    pub fn resume(&mut self) {
        let stderr = File::create(self.dir.path().join("stderr")).unwrap();
        let mut command = Command::new(atl());
        command.args(["log", "serve", "--config"]).arg(self.dir.path().join("log/log.toml"));
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        self.child = Some(command.spawn().unwrap());
        eventually("the log serves", || {
            fs::read_to_string(self.dir.path().join("stderr")).unwrap().contains("listen=").then_some(())
        });
    }

    /// Stops it.
    pub fn pause(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for HonestLog {
    fn drop(&mut self) {
        self.pause();
    }
}
