//! FACADE: the trust engine at work.

mod view;

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

pub use self::view::{AccountView, Assessed, Change, ChangesPage, IncidentStage, LedgerPage, Outcome};
pub use super::baseline::{Finding, Flag, Measure, ReporterRecord, Tally};
pub use super::event::{Hold, Operator, Role};
pub use super::explain::Line;
pub use super::half_points::HalfPoints;
pub use super::ledger::JournalError;
pub use super::policy::{BaselineRule, Policy};
pub use super::record::{Incident, IncidentState, Receipt, Review, ReviewState, Source};
pub use super::refusal::Refusal;
pub use super::reporter::{ReporterId, Reporters};
use crate::apki::AgentUri;
use crate::apki::trust_score::Score;
use crate::time::{Clock, UnixMillis};
use crate::trust::ports::{StoreError, TrustStore};

/// What the service works with.
pub struct Parts {
    /// Where the engine is kept.
    pub store: Arc<dyn TrustStore>,
    /// The rules.
    pub policy: Policy,
    /// The one clock of rows.
    pub clock: Arc<dyn Clock>,
    /// Who is told what happens.
    pub observer: Arc<dyn Observer>,
}

/// The service's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Commands that may wait for the writer.
    pub queue_limit: usize,
    /// Most signals in one call.
    pub max_signals: usize,
    /// The longest that a call waits for changes.
    pub max_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { queue_limit: 4_096, max_signals: 256, max_wait: Duration::from_secs(60) }
    }
}

/// Where measurements go.
pub trait Observer: Send + Sync {
    /// A signal was answered: `taken`, `repeated`, or the token of its refusal.
    fn signal(&self, result: &'static str);
    /// Rows of this name were written, with so many commands in the commit and so long for it.
    fn committed(&self, rows: usize, commands: usize, took: Duration);
    /// What is kept, at the start and behind each commit.
    fn kept(&self, _rows: u64) {}
    /// Somebody asked, and was answered `ok` or with the name of an error: `assess`, `confirm`...
    fn answered(&self, _call: &'static str, _result: &'static str) {}
}

/// How one part of the engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Which part: `writer`, `store` or `disk`.
    pub name: &'static str,
    /// Whether it could do its part now.
    pub ok: bool,
    /// In words.
    pub detail: String,
}

/// Why the engine does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrustError {
    /// It was decided against.
    #[error("{0}")]
    Refusal(#[from] Refusal),
    /// Too many signals in one call.
    #[error("at most {0} signals are taken in one call")]
    TooMany(usize),
    /// The engine has too much to do.
    #[error("the trust engine has too much to do at the moment; try again")]
    Overloaded,
    /// The disk has too little room left.
    #[error("the trust engine's disk is nearly full, and it takes nothing in until there is room")]
    ReadOnly,
    /// The engine does not take anything in any more.
    #[error("the trust engine is shutting down")]
    Stopped,
    /// The engine is at fault.
    #[error("{0}")]
    Internal(String),
}

/// Why the service does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store does not answer.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The ledger's last row does not read, or is not the last.
    #[error("the ledger does not end where the store says that it ends: {0}")]
    Journal(#[from] JournalError),
    /// The store has other rows than its head says.
    #[error("the store says that the ledger has {rows} rows, but {found}: put back a copy that is whole")]
    Head {
        /// What the head says.
        rows: u64,
        /// What is there.
        found: &'static str,
    },
    /// The clock is behind what was recorded.
    #[error(
        "the clock is {behind_ms} ms behind the ledger's last row, which was written at {latest}: set it right. If it \
         was ahead when that row was written, wait until then"
    )]
    ClockWentBack {
        /// How far.
        behind_ms: u64,
        /// When the last row was written.
        latest: UnixMillis,
    },
    /// The thread could not be started.
    #[error("the writer's thread cannot start: {0}")]
    Thread(#[from] std::io::Error),
}

/// A trust engine that runs.
pub struct TrustService {
    parts: Parts,
}

#[allow(unused_variables, clippy::unused_async, missing_docs)]
impl TrustService {
    pub fn start(parts: Parts, settings: Settings) -> Result<Arc<Self>, StartError> {
        unimplemented!()
    }
    pub async fn assess(&self, agent: AgentUri, base: Score) -> Result<Assessed, TrustError> {
        unimplemented!()
    }
    /// One outcome for each signal, in their order.
    pub async fn signals(&self, reporter: &ReporterId, signals: Vec<String>) -> Result<Vec<Outcome>, TrustError> {
        unimplemented!()
    }
    pub async fn account(&self, agent: &AgentUri) -> Result<AccountView, TrustError> {
        unimplemented!()
    }
    pub async fn explain(&self, agent: &AgentUri) -> Result<Vec<Line>, TrustError> {
        unimplemented!()
    }
    pub async fn incidents(&self, after: Option<u64>, limit: usize) -> Result<Vec<Incident>, TrustError> {
        unimplemented!()
    }
    pub async fn confirm(&self, operator: &Operator, incident: u64) -> Result<Assessed, TrustError> {
        unimplemented!()
    }
    pub async fn dismiss(&self, operator: &Operator, incident: u64) -> Result<Assessed, TrustError> {
        unimplemented!()
    }
    pub async fn reviews(&self, after: Option<u64>, limit: usize) -> Result<Vec<Review>, TrustError> {
        unimplemented!()
    }
    pub async fn review(&self, operator: &Operator, review: u64, approve: bool) -> Result<Assessed, TrustError> {
        unimplemented!()
    }
    pub async fn rebase(
        &self,
        operator: &Operator,
        agent: AgentUri,
        base: Score,
        reason: String,
    ) -> Result<Assessed, TrustError> {
        unimplemented!()
    }
    pub async fn reporters(&self) -> Result<Vec<ReporterRecord>, TrustError> {
        unimplemented!()
    }
    pub async fn clear_flag(&self, operator: &Operator, reporter: ReporterId) -> Result<(), TrustError> {
        unimplemented!()
    }
    /// Rows from `start` on that changed a score; where there is none, waits for one, but no longer than `wait`.
    pub async fn changes(&self, start: u64, limit: usize, wait: Duration) -> Result<ChangesPage, TrustError> {
        unimplemented!()
    }
    pub async fn ledger(&self, start: u64, limit: usize) -> Result<LedgerPage, TrustError> {
        unimplemented!()
    }
    pub async fn checks(&self) -> Vec<Check> {
        unimplemented!()
    }
    pub fn set_disk_low(&self, low: bool) {
        unimplemented!()
    }
    pub async fn ended(&self) -> String {
        unimplemented!()
    }
    pub async fn stop(&self) {
        unimplemented!()
    }
}
