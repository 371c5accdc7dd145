//! A monitor that has a long way to catch up, and one that is not alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::log_server::{Answer, TestLog};
use crate::process::{Monitor, eventually};
use crate::scene::{NO_RULES, ORIGIN, Scene, audited, listed, now, plain, runtime, text_of, watcher};

/// A week of entries, with half a minute between them.
const ENTRIES: u64 = WEEK_MILLIS / APART_MILLIS;
const WEEK_MILLIS: u64 = 7 * 86_400_000;
const APART_MILLIS: u64 = 30_000;

/// Findings of one kind in an hour of the log's that are told one by one. One more says that there are others.
const TOLD: usize = 1;

/// Memory that it may use, in KiB: less than the entries and the program without them have together.
const MOST_KIB: u64 = 64 * 1024;

/// The most memory that a process has had so far, in KiB.
fn most_memory(monitor: &Monitor) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", monitor.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_monitor_a_week_behind_catches_up_over_a_crash_with_little_memory() {
    let runtime = runtime();
    let log = runtime.block_on(TestLog::start(ORIGIN));
    // Each of them breaks a rule, so that what is found has to be counted, too.
    let padded = plain("no certificate", 0..ENTRIES).map(|entry| [entry, vec![b'.'; 2000]].concat());
    let end = now() - 1000;
    let times = (1..=ENTRIES).map(|n| end - WEEK_MILLIS + n * APART_MILLIS);
    log.append_dated(&[], padded.zip(times.clone()));
    log.sign(end);
    let rules = NO_RULES.replace("extensions = false", &format!("extensions = true\nmost_per_hour = {TOLD}"));
    let dir = watcher("watcher.example", &log, &rules);
    // The log breaks down on the way.
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    log.lie(move |path| {
        let bundle = path.strip_prefix("/tile/certs/")?.parse::<u32>().ok()?;
        (bundle >= 40 && is_down.load(Ordering::SeqCst)).then(|| Answer::status(503))
    });
    let monitor = dir.start();
    let downloaded = format!("atl_monitor_downloaded_entries{{log=\"{ORIGIN}\"}}");
    eventually("half of it is read", || monitor.metric(&downloaded).filter(|read| *read == 40.0 * 256.0));
    let first = most_memory(&monitor);
    assert_eq!(monitor.get("/alerts").1.trim(), "[]", "nothing is verified yet");
    monitor.kill();

    down.store(false, Ordering::SeqCst);
    log.asked();
    let monitor = dir.start();
    audited(&monitor, &dir, &log, ENTRIES);
    let asked: Vec<_> = log.asked().into_iter().filter(|path| path.starts_with("/tile/certs/")).collect();
    let unique: BTreeSet<_> = asked.iter().collect();
    let left = (ENTRIES / 256 - 40) as usize + 1;
    assert_eq!((asked.len(), unique.len()), (left, left), "what was read is not read again: {asked:?}");
    let backlog = format!("atl_monitor_backlog_entries{{log=\"{ORIGIN}\"}}");
    eventually("it has caught up", || monitor.metric(&backlog).filter(|left| *left == 0.0));
    let most = first.max(most_memory(&monitor));
    assert!(most < MOST_KIB, "{most} KiB");
    monitor.stop();
    let found = listed(&dir);
    let mut hours = BTreeMap::<u64, usize>::new();
    times.for_each(|at| *hours.entry(at / 3_600_000).or_default() += 1);
    assert_eq!(found.len(), hours.values().map(|entries| (*entries).min(TOLD + 1)).sum::<usize>());
    assert!(found.iter().all(|line| line["class"] == "entry.malformed-extension"), "{:#}", found[0]);
}

#[test]
fn two_monitors_on_one_directory_are_refused() {
    let scene = Scene::start();
    for words in ["run", "once"] {
        let second = scene.dir.output(&[words]);
        let said = text_of(&second);
        assert_eq!(second.status.code(), Some(2), "{said}");
        for told in ["data/state.redb", "another process", "data_dir"] {
            assert!(said.contains(told), "{told}: {said}");
        }
    }
    // The first one has not noticed.
    scene.grow_and_sign(5);
    audited(&scene.monitor, &scene.dir, &scene.log, crate::scene::FIRST + 5);
    let monitor = scene.dir.start_again(scene.monitor);
    monitor.stop();
}
