//! Whatever is changed in kept evidence, it is proven no longer.

use std::sync::LazyLock;

use atl::log::note::VerifierKey;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::testing::{TestLog, kept, rewritten, rich};
use super::super::{FORMAT, Files, Manifest, ManifestError, Outcome, Verdict, check};

/// Two pieces of evidence that are proven and have all kinds of files in them.
static PROVEN: LazyLock<Vec<Files>> = LazyLock::new(|| vec![kept(&rewritten()), kept(&rich())]);

fn with(files: &Files, name: &str, octets: Vec<u8>) -> Files {
    let others = files.iter().filter(|(other, _)| *other != name);
    Files::new(others.map(|(name, octets)| (name.to_owned(), octets.to_vec())).chain([(name.to_owned(), octets)]))
}

fn without(files: &Files, name: &str) -> Files {
    let others = files.iter().filter(|(other, _)| *other != name);
    Files::new(others.map(|(name, octets)| (name.to_owned(), octets.to_vec())))
}

fn why(files: &Files) -> String {
    match check(files, &[]) {
        Outcome::NotProven { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn as_it_was_kept_it_is_proven() {
    for files in &*PROVEN {
        assert_eq!(check(files, &[]).verdict(), Verdict::Proven);
    }
    let names: Vec<_> = PROVEN[1].names().collect();
    for name in [
        "README.txt",
        "manifest.json",
        "observer.sig",
        "log-1.pem",
        "log-2.pem",
        "head-1.json",
        "head-1.signed",
        "head-1.signature",
        "checkpoint-2.txt",
        "certificate-1.der",
        "certificate-head-1.json",
        "issuer-1.der",
        "sat-1.der",
        "receipt-1.txt",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
}

#[test]
fn every_file_counts() {
    for files in &*PROVEN {
        for (name, octets) in files.iter() {
            let gone = why(&without(files, name));
            assert!(gone.contains(name) && gone.contains("is missing"), "{gone}");
            let longer = why(&with(files, name, [octets, b" "].concat()));
            assert!(longer.contains(name), "{name}: {longer}");
            let mut first = octets.to_vec();
            first[0] ^= 1;
            let first = why(&with(files, name, first));
            assert!(first.contains(name), "{name}: {first}");
            why(&with(files, name, Vec::new()));
        }
        assert!(why(&with(files, "head-9.json", b"{}".to_vec())).contains("is no part of the evidence"));
    }
}

/// Each way to change one value somewhere in JSON.
fn changes(value: &Value, at: &str, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                changes(field, &format!("{at}/{name}"), out);
            }
            out.push((at.to_owned(), json!({"unknown": 1})));
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                changes(item, &format!("{at}/{n}"), out);
            }
            out.push((at.to_owned(), items.iter().skip(1).cloned().collect()));
            out.push((at.to_owned(), items.iter().chain(items.first()).cloned().collect()));
        }
        Value::String(text) => out.push((at.to_owned(), json!(format!("{text}A")))),
        Value::Number(n) => out.push((at.to_owned(), json!(n.as_u64().unwrap() + 1))),
        Value::Bool(_) | Value::Null => out.push((at.to_owned(), json!("x"))),
    }
}

#[test]
fn every_field_of_the_manifest_counts() {
    for files in &*PROVEN {
        let manifest: Value = serde_json::from_slice(files.get("manifest.json").unwrap()).unwrap();
        let mut all = Vec::new();
        changes(&manifest, "", &mut all);
        assert!(all.len() > 40);
        for (at, value) in all {
            let mut changed = manifest.clone();
            *changed.pointer_mut(&at).unwrap() = value;
            if changed == manifest {
                continue; // an empty list without its first item
            }
            let octets = [serde_json::to_vec_pretty(&changed).unwrap(), b"\n".to_vec()].concat();
            why(&with(files, "manifest.json", octets));
        }
    }
}

/// Somebody else finds the same, and changes it on the way: they can sign again, and have to give the same name.
fn signed_again(files: &Files, change: impl FnOnce(&mut Manifest)) -> Files {
    use atl::keys::{Ed25519Signer, Signer};
    let mut manifest = Manifest::read(files.get("manifest.json").unwrap()).unwrap();
    change(&mut manifest);
    let signer = Ed25519Signer::from_seed(&[78; 32]).unwrap();
    let key = VerifierKey::new("someone.example".parse().unwrap(), signer.public_key().clone()).unwrap();
    manifest.observer = key.to_string();
    let octets = manifest.to_octets().unwrap();
    let note = super::super::observer::sign(&octets, manifest.found_at, &key, &signer).unwrap();
    with(&with(files, "manifest.json", octets), "observer.sig", note.into_bytes())
}

#[test]
fn another_observer_can_sign_and_cannot_change_what_is_proven() {
    let files = &PROVEN[0];
    assert_eq!(check(&signed_again(files, |_| ()), &[]).verdict(), Verdict::Proven);
    let words = signed_again(files, |m| m.case.summary = "Other words".into());
    assert_eq!(check(&words, &[]).verdict(), Verdict::Proven);
    assert!(why(&signed_again(files, |m| m.id = "0".repeat(64))).contains("its name or its verdict"));
    assert!(why(&signed_again(files, |m| m.verdict = Verdict::SuspicionOnly)).contains("its name or its verdict"));
    assert!(why(&signed_again(files, |m| m.case.class = crate::finding::Class::SplitView)).contains("its name"));
    assert!(why(&signed_again(files, |m| m.case.divergence = None)).contains("no nodes"));
    let mut observer = files.get("observer.sig").unwrap().to_vec();
    let line = observer.split_inclusive(|c| *c == b'\n').next_back().unwrap().to_vec();
    observer.extend_from_slice(&line);
    assert!(why(&with(files, "observer.sig", observer)).contains("beside the observer's signature"));
}

#[test]
fn pinned_keys_decide_whose_evidence_it_is() {
    let key = |seed| TestLog::new(seed).watched.key;
    assert_eq!(check(&PROVEN[0], &[key(1)]).verdict(), Verdict::Proven);
    assert_eq!(check(&PROVEN[0], &[key(3), key(1)]).verdict(), Verdict::Proven);
    let outcome = check(&PROVEN[0], &[key(2)]);
    assert!(outcome.verdict() == Verdict::NotProven && outcome.says().contains("none of the keys"), "{outcome:?}");
    assert_eq!(check(&PROVEN[1], &[key(1)]).verdict(), Verdict::NotProven, "the other log counts as well");
    assert_eq!(check(&PROVEN[1], &[key(1), key(2)]).verdict(), Verdict::Proven);
}

#[test]
fn manifests_are_strict() {
    let octets = PROVEN[0].get("manifest.json").unwrap();
    let text = String::from_utf8(octets.to_vec()).unwrap();
    let read = |text: &str| Manifest::read(text.as_bytes());
    assert!(read(&text).is_ok());
    let later = text.replace(FORMAT, "atl-evidence/v2");
    assert_eq!(read(&later), Err(ManifestError::Format("atl-evidence/v2".into())));
    assert_eq!(read(text.trim_end()), Err(ManifestError::NotCanonical));
    assert_eq!(read(&text.replacen("  ", " ", 1)), Err(ManifestError::NotCanonical));
    let inner = text.replacen("\"log_id\"", "\"more\": 1, \"log_id\"", 1);
    assert!(inner != text && read(&inner) == Err(ManifestError::NotCanonical));
    let unknown = text.replacen("\"id\"", "\"more\": 1, \"id\"", 1);
    assert!(matches!(read(&unknown), Err(ManifestError::Json(e)) if e.contains("unknown field `more`")));
    let twice = text.replacen("\"id\"", "\"format\": \"atl-evidence/v1\", \"id\"", 1);
    assert!(matches!(read(&twice), Err(ManifestError::Json(e)) if e.contains("duplicate field")));
    for broken in ["", "{}", "[]", "null", "{\"format\": 1}"] {
        assert!(matches!(read(broken), Err(ManifestError::Json(_))), "{broken}");
    }
    let long = vec![b' '; super::super::manifest::MAX_MANIFEST_OCTETS + 1];
    assert_eq!(Manifest::read(&long), Err(ManifestError::TooLong(long.len())));
    let mut many = Manifest::read(octets).unwrap();
    many.case.leaves = vec![atl::merkle::Hash::new([0; 32]); super::super::MAX_LEAVES + 1];
    assert!(matches!(Manifest::read(&many.to_octets().unwrap()), Err(ManifestError::Case(_))));
}

proptest! {
    // Each case verifies signatures, which takes its time in a build that is not optimised.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_octet_counts(which: usize, file: usize, at: usize, bit in 0_u8..8) {
        let files = &PROVEN[which % 2];
        let (name, octets) = files.iter().nth(file % files.names().count()).unwrap();
        let mut octets = octets.to_vec();
        let at = at % octets.len();
        octets[at] ^= 1 << bit;
        let outcome = check(&with(files, name, octets), &[]);
        prop_assert_eq!(outcome.verdict(), Verdict::NotProven, "{} {} {}", name, at, bit);
    }

    #[test]
    fn garbage_is_no_evidence(octets in proptest::collection::vec(any::<u8>(), 0..300), file: usize) {
        let files = &PROVEN[0];
        let name = files.names().nth(file % files.names().count()).unwrap();
        prop_assert_eq!(check(&with(files, name, octets), &[]).verdict(), Verdict::NotProven);
    }
}
