//! A follower against a log in memory behind a real socket, honest and not.

mod crash;
mod endless;
#[path = "../../../tests/common/log_server.rs"]
mod server;
mod world;
mod wrong;

use atl::api::EntriesQuery;
use atl::merkle::{Hash, LeafIndex, TreeSize, verify_inclusion};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::world::{World, certificates};
use crate::finding::{Class, Finding};

fn detail<'a>(finding: &'a Finding, name: &str) -> &'a str {
    &finding.details.iter().find(|(found, _)| found == name).unwrap().1
}

/// The inclusion proof of an alert.
fn proof(finding: &Finding) -> Vec<Hash> {
    let text = detail(finding, "inclusion proof");
    let (_, hashes) = text.split_once(": ").unwrap();
    hashes.split(' ').map(|hash| Hash::from_slice(&STANDARD.decode(hash).unwrap()).unwrap()).collect()
}

#[tokio::test]
async fn a_log_is_read_up_to_its_newest_head_and_each_alert_is_proven() {
    let world = World::start().await;
    world.log.append(certificates(0..700), 500_000);
    let head = world.log.sign(599_000);
    let mut follower = world.follower();
    let round = follower.once().await.unwrap();
    assert!(round.is_complete(), "{round:?}");
    assert_eq!((round.verified, round.raised[&Class::Lookalike]), (head.size, 7));
    let alerts = world.alerts();
    assert_eq!(alerts.len(), 7);
    for alert in &alerts {
        let entry = alert.entry.as_ref().unwrap();
        let leaf = entry.cert_hash.leaf_hash();
        assert_eq!(verify_inclusion(&leaf, entry.index, head.size, &proof(alert), &head.root), Ok(()));
        assert!(detail(alert, "covered by").contains(&head.root.to_string()));
    }
    assert_eq!(world.told().len(), 14);
    let status = world.board.standing().logs["log.example/1"].clone();
    assert_eq!((status.head_size, status.downloaded, status.verified), (700, 700, 700));
    assert_eq!(
        (status.head_timestamp, status.last_verified_at.map(|at| at.get())),
        (Some(head.timestamp), Some(600_000))
    );
    assert_eq!(
        super::history::read(&world.state, &world.log.watched.origin).unwrap(),
        [(600_000, 700)].map(|(at, size)| (atl::time::UnixMillis::new(at), size))
    );
}

#[tokio::test]
async fn a_log_that_grows_is_read_on_from_the_middle_of_a_bundle() {
    let world = World::start().await;
    let mut follower = world.follower();
    let mut last = 0;
    for (n, size) in [0, 1, 255, 256, 257, 300, 768, 1111].into_iter().enumerate() {
        world.log.append(certificates(last..size), 600_000 + n as u64);
        world.log.sign(600_000 + n as u64);
        let round = follower.once().await.unwrap();
        assert!(round.is_complete() && round.verified == TreeSize::new(size), "{size}: {round:?}");
        last = size;
    }
    assert_eq!(world.told().len(), 22);
    // Nothing new costs two requests.
    world.log.asked();
    assert!(follower.once().await.unwrap().is_complete());
    let mut asked = world.log.asked();
    asked.sort_unstable();
    assert_eq!(asked, ["/atl/v1/get-sth", "/checkpoint"]);
}

#[tokio::test]
async fn a_bundle_that_is_larger_than_its_share_is_fetched_when_it_is_the_next_one() {
    let mut world = World::start().await;
    world.pace.octets = 4 * 16_384;
    let large = |n: u64| format!("certificate {n} {}", "x".repeat(100)).into_bytes();
    world.log.append(certificates(0..1024).chain((1024..1280).map(large)).chain(certificates(1280..2304)), 500_000);
    world.log.sign(599_000);
    let mut follower = world.follower();
    assert!(follower.once().await.unwrap().is_complete());
    assert_eq!(world.alerts_of(Class::BadTile), []);
    let asked = world.log.asked();
    let times = |path: &str| asked.iter().filter(|asked| asked.ends_with(path)).count();
    assert_eq!((times("/tile/certs/004"), times("/tile/certs/003"), times("/tile/certs/005")), (2, 1, 1));
    // What comes before it is asked for before it is asked for once more.
    let last = |path: &str| asked.iter().rposition(|asked| asked.ends_with(path)).unwrap();
    assert!(last("/tile/certs/004") > last("/tile/certs/003"));
}

#[tokio::test]
async fn a_week_behind_is_caught_up_with_a_few_bundles_at_a_time() {
    let world = World::start().await;
    let size = 20_480 + 17;
    world.log.append(certificates(0..size), 500_000);
    world.log.sign(599_000);
    let round = world.follower().once().await.unwrap();
    assert!(round.is_complete(), "{round:?}");
    assert_eq!(round.raised[&Class::Lookalike], 205);
    assert!(world.log.most_open() <= world.pace.at_once, "{}", world.log.most_open());
    // Each bundle once, and no page of entries.
    let asked = world.log.asked();
    assert_eq!(asked.iter().filter(|path| path.starts_with("/tile/certs/")).count(), 81);
    assert!(!asked.iter().any(|path| path.contains("get-entries")));
}

#[tokio::test]
async fn pruned_certificates_leave_their_hashes() {
    let world = World::start().await;
    world.log.append(certificates(0..600), 500_000);
    world.log.prune(400);
    world.log.sign(599_000);
    let round = world.follower().once().await.unwrap();
    assert!(round.is_complete(), "{round:?}");
    assert_eq!(world.alerts().iter().map(|alert| alert.class).collect::<Vec<_>>(), [Class::Lookalike; 2]);
}

#[tokio::test]
async fn heads_of_two_sizes_are_both_reached() {
    let world = World::start().await;
    world.log.append(certificates(0..300), 500_000);
    let first = world.log.sign(550_000);
    world.log.append(certificates(300..400), 560_000);
    let second = world.log.sign(599_000);
    world.log.show(first, second);
    let round = world.follower().once().await.unwrap();
    assert!(round.is_complete() && round.verified == second.size, "{round:?}");
}

#[tokio::test]
async fn a_service_reads_until_it_is_stopped() {
    let world = World::start().await;
    world.log.append(certificates(0..300), 500_000);
    world.log.sign(599_000);
    let (asked, mut rounds) = tokio::sync::mpsc::unbounded_channel();
    world.log.lie(move |path| {
        if path == "/checkpoint" {
            let _ = asked.send(());
        }
        None
    });
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(world.follower().run(stopped));
    rounds.recv().await.unwrap();
    rounds.recv().await.unwrap();
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(world.board.standing().logs["log.example/1"].verified, 300);
}

#[test]
fn the_test_log_gives_pages_as_small_as_a_log_may() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::start().await;
        world.log.append(certificates(0..300), 1);
        world.log.sign(2);
        let query = EntriesQuery { start: LeafIndex::new(10), end: LeafIndex::new(299) };
        let client = atl::client::LogClient::new(&world.log.watched.url).unwrap();
        assert_eq!(client.entries(query).await.unwrap().entries.len(), 100);
    });
}
