//! Why the engine does not do what it was told.

use thiserror::Error;

use super::reporter::ReporterId;
use super::signal::SignalFault;
use crate::apki::AgentUri;
use crate::time::UnixMillis;

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Whoever asks may not.
    #[error("{0}")]
    Forbidden(&'static str),
    /// It is not there.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It stands otherwise than the command needs it.
    #[error("{0}")]
    Conflict(String),
    /// The text is no signal of this reporter.
    #[error("{0}")]
    Signal(#[from] SignalFault),
    /// The signal is for another engine.
    #[error("the signal is for `{found}`, and this is `{ours}`")]
    Audience {
        /// What the signal says.
        found: String,
        /// What this engine is called.
        ours: String,
    },
    /// The signal was signed too long ago, or too far ahead.
    #[error(
        "the signal was issued at {issued_at}, and it is {now}: it may be at most {age_s} s old and {ahead_s} s ahead"
    )]
    Stale {
        /// What the signal says.
        issued_at: UnixMillis,
        /// The present.
        now: UnixMillis,
        /// The oldest that is taken.
        age_s: u64,
        /// The furthest ahead that is taken.
        ahead_s: u64,
    },
    /// It reports what is not yet.
    #[error("what is reported was observed at {observed_at}, after the signal was issued")]
    Unobserved {
        /// What the signal says.
        observed_at: UnixMillis,
    },
    /// The reporter used this name for another signal.
    #[error("`{0}` sent another signal under this id before: use each id once")]
    Reused(ReporterId),
    /// There is no account.
    #[error("no score was ever asked for of {0}: there is nothing to report on")]
    UnknownAgent(AgentUri),
    /// The reporter sent as many signals of this agent as it may.
    #[error(
        "at most {limit} signals of one agent are taken from one reporter within an hour; send the next after {after}"
    )]
    RateLimited {
        /// How many.
        limit: u32,
        /// When the next is taken.
        after: UnixMillis,
    },
}

impl Refusal {
    /// Its name for programs.
    pub const fn token(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "notFound",
            Self::Conflict(_) => "conflict",
            Self::Signal(fault) => fault.token(),
            Self::Audience { .. } => "wrongAudience",
            Self::Stale { .. } => "stale",
            Self::Unobserved { .. } => "badSignal",
            Self::Reused(_) => "idReused",
            Self::UnknownAgent(_) => "unknownAgent",
            Self::RateLimited { .. } => "rateLimited",
        }
    }
}
