//! One payment by a delegated agent, with everything that stands behind it, broken in one place at a time.

use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::apki::chain::Anchors;
use crate::apki::status::RevocationReason;
use crate::apki::status::crl::{CrlTemplate, RevokedCertificate, signed};
use crate::apki::status::ocsp::{CertId, CertIdHash, CertStatus};
use crate::apki::testing::key;
use crate::apki::{AgentUri, Certificate};
use crate::keys::{SignatureAlgorithm, Signer as _};
use crate::log::checkpoint::{Origin, sign_checkpoint};
use crate::log::entry::CertHash;
use crate::log::proof::TlogProof;
use crate::log::sth::{SignedTreeHead, TreeHead};
use crate::merkle::{Edge, Hash, InclusionPlan, LeafIndex, TreeSize, integrate};
use crate::time::UnixMillis;
use crate::verify::relying::tests::rig::*;
use crate::verify::relying::{
    Domains, Facts, LogList, Peers, RevocationMode, RevocationPolicy, Standing, Status, Subject, Trusted, TrustedLog,
};

const ACTION: &[u8] = b"pay 10.00 GBP to the landlord";
/// The key of every agent of the rig.
const AGENT: u8 = 99;

/// When the agent signed.
const SIGNED: UnixMillis = UnixMillis::new(START.get() + 5 * MINUTE + 7);

/// The world, and a bundle of it.
struct Case {
    world: World,
    evidence: Evidence,
}

/// The root over these entries, and the way to the one at `index`.
fn tree(entries: &[CertHash], index: usize) -> (Hash, Vec<Hash>) {
    let leaves: Vec<Hash> = entries.iter().map(CertHash::leaf_hash).collect();
    let grown = integrate(&Edge::empty(), &leaves).unwrap();
    let plan = InclusionPlan::new(LeafIndex::new(index as u64), TreeSize::new(leaves.len() as u64)).unwrap();
    let tiles: Vec<_> =
        grown.tiles.into_iter().filter(|(id, _)| plan.tiles().contains(id)).map(|(_, tile)| tile).collect();
    (grown.edge.root(), plan.prove(&tiles).unwrap())
}

/// An agent and the one above it, who may pay, and did.
fn world() -> World {
    let mut world = World::delegated();
    world.parents[0].change = |draft| draft.serial = vec![0x02, 0x01, 0x08];
    world.party.policy.revocation = RevocationPolicy { mode: RevocationMode::HardFail, max_age: None, issuers: false };
    world
}

/// What the CA says of this certificate.
fn ocsp(certificate: &Certificate, status: CertStatus, this_update: UnixMillis) -> Vec<u8> {
    let cert_id = CertId::of(&org(), certificate.serial(), CertIdHash::Sha1).unwrap();
    ocsp_of(&cert_id, status, this_update, this_update.saturating_add(10 * MINUTE))
}

/// The CA's list with these certificates on it.
fn crl(revoked: &[(&Certificate, UnixMillis)], this_update: UnixMillis) -> List {
    let issuer = org();
    let template = CrlTemplate {
        issuer_der: issuer.subject_der(),
        algorithm: SignatureAlgorithm::Ed25519,
        this_update: moment(this_update),
        next_update: moment(this_update.saturating_add(10 * MINUTE)),
        number: 1,
        authority_key_identifier: &[1],
        scope: None,
    };
    let reason = RevocationReason::KeyCompromise;
    let entry = |(certificate, at): &(&Certificate, UnixMillis)| (certificate.serial().to_vec(), moment(*at));
    let entries: Vec<_> = revoked.iter().map(entry).collect();
    let entries =
        entries.iter().map(|(serial, at)| RevokedCertificate { serial, at: *at, reason, certificate_issuer: None });
    let tbs = template.tbs(entries).unwrap();
    let crl = signed(&tbs, SignatureAlgorithm::Ed25519, &key(ORG).sign(&tbs).unwrap());
    List { signer: issuer, crl }
}

fn statement(certificate: &Certificate) -> Statement {
    Statement {
        digest: Digest::of(ACTION),
        signed_at: SIGNED,
        certificate: certificate.fingerprint(),
        operation: Some(payment(1000, "GBP")),
    }
}

impl Case {
    /// A minute after the action, with one log's proofs and an answer about each agent.
    fn of(world: World) -> Self {
        let presented = world.presented();
        let line: Vec<&Certificate> =
            std::iter::once(&presented.agent).chain(&presented.parents).map(|link| &link.certificate).collect();
        let hashes: Vec<CertHash> = std::iter::once(&world.agent)
            .chain(&world.parents)
            .zip(&line)
            .map(|(agent, certificate)| match crate::apki::precertificate::recover(certificate).unwrap() {
                Some(recovered) => CertHash::of_certificate(&recovered.precertificate_der),
                None => panic!("{} has no timestamps", agent.uri),
            })
            .collect();
        let others = (0..5_u8).map(|n| CertHash::new([n; 32]));
        let entries: Vec<CertHash> = others.chain(hashes.iter().copied()).collect();
        let head = |root| TreeHead { size: TreeSize::new(entries.len() as u64), timestamp: after(8), root };
        let proof = |(n, certificate): (usize, &&Certificate)| {
            let (root, inclusion) = tree(&entries, 5 + n);
            let head = SignedTreeHead::sign(&key(LOG_A), head(root)).unwrap();
            let fact = HeadProof { index: LeafIndex::new(5 + n as u64), inclusion, head };
            About { certificate: certificate.fingerprint(), fact }
        };
        let answer = |certificate: &&Certificate| About {
            certificate: certificate.fingerprint(),
            fact: ocsp(certificate, CertStatus::Good, after(6)),
        };
        let evidence = Evidence {
            made_at: after(6),
            made_by: "a test".to_owned(),
            action: Some(ACTION.to_vec()),
            signature: SignedAction::sign(&key(AGENT), statement(line[0])).unwrap(),
            certificate: line[0].clone(),
            chain: world.issuers.iter().cloned().chain(line[1..].iter().copied().cloned()).collect(),
            timestamps: Vec::new(),
            proofs: line.iter().enumerate().map(proof).collect(),
            tlog_proofs: Vec::new(),
            answers: line.iter().map(answer).collect(),
            lists: Vec::new(),
        };
        Self { world, evidence }
    }

    fn new() -> Self {
        Self::of(world())
    }

    fn parent(&self) -> &Certificate {
        self.evidence.chain.last().unwrap()
    }

    fn sign(&mut self, change: impl FnOnce(&mut Statement)) {
        let mut statement = self.evidence.signature.statement().clone();
        change(&mut statement);
        self.evidence.signature = SignedAction::sign(&key(AGENT), statement).unwrap();
    }

    /// What comes out, of the bundle as it is read from a file; every link that fails and nothing else says no.
    fn asked(&self, question: &Question<'_>) -> Finding {
        let read = Evidence::parse(&self.evidence.to_json()).unwrap();
        assert_eq!(read, self.evidence);
        let finding = verify(&read, &self.world.party, question);
        let fails = finding.links.iter().filter(|link| link.outcome == Outcome::Fails).count();
        assert_eq!(finding.holds(), fails == 0, "{finding}");
        assert!(finding.links.iter().all(|link| (link.outcome == Outcome::Fails) != link.failures.is_empty()));
        let json = serde_json::to_value(&finding).unwrap();
        assert_eq!(json["holds"], finding.holds());
        assert_eq!(json["answers"].is_null(), !finding.holds());
        finding
    }

    fn finding(&self) -> Finding {
        self.asked(&Question::default())
    }

    /// The links that fail, each with its codes.
    fn failed(&self) -> Vec<(Step, Option<Subject>, Vec<&'static str>)> {
        let finding = self.finding();
        let codes = |link: &Link| link.failures.iter().map(|failure| failure.code).collect();
        finding.failed().map(|link| (link.step, link.subject, codes(link))).collect()
    }
}

const AGENTS: Option<Subject> = Some(Subject::Agent);
const PARENTS: Option<Subject> = Some(Subject::Parent(1));

/// A case that is changed in this way fails in exactly this link, for this reason.
#[track_caller]
fn fails(step: Step, subject: Option<Subject>, code: &'static str, change: impl FnOnce(&mut Case)) {
    let mut case = Case::new();
    change(&mut case);
    assert_eq!(case.failed(), [(step, subject, vec![code])]);
}

/// The same with a world that is changed before the bundle is made.
#[track_caller]
fn fails_in(step: Step, subject: Option<Subject>, code: &'static str, change: impl FnOnce(&mut World)) {
    let mut world = world();
    change(&mut world);
    assert_eq!(Case::of(world).failed(), [(step, subject, vec![code])]);
}

#[test]
fn a_whole_bundle_answers_the_four_questions() {
    let case = Case::new();
    let finding = case.finding();
    assert_eq!(finding.codes(), [""; 0]);
    let answers = finding.answers.unwrap();
    assert_eq!(answers.who.agent.as_str(), case.world.agent.uri);
    assert_eq!(
        (answers.who.domain.as_str(), answers.who.certificate),
        ("example.com", case.evidence.certificate.fingerprint())
    );
    let rights: Vec<&str> = answers.limits.rights.iter().map(|right| right.agent.as_str()).collect();
    assert_eq!(rights, [&case.world.agent.uri, &case.world.parents[0].uri]);
    let limit = answers.limits.rights[0].capability.spend_limit.unwrap();
    assert_eq!(limit.max_per_transaction.unwrap().get(), 5000);
    // 60 points, a sixth of one less.
    assert_eq!((answers.limits.score.get(), answers.limits.minimum_score.get()), (59, 40));
    let parents = &answers.on_behalf_of.parents;
    assert_eq!((parents.len(), parents[0].certificate), (1, case.parent().fingerprint()));
    assert_eq!(answers.on_behalf_of.human_principal.unwrap().as_str(), "sha256:00");
    let logged: Vec<_> =
        answers.logged.iter().map(|l| (l.log.as_str(), l.since, l.entry.map(|e| e.leaf_index.get()))).collect();
    let expected =
        [("log 11", START, Some(5)), ("log 12", START, None), ("log 11", START, Some(6)), ("log 12", START, None)];
    assert_eq!(logged, expected);
    assert_eq!(answers.revoked_later, []);
    assert_eq!(finding.judged_at, SIGNED);
    let steps: Vec<_> = finding.links.iter().map(|link| (link.step.as_str(), link.outcome)).collect();
    assert!(steps.iter().all(|(_, outcome)| *outcome == Outcome::Holds), "{steps:?}");
    assert_eq!(steps.len(), 2 + 5 * 2 + 2);
}

#[test]
fn the_action_is_the_one_that_was_signed() {
    fails(Step::Action, None, "action.content", |case| case.evidence.action = Some(b"pay 1000.00 GBP".to_vec()));
    let mut case = Case::new();
    let ask = |case: &Case, octets: &[u8]| {
        let question = Question { action: Some(Digest::of(octets)), ..Question::default() };
        case.asked(&question)
    };
    assert!(ask(&case, ACTION).holds());
    assert_eq!(ask(&case, b"pay").codes(), ["action.content"]);
    // By its hash alone it is about whatever has that hash.
    case.evidence.action = None;
    let finding = case.finding();
    assert!(finding.holds() && finding.links[0].outcome == Outcome::Open);
    assert_eq!(ask(&case, ACTION).links[0].outcome, Outcome::Holds);
    assert_eq!(ask(&case, b"pay").codes(), ["action.content"]);
    // Neither hash nor length may be another.
    fails(Step::Action, None, "action.content", |case| case.sign(|said| said.digest.length += 1));
}

#[test]
fn the_agents_key_signed_for_this_certificate_in_its_time() {
    fails(Step::Signature, None, "action.signature", |case| {
        let said = case.evidence.signature.statement().clone();
        case.evidence.signature = SignedAction::sign(&key(98), said).unwrap();
    });
    fails(Step::Signature, None, "action.certificate", |case| {
        let other = case.parent().fingerprint();
        case.sign(|said| said.certificate = other);
    });
    // Whoever dates a signature out of the certificates' validity finds no authority there.
    let mut late = Case::new();
    late.sign(|said| said.signed_at = after(61));
    late.evidence.answers = [late.evidence.certificate.clone(), late.parent().clone()]
        .map(|c| About { certificate: c.fingerprint(), fact: ocsp(&c, CertStatus::Good, after(60)) })
        .to_vec();
    let expired = |subject| (Step::Certificate, subject, vec!["profile.expired"]);
    assert_eq!(late.failed(), [expired(AGENTS), expired(PARENTS)]);
    let mut early = Case::new();
    early.sign(|said| said.signed_at = UnixMillis::new(START.get() - 1));
    let codes = early.finding().codes();
    assert!(codes.contains(&"profile.notYetValid"), "{codes:?}");
}

#[test]
fn a_verifier_who_was_there_judges_by_its_own_time() {
    let mut case = Case::new();
    let (agent, parent) = (case.evidence.certificate.clone(), case.parent().clone());
    let revoked = CertStatus::Revoked { at: moment(after(8)), reason: RevocationReason::KeyCompromise };
    case.evidence.answers[0].fact = ocsp(&agent, revoked, after(9));
    case.evidence.answers[1].fact = ocsp(&parent, CertStatus::Good, after(9));
    let at = |minutes| Question { received_at: Some(after(minutes)), ..Question::default() };
    // The thief of a key signs at minute 9 what he dates to minute 5.
    assert!(case.finding().holds());
    assert!(case.asked(&at(7)).holds());
    assert_eq!(case.asked(&at(9)).codes(), ["revocation.revoked"]);
    // Nobody receives what is not signed yet, clocks apart.
    assert!(case.asked(&at(5)).holds());
    assert_eq!(case.asked(&at(4)).codes(), ["action.time"]);
    // Nor does an old time help where the certificate was not valid.
    case.sign(|said| said.signed_at = UnixMillis::new(START.get() - 1));
    assert_eq!(case.asked(&at(7)).codes(), ["action.time"]);
}

#[test]
fn a_certificate_is_an_agents_of_a_day_at_most() {
    fails_in(Step::Certificate, PARENTS, "profile.validityTooLong", |world| {
        world.parents[0].not_after = START.saturating_add(25 * HOUR);
    });
    fails(Step::Certificate, AGENTS, "profile.peer", |case| {
        case.world.party.policy.peers = Peers::Only(Vec::new());
    });
}

#[test]
fn a_chain_leads_to_an_anchor_of_the_domain() {
    let mut case = Case::new();
    case.evidence.chain.remove(0);
    let unknown = |subject| (Step::Chain, subject, vec!["chain.unknownAnchor"]);
    // Whoever cannot be held against an anchor cannot be believed about revocation either: that stays open.
    assert_eq!(case.failed(), [unknown(AGENTS), unknown(PARENTS)]);
    let finding = case.finding();
    let open: Vec<_> =
        finding.links.iter().filter(|link| link.outcome == Outcome::Open).map(|link| link.step).collect();
    assert_eq!(open, [Step::Revocation, Step::Revocation]);

    let mut stranger = Case::new();
    stranger.world.party.domains = Domains::default();
    assert_eq!(stranger.failed(), [(Step::Chain, AGENTS, vec!["federation.unknownDomain"])]);
    let finding = stranger.finding();
    let holds: Vec<_> =
        finding.links.iter().filter(|link| link.outcome == Outcome::Holds).map(|link| link.step).collect();
    // Nothing that rests on a signature of the domain or its logs is said to hold.
    let unsigned =
        [Step::Action, Step::Signature, Step::Certificate, Step::Delegation, Step::Certificate, Step::Delegation];
    assert_eq!(holds, unsigned);
}

#[test]
fn delegations_shrink_and_end_at_a_human() {
    fails(Step::Delegation, AGENTS, "delegation.noParent", |case| {
        let gone = case.evidence.chain.pop().unwrap().fingerprint();
        case.evidence.proofs.retain(|proof| proof.certificate != gone);
        case.evidence.answers.retain(|answer| answer.certificate != gone);
    });
    fails_in(Step::Delegation, AGENTS, "delegation.perTransaction", |world| {
        world.agent.capabilities = Some(vec![spending(PAYMENTS, "pay/eu", 10_001, 20_000)]);
    });
    fails_in(Step::Delegation, PARENTS, "delegation.rootHumanPrincipal", |world| {
        world.parents[0].delegation().human_principal = None;
    });
    fails_in(Step::Delegation, AGENTS, "delegation.parentCertHash", |world| world.bind = false);
}

#[test]
fn the_log_had_it_before_and_kept_its_word() {
    let agent = |case: &mut Case| case.evidence.proofs.remove(0);
    fails(Step::Log, AGENTS, "sat.inclusion", |case| drop(agent(case)));
    fails(Step::Log, PARENTS, "sat.inclusion", |case| drop(case.evidence.proofs.pop()));
    fails(Step::Log, AGENTS, "sat.proof", |case| case.evidence.proofs[0].fact.inclusion[0] = Hash::new([0; 32]));
    fails(Step::Log, AGENTS, "sat.proof", |case| case.evidence.proofs[0].fact.index = LeafIndex::new(4));
    fails(Step::Log, PARENTS, "sat.proof", |case| case.evidence.proofs[1].fact.head.signature[0] ^= 1);
    // One proof that lies is not made good by another.
    fails(Step::Log, AGENTS, "sat.proof", |case| {
        let mut second = case.evidence.proofs[0].clone();
        second.fact.head.head.timestamp = after(7);
        case.evidence.proofs.push(second);
    });
    // A head that covers what was promised later is a contradiction of the log's.
    fails(Step::Log, AGENTS, "sat.proof", |case| {
        let head = TreeHead { timestamp: UnixMillis::new(START.get() - 1), ..case.evidence.proofs[0].fact.head.head };
        case.evidence.proofs[0].fact.head = SignedTreeHead::sign(&key(LOG_A), head).unwrap();
    });
    // Logged after the action, as far as clocks can tell.
    fails_in(Step::Log, AGENTS, "sat.missing", |world| world.agent.sats = vec![(LOG_A, after(7)), (LOG_B, after(7))]);
    fails_in(Step::Log, PARENTS, "sat.operators", |world| world.parents[0].sats.truncate(1));
}

#[test]
fn logs_count_while_they_were_trusted() {
    let until = |case: &mut Case, minutes| {
        let of = |seed, operator| TrustedLog { until: Some(after(minutes)), ..log(seed, operator) };
        case.world.party.logs = LogList::new(vec![of(LOG_A, "Operator A"), of(LOG_B, "Operator B")]).unwrap();
    };
    let mut case = Case::new();
    until(&mut case, 60);
    assert!(case.finding().holds());
    // The head is of after the end of trust.
    until(&mut case, 8);
    let lacks = |subject| (Step::Log, subject, vec!["sat.inclusion"]);
    assert_eq!(case.failed(), [lacks(AGENTS), lacks(PARENTS)]);
    assert!(case.finding().notes.iter().any(|note| note.detail.contains("not trusted any more")));
    // A proof of a log that nobody here knows says nothing, neither good nor bad.
    let mut case = Case::new();
    let mut foreign = case.evidence.proofs[0].clone();
    foreign.fact.head = SignedTreeHead::sign(&key(ROGUE_LOG), foreign.fact.head.head).unwrap();
    case.evidence.proofs.push(foreign.clone());
    assert!(case.finding().holds());
    case.evidence
        .proofs
        .retain(|proof| proof.fact.head == foreign.fact.head || proof.certificate != foreign.certificate);
    assert_eq!(case.failed(), [lacks(AGENTS)]);
}

/// The proof of `certificate`'s entry in a tree of two, as a file of the log of this origin.
fn proof_file(case: &Case, origin: &Origin) -> About<TlogProof> {
    let recovered = crate::apki::precertificate::recover(&case.evidence.certificate).unwrap().unwrap();
    let entries = [CertHash::of_certificate(&recovered.precertificate_der), CertHash::new([1; 32])];
    let (root, inclusion) = tree(&entries, 0);
    let head = TreeHead { size: TreeSize::new(2), timestamp: after(6), root };
    let checkpoint = sign_checkpoint(&key(LOG_A), origin, &head).unwrap();
    let fact = TlogProof::new(LeafIndex::new(0), head.size, inclusion, checkpoint.as_bytes()).unwrap();
    About { certificate: case.evidence.certificate.fingerprint(), fact }
}

#[test]
fn a_proof_file_does_as_well() {
    let origin: Origin = "log.example.com/2026".parse().unwrap();
    let mut case = Case::new();
    case.evidence.proofs.remove(0);
    case.evidence.tlog_proofs = vec![proof_file(&case, &origin)];
    let known = |until| {
        let a = TrustedLog { origin: Some(origin.clone()), until, ..log(LOG_A, "Operator A") };
        LogList::new(vec![a, log(LOG_B, "Operator B")]).unwrap()
    };
    case.world.party.logs = known(None);
    let answers = case.finding().answers.unwrap();
    let entry = answers.logged[0].entry.unwrap();
    assert_eq!((entry.leaf_index.get(), entry.tree_size.get(), entry.head_at), (0, 2, None));
    // A checkpoint has no time, so that of a log that is trusted no more is none.
    let lacks = [(Step::Log, AGENTS, vec!["sat.inclusion"])];
    case.world.party.logs = known(Some(after(60)));
    assert_eq!(case.failed(), lacks);
    let other: Origin = "other.example.com/2026".parse().unwrap();
    case.evidence.tlog_proofs = vec![proof_file(&case, &other)];
    case.world.party.logs = known(None);
    assert_eq!(case.failed(), lacks);
    // Signed by the log, and about another entry.
    let mut wrong = proof_file(&case, &origin);
    wrong.certificate = case.parent().fingerprint();
    case.evidence.tlog_proofs = vec![proof_file(&case, &origin), wrong];
    assert_eq!(case.failed(), [(Step::Log, PARENTS, vec!["sat.proof"])]);
}

#[test]
fn timestamps_may_travel_beside_a_certificate() {
    let mut case = Case::new();
    // The agent again, without any embedded.
    let mut agent = case.world.agent.clone();
    agent.delegation().parent_cert_hash = case.parent().fingerprint();
    let certificate = agent.draft().certificate(&key(ORG));
    let entry = CertHash::new(certificate.fingerprint());
    let (root, inclusion) = tree(&[entry], 0);
    let head = TreeHead { size: TreeSize::new(1), timestamp: after(6), root };
    let about = |fact| About { certificate: certificate.fingerprint(), fact };
    let head = SignedTreeHead::sign(&key(LOG_A), head).unwrap();
    case.evidence.proofs[0] =
        About { certificate: certificate.fingerprint(), fact: HeadProof { index: LeafIndex::new(0), inclusion, head } };
    case.evidence.answers[0].certificate = certificate.fingerprint();
    case.evidence.timestamps = agent.stamps(entry).into_iter().map(about).collect();
    case.evidence.certificate = certificate.clone();
    case.sign(|said| said.certificate = certificate.fingerprint());
    assert!(case.finding().holds(), "{}", case.finding());
    case.evidence.timestamps.clear();
    assert_eq!(case.failed(), [(Step::Log, AGENTS, vec!["sat.missing"])]);
}

#[test]
fn revocation_counts_from_its_moment_on() {
    let said = |at, as_of| {
        move |case: &mut Case| {
            let agent = case.evidence.certificate.clone();
            let status = CertStatus::Revoked { at: moment(at), reason: RevocationReason::KeyCompromise };
            case.evidence.answers[0].fact = ocsp(&agent, status, as_of);
        }
    };
    fails(Step::Revocation, AGENTS, "revocation.revoked", said(after(4), after(6)));
    // The second before is before.
    fails(Step::Revocation, AGENTS, "revocation.revoked", said(after(5), after(6)));
    let mut case = Case::new();
    said(UnixMillis::new(after(5).get() + 1000), after(6))(&mut case);
    let answers = case.finding().answers.unwrap();
    let later = answers.revoked_later.first().unwrap();
    assert_eq!((later.agent.as_str(), later.at.get()), (&*case.world.agent.uri, after(5).get() + 1000));
    assert!(case.finding().notes.iter().any(|note| note.detail.contains("revoked later")));
    // So is an agent above.
    fails(Step::Revocation, PARENTS, "revocation.revoked", |case| {
        let parent = case.parent().clone();
        let status = CertStatus::Revoked { at: moment(after(1)), reason: RevocationReason::Unspecified };
        case.evidence.answers[1].fact = ocsp(&parent, status, after(6));
    });
    // What somebody knows from elsewhere counts as well.
    let case = Case::new();
    let mut facts = Facts::default();
    facts.revocations.answers.push(Standing {
        certificate: case.evidence.certificate.fingerprint(),
        status: Status::Revoked { at: after(2), reason: RevocationReason::Superseded },
        this_update: after(3),
        next_update: after(4),
    });
    let question = Question { facts: Some(&facts), ..Question::default() };
    assert_eq!(case.asked(&question).codes(), ["revocation.revoked"]);
}

#[test]
fn without_an_answer_of_the_time_or_later_nobody_is_cleared() {
    fails(Step::Revocation, AGENTS, "revocation.unavailable", |case| drop(case.evidence.answers.remove(0)));
    fails(Step::Revocation, AGENTS, "revocation.unknown", |case| {
        case.evidence.answers[0].fact = ocsp(&case.evidence.certificate, CertStatus::Unknown, after(6));
    });
    // It ran out before the action.
    fails(Step::Revocation, AGENTS, "revocation.stale", |case| {
        case.sign(|said| said.signed_at = after(50));
        case.evidence.answers[1].fact = ocsp(case.parent(), CertStatus::Good, after(51));
    });
    // Good is said of certificates that are valid: behind the end it clears nobody.
    fails(Step::Revocation, AGENTS, "revocation.stale", |case| {
        case.evidence.answers[0].fact = ocsp(&case.evidence.certificate, CertStatus::Good, after(61));
    });
    // Not by the CA.
    fails(Step::Revocation, AGENTS, "revocation.invalid", |case| {
        let last = case.evidence.answers[0].fact.len() - 1;
        case.evidence.answers[0].fact[last] ^= 1;
    });
    // The answer about another certificate.
    fails(Step::Revocation, AGENTS, "revocation.invalid", |case| {
        case.evidence.answers[0].fact = case.evidence.answers[1].fact.clone();
    });
    // An answer that lies is not made good by another.
    fails(Step::Revocation, AGENTS, "revocation.invalid", |case| {
        let mut second = case.evidence.answers[0].clone();
        let last = second.fact.len() - 1;
        second.fact[last] ^= 1;
        case.evidence.answers.push(second);
    });
    // Whoever does not insist is told that it is open.
    let mut case = Case::new();
    case.evidence.answers.clear();
    for mode in [RevocationMode::SoftFail, RevocationMode::Off] {
        case.world.party.policy.revocation.mode = mode;
        let finding = case.finding();
        let open = finding.links.iter().filter(|link| link.outcome == Outcome::Open).map(|link| link.step);
        assert_eq!(open.collect::<Vec<_>>(), [Step::Revocation, Step::Revocation]);
        assert!(finding.holds());
    }
}

#[test]
fn a_list_does_as_an_answer_does() {
    let mut case = Case::new();
    let (agent, parent) = (case.evidence.certificate.clone(), case.parent().clone());
    case.evidence.answers.clear();
    case.evidence.lists = vec![crl(&[], after(6))];
    assert!(case.finding().holds());
    case.evidence.lists = vec![crl(&[(&parent, after(4))], after(6))];
    assert_eq!(case.failed(), [(Step::Revocation, PARENTS, vec!["revocation.revoked"])]);
    case.evidence.lists = vec![crl(&[(&agent, after(6))], after(6))];
    assert_eq!(case.finding().answers.unwrap().revoked_later.len(), 1);
    // Behind its end a certificate may have been left out; one that is still there was revoked all the same.
    case.evidence.lists = vec![crl(&[], after(61))];
    let stale = |subject| (Step::Revocation, subject, vec!["revocation.stale"]);
    assert_eq!(case.failed(), [stale(AGENTS), stale(PARENTS)]);
    case.evidence.lists = vec![crl(&[(&agent, after(4))], after(61))];
    assert_eq!(case.failed(), [(Step::Revocation, AGENTS, vec!["revocation.revoked"]), stale(PARENTS)]);
    let mut forged = crl(&[], after(6));
    let last = forged.crl.len() - 1;
    forged.crl[last] ^= 1;
    case.evidence.lists = vec![crl(&[], after(6)), forged];
    assert_eq!(case.failed(), [(Step::Revocation, AGENTS, vec!["revocation.invalid"])]);
}

#[test]
fn the_agent_was_trusted_and_kept_its_limits() {
    fails(Step::Trust, None, "trust.score", |case| case.world.party.policy.minimum = points(60));
    fails(Step::Limits, None, "capability.perTransaction", |case| {
        case.sign(|said| said.operation = Some(payment(5001, "GBP")));
    });
    fails(Step::Limits, None, "capability.currency", |case| case.sign(|said| said.operation = Some(payment(1, "EUR"))));
    fails(Step::Limits, None, "capability.tool", |case| {
        case.sign(|said| said.operation = Some(call("mcp://x", "pay")))
    });
    // Nobody says what it is.
    let mut case = Case::new();
    case.sign(|said| said.operation = None);
    let finding = case.finding();
    assert!(finding.holds() && finding.links.last().unwrap().outcome == Outcome::Open);
    assert_eq!(finding.answers.unwrap().limits.rights, []);
    // The verifier knows what it is.
    let own = payment(5001, "GBP");
    let question = Question { operation: Some(&own), ..Question::default() };
    assert_eq!(case.asked(&question).codes(), ["capability.perTransaction"]);
    assert_eq!(Case::new().asked(&question).codes(), ["capability.perTransaction", "action.operation"]);
    let within = payment(4999, "GBP");
    let question = Question { operation: Some(&within), ..Question::default() };
    assert_eq!(Case::new().asked(&question).codes(), ["action.operation"]);
}

#[test]
fn a_bundle_of_the_domain_counts_as_of_the_time() {
    let trusting = |issued: i64, expires: i64| {
        let mut case = Case::new();
        let at = |minutes: i64| moment(UnixMillis::new(START.get().saturating_add_signed(minutes * MINUTE as i64)));
        case.world.trust(Trusted::Bundle(bundle(|members| {
            (members.issued_at, members.expires_at) = (at(issued), at(expires));
        })));
        case
    };
    // It has run out long since, and held then.
    assert!(trusting(-60, 10).finding().holds());
    // The domain's next one.
    let later = trusting(600, 1200);
    assert!(later.finding().holds());
    assert!(later.finding().notes.iter().any(|note| note.detail.contains("later than what is asked about")));
    // It had run out before.
    assert_eq!(trusting(-60, 4).failed(), [(Step::Chain, AGENTS, vec!["federation.bundle"])]);
    // Roots by hand do not run out.
    let mut case = Case::new();
    case.world.trust(Trusted::Roots(Anchors::new([root()]).unwrap()));
    assert!(case.finding().holds());
}

#[test]
fn a_human_is_revealed_by_name_and_salt() {
    let (name, salt) = ("Ann Example", [9_u8; 32]);
    let hash = hex::encode(Sha256::new().chain_update(salt).chain_update(name).finalize());
    let with = |principal: &str| {
        let mut world = world();
        world.parents[0].delegation().human_principal = Some(text(principal));
        Case::of(world)
    };
    let ask = |case: &Case, name, salt: Option<&[u8]>| {
        let question = Question { principal: Some(Principal { name, salt }), ..Question::default() };
        case.asked(&question)
    };
    let hashed = with(&format!("sha256:{hash}"));
    let finding = ask(&hashed, name, Some(&salt));
    assert_eq!(finding.links.last().unwrap().step, Step::Principal);
    assert_eq!(finding.answers.unwrap().on_behalf_of.name.as_deref(), Some(name));
    let itself = format!("sha256:{hash}");
    for (name, salt) in [("Bob", Some(&salt[..])), (name, Some(&[8; 32])), (name, None), (&itself, None)] {
        assert_eq!(ask(&hashed, name, salt).codes(), ["action.principal"]);
    }
    let plain = with(name);
    assert!(ask(&plain, name, None).holds() && ask(&plain, name, Some(&salt)).holds());
    assert_eq!(ask(&plain, "Bob", None).codes(), ["action.principal"]);
}

#[test]
fn each_malformation_of_a_file_has_its_reason() {
    let case = Case::new();
    let good = String::from_utf8(case.evidence.to_json()).unwrap();
    let resealed = |text: &str| Evidence::parse(&reseal(text)).unwrap_err();
    assert_eq!(Evidence::parse(&reseal(&good)), Ok(case.evidence.clone()));
    assert_eq!(Evidence::parse(&vec![b' '; MAX_EVIDENCE + 1]), Err(BadEvidence::TooLong(MAX_EVIDENCE + 1)));
    assert!(matches!(Evidence::parse(b"{}"), Err(BadEvidence::Json(_))));
    let change = |from: &str, to: &str| {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good, "{from}");
        changed
    };
    assert_eq!(resealed(&change("atl-evidence", "atl-else")), BadEvidence::Format("atl-else".into()));
    assert_eq!(resealed(&change("\"version\": 1", "\"version\": 2")), BadEvidence::Version(2));
    let made_by = change("a test", "b test");
    assert!(matches!(Evidence::parse(made_by.as_bytes()), Err(BadEvidence::Damaged { .. })));
    assert!(Evidence::parse(&reseal(&made_by)).is_ok());
    assert_eq!(resealed(&change("  \"made_by\"", " \"made_by\"")), BadEvidence::NotCanonical);
    assert_eq!(resealed(&change("\"a test\"", "\"\\u0061 test\"")), BadEvidence::NotCanonical);
    assert_eq!(Evidence::parse(good.trim_end().as_bytes()), Err(BadEvidence::NotCanonical));
    assert!(matches!(resealed(&change("\"made_by\"", "\"made_for\"")), BadEvidence::Json(_)));
    let more = change("  \"lists\": []", "  \"lists\": [],\n  \"more\": 1");
    assert!(matches!(resealed(&more), BadEvidence::Json(_)));
    let long = change("a test", &"a".repeat(129));
    assert_eq!(resealed(&long), BadEvidence::TooMany { member: "made_by", found: 129, most: 128 });
    let agent = hex::encode(case.evidence.certificate.fingerprint());
    let stranger = change(&agent, &"00".repeat(32));
    assert_eq!(resealed(&stranger), BadEvidence::Stranger { member: "proofs", index: 0 });

    let made = |change: &dyn Fn(&mut Evidence)| {
        let mut evidence = case.evidence.clone();
        change(&mut evidence);
        Evidence::parse(&evidence.to_json())
    };
    let many = made(&|evidence| evidence.proofs = vec![evidence.proofs[0].clone(); MAX_FACTS + 1]);
    assert_eq!(many, Err(BadEvidence::TooMany { member: "proofs", found: MAX_FACTS + 1, most: MAX_FACTS }));
    let deep = made(&|evidence| evidence.proofs[0].fact.inclusion = vec![Hash::new([0; 32]); 65]);
    assert_eq!(deep, Err(BadEvidence::TooMany { member: "inclusion", found: 65, most: 64 }));
    let long = made(&|evidence| evidence.action = Some(vec![0; MAX_ACTION + 1]));
    assert_eq!(long, Err(BadEvidence::TooMany { member: "action", found: MAX_ACTION + 1, most: MAX_ACTION }));
}

#[test]
fn whom_the_bundle_is_about_can_be_read_without_a_policy() {
    let case = Case::new();
    assert_eq!(case.finding().claims, AgentUri::parse(&case.world.agent.uri).ok());
}

/// The text with the hash at its end set right.
fn reseal(text: &str) -> Vec<u8> {
    let (before, _) = text.rsplit_once("  \"sha256\": \"").unwrap();
    let hash = hex::encode(Sha256::digest(before));
    format!("{before}  \"sha256\": \"{hash}\"\n}}\n").into_bytes()
}

/// Where what nobody signs stands in the text: when it was made and by what.
fn unsigned(text: &str) -> std::ops::Range<usize> {
    text.find("\"made_at\"").unwrap()..text.find("\"action\"").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_changed_octet_verifies(at: prop::sample::Index, bit in 0..7_u8, sealed: bool) {
        let case = Case::new();
        let text = String::from_utf8(case.evidence.to_json()).unwrap();
        let at = at.index(text.len());
        let mut octets = text.clone().into_bytes();
        octets[at] ^= 1 << bit;
        let changed = String::from_utf8(octets).unwrap();
        // Whoever changes it may set the hash at its end right, and may say of when and what it is made.
        let file = match sealed && changed.contains("  \"sha256\": \"") {
            true => reseal(&changed),
            false => changed.into_bytes(),
        };
        let restored = file == text.as_bytes();
        if let Ok(read) = Evidence::parse(&file) {
            let finding = verify(&read, &case.world.party, &Question::default());
            prop_assert!(!finding.holds() || restored || (sealed && unsigned(&text).contains(&at)), "octet {at}: {finding}");
        }
    }

    #[test]
    fn no_octets_make_the_parser_panic(octets in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = Evidence::parse(&octets);
    }
}
