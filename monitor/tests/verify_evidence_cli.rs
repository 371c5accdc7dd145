//! `atl-monitor verify-evidence` through the real binary.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use atl::keys::{Ed25519Signer, Signer};
use atl::log::checkpoint::Origin;
use atl::log::sth::{SignedTreeHead, TreeHead};
use atl::merkle::{Hash, TreeSize};
use atl::time::UnixMillis;
use atl_monitor::evidence::{self, Archive, Exhibit};
use atl_monitor::finding::Class;
use atl_monitor::watched::WatchedLog;
use serde_json::Value;

const NOW: UnixMillis = UnixMillis::new(1_775_822_400_000);

fn signer(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[seed; 32]).unwrap()
}

fn log(seed: u8) -> WatchedLog {
    let origin: Origin = "log.example/2026".parse().unwrap();
    let key = origin.verifier_key(signer(seed).public_key()).unwrap();
    WatchedLog::new(key, "https://log.example".into(), "Operator".into()).unwrap()
}

/// Two heads of one size, with these roots.
fn exhibit(class: Class, roots: [u8; 2]) -> Exhibit {
    let head = |(at, root)| {
        let head = TreeHead { size: TreeSize::new(9), timestamp: UnixMillis::new(at), root: Hash::new([root; 32]) };
        SignedTreeHead::sign(&signer(1), head).unwrap().into()
    };
    let mut exhibit = Exhibit::new(class, vec![log(1)], "The log\u{1b}[2J did something".into());
    exhibit.heads = [1, 2].into_iter().zip(roots).map(head).collect();
    exhibit
}

fn archive(dir: &Path) -> Archive {
    Archive::open(dir, Arc::new(signer(7)), "monitor.example".parse().unwrap()).unwrap()
}

/// The standard output and the exit code.
fn run(dir: &Path, args: &[&str]) -> (String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atl-monitor"));
    let output = command.arg("verify-evidence").arg(dir).args(args).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap())
}

#[test]
fn each_outcome_has_its_code_and_its_words() {
    let dir = tempfile::tempdir().unwrap();
    let kept = archive(dir.path());
    let proven = dir.path().join(kept.keep(&exhibit(Class::SplitView, [1, 2]), NOW).unwrap());
    let suspicion = dir.path().join(kept.keep(&exhibit(Class::StaleHead, [1, 1]), NOW).unwrap());
    let vkey = log(1).key.to_string();

    let (text, code) = run(&proven, &[]);
    assert_eq!(code, 0, "{text}");
    for words in
        ["PROVEN: The log log.example/2026 has shown two trees", "head 2", &vkey, "THE KEY IS THE EVIDENCE'S OWN"]
    {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    assert!(!text.contains('\u{1b}'));
    let (text, code) = run(&proven, &["--key", &vkey]);
    assert!(code == 0 && text.contains("The key is one that you gave") && !text.contains("OWN WORD"), "{text}");
    let (text, code) = run(&proven, &["--key", &log(2).key.to_string()]);
    assert!(code == 1 && text.starts_with("NOT PROVEN: ") && text.contains("none of the keys that you gave"), "{text}");
    let (text, code) = run(&suspicion, &[]);
    assert!(code == 3 && text.starts_with("SUSPICION ONLY: "), "{text}");
    assert_eq!(run(&dir.path().join("nothing"), &[]).1, 2);
    assert_eq!(run(&proven, &["--key", "nonsense"]).1, 2);

    let (json, code) = run(&proven, &["--json", "--key", &vkey]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["verdict"], &json["key_pinned"]), (0, &"proven".into(), &true.into()));
    assert_eq!((&json["class"], &json["logs"][0]), (&"log.split-view".into(), &Value::from(vkey)));

    std::fs::write(proven.join("head-1.json"), "{}").unwrap();
    let (text, code) = run(&proven, &[]);
    assert!(code == 1 && text.contains("head-1.json"), "{text}");
    let (json, code) = run(&proven, &["--json"]);
    assert_eq!((code, &serde_json::from_str::<Value>(&json).unwrap()["verdict"]), (1, &"not-proven".into()));
}

#[test]
fn the_whole_directory_is_listed_in_a_line_each() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(dir.path(), &[]).1, 2, "nothing is there");
    let kept = archive(dir.path());
    let proven = kept.keep(&exhibit(Class::SplitView, [1, 2]), NOW).unwrap();
    let (text, code) = run(dir.path(), &[]);
    assert!(code == 0 && text.starts_with("PROVEN ") && text.contains(&proven) && text.contains("No --key"), "{text}");
    kept.keep(&exhibit(Class::StaleHead, [1, 1]), NOW).unwrap();
    assert_eq!(run(dir.path(), &[]).1, 3);
    let other = kept.keep(&exhibit(Class::SameSizeOtherRoot, [1, 2]), NOW).unwrap();
    std::fs::remove_file(dir.path().join(&other).join("manifest.json")).unwrap();
    let (text, code) = run(dir.path(), &["--json"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verdict = |name: &str| lines.iter().find(|line| line["name"] == *name).map(|line| line["verdict"].clone());
    assert_eq!((code, lines.len()), (1, 3));
    assert_eq!(verdict(&proven), Some("proven".into()));
    assert_eq!(verdict(&other), Some("not-proven".into()));
}

#[test]
fn a_download_unpacks_to_what_is_proven_and_under_no_other_name() {
    let dir = tempfile::tempdir().unwrap();
    let id = archive(&dir.path().join("evidence")).keep(&exhibit(Class::SplitView, [1, 2]), NOW).unwrap();
    let files = evidence::files(&dir.path().join("evidence"), &id).unwrap();
    std::fs::write(dir.path().join("download.tar"), evidence::tar(&id, &files)).unwrap();
    let unpacked = Command::new("tar").args(["xf", "download.tar"]).current_dir(dir.path()).status().unwrap();
    assert!(unpacked.success());
    assert_eq!(run(&dir.path().join(&id), &[]).1, 0);
    let renamed = dir.path().join("case-7");
    std::fs::rename(dir.path().join(&id), &renamed).unwrap();
    assert_eq!(run(&renamed, &[]).1, 0, "a name of one's own is no claim");
    let other = dir.path().join("0".repeat(64));
    std::fs::rename(&renamed, &other).unwrap();
    let (text, code) = run(&other, &[]);
    assert!(code == 1 && text.contains("its directory is named"), "{text}");
}
