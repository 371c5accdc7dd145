//! What follows from what was answered. Pure: no network, no clock.

use std::time::Duration;

use atl::api::{B64, EntryResponse};
use atl::log::checkpoint::Origin;
use atl::log::sat::SignedAgentTimestamp;
use atl::merkle::{Hash, LeafIndex};
use atl::time::UnixMillis;

use super::Errand;
use super::ask::{Failure, Inclusion, Proof};
use crate::evidence::{Exhibit, Included, Receipt};
use crate::finding::{Class, EntryRef, Finding};
use crate::head::SignedHead;
use crate::watched::WatchedLog;

/// Milliseconds that are allowed for clocks and networks on top of every delay.
pub const SLACK_MS: u64 = 10_000;
/// For how long a log may refuse an answer before somebody is told.
const REFUSED_MS: u64 = 86_400_000;
/// For how long a log may be silent before its errands are given up, with a finding of each.
pub(super) const SILENT_MS: u64 = 7 * 86_400_000;
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
    /// What the evidence that was kept proves against logs; nothing before it is kept.
    pub proven: Vec<Proven>,
}

/// That a log is proven to have misbehaved, although its case is no more than a challenge as a rule: the leaves of the
/// whole tree are in the evidence, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The log.
    pub log: Origin,
    /// The evidence.
    pub evidence: String,
    /// What it shows.
    pub class: Class,
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

    pub(super) fn leaves(mut self, leaves: Vec<Hash>) -> Self {
        self.0.leaves = leaves;
        self
    }

    pub(super) fn entry(mut self, log: &WatchedLog, entry: &EntryResponse, proof: &Proof) -> Self {
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

pub(super) fn covers(head: &SignedHead, index: LeafIndex) -> bool {
    index.is_in(head.size())
}

pub(super) fn signed_before(head: &SignedHead, at: UnixMillis) -> bool {
    head.timestamp().is_some_and(|signed| signed < at)
}

pub(super) fn signed_after(head: &SignedHead, at: UnixMillis) -> bool {
    head.timestamp().is_some_and(|signed| signed > at)
}
