//! Draft 11.2.1 and 11.2.2, played out.

use super::super::half_points::HalfPoints;
use super::super::signal::Kind::{Failure, PolicyViolation, Success};
use super::super::testing::{HOUR, World};
use super::{DAY, half};

#[test]
fn t1_inflation_by_one_reporter_ends_at_its_cap() {
    let mut world = World::new(1);
    world.policy.decay_rate = crate::apki::trust_score::DecayRate::new(0).unwrap();
    world.assess(1, 40);
    let mut applied = 0;
    for _ in 0..24 {
        for _ in 0..10 {
            applied += world.moved(1, 1, Success, 4);
        }
        assert_eq!(world.signal(1, 1, Success, Some(4)).unwrap_err().token(), "rateLimited");
        world.wait(HOUR - 60_000);
        world.wait(60_000);
    }
    assert!(applied <= 30 + 30, "{applied}");
    assert!(world.score(1) <= half(80 + 30 + 30));
    world.check();
}

#[test]
fn t1_inflation_by_two_reporters_is_held_for_review() {
    let mut world = World::new(2);
    world.assess(1, 40);
    for from in [1, 2, 1, 2] {
        for _ in 0..5 {
            world.signal(from, 1, Success, Some(4)).unwrap();
        }
    }
    assert_eq!(world.score(1), half(80 + 40));
    assert_eq!(world.account(1).held(), half(80 - 40));
    world.check();
}

#[test]
fn t2_decay_reset_by_a_burst_earns_what_the_burst_is_worth() {
    let mut world = World::new(1);
    world.assess(1, 80);
    world.wait(20 * HOUR);
    assert_eq!(world.score(1), half(80));
    // A renewal, with the best evidence there is, gives nothing back.
    assert_eq!(world.assess(1, 100), half(80));
    for _ in 0..10 {
        world.signal(1, 1, Success, Some(4)).unwrap();
    }
    assert_eq!(world.score(1), half(80 + 30));
    assert_eq!(world.account(1).decay_at(world.now).half_points(), half(80));
    assert_eq!(world.assess(1, 100), half(80 + 30));
    world.check();
}

#[test]
fn t2_no_score_passes_the_peak_less_the_penalties() {
    let mut world = World::new(2);
    world.policy.decay_rate = crate::apki::trust_score::DecayRate::new(0).unwrap();
    world.assess(1, 90);
    world.moved(1, 1, PolicyViolation, -30);
    let cap = half(180 - 30);
    for _ in 0..60 {
        world.wait(DAY);
        world.signal(1, 1, Success, Some(4)).unwrap();
        let account = world.account(1);
        assert!(world.score(1) <= account.peak.minus(half(30)));
    }
    assert!(world.score(1) >= cap);
    // The peak is 100 at most, so the penalty is never made up for.
    assert_eq!(world.score(1), HalfPoints::MAX.minus(half(30)));
    world.check();
}

#[test]
fn t2_swings_are_paid_for_with_faster_decay() {
    let mut world = World::new(3);
    world.assess(1, 60);
    for round in 0..4 {
        let (kind, worth) = if round % 2 == 0 { (Failure, -10) } else { (Success, 4) };
        for from in 1..=3 {
            for _ in 0..2 {
                world.signal(from, 1, kind, Some(worth)).unwrap();
            }
        }
        world.wait(HOUR);
    }
    let account = world.account(1);
    assert!(account.pace.fast_until > world.now);
    world.check();
}
