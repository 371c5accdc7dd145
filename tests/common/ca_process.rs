//! `atl ca serve` and the logs that it submits to, as processes of their own, on directories that outlive
//! them.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use atl::config::ca::TrustedLog;
use atl::config::{CaConfig, LogConfig};
use atl::keys::{Ed25519Signer, PublicKey, Signer};
use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

/// The trust domain of a CA, unless a test says otherwise.
pub const DOMAIN: &str = "bank.example.com";

/// What a CA is made with.
pub struct CaOptions {
    /// `p256` or `ed25519`.
    pub algorithm: &'static str,
    /// Whether the intermediate has the name constraint.
    pub name_constraint: bool,
    /// Whose agents it issues for.
    pub domain: &'static str,
    /// How many logs it has, each of an operator of its own: `Log 0`, `Log 1`, ...
    pub logs: usize,
    /// What certificates say in front of /crl and /ocsp; without one there is no emergency key.
    pub status_url: Option<&'static str>,
}

impl Default for CaOptions {
    fn default() -> Self {
        Self { algorithm: "p256", name_constraint: true, domain: DOMAIN, logs: 2, status_url: None }
    }
}

/// A CA that serves, its logs, and a directory for all of them; all are killed when it is dropped.
///
/// The CA is in `ca` below the directory, its logs in `log-0`, `log-1`, ...
pub struct CaRig {
    // Before the directory: fields are dropped in this order.
    pub ca: Service,
    pub logs: Vec<Service>,
    /// The logs' keys.
    pub log_keys: Vec<PublicKey>,
    domain: &'static str,
    dir: tempfile::TempDir,
}

impl CaRig {
    /// A CA by `atl ca init`, with logs that accept it; `change` sets what its configuration is to say
    /// otherwise. All of them serve.
    pub fn new(options: CaOptions, change: impl FnOnce(&mut CaConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca");
        let mut init = atl();
        init.args(["ca", "init", "--insecure-dev", "--trust-domain", options.domain, "--organization", "Test Bank"]);
        init.args(["--listen", "127.0.0.1:0", "--algorithm", options.algorithm, "--dir"]).arg(&ca);
        if !options.name_constraint {
            init.arg("--no-name-constraint");
        }
        init.args(options.status_url.iter().flat_map(|url| ["--status-url", url]));
        good(init.output().unwrap());
        let (mut logs, mut log_keys) = (Vec::new(), Vec::new());
        for number in 0..options.logs {
            let place = dir.path().join(format!("log-{number}"));
            log_keys.push(make_log(&place, number, &ca.join("root.pem")));
            let mut log = Service::new(&place, "log");
            log.start();
            logs.push(log);
        }
        let mut config = CaConfig::load(&ca.join("ca.toml")).unwrap();
        let log = |(number, (log, key)): (usize, (&Service, &PublicKey))| TrustedLog {
            url: format!("http://{}", log.address()),
            key: key.clone(),
            operator: format!("Log {number}"),
        };
        config.logs = logs.iter().zip(&log_keys).enumerate().map(log).collect();
        config.disk_low_watermark_bytes = 0;
        // The machine may be busy with other tests, and both timestamps are wanted.
        config.issuance.log_timeout_ms = 10_000;
        config.issuance.straggler_ms = 5000;
        change(&mut config);
        fs::write(ca.join("ca.toml"), config.render().unwrap()).unwrap();
        let mut ca = Service::new(&ca, "ca");
        ca.start();
        Self { ca, logs, log_keys, domain: options.domain, dir }
    }

    /// The URI of an agent of this CA's trust domain.
    pub fn agent(&self, name: &str) -> String {
        format!("agent://{}/{name}", self.domain)
    }

    /// A path below the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// The root's certificate.
    pub fn root(&self) -> String {
        self.text("ca/root.pem")
    }

    /// The CA's base URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.ca.address())
    }

    /// The token of the operator `admin`.
    pub fn operator_token(&self) -> String {
        fs::read_to_string(self.path("ca/operator-admin.token")).unwrap().trim().to_owned()
    }

    /// The binary, in the directory.
    pub fn command(&self) -> Command {
        let mut command = atl();
        command.current_dir(self.dir.path());
        command
    }

    /// Runs the binary in the directory, to its end.
    pub fn atl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// Runs another program in the directory, to its end.
    pub fn run(&self, program: &str, args: &[&str]) -> Output {
        Command::new(program).args(args).current_dir(self.dir.path()).stdin(Stdio::null()).output().unwrap()
    }

    /// A new enrolment token for agents of this pattern below the trust domain, such as `org/type/*`;
    /// `more` is for `atl ca token mint`.
    pub fn token(&self, agents: &str, more: &[&str]) -> String {
        let agents = self.agent(agents);
        let mint = ["ca", "token", "mint", "--dir", "ca", "--agents", agents.as_str()];
        good(self.atl([&mint[..], more].concat())).trim().to_owned()
    }

    /// `atl agent enroll` with a token of its own: `name` is `org/type/instance`, `dir` the agent's
    /// directory below this one.
    pub fn enroll(&self, name: &str, dir: &str, more: &[&str]) -> Output {
        let token = self.token(name, &[]);
        self.enroll_with(&token, name, dir, more)
    }

    /// The same with this token.
    pub fn enroll_with(&self, token: &str, name: &str, dir: &str, more: &[&str]) -> Output {
        let (url, root, agent) = (self.url(), self.root(), self.agent(name));
        let args =
            ["agent", "enroll", "--ca", &url, "--root", &root, "--agent", &agent, "--dir", dir, "--wait", "--json"];
        self.command().env("ATL_ENROL_TOKEN", token).args([&args[..], more].concat()).output().unwrap()
    }

    /// `curl` against the CA, which it knows by its root; `path` begins with `/`.
    pub fn curl(&self, path: &str, more: &[&str]) -> Response {
        let (url, root) = (format!("{}{path}", self.url()), self.root());
        let args = ["--silent", "--show-error", "--max-time", "60", "--include", "--http1.1", "--cacert", &root];
        Response::read(self.run("curl", &[&args[..], more, &[&url]].concat()))
    }

    /// The same with the operator's token.
    pub fn curl_operator(&self, path: &str, more: &[&str]) -> Response {
        let header = format!("Authorization: Bearer {}", self.operator_token());
        self.curl(path, &[&["--header", &header], more].concat())
    }

    /// The same with a body of JSON.
    pub fn post(&self, path: &str, token: &str, body: &serde_json::Value, more: &[&str]) -> Response {
        let file = tempfile::NamedTempFile::new_in(self.dir.path()).unwrap();
        serde_json::to_writer(file.as_file(), body).unwrap();
        let (header, body) = (format!("Authorization: Bearer {token}"), format!("@{}", file.path().display()));
        let json = ["--header", "Content-Type: application/json", "--data-binary", &body];
        let credential = ["--header", &header];
        self.curl(path, &[&json[..], if token.is_empty() { &[] } else { &credential }, more].concat())
    }
}

/// The URI of an agent below the trust domain.
pub fn agent(name: &str) -> String {
    format!("agent://{DOMAIN}/{name}")
}

/// The output of a command that went well.
#[track_caller]
pub fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// All that a command said, on both channels.
pub fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|octets| String::from_utf8_lossy(octets).into_owned());
    format!("{}\n{out}\n{err}", output.status)
}

/// An answer that `curl --include` has shown.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    #[track_caller]
    fn read(output: Output) -> Self {
        assert!(output.status.success(), "{}", said(&output));
        let mut rest = output.stdout.as_slice();
        loop {
            let end = rest.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
            let head = String::from_utf8(rest[..end].to_vec()).unwrap();
            rest = &rest[end + 4..];
            let mut lines = head.split("\r\n");
            let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            if status < 200 {
                continue;
            }
            let header = |line: &str| line.split_once(':').map(|(n, v)| (n.to_lowercase(), v.trim().to_owned()));
            return Self { status, headers: lines.filter_map(header).collect(), body: rest.to_vec() };
        }
    }

    /// The value of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The last part of the problem's type; empty where the body is no problem document.
    pub fn problem(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["type"].as_str().unwrap_or_default().rsplit(':').next().unwrap_or_default().to_owned()
    }

    /// The problem's detail.
    pub fn detail(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json["detail"].as_str().unwrap_or_default().to_owned()
    }
}

/// The binary, without colours.
pub fn atl() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// Makes a log that accepts what stands below this root; its key.
fn make_log(dir: &Path, number: usize, root: &Path) -> PublicKey {
    let mut init = atl();
    init.args(["log", "init", "--origin", &format!("log-{number}.example/test"), "--listen", "127.0.0.1:0"]);
    init.args(["--sth-interval-seconds", "1", "--dir"]).arg(dir).arg("--anchor").arg(root);
    good(init.output().unwrap());
    let mut config = LogConfig::load(&dir.join("log.toml")).unwrap();
    config.disk_low_watermark_bytes = 0;
    fs::write(dir.join("log.toml"), config.render().unwrap()).unwrap();
    let key = fs::read_to_string(dir.join("log-key.pem")).unwrap();
    Ed25519Signer::from_pkcs8_pem(&key).unwrap().public_key().clone()
}

/// `atl ca serve`, `atl log serve` or `atl trust serve` on its directory. It listens where it listened first.
pub struct Service {
    dir: PathBuf,
    kind: &'static str,
    address: Option<SocketAddr>,
    child: Option<Child>,
}

impl Service {
    pub fn new(dir: &Path, kind: &'static str) -> Self {
        Self { dir: dir.to_owned(), kind, address: None, child: None }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    /// Starts it, and waits until it serves.
    #[track_caller]
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let mut command = atl();
        command.args([self.kind, "serve", "--config"]).arg(self.config()).env("RUST_LOG", "info");
        command.stdout(Stdio::null()).stderr(File::create(self.stderr_file()).unwrap());
        self.child = Some(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        let address = loop {
            if let Some(address) = listening(&self.stderr()) {
                break address;
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "it does not serve:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(10));
        };
        if self.address.replace(address).is_none() {
            let text = fs::read_to_string(self.config()).unwrap();
            fs::write(self.config(), text.replacen("\"127.0.0.1:0\"", &format!("\"{address}\""), 1)).unwrap();
        }
    }

    /// Sends a signal, and waits for the end.
    #[track_caller]
    pub fn stop(&mut self, signal: Signal) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        kill_process(Pid::from_child(&child), signal).unwrap();
        child.wait().unwrap()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// What it has said since its last start.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.stderr_file()).unwrap()
    }

    /// Its configuration's file.
    pub fn config(&self) -> PathBuf {
        self.dir.join(format!("{}.toml", self.kind))
    }

    fn stderr_file(&self) -> PathBuf {
        self.dir.join("stderr.txt")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A line is whole only with its end.
fn listening(stderr: &str) -> Option<SocketAddr> {
    let line = stderr.split_inclusive('\n').find(|l| l.ends_with('\n') && l.contains("serving"))?;
    line.split_whitespace().find_map(|word| word.strip_prefix("listen=")?.parse().ok())
}
