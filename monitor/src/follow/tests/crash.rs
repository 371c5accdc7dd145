//! A crash at any write: what is told in the end is what would have been told without it.

use super::server::TestLog;
use super::world::{World, certificates};

/// Two growths of a log, with everything that leads to a write on the way.
async fn follow(world: &World) -> bool {
    let Ok(round) = world.follower().once().await else { return false };
    assert!(round.is_complete(), "{round:?}");
    true
}

#[tokio::test]
async fn a_crash_at_any_write_neither_loses_nor_repeats_an_alert() {
    let log = TestLog::start("log.example/1").await;
    log.append(certificates(0..1600), 500_000);
    log.sign(599_000);
    // An entry that goes back, and one newer than its head: findings of the log's own duty.
    log.append([b"back".to_vec()], 400_000);
    log.append(certificates(1601..1700), 599_900);
    log.sign(599_800);
    let whole = World::beside(&log);
    assert!(follow(&whole).await);
    let expected = whole.told();
    assert!(expected.len() > 34 && expected.iter().any(|told| told.contains("newer")), "{expected:?}");

    let mut crashes = 0;
    for halves in 0.. {
        let mut world = World::beside(&log);
        world.state.crash_after(halves);
        let whole = follow(&world).await;
        world.state.crash_after(i64::MAX);
        if whole {
            break;
        }
        crashes += 1;
        // What is told before the crash is told rightly, and afterwards everything is, once.
        assert!(world.told().is_subset(&expected), "{halves}");
        world.reopen();
        assert!(follow(&world).await, "{halves}");
        assert_eq!(world.told(), expected, "{halves}");
        assert_eq!(world.alerts().len(), whole_alerts(&expected), "{halves}");
    }
    assert!(crashes >= 10, "{crashes} writes were cut off");
}

/// Alerts among what is told: errands have a hash for a name.
fn whole_alerts(told: &std::collections::BTreeSet<String>) -> usize {
    told.iter().filter(|told| told.contains(' ')).count()
}

#[tokio::test]
async fn a_round_that_is_cut_off_at_any_request_loses_nothing() {
    let log = TestLog::start("log.example/1").await;
    log.append(certificates(0..900), 500_000);
    log.sign(599_000);
    let whole = World::beside(&log);
    log.asked();
    assert!(follow(&whole).await);
    let (expected, requests) = (whole.told(), log.asked().len());
    assert!(requests > 20, "{requests}");
    for cut in (0..requests).step_by(3) {
        let world = World::beside(&log);
        let (asked, reached) = tokio::sync::oneshot::channel();
        let (mut asked, mut left) = (Some(asked), cut);
        log.lie(move |_| {
            match left.checked_sub(1) {
                Some(fewer) => left = fewer,
                None => drop(asked.take().map(|asked| asked.send(()))),
            }
            None
        });
        let mut follower = world.follower();
        tokio::select! {
            biased;
            _ = reached => {}
            _ = follower.once() => {}
        }
        drop(follower);
        log.be_honest();
        assert!(world.told().is_subset(&expected), "{cut}");
        assert!(follow(&world).await, "{cut}");
        assert_eq!(world.told(), expected, "{cut}");
    }
}
