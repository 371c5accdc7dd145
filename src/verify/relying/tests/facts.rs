//! What is known beside the certificates: OCSP answers, revocation lists, proofs, audits.

use super::rig::*;
use crate::apki::precertificate::extension_der;
use crate::apki::status::RevocationReason;
use crate::apki::status::crl::{Crl, CrlTemplate, RevokedCertificate, Scope, signed};
use crate::apki::status::ocsp::{
    CertId, CertIdHash, CertStatus, ResponseTemplate, SingleResponse, basic_response, responder_key_hash,
};
use crate::apki::testing::key;
use crate::apki::tlv::{self, encode};
use crate::apki::{Certificate, oid};
use crate::keys::{SignatureAlgorithm, Signer as _};
use crate::log::audit::{self, AuditError, AuditStatement, sign_audit};
use crate::log::checkpoint::{Checkpoint, Origin, sign_checkpoint};
use crate::log::cosignature::{CosignatureTime, WitnessKey, WitnessQuorum, cosign};
use crate::log::entry::CertHash;
use crate::log::note::{NoteError, VerifierKey};
use crate::log::proof::{TlogProof, TlogProofError};
use crate::log::sth::{SignedTreeHead, TreeHead};
use crate::merkle::{Hash, LeafIndex, TreeSize, node_hash};
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
    // The verdict holds no longer than the list.
    assert_eq!(good.accepted().good_until, after(6));
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
    let cert_id = CertId::of(&org_of_lists(), certificate.serial(), hash).unwrap();
    let (this_update, next_update) = (moment(after(4)), moment(after(6)));
    let responses = [SingleResponse { cert_id: &cert_id, status, this_update, next_update }];
    let responder_key_hash = responder_key_hash(key(ORG).public_key()).unwrap();
    let template =
        ResponseTemplate { responder_key_hash, produced_at: this_update, responses: &responses, nonce: None };
    let tbs = template.tbs();
    basic_response(&tbs, SignatureAlgorithm::Ed25519, &key(ORG).sign(&tbs).unwrap(), None)
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

/// A tree of two entries, of which the second is the agent's.
fn included(world: &World, log: u8, at: UnixMillis) -> Result<Inclusion, InclusionError> {
    let cert_hash = CertHash::of_certificate(world.agent.precertificate().der());
    let first = Hash::new([1; 32]);
    let root = node_hash(&first, &cert_hash.leaf_hash());
    let head = SignedTreeHead::sign(&key(log), TreeHead { size: TreeSize::new(2), timestamp: at, root }).unwrap();
    Inclusion::under_head(cert_hash, LeafIndex::new(1), &[first], &head, &world.party.logs)
}

#[test]
fn a_proof_of_inclusion_counts_as_long_as_its_head_is_recent() {
    let mut world = World::new();
    world.party.policy.inclusion = Some(InclusionPolicy { max_age: 10 * MINUTE, witnesses: None });
    assert!(matches!(included(&world, ROGUE_LOG, after(1)), Err(InclusionError::UnknownLog(_))));
    let inclusion = included(&world, LOG_A, after(1)).unwrap();
    world.facts.inclusions.push(inclusion);
    assert_eq!(world.codes(), []);
    assert_eq!(world.accepted().good_until, after(11));
    world.now = after(12);
    assert_eq!(world.codes(), [Code::InclusionStale]);
    // A head of the future is none.
    world.now = after(5);
    world.facts.inclusions = vec![included(&world, LOG_A, after(7)).unwrap()];
    assert_eq!(world.codes(), [Code::InclusionStale]);
    // One of another certificate proves nothing.
    world.facts.inclusions = vec![Inclusion { cert_hash: CertHash::new([3; 32]), ..inclusion }];
    assert_eq!(world.codes(), [Code::NoInclusion]);
}

/// The same tree as a proof file, under a checkpoint that these witnesses cosigned.
fn proof_file(world: &World, log: u8, cosigned: &[(u8, UnixMillis)]) -> String {
    let cert_hash = CertHash::of_certificate(world.agent.precertificate().der());
    let first = Hash::new([1; 32]);
    let root = node_hash(&first, &cert_hash.leaf_hash());
    let origin: Origin = "log.example.com/2026".parse().unwrap();
    let head = TreeHead { size: TreeSize::new(2), timestamp: START, root };
    let mut note = sign_checkpoint(&key(log), &origin, &head).unwrap();
    let checkpoint = Checkpoint::new(origin, head.size, root);
    for (seed, at) in cosigned {
        let line = cosign(&key(*seed), witness(*seed).name(), &checkpoint, CosignatureTime::from(*at)).unwrap();
        note += &format!("{line}\n");
    }
    TlogProof::new(LeafIndex::new(1), head.size, vec![first], note.as_bytes()).unwrap().to_string()
}

fn witness(seed: u8) -> WitnessKey {
    WitnessKey::new(format!("witness{seed}.example").parse().unwrap(), key(seed).public_key().clone()).unwrap()
}

#[test]
fn a_checkpoint_is_as_old_as_its_witnesses_say() {
    let mut world = World::new();
    let quorum = WitnessQuorum::new([21, 22, 23].map(witness).to_vec(), 2).unwrap();
    world.party.policy.inclusion = Some(InclusionPolicy { max_age: 10 * MINUTE, witnesses: Some(quorum.clone()) });
    let cert_hash = CertHash::of_certificate(world.agent.precertificate().der());
    let read = |world: &World, file: &str, cert_hash| {
        let proof = TlogProof::parse(file.as_bytes()).unwrap();
        let wanted = world.party.policy.inclusion.as_ref().unwrap().witnesses.as_ref();
        Inclusion::from_proof(&proof, cert_hash, &world.party.logs, wanted, world.now)
    };
    let good = proof_file(&world, LOG_A, &[(21, after(4)), (22, after(1)), (24, after(4))]);
    world.facts.inclusions = vec![read(&world, &good, cert_hash).unwrap()];
    assert_eq!((world.codes(), world.accepted().good_until), (vec![], after(11)));
    // One witness is not enough, and the head of a log alone says no time.
    let one = proof_file(&world, LOG_A, &[(21, after(4))]);
    world.facts.inclusions = vec![read(&world, &one, cert_hash).unwrap(), included(&world, LOG_A, after(1)).unwrap()];
    assert_eq!(world.codes(), [Code::InclusionStale]);
    world.party.policy.inclusion = Some(InclusionPolicy { max_age: 10 * MINUTE, witnesses: None });
    world.facts.inclusions = vec![read(&world, &good, cert_hash).unwrap()];
    assert_eq!(world.codes(), [Code::InclusionStale]);
    world.party.policy.inclusion = Some(InclusionPolicy { max_age: 10 * MINUTE, witnesses: Some(quorum) });
    // Of a log that is closed, what was seen while it was trusted counts.
    world.facts.inclusions = vec![read(&world, &good, cert_hash).unwrap()];
    let mut logs: Vec<TrustedLog> = world.party.logs.iter().cloned().collect();
    logs[0].until = Some(after(1));
    let open = std::mem::replace(&mut world.party.logs, LogList::new(logs).unwrap());
    assert_eq!(world.codes(), [Code::NoInclusion]);
    world.party.logs = open;
    let refused = |file: &str, cert_hash| read(&world, file, cert_hash).unwrap_err();
    assert!(matches!(refused(&good, CertHash::new([3; 32])), InclusionError::File(TlogProofError::Inclusion(_))));
    let rogue = proof_file(&world, ROGUE_LOG, &[]);
    assert_eq!(refused(&rogue, cert_hash), InclusionError::UnknownOrigin("log.example.com/2026".into()));
    // A line under the name of a witness that it did not sign refuses the whole.
    let forged = good.replace(&good[good.len() - 20..good.len() - 4], "AAAAAAAAAAAAAAAA");
    let lines: Vec<&str> = forged.split_inclusive('\n').collect();
    let (last, rest) = lines.split_last().unwrap();
    let known = [rest[..rest.len() - 1].concat(), last.replace("witness24", "witness22")].concat();
    assert!(read(&world, &forged, cert_hash).is_ok(), "nobody knows witness 24");
    assert!(read(&world, &known, cert_hash).is_ok(), "the identifier of the key is another");
    let bad = good.replacen(&good[good.find("witness22").unwrap() + 40..][..8], "AAAAAAAA", 1);
    assert!(matches!(refused(&bad, cert_hash), InclusionError::File(TlogProofError::Witnesses(_))));
}

#[test]
fn an_audit_counts_when_a_known_monitor_signed_it_about_a_known_log() {
    let world = World::new();
    let monitor = |seed: u8| {
        VerifierKey::new(format!("monitor{seed}.example").parse().unwrap(), key(seed).public_key().clone()).unwrap()
    };
    let statement = |log: u8, by: u8, verdict| {
        let statement = AuditStatement {
            origin: "log.example.com/2026".parse().unwrap(),
            log_id: key(log).public_key().log_id(),
            size: TreeSize::new(0),
            root: Hash::new([0; 32]),
            at: after(1),
            verdict,
        };
        sign_audit(&key(by), monitor(by).name(), &statement).unwrap()
    };
    let monitors = [monitor(31), monitor(32), monitor(LOG_A)];
    let read = |text: &str, logs| Audited::from_statement(text.as_bytes(), &monitors, logs);
    let logs = &world.party.logs;
    let log = key(LOG_A).public_key().log_id();
    let good = statement(LOG_A, 32, audit::Verdict::Consistent);
    assert_eq!(read(&good, logs), Ok(Audited { log, at: after(1), consistent: true }));
    let bad = statement(LOG_A, 31, audit::Verdict::Inconsistent);
    assert_eq!(read(&bad, logs), Ok(Audited { log, at: after(1), consistent: false }));
    let stranger = statement(LOG_A, 33, audit::Verdict::Consistent);
    assert_eq!(read(&stranger, logs), Err(AuditedError::UnknownMonitor));
    let other = statement(ROGUE_LOG, 31, audit::Verdict::Consistent);
    assert!(matches!(read(&other, logs), Err(AuditedError::UnknownLog(_))));
    let forged = good.replace("\nconsistent", "\ninconsistent");
    assert!(matches!(read(&forged, logs), Err(AuditedError::Statement(AuditError::Note(NoteError::Signature)))));
    let mut named: Vec<TrustedLog> = logs.iter().cloned().collect();
    named[0].origin = Some("other.example.com/x".parse().unwrap());
    assert!(matches!(read(&good, &LogList::new(named).unwrap()), Err(AuditedError::OtherOrigin(..))));
}

#[test]
fn a_log_counts_while_somebody_audits_it() {
    let mut world = World::new();
    world.party.policy.audited_within = Some(24 * HOUR);
    let audited = |seed: u8, at, consistent| Audited { log: key(seed).public_key().log_id(), at, consistent };
    world.facts.audits = vec![audited(LOG_A, START, true)];
    // Elevated agents need two, and log B is not audited.
    assert_eq!(world.codes(), [Code::SatAudit]);
    world.facts.audits.push(audited(LOG_B, START.saturating_sub(24 * HOUR), true));
    assert_eq!(world.codes(), [Code::SatAudit]);
    world.facts.audits.push(audited(LOG_B, START.saturating_sub(23 * HOUR), true));
    assert_eq!(world.codes(), []);
    assert_eq!(world.accepted().good_until, START.saturating_add(HOUR));
    // Whoever found a log inconsistent is believed over whoever did not.
    world.facts.audits.push(audited(LOG_A, after(1), false));
    assert_eq!(world.codes(), [Code::SatAudit]);
    world.agent.score().score = points(59);
    assert_eq!(world.codes(), [], "log B alone is enough below 60 points");
}

#[test]
fn lists_know_how_many_they_are() {
    let mut lists = RevocationLists::default();
    assert!(lists.is_empty());
    lists.add(list(vec![]).crl(), &org_of_lists(), &Domains::default()).unwrap();
    assert!(!lists.is_empty());
    let names = encode(tlv::SEQUENCE, &[]);
    assert_ne!(names, org_of_lists().subject_der());
}
