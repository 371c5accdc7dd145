//! What is allowed is charged: to the agent's account, and where it is configured so to those of the agents above it.

use super::decide::{Kind, No};
use super::ports::{Ledger, Material};
use crate::time::UnixMillis;
use crate::verify::ledger::LedgerError;
use crate::verify::relying::{Accepted, Code};

/// Charges what was asked for, as a whole or not at all.
pub async fn charge(
    ledger: &dyn Ledger,
    accepted: &Accepted,
    material: &Material,
    now: UnixMillis,
) -> Result<(), Box<No>> {
    let Some(grant) = &accepted.grant else { return Ok(()) };
    let charged = match grant.demand(material.charged) {
        Ok(demand) => ledger.charge(demand, now).await,
        Err(error) => Err(error.into()),
    };
    charged.map_err(|error| Box::new(refused(accepted, &error, now)))
}

fn refused(accepted: &Accepted, error: &LedgerError, now: UnixMillis) -> No {
    let overdrawn = accepted.overdrawn(error);
    let all = |code| overdrawn.refused.reasons().iter().all(|reason| reason.code == code);
    if all(Code::Ledger) {
        // Why is for whoever runs the gateway, and not for agents.
        match error {
            LedgerError::Stopped(_) => tracing::error!(%error, "the ledger grants nothing"),
            _ => tracing::warn!(%error, "the ledger grants nothing at the moment"),
        }
        return No::new(Kind::Unavailable, Code::Ledger.as_str(), "spending and calls cannot be counted at the moment");
    }
    let kind = if all(Code::Rate) { Kind::TooOften } else { Kind::Forbidden };
    let wait = overdrawn.fits_at.map(|at| at.since(now).div_ceil(1000));
    let wait = wait.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
    No::from(&*overdrawn.refused).of_kind(kind).after(wait)
}
