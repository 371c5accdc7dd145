//! `kill -9` while a proof is kept: of the evidence there is all or nothing, an alert never comes before it, and a
//! monitor that starts again has both, once.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::log_server::TestLog;
use crate::process::{MonitorDir, PATIENCE, eventually};
use crate::scene::{
    FIRST, NO_RULES, ORIGIN, dated, listed, now, other_root, plain, runtime, text_of, verify_evidence, watcher,
};

const CLASS: &str = "log.same-size-other-root";

/// Kills that are spread over the time that it takes to start, to look at the log, and to keep and tell what is found.
const SPREAD: u32 = 12;

/// Kills as soon as something is seen on the disk, for each of what can be seen.
const TIMES: usize = 3;

/// A monitor that has verified a log, which has two heads of one size since.
struct World {
    log: Arc<TestLog>,
    dir: MonitorDir,
    before: PathBuf,
}

/// What a kill left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Evidence,
    Both,
}

impl World {
    /// As it was before the second head came, for one more monitor to find it.
    fn restore(&self) {
        fs::remove_dir_all(self.dir.path("data")).unwrap();
        fs::create_dir(self.dir.path("data")).unwrap();
        fs::copy(&self.before, self.dir.path("data/state.redb")).unwrap();
    }

    /// Runs the monitor until `until` says so, and kills it.
    fn run(&self, mut until: impl FnMut() -> bool) {
        let mut command = self.dir.command(&["run"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !until() {
            assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "it has not come to that");
            std::thread::sleep(Duration::from_micros(100));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Names of what is in the directory of evidence, finished or not.
    fn on_disk(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.dir.path("data/evidence")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Each alert has evidence, and all evidence is whole.
    fn look(&self) -> Left {
        let kept = self.dir.evidence();
        for dir in &kept {
            let (code, said) = verify_evidence(dir, &self.log.watched.key.to_string());
            assert!(code == Some(0) && said.starts_with("PROVEN: "), "{code:?} {said}");
        }
        match (kept.len(), listed(&self.dir).len()) {
            (0, 0) => Left::Nothing,
            (1, 0) => Left::Evidence,
            (1, 1) => Left::Both,
            other => panic!("pieces of evidence, and alerts: {other:?}"),
        }
    }

    /// The monitor comes back, and has the one alert with its evidence, and nothing besides.
    fn recovered(&self) -> (Value, Vec<String>) {
        let once = self.dir.output(&["once"]);
        let said = text_of(&once);
        assert!(once.status.code() == Some(1) && said.contains("MISBEHAVED"), "{said}");
        assert_eq!(self.look(), Left::Both);
        let alert = listed(&self.dir).remove(0);
        assert_eq!(alert["class"], CLASS);
        (alert["id"].clone(), self.on_disk())
    }
}

#[test]
fn killed_while_it_keeps_evidence_it_has_all_of_it_or_none() {
    let runtime = runtime();
    let log = runtime.block_on(TestLog::start(ORIGIN));
    log.append(plain("entry", 0..FIRST), now() - 60_000);
    let head = log.sign(now() - 20_000);
    let dir = watcher("watcher.example", &log, NO_RULES);
    let once = dir.output(&["once"]);
    assert_eq!(once.status.code(), Some(0), "{}", text_of(&once));
    let before = dir.path("before.redb");
    fs::copy(dir.path("data/state.redb"), &before).unwrap();
    let other = other_root(dated(head, now()));
    log.show(other, other);
    let world = World { log, dir, before };

    // How long it takes, and what is to come of it.
    let began = Instant::now();
    let monitor = world.dir.start();
    eventually("health is red", || (monitor.get("/healthz").0 == 503).then_some(()));
    let took = began.elapsed();
    monitor.kill();
    let expected = world.recovered();
    assert_eq!(expected.1.len(), 1);

    let mut left = Vec::new();
    let mut after_kill = |at: &str| {
        let found = world.look();
        assert_eq!(world.recovered(), expected, "{at}");
        left.push(found);
        found
    };
    for n in 0..SPREAD {
        world.restore();
        let began = Instant::now();
        // The first is killed before it can do anything, the last when all is done as a rule.
        world.run(|| began.elapsed() >= took * n / (SPREAD - 2));
        let found = after_kill("some moment");
        assert!(n > 0 || found == Left::Nothing);
    }
    for _ in 0..TIMES {
        world.restore();
        world.run(|| !world.on_disk().is_empty());
        after_kill("evidence is being written");
        world.restore();
        world.run(|| !world.dir.evidence().is_empty());
        assert_ne!(after_kill("evidence is there"), Left::Nothing);
    }
}
