//! The way to the writer: a bounded queue, and how the writer ended.

use std::future::pending;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, oneshot, watch};

use super::CaError;
use super::writer::{Fatal, Job, Told, Writer};
use crate::ca::command::Command;

/// Hands commands to the writer.
pub(super) struct Queue {
    sender: RwLock<Option<SyncSender<Job>>>,
    /// Those that come from outside have so many places. What the CA tells itself, which is bounded
    /// by the issuances under way, is not turned away because of them.
    places: Arc<Semaphore>,
    ended: watch::Receiver<Option<Result<(), Fatal>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A writer never outlives its front: at the end of the process the store would go under its feet.
impl Drop for Queue {
    fn drop(&mut self) {
        self.close();
    }
}

impl Queue {
    /// Starts the writer. `limit` commands from outside may wait, and `reserve` of the CA's own.
    pub(super) fn start(mut writer: Writer, limit: usize, reserve: usize) -> std::io::Result<Self> {
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        let (sender, jobs) = sync_channel(limit.saturating_add(reserve));
        let (ended_sender, ended) = watch::channel(None);
        let thread = std::thread::Builder::new().name("ca-writer".into()).spawn(move || {
            let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.run(&jobs)));
            // Whoever still waits in the queue hears that the CA stopped before the world does.
            drop(jobs);
            ended_sender.send_replace(Some(end.unwrap_or(Err(Fatal::Panicked))));
        })?;
        Ok(Self {
            sender: RwLock::new(Some(sender)),
            places: Arc::new(Semaphore::new(limit)),
            ended,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Somebody wants something of the CA. The answer comes behind the synced commit; dropping the
    /// future does not take the command back.
    pub(super) async fn ask(&self, command: Command) -> Result<Told, CaError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| CaError::Overloaded)?;
        let (reply, answer) = oneshot::channel();
        self.send(Job { command, reply, _place: Some(place) })?;
        answer.await.unwrap_or(Err(CaError::Stopped))
    }

    /// The CA records what it did.
    pub(super) async fn record(&self, command: Command) -> Result<Told, CaError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job { command, reply, _place: None })?;
        answer.await.unwrap_or(Err(CaError::Stopped))
    }

    fn send(&self, job: Job) -> Result<(), CaError> {
        let sender = self.sender.read();
        let sender = sender.as_ref().ok_or(CaError::Stopped)?;
        sender.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => CaError::Overloaded,
            TrySendError::Disconnected(_) => CaError::Stopped,
        })
    }

    /// Why the writer has ended, if it has and was not asked to.
    pub(super) fn failure(&self) -> Option<String> {
        self.ended.borrow().as_ref().and_then(|end| end.as_ref().err().map(Fatal::to_string))
    }

    /// Resolves when the writer has ended without being asked to, with the reason.
    pub(super) async fn ended(&self) -> String {
        let mut ended = self.ended.clone();
        let end = match ended.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(Ok(())),
            Err(_) => Err(Fatal::Panicked),
        };
        match end {
            Err(fatal) => fatal.to_string(),
            Ok(()) => pending().await,
        }
    }

    /// Takes nothing in any more, writes what waits and ends the writer. Blocks until it has.
    pub(super) fn close(&self) {
        drop(self.sender.write().take());
        if let Some(thread) = self.thread.lock().take() {
            // It catches its own panics, and has said how it ended.
            let _ = thread.join();
        }
    }
}
