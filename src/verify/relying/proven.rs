//! What signatures prove of a line: that each certificate stands below an anchor of the domain, and which
//! logs gave their timestamps. None of it depends on the present.

use super::code::Code;
use super::domains::Domain;
use super::line::Line;
use super::logs::LogList;
use super::member::{Member, dotted};
use super::policy::Policy;
use super::reason::{Findings, Subject};
use crate::apki::chain::{ChainError, Issuer, IssuerError, IssuerPath};
use crate::apki::federation::TrustDomain;
use crate::apki::oid;
use crate::log::sat::SatError;
use crate::time::UnixMillis;

/// Most certificates from an agent's to the anchor, both included (R9).
const MAX_CHAIN: usize = 4;
/// Most signatures that are verified for one presentation.
const MAX_SIGNATURES: usize = 96;
/// Most timestamps of one log of which one is good, the others being noise.
const MAX_TRIES: usize = 3;
/// The critical extensions of a CA that are understood.
const UNDERSTOOD: [der::asn1::ObjectIdentifier; 3] = [oid::BASIC_CONSTRAINTS, oid::KEY_USAGE, oid::NAME_CONSTRAINTS];

/// A timestamp that its log did give for the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The place of the log in the list.
    pub(super) log: usize,
    /// When.
    pub(super) timestamp: UnixMillis,
}

/// What is proven of one member of the line.
#[derive(Clone, Debug, Default)]
pub(super) struct Proven {
    /// The way up to the anchor.
    pub(super) path: Option<IssuerPath>,
    /// One timestamp a log at most.
    pub(super) stamps: Vec<Stamp>,
}

/// Bounds the work that somebody else can make us do.
struct Budget(usize);

impl Budget {
    fn spend(&mut self, signatures: usize) -> bool {
        match self.0.checked_sub(signatures) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

/// The domain and its name.
pub(super) type Named<'a> = (&'a TrustDomain, &'a Domain);

/// Proves what can be proven of each member, in their order, and adds what cannot.
pub(super) fn prove(
    line: &Line,
    domain: Named<'_>,
    logs: &LogList,
    policy: &Policy,
    found: &mut Findings,
) -> Vec<Proven> {
    let mut budget = Budget(MAX_SIGNATURES);
    let mut proven: Vec<Proven> = Vec::with_capacity(line.members.len());
    for (depth, member) in line.members.iter().enumerate() {
        let subject = Subject::at(depth);
        // Most lines stand below one CA: its own way up is then proven once.
        let known = line.members.iter().zip(&proven).find(|(earlier, _)| earlier.link.issuers == member.link.issuers);
        let known = known.and_then(|(_, proven)| proven.path.clone()).filter(|_| !member.link.issuers.is_empty());
        let path = match known {
            Some(path) => again(path, member, subject, &mut budget, found),
            None => first(member, domain, policy, subject, &mut budget, found),
        };
        if let Some(path) = &path {
            authority(path, member, domain, subject, found);
        }
        let stamps = stamps(member, logs, subject, &mut budget, found);
        proven.push(Proven { path, stamps });
    }
    proven
}

fn again(
    path: IssuerPath,
    member: &Member,
    subject: Subject,
    budget: &mut Budget,
    found: &mut Findings,
) -> Option<IssuerPath> {
    if !budget.spend(1) {
        exhausted(subject, found);
        return None;
    }
    match path.certifies(&member.link.certificate) {
        Ok(()) => Some(path),
        Err(error) => {
            refuse(&error, None, subject, found);
            None
        }
    }
}

fn first(
    member: &Member,
    (name, domain): Named<'_>,
    policy: &Policy,
    subject: Subject,
    budget: &mut Budget,
    found: &mut Findings,
) -> Option<IssuerPath> {
    let issuers = &member.link.issuers;
    // Of anchors with one name each is tried.
    let top = issuers.last().unwrap_or(&member.link.certificate).issuer_der();
    let anchors = domain.trusted.anchors().iter().filter(|anchor| anchor.certificate().subject_der() == top).count();
    if !budget.spend(anchors.max(1) + issuers.len().min(MAX_CHAIN)) {
        exhausted(subject, found);
        return None;
    }
    let path = IssuerPath::find(&member.link.certificate, issuers.clone(), domain.trusted.anchors(), MAX_CHAIN);
    match path {
        Ok(path) => {
            path.iter().for_each(|issuer| issuer_profile(issuer, policy, subject, found));
            Some(path)
        }
        Err(error) => {
            refuse(&error, Some(name), subject, found);
            None
        }
    }
}

fn exhausted(subject: Subject, found: &mut Findings) {
    let detail = format!("more than {MAX_SIGNATURES} signatures would have to be verified");
    found.against(Code::ChainBudget, subject, detail);
}

/// What the local lists and RFC 5280 want of a CA on the way.
fn issuer_profile(issuer: &Issuer, policy: &Policy, subject: Subject, found: &mut Findings) {
    let certificate = issuer.certificate();
    let key = issuer.key().algorithm();
    if !policy.algorithms.contains(&key) {
        let detail = format!("a CA on the way signs with {key:?}, which is not on the local list");
        found.against(Code::SignatureAlgorithm, subject, detail);
    }
    let unknown = |oid: &[u8]| !UNDERSTOOD.iter().any(|known| known.as_bytes() == oid);
    for extension in certificate.extensions().filter(|extension| extension.critical && unknown(extension.oid)) {
        let detail = format!("the critical extension {} of a CA on the way is not known", dotted(extension.oid));
        found.against(Code::IssuerCritical, subject, detail);
    }
}

/// Who is on the way may speak for this agent, and signs as its domain says it does.
fn authority(path: &IssuerPath, member: &Member, (name, domain): Named<'_>, subject: Subject, found: &mut Findings) {
    if let Some(uri) = &member.uri {
        for issuer in path.iter() {
            if let Err(error) = issuer.certificate().permits_agent(uri) {
                found.against(Code::NameConstraint, subject, error);
            }
        }
    }
    if let Some(algorithm) = member.link.certificate.signature_algorithm().filter(|a| !domain.trusted.allows(*a)) {
        let detail = format!("the bundle of {name} does not name {algorithm:?}");
        found.against(Code::DomainAlgorithm, subject, detail);
    }
}

fn refuse(error: &ChainError, domain: Option<&TrustDomain>, subject: Subject, found: &mut Findings) {
    let code = match error {
        ChainError::TooLong { .. } => Code::ChainTooLong,
        ChainError::Name { .. } => Code::ChainBroken,
        // That of the agent's own certificate was looked at before.
        ChainError::Algorithm { position: 0 } => return,
        ChainError::Algorithm { .. } => Code::SignatureAlgorithm,
        ChainError::Signature { .. } => Code::ChainSignature,
        ChainError::Issuer { cause, .. } => match cause {
            IssuerError::NotCa => Code::IssuerNotCa,
            IssuerError::NoKeyCertSign => Code::IssuerKeyUsage,
            IssuerError::Malformed(_) => Code::ChainMalformed,
            IssuerError::Key(_) => Code::KeyAlgorithm,
        },
        ChainError::PathLength { .. } => Code::PathLength,
        ChainError::UnknownAnchor | ChainError::NotByAnchor { .. } => Code::UnknownAnchor,
    };
    match (error, domain) {
        (ChainError::UnknownAnchor, Some(domain)) => {
            found.against(code, subject, format!("the chain does not end at or below a CA certificate of {domain}"));
        }
        _ => found.against(code, subject, error),
    }
}

/// The timestamps that count whatever time it is: of a trusted log, from while it was trusted and while the
/// certificate was valid (R30), and signed by it. Others do not count and do not refuse (R12).
fn stamps(member: &Member, logs: &LogList, subject: Subject, budget: &mut Budget, found: &mut Findings) -> Vec<Stamp> {
    let mut stamps: Vec<Stamp> = Vec::with_capacity(member.sats.len());
    let mut tries = vec![0; member.sats.len()];
    for (index, sat) in member.sats.iter().enumerate() {
        let Some(place) = logs.place(&sat.log_id) else {
            found.note(subject, format!("a timestamp of log {} does not count: the log is not known here", sat.log_id));
            continue;
        };
        let Some(log) = logs.at(place) else { continue };
        let skip = |why: &str| format!("the timestamp of {} does not count: {why}", log.name);
        if stamps.iter().any(|stamp| stamp.log == place) {
            continue;
        }
        let earlier = member.sats.iter().take(index).zip(&tries).filter(|(other, _)| other.log_id == sat.log_id);
        if earlier.map(|(_, tries)| tries).sum::<usize>() >= MAX_TRIES {
            found.note(subject, skip("there are too many of this log that are bad"));
            continue;
        }
        if !log.trusted_at(sat.timestamp) {
            found.note(subject, skip("the log was not trusted at that time"));
            continue;
        }
        if sat.timestamp > member.link.certificate.not_after() {
            found.note(subject, skip("it is later than the end of the certificate"));
            continue;
        }
        if !budget.spend(1) {
            exhausted(subject, found);
            break;
        }
        tries[index] = 1;
        match sat.verify(&log.key, member.cert_hash) {
            Ok(()) => stamps.push(Stamp { log: place, timestamp: sat.timestamp }),
            Err(SatError::Signature) => found.note(subject, skip("its signature does not verify")),
            Err(error) => found.note(subject, skip(&error.to_string())),
        }
    }
    stamps
}
