//! A log that serves, for tests: the real binary on a port of its own.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Runs the binary to its end.
pub fn atl<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atl")).args(args).output().unwrap()
}

/// A log's directory, made by `atl log init`, with a head signed each second.
pub struct LogDir {
    pub dir: PathBuf,
    pub address: SocketAddr,
    pub vkey: String,
}

impl LogDir {
    /// Makes one below `dir` that records agents below the anchor, or nobody without one.
    pub fn init(dir: &Path, anchor_pem: Option<&str>) -> Self {
        let address = free_address();
        std::fs::create_dir_all(dir).unwrap();
        let log = dir.join("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command
            .args(["log", "init", "--origin", "log.example/test", "--sth-interval-seconds", "1"])
            .args(["--listen", &address.to_string(), "--dir"])
            .arg(&log);
        if let Some(pem) = anchor_pem {
            let anchor = dir.join("test-root.pem");
            std::fs::write(&anchor, pem).unwrap();
            command.arg("--anchor").arg(&anchor);
        }
        let made = command.output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let printed = String::from_utf8(made.stdout).unwrap();
        let vkey = printed.lines().find_map(|line| line.strip_prefix("verifier key")).unwrap().trim().to_owned();
        Self { dir: log, address, vkey }
    }

    pub fn config(&self) -> String {
        self.dir.join("log.toml").display().to_string()
    }

    pub fn database(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub fn head_file(&self) -> PathBuf {
        self.dir.join("data.head")
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves it.
    pub fn serve(&self) -> Server {
        let child = Command::new(env!("CARGO_BIN_EXE_atl"))
            .args(["log", "serve", "--config", &self.config()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { child };
        for _ in 0..1500 {
            if is_ready(self.address) {
                return server;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the log does not get ready");
    }
}

/// A log at work; dropping it kills it.
pub struct Server {
    child: Child,
}

impl Server {
    /// Stops it the way an operator does.
    pub fn stop(mut self) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), rustix::process::Signal::TERM)
            .unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut answer = String::new();
    stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.0 200")
}
