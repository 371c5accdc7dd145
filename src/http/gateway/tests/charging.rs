//! Spending and calls, counted by the ledger.

use std::sync::Arc;

use tokio::sync::Notify;

use super::rig::Gateway;
use crate::http::gateway::Proxy;
use crate::http::gateway::ports::{Answer, Ledger};
use crate::time::UnixMillis;
use crate::verify::ledger::{Bounds, Demand, LedgerError, MemoryLedger};
use crate::verify::relying::tests::rig::{World, after, rate};

#[tokio::test]
async fn money_is_spent_once() {
    for proxy in [Proxy::Nginx, Proxy::Envoy] {
        let world = World::new();
        let gateway = Gateway::new(&world, proxy);
        let heard = gateway.pay(&world, "10000").await;
        assert_eq!((heard.status, heard.header("x-agent-amount")), (200, "10000 GBP"), "{heard:?}");
        assert_eq!(gateway.pay(&world, "10001").await.outcome(), (403, "capability.perTransaction"));
        for _ in 0..4 {
            assert_eq!(gateway.pay(&world, "10000").await.status, 200);
        }
        let heard = gateway.pay(&world, "1").await;
        assert_eq!(heard.outcome(), (403, "capability.perPeriod"));
        assert!(heard.headers.contains_key("retry-after"), "{heard:?}");
        assert!(heard.body.contains("50000 used"), "{}", heard.body);
        let heard = gateway.ask("POST", "/quick?amount=1", &world).await;
        assert_eq!(heard.outcome(), (403, "capability.perPeriod"));
        // Looking costs nothing.
        assert_eq!(gateway.ask("GET", "/accounts", &world).await.status, 200);
    }
}

#[tokio::test]
async fn a_renewed_certificate_goes_on_with_the_account() {
    let mut world = World::new();
    let gateway = Gateway::new(&world, Proxy::Nginx);
    for _ in 0..5 {
        assert_eq!(gateway.pay(&world, "10000").await.status, 200);
    }
    world.agent.not_before = after(1);
    world.agent.sats.iter_mut().for_each(|(_, at)| *at = after(1));
    assert_eq!(gateway.pay(&world, "1").await.outcome(), (403, "capability.perPeriod"));
}

#[tokio::test]
async fn calls_that_come_too_often_wait() {
    for (proxy, status) in [(Proxy::Nginx, 403), (Proxy::Envoy, 429)] {
        let mut world = World::new();
        world.agent.capabilities()[0].rate_limit = Some(rate(3, 60));
        let gateway = Gateway::new(&world, proxy);
        for _ in 0..3 {
            assert_eq!(gateway.ask("GET", "/accounts", &world).await.status, 200);
        }
        let heard = gateway.ask("GET", "/accounts", &world).await;
        assert_eq!(heard.outcome(), (status, "capability.rate"));
        let wait: u64 = heard.header("retry-after").parse().unwrap();
        assert!((60..=62).contains(&wait), "{wait}");
        gateway.clock.set(after(5).saturating_add(1000 * wait));
        assert_eq!(gateway.ask("GET", "/accounts", &world).await.status, 200);
    }
}

#[tokio::test]
async fn what_a_child_spends_counts_against_its_parent() {
    let child = World::delegated();
    let mut sibling = World::delegated();
    sibling.agent.uri = "agent://example.com/retail/teller/2".into();
    let gateway = Gateway::new(&child, Proxy::Nginx);
    // Each may spend 20 000 a day, their parent 50 000.
    for _ in 0..4 {
        assert_eq!(gateway.pay(&child, "5000").await.status, 200);
        assert_eq!(gateway.pay(&sibling, "5000").await.status, 200);
    }
    let mut third = World::delegated();
    third.agent.uri = "agent://example.com/retail/teller/3".into();
    for _ in 0..2 {
        assert_eq!(gateway.pay(&third, "5000").await.status, 200);
    }
    let heard = gateway.pay(&third, "5000").await;
    assert_eq!(heard.outcome(), (403, "capability.perPeriod"));
    assert!(heard.body.contains("agent://example.com/retail/lead/1"), "{}", heard.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_at_once_never_spend_too_much() {
    let world = Arc::new(World::new());
    let gateway = Arc::new(Gateway::new(&world, Proxy::Nginx));
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let (world, gateway) = (Arc::clone(&world), Arc::clone(&gateway));
            tokio::spawn(async move { gateway.pay(&world, "1500").await.status })
        })
        .collect();
    let mut allowed = 0;
    for call in calls {
        match call.await.unwrap() {
            200 => allowed += 1,
            other => assert_eq!(other, 403),
        }
    }
    assert_eq!(allowed, 50_000 / 1500);
}

/// One that has stopped.
struct Stopped;

impl Ledger for Stopped {
    fn charge(&self, _: Demand, _: UnixMillis) -> Answer<'_, Result<(), LedgerError>> {
        Box::pin(async { Err(LedgerError::Stopped("the secret place".into())) })
    }

    fn failure(&self) -> Option<String> {
        Some("the disk is full".into())
    }
}

#[tokio::test]
async fn without_a_ledger_nobody_is_let_in() {
    let world = World::new();
    let gateway = Gateway::with(&world, Proxy::Nginx, None, Arc::new(Stopped));
    let heard = gateway.ask("GET", "/accounts", &world).await;
    assert_eq!(heard.outcome(), (503, "capability.ledger"));
    assert!(!heard.body.contains("secret"), "{}", heard.body);
    let ready = gateway.hear(axum::http::Request::get("/readyz").body(axum::body::Body::empty()).unwrap()).await;
    assert!(ready.status == 503 && ready.body.contains("the disk is full"), "{ready:?}");
}

#[tokio::test]
async fn a_ledger_that_is_full_refuses() {
    let world = World::new();
    let bounds = Bounds { counters: 1, ..Bounds::default() };
    let gateway = Gateway::with(&world, Proxy::Nginx, None, Arc::new(MemoryLedger::new(bounds)));
    assert_eq!(gateway.pay(&world, "1").await.status, 200);
    let mut other = World::new();
    other.agent.uri = "agent://example.com/retail/teller/2".into();
    assert_eq!(gateway.pay(&other, "1").await.outcome(), (503, "capability.ledger"));
}

/// One that never comes to its answer, and tells when it has charged.
struct Slow(Arc<MemoryLedger>, Arc<Notify>);

impl Ledger for Slow {
    fn charge(&self, demand: Demand, now: UnixMillis) -> Answer<'_, Result<(), LedgerError>> {
        let charged = Ledger::charge(&*self.0, demand, now);
        Box::pin(async move {
            charged.await?;
            self.1.notify_one();
            std::future::pending().await
        })
    }

    fn failure(&self) -> Option<String> {
        None
    }
}

#[tokio::test]
async fn whoever_hangs_up_is_charged_and_takes_no_room() {
    let world = World::new();
    // There is no room for anything that would stay open.
    let ledger = Arc::new(MemoryLedger::new(Bounds { reservations: 0, ..Bounds::default() }));
    let charged = Arc::new(Notify::new());
    let slow = Gateway::with(&world, Proxy::Nginx, None, Arc::new(Slow(Arc::clone(&ledger), Arc::clone(&charged))));
    for _ in 0..4 {
        tokio::select! {
            heard = slow.pay(&world, "10000") => panic!("{heard:?}"),
            () = charged.notified() => {}
        }
    }
    let gateway = Gateway::with(&world, Proxy::Nginx, None, ledger);
    assert_eq!(gateway.pay(&world, "10000").await.status, 200);
    assert_eq!(gateway.pay(&world, "1").await.outcome(), (403, "capability.perPeriod"));
}
