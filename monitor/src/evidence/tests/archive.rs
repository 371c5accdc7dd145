//! Evidence on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atl::api::B64;
use atl::keys::Ed25519Signer;
use atl::log::checkpoint::{Origin, sign_checkpoint};
use atl::log::note::{Note, NoteSignature};
use atl::log::sth::TreeHead;
use atl::merkle::{Hash, TreeSize};
use atl::time::UnixMillis;

use super::super::testing::{NOW, TestLog, archive, leaves, outcome, rewritten, rich};
use super::super::{
    Archive, Case, CaseError, EvidenceError, Exhibit, Files, Manifest, Receipt, Verdict, check, files, list, tar,
};
use crate::finding::Class;
use crate::head::RawHead;

/// All that is below a directory, with its octets.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(tree(&path)),
            false => drop(found.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    found
}

#[test]
fn what_is_found_again_is_not_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("deep/evidence");
    let id = archive(&place).keep(&rewritten(), NOW).unwrap();
    let before = tree(&place);
    assert_eq!(before.len(), files(&place, &id).unwrap().names().count(), "nothing else is there");

    let later = UnixMillis::new(NOW.get() + 5000);
    let mut again = rewritten();
    again.summary = "Other words".into();
    again.shown_by.reverse();
    again.heads.reverse();
    again.receipts.push(Receipt { asked: "GET /x".into(), status: 0, body: B64(Vec::new()) });
    again.logs[0].url = "https://moved.example".into();
    let other = Ed25519Signer::from_seed(&[5; 32]).unwrap();
    let other = Archive::open(&place, Arc::new(other), "other.example".parse().unwrap()).unwrap();
    assert_eq!(other.keep(&again, later).unwrap(), id);
    assert_eq!(tree(&place), before);

    let mut different = rewritten();
    different.class = Class::SplitView;
    assert_ne!(other.keep(&different, later).unwrap(), id);
}

#[test]
fn a_cosignature_more_makes_no_other_case() {
    let log = TestLog::new(1);
    let sign = |root| {
        let head = TreeHead { size: TreeSize::new(3), timestamp: NOW, root: Hash::new([root; 32]) };
        sign_checkpoint(&log.signer, &log.watched.origin, &head).unwrap()
    };
    let heads = |one: String| log.heads(Class::SplitView, [RawHead::Checkpoint(one), RawHead::Checkpoint(sign(2))]);
    let plain = heads(sign(1));
    let line = NoteSignature { name: "witness.example".parse().unwrap(), key_id: [1; 4], signature: vec![1; 72] };
    let cosigned = heads(Note::parse(sign(1).as_bytes()).unwrap().with_line(line).unwrap().to_string());
    assert_ne!(plain.heads, cosigned.heads);
    let id = |exhibit: &Exhibit| Case::of(exhibit).unwrap().id(outcome(exhibit).verdict());
    assert_eq!(id(&plain), id(&cosigned));
}

#[test]
fn a_case_keeps_its_name() {
    // A change of these would write every case again that is found again.
    let id = |exhibit: &Exhibit| Case::of(exhibit).unwrap().id(outcome(exhibit).verdict());
    assert_eq!(id(&rewritten()), KEPT_NAME);
    let mut later = rich();
    later.heads.swap(0, 1);
    assert_ne!(id(&later), id(&rich()), "what is a suspicion has another name");
}

/// By SHA-256 of the JSON that `Case::id` writes.
const KEPT_NAME: &str = "8eb746172a5beb019e0532d41cd633d01ba5dc2f88e928bdc4d3a1d3928f265e";

#[test]
fn what_a_crash_left_is_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let kept = archive(dir.path());
    let id = kept.keep(&rewritten(), NOW).unwrap();
    let whole = tree(dir.path());
    // A crash in the middle of writing: some of the files, one of them cut short.
    let unfinished = dir.path().join(format!(".unfinished-{id}"));
    fs::rename(dir.path().join(&id), &unfinished).unwrap();
    fs::write(unfinished.join("manifest.json"), b"{\n  \"form").unwrap();
    fs::remove_file(unfinished.join("observer.sig")).unwrap();
    assert_eq!(list(dir.path()).unwrap(), super::super::Listing::default());
    // Also without a restart it is written anew.
    assert_eq!(kept.keep(&rewritten(), NOW).unwrap(), id);
    assert_eq!(tree(dir.path()), whole);
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("head-1.json"), b"{").unwrap();
    archive(dir.path());
    assert_eq!(tree(dir.path()), whole);
}

#[test]
fn what_stands_there_is_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    let kept = archive(dir.path());
    let id = kept.keep(&rewritten(), NOW).unwrap();
    let readme = dir.path().join(&id).join("README.txt");
    fs::write(&readme, b"changed").unwrap();
    let before = tree(dir.path());
    let error = kept.keep(&rewritten(), NOW).unwrap_err();
    assert!(matches!(&error, EvidenceError::Damaged { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&id) && text.contains("README.txt") && text.contains("move it away"), "{text}");
    assert_eq!(tree(dir.path()), before);

    let other = Case::of(&rich()).unwrap().id(Verdict::Proven);
    fs::create_dir(dir.path().join(&other)).unwrap();
    assert!(
        matches!(kept.keep(&rich(), NOW), Err(EvidenceError::Damaged { .. })),
        "an empty directory is none of ours"
    );
}

#[test]
fn what_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("evidence");
    let kept = archive(&place);
    fs::remove_dir(&place).unwrap();
    let error = kept.keep(&rewritten(), NOW).unwrap_err().to_string();
    assert!(error.starts_with("cannot create") && error.contains(place.to_str().unwrap()), "{error}");

    fs::write(&place, b"a file").unwrap();
    let signer = Arc::new(Ed25519Signer::from_seed(&[1; 32]).unwrap());
    let error = Archive::open(&place, signer, "m.example".parse().unwrap()).err().unwrap().to_string();
    assert!(error.contains(place.to_str().unwrap()), "{error}");
}

#[test]
fn what_is_too_much_is_refused_and_what_servers_said_is_cut() {
    let log = TestLog::new(1);
    let many = log.heads(Class::SplitView, vec![log.sth(&leaves(1, 1), 1); 17]);
    assert_eq!(Case::of(&many), Err(CaseError::TooMany { what: "heads", limit: 16 }));
    let nobody = Exhibit::new(Class::SplitView, Vec::new(), String::new());
    assert_eq!(Case::of(&nobody), Err(CaseError::NoLog));

    let mut exhibit = rewritten();
    exhibit.summary = "é".repeat(5000);
    exhibit.receipts.push(Receipt { asked: "GET /x".into(), status: 200, body: B64(vec![b'x'; 70_000]) });
    let dir = tempfile::tempdir().unwrap();
    let id = archive(dir.path()).keep(&exhibit, NOW).unwrap();
    let files = files(dir.path(), &id).unwrap();
    let manifest = Manifest::read(files.get("manifest.json").unwrap()).unwrap();
    assert_eq!(manifest.case.summary, "é".repeat(2048));
    assert_eq!((manifest.case.receipts[0].body.0.len(), manifest.case.receipts[0].omitted), (65_536, 4464));
    let receipt = files.get("receipt-1.txt").unwrap();
    assert!(receipt.starts_with(b"GET /x\nHTTP status 200\n4464 octets of the body are left out\n\nxxx"));
    assert_eq!(check(&files, &[]).verdict(), Verdict::Proven);
}

#[test]
fn the_list_has_the_newest_first_and_names_what_is_broken() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(list(&dir.path().join("nothing")).unwrap().kept, []);
    let kept = archive(dir.path());
    let first = kept.keep(&rewritten(), NOW).unwrap();
    let second = kept.keep(&rich(), NOW.saturating_add(1)).unwrap();
    let broken = "0".repeat(64);
    fs::create_dir(dir.path().join(&broken)).unwrap();
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    let listing = list(dir.path()).unwrap();
    let ids: Vec<_> = listing.kept.iter().map(|summary| summary.id.as_str()).collect();
    assert_eq!(ids, [second.as_str(), first.as_str()]);
    let one = &listing.kept[1];
    assert_eq!((one.class, one.verdict, one.found_at), (Class::InconsistentHeads, Verdict::Proven, NOW));
    assert_eq!(one.log, "log-1.example/2026");
    assert_eq!(listing.broken.len(), 1);
    assert!(listing.broken[0].0 == broken && listing.broken[0].1.contains("manifest.json"));
}

#[test]
fn only_names_of_evidence_are_looked_up() {
    let dir = tempfile::tempdir().unwrap();
    let id = archive(dir.path()).keep(&rewritten(), NOW).unwrap();
    assert!(files(dir.path(), &id).is_ok());
    let upper = id.to_uppercase();
    for bad in ["", ".", "..", "../x", &id[1..], &upper, &format!("{id}/"), &format!("../{id}"), &"0".repeat(64)] {
        assert!(matches!(files(dir.path(), bad), Err(EvidenceError::NoSuch(_))), "{bad:?}");
    }
    let link = dir.path().join(&id).join("link");
    std::os::unix::fs::symlink("/etc/hostname", link).unwrap();
    assert!(
        matches!(files(dir.path(), &id), Err(EvidenceError::NotEvidence { .. })),
        "what it links to is not given out"
    );
}

#[test]
fn the_download_is_the_same_octets_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let id = archive(dir.path()).keep(&rich(), NOW).unwrap();
    let read = files(dir.path(), &id).unwrap();
    let download = tar(&id, &read);
    assert_eq!(download, tar(&id, &files(dir.path(), &id).unwrap()));
    assert_eq!(download.len() % 512, 0);
    // Read back by the fields of the format.
    let text = |at: usize, len: usize| {
        let field = &download[at..at + len];
        String::from_utf8(field.split(|octet| *octet == 0).next().unwrap().to_vec()).unwrap()
    };
    let (mut at, mut found) = (0, Vec::new());
    while download[at] != 0 {
        let size = usize::from_str_radix(&text(at + 124, 12), 8).unwrap();
        assert_eq!(text(at + 345, 155), id);
        let header = &download[at..at + 512];
        let sum: u32 = header.iter().map(|octet| u32::from(*octet)).sum();
        let field: u32 = header[148..156].iter().map(|octet| u32::from(*octet)).sum();
        assert_eq!(u32::from_str_radix(&text(at + 148, 8), 8).unwrap(), sum - field + 8 * 0x20);
        found.push((text(at, 100), download[at + 512..][..size].to_vec()));
        at += 512 + size.next_multiple_of(512);
    }
    assert_eq!(at + 1024, download.len());
    assert!(download[at..].iter().all(|octet| *octet == 0));
    assert_eq!(Files::new(found), read);
}

#[test]
fn the_text_for_people_has_a_command_that_a_shell_takes_as_it_is_meant() {
    let mut exhibit = rich();
    let origin: Origin = "log.example/it's".parse().unwrap();
    exhibit.logs[1] = exhibit.logs[0].clone();
    exhibit.logs[1].key = origin.verifier_key(exhibit.logs[0].key.key()).unwrap();
    exhibit.logs[1].origin = origin;
    exhibit.certificates.clear();
    let dir = tempfile::tempdir().unwrap();
    let id = archive(dir.path()).keep(&exhibit, NOW).unwrap();
    let files = files(dir.path(), &id).unwrap();
    let readme = String::from_utf8(files.get("README.txt").unwrap().to_vec()).unwrap();
    let command = readme.lines().find(|line| line.contains("verify-evidence")).unwrap();
    let (one, other) = (&exhibit.logs[0].key, exhibit.logs[1].key.to_string().replace('\'', r"'\''"));
    assert_eq!(command.trim(), format!("atl-monitor verify-evidence DIRECTORY --key '{one}' --key '{other}'"));
    assert!(readme.contains("-inkey log-1.pem -rawin -in head-1.signed -sigfile head-1.signature"));
}
