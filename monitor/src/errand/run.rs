//! Takes errands that are due, asks, and writes down what follows in the same step that takes them away: whenever the
//! process ends, nothing but a question is repeated.

use std::sync::Arc;
use std::time::Duration;

use atl::client::LogClient;
use atl::log::entry::CertHash;
use atl::merkle::LeafIndex;
use atl::time::{Clock, UnixMillis};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::Errand;
use super::ask::{Covering, Entry, Failure, Inclusion, Proof, Respondent};
use super::decide::{Found, Outcome, Proven, Tries, elsewhere};
use super::gather::{Not, locate, walk};
use super::keep::Ahead;
use super::line::judge;
use super::promise::{NoPromise, Promise};
use super::queue::{self, Kept};
use super::show;
use crate::alert;
use crate::board::Board;
use crate::evidence::{Keeper, Terms};
use crate::finding::{EntryRef, Finding};
use crate::head::SignedHead;
use crate::heads::{self, book};
use crate::quota::{self, MOST_PER_HOUR};
use crate::state::{State, StateError};
use crate::watched::WatchedLog;

/// Errands that are taken at a time.
const BATCH: usize = 256;
/// How long such a batch may take; what is not answered by then is asked again later.
const BATCH_TIME: Duration = Duration::from_secs(60);
/// The longest time between two looks for errands that are due.
const LOOK: Duration = Duration::from_secs(1);

/// Heads of logs that others than the runner have seen.
pub trait KnownHeads: Send + Sync {
    /// Heads of `log` next to the leaf at `index`: the newest known ones without it, and the oldest with it. Few.
    fn around(&self, log: &WatchedLog, index: LeafIndex) -> Vec<SignedHead>;
}

/// What the owner's feed says of [`Errand::Authorised`]: `known_as`, the finding, and when it was due, as of now.
pub type Owner = dyn Fn(&[CertHash], &Finding, UnixMillis, UnixMillis) -> Outcome + Send + Sync;

/// Runs errands.
#[derive(Clone)]
pub struct Runner {
    pub(super) state: Arc<State>,
    logs: Vec<Arc<Respondent>>,
    pub(super) keeper: Arc<dyn Keeper>,
    board: Arc<Board>,
    pub(super) clock: Arc<dyn Clock>,
    heads: Option<Arc<dyn KnownHeads>>,
    owner: Option<(Arc<Owner>, Terms)>,
    pub(super) most_per_hour: u64,
}

impl Runner {
    /// A runner that asks these logs.
    pub fn new(
        state: Arc<State>,
        logs: impl IntoIterator<Item = (WatchedLog, LogClient)>,
        keeper: Arc<dyn Keeper>,
        board: Arc<Board>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let logs = logs.into_iter().map(|(log, client)| Arc::new(Respondent::new(log, client))).collect();
        Self { state, logs, keeper, board, clock, heads: None, owner: None, most_per_hour: MOST_PER_HOUR }
    }

    /// The same with heads that others have seen, to hold timestamps against.
    #[must_use]
    pub fn with_heads(self, heads: Arc<dyn KnownHeads>) -> Self {
        Self { heads: Some(heads), ..self }
    }

    /// The same with an owner's feed, and what the owner holds certificates to, for evidence. Without one, what it would have been asked about is told once it is due.
    #[must_use]
    pub fn with_owner(self, owner: Arc<Owner>, terms: Terms) -> Self {
        Self { owner: Some((owner, terms)), ..self }
    }

    /// The same with another number of findings of one class about a log that are told in an hour.
    #[must_use]
    pub fn with_most_per_hour(self, most_per_hour: u64) -> Self {
        Self { most_per_hour, ..self }
    }

    /// Runs errands until `stop` is true.
    ///
    /// # Errors
    /// Where the database fails: nothing more may be told then.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), StateError> {
        self.mend()?;
        while !*stop.borrow_and_update() {
            let handled = tokio::select! {
                handled = self.once() => handled?,
                changed = stop.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return Ok(()),
                },
            };
            if handled == BATCH {
                continue;
            }
            let next = self.state.read(queue::next_due)?.map(|due| Duration::from_millis(due.since(self.clock.now())));
            tokio::select! {
                () = tokio::time::sleep(next.unwrap_or(LOOK).clamp(Duration::from_millis(50), LOOK)) => {}
                changed = stop.changed() => if changed.is_err() { return Ok(()) },
            }
        }
        Ok(())
    }

    /// Brings errands forward that were put off under a clock that has been set back since; at the start is soon enough.
    ///
    /// # Errors
    /// Where the database fails.
    pub fn mend(&self) -> Result<(), StateError> {
        match queue::mend(&self.state, self.clock.now())? {
            0 => {}
            mended => warn!(mended, "errands were put off until far from now: was the clock set back?"),
        }
        Ok(())
    }

    /// Runs one batch of the errands that are due, and writes what came of them; how many they were.
    ///
    /// # Errors
    /// Where the database fails; nothing came of the batch then.
    pub async fn once(&self) -> Result<usize, StateError> {
        let now = self.clock.now();
        let batch = self.state.read(|read| queue::due(read, now, BATCH))?;
        let mut settled = Vec::with_capacity(batch.len());
        let mut ahead = Ahead::new();
        for (kept, outcome) in self.answers(batch).await {
            settled.push((self.keep(&kept, outcome, &mut ahead).await?, kept));
        }
        let handled = settled.len();
        if handled > 0 {
            let now = self.clock.now();
            self.state.write(|write| -> Result<(), StateError> {
                for (outcome, kept) in &settled {
                    for Found { finding, .. } in &outcome.findings {
                        // What is proven is not held back: it freezes the log, and is bounded by that.
                        let is_proven =
                            outcome.proven.iter().any(|proven| Some(&proven.evidence) == finding.evidence.as_ref());
                        let told = match is_proven {
                            true => Some(finding.clone()),
                            false => quota::admit(write, finding.clone(), self.most_per_hour)?,
                        };
                        told.map_or(Ok(false), |told| alert::raise(write, &told))?;
                    }
                    for errand in &outcome.errands {
                        queue::post(write, errand)?;
                    }
                    for Proven { log, evidence, class } in &outcome.proven {
                        book::freeze(write, log, evidence, *class)?;
                    }
                    match &outcome.again {
                        None => _ = queue::finish(write, kept)?,
                        Some(again) => {
                            queue::again(write, kept, again.at, again.asked.then_some(now), &again.why)?;
                        }
                    }
                }
                Ok(())
            })?;
            for Proven { log, evidence, class } in settled.iter().flat_map(|(outcome, _)| &outcome.proven) {
                tracing::error!(%log, %class, %evidence, "the log is proven to have misbehaved");
                self.board.log(log.as_str(), |line| {
                    line.frozen.get_or_insert_with(|| evidence.clone());
                });
            }
        }
        self.show()?;
        Ok(handled)
    }

    fn show(&self) -> Result<(), StateError> {
        let now = self.clock.now();
        let stock = queue::stock(&self.state)?;
        let overdue = self.state.read(queue::next_due)?.filter(|due| *due <= now);
        self.board.update(|standing| {
            let errands = &mut standing.errands;
            if stock.dropped > errands.dropped {
                warn!(
                    dropped = stock.dropped,
                    "too many errands wait: some were dropped, and what they ask is not known"
                );
            }
            errands.waiting = stock.waiting;
            errands.dropped = stock.dropped;
            errands.overdue_since = overdue;
        });
        Ok(())
    }

    /// What came of each of the errands, asked at the same time as far as the logs bear it.
    async fn answers(&self, batch: Vec<Kept>) -> Vec<(Kept, Outcome)> {
        let mut tasks = JoinSet::new();
        for (n, kept) in batch.iter().cloned().enumerate() {
            let runner = self.clone();
            tasks.spawn(async move { (n, runner.shown(runner.answer(&kept).await).await) });
        }
        let mut outcomes: Vec<Option<Outcome>> = batch.iter().map(|_| None).collect();
        let collect = async {
            while let Some(done) = tasks.join_next().await {
                if let Ok((n, outcome)) = done
                    && let Some(slot) = outcomes.get_mut(n)
                {
                    *slot = Some(outcome);
                }
            }
        };
        let in_time = tokio::time::timeout(BATCH_TIME, collect).await.is_ok();
        tasks.abort_all();
        let late = |kept: &Kept| {
            if !in_time {
                self.tire(&kept.what);
            }
            self.tries(kept).again("it was not answered in time", None)
        };
        let answered = batch.into_iter().zip(outcomes);
        answered
            .map(|(kept, outcome)| {
                let outcome = outcome.unwrap_or_else(|| late(&kept));
                (kept, outcome)
            })
            .collect()
    }

    /// Leaves the logs alone that keep an errand waiting, so that the others' are not kept waiting too.
    fn tire(&self, errand: &Errand) {
        let now = self.clock.now();
        match errand {
            Errand::Parent { child, .. } => self.log(&child.log).into_iter().for_each(|log| log.tire(now)),
            Errand::Elsewhere { log, .. } => self.log(log).into_iter().for_each(|log| log.tire(now)),
            Errand::Included { sat, cert_hash, .. } => {
                let logs = self.logs.iter().map(|log| &log.log);
                if let Ok(promise) = Promise::read(sat.as_slice(), *cert_hash, None, logs, now) {
                    self.log(promise.log.origin.as_str()).into_iter().for_each(|log| log.tire(now));
                }
            }
            Errand::Authorised { .. } => {}
        }
    }

    pub(super) fn log(&self, origin: &str) -> Option<&Arc<Respondent>> {
        self.logs.iter().find(|log| log.log.origin.as_str() == origin)
    }

    pub(super) fn tries(&self, kept: &Kept) -> Tries {
        let (lot, now) = (queue::lot(&kept.what), self.clock.now());
        // Under a clock that may be ahead nothing has waited for long.
        // A database that fails is told where something is written.
        let is_ahead = heads::ahead(&self.board, &self.state, now).is_ok_and(|ahead| ahead.is_some());
        Tries { now, first_asked: kept.first_asked.filter(|_| !is_ahead), attempts: kept.attempts, lot }
    }

    async fn answer(&self, kept: &Kept) -> Outcome {
        let tries = self.tries(kept);
        match &kept.what {
            Errand::Parent { child, .. } => self.parent(child, &tries).await,
            Errand::Included { entry, sat, cert_hash, .. } => {
                self.included(entry.as_ref(), sat.as_slice(), *cert_hash, &tries).await
            }
            Errand::Elsewhere { entry, log, due } => self.elsewhere(entry, log, *due, &tries).await,
            Errand::Authorised { known_as, finding, due } => {
                let outcome = match &self.owner {
                    Some((owner, _)) => owner(known_as, finding, *due, tries.now),
                    None => Outcome::found(Finding { found_at: tries.now, ..(**finding).clone() }, None),
                };
                self.with_evidence(outcome, tries.now).await
            }
        }
    }

    /// The same with the certificate itself as evidence, which no rule but the owner's word makes wrong.
    async fn with_evidence(&self, mut outcome: Outcome, now: UnixMillis) -> Outcome {
        let terms = self.owner.as_ref().map(|(_, terms)| terms.clone()).unwrap_or_default();
        for found in &mut outcome.findings {
            let Some(entry) = found.finding.entry.clone() else { continue };
            let Some(log) = self.log(&entry.log) else { continue };
            if let Some(located) = show::located(log, &entry, now).await {
                *found = located.shown(found.finding.clone(), &terms);
            }
        }
        outcome
    }

    /// The same with what is to be seen of the entries that the findings are about.
    async fn shown(&self, mut outcome: Outcome) -> Outcome {
        let now = self.clock.now();
        for found in std::mem::take(&mut outcome.findings) {
            let log = found.finding.entry.as_ref().and_then(|entry| self.log(&entry.log));
            outcome.findings.push(match log {
                Some(log) => show::shown(log, found, now).await,
                None => found,
            });
        }
        outcome
    }

    async fn parent(&self, child: &EntryRef, tries: &Tries) -> Outcome {
        let Some(log) = self.log(&child.log) else {
            debug!(log = child.log, "a delegation of a log that is not followed any more");
            return Outcome::settled();
        };
        if let Some(at) = log.rests_until(tries.now) {
            return Outcome::put_off(at, "the log is left alone for a while");
        }
        let subject = child.cert_hash.to_string();
        let question = format!("what entry {} is", child.index);
        let own = match locate(log, child.cert_hash, tries.now).await {
            Ok(own) => own,
            Err(Not::Kept) => {
                debug!(log = child.log, index = %child.index, "the certificate was dropped before its parent was looked for");
                return Outcome::settled();
            }
            Err(Not::Honest(found)) => return Outcome { findings: vec![*found], ..Outcome::settled() },
            Err(Not::Answered(failure)) => return tries.unanswered(&log.log, &subject, &question, &failure),
            Err(Not::There(_, receipt)) => {
                // Its leaf was verified when it was read.
                let why = format!("{} says that it does not have entry {}, which it served", child.log, child.index);
                let failure = Failure { why, refused: true, retry_after: None, receipt };
                return tries.unanswered(&log.log, &subject, &question, &failure);
            }
        };
        let (line, end) = walk(&self.logs, own, tries.now).await;
        let mmd_ms = log.mmd_ms(tries.now).await;
        judge(child, &line, end, mmd_ms, tries)
    }

    async fn included(&self, entry: Option<&EntryRef>, sat: &[u8], cert_hash: CertHash, tries: &Tries) -> Outcome {
        let promise = match Promise::read(sat, cert_hash, entry, self.logs.iter().map(|log| &log.log), tries.now) {
            Ok(promise) => promise,
            Err(NoPromise::Ignored(why)) => {
                debug!(why, "a timestamp that is not asked about");
                return Outcome::settled();
            }
            Err(NoPromise::Suspicious(finding)) => return Outcome::found(*finding, None),
        };
        let Some(log) = self.log(promise.log.origin.as_str()) else { return Outcome::settled() };
        if let Some(at) = log.rests_until(tries.now) {
            return Outcome::put_off(at, "the log is left alone for a while");
        }
        check(&promise, log, self.heads.as_deref(), tries).await.0
    }

    async fn elsewhere(&self, entry: &EntryRef, other: &str, due: UnixMillis, tries: &Tries) -> Outcome {
        let Some(log) = self.log(other) else {
            debug!(log = other, "an entry that should be in a log that is not followed");
            return Outcome::settled();
        };
        if let Some(at) = log.rests_until(tries.now) {
            return Outcome::put_off(at, "the log is left alone for a while");
        }
        let answer = log.inclusion(entry.cert_hash.leaf_hash(), tries.now).await;
        elsewhere(entry, &log.log, due, answer, tries)
    }
}

/// Asks a log about a timestamp that it signed: what follows, and the proof where the log gave a good one.
pub(crate) async fn check(
    promise: &Promise<'_>,
    log: &Respondent,
    heads: Option<&dyn KnownHeads>,
    tries: &Tries,
) -> (Outcome, Option<Proof>) {
    match log.inclusion(promise.sat.cert_hash.leaf_hash(), tries.now).await {
        Inclusion::Proven(proof) => {
            let entry = log.entry(promise.sat.cert_hash, tries.now).await;
            let mut around = log.around(proof.index);
            around.extend(heads.map(|heads| heads.around(&log.log, proof.index)).unwrap_or_default());
            let covering = match (&entry, promise.misdated(&proof, &around)) {
                (Entry::There(entry, _), Some(head)) => {
                    let (leaf, is_kept) = (promise.sat.cert_hash.leaf_hash(), entry.submission.is_some());
                    log.covering(head, leaf, proof.index, is_kept, tries.now).await
                }
                _ => Covering::Unshown,
            };
            (promise.proven(&proof, entry, &around, covering, tries), Some(proof))
        }
        answer => {
            let mmd_ms = log.mmd_ms(tries.now).await;
            let leaves = match &answer {
                Inclusion::Absent { head, .. } if promise.is_late(head, mmd_ms) => log.leaves(head, tries.now).await,
                _ => None,
            };
            (promise.not_proven(answer, leaves, mmd_ms, tries), None)
        }
    }
}
