//! A log that is honest at first, a monitor that runs, and one that looks at it now and then.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use atl::log::audit::{AuditStatement, Verdict, open_audit};
use atl::log::note::VerifierKey;
use atl::log::sth::TreeHead;
use atl::merkle::Hash;
use atl::time::{Clock, SystemClock, UnixMillis};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::log_server::TestLog;
use crate::process::{Monitor, MonitorDir, eventually};

/// The name of the log.
pub const ORIGIN: &str = "log.example/1";

/// Entries at the beginning: more than a bundle.
pub const FIRST: u64 = 300;

/// Without rules about entries: they are no certificates.
pub const NO_RULES: &str = "[rules]\nextensions = false\nvalidity = false\nprofile = false\ndelegation = false\n\
                            timestamps = false\nbulk = false\n[lookalike]\nenabled = false\n";

/// Milliseconds since 1970.
pub fn now() -> u64 {
    SystemClock.now().get()
}

/// Entries that are no certificates; those of another `kind` are others.
pub fn plain(kind: &str, range: std::ops::Range<u64>) -> impl Iterator<Item = Vec<u8>> {
    range.map(move |n| format!("{kind} {n}").into_bytes())
}

/// The same head with another root.
pub fn other_root(head: TreeHead) -> TreeHead {
    TreeHead { root: Hash::new([7; 32]), ..head }
}

/// The same head at another moment.
pub fn dated(head: TreeHead, millis: u64) -> TreeHead {
    TreeHead { timestamp: UnixMillis::new(millis), ..head }
}

/// `atl-monitor verify-evidence` on a path: its exit code and what it says.
pub fn verify_evidence(path: &Path, key: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atl-monitor"));
    let output = command.arg("verify-evidence").arg(path).args(["--key", key]).output().unwrap();
    (output.status.code(), text_of(&output))
}

/// All that a process said.
pub fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The newest alerts of a monitor.
pub fn alerts(monitor: &Monitor) -> Vec<Value> {
    let (status, body) = monitor.get("/alerts");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// All alerts of a monitor that does not run, as `atl-monitor alerts` lists them.
pub fn listed(dir: &MonitorDir) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atl-monitor"));
    command.args(["alerts", "--json", "--config"]).arg(dir.path("monitor.toml")).args(["list", "--limit", "10000"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text_of(&output));
    text_of(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The classes of alerts, sorted, each once.
pub fn classes(alerts: &[Value]) -> Vec<String> {
    let mut classes: Vec<_> =
        alerts.iter().map(|alert| alert["finding"]["class"].as_str().unwrap().to_owned()).collect();
    classes.sort();
    classes.dedup();
    classes
}

/// The signed audit statement of a monitor about a log.
pub fn audit(monitor: &Monitor, dir: &MonitorDir, log: &TestLog) -> Option<AuditStatement> {
    let (status, note) = monitor.get(&format!("/audit/v1/{}", log.watched.id));
    let key: VerifierKey = dir.vkey().parse().unwrap();
    (status == 200).then(|| open_audit(note.as_bytes(), &key).unwrap())
}

/// Waits until a monitor has audited so many entries of a log.
pub fn audited(monitor: &Monitor, dir: &MonitorDir, log: &TestLog, size: u64) {
    eventually("it is audited", || {
        let statement = audit(monitor, dir, log)?;
        assert_eq!(statement.verdict, Verdict::Consistent);
        (statement.size.get() == size).then_some(())
    });
}

/// A monitor of one log.
pub fn watcher(name: &str, log: &TestLog, more: &str) -> MonitorDir {
    MonitorDir::new(name, &[(&log.watched.url, &log.watched.key.to_string())], more)
}

/// The scene.
pub struct Scene {
    pub runtime: Runtime,
    pub log: Arc<TestLog>,
    pub dir: MonitorDir,
    pub monitor: Monitor,
    passer: MonitorDir,
}

impl Scene {
    /// The log is honest so far, has signed `FIRST` entries half a minute ago, and both monitors say so.
    pub fn start() -> Self {
        Self::with(NO_RULES)
    }

    pub fn with(more: &str) -> Self {
        let runtime = runtime();
        let log = runtime.block_on(TestLog::start(ORIGIN));
        log.append(plain("entry", 0..FIRST), now() - 60_000);
        log.sign(now() - 30_000);
        let passer = watcher("passer.example", &log, more);
        let dir = watcher("watcher.example", &log, more);
        let once = passer.output(&["once"]);
        assert_eq!(once.status.code(), Some(0), "{}", text_of(&once));
        let monitor = dir.start();
        audited(&monitor, &dir, &log, FIRST);
        assert_eq!((alerts(&monitor).len(), monitor.get("/healthz").0), (0, 200));
        Self { runtime, log, dir, monitor, passer }
    }

    pub fn key(&self) -> String {
        self.log.watched.key.to_string()
    }

    /// The log grows by some entries; the head of now that it has then, shown to nobody yet.
    pub fn grow(&self, entries: u64) -> TreeHead {
        self.log.append(plain("later", FIRST..FIRST + entries), now() - 5000);
        self.log.next_head(now())
    }

    /// The same, and it shows that head.
    pub fn grow_and_sign(&self, entries: u64) -> TreeHead {
        let head = self.grow(entries);
        self.log.show(head, head);
        head
    }

    /// Lets the log change while the monitor does not run, which reads tree head and checkpoint one by one and could see
    /// one from before the change with one from after it.
    pub fn meanwhile(mut self, change: impl FnOnce(&TestLog, &MonitorDir)) -> Self {
        self.monitor.stop();
        change(&self.log, &self.dir);
        self.monitor = self.dir.start();
        self
    }

    /// Another log of the same name and key, with some of the same entries in the beginning and others behind them.
    pub fn fork(&self, same: u64, size: u64) -> Arc<TestLog> {
        let fork = self.runtime.block_on(TestLog::start(ORIGIN));
        fork.append(plain("entry", 0..same).chain(plain("forked", same..size)), now() - 60_000);
        fork.sign(now());
        fork
    }

    /// From now on the log answers everything as the other one does.
    pub fn become_other(&self, other: Arc<TestLog>) {
        self.log.lie(move |path| Some(other.honest(path)));
    }

    /// Waits until there are alerts of these classes, and none of others.
    pub fn told(&self, expected: &[&str]) -> Vec<Value> {
        let found = eventually("all alerts", || {
            let found = alerts(&self.monitor);
            expected.iter().all(|class| classes(&found).contains(&(*class).to_owned())).then_some(found)
        });
        let mut expected: Vec<_> = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(classes(&found), expected, "{found:#?}");
        found
    }

    /// The evidence of an alert, and what checking it comes to.
    pub fn checked(&self, alert: &Value) -> (Option<i32>, String) {
        let name = alert["finding"]["evidence"].as_str().unwrap_or_else(|| panic!("no evidence: {alert:#}"));
        verify_evidence(&self.dir.path(&format!("data/evidence/{name}")), &self.key())
    }

    /// The log is proven to have misbehaved, in these ways and no others, to both monitors, and anybody can check it.
    pub fn proven(self, expected: &[&str]) {
        let found = self.told(expected);
        for alert in &found {
            assert_eq!(alert["finding"]["log"], ORIGIN);
            self.proves(alert);
        }
        self.frozen().passer_finds(expected, true);
    }

    /// The evidence of this alert proves what it says.
    pub fn proves(&self, alert: &Value) -> String {
        let (code, said) = self.checked(alert);
        assert!(code == Some(0) && said.starts_with("PROVEN: "), "{code:?} {said}");
        said
    }

    /// Nothing more of the log is trusted, whoever asks hears that, and it survives the process.
    pub fn frozen(mut self) -> Self {
        let red = || Some(self.monitor.get("/healthz")).filter(|(status, _)| *status != 200);
        let (status, said) = eventually("health is red", red);
        assert!(status == 503 && said.contains(ORIGIN) && said.contains("misbehaved"), "{status} {said}");
        assert_eq!(self.monitor.metric(&frozen_metric()), Some(1.0));
        let statement = audit(&self.monitor, &self.dir, &self.log).unwrap();
        assert_eq!((statement.verdict, statement.log_id), (Verdict::Inconsistent, self.log.watched.id));
        self.monitor.stop();
        self.log.asked();
        let once = self.dir.output(&["once"]);
        let said = text_of(&once);
        assert!(once.status.code() == Some(1) && said.contains("MISBEHAVED"), "{said}");
        self.monitor = self.dir.start();
        assert_eq!(self.monitor.get("/healthz").0, 503);
        assert_eq!(audit(&self.monitor, &self.dir, &self.log).unwrap().verdict, Verdict::Inconsistent);
        // Its heads are still looked at, and no entry is read any more.
        let asked = self.log.asked();
        assert!(asked.iter().any(|path| path == "/checkpoint"), "{asked:?}");
        assert!(!asked.iter().any(|path| path.starts_with("/tile/certs/")), "{asked:?}");
        self
    }

    /// The log has done what it must not, in these ways, and nobody else can check it: it is told, and goes on.
    pub fn suspected(&self, expected: &[&str]) -> Vec<Value> {
        let found = self.told(expected);
        assert_eq!(self.monitor.get("/healthz"), (200, "ok\n".into()));
        assert_eq!(self.monitor.metric(&frozen_metric()), Some(0.0));
        // A monitor that has just begun says nothing of a log before its first round is over.
        let statement = eventually("it is audited", || audit(&self.monitor, &self.dir, &self.log));
        assert_eq!(statement.verdict, Verdict::Consistent);
        found
    }

    /// Of each of these alerts there is evidence, which says itself that it proves nothing.
    pub fn challenges(&self, alerts: &[Value]) {
        for alert in alerts {
            let (code, said) = self.checked(alert);
            assert!(code == Some(3) && said.starts_with("SUSPICION ONLY: "), "{code:?} {said}");
        }
    }

    /// A monitor that looks now and then finds exactly this, and ends with 1 for it.
    pub fn passer_finds(&self, expected: &[&str], frozen: bool) {
        let once = self.passer.output(&["once", "--json"]);
        assert_eq!(once.status.code(), Some(1), "{}", text_of(&once));
        let report: Value = serde_json::from_slice(&once.stdout).unwrap();
        let mut expected: Vec<_> = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(classes(report["alerts"].as_array().unwrap()), expected, "{report:#}");
        assert_eq!((report["in_order"].as_bool(), report["logs"][0]["evidence"].is_string()), (Some(false), frozen));
    }

    /// Changes the configuration of both monitors. The one that runs reads it when it is started again.
    pub fn reconfigure(&self, from: &str, to: &str) {
        for dir in [&self.dir, &self.passer] {
            let path = dir.path("monitor.toml");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(path, text.replace(from, to)).unwrap();
        }
    }
}

fn frozen_metric() -> String {
    format!("atl_monitor_log_frozen{{log=\"{ORIGIN}\"}}")
}

/// What serves the logs of a test.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
