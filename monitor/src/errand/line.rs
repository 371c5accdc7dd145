//! A line of delegation, judged from the logs alone (draft 5.4 and 9.1, protocol sections 6 and 7), by the same
//! functions that a relying party uses. Pure.

use atl::api::B64;
use atl::apki::Certificate;
use atl::apki::attenuation::{Mode, Parent, Party, violations};
use atl::apki::delegation::Delegation;
use atl::apki::precertificate::recover;
use atl::keys::PublicKey;
use atl::log::entry::CertHash;
use atl::merkle::{Hash, LeafIndex};
use atl::time::UnixMillis;

use super::ask::{Failure, MAX_MMD_MS};
use super::decide::{Found, Outcome, SLACK_MS, Tries, exhibit};
use crate::evidence::{Exhibit, Included, Receipt, Terms};
use crate::finding::{Class, EntryRef, Finding};
use crate::head::SignedHead;
use crate::watched::WatchedLog;

/// Most agents above one that are looked for.
pub const MAX_ABOVE: usize = 16;
/// Most certificates of a line that evidence has, the nearest ones.
const MAX_SHOWN: usize = MAX_ABOVE + 1;

/// A certificate that a log holds: its hash is the leaf's, and the proof verifies.
#[derive(Clone, Debug)]
pub struct Located {
    /// The certificate as it was submitted.
    pub certificate: Certificate,
    /// The certificate of its issuer, in DER; `None` where the log has named none.
    pub issuer: Option<Vec<u8>>,
    /// The log.
    pub log: WatchedLog,
    /// Its leaf.
    pub index: LeafIndex,
    /// The inclusion proof to the root of `head`.
    pub inclusion: Vec<Hash>,
    /// A head of the log.
    pub head: Box<SignedHead>,
}

impl Located {
    /// The finding with the proof that the log holds this certificate.
    fn prove(&self, finding: Finding) -> Finding {
        finding.with_proof(self.index, &self.head, Ok(&self.inclusion))
    }

    /// The finding about it with the proof that the log holds it, and the certificate itself as evidence of that; what
    /// the owner holds certificates to is his own word.
    pub fn shown(&self, finding: Finding, terms: &Terms) -> Found {
        let finding = self.prove(finding);
        let exhibit = Exhibit {
            certificates: vec![self.included()],
            issuers: self.issuer.iter().cloned().map(B64).collect(),
            terms: Some(terms.clone()),
            ..Exhibit::new(finding.class, vec![self.log.clone()], finding.summary.clone())
        };
        Found { finding, exhibit: Some(Box::new(exhibit)) }
    }

    fn included(&self) -> Included {
        Included {
            certificate: self.certificate.der().to_vec().into(),
            log: self.log.origin.as_str().to_owned(),
            index: self.index,
            inclusion: self.inclusion.clone(),
            head: self.head.raw().clone(),
        }
    }

    fn delegation(&self) -> Option<Delegation> {
        self.certificate.delegation().ok().flatten()
    }

    /// The hash of the certificate above it; `None` at the root, and where nothing is delegated.
    pub fn parent(&self) -> Option<CertHash> {
        self.delegation().filter(|delegation| delegation.depth > 0).map(|d| CertHash::new(d.parent_cert_hash))
    }

    /// `None` where an agent extension or the name is malformed, which is a finding of its own about this entry.
    fn party(&self) -> Option<Party> {
        Party::of(self.certificate.agent_uri().ok()?, &self.certificate).ok()
    }

    /// What a certificate and its precertificate have in common: the hash of the latter.
    fn name(&self) -> CertHash {
        match recover(&self.certificate) {
            Ok(Some(recovered)) => CertHash::of_certificate(&recovered.precertificate_der),
            _ => CertHash::new(self.certificate.fingerprint()),
        }
    }

    /// Whether the CA that the log names as its issuer has signed it: a log could make up a certificate to accuse a
    /// CA with.
    fn is_signed(&self) -> bool {
        let issuer = self.issuer.as_ref().and_then(|der| Certificate::parse(der.clone()).ok());
        let signed = issuer.and_then(|issuer| {
            let key = PublicKey::from_spki_der(issuer.spki_der()).ok()?;
            let is_issuer = issuer.subject_der() == self.certificate.issuer_der();
            let known = self.certificate.signature_algorithm()? == key.algorithm();
            let verified = key.verify(self.certificate.tbs_der(), self.certificate.signature()).is_ok();
            Some(is_issuer && known && verified)
        });
        signed.unwrap_or(false)
    }

    /// Where it is.
    pub fn entry_ref(&self) -> EntryRef {
        let cert_hash = CertHash::new(self.certificate.fingerprint());
        EntryRef { log: self.log.origin.as_str().to_owned(), index: self.index, cert_hash }
    }

    /// Whose it is, for people.
    fn agent(&self) -> String {
        let name = self.certificate.agent_uri();
        name.map_or_else(|_| "an agent without a valid name".to_owned(), |uri| uri.as_str().to_owned())
    }

    /// It in words, for people.
    pub(super) fn words(&self) -> String {
        let name = self.agent();
        let score = self.certificate.trust_score().ok().flatten();
        let score = score.map_or_else(String::new, |score| format!(", score {}", score.score.get()));
        format!(
            "{name}, serial {}, {} to {}{score} ({}, entry {})",
            hex::encode(self.certificate.serial()),
            self.certificate.not_before(),
            self.certificate.not_after(),
            self.log.origin,
            self.index
        )
    }
}

/// Where a line ends.
#[derive(Clone, Debug)]
pub enum End {
    /// At an agent at depth 0, or without a delegation.
    Root,
    /// At a certificate that no log gives.
    Missing(Missing),
    /// There are more than [`MAX_ABOVE`] above it.
    TooDeep,
}

/// A certificate that no log gives.
#[derive(Clone, Debug, Default)]
pub struct Missing {
    /// Its hash.
    pub hash: Option<CertHash>,
    /// What the logs said.
    pub receipts: Vec<Receipt>,
    /// Whether a log has it and says that its next head will cover it.
    pub soon: bool,
    /// A log that has it and has dropped its octets.
    pub pruned: Option<String>,
    /// Logs that did not answer, with the reason.
    pub unanswered: Vec<(String, Failure)>,
    /// Logs that gave something that contradicts itself: a finding of each.
    pub contradictions: Vec<Found>,
}

/// The longest that a log may say of an entry that the next head will cover it.
const SOON_MS: u64 = MAX_MMD_MS + SLACK_MS;
/// How long is waited for logs that do not answer before those that do decide.
const PATIENCE_MS: u64 = 86_400_000;

/// What follows from the agents from `child` upwards as far as the logs gave them, the child's own first, and from
/// where they end. `mmd_ms` is the merge delay of the child's log.
pub fn judge(child: &EntryRef, line: &[Located], end: End, mmd_ms: u64, tries: &Tries) -> Outcome {
    let mut outcome = Outcome { findings: expanded(line, tries.now), ..Outcome::settled() };
    match end {
        End::Root => {}
        End::TooDeep => outcome.findings.extend(too_deep(child, line, tries.now)),
        End::Missing(missing) => {
            let waits = if missing.soon {
                tries.age() < SOON_MS
            } else if missing.unanswered.is_empty() {
                tries.age() < mmd_ms.saturating_add(SLACK_MS)
            } else {
                tries.age() < PATIENCE_MS
            };
            let why = missing.unanswered.first().map(|(_, failure)| failure);
            let retry_after = why.and_then(|failure| failure.retry_after);
            if waits {
                let why = why.map_or("the parent is in no log yet", |failure| &failure.why);
                outcome.again = tries.again(why, retry_after).again;
                outcome.findings.extend(missing.contradictions);
            } else {
                outcome.findings.extend(unresolved(child, line, missing, tries.now));
            }
        }
    }
    outcome
}

/// A finding for each agent of the line that has more than it may have.
fn expanded(line: &[Located], now: UnixMillis) -> Vec<Found> {
    let root = line.last().and_then(Located::delegation).filter(|delegation| delegation.depth == 0);
    let pairs = line.iter().enumerate().filter_map(|(depth, own)| Some((own, line.get(depth + 1..)?)));
    pairs
        .filter_map(|(own, above)| {
            let against = above.split_first().map(|(parent, above)| against_parent(own, parent, above));
            let against = against.unwrap_or_default();
            // A line has one human (R33).
            let said = own.delegation().and_then(|delegation| delegation.human_principal);
            let other = root.as_ref().is_some_and(|root| said.is_some() && said != root.human_principal);
            let human = other.then(|| "humanPrincipal is another than that of the root of the line".to_owned());
            let shown = !against.is_empty();
            let words: Vec<String> = against.into_iter().chain(human).collect();
            (!words.is_empty()).then(|| accuse(own, above, &words, shown, now))
        })
        .collect()
}

fn against_parent(own: &Located, parent: &Located, above: &[Located]) -> Vec<String> {
    let (Some(below), Some(party)) = (own.party(), parent.party()) else { return Vec::new() };
    let above: Vec<Delegation> = above.iter().map_while(Located::delegation).collect();
    let parent = Parent { party, cert_hash: parent.certificate.fingerprint() };
    // The moment of the delegation (R7).
    let at = own.certificate.not_before();
    violations(&below, &parent, &above, Mode::Subset, at).iter().map(ToString::to_string).collect()
}

/// The finding that an agent has more than those above it may give. It is `shown` by the certificates where it is more
/// than another human's name.
fn accuse(own: &Located, above: &[Located], words: &[String], shown: bool, now: UnixMillis) -> Found {
    let name = own.agent();
    let (class, summary) = if own.is_signed() {
        (Class::DelegationExpanded, format!("{name} was given more than may be handed on to it: {}", words.join("; ")))
    } else {
        let origin = &own.log.origin;
        let summary = format!("{origin} holds a delegation that breaks the rules and that its issuer has not signed");
        (Class::BadTile, summary)
    };
    let mut finding = Finding::new(class, Some(&own.log.origin), &format!("delegation:{}", own.name()), summary, now);
    for word in words {
        finding = finding.with("violation", word);
    }
    finding = finding.with("certificate", own.words());
    for (steps, ancestor) in above.iter().enumerate() {
        finding = finding.with(if steps == 0 { "parent" } else { "above it" }, ancestor.words());
    }
    finding.entry = Some(own.entry_ref());
    let finding = own.prove(finding);
    let exhibit = shown.then(|| Box::new(fraud_proof(&finding, own, above)));
    Found { finding, exhibit }
}

/// Both certificates and those above them that bind them, each with its inclusion proof and head.
fn fraud_proof(finding: &Finding, own: &Located, above: &[Located]) -> Exhibit {
    let mut shown = exhibit(finding, &own.log, &[]).0;
    // Whoever is not delegated binds nobody below its child.
    let binding = above.iter().enumerate().take_while(|(steps, up)| *steps == 0 || up.delegation().is_some());
    for located in std::iter::once(own).chain(binding.map(|(_, up)| up)).take(MAX_SHOWN) {
        if !shown.logs.iter().any(|log| log.id == located.log.id) {
            shown.logs.push(located.log.clone());
        }
        let issuer = located.issuer.clone().map(B64);
        shown.issuers.extend(issuer.filter(|issuer| !shown.issuers.contains(issuer)));
        shown.certificates.push(located.included());
    }
    shown
}

fn too_deep(child: &EntryRef, line: &[Located], now: UnixMillis) -> Option<Found> {
    let own = line.first()?;
    let summary = format!("more than {MAX_ABOVE} agents stand above an agent, and nobody follows such a line");
    let subject = format!("depth:{}", own.name());
    let mut finding = Finding::new(Class::ParentUnresolved, Some(&own.log.origin), &subject, summary, now)
        .with("certificate", own.words());
    finding.entry = Some(child.clone());
    Some(Found { finding: own.prove(finding), exhibit: None })
}

/// The findings that a certificate of the line is in no log: one for each such certificate, whoever is below it.
fn unresolved(child: &EntryRef, line: &[Located], missing: Missing, now: UnixMillis) -> Vec<Found> {
    let mut found = missing.contradictions;
    let Some((hash, below)) = missing.hash.zip(line.last()) else { return found };
    let whose = below.agent();
    let summary = match &missing.pruned {
        Some(log) => format!("the certificate of the parent of {whose} is in {log} and was dropped there already"),
        None => format!("the parent of {whose} is in no log that is followed"),
    };
    let mut finding = Finding::new(Class::ParentUnresolved, None, &format!("parent:{hash}"), summary, now)
        .with("parent's certificate, SHA-256", hash)
        .with("certificate below it", below.words());
    let own = line.first().unwrap_or(below);
    finding = finding.with("certificate", own.words());
    for (log, failure) in &missing.unanswered {
        finding = finding.with("not answered", format_args!("{log}: {}", failure.why));
    }
    finding.log.clone_from(&child.log);
    finding.entry = Some(child.clone());
    let finding = own.prove(finding);
    let mut exhibit = exhibit(&finding, &below.log, &[&below.head]);
    exhibit.0.certificates.push(below.included());
    let unanswered = missing.unanswered.into_iter().map(|(_, failure)| failure.receipt);
    let exhibit = exhibit.said(missing.receipts.into_iter().chain(unanswered)).0;
    found.push(Found { finding, exhibit: Some(Box::new(exhibit)) });
    found
}
