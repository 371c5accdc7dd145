//! Timestamps as a CA takes them: from logs that it knows, for the submission at hand, at a
//! moment that can be (draft 8.2, protocol section 6, R12, R30).

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use thiserror::Error;

use super::Submission;
use crate::apki::trust_score::{Score, TrustTier};
use crate::keys::{LogId, PublicKey};
use crate::log::sat::{SatError, SignedAgentTimestamp};
use crate::time::UnixMillis;

/// How far two clocks may be apart, in milliseconds (R30).
const CLOCK_TOLERANCE_MS: u64 = 60_000;

/// A log that the CA is configured to submit to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownLog {
    url: String,
    operator: String,
    key: PublicKey,
    id: LogId,
}

impl KnownLog {
    /// The log at `url`, run by `operator`, which signs with `key`.
    pub fn new(url: impl Into<String>, operator: impl Into<String>, key: PublicKey) -> Self {
        Self { url: url.into(), operator: operator.into(), id: key.log_id(), key }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who runs it. Two logs of one operator count as one where two operators are asked for.
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// The key that its timestamps are checked with.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// SHA-256 of the key.
    pub const fn id(&self) -> LogId {
        self.id
    }

    pub(super) fn refusal(&self, fault: SatFault) -> SatRefusal {
        SatRefusal { log: self.url.clone(), fault }
    }
}

/// What is wrong with a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SatFault {
    /// It is of another certificate or another log, or its signature does not verify.
    #[error("{0}")]
    Sat(#[from] SatError),
    /// The log is ahead of us.
    #[error("the SAT is dated {timestamp}, more than 60 s after now ({now}): compare the clocks")]
    Future {
        /// What the SAT says.
        timestamp: UnixMillis,
        /// What our clock says.
        now: UnixMillis,
    },
    /// Nobody can have logged what was not signed yet.
    #[error("the SAT is dated {timestamp}, more than 60 s before what was submitted was signed ({signed_at})")]
    Past {
        /// What the SAT says.
        timestamp: UnixMillis,
        /// When we signed.
        signed_at: UnixMillis,
    },
    /// Relying parties do not count it (R30).
    #[error("the SAT is dated {timestamp}, after the certificate ends ({not_after})")]
    Expired {
        /// What the SAT says.
        timestamp: UnixMillis,
        /// The last moment of the certificate.
        not_after: UnixMillis,
    },
    /// A second one of the same log.
    #[error("a SAT of this log is there already")]
    Twice,
    /// A log that the CA does not know.
    #[error("it is not one of the logs of this CA")]
    UnknownLog,
}

/// A timestamp that does not count, and the log that gave it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("log {log}: {fault}")]
pub struct SatRefusal {
    /// The log's URL.
    pub log: String,
    /// What is wrong.
    pub fault: SatFault,
}

/// Checks what `log` answered for a submission: certHash, log, signature, and a moment that is not more
/// than 60 s ahead of `now` nor more than 60 s before the submission was signed, nor after it ends.
///
/// # Errors
/// The log, and what is wrong with its answer.
pub fn check_sat(
    log: &KnownLog,
    submission: &Submission,
    sat: &SignedAgentTimestamp,
    now: UnixMillis,
) -> Result<(), SatRefusal> {
    let verified = sat.verify(&log.key, submission.cert_hash());
    verified.map_err(|error| log.refusal(error.into()))?;
    check_moment(log, submission, sat, now)
}

/// Whether `log` can have dated a SAT so.
pub(super) fn check_moment(
    log: &KnownLog,
    submission: &Submission,
    sat: &SignedAgentTimestamp,
    now: UnixMillis,
) -> Result<(), SatRefusal> {
    let (timestamp, signed_at) = (sat.timestamp, submission.signed_at());
    let not_after = submission.certificate().not_after();
    if timestamp > now.saturating_add(CLOCK_TOLERANCE_MS) {
        return Err(log.refusal(SatFault::Future { timestamp, now }));
    }
    if timestamp < signed_at.saturating_sub(CLOCK_TOLERANCE_MS) {
        return Err(log.refusal(SatFault::Past { timestamp, signed_at }));
    }
    if timestamp > not_after {
        return Err(log.refusal(SatFault::Expired { timestamp, not_after }));
    }
    Ok(())
}

/// Too few timestamps.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Shortfall {
    /// Too few logs.
    #[error("{found} of {needed} logs gave a timestamp")]
    Sats {
        /// How many did.
        found: usize,
        /// How many must.
        needed: usize,
    },
    /// Too few operators for the score.
    #[error("a score of {score} needs timestamps of {needed} operators, but there are those of {found}")]
    Operators {
        /// The score.
        score: u8,
        /// How many operators there are.
        found: usize,
        /// How many there must be.
        needed: usize,
    },
}

/// How many timestamps a certificate needs (draft 8.2, protocol section 6). There is no rule that
/// asks for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SatRule {
    /// Logs, whatever the score.
    pub min_sats: NonZeroUsize,
    /// The first score that needs more operators.
    pub elevated_score: Score,
    /// Operators, from that score on.
    pub operators_when_elevated: NonZeroUsize,
}

impl SatRule {
    /// Whether these are enough for a score. Logs of one key count once.
    ///
    /// # Errors
    /// What is short.
    pub fn check(&self, score: Score, sats: &[(&KnownLog, &SignedAgentTimestamp)]) -> Result<(), Shortfall> {
        let mut logs = HashSet::new();
        let distinct: Vec<&KnownLog> = sats.iter().map(|(log, _)| *log).filter(|log| logs.insert(log.id)).collect();
        let (found, needed) = (distinct.len(), self.min_sats.get());
        if found < needed {
            return Err(Shortfall::Sats { found, needed });
        }
        let found = distinct.iter().map(|log| log.operator.as_str()).collect::<HashSet<_>>().len();
        let needed = if score >= self.elevated_score { self.operators_when_elevated.get() } else { 1 };
        if found < needed {
            return Err(Shortfall::Operators { score: score.get(), found, needed });
        }
        Ok(())
    }

    /// Whether these are enough for a score.
    pub fn is_satisfied(&self, score: Score, sats: &[(&KnownLog, &SignedAgentTimestamp)]) -> bool {
        self.check(score, sats).is_ok()
    }
}

impl Default for SatRule {
    /// One timestamp, and two operators from 60 on, as relying parties ask.
    fn default() -> Self {
        const ONE: NonZeroUsize = NonZeroUsize::MIN;
        Self {
            min_sats: ONE,
            elevated_score: TrustTier::Elevated.floor(),
            operators_when_elevated: ONE.saturating_add(1),
        }
    }
}

/// The timestamps of one submission as they come in, in the order of the CA's logs, at most one
/// of each. What is in here has been checked.
#[derive(Clone, Debug)]
pub struct Gathered {
    submission: Submission,
    logs: Arc<[KnownLog]>,
    /// One place for each of `logs`.
    sats: Vec<Option<SignedAgentTimestamp>>,
}

impl Gathered {
    /// None yet, of these logs, for this submission.
    pub fn new(submission: Submission, logs: Arc<[KnownLog]>) -> Self {
        Self { sats: vec![None; logs.len()], submission, logs }
    }

    /// Takes what the log with this `index` answered.
    ///
    /// # Errors
    /// [`SatRefusal`] where it does not count; then nothing was taken.
    pub fn add(&mut self, index: usize, sat: SignedAgentTimestamp, now: UnixMillis) -> Result<(), SatRefusal> {
        let (Some(log), Some(place)) = (self.logs.get(index), self.sats.get_mut(index)) else {
            return Err(SatRefusal { log: format!("number {index}"), fault: SatFault::UnknownLog });
        };
        check_sat(log, &self.submission, &sat, now)?;
        if place.is_some() {
            return Err(log.refusal(SatFault::Twice));
        }
        *place = Some(sat);
        Ok(())
    }

    /// The timestamps so far, in the order of the logs.
    pub fn sats(&self) -> impl Iterator<Item = (&KnownLog, &SignedAgentTimestamp)> {
        self.logs.iter().zip(&self.sats).filter_map(|(log, sat)| Some((log, sat.as_ref()?)))
    }

    /// The logs that have given none.
    pub fn missing(&self) -> impl Iterator<Item = &KnownLog> {
        self.logs.iter().zip(&self.sats).filter(|(_, sat)| sat.is_none()).map(|(log, _)| log)
    }

    /// What the timestamps are for.
    pub const fn submission(&self) -> &Submission {
        &self.submission
    }

    /// Whether they are enough for the submission's score.
    ///
    /// # Errors
    /// What is short.
    pub fn check(&self, rule: &SatRule) -> Result<(), Shortfall> {
        rule.check(self.submission.score(), &self.sats().collect::<Vec<_>>())
    }
}
