//! The trust engine at work: the one place of `trust` with a clock and threads.
//!
//! - `queue`, `writer`: one thread decides every command and makes what follows durable
//! - `read`: what is kept, for whoever may see it, and the changes that a CA follows
//! - `start`: whether the store and the clock are fit to begin with

mod queue;
mod read;
mod start;
#[cfg(test)]
mod tests;
mod view;
mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::watch;

use self::queue::Queue;
use self::writer::{Answer, Answers};

pub use self::start::StartError;
pub use self::view::{AccountView, Assessed, Change, ChangesPage, IncidentStage, LedgerPage, Outcome};
pub use super::baseline::{Finding, Flag, Measure, ReporterRecord, Tally};
pub use super::event::{Hold, Operator, Role};
pub use super::explain::Line;
pub use super::half_points::HalfPoints;
pub use super::policy::{BaselineRule, Policy};
pub use super::record::{Incident, IncidentState, Receipt, Review, ReviewState, Source};
pub use super::refusal::Refusal;
pub use super::reporter::{ReporterId, Reporters};
use crate::apki::AgentUri;
use crate::apki::trust_score::Score;
use crate::time::Clock;
use crate::trust::command::{Action, Command};
use crate::trust::ports::TrustStore;
use crate::trust::signal::Reported;

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
    /// So many rows were written for so many commands, and that took so long.
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

/// A trust engine that runs.
pub struct TrustService {
    store: Arc<dyn TrustStore>,
    policy: Arc<Policy>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    settings: Settings,
    queue: Arc<Queue>,
    rows: watch::Receiver<u64>,
    /// Nobody is to wait for changes any more.
    leaving: watch::Sender<bool>,
    /// The disk has too little room left to take anything in.
    disk_low: AtomicBool,
}

impl TrustService {
    /// What a CA certifies of this agent now. `base` is its attestation result: it opens the agent's account
    /// where there is none, and lowers its base where it is lower. It never raises anything.
    ///
    /// # Errors
    /// [`TrustError`] where the engine cannot answer.
    pub async fn assess(&self, agent: AgentUri, base: Score) -> Result<Assessed, TrustError> {
        let command = Command::of_ca(Action::Assess { agent, base: base.into() });
        self.assessed("assess", command).await
    }

    /// Takes in what a reporter sent, whose credential was seen: one outcome for each signal, in their order.
    ///
    /// # Errors
    /// [`TrustError`] where none of them can be taken in.
    pub async fn signals(&self, reporter: &ReporterId, signals: Vec<String>) -> Result<Vec<Outcome>, TrustError> {
        let outcomes = self.take(reporter, signals).await;
        match &outcomes {
            Ok(outcomes) => outcomes.iter().for_each(|outcome| self.observer.signal(outcome.name())),
            Err(error) => self.observer.signal(error.name()),
        }
        outcomes
    }

    async fn take(&self, reporter: &ReporterId, signals: Vec<String>) -> Result<Vec<Outcome>, TrustError> {
        if signals.len() > self.settings.max_signals {
            return Err(TrustError::TooMany(self.settings.max_signals));
        }
        self.room()?;
        // Signatures cost more than everything else together, and need no order.
        let (policy, reporter) = (Arc::clone(&self.policy), reporter.clone());
        let verify = move || {
            let verify = |text: &String| Reported::verify(&policy.reporters, &reporter, text);
            signals.iter().map(verify).collect::<Vec<_>>()
        };
        let failed = |_| TrustError::Internal("signatures could not be verified".into());
        let verified = tokio::task::spawn_blocking(verify).await.map_err(failed)?;
        let commands: Vec<_> = verified.iter().flatten().cloned().map(Command::report).collect();
        let answers = if commands.is_empty() { Answers::new() } else { self.queue.ask(commands).await? };
        let mut answers = answers.into_iter();
        let outcomes = verified.into_iter().map(|verified| match verified {
            Err(fault) => Outcome::Refused(fault.into()),
            Ok(_) => match answers.next() {
                Some(Ok(Answer::Receipt(receipt, false))) => Outcome::Taken(receipt),
                Some(Ok(Answer::Receipt(receipt, true))) => Outcome::Repeated(receipt),
                Some(Err(TrustError::Refusal(refusal))) => Outcome::Refused(refusal),
                Some(Err(error)) => Outcome::NotNow(error.to_string()),
                Some(Ok(_)) | None => Outcome::NotNow("the engine did not say what came of it".into()),
            },
        });
        Ok(outcomes.collect())
    }

    /// Confirms an incident: its agent's score is 0.
    ///
    /// # Errors
    /// [`TrustError::Refusal`] where it is not open, or not for this operator to decide.
    pub async fn confirm(&self, operator: &Operator, incident: u64) -> Result<Assessed, TrustError> {
        self.assessed("confirm", Command::of(operator, Action::Confirm { incident })).await
    }

    /// Dismisses an incident: what it took is given back.
    ///
    /// # Errors
    /// [`TrustError::Refusal`] where it is not open, or not for this operator to decide.
    pub async fn dismiss(&self, operator: &Operator, incident: u64) -> Result<Assessed, TrustError> {
        self.assessed("dismiss", Command::of(operator, Action::Dismiss { incident })).await
    }

    /// Applies what a review holds, or denies it.
    ///
    /// # Errors
    /// [`TrustError::Refusal`] where it is not open, or not for this operator to decide.
    pub async fn review(&self, operator: &Operator, review: u64, approve: bool) -> Result<Assessed, TrustError> {
        self.assessed("review", Command::of(operator, Action::Review { review, approve })).await
    }

    /// Changes an agent's base. What would raise the score too far is held for another operator.
    ///
    /// # Errors
    /// [`TrustError::Refusal`] where there is no account, or this operator may not.
    pub async fn rebase(
        &self,
        operator: &Operator,
        agent: AgentUri,
        base: Score,
        reason: String,
    ) -> Result<Assessed, TrustError> {
        self.room()?;
        let base = base.into();
        self.assessed("rebase", Command::of(operator, Action::Rebase { agent, base, reason })).await
    }

    /// Lifts a reporter's flag; it is counted anew.
    ///
    /// # Errors
    /// [`TrustError::Refusal`] where it has none, or this operator may not.
    pub async fn clear_flag(&self, operator: &Operator, reporter: ReporterId) -> Result<(), TrustError> {
        let answer = self.tell(Command::of(operator, Action::ClearFlag { reporter })).await;
        self.observed("clear_flag", answer).map(drop)
    }

    /// Takes in no signal while the disk has too little room; scores are still told.
    pub fn set_disk_low(&self, low: bool) {
        if self.disk_low.swap(low, Relaxed) != low {
            tracing::warn!(read_only = low, "the disk crossed its low watermark");
        }
    }

    /// Resolves when the engine has stopped by itself, with the reason: a write that failed, a store that
    /// is damaged.
    pub async fn ended(&self) -> String {
        self.queue.ended().await
    }

    /// Takes nothing in any more, writes what waits and ends the writer.
    pub async fn stop(&self) {
        let queue = Arc::clone(&self.queue);
        let _ = tokio::task::spawn_blocking(move || queue.close()).await;
    }

    fn room(&self) -> Result<(), TrustError> {
        if self.disk_low.load(Relaxed) { Err(TrustError::ReadOnly) } else { Ok(()) }
    }

    async fn tell(&self, command: Command) -> Result<Answer, TrustError> {
        let answer = self.queue.ask(vec![command]).await?.pop();
        answer.unwrap_or_else(|| Err(TrustError::Internal("a command was not answered".into())))
    }

    async fn assessed(&self, call: &'static str, command: Command) -> Result<Assessed, TrustError> {
        let answer = self.tell(command).await.and_then(|answer| match answer {
            Answer::Account(account, now) => Ok(view::assessed(&account, &self.policy, now)),
            Answer::Receipt(..) | Answer::Done => Err(TrustError::Internal("the answer is no account".into())),
        });
        self.observed(call, answer)
    }

    fn observed<T>(&self, call: &'static str, answer: Result<T, TrustError>) -> Result<T, TrustError> {
        self.observer.answered(call, answer.as_ref().map_or_else(TrustError::name, |_| "ok"));
        answer
    }
}

impl TrustError {
    /// What measurements call it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Refusal(refusal) => refusal.token(),
            Self::TooMany(_) => "too_many",
            Self::Overloaded => "overloaded",
            Self::ReadOnly => "read_only",
            Self::Stopped => "stopped",
            Self::Internal(_) => "internal",
        }
    }
}
