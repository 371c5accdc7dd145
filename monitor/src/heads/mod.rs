//! What is known of a log's heads, whoever showed them, and what of it cannot be.
//!
//! A head that is shown waits in an inbox ([`book`]) until it is held against all that are known ([`compare`]) and,
//! where that does not say it, until the log has been asked for the proof between it and the largest one that fits.
//! What the log fails to prove is a challenge; what it has signed and cannot both be is kept as evidence, and freezes
//! the log.

pub mod book;
mod budget;
pub mod compare;
mod examine;
mod prove;
pub(crate) mod subtrees;

use std::collections::HashMap;
use std::sync::Arc;

use atl::client::LogClient;
use atl::log::checkpoint::Origin;
use atl::merkle::TreeSize;
use atl::time::{Clock, UnixMillis};
use parking_lot::Mutex;
use thiserror::Error;

pub use self::book::{Around, BY_LOG, Known, Latest, Received, Standing};
use self::book::{Book, receive};
use self::budget::Budget;
use self::compare::HeadId;
pub use self::examine::pair;
use crate::board::Board;
use crate::clock;
use crate::evidence::{KeepError, Keeper};
use crate::head::SignedHead;
use crate::state::{State, StateError};
use crate::watched::WatchedLog;

/// Why a head was not dealt with. It waits in the inbox where it got that far.
#[derive(Debug, Error)]
pub enum HeadsError {
    /// The database failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// Evidence was not kept.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The monitor is going down.
    #[error("the monitor is stopping")]
    Stopping,
}

/// What a head was when it was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not known before. Whether it fits may not be known yet.
    New,
    /// Known.
    Known,
    /// Its log is proven to have misbehaved, now or before.
    Frozen,
}

/// The heads of all logs. Clones share everything.
#[derive(Clone)]
pub struct Heads {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    state: Arc<State>,
    board: Arc<Board>,
    keeper: Arc<dyn Keeper>,
    clock: Arc<dyn Clock>,
    /// One look at a log's heads at a time, and what may still be asked of it for others.
    turns: Mutex<HashMap<String, Turn>>,
}

type Turn = Arc<tokio::sync::Mutex<Budget>>;

impl Heads {
    /// The heads in `state`. Logs that are frozen are so on the board too.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn open(
        state: Arc<State>,
        board: Arc<Board>,
        keeper: Arc<dyn Keeper>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StateError> {
        for (origin, evidence) in book::all_frozen(&state)? {
            board.log(&origin, |line| line.frozen = Some(evidence));
        }
        Ok(Self { inner: Arc::new(Inner { state, board, keeper, clock, turns: Mutex::default() }) })
    }

    /// Holds a head that `source` has shown, [`BY_LOG`] or the name of a monitor, against all that are known, and asks
    /// the log for the proof that is needed.
    ///
    /// # Errors
    /// Where the database fails or evidence cannot be kept. That the log does not answer is none: the head waits.
    pub async fn observe(
        &self,
        log: &WatchedLog,
        client: &LogClient,
        head: SignedHead,
        source: &str,
    ) -> Result<Seen, HeadsError> {
        let id = HeadId::from(&head);
        let (watched, by) = (log.clone(), source.to_owned());
        let received = self.blocking(move |inner| inner.receive(&watched, &head, &by)).await?;
        let (waits, by_log) = (matches!(received, Received::New | Received::Waiting), source == BY_LOG);
        if waits || by_log {
            let turn = self.turn(log);
            let mut budget = turn.lock().await;
            let now = self.inner.clock.now();
            let watched = log.clone();
            let due = self.blocking(move |inner| inner.due(&watched)).await?;
            if waits && due.contains(&id) {
                self.examine(log, client, id, || by_log || budget.take(now)).await?;
            }
            // What the log has shown and refused to prove is asked for again as its newer heads come.
            let watched = log.clone();
            if by_log && let Some(refused) = self.blocking(move |inner| inner.refused(&watched, &id)).await? {
                self.examine(log, client, refused, || true).await?;
            }
        }
        match (self.frozen(&log.origin)?, received) {
            (Some(_), _) => Ok(Seen::Frozen),
            (None, Received::Known(_) | Received::Waiting) => Ok(Seen::Known),
            (None, Received::New | Received::Full) => Ok(Seen::New),
        }
    }

    /// Takes a head that `source` has shown into the inbox and asks nothing: [`settle`](Self::settle) does.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn receive(&self, log: &WatchedLog, head: &SignedHead, source: &str) -> Result<Received, HeadsError> {
        self.inner.receive(log, head, source)
    }

    /// Works through the inbox of a log, the largest heads first, until nothing is due or enough was asked for now.
    ///
    /// # Errors
    /// Where the database fails or evidence cannot be kept. What is not settled waits.
    pub async fn settle(&self, log: &WatchedLog, client: &LogClient) -> Result<(), HeadsError> {
        let turn = self.turn(log);
        let mut budget = turn.lock().await;
        let watched = log.clone();
        for id in self.blocking(move |inner| inner.due(&watched)).await? {
            let now = self.inner.clock.now();
            self.examine(log, client, id, || budget.take(now)).await?;
        }
        Ok(())
    }

    /// The first evidence against a log, where it is frozen.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn frozen(&self, origin: &Origin) -> Result<Option<String>, HeadsError> {
        Ok(book::frozen(&self.inner.state, origin)?)
    }

    /// The tree heads on both sides of a size, out of those that fit each other.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn around(&self, origin: &Origin, size: TreeSize) -> Result<Around, HeadsError> {
        Ok(self.book(origin)?.around(size))
    }

    /// The largest known heads of a log.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn latest(&self, origin: &Origin) -> Result<Latest, HeadsError> {
        Ok(self.book(origin)?.latest())
    }

    /// How a head stands, where it is known.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn standing(&self, origin: &Origin, id: &HeadId) -> Result<Option<Standing>, HeadsError> {
        Ok(self.book(origin)?.find(id).map(|known| known.standing))
    }

    /// All that is known of a log's heads.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn book(&self, origin: &Origin) -> Result<Book, HeadsError> {
        Ok(self.inner.state.read(|read| Book::load(read, origin))?)
    }

    fn turn(&self, log: &WatchedLog) -> Turn {
        let now = self.inner.clock.now();
        let mut turns = self.inner.turns.lock();
        turns
            .entry(log.origin.to_string())
            .or_insert_with(|| Arc::new(tokio::sync::Mutex::new(Budget::full(now))))
            .clone()
    }

    /// Runs a step that waits for the disk where that holds up nobody else.
    async fn blocking<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Inner) -> Result<T, HeadsError> + Send + 'static,
    ) -> Result<T, HeadsError> {
        let inner = self.inner.clone();
        tokio::task::spawn_blocking(move || step(&inner)).await.map_err(|_| HeadsError::Stopping)?
    }
}

impl Inner {
    fn receive(&self, log: &WatchedLog, head: &SignedHead, by: &str) -> Result<Received, HeadsError> {
        // Most heads are shown again and again: nothing is written for those.
        if let Some(known) = self.state.read(|read| book::recall(read, &log.origin, &head.into()))?
            && (known.to_us || by != BY_LOG)
        {
            return Ok(known.standing.into());
        }
        let now = self.clock.now();
        Ok(self.state.write(|write| receive(write, log, head, by, now))?)
    }

    /// The oldest head but `other` that the log has shown to us and refused to prove, where its time has come.
    fn refused(&self, log: &WatchedLog, other: &HeadId) -> Result<Option<HeadId>, HeadsError> {
        let now = self.clock.now();
        if !book::is_due(&self.state, &log.origin, now)? {
            return Ok(None);
        }
        let book = self.state.read(|read| Book::load(read, &log.origin))?;
        let is_refused = |known: &&Known| known.to_us && known.refused.is_some() && known.id != *other;
        let refused = book.inbox.iter().filter(is_refused).filter(|known| book::due(known, now));
        Ok(refused.min_by_key(|known| known.first_seen_at).map(|known| known.id))
    }

    /// The heads of a log's inbox whose time has come, the largest first: into it the others can be proven.
    fn due(&self, log: &WatchedLog) -> Result<Vec<HeadId>, HeadsError> {
        let now = self.clock.now();
        if !book::is_due(&self.state, &log.origin, now)? {
            return Ok(Vec::new());
        }
        let book = self.state.read(|read| Book::load(read, &log.origin))?;
        let mut due: Vec<_> = book.inbox.iter().filter(|known| book::due(known, now)).map(|known| known.id).collect();
        due.sort_by(|one, two| two.cmp(one));
        Ok(due)
    }
}

/// By how many milliseconds `now` is ahead of all that logs have signed, where our clock may be wrong: of what the board
/// shows, and just after a start of what is known from before.
///
/// # Errors
/// Where the database fails.
pub fn ahead(board: &Board, state: &State, now: UnixMillis) -> Result<Option<u64>, StateError> {
    let newest = match board.newest_head(now) {
        Some(newest) => Some(newest),
        None => book::newest_signed(state, now)?,
    };
    Ok(clock::ahead(newest, now))
}
