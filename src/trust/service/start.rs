//! Whether the store and the clock are fit to begin with.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::watch;

use super::queue::Queue;
use super::writer::{MAX_CLOCK_STEP_MS, Writer};
use super::{Parts, Settings, TrustService};
use crate::time::UnixMillis;
use crate::trust::ledger::{JournalError, JournalHead, Row};
use crate::trust::ports::{StoreError, TrustStore};

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

impl TrustService {
    /// Looks at the store and the clock, and starts the writer. Blocks while it reads.
    ///
    /// # Errors
    /// [`StartError`], with what is not as it should be.
    pub fn start(parts: Parts, settings: Settings) -> Result<Arc<Self>, StartError> {
        let Parts { store, policy, clock, observer } = parts;
        let (head, latest) = check_ledger(&*store)?;
        // A clock that was set back would bring back scores that have decayed.
        let behind_ms = latest.since(clock.now());
        if behind_ms > MAX_CLOCK_STEP_MS {
            return Err(StartError::ClockWentBack { behind_ms, latest });
        }
        observer.kept(head.rows);
        let (sender, rows) = watch::channel(head.rows);
        let policy = Arc::new(policy);
        let writer = Writer {
            store: Arc::clone(&store),
            policy: Arc::clone(&policy),
            clock: Arc::clone(&clock),
            observer: Arc::clone(&observer),
            rows: sender,
            head,
            latest,
        };
        let queue = Arc::new(Queue::start(writer, settings.queue_limit)?);
        let (leaving, disk_low) = (watch::Sender::new(false), AtomicBool::new(false));
        Ok(Arc::new(Self { store, policy, clock, observer, settings, queue, rows, leaving, disk_low }))
    }
}

/// The head of the ledger and the time of its last row, once the one is seen to be that of the other.
fn check_ledger(store: &dyn TrustStore) -> Result<(JournalHead, UnixMillis), StartError> {
    let head = store.head()?;
    let wrong = |found| StartError::Head { rows: head.rows, found };
    if !store.rows(head.rows, 1)?.is_empty() {
        return Err(wrong("there are more"));
    }
    let Some(last) = head.rows.checked_sub(1) else {
        let empty = head == JournalHead::default();
        return if empty { Ok((head, UnixMillis::default())) } else { Err(wrong("the hash of a last row")) };
    };
    let rows = store.rows(last, 1)?;
    let [octets] = rows.as_slice() else { return Err(wrong("the last is missing")) };
    if <[u8; 32]>::from(Sha256::digest(octets)) != head.hash {
        return Err(wrong("the last one has another hash"));
    }
    Ok((head, Row::read(last, octets)?.at))
}
