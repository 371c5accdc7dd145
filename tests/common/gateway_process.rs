//! `atl gateway serve` as a process of its own, and what a proxy asks it.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A gateway that serves; killed when dropped.
pub struct GatewayProcess {
    child: Child,
    stderr: PathBuf,
    /// `127.0.0.1:port`, or `unix:path`.
    pub listen: String,
}

/// What it answered.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Heard {
    /// A header, empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}: ")));
        line.map_or("", |line| line.split_once(": ").unwrap().1)
    }

    /// Status and reasons.
    pub fn outcome(&self) -> (u16, &str) {
        (self.status, self.header("x-agent-reason"))
    }
}

impl GatewayProcess {
    /// Starts it and waits until it serves; what it said where it does not.
    pub fn start(config: &Path) -> Result<Self, String> {
        let stderr = config.with_extension(format!("{}.stderr", next()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command.args(["gateway", "serve", "--config"]).arg(config).env("NO_COLOR", "1").env("RUST_LOG", "info");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&stderr).unwrap());
        let mut process = Self { child: command.spawn().unwrap(), stderr, listen: String::new() };
        let listen = process.wait_for("serving listen=\"");
        process.listen = listen?.split('"').next().unwrap().to_owned();
        Ok(process)
    }

    /// What it has said so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    /// Waits until it has said this; what stands behind it. What it said where it ends before.
    pub fn wait_for(&mut self, what: &str) -> Result<String, String> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let said = self.stderr();
            if let Some((_, behind)) = said.split_once(what) {
                return Ok(behind.to_owned());
            }
            if self.child.try_wait().unwrap().is_some() {
                return Err(self.stderr());
            }
            assert!(Instant::now() < deadline, "it never says {what:?}:\n{said}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Stops it as an operator does.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        assert!(self.child.wait().unwrap().success(), "{}", self.stderr());
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        self.child.wait().unwrap();
    }

    /// Sends a request with these header lines.
    pub fn ask(&self, line: &str, headers: &[(&str, &str)]) -> Heard {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("{line} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n");
        let mut answer = Vec::new();
        match self.listen.strip_prefix("unix:") {
            Some(path) => exchange(UnixStream::connect(path).unwrap(), &request, &mut answer),
            None => exchange(TcpStream::connect(&self.listen).unwrap(), &request, &mut answer),
        }
        let text = String::from_utf8(answer).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Heard { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// What nginx asks for a client with this certificate (PEM) who sends this request.
    pub fn authorize(&self, method: &str, target: &str, certificate: &str, more: &[(&str, &str)]) -> Heard {
        let certificate = escape(certificate);
        let mut headers = vec![
            ("Host", "api.example.com"),
            ("X-Original-Method", method),
            ("X-Original-URI", target),
            ("X-Client-Cert", certificate.as_str()),
        ];
        headers.extend(more);
        self.ask("GET /authorize", &headers)
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn exchange(mut stream: impl Read + Write, request: &str, answer: &mut Vec<u8>) {
    stream.write_all(request.as_bytes()).unwrap();
    stream.read_to_end(answer).unwrap();
}

/// Percent-encoded, as nginx does it.
pub fn escape(text: &str) -> String {
    let kept = |c: u8| c.is_ascii_alphanumeric() || b"-._~".contains(&c);
    let escape = |c: u8| if kept(c) { char::from(c).to_string() } else { format!("%{c:02X}") };
    text.bytes().map(escape).collect()
}

fn next() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The first certificate of a PEM file, and the others, each PEM.
pub fn certificates(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let end = "-----END CERTIFICATE-----";
    text.split_inclusive(end).map(str::trim).filter(|block| block.ends_with(end)).map(str::to_owned).collect()
}
