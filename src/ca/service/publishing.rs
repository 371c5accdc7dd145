//! A parent's final certificate in the logs, before the first certificate below it is signed (protocol
//! section 3): whoever reads a child's parentCertHash finds there what it is the hash of.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Mutex as Turn;

use super::CaError;
use super::core::Core;
use crate::apki::Certificate;
use crate::ca::authority::Refusal;
use crate::ca::command::Command;
use crate::ca::issuance::{KnownLog, Submission};
use crate::ca::record::{CertificateRecord, Issued};
use crate::ca::serial::Serial;
use crate::time::Stopwatch;

/// The parents that are being published in this process, each by one at a time: those who come meanwhile
/// wait for how that ends.
#[derive(Debug, Default)]
pub(super) struct Publications(Mutex<HashMap<Serial, Arc<Turn<()>>>>);

impl Publications {
    fn queue(&self, parent: Serial) -> Arc<Turn<()>> {
        Arc::clone(self.0.lock().entry(parent).or_default())
    }

    /// Forgets a parent whose queue nobody but the caller stands in.
    fn leave(&self, parent: Serial, queue: Arc<Turn<()>>) {
        let mut queues = self.0.lock();
        drop(queue);
        if queues.get(&parent).is_some_and(|queue| Arc::strong_count(queue) == 1) {
            queues.remove(&parent);
        }
    }
}

impl Core {
    /// Sees to it that the final certificate of this number is in logs enough for its score, as an entry of
    /// its own. Each answer is verified over the hash of the final certificate before it counts.
    pub(super) async fn publish(self: &Arc<Self>, parent: Serial) -> Result<(), CaError> {
        if self.certificate(parent).await?.published_at.is_some() {
            return Ok(());
        }
        let queue = self.publications.queue(parent);
        let outcome = {
            let _turn = queue.lock().await;
            self.publish_here(parent).await
        };
        self.publications.leave(parent, queue);
        outcome
    }

    async fn publish_here(self: &Arc<Self>, parent: Serial) -> Result<(), CaError> {
        let record = self.certificate(parent).await?;
        if record.published_at.is_some() {
            return Ok(());
        }
        let issued = record.issued().ok_or_else(|| unpublishable(parent, "it was not issued"))?;
        // Those who waited while a log failed do not each find that out anew.
        self.logs.missing_just_now(&self.settings.sat_rule, record.score)?;
        let submission = Arc::new(submission(&record, issued)?);
        let watch = Stopwatch::start();
        let gathered = self.logs.gather(&submission, &self.issuers).await;
        self.observer.phase("publish", watch.elapsed());
        let logs = gathered?.sats().map(|(log, _)| KnownLog::url(log).to_owned()).collect();
        match self.record(Command::Publish { serial: parent, logs }).await {
            // Somebody was faster.
            Ok(_) | Err(CaError::Refusal(Refusal::Conflict(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn submission(record: &CertificateRecord, issued: &Issued) -> Result<Submission, CaError> {
    let unreadable = |e: String| unpublishable(record.serial, &e);
    let certificate = Certificate::parse(issued.certificate.0.clone()).map_err(|e| unreadable(e.to_string()))?;
    Submission::final_certificate(certificate, issued.issued_at).map_err(|e| unreadable(e.to_string()))
}

fn unpublishable(serial: Serial, why: &str) -> CaError {
    CaError::Internal(format!("certificate {serial} cannot go to the logs as a parent's: {why}"))
}
