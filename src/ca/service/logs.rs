//! The logs: all of them are asked at once, and each answer is checked before it counts.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::parts::{Random, Settings};
use super::{CaError, Observer};
use crate::apki::trust_score::Score;
use crate::ca::issuance::{Gathered, KnownLog, SatRule, Submission};
use crate::ca::ports::{LogSubmitter, SubmitError};
use crate::log::sat::SignedAgentTimestamp;
use crate::time::{Clock, Stopwatch, UnixMillis};

/// The first pause before a log is asked again; it doubles from try to try.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// How much longer than a log's last try its answer may take from task to task.
const GRACE: Duration = Duration::from_millis(100);
/// The longest that a log may be waited for, in milliseconds.
const MAX_TIMEOUT_MS: u64 = 60_000;
/// When to try again, where no log says it.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The longest that anybody is sent away for, whatever a log says.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);
/// Most octets of a log's words that are passed on.
const MAX_WORDS: usize = 300;
/// How long a log's last answer speaks for it, in milliseconds.
const GOOD_FOR_MS: u64 = 60_000;
/// How long a log's failure speaks against it.
const BAD_FOR_MS: u64 = 5_000;

/// When a log was last heard of, and what was wrong with it, in words.
type Outcome = (UnixMillis, Result<(), String>);

/// The logs of the CA.
pub(super) struct Logs {
    known: Arc<[KnownLog]>,
    reach: Vec<Arc<dyn LogSubmitter>>,
    /// How each answered last, and when.
    last: Vec<Mutex<Option<Outcome>>>,
    rule: SatRule,
    timeout: Duration,
    failure_pause_ms: u64,
    attempts: u32,
    straggler: Duration,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    observer: Arc<dyn Observer>,
}

/// How the logs are.
pub(super) struct Health {
    /// Logs that answer.
    pub(super) up: usize,
    /// Operators of logs that answer.
    pub(super) operators: usize,
    /// What is wrong with the others.
    pub(super) down: Vec<String>,
}

/// Why a log gave no timestamp.
struct Fault {
    what: &'static str,
    why: String,
    after: Option<Duration>,
}

/// What one log said, and how long its last try took.
struct Heard {
    index: usize,
    took: Duration,
    answer: Result<SignedAgentTimestamp, Fault>,
}

impl Logs {
    pub(super) fn new(
        logs: Vec<(KnownLog, Arc<dyn LogSubmitter>)>,
        settings: &Settings,
        (clock, random, observer): (Arc<dyn Clock>, Arc<dyn Random>, Arc<dyn Observer>),
    ) -> Self {
        let (known, reach): (Vec<_>, Vec<_>) = logs.into_iter().unzip();
        Self {
            last: known.iter().map(|_| Mutex::new(None)).collect(),
            known: known.into(),
            reach,
            rule: settings.sat_rule,
            failure_pause_ms: settings.failure_pause_ms,
            timeout: Duration::from_millis(settings.log_timeout_ms.clamp(1, MAX_TIMEOUT_MS)),
            attempts: settings.attempts.max(1),
            straggler: Duration::from_millis(settings.straggler_ms.min(MAX_TIMEOUT_MS)),
            clock,
            random,
            observer,
        }
    }

    /// The logs, in their order.
    pub(super) fn known(&self) -> &[KnownLog] {
        &self.known
    }

    /// Takes a certificate to all logs at once, and comes back with timestamps enough for it and
    /// those that came hard behind.
    pub(super) async fn gather(
        self: &Arc<Self>,
        submission: &Arc<Submission>,
        chain: &Arc<[Vec<u8>]>,
    ) -> Result<Gathered, CaError> {
        let watch = Stopwatch::start();
        // Room for a try that hangs and one that does not.
        let deadline = Instant::now() + self.timeout * 2;
        let mut asked = JoinSet::new();
        for index in 0..self.known.len() {
            asked.spawn(Arc::clone(self).ask(index, Arc::clone(submission), Arc::clone(chain), deadline));
        }
        // They end by themselves at the deadline, and say what it was.
        let mut until = deadline + GRACE;
        let mut silent: HashSet<usize> = (0..self.known.len()).collect();
        let mut gathered = Gathered::new((**submission).clone(), Arc::clone(&self.known));
        let mut faults: Vec<Option<Fault>> = self.known.iter().map(|_| None).collect();
        let mut enough = false;
        // Those that are not back in time are not waited for: the set takes them along.
        while let Ok(Some(heard)) = timeout_at(until, asked.join_next()).await {
            let Ok(Heard { index, took, answer }) = heard else { continue };
            silent.remove(&index);
            let answer = answer.and_then(|sat| {
                let refused = gathered.add(index, sat, self.clock.now());
                refused.map_err(|refusal| Fault { what: "bad_sat", why: refusal.fault.to_string(), after: None })
            });
            self.hear(index, took, answer.as_ref().err());
            faults[index] = answer.err();
            if !enough && gathered.check(&self.rule).is_ok() {
                enough = true;
                until = until.min(Instant::now() + self.straggler);
            }
        }
        for index in silent {
            self.observer.log(self.known[index].url(), "timeout", watch.elapsed());
        }
        if enough { Ok(gathered) } else { Err(self.shortage(&gathered, &faults)) }
    }

    /// Asks one log until it answers for good, has been asked often enough, or time is up.
    async fn ask(
        self: Arc<Self>,
        index: usize,
        submission: Arc<Submission>,
        chain: Arc<[Vec<u8>]>,
        deadline: Instant,
    ) -> Heard {
        let (kind, der) = (submission.kind(), submission.certificate().der());
        let mut attempt = 0;
        loop {
            attempt += 1;
            let watch = Stopwatch::start();
            let limit = deadline.min(Instant::now() + self.timeout);
            let answer = read(timeout_at(limit, self.reach[index].submit(kind, der, &chain)).await.ok());
            let took = watch.elapsed();
            let Err(fault) = &answer else { return Heard { index, took, answer } };
            let pause = self.pause(attempt).max(fault.after.unwrap_or_default());
            let again = matches!(fault.what, "retry" | "timeout")
                && attempt < self.attempts
                && Instant::now().checked_add(pause).is_some_and(|then| then < deadline);
            if !again {
                return Heard { index, took, answer };
            }
            self.hear(index, took, Some(fault));
            sleep(pause).await;
        }
    }

    /// Twice as long from try to try, give or take half of it.
    fn pause(&self, attempt: u32) -> Duration {
        let mut octet = [128];
        // Without randomness there is no jitter; that is all.
        let _ = self.random.fill(&mut octet);
        let pause = FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(8));
        pause / 2 + pause.saturating_mul(u32::from(octet[0])) / 256
    }

    /// Keeps how a log answered, and tells who measures.
    fn hear(&self, index: usize, took: Duration, fault: Option<&Fault>) {
        let outcome = fault.map_or(Ok(()), |fault| Err(fault.why.clone()));
        *self.last[index].lock() = Some((self.clock.now(), outcome));
        self.observer.log(self.known[index].url(), fault.map_or("sat", |fault| fault.what), took);
    }

    /// Says which log said what.
    fn shortage(&self, gathered: &Gathered, faults: &[Option<Fault>]) -> CaError {
        let mut detail = match gathered.check(&self.rule) {
            Err(shortfall) => shortfall.to_string(),
            Ok(()) => "too few logs gave a timestamp".into(),
        };
        let without: HashSet<_> = gathered.missing().map(KnownLog::id).collect();
        for (log, fault) in self.known.iter().zip(faults).filter(|(log, _)| without.contains(&log.id())) {
            let why = fault.as_ref().map_or("it did not answer in time", |fault| fault.why.as_str());
            detail.push_str(&format!("; log {}: {why}", log.url()));
        }
        let after = faults.iter().flatten().filter_map(|fault| fault.after).max().unwrap_or(RETRY_AFTER);
        CaError::Logs { detail, retry_after: after.clamp(Duration::from_secs(1), LONGEST_RETRY_AFTER) }
    }

    /// How the logs are: as they answered last, or as they answer now where that is long ago.
    pub(super) async fn health(self: &Arc<Self>) -> Health {
        let now = self.clock.now();
        let mut probes = JoinSet::new();
        for index in (0..self.known.len()).filter(|index| self.is_stale(*index, now)) {
            let this = Arc::clone(self);
            probes.spawn(async move {
                let answer = timeout(this.timeout, this.reach[index].probe()).await;
                let answer = answer.unwrap_or_else(|_| Err("it did not answer in time".into()));
                *this.last[index].lock() = Some((now, answer.map_err(|why| shortened(&why))));
            });
        }
        while probes.join_next().await.is_some() {}
        self.judged(|last| match last {
            Some((_, outcome)) => outcome.clone(),
            None => Err("it was not asked".into()),
        })
    }

    /// How the logs are, each by its last outcome and this judgement of it.
    fn judged(&self, judge: impl Fn(Option<&Outcome>) -> Result<(), String>) -> Health {
        let (mut up, mut operators, mut down) = (HashSet::new(), HashSet::new(), Vec::new());
        for (log, last) in self.known.iter().zip(&self.last) {
            match judge(last.lock().as_ref()) {
                Ok(()) => {
                    up.insert(log.id());
                    operators.insert(log.operator());
                }
                Err(why) => down.push(format!("log {}: {why}", log.url())),
            }
        }
        Health { up: up.len(), operators: operators.len(), down }
    }

    /// That the logs which failed a moment ago are not needed for a certificate with this score.
    pub(super) fn missing_just_now(&self, rule: &SatRule, score: Score) -> Result<(), CaError> {
        let now = self.clock.now();
        let health = self.judged(|last| match last {
            Some((at, Err(why))) if now.since(*at) < self.failure_pause_ms => Err(why.clone()),
            _ => Ok(()),
        });
        if health.suffices(rule, score) { Ok(()) } else { Err(health.shortage()) }
    }

    fn is_stale(&self, index: usize, now: UnixMillis) -> bool {
        match &*self.last[index].lock() {
            None => true,
            Some((at, Ok(()))) => now.since(*at) > GOOD_FOR_MS,
            Some((at, Err(_))) => now.since(*at) > BAD_FOR_MS,
        }
    }
}

/// Reads an answer, `None` where there was none in time.
fn read(answer: Option<Result<Vec<u8>, SubmitError>>) -> Result<SignedAgentTimestamp, Fault> {
    let fault = |what, why: String, after| Fault { what, why: shortened(&why), after };
    match answer {
        None => Err(fault("timeout", "it did not answer in time".into(), None)),
        Some(Err(SubmitError::Retry { reason, after })) => Err(fault("retry", reason, after)),
        Some(Err(SubmitError::Refused(why))) => Err(fault("refused", why, None)),
        Some(Ok(der)) => SignedAgentTimestamp::from_der(&der).map_err(|e| fault("bad_sat", e.to_string(), None)),
    }
}

/// A log's words, without those that would go on and on.
pub(super) fn shortened(words: &str) -> String {
    let mut end = words.len().min(MAX_WORDS);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    words[..end].to_owned()
}
