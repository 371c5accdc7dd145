//! What servers use that are asked again and again: presentations that are not complete, what is kept of those that
//! are, and lists that come one after the other.

use super::rig::*;
use crate::apki::moment::Moment;
use crate::apki::precertificate::extension_der;
use crate::apki::status::crl::{Crl, CrlTemplate, signed};
use crate::apki::testing::key;
use crate::apki::{Certificate, oid};
use crate::keys::Signer as _;
use crate::log::entry::CertHash;
use crate::verify::relying::{Code, Inclusion, InclusionPolicy, Presented, RevocationLists, Verdict};

#[test]
fn a_parent_may_come_later() {
    let world = World::delegated();
    let Presented { agent, parents } = world.presented();
    let alone = Presented { agent: agent.clone(), parents: Vec::new() };
    let refused = world.party.screen(alone.clone(), &world.request()).unwrap_err();
    assert_eq!(refused.reasons()[0].code, Code::NoParent);
    let examination = world.party.screen_incomplete(alone.clone(), &world.request()).unwrap();
    assert!(!examination.is_proven());
    assert_eq!(examination.presented(), Some(alone));
    let verdict = world.party.judge(&examination, &world.request());
    assert_eq!(verdict.reasons().iter().map(|reason| reason.code).collect::<Vec<_>>(), [Code::NoParent]);
    let whole = Presented { agent, parents };
    let examination = world.party.screen_incomplete(whole.clone(), &world.request()).unwrap();
    assert!(examination.is_proven());
    assert_eq!(examination.presented(), Some(whole));
    assert!(matches!(world.party.judge(&examination, &world.request()), Verdict::Accepted(_)));
}

#[test]
fn what_is_wrong_otherwise_is_told_before_a_signature() {
    let mut world = World::delegated();
    world.agent.score().score = points(30);
    let alone = Presented { agent: world.presented().agent, parents: Vec::new() };
    let refused = world.party.screen_incomplete(alone, &world.request()).unwrap_err();
    let codes: Vec<Code> = refused.reasons().iter().map(|reason| reason.code).collect();
    assert_eq!(codes, [Code::ScoreTooLow, Code::NoParent]);
}

#[test]
fn only_what_stands_below_an_anchor_is_proven() {
    let mut world = World::new();
    assert!(world.party.examine(world.presented()).is_proven());
    world.agent.issuer_key = 98;
    assert!(!world.party.examine(world.presented()).is_proven());
    let mut foreign = World::new();
    foreign.agent.uri = "agent://elsewhere.example/a/b/c".into();
    assert!(!foreign.party.examine(foreign.presented()).is_proven());
}

fn list(signer: &Certificate, number: u64, from: u64, until: u64) -> Crl {
    let at = |minutes| Moment::floor(after(minutes)).unwrap();
    let algorithm = key(ORG).public_key().algorithm();
    let template = CrlTemplate {
        issuer_der: signer.subject_der(),
        algorithm,
        this_update: at(from),
        next_update: at(until),
        number,
        authority_key_identifier: &[ORG],
        scope: None,
    };
    let tbs = template.tbs([]).unwrap();
    Crl::parse(signed(&tbs, algorithm, &key(ORG).sign(&tbs).unwrap())).unwrap()
}

#[test]
fn newer_lists_take_the_place_of_older_ones() {
    let world = World::new();
    let taken = |number, from, until| {
        let mut lists = RevocationLists::default();
        lists.add(list(&org(), number, from, until), &org(), &world.party.domains).unwrap();
        lists
    };
    let (older, newer) = (taken(1, 0, 10), taken(2, 5, 20));
    assert_eq!((older.good_until(), RevocationLists::default().good_until()), (Some(after(10)), None));
    for (first, second) in [(&older, &newer), (&newer, &older)] {
        let mut both = first.clone();
        both.merge(second);
        assert_eq!((both.len(), both.good_until()), (1, Some(after(20))));
    }
}

#[test]
fn lists_that_ran_out_go_and_the_newest_that_fit_stay() {
    let world = World::new();
    let named = |name: &str, until| {
        let signer = ca("Root", name, ORG, ROOT, |draft| {
            draft.extensions[1] = extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x01, 0x06]);
        });
        (list(&signer, 1, 0, until), signer)
    };
    let all: Vec<_> = [("One", 10), ("Two", 60), ("Six", 50)].map(|(name, until)| named(name, until)).into();
    let taken = |all: &[(Crl, Certificate)]| {
        let mut lists = RevocationLists::default();
        all.iter().for_each(|(crl, signer)| lists.add(crl.clone(), signer, &world.party.domains).unwrap());
        lists
    };
    let octets = all[0].0.der().len();
    let left = |now, most, octets| {
        let mut lists = taken(&all);
        lists.bound(after(now), most, octets);
        (lists.len(), lists.good_until())
    };
    assert_eq!(left(5, 9, usize::MAX), (3, Some(after(10))));
    assert_eq!(left(20, 9, usize::MAX), (2, Some(after(50))));
    assert_eq!(left(20, 1, usize::MAX), (1, Some(after(50))));
    assert_eq!(left(5, 9, 3 * octets), (3, Some(after(10))));
    assert_eq!(left(5, 9, 3 * octets - 1), (2, Some(after(50))));
    assert_eq!(left(5, 9, octets - 1), (0, None));
    // What came later is told from what was there.
    let before = taken(&all[..2]);
    let mut later = before.clone();
    later.merge(&taken(&all[2..]));
    assert_eq!((later.since(&before).len(), later.since(&before).good_until()), (1, Some(after(50))));
    assert_eq!((before.since(&before).len(), before.under(&world.party.domains).len()), (0, 2));
}

#[test]
fn a_proof_that_is_recent_enough_need_not_be_asked_for() {
    let mut world = World::new();
    let included = |world: &World| {
        let examination = world.party.examine(world.presented());
        let agent = examination.members().next().unwrap();
        world.party.is_included(agent, &world.request())
    };
    assert!(included(&world), "none is wanted");
    world.party.policy.inclusion = Some(InclusionPolicy { max_age: MINUTE, witnesses: None });
    assert!(!included(&world));
    let cert_hash = CertHash::of_certificate(world.agent.precertificate().der());
    let log = world.party.logs.iter().next().unwrap().key.log_id();
    for (cert_hash, signed_at, expected) in [
        (cert_hash, world.now, true),
        (cert_hash, START, false),
        (cert_hash, after(60), false),
        (CertHash::new([1; 32]), world.now, false),
    ] {
        world.facts.inclusions = vec![Inclusion { cert_hash, log, signed_at: Some(signed_at), witnessed_at: None }];
        assert_eq!(included(&world), expected, "{signed_at}");
    }
}
