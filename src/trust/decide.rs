//! The engine's judgement: from what is known and what is asked to what happens, or why it does not.

use std::collections::BTreeSet;

use super::account::{Account, Pace};
use super::baseline::{ReporterRecord, judge};
use super::command::{Action, Command};
use super::event::{Actor, After, Event, Operator, Role, Taken};
use super::half_points::{Direction, HalfPoints};
use super::limits::{Limits, Split};
use super::policy::{DAY_MS, Policy};
use super::ports::Key;
use super::record::{IncidentState, ReviewState, Source};
use super::refusal::Refusal;
use super::reporter::ReporterId;
use super::signal::{Reported, Signal, SignalId};
use super::state::State;
use crate::apki::AgentUri;
use crate::time::UnixMillis;

/// What a command comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens, in this order; nothing where it is refused.
    pub events: Vec<Event>,
    /// What to answer, or why it is refused.
    pub verdict: Result<About, Refusal>,
}

/// What an answer is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// This agent's account.
    Agent(AgentUri),
    /// A signal, which may have been here before.
    Signal(ReporterId, SignalId),
    /// This reporter.
    Reporter(ReporterId),
}

/// The place where the next row goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// Its number.
    pub row: u64,
    /// The present.
    pub now: UnixMillis,
}

/// Decides a command.
pub fn decide(state: &State, command: &Command, policy: &Policy, next: Next) -> Decision {
    let court = Court { state, policy, next };
    let decided = match (&command.action, &command.by) {
        (Action::Assess { agent, base }, Actor::Ca) => Ok(court.assess(agent, *base)),
        (Action::Signal(signal), Actor::Reporter(reporter)) if reporter == signal.reporter() => court.signal(signal),
        (Action::Confirm { incident }, Actor::Operator(_)) => court.confirm(*incident),
        (Action::Dismiss { incident }, Actor::Operator(operator)) => court.dismiss(operator, *incident),
        (Action::Review { review, approve }, Actor::Operator(operator)) => court.review(operator, *review, *approve),
        (Action::Rebase { agent, base, reason }, Actor::Operator(operator)) => {
            court.rebase(operator, agent, *base, reason)
        }
        (Action::ClearFlag { reporter }, Actor::Operator(operator)) => court.clear(operator, reporter),
        (action, _) => Err(Refusal::Forbidden(action.whose())),
    };
    match decided {
        Ok((events, about)) => Decision { events, verdict: Ok(about) },
        Err(refusal) => Decision { events: Vec::new(), verdict: Err(refusal) },
    }
}

impl Action {
    /// Whose business it is, for whoever's it is not.
    const fn whose(&self) -> &'static str {
        match self {
            Self::Assess { .. } => "only the CA asks for scores to certify",
            Self::Signal(_) => "only the reporter who signed a signal sends it",
            Self::Confirm { .. } => "incidents are for operators to confirm",
            Self::Dismiss { .. } => "incidents are for operators of the trust engine to dismiss",
            Self::Review { .. } => "reviews are for operators of the trust engine to decide",
            Self::Rebase { .. } => "only an operator of the trust engine changes an agent's base",
            Self::ClearFlag { .. } => "only an operator of the trust engine lifts a reporter's flag",
        }
    }
}

impl Command {
    /// What has to be at hand before it can be decided and is not: to be asked again once that is there.
    pub fn needs(&self, state: &State, policy: &Policy) -> Vec<Key> {
        let mut keys = BTreeSet::new();
        match &self.action {
            Action::Assess { agent, .. } | Action::Rebase { agent, .. } => {
                keys.insert(Key::Account(agent.clone()));
            }
            Action::Signal(signal) => {
                let (agent, reporter) = (&signal.signal().agent, signal.reporter());
                keys.insert(Key::Receipt(reporter.clone(), signal.signal().id));
                keys.insert(Key::Account(agent.clone()));
                keys.insert(Key::Reporter(reporter.clone()));
                // Whose signals may be released, and whose opinions are doubted.
                let others = state.account(agent).into_iter().flat_map(|account| &account.recent);
                keys.extend(others.filter_map(|mark| mark.reporter.clone()).map(Key::Reporter));
                let counted = state.reporter(reporter);
                if counted.is_some_and(ReporterRecord::is_due_next) {
                    keys.extend(policy.reporters.ids().into_iter().map(Key::Reporter));
                }
            }
            Action::Confirm { incident } | Action::Dismiss { incident } => {
                keys.insert(Key::Incident(*incident));
                let agent = state.incident(incident).map(|incident| incident.agent.clone());
                let account = agent.as_ref().and_then(|agent| state.account(agent));
                keys.extend(account.into_iter().flat_map(|account| account.reviews.keys()).map(|id| Key::Review(*id)));
                keys.extend(agent.map(Key::Account));
            }
            Action::Review { review, .. } => {
                keys.insert(Key::Review(*review));
                keys.extend(state.review(review).map(|review| Key::Account(review.agent.clone())));
            }
            Action::ClearFlag { reporter } => {
                keys.insert(Key::Reporter(reporter.clone()));
            }
        }
        keys.into_iter().filter(|key| !state.knows(key)).collect()
    }
}

type Verdict = Result<(Vec<Event>, About), Refusal>;

struct Court<'a> {
    state: &'a State,
    policy: &'a Policy,
    next: Next,
}

impl Court<'_> {
    fn assess(&self, agent: &AgentUri, base: HalfPoints) -> (Vec<Event>, About) {
        let base = base.clamped();
        let about = About::Agent(agent.clone());
        let never = UnixMillis::default();
        let pace = Pace { rate: self.policy.decay_rate, active_until: never, fast_until: never };
        let Some(account) = self.state.account(agent) else {
            let after = After { score: base, pace };
            return (vec![Event::Opened { agent: agent.clone(), base, after }], about);
        };
        let mut draft = self.draft(account);
        let agent = || agent.clone();
        if base < account.base {
            draft.push(|after| Event::EvidenceLost { agent: agent(), from: account.base, to: base, after });
        } else if account.pace.rate != self.policy.decay_rate {
            draft.push(|after| Event::Repaced { agent: agent(), after });
        }
        (draft.events, about)
    }

    fn signal(&self, reported: &Reported) -> Verdict {
        let (signal, reporter) = (reported.signal(), reported.reporter());
        let about = About::Signal(reporter.clone(), signal.id);
        match self.state.receipt(reporter, signal.id) {
            Some(receipt) if receipt.sha256 == *reported.sha256() => return Ok((Vec::new(), about)),
            Some(_) => return Err(Refusal::Reused(reporter.clone())),
            None => self.check(signal)?,
        }
        if !self.policy.reporters.has(reporter) {
            return Err(super::signal::SignalFault::NotRegistered(reporter.clone()).into());
        }
        let account = self.state.account(&signal.agent);
        let account = account.ok_or_else(|| Refusal::UnknownAgent(signal.agent.clone()))?;
        let mut draft = self.draft(account);
        if self.is_flagged(reporter) {
            draft.flagged.insert(reporter.clone());
        }
        if let Some(after) = draft.limits().next_signal_at(reporter) {
            return Err(Refusal::RateLimited { limit: self.policy.signals_per_hour, after });
        }
        draft.take(reported);
        let mut events = draft.events;
        events.extend(self.judge(reported));
        Ok((events, about))
    }

    /// Whether a signal is for this engine, and for now.
    fn check(&self, signal: &Signal) -> Result<(), Refusal> {
        let (policy, now) = (self.policy, self.next.now);
        if signal.aud != policy.audience {
            return Err(Refusal::Audience { found: signal.aud.clone(), ours: policy.audience.clone() });
        }
        let issued_at = signal.issued_at;
        if issued_at.since(now) > policy.ahead_ms || now.since(issued_at) > policy.age_ms {
            let (age_s, ahead_s) = (policy.age_ms / 1000, policy.ahead_ms / 1000);
            return Err(Refusal::Stale { issued_at, now, age_s, ahead_s });
        }
        let observed_at = signal.observed_at;
        if observed_at > issued_at { Err(Refusal::Unobserved { observed_at }) } else { Ok(()) }
    }

    /// Compares the reporter with the others, every now and then.
    fn judge(&self, reported: &Reported) -> Option<Event> {
        let mut record = self.state.reporter(reported.reporter()).filter(|record| record.is_due_next())?.clone();
        let signal = reported.signal();
        record.count(self.next.now, signal.kind, self.requested(signal));
        let others = self.policy.reporters.ids();
        let others = others.iter().filter_map(|id| self.state.reporter(id));
        let finding = judge(&record, others, &self.policy.baseline, self.next.now)?;
        Some(Event::ReporterFlagged { reporter: record.id, finding })
    }

    fn requested(&self, signal: &Signal) -> HalfPoints {
        signal.half_points.unwrap_or(self.policy.incident)
    }

    fn confirm(&self, incident: u64) -> Verdict {
        let (account, agent) = self.open_incident(incident)?;
        let dropped: Vec<u64> = account.reviews.keys().copied().collect();
        let mut draft = self.draft(account);
        draft.push(|after| Event::IncidentConfirmed {
            agent: agent.clone(),
            incident,
            dropped: dropped.clone(),
            after,
        });
        Ok((draft.events, About::Agent(agent)))
    }

    fn dismiss(&self, operator: &Operator, incident: u64) -> Verdict {
        // What is given back raises the score, and that is not for the CA's side to do.
        engine(operator, "only an operator of the trust engine dismisses incidents: it raises a score")?;
        let (account, agent) = self.open_incident(incident)?;
        let returned = account.incidents.get(&incident).map_or(HalfPoints::ZERO, |taken| taken.moved.size());
        let mut draft = self.draft(account);
        draft.push(|after| Event::IncidentDismissed { agent: agent.clone(), incident, returned, after });
        Ok((draft.events, About::Agent(agent)))
    }

    fn open_incident(&self, id: u64) -> Result<(&Account, AgentUri), Refusal> {
        let incident = self.state.incident(&id).ok_or(Refusal::NotFound("incident"))?;
        let decided = |how, row| Refusal::Conflict(format!("incident {id} was {how} in row {row}"));
        match incident.state {
            IncidentState::Open => {}
            IncidentState::Confirmed { row } => return Err(decided("confirmed", row)),
            IncidentState::Dismissed { row } => return Err(decided("dismissed", row)),
        }
        let account = self.state.account(&incident.agent).ok_or(Refusal::NotFound("account"))?;
        Ok((account, incident.agent.clone()))
    }

    fn review(&self, operator: &Operator, id: u64, approve: bool) -> Verdict {
        engine(operator, "only an operator of the trust engine decides reviews")?;
        let review = self.state.review(&id).ok_or(Refusal::NotFound("review"))?;
        let decided = |how, row| Refusal::Conflict(format!("review {id} was {how} in row {row}"));
        match review.state {
            ReviewState::Open => {}
            ReviewState::Approved { row } => return Err(decided("approved", row)),
            ReviewState::Denied { row } => return Err(decided("denied", row)),
            ReviewState::Dropped { row } => return Err(decided("dropped by a reset", row)),
        }
        if approve && review.source == Source::Operator(operator.name.clone()) {
            return Err(Refusal::Forbidden("who changed the base does not approve the rest of the change too"));
        }
        let account = self.state.account(&review.agent).ok_or(Refusal::NotFound("account"))?;
        let (mut draft, agent) = (self.draft(account), review.agent.clone());
        match approve {
            true => draft.push(|after| Event::ReviewApproved {
                agent: agent.clone(),
                review: id,
                applied: review.half_points,
                after,
            }),
            false => draft.events.push(Event::ReviewDenied { agent: agent.clone(), review: id }),
        }
        Ok((draft.events, About::Agent(agent)))
    }

    fn rebase(&self, operator: &Operator, agent: &AgentUri, base: HalfPoints, reason: &str) -> Verdict {
        engine(operator, "only an operator of the trust engine changes an agent's base")?;
        let account = self.state.account(agent).ok_or(Refusal::NotFound("account"))?;
        let (from, to) = (account.base, base.clamped());
        if from == to {
            return Err(Refusal::Conflict(format!("the base is {from} already")));
        }
        let mut draft = self.draft(account);
        let Split { applied, held, .. } = draft.limits().rising(to.minus(from));
        let (reason, about) = (reason.to_owned(), About::Agent(agent.clone()));
        draft.push(|after| Event::Rebased { agent: agent.clone(), from, to, applied, held, reason, after });
        Ok((draft.events, about))
    }

    fn clear(&self, operator: &Operator, reporter: &ReporterId) -> Verdict {
        engine(operator, "only an operator of the trust engine lifts a reporter's flag")?;
        let record = self.state.reporter(reporter).ok_or(Refusal::NotFound("reporter"))?;
        match record.flag {
            Some(_) => {
                let event = Event::ReporterCleared { reporter: reporter.clone() };
                Ok((vec![event], About::Reporter(reporter.clone())))
            }
            None => Err(Refusal::Conflict(format!("`{reporter}` has no flag"))),
        }
    }

    fn is_flagged(&self, reporter: &ReporterId) -> bool {
        self.state.reporter(reporter).is_some_and(|record| record.flag.is_some())
    }

    fn draft(&self, account: &Account) -> Draft<'_> {
        // Those who spoke of the agent lately; whoever speaks now is added where that is known.
        let spoke = account.recent.iter().filter_map(|mark| mark.reporter.as_ref());
        let flagged = spoke.filter(|id| self.is_flagged(id)).cloned().collect();
        Draft { policy: self.policy, flagged, next: self.next, account: account.clone(), events: Vec::new() }
    }
}

fn engine(operator: &Operator, why: &'static str) -> Result<(), Refusal> {
    if operator.role == Role::Engine { Ok(()) } else { Err(Refusal::Forbidden(why)) }
}

/// Events under way, and the account as they leave it.
struct Draft<'a> {
    policy: &'a Policy,
    flagged: BTreeSet<ReporterId>,
    next: Next,
    account: Account,
    events: Vec<Event>,
}

impl Draft<'_> {
    fn limits(&self) -> Limits<'_> {
        Limits { account: &self.account, policy: self.policy, flagged: &self.flagged, now: self.next.now }
    }

    /// Takes a signal in, and with it what others' signals waited for.
    fn take(&mut self, reported: &Reported) {
        let (signal, reporter) = (reported.signal(), reported.reporter());
        let requested = signal.half_points.unwrap_or(self.policy.incident);
        let Split { applied, withheld, held, why } = self.limits().split(reporter, requested);
        let agrees = !why.contains(&super::event::Hold::ReporterFlagged);
        let taken = Taken {
            reporter: reporter.clone(),
            id: signal.id,
            sha256: *reported.sha256(),
            kind: signal.kind,
            observed_at: signal.observed_at,
            issued_at: signal.issued_at,
            detail: signal.detail.clone(),
            requested,
            applied,
            withheld,
            held,
            why,
        };
        self.push(|after| Event::SignalTaken { agent: signal.agent.clone(), signal: taken, after });
        let Some(direction) = requested.direction().filter(|_| agrees) else { return };
        for (row, other, withheld) in self.limits().released_by(reporter, direction) {
            let Split { applied, held, why, .. } = self.limits().release(&other, withheld);
            let agent = signal.agent.clone();
            self.push(|after| Event::Released { agent, reporter: other, signal: row, applied, held, why, after });
        }
    }

    /// Adds the event that `make` makes of what holds behind it.
    fn push(&mut self, make: impl FnOnce(After) -> Event) {
        let now = self.next.now;
        let mut pace = Pace { rate: self.policy.decay_rate, ..self.account.pace };
        let mut event = make(After { score: HalfPoints::ZERO, pace });
        if let Event::SignalTaken { signal, .. } = &event
            && signal.applied.direction() == Some(Direction::Up)
        {
            pace.active_until = pace.active_until.max(now.saturating_add(self.policy.active_ms));
        }
        self.account.apply(self.next.row, now, &event);
        if self.limits().swings() {
            pace.fast_until = pace.fast_until.max(now.saturating_add(DAY_MS));
        }
        self.account.pace = pace;
        let score = self.account.effective(now, self.policy.penalty_lapse_days);
        if let Some(after) = event.after_mut() {
            *after = After { score, pace };
        }
        self.next.row = self.next.row.saturating_add(1);
        self.events.push(event);
    }
}
