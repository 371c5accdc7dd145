//! What is kept, for whoever may see it, and the changes that a CA follows.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::view::account_view;
use super::{
    AccountView, Change, ChangesPage, Check, Incident, IncidentStage, LedgerPage, Line, ReporterRecord, Review,
    TrustError, TrustService,
};
use crate::apki::AgentUri;
use crate::trust::event::Event;
use crate::trust::explain::explain;
use crate::trust::half_points::HalfPoints;
use crate::trust::ledger::{JournalError, Row};
use crate::trust::ports::{Entity, Key, MAX_LISTED, StoreError, TrustStore};
use crate::trust::refusal::Refusal;
use crate::trust::signal::Kind;

/// Rows read at a time where changes are looked for.
const PAGE: usize = 256;
/// Most rows that one call for changes looks at.
const MOST_ROWS: u64 = 10_000;
/// Most rows of an agent that are explained; those before are summed up by nobody, so it is generous.
const MOST_LINES: usize = 1_000_000;

impl TrustService {
    /// An agent's account, as it is now.
    ///
    /// # Errors
    /// [`TrustError::Refusal`] where there is none.
    pub async fn account(&self, agent: &AgentUri) -> Result<AccountView, TrustError> {
        let key = Key::Account(agent.clone());
        match self.read(move |store| store.load(&[key])).await?.pop().flatten() {
            Some(Entity::Account(account)) => Ok(account_view(&account, &self.policy, self.clock.now())),
            _ => Err(Refusal::NotFound("account").into()),
        }
    }

    /// Accounts as they are now, in the order of their agents' URIs: at most `limit`, and never more than 1000.
    ///
    /// # Errors
    /// [`TrustError`] where the store does not answer.
    pub async fn accounts(&self, after: Option<AgentUri>, limit: usize) -> Result<Vec<AccountView>, TrustError> {
        let accounts = self.read(move |store| store.accounts(after.as_ref(), limit.min(MAX_LISTED))).await?;
        let now = self.clock.now();
        Ok(accounts.iter().map(|account| account_view(account, &self.policy, now)).collect())
    }

    /// Why an agent's score is what it is: a line for each row about it, oldest first, and one for now.
    ///
    /// # Errors
    /// [`TrustError::Refusal`] where there is no account.
    pub async fn explain(&self, agent: &AgentUri) -> Result<Vec<Line>, TrustError> {
        let (agent, now, lapse_days) = (agent.clone(), self.clock.now(), self.policy.penalty_lapse_days);
        let lines = self.read(move |store| {
            let rows = store.rows_of(&agent, 0, MOST_LINES)?;
            let rows = rows.iter().map(|(number, octets)| Row::read(*number, octets));
            let rows = rows.collect::<Result<Vec<_>, _>>().map_err(damaged)?;
            Ok(explain(&rows, now, lapse_days))
        });
        let lines = lines.await?;
        if lines.is_empty() { Err(Refusal::NotFound("account").into()) } else { Ok(lines) }
    }

    /// Incidents that nobody has decided, oldest first: at most `limit`, and never more than 1000.
    ///
    /// # Errors
    /// [`TrustError`] where the store does not answer.
    pub async fn incidents(&self, after: Option<u64>, limit: usize) -> Result<Vec<Incident>, TrustError> {
        self.read(move |store| store.open_incidents(after, limit.min(MAX_LISTED))).await
    }

    /// Reviews that nobody has decided, oldest first: at most `limit`, and never more than 1000.
    ///
    /// # Errors
    /// [`TrustError`] where the store does not answer.
    pub async fn reviews(&self, after: Option<u64>, limit: usize) -> Result<Vec<Review>, TrustError> {
        self.read(move |store| store.open_reviews(after, limit.min(MAX_LISTED))).await
    }

    /// What is known of each reporter that ever sent a signal.
    ///
    /// # Errors
    /// [`TrustError`] where the store does not answer.
    pub async fn reporters(&self) -> Result<Vec<ReporterRecord>, TrustError> {
        self.read(|store| store.reporters()).await
    }

    /// At most `limit` changes of scores, in rows from `start` on. Where there is none yet, it waits for one,
    /// but no longer than `wait`. The next call starts at the answer's `next`.
    ///
    /// # Errors
    /// [`TrustError`] where the store does not answer.
    pub async fn changes(&self, start: u64, limit: usize, wait: Duration) -> Result<ChangesPage, TrustError> {
        let limit = limit.clamp(1, MAX_LISTED);
        let until = Instant::now() + wait.min(self.settings.max_wait);
        let (mut rows, mut leaving, mut next) = (self.rows.clone(), self.leaving.subscribe(), start);
        loop {
            let total = *rows.borrow_and_update();
            let page = self.read(move |store| look(store, next, total, limit)).await?;
            next = page.next;
            if !page.changes.is_empty() || next < total || self.queue.is_closed() || *leaving.borrow_and_update() {
                return Ok(page);
            }
            tokio::select! {
                changed = timeout_at(until, rows.changed()) => match changed {
                    Ok(Ok(())) => {}
                    // The time is up, or the writer is gone.
                    Ok(Err(_)) | Err(_) => return Ok(page),
                },
                _ = leaving.changed() => {}
            }
        }
    }

    /// Whoever waits for changes has the answer that there are none, and nobody waits any more: a server that is
    /// told to stop has its connections to close.
    pub fn let_go(&self) {
        self.leaving.send_replace(true);
    }

    /// Rows of the ledger, octet for octet: at most `limit`, and never more than 1000.
    ///
    /// # Errors
    /// [`TrustError`] where the store does not answer.
    pub async fn ledger(&self, start: u64, limit: usize) -> Result<LedgerPage, TrustError> {
        let page = self.read(move |store| {
            let head = store.head()?;
            let behind = usize::try_from(head.rows.saturating_sub(start)).unwrap_or(usize::MAX);
            // A row that was written since the head was read is not under it.
            let rows = store.rows(start, limit.min(MAX_LISTED).min(behind))?;
            Ok(LedgerPage { total: head.rows, head: head.hash, start, rows })
        });
        page.await
    }

    /// Whether the engine could take a signal in now, part by part.
    pub async fn checks(&self) -> Vec<Check> {
        let check = |name, ok, detail: String| Check { name, ok, detail };
        let writer = match self.queue.failure() {
            Some(why) => check("writer", false, why),
            None if self.queue.is_closed() => check("writer", false, "the trust engine is shutting down".into()),
            None => check("writer", true, "it writes".into()),
        };
        let store = match self.read(|store| store.head()).await {
            Ok(head) => check("store", true, format!("{} rows", head.rows)),
            Err(error) => check("store", false, error.to_string()),
        };
        let disk = match self.room() {
            Ok(()) => check("disk", true, "there is room".into()),
            Err(_) => check("disk", false, "below the low watermark: no signal is taken in".into()),
        };
        vec![writer, store, disk]
    }

    /// Reads from the store, which may block on the disk.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn TrustStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, TrustError> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || read(&*store)).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(StoreError::Unavailable(_))) => Err(TrustError::Overloaded),
            Ok(Err(damage)) => Err(TrustError::Internal(damage.to_string())),
            Err(_) => Err(TrustError::Internal("a read of the store failed unexpectedly".into())),
        }
    }
}

/// Changes in rows from `next` on, up to `total`, as far as one call looks.
fn look(store: &dyn TrustStore, start: u64, total: u64, limit: usize) -> Result<ChangesPage, StoreError> {
    let end = total.min(start.saturating_add(MOST_ROWS));
    let (mut changes, mut next) = (Vec::new(), start);
    while next < end {
        let page = usize::try_from(end - next).unwrap_or(PAGE).min(PAGE);
        let rows = store.rows(next, page)?;
        if rows.is_empty() {
            break;
        }
        for octets in rows {
            changes.extend(change(Row::read(next, &octets).map_err(damaged)?));
            next += 1;
            if changes.len() == limit {
                return Ok(ChangesPage { changes, next });
            }
        }
    }
    Ok(ChangesPage { changes, next })
}

/// What a row changed of a score, or of an incident.
fn change(row: Row) -> Option<Change> {
    let (row, at, event) = (row.row, row.at, row.event);
    let incident = match &event {
        Event::SignalTaken { signal, .. } if signal.kind == Kind::SecurityIncident => {
            Some((row, IncidentStage::Opened))
        }
        Event::IncidentConfirmed { incident, .. } => Some((*incident, IncidentStage::Confirmed)),
        Event::IncidentDismissed { incident, .. } => Some((*incident, IncidentStage::Dismissed)),
        _ => None,
    };
    let moved = match &event {
        Event::SignalTaken { signal, .. } => signal.applied != HalfPoints::ZERO,
        Event::Released { applied, .. } | Event::ReviewApproved { applied, .. } | Event::Rebased { applied, .. } => {
            *applied != HalfPoints::ZERO
        }
        Event::Opened { .. } | Event::EvidenceLost { .. } | Event::Repaced { .. } => true,
        _ => false,
    };
    let (agent, half_points) = (event.agent()?.clone(), event.after()?.score);
    (moved || incident.is_some()).then_some(Change { row, agent, half_points, at, incident })
}

fn damaged(error: JournalError) -> StoreError {
    StoreError::Corrupt(error.to_string())
}
