//! Proofs and entries that a log must give and does not.

use atl::api::{ConsistencyResponse, Problem, Token};
use atl::merkle::{Hash, TreeSize};

use crate::log_server::Answer;
use crate::scene::{FIRST, Scene, alerts, audited};

const CONSISTENCY: &str = "/atl/v1/get-sth-consistency";

/// The log answers this instead of a proof that it has only grown: that is a challenge, and no proof of anything.
fn challenged(answer: Answer, class: &str) -> (Scene, Vec<serde_json::Value>) {
    let scene = Scene::start();
    scene.log.lie(move |path| path.starts_with(CONSISTENCY).then(|| answer.clone()));
    scene.grow_and_sign(10);
    let found = scene.suspected(&[class]);
    assert_eq!(found.len(), 1, "{found:#?}");
    scene.challenges(&found);
    // The tiles themselves say that it has only grown.
    audited(&scene.monitor, &scene.dir, &scene.log, FIRST + 10);
    scene.passer_finds(&[class], false);
    (scene, found)
}

fn proof_of(consistency: Vec<Hash>) -> Answer {
    let (first, second) = (TreeSize::new(FIRST), TreeSize::new(FIRST + 10));
    Answer::json(&ConsistencyResponse { first, second, consistency })
}

#[test]
fn a_refused_proof() {
    let problem = Problem::new(Token::NotFound, "there is no such proof here");
    let (_, found) = challenged(Answer { status: 404, ..Answer::json(&problem) }, "log.proof-refused");
    assert!(found[0].to_string().contains("there is no such proof here"), "{found:#?}");
}

#[test]
fn a_proof_refused_without_a_word() {
    let (_, found) = challenged(Answer::status(400), "log.proof-refused");
    assert!(found[0].to_string().contains("400"), "{found:#?}");
}

#[test]
fn a_garbage_proof() {
    challenged(proof_of(vec![Hash::new([3; 32]); 7]), "log.proof-garbage");
}

#[test]
fn a_proof_without_anything_in_it() {
    challenged(proof_of(Vec::new()), "log.proof-garbage");
}

#[test]
fn a_proof_that_cannot_be_read() {
    challenged(Answer::ok(b"<html>maintenance</html>".to_vec()), "log.proof-garbage");
}

#[test]
fn entries_that_do_not_have_the_signed_root() {
    shown_instead(&["/tile/certs/", "/tile/entries/", "/atl/v1/get-entries"]);
}

#[test]
fn a_tree_that_does_not_have_the_signed_root() {
    shown_instead(&["/tile/", "/atl/v1/get-entries"]);
}

/// The log answers what begins with these words out of another tree than it has signed.
fn shown_instead(begin: &'static [&'static str]) {
    let scene = Scene::start();
    let other = scene.fork(FIRST, FIRST + 30);
    scene.log.lie(move |path| begin.iter().any(|start| path.starts_with(start)).then(|| other.honest(path)));
    scene.grow_and_sign(30);
    // Heads and proofs are as they must be: what was verified stays so, and nothing is told of what was never signed.
    let found = scene.suspected(&["log.root-mismatch"]);
    assert!(found.len() == 1 && found[0]["finding"]["evidence"].is_null(), "{found:#?}");
    scene.passer_finds(&["log.root-mismatch"], false);
    audited(&scene.monitor, &scene.dir, &scene.log, FIRST);
    // It reads them once more, and then they are there.
    scene.log.be_honest();
    audited(&scene.monitor, &scene.dir, &scene.log, FIRST + 30);
    assert_eq!(alerts(&scene.monitor).len(), 1);
}
