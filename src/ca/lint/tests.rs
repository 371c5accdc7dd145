//! One broken certificate per rule, and the rule that finds it.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::apki::AgentExtension;
use crate::apki::attestation::AttestationMethod;
use crate::apki::capabilities::Capabilities;
use crate::apki::extension::Text;
use crate::apki::precertificate::extension_der;
use crate::apki::testing::{Draft, ECDSA_SHA256, key, name, validity};
use crate::apki::tlv::{self, encode};
use crate::apki::trust_score::{Score, TrustScore};
use crate::ca::serial::Serial;
use crate::ca::tests::{
    NOON, ed25519, issuer, issuer_with, key_pairs, moment, profile, shopper, sign, status_urls, uri,
};
use crate::keys::SignatureAlgorithm;
use crate::log::sat::SignedAgentTimestamp;

fn linter() -> Linter {
    Linter::new(issuer(ed25519(1).as_ref()), ed25519(2), "example.com", false).unwrap()
}

fn tbs(profile: &Profile) -> Vec<u8> {
    profile.precertificate_tbs(linter().issuer(), SignatureAlgorithm::Ed25519).unwrap()
}

/// The parts of a TBSCertificate, for a test to break one of.
fn parts(tbs: &[u8]) -> Draft {
    let mut fields = tlv::Reader::new(tbs).enter(tlv::SEQUENCE).unwrap();
    let mut next = || fields.any().unwrap().whole.of(tbs).to_vec();
    let (version, serial, inner_algorithm, issuer) = (next(), next(), next(), next());
    let (validity, subject, spki, tagged) = (next(), next(), next(), next());
    let mut list = tlv::Reader::new(&tagged).enter(0xa3).unwrap().enter(tlv::SEQUENCE).unwrap();
    let mut extensions = Vec::new();
    while !list.is_empty() {
        extensions.push(list.any().unwrap().whole.of(&tagged).to_vec());
    }
    let (outer_algorithm, unique_ids) = (inner_algorithm.clone(), Vec::new());
    Draft { version, serial, inner_algorithm, outer_algorithm, issuer, validity, subject, spki, unique_ids, extensions }
}

// Where each extension is.
const NAME: usize = 0;
const USAGE: usize = 1;
const PURPOSES: usize = 2;
const AUTHORITY: usize = 3;
const SUBJECT_KEY: usize = 4;
const SCORE: usize = 5;
const CAPABILITIES: usize = 6;
const DELEGATION: usize = 7;
const PROVENANCE: usize = 8;
const ATTESTATION: usize = 9;
const POISON: usize = 10;

type Breakage = (Rule, fn(&mut Draft));

fn names(uris: &[&str]) -> Vec<u8> {
    let uris: Vec<_> = uris.iter().map(|uri| encode(0x86, &[uri.as_bytes()])).collect();
    encode(tlv::SEQUENCE, &[&uris.concat()])
}

fn replace(draft: &mut Draft, place: usize, oid: &der::asn1::ObjectIdentifier, critical: bool, value: &[u8]) {
    draft.extensions[place] = extension_der(oid, critical, value);
}

fn score(change: impl FnOnce(&mut TrustScore)) -> Vec<u8> {
    let mut score = shopper().trust_score;
    change(&mut score);
    score.to_der().unwrap()
}

fn hour(text: [&[u8]; 2]) -> Vec<u8> {
    validity(&[(0x17, text[0]), (0x17, text[1])])
}

/// What breaks a certificate of either kind, without help of what was asked for.
const IN_EITHER: &[Breakage] = &[
    (Rule::Structure, |d| d.serial.clear()),
    (Rule::Structure, |d| d.serial.splice(1..2, [0x15, 0x00]).for_each(drop)),
    (Rule::Structure, |d| d.unique_ids = vec![0x81, 0x02, 0x00, 0x01]),
    (Rule::Structure, |d| d.extensions[USAGE] = vec![0x30, 0x00]),
    (Rule::Version, |d| d.version[4] = 1),
    (Rule::Version, |d| d.version.clear()),
    (Rule::Serial, |d| d.serial = encode(tlv::INTEGER, &[&[0x7f; 15]])),
    (Rule::Serial, |d| d.serial = encode(tlv::INTEGER, &[&[0x7f; 21]])),
    (Rule::Serial, |d| d.serial = encode(tlv::INTEGER, &[&[0x80; 20]])),
    (Rule::Algorithm, |d| d.inner_algorithm = ECDSA_SHA256.to_vec()),
    (Rule::Issuer, |d| d.issuer = name("Issuer")),
    (Rule::Subject, |d| d.subject = name("agent")),
    (Rule::Validity, |d| d.validity = hour([b"260410120000Z", b"260410120459Z"])),
    (Rule::Validity, |d| d.validity = hour([b"260410120000Z", b"260411120001Z"])),
    (Rule::Validity, |d| d.validity = hour([b"260410130000Z", b"260410120000Z"])),
    (Rule::Validity, |d| d.validity = hour([b"260410120001Z", b"260410130001Z"])),
    (Rule::Validity, |d| d.validity = hour([b"260410110000Z", b"260410115959Z"])),
    (Rule::Key, |d| d.spki = key(1).public_key().spki_der().to_vec()),
    (Rule::Key, |d| d.spki[8] = 0x71),
    (Rule::DuplicateExtension, |d| d.extensions.push(d.extensions[SCORE].clone())),
    (Rule::UnknownExtension, |d| d.extensions.push(extension_der(&oid::BASIC_CONSTRAINTS, true, &[0x30, 0x00]))),
    (Rule::UnknownExtension, |d| d.extensions.insert(0, extension_der(&oid::NAME_CONSTRAINTS, false, &[]))),
    (Rule::MissingExtension, |d| drop(d.extensions.remove(NAME))),
    (Rule::MissingExtension, |d| drop(d.extensions.remove(USAGE))),
    (Rule::MissingExtension, |d| drop(d.extensions.remove(PURPOSES))),
    (Rule::MissingExtension, |d| drop(d.extensions.remove(AUTHORITY))),
    (Rule::MissingExtension, |d| drop(d.extensions.remove(SUBJECT_KEY))),
    (Rule::MissingExtension, |d| drop(d.extensions.remove(SCORE))),
    (Rule::MissingExtension, |d| drop(d.extensions.remove(CAPABILITIES))),
    (Rule::Criticality, |d| replace(d, NAME, &oid::SUBJECT_ALT_NAME, false, &names(&[shopper().name.as_str()]))),
    (Rule::Criticality, |d| replace(d, USAGE, &oid::KEY_USAGE, false, &[0x03, 0x02, 0x07, 0x80])),
    (Rule::Criticality, |d| replace(d, PURPOSES, &oid::EXTENDED_KEY_USAGE, true, &[])),
    (Rule::Criticality, |d| replace(d, AUTHORITY, &oid::AUTHORITY_KEY_IDENTIFIER, true, &[])),
    (Rule::Criticality, |d| replace(d, SUBJECT_KEY, &oid::SUBJECT_KEY_IDENTIFIER, true, &[])),
    (Rule::Criticality, |d| replace(d, SCORE, &oid::AGENT_TRUST_SCORE, true, &[])),
    (Rule::Criticality, |d| replace(d, CAPABILITIES, &oid::AGENT_CAPABILITIES, true, &[])),
    (Rule::Criticality, |d| replace(d, DELEGATION, &oid::AGENT_DELEGATION, true, &[])),
    (Rule::Criticality, |d| replace(d, PROVENANCE, &oid::AGENT_PROVENANCE, true, &[])),
    (Rule::Criticality, |d| replace(d, ATTESTATION, &oid::AGENT_BEHAVIOURAL_ATTESTATION, true, &[])),
    (Rule::Order, |d| d.extensions.swap(NAME, USAGE)),
    (Rule::Order, |d| d.extensions.swap(SCORE, CAPABILITIES)),
    (Rule::Order, |d| d.extensions.swap(ATTESTATION, POISON)),
    (Rule::Name, |d| replace(d, NAME, &oid::SUBJECT_ALT_NAME, true, &[0x30, 0x00])),
    (Rule::Name, |d| replace(d, NAME, &oid::SUBJECT_ALT_NAME, true, &names(&["agent://example.com/a/b"]))),
    (Rule::Name, |d| {
        let two = names(&["agent://example.com/a/b/c", "agent://example.com/a/b/d"]);
        replace(d, NAME, &oid::SUBJECT_ALT_NAME, true, &two);
    }),
    (Rule::Name, |d| {
        let web = names(&["agent://example.com/a/b/c", "https://example.com/"]);
        replace(d, NAME, &oid::SUBJECT_ALT_NAME, true, &web);
    }),
    (Rule::Name, |d| {
        let three = names(&["agent://example.com/a/b/c", "spiffe://a/b", "spiffe://a/c"]);
        replace(d, NAME, &oid::SUBJECT_ALT_NAME, true, &three);
    }),
    (Rule::Name, |d| {
        let agent = encode(0x86, &[b"agent://example.com/a/b/c"]);
        let dns = encode(tlv::SEQUENCE, &[&agent, &encode(0x82, &[b"example.com"])]);
        replace(d, NAME, &oid::SUBJECT_ALT_NAME, true, &dns);
    }),
    (Rule::TrustDomain, |d| {
        replace(d, NAME, &oid::SUBJECT_ALT_NAME, true, &names(&["agent://example.org/a/b/c"]));
    }),
    (Rule::TrustDomain, |d| {
        replace(d, NAME, &oid::SUBJECT_ALT_NAME, true, &names(&["agent://sub.example.com/a/b/c"]));
    }),
    (Rule::KeyUsage, |d| replace(d, USAGE, &oid::KEY_USAGE, true, &[0x03, 0x02, 0x02, 0x84])),
    (Rule::KeyUsage, |d| replace(d, USAGE, &oid::KEY_USAGE, true, &[0x03, 0x01, 0x00])),
    (Rule::ExtendedKeyUsage, |d| {
        let client = &encode(tlv::SEQUENCE, &[&[0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 2]]);
        replace(d, PURPOSES, &oid::EXTENDED_KEY_USAGE, false, client);
    }),
    (Rule::AuthorityKeyIdentifier, |d| {
        replace(d, AUTHORITY, &oid::AUTHORITY_KEY_IDENTIFIER, false, &[0x30, 0x03, 0x80, 0x01, 0x07]);
    }),
    (Rule::AuthorityKeyIdentifier, |d| {
        replace(d, AUTHORITY, &oid::AUTHORITY_KEY_IDENTIFIER, false, &[0x30, 0x00]);
    }),
    (Rule::SubjectKeyIdentifier, |d| {
        replace(d, SUBJECT_KEY, &oid::SUBJECT_KEY_IDENTIFIER, false, &[&[0x04, 0x14][..], &[7; 20]].concat());
    }),
    (Rule::TrustScore, |d| replace(d, SCORE, &oid::AGENT_TRUST_SCORE, false, &[0x30, 0x00])),
    (Rule::Tier, |d| {
        let mut der = score(|_| {});
        assert_eq!(der[2..8], [0x02, 0x01, 72, 0x0a, 0x01, 0x03]);
        der[7] = 0x04;
        replace(d, SCORE, &oid::AGENT_TRUST_SCORE, false, &der);
    }),
    (Rule::Capabilities, |d| replace(d, CAPABILITIES, &oid::AGENT_CAPABILITIES, false, &[0x30, 0x80, 0x00, 0x00])),
    (Rule::Delegation, |d| replace(d, DELEGATION, &oid::AGENT_DELEGATION, false, &[])),
    (Rule::Provenance, |d| replace(d, PROVENANCE, &oid::AGENT_PROVENANCE, false, &[0x30, 0x00])),
    (Rule::Attestation, |d| replace(d, ATTESTATION, &oid::AGENT_BEHAVIOURAL_ATTESTATION, false, &[0x30, 0x00])),
    (Rule::CapabilitiesHash, |d| {
        let other = shopper().attestation.unwrap().with_hash([7; 32]).to_der().unwrap();
        replace(d, ATTESTATION, &oid::AGENT_BEHAVIOURAL_ATTESTATION, false, &other);
    }),
    (Rule::CapabilitiesHash, |d| {
        let none = Capabilities::default().to_der().unwrap();
        replace(d, CAPABILITIES, &oid::AGENT_CAPABILITIES, false, &none);
    }),
];

/// What breaks a precertificate only.
const IN_PRECERTIFICATE: &[Breakage] = &[
    (Rule::MissingExtension, |d| drop(d.extensions.remove(POISON))),
    (Rule::Criticality, |d| replace(d, POISON, &oid::PRECERTIFICATE_POISON, false, &[0x05, 0x00])),
    (Rule::Poison, |d| replace(d, POISON, &oid::PRECERTIFICATE_POISON, true, &[])),
    (Rule::UnknownExtension, |d| {
        d.extensions.insert(POISON, extension_der(&oid::SIGNED_AGENT_TIMESTAMP_LIST, false, &[]));
    }),
];

/// Each rule that finds the difference between what was written and what was `asked` for.
fn asked_otherwise() -> Vec<(Rule, Profile)> {
    let asked = |rule, change: fn(&mut Profile)| {
        let mut profile = shopper();
        change(&mut profile);
        (rule, profile)
    };
    vec![
        asked(Rule::Serial, |p| p.serial = Serial::from_random([0x56; 20])),
        asked(Rule::Validity, |p| p.not_after = moment(NOON.saturating_add(3_601_000))),
        asked(Rule::Validity, |p| p.not_before = moment(NOON.saturating_sub(1_000))),
        asked(Rule::Name, |p| p.name = uri("agent://example.com/sales/shopper/two")),
        asked(Rule::Name, |p| p.spiffe = Some("spiffe://example.com/a".into())),
        asked(Rule::Key, |p| p.public_key = key(51).public_key().clone()),
        asked(Rule::StatusUrls, |p| p.status = Some(status_urls("http://a/ocsp", "http://a/crl"))),
        asked(Rule::TrustScore, |p| p.trust_score.score = Score::new(71).unwrap()),
        asked(Rule::Capabilities, |p| p.capabilities = Capabilities::default()),
        asked(Rule::Delegation, |p| p.delegation = None),
        asked(Rule::Provenance, |p| p.provenance.as_mut().unwrap().build_hash = None),
        asked(Rule::Provenance, |p| p.provenance = None),
        asked(Rule::Attestation, |p| p.attestation.as_mut().unwrap().method = AttestationMethod::SelfDeclared),
        asked(Rule::Attestation, |p| p.attestation.as_mut().unwrap().attestor_identity = Some(Text::new("x").unwrap())),
        asked(Rule::Attestation, |p| p.attestation = None),
    ]
}

/// A precertificate by the issuer's own key, and the TBSCertificate of the final one.
fn final_tbs() -> (Certificate, Vec<u8>) {
    let precertificate = sign(&tbs(&shopper()), ed25519(1).as_ref());
    let hash = CertHash::of_certificate(precertificate.der());
    let sat = SignedAgentTimestamp::sign(&key(3), NOON, hash).unwrap();
    let tbs =
        Precertificate::of(&precertificate).unwrap().unwrap().final_tbs(&SatList::new(vec![sat]).unwrap().to_der());
    (precertificate, tbs)
}

fn broken(tbs: &[u8], break_it: fn(&mut Draft)) -> Vec<u8> {
    let mut draft = parts(tbs);
    assert_eq!(draft.tbs(), tbs);
    break_it(&mut draft);
    draft.tbs()
}

#[test]
fn the_urls_are_those_asked_for_and_no_others() {
    let urls = |crl: &str| Some(status_urls("http://a.example/ocsp", crl));
    let asked = Profile { status: urls("http://a.example/crl/1"), ..shopper() };
    let good = tbs(&asked);
    assert_eq!(linter().precertificate(&good, &asked, NOON), Ok(()));
    let refusal = |tbs: &[u8], asked: &Profile| linter().precertificate(tbs, asked, NOON).unwrap_err().rule;
    assert_eq!(refusal(&good, &shopper()), Rule::StatusUrls);
    let other = Profile { status: urls("http://a.example/crl/2"), ..shopper() };
    assert_eq!(refusal(&good, &other), Rule::StatusUrls);
    let breakages: [Breakage; 5] = [
        (Rule::StatusUrls, |d| drop(d.extensions.remove(SCORE))),
        (Rule::StatusUrls, |d| drop(d.extensions.remove(SCORE + 1))),
        (Rule::StatusUrls, |d| replace(d, SCORE, &oid::AUTHORITY_INFO_ACCESS, false, &[0x30, 0x00])),
        (Rule::Criticality, |d| d.extensions[SCORE] = extension_der(&oid::AUTHORITY_INFO_ACCESS, true, &[])),
        (Rule::Order, |d| d.extensions.swap(SCORE, SCORE + 1)),
    ];
    for (rule, break_it) in breakages {
        assert_eq!(refusal(&broken(&good, break_it), &asked), rule);
    }
}

#[test]
fn every_rule_finds_what_breaks_it() {
    let linter = linter();
    let mut seen = HashSet::new();
    let mut check = |index: usize, kind: &str, rule: Rule, verdict: Result<(), LintFailure>| {
        assert_eq!(verdict.map_err(|e| e.rule), Err(rule), "{kind} {index}");
        seen.insert(rule);
    };
    for (index, (rule, break_it)) in IN_EITHER.iter().chain(IN_PRECERTIFICATE).enumerate() {
        let tbs = broken(&tbs(&shopper()), *break_it);
        check(index, "precertificate", *rule, linter.precertificate(&tbs, &shopper(), NOON));
    }
    let (precertificate, tbs_of_final) = final_tbs();
    for (index, (rule, break_it)) in IN_EITHER.iter().enumerate() {
        let tbs = broken(&tbs_of_final, *break_it);
        check(index, "final", *rule, linter.final_certificate(&tbs, &precertificate, NOON));
    }
    for (index, (rule, asked)) in asked_otherwise().into_iter().enumerate() {
        check(index, "asked", rule, linter.precertificate(&tbs(&shopper()), &asked, NOON));
    }
    // Found by the tests below, and by those of the other reader.
    let elsewhere = [Rule::ThrowAwayKey, Rule::SatList, Rule::Correspondence, Rule::Webpki, Rule::WebpkiPoison];
    let left: Vec<_> = Rule::ALL.iter().filter(|rule| !seen.contains(rule) && !elsewhere.contains(rule)).collect();
    assert!(left.is_empty(), "no test breaks {left:?}");
    let codes: HashSet<_> = Rule::ALL.iter().map(|rule| rule.code()).collect();
    assert_eq!(codes.len(), Rule::ALL.len());
}

#[test]
fn a_final_certificate_is_its_precertificate_s() {
    let linter = linter();
    let (precertificate, tbs_of_final) = final_tbs();
    let verdict = |tbs: &[u8], of: &Certificate| linter.final_certificate(tbs, of, NOON).map_err(|e| e.rule);
    assert_eq!(verdict(&tbs_of_final, &precertificate), Ok(()));
    // Another serial number; another name.
    let other = broken(&tbs_of_final, |d| *d.serial.last_mut().unwrap() ^= 1);
    assert_eq!(verdict(&other, &precertificate), Err(Rule::Correspondence));
    let other = broken(&tbs_of_final, |d| {
        replace(d, NAME, &oid::SUBJECT_ALT_NAME, true, &names(&["agent://example.com/a/b/c"]));
    });
    assert_eq!(verdict(&other, &precertificate), Err(Rule::Correspondence));
    // Made of a certificate without the poison, or of itself.
    let unpoisoned = sign(&tbs_of_final, ed25519(1).as_ref());
    assert_eq!(verdict(&tbs_of_final, &unpoisoned), Err(Rule::Correspondence));
    assert_eq!(verdict(precertificate.tbs_der(), &precertificate), Err(Rule::UnknownExtension));

    // Timestamps: none, no list, of another certificate.
    let poisoned = Precertificate::of(&precertificate).unwrap().unwrap();
    let stranger = SignedAgentTimestamp::sign(&key(3), NOON, CertHash::new([1; 32])).unwrap();
    for list in [vec![0x30, 0x00], vec![0x04, 0x00], SatList::new(vec![stranger]).unwrap().to_der()] {
        assert_eq!(verdict(&poisoned.final_tbs(&list), &precertificate), Err(Rule::SatList));
    }
}

#[test]
fn passes_between_the_first_and_the_last_moment() {
    let linter = linter();
    let at = |now| linter.precertificate(&tbs(&shopper()), &shopper(), now).map_err(|e| e.rule);
    let last = NOON.saturating_add(3_600_000);
    assert_eq!([at(NOON), at(last)], [Ok(()), Ok(())]);
    assert_eq!([at(NOON.saturating_sub(1)), at(last.saturating_add(1))], [Err(Rule::Validity); 2]);
}

#[test]
fn the_issuer_s_own_validity_bounds_what_it_issues() {
    // 2060-03-31T23:30:00Z, half an hour before the issuer's end
    let late = UnixMillis::new(2_848_001_400_000);
    let profile = Profile { not_before: moment(late), not_after: moment(late.saturating_add(3_600_000)), ..shopper() };
    let failure = linter().precertificate(&tbs(&profile), &profile, late).unwrap_err();
    assert!(failure.to_string().contains("the issuer's validity"), "{failure}");
}

#[test]
fn an_unfit_issuer_or_key_is_an_error_at_once() {
    let new = |issuer, key, constrained| Linter::new(issuer, key, "example.com", constrained).map(|_| ());
    let good = issuer(ed25519(1).as_ref());
    assert_eq!(new(good.clone(), ed25519(2), false), Ok(()));
    assert_eq!(new(good.clone(), ed25519(1), false), Err(LintError::SameKey));
    assert_eq!(new(good.clone(), key_pairs()[1][0].clone(), false), Err(LintError::Algorithm));
    assert_eq!(new(good, ed25519(2), true), Err(LintError::NoNameConstraint));
    // URIs of example.com
    let hosts = encode(tlv::SEQUENCE, &[&encode(0xa0, &[&encode(tlv::SEQUENCE, &[&encode(0x86, &[b"example.com"])])])]);
    let constrained = |critical| issuer_with(&key(1), &[extension_der(&oid::NAME_CONSTRAINTS, critical, &hosts)]);
    assert_eq!(new(constrained(true), ed25519(2), true), Ok(()));
    assert_eq!(new(constrained(false), ed25519(2), true), Err(LintError::NoNameConstraint));
    let agent = Draft::leaf("CA").certificate(&key(1));
    assert_eq!(new(agent, ed25519(2), false), Err(LintError::Issuer(IssuerError::NotCa)));
    let nameless = Draft::ca("A", "B", &key(1), None).certificate(&key(1));
    assert_eq!(new(nameless, ed25519(2), false), Err(LintError::KeyIdentifier));
}

#[test]
fn webpki_reads_below_a_constrained_issuer_too() {
    let hosts = encode(tlv::SEQUENCE, &[&encode(0xa0, &[&encode(tlv::SEQUENCE, &[&encode(0x86, &[b"example.com"])])])]);
    let issuer = issuer_with(&key(1), &[extension_der(&oid::NAME_CONSTRAINTS, true, &hosts)]);
    let linter = Linter::new(issuer, ed25519(2), "example.com", true).unwrap();
    let (precertificate, tbs) = final_tbs();
    assert_eq!(linter.final_certificate(&tbs, &precertificate, NOON), Ok(()));
}

#[test]
fn a_key_that_fails_stops_it() {
    struct Broken(PublicKey);
    impl Signer for Broken {
        fn public_key(&self) -> &PublicKey {
            &self.0
        }
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
            // The throw-away CA still gets its signature.
            if message.windows(2).any(|w| w == b"\x05\x00") { Err(SignError("gone".into())) } else { Ok(vec![0; 64]) }
        }
    }
    let signer = Arc::new(Broken(key(2).public_key().clone()));
    let linter = Linter::new(issuer(&key(1)), signer, "example.com", false).unwrap();
    let failure = linter.precertificate(&tbs(&shopper()), &shopper(), NOON).unwrap_err();
    assert_eq!(failure.rule, Rule::ThrowAwayKey);
    assert!(failure.to_string().contains("gone"), "{failure}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_profile_passes_as_it_was_asked_for(profile in profile()) {
        for [real, throw_away] in key_pairs() {
            let linter = Linter::new(issuer(real.as_ref()), throw_away, "example.com", false).unwrap();
            let tbs = profile.precertificate_tbs(linter.issuer(), real.public_key().algorithm()).unwrap();
            prop_assert_eq!(linter.precertificate(&tbs, &profile, NOON), Ok(()));
        }
    }

    #[test]
    fn no_octets_pass_or_panic_but_those_that_were_asked_for(place in any::<usize>(), bit in 0..8u8) {
        let (linter, mut tbs) = (linter(), tbs(&shopper()));
        let place = place % tbs.len();
        tbs[place] ^= 1 << bit;
        prop_assert!(linter.precertificate(&tbs, &shopper(), NOON).is_err());
    }
}
