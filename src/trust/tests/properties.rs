//! Whatever order things happen in: the ledger tells all, and no cap is beaten.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::command::{Action, Command};
use super::super::event::{Actor, Event, Role};
use super::super::half_points::{Direction, HalfPoints};
use super::super::ledger::Row;
use super::super::reporter::ReporterId;
use super::super::signal::Kind;
use super::super::testing::{World, agent, operator};
use super::DAY;

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Assess(i16),
    Signal { from: u8, kind: Kind, place: u8 },
    Decide { incident: bool, approve: bool, place: usize },
    Rebase(i16),
}

fn step(reporters: u8, operators: bool) -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        6 => Just(Kind::Success),
        2 => Just(Kind::Failure),
        1 => Just(Kind::PolicyViolation),
        1 => Just(Kind::Anomaly),
        1 => Just(Kind::SecurityIncident),
    ];
    let weight = u32::from(operators);
    prop_oneof![
        4 => prop_oneof![0..3_600_000_u64, 0..20 * 3_600_000_u64, Just(DAY - 1), Just(DAY)].prop_map(Step::Wait),
        1 => (0..=100_i16).prop_map(Step::Assess),
        12 => (1..=reporters, kind, any::<u8>()).prop_map(|(from, kind, place)| Step::Signal { from, kind, place }),
        weight => (any::<bool>(), any::<bool>(), any::<usize>())
            .prop_map(|(incident, approve, place)| Step::Decide { incident, approve, place }),
        weight => (0..=100_i16).prop_map(Step::Rebase),
    ]
}

fn play(world: &mut World, step: &Step) {
    match step {
        Step::Wait(millis) => world.wait(*millis),
        Step::Assess(points) => drop(world.assess(1, *points)),
        Step::Signal { from, kind, place } => {
            let half = kind.range().map(|range| {
                let width = range.end() - range.start() + 1;
                range.start() + i32::from(*place) % width
            });
            match world.signal(*from, 1, *kind, half) {
                Ok(_) => {}
                Err(refusal) => assert_eq!(refusal.token(), "rateLimited"),
            }
        }
        Step::Decide { incident, approve, place } => {
            let account = world.account(1);
            let open: Vec<u64> = match incident {
                true => account.incidents.keys().copied().collect(),
                false => account.reviews.keys().copied().collect(),
            };
            let Some(id) = open.get(place % open.len().max(1)).copied() else { return };
            let action = match (incident, approve) {
                (true, true) => Action::Confirm { incident: id },
                (true, false) => Action::Dismiss { incident: id },
                (false, approve) => Action::Review { review: id, approve: *approve },
            };
            world.tell(&Command::of(&operator("ida", Role::Engine), action)).unwrap();
        }
        Step::Rebase(points) => {
            let (base, reason) = (HalfPoints::from_points(*points), "audit".to_owned());
            let action = Action::Rebase { agent: agent(1), base, reason };
            let _ = world.tell(&Command::of(&operator("eva", Role::Engine), action));
        }
    }
}

/// A change as the caps count it: when, whose, how much, and whether an operator let it through.
struct Change {
    at: u64,
    reporter: Option<ReporterId>,
    applied: i32,
    approved: bool,
}

/// Opinions: when, whose, which way.
type Opinions = Vec<(u64, ReporterId, Direction)>;

fn changes(rows: &[Row]) -> (Vec<Change>, Opinions) {
    let (mut changes, mut opinions) = (Vec::new(), Vec::new());
    for row in rows {
        let at = row.at.get();
        let (reporter, applied, approved) = match &row.event {
            Event::SignalTaken { signal, .. } => {
                let direction = signal.requested.direction().unwrap();
                opinions.push((at, signal.reporter.clone(), direction));
                (Some(signal.reporter.clone()), signal.applied, false)
            }
            Event::Released { reporter, applied, .. } => (Some(reporter.clone()), *applied, false),
            Event::Rebased { applied, .. } => (None, *applied, false),
            Event::ReviewApproved { applied, .. } => (None, *applied, true),
            _ => continue,
        };
        changes.push(Change { at, reporter, applied: applied.get(), approved });
    }
    (changes, opinions)
}

/// No change goes beyond what its reporter alone may do, unless another had said the same within the day
/// before; and beyond 20 points nothing rises within a day that no operator approved.
fn check_caps(rows: &[Row]) {
    let (changes, opinions) = changes(rows);
    for (place, last) in changes.iter().enumerate() {
        let day: Vec<&Change> = changes[..=place].iter().filter(|c| last.at - c.at < DAY).collect();
        let rise: i32 = day.iter().filter(|c| !c.approved).map(|c| c.applied.max(0)).sum();
        assert!(rise <= 40, "{rise} half-points within a day, up to {}", last.at);
        let Some(reporter) = &last.reporter else { continue };
        let Some(direction) = HalfPoints::new(last.applied).direction() else { continue };
        let theirs = day.iter().filter(|c| c.reporter.as_ref() == Some(reporter)).map(|c| c.applied);
        let sum: i32 = theirs.filter(|a| HalfPoints::new(*a).direction() == Some(direction)).sum();
        let agreed = opinions
            .iter()
            .any(|(at, other, way)| *at <= last.at && last.at - at < DAY && other != reporter && *way == direction);
        assert!(sum.abs() <= 30 || agreed, "{reporter} alone moved {sum} half-points");
    }
}

/// What never goes back, from row to row: decay, but for a reset.
fn check_decay(world: &World) {
    let rows = world.ledger();
    let lines = super::super::explain(&rows, world.now, world.policy.penalty_lapse_days);
    for (pair, row) in lines.windows(2).zip(rows.iter().skip(1)) {
        let reset = matches!(row.event, Event::IncidentConfirmed { .. });
        assert!(reset || pair[1].decay >= pair[0].decay, "{row:?}");
        // The CA raises nothing.
        if row.by == Actor::Ca {
            assert!(pair[1].score <= pair[0].score && pair[1].cap <= pair[0].cap, "{row:?}");
        }
    }
    for line in &lines {
        assert!(line.score <= line.cap && line.score <= HalfPoints::MAX && line.score >= HalfPoints::ZERO);
        assert!(line.balance >= line.decay && line.balance.minus(line.decay) <= HalfPoints::MAX, "{line:?}");
    }
}

fn check_rate(rows: &[Row]) {
    let mut sent: BTreeMap<ReporterId, Vec<u64>> = BTreeMap::new();
    for row in rows {
        if let Event::SignalTaken { signal, .. } = &row.event {
            let sent = sent.entry(signal.reporter.clone()).or_default();
            sent.push(row.at.get());
            let hour = sent.iter().filter(|at| row.at.get() - *at < 3_600_000).count();
            assert!(hour <= 10);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_the_ledger_tells_it_and_no_cap_is_beaten(
        base in 0..=100_i16,
        steps in proptest::collection::vec(step(3, true), 1..120),
    ) {
        let mut world = World::new(3);
        world.assess(1, base);
        for step in &steps {
            play(&mut world, step);
        }
        world.check();
        let rows = world.ledger();
        check_caps(&rows);
        check_rate(&rows);
        check_decay(&world);
    }

    #[test]
    fn one_reporter_alone_moves_no_score_by_more_than_15_points_a_day(
        base in 0..=100_i16,
        steps in proptest::collection::vec(step(1, false), 1..200),
    ) {
        let mut world = World::new(1);
        world.assess(1, base);
        for step in &steps {
            play(&mut world, step);
        }
        let rows = world.ledger();
        let (changes, _) = changes(&rows);
        for (place, last) in changes.iter().enumerate() {
            let day: Vec<i32> = changes[..=place].iter().filter(|c| last.at - c.at < DAY).map(|c| c.applied).collect();
            let (up, down) = (day.iter().filter(|a| **a > 0).sum::<i32>(), day.iter().filter(|a| **a < 0).sum::<i32>());
            prop_assert!(up <= 30 && down >= -30);
        }
        world.check();
    }
}
