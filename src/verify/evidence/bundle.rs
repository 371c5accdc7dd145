//! The bundle as a file: read strictly, written in one way. The format is described in [`super`].

use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::action::{ActionError, MAX_SIGNATURE, SignedAction};
use super::encoding::B64;
use super::raw::{Raw, RawAnswer, RawList, RawProof, RawSat, RawTlogProof, certificate};
use crate::apki::{Certificate, CertificateError};
use crate::log::proof::{BadTlogProof, TlogProof};
use crate::log::sat::{BadSat, SignedAgentTimestamp};
use crate::log::sth::SignedTreeHead;
use crate::merkle::{Hash, LeafIndex};
use crate::time::UnixMillis;
use crate::verify::relying::MAX_CERTIFICATES;

/// What the file says it is.
pub const FORMAT: &str = "atl-evidence";
/// The edition of the format that is written, and the only one that is read.
pub const VERSION: u64 = 1;
/// Most octets of a file.
pub const MAX_EVIDENCE: usize = 16 << 20;
/// Most octets of an action that is in the file itself; a longer one is there by its hash.
pub const MAX_ACTION: usize = 4 << 20;
/// Most facts of one kind.
pub const MAX_FACTS: usize = 256;
/// Most revocation lists.
pub const MAX_LISTS: usize = 16;
/// Most hashes of one proof of inclusion: a tree has no leaf deeper than this.
const MAX_HASHES: usize = 64;
/// Most characters that say who made it.
const MAX_MADE_BY: usize = 128;

/// Why octets are no bundle.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadEvidence {
    /// Longer than any is.
    #[error("an evidence bundle has at most {MAX_EVIDENCE} octets, and this file has {0}")]
    TooLong(usize),
    /// Not JSON, or a member is missing, there twice, unknown, or of another kind.
    #[error("the file is no evidence bundle: {0}")]
    Json(String),
    /// Something else than a bundle.
    #[error("the file is of the format {0:?}, and not {FORMAT:?}")]
    Format(String),
    /// An edition that is not known.
    #[error("the bundle is of version {0}, and only version {VERSION} is known here: a newer program may read it")]
    Version(u64),
    /// It was changed after it was made.
    #[error(
        "the bundle was damaged or changed after it was made: it hashes to {found}, and says at its end that it hashes \
         to {stated}"
    )]
    Damaged {
        /// What it hashes to.
        found: String,
        /// What it says.
        stated: String,
    },
    /// The same content is written in another way.
    #[error("the bundle is not written as this format is, with its members in order and an indent of two spaces")]
    NotCanonical,
    /// More of something than is read.
    #[error("`{member}` has {found}, and {most} are the most")]
    TooMany {
        /// Which member.
        member: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// No certificate.
    #[error("`certificates` is empty: the first is that of the agent who signed")]
    NoCertificate,
    /// A certificate that is none.
    #[error("`{member}[{index}]`: {cause}")]
    Certificate {
        /// Of which member.
        member: &'static str,
        /// Its place, from 0.
        index: usize,
        /// What is wrong.
        cause: CertificateError,
    },
    /// A fact about a certificate that is not there.
    #[error("`{member}[{index}]` is about a certificate that is not among `certificates`")]
    Stranger {
        /// Which member.
        member: &'static str,
        /// Its place, from 0.
        index: usize,
    },
    /// The signature of the action.
    #[error("`signature`: {0}")]
    Signature(#[from] ActionError),
    /// A timestamp.
    #[error("`timestamps[{index}]`: {cause}")]
    Sat {
        /// Its place, from 0.
        index: usize,
        /// What is wrong.
        cause: BadSat,
    },
    /// A proof file.
    #[error("`tlog_proofs[{index}]`: {cause}")]
    Proof {
        /// Its place, from 0.
        index: usize,
        /// What is wrong.
        cause: BadTlogProof,
    },
}

/// Something about one of the certificates, which is named by its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About<T> {
    /// SHA-256 of the certificate, in DER.
    pub certificate: [u8; 32],
    /// What there is about it.
    pub fact: T,
}

/// That an entry is in a log's tree, as the log's API says it (protocol section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadProof {
    /// Where it is.
    pub index: LeafIndex,
    /// The hashes from its leaf upwards.
    pub inclusion: Vec<Hash>,
    /// The signed head of the tree.
    pub head: SignedTreeHead,
}

/// A revocation list, and who signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The certificate of whoever signed. Nobody is trusted for being named here.
    pub signer: Certificate,
    /// The list, in DER.
    pub crl: Vec<u8>,
}

/// A bundle: in its form, and nothing of it verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// When it was made. Nobody signs that.
    pub made_at: UnixMillis,
    /// By what program, at most 128 characters. Nobody signs that.
    pub made_by: String,
    /// The action's octets, where they are in the file.
    pub action: Option<Vec<u8>>,
    /// What the agent signed.
    pub signature: SignedAction,
    /// The certificate of the agent that signed: the first of `certificates`.
    pub certificate: Certificate,
    /// The others: its CAs, then the agents above it, each with its CAs where these are others. It is the order in
    /// which they are presented in a handshake.
    pub chain: Vec<Certificate>,
    /// Timestamps of certificates that have none embedded.
    pub timestamps: Vec<About<SignedAgentTimestamp>>,
    /// Proofs of inclusion up to signed tree heads.
    pub proofs: Vec<About<HeadProof>>,
    /// Proofs of inclusion up to checkpoints, perhaps with witnesses.
    pub tlog_proofs: Vec<About<TlogProof>>,
    /// OCSP responses, in DER.
    pub answers: Vec<About<Vec<u8>>>,
    /// Revocation lists.
    pub lists: Vec<List>,
}

/// What it is, which decides whether the rest can be read.
#[derive(Deserialize)]
struct Edition {
    format: String,
    version: u64,
}

/// What stands before and behind the hash in the last member.
const SEAL: [&str; 2] = ["  \"sha256\": \"", "\"\n}\n"];

/// Puts the hash of a document behind its last member: SHA-256 of all lines before the one of the hash, which is
/// the last but one. It shows damage, and is nobody's signature.
fn seal(mut document: Vec<u8>) -> Vec<u8> {
    let open = document.strip_suffix(b"\n}").map_or(document.len(), <[u8]>::len);
    document.truncate(open);
    document.extend_from_slice(b",\n");
    let hash = hex::encode(Sha256::digest(&document));
    document.extend_from_slice([SEAL[0], &hash, SEAL[1]].concat().as_bytes());
    document
}

/// Checks the hash at the end of a document by what stands before it.
fn check_seal(document: &[u8]) -> Result<(), BadEvidence> {
    let last = SEAL[0].len() + 64 + SEAL[1].len();
    let split = document.len().checked_sub(last).and_then(|at| document.split_at_checked(at));
    let (before, last) = split.ok_or(BadEvidence::NotCanonical)?;
    let stated = last.strip_prefix(SEAL[0].as_bytes()).and_then(|rest| rest.strip_suffix(SEAL[1].as_bytes()));
    let stated = String::from_utf8_lossy(stated.ok_or(BadEvidence::NotCanonical)?).into_owned();
    let found = hex::encode(Sha256::digest(before));
    if found == stated { Ok(()) } else { Err(BadEvidence::Damaged { found, stated }) }
}

impl Evidence {
    /// Reads a file. It has to be written as [`to_json`](Self::to_json) writes it, so that one bundle has one
    /// encoding and whoever changes an octet of it has it refused.
    ///
    /// # Errors
    /// [`BadEvidence`], with the member at fault.
    pub fn parse(octets: &[u8]) -> Result<Self, BadEvidence> {
        if octets.len() > MAX_EVIDENCE {
            return Err(BadEvidence::TooLong(octets.len()));
        }
        let unread = |e: serde_json::Error| BadEvidence::Json(e.to_string().chars().take(200).collect());
        let Edition { format, version } = serde_json::from_slice(octets).map_err(unread)?;
        if format != FORMAT {
            return Err(BadEvidence::Format(format.chars().take(40).collect()));
        }
        if version != VERSION {
            return Err(BadEvidence::Version(version));
        }
        check_seal(octets)?;
        let evidence = Self::of_raw(serde_json::from_slice(octets).map_err(unread)?)?;
        if evidence.to_json() == octets { Ok(evidence) } else { Err(BadEvidence::NotCanonical) }
    }

    fn of_raw(raw: Raw) -> Result<Self, BadEvidence> {
        bounded("made_by", raw.made_by.chars().count(), MAX_MADE_BY)?;
        bounded("action", raw.action.as_ref().map_or(0, |action| action.0.len()), MAX_ACTION)?;
        bounded("signature", raw.signature.len(), MAX_SIGNATURE)?;
        bounded("certificates", raw.certificates.len(), MAX_CERTIFICATES)?;
        bounded("timestamps", raw.timestamps.len(), MAX_FACTS)?;
        bounded("proofs", raw.proofs.len(), MAX_FACTS)?;
        bounded("tlog_proofs", raw.tlog_proofs.len(), MAX_FACTS)?;
        bounded("answers", raw.answers.len(), MAX_FACTS)?;
        bounded("lists", raw.lists.len(), MAX_LISTS)?;
        for proof in &raw.proofs {
            bounded("inclusion", proof.inclusion.len(), MAX_HASHES)?;
        }
        let certificates = raw.certificates.into_iter().enumerate();
        let mut certificates = certificates.map(|(index, der)| certificate("certificates", index, der));
        let evidence = Self {
            made_at: raw.made_at,
            made_by: raw.made_by,
            action: raw.action.map(|action| action.0),
            signature: SignedAction::parse(&raw.signature)?,
            certificate: certificates.next().ok_or(BadEvidence::NoCertificate)??,
            chain: certificates.collect::<Result<_, _>>()?,
            timestamps: each(raw.timestamps, RawSat::read)?,
            proofs: raw.proofs.into_iter().map(RawProof::read).collect(),
            tlog_proofs: each(raw.tlog_proofs, RawTlogProof::read)?,
            answers: raw.answers.into_iter().map(RawAnswer::read).collect(),
            lists: each(raw.lists, RawList::read)?,
        };
        evidence.check_references()?;
        Ok(evidence)
    }

    /// All certificates, the agent's first.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.certificate).chain(&self.chain)
    }

    /// Every fact is about a certificate that is there.
    fn check_references(&self) -> Result<(), BadEvidence> {
        let known: Vec<[u8; 32]> = self.certificates().map(Certificate::fingerprint).collect();
        about("timestamps", &self.timestamps, &known)?;
        about("proofs", &self.proofs, &known)?;
        about("tlog_proofs", &self.tlog_proofs, &known)?;
        about("answers", &self.answers, &known)
    }

    /// The file. The same bundle has the same octets, always.
    pub fn to_json(&self) -> Vec<u8> {
        let raw = Raw {
            format: FORMAT.to_owned(),
            version: VERSION,
            made_at: self.made_at,
            made_by: self.made_by.clone(),
            action: self.action.clone().map(B64),
            signature: self.signature.as_str().to_owned(),
            certificates: self.certificates().map(|c| B64(c.der().to_vec())).collect(),
            timestamps: self.timestamps.iter().map(RawSat::of).collect(),
            proofs: self.proofs.iter().map(RawProof::of).collect(),
            tlog_proofs: self.tlog_proofs.iter().map(RawTlogProof::of).collect(),
            answers: self.answers.iter().map(RawAnswer::of).collect(),
            lists: self.lists.iter().map(RawList::of).collect(),
            _sha256: None,
        };
        // Texts and numbers: nothing in it can fail to be written.
        seal(serde_json::to_vec_pretty(&raw).unwrap_or_default())
    }
}

fn bounded(member: &'static str, found: usize, most: usize) -> Result<(), BadEvidence> {
    if found > most { Err(BadEvidence::TooMany { member, found, most }) } else { Ok(()) }
}

fn each<R, T>(raw: Vec<R>, read: impl Fn(usize, R) -> Result<T, BadEvidence>) -> Result<Vec<T>, BadEvidence> {
    raw.into_iter().enumerate().map(|(index, raw)| read(index, raw)).collect()
}

fn about<T>(member: &'static str, facts: &[About<T>], known: &[[u8; 32]]) -> Result<(), BadEvidence> {
    match facts.iter().position(|fact| !known.contains(&fact.certificate)) {
        Some(index) => Err(BadEvidence::Stranger { member, index }),
        None => Ok(()),
    }
}
