//! Limits that need a memory.

use super::rig::*;
use crate::time::UnixMillis;
use crate::verify::ledger::{Bounds, Demand, LedgerError, MemoryLedger, ReservationId, SpendLedger};
use crate::verify::relying::*;

fn ledger() -> MemoryLedger {
    MemoryLedger::new(Bounds::default())
}

fn codes(overdrawn: &Overdrawn) -> Vec<(&'static str, Subject)> {
    overdrawn.refused.reasons().iter().map(|reason| (reason.code.as_str(), reason.subject)).collect()
}

/// A ledger that cannot answer.
struct Broken;

impl SpendLedger for Broken {
    fn reserve(&self, _: &Demand, _: UnixMillis) -> Result<ReservationId, LedgerError> {
        Err(LedgerError::Stopped("the disk is full".into()))
    }

    fn charge(&self, _: &Demand, _: UnixMillis) -> Result<(), LedgerError> {
        Err(LedgerError::Stopped("the disk is full".into()))
    }

    fn commit(&self, _: ReservationId, _: UnixMillis) -> Result<(), LedgerError> {
        Ok(())
    }

    fn release(&self, _: ReservationId, _: UnixMillis) -> Result<(), LedgerError> {
        Ok(())
    }
}

/// At most `requests` calls of the accounts in a minute.
fn limited(world: &mut World, requests: u32) {
    world.agent.capabilities()[0].rate_limit = Some(rate(requests, 60));
    world.operation = Some(call(ACCOUNTS, "accounts"));
}

#[test]
fn a_rate_is_the_certificates_and_is_counted_here() {
    let (ledger, mut world) = (ledger(), World::new());
    limited(&mut world, 2);
    let ask = |world: &World| world.accepted().reserve(&ledger, ChargedTo::Agent, world.now);
    let first = ask(&world).unwrap().unwrap();
    ask(&world).unwrap();
    let third = ask(&world).unwrap_err();
    assert_eq!(codes(&third), [("capability.rate", Subject::Agent)]);
    assert!(third.fits_at.unwrap() > world.now);
    // A renewed certificate goes on with the same account.
    world.agent.change = |draft| draft.serial = vec![0x02, 0x01, 0x66];
    assert!(ask(&world).is_err());
    // What came to nothing is given back.
    ledger.release(first, world.now).unwrap();
    assert!(ask(&world).is_ok());
    world.now = world.now.saturating_add(2 * MINUTE);
    assert!(ask(&world).is_ok());
}

#[test]
fn without_an_operation_nothing_is_reserved() {
    assert_eq!(World::new().accepted().reserve(&Broken, ChargedTo::Line, START), Ok(None));
}

#[test]
fn a_ledger_that_cannot_answer_refuses() {
    let mut world = World::new();
    limited(&mut world, 2);
    let overdrawn = world.accepted().reserve(&Broken, ChargedTo::Agent, world.now).unwrap_err();
    assert_eq!((codes(&overdrawn), overdrawn.fits_at), (vec![("capability.ledger", Subject::Agent)], None));
    assert_eq!(overdrawn.refused.claims, Some(uri(&world.agent.uri)));
}

#[test]
fn children_spend_their_parents_money_where_the_line_is_charged() {
    let pay = |ledger: &MemoryLedger, charged, instance: &str| {
        let mut world = World::delegated();
        world.agent.uri = format!("agent://example.com/retail/teller/{instance}");
        world.parents[0].capabilities()[1] = spending(PAYMENTS, "pay", 10_000, 12_000);
        world.agent.capabilities = Some(vec![spending(PAYMENTS, "pay/eu", 5_000, 12_000)]);
        world.operation = Some(payment(5_000, "GBP"));
        world.accepted().reserve(ledger, charged, world.now)
    };
    let alone = ledger();
    let together = ledger();
    for instance in ["1", "2"] {
        pay(&alone, ChargedTo::Agent, instance).unwrap();
        pay(&together, ChargedTo::Line, instance).unwrap();
    }
    assert!(pay(&alone, ChargedTo::Agent, "3").is_ok());
    let third = pay(&together, ChargedTo::Line, "3").unwrap_err();
    assert_eq!(codes(&third), [("capability.perPeriod", Subject::Parent(1))]);
    // And each child has its own limit besides.
    for _ in 0..2 {
        let _ = pay(&alone, ChargedTo::Agent, "1");
    }
    let own = pay(&alone, ChargedTo::Agent, "1").unwrap_err();
    assert_eq!(codes(&own), [("capability.perPeriod", Subject::Agent)]);
}

#[test]
fn half_a_period_is_no_limit_that_anybody_could_keep() {
    let mut world = World::new();
    world.agent.capabilities()[1].spend_limit.as_mut().unwrap().period_seconds = None;
    world.operation = Some(payment(1, "GBP"));
    let overdrawn = world.accepted().reserve(&ledger(), ChargedTo::Agent, world.now).unwrap_err();
    assert_eq!(codes(&overdrawn), [("capability.perPeriod", Subject::Agent)]);
}
