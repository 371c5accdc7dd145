//! What follows from what was answered. Pure: no network, no clock.

use std::time::Duration;

use atl::api::{B64, EntryResponse};
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::merkle::{Hash, LeafIndex};
use atl::time::UnixMillis;

use super::Errand;
use super::ask::{Entry, Failure, Inclusion, Proof};
use crate::evidence::{Exhibit, Included, Receipt};
use crate::finding::{Class, EntryRef, Finding};
use crate::head::SignedHead;
use crate::watched::WatchedLog;

/// Milliseconds that are allowed for clocks and networks on top of every delay.
pub const SLACK_MS: u64 = 10_000;
/// For how long a log may refuse an answer before somebody is told.
const REFUSED_MS: u64 = 86_400_000;
/// For how long a log may be silent before its errands are given up, with a finding of each.
const SILENT_MS: u64 = 7 * 86_400_000;
/// The first pause between two questions, and the longest, in milliseconds.
const PAUSE_MS: (u64, u64) = (2000, 3_600_000);
/// The longest pause that a log may ask for.
const MAX_WAIT: Duration = Duration::from_secs(86_400);

/// What came of an errand: written as one step.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What is worth telling, each with the evidence that is to be kept first.
    pub findings: Vec<Found>,
    /// What has to be asked next.
    pub errands: Vec<Errand>,
    /// When to ask again; `None` where it is settled.
    pub again: Option<Again>,
}

/// A finding, and what proves it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The finding.
    pub finding: Finding,
    /// What is kept before anybody is told; `None` where there is nothing but the entry itself.
    pub exhibit: Option<Box<Exhibit>>,
}

/// That an errand is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Again {
    /// When to ask again.
    pub at: UnixMillis,
    /// Whether anybody was asked.
    pub asked: bool,
    /// Why it is not settled.
    pub why: String,
}

impl Outcome {
    /// Settled, with nothing to tell.
    pub fn settled() -> Self {
        Self::default()
    }

    /// Settled, with this to tell.
    pub fn found(finding: Finding, exhibit: Option<Exhibit>) -> Self {
        Self { findings: vec![Found { finding, exhibit: exhibit.map(Box::new) }], ..Self::default() }
    }

    /// To be asked at `at`: nobody was asked now.
    pub fn put_off(at: UnixMillis, why: impl Into<String>) -> Self {
        Self { again: Some(Again { at, asked: false, why: why.into() }), ..Self::default() }
    }
}

/// How often an errand was asked before, and what time it is.
#[derive(Clone, Copy, Debug)]
pub struct Tries {
    /// Now.
    pub now: UnixMillis,
    /// When it was asked first; `None` where that is now.
    pub first_asked: Option<UnixMillis>,
    /// How often before.
    pub attempts: u32,
    /// A number of its own, which spreads errands of one moment over time.
    pub lot: u64,
}

impl Tries {
    /// Milliseconds since it was asked first.
    pub fn age(&self) -> u64 {
        self.first_asked.map_or(0, |first| self.now.since(first))
    }

    /// To be asked again after a pause that doubles each time, up to an hour, with up to a quarter more; not before
    /// what the log asks for.
    pub fn again(&self, why: impl Into<String>, retry_after: Option<Duration>) -> Outcome {
        let (least, most) = PAUSE_MS;
        let pause = least.saturating_mul(1 << self.attempts.min(20)).min(most);
        let spread = self.lot.rotate_left(self.attempts % 64) % (pause / 4 + 1);
        let asked = u64::try_from(retry_after.unwrap_or_default().min(MAX_WAIT).as_millis()).unwrap_or(0);
        let at = self.now.saturating_add((pause + spread).max(asked));
        Outcome { again: Some(Again { at, asked: true, why: why.into() }), ..Outcome::default() }
    }

    /// What follows where there is no answer: patience, and a finding once it is at an end.
    pub fn unanswered(&self, log: &WatchedLog, subject: &str, question: &str, failure: &Failure) -> Outcome {
        let patience = if failure.refused { REFUSED_MS } else { SILENT_MS };
        if self.age() < patience {
            return self.again(&failure.why, failure.retry_after);
        }
        let days = self.age() / 86_400_000;
        let summary = format!("{} has not answered for {days} d {question}", log.origin);
        let finding = Finding::new(Class::ProofRefused, Some(&log.origin), subject, summary, self.now)
            .with("last answer", &failure.why);
        let exhibit = exhibit(&finding, log, &[]).said([failure.receipt.clone()]);
        Outcome::found(finding, Some(exhibit.0))
    }
}

/// An exhibit that is being put together.
pub(super) struct Making(pub(super) Exhibit);

/// An exhibit of this finding about a log, with heads that it showed.
pub(super) fn exhibit(finding: &Finding, log: &WatchedLog, heads: &[&SignedHead]) -> Making {
    let mut exhibit = Exhibit::new(finding.class, vec![log.clone()], finding.summary.clone());
    exhibit.heads = heads.iter().map(|head| head.raw().clone()).collect();
    exhibit.shown_by = heads.iter().map(|_| "log".to_owned()).collect();
    Making(exhibit)
}

impl Making {
    pub(super) fn said(mut self, receipts: impl IntoIterator<Item = Receipt>) -> Self {
        self.0.receipts.extend(receipts);
        self
    }

    pub(super) fn sat(mut self, sat: &SignedAgentTimestamp) -> Self {
        self.0.sats.push(B64(sat.to_der()));
        self
    }

    fn leaves(mut self, leaves: Vec<Hash>) -> Self {
        self.0.leaves = leaves;
        self
    }

    fn entry(mut self, log: &WatchedLog, entry: &EntryResponse, proof: &Proof) -> Self {
        if let Some(der) = &entry.submission {
            self.0.certificates.push(Included {
                certificate: der.clone(),
                log: log.origin.as_str().to_owned(),
                index: proof.index,
                inclusion: proof.path.clone(),
                head: proof.head.raw().clone(),
            });
        }
        self
    }
}

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
        format!("{}@{}", self.sat.cert_hash, self.sat.timestamp.get())
    }

    fn finding(&self, class: Class, summary: String, now: UnixMillis) -> Finding {
        let mut finding = Finding::new(class, Some(&self.log.origin), &self.subject(), summary, now)
            .with("certificate, SHA-256 as submitted", self.sat.cert_hash)
            .with("timestamp of the SAT", self.sat.timestamp);
        if let Some(entry) = self.entry {
            finding = finding.with("the SAT was found in", format_args!("{}, entry {}", entry.log, entry.index));
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

    fn absent(&self, head: &SignedHead, receipt: Option<Receipt>, leaves: Option<Vec<Hash>>, tries: &Tries) -> Outcome {
        let leaf = self.sat.cert_hash.leaf_hash();
        let there = leaves.as_ref().and_then(|leaves| leaves.iter().position(|other| *other == leaf));
        let (class, summary) = match there {
            Some(_) => (Class::ProofRefused, format!("{} denies an entry that is in its tree", self.log.origin)),
            None => (
                Class::NotIncluded,
                format!("{} gave a timestamp for a certificate and does not have it in its tree", self.log.origin),
            ),
        };
        let mut finding = self.finding(class, summary, tries.now).with(
            "head without it",
            format_args!("{} leaves, signed {}", head.size(), head.timestamp().unwrap_or_default()),
        );
        finding = match (&leaves, there) {
            (_, Some(index)) => finding.with("its leaf", index),
            (Some(leaves), None) => finding.with("shown by", format_args!("all {} leaves of that head", leaves.len())),
            (None, None) => finding.with("shown by", "the log's own words"),
        };
        let exhibit = exhibit(&finding, self.log, &[head]).sat(&self.sat).said(receipt);
        Outcome::found(finding, Some(exhibit.leaves(leaves.unwrap_or_default()).0))
    }

    /// What follows where the leaf is proven to be in the tree: the entry has to be dated as the timestamp is, and
    /// between the heads around it. `around` are other heads of the log.
    pub fn proven(&self, proof: &Proof, entry: Entry, around: &[SignedHead], tries: &Tries) -> Outcome {
        let mut outcome = Outcome::settled();
        match entry {
            Entry::There(entry, receipt) => {
                outcome.findings.extend(self.dated_otherwise(proof, &entry, receipt, tries.now));
                outcome.findings.extend(self.out_of_bounds(proof, &entry, around, tries.now));
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

    /// A timestamp is not after a head that covers its leaf, nor before one that does not (protocol section 4).
    fn out_of_bounds(
        &self,
        proof: &Proof,
        entry: &EntryResponse,
        around: &[SignedHead],
        now: UnixMillis,
    ) -> Option<Found> {
        let heads = || std::iter::once(&*proof.head).chain(around);
        let at = self.sat.timestamp;
        let (class, head, words) =
            if let Some(head) = heads().find(|head| covers(head, proof.index) && signed_before(head, at)) {
                (Class::EntryNewerThanHead, head, "after a head that covers it was signed")
            } else {
                let head = heads().find(|head| !covers(head, proof.index) && signed_after(head, at))?;
                (Class::TimestampOutOfBounds, head, "before a head was signed that does not have it yet")
            };
        let summary = format!("{} has given entry {} a time {words}", self.log.origin, proof.index);
        let signed = head.timestamp().unwrap_or_default();
        let finding = self
            .finding(class, summary, now)
            .with("that head", format_args!("{} leaves, signed {signed}", head.size()));
        let exhibit = exhibit(&finding, self.log, &[head]).sat(&self.sat).entry(self.log, entry, proof);
        Some(Found { finding, exhibit: Some(Box::new(exhibit.0)) })
    }
}

fn covers(head: &SignedHead, index: LeafIndex) -> bool {
    index.is_in(head.size())
}

fn signed_before(head: &SignedHead, at: UnixMillis) -> bool {
    head.timestamp().is_some_and(|signed| signed < at)
}

fn signed_after(head: &SignedHead, at: UnixMillis) -> bool {
    head.timestamp().is_some_and(|signed| signed > at)
}

/// What follows of whether `log` has an entry of another log from `due` on.
pub fn elsewhere(entry: &EntryRef, log: &WatchedLog, due: UnixMillis, answer: Inclusion, tries: &Tries) -> Outcome {
    let subject = format!("{}@{}", entry.cert_hash, entry.log);
    let question = format!("whether entry {} of {} is in its tree too", entry.index, entry.log);
    match answer {
        Inclusion::Proven(_) => Outcome::settled(),
        Inclusion::Failed(failure) => tries.unanswered(log, &subject, &question, &failure),
        Inclusion::Garbage { head, reason, receipt } => {
            let summary = format!("{} proves with an invalid proof that an entry is in its tree", log.origin);
            let finding = Finding::new(Class::ProofGarbage, Some(&log.origin), &subject, summary, tries.now)
                .with("certificate, SHA-256 as submitted", entry.cert_hash)
                .with("the proof", reason);
            let exhibit = exhibit(&finding, log, &[&head]).said([receipt]).0;
            Outcome::found(finding, Some(exhibit))
        }
        Inclusion::Absent { head, .. } if signed_before(&head, due) && tries.age() < SILENT_MS => {
            let signed = head.timestamp().unwrap_or_default();
            tries.again(format!("the newest head of {}, of {signed}, need not have it yet", log.origin), None)
        }
        Inclusion::Absent { head, receipt, .. } => {
            let summary = format!("entry {} of {} should be in {} too, and is not", entry.index, entry.log, log.origin);
            let signed = head.timestamp().unwrap_or_default();
            let mut finding = Finding::new(Class::MissingFromOtherLog, Some(&log.origin), &subject, summary, tries.now)
                .with("certificate, SHA-256 as submitted", entry.cert_hash)
                .with("in", format_args!("{}, entry {}", entry.log, entry.index))
                .with("not in", format_args!("{}, head of {} leaves, signed {signed}", log.origin, head.size()));
            finding.entry = Some(entry.clone());
            let exhibit = exhibit(&finding, log, &[&head]).said(receipt).0;
            Outcome::found(finding, Some(exhibit))
        }
    }
}
