//! Certificate revocation lists, version 2 (RFC 5280 section 5).
//!
//! A list is written octet by octet, as certificates are, and read as octets with a map: what was signed
//! is never re-encoded. Lists without nextUpdate, number or authorityKeyIdentifier, which RFC 5280 wants
//! of every CA, are refused, and so are lists that say only what changed (deltas).

mod read;
mod scope;
mod write;

use thiserror::Error;

pub use self::read::{Crl, Entry};
pub use self::scope::{Scope, ScopeFault};
pub use self::write::{CrlTemplate, CrlTemplateError, RevokedCertificate, signed};
use super::{ExtensionFault, UnknownReason};
use crate::apki::moment::Moment;
use crate::apki::tlv::DerError;
use crate::keys::BadSignature;
use crate::time::UnixMillis;

/// Milliseconds that a clock may be wrong by: a list dated as much ahead is current, and so is one that
/// ended as long ago.
pub const CLOCK_SKEW: u64 = 60_000;

/// Why octets are no revocation list, or not one to rely on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CrlError {
    /// More octets than any list here has.
    #[error("a list of {0} octets is too long to be read")]
    TooLong(usize),
    /// Not strict DER, or another structure.
    #[error("the revocation list is not strict DER: {0}")]
    Der(#[from] DerError),
    /// Version 1, which has no extensions, or one that does not exist.
    #[error("the revocation list is not version 2")]
    NotVersion2,
    /// The algorithm inside what is signed is not the one outside (RFC 5280 section 5.1.1.2).
    #[error("the signature algorithm inside the revocation list differs from the one outside")]
    AlgorithmMismatch,
    /// The issuer has an empty name (RFC 5280 section 5.1.2.3).
    #[error("the revocation list names no issuer")]
    NoIssuer,
    /// Something that every list has (RFC 5280 sections 5.1.2.5, 5.2.1 and 5.2.3) is missing.
    #[error("the revocation list has no {0}")]
    Missing(&'static str),
    /// It ends before it begins.
    #[error("the revocation list is of {this_update}, and the next one of {next_update}, which is not later")]
    Period {
        /// Its own moment.
        this_update: Moment,
        /// That of the next one.
        next_update: Moment,
    },
    /// A cRLNumber that is negative or has more than 20 octets (RFC 5280 section 5.2.3).
    #[error("the number of the revocation list is not an INTEGER of 0 or more in 20 octets at most")]
    Number,
    /// Extensions of the list.
    #[error("{0}")]
    Extensions(ExtensionFault),
    /// The issuingDistributionPoint.
    #[error("the issuingDistributionPoint: {0}")]
    Scope(#[from] ScopeFault),
    /// Something about one entry.
    #[error("the entry {index} of the revocation list, serial number {serial}: {fault}")]
    Entry {
        /// Its place in the list, from 0.
        index: usize,
        /// The serial number, in hex.
        serial: String,
        /// What is wrong.
        fault: EntryFault,
    },
    /// One certificate twice.
    #[error("the serial number {0} is in the revocation list twice")]
    Duplicate(String),
    /// Signed with an algorithm that is not the one of the key it is checked with.
    #[error("the revocation list is not signed with the algorithm of its issuer's key")]
    Algorithm,
    /// Not signed by the key that it is checked with.
    #[error("the revocation list is not signed by its issuer's key: {0}")]
    Signature(#[from] BadSignature),
    /// Dated ahead.
    #[error("the revocation list is of {this_update}, and it is {now}: one of the two clocks is wrong")]
    Early {
        /// Its moment.
        this_update: Moment,
        /// The present.
        now: UnixMillis,
    },
    /// A newer one must be had.
    #[error("the revocation list held until {next_update}, and it is {now}: get a newer one")]
    Stale {
        /// When the next one was due.
        next_update: Moment,
        /// The present.
        now: UnixMillis,
    },
}

/// What is wrong with one entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EntryFault {
    /// Its extensions.
    #[error("{0}")]
    Extensions(#[from] ExtensionFault),
    /// A reasonCode that is none, or that takes a revocation back.
    #[error("{0}")]
    Reason(#[from] UnknownReason),
    /// A certificateIssuer in a list that is not said to be indirect, or that is not critical, or that is
    /// not one directoryName (RFC 5280 section 5.3.3).
    #[error("its certificateIssuer {0}")]
    CertificateIssuer(&'static str),
}
