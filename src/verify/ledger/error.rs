//! Why a ledger says no.

use std::fmt;
use std::num::NonZeroU32;

use thiserror::Error;

use super::{AccountKey, ReservationId, Unenforceable};
use crate::apki::capabilities::{Amount, Currency, RateLimit};
use crate::time::UnixMillis;

/// Why a call of a ledger did not succeed. Whichever it is, the operation must not be done on the strength of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LedgerError {
    /// A limit would be exceeded; nothing has changed. Never empty: every limit in the way, in the demand's order.
    #[error("{}", listed(.0))]
    Refused(Vec<Overrun>),
    /// A limit that nobody can hold anybody to.
    #[error(transparent)]
    Unenforceable(#[from] Unenforceable),
    /// No such reservation, or not any more: nothing is given back.
    #[error("reservation {0} is not known: it was settled long ago, or not in its time, or this ledger never made it")]
    Unknown(ReservationId),
    /// It was settled in the other way.
    #[error("reservation {id} was {before}, and cannot be {asked}")]
    Settled {
        /// Which one.
        id: ReservationId,
        /// What became of it.
        before: Outcome,
        /// What was to become of it now.
        asked: Outcome,
    },
    /// There is no room to remember it.
    #[error("the ledger has as many {what} as it may keep, {limit}: wait until periods are over, or let it keep more")]
    Full {
        /// Of what there are too many.
        what: Kept,
        /// The bound.
        limit: usize,
    },
    /// A moment that no certificate can have, after 9999. Nothing is counted at it.
    #[error("the clock says {0}, which is no time of ours: set it right")]
    Clock(UnixMillis),
    /// More is asked than can be written.
    #[error("the ledger has as many calls waiting as it may: ask again in a moment")]
    Overloaded,
    /// Something failed, and the ledger says yes to nothing any more.
    #[error("the ledger has stopped, and grants nothing until it is started again: {0}")]
    Stopped(String),
}

impl LedgerError {
    /// The moment at which the same demand would be granted, if nothing else is asked meanwhile. `None` where it
    /// never would under these limits, and where it was not a limit that spoke against it.
    pub fn fits_at(&self) -> Option<UnixMillis> {
        let Self::Refused(overruns) = self else { return None };
        let moments: Option<Vec<_>> = overruns.iter().map(|overrun| overrun.fits_at).collect();
        moments?.into_iter().max()
    }
}

fn listed(overruns: &[Overrun]) -> String {
    let texts: Vec<_> = overruns.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// What a ledger keeps a bounded number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Counters: an account has one for its calls and one for each currency.
    Counters,
    /// Reservations that are not settled.
    Reservations,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counters => "counters",
            Self::Reservations => "open reservations",
        })
    }
}

/// How a reservation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Its amounts are used.
    Committed,
    /// Its amounts are there again.
    Released,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Committed => "committed",
            Self::Released => "released",
        })
    }
}

/// A limit of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// maxPerTransaction.
    PerTransaction {
        /// The limit.
        most: Amount,
        /// Its currency.
        currency: Currency,
    },
    /// maxPerPeriod.
    PerPeriod {
        /// The limit.
        most: Amount,
        /// Its currency.
        currency: Currency,
        /// The period.
        period_seconds: NonZeroU32,
    },
    /// The rate limit.
    Rate(RateLimit),
}

impl Limit {
    /// How much it allows: minor units or calls.
    pub fn most(&self) -> u64 {
        match self {
            Self::PerTransaction { most, .. } | Self::PerPeriod { most, .. } => most.get(),
            Self::Rate(rate) => rate.max_requests.into(),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerTransaction { most, currency } => {
                write!(f, "{} minor units of {currency} in one transaction", most.get())
            }
            Self::PerPeriod { most, currency, period_seconds } => {
                write!(f, "{} minor units of {currency} in {period_seconds} s", most.get())
            }
            Self::Rate(rate) => write!(f, "{} calls in {} s", rate.max_requests, rate.period_seconds),
        }
    }
}

/// One limit that an operation would exceed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overrun {
    /// Whose.
    pub key: AccountKey,
    /// Which.
    pub limit: Limit,
    /// How much of it is used, [`u64::MAX`] where it is more than that; 0 for a limit of one transaction.
    pub used: u64,
    /// How much more was asked for.
    pub wanted: u64,
    /// When so much would be free, if nothing else is asked meanwhile. `None` where the limit is below what was
    /// asked for: never.
    pub fits_at: Option<UnixMillis>,
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, limit, used, wanted, fits_at } = self;
        write!(f, "{key} may have {limit}: {used} used, {wanted} asked for, which ")?;
        match fits_at {
            Some(moment) => write!(f, "fits at {moment}"),
            None => f.write_str("never fits"),
        }
    }
}
