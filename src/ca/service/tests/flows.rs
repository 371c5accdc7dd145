//! What works, and what is refused.

use super::fake::Mood;
use super::*;

#[tokio::test]
async fn a_certificate_holds_what_the_logs_got() {
    let world = World::new();
    let (secret, id) = world.seed(1, 72, Vec::new());
    let service = world.start();
    let answered = service.enrol(secret, form(1), SOURCE).await.unwrap();
    assert_eq!((answered.id, answered.status), (id, "valid"));
    world.check_given(&answered);
    let given = answered.certificate.unwrap();
    let certificate = Certificate::parse(given.chain[0].clone()).unwrap();
    let recovered = recover(&certificate).unwrap().unwrap().precertificate_der;
    assert!(world.logs.iter().all(|log| log.seen() == [recovered.clone()]));
    let logs: Vec<_> = given.sats.iter().map(|sat| (sat.log.as_str(), sat.operator.as_str())).collect();
    assert_eq!(logs, [("https://log0.example", "operator 0"), ("https://log1.example", "operator 1")]);
    assert_eq!(given.not_before, NOON.saturating_sub(60_000));
    assert_eq!(given.not_after, NOON.saturating_add(3_600_000));
    assert_eq!(given.renew_at, NOON.saturating_add(1_770_000));
    assert_eq!((given.score.get(), given.attestation), (72, AttestationMethod::CaVerified));

    let listed = service.certificates(CertificateSearch { limit: 10, ..Default::default() }).await.unwrap();
    assert_eq!((listed.len(), listed[0].status, listed[0].sha256), (1, "issued", Some(given.sha256)));
    assert_eq!(service.certificate(given.serial).await.unwrap(), listed[0]);
    assert_eq!(service.final_certificate(given.sha256).await.unwrap(), given.chain);
    assert!(matches!(service.final_certificate([0; 32]).await, Err(CaError::Refusal(Refusal::NotFound(_)))));
    let page = service.audit(2, 10).await.unwrap();
    assert_eq!((page.total, page.start, page.rows.len()), (4, 2, 2));
    assert!(service.audit(9, 10).await.unwrap().rows.is_empty());
    assert!(service.checks().await.iter().all(|check| check.ok), "{:?}", service.checks().await);
    service.stop().await;
    assert!(matches!(
        service.enrol(TokenSecret::new(TokenId::new([1; 8]), [1; 32]), form(1), SOURCE).await,
        Err(CaError::Stopped)
    ));
}

#[tokio::test]
async fn a_high_score_needs_two_operators_and_a_low_one_does_not() {
    let world = World::new();
    let ((high, _), (low, _)) = (world.seed(1, 60, Vec::new()), world.seed(2, 59, Vec::new()));
    world.logs[1].become_(Mood::Down);
    let service = world.start();
    let refused = service.enrol(high.clone(), form(1), SOURCE).await;
    assert!(matches!(&refused, Err(CaError::Logs { detail, .. }) if detail.contains("2 operators")), "{refused:?}");
    let answered = service.enrol(low, form(2), SOURCE).await.unwrap();
    assert_eq!(answered.certificate.as_ref().unwrap().sats.len(), 1);
    world.check_given(&answered);
    world.logs[1].become_(Mood::Honest);
    world.check_given(&service.enrol(high, form(1), SOURCE).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_request_many_times_at_once_is_one_certificate() {
    let world = World::new();
    let (secret, id) = world.seed(1, 72, Vec::new());
    let service = world.start();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (service, secret) = (Arc::clone(&service), secret.clone());
        all.spawn(async move { service.enrol(secret, form(1), SOURCE).await.unwrap() });
    }
    let answers = all.join_all().await;
    assert!(answers.iter().all(|answer| answer.id == id));
    assert!(answers.iter().any(|answer| answer.status == "valid"));
    let again = service.enrol(secret, form(1), SOURCE).await.unwrap();
    assert!(answers.iter().filter_map(|a| a.certificate.as_ref()).all(|c| Some(c) == again.certificate.as_ref()));
    world.check_given(&again);
    assert_eq!(world.logs[0].seen().len(), 1);
}

#[tokio::test]
async fn a_spent_token_and_a_wrong_one_are_refused() {
    let world = World::new();
    let (secret, _) = world.seed(1, 72, Vec::new());
    let service = world.start();
    service.enrol(secret.clone(), form(1), SOURCE).await.unwrap();
    for (secret, form) in [(secret.clone(), form(2)), (TokenSecret::new(secret.id, [0; 32]), form(1))] {
        let answer = service.enrol(secret, form, SOURCE).await;
        assert!(matches!(answer, Err(CaError::Refusal(Refusal::Unauthorized(_)))), "{answer:?}");
    }
    let broken = Form { csr: vec![0x30], ..form(1) };
    assert!(matches!(service.enrol(secret.clone(), broken, SOURCE).await, Err(CaError::Csr { .. })));
    assert!(matches!(service.renew(b"x", form(1), SOURCE).await, Err(CaError::Refusal(Refusal::Unauthorized(_)))));
    assert_eq!(world.events().len(), 4);
    let (token, expires_at) = service.mint_token("olga", scope(), 1000).await.unwrap();
    assert_eq!(expires_at, NOON.saturating_add(1000));
    service.withdraw_token("olga", token.id).await.unwrap();
    assert!(matches!(service.enrol(token, form(1), SOURCE).await, Err(CaError::Refusal(Refusal::Unauthorized(_)))));
}

#[tokio::test]
async fn what_is_held_waits_for_an_operator() {
    let world = World::new();
    let ((first, one), (_, two), (_, three)) = (
        world.seed(1, 72, vec![HoldReason::Policy]),
        world.seed(2, 72, vec![HoldReason::UnregisteredBuild]),
        world.seed(3, 72, vec![HoldReason::AgentExists]),
    );
    let service = world.start();
    let answered = service.enrol(first, form(1), SOURCE).await.unwrap();
    assert_eq!((answered.status, answered.reasons.len()), ("pending", 1));
    assert_eq!(service.open_requests(None, 10).await.unwrap().len(), 3);
    world.check_given(&service.approve("olga", one).await.unwrap());
    assert_eq!(service.deny("olga", two, String::new()).await.unwrap().reasons, ["denied by olga"]);
    // Nobody is there to ask for the third while logs are down; it gets its certificate when they are back.
    world.logs[0].become_(Mood::Down);
    assert_eq!(service.approve("olga", three).await.unwrap().status, "ready");
    world.logs[0].become_(Mood::Honest);
    world.clock.advance(6_000);
    world.check_given(&world.settle(&service, three, "valid").await);
}

#[tokio::test]
async fn nobody_approves_after_the_time_for_it() {
    let world = World::new();
    let (_, id) = world.seed(1, 72, vec![HoldReason::Policy]);
    world.clock.advance(3_600_000);
    let service = world.start();
    assert!(matches!(service.approve("olga", id).await, Err(CaError::Refusal(Refusal::Conflict(_)))));
    world.settle(&service, id, "invalid").await;
    world.check();
}

#[tokio::test]
async fn it_does_not_start_on_what_it_cannot_trust() {
    let world = World::new();
    world.seed(1, 72, Vec::new());
    let refused = |world: &World| CaService::start(world.parts(), world.settings.clone()).err().unwrap();
    world.store.tamper(1, |row| row[0] = b' ');
    assert!(matches!(refused(&world), StartError::Head { found: "the last one has another hash", .. }));
    let late = World::new();
    late.clock.set(UnixMillis::new(0));
    assert!(matches!(refused(&late), StartError::Expired { .. }));
}
