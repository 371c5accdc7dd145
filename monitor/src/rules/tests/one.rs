//! Rules that need nothing but the certificate.

use std::fs;

use atl::apki::oid;
use atl::apki::precertificate::{extension_der, poison_der};
use atl::apki::trust_score::Score;
use atl::log::entry::CertHash;
use atl::log::sat::SatList;

use super::make::*;
use crate::errand::Errand;
use crate::finding::{Class, Severity};
use crate::rules::settings::{Owner, Settings};
use crate::rules::{Memory, Rulebook};

fn found(draft: &Draft) -> Vec<Class> {
    classes(&judge(&rulebook(owner()), &draft.bare()))
}

#[test]
fn a_conforming_certificate_is_nothing_in_any_form() {
    let book = rulebook(owner());
    let precertificate = draft(URI).precertificate();
    let certificate = finish(&precertificate, vec![sat(99, &precertificate)]);
    for certificate in [&draft(URI).bare(), &precertificate, &certificate] {
        assert_eq!(judge(&book, certificate), Default::default());
    }
    let bad = draft(URI).without("aki").valid(NOW, 1000).bare();
    assert_eq!(judge(&Rulebook::default(), &bad), Default::default(), "without rules nothing is found");
}

#[test]
fn a_finding_says_what_the_certificate_is_and_where() {
    let bare = draft(URI).valid(NOW, 25 * HOUR).with("delegation", extension_of(&delegation([0; 32], 0))).bare();
    let judged = judge(&rulebook(owner()), &bare);
    let [finding] = judged.findings.as_slice() else { panic!("{judged:?}") };
    assert_eq!(finding.summary, format!("the certificate of {URI} is valid for 25 h"));
    assert_eq!(finding.subject, hash_of(&bare).to_string());
    assert_eq!(finding.log, "a.log.example");
    let entry = finding.entry.as_ref().unwrap();
    assert_eq!((entry.log.as_str(), entry.index.get(), entry.cert_hash), ("a.log.example", 7, hash_of(&bare)));
    for (name, value) in [
        ("rule", "a validity is 5 minutes to 24 hours (draft 5.1, protocol R10)"),
        ("agent", URI),
        ("issuer", "CN=CA 1"),
        ("serial", "01"),
        ("valid", "2026-04-10T12:00:00.000Z to 2026-04-11T13:00:00.000Z"),
        ("score", "50 (standard)"),
        ("capabilities", "1"),
        ("delegation", "depth 0 of 5"),
        ("submitted as", "certificate"),
        ("entry", "leaf 7 of a.log.example, logged at 2026-04-10T12:00:00.000Z"),
    ] {
        assert_eq!(detail(finding, name), value, "{name}");
    }
}

#[test]
fn what_is_wrong_in_both_forms_is_told_once() {
    let precertificate = draft(URI).valid(NOW, 25 * HOUR).precertificate();
    let certificate = finish(&precertificate, vec![sat(99, &precertificate)]);
    let id = |certificate| judge(&rulebook(owner()), certificate).findings[0].id();
    assert_eq!(id(&precertificate), id(&certificate));
    assert_ne!(id(&precertificate), id(&draft(URI).valid(NOW, 25 * HOUR).bare()));
}

#[test]
fn validity_is_five_minutes_to_a_day() {
    for (millis, ok) in
        [(0, false), (5 * MINUTE - 1000, false), (5 * MINUTE, true), (24 * HOUR, true), (24 * HOUR + 1000, false)]
    {
        let expected = if ok { vec![] } else { vec![Class::ValidityOutOfBounds] };
        assert_eq!(found(&draft(URI).valid(NOW, millis)), expected, "{millis}");
    }
    let mut backwards = draft(URI);
    backwards.validity = (NOW, NOW.saturating_sub(HOUR));
    assert_eq!(found(&backwards), [Class::ValidityOutOfBounds]);
}

#[test]
fn a_tier_of_another_score_is_told_as_that() {
    let der = hex::decode("301a0201320a0104020100180f32303236303431303132303030305a").unwrap();
    let judged = judge(
        &rulebook(owner()),
        &draft(URI).with("score", extension_der(&oid::AGENT_TRUST_SCORE, false, &der)).bare(),
    );
    assert_eq!(classes(&judged), [Class::TierMismatch]);
    assert_eq!(detail(&judged.findings[0], "score"), "50, but full");
}

#[test]
fn every_malformed_extension_of_the_vectors_is_found() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/extensions.json");
    let vectors: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let (mut malformed, mut tiers, mut good) = (0, 0, 0);
    for case in vectors["cases"].as_array().unwrap() {
        let (name, oid) = match case["extension"].as_str().unwrap() {
            "agentTrustScore" => ("score", oid::AGENT_TRUST_SCORE),
            "agentCapabilities" => ("capabilities", oid::AGENT_CAPABILITIES),
            "agentDelegation" => ("delegation", oid::AGENT_DELEGATION),
            "agentProvenance" => ("provenance", oid::AGENT_PROVENANCE),
            "agentBehaviouralAttestation" => ("attestation", oid::AGENT_BEHAVIOURAL_ATTESTATION),
            _ => continue,
        };
        let der = hex::decode(case["der_hex"].as_str().unwrap()).unwrap();
        // Its hash would be of other capabilities.
        let draft = if name == "capabilities" { draft(URI).without("attestation") } else { draft(URI) };
        let judged = judge(&rulebook(owner()), &draft.with(name, extension_der(&oid, false, &der)).bare());
        let classes = classes(&judged);
        if case["ok"].as_bool().unwrap() {
            good += 1;
            if name == "provenance" || name == "capabilities" {
                assert_eq!(classes, [], "{case}");
            }
        } else if classes == [Class::TierMismatch] {
            tiers += 1;
            assert_eq!(name, "score", "{case}");
        } else {
            malformed += 1;
            assert_eq!(classes, [Class::MalformedExtension], "{case}");
            let field = case["extension"].as_str().unwrap();
            assert!(!detail(&judged.findings[0], field).is_empty(), "{case}: {:?}", judged.findings[0]);
        }
    }
    assert!(malformed > 20 && tiers > 0 && good > 20, "{malformed} {tiers} {good}");
}

#[test]
fn extensions_that_read_may_still_be_wrong() {
    let late = NOW.saturating_add(2 * MINUTE);
    let mut ahead = score(50);
    ahead.last_updated = atl::apki::moment::Moment::floor(late).unwrap();
    let other = atl::apki::capabilities::Capabilities::default();
    let ca = extension_der(&oid::BASIC_CONSTRAINTS, true, &[0x30, 0x03, 0x01, 0x01, 0xff]);
    let mut critical = score(50);
    critical.computation_method = None;
    use atl::apki::extension::AgentExtension;
    let critical = extension_der(&oid::AGENT_TRUST_SCORE, true, &critical.to_der().unwrap());
    for (draft, name) in [
        (draft(URI).with("score", extension_of(&ahead)), "agentTrustScore"),
        (draft(URI).with("capabilities", extension_of(&other)), "agentBehaviouralAttestation"),
        (draft(URI).with("constraints", ca), "basicConstraints"),
        (draft(URI).with("score", critical), "criticality"),
        (draft(URI).with("san", san(true, &["agent://BANK.example/a/b/c"])), "subjectAltName"),
        (draft(URI).with("san", san(true, &[URI, URI])), "subjectAltName"),
        (draft(URI).with("poison", poison_der()).with("behind", extension_der(&oid::CRL_NUMBER, false, &[])), "form"),
    ] {
        let judged = judge(&rulebook(owner()), &draft.bare());
        assert_eq!(classes(&judged), [Class::MalformedExtension], "{name}");
        assert!(!detail(&judged.findings[0], name).is_empty(), "{name}: {:?}", judged.findings[0]);
    }
}

#[test]
fn timestamps_over_another_certificate_are_told() {
    let precertificate = draft(URI).precertificate();
    let other = draft("agent://agents.bank.example/payments/worker/two").precertificate();
    let certificate = finish(&precertificate, vec![sat(99, &precertificate), sat(99, &other)]);
    let malformed = finish_with(&precertificate, &[0x30, 0x00]);
    for certificate in [certificate, malformed] {
        let judged = judge(&rulebook(owner()), &certificate);
        assert_eq!(classes(&judged), [Class::MalformedExtension]);
        assert!(!detail(&judged.findings[0], "signedAgentTimestampList").is_empty());
    }
}

#[test]
fn what_is_no_certificate_is_told_and_ends_it() {
    let judged = judge_as(&rulebook(owner()), &mut Default::default(), b"no certificate", NOW, 1);
    assert_eq!(classes(&judged), [Class::MalformedExtension]);
    assert_eq!(judged.findings[0].subject, CertHash::of_certificate(b"no certificate").to_string());
    assert!(judged.findings[0].entry.is_some() && judged.errands.is_empty());
}

#[test]
fn what_binds_the_ca_only_is_information() {
    let usage = extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x05, 0x20]);
    let purpose = tlv(0x30, &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1]);
    let purpose = extension_der(&oid::EXTENDED_KEY_USAGE, false, &purpose);
    for (draft, words) in [
        (draft(URI).without("aki"), "no authorityKeyIdentifier"),
        (draft(URI).without("ski"), "no subjectKeyIdentifier"),
        (draft(URI).without("purposes"), "extKeyUsage does not name both clientAuth and serverAuth"),
        (draft(URI).with("purposes", purpose), "extKeyUsage does not name both clientAuth and serverAuth"),
        (draft(URI).without("usage"), "keyUsage does not name digitalSignature"),
        (draft(URI).with("usage", usage), "keyUsage does not name digitalSignature"),
        (draft(URI).with("san", san(false, &[URI])), "the subject is empty and the subjectAltName not critical"),
        (draft(URI).without("score"), "no agentTrustScore"),
        (draft(URI).without("attestation").without("capabilities"), "no agentCapabilities"),
        (
            draft(URI).with("san", san(true, &[URI, "https://bank.example"])),
            "other URIs than one spiffe:// beside the agent's",
        ),
    ] {
        let judged = judge(&rulebook(owner()), &draft.bare());
        assert_eq!(classes(&judged), [Class::Profile], "{words}");
        assert_eq!(detail(&judged.findings[0], "faults"), words);
        assert_eq!(judged.findings[0].class.severity(), Severity::Info);
    }
    let mut named = draft(URI).with("san", san(false, &[URI, "spiffe://agents.bank.example/payments/worker/one"]));
    named.subject = issuer();
    assert_eq!(found(&named), [], "a subject with a name, and one spiffe:// URI");
}

#[test]
fn our_organisation_is_ours_at_home_only() {
    let own = Owner { allow: vec![domain("bank-labs.example")], ..owner() };
    let claims = |uri: &str, organization: &str| {
        let bare = draft(uri).with("provenance", extension_of(&provenance(organization))).bare();
        classes(&judge(&rulebook(own.clone()), &bare))
    };
    assert_eq!(claims("agent://evil.example/payments/a/b", "x"), [Class::ForeignOrganization]);
    assert_eq!(claims("agent://evil.example/PAYMENTS/a/b", "x"), [Class::ForeignOrganization]);
    assert_eq!(claims("agent://evil.example/other/a/b", "payments"), [Class::ForeignOrganization]);
    assert_eq!(claims("agent://notbank.example/payments/a/b", "x"), [Class::ForeignOrganization]);
    assert_eq!(claims("agent://evil.example/payment/a/b", "x"), []);
    assert_eq!(claims("agent://bank.example/payments/a/b", "payments"), []);
    assert_eq!(claims("agent://deep.agents.bank.example/payments/a/b", "payments"), []);
    assert_eq!(claims("agent://bank-labs.example/payments/a/b", "payments"), []);
}

#[test]
fn our_agents_have_a_delegation_where_the_owner_wants_it() {
    let strict = Owner { demand_delegation: true, ..owner() };
    let judged = |owner: &Owner, draft: Draft| classes(&judge(&rulebook(owner.clone()), &draft.bare()));
    let delegated = draft(URI).with("delegation", extension_of(&delegation([0; 32], 0)));
    assert_eq!(judged(&strict, draft(URI)), [Class::UndelegatedOrganization]);
    assert_eq!(judged(&strict, delegated), []);
    assert_eq!(judged(&strict, draft("agent://agents.bank.example/others/a/b")), []);
    assert_eq!(judged(&owner(), draft(URI)), []);
}

#[test]
fn scores_are_held_against_the_nearest_limit() {
    let points = |n| Score::new(n).unwrap();
    let own = Owner {
        domains: vec![domain("bank.example"), domain("other.example")],
        max_score: Some(points(60)),
        max_scores: vec![(domain("low.bank.example"), points(40))],
        ..Owner::default()
    };
    let score_at = |uri: &str, n| {
        classes(&judge(&rulebook(own.clone()), &draft(uri).with("score", extension_of(&score(n))).bare()))
    };
    assert_eq!(score_at("agent://bank.example/a/b/c", 61), [Class::ScoreAbovePolicy]);
    assert_eq!(score_at("agent://bank.example/a/b/c", 60), []);
    assert_eq!(score_at("agent://x.low.bank.example/a/b/c", 41), [Class::ScoreAbovePolicy]);
    assert_eq!(score_at("agent://x.low.bank.example/a/b/c", 40), []);
    assert_eq!(score_at("agent://somebody.example/a/b/c", 100), []);
    let free = Owner { max_score: None, ..owner() };
    let best = draft(URI).with("score", extension_of(&score(100))).bare();
    assert_eq!(judge(&rulebook(free), &best).findings, []);
}

#[test]
fn the_root_of_a_delegation_is_judged_at_once_and_the_rest_asked_about() {
    let delegated = |value| draft(URI).with("delegation", extension_of(&value)).bare();
    let root = judge(&rulebook(owner()), &delegated(delegation([0; 32], 0)));
    assert_eq!(root, Default::default());
    let mut nobody = delegation([0; 32], 0);
    nobody.human_principal = None;
    for bad in [delegation([1; 32], 0), nobody] {
        let judged = judge(&rulebook(owner()), &delegated(bad));
        assert_eq!(classes(&judged), [Class::DelegationRoot]);
        assert!(!detail(&judged.findings[0], "violation").is_empty() && judged.errands.is_empty());
    }
    let bare = delegated(delegation([1; 32], 1));
    let child = judge(&rulebook(owner()), &bare);
    let [Errand::Parent { child, parent }] = child.errands.as_slice() else { panic!("{child:?}") };
    assert_eq!((child.cert_hash, *parent), (hash_of(&bare), CertHash::new([1; 32])));
}

#[test]
fn timestamps_of_logs_that_we_follow_are_asked_about() {
    let precertificate = draft(URI).precertificate();
    let sats = [201, 202, 99].map(|seed| sat(seed, &precertificate)).to_vec();
    let certificate = finish(&precertificate, sats.clone());
    let judged = judge(&rulebook(owner()), &certificate);
    assert_eq!(judged.findings, []);
    assert_eq!(judged.errands.len(), 2, "that of a log that we do not follow is not");
    for (errand, asked) in judged.errands.iter().zip(&sats) {
        let Errand::Included { entry, sat, cert_hash, due } = errand else { panic!("{errand:?}") };
        assert_eq!(entry.as_ref().unwrap().cert_hash, hash_of(&certificate));
        assert_eq!((sat.as_slice(), *cert_hash), (&asked.to_der()[..], hash_of(&precertificate)));
        assert_eq!(*due, NOW.saturating_add(300_000));
    }
    let many = finish(&precertificate, vec![sats[0].clone(); 200]);
    assert_eq!(judge(&rulebook(owner()), &many).errands.len(), 16, "bounded");
    assert_eq!(SatList::new(sats).unwrap().sats().len(), 3);
}

#[test]
fn entries_are_asked_for_in_the_logs_of_their_group() {
    let logs = [log_a(), log_b()];
    let group = logs.each_ref().map(|log| log.origin.clone()).to_vec();
    let settings = Settings { expect_in: vec![group], ..Settings::default() };
    let book = Rulebook::new(settings, owner(), &logs, None, None);
    let precertificate = draft(URI).precertificate();
    for certificate in [&precertificate, &draft(URI).bare()] {
        let judged = judge(&book, certificate);
        let [Errand::Elsewhere { entry, log, due }] = judged.errands.as_slice() else { panic!("{judged:?}") };
        assert_eq!((entry.cert_hash, log.as_str()), (hash_of(certificate), "b.log.example"));
        assert_eq!(*due, NOW.saturating_add(HOUR));
    }
    let last = finish(&precertificate, vec![sat(99, &precertificate)]);
    assert_eq!(judge(&book, &last), Default::default(), "its precertificate is asked for");
    let of_others =
        Settings { expect_in: vec![vec![log("c.example", 5).origin, logs[1].origin.clone()]], ..Settings::default() };
    let book = Rulebook::new(of_others, owner(), &logs, None, None);
    assert_eq!(judge(&book, &precertificate), Default::default());
}

#[test]
fn a_flood_of_one_kind_is_told_as_that_and_hides_nothing_of_ours() {
    let settings = Settings { most_per_hour: 3, ..Settings::default() };
    let book = Rulebook::new(settings, owner(), &[log_a()], None, None);
    let mut memory = Memory::default();
    let mut told = |uri: &str, at, ca| {
        let bad = draft(uri).valid(NOW, 25 * HOUR).bare();
        let judged = judge_as(&book, &mut memory, bad.der(), at, ca);
        judged.findings.iter().map(|finding| finding.subject.clone()).collect::<Vec<_>>()
    };
    let of = |n: u8| format!("agent://somebody.example/a/b/{n}");
    let first: Vec<_> = (0..9).map(|n| told(&of(n), NOW, 1)).collect();
    assert!(first[..3].iter().all(|found| found.len() == 1 && found[0].len() == 64), "{first:?}");
    assert_eq!(first[3], [format!("more:{}", NOW.get() / HOUR)]);
    assert!(first[4..].iter().all(Vec::is_empty), "{first:?}");
    assert_eq!(told(URI, NOW, 1).len(), 1, "ours is told all the same");
    assert_eq!(told(&of(1), NOW.saturating_add(HOUR), 1)[0].len(), 64, "the next hour is another one");
    let other = draft(&of(1)).without("aki").bare();
    assert_eq!(classes(&judge_as(&book, &mut memory, other.der(), NOW, 1)), [Class::Profile], "so is another class");
}
