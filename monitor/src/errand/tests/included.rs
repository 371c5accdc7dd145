//! Timestamps, and whether their logs keep them; and entries that should be in another log.

use std::sync::Arc;
use std::time::Duration;

use atl::api::{B64, Token};
use atl::keys::Ed25519Signer;
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::merkle::{Edge, LeafIndex, integrate};
use atl::time::UnixMillis;
use tokio::sync::Semaphore;

use super::agents::NOW;
use super::rig::{DAY, HOUR, Rig, SECOND};
use super::test_log::MMD;
use crate::errand::Errand;
use crate::errand::decide::{Outcome, Tries};
use crate::evidence::Terms;
use crate::finding::{Class, EntryRef, Finding};
use crate::head::SignedHead;
use crate::heads::book::{self, MAX_PROOFS};

pub(super) fn hash() -> CertHash {
    CertHash::of_certificate(b"in question")
}

pub(super) fn sat_of(seed: u8, at: UnixMillis) -> SignedAgentTimestamp {
    SignedAgentTimestamp::sign(&Ed25519Signer::from_seed(&[seed; 32]).unwrap(), at, hash()).unwrap()
}

pub(super) fn included(sat: &SignedAgentTimestamp, entry: Option<EntryRef>) -> Errand {
    Errand::Included { entry, sat: B64(sat.to_der()), cert_hash: hash(), due: sat.timestamp }
}

/// A rig whose first log has other entries, and the entry in question where it is `there`; the timestamp was given
/// an hour ago.
pub(super) async fn rig(there: bool) -> (Rig, SignedAgentTimestamp) {
    let rig = Rig::new().await;
    let at = NOW.saturating_sub(HOUR);
    for n in 0..300_u32 {
        rig.logs[0].add(&n.to_be_bytes(), at, &[]);
    }
    if there {
        rig.logs[0].add(b"in question", at, &[]);
    }
    for n in 300..303_u32 {
        rig.logs[0].add(&n.to_be_bytes(), at.saturating_add(1), &[]);
    }
    rig.sign();
    let sat = sat_of(11, at);
    rig.post(&included(&sat, None));
    (rig, sat)
}

#[tokio::test]
async fn a_promise_that_is_kept_is_nothing_to_tell() {
    let (rig, _) = rig(true).await;
    assert_eq!(rig.once().await, 1);
    assert_eq!((rig.codes(), rig.waiting()), (vec![], vec![]));
    assert_eq!((rig.logs[0].asked("get-proof"), rig.logs[0].asked("get-entry"), rig.logs[1].asked("")), (1, 1, 0));
    assert_eq!(rig.once().await, 0);
}

#[tokio::test]
async fn a_promise_that_is_not_kept_is_shown_by_all_the_leaves() {
    let (rig, sat) = rig(false).await;
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting()), (vec!["log.not-included"], vec![]));
    let told = rig.told().remove(0);
    assert_eq!((told.log.as_str(), told.evidence.as_deref()), ("one.example/1", Some("evidence-log.not-included")));
    let exhibit = rig.exhibits().remove(0);
    assert_eq!(exhibit.sats, [B64(sat.to_der())]);
    assert_eq!((exhibit.receipts.len(), exhibit.receipts[0].status), (1, 404));
    assert!(exhibit.receipts[0].asked.contains("/atl/v1/get-proof-by-hash?hash="));
    let head = SignedHead::open(exhibit.heads[0].clone(), &rig.watched(0)).unwrap();
    assert_eq!((exhibit.leaves.len(), head.size().get()), (303, 303));
    assert_eq!(integrate(&Edge::empty(), &exhibit.leaves).unwrap().edge.root(), head.root());
    assert!(!exhibit.leaves.contains(&hash().leaf_hash()));
    // Found again, it is told once, and its evidence is kept once.
    rig.post(&included(&sat, None));
    rig.once().await;
    assert_eq!((rig.codes().len(), rig.exhibits().len()), (1, 1));
}

#[tokio::test]
async fn a_log_of_which_much_is_proven_fills_no_disk_with_more_of_it() {
    let (rig, _) = rig(false).await;
    let origin = rig.watched(0).origin;
    let proofs = 0..MAX_PROOFS;
    let freeze = |n: usize| rig.state.write(|write| book::freeze(write, &origin, &n.to_string(), Class::NotIncluded));
    proofs.map(freeze).collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(rig.once().await, 1);
    assert_eq!((rig.codes(), rig.waiting()), (vec![], vec![]));
    assert_eq!(rig.keeper.exhibits.lock().len(), 0);
}

#[tokio::test]
async fn an_entry_that_is_there_and_denied_is_a_refusal() {
    let (rig, _) = rig(true).await;
    rig.logs[0].lie(|lies| _ = lies.denied.insert(hash()));
    rig.once().await;
    assert_eq!(rig.codes(), ["log.proof-refused"]);
    assert!(rig.exhibits()[0].leaves.contains(&hash().leaf_hash()));
}

#[tokio::test]
async fn leaves_that_are_not_under_the_head_show_nothing() {
    let (rig, _) = rig(false).await;
    rig.logs[0].lie(|lies| lies.leaves = true);
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["log.not-included"], 0));
    assert!(rig.told()[0].details.iter().any(|(_, value)| value == "the log's own words"));
    assert_eq!(rig.exhibits()[0].leaves, []);
}

#[tokio::test]
async fn an_empty_tree_keeps_no_promise() {
    let rig = Rig::new().await;
    rig.sign();
    rig.post(&included(&sat_of(11, NOW.saturating_sub(HOUR)), None));
    rig.once().await;
    assert_eq!((rig.codes(), rig.logs[0].asked("get-proof")), (vec!["log.not-included"], 0));
}

#[tokio::test]
async fn a_head_that_need_not_have_the_entry_is_waited_behind_and_no_longer() {
    let rig = Rig::new().await;
    rig.logs[0].add(b"another", NOW, &[]);
    rig.sign();
    let sat = sat_of(11, NOW);
    rig.post(&included(&sat, None));
    for (head_at, told) in [(NOW, 0), (NOW.saturating_add(MMD - 1), 0), (NOW.saturating_add(MMD), 1)] {
        rig.pass(2 * HOUR);
        rig.logs[0].sign(head_at);
        // "Soon" is not signed, so it helps nobody.
        rig.logs[0].lie(|lies| lies.soon = true);
        assert_eq!(rig.once().await, 1, "{head_at}");
        assert_eq!((rig.codes().len(), rig.waiting().len()), (told, 1), "{head_at}");
    }
    assert_eq!(rig.codes(), ["log.not-included"]);
    assert!(!rig.told()[0].summary.contains("prove"));
    // What was told by the delay that the log states is proven by the longest delay that there is.
    for (head_at, told) in [(NOW.saturating_add(HOUR - 1), 1), (NOW.saturating_add(HOUR), 2)] {
        rig.pass(2 * HOUR);
        rig.logs[0].sign(head_at);
        assert_eq!(rig.once().await, 1, "{head_at}");
        assert_eq!((rig.codes().len(), rig.exhibits().len(), rig.waiting().len()), (told, told, 2 - told), "{head_at}");
    }
    assert!(rig.told().iter().any(|finding| finding.summary.contains("which all of its leaves prove")));
}

#[tokio::test]
async fn a_proof_that_does_not_verify_is_told_with_the_proof() {
    let (rig, _) = rig(true).await;
    rig.logs[0].lie(|lies| lies.garbage = true);
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["log.proof-garbage"], 0));
    let exhibit = rig.exhibits().remove(0);
    assert!(String::from_utf8(exhibit.receipts[0].body.0.clone()).unwrap().contains("\"inclusion\""));
    assert_eq!((exhibit.heads.len(), exhibit.sats.len()), (1, 1));
}

#[tokio::test]
async fn a_log_that_refuses_is_left_alone_as_long_as_it_asks_and_told_of_after_a_day() {
    let (rig, _) = rig(true).await;
    rig.logs[0].lie(|lies| lies.refuses = Some((Token::Overloaded, 120)));
    let runner = rig.runner();
    runner.once().await.unwrap();
    let kept = rig.waiting().remove(0);
    assert!(kept.due >= NOW.saturating_add(120 * SECOND) && kept.attempts == 1, "{kept:?}");
    assert!(kept.last_error.as_ref().unwrap().contains("overloaded"), "{kept:?}");
    // The same process asks this log nothing else meanwhile.
    let asked = rig.logs[0].asked("");
    let other = EntryRef { log: "two.example/1".into(), index: LeafIndex::new(1), cert_hash: hash() };
    rig.post(&Errand::Elsewhere { entry: other, log: "one.example/1".into(), due: NOW });
    rig.pass(60 * SECOND);
    assert_eq!(runner.once().await.unwrap(), 1);
    assert_eq!((rig.logs[0].asked(""), rig.waiting().len()), (asked, 2));
    assert_eq!(rig.codes(), [""; 0]);
    rig.pass(DAY);
    assert_eq!(rig.once().await, 2);
    assert_eq!(rig.codes(), ["log.proof-refused"]);
    assert!(rig.told()[0].summary.contains("one.example/1 has not answered for 1 d"), "{:?}", rig.told());
    assert_eq!(rig.exhibits()[0].receipts[0].status, 503);
}

#[tokio::test]
async fn a_log_that_is_silent_gets_a_week() {
    let mut rig = Rig::new().await;
    // Nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    rig.logs[0].url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    rig.post(&included(&sat_of(11, NOW), None));
    rig.once().await;
    let kept = rig.waiting().remove(0);
    assert_eq!((kept.attempts, kept.first_asked), (1, Some(NOW)));
    for (days, told) in [(2, 0), (4, 0), (1, 1)] {
        rig.pass(days * DAY);
        rig.once().await;
        assert_eq!(rig.codes().len(), told);
    }
    assert_eq!(rig.exhibits()[0].receipts[0].status, 0);
}

/// Whether a log breaks its promises by the hundred or a stranger brings its timestamps: so many are told, then that
/// there are more, and as much evidence is kept.
#[tokio::test]
async fn a_log_that_breaks_every_promise_does_not_bury_everything_else() {
    let (rig, sat) = rig(false).await;
    // Its leaves cannot be had, as those of a long log, so that no more than its own word is known.
    rig.logs[0].lie(|lies| lies.leaves = true);
    let key = Ed25519Signer::from_seed(&[11; 32]).unwrap();
    let promise = |n: u64| {
        let cert_hash = CertHash::of_certificate(&n.to_be_bytes());
        let sat = SignedAgentTimestamp::sign(&key, sat.timestamp, cert_hash).unwrap();
        Errand::Included { entry: None, sat: B64(sat.to_der()), cert_hash, due: sat.timestamp }
    };
    (0..40).for_each(|n| rig.post(&promise(n)));
    let once = async || rig.runner().with_most_per_hour(4).once().await.unwrap();
    assert_eq!(once().await, 41);
    assert_eq!((rig.codes(), rig.exhibits().len(), rig.waiting().len()), (vec!["log.not-included"; 5], 4, 0));
    let told = rig.told();
    let more: Vec<_> = told.iter().filter(|finding| finding.summary.contains("more than 4 times")).collect();
    assert_eq!((more.len(), more[0].evidence.as_ref()), (1, None));
    assert!(told.iter().filter(|finding| finding.evidence.is_some()).count() == 4);
    // In the next batch of this hour nothing is new, and in the next hour it goes on.
    (40..50).for_each(|n| rig.post(&promise(n)));
    once().await;
    assert_eq!((rig.codes().len(), rig.exhibits().len()), (5, 4));
    rig.pass(HOUR);
    (50..60).for_each(|n| rig.post(&promise(n)));
    once().await;
    assert_eq!((rig.codes().len(), rig.exhibits().len()), (10, 8));
}

/// What is proven is told however much was found before.
#[tokio::test]
async fn a_promise_that_is_proven_to_be_broken_is_told_beyond_all_bounds() {
    let (rig, _) = rig(false).await;
    rig.logs[0].sign(NOW.saturating_add(2 * HOUR));
    rig.pass(2 * HOUR);
    let runner = rig.runner().with_most_per_hour(0);
    runner.once().await.unwrap();
    assert!(rig.told().iter().any(|finding| finding.summary.contains("which all of its leaves prove")));
    assert!(book::frozen(&rig.state, &rig.watched(0).origin).unwrap().is_some());
}

#[tokio::test]
async fn under_a_clock_that_is_far_ahead_no_question_is_given_up() {
    let rig = Rig::new().await;
    let refuses = |rig: &Rig| rig.logs[0].lie(|lies| lies.refuses = Some((Token::Internal, 1)));
    refuses(&rig);
    rig.post(&included(&sat_of(11, NOW), None));
    rig.once().await;
    rig.board.log("one.example/1", |log| log.head_timestamp = Some(NOW));
    for _ in 0..2 {
        rig.pass(300 * DAY);
        rig.once().await;
        assert_eq!((rig.codes(), rig.waiting().len()), (vec![], 1));
    }
    // The same where the log has signed something of that time.
    rig.board.log("one.example/1", |log| log.head_timestamp = Some(rig.now()));
    rig.pass(HOUR);
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["log.proof-refused"], 0));
}

#[tokio::test]
async fn an_entry_that_should_be_elsewhere_is_there_or_both_logs_are_named() {
    let rig = Rig::new().await;
    let entry = |der: &[u8]| EntryRef {
        log: "one.example/1".into(),
        index: LeafIndex::new(7),
        cert_hash: CertHash::of_certificate(der),
    };
    let elsewhere = |der: &[u8], log: &str, due| Errand::Elsewhere { entry: entry(der), log: log.into(), due };
    rig.logs[1].add(b"there", NOW, &[]);
    rig.logs[1].sign(NOW);
    rig.post(&elsewhere(b"there", "two.example/1", NOW));
    rig.post(&elsewhere(b"missing", "two.example/1", NOW.saturating_add(1)));
    rig.post(&elsewhere(b"missing", "three.example/1", NOW));
    rig.pass(5 * SECOND);
    assert_eq!(rig.once().await, 3);
    // A head of before it was due says nothing.
    assert_eq!((rig.codes(), rig.waiting().len()), (vec![], 1));
    rig.pass(HOUR);
    rig.sign();
    rig.once().await;
    let told = rig.told().remove(0);
    assert_eq!((told.class, rig.waiting().len()), (Class::MissingFromOtherLog, 0));
    assert!(told.summary.contains("entry 7 of one.example/1 should be in two.example/1 too"), "{}", told.summary);
    assert_eq!((&told.entry, told.evidence.is_some()), (&Some(entry(b"missing")), true));
    // The first log has forgotten it, which keeps nobody from being told.
    let proof = told.details.iter().find(|(name, _)| name == "inclusion proof");
    assert_eq!(proof.map(|(_, words)| words.as_str()), Some("not to be had: the log says that it does not have it"));
}

#[tokio::test]
async fn a_process_that_ends_while_it_asks_repeats_the_question_and_nothing_else() {
    let (rig, _) = rig(false).await;
    let gate = Arc::new(Semaphore::new(0));
    rig.logs[0].lie(|lies| lies.gate = Some(Arc::clone(&gate)));
    let runner = rig.runner();
    let running = tokio::spawn(async move { runner.once().await });
    while rig.logs[0].asked("get-sth") == 0 {
        tokio::task::yield_now().await;
    }
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert_eq!((rig.codes().len(), rig.waiting()[0].attempts), (0, 0));
    rig.logs[0].lie(|lies| lies.gate = None);
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["log.not-included"], 0));
    assert_eq!(rig.logs[0].asked("get-sth"), 2);
}

#[tokio::test]
async fn a_process_that_ends_between_evidence_and_alert_tells_it_the_next_time() {
    let (rig, _) = rig(false).await;
    let (let_on, wait) = std::sync::mpsc::channel();
    *rig.keeper.wait.lock() = Some(wait);
    let runner = rig.runner();
    let running = tokio::spawn(async move { runner.once().await });
    while rig.exhibits().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    let_on.send(()).unwrap();
    assert_eq!((rig.codes().len(), rig.waiting().len()), (0, 1));
    rig.once().await;
    assert_eq!((rig.codes(), rig.waiting().len()), (vec!["log.not-included"], 0));
    let [before, again] = &rig.exhibits()[..] else { panic!() };
    assert_eq!((&before.heads, &before.sats, &before.leaves), (&again.heads, &again.sats, &again.leaves));
}

#[tokio::test]
async fn nothing_is_told_before_its_evidence_is_kept_unless_that_lasts_an_hour() {
    let (rig, _) = rig(false).await;
    *rig.keeper.full.lock() = true;
    rig.once().await;
    assert_eq!((rig.codes().len(), rig.waiting().len()), (0, 1));
    assert!(rig.waiting()[0].last_error.as_deref().is_some_and(|why| why.contains("no space left")));
    rig.pass(HOUR);
    rig.sign();
    rig.once().await;
    let told = rig.told().remove(0);
    assert_eq!((told.class, told.evidence.as_deref()), (Class::NotIncluded, None));
    assert!(told.details.iter().any(|(_, value)| value.contains("no space left")));
}

#[tokio::test]
async fn a_certificate_that_the_feed_does_not_know_is_told_as_the_owner_decides() {
    let rig = Rig::new().await;
    let finding = Finding::new(Class::Unauthorised, None, "x", "x".into(), NOW);
    let ask = |known_as| Errand::Authorised { known_as, finding: Box::new(finding.clone()), due: NOW };
    rig.post(&ask(vec![hash()]));
    let feed = |known: &[CertHash], _: &Finding, due: UnixMillis, now: UnixMillis| {
        assert_eq!((known, due, now), (&[hash()][..], NOW, NOW));
        Outcome::put_off(now.saturating_add(5), "the feed is not read yet")
    };
    let knows = rig.runner().with_owner(Arc::new(feed), Terms::default());
    assert_eq!(knows.once().await.unwrap(), 1);
    assert_eq!((rig.codes().len(), rig.waiting()[0].attempts), (0, 0));
    rig.pass(5);
    // Nobody can be asked any more.
    rig.once().await;
    let told = rig.told();
    assert_eq!((told.len(), told[0].found_at, rig.waiting().len()), (1, rig.now(), 0));
}

#[tokio::test]
async fn many_promises_of_one_moment_cost_one_head_and_stand_on_the_board() {
    let rig = Rig::new().await;
    for n in 0..40_u8 {
        let hash = rig.logs[0].add(&[n], NOW, &[]);
        let sat = SignedAgentTimestamp::sign(&Ed25519Signer::from_seed(&[11; 32]).unwrap(), NOW, hash).unwrap();
        rig.post(&Errand::Included { entry: None, sat: B64(sat.to_der()), cert_hash: hash, due: NOW });
    }
    let late = sat_of(11, NOW.saturating_add(DAY));
    rig.post(&included(&late, None));
    rig.logs[0].sign(NOW.saturating_add(1));
    assert_eq!(rig.once().await, 40);
    assert_eq!((rig.logs[0].asked("get-sth"), rig.codes().len()), (1, 0));
    let errands = rig.board.standing().errands;
    assert_eq!((errands.waiting, errands.dropped, errands.overdue_since), (1, 0, None));
}

#[tokio::test]
async fn it_runs_until_it_is_stopped() {
    let (rig, _) = rig(true).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(rig.runner().run(stopped));
    while !rig.waiting().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
}

proptest::proptest! {
    #[test]
    fn pauses_grow_are_bounded_and_never_shorter_than_asked_for(attempts in 0_u32..100, lot: u64, asked in 0_u64..1_000_000) {
        let tries = Tries { now: NOW, first_asked: None, attempts, lot };
        let at = |wait: Option<u64>| tries.again("x", wait.map(Duration::from_secs)).again.unwrap().at.since(NOW);
        let least = (2000_u64 << attempts.min(20)).min(HOUR);
        proptest::prop_assert!((least..=least + least / 4).contains(&at(None)));
        proptest::prop_assert_eq!(at(Some(asked)), at(None).max(asked.min(86_400) * SECOND));
    }
}
