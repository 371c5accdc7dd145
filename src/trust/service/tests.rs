//! The service over a store that fails on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::*;
use crate::storage::trust::memory::{Call, Fault, MemoryTrustStore};
use crate::time::UnixMillis;
use crate::trust::signal::{Kind, Signal};
use crate::trust::testing::{NOW, agent, operator, policy, reporter, signal, signer};

struct Hands(AtomicU64);

impl Clock for Hands {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Relaxed))
    }
}

struct Quiet;

impl Observer for Quiet {
    fn signal(&self, _: &'static str) {}
    fn committed(&self, _: usize, _: usize, _: Duration) {}
}

struct Engine {
    store: Arc<MemoryTrustStore>,
    clock: Arc<Hands>,
    service: Arc<TrustService>,
}

fn start(store: MemoryTrustStore) -> Result<Engine, StartError> {
    let (store, clock) = (Arc::new(store), Arc::new(Hands(AtomicU64::new(NOW.get()))));
    let parts = Parts { store: store.clone(), policy: policy(3), clock: clock.clone(), observer: Arc::new(Quiet) };
    Ok(Engine { service: TrustService::start(parts, Settings::default())?, store, clock })
}

impl Engine {
    /// That what is kept is what the rows come to.
    fn check(&self) {
        let rows = self.store.rows(0, usize::MAX).unwrap();
        let (head, entities) = crate::trust::recompute(rows.iter().map(Vec::as_slice)).unwrap();
        assert_eq!((Ok(head), entities), (self.store.head(), self.store.entities()));
    }

    async fn send(&self, signals: &[Signal]) -> Result<Vec<Outcome>, TrustError> {
        let texts = signals.iter().map(|signal| signal.sign(&signer(1)).unwrap()).collect();
        self.service.signals(&reporter(1), texts).await
    }
}

fn praise(id: u64) -> Signal {
    signal(agent(1), Kind::Success, Some(2), id, NOW)
}

fn points(number: u8) -> Score {
    Score::new(number).unwrap()
}

#[tokio::test]
async fn a_call_is_one_commit_and_each_signal_has_its_outcome() {
    let engine = start(MemoryTrustStore::default()).unwrap();
    assert_eq!(engine.service.assess(agent(1), points(50)).await.unwrap().score, points(50));
    let commits = engine.store.commits();
    let mut bad = praise(3);
    bad.aud = "elsewhere".into();
    let outcomes = engine.send(&[praise(1), praise(2), bad, praise(1)]).await.unwrap();
    let names: Vec<_> = outcomes.iter().map(Outcome::name).collect();
    assert_eq!(names, ["taken", "taken", "wrongAudience", "repeated"]);
    let receipt = |outcome: &Outcome| match outcome {
        Outcome::Taken(receipt) | Outcome::Repeated(receipt) => receipt.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(receipt(&outcomes[0]), receipt(&outcomes[3]), "the same octets have the same answer");
    assert_eq!(engine.store.commits(), commits + 1);
    assert_eq!(engine.send(&[praise(1)]).await.unwrap(), outcomes[3..]);
    let texts = vec!["x".to_owned(), praise(9).sign(&signer(2)).unwrap()];
    let outcomes = engine.service.signals(&reporter(1), texts).await.unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.name() == "badSignature"));
    let view = engine.service.account(&agent(1)).await.unwrap();
    assert_eq!((view.assessed.half_points, view.rows), (HalfPoints::new(104), 3));
    assert_eq!(engine.service.explain(&agent(1)).await.unwrap().len(), 4);
    assert!(engine.service.explain(&agent(2)).await.is_err());
    engine.check();
}

#[tokio::test]
async fn accounts_of_a_batch_are_loaded_once() {
    let engine = start(MemoryTrustStore::default()).unwrap();
    engine.service.assess(agent(1), points(50)).await.unwrap();
    let before = engine.store.loads();
    engine.send(&(0..10).map(praise).collect::<Vec<_>>()).await.unwrap();
    // The account, the reporter, a receipt for each, and the other reporters once.
    assert_eq!(engine.store.loads() - before, 2 + 10 + 2);
}

#[tokio::test]
async fn what_the_store_refuses_did_not_happen_and_what_leaves_doubt_ends_the_engine() {
    for fault in [Fault::Unavailable, Fault::Lost, Fault::Persisted] {
        let engine = start(MemoryTrustStore::default()).unwrap();
        engine.service.assess(agent(1), points(50)).await.unwrap();
        engine.store.fail(Call::Commit, 0, fault);
        let answer = engine.send(&[praise(1)]).await;
        if fault == Fault::Unavailable {
            assert_eq!(answer.unwrap()[0].name(), "notNow");
            assert_eq!(engine.send(&[praise(1)]).await.unwrap()[0].name(), "taken");
            engine.check();
            continue;
        }
        assert_eq!(answer, Err(TrustError::Stopped));
        assert!(engine.service.ended().await.contains("may or may not"));
        assert!(!engine.service.checks().await[0].ok);
        // A new start goes on from what is there, and the signal sent again counts once.
        let again = start(engine.store.copy()).unwrap();
        let expected = if fault == Fault::Lost { "taken" } else { "repeated" };
        assert_eq!(again.send(&[praise(1)]).await.unwrap()[0].name(), expected);
        assert_eq!(again.service.account(&agent(1)).await.unwrap().assessed.half_points, HalfPoints::new(102));
        again.check();
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_asked_again() {
    let engine = start(MemoryTrustStore::default()).unwrap();
    engine.service.assess(agent(1), points(50)).await.unwrap();
    engine.store.fail(Call::Load, 0, Fault::Unavailable);
    assert_eq!(engine.send(&[praise(1)]).await.unwrap()[0].name(), "taken");
    engine.store.fail(Call::Load, 0, Fault::Lost);
    assert_eq!(engine.send(&[praise(2)]).await, Err(TrustError::Stopped));
    assert!(engine.service.ended().await.contains("damaged"));
}

#[tokio::test]
async fn a_ca_follows_changes_and_an_incident_comes_at_once() {
    let engine = start(MemoryTrustStore::default()).unwrap();
    engine.service.assess(agent(1), points(50)).await.unwrap();
    let page = engine.service.changes(0, 10, Duration::ZERO).await.unwrap();
    assert_eq!((page.changes.len(), page.next), (1, 1));
    let service = Arc::clone(&engine.service);
    let waiting = tokio::spawn(async move { service.changes(1, 10, Duration::from_secs(30)).await });
    tokio::task::yield_now().await;
    let incident = signal(agent(1), Kind::SecurityIncident, None, 5, NOW);
    engine.send(&[incident]).await.unwrap();
    let page = waiting.await.unwrap().unwrap();
    assert_eq!(page.changes[0].incident, Some((1, IncidentStage::Opened)));
    let id = engine.service.incidents(None, 10).await.unwrap()[0].id;
    let ana = operator("ana", Role::Ca);
    assert_eq!(engine.service.confirm(&ana, id).await.unwrap().score, points(0));
    let page = engine.service.changes(page.next, 10, Duration::ZERO).await.unwrap();
    assert_eq!(page.changes[0].incident, Some((1, IncidentStage::Confirmed)));
    assert_eq!(page.changes[0].half_points, HalfPoints::ZERO);
    assert!(engine.service.dismiss(&ana, id).await.is_err());
    assert!(engine.service.changes(page.next, 10, Duration::from_millis(5)).await.unwrap().changes.is_empty());
    let page = engine.service.ledger(0, 10).await.unwrap();
    assert_eq!((page.total, page.rows.len()), (3, 3));
    engine.check();
}

#[tokio::test]
async fn a_clock_set_back_and_rows_that_were_changed_are_noticed() {
    let engine = start(MemoryTrustStore::default()).unwrap();
    engine.service.assess(agent(1), points(50)).await.unwrap();
    engine.clock.0.store(NOW.get() - 60_000, Relaxed);
    engine.service.assess(agent(2), points(50)).await.unwrap();
    engine.clock.0.store(NOW.get() - 60_001, Relaxed);
    assert_eq!(engine.service.assess(agent(3), points(50)).await, Err(TrustError::Stopped));
    assert!(engine.service.ended().await.contains("clock"));
    let copy = engine.store.copy();
    assert!(copy.tamper(1, |row| row.push(b' ')));
    assert!(matches!(start(copy), Err(StartError::Head { .. })));
}

#[tokio::test]
async fn a_stopped_engine_and_a_full_disk_take_nothing_in() {
    let engine = start(MemoryTrustStore::default()).unwrap();
    engine.service.set_disk_low(true);
    assert_eq!(engine.send(&[praise(1)]).await, Err(TrustError::ReadOnly));
    engine.service.assess(agent(1), points(50)).await.unwrap();
    engine.service.set_disk_low(false);
    assert_eq!(engine.send(&vec![praise(1); 257]).await, Err(TrustError::TooMany(256)));
    engine.service.stop().await;
    assert_eq!(engine.send(&[praise(1)]).await, Err(TrustError::Stopped));
}
