//! `kill -9` of the CA while it takes back the authority of some two hundred agents at once: all of it happened or
//! nothing, and who was told that it happened was told the truth.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

#[path = "common/ca_rig.rs"]
mod ca_rig;
#[path = "common/log_process.rs"]
mod log_process;
#[path = "common/log_proxy.rs"]
mod log_proxy;
#[path = "common/party.rs"]
mod party;
#[path = "common/pki.rs"]
mod pki;
#[path = "common/raw_http.rs"]
mod raw_http;
#[path = "common/status_asker.rs"]
mod status_asker;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use atl::api::ca::RevokeRequest;
use atl::apki::Certificate;
use atl::apki::status::RevocationReason;
use atl::ca::event::Event;
use atl::client::CaClient;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::ca_rig::*;
use self::log_process::Signal;
use self::log_proxy::Fault;
use self::party::{delegation, root};
use self::status_asker::{Asker, certificates, is_revoked};

/// How many agents are below each one of a generation, and what they may do: less than those above.
const GENERATIONS: [(usize, &[(&str, &str)]); 3] = [
    (6, &[("mcp://ledger", "read"), ("mcp://mail", "send"), ("mcp://files", "docs")]),
    (5, &[("mcp://mail", "send"), ("mcp://files", "docs")]),
    (6, &[("mcp://files", "docs")]),
];

/// Kills so near to each other are near enough.
const NEAR: Duration = Duration::from_millis(1);

/// `ATL_CRASH_ROUNDS` makes the run longer.
fn rounds() -> u32 {
    std::env::var("ATL_CRASH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(14)
}

/// A root and all below it, by serial number.
struct Tree {
    root: String,
    issuer: Certificate,
    agents: BTreeMap<Vec<u8>, String>,
}

impl Tree {
    fn grow(rig: &CaRig) -> Self {
        let a = root(rig, "payments/bot/a");
        let issuer = certificates(&a.dir.join("cert.pem")).remove(1);
        let mut tree = Self { root: a.uri.clone(), issuer, agents: BTreeMap::new() };
        tree.agents.insert(a.certificate().serial().to_vec(), a.uri.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut parents = vec![a.identity()];
        for (generation, (children, capabilities)) in GENERATIONS.into_iter().enumerate() {
            let (mut at_once, places) = (JoinSet::new(), Arc::new(Semaphore::new(12)));
            for (parent, identity) in parents.iter().enumerate() {
                let client = Arc::new(rig.client(Some(identity)));
                for child in 0..children {
                    let name = format!("payments/bot/g{generation}-{parent}-{child}");
                    let (client, places) = (Arc::clone(&client), Arc::clone(&places));
                    at_once.spawn_on(
                        async move {
                            let _place = places.acquire_owned().await.unwrap();
                            delegated(&client, &name, capabilities).await
                        },
                        runtime.handle(),
                    );
                }
            }
            parents = runtime
                .block_on(at_once.join_all())
                .into_iter()
                .map(|(name, identity)| {
                    tree.agents.insert(certificate(&identity).serial().to_vec(), uri(&name));
                    identity
                })
                .collect();
        }
        tree
    }

    fn serials(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.agents.keys().map(Vec::as_slice)
    }
}

/// A child, with its key and certificate in one text.
async fn delegated(client: &CaClient, name: &str, capabilities: &[(&str, &str)]) -> (String, String) {
    let (request, key) = delegation(name, capabilities);
    let mut answer = client.delegate(&request).await.unwrap().answer;
    while answer.certificate.is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer = client.request(&answer.id).await.unwrap().answer;
    }
    (name.to_owned(), key + &answer.certificate.unwrap().chain_pem)
}

fn certificate(pem: &str) -> Certificate {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    Certificate::parse(der.as_ref()).unwrap()
}

/// What a CA keeps, as it was once: its database, and what is beside that.
struct Snapshot {
    ca: PathBuf,
    copy: PathBuf,
}

impl Snapshot {
    fn take(rig: &CaRig) -> Self {
        let snapshot = Self { ca: rig.path("ca"), copy: rig.path("copy") };
        good(Command::new("cp").arg("-a").args([&snapshot.ca, &snapshot.copy]));
        snapshot
    }

    fn put_back(&self) {
        fs::remove_dir_all(&self.ca).unwrap();
        good(Command::new("cp").arg("-a").args([&self.copy, &self.ca]));
    }
}

/// What was heard of the CA before it was killed.
#[derive(Default)]
struct Heard {
    /// The answer to the revocation.
    answered: bool,
    /// Somebody was told by OCSP or a list that one of them is revoked.
    revoked: bool,
    /// The highest number of a list.
    number: u64,
}

/// When the CA is killed.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// Before anybody asks for the revocation.
    Before,
    /// So long after it was asked for.
    After(Duration),
    /// As soon as it was answered.
    Answered,
}

fn round(rig: &CaRig, tree: &Tree, kill: Kill) -> (Heard, Duration) {
    let ca = rig.start();
    let over = AtomicBool::new(false);
    let mut heard =
        Heard { number: Asker::new(&rig.url, tree.issuer.clone()).list().unwrap().number, ..Heard::default() };
    let mut took = Duration::ZERO;
    if let Kill::Before = kill {
        ca.kill();
        return (heard, took);
    }
    let (operator, client) = (rig.operator(), rig.client(None));
    // So that the connection is there, and the revocation takes no longer than it must.
    rig.ask(client.lineage(&operator, &tree.root)).unwrap();
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let asker = Asker::new(&rig.url, tree.issuer.clone());
            let (mut revoked, mut number) = (false, 0);
            for serial in tree.serials().cycle() {
                let (Ok(status), Ok(list)) = (asker.status(serial), asker.list()) else { break };
                revoked |= is_revoked(&status) || !list.entries.is_empty();
                assert!(list.number >= number, "the number of the list went back");
                number = list.number;
                if over.load(SeqCst) {
                    break;
                }
            }
            (revoked, number)
        });
        let revoker = scope.spawn(|| {
            let request = RevokeRequest {
                agent: Some(tree.root.parse().unwrap()),
                reason: RevocationReason::KeyCompromise,
                ..RevokeRequest::default()
            };
            let start = Instant::now();
            let answer = rig.ask(client.revoke(Some(&operator), &request));
            (answer, start.elapsed())
        });
        match kill {
            Kill::After(pause) => {
                std::thread::sleep(pause);
                ca.signal(Signal::KILL);
            }
            _ => {
                while !revoker.is_finished() {
                    std::thread::yield_now();
                }
            }
        }
        let (answer, lasted) = revoker.join().unwrap();
        ca.signal(Signal::KILL);
        over.store(true, SeqCst);
        if let Ok(answer) = &answer {
            assert_eq!(
                (answer.agents_total, answer.certificates_total),
                (tree.agents.len() as u64, answer.agents_total)
            );
        }
        let (revoked, number) = watch.join().unwrap();
        (heard.answered, heard.revoked, took) = (answer.is_ok(), revoked, lasted);
        heard.number = heard.number.max(number);
    });
    ca.wait().is_orderly();
    (heard, took)
}

/// Whether all of it happened; that journal, OCSP and lists agree on that, and with what was heard before.
fn all_or_nothing(rig: &CaRig, tree: &Tree, heard: &Heard) -> bool {
    let ca = rig.start();
    let asker = Asker::new(&rig.url, tree.issuer.clone());
    let list = asker.list().unwrap();
    assert!(list.number > heard.number, "{} is not above {}", list.number, heard.number);
    let statuses = asker.statuses(tree.serials()).unwrap();
    let revoked = statuses.iter().filter(|status| is_revoked(status)).count();
    assert!(revoked == 0 || revoked == tree.agents.len(), "{revoked} of {}", tree.agents.len());
    let listed = tree.serials().filter(|serial| list.entries.contains_key(*serial)).count();
    assert_eq!((listed, list.entries.len()), (revoked, revoked));
    let (_, rows) = rows(&rig.export().0);
    let journal: BTreeSet<Vec<u8>> = rows
        .iter()
        .filter_map(|row| match &row.event {
            Event::AgentRevoked { certificates, .. } => Some(certificates),
            _ => None,
        })
        .flatten()
        .map(|certificate| certificate.serial.as_bytes().to_vec())
        .collect();
    assert_eq!(journal, list.entries.keys().cloned().collect());
    let happened = revoked > 0;
    assert!(happened || !heard.answered, "what was answered is gone");
    assert!(happened || !heard.revoked, "what somebody was told is gone");
    ca.kill();
    let verified = rig.verify_database(&[]);
    assert!(verified.status.success(), "{}", text(&verified));
    happened
}

#[test]
fn a_cascade_happens_as_one_whenever_the_ca_is_killed() {
    let rig = CaRig::new(|config| {
        with_registry(config);
        config.issuance.log_timeout_ms = 10_000;
        let many = std::num::NonZeroU32::new(1000).unwrap();
        (config.per_token.per_second, config.per_token.burst) = (many, many);
    });
    let ca = rig.start();
    let start = Instant::now();
    let tree = Tree::grow(&rig);
    ca.stop();
    assert_eq!(tree.agents.len(), 217);
    println!("{} agents in {:?}", tree.agents.len(), start.elapsed());
    let snapshot = Snapshot::take(&rig);
    let (heard, _) = round(&rig, &tree, Kill::Before);
    assert!(!all_or_nothing(&rig, &tree, &heard));
    snapshot.put_back();
    let (heard, took) = round(&rig, &tree, Kill::Answered);
    assert!(heard.answered && all_or_nothing(&rig, &tree, &heard));
    // Ever nearer to the moment at which it is on the disk, from either side.
    let (mut before, mut after) = (Duration::ZERO, took);
    let (mut whole, mut answered) = (0, 0);
    for _ in 0..rounds() {
        snapshot.put_back();
        if after.saturating_sub(before) < NEAR {
            (before, after) = (before.saturating_sub(4 * NEAR), after + 4 * NEAR);
        }
        let pause = (before + after) / 2;
        let (heard, _) = round(&rig, &tree, Kill::After(pause));
        let happened = all_or_nothing(&rig, &tree, &heard);
        (before, after) = if happened { (before, pause) } else { (pause, after) };
        answered += u32::from(heard.answered);
        whole += u32::from(happened);
    }
    println!("of {} killed until {after:?}, {whole} had happened, {answered} were answered", rounds());
}

/// Certificates that were on their way when their parent was revoked and the CA was killed are not issued by the
/// next start.
#[test]
fn nobody_finishes_what_was_interrupted_below_whoever_is_revoked() {
    let rig = CaRig::new(|config| {
        with_registry(config);
        config.issuance.log_timeout_ms = 10_000;
    });
    let ca = rig.start();
    let a = root(&rig, "payments/bot/a");
    // It brings A's certificate into the logs.
    let first = a.child("payments/bot/first", &["mcp://mail send"], &[]);
    rig.logs.iter().for_each(|log| log.proxy.set(Fault::Hangs));
    let client = rig.client(Some(&a.identity()));
    let names: Vec<String> = (0..12).map(|n| format!("payments/bot/{n}")).collect();
    let requests: Vec<_> = names.iter().map(|name| delegation(name, &[("mcp://mail", "send")]).0).collect();
    std::thread::scope(|scope| {
        for request in &requests {
            // It is never answered.
            scope.spawn(|| rig.ask(client.delegate(request)).unwrap_err());
        }
        let under_way = || rig.open().iter().filter(|request| request.request.status == "processing").count();
        let deadline = Instant::now() + Duration::from_secs(8);
        while under_way() < names.len() {
            assert!(Instant::now() < deadline, "{} of {} are under way", under_way(), names.len());
            std::thread::sleep(Duration::from_millis(20));
        }
        let revoked = rig.ca(&["revoke"], &["--agent", &a.uri, "--reason", "keyCompromise"]);
        assert!(revoked.status.success(), "{}", text(&revoked));
        ca.signal(Signal::KILL);
    });
    ca.wait().is_orderly();
    rig.logs.iter().for_each(|log| log.proxy.set(Fault::None));
    let ca = rig.start();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !rig.open().is_empty() {
        assert!(Instant::now() < deadline, "{:?}", rig.open());
        std::thread::sleep(Duration::from_millis(50));
    }
    for name in &names {
        let certificates = rig.certificates(Some(&uri(name)));
        assert!(!certificates.is_empty() && certificates.iter().all(|c| c.status == "abandoned"), "{certificates:?}");
    }
    let asker = Asker::new(&rig.url, certificates(&a.dir.join("cert.pem")).remove(1));
    for party in [&a, &first] {
        assert!(is_revoked(&asker.status(party.certificate().serial()).unwrap()));
    }
    ca.stop();
    let verified = rig.verify_database(&[]);
    assert!(verified.status.success(), "{}", text(&verified));
}
