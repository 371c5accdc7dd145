//! What the service is made of, its settings, and why it may not start.

use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom as Machine};
use thiserror::Error;

use super::Observer;
use super::status::StatusSettings;
use crate::apki::Certificate;
use crate::ca::issuance::{IssuanceError, IssuingCa, KnownLog, SatRule};
use crate::ca::journal::JournalError;
use crate::ca::lint::Linter;
use crate::ca::policy::Policy;
use crate::ca::ports::{CaStore, KeptHead, KeptList, LogSubmitter, StoreError, TrustScores};
use crate::time::{Clock, UnixMillis};

/// What the service works with.
pub struct Parts {
    /// Where the CA is kept.
    pub store: Arc<dyn CaStore>,
    /// Where the journal's head is kept apart from that, behind each revocation and before anybody hears of it.
    pub kept_head: Option<Arc<dyn KeptHead>>,
    /// Where the newest revocation list is kept apart from that, before anybody sees it.
    pub kept_list: Option<Arc<dyn KeptList>>,
    /// The certificates that issued for this CA before the present one, as far as they are at hand: the newest
    /// list may be by one of them, where the CA has another key since.
    pub former_issuers: Vec<Certificate>,
    /// The logs, and how each is reached.
    pub logs: Vec<(KnownLog, Arc<dyn LogSubmitter>)>,
    /// The trust engine, where there is one.
    pub trust: Option<Arc<dyn TrustScores>>,
    /// The certificate and key that issue.
    pub ca: IssuingCa,
    /// Looks at everything before that key signs it.
    pub linter: Linter,
    /// The rules.
    pub policy: Policy,
    /// The one clock of rows and certificates.
    pub clock: Arc<dyn Clock>,
    /// Where serial numbers, names and secrets come from.
    pub random: Arc<dyn Random>,
    /// Who is told what happens.
    pub observer: Arc<dyn Observer>,
}

/// The service's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many timestamps a certificate needs.
    pub sat_rule: SatRule,
    /// How far before its signature a certificate becomes valid, in milliseconds: for relying parties
    /// whose clocks are behind.
    pub backdate_ms: u64,
    /// How long one try may take a log, in milliseconds. All tries together get twice as long.
    pub log_timeout_ms: u64,
    /// How often a log is asked before an issuance does without it; at least once.
    pub attempts: u32,
    /// How long an issuance that has timestamps enough waits for those that are still to come, in
    /// milliseconds.
    pub straggler_ms: u64,
    /// For so long after a log failed nobody's request is tried where that log is needed, in milliseconds:
    /// each try in vain leaves another precertificate in the other logs.
    pub failure_pause_ms: u64,
    /// How long one question may take the trust engine, in milliseconds.
    pub engine_timeout_ms: u64,
    /// Requests that may wait for the writer.
    pub queue_limit: usize,
    /// Issuances at a time.
    pub max_issuances: usize,
    /// How old a precertificate may be that is still taken to the logs again, in milliseconds.
    pub resume_window_ms: u64,
    /// Revocation lists and OCSP.
    pub status: StatusSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sat_rule: SatRule::default(),
            backdate_ms: 60_000,
            log_timeout_ms: 3_000,
            attempts: 3,
            straggler_ms: 200,
            failure_pause_ms: 1_000,
            engine_timeout_ms: 2_000,
            queue_limit: 1_024,
            max_issuances: 256,
            resume_window_ms: 600_000,
            status: StatusSettings::default(),
        }
    }
}

/// A source of octets that nobody foresees.
pub trait Random: Send + Sync {
    /// Fills all of `octets`, or says that it cannot: they are not to be used then.
    fn fill(&self, octets: &mut [u8]) -> Result<(), NoRandomness>;
}

/// There is no randomness to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the system has no randomness to give")]
pub struct NoRandomness;

/// The machine's source.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, octets: &mut [u8]) -> Result<(), NoRandomness> {
        Machine::new().fill(octets).map_err(|_| NoRandomness)
    }
}

/// Why the service does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store does not answer.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The journal's last row does not read, or is not the last.
    #[error("the journal does not end where the store says that it ends: {0}")]
    Journal(#[from] JournalError),
    /// The store has other rows than its head says.
    #[error("the store says that the journal has {rows} rows, but {found}: put back a copy that is whole")]
    Head {
        /// What the head says.
        rows: u64,
        /// What is there.
        found: &'static str,
    },
    /// The clock is behind what was recorded.
    #[error(
        "the clock is {behind_ms} ms behind the journal's last row, which was written at {latest}: set it right. If it \
         was ahead when that row was written, wait until then"
    )]
    ClockWentBack {
        /// How far.
        behind_ms: u64,
        /// When the last row was written.
        latest: UnixMillis,
    },
    /// The issuing certificate is not valid now.
    #[error(
        "the issuing certificate is valid from {not_before} to {not_after}, and it is {now}: renew it, or set the clock right"
    )]
    Expired {
        /// Valid from.
        not_before: UnixMillis,
        /// Valid until.
        not_after: UnixMillis,
        /// What the clock says.
        now: UnixMillis,
    },
    /// No root above.
    #[error("the chain of the issuing certificate does not reach a root: add the certificates above, the root last")]
    NoRoot,
    /// The linter is one for another certificate.
    #[error("the linter looks at what another certificate's key signs than the issuing one's")]
    OtherLinter,
    /// The key does not do its work.
    #[error("the issuing key: {0}")]
    Key(IssuanceError),
    /// Not one log to submit to, or fewer than the rule asks for.
    #[error("each certificate needs {needed} timestamps, and there are {found} logs to get them from: configure more")]
    Logs {
        /// Timestamps needed.
        needed: usize,
        /// Logs with keys of their own.
        found: usize,
    },
    /// The revocation list that was kept cannot be gone on from.
    #[error("the newest revocation list, which is kept beside the database: {0}")]
    KeptList(String),
    /// No revocation list can be signed or kept.
    #[error("no revocation list can be published: {0}")]
    Lists(String),
    /// The issuing certificate cannot be asked about.
    #[error("nobody could ask for the status of what this issues: {0}")]
    Status(String),
    /// The thread could not be started.
    #[error("the writer's thread cannot start: {0}")]
    Thread(#[from] std::io::Error),
}
