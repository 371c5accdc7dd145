//! The witness and the auditor, over real sockets.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atl::keys::{LogId, Signer};
use atl::log::audit::{Verdict, open_audit};
use atl::log::checkpoint::{checkpoint_of, sign_checkpoint};
use atl::log::cosignature::cosigned_at;
use atl::log::sth::TreeHead;
use atl::merkle::{leaf_hash, node_hash};
use atl::time::UnixMillis;
use parking_lot::Mutex;

use super::audit::{Auditor, BadAuditor, Opinion, Verified};
use super::*;
use crate::http::testing::{Answer, Running, TestClock, get, log, post, shared, signer, start};
use crate::http::{Limits, Router};

/// A tree of `size` leaves; those from `fork` on are of the world `world`.
struct Tree {
    leaves: Vec<Hash>,
}

impl Tree {
    fn new(size: u64, fork: u64, world: u8) -> Self {
        let leaf = |n: u64| leaf_hash(format!("{n} {}", if n < fork { 0 } else { world }).as_bytes());
        Self { leaves: (0..size).map(leaf).collect() }
    }

    fn half(leaves: &[Hash]) -> usize {
        leaves.len().next_power_of_two() / 2
    }

    /// The head of a tree (RFC 6962 section 2.1).
    fn head(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::of(b""),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(Self::half(leaves));
                node_hash(&Self::head(left), &Self::head(right))
            }
        }
    }

    /// `SUBPROOF` of RFC 6962 section 2.1.2.
    fn subproof(first: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if first == leaves.len() {
            return if whole { vec![] } else { vec![Self::head(leaves)] };
        }
        let (left, right) = leaves.split_at(Self::half(leaves));
        let (mut proof, other) = if first <= left.len() {
            (Self::subproof(first, left, whole), right)
        } else {
            (Self::subproof(first - left.len(), right, false), left)
        };
        proof.push(Self::head(other));
        proof
    }

    /// What the log `seed` asks to have cosigned, from a tree of `old` leaves on.
    fn body(&self, seed: u8, old: usize) -> String {
        let proof = if old == 0 || old > self.leaves.len() { vec![] } else { Self::subproof(old, &self.leaves, true) };
        body(old, &proof, &self.note(seed))
    }

    fn note(&self, seed: u8) -> String {
        note(seed, self.leaves.len() as u64, Self::head(&self.leaves))
    }
}

fn note(seed: u8, size: u64, root: Hash) -> String {
    let head = TreeHead { size: TreeSize::new(size), timestamp: UnixMillis::new(0), root };
    sign_checkpoint(&signer(seed), &log(seed).origin, &head).unwrap()
}

/// A note of this text, signed by the log `seed`.
fn signed(seed: u8, text: &str) -> String {
    let (key, signature) = (log(seed).key, signer(seed).sign(text.as_bytes()).unwrap());
    let line = NoteSignature { name: key.name().clone(), key_id: key.id(), signature };
    format!("{text}\n{line}\n")
}

fn body(old: usize, proof: &[Hash], note: &str) -> String {
    use base64::Engine;
    let line = |hash: &Hash| format!("{}\n", base64::engine::general_purpose::STANDARD.encode(hash.as_bytes()));
    format!("old {old}\n{}\n{note}", proof.iter().map(line).collect::<String>())
}

/// What a witness has told.
#[derive(Default)]
struct Told {
    frozen: Mutex<Option<String>>,
    conflicts: Mutex<Vec<(String, String, String)>>,
    refused: Mutex<Vec<String>>,
    /// A tree that others know to be another.
    known: Mutex<Option<(u64, Hash)>>,
}

impl Heads for Told {
    fn frozen(&self, origin: &str) -> Option<String> {
        self.frozen.lock().clone().filter(|_| origin == "log.example/1")
    }

    fn contradicts(&self, _: &WatchedLog, checkpoint: &Checkpoint) -> Result<bool, StateError> {
        let known = *self.known.lock();
        Ok(known.is_some_and(|(size, root)| size == checkpoint.size.get() && root != checkpoint.root))
    }

    fn conflict(&self, log: &WatchedLog, known: &str, shown: &str) {
        self.conflicts.lock().push((log.origin.to_string(), known.to_owned(), shown.to_owned()));
    }

    fn refused(&self, _log: &WatchedLog, shown: &str) {
        self.refused.lock().push(shown.to_owned());
    }
}

struct Served {
    server: Running,
    told: Arc<Told>,
    clock: Arc<TestClock>,
    witness: Arc<Witness>,
}

impl Served {
    async fn start(dir: &Path) -> Self {
        let (shared, clock) = shared(dir);
        let told = Arc::new(Told::default());
        let witness = Arc::new(Witness::new(&shared, &dir.join("cosigned"), told.clone()).unwrap().unwrap());
        let limits = Limits { posts_per_second: 1000, post_burst: 1000, ..Limits::default() };
        let server = start(routes(Router::new(), &witness), limits).await;
        Self { server, told, clock, witness }
    }

    async fn add(&self, body: &str) -> Answer {
        post(self.server.address, "/add-checkpoint", body).await
    }

    /// When the witness cosigned `note`, by the line that it has answered.
    fn verified(&self, note: &str, answer: &Answer) -> u64 {
        assert_eq!(answer.status, 200, "{answer:?}");
        let note = Note::parse(format!("{note}{}", answer.body).as_bytes()).unwrap();
        cosigned_at(&note, &[self.witness.key().clone()]).unwrap()[0].unwrap().get()
    }
}

const NOW: u64 = 1_775_822_400;

#[tokio::test]
async fn a_log_that_grows_is_cosigned() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path()).await;
    let mut old = 0;
    for size in [0, 0, 1, 2, 5, 5, 8, 13] {
        let tree = Tree::new(size, 0, 0);
        let answer = served.add(&tree.body(1, old)).await;
        assert_eq!(served.verified(&tree.note(1), &answer), NOW, "{size}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        old = size as usize;
    }
    // Another log has a history of its own.
    let other = Tree::new(3, 0, 7);
    served.verified(&other.note(2), &served.add(&other.body(2, 0)).await);
    assert!(served.told.conflicts.lock().is_empty() && served.told.refused.lock().is_empty());
    // Lines of others, which nobody here knows, are neither in the way nor given on.
    let tree = Tree::new(20, 0, 0);
    let answer = served.add(&format!("{}\u{2014} other.example AAAAAAAA\n", tree.body(1, 13))).await;
    served.verified(&tree.note(1), &answer);
    // What a log adds to its checkpoint is cosigned with it.
    let tree = Tree::new(21, 0, 0);
    let (text, _) = tree.note(1).split_once("\n\n").map(|(text, line)| (text.to_owned(), line.to_owned())).unwrap();
    let extended = signed(1, &format!("{text}\nand one line more\n"));
    let proof = Tree::subproof(20, &tree.leaves, true);
    let answer = served.add(&body(20, &proof, &extended)).await;
    served.verified(&extended, &answer);
    let hash = hex::encode(Hash::of(b"log.example/1").as_bytes());
    let served_note = get(served.server.address, &format!("/{hash}/checkpoint")).await;
    assert_eq!(served_note.body, format!("{extended}{}", answer.body));
    assert_eq!(served_note.header("cache-control"), Some("public, max-age=10"));
    let unknown = get(served.server.address, &format!("/{}/checkpoint", "0".repeat(64))).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(get(served.server.address, "/add-checkpoint").await.status, 405);
}

#[tokio::test]
async fn each_refusal_has_its_status() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path()).await;
    let (tree, next) = (Tree::new(7, 0, 0), Tree::new(12, 0, 0));
    served.verified(&tree.note(1), &served.add(&tree.body(1, 0)).await);

    let bare = next.body(1, 7);
    let unsigned = format!("{}\u{2014} log.example/1 AAAAAAAA\n", &bare[..=bare.rfind("\n\n").unwrap() + 1]);
    let root = |n| Hash::new([n; 32]);
    let good = Tree::subproof(7, &next.leaves, true);
    let (mut wrong, longer) = (good.clone(), [good.as_slice(), &[root(1)]].concat());
    wrong[0] = root(1);
    let cases = [
        (400, "old 7\n".to_owned()),
        (400, bare.replacen("old 7", "old 07", 1)),
        (400, bare.trim_end().to_owned()),
        (400, bare.replacen("\n12\n", "\n012\n", 1)),
        (400, body(13, &[], &next.note(1))),
        (404, Tree::new(7, 0, 0).body(3, 0)),
        (404, bare.replacen("log.example/1\n", "Log.example/1\n", 1)),
        (403, unsigned),
        // One line of the log's key is good and one is not.
        (403, format!("{bare}{}\n", signed(1, "another text\n").trim_end().rsplit('\n').next().unwrap())),
        // The log's name and key, and what it signs says that it is of another log.
        (403, body(0, &[], &signed(1, "log.example/2\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"))),
        (403, bare.replacen("\n12\n", "\n13\n", 1)),
        // Signed, but by another log than the one that it names.
        (403, bare.replacen("log.example/1", "log.example/2", 1)),
        (422, body(7, &wrong, &next.note(1))),
        (422, body(7, &longer, &next.note(1))),
        (422, body(7, &[], &next.note(1))),
        (422, body(7, &good, &tree.note(1))),
        (422, body(0, &[], &note(2, 0, root(2)))),
        (422, body(0, &[root(1)], &note(2, 7, root(2)))),
    ];
    for (status, body) in cases {
        let answer = served.add(&body).await;
        assert_eq!(answer.status, status, "{body}{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{body}");
        assert!(!answer.body.contains('\u{2014}'));
        // It is not the sender who is not let in.
        let is_about_key =
            answer.body.contains("\"title\":\"The checkpoint is not signed by the log's key that is known here\"");
        assert_eq!(is_about_key, status == 403, "{body}{answer:?}");
    }
    for (old, proof) in [(0, vec![]), (6, Tree::subproof(6, &next.leaves, true)), (12, vec![])] {
        let answer = served.add(&body(old, &proof, &next.note(1))).await;
        assert_eq!((answer.status, answer.body.as_str()), (409, "7\n"), "{old}");
        assert_eq!(answer.header("content-type"), Some("text/x.tlog.size"));
    }
    let never = served.add(&Tree::new(7, 0, 0).body(2, 3)).await;
    assert_eq!((never.status, never.body.as_str()), (409, "0\n"));
    // Nothing of that has changed what is known, nor was it called a conflict.
    assert!(served.told.conflicts.lock().is_empty());
    assert!(served.told.refused.lock().iter().all(|shown| shown.contains("\n\n\u{2014} log.example/")));
    served.verified(&next.note(1), &served.add(&bare).await);
    let large = served.add(&"x".repeat((64 << 10) + 1)).await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn two_roots_of_one_size_are_handed_on_whatever_the_client_says_of_the_old_size() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path()).await;
    let (tree, fork) = (Tree::new(7, 0, 0), Tree::new(7, 5, 1));
    served.verified(&tree.note(1), &served.add(&tree.body(1, 0)).await);
    for (old, status) in [(7, 422), (0, 409)] {
        assert_eq!(served.add(&body(old, &[], &fork.note(1))).await.status, status);
        let conflict = ("log.example/1".to_owned(), tree.note(1), fork.note(1));
        assert_eq!(served.told.conflicts.lock().pop(), Some(conflict));
    }
    for text in [tree.note(1), fork.note(1)] {
        checkpoint_of(&Note::parse(text.as_bytes()).unwrap(), &log(1).key).unwrap();
    }
    *served.told.frozen.lock() = Some("two roots of size 7".into());
    let refused = served.add(&Tree::new(9, 0, 0).body(1, 7)).await;
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("two roots of size 7"), "{}", refused.body);
    assert!(refused.body.contains("\"title\":\"The log's key is trusted no more\""), "{}", refused.body);
    let other = Tree::new(2, 0, 0);
    served.verified(&other.note(2), &served.add(&other.body(2, 0)).await);
}

#[tokio::test]
async fn what_was_cosigned_outlives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, fork) = (Tree::new(7, 0, 0), Tree::new(9, 5, 1));
    {
        let served = Served::start(dir.path()).await;
        served.verified(&tree.note(1), &served.add(&tree.body(1, 0)).await);
        let Served { server, witness, .. } = served;
        server.stop.send(true).unwrap();
        server.task.await.unwrap();
        drop(witness);
    }
    let served = Served::start(dir.path()).await;
    let answer = served.add(&fork.body(1, 0)).await;
    assert_eq!((answer.status, answer.body.as_str()), (409, "7\n"));
    assert_eq!(served.add(&fork.body(1, 7)).await.status, 422);
    let next = Tree::new(9, 0, 0);
    served.verified(&next.note(1), &served.add(&next.body(1, 7)).await);
}

/// A monitor's directory: the database, and the directory of what was cosigned.
fn witness(dir: &Path) -> Result<(Witness, Arc<Told>), BadWitness> {
    let told = Arc::new(Told::default());
    let witness = Witness::new(&shared(dir).0, &dir.join("cosigned"), told.clone())?.unwrap();
    Ok((witness, told))
}

fn add(witness: &Witness, tree: &Tree, old: usize) -> Result<NoteSignature, Refusal> {
    witness.add_checkpoint(tree.body(1, old).as_bytes())
}

/// Sizes that a witness says it knows, where it does not cosign a fork of them.
fn known(witness: &Witness, fork: &Tree) -> u64 {
    let Err(Refusal::Inconsistent(Inconsistent::OtherOld(known))) = add(witness, fork, 0) else { panic!() };
    known.get()
}

#[test]
fn a_database_that_is_lost_or_old_makes_no_witness_forget() {
    let dir = tempfile::tempdir().unwrap();
    let (database, copy) = (dir.path().join("state.redb"), dir.path().join("copy"));
    let (tree, next, fork) = (Tree::new(7, 0, 0), Tree::new(9, 0, 0), Tree::new(8, 2, 1));
    add(&witness(dir.path()).unwrap().0, &tree, 0).unwrap();
    std::fs::copy(&database, &copy).unwrap();
    let line = add(&witness(dir.path()).unwrap().0, &next, 7).unwrap();
    for restored in [true, false] {
        std::fs::remove_file(&database).unwrap();
        if restored {
            std::fs::copy(&copy, &database).unwrap();
        }
        let (witness, _) = witness(dir.path()).unwrap();
        assert_eq!(known(&witness, &fork), 9);
        let hash = hex::encode(Hash::of(b"log.example/1").as_bytes());
        assert_eq!(witness.latest(&hash).unwrap(), Some(format!("{}{line}\n", next.note(1))));
    }
    // The other way round: files that are lost or old.
    let file = std::fs::read_dir(dir.path().join("cosigned")).unwrap().next().unwrap().unwrap().path();
    std::fs::copy(&file, &copy).unwrap();
    add(&witness(dir.path()).unwrap().0, &Tree::new(12, 0, 0), 9).unwrap();
    for restored in [true, false] {
        std::fs::remove_file(&file).unwrap();
        if restored {
            std::fs::copy(&copy, &file).unwrap();
        }
        assert_eq!(known(&witness(dir.path()).unwrap().0, &fork), 12);
    }
    // The file has caught up.
    std::fs::remove_file(&database).unwrap();
    assert_eq!(known(&witness(dir.path()).unwrap().0, &fork), 12);
}

#[test]
fn a_witness_that_cannot_tell_what_it_cosigned_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    add(&witness(dir.path()).unwrap().0, &Tree::new(7, 0, 0), 0).unwrap();
    add(&witness(other.path()).unwrap().0, &Tree::new(7, 2, 1), 0).unwrap();
    let file = |dir: &Path| std::fs::read_dir(dir.join("cosigned")).unwrap().next().unwrap().unwrap().path();
    let (file, foreign) = (file(dir.path()), file(other.path()));
    let good = std::fs::read(&file).unwrap();
    let why = |octets: &[u8]| {
        std::fs::write(&file, octets).unwrap();
        witness(dir.path()).err().map(|error| error.to_string())
    };
    let contradiction = why(&std::fs::read(foreign).unwrap()).unwrap();
    assert!(contradiction.contains("two trees of 7 leaves of the log log.example/1"), "{contradiction}");
    assert!(contradiction.contains("make the witness another key"), "{contradiction}");
    let text = String::from_utf8(good.clone()).unwrap();
    for damaged in
        [&text[..40], "", &text.replace("log.example/1", "log.example/2"), &text.replace("\"size\":7", "\"size\":6")]
    {
        let why = why(damaged.as_bytes()).unwrap();
        assert!(why.contains("does not say what was cosigned last of log.example/1"), "{why}");
    }
    assert_eq!(why(&good), None);
}

#[test]
fn nothing_is_answered_that_is_not_kept_outside_of_the_database_too() {
    let dir = tempfile::tempdir().unwrap();
    let (witness, _) = witness(dir.path()).unwrap();
    add(&witness, &Tree::new(3, 0, 0), 0).unwrap();
    std::fs::remove_dir_all(dir.path().join("cosigned")).unwrap();
    assert!(matches!(add(&witness, &Tree::new(7, 0, 0), 3), Err(Refusal::Mark(_))));
    std::fs::create_dir(dir.path().join("cosigned")).unwrap();
    // It was not answered, so another tree may still be.
    add(&witness, &Tree::new(5, 0, 0), 3).unwrap();
}

#[test]
fn our_own_cosignature_on_what_a_log_serves_reminds_a_witness() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, next, fork) = (Tree::new(7, 0, 0), Tree::new(9, 0, 0), Tree::new(9, 2, 1));
    let (first, _) = witness(dir.path()).unwrap();
    add(&first, &tree, 0).unwrap();
    let served = format!("{}{}\n", next.note(1), add(&first, &next, 7).unwrap());
    assert!(!first.recognise(&log(1), &served).unwrap());
    drop(first);
    // All that the monitor has is put back.
    let other = tempfile::tempdir().unwrap();
    let (restored, told) = witness(other.path()).unwrap();
    add(&restored, &tree, 0).unwrap();
    for nothing in [tree.note(1), next.note(1), served.replace("\n9\n", "\n8\n"), "x".to_owned()] {
        assert!(!restored.recognise(&log(1), &nothing).unwrap(), "{nothing}");
    }
    assert!(restored.recognise(&log(1), &served).unwrap());
    assert_eq!(known(&restored, &fork), 9);
    assert_eq!(told.conflicts.lock().len(), 1);
    drop(restored);
    std::fs::remove_file(other.path().join("state.redb")).unwrap();
    assert_eq!(known(&witness(other.path()).unwrap().0, &fork), 9);
}

#[test]
fn what_the_monitor_knows_to_be_another_tree_is_not_cosigned() {
    let dir = tempfile::tempdir().unwrap();
    let (witness, told) = witness(dir.path()).unwrap();
    let (tree, fork) = (Tree::new(7, 0, 0), Tree::new(7, 2, 1));
    *told.known.lock() = Some((7, Tree::head(&tree.leaves)));
    assert!(matches!(add(&witness, &fork, 0), Err(Refusal::Inconsistent(Inconsistent::OtherRoot))));
    assert_eq!(told.refused.lock().pop(), Some(fork.note(1)));
    add(&witness, &tree, 0).unwrap();
}

#[tokio::test]
async fn a_clock_that_goes_back_makes_no_cosignature_of_the_past() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path()).await;
    let set = |seconds: u64| served.clock.0.store(seconds * 1000, Ordering::SeqCst);
    let add = async |old, size| {
        let tree = Tree::new(size, 0, 0);
        (tree.note(1), served.add(&tree.body(1, old)).await)
    };
    let (note, answer) = add(0, 2).await;
    assert_eq!(served.verified(&note, &answer), NOW);
    set(NOW - 60);
    let (note, answer) = add(2, 3).await;
    assert_eq!(served.verified(&note, &answer), NOW);
    set(NOW - 61);
    let (_, answer) = add(3, 4).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("10")));
    set(NOW + 5);
    let (note, answer) = add(3, 4).await;
    assert_eq!(served.verified(&note, &answer), NOW + 5);
}

#[tokio::test]
async fn a_clock_that_is_far_ahead_makes_no_cosignature_of_the_future() {
    let dir = tempfile::tempdir().unwrap();
    let (shared, clock) = shared(dir.path());
    let witness = Witness::new(&shared, &dir.path().join("cosigned"), Arc::new(Told::default())).unwrap().unwrap();
    let set = |millis: u64| clock.0.store(millis, Ordering::SeqCst);
    shared.board.log("log.example/2", |log| log.head_timestamp = Some(UnixMillis::new(NOW * 1000)));
    set((NOW + 400 * 86_400) * 1000);
    let Err(refusal) = add(&witness, &Tree::new(3, 0, 0), 0) else { panic!() };
    assert!(refusal.to_string().starts_with("this witness's clock is 34560000 s ahead"), "{refusal}");
    // Set right, it goes on.
    set((NOW + 60) * 1000);
    add(&witness, &Tree::new(3, 0, 0), 0).unwrap();
    // A log that signs again after a day without any says that the clock is right.
    set((NOW + 100_000) * 1000);
    assert!(add(&witness, &Tree::new(5, 0, 0), 3).is_err());
    shared.board.log("log.example/1", |log| log.head_timestamp = Some(UnixMillis::new((NOW + 99_999) * 1000)));
    add(&witness, &Tree::new(5, 0, 0), 3).unwrap();
}

/// Two histories of one log, shown by 32 clients at once, each of which follows what it is told is known: whatever is
/// cosigned is of one history alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_race_gets_two_forks_cosigned() {
    let dir = tempfile::tempdir().unwrap();
    let served = Arc::new(Served::start(dir.path()).await);
    // Each world's trees, common up to 3 leaves.
    let trees = Arc::new([1, 2].map(|world| (3..=12).map(|size| Tree::new(size, 3, world)).collect::<Vec<_>>()));
    let start = &trees[0][0];
    served.verified(&start.note(1), &served.add(&start.body(1, 0)).await);
    let begin = Arc::new(tokio::sync::Barrier::new(32));
    let clients = (0..32_usize).map(|n| {
        let (served, trees, begin) = (Arc::clone(&served), Arc::clone(&trees), Arc::clone(&begin));
        tokio::spawn(async move {
            let (world, mut old, mut cosigned) = (n % 2, 3, BTreeSet::new());
            begin.wait().await;
            // Some go step by step and some leap.
            for tree in trees[world].iter().skip(1 + n / 2 % 3).step_by(1 + n / 6 % 3) {
                let answer = served.add(&tree.body(1, old)).await;
                match answer.status {
                    200 => {
                        served.verified(&tree.note(1), &answer);
                        old = tree.leaves.len();
                        cosigned.insert((world, old));
                    }
                    409 => old = answer.body.trim_end().parse().unwrap(),
                    status => assert!(matches!(status, 422 | 400), "{answer:?}"),
                }
            }
            cosigned
        })
    });
    let mut cosigned = BTreeSet::new();
    for client in clients.collect::<Vec<_>>() {
        cosigned.extend(client.await.unwrap());
    }
    let worlds: BTreeSet<_> = cosigned.iter().map(|(world, _)| *world).collect();
    assert_eq!(worlds.len(), 1, "{cosigned:?}");
    // The last that was cosigned is the largest.
    let largest = cosigned.iter().map(|(_, size)| *size).max().unwrap();
    let known = served.add(&trees[0][0].body(1, 0)).await;
    assert_eq!((known.status, known.body), (409, format!("{largest}\n")));
}

/// 32 threads, two forks of one size from nothing on: one root is cosigned, and all who show the other are told no.
#[test]
fn of_two_first_checkpoints_at_once_one_is_cosigned() {
    for round in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _) = shared(dir.path());
        let told = Arc::new(Told::default());
        let witness = Witness::new(&shared, &dir.path().join("cosigned"), told.clone()).unwrap().unwrap();
        let bodies = [1, 2].map(|world| Tree::new(6, 0, world).body(1, 0));
        let begin = std::sync::Barrier::new(32);
        let counts = [AtomicUsize::new(0), AtomicUsize::new(0)];
        std::thread::scope(|scope| {
            for n in 0..32 {
                let (witness, bodies, begin, counts) = (&witness, &bodies, &begin, &counts);
                scope.spawn(move || {
                    begin.wait();
                    match witness.add_checkpoint(bodies[n % 2].as_bytes()) {
                        Ok(_) => drop(counts[n % 2].fetch_add(1, Ordering::SeqCst)),
                        Err(Refusal::Inconsistent(Inconsistent::OtherOld(known))) => assert_eq!(known.get(), 6),
                        Err(other) => panic!("{other}"),
                    }
                });
            }
        });
        let counts = counts.map(AtomicUsize::into_inner);
        assert_eq!(counts[0] + counts[1], 1, "round {round}: {counts:?}");
        // Everybody of the other fork has proven the log's misbehaviour.
        assert_eq!(told.conflicts.lock().len(), 16);
    }
}

#[test]
fn a_key_has_one_purpose() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shared, _) = shared(dir.path());
    let (cosigned, heads) = (dir.path().join("cosigned"), || Arc::new(Told::default()));
    shared.witness = Some(shared.signer.clone());
    assert!(matches!(Witness::new(&shared, &cosigned, heads()), Err(BadWitness::Shared(_))));
    shared.witness = Some(Arc::new(signer(2)));
    let Err(error) = Witness::new(&shared, &cosigned, heads()) else { panic!() };
    assert!(error.to_string().contains("log.example/2"), "{error}");
    shared.witness = None;
    assert!(matches!(Witness::new(&shared, &cosigned, heads()), Ok(None)));
    shared.signer = Arc::new(signer(1));
    assert!(matches!(Auditor::new(&shared, Arc::new(|_| None)), Err(BadAuditor::Own(_))));
}

/// A key that counts what it signs.
struct Counting(atl::keys::Ed25519Signer, AtomicUsize);

impl Signer for Counting {
    fn public_key(&self) -> &atl::keys::PublicKey {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.sign(message)
    }
}

#[tokio::test]
async fn audit_statements_say_what_the_monitor_thinks() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shared, _) = shared(dir.path());
    let counting = Arc::new(Counting(signer(31), AtomicUsize::new(0)));
    shared.signer = counting.clone();
    let opinion: Arc<Mutex<Option<Opinion>>> = Arc::default();
    let asked = Arc::clone(&opinion);
    let opinions = move |of: &WatchedLog| asked.lock().filter(|_| of.id == log(1).id);
    let auditor = Arc::new(Auditor::new(&shared, Arc::new(opinions)).unwrap());
    let server = start(audit::routes(Router::new(), &auditor), Limits::default()).await;
    let path = |id: &LogId| format!("/audit/v1/{id}");

    assert_eq!(get(server.address, &path(&log(1).id)).await.status, 404);
    for id in [log(9).id.to_string(), log(1).id.to_string().to_uppercase(), "..".into(), "x".into()] {
        assert_eq!(get(server.address, &format!("/audit/v1/{id}")).await.status, 404, "{id}");
    }
    let head = Verified { size: TreeSize::new(7), root: Hash::new([9; 32]), at: UnixMillis::new(5000) };
    let later = Verified { at: UnixMillis::new(6000), ..head };
    let cases = [
        (Opinion::Consistent(head), Verdict::Consistent, head, 1),
        (Opinion::Consistent(head), Verdict::Consistent, head, 1),
        (Opinion::Consistent(later), Verdict::Consistent, later, 2),
        (Opinion::Inconsistent(later), Verdict::Inconsistent, later, 3),
    ];
    for (thinks, verdict, head, signed) in cases {
        *opinion.lock() = Some(thinks);
        let answer = get(server.address, &path(&log(1).id)).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, Some("public, max-age=60")));
        let said = open_audit(answer.body.as_bytes(), auditor.key()).unwrap();
        assert_eq!((said.origin, said.log_id, said.verdict), (log(1).origin, log(1).id, verdict));
        assert_eq!((said.size, said.root, said.at), (head.size, head.root, head.at));
        assert_eq!(counting.1.load(Ordering::SeqCst), signed);
    }
    assert_eq!(get(server.address, &path(&log(2).id)).await.status, 404);
    let list: serde_json::Value = serde_json::from_str(&get(server.address, "/audit/v1").await.body).unwrap();
    assert_eq!(list["monitor"], auditor.key().to_string());
    assert_eq!(list["logs"][0]["note"], path(&log(1).id));
    assert_eq!(list["logs"][0]["statement"]["verdict"], "inconsistent");
    assert_eq!((&list["logs"][0]["statement"]["size"], &list["logs"][0]["statement"]["at"]), (&7.into(), &6000.into()));
    assert_eq!(
        (list["logs"][1]["origin"].as_str(), list["logs"][1]["statement"].is_null()),
        (Some("log.example/2"), true)
    );
    assert_eq!(counting.1.load(Ordering::SeqCst), 3);
}
