//! The single writer: one thread that has the book, and the only one that writes.
//!
//! While a batch syncs, the next one gathers in the queue; there is no other delay. Nobody hears an answer before
//! all that was decided until then is on the disk. What cannot be written ends the thread and with it the ledger:
//! the book in memory is ahead of the disk then, and only a new start, which reads the disk, may go on.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};

use crate::log::store::StoreError;
use crate::verify::ledger::{Book, Demand, LedgerError, Outcome, ReservationId, Row, RowKey, UnixMillis};

/// Most calls in one write.
const MAX_BATCH: usize = 1024;

/// What changed: rows as they are now, `None` where one is gone.
pub(super) type Changes = Vec<(RowKey, Option<Row>)>;

/// Where rows are written.
pub(super) trait Sink: Send + 'static {
    /// Makes all of the changes durable.
    fn write(&mut self, changes: Changes) -> Result<(), StoreError>;
}

/// Why a ledger has stopped, once it has.
#[derive(Clone, Default)]
pub(super) struct Failure(Arc<OnceLock<String>>);

impl Failure {
    fn set(&self, reason: String) {
        // The first reason is the one that counts.
        let _ = self.0.set(reason);
    }

    pub(super) fn get(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    pub(super) fn error(&self) -> LedgerError {
        LedgerError::Stopped(self.get().unwrap_or("it was closed").to_owned())
    }
}

/// Whoever hears the answer.
type Listener<T> = Box<dyn FnOnce(Result<T, LedgerError>) + Send>;

/// An answer that is owed. Where it is dropped, it says that the ledger has stopped.
pub(super) struct Reply<T> {
    listener: Option<Listener<T>>,
    failure: Failure,
}

impl<T> Reply<T> {
    pub(super) fn new(failure: &Failure, listener: impl FnOnce(Result<T, LedgerError>) + Send + 'static) -> Self {
        Self { listener: Some(Box::new(listener)), failure: failure.clone() }
    }

    fn send(mut self, answer: Result<T, LedgerError>) {
        if let Some(listener) = self.listener.take() {
            listener(answer);
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener(Err(self.failure.error()));
        }
    }
}

/// A call on its way to the writer.
pub(super) enum Job {
    Reserve(Demand, UnixMillis, Reply<ReservationId>),
    Charge(Demand, UnixMillis, Reply<()>),
    Settle(ReservationId, Outcome, UnixMillis, Reply<()>),
}

impl Job {
    /// Answers without having done anything.
    pub(super) fn refuse(self, error: LedgerError) {
        match self {
            Self::Reserve(_, _, reply) => reply.send(Err(error)),
            Self::Charge(_, _, reply) | Self::Settle(_, _, _, reply) => reply.send(Err(error)),
        }
    }

    /// Does what is asked for, in memory, and says what is to be told once that is durable.
    fn apply(self, book: &mut Book) -> Answer {
        match self {
            Self::Reserve(demand, now, reply) => Answer::Reserve(reply, book.reserve(&demand, now)),
            Self::Charge(demand, now, reply) => Answer::Done(reply, book.charge(&demand, now)),
            Self::Settle(id, outcome, now, reply) => Answer::Done(reply, book.settle(id, outcome, now)),
        }
    }
}

/// An answer that waits for its batch to be durable.
enum Answer {
    Reserve(Reply<ReservationId>, Result<ReservationId, LedgerError>),
    Done(Reply<()>, Result<(), LedgerError>),
}

impl Answer {
    fn send(self) {
        match self {
            Self::Reserve(reply, answer) => reply.send(answer),
            Self::Done(reply, answer) => reply.send(answer),
        }
    }
}

/// Works until the queue's other end is dropped, or until something cannot be written. Whoever waits then hears
/// why.
pub(super) fn run(book: Book, mut sink: impl Sink, jobs: Receiver<Job>, failure: &Failure) {
    let end = catch_unwind(AssertUnwindSafe(|| work(book.recording(), &mut sink, &jobs)));
    match end {
        Ok(Ok(())) => {}
        Ok(Err((error, waiting))) => {
            failure.set(error.to_string());
            drop(waiting);
        }
        Err(_) => failure.set("the writer failed unexpectedly".into()),
    }
    drop(jobs);
}

fn work(mut book: Book, sink: &mut impl Sink, jobs: &Receiver<Job>) -> Result<(), (StoreError, Vec<Answer>)> {
    while let Ok(first) = jobs.recv() {
        let batch = iter::once(first).chain(jobs.try_iter()).take(MAX_BATCH);
        let answers: Vec<_> = batch.map(|job| job.apply(&mut book)).collect();
        let changes = book.take_changes();
        if !changes.is_empty()
            && let Err(error) = sink.write(changes)
        {
            return Err((error, answers));
        }
        answers.into_iter().for_each(Answer::send);
    }
    Ok(())
}
