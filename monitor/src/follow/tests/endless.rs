//! Logs that put their name to trees of enormous size: no row, no round and no time is without bound for that.

use std::sync::Arc;
use std::time::Duration;

use atl::api::{ConsistencyQuery, ConsistencyResponse};
use atl::log::bundle::{CertBundle, CertRow, EntryBundle};
use atl::log::entry::CertHash;
use atl::log::sth::TreeHead;
use atl::merkle::{Hash, TreeSize, node_hash};
use atl::time::UnixMillis;

use super::server::Answer;
use super::world::{World, certificates};
use crate::finding::Class;
use crate::follow::position::Ledger;
use crate::state::{StateError, Table};

const ENORMOUS: u64 = 1 << 60;
const SAME: &[u8] = b"ask the same";
const MOST: usize = 600;

/// A tree whose leaves are all the same: it can be of any size, with proofs that hold.
struct Uniform(Vec<Hash>);

impl Uniform {
    fn new() -> Self {
        let mut levels = vec![CertHash::of_certificate(SAME).leaf_hash()];
        for level in 0..60 {
            levels.push(node_hash(&levels[level], &levels[level]));
        }
        Self(levels)
    }

    /// The root over `n` leaves (RFC 9162 section 2.1.1).
    fn root(&self, n: u64) -> Hash {
        match n.is_power_of_two() {
            true => self.0[n.trailing_zeros() as usize],
            false => node_hash(&self.root(half(n)), &self.root(n - half(n))),
        }
    }

    /// `SUBPROOF` (RFC 9162 section 2.1.4.1).
    fn proof(&self, m: u64, n: u64, whole: bool) -> Vec<Hash> {
        if m == n {
            return if whole { Vec::new() } else { vec![self.root(n)] };
        }
        let k = half(n);
        match m <= k {
            true => [self.proof(m, k, whole), vec![self.root(n - k)]].concat(),
            false => [self.proof(m - k, n - k, false), vec![self.root(k)]].concat(),
        }
    }
}

fn half(n: u64) -> u64 {
    n.next_power_of_two() / 2
}

/// What such a log serves for each bundle, most certificates of which it has dropped; it has no tiles.
fn entries(path: &str) -> Option<Answer> {
    let row = |n: u64| {
        let certificate = n.is_multiple_of(4).then(|| SAME.to_vec());
        CertRow { timestamp: UnixMillis::new(500_000), certificate, chain: Vec::new() }
    };
    if path.starts_with("/tile/certs/") {
        return Some(Answer::ok(CertBundle::new((0..256).map(row).collect()).unwrap().to_octets().unwrap()));
    }
    if path.starts_with("/tile/entries/") {
        return Some(Answer::ok(EntryBundle::new(vec![CertHash::of_certificate(SAME); 256]).unwrap().to_octets()));
    }
    path.starts_with("/tile/").then(|| Answer::status(404))
}

fn consistency(path: &str) -> Option<ConsistencyQuery> {
    Some(ConsistencyQuery::parse(path.strip_prefix("/atl/v1/get-sth-consistency?")?).unwrap())
}

fn enormous(root: Hash) -> TreeHead {
    TreeHead { size: TreeSize::new(ENORMOUS), timestamp: UnixMillis::new(599_000), root }
}

async fn world(root: Hash) -> World {
    let mut world = World::start().await;
    world.pace.pending = MOST;
    world.log.show(enormous(root), enormous(root));
    world
}

fn pending(world: &World) -> usize {
    Ledger::new(Arc::clone(&world.state), Arc::new(world.log.watched.clone())).pending(usize::MAX).unwrap()
}

fn errands(world: &World) -> u64 {
    let errands: Table<serde_json::Value> = Table::new("errands");
    world.state.read::<_, StateError>(|read| read.count(&errands)).unwrap()
}

#[tokio::test]
async fn entries_without_end_that_are_not_proven_fill_nothing_and_an_honest_log_is_followed_again() {
    let proofs: [fn(&str) -> Option<Answer>; 2] = [
        |path| consistency(path).map(|_| Answer::status(400)),
        |path| {
            let ConsistencyQuery { first, second } = consistency(path)?;
            let consistency = vec![Hash::new([7; 32]); 3];
            Some(Answer::json(&ConsistencyResponse { first, second: second.unwrap(), consistency }))
        },
    ];
    for (proof, class) in proofs.into_iter().zip([Class::Unreachable, Class::RootMismatch]) {
        let world = world(Hash::new([9; 32])).await;
        world.log.lie(move |path| entries(path).or_else(|| proof(path)));
        let mut follower = world.follower();
        for at in [600_000, 700_000, 950_000] {
            world.clock.set(at);
            let round = follower.once().await.unwrap();
            assert!(round.trouble.is_some() && round.verified.is_empty(), "{class}: {round:?}");
            assert!(pending(&world) < 2 * MOST, "{class}: {} rows are pending", pending(&world));
        }
        // Nobody is told of what is in no tree.
        assert_eq!(errands(&world), 0, "{class}");
        assert_eq!(world.alerts_of(class).len(), 1, "{class}");
        assert_eq!(world.board.standing().logs["log.example/1"].head_size, ENORMOUS);

        world.log.be_honest();
        world.log.append(certificates(0..300), 900_000);
        world.log.sign(950_000);
        let round = follower.once().await.unwrap();
        assert!(round.is_complete() && round.verified == TreeSize::new(300), "{class}: {round:?}");
        assert_eq!((pending(&world), errands(&world)), (0, 3), "{class}");
    }
}

/// A tree without end that is proven at each step: it is told as far as it is read, and the log is asked for its heads
/// all the while.
#[tokio::test]
async fn entries_without_end_that_are_proven_are_told_on_the_way() {
    let tree = Uniform::new();
    let mut world = world(tree.root(ENORMOUS)).await;
    world.pace.stretch = Duration::ZERO;
    let (asked, mut rounds) = tokio::sync::mpsc::unbounded_channel();
    world.log.lie(move |path| {
        if path == "/checkpoint" {
            let _ = asked.send(());
        }
        entries(path).or_else(|| {
            let ConsistencyQuery { first, second } = consistency(path)?;
            let consistency = tree.proof(first.get(), ENORMOUS, true);
            Some(Answer::json(&ConsistencyResponse { first, second: second.unwrap(), consistency }))
        })
    });
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(world.follower().run(stopped));
    while errands(&world) < 2 * MOST as u64 {
        rounds.recv().await.unwrap();
        assert!(pending(&world) < 2 * MOST, "{} rows are pending", pending(&world));
    }
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(world.board.standing().logs["log.example/1"].verified, 0);
}

/// Both readings of what does not have the signed root may take many rounds each.
#[tokio::test]
async fn entries_that_do_not_have_the_signed_root_are_told_however_long_reading_takes() {
    let mut world = World::start().await;
    world.pace.stretch = Duration::ZERO;
    world.log.append(certificates(0..1000), 500_000);
    let wrong = TreeHead { root: Hash::new([9; 32]), ..world.log.sign(599_000) };
    world.log.show(wrong, wrong);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(world.follower().run(stopped));
    let told = async {
        while world.alerts_of(Class::RootMismatch).is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told).await.unwrap();
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_head_that_was_overtaken_on_the_way_to_another_is_reached_once_it_stays() {
    let mut world = World::start().await;
    world.pace.overtaken = 1;
    world.log.append(certificates(0..300), 500_000);
    let honest = world.log.sign(599_000);
    // Only the checkpoint is of an enormous tree, and only the tree head is honest.
    world.log.show(honest, enormous(Hash::new([9; 32])));
    let served = |path: &str| match path {
        "/tile/certs/000" | "/tile/entries/000" | "/tile/0/000" => None,
        path if path.contains("/tile/") && path.contains("/00") && !path.contains(".p/") => entries(path),
        _ => None,
    };
    world.log.lie(served);
    let mut follower = world.follower();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    follower.once().await.unwrap();
    world.log.append(certificates(300..310), 600_000);
    let newer = world.log.next_head(600_500);
    world.log.show(newer, enormous(Hash::new([9; 32])));
    let downloaded = || world.board.standing().logs["log.example/1"].downloaded;
    assert!(downloaded() > 310, "{}", downloaded());
    let running = tokio::spawn(follower.run(stopped));
    let verified = async {
        while world.board.standing().logs["log.example/1"].verified != 310 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), verified).await.unwrap();
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
}
