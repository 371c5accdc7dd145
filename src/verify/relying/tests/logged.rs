//! What is known of logs: that a certificate is in one, who has seen its head, who has audited it.

use super::rig::*;
use crate::apki::testing::key;
use crate::keys::Signer as _;
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
fn a_proof_of_a_log_that_was_found_inconsistent_proves_nothing() {
    let mut world = World::new();
    world.agent.score().score = points(59);
    world.party.policy.audited_within = Some(24 * HOUR);
    world.party.policy.inclusion = Some(InclusionPolicy { max_age: HOUR, witnesses: None });
    let audited = |seed: u8, consistent| Audited { log: key(seed).public_key().log_id(), at: START, consistent };
    world.facts.audits = vec![audited(LOG_A, true), audited(LOG_B, false)];
    world.facts.inclusions = vec![included(&world, LOG_B, after(1)).unwrap()];
    assert_eq!(world.codes(), [Code::NoInclusion]);
    world.facts.inclusions = vec![included(&world, LOG_A, after(1)).unwrap()];
    assert_eq!(world.codes(), []);
}
