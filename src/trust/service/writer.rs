//! The single writer: one thread that owns the ledger.
//!
//! While a batch syncs, the next one gathers in the queue; there is no other delay. What a batch needs
//! is loaded at once, each account one time, however many of its signals are in it. An answer leaves
//! only behind the synced commit that holds all it speaks of. What leaves doubt about what is on the
//! disk ends the thread and with it the service: only a new start, which reads everything back, may
//! go on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use thiserror::Error;
use tokio::sync::{oneshot, watch};

use super::{Observer, TrustError};
use crate::apki::AgentUri;
use crate::time::{Clock, Stopwatch, UnixMillis};
use crate::trust::account::Account;
use crate::trust::command::Command;
use crate::trust::decide::{About, Decision, Next, decide};
use crate::trust::ledger::{JournalError, JournalHead};
use crate::trust::policy::Policy;
use crate::trust::ports::{Commit, CommitError, Key, StoreError, TrustStore};
use crate::trust::record::Receipt;
use crate::trust::refusal::Refusal;
use crate::trust::state::{Place, State};

/// Commands behind which a commit takes no other job in.
const MAX_BATCH: usize = 1_024;
/// How far the clock may go back before nothing is written any more. Up to there rows keep the time
/// of the row before.
pub(super) const MAX_CLOCK_STEP_MS: u64 = 60_000;

/// What a command is answered with.
pub(super) enum Answer {
    /// An account, as of this moment.
    Account(Box<Account>, UnixMillis),
    /// What came of a signal, and whether it was here before.
    Receipt(Receipt, bool),
    /// It is done.
    Done,
}

/// Answers to a job's commands, in their order.
pub(super) type Answers = Vec<Result<Answer, TrustError>>;

/// Commands on their way to the writer.
pub(super) struct Job {
    pub(super) commands: Vec<Command>,
    pub(super) reply: oneshot::Sender<Answers>,
}

/// Why the writer ended before it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Fatal {
    /// A write left doubt, or another writer is there.
    #[error("{0}")]
    Commit(#[from] CommitError),
    /// What was stored cannot be read.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The clock was set back.
    #[error("the clock went back {behind_ms} ms behind the last row: set it right, then start again")]
    ClockWentBack {
        /// How far.
        behind_ms: u64,
    },
    /// The writer's thread panicked.
    #[error("the writer failed unexpectedly")]
    Panicked,
}

/// Owns the ledger: where it ends, and when it was last written to.
pub(super) struct Writer {
    pub(super) store: Arc<dyn TrustStore>,
    pub(super) policy: Arc<Policy>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observer: Arc<dyn Observer>,
    /// Tells whoever waits for changes how far the ledger has come.
    pub(super) rows: watch::Sender<u64>,
    pub(super) head: JournalHead,
    pub(super) latest: UnixMillis,
}

/// What was decided about a command, and where its rows begin.
struct Verdict {
    about: Result<About, TrustError>,
    from: u64,
}

/// What one batch comes to, before it is durable.
struct Batch {
    now: UnixMillis,
    state: State,
    head: JournalHead,
    rows: Vec<Vec<u8>>,
    agents: Vec<Option<AgentUri>>,
    verdicts: Vec<(oneshot::Sender<Answers>, Vec<Verdict>)>,
}

impl Writer {
    /// Works until the queue's other end is dropped, or until something leaves doubt.
    pub(super) fn run(&mut self, jobs: &Receiver<Job>) -> Result<(), Fatal> {
        while let Ok(first) = jobs.recv() {
            let mut commands = first.commands.len();
            let mut taken = vec![first];
            while commands < MAX_BATCH
                && let Ok(job) = jobs.try_recv()
            {
                commands += job.commands.len();
                taken.push(job);
            }
            self.work(taken, commands)?;
        }
        Ok(())
    }

    fn work(&mut self, jobs: Vec<Job>, commands: usize) -> Result<(), Fatal> {
        let watch = Stopwatch::start();
        let (now, head) = (self.now()?, self.head);
        let (rows, agents, verdicts) = (Vec::new(), Vec::new(), Vec::new());
        let mut batch = Batch { now, state: State::default(), head, rows, agents, verdicts };
        // What cannot be loaded now is tried again, command by command.
        let all = jobs.iter().flat_map(|job| &job.commands);
        drop(settle(self.load(all.clone(), &mut batch.state))?);
        for Job { commands, reply } in jobs {
            let verdicts = commands.iter().map(|command| self.take(command, &mut batch));
            let verdicts = verdicts.collect::<Result<Vec<_>, Fatal>>()?;
            batch.verdicts.push((reply, verdicts));
        }
        let rows = batch.rows.len();
        self.commit(batch)?;
        self.observer.committed(rows, commands, watch.elapsed());
        Ok(())
    }

    /// The present, or the time of the last row where the clock is a little behind it.
    fn now(&self) -> Result<UnixMillis, Fatal> {
        let now = self.clock.now();
        match self.latest.since(now) {
            0 => Ok(now),
            behind_ms if behind_ms <= MAX_CLOCK_STEP_MS => Ok(self.latest),
            behind_ms => Err(Fatal::ClockWentBack { behind_ms }),
        }
    }

    /// Decides one command, on top of those before it in the batch.
    fn take(&self, command: &Command, batch: &mut Batch) -> Result<Verdict, Fatal> {
        let from = batch.head.rows;
        if let Err(about) = settle(self.load([command].into_iter(), &mut batch.state))? {
            return Ok(Verdict { about: Err(about), from });
        }
        let next = Next { row: from, now: batch.now };
        let Decision { events, verdict } = decide(&batch.state, command, &self.policy, next);
        let mut head = batch.head;
        let rows = events.iter().map(|event| head.append(batch.now, &command.by, event));
        let rows = match rows.collect::<Result<Vec<_>, JournalError>>() {
            Ok(rows) => rows,
            // One command that cannot be written must not keep the others from it.
            Err(error) => return Ok(Verdict { about: Err(TrustError::Internal(error.to_string())), from }),
        };
        for (row, event) in (from..).zip(&events) {
            batch.state.apply(&Place { row, at: batch.now, by: &command.by }, event);
            batch.agents.push(event.agent().cloned());
        }
        batch.rows.extend(rows);
        batch.head = head;
        Ok(Verdict { about: verdict.map_err(TrustError::Refusal), from })
    }

    /// Takes all that the commands need into the state.
    fn load<'c>(
        &self,
        commands: impl Iterator<Item = &'c Command> + Clone,
        state: &mut State,
    ) -> Result<(), StoreError> {
        loop {
            let keys: BTreeSet<Key> = commands.clone().flat_map(|c| c.needs(state, &self.policy)).collect();
            if keys.is_empty() {
                return Ok(());
            }
            let keys: Vec<Key> = keys.into_iter().collect();
            let found = self.store.load(&keys)?;
            if found.len() != keys.len() {
                let what = format!("{} answers to {} questions", found.len(), keys.len());
                return Err(StoreError::Corrupt(what));
            }
            keys.into_iter().zip(found).for_each(|(key, entity)| state.insert(key, entity));
        }
    }

    /// Makes the batch durable, then answers. Where for certain nothing was written, nothing of it
    /// has happened.
    fn commit(&mut self, batch: Batch) -> Result<(), Fatal> {
        let Batch { now, state, head, rows, agents, verdicts } = batch;
        if !rows.is_empty() {
            let commit = Commit { base: self.head, rows, agents, head, entities: state.changed() };
            match self.store.commit(commit) {
                Ok(()) => {
                    (self.head, self.latest) = (head, now);
                    self.observer.kept(head.rows);
                    self.rows.send_replace(head.rows);
                }
                Err(CommitError::NotWritten(why)) => {
                    tracing::warn!(%why, "the trust engine's store did not take a batch in");
                    for (reply, verdicts) in verdicts {
                        let _ = reply.send(verdicts.iter().map(|_| Err(TrustError::Overloaded)).collect());
                    }
                    return Ok(());
                }
                Err(doubt) => return Err(doubt.into()),
            }
        }
        for (reply, verdicts) in verdicts {
            let _ = reply.send(verdicts.into_iter().map(|verdict| answer(&state, verdict, now)).collect());
        }
        Ok(())
    }
}

/// What goes on to the one who asked, where the store cannot answer now; what is wrong with it for good
/// ends the writer.
fn settle(loaded: Result<(), StoreError>) -> Result<Result<(), TrustError>, Fatal> {
    match loaded {
        Ok(()) => Ok(Ok(())),
        Err(StoreError::Unavailable(why)) => {
            tracing::warn!(%why, "the trust engine's store does not answer");
            Ok(Err(TrustError::Overloaded))
        }
        Err(damage) => Err(damage.into()),
    }
}

fn answer(state: &State, verdict: Verdict, now: UnixMillis) -> Result<Answer, TrustError> {
    match verdict.about? {
        About::Agent(agent) => {
            let account = state.account(&agent).cloned().ok_or(Refusal::NotFound("account"))?;
            Ok(Answer::Account(Box::new(account), now))
        }
        About::Signal(reporter, id) => {
            let receipt = state.receipt(&reporter, id).cloned();
            let lost = || TrustError::Internal("a signal was taken in, and its receipt is not there".into());
            receipt.map(|receipt| Answer::Receipt(receipt.clone(), receipt.row < verdict.from)).ok_or_else(lost)
        }
        About::Reporter(_) => Ok(Answer::Done),
    }
}
