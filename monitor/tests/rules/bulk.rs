//! Registration in bulk, held against a CA's own past.

use atl::apki::Certificate;
use atl::time::{Clock, SystemClock};

use crate::log_server::TestLog;
use crate::make::{HOUR, draft};
use crate::scene::{Scene, explains};
use crate::webhook::{detail, text};

/// What CAs do that are new is not what this is about.
const TABLES: &str = r"
[rules]
profile = false
bulk_new_ca = 1000
bulk_new_hours = 24
bulk_least = 5
bulk_factor = 2
";

/// Hours of the past.
const PAST: u64 = 48;
/// Agents that both CAs register in the last hour.
const BURST: usize = 12;

fn agents(ca: &str, hour: u64, many: usize) -> Vec<Certificate> {
    (0..many).map(|n| draft(&format!("agent://agents.{ca}.example/tellers/worker/h{hour}n{n}")).bare()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_is_held_against_its_own_past() {
    let log = TestLog::start("log.example/1").await;
    let now = SystemClock.now().get();
    let begun = now - now % HOUR - (PAST + 1) * HOUR;
    for hour in 0..PAST {
        for (ca, many) in [("large", 10), ("small", 2)] {
            let hourly = agents(ca, hour, many).into_iter().map(|certificate| certificate.der().to_vec());
            log.append_below(&[ca.into()], hourly, begun + hour * HOUR);
        }
    }
    // So many are what one of them does on a good day; of the other they are four times the usual.
    let burst = agents("small", PAST, BURST);
    for (ca, agents) in [("large", agents("large", PAST, BURST)), ("small", burst.clone())] {
        let agents = agents.iter().map(|certificate| certificate.der().to_vec());
        log.append_below(&[ca.into()], agents, begun + PAST * HOUR);
    }
    let head = log.sign(now);
    let scene = Scene::new(&[&log], TABLES, |_| {}).await;
    scene.verified(&log, head.size.get());

    let alert = &scene.alerts(1)["entry.bulk-registration"];
    let limit: usize = detail(alert, "limit").strip_suffix(" agents an hour").unwrap().parse().unwrap();
    assert_eq!(limit, 5, "{alert:#}");
    // The one that is one too many is shown.
    let first = PAST * 12 + BURST as u64;
    explains(alert, &log, head, first + limit as u64, &burst[limit]);
    assert!(text(alert, "summary").contains(", where 2 an hour are usual"), "{alert:#}");
    scene.monitor.stop();
}
