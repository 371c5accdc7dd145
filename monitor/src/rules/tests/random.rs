//! Any octets whatever.

use proptest::prelude::*;

use super::make::*;
use crate::rules::authorised::Newest;
use crate::rules::lookalike::{Name, Score, Watchlist};
use crate::rules::settings::{Owner, Settings};
use crate::rules::{Imitations, Memory, Rulebook};
use atl::time::UnixMillis;

/// All rules at once.
fn everything() -> Rulebook {
    let list = Watchlist::new([Name::parse("bank.example").unwrap()], []).unwrap();
    let logs = [log_a(), log_b()];
    let group = logs.each_ref().map(|log| log.origin.clone()).to_vec();
    let owner = Owner { demand_delegation: true, max_score: atl::apki::trust_score::Score::new(10).ok(), ..owner() };
    let imitations = Imitations::new(list, Score::ALERT, Score::DIGEST);
    let settings = Settings { expect_in: vec![group], ..Settings::default() };
    Rulebook::new(settings, owner, &logs, Some(imitations), Some(Newest::default()))
}

fn good() -> Vec<Vec<u8>> {
    let delegated = draft(URI).with("delegation", extension_of(&delegation([1; 32], 1)));
    let precertificate = delegated.precertificate();
    let last = finish(&precertificate, [201, 202].map(|seed| sat(seed, &precertificate)).to_vec());
    [draft("agent://b4nk.example/payments/b/c").bare(), precertificate, last].map(|c| c.der().to_vec()).to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn damaged_certificates_are_judged_and_always_the_same(
        damage in proptest::collection::vec((0..3usize, any::<prop::sample::Index>(), any::<u8>(), any::<u64>(), 0..9u16), 1..40)
    ) {
        let (good, first, second) = (good(), everything(), everything());
        let (mut memory, mut other) = (Memory::default(), Memory::default());
        for (which, place, octet, at, ca) in damage {
            let mut der = good[which].clone();
            let n = place.index(der.len());
            der[n] = octet;
            let at = UnixMillis::new(at >> (at % 64));
            let judged = judge_as(&first, &mut memory, &der, at, ca);
            // As after a restart.
            other = serde_json::from_str(&serde_json::to_string(&other).unwrap()).unwrap();
            prop_assert_eq!(judge_as(&second, &mut other, &der, at, ca), judged);
            prop_assert_eq!(&memory, &other);
        }
        prop_assert!(serde_json::to_string(&memory).unwrap().len() < 100_000);
    }

    #[test]
    fn no_octets_are_too_strange(der in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = judge_as(&everything(), &mut Memory::default(), &der, NOW, 1);
    }
}

/// How many entries a second all rules take together: `cargo test --release -p atl-monitor --lib rules_per_second --
/// --ignored --nocapture`. A measurement, which proves nothing.
#[test]
#[ignore = "a measurement"]
fn rules_per_second() {
    let (book, mut memory, good) = (everything(), Memory::default(), good());
    let (log, chain) = (log_a(), [atl::log::entry::Fingerprint::of_certificate(b"ca")]);
    let hashes: Vec<_> = good.iter().map(|der| atl::log::entry::CertHash::of_certificate(der)).collect();
    let plain = draft("agent://somebody.example/a/b/c").precertificate();
    let hash = hash_of(&plain);
    let time = |name: &str, der: &[u8], cert_hash, memory: &mut Memory| {
        let entry = crate::rules::Entry {
            log: &log,
            index: atl::merkle::LeafIndex::new(1),
            timestamp: NOW,
            cert_hash,
            der: Some(der),
            chain: &chain,
        };
        let watch = atl::time::Stopwatch::start();
        const ROUNDS: u32 = 20_000;
        let found: usize = (0..ROUNDS).map(|_| book.judge(&entry, memory, NOW).findings.len()).sum();
        eprintln!("{name}: {:?} an entry of {} octets, {found} findings", watch.elapsed() / ROUNDS, der.len());
    };
    time("innocent precertificate of another domain", plain.der(), hash, &mut memory);
    time("look-alike and foreign organisation", &good[0], hashes[0], &mut memory);
    time("own precertificate, delegated", &good[1], hashes[1], &mut memory);
    time("own final certificate, delegated", &good[2], hashes[2], &mut memory);
}
