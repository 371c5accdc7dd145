//! The rules of the module's documentation, and the two attacks on them.

mod attacks;
mod properties;

use super::command::{Action, Command};
use super::event::{Actor, Event, Role};
use super::half_points::HalfPoints;
use super::ports::{Entity, Key};
use super::refusal::Refusal;
use super::signal::Kind::{Anomaly, Failure, PolicyViolation, SecurityIncident, Success};
use super::testing::{HOUR, NOW, World, agent, operator, reporter, signal, signer};

const DAY: u64 = 24 * HOUR;

fn half(number: i32) -> HalfPoints {
    HalfPoints::new(number)
}

/// The row that was written last.
fn last(world: &World) -> u64 {
    world.head.rows - 1
}

#[test]
fn an_account_is_opened_once_and_a_better_base_raises_nothing() {
    let mut world = World::new(1);
    assert_eq!(world.assess(1, 70), half(140));
    assert_eq!(world.assess(1, 90), half(140));
    assert_eq!(world.rows.len(), 1, "what changes nothing leaves no row");
    assert_eq!(world.assess(1, 60), half(120));
    assert_eq!(world.assess(1, 70), half(120));
    assert_eq!(world.rows.len(), 2);
    assert_eq!((world.account(1).base, world.account(1).peak), (half(120), half(120)));
    world.check();
}

#[test]
fn decay_is_exact_and_stops_for_a_while_behind_a_positive_signal() {
    let mut world = World::new(1);
    world.assess(1, 80);
    // Two points an hour: a half-point in a quarter of an hour, and any part of one counts.
    for (minutes, score) in [(0, 160), (1, 159), (15, 159), (16, 158), (60, 156)] {
        world.now = NOW.saturating_add(minutes * 60_000);
        assert_eq!(world.score(1), half(score), "{minutes} minutes");
    }
    assert_eq!(world.moved(1, 1, Success, 4), 4);
    world.wait(HOUR);
    assert_eq!(world.score(1), half(160));
    world.wait(HOUR);
    assert_eq!(world.score(1), half(156));
    world.wait(1_000 * HOUR);
    assert_eq!(world.score(1), HalfPoints::ZERO);
    // At 0 nothing is left to decay: what comes next is worth what it says.
    assert_eq!(world.moved(1, 1, Success, 4), 4);
    assert_eq!(world.score(1), half(4));
    world.check();
}

#[test]
fn an_agent_that_lives_long_is_worth_what_it_earns() {
    let mut world = World::new(1);
    world.assess(1, 90);
    // Fifteen points a day earned, twelve and more a day lost: for longer than the balance could ever hold.
    for _ in 0..120 {
        for _ in 0..8 {
            world.moved(1, 1, Success, 4);
        }
        world.wait(7 * HOUR);
        assert!(world.score(1) <= HalfPoints::MAX);
        world.wait(17 * HOUR + 1);
    }
    let before = world.score(1);
    assert_eq!(world.moved(1, 1, Success, 4), 4);
    assert_eq!(world.score(1), before.plus(half(4)));
    world.check();
}

#[test]
fn the_eleventh_signal_within_an_hour_is_refused_and_leaves_no_trace() {
    let mut world = World::new(2);
    world.assess(1, 50);
    for _ in 0..10 {
        world.signal(1, 1, Success, Some(1)).unwrap();
        world.wait(60_000);
    }
    let rows = world.rows.len();
    let refused = world.signal(1, 1, Failure, Some(-2)).unwrap_err();
    assert_eq!((refused.token(), world.rows.len()), ("rateLimited", rows));
    assert_eq!(refused, Refusal::RateLimited { limit: 10, after: NOW.saturating_add(HOUR) });
    // Another reporter, and another agent, have budgets of their own.
    world.assess(2, 50);
    world.signal(2, 1, Success, Some(1)).unwrap();
    world.signal(1, 2, Success, Some(1)).unwrap();
    world.now = NOW.saturating_add(HOUR);
    world.signal(1, 1, Success, Some(1)).unwrap();
    assert_eq!(world.signal(1, 1, Success, Some(1)).unwrap_err().token(), "rateLimited");
    world.check();
}

#[test]
fn what_one_reporter_alone_may_not_move_waits_for_a_second() {
    let mut world = World::new(3);
    world.assess(1, 80);
    assert_eq!(world.moved(1, 1, PolicyViolation, -50), -30);
    assert_eq!(world.score(1), half(130));
    assert_eq!(world.moved(1, 1, Anomaly, -10), 0);
    // One who praises does not agree with one who blames.
    assert_eq!(world.moved(2, 1, Success, 2), 2);
    let events = world.signal(3, 1, Failure, Some(-2)).unwrap();
    let released: Vec<i32> = events
        .iter()
        .filter_map(|e| if let Event::Released { applied, .. } = e { Some(applied.get()) } else { None })
        .collect();
    assert_eq!(released, [-20, -10]);
    assert_eq!(world.account(1).balance, half(130 + 2 - 2 - 30));
    // And what was praised does not make up for the penalties.
    assert_eq!(world.score(1), half(160 - 30 - 2 - 30));
    // Together they are not capped downwards.
    assert_eq!(world.moved(1, 1, PolicyViolation, -50), -50);
    world.check();
}

#[test]
fn what_nobody_agrees_with_lapses() {
    let mut world = World::new(2);
    world.assess(1, 80);
    world.moved(1, 1, PolicyViolation, -50);
    world.wait(DAY);
    let events = world.signal(2, 1, Failure, Some(-2)).unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    world.check();
}

#[test]
fn a_reset_leaves_nothing_to_go_back_to() {
    let mut world = World::new(3);
    world.assess(1, 90);
    for from in [1, 2] {
        for _ in 0..10 {
            world.signal(from, 1, Success, Some(4)).unwrap();
        }
    }
    assert!(!world.account(1).reviews.is_empty());
    assert_eq!(world.moved(3, 1, SecurityIncident, 0), -30, "within its reporter's cap");
    let incident = last(&world);
    let command = Command::of(&operator("ana", Role::Ca), Action::Confirm { incident });
    world.tell(&command).unwrap();
    assert_eq!(world.score(1), HalfPoints::ZERO);
    let account = world.account(1);
    assert!(account.reviews.is_empty() && account.incidents.is_empty() && account.penalties.is_empty());
    assert_eq!((account.base, account.peak, account.balance), (half(0), half(0), half(0)));
    assert!(
        !world.kept.values().any(|e| matches!(e, Entity::Review(r) if r.state == super::record::ReviewState::Open))
    );
    assert_eq!(world.tell(&command).unwrap_err().token(), "conflict");
    // Neither the CA nor a new enrolment brings it back.
    assert_eq!(world.assess(1, 90), HalfPoints::ZERO);
    world.wait(2 * DAY);
    assert_eq!(world.moved(1, 1, Success, 4), 4);
    assert_eq!(world.score(1), half(4));
    assert_eq!(world.account(1).peak, half(4));
    world.check();
}

#[test]
fn a_dismissed_incident_gives_back_what_it_took_and_no_more() {
    let mut world = World::new(2);
    world.assess(1, 10);
    assert_eq!(world.moved(1, 1, SecurityIncident, 0), -30);
    let incident = last(&world);
    assert_eq!(world.score(1), HalfPoints::ZERO);
    assert_eq!(world.moved(2, 1, Success, 4), 4);
    // The penalty is there for as long as the incident is.
    assert_eq!(world.score(1), HalfPoints::ZERO);
    let dismiss = Action::Dismiss { incident };
    let events = world.tell(&Command::of(&operator("eva", Role::Engine), dismiss)).unwrap();
    assert!(matches!(events[..], [Event::IncidentDismissed { returned, .. }] if returned == half(20)));
    assert_eq!(world.score(1), half(24));
    assert!(world.account(1).penalties.is_empty());
    world.check();
}

#[test]
fn a_raised_base_is_held_and_its_author_does_not_release_it() {
    let mut world = World::new(1);
    world.assess(1, 40);
    let base = HalfPoints::from_points(90);
    let rebase = Action::Rebase { agent: agent(1), base, reason: "audited".into() };
    assert_eq!(world.tell(&Command::of(&operator("ana", Role::Ca), rebase.clone())).unwrap_err().token(), "forbidden");
    world.tell(&Command::of(&operator("eva", Role::Engine), rebase)).unwrap();
    assert_eq!(world.score(1), half(120));
    let review = last(&world);
    let approve = Action::Review { review, approve: true };
    for (name, role) in [("eva", Role::Engine), ("ana", Role::Ca)] {
        let refused = world.tell(&Command::of(&operator(name, role), approve.clone())).unwrap_err();
        assert_eq!(refused.token(), "forbidden", "{name}");
    }
    world.tell(&Command::of(&operator("ida", Role::Engine), approve.clone())).unwrap();
    assert_eq!((world.score(1), world.account(1).base), (half(180), half(180)));
    assert_eq!(world.tell(&Command::of(&operator("ida", Role::Engine), approve)).unwrap_err().token(), "conflict");
    assert_eq!(world.assess(1, 90), half(180));
    world.check();
}

#[test]
fn the_same_octets_are_answered_again_and_others_under_their_id_refused() {
    let mut world = World::new(1);
    world.assess(1, 50);
    let first = signal(agent(1), Success, Some(2), 7, NOW);
    assert_eq!(world.send(1, &first).unwrap().len(), 1);
    world.wait(DAY);
    assert_eq!(world.send(1, &first).unwrap(), []);
    let mut other = first.clone();
    other.half_points = Some(half(3));
    assert_eq!(world.send(1, &other).unwrap_err(), Refusal::Reused(reporter(1)));
    world.check();
}

#[test]
fn signals_are_for_this_engine_and_for_now() {
    let mut world = World::new(1);
    world.assess(1, 50);
    let good = signal(agent(1), Success, Some(2), 7, NOW);
    let change = |change: &dyn Fn(&mut super::signal::Signal)| {
        let mut signal = good.clone();
        change(&mut signal);
        signal
    };
    let (late, ahead) = (NOW.saturating_sub(300_001), NOW.saturating_add(60_001));
    let cases = [
        ("wrongAudience", change(&|s| s.aud = "https://other.example.com".into())),
        ("unknownAgent", change(&|s| s.agent = agent(2))),
        ("stale", change(&|s| (s.issued_at, s.observed_at) = (late, late))),
        ("stale", change(&|s| s.issued_at = ahead)),
        ("badSignal", change(&|s| s.observed_at = NOW.saturating_add(1))),
        ("outOfRange", change(&|s| s.half_points = Some(half(5)))),
        ("outOfRange", change(&|s| s.half_points = None)),
        ("outOfRange", change(&|s| s.kind = SecurityIncident)),
    ];
    for (token, signal) in cases {
        assert_eq!(world.send(1, &signal).unwrap_err().token(), token, "{signal:?}");
    }
    let text = good.sign(&signer(2)).unwrap();
    let verify = |from, text: &str| super::signal::Reported::verify(&world.policy.reporters, &reporter(from), text);
    assert_eq!(verify(1, &text).unwrap_err().token(), "badSignature");
    assert_eq!(verify(2, &text).unwrap_err().token(), "notRegistered");
    assert_eq!(verify(1, &"x".repeat(9_000)).unwrap_err().token(), "badSignal");
    for (issued_at, good) in [(NOW.saturating_sub(300_000), 8), (NOW.saturating_add(60_000), 9)] {
        let mut signal = signal(agent(1), Success, Some(2), good, NOW);
        (signal.issued_at, signal.observed_at) = (issued_at, issued_at.min(NOW));
        world.send(1, &signal).unwrap();
    }
}

#[test]
fn everybody_keeps_to_their_part() {
    let mut world = World::new(2);
    world.assess(1, 50);
    let signal = signal(agent(1), Success, Some(2), 7, NOW);
    let text = signal.sign(&signer(1)).unwrap();
    let reported = super::signal::Reported::verify(&world.policy.reporters, &reporter(1), &text).unwrap();
    let actions = [
        Action::Assess { agent: agent(1), base: half(10) },
        Action::Signal(Box::new(reported)),
        Action::Confirm { incident: 0 },
        Action::Dismiss { incident: 0 },
        Action::Review { review: 0, approve: true },
        Action::Rebase { agent: agent(1), base: half(10), reason: String::new() },
        Action::ClearFlag { reporter: reporter(1) },
    ];
    let may: [(Actor, [bool; 7]); 5] = [
        (Actor::Ca, [true, false, false, false, false, false, false]),
        (Actor::Reporter(reporter(1)), [false, true, false, false, false, false, false]),
        (Actor::Reporter(reporter(2)), [false; 7]),
        (Actor::Operator(operator("ana", Role::Ca)), [false, false, true, false, false, false, false]),
        (Actor::Operator(operator("eva", Role::Engine)), [false, false, true, true, true, true, true]),
    ];
    for (by, may) in may {
        for (action, may) in actions.iter().zip(may) {
            let refused = world.tell(&Command { by: by.clone(), action: action.clone() });
            let forbidden = refused.is_err_and(|refusal| refusal.token() == "forbidden");
            assert_eq!(forbidden, !may, "{by:?} {action:?}");
        }
    }
}

#[test]
fn swings_make_a_score_decay_faster_for_a_day() {
    let mut world = World::new(2);
    world.assess(1, 100);
    world.moved(1, 1, PolicyViolation, -50);
    world.moved(2, 1, PolicyViolation, -50);
    let before = world.score(1);
    world.wait(HOUR);
    assert_eq!(world.score(1), before.minus(half(8)));
    // So it goes on for the rest of the day, as far as there is anything to lose, and then as before.
    let mut fast = world.account(1).clone();
    (fast.balance, fast.peak) = (half(1_000), half(200));
    let lost = |hours| fast.decay_at(NOW.saturating_add(hours * HOUR)).half_points();
    assert_eq!([1, 23, 24, 25, 26].map(lost), [8, 184, 192, 196, 200].map(half));
    world.check();
}

#[test]
fn penalties_lapse_where_the_operator_says_so() {
    let mut world = World::new(1);
    world.policy.penalty_lapse_days = 30;
    world.assess(1, 80);
    world.moved(1, 1, PolicyViolation, -20);
    assert_eq!(world.account(1).cap(world.now, 30), half(140));
    world.wait(30 * DAY);
    assert_eq!(world.account(1).cap(world.now, 30), half(140));
    world.wait(DAY);
    assert_eq!(world.account(1).cap(world.now, 30), half(160));
    assert_eq!(world.account(1).cap(world.now, 0), half(140));
}

#[test]
fn a_reporter_unlike_the_others_is_flagged_and_its_praise_held() {
    let mut world = World::new(5);
    world.assess(1, 60);
    world.assess(2, 60);
    // Four say what is ordinary, one praises and nothing else.
    for round in 0..30 {
        for from in 1..=5 {
            let (kind, worth) = if from == 5 || round % 2 == 0 { (Success, 1) } else { (Failure, -2) };
            world.signal(from, 1 + from % 2, kind, Some(worth)).unwrap();
        }
        world.wait(8 * 60_000);
    }
    let flagged = |world: &World, from| match world.kept.get(&Key::Reporter(reporter(from))) {
        Some(Entity::Reporter(record)) => record.flag.is_some(),
        _ => panic!(),
    };
    assert_eq!((1..=5).map(|from| flagged(&world, from)).collect::<Vec<_>>(), [false, false, false, false, true]);
    world.wait(HOUR);
    assert_eq!(world.moved(5, 1, Success, 4), 0);
    assert_eq!(world.account(1).reviews.values().last().unwrap().half_points, half(4));
    assert_eq!(world.moved(5, 1, Failure, -2), -2);
    let clear = Command::of(&operator("eva", Role::Engine), Action::ClearFlag { reporter: reporter(5) });
    world.tell(&clear).unwrap();
    assert_eq!(world.tell(&clear).unwrap_err().token(), "conflict");
    assert!(!flagged(&world, 5));
    world.check();
}

#[test]
fn rows_that_cannot_be_are_found() {
    let mut world = World::new(1);
    world.assess(1, 50);
    world.moved(1, 1, Success, 4);
    let text = String::from_utf8(world.rows[1].clone()).unwrap();
    let changes = [("\"applied\":4", "\"applied\":3"), ("\"kind\":\"success\"", "\"kind\":\"failure\"")];
    for (from, to) in changes {
        let forged = text.replacen(from, to, 1);
        assert_ne!(forged, text);
        let rows = [world.rows[0].as_slice(), forged.as_bytes()];
        let error = super::recompute(rows).unwrap_err();
        assert!(matches!(error, super::replay::ReplayError::Contradiction { row: 1, .. }), "{error}");
    }
    assert!(super::recompute([text.as_bytes()]).is_err());
}

#[test]
fn a_payload_has_its_members_once_and_no_others() {
    let text = serde_json::to_string(&signal(agent(1), Success, Some(2), 7, NOW)).unwrap();
    assert!(super::signal::Signal::read(text.as_bytes()).is_ok());
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    let names = ["aud", "agent", "kind", "half_points", "observed_at", "issued_at", "id", "detail"];
    let array = serde_json::to_vec(&names.map(|name| object.get(name))).unwrap();
    assert!(super::signal::Signal::read(&array).is_err(), "members without their names");
    let cases = [
        text.replacen('{', "{\"more\":1,", 1),
        text.replacen('{', "{\"kind\":\"success\",", 1),
        text.replacen("\"kind\":\"success\",", "", 1),
        text.replacen("success", "Success", 1),
        text.replacen("\"half_points\":2", "\"half_points\":2.0", 1),
        text.replacen("00000007", "0000000A", 1),
        text.replacen("agent://", "spiffe://", 1),
        text.replacen('}', &format!(",\"detail\":\"{}\"}}", "x".repeat(1025)), 1),
        format!("{text} {text}"),
        String::new(),
    ];
    for case in cases {
        assert_ne!(case, text);
        let fault = super::signal::Signal::read(case.as_bytes()).unwrap_err();
        assert_eq!(fault.token(), "badSignal", "{case}");
    }
}

#[test]
fn dismissing_an_incident_never_leaves_more_than_there_would_be_without_it() {
    let lost: fn(&mut World) = |world| {
        world.assess(1, 0);
    };
    let broke: fn(&mut World) = |world| {
        world.moved(1, 1, PolicyViolation, -20);
        world.moved(2, 1, PolicyViolation, -20);
    };
    for meanwhile in [lost, broke] {
        let score = |incident: bool| {
            let mut world = World::new(3);
            world.assess(1, 30);
            if incident {
                world.moved(3, 1, SecurityIncident, 0);
            }
            world.moved(2, 1, Failure, -2);
            let row = world.account(1).incidents.keys().next().copied();
            meanwhile(&mut world);
            if let Some(incident) = row {
                let by = operator("eve", Role::Engine);
                world.tell(&Command::of(&by, Action::Dismiss { incident })).unwrap();
            }
            // What is earned from here on must not lift it either.
            for _ in 0..5 {
                world.moved(3, 1, Success, 4);
            }
            world.check();
            world.score(1)
        };
        assert_eq!(score(true), score(false));
    }
}
