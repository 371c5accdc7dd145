//! What has to be asked of logs: parents of delegations, and entries that should be in another log.

use std::path::Path;
use std::process::Output;

use atl::apki::Certificate;
use atl::apki::precertificate::recover;
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::time::{Clock, SystemClock, UnixMillis};
use serde_json::Value;

use crate::agents::{self, Agent, Profile, SCOPE, TOOL, World, capabilities, capability, delegation};
use crate::log_server::TestLog;
use crate::make::draft;
use crate::process::eventually;
use crate::scene::{Scene, explains};
use crate::webhook::{detail, text};

const TABLES: &str = r#"
[rules]
profile = false
merge_delay_seconds = 1
expect_in = [["one.example/1", "two.example/1"]]
expect_within_seconds = 1
"#;

/// A precertificate of this agent, and the final certificate with a timestamp of `log` from `at`.
fn promised(world: &World, name: &str, log: &TestLog, at: u64) -> (Certificate, Certificate) {
    let key = agents::Key::ed25519(90);
    let precertificate = agents::precertificate(&Profile::new(name, 50).draft(&key, &world.ca), &world.ca.key);
    let hash = CertHash::of_certificate(precertificate.der());
    let sat = SignedAgentTimestamp::sign(&log.signer, UnixMillis::new(at), hash).unwrap();
    let certificate = agents::finish(&precertificate, vec![sat], &world.ca.key);
    (precertificate, certificate)
}

/// `verify-evidence` of what an alert names, with the keys of these logs.
fn verify(scene: &Scene, alert: &Value, logs: &[&TestLog]) -> (Option<i32>, String) {
    let dir = scene.dir.path("data/evidence").join(text(alert, "evidence"));
    let Output { status, stdout, stderr } = verify_evidence(&dir, logs);
    (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

fn verify_evidence(dir: &Path, logs: &[&TestLog]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_atl-monitor"));
    command.arg("verify-evidence").arg(dir);
    logs.iter().for_each(|log| _ = command.arg("--key").arg(log.watched.key.to_string()));
    command.output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn delegations_are_run_again_from_the_logs_and_promises_of_other_logs_are_held() {
    let (one, two) = (TestLog::start_with("one.example/1", 7).await, TestLog::start_with("two.example/1", 8).await);
    let world = World::new();
    let chain = [world.ca.certificate.der().to_vec(), world.root.certificate.der().to_vec()];
    let now = SystemClock.now().get();
    let at = now - 120_000;
    let der = |certificates: &[&Certificate]| certificates.iter().map(|c| c.der().to_vec()).collect::<Vec<_>>();

    let parent = world.agent(&Profile::new("parent", 60).principal());
    let modest = world.child(Profile::new("modest", 60), &parent);
    let mut more = Profile::new("grown", 60);
    more.capabilities = Some(capabilities(&[capability(TOOL, SCOPE), capability(TOOL, "accounts/write")]));
    let grown: Agent = world.child(more, &parent);
    let mut lost = Profile::new("orphan", 50);
    lost.delegation = Some(delegation([9; 32], 1, None));
    let orphan = world.agent(&lost);
    let (kept_before, kept) = promised(&world, "kept", &two, at);
    let (_, broken) = promised(&world, "broken", &two, at);
    let both = draft("agent://agents.shop.example/tellers/worker/both").bare();
    let lonely = draft("agent://agents.shop.example/tellers/worker/lonely").bare();

    // The parent is in one log, its children in the other.
    two.append_below(&chain, der(&[&parent.certificate, &both, &kept_before]), at);
    two.sign(now);
    one.append_below(&chain, der(&[&modest.certificate, &grown.certificate, &orphan.certificate]), at);
    one.append_below(&chain, der(&[&kept_before, &kept, &broken, &both, &lonely]), at);
    let head = one.sign(now);
    let scene = Scene::new(&[&one, &two], TABLES, |_| {}).await;
    scene.verified(&one, 8);
    scene.verified(&two, 3);
    let logs = [&*one, &*two];

    let soon = || {
        let told = scene.hook.told();
        (told.len() >= 3).then_some(told)
    };
    eventually("three are told at once, and the orphan later", soon);
    let alerts = scene.alerts(4);
    let missing = &alerts["entry.missing-from-other-log"];
    explains(missing, &one, head, 7, &lonely);
    let summary = "entry 7 of one.example/1 should be in two.example/1 too, and is not";
    assert_eq!((text(missing, "log"), text(missing, "summary")), ("two.example/1", summary));

    let not_included = &alerts["log.not-included"];
    explains(not_included, &one, head, 5, &broken);
    assert_eq!(text(not_included, "log"), "two.example/1");
    assert_eq!(detail(not_included, "the SAT was found in"), "one.example/1, entry 5");
    let precertificate = recover(&broken).unwrap().unwrap().precertificate_der;
    let hash = CertHash::of_certificate(&precertificate).to_string();
    assert_eq!(detail(not_included, "certificate, SHA-256 as submitted"), hash);

    // The fraud proof: both certificates, both proofs, and anybody comes to the same conclusion.
    let expanded = &alerts["entry.delegation-expanded"];
    explains(expanded, &one, head, 1, &grown.certificate);
    assert!(detail(expanded, "certificate").contains(grown.uri().as_str()), "{expanded:#}");
    assert!(detail(expanded, "parent").contains(parent.uri().as_str()), "{expanded:#}");
    assert!(detail(expanded, "violation").contains("accounts/write"), "{expanded:#}");
    let (code, said) = verify(&scene, expanded, &logs);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("PROVEN") && said.contains("The key is one that you gave."), "{said}");
    let (code, said) = verify(&scene, expanded, &[&one]);
    assert_eq!(code, Some(1), "a proof of a log that nobody knows: {said}");

    let unresolved = &alerts["entry.parent-unresolved"];
    explains(unresolved, &one, head, 2, &orphan.certificate);
    assert!(detail(unresolved, "certificate below it").contains(orphan.uri().as_str()), "{unresolved:#}");
    assert_eq!(detail(unresolved, "parent's certificate, SHA-256"), CertHash::new([9; 32]).to_string());
    for alert in [missing, not_included, unresolved] {
        let (code, said) = verify(&scene, alert, &logs);
        assert_eq!((code, said.starts_with("SUSPICION ONLY")), (Some(3), true), "{said}");
    }
    scene.monitor.stop();
}
