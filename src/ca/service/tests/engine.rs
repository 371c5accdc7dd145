//! With a trust engine that answers, is silent, and changes its mind.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::*;
use crate::apki::AgentUri;
use crate::apki::status::RevocationReason;
use crate::ca::application::DelegationTerms;
use crate::ca::ports::{Answer, EngineError, EngineScore, ScoreChange, ScoreChanges, TrustScores};

/// An engine with these scores and this ledger.
#[derive(Default)]
struct FakeEngine {
    scores: Mutex<BTreeMap<String, u8>>,
    asked: Mutex<Vec<(String, u8)>>,
    ledger: Mutex<Vec<ScoreChange>>,
    silent: Mutex<bool>,
}

impl FakeEngine {
    fn set(&self, agent: &str, score: u8) {
        self.scores.lock().insert(agent.to_owned(), score);
        let mut ledger = self.ledger.lock();
        let row = ledger.len() as u64;
        let (agent, score) = (AgentUri::parse(agent).unwrap(), Score::new(score).unwrap());
        ledger.push(ScoreChange { row, agent, score, why: "an incident".into() });
    }
}

impl TrustScores for FakeEngine {
    fn assess<'a>(&'a self, agent: &'a AgentUri, base: Score) -> Answer<'a, Result<EngineScore, EngineError>> {
        self.asked.lock().push((agent.as_str().to_owned(), base.get()));
        let score = self.scores.lock().get(agent.as_str()).copied().unwrap_or(base.get());
        let silent = *self.silent.lock();
        Box::pin(async move {
            if silent {
                return std::future::pending().await;
            }
            Ok(EngineScore { score: Score::new(score).unwrap(), as_of: NOON })
        })
    }

    fn changes(&self, from: u64, wait: Duration) -> Answer<'_, Result<ScoreChanges, EngineError>> {
        Box::pin(async move {
            let deadline = tokio::time::Instant::now() + wait;
            loop {
                let news: Vec<_> = self.ledger.lock().iter().filter(|change| change.row >= from).cloned().collect();
                if !news.is_empty() || tokio::time::Instant::now() >= deadline {
                    let next = news.last().map_or(from, |last| last.row + 1);
                    return Ok(ScoreChanges { changes: news, next });
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    }

    fn probe(&self) -> Answer<'_, Result<(), String>> {
        let silent = *self.silent.lock();
        Box::pin(async move { if silent { Err("it is away".into()) } else { Ok(()) } })
    }
}

fn with(world: &World, engine: &Arc<FakeEngine>) -> Arc<CaService> {
    let settings = Settings { engine_timeout_ms: 100, ..world.settings.clone() };
    let mut parts = Parts { trust: Some(Arc::clone(engine) as Arc<dyn TrustScores>), ..world.parts() };
    parts.policy.min_score = Score::new(20).unwrap();
    CaService::start(parts, settings).unwrap()
}

const SHOPPER: &str = "agent://example.com/sales/shopper/1";

async fn enrolled(service: &CaService) -> Answered {
    let (token, _) = service.mint_token("olga", scope(), 600_000).await.unwrap();
    service.enrol(token, form(1), SOURCE).await.unwrap()
}

#[tokio::test]
async fn the_engine_s_score_is_the_certificate_s_and_its_silence_stops_everything() {
    let (world, engine) = (World::new(), Arc::new(FakeEngine::default()));
    engine.scores.lock().insert(SHOPPER.into(), 33);
    *engine.silent.lock() = true;
    let service = with(&world, &engine);
    let (token, _) = service.mint_token("olga", scope(), 600_000).await.unwrap();
    let silent = service.enrol(token.clone(), form(1), SOURCE).await;
    assert!(matches!(&silent, Err(CaError::Engine { .. })), "{silent:?}");
    let checks = service.checks().await;
    assert!(checks.iter().any(|check| check.name == "trust" && !check.ok), "{checks:?}");
    assert!(world.logs[0].seen().is_empty());
    // The same request may be sent again.
    *engine.silent.lock() = false;
    let answered = service.enrol(token, form(1), SOURCE).await.unwrap();
    world.check_given(&answered);
    assert_eq!(answered.certificate.unwrap().score.get(), 33);
    service.stop().await;
}

#[tokio::test]
async fn who_has_no_good_token_opens_no_account() {
    let (world, engine) = (World::new(), Arc::new(FakeEngine::default()));
    let service = with(&world, &engine);
    let bad = TokenSecret::new(TokenId::new([7; 8]), [7; 32]);
    assert!(matches!(service.enrol(bad, form(2), SOURCE).await, Err(CaError::Refusal(Refusal::Unauthorized(_)))));
    assert!(matches!(service.renew(b"x", form(2), SOURCE).await, Err(CaError::Refusal(Refusal::Unauthorized(_)))));
    assert!(engine.asked.lock().is_empty());
    service.stop().await;
}

#[tokio::test]
async fn a_fallen_score_revokes_within_a_second_and_a_moved_one_calls_for_renewal() {
    let (world, engine) = (World::new(), Arc::new(FakeEngine::default()));
    engine.scores.lock().insert(SHOPPER.into(), 55);
    let service = with(&world, &engine);
    let current = enrolled(&service).await.certificate.unwrap().chain[0].clone();
    assert_eq!(service.standing(&current).await.unwrap().standing, Standing::Valid);
    let reached = async |good: fn(&Standing) -> bool| {
        for _ in 0..100 {
            let standing = service.standing(&current).await.unwrap().standing;
            if good(&standing) {
                return standing;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("a second has gone by");
    };
    engine.set(SHOPPER, 40);
    reached(|standing| matches!(standing, Standing::Renew(reissue) if reissue.score.get() == 40)).await;
    engine.set(SHOPPER, 19);
    reached(|standing| matches!(standing, Standing::Revoked(_))).await;
    assert!(matches!(service.renew(&current, form(1), SOURCE).await, Err(CaError::Refusal(_))));
    service.stop().await;
}

#[tokio::test]
async fn what_fell_while_the_ca_was_down_is_revoked_at_its_start() {
    let (world, engine) = (World::new(), Arc::new(FakeEngine::default()));
    engine.set(SHOPPER, 90);
    engine.scores.lock().insert(SHOPPER.into(), 55);
    let service = with(&world, &engine);
    let current = enrolled(&service).await.certificate.unwrap().chain[0].clone();
    service.stop().await;
    // The last word counts, and an earlier one that was more is no reason for anything.
    let service = with(&world, &engine);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(service.standing(&current).await.unwrap().standing, Standing::Valid);
    service.stop().await;
    engine.set(SHOPPER, 5);
    let service = with(&world, &engine);
    for _ in 0..100 {
        if matches!(service.standing(&current).await.unwrap().standing, Standing::Revoked(_)) {
            return service.stop().await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is not revoked");
}

#[tokio::test]
async fn who_may_not_act_has_no_say_in_what_the_evidence_is_worth() {
    let (world, engine) = (World::new(), Arc::new(FakeEngine::default()));
    let service = with(&world, &engine);
    // A token that has expired.
    let (token, _) = service.mint_token("olga", scope(), 600_000).await.unwrap();
    world.clock.advance(600_000);
    assert!(service.enrol(token, form(1), SOURCE).await.is_err());
    assert!(engine.asked.lock().is_empty());
    // A certificate that was revoked: its agent, enrolled anew, would pay for what the thief says of its build.
    let stolen = enrolled(&service).await.certificate.unwrap().chain[0].clone();
    let target = Target::Agent(AgentUri::parse(SHOPPER).unwrap());
    let by = RevokedBy::Operator("olga");
    service.revoke(target, RevocationReason::KeyCompromise, String::new(), by).await.unwrap();
    let asked = engine.asked.lock().len();
    let poor = || Form { evidence: None, ..form(1) };
    assert!(service.renew(&stolen, poor(), SOURCE).await.is_err());
    let delegation = DelegateForm { form: poor(), terms: DelegationTerms::default() };
    assert!(service.delegate(&stolen, delegation, SOURCE).await.is_err());
    assert_eq!(engine.asked.lock().len(), asked);
    service.stop().await;
}

#[tokio::test]
async fn a_parent_is_asked_about_with_its_evidence_and_not_with_its_score() {
    let (world, engine) = (World::new(), Arc::new(FakeEngine::default()));
    engine.scores.lock().insert(SHOPPER.into(), 33);
    let service = with(&world, &engine);
    let parent = enrolled(&service).await.certificate.unwrap().chain[0].clone();
    let (_, base) = engine.asked.lock().last().cloned().unwrap();
    assert_ne!(base, 33);
    let presented = form::presented(&parent).unwrap();
    let mut child = form(2).into_application().unwrap();
    child.agent = AgentUri::parse("agent://example.com/sales/shopper/2").unwrap();
    service.core.assessed_child(presented, &child).await.unwrap();
    let asked = engine.asked.lock().clone();
    let of_parent: Vec<u8> = asked.iter().filter(|(agent, _)| agent == SHOPPER).map(|(_, base)| *base).collect();
    // Its history may have grown since.
    assert!(of_parent.len() >= 2 && of_parent.iter().all(|found| *found >= base), "{of_parent:?}");
    service.stop().await;
}
