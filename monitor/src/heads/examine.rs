//! What becomes of a head that somebody has shown: it is held against all that is known, and where that alone does
//! not say it, the log is asked.

use atl::client::LogClient;
use atl::time::UnixMillis;

use super::book::{self, Book, Known, MAX_PROOFS, MAX_WAIT_MILLIS, Refused, Standing};
use super::compare::{Contradiction, HeadId, compare};
use super::prove::{Answer, ask};
use super::{Heads, HeadsError, Inner};
use crate::alert::{ALERTS, raise};
use crate::evidence::{Divergence, Exhibit, Receipt};
use crate::finding::{Class, Finding};
use crate::state::StateError;
use crate::watched::WatchedLog;

/// How often a log may be silent about a head before that is a refusal.
const PATIENCE: u32 = 5;

/// How often a log must have refused a proof before somebody is told.
const LEAST_REFUSALS: u32 = 3;

/// The least and the most time between two questions that a log refuses, before somebody is told, in milliseconds.
const REFUSED_MILLIS: (u64, u64) = (5_000, 60_000);

/// The least and the most time between two questions about a head, in milliseconds.
const RETRY_MILLIS: (u64, u64) = (30_000, MAX_WAIT_MILLIS);

const DAY_MILLIS: u64 = 86_400_000;

/// What is to be asked about a head: whether the tree of one begins with that of the other.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The head in the inbox.
    about: HeadId,
    smaller: Known,
    larger: Known,
    tries: u32,
    refused: Option<Refused>,
}

/// A case that is proven or claimed, before it is kept.
struct Case<'a> {
    class: Class,
    heads: Vec<&'a Known>,
    divergence: Option<Divergence>,
    receipts: Vec<Receipt>,
    /// What the finding is known by.
    subject: String,
    summary: String,
}

impl Heads {
    /// Settles one head of the inbox, as far as that can be done now. Nothing is asked where `may_ask` says no.
    pub(super) async fn examine(
        &self,
        log: &WatchedLog,
        client: &LogClient,
        id: HeadId,
        may_ask: impl FnOnce() -> bool,
    ) -> Result<(), HeadsError> {
        let watched = log.clone();
        let Some(question) = self.blocking(move |inner| inner.look(&watched, &id)).await? else { return Ok(()) };
        if !may_ask() {
            return Ok(());
        }
        let impatient = question.tries + 1 >= PATIENCE;
        let answer = ask(client, &question.smaller.id, &question.larger.id, impatient).await;
        let watched = log.clone();
        self.blocking(move |inner| inner.conclude(&watched, &question, answer)).await
    }
}

impl Inner {
    /// Holds a head of the inbox against all that is known; what is still to be asked, if anything.
    fn look(&self, log: &WatchedLog, id: &HeadId) -> Result<Option<Question>, HeadsError> {
        let book = self.state.read(|read| Book::load(read, &log.origin))?;
        let Some(head) = book.inbox.iter().find(|known| known.id == *id) else { return Ok(None) };
        let known: Vec<_> = book.history().chain(&book.inbox).map(Known::shown).collect();
        let mut contradicts = false;
        for case in compare(&known, &head.shown(), self.clock.now()) {
            let other = case.other.and_then(|other| book.find(&other));
            contradicts |= other.is_some_and(|other| other.standing == Standing::Fits);
            self.contradiction(log, head, other, case)?;
        }
        if contradicts {
            self.stand(log, id, Standing::Contradicts)?;
            return Ok(None);
        }
        // What a log says for itself that is proven to have misbehaved is not worth asking.
        if book::frozen(&self.state, &log.origin)?.is_some() {
            self.postpone(log, id, u32::MAX)?;
            return Ok(None);
        }
        let Some(tip) = book.tip() else {
            // A history begins with what the log shows to us, and with nothing that only others were shown.
            if head.to_us {
                self.stand(log, id, Standing::Fits)?;
            }
            return Ok(None);
        };
        let same_tree = |fitting: &Known| fitting.id.size == id.size && fitting.id.root == id.root;
        if book.history().any(same_tree) {
            self.stand(log, id, Standing::Fits)?;
            return Ok(None);
        }
        let tries = match head.standing {
            Standing::Waiting { tries, .. } => tries,
            _ => 0,
        };
        let (smaller, larger) = if id.size < tip.id.size { (head, tip) } else { (tip, head) };
        Ok(Some(Question {
            about: *id,
            smaller: smaller.clone(),
            larger: larger.clone(),
            tries,
            refused: head.refused,
        }))
    }

    /// Keeps a case that a head shows at once.
    fn contradiction(
        &self,
        log: &WatchedLog,
        head: &Known,
        other: Option<&Known>,
        case: Contradiction,
    ) -> Result<(), HeadsError> {
        let now = self.clock.now();
        let Some(other) = other else {
            // A log whose clock is wrong is wrong with each head: one alert a day says so.
            let day = now.get() / DAY_MILLIS;
            let summary = format!("{} shows {}, and it is {now} here", log.origin, head.id);
            return self.keep(log, Case::of(case.class, vec![head], format!("day {day}"), summary));
        };
        let (one, two) = in_order(case.class, other, head);
        let summary = match case.class {
            Class::Rollback => format!("{} signed {}, and after it {}", log.origin, one.id, two.id),
            _ => format!("{} signed {}, and also {}", log.origin, one.id, two.id),
        };
        self.keep(log, Case::of(case.class, vec![one, two], pair(&one.id, &two.id), summary))
    }

    /// Takes down what the log's answer makes of a head.
    fn conclude(&self, log: &WatchedLog, question: &Question, answer: Answer) -> Result<(), HeadsError> {
        let Question { about, smaller, larger, tries, .. } = question;
        match answer {
            Answer::Consistent => self.stand(log, about, Standing::Fits),
            Answer::Diverges(divergence, receipts) => {
                let class = if smaller.to_us && larger.to_us { Class::InconsistentHeads } else { Class::SplitView };
                let summary = format!(
                    "{} signed {}, whose tree does not begin with that of {}",
                    log.origin, larger.id, smaller.id
                );
                let case = Case::of(class, vec![smaller, larger], pair(&smaller.id, &larger.id), summary);
                self.keep(log, Case { divergence: Some(divergence), receipts, ..case })?;
                self.stand(log, about, Standing::Contradicts)
            }
            Answer::Challenge { reason, patience: Some(patience), .. }
                if self.may_be_behind(log, question, patience)? =>
            {
                tracing::warn!(log = %log.origin, %reason, "the log refuses a proof; it is asked again before that is told");
                Ok(())
            }
            Answer::Challenge { class, reason, receipts, fits, .. } => {
                let summary =
                    format!("{} does not prove that {} continues {}: {reason}", log.origin, larger.id, smaller.id);
                let subject = self.subject(question, fits);
                let case = Case::of(class, vec![smaller, larger], subject, summary);
                if fits || !self.has_many_challenges(log)? {
                    self.keep(log, Case { receipts, ..case })?;
                }
                if fits { self.stand(log, about, Standing::Fits) } else { self.postpone(log, about, *tries) }
            }
            Answer::Silent(reason) => {
                tracing::warn!(log = %log.origin, %reason, "the log was asked about a head and did not answer");
                self.postpone(log, about, *tries)
            }
        }
    }

    /// Whether a log that refuses a proof may only be behind with some of its nodes: it has not refused often, or not for
    /// long. It is asked again then, also where its tiles show what it does not prove.
    fn may_be_behind(&self, log: &WatchedLog, question: &Question, patience: u64) -> Result<bool, HeadsError> {
        let now = self.clock.now();
        let refused = Refused::again(question.refused, now);
        let insists = refused.times >= LEAST_REFUSALS && now.since(refused.since) >= patience;
        let (least, most) = REFUSED_MILLIS;
        let pause = least.saturating_mul(1 << refused.times.saturating_sub(1).min(16)).min(most);
        let standing = Standing::Waiting { tries: question.tries, not_before: now.saturating_add(pause) };
        self.state.write(|write| {
            book::settle(write, &log.origin, &question.about, |known| {
                known.refused = Some(refused);
                if !insists {
                    known.standing = standing;
                }
            })
        })?;
        Ok(!insists)
    }

    /// What a challenge is known by: where tiles have shown what the log did not prove, the day, and else the smaller
    /// head, which stays the same while the log goes on growing and refusing.
    fn subject(&self, question: &Question, fits: bool) -> String {
        let Question { about, smaller, larger, .. } = question;
        let source = if smaller.id == *about { smaller.source() } else { larger.source() };
        match fits {
            true => format!("day {} for {source}", self.clock.now().get() / DAY_MILLIS),
            false => format!("from {:?} for {source}", smaller.id),
        }
    }

    /// Whether so many heads of a log wait for a proof, with evidence of it, that more say nothing new.
    fn has_many_challenges(&self, log: &WatchedLog) -> Result<bool, HeadsError> {
        let book = self.state.read(|read| Book::load(read, &log.origin))?;
        Ok(book.inbox.iter().filter(|known| !known.evidence.is_empty()).count() >= MAX_PROOFS)
    }

    fn postpone(&self, log: &WatchedLog, id: &HeadId, tries: u32) -> Result<(), HeadsError> {
        let standing =
            Standing::Waiting { tries: tries.saturating_add(1), not_before: again_at(self.clock.now(), tries) };
        self.stand(log, id, standing)
    }

    /// Gives a head its standing, and thins a history that has become too long.
    fn stand(&self, log: &WatchedLog, id: &HeadId, standing: Standing) -> Result<(), HeadsError> {
        self.state.write(|write| book::settle(write, &log.origin, id, |known| known.standing = standing))?;
        if standing != Standing::Fits {
            return Ok(());
        }
        let spare = self.state.read(|read| Ok::<_, StateError>(Book::load(read, &log.origin)?.spare()))?;
        if spare.is_empty() {
            return Ok(());
        }
        self.state.write(|write| spare.iter().try_for_each(|id| book::forget(write, &log.origin, id)))?;
        Ok(())
    }

    /// Whether this is proven against a log already: a fork shows with every head, and one alert says it.
    fn is_proven(&self, log: &WatchedLog, class: Class) -> Result<bool, HeadsError> {
        let proofs = book::proofs(&self.state, &log.origin)?;
        Ok(proofs.len() >= MAX_PROOFS || proofs.iter().any(|(_, proven)| *proven == class))
    }

    /// Keeps a case: its evidence first, and then in one step the alert, that the log is frozen where this is proven,
    /// and that these heads are named by evidence. A case that is there already is not kept again.
    fn keep(&self, log: &WatchedLog, case: Case<'_>) -> Result<(), HeadsError> {
        let now = self.clock.now();
        let freezes = case.class.freezes_log();
        let mut finding = Finding::new(case.class, Some(&log.origin), &case.subject, case.summary, now);
        let is_known = self.state.get(&ALERTS, finding.id().to_string().as_bytes())?.is_some();
        if is_known || (freezes && self.is_proven(log, case.class)?) {
            return Ok(());
        }
        for (name, head) in ["one head", "other head"].into_iter().zip(&case.heads) {
            finding = finding.with(name, format_args!("{}, shown by {}", head.id, head.source()));
        }
        for receipt in &case.receipts {
            finding = finding.with("asked", &receipt.asked).with("status", receipt.status);
        }
        let exhibit = Exhibit {
            heads: case.heads.iter().map(|head| head.raw.clone()).collect(),
            shown_by: case.heads.iter().map(|head| head.source().to_owned()).collect(),
            divergence: case.divergence,
            receipts: case.receipts,
            ..Exhibit::new(case.class, vec![log.clone()], finding.summary.clone())
        };
        let evidence = self.keeper.keep(&exhibit, now)?;
        finding.evidence = Some(evidence.clone());
        self.state.write(|write| {
            raise(write, &finding)?;
            if freezes {
                book::freeze(write, &log.origin, &evidence, case.class)?;
            }
            case.heads.iter().try_for_each(|head| {
                book::settle(write, &log.origin, &head.id, |known| known.evidence.push(evidence.clone()))
            })
        })?;
        if freezes {
            tracing::error!(log = %log.origin, class = %case.class, %evidence, "{}", finding.summary);
            self.board.log(log.origin.as_str(), |line| {
                line.frozen.get_or_insert(evidence);
            });
        }
        Ok(())
    }
}

impl<'a> Case<'a> {
    const fn of(class: Class, heads: Vec<&'a Known>, subject: String, summary: String) -> Self {
        Self { class, heads, divergence: None, receipts: Vec::new(), subject, summary }
    }
}

/// The two heads as evidence has them: the earlier one first where the case is about times, and else the smaller one.
fn in_order<'a>(class: Class, one: &'a Known, two: &'a Known) -> (&'a Known, &'a Known) {
    let place = |known: &Known| match class {
        Class::Rollback => (known.id.timestamp, known.id.size),
        _ => (None, known.id.size),
    };
    if (place(two), two.id) < (place(one), one.id) { (two, one) } else { (one, two) }
}

/// What a finding about a pair of heads is known by, whichever was there first.
pub fn pair(one: &HeadId, two: &HeadId) -> String {
    format!("{:?} and {:?}", one.min(two), one.max(two))
}

/// When a head may be asked about again, after so many tries before this one.
fn again_at(now: UnixMillis, tries: u32) -> UnixMillis {
    let (least, most) = RETRY_MILLIS;
    now.saturating_add(least.saturating_mul(1 << tries.min(16)).min(most))
}
