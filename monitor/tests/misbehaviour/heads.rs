//! Heads that cannot all be honest, and heads of another time.

use atl::merkle::TreeSize;

use crate::log_server::TestLog;
use crate::process::eventually;
use crate::scene::{
    FIRST, NO_RULES, ORIGIN, Scene, alerts, audited, classes, dated, now, other_root, plain, runtime, text_of, watcher,
};

#[test]
fn an_honest_log_is_told_nothing_of() {
    let scene = Scene::start();
    let mut size = FIRST;
    for _ in 0..3 {
        scene.log.append(plain("entry", size..size + 300), now());
        size = scene.log.sign(now()).size.get();
        audited(&scene.monitor, &scene.dir, &scene.log, size);
    }
    assert_eq!((size, alerts(&scene.monitor).len(), scene.monitor.get("/healthz").0), (FIRST + 900, 0, 200));
    let verified = format!("atl_monitor_verified_entries{{log=\"{ORIGIN}\"}}");
    eventually("the metrics say so", || (scene.monitor.metric(&verified) == Some(size as f64)).then_some(()));
    assert!(scene.dir.evidence().is_empty());
    scene.monitor.stop();
    let once = scene.dir.output(&["once"]);
    assert_eq!(once.status.code(), Some(0), "{}", text_of(&once));
}

#[test]
fn one_size_and_two_roots() {
    let scene = Scene::start();
    scene.become_other(scene.fork(FIRST - 1, FIRST));
    scene.proven(&["log.same-size-other-root"]);
}

#[test]
fn a_larger_head_that_does_not_continue_ours() {
    let scene = Scene::start();
    scene.become_other(scene.fork(100, 600));
    let found = scene.told(&["log.inconsistent-heads"]);
    let name = found[0]["finding"]["evidence"].as_str().unwrap();
    let manifest = std::fs::read(scene.dir.path(&format!("data/evidence/{name}/manifest.json"))).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert!(manifest.to_string().contains("\"divergence\":{\"first\":[\""), "{manifest:#}");
    scene.proven(&["log.inconsistent-heads"]);
}

#[test]
fn a_later_head_of_a_smaller_tree() {
    let scene = Scene::start();
    let small = scene.fork(200, 200).next_head(now());
    scene.log.show(small, small);
    scene.proven(&["log.rollback"]);
}

#[test]
fn two_heads_with_one_timestamp() {
    let at = now();
    let scene = Scene::start().meanwhile(|log, dir| {
        log.sign(at);
        let once = dir.output(&["once"]);
        assert_eq!(once.status.code(), Some(0), "{}", text_of(&once));
        log.append(plain("later", FIRST..FIRST + 5), at);
        log.sign(at);
    });
    let found = scene.told(&["log.same-timestamp"]);
    scene.proves(&found[0]);
    // The one that looks now and then was not there to see the first of the two.
    scene.frozen();
}

#[test]
fn tree_head_against_checkpoint() {
    let scene = Scene::start();
    let head = scene.grow(10);
    scene.meanwhile(|log, _| log.show(head, other_root(head))).proven(&["log.checkpoint-differs"]);
}

#[test]
fn a_head_from_the_future() {
    let scene = Scene::start();
    let ahead = dated(scene.grow(10), now() + 600_000);
    assert_eq!(ahead.size, TreeSize::new(FIRST + 10));
    scene.log.show(ahead, ahead);
    let found = scene.suspected(&["log.future-head"]);
    scene.challenges(&found);
    // The tree is read all the same.
    audited(&scene.monitor, &scene.dir, &scene.log, FIRST + 10);
    scene.passer_finds(&["log.future-head"], false);
}

#[test]
fn a_log_that_signs_nothing_new() {
    let mut scene = Scene::start();
    scene.reconfigure("poll_seconds = 1\n", "poll_seconds = 1\nmax_head_age_seconds = 5\n");
    scene.monitor = scene.dir.start_again(scene.monitor);
    audited(&scene.monitor, &scene.dir, &scene.log, FIRST);
    let found = scene.suspected(&["log.stale-head"]);
    // There is nothing to keep: that nothing was signed cannot be shown.
    assert!(found[0]["finding"]["evidence"].is_null() && scene.dir.evidence().is_empty());
    scene.passer_finds(&["log.stale-head"], false);
}

#[test]
fn a_log_that_has_long_signed_nothing_new() {
    let runtime = runtime();
    let log = runtime.block_on(TestLog::start(ORIGIN));
    log.append(plain("entry", 0..FIRST), now() - 700_000);
    // Unless the configuration says otherwise, five minutes are too long.
    log.sign(now() - 600_000);
    let dir = watcher("watcher.example", &log, NO_RULES);
    let monitor = dir.start();
    let found = eventually("it is told", || Some(alerts(&monitor)).filter(|found| !found.is_empty()));
    assert_eq!(classes(&found), ["log.stale-head"]);
    audited(&monitor, &dir, &log, FIRST);
    assert_eq!(monitor.get("/healthz").0, 200);
    // It is one alert, as long as it stays the same head.
    let monitor = dir.start_again(monitor);
    audited(&monitor, &dir, &log, FIRST);
    assert_eq!(alerts(&monitor).len(), 1);
}
