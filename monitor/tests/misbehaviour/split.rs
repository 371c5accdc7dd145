//! A log that answers each monitor differently: each sees nothing wrong, until the two of them talk.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use atl::log::audit::Verdict;

use crate::log_server::{Answer, TestLog};
use crate::process::{Monitor, MonitorDir, eventually};
use crate::scene::{
    FIRST, NO_RULES, ORIGIN, alerts, audit, audited, classes, now, plain, runtime, text_of, verify_evidence, watcher,
};

const LEFT: &str = "left.example";
const RIGHT: &str = "right.example";

/// Where nobody answers.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A view of the log: some entries that all views have, and others behind them. It has no proof of larger trees.
async fn view(kind: &str, same: u64, size: u64, at: u64) -> Arc<TestLog> {
    let log = TestLog::start(ORIGIN).await;
    log.append(plain("entry", 0..same).chain(plain(kind, same..size)), now() - 60_000);
    log.sign(at);
    log.lie(move |path| {
        let (_, second) = path.split_once("get-sth-consistency?")?.1.split_once("second=")?;
        (second.parse::<u64>().unwrap() > size).then(|| Answer::status(400))
    });
    log
}

/// A monitor of one view, which knows the key of the other one, and where that is.
fn monitor(name: &str, log: &TestLog, peer: &str, url: &str) -> MonitorDir {
    let vkey = MonitorDir::vkey_of(peer);
    let gossip = format!("[gossip]\ninterval_seconds = 1\n[[peers]]\nvkey = {vkey:?}\nurl = {url:?}\n");
    watcher(name, log, &format!("{NO_RULES}{gossip}"))
}

type Running = (MonitorDir, Monitor);

fn start(dir: MonitorDir) -> Running {
    let monitor = dir.start();
    (dir, monitor)
}

/// Two monitors, of which the left one asks the right one; it answers with what it has.
fn pair(left: &TestLog, right: &TestLog) -> [Running; 2] {
    let right = start(monitor(RIGHT, right, LEFT, NOWHERE));
    let left = start(monitor(LEFT, left, RIGHT, &right.1.url()));
    [left, right]
}

/// Two monitors that ask each other.
fn mutual_pair(left: &TestLog, right: &TestLog) -> [Running; 2] {
    let [at_left, at_right] = free_addresses();
    let dirs = [
        (monitor(LEFT, left, RIGHT, &format!("http://{at_right}")), at_left),
        (monitor(RIGHT, right, LEFT, &format!("http://{at_left}")), at_right),
    ];
    dirs.map(|(dir, address)| {
        dir.listen(address);
        start(dir)
    })
}

/// Addresses of this machine where nothing listens, and where nothing else than this process looks for some.
fn free_addresses() -> [SocketAddr; 2] {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let bind = || TcpListener::bind(SocketAddr::from(([127, 77, high, low], 0))).unwrap();
    [bind(), bind()].map(|listener| listener.local_addr().unwrap())
}

/// Waits until a monitor has exchanged this much of the log with the other one, and they agree.
fn agrees(monitor: &Monitor, peer: &str, size: u64) {
    let shown = format!("{{log=\"{ORIGIN}\",peer=\"{peer}\"}}");
    eventually("they have exchanged the newest head, and agree", || {
        let metric = |name| monitor.metric(&format!("atl_monitor_peer_{name}{shown}"));
        (metric("head_size")? == size as f64 && metric("agrees")? == 1.0).then_some(())
    });
}

/// A split view is told, with evidence that stands for itself, and nothing more of the log is trusted.
fn proven((dir, monitor): Running, log: &TestLog) {
    let found = eventually("the split view", || {
        let found = alerts(&monitor);
        classes(&found).contains(&"log.split-view".to_owned()).then_some(found)
    });
    assert_eq!(classes(&found), ["log.split-view"]);
    for alert in &found {
        let name = alert["finding"]["evidence"].as_str().unwrap();
        let (code, said) = verify_evidence(&dir.path(&format!("data/evidence/{name}")), &log.watched.key.to_string());
        assert!(code == Some(0) && said.starts_with("PROVEN: "), "{said}");
    }
    eventually("health is red", || (monitor.get("/healthz").0 == 503).then_some(()));
    assert_eq!(audit(&monitor, &dir, log).unwrap().verdict, Verdict::Inconsistent);
    monitor.stop();
    let once = dir.output(&["once"]);
    assert!(once.status.code() == Some(1) && text_of(&once).contains("MISBEHAVED"), "{}", text_of(&once));
}

/// Two trees of one size.
fn two_views(runtime: &tokio::runtime::Runtime) -> [Arc<TestLog>; 2] {
    [("one", 20_000), ("two", 10_000)].map(|(kind, ago)| runtime.block_on(view(kind, 250, FIRST, now() - ago)))
}

#[test]
fn each_alone_sees_a_log_in_perfect_order() {
    let runtime = runtime();
    for (name, log) in ["one.example", "two.example"].into_iter().zip(two_views(&runtime)) {
        let once = watcher(name, &log, NO_RULES).output(&["once"]);
        assert_eq!(once.status.code(), Some(0), "{}", text_of(&once));
    }
}

#[test]
fn two_trees_of_one_size_are_proven_by_monitors_that_ask_each_other() {
    let runtime = runtime();
    let views = two_views(&runtime);
    let monitors = mutual_pair(&views[0], &views[1]);
    monitors.into_iter().zip(&views).for_each(|(running, view)| proven(running, view));
}

#[test]
fn two_trees_of_one_size_are_proven_to_both_where_one_asks() {
    let runtime = runtime();
    let views = two_views(&runtime);
    let monitors = pair(&views[0], &views[1]);
    monitors.into_iter().zip(&views).for_each(|(running, view)| proven(running, view));
}

#[test]
fn a_larger_tree_for_one_of_them_is_proven_where_the_log_can_be_asked() {
    let runtime = runtime();
    let one = runtime.block_on(view("one", 250, FIRST, now() - 20_000));
    let two = runtime.block_on(view("two", 250, 700, now() - 10_000));
    let [left, right] = pair(&one, &two);
    // The log cannot give the left one tiles of a tree that it is not shown: it is a challenge there.
    let found = eventually("the challenge", || Some(alerts(&left.1)).filter(|found| !found.is_empty()));
    assert_eq!(classes(&found), ["log.proof-refused"]);
    assert_eq!((left.1.get("/healthz").0, found.len()), (200, 1));
    // The right one can ask for both.
    proven(right, &two);
}

#[test]
fn an_honest_log_and_two_monitors() {
    let runtime = runtime();
    let log = runtime.block_on(TestLog::start(ORIGIN));
    log.append(plain("entry", 0..FIRST), now() - 60_000);
    log.sign(now() - 20_000);
    let both = mutual_pair(&log, &log);
    both.iter().for_each(|(dir, monitor)| audited(monitor, dir, &log, FIRST));
    log.append(plain("more", FIRST..400), now() - 15_000);
    log.sign(now() - 10_000);
    both.iter().for_each(|(dir, monitor)| audited(monitor, dir, &log, 400));
    agrees(&both[0].1, RIGHT, 400);
    agrees(&both[1].1, LEFT, 400);
    for (dir, monitor) in both {
        assert_eq!((alerts(&monitor), monitor.get("/healthz").0), (Vec::new(), 200));
        monitor.stop();
        let once = dir.output(&["once"]);
        assert_eq!(once.status.code(), Some(0), "{}", text_of(&once));
        assert!(dir.evidence().is_empty());
    }
}
