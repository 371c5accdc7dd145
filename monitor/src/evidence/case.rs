//! A case as it is written down: what an exhibit holds, bounded, and with nothing in it that is not kept.

use atl::api::B64;
use atl::log::note::{MAX_NOTE_OCTETS, Note, VerifierKey};
use atl::log::sat::SignedAgentTimestamp;
use atl::merkle::{Hash, LeafIndex};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::check::Verdict;
use super::{Divergence, Exhibit, FORMAT, Included, MAX_LEAVES, Receipt, Terms};
use crate::finding::Class;
use crate::head::RawHead;
use crate::watched::WatchedLog;

const MAX_LOGS: usize = 8;
const MAX_HEADS: usize = 16;
const MAX_CERTIFICATES: usize = 17;
const MAX_SATS: usize = 16;
const MAX_RECEIPTS: usize = 16;
/// More than any proof in a tree of 64-bit size has.
const MAX_NODES: usize = 128;
const MAX_TERMS: usize = 64;
/// Octets of one certificate.
const MAX_CERTIFICATE_OCTETS: usize = 1024 * 1024;
const MAX_SAT_OCTETS: usize = 4096;
/// Octets that are kept of what a server said.
const MAX_RECEIPT_OCTETS: usize = 64 * 1024;
/// Octets of a text for people; what is longer is cut.
const MAX_TEXT_OCTETS: usize = 4096;

/// Why a case cannot be written down, or read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CaseError {
    /// More than anybody needs.
    #[error("there are more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// Longer than anybody needs.
    #[error("{what} has more than {limit} octets")]
    TooLong {
        /// What.
        what: &'static str,
        /// How long it may be.
        limit: usize,
    },
    /// No log at all: nobody is accused, and nothing can be checked.
    #[error("it names no log")]
    NoLog,
    /// A log whose verifier key is none, or not that of its origin.
    #[error("the log {0:?} has no verifier key under its own name")]
    Log(String),
}

/// A log, and the key that all it signed is checked with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogDescription {
    /// Its name in checkpoints, which is that of its key as well.
    pub origin: String,
    /// Its key, as a C2SP verifier key.
    pub vkey: String,
    /// Where it answered.
    pub url: String,
    /// Who runs it; empty where nobody has said.
    pub operator: String,
}

/// A head, and who showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownHead {
    /// `log`, or the name of a monitor.
    pub shown_by: String,
    /// The head as it was signed.
    pub head: RawHead,
}

/// A receipt as far as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptKept {
    /// What was asked: a method and a URL.
    pub asked: String,
    /// The HTTP status, or 0 where there was no answer.
    pub status: u16,
    /// The beginning of the body, or the reason why there is none.
    pub body: B64,
    /// Octets of the body that are left out here.
    pub omitted: u64,
}

/// What is evidence: an [`Exhibit`] as it is written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub class: Class,
    /// The logs that it is about, the one accused first.
    pub logs: Vec<LogDescription>,
    /// Heads of the accused log.
    pub heads: Vec<ShownHead>,
    /// That one of the heads does not continue another.
    pub divergence: Option<Divergence>,
    /// Certificates that the logs hold.
    pub certificates: Vec<Included>,
    /// Certificates (DER) of CAs that signed them.
    pub issuers: Vec<B64>,
    /// Timestamps (DER) of the logs.
    pub sats: Vec<B64>,
    /// All leaf hashes under the first head.
    pub leaves: Vec<Hash>,
    /// What the owner holds certificates to.
    pub terms: Option<Terms>,
    /// What the log said.
    pub receipts: Vec<ReceiptKept>,
    /// One sentence for people.
    pub summary: String,
}

impl Case {
    /// Writes an exhibit down. Texts for people and what servers said are cut where they are too long; everything
    /// else that is, is an error.
    pub fn of(exhibit: &Exhibit) -> Result<Self, CaseError> {
        let describe = |log: &WatchedLog| LogDescription {
            origin: log.origin.to_string(),
            vkey: log.key.to_string(),
            url: cut(&log.url),
            operator: cut(&log.operator),
        };
        let shown_by = exhibit.shown_by.iter().map(String::as_str).chain(std::iter::repeat("not recorded"));
        let shown = |(head, by): (&RawHead, &str)| ShownHead { shown_by: cut(by), head: head.clone() };
        let case = Self {
            class: exhibit.class,
            logs: exhibit.logs.iter().map(describe).collect(),
            heads: exhibit.heads.iter().zip(shown_by).map(shown).collect(),
            divergence: exhibit.divergence.clone(),
            certificates: exhibit.certificates.clone(),
            issuers: exhibit.issuers.clone(),
            sats: exhibit.sats.clone(),
            leaves: exhibit.leaves.clone(),
            terms: exhibit.terms.clone(),
            receipts: exhibit.receipts.iter().map(kept).collect(),
            summary: cut(&exhibit.summary),
        };
        case.check_bounds()?;
        case.open_logs()?;
        Ok(case)
    }

    /// Whether nothing in it is more or longer than anybody needs.
    pub(super) fn check_bounds(&self) -> Result<(), CaseError> {
        many("logs", self.logs.len(), MAX_LOGS)?;
        many("heads", self.heads.len(), MAX_HEADS)?;
        many("certificates", self.certificates.len(), MAX_CERTIFICATES)?;
        many("issuers", self.issuers.len(), MAX_CERTIFICATES)?;
        many("timestamps", self.sats.len(), MAX_SATS)?;
        many("leaves", self.leaves.len(), MAX_LEAVES)?;
        many("receipts", self.receipts.len(), MAX_RECEIPTS)?;
        for nodes in self.divergence.iter().flat_map(|found| [&found.first, &found.rest]) {
            many("nodes in a divergence", nodes.len(), MAX_NODES)?;
        }
        for terms in self.terms.iter().flat_map(|terms| [&terms.trust_domains, &terms.organizations]) {
            many("terms of one kind", terms.len(), MAX_TERMS)?;
            terms.iter().try_for_each(|term| long("a term", term.len(), MAX_TEXT_OCTETS))?;
        }
        for certificate in &self.certificates {
            many("nodes in an inclusion proof", certificate.inclusion.len(), MAX_NODES)?;
            long("a certificate", certificate.certificate.0.len(), MAX_CERTIFICATE_OCTETS)?;
        }
        self.issuers.iter().try_for_each(|issuer| long("an issuer", issuer.0.len(), MAX_CERTIFICATE_OCTETS))?;
        self.sats.iter().try_for_each(|sat| long("a timestamp", sat.0.len(), MAX_SAT_OCTETS))?;
        for head in self.all_heads() {
            match head {
                RawHead::Sth(sth) => long("a tree head's signature", sth.signature.0.len(), MAX_SAT_OCTETS)?,
                RawHead::Checkpoint(text) => long("a checkpoint", text.len(), MAX_NOTE_OCTETS)?,
            }
        }
        for receipt in &self.receipts {
            long("a receipt's body", receipt.body.0.len(), MAX_RECEIPT_OCTETS)?;
        }
        let shown_by = self.heads.iter().map(|head| &head.shown_by);
        let logs = self.logs.iter().flat_map(|log| [&log.origin, &log.vkey, &log.url, &log.operator]);
        let mut texts = shown_by.chain(logs).chain(self.receipts.iter().map(|r| &r.asked)).chain([&self.summary]);
        texts.try_for_each(|text| long("a text", text.len(), MAX_TEXT_OCTETS))
    }

    /// The logs with their keys, the one accused first: there is at least one.
    pub fn open_logs(&self) -> Result<Vec<WatchedLog>, CaseError> {
        let open = |log: &LogDescription| {
            let key: Option<VerifierKey> = log.vkey.parse().ok();
            let opened = key.and_then(|key| WatchedLog::new(key, log.url.clone(), log.operator.clone()));
            opened.filter(|opened| opened.origin.as_str() == log.origin).ok_or(CaseError::Log(log.origin.clone()))
        };
        if self.logs.is_empty() {
            return Err(CaseError::NoLog);
        }
        self.logs.iter().map(open).collect()
    }

    fn all_heads(&self) -> impl Iterator<Item = &RawHead> {
        let of_certificates = self.certificates.iter().map(|included| &included.head);
        self.heads.iter().map(|shown| &shown.head).chain(of_certificates)
    }

    /// The name of this case: SHA-256 over what is evidence in it, in hex.
    ///
    /// Cases about certificates or timestamps are named by those, others by the heads, and those that have neither by
    /// what was asked. So the same case has one name whichever head its inclusion proofs lead to, whoever cosigned a
    /// checkpoint, and whatever a log says today. What is proven has another name than what was a suspicion before.
    pub fn id(&self, verdict: Verdict) -> String {
        #[derive(Serialize)]
        struct Core<'a> {
            format: &'static str,
            verdict: Verdict,
            class: Class,
            logs: Vec<&'a str>,
            heads: Vec<HeadCore>,
            certificates: Vec<(&'a str, LeafIndex, Hash)>,
            sats: Vec<String>,
            asked: Vec<&'a str>,
            terms: &'a Option<Terms>,
        }
        let entries = !self.certificates.is_empty() || !self.sats.is_empty();
        let mut heads: Vec<_> = self.heads.iter().filter(|_| !entries).map(|shown| HeadCore::of(&shown.head)).collect();
        heads.sort();
        let certificate = |c: &'_ Included| Hash::of(c.certificate.as_slice());
        let receipts = self.receipts.iter().filter(|_| !entries && heads.is_empty());
        let asked = receipts.map(|receipt| receipt.asked.as_str()).collect();
        let core = Core {
            format: FORMAT,
            verdict,
            class: self.class,
            logs: self.logs.iter().map(|log| log.vkey.as_str()).collect(),
            heads,
            certificates: self.certificates.iter().map(|c| (c.log.as_str(), c.index, certificate(c))).collect(),
            sats: self.sats.iter().map(|sat| sat_core(sat.as_slice())).collect(),
            asked,
            terms: &self.terms,
        };
        // Nothing in it can fail to be written: no map with odd keys, no number that JSON does not have.
        Hash::of(&serde_json::to_vec(&core).unwrap_or_default()).to_string()
    }
}

/// What a head says, without who signed it how often.
#[derive(Serialize, PartialEq, Eq, PartialOrd, Ord)]
enum HeadCore {
    Sth(u64, u64, String),
    Checkpoint(String),
}

impl HeadCore {
    fn of(head: &RawHead) -> Self {
        match head {
            RawHead::Sth(sth) => Self::Sth(sth.tree_size.get(), sth.timestamp.get(), sth.root_hash.to_string()),
            RawHead::Checkpoint(text) => {
                let note = Note::parse(text.as_bytes());
                Self::Checkpoint(note.map_or_else(|_| text.clone(), |note| note.text().to_owned()))
            }
        }
    }
}

/// What a timestamp says, without its signature; of what is no timestamp, its hash.
fn sat_core(der: &[u8]) -> String {
    match SignedAgentTimestamp::from_der(der) {
        Ok(sat) => format!("{} {} {}", sat.log_id, sat.timestamp.get(), sat.cert_hash),
        Err(_) => Hash::of(der).to_string(),
    }
}

fn kept(receipt: &Receipt) -> ReceiptKept {
    let body = receipt.body.as_slice();
    let shown = body.get(..MAX_RECEIPT_OCTETS).unwrap_or(body);
    ReceiptKept {
        asked: cut(&receipt.asked),
        status: receipt.status,
        body: B64(shown.to_vec()),
        omitted: (body.len() - shown.len()) as u64,
    }
}

/// The beginning of a text for people.
fn cut(text: &str) -> String {
    let end = (0..=MAX_TEXT_OCTETS.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    end.and_then(|end| text.get(..end)).unwrap_or_default().to_owned()
}

const fn many(what: &'static str, count: usize, limit: usize) -> Result<(), CaseError> {
    if count <= limit { Ok(()) } else { Err(CaseError::TooMany { what, limit }) }
}

const fn long(what: &'static str, octets: usize, limit: usize) -> Result<(), CaseError> {
    if octets <= limit { Ok(()) } else { Err(CaseError::TooLong { what, limit }) }
}
