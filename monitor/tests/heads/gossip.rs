//! Monitors that tell each other what they were shown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atl::api::Problem;
use atl::keys::Signer;
use atl::log::note::VerifierKey;
use atl::merkle::TreeSize;
use atl::time::UnixMillis;
use atl_monitor::config::{GossipConfig, Peer};
use atl_monitor::evidence::divergence::roots;
use atl_monitor::finding::Class;
use atl_monitor::gossip::seal::{SEAL, Said, seal};
use atl_monitor::gossip::{Gossip, GossipError, MAX_BODY_OCTETS, MAX_HEADS, Message, Offered, PATH, answer};
use atl_monitor::head::{RawHead, SignedHead};
use atl_monitor::heads::{BY_LOG, Standing};
use atl_monitor::http::{Request, Response, Shared};
use hyper::header::HeaderValue;
use tokio::sync::{Notify, watch};

use crate::dishonest::{DishonestLog, Proofs, Tree, View};
use crate::serve::Server;
use crate::watcher::{START, Watcher, signer_of};

/// A monitor, its side of gossip that asks, and its server that answers.
struct Monitor {
    watcher: Watcher,
    gossip: Gossip,
    server: Server,
    /// The name under which the log knows it.
    client: &'static str,
}

impl Monitor {
    async fn start(name: &str, client: &'static str, log: &DishonestLog, peers: Vec<Peer>) -> Self {
        let watcher = Watcher::new(name, &[&log.watched], peers.clone());
        let clients = BTreeMap::from([(log.watched.origin.to_string(), log.client(client))]);
        let config = GossipConfig { interval_seconds: 1, peers };
        let gossip = Gossip::new(watcher.shared.clone(), watcher.heads.clone(), clients, &config).unwrap();
        let shared = watcher.shared.clone();
        let server = Server::start(move |request| answer(&shared, &request)).await;
        Self { watcher, gossip, server, client }
    }

    async fn observe(&self, log: &DishonestLog, head: &SignedHead) {
        let client = log.client(self.client);
        self.watcher.heads.observe(&log.watched, &client, head.clone(), BY_LOG).await.unwrap();
    }

    async fn settle(&self, log: &DishonestLog) {
        self.gossip.settle(&log.watched.origin).await.unwrap();
    }

    /// Asks again until no node can be behind any more.
    async fn insist(&self, log: &DishonestLog) {
        for _ in 0..6 {
            self.watcher.clock.advance(60_000);
            self.settle(log).await;
        }
    }

    fn frozen(&self, log: &DishonestLog) -> Option<String> {
        self.watcher.heads.frozen(&log.watched.origin).unwrap()
    }

    /// What the board says of the peer and the log.
    fn agreement(&self, peer: &str) -> Option<(u64, Option<bool>)> {
        self.watcher.shared.board.standing().peers[peer].heads.get("log.example/1").copied()
    }
}

fn peer(name: &str, url: &str) -> Peer {
    let key = VerifierKey::new(name.parse().unwrap(), signer_of(name).public_key().clone()).unwrap();
    Peer { name: key.name().clone(), key, url: url.to_owned() }
}

/// A log, and two monitors of it that know each other: the first one asks the second.
async fn pair() -> (DishonestLog, Monitor, Monitor) {
    let log = DishonestLog::start("log.example/1").await;
    let b = Monitor::start("b.example", "b", &log, vec![peer("a.example", "http://127.0.0.1:1")]).await;
    let a = Monitor::start("a.example", "a", &log, vec![peer("b.example", &b.server.url)]).await;
    (log, a, b)
}

fn views(log: &DishonestLog, a: &Tree, b: &Tree) {
    log.show("a", View::of(a.clone()));
    log.show("b", View::of(b.clone()));
}

async fn exchange(asks: &Monitor) {
    let peer = asks.watcher.shared.peers[0].clone();
    asks.gossip.exchange(&peer).await.unwrap();
}

#[tokio::test]
async fn a_split_view_is_proven_to_both_by_one_exchange() {
    let (log, a, b) = pair().await;
    let (one, two) = (Tree::honest(700), Tree::forked(700, 650));
    views(&log, &one, &two);
    let (to_a, to_b) = (log.sth(&one, 700, 5), log.sth(&two, 700, 6));
    a.observe(&log, &to_a).await;
    b.observe(&log, &to_b).await;
    assert_eq!((a.frozen(&log), b.frozen(&log)), (None, None));
    exchange(&a).await;
    a.settle(&log).await;
    b.settle(&log).await;
    for (monitor, other) in [(&a, "b.example"), (&b, "a.example")] {
        let (name, exhibit) = monitor.watcher.case();
        assert_eq!(exhibit.class, Class::SplitView);
        assert_eq!(monitor.watcher.classes(), [Class::SplitView]);
        assert_eq!(monitor.frozen(&log), Some(name));
        assert!(exhibit.heads.contains(to_a.raw()) && exhibit.heads.contains(to_b.raw()));
        let mut shown_by = exhibit.shown_by.clone();
        shown_by.sort();
        assert_eq!(shown_by, [other, "log"]);
    }
    assert_eq!(a.agreement("b.example"), Some((700, Some(false))));
    // Heads that come afterwards are not compared any more, and what was proven stands.
    let grown = Tree::forked(800, 650);
    views(&log, &one, &grown);
    b.observe(&log, &log.sth(&grown, 800, 7)).await;
    exchange(&a).await;
    a.settle(&log).await;
    assert_eq!(a.agreement("b.example"), Some((800, Some(false))));
}

#[tokio::test]
async fn a_split_view_of_two_sizes_is_proven_to_who_sees_the_larger_tree() {
    let (log, a, b) = pair().await;
    let (one, two) = (Tree::honest(500), Tree::forked(800, 499));
    views(&log, &one, &two);
    a.observe(&log, &log.sth(&one, 500, 5)).await;
    b.observe(&log, &log.sth(&two, 800, 6)).await;
    exchange(&a).await;
    a.settle(&log).await;
    b.settle(&log).await;
    // The log gives `a` nothing of the other tree: to it, that is a refusal, once it cannot be a node that is behind.
    assert_eq!(a.watcher.classes(), []);
    a.insist(&log).await;
    assert_eq!(a.watcher.classes(), [Class::ProofRefused]);
    assert_eq!((a.frozen(&log), a.agreement("b.example")), (None, Some((800, None))));
    assert_eq!(b.watcher.classes(), [Class::SplitView]);
    let (_, exhibit) = b.watcher.case();
    assert_eq!(exhibit.shown_by, ["a.example", "log"]);
    let (begun, whole) = roots(TreeSize::new(500), TreeSize::new(800), &exhibit.divergence.unwrap()).unwrap();
    assert_eq!(whole, two.root(800));
    assert_ne!(begun, one.root(500));
}

#[tokio::test]
async fn every_fork_is_seen_by_one_of_two_who_exchange() {
    for (of_a, of_b, fork) in [(1, 1, 0), (3, 2, 1), (257, 256, 0), (256, 600, 255), (512, 513, 300), (999, 1000, 998)]
    {
        let (log, a, b) = pair().await;
        let (one, two) = (Tree::honest(of_a), Tree::forked(of_b, fork));
        views(&log, &one, &two);
        a.observe(&log, &log.sth(&one, of_a, 5)).await;
        b.observe(&log, &log.checkpoint(&two, of_b)).await;
        exchange(&a).await;
        a.settle(&log).await;
        b.settle(&log).await;
        let found = |monitor: &Monitor| monitor.watcher.classes().contains(&Class::SplitView);
        assert!(found(&a) || found(&b), "{of_a} {of_b} {fork}");
        assert_eq!(found(&a), of_a >= of_b, "{of_a} {of_b} {fork}");
        assert_eq!(found(&b), of_b >= of_a, "{of_a} {of_b} {fork}");
    }
}

#[tokio::test]
async fn honest_views_agree() {
    let (log, a, b) = pair().await;
    let tree = Tree::honest(900);
    views(&log, &tree, &tree);
    a.observe(&log, &log.sth(&tree, 300, 1)).await;
    a.observe(&log, &log.checkpoint(&tree, 300)).await;
    b.observe(&log, &log.sth(&tree, 800, 2)).await;
    exchange(&a).await;
    assert_eq!(a.agreement("b.example"), Some((800, None)));
    a.settle(&log).await;
    b.settle(&log).await;
    assert_eq!(a.agreement("b.example"), Some((800, Some(true))));
    for (monitor, inbox) in [(&a, 0), (&b, 0)] {
        let book = monitor.watcher.heads.book(&log.watched.origin).unwrap();
        assert_eq!((book.heads.len(), book.inbox.len()), (3, inbox));
        assert!(monitor.watcher.findings().is_empty());
    }
    // Each side answers with what it has learnt: `a` was told of 800, and says so now.
    exchange(&a).await;
    let told = monitor_answer(&b, &message("a.example", Vec::new()));
    assert_eq!(told.heads.len(), 2);
    assert!(told.heads.contains(&offered(&log.checkpoint(&tree, 300))));
    let status = a.watcher.shared.board.standing().peers["b.example"].clone();
    assert_eq!((status.error, status.last_exchange_at.is_some()), (None, true));
}

fn offered(head: &SignedHead) -> Offered {
    Offered { origin: "log.example/1".into(), head: head.raw().clone() }
}

fn message(from: &str, heads: Vec<Offered>) -> Message {
    Message { from: from.into(), heads, refused: Vec::new() }
}

/// What a message is sealed with that says to be from `from`.
fn sealed(from: &str, to: &Monitor, body: &[u8]) -> HeaderValue {
    let Shared { name, clock, .. } = &*to.watcher.shared;
    HeaderValue::try_from(
        seal(&signer_of(from), &from.parse().unwrap(), name, Said { body, answers: None }, clock.now()).unwrap(),
    )
    .unwrap()
}

fn post(monitor: &Monitor, body: Vec<u8>) -> Response {
    let seal = sealed("a.example", monitor, &body);
    post_with(monitor, body, Some(seal))
}

fn post_with(monitor: &Monitor, body: Vec<u8>, seal: Option<HeaderValue>) -> Response {
    let request = Request::new(body);
    let (mut parts, body) = request.into_parts();
    (parts.method, parts.uri) = (hyper::Method::POST, PATH.parse().unwrap());
    if let Some(seal) = seal {
        parts.headers.insert(SEAL, seal);
    }
    answer(&monitor.watcher.shared, &Request::from_parts(parts, body))
}

fn monitor_answer(monitor: &Monitor, message: &Message) -> Message {
    let response = post(monitor, serde_json::to_vec(message).unwrap());
    assert_eq!(response.status(), 200);
    serde_json::from_slice(response.body()).unwrap()
}

#[tokio::test]
async fn only_signed_heads_of_watched_logs_are_taken() {
    let (log, _a, b) = pair().await;
    let tree = Tree::honest(300);
    let head = log.sth(&tree, 300, 1);
    let mut unknown = offered(&head);
    unknown.origin = "other.example/1".into();
    let mut changed = offered(&head);
    let RawHead::Sth(sth) = &mut changed.head else { panic!() };
    sth.tree_size = TreeSize::new(299);
    let forged = Offered { head: RawHead::Checkpoint("log.example/1\n1\nAA==\n".into()), ..offered(&head) };
    let mut long = offered(&log.checkpoint(&tree, 300));
    let RawHead::Checkpoint(text) = &mut long.head else { panic!() };
    let line = text.lines().last().unwrap().replace("log.example/1", "witness.example/1");
    text.push_str(&format!("{line}\n").repeat(40));

    let answer = monitor_answer(&b, &message("a.example", vec![unknown, changed, forged, long]));
    let reasons: Vec<_> = answer.refused.iter().map(|refused| refused.reason.as_str()).collect();
    assert_eq!(reasons.len(), 4);
    assert!(reasons[0].contains("not watched here"), "{reasons:?}");
    assert!(reasons[1].contains("signature"), "{reasons:?}");
    assert!(reasons[2].starts_with("the checkpoint:"), "{reasons:?}");
    assert!(reasons[3].contains("octets"), "{reasons:?}");
    assert_eq!(answer.refused[0].origin, "other.example/1");
    assert_eq!((answer.from.as_str(), answer.heads.len()), ("b.example", 0));
    let book = b.watcher.heads.book(&log.watched.origin).unwrap();
    assert_eq!((book.heads.len(), book.inbox.len()), (0, 0));

    assert!(monitor_answer(&b, &message("a.example", vec![offered(&head)])).refused.is_empty());
    assert_eq!(b.watcher.heads.book(&log.watched.origin).unwrap().inbox.len(), 1);
    assert_eq!(log.asked(), 0, "nothing is asked of the log while a peer waits");
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let (log, _a, b) = pair().await;
    let head = offered(&log.sth(&Tree::honest(3), 3, 1));
    let many = message("a.example", vec![head.clone(); MAX_HEADS + 1]);
    let stranger = message("c.example", vec![head]);
    for (body, status) in [
        (b"{}".to_vec(), 400),
        (b"[]".to_vec(), 400),
        (br#"{"from":"a.example","heads":[{"origin":"log.example/1","head":{"tree":1}}]}"#.to_vec(), 400),
        (vec![b' '; MAX_BODY_OCTETS + 1], 413),
        (serde_json::to_vec(&many).unwrap(), 413),
        (serde_json::to_vec(&stranger).unwrap(), 403),
    ] {
        let response = post(&b, body);
        let problem: Problem = serde_json::from_slice(response.body()).unwrap();
        assert_eq!((response.status().as_u16(), problem.status), (status, status));
    }
    let get = answer(&b.watcher.shared, &Request::new(Vec::new()));
    assert_eq!((get.status().as_u16(), get.headers()["allow"].to_str().unwrap()), (405, "POST"));
    assert!(b.watcher.heads.book(&log.watched.origin).unwrap().inbox.is_empty());
}

#[tokio::test]
async fn nobody_speaks_in_the_name_of_a_peer() {
    let (log, _a, b) = pair().await;
    let told = message("a.example", vec![offered(&log.sth(&Tree::honest(3), 3, 1))]);
    let body = serde_json::to_vec(&told).unwrap();
    let old = sealed("a.example", &b, &body);
    let of_another = HeaderValue::try_from({
        let (from, to) = ("a.example".parse().unwrap(), "b.example".parse().unwrap());
        seal(&signer_of("c.example"), &from, &to, Said { body: &body, answers: None }, b.watcher.shared.clock.now())
            .unwrap()
    });
    for seal in [None, Some(of_another.unwrap()), Some(sealed("a.example", &b, b"another body"))] {
        assert_eq!(post_with(&b, body.clone(), seal).status(), 403);
    }
    b.watcher.clock.advance(200_000);
    assert_eq!(post_with(&b, body.clone(), Some(old)).status(), 403, "it was said long ago");
    assert!(b.watcher.heads.book(&log.watched.origin).unwrap().inbox.is_empty());
    assert_eq!(post(&b, body).status(), 200);
}

#[tokio::test]
async fn a_peer_that_does_not_keep_to_it_is_on_the_board() {
    let (log, _a, b) = pair().await;
    // What it answers to: what it was asked, unless it says again what it has said to another.
    let lies = |body: Vec<u8>, status: u16, signer: &'static str, replayed: bool| {
        move |request: Request| {
            let (from, to) = ("b.example".parse().unwrap(), "a.example".parse().unwrap());
            let answers: &[u8] = if replayed { b"asked before" } else { request.body() };
            let seal = seal(
                &signer_of(signer),
                &from,
                &to,
                Said { body: &body, answers: Some(answers) },
                UnixMillis::new(START),
            )
            .unwrap();
            let mut response = Response::new(body.clone());
            response.headers_mut().insert(SEAL, HeaderValue::try_from(seal).unwrap());
            *response.status_mut() = status.try_into().unwrap();
            response
        }
    };
    let other = serde_json::to_vec(&message("c.example", Vec::new())).unwrap();
    let many = vec![offered(&log.sth(&Tree::honest(3), 3, 1)); MAX_HEADS + 1];
    let many = serde_json::to_vec(&message("b.example", many)).unwrap();
    let good = serde_json::to_vec(&message("b.example", Vec::new())).unwrap();
    for (body, status, signer, says) in [
        (other, 200, "b.example", "calls itself \"c.example\""),
        (many, 200, "b.example", "more than 64 heads"),
        (vec![b' '; MAX_BODY_OCTETS + 1], 200, "b.example", "longer than"),
        (b"<html>".to_vec(), 200, "b.example", "no message of gossip"),
        (good.clone(), 200, "c.example", "not signed by the expected key"),
        (good, 200, "b.example", "not about this message"),
        (b"go away".to_vec(), 403, "b.example", "status 403: go away"),
    ] {
        let server = Server::start(lies(body, status, signer, says.contains("not about"))).await;
        let a = Monitor::start("a.example", "a", &log, vec![peer("b.example", &server.url)]).await;
        let error = a.gossip.exchange(&a.watcher.shared.peers[0].clone()).await.unwrap_err();
        assert!(!matches!(error, GossipError::Heads(_)));
        let line = a.watcher.shared.board.standing().peers["b.example"].clone();
        assert!(line.error.as_ref().unwrap().contains(says), "{line:?}");
        assert_eq!((line.url, line.last_exchange_at), (server.url.clone(), None));
        assert!(a.watcher.heads.book(&log.watched.origin).unwrap().inbox.is_empty());
    }
    drop(b);
}

#[tokio::test]
async fn a_frozen_logs_two_heads_are_told() {
    let (log, a, b) = pair().await;
    let (one, two) = (Tree::honest(500), Tree::forked(500, 0));
    views(&log, &one, &one);
    a.observe(&log, &log.sth(&one, 500, 5)).await;
    a.observe(&log, &log.sth(&two, 500, 6)).await;
    assert_eq!(a.watcher.classes(), [Class::SameSizeOtherRoot]);
    // `b` was shown nothing wrong, and needs no more than the two heads.
    b.observe(&log, &log.sth(&one, 400, 1)).await;
    exchange(&a).await;
    b.settle(&log).await;
    assert!(b.watcher.classes().contains(&Class::SplitView), "{:?}", b.watcher.classes());
    assert!(b.frozen(&log).is_some());
}

#[tokio::test]
async fn it_runs_until_it_is_stopped() {
    let log = DishonestLog::start("log.example/1").await;
    let tree = Tree::honest(300);
    views(&log, &tree, &tree);
    let asked = Arc::new(Notify::new());
    let (stop, stopped) = watch::channel(false);
    let b = Watcher::new("b.example", &[&log.watched], vec![peer("a.example", "http://127.0.0.1:1")]);
    let (shared, heard) = (b.shared.clone(), asked.clone());
    let server = Server::start(move |request| {
        let response = answer(&shared, &request);
        heard.notify_one();
        response
    })
    .await;
    let a = Monitor::start("a.example", "a", &log, vec![peer("b.example", &server.url)]).await;
    let head = log.sth(&tree, 300, 1);
    a.observe(&log, &head).await;
    let running = tokio::spawn(a.gossip.run(stopped));
    tokio::time::timeout(Duration::from_secs(20), asked.notified()).await.unwrap();
    stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(20), running).await.unwrap().unwrap().unwrap();
    let standing = b.heads.standing(&log.watched.origin, &(&head).into()).unwrap();
    assert!(matches!(standing, Some(Standing::Waiting { .. })));
}

#[tokio::test]
async fn a_log_that_refuses_everybody_is_challenged_by_both() {
    let (log, a, b) = pair().await;
    let (one, two) = (Tree::honest(500), Tree::forked(800, 499));
    let silent = |tree: &Tree| View { tree: tree.clone(), proofs: Proofs::Status(400), tiles: false };
    log.show("a", silent(&one));
    log.show("b", silent(&two));
    a.observe(&log, &log.sth(&one, 500, 5)).await;
    b.observe(&log, &log.sth(&two, 800, 6)).await;
    exchange(&a).await;
    a.settle(&log).await;
    b.settle(&log).await;
    for monitor in [&a, &b] {
        monitor.insist(&log).await;
        assert_eq!((monitor.watcher.classes(), monitor.frozen(&log)), (vec![Class::ProofRefused], None));
    }
}
