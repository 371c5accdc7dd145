//! Logs that are down, slow, or lie: no certificate, and another try later.

use super::fake::Mood;
use super::*;

/// One log of two behaves so, where both are needed: it fails cleanly, and goes through later.
async fn fails_then_succeeds(mood: Mood, says: &str) {
    let world = World::new();
    let (secret, id) = world.seed(1, 72, Vec::new());
    world.logs[1].become_(mood.clone());
    let service = world.start();
    match service.enrol(secret.clone(), form(1), SOURCE).await {
        Err(CaError::Logs { detail, retry_after }) => {
            assert!(detail.contains("https://log1.example") && detail.contains(says), "{mood:?}: {detail}");
            assert!(retry_after >= Duration::from_secs(1));
        }
        other => panic!("{mood:?}: {other:?}"),
    }
    assert_eq!(service.request(id).await.unwrap().status, "ready");
    let abandoned = |event: &Event| matches!(event, Event::IssuanceAbandoned { why, .. } if why.contains(says));
    assert!(world.events().iter().any(abandoned), "{mood:?}");
    world.logs[1].become_(Mood::Honest);
    world.check_given(&service.enrol(secret, form(1), SOURCE).await.unwrap());
}

#[tokio::test]
async fn a_log_that_gives_nothing() {
    fails_then_succeeds(Mood::Down, "out of order").await;
    fails_then_succeeds(Mood::Refuses, "unknownAnchor").await;
    fails_then_succeeds(Mood::Hangs, "did not answer in time").await;
}

#[tokio::test]
async fn a_log_that_lies() {
    fails_then_succeeds(Mood::Garbage, "DER").await;
    fails_then_succeeds(Mood::OtherHash, "certificate hash").await;
    fails_then_succeeds(Mood::OtherKey, "does not verify").await;
    fails_then_succeeds(Mood::OtherLog, "of log").await;
    fails_then_succeeds(Mood::Future, "after now").await;
    fails_then_succeeds(Mood::Past, "before what was submitted").await;
}

#[tokio::test]
async fn a_log_that_replays() {
    let world = World::new();
    let (secret, _) = world.seed(2, 72, Vec::new());
    world.start().enrol(secret, form(2), SOURCE).await.unwrap();
    let (secret, _) = world.seed(1, 72, Vec::new());
    world.logs[1].become_(Mood::Replays(world.logs[1].seen()[0].clone()));
    let answer = world.start().enrol(secret, form(1), SOURCE).await;
    assert!(matches!(&answer, Err(CaError::Logs { detail, .. }) if detail.contains("certificate hash")), "{answer:?}");
    world.check();
}

#[tokio::test]
async fn a_log_that_is_busy_is_asked_again() {
    let world = World::new();
    let (secret, _) = world.seed(1, 72, Vec::new());
    world.logs[0].become_(Mood::Busy(1));
    world.check_given(&world.start().enrol(secret, form(1), SOURCE).await.unwrap());
    assert_eq!(world.logs[0].seen().len(), 2);
}

#[tokio::test]
async fn a_log_that_failed_just_now_gets_no_more_precertificates_into_the_others() {
    let world = World::new();
    let world = World { settings: Settings { failure_pause_ms: 1_000, ..world.settings.clone() }, ..world };
    let ((secret, _), (low, _)) = (world.seed(1, 72, Vec::new()), world.seed(2, 59, Vec::new()));
    world.logs[1].become_(Mood::Down);
    let service = world.start();
    let signed = || world.events().iter().filter(|e| matches!(e, Event::PrecertificateSigned { .. })).count();
    for _ in 0..5 {
        assert!(matches!(service.enrol(secret.clone(), form(1), SOURCE).await, Err(CaError::Logs { .. })));
        assert_eq!(signed(), 1);
    }
    // An agent that can do without that log is not kept waiting.
    service.enrol(low, form(2), SOURCE).await.unwrap();
    world.logs[1].become_(Mood::Honest);
    world.clock.advance(1_000);
    world.check_given(&service.enrol(secret, form(1), SOURCE).await.unwrap());
}
