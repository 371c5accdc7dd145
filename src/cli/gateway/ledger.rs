//! The ledger as the gateway asks it.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::cli::output::{CliError, Context};
use crate::config::gateway::{self, Kept};
use crate::http::gateway::ports::{Answer, Ledger};
use crate::storage::ledger::rocks::RocksLedger;
use crate::time::UnixMillis;
use crate::verify::ledger::{Bounds, Demand, LedgerError, MemoryLedger, Outcome, ReservationId};

/// Opens the ledger of this configuration.
pub fn open(config: &gateway::Ledger) -> Result<Arc<dyn Ledger>, CliError> {
    let bounds = Bounds { counters: config.counters, ..Bounds::default() };
    match &config.kept {
        Kept::Memory => {
            tracing::warn!("the ledger is in memory: a new start gives every limit anew");
            Ok(Arc::new(MemoryLedger::new(bounds)))
        }
        Kept::Dir(dir) => {
            let ledger = RocksLedger::open(dir, bounds).map_err(|e| CliError::new(e.to_string()));
            Ok(Arc::new(Durable(ledger.context("`ledger.dir`")?)))
        }
    }
}

/// One in a database: what it says is on the disk.
struct Durable(RocksLedger);

impl Ledger for Durable {
    fn reserve(&self, demand: Demand, now: UnixMillis) -> Answer<'_, Result<ReservationId, LedgerError>> {
        let (tell, answer) = oneshot::channel();
        self.0.reserve_with(demand, now, move |outcome| drop(tell.send(outcome)));
        let stopped = || LedgerError::Stopped(self.0.failure().unwrap_or("it does not answer").to_owned());
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(stopped())) })
    }

    fn commit(&self, id: ReservationId, now: UnixMillis) {
        self.0.settle_with(id, Outcome::Committed, now, |outcome| {
            if let Err(error) = outcome {
                // Reserved is as good as used.
                tracing::debug!(%error, "what was authorised stays reserved");
            }
        });
    }

    fn failure(&self) -> Option<String> {
        self.0.failure().map(str::to_owned)
    }
}
