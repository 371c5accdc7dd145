//! The facts of a bundle, verified: what its proofs, OCSP answers and lists say, and which of them lie.
//!
//! Whoever made a bundle had the choice what to put in, so everything in it must hold: a proof or an answer that
//! does not verify fails its link, whatever else is there. What is of a log that is not known here says nothing
//! (R12), and what is about a certificate outside of the line is not looked at.

use super::bundle::{About, Evidence, HeadProof};
use super::link::{Failure, Step};
use crate::apki::status::crl::Crl;
use crate::apki::status::ocsp::OcspResponse;
use crate::log::checkpoint::Checkpoint;
use crate::log::proof::TlogProof;
use crate::merkle::{LeafIndex, TreeSize};
use crate::time::UnixMillis;
use crate::verify::relying::{
    Code, Examination, Examined, Facts, Inclusion, InclusionError, Note, Questionable, Reason, RelyingParty,
    RevocationLists, Standing, Subject, TrustedLog,
};

/// Where an entry is in a log's tree.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) subject: Subject,
    pub(super) log: &'a TrustedLog,
    pub(super) index: LeafIndex,
    pub(super) size: TreeSize,
    /// When the log signed the head, or since when as many witnesses as the policy wants have seen it, where that
    /// is known.
    pub(super) head_at: Option<UnixMillis>,
}

/// What a bundle comes to.
pub(super) struct Gathered<'a> {
    pub(super) facts: Facts,
    pub(super) places: Vec<Place<'a>>,
    pub(super) failures: Vec<(Step, Failure)>,
    pub(super) notes: Vec<Note>,
    party: &'a RelyingParty,
}

/// Verifies every fact of `evidence` about the line that was examined; `known` is what the verifier itself brings.
pub(super) fn gather<'a>(
    evidence: &Evidence,
    party: &'a RelyingParty,
    examination: &Examination,
    known: Option<&Facts>,
) -> Gathered<'a> {
    let facts = known.cloned().unwrap_or_default();
    let mut gathered = Gathered { facts, places: Vec::new(), failures: Vec::new(), notes: Vec::new(), party };
    for (depth, member) in examination.members().enumerate() {
        let fingerprint = member.fingerprint();
        let subject = Subject::at(depth);
        for proof in evidence.proofs.iter().filter(|proof| proof.certificate == fingerprint) {
            gathered.head_proof(&proof.fact, member, subject);
        }
        for proof in evidence.tlog_proofs.iter().filter(|proof| proof.certificate == fingerprint) {
            gathered.tlog_proof(&proof.fact, member, subject);
        }
    }
    gathered.answers(&evidence.answers, examination);
    gathered.lists(evidence);
    gathered
}

impl<'a> Gathered<'a> {
    fn fail(&mut self, code: Code, subject: Subject, detail: String) {
        let reason = Reason::new(code, subject, detail);
        self.failures.push((Step::of(&reason), Failure::from(&reason)));
    }

    fn note(&mut self, subject: Subject, detail: String) {
        self.notes.push(Note { subject, detail });
    }

    fn head_proof(&mut self, proof: &HeadProof, member: Examined<'_>, subject: Subject) {
        let HeadProof { index, inclusion, head } = proof;
        let Some(log) = self.party.logs.get(&head.log_id) else {
            return self
                .note(subject, format!("a proof of log {} does not count: the log is not known here", head.log_id));
        };
        let head_at = head.head.timestamp;
        let promised = self.party.stamps(member).find(|(of, _)| *of == log).map(|(_, since)| since);
        match Inclusion::under_head(member.cert_hash(), *index, inclusion, head, &self.party.logs) {
            // A head is not earlier than any timestamp that it covers (protocol section 4).
            Ok(_) if promised.is_some_and(|since| head_at < since) => {
                let detail = format!("{} covers its own timestamp with an older head, of {head_at}", log.name);
                self.fail(Code::InclusionInvalid, subject, detail);
            }
            Ok(inclusion) => {
                let (index, size, head_at) = (*index, head.head.size, Some(head_at));
                self.take(inclusion, Place { subject, log, index, size, head_at });
            }
            Err(error) => self.fail(Code::InclusionInvalid, subject, format!("the proof of {}: {error}", log.name)),
        }
    }

    fn tlog_proof(&mut self, proof: &TlogProof, member: Examined<'_>, subject: Subject) {
        let (logs, policy) = (&self.party.logs, &self.party.policy);
        let witnesses = policy.inclusion.as_ref().and_then(|inclusion| inclusion.witnesses.as_ref());
        // Whatever witnesses have signed since then counts; nothing here is of the future.
        let verified = Inclusion::from_proof(proof, member.cert_hash(), logs, witnesses, UnixMillis::new(u64::MAX));
        let inclusion = match verified {
            Ok(inclusion) => inclusion,
            Err(error @ InclusionError::UnknownOrigin(_)) => {
                return self.note(subject, format!("a proof does not count: {error}"));
            }
            Err(error) => return self.fail(Code::InclusionInvalid, subject, format!("a proof of inclusion: {error}")),
        };
        let size = Checkpoint::parse(proof.checkpoint().text()).map(|checkpoint| checkpoint.size);
        if let (Some(log), Ok(size)) = (logs.get(&inclusion.log), size) {
            let head_at = inclusion.witnessed_at;
            self.take(inclusion, Place { subject, log, index: proof.index(), size, head_at });
        }
    }

    /// A proof that holds counts where the log was trusted when it signed the head.
    fn take(&mut self, inclusion: Inclusion, place: Place<'a>) {
        let log = place.log;
        let trusted = match place.head_at {
            Some(at) => log.trusted_at(at),
            // A checkpoint without witnesses has no time: it counts as long as the log is trusted for good.
            None => log.until.is_none(),
        };
        if !trusted {
            let why = "the log was not trusted any more, or not yet, when it signed the head";
            return self.note(place.subject, format!("a proof of {} does not count: {why}", log.name));
        }
        self.facts.inclusions.push(inclusion);
        self.places.push(place);
    }

    /// OCSP answers, each as of its own moment: it was true then, whatever became of responder and answer since.
    fn answers(&mut self, answers: &[About<Vec<u8>>], examination: &Examination) {
        let asked = examination.questionable();
        // Each is hashed once, however many answers there are.
        let asked: Vec<_> = asked.iter().map(|asked| (asked.certificate.fingerprint(), asked)).collect();
        for answer in answers {
            let about = asked.iter().find(|(fingerprint, _)| *fingerprint == answer.certificate);
            let Some((_, about)) = about else { continue };
            match standing(&answer.fact, about) {
                Ok(standing) => self.facts.revocations.answers.push(standing),
                Err(why) => {
                    let detail = format!("the answer of the bundle: {why}");
                    self.fail(Code::StatusInvalid, examination.subject_of(about.certificate), detail);
                    self.facts.revocations.invalid.push((answer.certificate, why));
                }
            }
        }
    }

    fn lists(&mut self, evidence: &Evidence) {
        let mut lists = RevocationLists::clone(&self.facts.revocations.lists);
        for (index, list) in evidence.lists.iter().enumerate() {
            let added = Crl::parse(list.crl.as_slice()).map_err(|e| e.to_string());
            let added = added.and_then(|crl| {
                lists.add_beside(crl, &list.signer, &self.party.domains).map_err(|refused| refused.to_string())
            });
            if let Err(why) = added {
                self.fail(Code::StatusInvalid, Subject::Agent, format!("the list {index} of the bundle: {why}"));
            }
        }
        self.facts.revocations.lists = lists.into();
    }

    /// The places of this agent's certificate.
    pub(super) fn places_of(&self, subject: Subject) -> impl Iterator<Item = &Place<'a>> {
        self.places.iter().filter(move |place| place.subject == subject)
    }
}

fn standing(der: &[u8], about: &Questionable<'_>) -> Result<Standing, String> {
    let response = OcspResponse::parse(der).map_err(|e| e.to_string())?;
    let serial = about.certificate.serial();
    let own = response.answers().iter().find(|answer| answer.cert_id.serial() == serial);
    let own = own.ok_or("the OCSP response is about other certificates")?;
    let at = own.this_update.millis();
    Standing::from_ocsp(der, about.certificate, about.issuer, at, None).map_err(|e| e.to_string())
}
