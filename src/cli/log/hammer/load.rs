//! The timed window: connections that send prepared requests, as fast as they are answered or on
//! a fixed schedule.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use super::http::{Answer, Connection, HttpError, Target};
use crate::cli::output::{CliError, Context};
use crate::time::Stopwatch;

/// An answer that takes longer than this is none.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a schedule that the log could not keep up with is worked off behind its end.
const GRACE: Duration = Duration::from_secs(10);
/// A connection that was refused or lost rests so long, lest it burns through the stock.
const PAUSE: Duration = Duration::from_millis(50);

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// The next as soon as the one before is answered, on each connection.
    Closed,
    /// So many requests a second, whether the log keeps up or not.
    Open(f64),
}

/// A request, octet for octet as it is sent.
#[derive(Debug)]
pub struct Prepared<T> {
    /// Head and body.
    pub request: Arc<[u8]>,
    /// What it is about, for whoever judges the answer.
    pub subject: T,
}

/// What a look for the next request finds.
pub enum Taken<T> {
    /// A request.
    Request(Prepared<T>),
    /// None yet: it is being made.
    Wait,
    /// No more will come.
    Empty,
}

/// Where prepared requests come from.
pub trait Supply: 'static {
    /// What a request is about.
    type Subject;

    /// The next request.
    fn take(&mut self) -> Result<Taken<Self::Subject>, CliError>;

    /// Requests that were not ready when the window opened.
    fn late(&self) -> usize {
        0
    }
}

/// What became of a request. Times count from the start of the window.
#[derive(Debug)]
pub struct Exchange<T> {
    /// When it was due.
    pub due: Duration,
    /// When it was sent.
    pub sent: Duration,
    /// When the answer was whole.
    pub done: Duration,
    /// What it was about.
    pub subject: T,
    /// The answer, or why there is none.
    pub outcome: Result<Answer, String>,
}

/// What the window has brought.
pub struct Outcome<T> {
    /// Every request that was sent.
    pub exchanges: Vec<Exchange<T>>,
    /// From the start to the last answer.
    pub elapsed: Duration,
    /// Requests of the schedule that were never sent.
    pub unsent: usize,
    /// Requests that were prepared only while the window was open.
    pub prepared_late: usize,
    /// Times that a connection had to wait for the next request to be made.
    pub starved: usize,
}

struct Window<S> {
    target: Target,
    pace: Pace,
    length: Duration,
    /// Requests on the schedule.
    scheduled: usize,
    clock: Stopwatch,
    supply: RefCell<S>,
    /// Requests that may be sent by now, where there is a schedule.
    due: Arc<Semaphore>,
    claimed: Cell<usize>,
    starved: Cell<usize>,
    stop: Arc<AtomicBool>,
}

/// Loads `target` over `connections` connections for `length`. `stop` ends it early.
pub async fn run<S: Supply>(
    target: Target,
    pace: Pace,
    connections: usize,
    length: Duration,
    supply: S,
    stop: Arc<AtomicBool>,
) -> Result<Outcome<S::Subject>, CliError> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(&target).await.context(format_args!("{}:{}", target.host, target.port))?);
    }
    let scheduled = match pace {
        Pace::Closed => 0,
        Pace::Open(rate) => requests(rate, length),
    };
    let due = Arc::new(Semaphore::new(0));
    let clock = Stopwatch::start();
    let window = Rc::new(Window {
        target,
        pace,
        length,
        scheduled,
        clock,
        supply: RefCell::new(supply),
        due: Arc::clone(&due),
        claimed: Cell::new(0),
        starved: Cell::new(0),
        stop: Arc::clone(&stop),
    });
    if let Pace::Open(rate) = pace {
        let pacer = move || keep_pace(rate, scheduled, connections, clock, &due, &stop);
        std::thread::Builder::new().name("pacer".into()).spawn(pacer).context("the pacer's thread")?;
    }
    let local = LocalSet::new();
    let work = open.into_iter().map(|connection| local.spawn_local(Rc::clone(&window).work(connection)));
    let work: Vec<_> = work.collect();
    let mut exchanges = Vec::new();
    local
        .run_until(async {
            for connection in work {
                exchanges.extend(connection.await.context("a connection")??);
            }
            Ok::<_, CliError>(())
        })
        .await?;
    let elapsed = exchanges.iter().map(|e| e.done).max().unwrap_or_default();
    let unsent = scheduled.saturating_sub(window.claimed.get());
    let (prepared_late, starved) = (window.supply.borrow().late(), window.starved.get());
    Ok(Outcome { exchanges, elapsed, unsent, prepared_late, starved })
}

/// Requests that a schedule of `rate` a second holds; the first is due at once.
pub fn requests(rate: f64, length: Duration) -> usize {
    (rate * length.as_secs_f64()).ceil() as usize
}

/// Lets requests become due on their moment. A thread of its own: timers of the runtime tick in
/// milliseconds, which would show in the latencies.
fn keep_pace(rate: f64, scheduled: usize, connections: usize, clock: Stopwatch, due: &Semaphore, stop: &AtomicBool) {
    let mut released = 0;
    while released < scheduled && !stop.load(Ordering::Relaxed) {
        let by_now = ((clock.elapsed().as_secs_f64() * rate) as usize + 1).min(scheduled);
        due.add_permits(by_now - released);
        released = by_now;
        let next = Duration::from_secs_f64(released as f64 / rate);
        std::thread::sleep(next.saturating_sub(clock.elapsed()).min(Duration::from_millis(100)));
    }
    // Whoever still waits finds that there is nothing left.
    due.add_permits(connections);
}

impl<S: Supply> Window<S> {
    async fn work(self: Rc<Self>, connection: Connection) -> Result<Vec<Exchange<S::Subject>>, CliError> {
        let mut connection = Some(connection);
        let mut exchanges = Vec::new();
        while let Some(due) = self.turn().await {
            let Some(Prepared { request, subject }) = self.prepared().await? else { break };
            let sent = self.clock.elapsed();
            let outcome = match tokio::time::timeout(TIMEOUT, self.exchange(&mut connection, &request)).await {
                Ok(outcome) => outcome.map_err(|error| error.to_string()),
                Err(_) => {
                    connection = None;
                    Err(format!("no answer within {} s", TIMEOUT.as_secs()))
                }
            };
            let rest = outcome.as_ref().map_or(true, |answer| matches!(answer.status, 429 | 503));
            exchanges.push(Exchange { due: due.unwrap_or(sent), sent, done: self.clock.elapsed(), subject, outcome });
            if rest && matches!(self.pace, Pace::Closed) {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(exchanges)
    }

    /// Waits for the next request to be due; `None` at the end. On a schedule it says since when
    /// it is due, which may be long past.
    async fn turn(&self) -> Option<Option<Duration>> {
        let ended = |length| self.stop.load(Ordering::Relaxed) || self.clock.elapsed() >= length;
        let Pace::Open(rate) = self.pace else { return (!ended(self.length)).then_some(None) };
        self.due.acquire().await.ok()?.forget();
        let number = self.claimed.get();
        if number >= self.scheduled || ended(self.length + GRACE) {
            return None;
        }
        self.claimed.set(number + 1);
        Some(Some(Duration::from_secs_f64(number as f64 / rate)))
    }

    async fn prepared(&self) -> Result<Option<Prepared<S::Subject>>, CliError> {
        loop {
            let taken = self.supply.borrow_mut().take()?;
            match taken {
                Taken::Request(request) => return Ok(Some(request)),
                Taken::Empty => return Ok(None),
                Taken::Wait if self.stop.load(Ordering::Relaxed) => return Ok(None),
                Taken::Wait => {
                    self.starved.set(self.starved.get() + 1);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    }

    /// Sends on the kept connection, or on a new one where there is none. A server may close a
    /// connection that idles; then the request is sent once more, as every client does.
    async fn exchange(&self, kept: &mut Option<Connection>, request: &[u8]) -> Result<Answer, HttpError> {
        for _ in 0..2 {
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => Connection::open(&self.target).await?,
            };
            match connection.exchange(request).await {
                Ok((answer, keeps)) => {
                    *kept = keeps.then_some(connection);
                    return Ok(answer);
                }
                Err(HttpError::Idle) => {}
                Err(error) => return Err(error),
            }
        }
        Err(HttpError::Idle)
    }
}
