//! From the call that revokes to its answer, and to what OCSP says of the last agent below.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use atl::apki::status::RevocationReason;
use atl::apki::status::ocsp::{CertStatus, OcspResponse};
use atl::ca::application::DelegationTerms;
use atl::ca::authority::decide;
use atl::ca::command::{Command, RevocationTarget, Revoker};
use atl::ca::ports::{CaStore, Entity, Key};
use atl::ca::serial::Serial;
use atl::ca::service::{DelegateForm, Form, RevokedBy, RevokedView, Target};
use atl::ca::state::State;
use atl::cli::pki::KeyKind;
use atl::time::{Clock, Stopwatch, SystemClock};
use tokio::task::JoinSet;

use crate::common::ca::{LOOPBACK, form_with, threads};
use crate::common::{at, ms};
use crate::load::{Connection, post};
use crate::number;
use crate::world::{World, open_policy};

/// Delegations at a time, while a tree grows.
const GROWING: usize = 48;
/// The deepest that the policy allows.
const MAX_DEPTH: usize = 5;
/// Children of each in the deep tree; those at its bottom are shared out.
const FANOUT: usize = 6;
/// The root's certificate outlives its children's, and theirs those below them.
const VALIDITY: [u32; MAX_DEPTH + 1] = [80_000, 70_000, 60_000, 50_000, 40_000, 30_000];

/// A tree by the number of each agent's parent; the root is 0.
struct Shape {
    name: &'static str,
    parents: Vec<usize>,
}

pub async fn measure(kind: KeyKind) {
    let below = number("ATL_BENCH_DESCENDANTS", 10_000);
    let world = Arc::new(World::start(kind, Vec::new()).await);
    println!("  {below} agents below; milliseconds from the call on\n");
    println!("  tree    depth   answer   OCSP revoked   alone   enrolment p50, max   and meanwhile, max   grown in s");
    let mut numbered = 0;
    for shape in [wide(below), deep(below), mixed(below)] {
        let first = numbered;
        numbered += below + 1_000;
        let begin = Stopwatch::start();
        let tree = grow(&world, &shape, first).await;
        let grown = begin.elapsed();
        let quiet = enrolments(&world, first + below + 1, 40, None).await;
        // One that has nobody below it.
        let alone = world.enrol(first + below + 500, 3_600).await;
        let begin = Stopwatch::start();
        revoke(&world, alone.serial).await;
        let alone = begin.elapsed();
        let steps = steps(&world, tree[0]);
        let before = writer();
        let (answer, said, meanwhile) = cut(&world, &tree, first + below + 100).await;
        println!(
            "  {:<7} {:>5} {:>8.0} {:>14.0} {:>7.0} {:>12.1} {:>7.1} {:>20.0} {:>12.1}",
            shape.name,
            shape.depth(),
            ms(answer),
            ms(said),
            ms(alone),
            ms(at(&quiet, 0.5)),
            ms(at(&quiet, 1.0)),
            ms(at(&meanwhile, 1.0)),
            grown.as_secs_f64()
        );
        print!("          the writer's processor time {:.0}, of which", ms(writer().saturating_sub(before)));
        steps.iter().for_each(|(name, took)| print!("  {name} {:.0}", ms(*took)));
        println!();
    }
    Arc::into_inner(world).unwrap().stop().await;
}

/// Revokes the root of a tree: how long its answer took, how long until OCSP said it of the last agent below,
/// and how long enrolments took meanwhile.
async fn cut(world: &Arc<World>, tree: &[Serial], first: usize) -> (Duration, Duration, Vec<Duration>) {
    let over = Arc::new(AtomicBool::new(false));
    let (enrolling, done) = (Arc::clone(world), Arc::clone(&over));
    let meanwhile = tokio::spawn(async move { enrolments(&enrolling, first, 350, Some(done)).await });
    let (watching, last) = (Arc::clone(world), *tree.last().unwrap());
    // The connection, and an answer in the cache.
    let mut connection = Connection::open(world.address).await;
    assert!(!is_revoked(world, &mut connection, &last).await);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let begin = Stopwatch::start();
    let said = tokio::spawn(async move {
        while !is_revoked(&watching, &mut connection, &last).await {
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        begin.elapsed()
    });
    let view = revoke(world, tree[0]).await;
    let answer = begin.elapsed();
    let said = said.await.unwrap();
    over.store(true, Relaxed);
    assert!(view.listed && view.agents.len() == tree.len(), "{} of {} agents", view.agents.len(), tree.len());
    let mut connection = Connection::open(world.address).await;
    for serial in tree.iter().step_by(29) {
        assert!(is_revoked(world, &mut connection, serial).await);
    }
    (answer, said, meanwhile.await.unwrap())
}

/// The steps of the writer before it writes, once by themselves and without any consequence: processor time.
fn steps(world: &World, root: Serial) -> Vec<(&'static str, Duration)> {
    let command = Command::Revoke {
        target: RevocationTarget::Certificate(root),
        reason: RevocationReason::KeyCompromise,
        comment: String::new(),
        by: Revoker::Operator("bench".into()),
    };
    let (mut state, policy, now) = (State::default(), open_policy(), SystemClock.now());
    let mut last = spent();
    let mut lap = || {
        let took = spent().saturating_sub(last);
        last += took;
        took
    };
    let [mut find, mut load, mut insert] = [Duration::ZERO; 3];
    loop {
        let keys = command.needs(&state, &policy);
        find += lap();
        if keys.is_empty() {
            break;
        }
        let found = world.store.load(&keys).unwrap();
        load += lap();
        keys.into_iter().zip(found).for_each(|(key, entity)| state.insert(key, entity));
        insert += lap();
    }
    let decision = decide(&state, &command, &policy, now);
    let decided = lap();
    let mut head = world.store.head().unwrap();
    for event in &decision.events {
        head.append(now, decision.by.clone(), event.clone()).unwrap();
    }
    let rows = lap();
    decision.events.iter().for_each(|event| state.apply(now, event));
    let apply = lap();
    let changed = state.changed();
    let copy = lap();
    // The store looks at what it has of them before it writes.
    let keys: Vec<Key> = changed.iter().map(Entity::key).collect();
    drop(world.store.load(&keys).unwrap());
    let places = lap();
    vec![
        ("find", find),
        ("load", load),
        ("insert", insert),
        ("decide", decided),
        ("rows", rows),
        ("apply", apply),
        ("copy", copy),
        ("places", places),
    ]
}

/// Processor time of this thread so far (Linux).
fn spent() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_ascii_whitespace().next().unwrap().parse().unwrap())
}

/// Processor time of the writer so far.
fn writer() -> Duration {
    threads().get("ca-writer").copied().unwrap_or_default()
}

async fn revoke(world: &World, serial: Serial) -> RevokedView {
    let (reason, by) = (RevocationReason::KeyCompromise, RevokedBy::Operator("bench"));
    world.service.revoke(Target::Serial(serial), reason, String::new(), by).await.unwrap()
}

/// What a relying party hears.
async fn is_revoked(world: &World, connection: &mut Connection, serial: &Serial) -> bool {
    let answer = connection.ask(&post("/ocsp", &world.question(serial, None))).await;
    let response = OcspResponse::parse(answer).unwrap();
    let said = response.verify(&world.cert_id(serial), &world.issuer, SystemClock.now(), None).unwrap();
    matches!(said.status, CertStatus::Revoked { .. })
}

/// Enrolments one after the other with a little in between, at most so many or until it is over: how long each
/// took, in order of length.
async fn enrolments(world: &World, first: usize, most: usize, over: Option<Arc<AtomicBool>>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for n in first..first + most {
        if over.as_ref().is_some_and(|over| over.load(Relaxed)) {
            break;
        }
        let begin = Stopwatch::start();
        world.enrol(n, 3_600).await;
        latencies.push(begin.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    latencies.sort_unstable();
    latencies
}

/// Enrols the root and has every agent delegate to those below it, through the service: the numbers of their
/// certificates, those above first.
async fn grow(world: &Arc<World>, shape: &Shape, first: usize) -> Vec<Serial> {
    let root = world.enrol(first, VALIDITY[0]).await;
    let mut tree = vec![root.serial];
    let mut certificates = vec![root.chain[0].clone()];
    let depths = shape.depths();
    for (depth, validity) in VALIDITY.into_iter().enumerate().skip(1) {
        let level = depths.partition_point(|found| *found < depth)..depths.partition_point(|found| *found <= depth);
        let (next, begins) = (Arc::new(AtomicUsize::new(level.start)), level.start);
        let parents: Arc<[(usize, Vec<u8>)]> =
            level.clone().map(|n| (n, certificates[shape.parents[n]].clone())).collect();
        let mut growing = JoinSet::new();
        for _ in 0..GROWING {
            let (world, next, parents) = (Arc::clone(world), Arc::clone(&next), Arc::clone(&parents));
            growing.spawn(async move {
                let mut grown = Vec::new();
                while let Some((n, parent)) = parents.get(next.fetch_add(1, Relaxed) - begins) {
                    grown.push((*n, delegate(&world, parent, first + n, validity).await));
                }
                grown
            });
        }
        let mut grown = growing.join_all().await.concat();
        grown.sort_unstable_by_key(|(n, _)| *n);
        for (_, (serial, certificate)) in grown {
            tree.push(serial);
            certificates.push(certificate);
        }
    }
    assert_eq!(tree.len(), shape.parents.len());
    tree
}

async fn delegate(world: &World, parent: &[u8], n: usize, validity_seconds: u32) -> (Serial, Vec<u8>) {
    let form = Form { principal: None, validity_seconds: Some(validity_seconds), ..form_with(&world.key, n) };
    let form = DelegateForm { form, terms: DelegationTerms::default() };
    let source: IpAddr = LOOPBACK;
    let answered = world.service.delegate(parent, form, source).await.unwrap();
    let child = answered.certificate.unwrap();
    (child.serial, child.chain[0].clone())
}

impl Shape {
    /// Of each agent; they are numbered by it.
    fn depths(&self) -> Vec<usize> {
        let mut depths = vec![0];
        for n in 1..self.parents.len() {
            depths.push(depths[self.parents[n]] + 1);
        }
        assert!(depths.is_sorted());
        depths
    }

    fn depth(&self) -> usize {
        self.depths().last().copied().unwrap_or_default()
    }
}

/// All are the root's children.
fn wide(below: usize) -> Shape {
    Shape { name: "wide", parents: vec![0; below + 1] }
}

/// As deep as may be, all with about as many children.
fn deep(below: usize) -> Shape {
    let mut levels = vec![vec![0]];
    let mut parents = vec![0];
    for depth in 1..=MAX_DEPTH {
        let above = levels[depth - 1].clone();
        let left = below + 1 - parents.len();
        let count = if depth == MAX_DEPTH { left } else { (above.len() * FANOUT).min(left) };
        let level = (0..count).map(|n| (parents.len() + n, above[n % above.len()]));
        let (numbers, below): (Vec<_>, Vec<_>) = level.unzip();
        parents.extend(below);
        levels.push(numbers);
    }
    Shape { name: "deep", parents }
}

/// Some have many children, most have few: each is anybody's child who is not too deep already.
fn mixed(below: usize) -> Shape {
    let mut random = 7_u64;
    let mut depths = vec![0];
    let mut parents = vec![0];
    for n in 1..=below {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut parent = (random >> 33) as usize % n;
        if depths[parent] == MAX_DEPTH {
            parent = parents[parent];
        }
        parents.push(parent);
        depths.push(depths[parent] + 1);
    }
    // Numbered anew, those above first.
    let mut order: Vec<usize> = (0..=below).collect();
    order.sort_by_key(|n| depths[*n]);
    let mut numbers = vec![0; below + 1];
    order.iter().enumerate().for_each(|(number, n)| numbers[*n] = number);
    Shape { name: "mixed", parents: order.iter().map(|n| numbers[parents[*n]]).collect() }
}
