//! What a log records (protocol section 5, rulings R8, R9, R14, R17, R18, R28, R29).
//!
//! The log records; it does not judge. A submission must be a certificate of an agent below an
//! anchor of this log, and belong to its shard; what its extensions say is for monitors.
//!
//! The work is split so that a server does it once: [`Screened`] is what the submission itself
//! shows, [`VerifiedPath`] the chain above it, good for every submission that comes with the same
//! chain, and [`Screened::under`] the one signature that ties the two.

use thiserror::Error;

use super::entry::{CertHash, Chain, EntryType, Fingerprint, Submission};
use crate::apki::certificate::AgentNameError;
pub use crate::apki::chain::Anchors;
use crate::apki::chain::{ChainError, ChainFault, IssuerPath};
use crate::apki::precertificate::{PoisonError, Precertificate};
use crate::apki::{Certificate, CertificateError};
use crate::time::UnixMillis;

/// What a log asks of a submission besides an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// First `notAfter` that the shard takes.
    pub not_after_start: UnixMillis,
    /// First `notAfter` beyond the shard (R28).
    pub not_after_limit: UnixMillis,
    /// Certificates from the submission to the anchor, both included (R9).
    pub max_chain_length: usize,
}

/// Whose fault a refusal is; each is one error token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `badSubmission`
    Submission,
    /// `badCertificate`
    Certificate,
    /// `badChain`
    Chain,
    /// `unknownAnchor`
    Anchor,
    /// `outsideShard`
    Shard,
}

/// Why a submission is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The submission is not a certificate.
    #[error("the submission: {0}")]
    Submission(#[from] CertificateError),
    /// The poison is not as it must be.
    #[error("the submission: {0}")]
    Poison(#[from] PoisonError),
    /// `type` says one thing, the certificate another.
    #[error("`type` is {stated}, but the submission has {found} precertificate poison")]
    Type {
        /// The number stated.
        stated: u8,
        /// `a` or `no`.
        found: &'static str,
    },
    /// No agent URI, several, or one that is not valid.
    #[error("the submission's subject alternative name: {0}")]
    AgentName(#[from] AgentNameError),
    /// None of the five extensions.
    #[error("the submission has none of the agent PKI extensions")]
    NoExtension,
    /// It has expired.
    #[error("the submission's notAfter, {not_after}, is past")]
    Expired {
        /// When it expired.
        not_after: UnixMillis,
    },
    /// Another shard's.
    #[error(
        "the submission's notAfter, {not_after}, is outside this log's window from {start} up to, not including, {limit}"
    )]
    OutsideShard {
        /// Of the submission.
        not_after: UnixMillis,
        /// The first moment of the window.
        start: UnixMillis,
        /// The first moment beyond it.
        limit: UnixMillis,
    },
    /// A chain element is not a certificate.
    #[error("chain element {index}: {cause}")]
    Certificate {
        /// Its place in `chain`, from 0.
        index: usize,
        /// What is wrong with it.
        cause: CertificateError,
    },
    /// The chain does not lead to an anchor. Certificate 0 is the submission.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

impl Refusal {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Submission(_) | Self::Poison(_) | Self::Type { .. } | Self::AgentName(_) | Self::NoExtension => {
                Fault::Submission
            }
            Self::Expired { .. } | Self::OutsideShard { .. } => Fault::Shard,
            Self::Certificate { .. } => Fault::Certificate,
            Self::Chain(error) => match error.fault() {
                ChainFault::Submission => Fault::Submission,
                ChainFault::Chain => Fault::Chain,
                ChainFault::Anchor => Fault::Anchor,
            },
        }
    }
}

/// A submission that is in order by itself; who issued it is still open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screened {
    certificate: Certificate,
    entry_type: EntryType,
}

impl Screened {
    /// Looks at everything that needs no other certificate.
    pub fn new(der: Vec<u8>, stated: Option<EntryType>, rules: &Rules, now: UnixMillis) -> Result<Self, Refusal> {
        let certificate = Certificate::parse(der)?;
        let entry_type = entry_type(&certificate, stated)?;
        certificate.agent_uri()?;
        if !certificate.has_apki_extension() {
            return Err(Refusal::NoExtension);
        }
        let not_after = certificate.not_after();
        if not_after < now {
            return Err(Refusal::Expired { not_after });
        }
        if not_after < rules.not_after_start || not_after >= rules.not_after_limit {
            let (start, limit) = (rules.not_after_start, rules.not_after_limit);
            return Err(Refusal::OutsideShard { not_after, start, limit });
        }
        Ok(Self { certificate, entry_type })
    }

    /// Checks that the path's first certificate issued this one. What comes out is ready for the
    /// tree.
    pub fn under(self, path: &VerifiedPath) -> Result<Submission, Refusal> {
        path.issuers.certifies(&self.certificate)?;
        Ok(self.admitted(path))
    }

    /// The submission, once it is known that the path's first certificate issued it.
    fn admitted(self, path: &VerifiedPath) -> Submission {
        let der = self.certificate.into_der().into_vec();
        Submission {
            cert_hash: CertHash::of_certificate(&der),
            entry_type: self.entry_type,
            der,
            chain: path.chain.clone(),
        }
    }
}

/// The way from an issuer to an anchor, every signature checked. It holds for every submission
/// that comes with the chain it was found for; for an empty chain, for that submission only.
#[derive(Clone, Debug)]
pub struct VerifiedPath {
    issuers: IssuerPath,
    chain: Chain,
}

impl VerifiedPath {
    /// Finds the path of a submission through `chain` (DER, issuer first; the anchor may be left
    /// out) to one of `anchors`. The submission's own signature is checked with it, so what comes
    /// out beside the path is ready for the tree.
    pub fn find(
        submission: Screened,
        chain: Vec<Vec<u8>>,
        anchors: &Anchors,
        rules: &Rules,
    ) -> Result<(Submission, Self), Refusal> {
        let limit = rules.max_chain_length;
        // Nothing that is too long to be right is parsed.
        if chain.len() >= limit {
            return Err(ChainError::TooLong { length: 1 + chain.len(), limit }.into());
        }
        let parse = |(index, der): (usize, Vec<u8>)| {
            Certificate::parse(der).map_err(|cause| Refusal::Certificate { index, cause })
        };
        let chain: Vec<Certificate> = chain.into_iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        let issuers = IssuerPath::find(&submission.certificate, chain, anchors, limit)?;
        let chain = Chain::new(issuers.iter().map(|issuer| issuer.certificate().der()));
        let path = Self { issuers, chain };
        Ok((submission.admitted(&path), path))
    }

    /// The anchor that it ends at.
    pub fn anchor(&self) -> Fingerprint {
        Fingerprint::new(*self.issuers.anchor().fingerprint())
    }
}

fn entry_type(certificate: &Certificate, stated: Option<EntryType>) -> Result<EntryType, Refusal> {
    let poison = Precertificate::of(certificate)?;
    match (stated, poison) {
        (None | Some(EntryType::Precertificate), Some(_)) => Ok(EntryType::Precertificate),
        (None | Some(EntryType::Certificate), None) => Ok(EntryType::Certificate),
        (Some(stated), poison) => {
            let found = if poison.is_some() { "a" } else { "no" };
            Err(Refusal::Type { stated: stated.number(), found })
        }
    }
}
