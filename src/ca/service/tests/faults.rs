//! A crash at each step, and a store that fails at each commit.

use super::fake::Mood;
use super::*;
use crate::storage::ca::memory::{Call, Fault};

/// Every commit of an issuance: the precertificate and the certificate.
const COMMITS: usize = 2;

#[tokio::test]
async fn a_commit_in_doubt_ends_the_service_and_the_next_start_takes_it_up() {
    for fault in [Fault::Lost, Fault::Persisted] {
        for nth in 0..COMMITS {
            let world = World::new();
            let (secret, id) = world.seed(1, 72, Vec::new());
            let service = world.start();
            world.store.fail(Call::Commit, nth, fault);
            let answer = service.enrol(secret.clone(), form(1), SOURCE).await;
            assert!(matches!(answer, Err(CaError::Stopped)), "{fault:?} {nth}: {answer:?}");
            assert!(service.ended().await.contains("injected"));
            assert!(!service.checks().await[0].ok);
            assert!(matches!(service.mint_token("olga", scope(), 1).await, Err(CaError::Stopped)));
            world.check();
            drop(service);
            let world = world.after_crash();
            let service = world.start();
            world.check_given(&world.settle(&service, id, "valid").await);
            world.check_given(&service.enrol(secret, form(1), SOURCE).await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_commit_that_was_not_made_is_made_later() {
    for nth in 0..COMMITS {
        let world = World::new();
        let (secret, id) = world.seed(1, 72, Vec::new());
        let service = world.start();
        world.store.fail(Call::Commit, nth, Fault::Unavailable);
        let answer = service.enrol(secret.clone(), form(1), SOURCE).await;
        assert!(matches!(answer, Err(CaError::Overloaded)), "{nth}: {answer:?}");
        assert!(!world.events().iter().any(|event| matches!(event, Event::CertificateIssued { .. })));
        world.check_given(&world.settle(&service, id, "valid").await);
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_told_apart_from_one_that_is_damaged() {
    let world = World::new();
    let service = world.start();
    world.store.fail(Call::Load, 0, Fault::Unavailable);
    assert!(matches!(service.mint_token("olga", scope(), 1).await, Err(CaError::Overloaded)));
    service.mint_token("olga", scope(), 1).await.unwrap();
    world.store.fail(Call::Load, 0, Fault::Lost);
    assert!(matches!(service.mint_token("olga", scope(), 1).await, Err(CaError::Stopped)));
    assert!(service.ended().await.contains("damaged"));
}

#[tokio::test]
async fn a_crash_between_two_logs_goes_on_with_the_same_precertificate() {
    let world = World { settings: Settings { log_timeout_ms: 60_000, ..World::new().settings }, ..World::new() };
    let (secret, id) = world.seed(1, 72, Vec::new());
    world.logs[1].become_(Mood::Hangs);
    let service = world.start();
    let waiting = tokio::spawn({
        let service = Arc::clone(&service);
        async move { service.enrol(secret, form(1), SOURCE).await }
    });
    world.settle(&service, id, "processing").await;
    while world.logs.iter().any(|log| log.seen().is_empty()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    waiting.abort();
    let _ = waiting.await;
    drop(service);
    world.logs[1].become_(Mood::Honest);
    let world = world.after_crash();
    let service = world.start();
    let answered = world.settle(&service, id, "valid").await;
    world.check_given(&answered);
    assert!(world.logs.iter().all(|log| log.seen().iter().collect::<HashSet<_>>().len() == 1));
}

#[tokio::test]
async fn what_is_too_old_is_abandoned_and_issued_under_another_number() {
    let world = World::new();
    let (_, id) = world.seed(1, 72, Vec::new());
    let service = world.start();
    world.store.fail(Call::Commit, 1, Fault::Lost);
    let secret = TokenSecret::new(TokenId::new([1; 8]), [1; 32]);
    service.enrol(secret, form(1), SOURCE).await.unwrap_err();
    drop(service);
    world.clock.advance(world.settings.resume_window_ms + 1);
    let world = world.after_crash();
    let service = world.start();
    world.check_given(&world.settle(&service, id, "valid").await);
    let abandoned = |event: &Event| matches!(event, Event::IssuanceAbandoned { why, .. } if why.contains("too late"));
    assert!(world.events().iter().any(abandoned));
    assert_eq!(world.logs[0].seen().iter().collect::<HashSet<_>>().len(), 2);
}

#[tokio::test]
async fn a_clock_that_went_back_stops_the_ca() {
    let world = World::new();
    let service = world.start();
    service.mint_token("olga", scope(), 100_000).await.unwrap();
    world.clock.set(NOON.saturating_sub(60_000));
    service.mint_token("olga", scope(), 100_000).await.unwrap();
    world.clock.set(NOON.saturating_sub(60_001));
    assert!(matches!(service.mint_token("olga", scope(), 100_000).await, Err(CaError::Stopped)));
    assert!(service.ended().await.contains("went back 60001 ms"));
    let times: Vec<_> = world
        .store
        .journal(0, 9)
        .unwrap()
        .iter()
        .map(|row| serde_json::from_slice::<crate::ca::journal::Row>(row).unwrap().at)
        .collect();
    assert_eq!(times, [NOON, NOON]);
    // Nor does a new start forget what time it was.
    let world = world.after_crash();
    let refused = CaService::start(world.parts(), world.settings.clone()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, StartError::ClockWentBack { behind_ms: 60_001, latest: NOON }), "{refused}");
    world.clock.set(NOON.saturating_sub(60_000));
    world.start().mint_token("olga", scope(), 100_000).await.unwrap();
}
