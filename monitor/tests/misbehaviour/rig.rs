//! A log that lies, and a monitor that follows it.

use std::sync::Arc;

use atl::log::audit::{Verdict, open_audit};
use atl::log::note::VerifierKey;
use atl::log::sth::TreeHead;
use atl::merkle::Hash;
use atl::time::{Clock, SystemClock, UnixMillis};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::log_server::TestLog;
use crate::process::{Monitor, MonitorDir, eventually};

/// Milliseconds since the epoch.
pub fn now() -> u64 {
    SystemClock.now().get()
}

/// Octets that stand for certificates: what logs promise does not depend on what they are.
pub fn entries(name: &str, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| format!("{name} {n}").into_bytes()).collect()
}

/// Rules that say nothing about what is no certificate.
pub const NO_RULES: &str = "[rules]\nextensions = false\nprofile = false\n";

/// One log, and one monitor of it.
pub struct Scene {
    pub runtime: Runtime,
    pub log: Arc<TestLog>,
    pub dir: MonitorDir,
}

impl Scene {
    /// A log of ten entries with a head of now, and a monitor that has `more` in its configuration.
    pub fn new(more: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let log = runtime.block_on(TestLog::start("log.example/1"));
        log.append(entries("entry", 10), now() - 60_000);
        log.sign(now() - 30_000);
        let vkey = log.watched.key.to_string();
        let dir = MonitorDir::new("monitor.example", &[(&log.watched.url, &vkey)], &format!("{more}{NO_RULES}"));
        Self { runtime, log, dir }
    }

    /// The monitor, once it has verified the log as it is now.
    pub fn verified(&self) -> Monitor {
        let monitor = self.dir.start();
        eventually("the log is verified", || (monitor.get("/readyz").0 == 200).then_some(()));
        monitor
    }

    /// What `verify-evidence` ends with for the evidence of an alert.
    pub fn weighs(&self, alert: &Value) -> i32 {
        let name = alert["finding"]["evidence"].as_str().expect("there is evidence");
        let dir = self.dir.path("data/evidence").join(name);
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_atl-monitor"))
            .arg("verify-evidence")
            .arg(dir)
            .args(["--key", &self.log.watched.key.to_string()])
            .output()
            .unwrap();
        output.status.code().unwrap()
    }

    /// What the monitor's audit statement says of the log.
    pub fn verdict(&self, monitor: &Monitor) -> Verdict {
        let key: VerifierKey = self.dir.vkey().parse().unwrap();
        let (status, note) = monitor.get(&format!("/audit/v1/{}", self.log.watched.id));
        assert_eq!(status, 200, "{note}");
        open_audit(note.as_bytes(), &key).unwrap().verdict
    }

    /// The case is proven to anybody, the log is frozen, and everybody who asks hears it.
    pub fn is_proven(&self, monitor: Monitor, code: &str) {
        let alert = alert(&monitor, code);
        assert_eq!(self.weighs(&alert), 0, "{alert}");
        let (health, why) = monitor.get("/healthz");
        assert_eq!(health, 503);
        assert!(why.contains("log.example/1"), "{why}");
        assert_eq!(self.verdict(&monitor), Verdict::Inconsistent);
        assert_eq!(monitor.metric("atl_monitor_log_frozen{log=\"log.example/1\"} "), Some(1.0));
        monitor.stop();
        assert_eq!(self.once(), 1);
    }

    /// The case is told, and nothing is proven by it.
    pub fn is_told(&self, monitor: Monitor, code: &str) -> Value {
        let alert = alert(&monitor, code);
        assert_eq!(monitor.get("/healthz").0, 200, "{alert}");
        monitor.stop();
        alert
    }

    /// How `atl-monitor once` ends.
    pub fn once(&self) -> i32 {
        let output = self.dir.output(&["once"]);
        output.status.code().unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// All alerts, the newest first.
pub fn alerts(monitor: &Monitor) -> Vec<Value> {
    let (status, text) = monitor.get("/alerts");
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// The alert with this code, once it is there.
pub fn alert(monitor: &Monitor, code: &str) -> Value {
    let found = || alerts(monitor).into_iter().find(|alert| alert["finding"]["class"] == code);
    let deadline = std::time::Instant::now() + crate::process::PATIENCE;
    loop {
        if let Some(alert) = found() {
            return alert;
        }
        let told: Vec<_> = alerts(monitor).iter().map(|alert| alert["finding"]["class"].to_string()).collect();
        assert!(std::time::Instant::now() < deadline, "no {code}, but {told:?}\n{}", monitor.said());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// The same head with another root.
pub fn other_root(head: TreeHead) -> TreeHead {
    TreeHead { root: Hash::new([7; 32]), ..head }
}

/// The same head at another moment.
pub fn at(head: TreeHead, millis: u64) -> TreeHead {
    TreeHead { timestamp: UnixMillis::new(millis), ..head }
}
