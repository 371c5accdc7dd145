//! What the owner has ordered, and what he has not.

use atl::apki::Certificate;
use atl::log::entry::CertHash;
use atl::time::{Clock, SystemClock};

use crate::agents::pem_of;
use crate::log_server::TestLog;
use crate::make::{draft, finish, sat};
use crate::process::{MonitorDir, write_secret};
use crate::scene::{Scene, explains};
use crate::webhook::{detail, text};

/// Seconds that the feed has to know of an entry.
const GRACE: u64 = 8;

fn worker(name: &str) -> Certificate {
    draft(&format!("agent://agents.bank.example/tellers/worker/{name}")).bare()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_the_owner_has_not_ordered_is_told_and_one_that_the_feed_gets_late_is_not() {
    let log = TestLog::start("log.example/1").await;
    let ordered = worker("ordered");
    // The feed has the final certificate, the log its precertificate.
    let half = draft("agent://agents.bank.example/tellers/worker/half").precertificate();
    let (late, stranger, canary) = (worker("late"), worker("stranger"), worker("canary"));
    let foreign = draft("agent://agents.shop.example/tellers/worker/foreign").bare();
    let now = SystemClock.now().get();
    let der = |certificates: &[&Certificate]| certificates.iter().map(|c| c.der().to_vec()).collect::<Vec<_>>();
    log.append(der(&[&ordered, &half, &foreign, &stranger]), now - 2 * GRACE * 1000);
    // Decided after the late one, or in the same step.
    log.append(der(&[&late]), now - 1);
    log.append(der(&[&canary]), now);
    let head = log.sign(now);

    let tables = format!(
        "\n[owner]\ndomains = [\"bank.example\"]\n[feed]\ndir = \"authorised\"\ngrace_seconds = {GRACE}\npoll_seconds = 1\n"
    );
    let scene = Scene::new(&[&log], &tables, |dir| {
        std::fs::create_dir(dir.path("authorised")).unwrap();
        let both = pem_of(&[ordered.clone(), finish(&half, vec![sat(99, &half)])]);
        std::fs::write(dir.path("authorised/ordered.pem"), both).unwrap();
    })
    .await;
    // It is read, not known, and waited for; then the feed gets it.
    scene.verified(&log, 6);
    let line = format!("# what came late\n{}\n", hex::encode(CertHash::of_certificate(late.der()).as_bytes()));
    std::fs::write(scene.dir.path("authorised/.late"), line).unwrap();
    std::fs::rename(scene.dir.path("authorised/.late"), scene.dir.path("authorised/late.txt")).unwrap();

    let told = crate::process::eventually("both strangers are told", || {
        let told = scene.hook.of("entry.unauthorised");
        (told.len() >= 2).then_some(told)
    });
    let indexes: Vec<_> = told.iter().map(|alert| alert["entry"]["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [3, 5]);
    for (alert, certificate, index) in [(&told[0], &stranger, 3), (&told[1], &canary, 5)] {
        explains(alert, &log, head, index, certificate);
        let agent = certificate.agent_uri().unwrap();
        assert_eq!(
            text(alert, "summary"),
            format!("{agent} has a certificate in bank.example that is not in the owner's feed")
        );
        assert_eq!(detail(alert, "rule"), "certificates in watched trust domains are in the owner's feed");
        assert_eq!(text(alert, "severity"), "critical");
    }
    // Nobody is told before the grace is over.
    assert!(told[1]["found_at"].as_u64().unwrap() >= now + GRACE * 1000);
    assert_eq!(scene.hook.told().len(), 2);
    scene.monitor.stop();
}

/// A monitor of no log whose owner's feed is a CA that nobody answers for.
fn fed_by_nobody() -> MonitorDir {
    let ca = "[[feed.ca]]\nurl = \"http://127.0.0.1:1\"\ntoken_file = \"token\"\n";
    MonitorDir::new("monitor.example", &[], &format!("[owner]\ndomains = [\"bank.example\"]\n[feed]\n{ca}"))
}

#[test]
fn a_feed_that_nobody_answers_for_is_no_quiet_night() {
    let dir = fed_by_nobody();
    write_secret(&dir.path("token"), "secret\n");
    let once = dir.output(&["once"]);
    let said = String::from_utf8(once.stdout).unwrap();
    assert_eq!(once.status.code(), Some(1), "{said}");
    assert!(said.starts_with("NOT READ      the owner's feed http://127.0.0.1:1\n"), "{said}");
    let once = dir.output(&["once", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&once.stdout).unwrap();
    assert_eq!((once.status.code(), report["in_order"].as_bool()), (Some(1), Some(false)));
    assert_eq!(report["feeds"][0]["source"], "http://127.0.0.1:1");
    assert!(report["feeds"][0]["trouble"].is_string(), "{report}");

    let monitor = dir.start();
    let failing = "atl_monitor_feed_failing{source=\"http://127.0.0.1:1\"}";
    crate::process::eventually("the metrics say so", || (monitor.metric(failing)? == 1.0).then_some(()));
    let (status, ready) = monitor.get("/readyz");
    assert!(status == 503 && ready.contains("feed http://127.0.0.1:1"), "{ready}");
    assert!(monitor.get("/").1.contains("The owner's feed http://127.0.0.1:1 cannot be read"));
    monitor.stop();
}

#[test]
fn a_token_that_is_not_there_is_a_fault_of_the_configuration() {
    let dir = fed_by_nobody();
    for word in ["once", "run"] {
        let ended = dir.output(&[word]);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("`feed.ca[0].token_file`: ") && said.contains("put the token"), "{said}");
    }
}
