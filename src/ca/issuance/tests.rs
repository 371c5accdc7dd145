//! The steps, with logs that answer well and logs that do not.

use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::*;
use crate::apki::chain::{Anchors, IssuerPath};
use crate::apki::testing::{Draft, key};
use crate::apki::trust_score::Score;
use crate::ca::tests::{NOON, ed25519, issuer, key_pairs, profile, shopper};
use crate::keys::{Ed25519Signer, PublicKey};
use crate::log::entry::EntryType;
use crate::log::sat::SatError;

/// The logs have the keys 101, 102 and 103; the first two have one operator.
fn logs() -> Arc<[KnownLog]> {
    let log = |seed, operator: &str| {
        KnownLog::new(format!("https://{seed}.example"), operator, key(seed).public_key().clone())
    };
    Arc::new([log(101, "Alpha"), log(102, "Alpha"), log(103, "Beta")])
}

fn ca(signer: &Arc<dyn Signer>, throw_away: &Arc<dyn Signer>) -> (IssuingCa, Linter) {
    let certificate = issuer(signer.as_ref());
    let linter = Linter::new(certificate.clone(), throw_away.clone(), "example.com", false).unwrap();
    (IssuingCa::new(certificate, Vec::new(), signer.clone()).unwrap(), linter)
}

fn good_ca() -> (IssuingCa, Linter) {
    ca(&ed25519(1), &ed25519(2))
}

fn sat(seed: u8, at: UnixMillis, hash: CertHash) -> SignedAgentTimestamp {
    SignedAgentTimestamp::sign(&key(seed), at, hash).unwrap()
}

fn scored(score: u8) -> Profile {
    let mut profile = shopper();
    profile.trust_score.score = Score::new(score).unwrap();
    profile
}

/// The precertificate of an agent with this score, and timestamps of these logs.
fn gathered(score: u8, indices: &[usize]) -> Gathered {
    let (ca, linter) = good_ca();
    let precertificate = sign_precertificate(&ca, &linter, &scored(score), NOON).unwrap();
    let hash = precertificate.cert_hash();
    let mut gathered = Gathered::new(precertificate, logs());
    for index in indices {
        gathered.add(*index, sat(101 + *index as u8, NOON, hash), NOON).unwrap();
    }
    gathered
}

fn finished(gathered: &Gathered) -> Result<Certificate, IssuanceError> {
    let (ca, linter) = good_ca();
    finish(&ca, &linter, gathered, &SatRule::default(), NOON)
}

#[test]
fn a_precertificate_becomes_a_certificate_that_gives_it_back() {
    for [real, throw_away] in key_pairs() {
        let (ca, linter) = ca(&real, &throw_away);
        let precertificate = sign_precertificate(&ca, &linter, &shopper(), NOON).unwrap();
        let hash = precertificate.cert_hash();
        assert_eq!(precertificate.certificate().fingerprint(), *hash.as_bytes());
        let mut gathered = Gathered::new(precertificate.clone(), logs());
        // They come in as they come in, and stand in the order of the configuration.
        gathered.add(2, sat(103, NOON, hash), NOON).unwrap();
        assert_eq!(
            gathered.missing().map(KnownLog::url).collect::<Vec<_>>(),
            ["https://101.example", "https://102.example"]
        );
        gathered.add(0, sat(101, NOON.saturating_add(5), hash), NOON).unwrap();
        let certificate = finish(&ca, &linter, &gathered, &SatRule::default(), NOON).unwrap();

        let recovered = recover(&certificate).unwrap().unwrap();
        assert_eq!(recovered.precertificate_der, precertificate.certificate().der());
        let list = SatList::from_der(recovered.sat_list_der).unwrap();
        assert_eq!(list.sats(), [sat(101, NOON.saturating_add(5), hash), sat(103, NOON, hash)]);
        let anchors = Anchors::new([ca.certificate().clone()]).unwrap();
        for leaf in [&certificate, precertificate.certificate()] {
            IssuerPath::find(leaf, Vec::new(), &anchors, 4).unwrap();
        }
        let restored = Submission::precertificate(precertificate.certificate().clone(), NOON).unwrap();
        assert_eq!(restored, precertificate);
    }
}

#[test]
fn openssl_takes_the_certificate_and_refuses_the_precertificate() {
    use der::pem::{LineEnding, encode_string};
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, certificate: &Certificate| {
        let path = directory.path().join(name);
        let pem = encode_string("CERTIFICATE", LineEnding::LF, certificate.der()).unwrap();
        std::fs::write(&path, pem).unwrap();
        path
    };
    for [real, throw_away] in key_pairs() {
        let (ca, linter) = ca(&real, &throw_away);
        let precertificate = sign_precertificate(&ca, &linter, &scored(50), NOON).unwrap();
        let hash = precertificate.cert_hash();
        let mut gathered = Gathered::new(precertificate.clone(), logs());
        gathered.add(0, sat(101, NOON, hash), NOON).unwrap();
        let certificate = finish(&ca, &linter, &gathered, &SatRule::default(), NOON).unwrap();
        let root = write("root.pem", ca.certificate());
        let verify = |certificate, purpose| {
            let mut openssl = std::process::Command::new("openssl");
            openssl.args(["verify", "-x509_strict", "-attime", "1775822460", "-purpose", purpose, "-CAfile"]);
            let output = openssl.arg(&root).arg(write("agent.pem", certificate)).output().unwrap();
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        for purpose in ["sslclient", "sslserver"] {
            let (good, said) = verify(&certificate, purpose);
            assert!(good, "{said}");
            let (good, said) = verify(precertificate.certificate(), purpose);
            assert!(!good && said.contains("unhandled critical extension"), "{said}");
        }
    }
}

#[test]
fn a_score_of_sixty_needs_two_operators() {
    let verdict = |score, logs: &[usize]| finished(&gathered(score, logs)).map(|_| ());
    let none = IssuanceError::Shortfall(Shortfall::Sats { found: 0, needed: 1 });
    let one = |score| IssuanceError::Shortfall(Shortfall::Operators { score, found: 1, needed: 2 });
    assert_eq!([verdict(0, &[]), verdict(100, &[])], [Err(none.clone()), Err(none)]);
    assert_eq!([verdict(59, &[0]), verdict(59, &[2]), verdict(59, &[0, 1])], [Ok(()), Ok(()), Ok(())]);
    assert_eq!(
        [verdict(60, &[0]), verdict(60, &[0, 1]), verdict(100, &[2])],
        [Err(one(60)), Err(one(60)), Err(one(100))]
    );
    assert_eq!([verdict(60, &[0, 2]), verdict(100, &[0, 1, 2])], [Ok(()), Ok(())]);

    let more = SatRule { min_sats: NonZeroUsize::new(3).unwrap(), ..SatRule::default() };
    assert_eq!(gathered(10, &[0, 2]).check(&more), Err(Shortfall::Sats { found: 2, needed: 3 }));
    assert_eq!(gathered(10, &[0, 1, 2]).check(&more), Ok(()));
    assert_eq!(SatRule::default().elevated_score, Score::new(60).unwrap());
}

#[test]
fn one_log_under_two_names_is_one_log() {
    let stamp = sat(101, NOON, CertHash::new([1; 32]));
    let [one, other] = ["Alpha", "Beta"].map(|operator| KnownLog::new("x", operator, key(101).public_key().clone()));
    let rule = SatRule::default();
    let sixty = Score::new(60).unwrap();
    let sats = [(&one, &stamp), (&other, &stamp)];
    assert!(!rule.is_satisfied(sixty, &sats) && rule.is_satisfied(Score::new(59).unwrap(), &sats));
}

#[test]
fn what_a_lying_log_says_does_not_count() {
    let mut gathered = gathered(50, &[]);
    let hash = gathered.submission().cert_hash();
    let mut refused = |sat, now| gathered.add(0, sat, now).unwrap_err();
    let cases = [
        (sat(101, NOON, CertHash::new([7; 32])), "is over certificate hash 0707"),
        (sat(103, NOON, hash), "the SAT is of log"),
        (SignedAgentTimestamp { log_id: key(101).public_key().log_id(), ..sat(103, NOON, hash) }, "does not verify"),
        (SignedAgentTimestamp { timestamp: NOON.saturating_add(1), ..sat(101, NOON, hash) }, "does not verify"),
        (SignedAgentTimestamp { signature: Vec::new(), ..sat(101, NOON, hash) }, "does not verify"),
        (sat(101, NOON.saturating_add(60_001), hash), "more than 60 s after now"),
        (sat(101, NOON.saturating_sub(60_001), hash), "more than 60 s before what was submitted was signed"),
        (sat(101, UnixMillis::new(0), hash), "before what was submitted was signed"),
        (sat(101, UnixMillis::new(i64::MAX as u64), hash), "more than 60 s after now"),
    ];
    for (sat, why) in cases {
        let refusal = refused(sat, NOON);
        assert_eq!(refusal.log, "https://101.example");
        assert!(
            refusal.to_string().starts_with("log https://101.example: ") && refusal.to_string().contains(why),
            "{refusal}"
        );
    }
    let end = NOON.saturating_add(3_600_000);
    let late = refused(sat(101, end.saturating_add(1), hash), end);
    assert!(matches!(late.fault, SatFault::Expired { not_after, .. } if not_after == end), "{late}");
    assert!(matches!(gathered.add(3, sat(101, NOON, hash), NOON).unwrap_err().fault, SatFault::UnknownLog));
    assert_eq!(gathered.sats().count(), 0);

    for good in [NOON.saturating_add(60_000), NOON.saturating_sub(60_000)] {
        let mut gathered = gathered.clone();
        assert_eq!(gathered.add(0, sat(101, good, hash), NOON), Ok(()));
        let again = gathered.add(0, sat(101, NOON, hash), NOON).unwrap_err();
        assert_eq!(again.fault, SatFault::Twice);
        assert_eq!(gathered.sats().next().unwrap().1.timestamp, good);
    }
    // Replayed from another precertificate of the same agent.
    let other = sat(101, NOON, CertHash::of_certificate(b"the one before"));
    assert!(matches!(
        gathered.add(0, other, NOON).unwrap_err().fault,
        SatFault::Sat(SatError::OtherCertificate { .. })
    ));
}

#[test]
fn a_certificate_is_finished_while_it_is_valid_or_not_at_all() {
    let (ca, linter) = good_ca();
    let gathered = gathered(72, &[0, 2]);
    let at = |now| finish(&ca, &linter, &gathered, &SatRule::default(), now);
    let end = NOON.saturating_add(3_600_000);
    assert!(at(end).is_ok());
    assert!(
        matches!(at(end.saturating_add(1)), Err(IssuanceError::Lint(failure)) if failure.found.contains("not now"))
    );
    // Our clock went back by more than a minute since the SATs were taken.
    assert!(matches!(at(NOON.saturating_sub(60_001)), Err(IssuanceError::Sat(_))));
}

#[test]
fn the_parts_must_belong_together() {
    let (root, org) = (key(1), key(2));
    let new = |certificate: &Certificate, chain: &[&Certificate], key: &Arc<dyn Signer>| {
        let chain = chain.iter().map(|certificate| (*certificate).clone()).collect();
        IssuingCa::new(certificate.clone(), chain, key.clone()).map(|_| ())
    };
    let top = Draft::ca("Root", "Root", &root, None).certificate(&root);
    let middle = Draft::ca("Root", "Org", &org, None).certificate(&root);
    let stranger = Draft::ca("Root", "Root", &key(3), None).certificate(&key(3));
    assert_eq!(new(&middle, &[&top], &ed25519(2)), Ok(()));
    assert_eq!(new(&middle, &[&top], &ed25519(1)), Err(IssuingCaError::OtherKey));
    assert_eq!(new(&middle, &[&stranger], &ed25519(2)), Err(IssuingCaError::Chain { position: 0 }));
    assert_eq!(new(&top, &[&middle], &ed25519(1)), Err(IssuingCaError::Chain { position: 0 }));
    assert_eq!(new(&middle, &[&top, &stranger], &ed25519(2)), Err(IssuingCaError::Chain { position: 1 }));
    let agent = Draft::leaf("Org").certificate(&org);
    assert_eq!(new(&agent, &[], &ed25519(99)), Err(IssuerError::NotCa.into()));

    let (ca, _) = good_ca();
    let (_, linter) = self::ca(&ed25519(3), &ed25519(2));
    assert_eq!(sign_precertificate(&ca, &linter, &shopper(), NOON), Err(IssuanceError::OtherLinter));
    assert_eq!(
        finish(&ca, &linter, &gathered(72, &[0, 2]), &SatRule::default(), NOON),
        Err(IssuanceError::OtherLinter)
    );

    let unpoisoned = Draft::leaf("CA").certificate(&key(1));
    assert_eq!(Submission::precertificate(unpoisoned, NOON), Err(IssuanceError::NotPoisoned));
    let mut scoreless = Draft::leaf("CA");
    scoreless.extensions.push(crate::apki::precertificate::poison_der());
    assert_eq!(Submission::precertificate(scoreless.certificate(&key(1)), NOON), Err(IssuanceError::NoScore));
}

/// A key that signs well, signs wrongly, or does not sign.
struct Fickle(Ed25519Signer, fn(Vec<u8>) -> Result<Vec<u8>, SignError>);

impl Signer for Fickle {
    fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        (self.1)(self.0.sign(message)?)
    }
}

#[test]
fn a_key_that_fails_or_lies_issues_nothing() {
    let (_, linter) = good_ca();
    let with = |fate| IssuingCa::new(issuer(&key(1)), Vec::new(), Arc::new(Fickle(key(1), fate))).unwrap();
    let (gone, wrong) = (
        with(|_| Err(SignError("gone".into()))),
        with(|mut s| {
            s[0] ^= 1;
            Ok(s)
        }),
    );
    let sign = |ca| sign_precertificate(ca, &linter, &shopper(), NOON);
    let end = |ca| finish(ca, &linter, &gathered(72, &[0, 2]), &SatRule::default(), NOON);
    assert_eq!(sign(&gone).unwrap_err().to_string(), "the issuing key: the key cannot sign: gone");
    assert_eq!(end(&gone), Err(IssuanceError::Sign(SignError("gone".into()))));
    assert_eq!(
        [sign(&wrong).unwrap_err(), end(&wrong).unwrap_err()],
        [IssuanceError::OwnSignature, IssuanceError::OwnSignature]
    );
}

#[test]
fn a_profile_that_breaks_a_rule_is_not_signed() {
    let (ca, linter) = good_ca();
    let verdict = |profile| sign_precertificate(&ca, &linter, &profile, NOON).unwrap_err();
    let foreign = Profile { name: crate::ca::tests::uri("agent://example.org/a/b/c"), ..shopper() };
    assert!(
        matches!(verdict(foreign), IssuanceError::Lint(failure) if failure.rule == crate::ca::lint::Rule::TrustDomain)
    );
    let own_key = Profile { public_key: key(1).public_key().clone(), ..shopper() };
    assert!(matches!(verdict(own_key), IssuanceError::Lint(failure) if failure.rule == crate::ca::lint::Rule::Key));
    let endless = Profile { not_after: crate::ca::tests::moment(NOON.saturating_add(86_401_000)), ..shopper() };
    assert!(matches!(verdict(endless), IssuanceError::Profile(ProfileError::Validity { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_profile_is_issued_and_recovered(profile in profile()) {
        let (ca, linter) = good_ca();
        let precertificate = sign_precertificate(&ca, &linter, &profile, NOON).unwrap();
        let hash = precertificate.cert_hash();
        let der = precertificate.certificate().der().to_vec();
        let mut gathered = Gathered::new(precertificate, logs());
        for index in [0, 2] {
            gathered.add(index, sat(101 + index as u8, NOON, hash), NOON).unwrap();
        }
        let certificate = finish(&ca, &linter, &gathered, &SatRule::default(), NOON).unwrap();
        prop_assert_eq!(recover(&certificate).unwrap().unwrap().precertificate_der, der);
        prop_assert_eq!(certificate.agent_uri().unwrap(), profile.name);
        prop_assert_eq!(certificate.trust_score().unwrap(), Some(profile.trust_score));
        prop_assert_eq!(certificate.capabilities().unwrap(), Some(profile.capabilities));
        prop_assert_eq!(certificate.delegation().unwrap(), profile.delegation);
        prop_assert_eq!(certificate.provenance().unwrap(), profile.provenance);
    }
}

#[test]
fn a_final_certificate_goes_to_the_logs_as_what_it_is() {
    let (ca, linter) = good_ca();
    let certificate = finish(&ca, &linter, &gathered(72, &[0, 2]), &SatRule::default(), NOON).unwrap();
    let submission = Submission::final_certificate(certificate.clone(), NOON).unwrap();
    assert_eq!((submission.kind(), submission.score().get()), (EntryType::Certificate, 72));
    let hash = submission.cert_hash();
    assert_eq!(*hash.as_bytes(), certificate.fingerprint());
    let precertificate = gathered(72, &[]).submission().clone();
    assert_eq!(precertificate.kind(), EntryType::Precertificate);
    assert_ne!(precertificate.cert_hash(), hash);
    // One is not taken for the other.
    let swapped = Submission::final_certificate(precertificate.certificate().clone(), NOON);
    assert_eq!(swapped, Err(IssuanceError::Poisoned));
    assert_eq!(Submission::precertificate(certificate, NOON), Err(IssuanceError::NotPoisoned));

    let mut published = Gathered::new(submission, logs());
    let other = published.add(0, sat(101, NOON, precertificate.cert_hash()), NOON).unwrap_err();
    assert!(matches!(other.fault, SatFault::Sat(SatError::OtherCertificate { .. })));
    published.add(0, sat(101, NOON, hash), NOON).unwrap();
    let one = Shortfall::Operators { score: 72, found: 1, needed: 2 };
    assert_eq!(published.check(&SatRule::default()), Err(one));
    published.add(2, sat(103, NOON, hash), NOON).unwrap();
    assert_eq!(published.check(&SatRule::default()), Ok(()));
    // Nothing is made of it: it is final.
    let again = finish(&ca, &linter, &published, &SatRule::default(), NOON);
    assert_eq!(again, Err(IssuanceError::NotPoisoned));
}
