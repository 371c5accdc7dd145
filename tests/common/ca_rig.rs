//! A CA and two logs, each a process of its own, the logs behind proxies that can be told to fail; and
//! agents that enrol with the program's own commands.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use atl::api::ca::{CertificateEntry, EnrolRequest, OpenRequest};
use atl::apki::Certificate;
use atl::apki::precertificate::recover;
use atl::ca::journal::{JournalHead, Row};
use atl::client::{CaClient, CertificatesQuery, ClientError};
use atl::config::CaConfig;
use atl::config::ca::Registry;
use atl::keys::{Ed25519Signer, PublicKey, Signer as _};
use atl::log::entry::CertHash;
use atl::log::sat::SatList;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, kill_process};

use crate::log_process::{Ended, LogDir, LogProcess, Signal};
use crate::log_proxy::{LogProxy, free_address};
use crate::pki::Authority;

pub const DOMAIN: &str = "bank.example.com";
/// A build that the registry of [`with_registry`] knows.
pub const BUILD: &str = "0707070707070707070707070707070707070707070707070707070707070707";

/// A log, its process and the proxy that the CA knows it by.
pub struct TestLog {
    dir: Box<LogDir>,
    process: Mutex<Option<LogProcess>>,
    pub proxy: LogProxy,
    pub key: PublicKey,
    /// As `--log` takes it.
    pub argument: String,
}

impl TestLog {
    fn make(dir: &Path, number: u8) -> Self {
        let dir = Box::new(LogDir::at(dir, &Authority::root("Replaced"), |_| {}));
        let seed = [number; 32];
        dir.replace_key(seed);
        let key = Ed25519Signer::from_seed(&seed).unwrap().public_key().clone();
        let proxy = LogProxy::start(&dir.path("log-key.pem"));
        let argument = format!("{}+{},operator=Operator {number}", proxy.url(), STANDARD.encode(key.spki_der()));
        Self { dir, process: Mutex::new(None), proxy, key, argument }
    }

    /// What the agent's commands take: without the operator.
    pub fn pin(&self) -> &str {
        self.argument.split_once(",operator").unwrap().0
    }

    /// Serves it, perhaps again.
    pub fn start(&self) {
        let process = self.dir.start().unwrap();
        self.proxy.leads_to(process.address);
        *self.process.lock().unwrap() = Some(process);
    }

    /// `kill -9`.
    pub fn kill(&self) {
        let process = self.process.lock().unwrap().take();
        process.unwrap().kill().is_orderly();
    }
}

/// The directories of a CA, its logs and its agents.
pub struct CaRig {
    home: tempfile::TempDir,
    pub logs: Vec<TestLog>,
    pub url: String,
    runs: AtomicUsize,
    runtime: tokio::runtime::Runtime,
}

impl CaRig {
    /// A CA that `change` had a hand in, with two logs that run. The CA itself is yet to be started.
    pub fn new(change: impl FnOnce(&mut CaConfig)) -> Self {
        Self::of("p256", change)
    }

    /// The same with keys of this kind: `p256` or `ed25519`.
    pub fn of(algorithm: &str, change: impl FnOnce(&mut CaConfig)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let listen = free_address();
        let logs: Vec<TestLog> =
            [1, 2].into_iter().map(|n| TestLog::make(&home.path().join(format!("log{n}")), n)).collect();
        let ca = home.path().join("ca");
        let mut init = Command::new(env!("CARGO_BIN_EXE_atl"));
        init.args(["ca", "init", "--insecure-dev", "--trust-domain", DOMAIN, "--organization", "Bank", "--dir"]);
        init.arg(&ca).args(["--listen", &listen.to_string(), "--algorithm", algorithm]);
        init.args(logs.iter().flat_map(|log| ["--log", &log.argument]));
        good(&mut init);
        let mut config = CaConfig::load(&ca.join("ca.toml")).unwrap();
        config.disk_low_watermark_bytes = 0;
        config.issuance.log_timeout_ms = 400;
        change(&mut config);
        fs::write(ca.join("ca.toml"), config.render().unwrap()).unwrap();
        for log in &logs {
            fs::copy(ca.join("root.pem"), log.dir.path("anchors/root.pem")).unwrap();
            log.start();
        }
        // With a thread of its own: nobody else would notice that the CA says goodbye, which it waits for.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { home, logs, url: format!("https://{listen}"), runs: AtomicUsize::new(0), runtime }
    }

    /// A path below the directory of all.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Changes the configuration of a CA that does not run.
    pub fn configure(&self, change: impl FnOnce(&mut CaConfig)) {
        let file = self.path("ca/ca.toml");
        let mut config = CaConfig::load(&file).unwrap();
        change(&mut config);
        fs::write(file, config.render().unwrap()).unwrap();
    }

    /// Starts the CA and waits until it serves.
    pub fn start(&self) -> CaProcess {
        self.try_start().unwrap_or_else(|ended| panic!("the CA does not start: {ended:?}"))
    }

    /// The same; how it ended where it does not serve.
    pub fn try_start(&self) -> Result<CaProcess, Ended> {
        self.try_start_at(&self.path("ca/ca.toml"))
    }

    /// The same with a configuration of its own.
    pub fn try_start_at(&self, config: &Path) -> Result<CaProcess, Ended> {
        let stderr = self.path(&format!("ca-{}.stderr", self.runs.fetch_add(1, Ordering::Relaxed)));
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command.args(["ca", "serve", "--config"]).arg(config).env("NO_COLOR", "1").env("RUST_LOG", "info");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&stderr).unwrap());
        let mut process = CaProcess { child: command.spawn().unwrap(), stderr };
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if process.stderr().contains("serving") {
                return Ok(process);
            }
            if process.child.try_wait().unwrap().is_some() {
                return Err(process.wait());
            }
            assert!(Instant::now() < deadline, "the CA does not start:\n{}", process.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `atl ca <words> --dir CA <more>`
    pub fn ca(&self, words: &[&str], more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command.arg("ca").args(words).arg("--dir").arg(self.path("ca")).args(more).output().unwrap()
    }

    /// A token for an agent.
    pub fn token(&self, agents: &str, more: &[&str]) -> String {
        let output = self.ca(&["token", "mint", "--agents", &uri(agents)], more);
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// An agent that is to enrol as `agent://DOMAIN/<name>`, with a token of its own and one capability.
    pub fn agent(&self, name: &str, more: &[&str]) -> Agent {
        let token = self.token(name, &[]);
        self.agent_with(name, token, more)
    }

    /// The same with this token, in a directory of its own.
    pub fn agent_with(&self, name: &str, token: String, more: &[&str]) -> Agent {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let dir = self.path(&format!("agent-{run}-{}", name.replace('/', "-")));
        let mut arguments: Vec<String> =
            ["agent", "enroll", "--ca", &self.url, "--agent", &uri(name)].map(String::from).into();
        let root = self.path("ca/root.pem").display().to_string();
        arguments.extend(["--root".into(), root, "--dir".into(), dir.display().to_string()]);
        arguments.extend(self.logs.iter().flat_map(|log| ["--log".into(), log.pin().to_owned()]));
        arguments.extend(["--capability".into(), "mcp://ledger read".into()]);
        arguments.extend(more.iter().map(|&text| text.to_owned()));
        Agent { uri: uri(name), token, dir, arguments }
    }

    /// An agent that has its certificate.
    pub fn enrolled(&self, name: &str) -> Agent {
        let agent = self.agent(name, &[]);
        let output = agent.enrol();
        assert!(output.status.success(), "{}", text(&output));
        agent
    }

    /// A client that shows this certificate and key, where there are such.
    pub fn client(&self, identity: Option<&str>) -> CaClient {
        let mut http = atl::client::builder().tls_danger_accept_invalid_certs(true);
        if let Some(pem) = identity {
            http = http.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        }
        CaClient::with_http(&self.url, http.build().unwrap()).unwrap()
    }

    /// The token of the operator that `atl ca init` made.
    pub fn operator(&self) -> String {
        fs::read_to_string(self.path("ca/operator-admin.token")).unwrap().trim().to_owned()
    }

    /// Waits for an answer.
    pub fn ask<T>(&self, call: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
        self.runtime.block_on(call)
    }

    /// All certificates of an agent, or of all.
    pub fn certificates(&self, agent: Option<&str>) -> Vec<CertificateEntry> {
        let (client, operator) = (self.client(None), self.operator());
        let mut query =
            CertificatesQuery { agent: agent.map(str::to_owned), limit: Some(1000), ..CertificatesQuery::default() };
        let mut found = Vec::new();
        loop {
            let page = self.ask(client.certificates(&operator, &query)).unwrap();
            found.extend(page.certificates);
            match page.next {
                Some(next) => query.after = Some(next),
                None => return found,
            }
        }
    }

    /// Those of them that were issued.
    pub fn issued(&self, agent: Option<&str>) -> Vec<CertificateEntry> {
        self.certificates(agent).into_iter().filter(|entry| entry.status == "issued").collect()
    }

    /// Open requests.
    pub fn open(&self) -> Vec<OpenRequest> {
        let client = self.client(None);
        let page = self.ask(client.open_requests(&self.operator(), None)).unwrap();
        assert_eq!(page.next, None);
        page.requests
    }

    /// The journal of the CA that runs, exported.
    pub fn export(&self) -> (String, JournalHead) {
        let output = self.ca(&["audit", "export"], &[]);
        assert!(output.status.success(), "{}", text(&output));
        let journal = String::from_utf8(output.stdout).unwrap();
        let head = rows(&journal).0;
        (journal, head)
    }

    /// `atl ca audit verify` of an exported journal.
    pub fn verify_export(&self, journal: &str, more: &[&str]) -> Output {
        let file = self.path(&format!("journal-{}.jsonl", self.runs.fetch_add(1, Ordering::Relaxed)));
        fs::write(&file, journal).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command.args(["ca", "audit", "verify", "--file"]).arg(file).args(more).output().unwrap()
    }

    /// `atl ca audit verify` of the database of the CA that does not run.
    pub fn verify_database(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command.args(["ca", "audit", "verify", "--config"]).arg(self.path("ca/ca.toml")).args(more).output().unwrap()
    }
}

/// A registry with [`BUILD`] in it, for the configuration of a CA whose directory is being made.
pub fn with_registry(config: &mut CaConfig) {
    let key = Ed25519Signer::from_seed(&[55; 32]).unwrap();
    let entries = format!(r#"{{"entries":[{{"build_hash":"{BUILD}","name":"bot","version":"1"}}]}}"#);
    let file = config.issuer_key.with_file_name("registry.json");
    fs::write(&file, atl::ca::registry::sign(entries.as_bytes(), &key).unwrap()).unwrap();
    config.policy.registry = Some(Registry { file, key: key.public_key().clone() });
}

/// The arguments of an agent whose build is registered: its score is 60.
pub const REGISTERED: [&str; 10] = [
    "--model-family",
    "claude",
    "--model-version",
    "5",
    "--framework",
    "mcp",
    "--organization",
    "bank",
    "--build-hash",
    BUILD,
];

/// The agent of this name.
pub fn uri(name: &str) -> String {
    format!("agent://{DOMAIN}/{name}")
}

/// Follows a journal; its head and its rows.
pub fn rows(journal: &str) -> (JournalHead, Vec<Row>) {
    let mut head = JournalHead::default();
    let rows = journal.lines().map(|line| head.follow(line.as_bytes()).unwrap()).collect();
    (head, rows)
}

/// A head as `--expect` takes it.
pub fn noted(head: &JournalHead) -> String {
    format!("{}:{}", head.rows, hex::encode(head.hash))
}

/// All that a command said.
pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Runs a command that must succeed.
#[track_caller]
pub fn good(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    output
}

/// An agent's side: how it enrols.
pub struct Agent {
    pub uri: String,
    pub token: String,
    pub dir: PathBuf,
    arguments: Vec<String>,
}

impl Agent {
    /// The command, the same each time.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command.args(&self.arguments).env("ATL_ENROL_TOKEN", &self.token).stdin(Stdio::null());
        command
    }

    /// Runs it.
    pub fn enrol(&self) -> Output {
        self.command().output().unwrap()
    }

    /// Runs it until the CA has issued or refused: a request may just be under way.
    pub fn enrol_to_the_end(&self) -> Output {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let output = self.enrol();
            let unanswered = output.status.code() == Some(2) || text(&output).contains(" is processing");
            if !unanswered || Instant::now() > deadline {
                return output;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// `atl agent renew`
    pub fn renew(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl"));
        command.args(["agent", "renew", "--dir"]).arg(&self.dir).args(more).stdin(Stdio::null()).output().unwrap()
    }

    /// The token's name.
    pub fn token_id(&self) -> &str {
        self.token.strip_prefix("atl-enrol-").unwrap().split('-').next().unwrap()
    }

    /// What is sent, as it is kept until it is answered.
    pub fn kept_request(&self) -> EnrolRequest {
        let kept = fs::read(self.dir.join("pending/request.json")).unwrap();
        let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
        serde_json::from_value(kept["body"].clone()).unwrap()
    }

    /// Whether there is a certificate.
    pub fn has_certificate(&self) -> bool {
        self.dir.join("cert.pem").exists()
    }

    /// Key and certificate in one text.
    pub fn identity(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.dir.join(name)).unwrap();
        read("key.pem") + &read("cert.pem")
    }

    /// The certificate.
    pub fn certificate(&self) -> Certificate {
        let pem = fs::read_to_string(self.dir.join("cert.pem")).unwrap();
        let end = "-----END CERTIFICATE-----\n";
        let first = &pem[..pem.find(end).unwrap() + end.len()];
        let (_, der) = der::pem::decode_vec(first.as_bytes()).unwrap();
        Certificate::parse(der).unwrap()
    }

    /// How many SATs its certificate has, each verified with the key of a log that is ours, and no two of
    /// one log.
    #[track_caller]
    pub fn verified_sats(&self, logs: &[TestLog]) -> usize {
        let certificate = self.certificate();
        let recovered = recover(&certificate).unwrap().unwrap();
        let hash = CertHash::of_certificate(&recovered.precertificate_der);
        let sats = SatList::from_der(recovered.sat_list_der).unwrap();
        let mut of = BTreeMap::new();
        for sat in sats.sats() {
            let log = logs.iter().find(|log| log.key.log_id() == sat.log_id).expect("a log of ours");
            sat.verify(&log.key, hash).unwrap();
            assert!(of.insert(sat.log_id.to_string(), ()).is_none(), "two SATs of one log");
        }
        of.len()
    }
}

/// A CA that runs; killed when dropped.
pub struct CaProcess {
    child: Child,
    stderr: PathBuf,
}

impl CaProcess {
    /// What it has said so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    /// Where it serves revocation lists and OCSP over plain HTTP, where it does.
    pub fn status_url(&self) -> String {
        let said = self.stderr();
        let (_, address) = said.split_once("status=Some(").expect("it has a listener for the status");
        format!("http://{}", address.split_once(')').unwrap().0)
    }

    /// Sends a signal, without waiting.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// `kill -9`.
    pub fn kill(self) {
        self.signal(Signal::KILL);
        self.wait().is_orderly();
    }

    /// Stops it as an operator does.
    #[track_caller]
    pub fn stop(self) {
        self.signal(Signal::TERM);
        let ended = self.wait();
        assert!(ended.status.success(), "{ended:?}");
        ended.is_orderly();
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Ended { status, stderr: self.stderr() };
            }
            assert!(Instant::now() < deadline, "the CA does not end:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for CaProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
