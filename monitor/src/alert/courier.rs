//! The courier: brings every alert to every sink that it is for, until each has said yes.
//!
//! Each sink is served by a task of its own, so one that is down or slow holds up no other. Times of attempts are in
//! the database and not in the courier: it goes on where it was, whatever happened to the process.
//!
//! Alerts go out in the order in which they were raised as long as a sink takes them. What one could not be sent is
//! brought forward when the sink is back, but another may have been the first that got through: receivers order by
//! `found_at`.

use std::sync::Arc;
use std::time::Duration;

use atl::time::{Clock, UnixMillis};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::backoff::{self, LONGEST, LONGEST_PAUSE};
use super::book::{self, Job, Outcome};
use super::message::Letterhead;
use super::routing::Routing;
use super::sink::{OpenError, Sink, SinkError};
use crate::board::Board;
use crate::config::AlertsConfig;
use crate::heads::ahead;
use crate::pause::random;
use crate::state::{State, StateError, Write};
use crate::text::excerpt;

/// How often the courier looks whether something was raised, where nobody wakes it.
const LOOK: Duration = Duration::from_secs(1);

/// The longest that a sink's task sleeps before it looks at its queue again.
const NAP: u64 = 30_000;

/// How long what is under way may take to end when the courier is stopped.
const FAREWELL: Duration = Duration::from_secs(5);

/// Rows in one write.
const AT_ONCE: usize = 256;

/// Alerts told again in one message.
const REPEATED_AT_ONCE: usize = 200;

/// Milliseconds between looks at what is old.
const PRUNE_EVERY: u64 = 3_600_000;

const DAY: u64 = 86_400_000;

/// A sink that cannot be opened.
#[derive(Debug, Error)]
#[error("the sink {name:?}: {error}")]
pub struct SinkOpenError {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub error: OpenError,
}

/// Brings alerts to sinks.
pub struct Courier {
    state: Arc<State>,
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
    letterhead: Letterhead,
    routing: Routing,
    keep: u64,
    desks: Vec<Arc<Desk>>,
    wake: Arc<Notify>,
    random: Box<dyn Fn() -> u64 + Send + Sync>,
}

/// Where one sink is served.
struct Desk {
    name: String,
    sink: Sink,
    wake: Notify,
    mood: Mutex<Mood>,
}

/// How a sink was last met.
#[derive(Clone, Copy)]
struct Mood {
    /// It is left alone until then.
    until: UnixMillis,
    /// How often in a row it was in trouble.
    troubles: u32,
    /// Whether it is not known to take anything, as at the start.
    is_doubtful: bool,
    /// When it is told again what is still so.
    repeat_at: UnixMillis,
}

impl Courier {
    /// A courier for the sinks of this configuration, whose secrets are read now.
    ///
    /// # Errors
    /// Where a sink cannot be used as it is configured.
    pub fn open(
        config: &AlertsConfig,
        letterhead: Letterhead,
        state: Arc<State>,
        board: Arc<Board>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, SinkOpenError> {
        Self::with_random(config, letterhead, state, board, clock, Box::new(random))
    }

    /// The same with randomness of the caller's for the back-off.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_random(
        config: &AlertsConfig,
        letterhead: Letterhead,
        state: Arc<State>,
        board: Arc<Board>,
        clock: Arc<dyn Clock>,
        random: Box<dyn Fn() -> u64 + Send + Sync>,
    ) -> Result<Arc<Self>, SinkOpenError> {
        let zero = UnixMillis::new(0);
        let mood = Mood { until: zero, troubles: 0, is_doubtful: true, repeat_at: zero };
        let desks = config.sinks.iter().map(|sink| {
            let name = sink.route.sink.clone();
            match Sink::open(&sink.kind, &letterhead.monitor) {
                Ok(sink) => Ok(Arc::new(Desk { name, sink, wake: Notify::new(), mood: Mutex::new(mood) })),
                Err(error) => Err(SinkOpenError { name, error }),
            }
        });
        Ok(Arc::new(Self {
            desks: desks.collect::<Result<_, _>>()?,
            routing: config.routing(),
            keep: u64::from(config.keep_days).saturating_mul(DAY),
            wake: Arc::default(),
            state,
            board,
            clock,
            letterhead,
            random,
        }))
    }

    /// Whoever notifies this has what was just raised, or asked for again, sent at once and not within a second.
    pub const fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }

    /// Brings what there is, until `stop` is true. What is under way then has some seconds to end.
    ///
    /// # Errors
    /// Where the database fails: the process must stop then.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) -> Result<(), StateError> {
        self.forget_others().await?;
        self.write(book::count).await?;
        let mut tasks = JoinSet::new();
        for desk in &self.desks {
            tasks.spawn(Arc::clone(&self).serve(Arc::clone(desk), stop.clone()));
        }
        let mut prune_at = UnixMillis::new(0);
        while !*stop.borrow() {
            let planned = self.plan().await?;
            let now = self.clock.now();
            // Further away than that, it was said under a clock that has been set back since.
            if now >= prune_at || prune_at.since(now) > PRUNE_EVERY {
                self.prune(now).await?;
                prune_at = now.saturating_add(PRUNE_EVERY);
            }
            if planned {
                self.desks.iter().for_each(|desk| desk.wake.notify_one());
            }
            tokio::select! {
                () = self.wake.notified() => self.desks.iter().for_each(|desk| desk.wake.notify_one()),
                () = sleep(LOOK) => (),
                _ = stop.wait_for(|stop| *stop) => (),
                Some(ended) = tasks.join_next() => finished(ended)?,
            }
        }
        let rest = async {
            while let Some(ended) = tasks.join_next().await {
                finished(ended)?;
            }
            Ok(())
        };
        // What does not end in time is sent again by the next process.
        timeout(FAREWELL, rest).await.unwrap_or(Ok(()))
    }

    /// Sends all that is due now, once; when to look again. For a process that does not stay.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn round(self: &Arc<Self>) -> Result<UnixMillis, StateError> {
        self.forget_others().await?;
        self.plan().await?;
        let (_stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for desk in &self.desks {
            let (courier, desk, stopped) = (Arc::clone(self), Arc::clone(desk), stopped.clone());
            tasks.spawn(async move { courier.deliver(&desk, &stopped).await });
        }
        let mut next = UnixMillis::new(u64::MAX);
        while let Some(ended) = tasks.join_next().await {
            next = next.min(finished(ended)?);
        }
        self.show()?;
        Ok(next)
    }

    /// Decides who is told of what was raised; whether there was something.
    async fn plan(self: &Arc<Self>) -> Result<bool, StateError> {
        let mut some = false;
        while self.state.read(book::unplanned)? > 0 {
            let (courier, now) = (Arc::clone(self), self.clock.now());
            if self.write(move |write| book::plan(write, &courier.routing, now, AT_ONCE)).await? == 0 {
                break;
            }
            some = true;
        }
        self.show()?;
        Ok(some)
    }

    /// Writes to the board what is not where it should be yet, and how much nobody takes care of.
    fn show(&self) -> Result<(), StateError> {
        let look = |read: &_| Ok::<_, StateError>((book::undelivered(read, self.clock.now())?, book::open(read)?));
        let (undelivered, alerts) = self.state.read(look)?;
        self.board.update(|standing| (standing.undelivered, standing.alerts) = (undelivered, alerts));
        Ok(())
    }

    /// Removes what is old, unless the clock that says so may be wrong: it would be gone for good.
    pub(super) async fn prune(&self, now: UnixMillis) -> Result<(), StateError> {
        if let Some(ahead) = ahead(&self.board, &self.state, now)? {
            warn!(
                seconds = ahead / 1_000,
                "the clock is ahead of all that logs have signed; nothing old is removed until it is not"
            );
            return Ok(());
        }
        let (cutoff, mut next) = (now.saturating_sub(self.keep), Some(0));
        while let Some(start) = next {
            next = self.write(move |write| book::prune(write, cutoff, start, AT_ONCE)).await?;
        }
        Ok(())
    }

    /// Forgets what was to be sent to sinks that are not configured any more.
    async fn forget_others(self: &Arc<Self>) -> Result<(), StateError> {
        loop {
            let courier = Arc::clone(self);
            let forget = move |write: &mut Write| {
                let names: Vec<_> = courier.desks.iter().map(|desk| desk.name.as_str()).collect();
                book::forget(write, &names, AT_ONCE)
            };
            if !self.write(forget).await? {
                return Ok(());
            }
        }
    }

    /// A write, which may have to wait for others and for the disk.
    async fn write<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut Write) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let state = Arc::clone(&self.state);
        match tokio::task::spawn_blocking(move || state.write(step)).await {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    async fn serve(self: Arc<Self>, desk: Arc<Desk>, mut stop: watch::Receiver<bool>) -> Result<(), StateError> {
        while !*stop.borrow() {
            let next = self.deliver(&desk, &stop).await?;
            let nap = next.since(self.clock.now()).clamp(10, NAP);
            tokio::select! {
                () = desk.wake.notified() => (),
                () = sleep(Duration::from_millis(nap)) => (),
                _ = stop.wait_for(|stop| *stop) => (),
            }
        }
        Ok(())
    }

    /// Sends what is due to one sink; when to look again.
    async fn deliver(&self, desk: &Desk, stop: &watch::Receiver<bool>) -> Result<UnixMillis, StateError> {
        loop {
            let now = self.clock.now();
            let mood = *desk.mood.lock();
            // Further away than any pause is, it was written under a clock that has been set back since.
            if mood.until > now && mood.until.since(now) <= LONGEST {
                return Ok(mood.until);
            }
            let mut repeat_at = UnixMillis::new(u64::MAX);
            if let Some(every) = desk.sink.repeats() {
                let every = every.as_secs().saturating_mul(1_000);
                if now >= mood.repeat_at || mood.repeat_at.since(now) > every {
                    self.repeat(desk, every, now).await?;
                    continue;
                }
                repeat_at = mood.repeat_at;
            }
            match self.state.read(|read| book::next_job(read, &desk.name))? {
                Some(job) if is_due(&job, self.longest_wait(&desk.name, &job), now) && !*stop.borrow() => {
                    self.attempt(desk, job, now).await?
                }
                Some(job) => return Ok(job.due.min(repeat_at)),
                None => return Ok(repeat_at),
            }
        }
    }

    /// The longest that a message waits for its time, in milliseconds.
    fn longest_wait(&self, sink: &str, job: &Job) -> u64 {
        let route = self.routing.routes.iter().find(|route| route.sink == sink);
        let gathered = route.and_then(|route| route.digest).filter(|_| job.digest().is_some());
        LONGEST.saturating_add(gathered.unwrap_or(0))
    }

    /// Sends one message, and then writes down what became of it.
    async fn attempt(&self, desk: &Desk, job: Job, now: UnixMillis) -> Result<(), StateError> {
        let findings = job.alerts.iter().map(|alert| &alert.finding);
        let message = match (job.digest(), job.alerts.first()) {
            (Some(planned), Some(_)) => Some(self.letterhead.digest(&desk.name, planned, findings)),
            (None, Some(alert)) => Some(self.letterhead.message(&alert.finding)),
            (_, None) => None,
        };
        let sent = match &message {
            Some(message) => desk.sink.send(message, now).await,
            // What it was about is gone; there is nothing to say.
            None => Ok(()),
        };
        let id = message.as_ref().map_or("", |message| message.id());
        let after = self.clock.now();
        let outcome = match sent {
            Ok(()) => {
                info!(sink = desk.name, id, "an alert is delivered");
                Outcome::Delivered { held: desk.sink.repeats().is_some() }
            }
            Err(error) => self.failed(desk, &job, id, error, after),
        };
        let is_back = matches!(outcome, Outcome::Delivered { .. }) && desk.is_well();
        let name = desk.name.clone();
        self.write(move |write| {
            book::record(write, &job, &outcome, after)?;
            if is_back { book::hasten(write, &name, after, 4 * AT_ONCE) } else { Ok(()) }
        })
        .await
    }

    fn failed(&self, desk: &Desk, job: &Job, id: &str, error: SinkError, now: UnixMillis) -> Outcome {
        let attempts = job.attempts().saturating_add(1);
        let wait = backoff::delay(attempts, error.refused, error.retry_after, (self.random)());
        warn!(sink = desk.name, id, attempts, wait_ms = wait, "an alert is not delivered yet: {error}");
        if !error.refused {
            self.pause(desk, &error, now);
        }
        Outcome::Failed { error: excerpt(&error.message, 500), refused: error.refused, wait }
    }

    /// Leaves a sink alone that is in trouble: others would fare no better.
    fn pause(&self, desk: &Desk, error: &SinkError, now: UnixMillis) {
        let mut mood = desk.mood.lock();
        mood.troubles = mood.troubles.saturating_add(1);
        mood.is_doubtful = true;
        let usual = backoff::delay(mood.troubles, false, None, (self.random)()).min(LONGEST_PAUSE);
        mood.until = now.saturating_add(usual.max(error.retry_after.unwrap_or(0).min(LONGEST)));
    }

    /// Tells a sink again what is still so.
    async fn repeat(&self, desk: &Desk, every: u64, now: UnixMillis) -> Result<(), StateError> {
        desk.mood.lock().repeat_at = now.saturating_add(every);
        // Under a clock that is ahead everything would be over, and for good.
        let is_ahead = ahead(&self.board, &self.state, now)?.is_some();
        let mut start = 0;
        loop {
            let alerts = self.state.read(|read| book::held(read, &desk.name, start, REPEATED_AT_ONCE))?;
            let Some(last) = alerts.last() else { return Ok(()) };
            start = last.seq.saturating_add(1);
            let is_active = |alert: &&super::Alert| {
                alert.acknowledged_at.is_none()
                    && (is_ahead || now.since(alert.finding.found_at) < desk.sink.active_for())
            };
            let (active, over): (Vec<_>, Vec<_>) = alerts.iter().partition(is_active);
            let notices = |alerts: &[&super::Alert]| -> Vec<_> {
                alerts.iter().map(|alert| self.letterhead.notice(&alert.finding)).collect()
            };
            if let Err(error) = desk.sink.repeat(&notices(&active), &notices(&over), now).await {
                warn!(sink = desk.name, "what is still so is not told again: {error}");
                self.pause(desk, &error, self.clock.now());
                return Ok(());
            }
            let (name, seqs) = (desk.name.clone(), over.iter().map(|alert| alert.seq).collect::<Vec<_>>());
            if !seqs.is_empty() {
                self.write(move |write| book::release(write, &name, &seqs)).await?;
            }
        }
    }
}

impl Desk {
    /// Notes that the sink takes what it is sent; whether that was in doubt.
    fn is_well(&self) -> bool {
        let mut mood = self.mood.lock();
        mood.troubles = 0;
        std::mem::take(&mut mood.is_doubtful)
    }
}

/// Whether the time of a message has come. One that waits for more than `longest` was planned or put off under a clock
/// that has been set back since.
fn is_due(job: &Job, longest: u64, now: UnixMillis) -> bool {
    job.due <= now || job.due.since(now) > longest
}

/// A task's end, passed on.
fn finished<T>(ended: Result<Result<T, StateError>, tokio::task::JoinError>) -> Result<T, StateError> {
    match ended {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
