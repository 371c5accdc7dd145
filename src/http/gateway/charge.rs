//! What is allowed is charged: to the agent's account, and where it is configured so to those of the agents above it.

use super::decide::{Kind, No};
use super::ports::{Ledger, Material};
use crate::time::UnixMillis;
use crate::verify::ledger::{Charge, Demand, LedgerError, Limit, Overrun, Unenforceable};
use crate::verify::relying::{Accepted, Code, Grant};

/// Charges what was asked for, as a whole or not at all.
pub async fn charge(
    ledger: &dyn Ledger,
    accepted: &Accepted,
    material: &Material,
    now: UnixMillis,
) -> Result<(), Box<No>> {
    let Some(grant) = &accepted.grant else { return Ok(()) };
    let demand = demand(grant, material.charge_ancestors).map_err(|error| Box::new(unenforceable(&error)))?;
    match ledger.reserve(demand, now).await {
        Ok(id) => {
            ledger.commit(id, now);
            Ok(())
        }
        Err(error) => Err(Box::new(refused(&error, now))),
    }
}

fn demand(grant: &Grant, ancestors: bool) -> Result<Demand, Unenforceable> {
    let spend = grant.operation.spend.map(|spend| (spend.amount, spend.currency));
    let charged = if ancestors { grant.rights.len() } else { 1 };
    let rights = grant.rights.iter().take(charged);
    let charges = rights.map(|(agent, capability)| Charge::new(agent.clone(), capability, spend));
    Demand::new(charges.collect::<Result<_, _>>()?)
}

fn refused(error: &LedgerError, now: UnixMillis) -> No {
    match error {
        LedgerError::Refused(overruns) => {
            let often = overruns.iter().all(|overrun| matches!(overrun.limit, Limit::Rate(_)));
            let kind = if often { Kind::TooOften } else { Kind::Forbidden };
            let wait = error.fits_at().map(|at| at.since(now).div_ceil(1000));
            let wait = wait.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
            No::of(kind, overruns.iter().map(reason).collect()).after(wait)
        }
        LedgerError::Unenforceable(error) => unenforceable(error),
        other => {
            match other {
                LedgerError::Stopped(_) => tracing::error!(error = %other, "the ledger grants nothing"),
                _ => tracing::warn!(error = %other, "the ledger grants nothing at the moment"),
            }
            No::new(Kind::Unavailable, Code::Ledger.as_str(), "spending and calls cannot be counted at the moment")
        }
    }
}

fn reason(overrun: &Overrun) -> (&'static str, String) {
    let code = match overrun.limit {
        Limit::PerTransaction { .. } => Code::PerTransaction,
        Limit::PerPeriod { .. } => Code::PerPeriod,
        Limit::Rate(_) => Code::Rate,
    };
    (code.as_str(), format!("{overrun}; {}", code.help()))
}

fn unenforceable(error: &Unenforceable) -> No {
    let code = match error {
        Unenforceable::NoSpendLimit | Unenforceable::HalfPeriod => Code::NoSpendLimit,
        Unenforceable::Currency { .. } => Code::Currency,
        Unenforceable::Twice(_) | Unenforceable::TooMany(_) => Code::Ledger,
    };
    No::new(Kind::Forbidden, code.as_str(), error.to_string())
}
