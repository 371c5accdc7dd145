//! What is wrong with a single entry.

use atl::apki::Certificate;
use atl::apki::oid;
use atl::apki::precertificate::extension_der;
use atl::time::{Clock, SystemClock, UnixMillis};

use crate::log_server::TestLog;
use crate::make::{HOUR, MINUTE, NOW, delegation, draft, extension_of, provenance, score};
use crate::scene::{Scene, explains};
use crate::webhook::{detail, text};

const TABLES: &str = r#"
[owner]
domains = ["bank.example", "cybersecai.co.uk"]
organizations = ["ExampleBank"]
demand_delegation = true
max_score = 90
max_scores = { "small.bank.example" = 20 }
allow = ["bank-partner.example.net", "cybersecai.org"]

[rules]
bulk_new_ca = 30
"#;

/// Agents that a CA that nobody has seen before may register in an hour, by that configuration.
const USUAL: usize = 30;

/// A score of 50 whose tier says full.
const WRONG_TIER: &str = "301a0201320a0104020100180f32303236303431303132303030305a";

/// Each rule that an entry can break by itself: the class, an entry that does, and what its alert has to say.
fn broken() -> Vec<(&'static str, Certificate, &'static str)> {
    let tier = extension_der(&oid::AGENT_TRUST_SCORE, false, &hex::decode(WRONG_TIER).unwrap());
    let garbage = extension_der(&oid::AGENT_CAPABILITIES, false, &[0x30, 0x03, 0x02, 0x01]);
    let mut rootless = delegation([7; 32], 0);
    rootless.human_principal = None;
    vec![
        (
            "entry.foreign-organization",
            draft("agent://agents.other.example/examplebank/worker/foreign").bare(),
            "claims to be of \"examplebank\", from the trust domain agents.other.example",
        ),
        (
            "entry.undelegated-organization",
            draft("agent://agents.bank.example/tellers/worker/alone")
                .with("provenance", extension_of(&provenance("examplebank")))
                .bare(),
            "nobody has delegated to it",
        ),
        (
            "entry.score-above-policy",
            draft("agent://small.bank.example/tellers/worker/proud").with("score", extension_of(&score(21))).bare(),
            "21",
        ),
        (
            "entry.tier-mismatch",
            draft("agent://agents.bank.example/tellers/worker/tier").with("score", tier).bare(),
            "50",
        ),
        (
            "entry.malformed-extension",
            draft("agent://agents.bank.example/tellers/worker/garbage")
                .with("capabilities", garbage)
                .without("attestation")
                .bare(),
            "agentCapabilities",
        ),
        (
            "entry.validity-out-of-bounds",
            draft("agent://agents.shop.example/tellers/worker/old").valid(NOW, 24 * HOUR + 1000).bare(),
            "is valid for 86401 s",
        ),
        (
            "entry.profile",
            draft("agent://agents.shop.example/tellers/worker/careless").without("aki").bare(),
            "no authorityKeyIdentifier",
        ),
        (
            "entry.delegation-root",
            draft("agent://agents.shop.example/tellers/worker/rootless")
                .with("delegation", extension_of(&rootless))
                .bare(),
            "stands at the root of a delegation that is none",
        ),
        (
            "entry.lookalike",
            draft("agent://cybersec-ai.co.uk/tellers/worker/imitator").bare(),
            "cybersec-ai.co.uk looks like cybersecai.co.uk",
        ),
    ]
}

/// What keeps every rule, some of it just so.
fn innocent() -> Vec<Certificate> {
    let ours = |uri| draft(uri).with("delegation", extension_of(&delegation([0; 32], 0)));
    vec![
        draft("agent://agents.bank.example/tellers/worker/one").bare(),
        draft("agent://agents.bank.example/tellers/worker/one").precertificate(),
        draft("agent://agents.shop.example/tellers/worker/two").valid(NOW, 24 * HOUR).bare(),
        draft("agent://agents.shop.example/tellers/worker/three").valid(NOW, 5 * MINUTE).bare(),
        draft("agent://agents.bank.example/tellers/worker/four").with("score", extension_of(&score(90))).bare(),
        draft("agent://agents.shop.example/tellers/worker/five").with("score", extension_of(&score(100))).bare(),
        ours("agent://agents.bank.example/examplebank/worker/six").bare(),
        ours("agent://bank-partner.example.net/examplebank/worker/seven").bare(),
        draft("agent://cybersecai.org/tellers/worker/eight").bare(),
        draft("agent://cyberport.co.uk/tellers/worker/nine").bare(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_that_an_entry_breaks_is_told_and_the_innocent_are_let_be() {
    let log = TestLog::start("log.example/1").await;
    let before = innocent();
    log.append(before.iter().map(|certificate| certificate.der().to_vec()), now());
    log.sign(now());
    let scene = Scene::new(&[&log], TABLES, |_| {}).await;
    scene.verified(&log, before.len() as u64);
    // They come while the monitor looks: the rules in one batch, then a CA that nobody has seen with too many agents.
    let (broken, from) = (broken(), before.len());
    log.append(broken.iter().map(|(_, certificate, _)| certificate.der().to_vec()), now());
    let agent = |n: usize| draft(&format!("agent://agents.burst.example/tellers/worker/a{n}")).bare();
    let burst: Vec<_> = (0..2 * USUAL).map(agent).collect();
    log.append_below(&[b"a CA".to_vec()], burst.iter().map(|certificate| certificate.der().to_vec()), now());
    let head = log.sign(now());
    scene.verified(&log, head.size.get());

    let alerts = scene.alerts(broken.len() + 1);
    for (n, (class, certificate, words)) in broken.iter().enumerate() {
        let alert = alerts.get(*class).unwrap_or_else(|| panic!("{class}: {alerts:#?}"));
        explains(alert, &log, head, (from + n) as u64, certificate);
        assert!(text(alert, "summary").contains(words), "{class}: {alert:#}");
        assert!(!detail(alert, "rule").is_empty() && detail(alert, "issuer").contains("CA 1"), "{alert:#}");
        assert!(detail(alert, "entry").starts_with(&format!("leaf {} of log.example/1", from + n)), "{alert:#}");
    }
    // The one that was too many is shown, as far as many are counted exactly.
    let bulk = &alerts["entry.bulk-registration"];
    let first = head.size.get() - burst.len() as u64;
    let shown = bulk["entry"]["index"].as_u64().unwrap() - first;
    assert!((20..45).contains(&shown), "{bulk:#}");
    explains(bulk, &log, head, first + shown, &burst[shown as usize]);
    assert!(text(bulk, "summary").contains(" agents within the hour from 20"), "{bulk:#}");
    assert_eq!(detail(bulk, "limit"), "30 agents an hour");
    // The owner's own page says the same.
    let (status, page) = scene.monitor.get(&format!("/alerts/{}", text(bulk, "id")));
    assert!(status == 200 && page.contains("agents within the hour") && page.contains("inclusion proof"), "{page}");
    scene.monitor.stop();
}

fn now() -> u64 {
    let now: UnixMillis = SystemClock.now();
    now.get()
}
