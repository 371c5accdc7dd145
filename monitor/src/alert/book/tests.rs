use tempfile::TempDir;

use super::*;
use crate::alert::raise;
use crate::alert::routing::{Route, Silence};
use crate::finding::{Class, Finding, Severity};
use crate::state::State;

const HOUR: u64 = 3_600_000;

struct Fixture {
    state: State,
    _dir: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { state: State::open(&dir.path().join("state.redb")).unwrap(), _dir: dir }
    }

    fn write<T>(&self, step: impl FnOnce(&mut Write) -> Result<T, StateError>) -> T {
        self.state.write(step).unwrap()
    }

    fn read<T>(&self, look: impl FnOnce(&Read) -> Result<T, StateError>) -> T {
        self.state.read(look).unwrap()
    }

    fn raise(&self, class: Class, subject: &str, found: u64) -> FindingId {
        let finding = Finding::new(class, None, subject, subject.into(), UnixMillis::new(found));
        self.write(|write| raise(write, &finding));
        finding.id()
    }

    fn alert(&self, id: FindingId) -> Alert {
        self.read(|read| find(read, id)).unwrap()
    }

    fn job(&self, sink: &str) -> Option<Job> {
        self.read(|read| next_job(read, sink))
    }

    fn record(&self, job: &Job, outcome: &Outcome, now: u64) {
        self.write(|write| record(write, job, outcome, UnixMillis::new(now)));
    }

    fn undelivered(&self, now: u64) -> u64 {
        self.read(|read| undelivered(read, UnixMillis::new(now)))
    }
}

fn routing(sinks: &[(&str, Option<u64>)]) -> Routing {
    let route = |&(sink, digest): &(&str, _)| Route { sink: sink.into(), min_severity: Severity::Info, digest };
    Routing { routes: sinks.iter().map(route).collect(), silences: Vec::new() }
}

fn failed(wait: u64, refused: bool) -> Outcome {
    Outcome::Failed { error: "down".into(), refused, wait }
}

const YES: Outcome = Outcome::Delivered { held: false };

#[test]
fn what_is_raised_twice_is_one_alert_in_the_order_of_raising() {
    let book = Fixture::new();
    let ids = ["b", "a", "c"].map(|subject| book.raise(Class::StaleHead, subject, 5));
    assert_eq!(book.raise(Class::StaleHead, "a", 9), ids[1]);
    assert_eq!(book.alert(ids[1]).finding.found_at, UnixMillis::new(5));
    let newest = book.read(|read| newest(read, 2));
    assert_eq!(
        newest.iter().map(|alert| (alert.seq, alert.finding.id())).collect::<Vec<_>>(),
        [(3, ids[2]), (2, ids[1])]
    );
    assert_eq!(book.read(newest_seq), 3);
    let older = |seq, limit| book.read(|read| before(read, seq, limit)).iter().map(|a| a.seq).collect::<Vec<_>>();
    assert_eq!([older(3, 9), older(3, 1), older(1, 9), older(9, 2)], [vec![2, 1], vec![2], vec![], vec![3, 2]]);
    book.raise(Class::SplitView, "x", 6);
    book.raise(Class::Test, "x", 6);
    let worst = |seq| book.read(|read| worst_since(read, seq));
    assert_eq!(
        [0, 3, 4, 5].map(worst),
        [Some(Severity::Critical), Some(Severity::Critical), Some(Severity::Info), None]
    );
}

#[test]
fn nothing_is_put_into_a_digest_that_may_be_on_its_way() {
    const HOUR: u64 = 3_600_000;
    let book = Fixture::new();
    let plan_for = |hours: u64| {
        let routing = routing(&[("ops", Some(hours * HOUR))]);
        book.write(|write| plan(write, &routing, UnixMillis::new(10), 9))
    };
    book.raise(Class::StaleHead, "a", 5);
    plan_for(168);
    // The owner wants them daily now, so that this one is sent at once; and while it is sent, there is another.
    let job = book.job("ops").unwrap();
    let late = book.raise(Class::StaleHead, "b", 6);
    plan_for(24);
    book.record(&job, &YES, 20);
    let next = book.job("ops").unwrap();
    assert_eq!(next.alerts.iter().map(|alert| alert.finding.id()).collect::<Vec<_>>(), [late]);
    book.record(&next, &YES, 30);
    assert_eq!((book.undelivered(u64::MAX), book.alert(late).is_pending()), (0, false));
}

#[test]
fn a_delivery_is_planned_once_and_tried_until_the_yes() {
    let book = Fixture::new();
    let id = book.raise(Class::StaleHead, "a", 5);
    assert_eq!(book.undelivered(5), 1);
    let plan_at =
        |now| book.write(|write| plan(write, &routing(&[("one", None), ("two", None)]), UnixMillis::new(now), 9));
    assert_eq!((plan_at(10), plan_at(11)), (1, 0));
    assert_eq!(book.undelivered(10), 2);
    let job = book.job("one").unwrap();
    assert_eq!((job.due, job.attempts(), job.alerts.len()), (UnixMillis::new(10), 0, 1));
    book.record(&job, &failed(1_000, true), 20);
    let job = book.job("one").unwrap();
    assert_eq!((job.due, job.attempts()), (UnixMillis::new(1_020), 1));
    let delivery = &book.alert(id).deliveries["one"];
    assert_eq!((delivery.last_error.as_deref(), delivery.refused), (Some("down"), true));
    // The other sink is not concerned.
    assert_eq!(book.job("two").unwrap().due, UnixMillis::new(10));
    book.record(&job, &YES, 1_030);
    assert!(book.job("one").is_none());
    let delivery = &book.alert(id).deliveries["one"];
    assert_eq!((delivery.delivered_at, delivery.next_attempt_at), (Some(UnixMillis::new(1_030)), None));
    assert_eq!((delivery.last_error.as_deref(), book.undelivered(1_030)), (None, 1));
}

#[test]
fn a_new_sink_gets_no_old_alert_unless_asked() {
    let book = Fixture::new();
    let id = book.raise(Class::StaleHead, "a", 5);
    book.write(|write| plan(write, &routing(&[]), UnixMillis::new(5), 9));
    book.raise(Class::StaleHead, "b", 6);
    book.write(|write| plan(write, &routing(&[("new", None)]), UnixMillis::new(6), 9));
    let job = book.job("new").unwrap();
    assert_eq!(job.alerts[0].finding.subject, "b");
    book.record(&job, &YES, 7);
    assert!(book.job("new").is_none());
    assert!(book.write(|write| resend(write, id, &["new".into()], UnixMillis::new(8))));
    let job = book.job("new").unwrap();
    assert_eq!((job.alerts[0].finding.id(), job.due), (id, UnixMillis::new(8)));
    let none = Finding::new(Class::Test, None, "none", String::new(), UnixMillis::new(0)).id();
    assert!(!book.write(|write| resend(write, none, &["new".into()], UnixMillis::new(8))));
}

#[test]
fn what_is_asked_for_while_it_is_under_way_is_sent_again() {
    let book = Fixture::new();
    let id = book.raise(Class::StaleHead, "a", 5);
    book.write(|write| plan(write, &routing(&[("one", None)]), UnixMillis::new(5), 9));
    let job = book.job("one").unwrap();
    book.write(|write| resend(write, id, &["one".into()], UnixMillis::new(6)));
    book.record(&job, &YES, 7);
    let again = book.job("one").unwrap();
    assert_eq!(again.due, UnixMillis::new(6));
    // Even within the same millisecond.
    book.write(|write| resend(write, id, &["one".into()], UnixMillis::new(6)));
    book.record(&again, &YES, 7);
    let again = book.job("one").unwrap();
    assert_eq!(again.due, UnixMillis::new(7));
    book.record(&again, &YES, 8);
    assert!(book.job("one").is_none() && !book.alert(id).is_pending());
    assert_eq!(book.undelivered(8), 0);
}

#[test]
fn a_removed_sink_is_forgotten() {
    let book = Fixture::new();
    book.write(|write| forget(write, &["old", "kept"], 9));
    let ids: Vec<_> = (0..5).map(|n| book.raise(Class::StaleHead, &n.to_string(), n)).collect();
    book.raise(Class::Test, "info", 9);
    let both = routing(&[("old", Some(HOUR)), ("kept", None)]);
    book.write(|write| plan(write, &both, UnixMillis::new(9), 99));
    assert_eq!(book.undelivered(9), 11);
    let mut steps = 1;
    while book.write(|write| forget(write, &["kept"], 2)) {
        steps += 1;
    }
    assert_eq!((steps, book.job("old").is_none(), book.undelivered(9)), (4, true, 6));
    assert!(!book.alert(ids[0]).deliveries.contains_key("old") && book.job("kept").is_some());
    assert_eq!(book.read(|read| read.count(&DIGESTS)), 0);
    // Back again it does not get what it missed.
    book.write(|write| forget(write, &["old", "kept"], 9));
    assert!(book.job("old").is_none());
}

#[test]
fn what_can_wait_is_gathered_and_frozen_when_its_time_has_come() {
    let book = Fixture::new();
    let digests = routing(&[("mail", Some(HOUR))]);
    let plan_at = |now| book.write(|write| plan(write, &digests, UnixMillis::new(now), 9));
    let first = book.raise(Class::Test, "a", 1);
    plan_at(1_000);
    book.raise(Class::Test, "b", 2);
    plan_at(2_000);
    let urgent = book.raise(Class::StaleHead, "now", 3);
    plan_at(3_000);
    let job = book.job("mail").unwrap();
    assert_eq!((job.alerts[0].finding.id(), job.digest()), (urgent, None));
    book.record(&job, &YES, 3_000);
    // A digest that is not due is where it should be.
    assert_eq!(book.undelivered(3_001), 0);
    let job = book.job("mail").unwrap();
    let due = 1_000 + HOUR;
    assert_eq!((job.due, job.digest(), job.alerts.len()), (UnixMillis::new(due), Some(due), 2));
    assert_eq!(book.undelivered(due), 1);
    // What comes later goes into the next one.
    book.raise(Class::Test, "c", due);
    plan_at(due);
    assert_eq!(book.job("mail").unwrap().alerts.len(), 2);
    book.record(&job, &failed(5_000, false), due);
    let again = book.job("mail").unwrap();
    assert_eq!((again.due, again.digest(), again.attempts()), (UnixMillis::new(due + 5_000), Some(due), 1));
    book.record(&again, &YES, due + 5_000);
    assert!(book.alert(first).deliveries["mail"].delivered_at.is_some());
    let next = book.job("mail").unwrap();
    assert_eq!((next.digest(), next.alerts[0].finding.subject.as_str()), (Some(due + HOUR), "c"));
    // One that is asked for leaves the digest, which goes with its last.
    book.write(|write| resend(write, next.alerts[0].finding.id(), &["mail".into()], UnixMillis::new(due)));
    let job = book.job("mail").unwrap();
    assert_eq!((job.digest(), job.alerts.len()), (None, 1));
    book.record(&job, &YES, due);
    assert!(book.job("mail").is_none());
}

#[test]
fn a_digest_has_an_end() {
    let book = Fixture::new();
    book.write(|write| {
        for n in 0..MOST_GATHERED as u64 + 1 {
            let finding = Finding::new(Class::Test, None, &n.to_string(), String::new(), UnixMillis::new(1));
            raise(write, &finding)?;
        }
        plan(write, &routing(&[("mail", Some(HOUR))]), UnixMillis::new(1), 2 * MOST_GATHERED)
    });
    let job = book.job("mail").unwrap();
    assert_eq!(job.alerts.len(), MOST_GATHERED);
    book.record(&job, &YES, HOUR + 2);
    let job = book.job("mail").unwrap();
    assert_eq!((job.alerts.len(), job.digest()), (1, Some(HOUR + 2)));
}

#[test]
fn what_is_silenced_is_kept_and_not_sent() {
    let book = Fixture::new();
    let silence = Silence {
        class: Some("log.*".parse().unwrap()),
        log: None,
        subject: None,
        domain: None,
        id: None,
        until: UnixMillis::new(100),
        reason: "moving house".into(),
    };
    let quiet = Routing { silences: vec![silence], ..routing(&[("one", None)]) };
    let (stale, split) = (book.raise(Class::StaleHead, "a", 5), book.raise(Class::SplitView, "a", 5));
    book.write(|write| plan(write, &quiet, UnixMillis::new(6), 9));
    assert_eq!(book.alert(stale).silenced.as_deref(), Some("moving house"));
    let job = book.job("one").unwrap();
    assert_eq!((job.alerts[0].finding.id(), book.undelivered(6)), (split, 1));
    let later = book.raise(Class::StaleHead, "b", 100);
    book.write(|write| plan(write, &quiet, UnixMillis::new(100), 9));
    assert_eq!(book.alert(later).deliveries.len(), 1);
}

#[test]
fn what_could_not_be_sent_comes_forward_in_its_order_and_what_was_refused_does_not() {
    let book = Fixture::new();
    let [first, poison, _] = ["a", "b", "c"].map(|subject| book.raise(Class::StaleHead, subject, 5));
    book.write(|write| plan(write, &routing(&[("one", None)]), UnixMillis::new(5), 9));
    for (wait, refused) in [(HOUR, false), (HOUR, true)] {
        book.record(&book.job("one").unwrap(), &failed(wait, refused), 6);
    }
    book.write(|write| hasten(write, "one", UnixMillis::new(10), 99));
    assert_eq!(book.job("one").unwrap().alerts[0].finding.id(), first);
    assert_eq!(book.alert(poison).deliveries["one"].next_attempt_at, Some(UnixMillis::new(6 + HOUR)));
}

#[test]
fn what_everybody_has_goes_when_it_is_old() {
    let book = Fixture::new();
    let old: Vec<_> = (0..5).map(|n| book.raise(Class::StaleHead, &n.to_string(), n)).collect();
    let young = book.raise(Class::StaleHead, "young", 50);
    book.write(|write| plan(write, &routing(&[("one", None)]), UnixMillis::new(60), 99));
    let unplanned = book.raise(Class::StaleHead, "unplanned", 7);
    for _ in 0..4 {
        book.record(&book.job("one").unwrap(), &Outcome::Delivered { held: true }, 61);
    }
    let mut next = Some(0);
    while let Some(start) = next {
        next = book.write(|write| prune(write, UnixMillis::new(50), start, 2));
    }
    let is_there = |id: &FindingId| book.read(|read| find(read, *id)).is_some();
    assert_eq!(old.iter().map(is_there).collect::<Vec<_>>(), [false, false, false, false, true]);
    assert!(is_there(&young) && is_there(&unplanned));
    assert_eq!((book.read(|read| held(read, "one", 0, 9)).len(), book.read(newest_seq)), (0, 7));
    // Found again after that, it is news.
    assert_ne!(book.alert(book.raise(Class::StaleHead, "0", 80)).seq, 1);
}

#[test]
fn somebody_takes_care() {
    let book = Fixture::new();
    let id = book.raise(Class::StaleHead, "a", 5);
    assert!(book.write(|write| acknowledge(write, id, UnixMillis::new(7))));
    assert!(book.write(|write| acknowledge(write, id, UnixMillis::new(9))));
    assert_eq!(book.alert(id).acknowledged_at, Some(UnixMillis::new(7)));
    let other = Finding::new(Class::Test, None, "x", String::new(), UnixMillis::new(0)).id();
    assert!(!book.write(|write| acknowledge(write, other, UnixMillis::new(7))));
}

#[test]
fn what_was_found_before_there_was_a_sink_can_be_sent_to_one() {
    let book = Fixture::new();
    let old = [(Class::StaleHead, "a"), (Class::Test, "b"), (Class::StaleHead, "c"), (Class::StaleHead, "d")];
    let ids = old.map(|(class, subject)| book.raise(class, subject, 1));
    book.write(|write| plan(write, &Routing::default(), UnixMillis::new(2), 99));
    book.write(|write| acknowledge(write, ids[3], UnixMillis::new(2)));
    // Not seen by the courier yet, and so left to it.
    book.raise(Class::StaleHead, "new", 3);
    let mut both = routing(&[("mail", Some(HOUR)), ("pager", None)]);
    both.routes[1].min_severity = Severity::Critical;
    let send = |routing: &Routing, now| {
        let (mut sent, mut next) = (0, Some(0));
        while let Some(start) = next {
            let (some, more) = book.write(|write| send_unsent(write, routing, UnixMillis::new(now), start, 2));
            (sent, next) = (sent + some, more);
        }
        sent
    };
    assert_eq!(send(&both, 10), 3);
    let due = |id| book.alert(id).deliveries["mail"].next_attempt_at.unwrap().get();
    assert_eq!(ids[..3].iter().map(|id| due(*id)).collect::<Vec<_>>(), [10, 10 + HOUR, 10]);
    assert!(ids.iter().all(|id| !book.alert(*id).deliveries.contains_key("pager")), "it wants nothing of the kind");
    assert!(book.alert(ids[3]).deliveries.is_empty(), "somebody takes care of it");
    // What is on its way is left alone; what was tried in vain is tried again at once, what has arrived is not sent.
    assert_eq!(send(&both, 11), 0);
    let job = book.job("mail").unwrap();
    book.record(&job, &failed(5_000, false), 12);
    assert_eq!((send(&both, 13), due(job.alerts[0].finding.id())), (1, 13));
    for _ in 0..2 {
        let job = book.job("mail").unwrap();
        book.record(&job, &YES, 14);
    }
    assert_eq!((send(&both, 15), book.job("mail").unwrap().digest()), (0, Some(10 + HOUR)));
    // A sink that is asked for alone gets what it has not got, whoever else has.
    assert_eq!(send(&routing(&[("chat", None)]), 16), 3);
}

#[test]
fn what_nobody_takes_care_of_is_counted_as_it_comes_and_goes() {
    let book = Fixture::new();
    let before = book.raise(Class::SplitView, "before", 1);
    let open = || book.read(open).into_values().collect::<Vec<_>>();
    assert_eq!(open(), [0; 0], "not counted yet");
    book.write(count);
    assert_eq!(open(), [0, 0, 1]);
    let ids = [(Class::Test, 2), (Class::StaleHead, 3), (Class::StaleHead, 50)]
        .map(|(class, found)| book.raise(class, &found.to_string(), found));
    book.raise(Class::StaleHead, "3", 3);
    assert_eq!(open(), [1, 2, 1]);
    for _ in 0..2 {
        book.write(|write| acknowledge(write, ids[1], UnixMillis::new(4)));
    }
    assert_eq!(open(), [1, 1, 1]);
    book.write(|write| plan(write, &Routing::default(), UnixMillis::new(60), 99));
    book.write(|write| prune(write, UnixMillis::new(50), 0, 99));
    assert_eq!(open(), [0, 1, 0]);
    assert!(book.read(|read| find(read, before)).is_none());
    book.write(count);
    assert_eq!(open(), [0, 1, 0]);
}
