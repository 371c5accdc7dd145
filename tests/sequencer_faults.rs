//! The sequencer on a store that fails: whatever fails, and whenever, nothing that was answered is
//! lost or said twice differently, and nothing is signed that the store does not hold.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, clippy::print_stdout)]

#[path = "common/rig.rs"]
mod rig;

use std::time::Duration;

use atl::log::sth::SignedTreeHead;
use atl::log::store::{HeadKeeper as _, Kept, LogStore as _};
use atl::merkle::TreeSize;
use atl::sequencer::resume::ResumeError;
use atl::sequencer::task::{Fatal, Refusal, StartError};
use atl::storage::memory::{Call, Fault};

use rig::{RETENTION_MS, Rig, big, certificate};

/// When the fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    NewLog,
    Start,
    FirstBatch,
    LaterBatch,
    HeadSigning,
    Pruning,
}

/// What must come of it, where a guard decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The log does not start, or ends with a reason.
    Ends,
    /// How far the log has come is kept with a delay, at the latest when it is stopped.
    EndsWhenStopped,
    /// The submission is refused and the log goes on.
    Refused,
    /// The call is not made at this moment.
    Untouched,
}

fn expected(call: Call, fault: Fault, moment: Moment) -> Outcome {
    use Call::{Blobs, Commit, Find, KeepHead, LoadHead, Records, State};
    let known_wait = fault == Fault::Unavailable;
    match (moment, call) {
        (Moment::NewLog, State | LoadHead | Blobs | KeepHead | Commit) => Outcome::Ends,
        (Moment::Start, State | LoadHead | Blobs | Records) => Outcome::Ends,
        (Moment::FirstBatch, Find | Commit) | (Moment::LaterBatch, Find | Records | Commit) if known_wait => {
            Outcome::Refused
        }
        (Moment::FirstBatch, Find | Commit) | (Moment::LaterBatch, Find | Records | Commit) => Outcome::Ends,
        (Moment::FirstBatch | Moment::LaterBatch, KeepHead) => Outcome::EndsWhenStopped,
        (Moment::HeadSigning, Blobs | KeepHead | Commit) => Outcome::Ends,
        (Moment::Pruning, Blobs | KeepHead | Commit | Records) => Outcome::Ends,
        _ => Outcome::Untouched,
    }
}

/// Brings the log to the moment, lets the call fail, and says what became of it.
async fn strike(rig: &mut Rig, call: Call, fault: Fault, moment: Moment) -> Outcome {
    if moment == Moment::NewLog {
        rig.store.fail(call, 0, fault);
        return if rig.start().is_err() { Outcome::Ends } else { Outcome::Untouched };
    }
    let log = rig.start().unwrap();
    if moment != Moment::FirstBatch {
        let count = if moment == Moment::Pruning { 300 } else { 5 };
        rig.submit_all(&log, (0..count).map(certificate).collect()).await;
        rig.sign(&log).await.unwrap();
    }
    if moment == Moment::Start {
        log.stop().unwrap();
        rig.audit();
        rig.store.fail(call, 0, fault);
        return if rig.start().is_err() { Outcome::Ends } else { Outcome::Untouched };
    }
    let outcome = match moment {
        Moment::FirstBatch | Moment::LaterBatch => {
            // A known certificate beside new ones, so that its record is read.
            let batch = [1000, 1001, 1002, 0].map(certificate).to_vec();
            rig.store.fail(call, 0, fault);
            rig.submit_all(&log, batch).await
        }
        Moment::HeadSigning => {
            rig.submit_all(&log, vec![certificate(1000)]).await;
            rig.store.fail(call, 0, fault);
            rig.sign(&log).await.map_or(vec![Refusal::Stopped], |()| Vec::new())
        }
        _ => {
            rig.clock.advance(RETENTION_MS);
            // The head before the pruning commits as well; let the second of the two fail.
            rig.store.fail(call, usize::from(call == Call::Commit), fault);
            rig.clock.advance(100);
            let over = async {
                while rig.pruned() == 0 && log.failure().is_none() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), over).await.expect("prunes or ends");
            tokio::time::sleep(Duration::from_millis(20)).await;
            Vec::new()
        }
    };
    rig.audit();
    if log
        .ended_within(Duration::from_millis(if expected(call, fault, moment) == Outcome::Ends { 5000 } else { 30 }))
        .await
    {
        let reason = log.failure().expect("a log that ends by itself says why").to_string();
        assert!(reason.len() > 10, "{reason}");
        assert_eq!(log.submit(certificate(5000)).await, Err(Refusal::Stopped));
        return Outcome::Ends;
    }
    if log.stop().is_err() {
        return Outcome::EndsWhenStopped;
    }
    if outcome.is_empty() { Outcome::Untouched } else { Outcome::Refused }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_and_whenever_the_log_keeps_its_word() {
    let calls = [Call::State, Call::Find, Call::Records, Call::Blobs, Call::Commit, Call::LoadHead, Call::KeepHead];
    let faults = [Fault::Unavailable, Fault::Lost, Fault::Persisted];
    let moments =
        [Moment::NewLog, Moment::Start, Moment::FirstBatch, Moment::LaterBatch, Moment::HeadSigning, Moment::Pruning];
    let mut rows = 0;
    for moment in moments {
        for call in calls {
            for fault in faults {
                rows += 1;
                let name = format!("{call:?} fails, {fault:?}, at {moment:?}");
                let mut rig = Rig::new(&name);
                let outcome = strike(&mut rig, call, fault, moment).await;
                // Calls of a batch may come in parts, so a row that ends on its first part may not refuse.
                assert_eq!(outcome, expected(call, fault, moment), "{name}");
                rig.audit();
                rig.restart_and_ask_again().await;
            }
        }
    }
    assert_eq!(rows, 126);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submitter_that_goes_away_does_not_hurt_its_batch() {
    let mut rig = Rig::new("dropped");
    let log = rig.start().unwrap();
    rig.gate.close();
    let first = log.spawn(certificate(1));
    rig.gate.wait_until_somebody_waits().await;
    let (gone, stays) = (log.spawn(certificate(2)), log.spawn(certificate(3)));
    log.wait_queued(2).await;
    gone.abort();
    let _ = gone.await;
    rig.gate.open();
    for (number, task) in [(1, first), (3, stays)] {
        rig.hear(&certificate(number), task.await.unwrap().unwrap());
    }
    rig.submit_all(&log, vec![certificate(2)]).await;
    assert_eq!(rig.audit(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_certificate_has_one_place_however_often_it_comes() {
    let mut rig = Rig::new("fifty");
    let log = rig.start().unwrap();
    for number in 0..20 {
        rig.submit_all(&log, vec![certificate(number); 50]).await;
        rig.clock.advance(3);
    }
    assert_eq!(rig.audit(), 20);
    // Later, from the store, and after a restart the answer is the same: `hear` compares.
    rig.submit_all(&log, (0..20).map(certificate).collect()).await;
    log.stop().unwrap();
    rig.restart_and_ask_again().await;
    assert_eq!(rig.audit(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_and_loses_nothing() {
    let mut rig = Rig::new("full");
    rig.queue_limit = 4;
    let log = rig.start().unwrap();
    rig.gate.close();
    let first = log.spawn(certificate(0));
    rig.gate.wait_until_somebody_waits().await;
    let mut accepted = vec![(0, first)];
    for number in 1..=4 {
        accepted.push((number, log.spawn(certificate(number))));
        log.wait_queued(usize::try_from(number).unwrap()).await;
    }
    for number in 5..10 {
        assert_eq!(log.submit(certificate(number)).await, Err(Refusal::Overloaded));
    }
    rig.gate.open();
    for (number, task) in accepted {
        rig.hear(&certificate(number), task.await.unwrap().unwrap());
    }
    assert_eq!(rig.audit(), 5);
    assert_eq!(rig.submit_all(&log, vec![certificate(5)]).await, vec![]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_is_bounded_in_octets_too() {
    let mut rig = Rig::new("octets");
    let log = rig.start().unwrap();
    rig.gate.close();
    let mut accepted = vec![(0, log.spawn(big(0)))];
    rig.gate.wait_until_somebody_waits().await;
    for number in 1..4 {
        accepted.push((number, log.spawn(big(number))));
        log.wait_queued(usize::from(number)).await;
    }
    assert_eq!(log.submit(big(9)).await, Err(Refusal::Overloaded), "64 MiB are the limit");
    let small = log.spawn(certificate(1));
    log.wait_queued(4).await;
    rig.gate.open();
    for (number, task) in accepted {
        rig.hear(&big(number), task.await.unwrap().unwrap());
    }
    rig.hear(&certificate(1), small.await.unwrap().unwrap());
    assert_eq!(rig.submit_all(&log, vec![big(9)]).await, vec![], "the octets are given back");
    assert_eq!(rig.audit(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_answers_everybody_and_signs_for_all() {
    for round in 0..5_u64 {
        let mut rig = Rig::new("shutdown");
        let log = rig.start().unwrap();
        rig.gate.close();
        let mut tasks = vec![(0, log.spawn(certificate(0)))];
        rig.gate.wait_until_somebody_waits().await;
        tasks.extend((1..200).map(|n| (n, log.spawn(certificate(n)))));
        log.wait_queued(199 - usize::try_from(round * 17).unwrap()).await;
        rig.clock.advance(5);
        let gate = rig.gate.clone();
        let opener = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            gate.open();
        });
        log.stop().unwrap();
        opener.join().unwrap();
        let mut answered = 0;
        for (number, task) in tasks {
            match task.await.unwrap() {
                Ok(place) => {
                    rig.hear(&certificate(number), place);
                    answered += 1;
                }
                Err(refusal) => assert_eq!(refusal, Refusal::Stopped),
            }
        }
        assert!(answered >= 199 - round * 17);
        assert_eq!(rig.audit(), answered, "what was not answered with a place has none");
        assert_eq!(rig.kept().head.size.get(), answered, "the last head covers everything");
        assert_eq!(log.submit(certificate(999)).await, Err(Refusal::Stopped));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_a_second_behind_is_waited_for() {
    let mut rig = Rig::new("second");
    let log = rig.start().unwrap();
    rig.submit_all(&log, vec![certificate(0)]).await;
    rig.sign(&log).await.unwrap();
    let (head, now) = (log.head(), rig.clock.get());
    rig.clock.set(head.sth.head.timestamp.get() - 1000);
    assert_eq!(log.submit(certificate(1)).await, Err(Refusal::ClockBehind { behind_ms: 1000 }));
    assert_eq!(rig.submit_all(&log, vec![certificate(0)]).await, vec![], "what is known needs no new timestamp");
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(log.head(), head, "nothing is signed backwards");
    assert_eq!(log.failure(), None);
    rig.clock.set(now + 1);
    assert_eq!(rig.submit_all(&log, vec![certificate(1)]).await, vec![]);
    rig.sign(&log).await.unwrap();
    assert_eq!(rig.audit(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_an_hour_behind_ends_the_log() {
    for submit in [false, true] {
        let mut rig = Rig::new("hour");
        let log = rig.start().unwrap();
        rig.submit_all(&log, vec![certificate(0)]).await;
        rig.sign(&log).await.unwrap();
        let now = rig.clock.get();
        rig.clock.set(now - 3_600_000);
        if submit {
            assert_eq!(log.submit(certificate(1)).await, Err(Refusal::Stopped));
        }
        assert!(log.ended_within(Duration::from_secs(5)).await);
        assert!(matches!(log.failure(), Some(Fatal::ClockWentBack { behind_ms }) if behind_ms > 3_500_000));
        assert!(log.stop().is_err());
        let refused = rig.start().err().expect("the log does not start before its own past");
        assert!(matches!(refused, StartError::Resume(ResumeError::ClockBehind { .. })), "{refused}");
        rig.clock.set(now + 1);
        rig.restart_and_ask_again().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_ahead_ends_the_log_before_it_stamps_or_prunes() {
    for submit in [false, true] {
        let mut rig = Rig::new("ahead");
        let log = rig.start().unwrap();
        for number in 0..256 {
            rig.submit_all(&log, vec![certificate(number)]).await;
        }
        rig.sign(&log).await.unwrap();
        let (now, head) = (rig.clock.get(), log.head());
        rig.clock.set(now + 86_400_000);
        if submit {
            assert_eq!(log.submit(certificate(256)).await, Err(Refusal::Stopped));
        }
        assert!(log.ended_within(Duration::from_secs(5)).await);
        assert!(matches!(log.failure(), Some(Fatal::ClockJumped { ahead_ms }) if ahead_ms > 86_000_000));
        assert!(log.stop().is_err());
        assert_eq!((rig.kept(), rig.pruned()), (head.sth.clone(), 0));
        rig.clock.set(now + 1);
        rig.restart_and_ask_again().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_follow_each_other_and_the_sats_they_cover() {
    let mut rig = Rig::new("heads");
    let log = rig.start().unwrap();
    for number in 0..60 {
        rig.submit_all(&log, vec![certificate(number)]).await;
        rig.clock.advance(number % 13);
        if number % 5 == 0 {
            rig.sign(&log).await.unwrap();
        }
        rig.audit();
    }
    assert!(rig.published() >= 12);
    log.stop().unwrap();
    rig.restart_and_ask_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pruning_takes_old_bundles_only_and_no_proof() {
    let mut rig = Rig::new("prune");
    let log = rig.start().unwrap();
    rig.submit_all(&log, (0..600).map(certificate).collect()).await;
    rig.sign(&log).await.unwrap();
    rig.clock.advance(RETENTION_MS / 2);
    rig.submit_all(&log, (600..900).map(certificate).collect()).await;
    rig.sign(&log).await.unwrap();
    assert_eq!(rig.pruned(), 0);
    rig.clock.advance(RETENTION_MS / 2 + 100);
    rig.sign_again(&log).await;
    assert_eq!(rig.wait_pruned(512).await, 512, "whole bundles whose last entry is old, and not the half one");
    assert_eq!(rig.submissions(), 900 - 512);
    assert_eq!(rig.submit_all(&log, (0..900).map(certificate).collect()).await, vec![], "hashes stay");
    assert_eq!(rig.audit(), 900);
    rig.clock.advance(RETENTION_MS);
    rig.sign_again(&log).await;
    assert_eq!(rig.wait_pruned(768).await, 768);
    assert_eq!(rig.submissions(), 900 - 768);
    log.stop().unwrap();
    rig.restart_and_ask_again().await;
    assert_eq!(rig.audit(), 900);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leaf_index_that_points_elsewhere_ends_the_log() {
    let mut rig = Rig::new("index");
    let log = rig.start().unwrap();
    rig.submit_all(&log, vec![certificate(0)]).await;
    rig.clock.advance(7);
    rig.submit_all(&log, vec![certificate(1)]).await;
    rig.gate.misplace(&certificate(1), 0);
    assert_eq!(log.submit(certificate(1)).await, Err(Refusal::Stopped), "a second SAT would differ from the first");
    assert!(log.ended_within(Duration::from_secs(5)).await);
    assert!(matches!(log.failure(), Some(Fatal::Store(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_do_not_fit_the_store_stop_the_start() {
    let mut rig = Rig::new("older head");
    let log = rig.start().unwrap();
    let first = log.head().sth.clone();
    rig.submit_all(&log, vec![certificate(0)]).await;
    rig.sign(&log).await.unwrap();
    log.stop().unwrap();
    let newest = rig.kept();
    let kept = |head: &SignedTreeHead, size| Kept { head: head.clone(), size: TreeSize::new(size) };
    let mut refused = |head: &SignedTreeHead, size| {
        rig.store.keep(&kept(head, size)).unwrap();
        match rig.start() {
            Err(StartError::Resume(why)) => why,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("the log starts with a head that does not fit"),
        }
    };
    assert!(matches!(refused(&first, 0), ResumeError::HeadOlder { .. }), "yesterday's head proves nothing about today");
    let foreign = rig::foreign(&newest);
    assert!(matches!(refused(&foreign, 1), ResumeError::ForeignHead(_)));
    // SATs were out for two, though the head covers one.
    assert!(matches!(refused(&newest, 2), ResumeError::RolledBack { .. }));
    rig.store.keep(&kept(&newest, 1)).unwrap();
    rig.restart_and_ask_again().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_store_stops_the_start() {
    use atl::log::store::BlobId;
    use atl::merkle::{LeafIndex, TileId};
    use atl::time::UnixMillis;

    let mut rig = Rig::new("damage");
    let log = rig.start().unwrap();
    for number in 0..600 {
        rig.submit_all(&log, vec![certificate(number)]).await;
        rig.clock.advance(1);
    }
    log.stop().unwrap();
    let sound = rig.store.clone();
    let mut starts = |damage: &dyn Fn(&atl::storage::memory::MemoryStore) -> bool| {
        let store = std::sync::Arc::new(sound.copy());
        assert!(damage(&store));
        rig.store = store;
        rig.start().map(|log| log.stop().unwrap()).map_err(|e| e.to_string())
    };
    let tile = |level, index| BlobId::Tile(TileId::new(level, index).unwrap());
    for id in [tile(0, 0), tile(0, 1), tile(0, 2), tile(1, 0)] {
        for octet in [0, 31, 32, 63] {
            let refused = starts(&|store| store.tamper(id, |octets| octets[octet] ^= 4)).unwrap_err();
            assert!(refused.contains("undamaged copy"), "{refused}");
        }
        assert!(starts(&|store| store.tamper(id, Vec::clear)).is_err());
        assert!(starts(&|store| store.tamper(id, |o| o.truncate(32))).is_err());
    }
    for index in [0, 255, 256, 599] {
        let leaf = LeafIndex::new(index);
        let other = atl::log::entry::CertHash::of_certificate(b"other");
        assert!(starts(&|store| store.tamper_record(leaf, |r| r.cert_hash = other)).is_err());
        for moved in [1 << 42, u64::MAX] {
            let record = |store: &atl::storage::memory::MemoryStore| {
                store.tamper_record(leaf, |r| r.timestamp = UnixMillis::new(r.timestamp.get() ^ moved))
            };
            let refused = starts(&record).expect_err("a timestamp out of order is damage");
            assert!(refused.contains("undamaged copy"), "{refused}");
        }
    }
    assert_eq!(starts(&|store| store.state().is_ok()), Ok(()));
}
