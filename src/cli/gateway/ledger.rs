//! The ledger as the gateway asks it.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::cli::output::{CliError, Context};
use crate::config::gateway::{self, Kept};
use crate::http::gateway::ports::{Answer, Ledger};
use crate::storage::ledger::rocks::RocksLedger;
use crate::time::UnixMillis;
use crate::verify::ledger::{Bounds, Demand, LedgerError, MemoryLedger};

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
    fn charge(&self, demand: Demand, now: UnixMillis) -> Answer<'_, Result<(), LedgerError>> {
        let (tell, answer) = oneshot::channel();
        self.0.charge_with(demand, now, move |outcome| drop(tell.send(outcome)));
        let stopped = || LedgerError::Stopped(self.0.failure().unwrap_or("it does not answer").to_owned());
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(stopped())) })
    }

    fn failure(&self) -> Option<String> {
        self.0.failure().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::ledger::Charge;

    /// A call, at most so many a day; any number where there is no limit.
    fn call(most: Option<u32>) -> Demand {
        let key = r#"{"agent":"agent://a.example/b/c/1","tool_uri":"mcp://t.example","scope":""}"#;
        let rate = most.map(|most| format!(r#"{{"max_requests":{most},"period_seconds":86400}}"#));
        let rate = rate.map(|rate| serde_json::from_str(&rate).unwrap());
        Demand::new(vec![Charge { key: serde_json::from_str(key).unwrap(), spend: None, rate }]).unwrap()
    }

    #[tokio::test]
    async fn whoever_hangs_up_is_charged_and_leaves_nothing_open() {
        let dir = tempfile::tempdir().unwrap();
        // There is no room for anything that would stay open.
        let bounds = Bounds { reservations: 0, ..Bounds::default() };
        let open = || Durable(RocksLedger::open(&dir.path().join("ledger"), bounds).unwrap());
        let (ledger, now) = (open(), UnixMillis::new(1_775_822_400_000));
        ledger.charge(call(None), now).await.unwrap();
        for _ in 0..5 {
            drop(ledger.charge(call(Some(6)), now));
        }
        drop(ledger);
        let ledger = open();
        ledger.charge(call(Some(6)), now).await.unwrap();
        let refused = ledger.charge(call(Some(6)), now).await.unwrap_err();
        assert!(matches!(&refused, LedgerError::Refused(overruns) if overruns[0].used == 6), "{refused}");
    }
}
