//! Replays the seeds of the fuzz targets (`tests/fuzz/corpus/<target>`) through the properties that
//! the fuzzer holds them to, so that neither rots while nobody fuzzes.
#![allow(clippy::unwrap_used)] // a directory that cannot be read is a failed test

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[path = "fuzz/properties/lib.rs"]
mod properties;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_seed_keeps_its_property() {
    for (target, property) in properties::ALL {
        let seeds = names(&corpus().join(target));
        assert!(seeds.len() >= 8, "{target} has {} seeds", seeds.len());
        for seed in seeds {
            let octets = std::fs::read(corpus().join(target).join(&seed)).unwrap();
            let outcome = std::panic::catch_unwind(|| property(&octets));
            assert!(outcome.is_ok(), "the seed {target}/{seed} breaks its property");
        }
    }
}

/// Each seed cut short and with one octet changed: cheap neighbours that a parser must survive too.
#[test]
fn the_neighbours_of_every_seed_keep_it_too() {
    for (target, property) in properties::ALL {
        for seed in names(&corpus().join(target)) {
            let octets = std::fs::read(corpus().join(target).join(&seed)).unwrap();
            let step = octets.len() / 16 + 1;
            for place in (0..octets.len()).step_by(step) {
                property(&octets[..place]);
                let mut changed = octets.clone();
                changed[place] ^= 1 << (place % 8);
                property(&changed);
            }
        }
    }
}

#[cfg(feature = "server")]
#[test]
fn each_property_has_its_target_and_its_seeds() {
    let properties: BTreeSet<String> = properties::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    let targets = names(&corpus().with_file_name("targets"));
    assert_eq!(targets.iter().map(|file| file.trim_end_matches(".rs").to_owned()).collect::<BTreeSet<_>>(), properties);
    assert_eq!(names(&corpus()), properties);
}

/// Otherwise the fuzzer would look at refusals alone.
#[test]
fn the_seeds_of_the_verdict_reach_an_acceptance() {
    let directory = corpus().join("verdict");
    let accepted = |seed: &String| properties::accepts(&std::fs::read(directory.join(seed)).unwrap());
    let accepted: Vec<String> = names(&directory).into_iter().filter(accepted).collect();
    assert!(accepted.len() >= 3, "{accepted:?}");
}

#[test]
fn the_good_bundles_of_evidence_hold_and_the_bad_ones_do_not() {
    let directory = corpus().join("evidence");
    let holds = |seed: &String| properties::holds(&std::fs::read(directory.join(seed)).unwrap());
    let (holds, not): (Vec<_>, Vec<_>) = names(&directory).into_iter().partition(holds);
    assert!(holds.len() >= 5 && holds.iter().all(|seed| seed.starts_with("good-")), "{holds:?}");
    assert!(not.iter().all(|seed| seed.starts_with("bad-") || seed.starts_with("good-signature")), "{not:?}");
}
