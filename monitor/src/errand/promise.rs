//! What a log promised by a timestamp, and what follows from what it says of it (protocol sections 3 and 4). Pure.

use atl::api::EntryResponse;
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::merkle::Hash;
use atl::time::UnixMillis;

use super::ask::{Covering, Entry, Failure, Inclusion, MAX_MMD_MS, Proof};
use super::decide::{Again, Found, Outcome, SILENT_MS, SLACK_MS, Tries, covers, exhibit, signed_after, signed_before};
use crate::evidence::Receipt;
use crate::finding::{Class, EntryRef, Finding};
use crate::head::SignedHead;
use crate::watched::WatchedLog;

/// A timestamp to be asked about.
#[derive(Clone, Debug)]
pub struct Promise<'a> {
    /// The log that signed it, and that we follow.
    pub log: &'a WatchedLog,
    /// The timestamp, whose signature is verified.
    pub sat: SignedAgentTimestamp,
    /// The entry in whose certificate it is, where it is known.
    pub entry: Option<&'a EntryRef>,
}

/// Why a timestamp is not asked about.
#[derive(Clone, Debug)]
pub enum NoPromise {
    /// It is none of a log that we follow, or anybody may have made it up. In words.
    Ignored(String),
    /// Somebody put it into a certificate that is logged.
    Suspicious(Box<Finding>),
}

/// What a finding about a broken promise is known by besides, once anybody can check it.
pub const PROVEN: &str = "/proven";

/// What findings about this timestamp (DER) are known by; `None` where it is none.
pub fn subject_of(sat: &[u8]) -> Option<String> {
    SignedAgentTimestamp::from_der(sat).ok().map(|sat| subject(&sat))
}

fn subject(sat: &SignedAgentTimestamp) -> String {
    format!("{}@{}", sat.cert_hash, sat.timestamp.get())
}

impl<'a> Promise<'a> {
    /// Reads a timestamp and verifies that one of `logs` signed it for `cert_hash`.
    pub fn read(
        sat: &[u8],
        cert_hash: CertHash,
        entry: Option<&'a EntryRef>,
        logs: impl IntoIterator<Item = &'a WatchedLog>,
        now: UnixMillis,
    ) -> Result<Self, NoPromise> {
        let refuse = |why: String| match entry {
            None => NoPromise::Ignored(why),
            Some(entry) => {
                let summary =
                    format!("the certificate of entry {} carries a timestamp that does not hold: {why}", entry.index);
                let subject = format!("sat:{}", entry.cert_hash);
                let mut finding = Finding::new(Class::MalformedExtension, None, &subject, summary, now)
                    .with("extension", "signedAgentTimestampList");
                finding.log.clone_from(&entry.log);
                finding.entry = Some(entry.clone());
                NoPromise::Suspicious(Box::new(finding))
            }
        };
        let parsed = SignedAgentTimestamp::from_der(sat).map_err(|error| refuse(error.to_string()))?;
        let log = logs.into_iter().find(|log| log.id == parsed.log_id);
        let log = log.ok_or_else(|| NoPromise::Ignored("it is of a log that is not followed".into()))?;
        match parsed.verify(log.key.key(), cert_hash) {
            Ok(()) => Ok(Self { log, sat: parsed, entry }),
            Err(error) => Err(refuse(format!("{}: {error}", log.origin))),
        }
    }

    fn subject(&self) -> String {
        subject(&self.sat)
    }

    fn finding(&self, class: Class, summary: String, now: UnixMillis) -> Finding {
        let mut finding = Finding::new(class, Some(&self.log.origin), &self.subject(), summary, now)
            .with("certificate, SHA-256 as submitted", self.sat.cert_hash)
            .with("timestamp of the SAT", self.sat.timestamp);
        if let Some(entry) = self.entry {
            finding = finding.with("the SAT was found in", format_args!("{}, entry {}", entry.log, entry.index));
            finding.entry = Some(entry.clone());
        }
        finding
    }

    /// Whether the tree of this head must have the leaf: it was signed when the merge delay was over.
    pub fn is_late(&self, head: &SignedHead, mmd_ms: u64) -> bool {
        head.timestamp().is_some_and(|signed| signed >= self.sat.timestamp.saturating_add(mmd_ms))
    }

    /// What follows where the log gave no proof. `leaves` are all of the head's tree, where they could be had.
    pub fn not_proven(&self, answer: Inclusion, leaves: Option<Vec<Hash>>, mmd_ms: u64, tries: &Tries) -> Outcome {
        match answer {
            // The entry has to be looked at: see `proven`.
            Inclusion::Proven(_) => Outcome::settled(),
            Inclusion::Failed(failure) => {
                let question = format!("whether certificate {} is in its tree", self.sat.cert_hash);
                tries.unanswered(self.log, &self.subject(), &question, &failure)
            }
            Inclusion::Garbage { head, reason, receipt } => {
                let summary = format!("{} proves with an invalid proof that an entry is in its tree", self.log.origin);
                let finding = self.finding(Class::ProofGarbage, summary, tries.now).with("the proof", reason);
                let exhibit = exhibit(&finding, self.log, &[&head]).sat(&self.sat).said([receipt]).0;
                Outcome::found(finding, Some(exhibit))
            }
            Inclusion::Absent { head, .. } if !self.is_late(&head, mmd_ms) => self.early(&head, mmd_ms, tries),
            Inclusion::Absent { head, receipt, .. } => self.absent(&head, receipt, leaves, tries),
        }
    }

    /// No head is there that must have it.
    fn early(&self, head: &SignedHead, mmd_ms: u64, tries: &Tries) -> Outcome {
        let must = self.sat.timestamp.saturating_add(mmd_ms);
        let signed = head.timestamp().unwrap_or_default();
        let why = format!("the newest head, of {signed}, need not have it; one of {must} or later must");
        if tries.age() < SILENT_MS {
            return tries.again(why, None);
        }
        let summary = format!("{} has signed no head for a week that would have to have an entry", self.log.origin);
        let finding = self.finding(Class::ProofRefused, summary, tries.now).with("newest head", signed);
        let exhibit = exhibit(&finding, self.log, &[head]).sat(&self.sat).0;
        Outcome::found(finding, Some(exhibit))
    }

    /// A head that must have it has not. With all the leaves of a head that was signed after the longest merge delay
    /// there is, anybody can check that; so where such a head is still to come, it is looked at again.
    fn absent(&self, head: &SignedHead, receipt: Option<Receipt>, leaves: Option<Vec<Hash>>, tries: &Tries) -> Outcome {
        let leaf = self.sat.cert_hash.leaf_hash();
        let origin = &self.log.origin;
        let signed = head.timestamp().unwrap_or_default();
        let there = leaves.as_ref().and_then(|leaves| leaves.iter().position(|other| *other == leaf));
        let is_shown = leaves.is_some() && there.is_none();
        let final_at = self.sat.timestamp.saturating_add(MAX_MMD_MS);
        let is_final = is_shown && self.is_late(head, MAX_MMD_MS);
        let (class, summary) = match there {
            Some(_) => (Class::ProofRefused, format!("{origin} denies an entry that is in its tree")),
            None => {
                let proven = if is_final { ", which all of its leaves prove" } else { "" };
                (
                    Class::NotIncluded,
                    format!("{origin} gave a timestamp for a certificate and does not have it{proven}"),
                )
            }
        };
        let mut finding = self.finding(class, summary, tries.now);
        if is_final {
            finding.subject.push_str(PROVEN);
        }
        finding = finding.with("head without it", format_args!("{} leaves, signed {signed}", head.size()));
        finding = match (&leaves, there) {
            (_, Some(index)) => finding.with("its leaf", index),
            (Some(leaves), None) => finding.with("shown by", format_args!("all {} leaves of that head", leaves.len())),
            (None, None) => finding.with("shown by", "the log's own words"),
        };
        let exhibit = exhibit(&finding, self.log, &[head]).sat(&self.sat).said(receipt);
        let mut outcome = Outcome::found(finding, Some(exhibit.leaves(leaves.unwrap_or_default()).0));
        if is_shown && !is_final && tries.age() < SILENT_MS {
            let at = final_at.saturating_add(SLACK_MS);
            let why = format!("a head of {final_at} or later proves it to anybody");
            outcome.again = match at > tries.now {
                true => Some(Again { at, asked: true, why }),
                false => tries.again(why, None).again,
            };
        }
        outcome
    }

    /// What follows where the leaf is proven to be in the tree: the entry has to be dated as the timestamp is, and
    /// between the heads around it. `around` are other heads of the log, and `covering` shows that the entry is under
    /// the head that [`Self::misdated`] names.
    pub fn proven(
        &self,
        proof: &Proof,
        entry: Entry,
        around: &[SignedHead],
        covering: Covering,
        tries: &Tries,
    ) -> Outcome {
        let mut outcome = Outcome::settled();
        match entry {
            Entry::There(entry, receipt) => {
                outcome.findings.extend(self.dated_otherwise(proof, &entry, receipt, tries.now));
                outcome.findings.extend(match self.misdated(proof, around) {
                    Some(head) => Some(self.newer_than(head, &entry, covering, tries.now)),
                    None => self.out_of_bounds(proof, &entry, around, tries.now),
                });
            }
            Entry::Other(reason, receipt) => {
                let summary = format!("{} answers with something else than an entry that it has", self.log.origin);
                let finding = self.finding(Class::BadTile, summary, tries.now).with("the answer", reason);
                let exhibit = exhibit(&finding, self.log, &[&proof.head]).sat(&self.sat).said([receipt]).0;
                return Outcome::found(finding, Some(exhibit));
            }
            Entry::Absent(_, receipt) => {
                let why = format!("{} proves an entry and says that it does not have it", self.log.origin);
                let failure = Failure { why, refused: true, retry_after: None, receipt };
                return self.no_entry(&failure, tries);
            }
            Entry::Failed(failure) => return self.no_entry(&failure, tries),
        }
        outcome
    }

    fn no_entry(&self, failure: &Failure, tries: &Tries) -> Outcome {
        let question = format!("what entry certificate {} has", self.sat.cert_hash);
        tries.unanswered(self.log, &self.subject(), &question, failure)
    }

    fn dated_otherwise(
        &self,
        proof: &Proof,
        entry: &EntryResponse,
        receipt: Receipt,
        now: UnixMillis,
    ) -> Option<Found> {
        let (summary, name, value) = if entry.timestamp != self.sat.timestamp {
            let summary = format!("{} dates entry {} otherwise than its timestamp says", self.log.origin, proof.index);
            (summary, "time of the entry", entry.timestamp.to_string())
        } else if entry.leaf_index != proof.index {
            let summary =
                format!("{} proves an entry at {} and serves it at another place", self.log.origin, proof.index);
            (summary, "place where it is served", entry.leaf_index.to_string())
        } else {
            return None;
        };
        let finding = self.finding(Class::TimestampOutOfBounds, summary, now).with(name, value);
        let exhibit =
            exhibit(&finding, self.log, &[&proof.head]).sat(&self.sat).entry(self.log, entry, proof).said([receipt]);
        Some(Found { finding, exhibit: Some(Box::new(exhibit.0)) })
    }

    /// A head that covers the leaf and was signed before the timestamp, which cannot be (protocol section 4).
    pub fn misdated<'h>(&self, proof: &'h Proof, around: &'h [SignedHead]) -> Option<&'h SignedHead> {
        let mut heads = std::iter::once(&*proof.head).chain(around);
        heads.find(|head| covers(head, proof.index) && signed_before(head, self.sat.timestamp))
    }

    /// The date of an entry is no part of its leaf: only the timestamp says it, and only a proof that leads to the very
    /// head which is older shows to others that the entry is under it.
    fn newer_than(&self, head: &SignedHead, entry: &EntryResponse, covering: Covering, now: UnixMillis) -> Found {
        let index = entry.leaf_index;
        let summary =
            format!("{} has given entry {index} a time after a head that covers it was signed", self.log.origin);
        let finding = self.dated_against(Class::EntryNewerThanHead, summary, head, now);
        let exhibit = exhibit(&finding, self.log, &[head]).sat(&self.sat);
        let (finding, exhibit) = match covering {
            Covering::Proof(proof) => (finding, exhibit.entry(self.log, entry, &proof)),
            Covering::Leaves(leaves) => (finding, exhibit.leaves(leaves)),
            Covering::Unshown => (finding.with("that the head covers it", "the log gives no proof of that"), exhibit),
        };
        Found { finding, exhibit: Some(Box::new(exhibit.0)) }
    }

    /// A timestamp is not before a head that does not have its leaf yet (protocol section 4).
    fn out_of_bounds(
        &self,
        proof: &Proof,
        entry: &EntryResponse,
        around: &[SignedHead],
        now: UnixMillis,
    ) -> Option<Found> {
        let head = around.iter().find(|head| !covers(head, proof.index) && signed_after(head, self.sat.timestamp))?;
        let words = "before a head was signed that does not have it yet";
        let summary = format!("{} has given entry {} a time {words}", self.log.origin, proof.index);
        let finding = self.dated_against(Class::TimestampOutOfBounds, summary, head, now);
        let exhibit = exhibit(&finding, self.log, &[head]).sat(&self.sat).entry(self.log, entry, proof);
        Some(Found { finding, exhibit: Some(Box::new(exhibit.0)) })
    }

    fn dated_against(&self, class: Class, summary: String, head: &SignedHead, now: UnixMillis) -> Finding {
        let signed = head.timestamp().unwrap_or_default();
        let finding = self.finding(class, summary, now);
        finding.with("that head", format_args!("{} leaves, signed {signed}", head.size()))
    }
}
