//! Each case that one monitor can see.

use std::sync::atomic::Ordering;

use atl::merkle::TreeSize;
use atl_monitor::evidence::divergence::roots;
use atl_monitor::finding::{Class, Weight};
use atl_monitor::head::SignedHead;
use atl_monitor::heads::book::{self, MAX_INBOX_OF_ONE};
use atl_monitor::heads::{BY_LOG, HeadsError, Received, Seen, Standing};

use crate::dishonest::{DishonestLog, Proofs, Tree, View};
use crate::watcher::{START, Watcher};

/// A log that shows an honest tree of 1000 leaves, and a monitor of it.
async fn scene() -> (DishonestLog, Tree, Watcher) {
    let log = DishonestLog::start("log.example/1").await;
    let tree = Tree::honest(1000);
    log.show("a", View::of(tree.clone()));
    let watcher = Watcher::new("monitor.example", &[&log.watched], Vec::new());
    (log, tree, watcher)
}

async fn observe(log: &DishonestLog, watcher: &Watcher, head: SignedHead) -> Seen {
    watcher.heads.observe(&log.watched, &log.client("a"), head, BY_LOG).await.unwrap()
}

fn standing(log: &DishonestLog, watcher: &Watcher, head: &SignedHead) -> Option<Standing> {
    watcher.heads.standing(&log.watched.origin, &head.into()).unwrap()
}

fn frozen(log: &DishonestLog, watcher: &Watcher) -> Option<String> {
    watcher.heads.frozen(&log.watched.origin).unwrap()
}

/// Asserts that this one case was proven: alert, evidence and ice.
fn proven(log: &DishonestLog, watcher: &Watcher, class: Class, heads: [&SignedHead; 2]) {
    let (name, exhibit) = watcher.case();
    assert_eq!(exhibit.class, class);
    assert_eq!(exhibit.heads, heads.map(|head| head.raw().clone()));
    assert_eq!(exhibit.logs[0].origin, log.watched.origin);
    let findings = watcher.findings();
    let [finding] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((finding.class, finding.evidence.as_ref()), (class, Some(&name)));
    assert_eq!(frozen(log, watcher), Some(name.clone()));
    assert_eq!(watcher.shared.board.standing().logs["log.example/1"].frozen, Some(name.clone()));
    assert_eq!(book::proofs(&watcher.shared.state, &log.watched.origin).unwrap(), [(name, class)]);
}

/// Asserts that this one case was told, and that it proves nothing.
fn told(log: &DishonestLog, watcher: &Watcher, class: Class) {
    let (name, exhibit) = watcher.case();
    assert_eq!(exhibit.class, class);
    assert_eq!(watcher.findings()[0].evidence, Some(name));
    assert_eq!(watcher.classes(), [class]);
    assert_ne!(class.weight(), Weight::Proof);
    assert_eq!(frozen(log, watcher), None);
}

#[tokio::test]
async fn an_honest_log_is_let_be() {
    let (log, tree, watcher) = scene().await;
    // Not in the order in which they were signed.
    for (size, timestamp) in [(300, 3), (700, 7), (256, 2), (0, 1), (700, 8), (1000, 9)] {
        let sth = log.sth(&tree, size, timestamp);
        assert_eq!(observe(&log, &watcher, sth.clone()).await, Seen::New);
        assert_eq!(observe(&log, &watcher, sth.clone()).await, Seen::Known);
        assert_eq!(standing(&log, &watcher, &sth), Some(Standing::Fits), "{size}");
        let checkpoint = log.checkpoint(&tree, size);
        observe(&log, &watcher, checkpoint.clone()).await;
        assert_eq!(standing(&log, &watcher, &checkpoint), Some(Standing::Fits), "{size}");
    }
    assert_eq!(log.asked(), 4, "a proof for each size but the first");
    assert_eq!((watcher.findings(), frozen(&log, &watcher)), (Vec::new(), None));
    let latest = watcher.heads.latest(&log.watched.origin).unwrap();
    assert_eq!(latest.tree_head.unwrap().id, (&log.sth(&tree, 1000, 9)).into());
    assert_eq!(latest.checkpoint.unwrap().id, (&log.checkpoint(&tree, 1000)).into());

    let times = |size| {
        let around = watcher.heads.around(&log.watched.origin, TreeSize::new(size)).unwrap();
        [around.below, around.above].map(|head| head.map(|head| head.timestamp.get()))
    };
    assert_eq!(times(299), [Some(2), Some(3)]);
    assert_eq!(times(300), [Some(3), Some(3)]);
    assert_eq!(times(700), [Some(8), Some(7)]);
    assert_eq!(times(2000), [Some(9), None]);
}

#[tokio::test]
async fn one_size_and_two_roots() {
    let (log, tree, watcher) = scene().await;
    let (one, two) = (log.sth(&tree, 500, 1), log.sth(&Tree::forked(500, 499), 500, 2));
    observe(&log, &watcher, one.clone()).await;
    assert_eq!(observe(&log, &watcher, two.clone()).await, Seen::Frozen);
    proven(&log, &watcher, Class::SameSizeOtherRoot, sorted(&one, &two));
    assert_eq!(standing(&log, &watcher, &two), Some(Standing::Contradicts));
    assert_eq!(log.asked(), 0);
    // Seen again it is the same case.
    assert_eq!(observe(&log, &watcher, two.clone()).await, Seen::Frozen);
    proven(&log, &watcher, Class::SameSizeOtherRoot, sorted(&one, &two));
    // It stays so after a restart, on the board too.
    let ice = frozen(&log, &watcher);
    let watcher = watcher.restarted();
    assert_eq!(
        (frozen(&log, &watcher), watcher.shared.board.standing().logs["log.example/1"].frozen.clone()),
        (ice.clone(), ice)
    );
    assert_eq!(observe(&log, &watcher, one).await, Seen::Frozen);
    assert!(watcher.cabinet.kept.lock().is_empty());
}

/// Two heads of one size in the order in which evidence has them.
fn sorted<'a>(one: &'a SignedHead, two: &'a SignedHead) -> [&'a SignedHead; 2] {
    if one.root() < two.root() { [one, two] } else { [two, one] }
}

#[tokio::test]
async fn tree_head_against_checkpoint() {
    let (log, tree, watcher) = scene().await;
    let (sth, checkpoint) = (log.sth(&tree, 500, 1), log.checkpoint(&Tree::forked(500, 3), 500));
    observe(&log, &watcher, sth.clone()).await;
    assert_eq!(observe(&log, &watcher, checkpoint.clone()).await, Seen::Frozen);
    proven(&log, &watcher, Class::CheckpointDiffers, sorted(&sth, &checkpoint));
}

#[tokio::test]
async fn a_later_head_of_a_smaller_tree() {
    let (log, tree, watcher) = scene().await;
    let (large, small) = (log.sth(&tree, 500, 1), log.sth(&tree, 400, 2));
    observe(&log, &watcher, large.clone()).await;
    assert_eq!(observe(&log, &watcher, small.clone()).await, Seen::Frozen);
    proven(&log, &watcher, Class::Rollback, [&large, &small]);
    assert!(watcher.findings()[0].summary.contains("and after it the tree head of 400 leaves"));
}

#[tokio::test]
async fn two_heads_of_one_moment() {
    let (log, tree, watcher) = scene().await;
    let (small, large) = (log.sth(&tree, 400, 5), log.sth(&tree, 500, 5));
    observe(&log, &watcher, large.clone()).await;
    assert_eq!(observe(&log, &watcher, small.clone()).await, Seen::Frozen);
    proven(&log, &watcher, Class::SameTimestamp, [&small, &large]);
}

#[tokio::test]
async fn a_head_from_the_future_is_told_once_a_day_and_taken() {
    let (log, tree, watcher) = scene().await;
    let head = log.sth(&tree, 400, START + 60_001);
    assert_eq!(observe(&log, &watcher, head.clone()).await, Seen::New);
    told(&log, &watcher, Class::FutureHead);
    assert_eq!(standing(&log, &watcher, &head), Some(Standing::Fits));
    observe(&log, &watcher, log.sth(&tree, 500, START + 70_000)).await;
    told(&log, &watcher, Class::FutureHead);
    observe(&log, &watcher, log.sth(&tree, 600, START + 200_000_000)).await;
    assert_eq!(watcher.findings().len(), 1);
    watcher.clock.advance(86_400_000);
    observe(&log, &watcher, log.sth(&tree, 700, START + 300_000_000)).await;
    assert_eq!(watcher.classes(), [Class::FutureHead; 2]);
}

#[tokio::test]
async fn a_rewritten_past_is_proven_from_the_logs_own_tiles() {
    for proofs in [Proofs::Given, Proofs::Garbled, Proofs::Nonsense, Proofs::Status(404)] {
        for (first, second, fork) in [(500, 800, 499), (256, 257, 0), (1, 2, 0), (700, 1000, 600)] {
            let (log, tree, watcher) = scene().await;
            let other = Tree::forked(second, fork);
            let (one, two) = (log.sth(&tree, first, 1), log.sth(&other, second, 2));
            observe(&log, &watcher, one.clone()).await;
            log.show("a", View { proofs, ..View::of(other) });
            assert_eq!(observe(&log, &watcher, two.clone()).await, Seen::Frozen, "{proofs:?} {first} {second}");
            proven(&log, &watcher, Class::InconsistentHeads, [&one, &two]);
            let (_, exhibit) = watcher.case();
            let shown = roots(one.size(), two.size(), &exhibit.divergence.unwrap()).unwrap();
            assert_eq!(shown.1, two.root());
            assert_ne!(shown.0, one.root());
            assert_eq!(exhibit.receipts.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_smaller_head_that_the_larger_one_has_no_place_for() {
    let (log, tree, watcher) = scene().await;
    let (large, small) = (log.sth(&tree, 1000, 9), log.sth(&Tree::forked(300, 299), 300, 3));
    observe(&log, &watcher, large.clone()).await;
    assert_eq!(observe(&log, &watcher, small.clone()).await, Seen::Frozen);
    proven(&log, &watcher, Class::InconsistentHeads, [&small, &large]);
}

#[tokio::test]
async fn an_empty_tree_has_one_root() {
    let (log, tree, watcher) = scene().await;
    observe(&log, &watcher, log.sth(&tree, 1000, 9)).await;
    let signed = log.sth(&tree, 0, 1);
    observe(&log, &watcher, signed).await;
    assert!(watcher.findings().is_empty());
    let lie = log.sth_of(0, tree.root(1), 2);
    assert_eq!(observe(&log, &watcher, lie).await, Seen::Frozen);
    assert_eq!(watcher.classes(), [Class::SameSizeOtherRoot]);
}

#[tokio::test]
async fn garbage_instead_of_a_proof_is_a_challenge() {
    for proofs in [Proofs::Garbled, Proofs::Nonsense] {
        let (log, tree, watcher) = scene().await;
        observe(&log, &watcher, log.sth(&tree, 300, 1)).await;
        log.show("a", View { proofs, ..View::of(tree.clone()) });
        let head = log.sth(&tree, 700, 2);
        assert_eq!(observe(&log, &watcher, head.clone()).await, Seen::New);
        told(&log, &watcher, Class::ProofGarbage);
        let (_, exhibit) = watcher.case();
        assert_eq!((exhibit.receipts[0].status, exhibit.divergence), (200, None));
        assert!(exhibit.receipts[0].asked.ends_with("/atl/v1/get-sth-consistency?first=300&second=700"));
        assert!(!exhibit.receipts[0].body.0.is_empty());
        // The tiles have shown what the proof did not.
        assert_eq!(standing(&log, &watcher, &head), Some(Standing::Fits));
        // And that is told once a day, not with each head.
        observe(&log, &watcher, log.sth(&tree, 800, 3)).await;
        told(&log, &watcher, Class::ProofGarbage);
    }
}

#[tokio::test]
async fn a_refused_proof_is_a_challenge_until_it_is_given() {
    let (log, tree, watcher) = scene().await;
    observe(&log, &watcher, log.sth(&tree, 300, 1)).await;
    log.show("a", View { tree: tree.clone(), proofs: Proofs::Status(400), tiles: false });
    let (one, two) = (log.sth(&tree, 700, 2), log.sth(&tree, 800, 3));
    // Some seconds and three questions; newer heads that are shown meanwhile make it no longer.
    observe(&log, &watcher, one.clone()).await;
    watcher.clock.advance(5_000);
    observe(&log, &watcher, two.clone()).await;
    watcher.clock.advance(9_999);
    observe(&log, &watcher, two.clone()).await;
    assert_eq!((watcher.findings(), log.asked()), (Vec::new(), 4));
    // Also across a restart.
    let watcher = watcher.restarted_at(START + 15_000);
    observe(&log, &watcher, two.clone()).await;
    told(&log, &watcher, Class::ProofRefused);
    let (_, exhibit) = watcher.case();
    assert_eq!(exhibit.receipts[0].status, 400);
    assert!(String::from_utf8(exhibit.receipts[0].body.0.clone()).unwrap().contains("on purpose"));
    assert!(matches!(standing(&log, &watcher, &one), Some(Standing::Waiting { tries: 1, .. })));
    // Not asked again before its time, and then settled.
    let asked = log.asked();
    log.show("a", View::of(tree));
    watcher.heads.settle(&log.watched, &log.client("a")).await.unwrap();
    assert_eq!(log.asked(), asked);
    watcher.clock.advance(30_000);
    watcher.heads.settle(&log.watched, &log.client("a")).await.unwrap();
    for head in [one, two] {
        assert_eq!(standing(&log, &watcher, &head), Some(Standing::Fits));
    }
    told(&log, &watcher, Class::ProofRefused);
}

#[tokio::test]
async fn a_node_that_is_behind_is_given_some_minutes() {
    // With tiles that show what the node does not prove, and without.
    for tiles in [false, true] {
        let (log, tree, watcher) = scene().await;
        observe(&log, &watcher, log.sth(&tree, 300, 1)).await;
        let behind = || View { tree: tree.clone(), proofs: Proofs::Behind, tiles };
        // Its front is a minute ahead of it all the time.
        for n in 0..20 {
            log.show("a", behind());
            let (before, head) = (log.sth(&tree, 399 + n, 1 + n), log.sth(&tree, 400 + n, 2 + n));
            observe(&log, &watcher, head.clone()).await;
            assert!(matches!(standing(&log, &watcher, &head), Some(Standing::Waiting { .. })));
            watcher.clock.advance(60_000);
            log.show("a", View::of(tree.clone()));
            watcher.heads.settle(&log.watched, &log.client("a")).await.unwrap();
            assert_eq!(standing(&log, &watcher, &head), Some(Standing::Fits));
            assert!(n == 0 || standing(&log, &watcher, &before) == Some(Standing::Fits));
        }
        assert!(watcher.findings().is_empty());
        // One that says so for ever is told, whoever starts the monitor again meanwhile.
        log.show("a", behind());
        let head = log.sth(&tree, 900, 100);
        let (mut watcher, mut at, mut asked) = (watcher, START + 20 * 60_000, log.asked());
        let began = at;
        while watcher.findings().is_empty() {
            assert!(at < began + 400_000, "nobody is told");
            observe(&log, &watcher, head.clone()).await;
            at += 10_000;
            watcher = watcher.restarted_at(at);
        }
        assert!(at > began + 300_000 && log.asked() - asked < 12, "{} {}", at - began, log.asked() - asked);
        asked = log.asked();
        assert_eq!(watcher.classes(), [Class::ProofRefused]);
        let fits = standing(&log, &watcher, &head) == Some(Standing::Fits);
        assert_eq!((fits, frozen(&log, &watcher), log.asked()), (tiles, None, asked));
    }
}

#[tokio::test]
async fn a_fork_without_tiles_stays_a_challenge() {
    let (log, tree, watcher) = scene().await;
    observe(&log, &watcher, log.sth(&tree, 300, 1)).await;
    let other = Tree::forked(700, 5);
    log.show("a", View { tiles: false, ..View::of(other.clone()) });
    let head = log.sth(&other, 700, 2);
    observe(&log, &watcher, head.clone()).await;
    told(&log, &watcher, Class::ProofGarbage);
    assert!(matches!(standing(&log, &watcher, &head), Some(Standing::Waiting { .. })));
    // Tiles of another tree prove nothing either.
    log.show("a", View::of(tree));
    watcher.clock.advance(3_600_000);
    watcher.heads.settle(&log.watched, &log.client("a")).await.unwrap();
    told(&log, &watcher, Class::ProofGarbage);
    assert!(matches!(standing(&log, &watcher, &head), Some(Standing::Waiting { .. })));
}

#[tokio::test]
async fn silence_is_a_refusal_in_the_end() {
    let (log, tree, watcher) = scene().await;
    observe(&log, &watcher, log.sth(&tree, 300, 1)).await;
    log.show("a", View { tree: tree.clone(), proofs: Proofs::Status(503), tiles: false });
    observe(&log, &watcher, log.sth(&tree, 700, 2)).await;
    for _ in 0..3 {
        watcher.clock.advance(3_600_000);
        watcher.heads.settle(&log.watched, &log.client("a")).await.unwrap();
        assert!(watcher.findings().is_empty());
    }
    watcher.clock.advance(3_600_000);
    watcher.heads.settle(&log.watched, &log.client("a")).await.unwrap();
    told(&log, &watcher, Class::ProofRefused);
    assert_eq!(watcher.case().1.receipts[0].status, 503);
}

#[tokio::test]
async fn what_cannot_be_kept_is_not_told_and_not_forgotten() {
    let (log, tree, watcher) = scene().await;
    let (one, two) = (log.sth(&tree, 500, 1), log.sth(&Tree::forked(500, 499), 500, 2));
    observe(&log, &watcher, one.clone()).await;
    watcher.cabinet.full.store(true, Ordering::SeqCst);
    let observed = watcher.heads.observe(&log.watched, &log.client("a"), two.clone(), BY_LOG).await;
    assert!(matches!(observed, Err(HeadsError::Keep(_))));
    assert_eq!((watcher.findings(), frozen(&log, &watcher)), (Vec::new(), None));
    // The monitor dies there, and the log never shows that head again.
    let watcher = watcher.restarted();
    watcher.heads.settle(&log.watched, &log.client("a")).await.unwrap();
    proven(&log, &watcher, Class::SameSizeOtherRoot, sorted(&one, &two));
}

#[tokio::test]
async fn another_kind_of_proof_is_kept_beside_the_first_and_each_kind_once() {
    let (log, tree, watcher) = scene().await;
    observe(&log, &watcher, log.sth(&tree, 500, 1)).await;
    observe(&log, &watcher, log.sth(&Tree::forked(500, 499), 500, 2)).await;
    let first = frozen(&log, &watcher).unwrap();
    for size in 0..30 {
        observe(&log, &watcher, log.sth(&tree, 400 - size, 3 + size)).await;
    }
    assert_eq!(frozen(&log, &watcher), Some(first.clone()));
    let proofs = book::proofs(&watcher.shared.state, &log.watched.origin).unwrap();
    let mut classes: Vec<_> = proofs.iter().map(|(_, class)| *class).collect();
    classes.sort();
    assert_eq!(classes, [Class::SameSizeOtherRoot, Class::Rollback]);
    assert!(proofs.iter().any(|(name, class)| *name == first && *class == Class::SameSizeOtherRoot));
    assert_eq!((watcher.cabinet.kept.lock().len(), watcher.findings().len()), (2, 2));
    // Heads that say nothing new are not kept.
    assert!(watcher.heads.book(&log.watched.origin).unwrap().heads.len() <= 4);
}

#[tokio::test]
async fn others_cannot_make_us_ask_much() {
    let (log, tree, watcher) = scene().await;
    observe(&log, &watcher, log.sth(&tree, 100, 1)).await;
    for n in 0..MAX_INBOX_OF_ONE as u64 {
        let head = log.sth(&tree, 101 + n, 2 + n);
        assert_eq!(watcher.heads.receive(&log.watched, &head, "peer.example").unwrap(), Received::New);
        assert_eq!(watcher.heads.receive(&log.watched, &head, "peer.example").unwrap(), Received::Waiting);
    }
    let more = log.sth(&tree, 900, 1000);
    assert_eq!(watcher.heads.receive(&log.watched, &more, "peer.example").unwrap(), Received::Full);
    let settle = async || watcher.heads.settle(&log.watched, &log.client("a")).await.unwrap();
    settle().await;
    settle().await;
    let other = log.sth(&tree, 800, 999);
    watcher.heads.observe(&log.watched, &log.client("a"), other, "other.example").await.unwrap();
    assert_eq!(log.asked(), 6);
    watcher.clock.advance(60_000);
    settle().await;
    assert_eq!(log.asked(), 12);
    // What the log itself shows has room and is asked about all the same.
    assert_eq!(observe(&log, &watcher, more.clone()).await, Seen::New);
    assert_eq!((log.asked(), standing(&log, &watcher, &more)), (13, Some(Standing::Fits)));
    for _ in 0..10 {
        watcher.clock.advance(60_000);
        settle().await;
    }
    assert_eq!(log.asked(), 2 + MAX_INBOX_OF_ONE);
    assert_eq!(watcher.heads.book(&log.watched.origin).unwrap().inbox, []);
    assert!(watcher.findings().is_empty());
}

#[tokio::test]
async fn a_history_begins_with_what_the_log_shows_us() {
    let (log, tree, watcher) = scene().await;
    let (theirs, ours) = (log.sth(&tree, 300, 1), log.sth(&tree, 400, 2));
    watcher.heads.receive(&log.watched, &theirs, "peer.example").unwrap();
    watcher.heads.settle(&log.watched, &log.client("a")).await.unwrap();
    assert!(matches!(standing(&log, &watcher, &theirs), Some(Standing::Waiting { tries: 0, .. })));
    assert_eq!(watcher.heads.latest(&log.watched.origin).unwrap().tree_head, None);
    observe(&log, &watcher, ours).await;
    watcher.heads.settle(&log.watched, &log.client("a")).await.unwrap();
    assert_eq!(standing(&log, &watcher, &theirs), Some(Standing::Fits));
    let larger = log.sth(&tree, 600, 3);
    watcher.heads.observe(&log.watched, &log.client("a"), larger.clone(), "peer.example").await.unwrap();
    assert_eq!(standing(&log, &watcher, &larger), Some(Standing::Fits));
}
