//! Whatever the monitor is doing when it is killed: no alert is lost or told under another name, and no evidence is
//! half there.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::log_server::TestLog;
use crate::process::{MonitorDir, eventually};
use crate::rig::{Scene, alert, alerts, at, entries, now, other_root};

/// Entries that are no certificates, each of which is an alert.
const ALERTS: usize = 60;
/// Times that the monitor is killed, with five more entries each time.
const KILLS: usize = ALERTS / 5;

#[test]
fn killed_at_any_moment_it_loses_no_alert_and_repeats_none() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let log = runtime.block_on(TestLog::start("log.example/1"));
    let vkey = log.watched.key.to_string();
    let told = tempfile::NamedTempFile::new().unwrap();
    let script = "printf '%s\\n' \"$(cat | tr -d '\\n')\" >> \"$0\"";
    let sink = format!(
        "[[alerts.command]]\nname = \"file\"\nargv = [\"/bin/sh\", \"-c\", {script:?}, {:?}]\n[rules]\nmost_per_hour = 1000\n",
        told.path()
    );
    let dir = MonitorDir::new("monitor.example", &[(&log.watched.url, &vkey)], &sink);
    // Moments that are spread over everything that happens in the first second and a half.
    for (round, pause) in (0..KILLS).zip((0..).map(|n: u64| n * 379 % 1500)) {
        log.append(entries(&format!("no certificate {round}"), 5), now());
        log.sign(now());
        let monitor = dir.start();
        std::thread::sleep(Duration::from_millis(pause));
        monitor.kill();
    }
    let monitor = dir.start();
    eventually("all is told", || {
        let all = alerts(&monitor);
        let delivered = |alert: &serde_json::Value| alert["deliveries"]["file"]["delivered_at"].is_u64();
        (all.len() == ALERTS && all.iter().all(delivered)).then_some(())
    });
    let all = alerts(&monitor);
    let entries: BTreeSet<String> = all.iter().map(|alert| alert["finding"]["entry"]["index"].to_string()).collect();
    assert_eq!(entries.len(), ALERTS, "each entry once");
    let lines = std::fs::read_to_string(told.path()).unwrap();
    // A monitor that dies while it writes to the command leaves it with the beginning of a message, once for each kill.
    let (whole, cut): (Vec<_>, Vec<_>) =
        lines.lines().map(serde_json::from_str::<serde_json::Value>).partition(Result::is_ok);
    assert!(cut.len() <= KILLS, "{cut:?}");
    let ids: BTreeSet<String> =
        whole.into_iter().map(|message| message.unwrap()["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), ALERTS, "told under one name each, however often");
    monitor.stop();
    assert_eq!(dir.output(&["once"]).status.code(), Some(0), "nothing is new");
}

#[test]
fn killed_while_it_keeps_evidence_it_has_all_of_it_or_none() {
    let scene = Scene::new("");
    let head = scene.log.sign(now() - 20_000);
    scene.verified().kill();
    let other = other_root(at(head, now()));
    scene.log.show(other, other);
    let key = scene.log.watched.key.to_string();
    let check = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_atl-monitor"));
        command.arg("verify-evidence").arg(scene.dir.path("data/evidence")).args(["--key", &key]);
        command.output().unwrap()
    };
    // The contradiction is seen, kept and told within the first half of a second.
    for pause in (0..12).map(|n: u64| n * 61 % 540) {
        let monitor = scene.dir.start();
        std::thread::sleep(Duration::from_millis(pause));
        monitor.kill();
        if !scene.dir.evidence().is_empty() {
            let output = check();
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
        }
    }
    let monitor = scene.dir.start();
    let alert = alert(&monitor, "log.same-size-other-root");
    assert_eq!(scene.weighs(&alert), 0, "{alert}");
    eventually("the log is frozen", || (monitor.get("/healthz").0 == 503).then_some(()));
    let of_it = |alert: &serde_json::Value| alert["finding"]["class"] == "log.same-size-other-root";
    assert_eq!(alerts(&monitor).iter().filter(|alert| of_it(alert)).count(), 1);
    let left: Vec<_> = std::fs::read_dir(scene.dir.path("data/evidence")).unwrap().collect();
    assert_eq!(left.len(), scene.dir.evidence().len(), "nothing half written is left: {left:?}");
    monitor.stop();
}

#[test]
fn a_monitor_that_is_far_behind_catches_up_in_little_memory() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let log = runtime.block_on(TestLog::start("log.example/1"));
    let vkey = log.watched.key.to_string();
    let dir = MonitorDir::new("monitor.example", &[(&log.watched.url, &vkey)], crate::rig::NO_RULES);
    // An entry every half a minute, for a week.
    for day in 0..7 {
        log.append(entries(&format!("day {day}, {}", "x".repeat(600)), 2880), now() - (7 - day) * 86_400_000);
    }
    log.sign(now());
    let size = 7.0 * 2880.0;
    let monitor = dir.start();
    // Cut off on the way, it goes on.
    eventually("it has begun", || {
        monitor.metric("atl_monitor_downloaded_entries{log=\"log.example/1\"} ").filter(|read| *read > 0.0)
    });
    monitor.kill();
    let monitor = dir.start();
    let verified = || monitor.metric("atl_monitor_verified_entries{log=\"log.example/1\"} ");
    eventually("all is verified", || (verified() == Some(size)).then_some(()));
    assert!(monitor.resident_kib() < 200 << 10, "{} KiB", monitor.resident_kib());
    assert_eq!(alerts(&monitor).len(), 0);
    monitor.stop();
}

#[test]
fn one_monitor_has_the_directory() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let log = runtime.block_on(TestLog::start("log.example/1"));
    let dir = MonitorDir::new("monitor.example", &[(&log.watched.url, &log.watched.key.to_string())], "");
    let monitor = dir.start();
    let second = dir.output(&["once"]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{said}");
    assert!(said.contains("state.redb") && said.contains("already open"), "{said}");
    monitor.stop();
}
