//! A relying party's ledger in RocksDB.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use rocksdb::{IteratorMode, WriteBatch};

use super::schema::{self, BUCKETS, COUNTERS, FORMAT, FORMAT_KEY, HEAD_KEY, RESERVATIONS, ROWS, SETTLED, STATE};
use super::writer::{Changes, Failure, Job, Reply, Sink, run};
use crate::log::store::StoreError;
pub use crate::storage::database::OpenError;
use crate::storage::database::{Database, Kind, Shape, Table, store_error};
use crate::storage::journalled::damaged;
use crate::verify::ledger::{
    Book, Bounds, Demand, LedgerError, Outcome, ReservationId, Row, RowKey, SpendLedger, UnixMillis,
};

pub(super) static KIND: Kind = Kind {
    owner: "relying party's ledger",
    cache_octets: 16 << 20,
    write_buffer_octets: 12 << 20,
    families: &[
        table(STATE, Shape::Plain),
        table(COUNTERS, Shape::Compressible),
        table(BUCKETS, Shape::Plain),
        table(RESERVATIONS, Shape::Plain),
        table(SETTLED, Shape::Plain),
    ],
};

/// Calls that may wait for the writer.
const QUEUE: usize = 4096;

const fn table(name: &'static str, shape: Shape) -> Table {
    Table { name, shape }
}

/// A ledger in one RocksDB directory, which is locked: a second process cannot open it. All accounts are in
/// memory as well, and a new start reads them back.
///
/// An answer is given when what it says is on the disk: neither a crash nor a power failure takes a reservation
/// back. A write that fails stops the ledger, and with the reason it refuses whatever is asked from then on.
///
/// A database that is put back from an older copy is **not** noticed here, as it is for a log or a CA: what was
/// used behind the copy is free again until its periods are over. Nobody outside holds anything that the ledger
/// could be compared with. So do not put copies back; and where the database is lost, let no agent in that could
/// have used its limits, until the longest of their periods is over.
///
/// The calls of [`SpendLedger`] block, so they are not for async code; [`RocksLedger::reserve_with`],
/// [`RocksLedger::charge_with`] and [`RocksLedger::settle_with`] are.
pub struct RocksLedger {
    sender: Option<SyncSender<Job>>,
    failure: Failure,
    thread: Option<JoinHandle<()>>,
}

impl RocksLedger {
    /// Opens the database in `path`, making it if there is none: for its owner alone, as it tells who did what.
    /// Bounds that are narrower than what it holds take nothing from it, but let nothing be added until they fit.
    ///
    /// # Errors
    /// Where it is not a ledger's, not whole, or open already.
    pub fn open(path: &Path, bounds: Bounds) -> Result<Self, OpenError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|e| OpenError::new(path, e))?;
        let database = Database::open(path, &KIND)?;
        check_format(&database, path)?;
        let book = read_book(&database, bounds).map_err(|e| OpenError::new(path, e))?;
        Self::start(book, RocksSink(database)).map_err(|e| OpenError::new(path, e))
    }

    /// Starts the writer.
    pub(super) fn start(book: Book, sink: impl Sink) -> std::io::Result<Self> {
        let (sender, jobs) = sync_channel(QUEUE);
        let failure = Failure::default();
        let why = failure.clone();
        let writer = std::thread::Builder::new().name("ledger-writer".into());
        let thread = writer.spawn(move || run(book, sink, jobs, &why))?;
        Ok(Self { sender: Some(sender), failure, thread: Some(thread) })
    }

    /// Why it has stopped, if it has.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get()
    }

    /// As [`SpendLedger::reserve`], without waiting: `answer` is called with what came of it, once it is on the
    /// disk, or at once where too many calls wait already ([`LedgerError::Overloaded`]). It is called on the
    /// writer's thread, which everybody waits for: let it send into a channel, and neither block nor panic.
    pub fn reserve_with(
        &self,
        demand: Demand,
        now: UnixMillis,
        answer: impl FnOnce(Result<ReservationId, LedgerError>) + Send + 'static,
    ) {
        self.hand_over(Job::Reserve(demand, now, Reply::new(&self.failure, answer)));
    }

    /// As [`SpendLedger::charge`], without waiting; the same holds for `answer`. It is done whether or not anybody
    /// still waits for the answer.
    pub fn charge_with(
        &self,
        demand: Demand,
        now: UnixMillis,
        answer: impl FnOnce(Result<(), LedgerError>) + Send + 'static,
    ) {
        self.hand_over(Job::Charge(demand, now, Reply::new(&self.failure, answer)));
    }

    /// As [`SpendLedger::commit`] and [`SpendLedger::release`], without waiting; the same holds for `answer`.
    pub fn settle_with(
        &self,
        id: ReservationId,
        outcome: Outcome,
        now: UnixMillis,
        answer: impl FnOnce(Result<(), LedgerError>) + Send + 'static,
    ) {
        self.hand_over(Job::Settle(id, outcome, now, Reply::new(&self.failure, answer)));
    }

    /// A job that is dropped says itself that the ledger has stopped.
    fn hand_over(&self, job: Job) {
        let Some(sender) = &self.sender else { return };
        if let Err(TrySendError::Full(job)) = sender.try_send(job) {
            job.refuse(LedgerError::Overloaded);
        }
    }

    /// Hands a job over, as soon as there is a place, and waits for the answer.
    fn wait<T: Send + 'static>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, LedgerError> {
        let (tell, answer) = sync_channel(1);
        let job = job(Reply::new(&self.failure, move |answer| drop(tell.send(answer))));
        if let Some(sender) = &self.sender {
            drop(sender.send(job));
        } else {
            drop(job);
        }
        answer.recv().unwrap_or_else(|_| Err(self.failure.error()))
    }
}

impl SpendLedger for RocksLedger {
    fn reserve(&self, demand: &Demand, now: UnixMillis) -> Result<ReservationId, LedgerError> {
        self.wait(|reply| Job::Reserve(demand.clone(), now, reply))
    }

    fn charge(&self, demand: &Demand, now: UnixMillis) -> Result<(), LedgerError> {
        self.wait(|reply| Job::Charge(demand.clone(), now, reply))
    }

    fn commit(&self, id: ReservationId, now: UnixMillis) -> Result<(), LedgerError> {
        self.wait(|reply| Job::Settle(id, Outcome::Committed, now, reply))
    }

    fn release(&self, id: ReservationId, now: UnixMillis) -> Result<(), LedgerError> {
        self.wait(|reply| Job::Settle(id, Outcome::Released, now, reply))
    }
}

/// What waits is still written; then the database is closed.
impl Drop for RocksLedger {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(thread) = self.thread.take() {
            // It catches its own panics, and has said how it ended.
            let _ = thread.join();
        }
    }
}

/// Refuses a database of another layout, and writes ours into an empty one.
fn check_format(database: &Database, path: &Path) -> Result<(), OpenError> {
    let read = |key| database.get(STATE, key).map_err(|e| OpenError::new(path, e));
    match (read(FORMAT_KEY)?, read(HEAD_KEY)?) {
        (Some(format), _) if format == FORMAT.as_bytes() => return Ok(()),
        (None, None) => {}
        (format, _) => {
            let found = format.unwrap_or_default();
            let found = String::from_utf8_lossy(&found);
            let reason =
                format!("its format is `{found}`, and this program reads `{FORMAT}`: use the one that wrote it");
            return Err(OpenError::new(path, reason));
        }
    }
    let put = database.family(STATE).and_then(|family| {
        let mut batch = WriteBatch::default();
        batch.put_cf(&family, FORMAT_KEY, FORMAT);
        database.write_synced(batch).map_err(store_error)
    });
    put.map_err(|e| OpenError::new(path, e))
}

pub(super) fn read_book(database: &Database, bounds: Bounds) -> Result<Book, StoreError> {
    let mut rows = Vec::new();
    if let Some(head) = database.get(STATE, HEAD_KEY)? {
        rows.push(read_row(STATE, HEAD_KEY, &head)?);
    }
    for name in ROWS {
        for item in database.db.iterator_cf(&database.family(name)?, IteratorMode::Start) {
            let (key, value) = item.map_err(store_error)?;
            rows.push(read_row(name, &key, &value)?);
        }
    }
    Book::restore(bounds, rows).map_err(|fault| {
        let (family, key) = schema::place(fault.key);
        damaged(family, &key, &format!("does not belong to the rest: {}", fault.what))
    })
}

fn read_row(family: &str, key: &[u8], value: &[u8]) -> Result<(RowKey, Row), StoreError> {
    schema::read(family, key, value).map_err(|what| damaged(family, key, &what))
}

/// The database, with one writer.
struct RocksSink(Database);

impl Sink for RocksSink {
    fn write(&mut self, changes: Changes) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for (key, row) in changes {
            let (family, key) = schema::place(key);
            let family = self.0.family(family)?;
            match row {
                Some(row) => batch.put_cf(&family, key, schema::write(&row)?),
                None => batch.delete_cf(&family, key),
            }
        }
        self.0.write_synced(batch).map_err(store_error)
    }
}
