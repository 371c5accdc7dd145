//! A monitor of logs that are processes of their own: what it says of an honest one, as a witness too, of one that goes
//! away and comes back, and of one that does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "../../tests/common/agents.rs"]
mod agents;
#[path = "common/log_server.rs"]
mod log_server;
#[path = "common/process.rs"]
mod process;

use std::fs;
use std::process::{Command, Output};

use agents::{HOUR, Key, MINUTE, Profile, World, finish, pem_of, precertificate};
use atl::api::{B64, SubmitEntryRequest};
use atl::apki::Certificate;
use atl::client::LogClient;
use atl::keys::{Ed25519Signer, Signer};
use atl::log::audit::{AuditStatement, Verdict, open_audit};
use atl::log::checkpoint::checkpoint_of;
use atl::log::cosignature::{WitnessKey, WitnessQuorum, cosigned_at};
use atl::log::note::{Note, VerifierKey};
use atl::log::sat::SignedAgentTimestamp;
use atl::merkle::TreeSize;
use atl::time::{Clock, SystemClock};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use log_server::TestLog;
use process::{HonestLog, Monitor, MonitorDir, atl, eventually, write_secret};
use serde_json::Value;

const ORIGIN: &str = "log.example/2026";

/// Submits a precertificate of this name that is valid now, and gives the final certificate.
async fn enrol(world: &World, log: &HonestLog, name: &str) -> Certificate {
    let now = SystemClock.now();
    let mut profile = Profile::new(name, 50);
    (profile.not_before, profile.not_after) = (now.saturating_sub(MINUTE), now.saturating_add(HOUR));
    let precertificate = precertificate(&profile.draft(&Key::ed25519(90), &world.ca), &world.ca.key);
    let chain = world.ca.chain().iter().map(|ca| B64(ca.der().to_vec())).collect();
    let request = SubmitEntryRequest { submission: B64(precertificate.der().to_vec()), entry_type: None, chain };
    let answer = LogClient::new(&log.url()).unwrap().submit(&request).await.unwrap();
    let sat = SignedAgentTimestamp::from_der(answer.sat.as_slice()).unwrap();
    finish(&precertificate, vec![sat], &world.ca.key)
}

/// Waits until the monitor has verified so many entries of the log.
fn verified(monitor: &Monitor, origin: &str, size: u64) {
    let line = format!("atl_monitor_verified_entries{{log=\"{origin}\"}}");
    eventually("the entries are verified", || (monitor.metric(&line)? == size as f64).then_some(()));
}

fn alerts(monitor: &Monitor) -> Vec<Value> {
    serde_json::from_str(&monitor.get("/alerts").1).unwrap()
}

/// The log's checkpoint as anybody gets it, with the key that signed it.
async fn checkpoint(log: &HonestLog) -> (Note, VerifierKey) {
    let text = LogClient::new(&log.url()).unwrap().checkpoint().await.unwrap();
    (Note::parse(text.as_bytes()).unwrap(), log.vkey.parse().unwrap())
}

/// What the monitor says of the log with this key.
fn audit(monitor: &Monitor, dir: &MonitorDir, log: &VerifierKey) -> AuditStatement {
    let (status, note) = monitor.get(&format!("/audit/v1/{}", log.key().log_id()));
    assert_eq!(status, 200, "{note}");
    open_audit(note.as_bytes(), &dir.vkey().parse().unwrap()).unwrap()
}

/// `atl verify` of a relying party that wants the log audited by the monitor with this key.
fn relying_party(dir: &MonitorDir, log: &HonestLog, monitor: &Monitor, vkey: &str) -> Output {
    let key: VerifierKey = log.vkey.parse().unwrap();
    let spki = STANDARD.encode(key.key().spki_der());
    let text = format!(
        "[policy]\nminimum_score = 40\naudited_within_seconds = 3600\n[policy.revocation]\nmode = \"off\"\n\
         [[domains]]\nname = {:?}\nroots = {:?}\n[[logs]]\nurl = {:?}\nkey = {spki:?}\noperator = \"Example Ltd\"\n\
         [[monitors]]\nvkey = {vkey:?}\nurl = {:?}\n[fetch]\naudits = true\n",
        agents::DOMAIN,
        log.dir.path().join("root.pem").display().to_string(),
        log.url(),
        monitor.url()
    );
    fs::write(dir.path("party.toml"), text).unwrap();
    let mut command = Command::new(atl());
    command.args(["verify", "--json", "--policy"]).arg(dir.path("party.toml")).arg(dir.path("agent.pem"));
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_log_is_verified_audited_and_cosigned() {
    let world = World::new();
    let mut log = HonestLog::start(ORIGIN, &pem_of(std::slice::from_ref(&world.root.certificate)));
    let agent = enrol(&world, &log, "one").await;
    enrol(&world, &log, "two").await;
    let witness = Ed25519Signer::from_seed(&[33; 32]).unwrap();
    let key = WitnessKey::new("monitor.example".parse().unwrap(), witness.public_key().clone()).unwrap();
    let more = format!("witnesses = [\"{key}\"]\n[witness]\nkey_file = \"witness-key.pem\"\n");
    let dir = MonitorDir::new("monitor.example", &[(&log.url(), &log.vkey)], &more);
    write_secret(&dir.path("witness-key.pem"), &witness.to_pkcs8_pem().unwrap());
    let monitor = dir.start();

    // It is verified, and metrics, readiness and the page say so.
    verified(&monitor, ORIGIN, 2);
    let ready = eventually("the monitor is ready", || {
        let (status, text) = monitor.get("/readyz");
        (status == 200).then(|| serde_json::from_str::<Value>(&text).unwrap())
    });
    assert_eq!((&ready["ready"], &ready["checks"][1]["name"]), (&true.into(), &ORIGIN.into()));
    let log_metric = |name: &str| monitor.metric(&format!("atl_monitor_{name}{{log=\"{ORIGIN}\"}}"));
    assert_eq!(log_metric("backlog_entries"), Some(0.0));
    assert_eq!((log_metric("log_failing"), log_metric("log_frozen")), (Some(0.0), Some(0.0)));
    let since = SystemClock.now().get() as f64 / 1000.0 - log_metric("last_verified_timestamp_seconds").unwrap();
    assert!((-1.0..60.0).contains(&since), "{since}");
    assert!(log_metric("head_age_seconds").unwrap() < 60.0);
    assert_eq!(monitor.get("/healthz"), (200, "ok\n".into()));

    // The audit statement is about the tree that the log shows to everybody, and relying parties go by it.
    let (note, vkey) = checkpoint(&log).await;
    let shown = checkpoint_of(&note, &vkey).unwrap();
    let said = audit(&monitor, &dir, &vkey);
    assert_eq!((said.size, said.root, said.verdict), (TreeSize::new(2), shown.root, Verdict::Consistent));
    assert_eq!((said.origin.as_str(), shown.size), (ORIGIN, TreeSize::new(2)));
    fs::write(dir.path("agent.pem"), pem_of(&[&[agent][..], &world.ca.chain()].concat())).unwrap();
    let output = relying_party(&dir, &log, &monitor, &dir.vkey());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let stranger = MonitorDir::new("stranger.example", &[], "");
    let output = relying_party(&dir, &log, &monitor, &stranger.vkey());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("sat.audit"), "{output:?}");

    // Now the log asks the monitor to cosign, and everybody who wants a witness has one.
    log.pause();
    let config = log.dir.path().join("log/log.toml");
    let tables = format!("\n[[witnesses]]\nurl = \"{}\"\nvkey = \"{key}\"\n", monitor.url());
    fs::write(&config, fs::read_to_string(&config).unwrap() + &tables).unwrap();
    log.resume();
    enrol(&world, &log, "three").await;
    let quorum = WitnessQuorum::new(vec![key.clone()], 1).unwrap();
    let cosigned = async {
        loop {
            let (note, vkey) = checkpoint(&log).await;
            if checkpoint_of(&note, &vkey).unwrap().size == TreeSize::new(3)
                && quorum.check(&note, SystemClock.now()).is_ok()
            {
                return note;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let note =
        tokio::time::timeout(process::PATIENCE, cosigned).await.expect("the witness stands behind three entries");
    let at = cosigned_at(&note, std::slice::from_ref(&key)).unwrap()[0].unwrap().to_millis();
    assert!(SystemClock.now().since(at) < HOUR);
    verified(&monitor, ORIGIN, 3);
    let line = format!("atl_monitor_cosigned_size{{log=\"{ORIGIN}\",witness=\"monitor.example\"}}");
    eventually("the cosignature is seen", || (monitor.metric(&line)? == 3.0).then_some(()));
    let (_, page) = monitor.get("/");
    assert!(page.contains("monitor.example: 3 entries"), "{page}");
    assert!(page.contains("The log is in order, as far as it has shown itself."), "{page}");

    assert_eq!(alerts(&monitor).iter().filter(|alert| alert["finding"]["class"] != "entry.profile").count(), 0);
    monitor.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_goes_away_is_told_once_and_read_on_when_it_is_back() {
    let world = World::new();
    let mut log = HonestLog::start(ORIGIN, &pem_of(std::slice::from_ref(&world.root.certificate)));
    enrol(&world, &log, "one").await;
    let (url, vkey) = (log.url(), log.vkey.clone());
    let more = format!(
        "[rules]\nprofile = false\n[server]\nmax_verified_age_seconds = 2\n\
         [[logs]]\nurl = {url:?}\nvkey = {vkey:?}\npoll_seconds = 1\nmax_head_age_seconds = 4\n"
    );
    let dir = MonitorDir::new("monitor.example", &[], &more);
    let monitor = dir.start();
    verified(&monitor, ORIGIN, 1);

    log.pause();
    let unreachable = || {
        let all = alerts(&monitor);
        all.into_iter().filter(|alert| alert["finding"]["class"] == "log.unreachable").collect::<Vec<_>>()
    };
    let told = eventually("the outage is told", || Some(unreachable()).filter(|told| !told.is_empty()));
    let summary = told[0]["finding"]["summary"].as_str().unwrap();
    assert!(summary.starts_with("log.example/2026 cannot be read since 20"), "{summary}");
    let failing = format!("atl_monitor_log_failing{{log=\"{ORIGIN}\"}}");
    assert_eq!(monitor.metric(&failing), Some(1.0));
    eventually("it is not ready any more", || (monitor.get("/readyz").0 == 503).then_some(()));
    // An outage of a log is nothing that a restart of the monitor would cure.
    assert_eq!(monitor.get("/healthz").0, 200);
    let (_, page) = monitor.get("/");
    assert!(page.contains("1 of 1 logs cannot be checked right now."), "{page}");
    // A monitor that starts again in the same outage does not tell it again.
    monitor.stop();
    let monitor = dir.start();
    let failed = || monitor.said().matches("a round did not come to its end").count();
    eventually("it tries", || (failed() >= 2).then_some(()));

    log.resume();
    enrol(&world, &log, "two").await;
    verified(&monitor, ORIGIN, 2);
    assert_eq!(monitor.metric(&failing), Some(0.0));
    eventually("it is ready again", || (monitor.get("/readyz").0 == 200).then_some(()));
    let after = alerts(&monitor).into_iter().filter(|alert| alert["finding"]["class"] == "log.unreachable");
    assert_eq!(after.map(|alert| alert["finding"].clone()).collect::<Vec<_>>(), [told[0]["finding"].clone()]);
    monitor.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_signs_nothing_new_is_told_once() {
    let log = TestLog::start(ORIGIN).await;
    let now = SystemClock.now().get();
    log.append([b"an entry".to_vec()], now - 10 * MINUTE);
    log.sign(now - 10 * MINUTE);
    let url = log.watched.url.clone();
    let dir =
        MonitorDir::new("monitor.example", &[(&url, &log.watched.key.to_string())], "[rules]\nextensions = false\n");
    let monitor = dir.start();
    verified(&monitor, ORIGIN, 1);
    log.asked();
    let mut polls = 0;
    eventually("it is looked at a few times more", || {
        polls += log.asked().iter().filter(|path| path.ends_with("get-sth")).count();
        (polls >= 3).then_some(())
    });
    let told = alerts(&monitor);
    let classes: Vec<_> = told.iter().map(|alert| alert["finding"]["class"].as_str().unwrap()).collect();
    assert_eq!(classes, ["log.stale-head"]);
    let age = format!("atl_monitor_head_age_seconds{{log=\"{ORIGIN}\"}}");
    assert!(monitor.metric(&age).unwrap() >= 600.0);
    log.sign(SystemClock.now().get());
    eventually("the head is new again", || (monitor.metric(&age)? < 60.0).then_some(()));
    assert_eq!(alerts(&monitor).len(), 1);
    monitor.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_downloaded_unpacked_and_verified_by_somebody_else() {
    let log = TestLog::start(ORIGIN).await;
    let vkey = log.watched.key.to_string();
    let now = SystemClock.now().get();
    log.append([b"an entry".to_vec()], now - 2000);
    let honest = log.sign(now - 1000);
    let more = "public_url = \"https://monitor.example\"\n[rules]\nextensions = false\n";
    let dir = MonitorDir::new("monitor.example", &[(&log.watched.url, &vkey)], more);
    let monitor = dir.start();
    verified(&monitor, ORIGIN, 1);
    // The same size, and another root.
    let other = atl::merkle::leaf_hash(b"another");
    let lie = atl::log::sth::TreeHead { root: other, timestamp: SystemClock.now(), ..honest };
    log.show(lie, lie);
    eventually("health turns red", || (monitor.get("/healthz").0 == 503).then_some(()));
    let told = alerts(&monitor);
    let finding =
        &told.iter().find(|alert| alert["finding"]["class"] == "log.same-size-other-root").unwrap()["finding"];
    let evidence = finding["evidence"].as_str().unwrap();

    // The alert has a page, which leads to the evidence.
    let (_, overview) = monitor.get("/");
    let (_, link) = overview.split_once("href=\"/alerts/").unwrap();
    let (status, page) = monitor.get(&format!("/alerts/{}", &link[..32]));
    assert_eq!(status, 200);
    let archive = format!("/evidence/{evidence}.tar");
    for words in [archive.as_str(), "Stop trusting its timestamps", "It proves everything, offline, to anybody"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(monitor.get("/alerts/00000000000000000000000000000000").0, 404);
    assert_eq!(monitor.get(&format!("/evidence/{}.tar", "0".repeat(64))).0, 404);

    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let answer = http.get(monitor.url() + &archive).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
        (200, "application/x-tar")
    );
    let octets = answer.bytes().await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("evidence.tar"), &octets).unwrap();
    let unpacked = Command::new("tar").args(["-xf", "evidence.tar"]).current_dir(elsewhere.path()).output().unwrap();
    assert!(unpacked.status.success(), "{unpacked:?}");
    let verify = |key: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atl-monitor"));
        let names = fs::read_dir(elsewhere.path()).unwrap().map(|entry| entry.unwrap().path());
        let unpacked: Vec<_> = names.filter(|path| path.is_dir()).collect();
        assert_eq!(unpacked.len(), 1, "{unpacked:?}");
        let output = command.arg("verify-evidence").arg(&unpacked[0]).args(["--key", key]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = verify(&vkey);
    assert!(code == Some(0) && said.starts_with("PROVEN"), "{said}");
    assert_eq!(verify(&dir.vkey()).0, Some(1), "of another log it proves nothing");

    // Relying parties are told, too.
    assert_eq!(audit(&monitor, &dir, &log.watched.key).verdict, Verdict::Inconsistent);
    monitor.stop();
}
