//! A log that shows each of two monitors another tree, and two monitors that talk.

use crate::log_server::TestLog;
use crate::process::{MonitorDir, eventually};
use crate::rig::{NO_RULES, alerts, entries, now};

#[test]
fn a_split_view_is_found_by_two_who_talk() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let faces = ["one", "two"].map(|face| {
        let log = runtime.block_on(TestLog::start("log.example/1"));
        log.append(entries("for all", 5), now() - 60_000);
        log.append(entries(face, 1), now() - 50_000);
        log.sign(now() - 40_000);
        log
    });
    let ports = [(); 2].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let names = ["x.example", "y.example"];
    let dirs: Vec<MonitorDir> = (0..2)
        .map(|n| {
            let (log, other) = (&faces[n].watched, 1 - n);
            let more = format!(
                "[[peers]]\nurl = \"http://{}\"\nvkey = {:?}\n[gossip]\ninterval_seconds = 1\n{NO_RULES}",
                ports[other],
                MonitorDir::vkey_of(names[other])
            );
            let dir = MonitorDir::new(names[n], &[(&log.url, &log.key.to_string())], &more);
            dir.listen(ports[n]);
            dir
        })
        .collect();
    let monitors: Vec<_> = dirs.iter().map(MonitorDir::start).collect();
    for (monitor, dir) in monitors.iter().zip(&dirs) {
        eventually("the split view is proven", || (monitor.get("/healthz").0 == 503).then_some(()));
        let told = alerts(monitor);
        assert!(told.iter().any(|alert| alert["finding"]["class"] == "log.split-view"), "{told:?}");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_atl-monitor"));
        command.arg("verify-evidence").arg(dir.path("data/evidence"));
        let output = command.args(["--key", &faces[0].watched.key.to_string()]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    }
    // Each alone has seen a log in perfect order.
    for monitor in monitors {
        monitor.stop();
    }
}
