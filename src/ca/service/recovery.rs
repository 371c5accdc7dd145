//! What was left lying: issuances that a crash, a full disk or silent logs interrupted, and requests
//! that have waited for too long.
//!
//! One task goes through the open requests again and again. A request that is `processing` and that
//! nobody here works on has a precertificate that logs may have; the same precertificate goes to them
//! again while that is worth it, since a log answers it as it did the first time, and is abandoned
//! otherwise. Only then is the request `ready` for another number.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::CaError;
use super::core::Core;
use crate::apki::Certificate;
use crate::ca::authority::Refusal;
use crate::ca::command::Command;
use crate::ca::issuance::Submission;
use crate::ca::ports::StoreError;
use crate::ca::record::{CertificateRecord, CertificateState};
use crate::ca::request::{Request, RequestId, RequestState};
use crate::ca::serial::Serial;
use crate::time::{Stopwatch, UnixMillis};

/// The pause between two looks, at least; and so many times as long as the look took.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSES_PER_LOOK: u32 = 20;
/// The first pause before a request is tried again; it doubles from try to try.
const FIRST_BACK_OFF: Duration = Duration::from_secs(2);
/// The longest one.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);
/// Requests read at a time.
const PAGE: usize = 256;
/// Requests worked on at a time; those who wait for an answer need places too.
const AT_A_TIME: usize = 16;

/// When a request is tried again, and how often it was.
struct Tries {
    count: u32,
    /// `None`: not before the next start, as what is in the way would not go away.
    due: Option<Instant>,
}

/// What there is to do for a request.
enum Task {
    Expire(RequestId),
    Issue(Box<Request>),
    Resume(Box<Request>, Serial),
}

/// Works until the service stops.
pub(super) async fn keep_house(core: Arc<Core>, mut stopping: watch::Receiver<bool>) {
    let mut tries = HashMap::new();
    let mut first = true;
    while !*stopping.borrow() {
        let watch = Stopwatch::start();
        if let Err(error) = core.look(&mut tries, first).await {
            tracing::warn!(%error, "the requests that are open could not be gone through");
        }
        first = false;
        tokio::select! {
            _ = stopping.changed() => return,
            () = sleep(PAUSE.max(watch.elapsed().saturating_mul(PAUSES_PER_LOOK))) => {}
        }
    }
}

impl Core {
    /// Goes through all open requests once. What was interrupted before the start is due at once; what
    /// is ready is left to those who brought it for a moment, as they may ask again.
    async fn look(self: &Arc<Self>, tries: &mut HashMap<RequestId, Tries>, first: bool) -> Result<(), CaError> {
        let mut seen = HashMap::new();
        let mut after: Option<(UnixMillis, RequestId)> = None;
        let outcome = loop {
            let page = match self.read(move |store| store.open_requests(after, PAGE)).await {
                Ok(page) => page,
                Err(error) => break Err(error),
            };
            let Some(last) = page.last() else { break Ok(()) };
            after = Some((last.received_at, last.id));
            let mut tasks = Vec::new();
            for request in page {
                let id = request.id;
                let interrupted = first && matches!(request.state, RequestState::Processing { .. });
                let due = Instant::now() + if interrupted { Duration::ZERO } else { FIRST_BACK_OFF };
                let known = tries.remove(&id).unwrap_or(Tries { count: 0, due: Some(due) });
                if known.due.is_some_and(|due| due <= Instant::now()) && !self.flights.has(&id) {
                    tasks.extend(self.task(request));
                }
                seen.insert(id, known);
            }
            self.work(tasks, &mut seen).await;
        };
        // What is not open any more is forgotten, once all that is was seen.
        if outcome.is_ok() {
            tries.clear();
        }
        tries.extend(seen);
        outcome
    }

    fn task(&self, request: Request) -> Option<Task> {
        match &request.state {
            RequestState::Pending { expires_at, .. } if *expires_at <= self.clock.now() => {
                Some(Task::Expire(request.id))
            }
            RequestState::Ready { grant }
                if grant.scored_at.saturating_add(self.policy.pending_ttl_ms) <= self.clock.now() =>
            {
                Some(Task::Expire(request.id))
            }
            RequestState::Ready { .. } => Some(Task::Issue(Box::new(request))),
            RequestState::Processing { serial, .. } => {
                let serial = *serial;
                Some(Task::Resume(Box::new(request), serial))
            }
            _ => None,
        }
    }

    async fn work(self: &Arc<Self>, tasks: Vec<Task>, tries: &mut HashMap<RequestId, Tries>) {
        let mut tasks = tasks.into_iter();
        let mut running = JoinSet::new();
        loop {
            while running.len() < AT_A_TIME
                && let Some(task) = tasks.next()
            {
                let core = Arc::clone(self);
                running.spawn(async move { core.perform(task).await });
            }
            let Some(done) = running.join_next().await else { return };
            let Ok((id, outcome)) = done else { continue };
            let Some(tried) = tries.get_mut(&id) else { continue };
            let back_off = FIRST_BACK_OFF.saturating_mul(1 << tried.count.min(8)).min(LONGEST_BACK_OFF);
            *tried = Tries { count: tried.count.saturating_add(1), due: Some(Instant::now() + back_off) };
            if let Err(error) = outcome {
                tracing::warn!(request = %id, %error, "an open request could not be dealt with yet");
                // Neither a fault of ours goes away by itself, nor is what is revoked ever good again, in this run.
                if matches!(
                    error,
                    CaError::Internal(_) | CaError::IssuerRevoked(_) | CaError::Refusal(Refusal::Unauthorized(_))
                ) {
                    tried.due = None;
                }
            }
        }
    }

    async fn perform(self: &Arc<Self>, task: Task) -> (RequestId, Result<(), CaError>) {
        match task {
            Task::Expire(id) => (id, self.queue.record(Command::Expire { request: id }).await.map(drop)),
            Task::Issue(request) => (request.id, self.retry(*request).await),
            Task::Resume(request, serial) => (request.id, self.resume(&request, serial).await),
        }
    }

    /// Issues, unless it is known beforehand that logs are missing: each try in vain would leave
    /// another precertificate in those that are there.
    async fn retry(self: &Arc<Self>, request: Request) -> Result<(), CaError> {
        let RequestState::Ready { grant } = &request.state else { return Ok(()) };
        let health = self.logs.health().await;
        if !health.suffices(&self.settings.sat_rule, grant.score) {
            return Err(health.shortage());
        }
        self.issue(request).await.map(drop)
    }

    /// Takes up an issuance that somebody else has begun and not ended.
    async fn resume(self: &Arc<Self>, request: &Request, serial: Serial) -> Result<(), CaError> {
        let Some(_flight) = self.take_off(request.id)? else { return Ok(()) };
        // Whoever was at it may have come to an end since the request was read.
        let current = self.find(request.id).await?;
        if current.state != request.state {
            return Ok(());
        }
        let record = self.certificate(serial).await?;
        if record.state != CertificateState::Precertified {
            let what = format!("request {} is processing, but certificate {serial} is not", request.id);
            return Err(CaError::Internal(StoreError::Corrupt(what).to_string()));
        }
        let precertificate = match self.worth_resuming(&record) {
            Ok(precertificate) => Arc::new(precertificate),
            Err(why) => {
                self.abandon(request.id, serial, why).await;
                return Ok(());
            }
        };
        match self.certify(&precertificate).await {
            Ok(certificate) => self.issued(request.id, serial, &certificate).await.map(drop),
            // A fault of ours: this precertificate will never be a certificate.
            Err(CaError::Internal(why)) => {
                self.abandon(request.id, serial, why.clone()).await;
                Err(CaError::Internal(why))
            }
            Err(error) => Err(error),
        }
    }

    /// The precertificate, if it is young enough and enough of its validity is left; or why not.
    fn worth_resuming(&self, record: &CertificateRecord) -> Result<Submission, String> {
        let unreadable = |e: String| format!("the precertificate does not read back: {e}");
        let certificate = Certificate::parse(record.precertificate.0.clone()).map_err(|e| unreadable(e.to_string()))?;
        let (now, signed_at) = (self.clock.now(), record.signed_at);
        let age = now.since(signed_at);
        if age > self.settings.resume_window_ms {
            return Err(format!("it was interrupted, and {age} ms after its signature is too late to go on"));
        }
        let (whole, left) =
            (certificate.not_after().since(certificate.not_before()), certificate.not_after().since(now));
        if left < whole / 2 {
            return Err("it was interrupted, and less than half of its validity is left".into());
        }
        Submission::precertificate(certificate, signed_at).map_err(|e| unreadable(e.to_string()))
    }
}
