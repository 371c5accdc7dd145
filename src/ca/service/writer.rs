//! The single writer: one thread that owns the journal.
//!
//! While a batch syncs, the next one gathers in the queue; there is no other delay. An answer leaves
//! only behind the synced commit that holds all it speaks of. What leaves doubt about what is on the
//! disk ends the thread and with it the service: only a new start, which reads everything back, may
//! go on.

use std::iter;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::status::StatusBoard;
use super::view::RevokedAgent;
use super::{CaError, Observer};
use crate::ca::authority::{Decision, Refusal, decide};
use crate::ca::command::Command;
use crate::ca::event::Event;
use crate::ca::journal::{JournalError, JournalHead};
use crate::ca::policy::Policy;
use crate::ca::ports::{CaStore, Commit, CommitError, Entity, KeptHead, StoreError};
use crate::ca::request::{Request, RequestId};
use crate::ca::state::State;
use crate::time::{Clock, UnixMillis};

/// Most commands in one commit.
const MAX_BATCH: usize = 256;
/// How far the clock may go back before nothing is written any more. Up to there rows keep the time
/// of the row before.
pub(super) const MAX_CLOCK_STEP_MS: u64 = 60_000;

/// Tells whoever waits. One that went away does not hear it; what was decided stays.
pub(super) type Reply = oneshot::Sender<Result<Told, CaError>>;

/// What a command came to, behind the commit.
#[derive(Debug)]
pub(super) struct Told {
    /// The request that it was about, as it is now.
    pub(super) request: Option<Request>,
    /// Whose authority it took back.
    pub(super) revoked: Vec<RevokedAgent>,
    /// When.
    pub(super) at: UnixMillis,
}

/// A command on its way to the writer.
pub(super) struct Job {
    pub(super) command: Command,
    pub(super) reply: Reply,
    /// Given back when the command leaves the queue; what the CA tells itself needs none.
    pub(super) _place: Option<OwnedSemaphorePermit>,
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
    /// A revocation is on the disk, but an older copy of the database would not be noticed: nobody may hear that
    /// it stands.
    #[error("the journal's head cannot be kept behind a revocation: {0}")]
    Head(StoreError),
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

/// Owns the journal: where it ends, and when it was last written to.
pub(super) struct Writer {
    store: Arc<dyn CaStore>,
    policy: Arc<Policy>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    status: Arc<StatusBoard>,
    kept_head: Option<Arc<dyn KeptHead>>,
    head: JournalHead,
    open_requests: u64,
    latest: UnixMillis,
}

/// What one batch comes to, before it is durable.
struct Batch {
    now: UnixMillis,
    state: State,
    head: JournalHead,
    rows: Vec<Vec<u8>>,
    opened: i64,
    answers: Vec<Answer>,
}

/// A verdict that waits for its batch to be durable.
struct Answer {
    reply: Reply,
    verdict: Result<Option<RequestId>, Refusal>,
    revoked: Vec<RevokedAgent>,
}

impl Writer {
    /// A writer that goes on behind `head`, whose row was written at `latest`, where so many requests are
    /// open.
    pub(super) fn new(
        (store, policy, clock): (Arc<dyn CaStore>, Arc<Policy>, Arc<dyn Clock>),
        kept_head: Option<Arc<dyn KeptHead>>,
        (observer, status): (Arc<dyn Observer>, Arc<StatusBoard>),
        (head, latest): (JournalHead, UnixMillis),
        open_requests: u64,
    ) -> Self {
        observer.kept(head.rows, open_requests);
        Self { store, policy, clock, observer, status, kept_head, head, open_requests, latest }
    }

    /// Works until the queue's other end is dropped, or until something leaves doubt.
    pub(super) fn run(&mut self, jobs: &Receiver<Job>) -> Result<(), Fatal> {
        while let Ok(first) = jobs.recv() {
            let mut batch = Batch {
                now: self.now()?,
                state: State::default(),
                head: self.head,
                rows: Vec::new(),
                opened: 0,
                answers: Vec::new(),
            };
            for job in iter::once(first).chain(jobs.try_iter()).take(MAX_BATCH) {
                self.take(job, &mut batch)?;
            }
            self.commit(batch)?;
        }
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
    fn take(&self, Job { command, reply, .. }: Job, batch: &mut Batch) -> Result<(), Fatal> {
        match self.load(&command, &mut batch.state) {
            Ok(()) => {}
            Err(StoreError::Unavailable(why)) => {
                tracing::warn!(%why, "the CA's store does not answer");
                let _ = reply.send(Err(CaError::Overloaded));
                return Ok(());
            }
            Err(damage) => return Err(damage.into()),
        }
        let Decision { by, events, verdict } = decide(&batch.state, &command, &self.policy, batch.now);
        let mut head = batch.head;
        let rows = events.iter().map(|event| head.append(batch.now, by.clone(), event.clone()));
        match rows.collect::<Result<Vec<_>, JournalError>>() {
            Ok(rows) => batch.rows.extend(rows),
            // One command that cannot be written must not keep the others from it.
            Err(error) => {
                let _ = reply.send(Err(CaError::Internal(error.to_string())));
                return Ok(());
            }
        }
        batch.head = head;
        events.iter().for_each(|event| batch.state.apply(batch.now, event));
        batch.opened += events.iter().map(Event::opened).sum::<i64>();
        let revoked = events.into_iter().filter_map(revoked_agent).collect();
        batch.answers.push(Answer { reply, verdict, revoked });
        Ok(())
    }

    /// Takes all that the command needs into the state.
    fn load(&self, command: &Command, state: &mut State) -> Result<(), StoreError> {
        loop {
            let keys = command.needs(state, &self.policy);
            if keys.is_empty() {
                return Ok(());
            }
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
        let Batch { now, state, head, rows, opened, answers } = batch;
        if !rows.is_empty() {
            let entities = state.changed();
            let revoked = entities.iter().filter_map(|entity| match entity {
                Entity::Revocation(revocation) => Some(revocation.clone()),
                _ => None,
            });
            let revoked: Vec<_> = revoked.collect();
            let revokes = !revoked.is_empty();
            match self.store.commit(Commit { base: self.head, rows, head, entities }) {
                Ok(()) => {
                    self.status.record(revoked);
                    if let Some(kept) = self.kept_head.as_ref().filter(|_| revokes) {
                        kept.keep(&head).map_err(Fatal::Head)?;
                    }
                    (self.head, self.latest) = (head, now);
                    self.open_requests = self.open_requests.saturating_add_signed(opened);
                    self.observer.kept(head.rows, self.open_requests);
                }
                Err(CommitError::NotWritten(why)) => {
                    tracing::warn!(%why, "the CA's store did not take a batch in");
                    answers.into_iter().for_each(|Answer { reply, .. }| drop(reply.send(Err(CaError::Overloaded))));
                    return Ok(());
                }
                Err(doubt) => return Err(doubt.into()),
            }
        }
        for Answer { reply, verdict, revoked } in answers {
            let told = verdict.map(|about| {
                let request = about.and_then(|id| state.request(&id).cloned());
                Told { request, revoked, at: now }
            });
            let _ = reply.send(told.map_err(CaError::Refusal));
        }
        Ok(())
    }
}

fn revoked_agent(event: Event) -> Option<RevokedAgent> {
    let Event::AgentRevoked { agent, with, certificates, .. } = event else { return None };
    let certificates = certificates.into_iter().map(|certificate| certificate.serial).collect();
    Some(RevokedAgent { agent, with, certificates })
}
