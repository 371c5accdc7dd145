//! Logs that do wrong: each thing has its finding, and reading goes on where it can.

use std::time::Duration;

use atl::log::bundle::{CertBundle, CertRow};
use atl::log::sth::TreeHead;
use atl::merkle::{Hash, TreeSize};
use atl::time::UnixMillis;

use super::server::Answer;
use super::world::{World, certificates};
use crate::finding::Class;

/// A world with a log of 700 entries.
async fn world() -> World {
    let world = World::start().await;
    world.log.append(certificates(0..700), 500_000);
    world.log.sign(599_000);
    world
}

fn subjects(world: &World, class: Class) -> Vec<String> {
    let mut subjects: Vec<_> = world.alerts_of(class).into_iter().map(|finding| finding.subject).collect();
    subjects.sort_unstable();
    subjects
}

#[tokio::test]
async fn a_missing_bundle_is_told_and_read_entry_by_entry() {
    for (path, subject) in [("/tile/certs/001", "certificates 1 missing"), ("/tile/entries/001", "entries 1 missing")] {
        let world = world().await;
        world.log.lie(move |asked| (asked == path).then(|| Answer::status(404)));
        let round = world.follower().once().await.unwrap();
        assert!(round.is_complete(), "{round:?}");
        assert_eq!(subjects(&world, Class::BadTile), [subject]);
        assert_eq!(world.alerts_of(Class::Lookalike).len(), 7);
    }
}

#[tokio::test]
async fn a_garbled_certificate_is_told_and_the_right_one_is_judged() {
    let world = world().await;
    let honest = world.log.honest("/tile/certs/001").body;
    let mut rows: Vec<CertRow> = CertBundle::from_octets(&honest).unwrap().into_rows();
    // Entry 350 is evil, and the bundle hides it.
    rows[350 - 256].certificate = Some(b"certificate 350".to_vec());
    let garbled = CertBundle::new(rows).unwrap().to_octets().unwrap();
    world.log.lie(move |asked| (asked == "/tile/certs/001").then(|| Answer::ok(garbled.clone())));
    let round = world.follower().once().await.unwrap();
    assert!(round.is_complete(), "{round:?}");
    assert_eq!(subjects(&world, Class::BadTile), ["bundle 1 certificate"]);
    assert_eq!(world.alerts_of(Class::Lookalike).len(), 7);
}

#[tokio::test]
async fn octets_that_are_no_bundle_are_told() {
    let world = world().await;
    world.log.lie(|asked| asked.starts_with("/tile/certs/002").then(|| Answer::ok(b"no bundle".to_vec())));
    assert!(world.follower().once().await.unwrap().is_complete());
    assert_eq!(subjects(&world, Class::BadTile), ["certificates 2 form"]);
}

#[tokio::test]
async fn entries_that_cannot_be_read_are_told_at_once_and_stop_the_reading_there() {
    let world = world().await;
    world
        .log
        .lie(|asked| (asked.contains("/tile/certs/001") || asked.contains("get-entries")).then(|| Answer::status(404)));
    let mut follower = world.follower();
    let round = follower.once().await.unwrap();
    assert!(round.trouble.as_ref().is_some_and(|trouble| trouble.unreadable), "{round:?}");
    assert_eq!((round.downloaded, round.verified), (TreeSize::new(256), TreeSize::EMPTY));
    assert_eq!(subjects(&world, Class::BadTile), ["bundle 1 missing", "certificates 1 missing"]);
    assert_eq!(world.alerts_of(Class::Lookalike).len(), 0);
    assert!(world.board.standing().logs["log.example/1"].error.is_some());
    world.log.be_honest();
    assert!(follower.once().await.unwrap().is_complete());
    assert_eq!(world.alerts_of(Class::Lookalike).len(), 7);
}

#[tokio::test]
async fn a_tile_that_is_not_what_the_entries_give_is_told() {
    let world = world().await;
    let mut garbled = world.log.honest("/tile/0/001").body;
    garbled[40] ^= 1;
    world.log.lie(move |asked| match asked {
        "/tile/0/001" => Some(Answer::ok(garbled.clone())),
        "/tile/0/000" => Some(Answer::status(404)),
        _ => None,
    });
    assert!(world.follower().once().await.unwrap().is_complete());
    assert_eq!(subjects(&world, Class::BadTile), ["tile 0/0 missing", "tile 0/1 hash"]);
}

#[tokio::test]
async fn a_log_that_dropped_the_narrow_bundles_is_read_from_the_wide_ones() {
    let world = world().await;
    let head = world.log.sign(599_000);
    world.log.append(certificates(700..800), 599_100);
    let later = world.log.sign(599_500);
    // The tree head is behind the checkpoint: its partial bundles are gone.
    world.log.show(TreeHead { timestamp: UnixMillis::new(599_050), ..head }, later);
    world.log.lie(|asked| asked.ends_with(".p/188").then(|| Answer::status(404)));
    let round = world.follower().once().await.unwrap();
    assert!(round.is_complete() && round.verified == later.size, "{round:?}");
    assert_eq!(world.alerts_of(Class::BadTile), []);
}

#[tokio::test]
async fn nothing_is_told_of_entries_whose_root_was_never_signed() {
    let world = world().await;
    let wrong = TreeHead { size: TreeSize::new(700), timestamp: UnixMillis::new(599_500), root: Hash::new([9; 32]) };
    world.log.show(wrong, wrong);
    let mut follower = world.follower();
    for at in [600_000, 650_000] {
        world.clock.set(at);
        let round = follower.once().await.unwrap();
        assert!(round.trouble.as_ref().is_some_and(|trouble| !trouble.unreadable), "{round:?}");
        assert_eq!((round.downloaded, round.verified), (TreeSize::EMPTY, TreeSize::EMPTY));
    }
    let alerts = world.alerts();
    assert_eq!(alerts.iter().map(|alert| alert.class).collect::<Vec<_>>(), [Class::RootMismatch]);
    assert!(alerts[0].details.iter().any(|(_, value)| value == &wrong.root.to_string()), "{alerts:?}");
    assert_eq!(world.told().len(), 1);
    // Twice each time.
    let bundles = world.log.asked().into_iter().filter(|path| path == "/tile/certs/000").count();
    assert_eq!(bundles, 4);
    world.log.sign(650_100);
    assert!(follower.once().await.unwrap().is_complete());
    assert_eq!(world.alerts_of(Class::Lookalike).len(), 7);
}

#[tokio::test]
async fn entries_that_were_wrong_once_are_read_once_more() {
    let world = world().await;
    let mut rows = CertBundle::from_octets(&world.log.honest("/tile/certs/001").body).unwrap().into_rows();
    rows[4].certificate = Some(b"evil and not there".to_vec());
    let garbled = CertBundle::new(rows).unwrap().to_octets().unwrap();
    let mut lies = 1;
    // Neither the list nor the pages are there to say otherwise, the first time.
    world.log.lie(move |asked| match asked {
        "/tile/certs/001" if lies > 0 => Some(Answer::ok(garbled.clone())),
        "/tile/entries/001" if lies > 0 => Some(Answer::status(404)),
        "/tile/certs/002.p/188" => {
            lies -= 1;
            None
        }
        _ => None,
    });
    let round = world.follower().once().await.unwrap();
    assert!(round.is_complete(), "{round:?}");
    assert_eq!(world.alerts_of(Class::Lookalike).len(), 7);
    assert_eq!(world.alerts_of(Class::RootMismatch), []);
}

#[tokio::test]
async fn times_that_cannot_be_are_told() {
    let world = World::start().await;
    world.heads.know(300, 200_000);
    world.log.append(certificates(0..300), 200_000);
    world.log.append([b"early".to_vec()], 199_999); // before the head of 300, and before its neighbour
    world.log.append([b"fine".to_vec()], 300_000);
    world.log.append([b"late".to_vec()], 599_001); // after the head that covers it
    world.log.sign(599_000);
    assert!(world.follower().once().await.unwrap().is_complete());
    assert_eq!(subjects(&world, Class::TimestampOutOfBounds), ["back 300", "entry 300"]);
    assert_eq!(subjects(&world, Class::EntryNewerThanHead), ["entry 302"]);
}

#[tokio::test]
async fn a_time_is_held_against_a_head_that_comes_after_the_checkpoint() {
    let world = World::start().await;
    world.log.append([b"late".to_vec()], 599_001);
    let head = world.log.sign(599_000);
    let none = TreeHead { size: TreeSize::EMPTY, root: atl::merkle::empty_root(), ..head };
    world.log.show(none, head);
    let mut follower = world.follower();
    assert!(follower.once().await.unwrap().is_complete());
    assert_eq!(world.alerts(), []);
    world.log.show(head, head);
    assert!(follower.once().await.unwrap().is_complete());
    assert_eq!(subjects(&world, Class::EntryNewerThanHead), ["entry 0"]);
}

#[tokio::test]
async fn a_log_that_asks_for_a_pause_keeps_what_was_read() {
    let world = world().await;
    let busy = Answer { status: 503, retry_after: Some(77), ..Answer::default() };
    world.log.lie(move |asked| asked.starts_with("/tile/certs/002").then(|| busy.clone()));
    let mut follower = world.follower();
    let round = follower.once().await.unwrap();
    let trouble = round.trouble.unwrap();
    assert_eq!((trouble.unreadable, trouble.retry_after.map(|wait| wait.as_secs())), (true, Some(77)));
    assert_eq!((round.downloaded, round.verified), (TreeSize::new(512), TreeSize::EMPTY));
    assert_eq!(world.alerts(), []);
    world.log.be_honest();
    world.log.asked();
    assert!(follower.once().await.unwrap().is_complete());
    assert!(!world.log.asked().iter().any(|path| path == "/tile/certs/000"));
}

#[tokio::test]
async fn an_outage_is_told_also_where_the_clock_is_set_back_in_it() {
    let world = world().await;
    let mut follower = world.follower();
    world.log.lie(|asked| asked.starts_with('/').then(|| Answer::status(500)));
    for (at, told) in [(9_000_000, 0), (1_000_000, 0), (1_299_999, 0), (1_300_000, 1)] {
        world.clock.set(at);
        assert!(follower.once().await.unwrap().trouble.is_some());
        assert_eq!(world.alerts_of(Class::Unreachable).len(), told, "{at}");
    }
}

#[tokio::test]
async fn an_outage_is_told_once_and_the_next_one_again() {
    let mut world = world().await;
    let down = |asked: &str| asked.starts_with('/').then(|| Answer::status(500));
    let mut told = Vec::new();
    for (at, is_down) in [
        (1_000_000, true),
        (1_299_999, true),
        (1_300_000, true),
        (1_400_000, true),
        (1_500_000, false),
        (1_600_000, true),
        (1_900_000, true),
    ] {
        world.clock.set(at);
        world.log.be_honest();
        world.log.sign(at - 1);
        if is_down {
            world.log.lie(down);
        }
        // Each in another process.
        world.reopen();
        let round = world.follower().once().await.unwrap();
        assert_eq!(round.trouble.is_some(), is_down);
        told.push(world.alerts_of(Class::Unreachable).len());
    }
    assert_eq!(told, [0, 0, 1, 1, 1, 1, 2]);
    assert_eq!(subjects(&world, Class::Unreachable), ["1000000", "1600000"]);
}

#[tokio::test]
async fn a_stalled_log_is_told_once_for_each_stall() {
    let world = world().await;
    let mut follower = world.follower();
    let mut told = Vec::new();
    for (signed, at) in
        [(599_000, 899_000), (599_000, 899_001), (599_000, 999_000), (999_500, 999_999), (999_500, 1_400_000)]
    {
        world.log.sign(signed);
        world.clock.set(at);
        assert!(follower.once().await.unwrap().is_complete());
        told.push(world.alerts_of(Class::StaleHead).len());
    }
    assert_eq!(told, [0, 1, 1, 1, 2]);
}

#[tokio::test]
async fn under_a_clock_that_is_far_ahead_nothing_that_was_noted_is_thinned_out() {
    let world = world().await;
    let mut follower = world.follower();
    let noted = || super::super::history::read(&world.state, &world.log.watched.origin).unwrap().len();
    for minute in 10..14 {
        world.clock.set(minute * 60_000);
        assert!(follower.once().await.unwrap().is_complete());
    }
    assert_eq!(noted(), 4);
    world.clock.set(100 * 86_400_000);
    assert!(follower.once().await.unwrap().is_complete());
    assert_eq!(noted(), 4);
    let stale = world.alerts_of(Class::StaleHead).pop().unwrap();
    assert!(stale.details.iter().any(|(name, _)| name == "this monitor's clock"), "{stale:?}");
    // A log that signs something of that time says that it is right.
    world.log.sign(100 * 86_400_000 - 1);
    assert!(follower.once().await.unwrap().is_complete());
    assert!(noted() < 4);
}

#[tokio::test]
async fn a_frozen_log_is_not_read() {
    let world = world().await;
    *world.heads.frozen.lock() = Some("ab".repeat(32));
    let round = world.follower().once().await.unwrap();
    assert_eq!((round.frozen.is_some(), round.is_complete()), (true, false));
    assert_eq!((round.head, round.downloaded), (Some(TreeSize::new(700)), TreeSize::EMPTY));
    assert!(!world.log.asked().iter().any(|path| path.starts_with("/tile/")));
    // It is no less frozen where it does not answer.
    world.log.lie(|_| Some(Answer::status(500)));
    assert!(world.follower().once().await.unwrap().frozen.is_some());
    assert!(world.board.standing().logs["log.example/1"].frozen.is_some());
}

#[tokio::test]
async fn a_head_that_is_not_signed_is_none() {
    let world = world().await;
    let other = atl::keys::Ed25519Signer::from_seed(&[8; 32]).unwrap();
    let head = world.log.sign(599_000);
    let crate::head::RawHead::Sth(sth) = atl::log::sth::SignedTreeHead::sign(&other, head).unwrap().into() else {
        panic!()
    };
    world.log.lie(move |asked| (asked == "/atl/v1/get-sth").then(|| Answer::json(&sth)));
    let round = world.follower().once().await.unwrap();
    // The checkpoint is a head, and is read up to; the round is not complete for that.
    assert_eq!((round.verified, round.is_complete()), (TreeSize::new(700), false));
    assert!(round.trouble.unwrap().unreadable);
}

#[tokio::test]
async fn a_wrong_proof_is_told_and_tiles_prove_instead() {
    let world = world().await;
    world.log.lie(|asked| {
        let proof = atl::api::ProofResponse {
            leaf_index: atl::merkle::LeafIndex::new(50),
            tree_size: TreeSize::new(700),
            inclusion: vec![Hash::new([1; 32]); 10],
        };
        asked.contains("get-proof-by-hash").then(|| Answer::json(&proof))
    });
    assert!(world.follower().once().await.unwrap().is_complete());
    assert_eq!(subjects(&world, Class::ProofGarbage), ["inclusion of 50"]);
    for alert in world.alerts_of(Class::Lookalike) {
        let (entry, root) = (alert.entry.clone().unwrap(), world.log.sign(599_000).root);
        let leaf = entry.cert_hash.leaf_hash();
        let proof = super::proof(&alert);
        assert_eq!(atl::merkle::verify_inclusion(&leaf, entry.index, TreeSize::new(700), &proof, &root), Ok(()));
    }
}

#[tokio::test]
async fn a_log_that_keeps_its_proofs_to_itself_holds_up_no_alert() {
    let mut world = world().await;
    world.pace.proofs = Duration::from_millis(200);
    world.log.lie(|asked| asked.contains("get-proof-by-hash").then(Answer::silence));
    let round = world.follower().once().await.unwrap();
    assert!(round.is_complete(), "{round:?}");
    let alerts = world.alerts_of(Class::Lookalike);
    assert_eq!(alerts.len(), 7);
    for alert in alerts {
        let says = |text: &str| alert.details.iter().any(|(_, value)| value.contains(text));
        assert!(says("the log did not give it in time") && says("the head of 700 entries"), "{alert:?}");
    }
}
