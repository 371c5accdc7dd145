//! What is known of revocation: OCSP answers and revocation lists.

use super::rig::*;
use crate::apki::precertificate::extension_der;
use crate::apki::status::RevocationReason;
use crate::apki::status::crl::{Crl, CrlTemplate, RevokedCertificate, Scope, signed};
use crate::apki::status::ocsp::{CertId, CertIdHash, CertStatus};
use crate::apki::testing::key;
use crate::apki::{Certificate, oid};
use crate::keys::{SignatureAlgorithm, Signer as _};
use crate::time::UnixMillis;
use crate::verify::relying::*;

const SHARD: &str = "http://ca.example.com/crl/1";
const INDIRECT: &str = "http://ca.example.com/crl/root";

/// The list of the signer with this name and key, two minutes long.
struct List<'a> {
    issuer: Vec<u8>,
    signer: u8,
    scope: Option<Scope>,
    revoked: Vec<RevokedCertificate<'a>>,
    this_update: UnixMillis,
}

impl List<'_> {
    fn crl(&self) -> Crl {
        let template = CrlTemplate {
            issuer_der: &self.issuer,
            algorithm: SignatureAlgorithm::Ed25519,
            this_update: moment(self.this_update),
            next_update: moment(self.this_update.saturating_add(2 * MINUTE)),
            number: 1,
            authority_key_identifier: &[1],
            scope: self.scope.clone(),
        };
        let tbs = template.tbs(self.revoked.iter().copied()).unwrap();
        let signature = key(self.signer).sign(&tbs).unwrap();
        Crl::parse(signed(&tbs, SignatureAlgorithm::Ed25519, &signature)).unwrap()
    }
}

fn entry<'a>(certificate: &'a Certificate, at: UnixMillis) -> RevokedCertificate<'a> {
    let reason = RevocationReason::PrivilegeWithdrawn;
    RevokedCertificate { serial: certificate.serial(), at: moment(at), reason, certificate_issuer: None }
}

/// `Org` with cRLSign.
fn org_of_lists() -> Certificate {
    ca("Root", "Org", ORG, ROOT, |draft| {
        draft.extensions[1] = extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x01, 0x06]);
    })
}

fn hard(issuers: bool) -> World {
    let mut world = World::new();
    world.party.policy.revocation = RevocationPolicy { mode: RevocationMode::HardFail, max_age: None, issuers };
    world.issuers = vec![org_of_lists()];
    world
}

fn with(mut world: World, lists: impl IntoIterator<Item = (Crl, Certificate)>) -> World {
    let mut taken = RevocationLists::default();
    for (crl, signer) in lists {
        taken.add(crl, &signer, &world.party.domains).unwrap();
    }
    world.facts.revocations.lists = taken.into();
    world
}

fn list(revoked: Vec<RevokedCertificate<'_>>) -> List<'_> {
    let issuer = org_of_lists().subject_der().to_vec();
    List { issuer, signer: ORG, scope: None, revoked, this_update: after(4) }
}

#[test]
fn a_list_of_the_issuer_says_how_an_agent_stands() {
    let agent = hard(false).presented().agent.certificate;
    let good = with(hard(false), [(list(vec![]).crl(), org_of_lists())]);
    assert_eq!(good.codes(), []);
    // The verdict holds no longer than the list, which counts for as long as clocks may differ.
    assert_eq!(good.accepted().good_until, after(7));
    let revoked = with(hard(false), [(list(vec![entry(&agent, after(1))]).crl(), org_of_lists())]);
    assert_eq!(revoked.codes(), [Code::Revoked]);
}

#[test]
fn a_list_that_has_run_out_says_who_was_revoked_and_not_who_was_not() {
    let agent = hard(false).presented().agent.certificate;
    let old = |revoked| List { this_update: START, ..list(revoked) };
    let world = |list: List<'_>| World { now: after(10), ..with(hard(false), [(list.crl(), org_of_lists())]) };
    assert_eq!(world(old(vec![])).codes(), [Code::StatusStale]);
    assert_eq!(world(old(vec![entry(&agent, START)])).codes(), [Code::Revoked]);
}

#[test]
fn the_age_that_is_taken_is_the_policys_where_it_is_stricter() {
    let mut world = with(hard(false), [(list(vec![]).crl(), org_of_lists())]);
    world.party.policy.revocation.max_age = Some(MINUTE);
    assert_eq!(world.codes(), []);
    assert_eq!(world.accepted().good_until, after(5));
    world.party.policy.revocation.max_age = Some(MINUTE - 1);
    assert_eq!(world.codes(), [Code::StatusStale]);
}

#[test]
fn a_list_of_another_issuer_or_place_says_nothing() {
    let other = ca("Root", "Other", 41, ROOT, |_| {});
    let foreign = List { issuer: other.subject_der().to_vec(), signer: 41, ..list(vec![]) };
    assert_eq!(with(hard(false), [(foreign.crl(), other)]).codes(), [Code::StatusUnavailable]);
    // The same name with another key, as after a renewal of the CA with a new one.
    let namesake = ca("Root", "Org", 42, ROOT, |_| {});
    let renewed = List { signer: 42, ..list(vec![]) };
    assert_eq!(with(hard(false), [(renewed.crl(), namesake)]).codes(), [Code::StatusUnavailable]);
    // One shard of the list counts for the certificates that name it.
    let scope = |url: &str| Scope {
        url: crate::apki::extension::AsciiText::new(url).unwrap(),
        only_user_certificates: true,
        indirect: false,
    };
    let shard = |url| List { scope: Some(scope(url)), ..list(vec![]) }.crl();
    assert_eq!(with(hard(false), [(shard(SHARD), org_of_lists())]).codes(), [Code::StatusUnavailable]);
    let named = |url| {
        let mut world = with(hard(false), [(shard(url), org_of_lists())]);
        let points = crate::apki::certificate::crl_distribution_points_der(SHARD, None);
        world.agent.instead.push((oid::CRL_DISTRIBUTION_POINTS, false, points));
        world.codes()
    };
    assert_eq!(named(SHARD), []);
    assert_eq!(named("http://ca.example.com/crl/2"), [Code::StatusUnavailable]);
    // So nobody need keep what is not about the certificate that names it.
    let agent = hard(false).presented().agent.certificate;
    let about = |crl: Crl, signer: &Certificate| {
        let mut lists = RevocationLists::default();
        lists.add(crl, signer, &hard(false).party.domains).unwrap();
        lists.are_about(&agent, &org_of_lists())
    };
    assert!(about(list(vec![]).crl(), &org_of_lists()));
    assert!(!about(shard(SHARD), &org_of_lists()));
}

#[test]
fn a_revocation_counts_from_when_it_is_known_whatever_moment_it_is_dated_to() {
    let agent = hard(false).presented().agent.certificate;
    let ahead = list(vec![entry(&agent, after(50))]).crl();
    assert_eq!(with(hard(false), [(ahead, org_of_lists())]).codes(), [Code::Revoked]);
}

#[test]
fn a_list_does_not_speak_for_a_certificate_that_its_ca_does_not_know() {
    let agent = hard(false).presented().agent.certificate;
    let mut world = with(hard(false), [(list(vec![]).crl(), org_of_lists())]);
    let unknown = ocsp(CertIdHash::Sha1, &agent, CertStatus::Unknown);
    let answer = Standing::from_ocsp(&unknown, &agent, &org_of_lists(), after(5), None).unwrap();
    world.facts.revocations.answers.push(answer);
    assert_eq!(world.codes(), [Code::StatusUnknown]);
}

#[test]
fn a_tool_that_wants_an_answer_gets_one_also_where_revocation_is_off() {
    let mut world = hard(false);
    world.party.policy.revocation.mode = RevocationMode::Off;
    world.operation = Some(payment(1, "GBP"));
    let tool_uri = payment(1, "GBP").tool_uri;
    let rule = ToolRule { tool_uri, minimum: points(0), minimum_method: None, ocsp_within: Some(MINUTE) };
    world.party.policy.tools.push(rule);
    assert_eq!(world.codes(), [Code::StatusUnavailable]);
}

#[test]
fn a_signer_whose_certificate_was_over_signs_no_list() {
    let domains = World::new().party.domains;
    let refuse = |signer: &Certificate| RevocationLists::default().add(list(vec![]).crl(), signer, &domains);
    let over = ca("Root", "Org", ORG, ROOT, |draft| {
        draft.validity = crate::apki::testing::validity(&[(0x17, b"250101000000Z"), (0x17, b"260410120000Z")]);
    });
    assert!(matches!(refuse(&over), Err(CrlRefused::Validity(_))));
    let critical = ca("Root", "Org", ORG, ROOT, |draft| {
        let unheard_of = der::asn1::ObjectIdentifier::new_unwrap("2.5.29.99");
        draft.extensions.push(extension_der(&unheard_of, true, &[0x05, 0x00]));
    });
    assert!(matches!(refuse(&critical), Err(CrlRefused::UnknownCritical)));
}

#[test]
fn whoever_may_not_sign_lists_signs_none() {
    let domains = Domains::default();
    let refuse = |crl: Crl, signer: &Certificate| RevocationLists::default().add(crl, signer, &domains).unwrap_err();
    let no_crl_sign = ca("Root", "Org", ORG, ROOT, |draft| {
        draft.extensions[1] = extension_der(&oid::KEY_USAGE, true, &[0x03, 0x02, 0x02, 0x04]);
    });
    assert!(matches!(refuse(list(vec![]).crl(), &no_crl_sign), CrlRefused::KeyUsage));
    assert!(matches!(refuse(list(vec![]).crl(), &root()), CrlRefused::OtherSigner));
    assert!(matches!(refuse(List { signer: 43, ..list(vec![]) }.crl(), &org_of_lists()), CrlRefused::Crl(_)));
}

/// Whom the root has delegated the signing of lists to.
fn list_signer(by: u8) -> Certificate {
    ca("Root", "Lists", 44, by, |draft| drop(draft.extensions.remove(0)))
}

/// An `Org` whose certificate names the place and the signer of the root's indirect list.
fn org_with_place() -> Certificate {
    ca("Root", "Org", ORG, ROOT, |draft| {
        let signer = list_signer(ROOT);
        let points = crate::apki::certificate::crl_distribution_points_der(INDIRECT, Some(signer.subject_der()));
        draft.extensions.push(extension_der(&oid::CRL_DISTRIBUTION_POINTS, false, &points));
    })
}

fn root_list<'a>(revoked: Vec<RevokedCertificate<'a>>) -> List<'a> {
    let scope = Scope {
        url: crate::apki::extension::AsciiText::new(INDIRECT).unwrap(),
        only_user_certificates: false,
        indirect: true,
    };
    List { issuer: list_signer(ROOT).subject_der().to_vec(), signer: 44, scope: Some(scope), ..list(revoked) }
}

#[test]
fn a_ca_is_revoked_by_an_indirect_list_of_a_signer_whom_its_root_certified() {
    let (org, root) = (org_with_place(), root());
    let of_root = |certificate| RevokedCertificate { certificate_issuer: Some(root.subject_der()), ..certificate };
    let world = |signer: Certificate, revoked: Vec<RevokedCertificate<'_>>| {
        let mut world = hard(true);
        world.issuers = vec![org.clone()];
        with(world, [(root_list(revoked).crl(), signer), (list(vec![]).crl(), org.clone())])
    };
    assert_eq!(world(list_signer(ROOT), vec![]).codes(), []);
    assert_eq!(world(list_signer(ROOT), vec![of_root(entry(&org, after(1)))]).codes(), [Code::Revoked]);
    // Somebody else's signer of the same name speaks for nobody here.
    assert_eq!(world(list_signer(99), vec![]).codes(), [Code::StatusUnavailable]);
    assert_eq!(world(list_signer(99), vec![of_root(entry(&org, after(1)))]).codes(), [Code::StatusUnavailable]);
}

#[test]
fn an_older_list_does_not_take_the_place_of_a_newer_one() {
    let agent = hard(false).presented().agent.certificate;
    let newer = list(vec![entry(&agent, after(1))]).crl();
    let older = List { this_update: after(3), ..list(vec![]) }.crl();
    for lists in [[newer.clone(), older.clone()], [older, newer]] {
        let world = with(hard(false), lists.map(|crl| (crl, org_of_lists())));
        assert_eq!((world.facts.revocations.lists.len(), world.codes()), (1, vec![Code::Revoked]));
    }
}

fn ocsp(hash: CertIdHash, certificate: &Certificate, status: CertStatus) -> Vec<u8> {
    ocsp_of(&CertId::of(&org_of_lists(), certificate.serial(), hash).unwrap(), status, after(4), after(6))
}

#[test]
fn an_answer_of_the_issuer_is_believed_by_either_name_of_it() {
    let agent = hard(false).presented().agent.certificate;
    let read = |der: &[u8]| Standing::from_ocsp(der, &agent, &org_of_lists(), after(5), None);
    let at = moment(after(1));
    let revoked = CertStatus::Revoked { at, reason: RevocationReason::KeyCompromise };
    for hash in [CertIdHash::Sha1, CertIdHash::Sha256] {
        for (status, expected) in [
            (CertStatus::Good, vec![]),
            (CertStatus::Unknown, vec![Code::StatusUnknown]),
            (revoked, vec![Code::Revoked]),
        ] {
            let mut world = hard(false);
            world.facts.revocations.answers.push(read(&ocsp(hash, &agent, status)).unwrap());
            assert_eq!(world.codes(), expected);
        }
    }
    assert!(matches!(read(&[0x30]), Err(StandingError::Response(_))));
    let other = {
        let mut other = World::new();
        other.agent.change = |draft| draft.serial = vec![0x02, 0x01, 0x55];
        other.presented()
    };
    let about_another = ocsp(CertIdHash::Sha1, &other.agent.certificate, CertStatus::Good);
    assert!(matches!(read(&about_another), Err(StandingError::Verify(_))));
    // An answer about one certificate says nothing about another.
    let mut world = hard(false);
    world.facts.revocations.answers.push(read(&ocsp(CertIdHash::Sha1, &agent, CertStatus::Good)).unwrap());
    world.agent.change = |draft| draft.serial = vec![0x02, 0x01, 0x56];
    assert_eq!(world.codes(), [Code::StatusUnavailable]);
}

#[test]
fn without_hard_fail_only_a_revocation_refuses() {
    let agent = hard(false).presented().agent.certificate;
    let mut world = hard(false);
    world.party.policy.revocation.mode = RevocationMode::SoftFail;
    assert_eq!(world.codes(), []);
    assert!(world.accepted().notes[0].detail.contains("nothing is known"));
    let world = with(world, [(list(vec![entry(&agent, after(1))]).crl(), org_of_lists())]);
    assert_eq!(world.codes(), [Code::Revoked]);
    let mut world = world;
    world.party.policy.revocation.mode = RevocationMode::Off;
    assert_eq!(world.codes(), []);
}

#[test]
fn a_tool_may_want_an_answer_at_once() {
    let agent = hard(false).presented().agent.certificate;
    let mut world = with(hard(false), [(list(vec![]).crl(), org_of_lists())]);
    world.operation = Some(payment(1, "GBP"));
    world.party.policy.tools.push(ToolRule {
        tool_uri: payment(1, "GBP").tool_uri,
        minimum: points(0),
        minimum_method: None,
        ocsp_within: Some(MINUTE),
    });
    // The list is as recent, and does not do (draft 11.2.10).
    assert_eq!(world.codes(), [Code::StatusStale]);
    let answer =
        Standing::from_ocsp(&ocsp(CertIdHash::Sha1, &agent, CertStatus::Good), &agent, &org_of_lists(), after(5), None);
    world.facts.revocations.answers.push(answer.unwrap());
    assert_eq!(world.codes(), []);
    // For another tool the list is enough.
    world.facts.revocations.answers.clear();
    world.operation = Some(call(ACCOUNTS, "accounts"));
    assert_eq!(world.codes(), []);
}

#[test]
fn of_the_past_what_was_said_later_counts() {
    let agent = hard(false).presented().agent.certificate;
    let later = |revoked| List { this_update: after(50), ..list(revoked) };
    let world = |revoked, past| World { past, ..with(hard(false), [(later(revoked).crl(), org_of_lists())]) };
    assert_eq!(world(vec![], false).codes(), [Code::StatusStale], "a list from the future is no list");
    assert_eq!(world(vec![], true).codes(), []);
    assert_eq!(world(vec![entry(&agent, after(30))], true).codes(), [], "revoked later than the moment asked about");
    assert_eq!(world(vec![entry(&agent, after(3))], true).codes(), [Code::Revoked]);
}

#[test]
fn lists_know_how_many_they_are() {
    let mut lists = RevocationLists::default();
    assert!(lists.is_empty());
    lists.add(list(vec![]).crl(), &org_of_lists(), &Domains::default()).unwrap();
    assert!(!lists.is_empty());
}
