//! The way to the writer: a bounded queue, and how the writer ended.

use std::future::pending;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};

use super::TrustError;
use super::writer::{Answers, Fatal, Job, Writer};
use crate::trust::command::Command;

/// Hands commands to the writer.
pub(super) struct Queue {
    sender: RwLock<Option<SyncSender<Job>>>,
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
    /// Starts the writer. `limit` jobs may wait.
    pub(super) fn start(mut writer: Writer, limit: usize) -> std::io::Result<Self> {
        let (sender, jobs) = sync_channel(limit.max(1));
        let (ended_sender, ended) = watch::channel(None);
        let thread = std::thread::Builder::new().name("trust-writer".into()).spawn(move || {
            let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.run(&jobs)));
            // Whoever still waits in the queue hears that the engine stopped before the world does.
            drop(jobs);
            ended_sender.send_replace(Some(end.unwrap_or(Err(Fatal::Panicked))));
        })?;
        Ok(Self { sender: RwLock::new(Some(sender)), ended, thread: Mutex::new(Some(thread)) })
    }

    /// Has commands decided. The answers come behind the synced commit; dropping the future does not take
    /// the commands back.
    pub(super) async fn ask(&self, commands: Vec<Command>) -> Result<Answers, TrustError> {
        let (reply, answers) = oneshot::channel();
        self.send(Job { commands, reply })?;
        answers.await.map_err(|_| TrustError::Stopped)
    }

    fn send(&self, job: Job) -> Result<(), TrustError> {
        let sender = self.sender.read();
        let sender = sender.as_ref().ok_or(TrustError::Stopped)?;
        sender.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => TrustError::Overloaded,
            TrySendError::Disconnected(_) => TrustError::Stopped,
        })
    }

    /// Whether nothing is taken in any more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.read().is_none()
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
