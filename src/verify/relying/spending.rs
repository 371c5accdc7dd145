//! What an accepted operation takes from the ledger: the limits that need a memory (draft 5.3, 11.2.8).
//!
//! A verdict says what one certificate allows once. How much of a period's money and calls is left, only the
//! relying party's own ledger knows, and it is asked behind the verdict: what it cannot answer is refused.

use super::code::Code;
use super::reason::{Reason, Subject};
use super::verdict::{Accepted, Grant, Refused, Verdict};
use crate::time::UnixMillis;
use crate::verify::ledger::{Charge, Demand, LedgerError, Limit, ReservationId, SpendLedger, Unenforceable};

/// Whose accounts an operation is charged to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChargedTo {
    /// The agent's own: what each certificate says, each by itself.
    #[default]
    Agent,
    /// The agent's and those of all agents above it: then no number of children spends more than their parent
    /// may.
    Line,
}

/// What the ledger refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdrawn {
    /// The refusal, with its reasons.
    pub refused: Box<Refused>,
    /// When the same operation would fit, where it ever will and a limit is what refuses it.
    pub fits_at: Option<UnixMillis>,
}

impl Grant {
    /// What the ledger is asked for this operation. Who stands in a line twice is charged once.
    ///
    /// # Errors
    /// Where a limit cannot be enforced; the operation must not be done then.
    pub fn demand(&self, charged: ChargedTo) -> Result<Demand, Unenforceable> {
        let most = match charged {
            ChargedTo::Agent => 1,
            ChargedTo::Line => self.rights.len(),
        };
        let spend = self.operation.spend.map(|spend| (spend.amount, spend.currency));
        let mut charges: Vec<Charge> = Vec::with_capacity(most);
        for (agent, capability) in self.rights.iter().take(most) {
            let charge = Charge::new(agent.clone(), capability, spend)?;
            if charges.iter().all(|known| known.key != charge.key) {
                charges.push(charge);
            }
        }
        Demand::new(charges)
    }
}

impl Accepted {
    /// Reserves what the operation takes; `None` where nothing was asked for. Commit the reservation when the
    /// operation was done, release it when it was not.
    ///
    /// # Errors
    /// [`Overdrawn`] where a limit is reached, or nobody keeps count.
    pub fn reserve(
        &self,
        ledger: &dyn SpendLedger,
        charged: ChargedTo,
        now: UnixMillis,
    ) -> Result<Option<ReservationId>, Overdrawn> {
        let Some(grant) = &self.grant else { return Ok(None) };
        let reserved = grant.demand(charged).map_err(LedgerError::from);
        match reserved.and_then(|demand| ledger.reserve(&demand, now)) {
            Ok(id) => Ok(Some(id)),
            Err(error) => Err(self.overdrawn(&error)),
        }
    }

    /// The refusal for what a ledger says.
    pub fn overdrawn(&self, error: &LedgerError) -> Overdrawn {
        let reason = |code, subject, detail: String| Reason::new(code, subject, detail);
        let reasons = match error {
            LedgerError::Refused(overruns) => {
                let place = |overrun: &crate::verify::ledger::Overrun| {
                    let above = self.parents.iter().position(|parent| *parent == overrun.key.agent);
                    let own = overrun.key.agent == self.agent;
                    if own { Subject::Agent } else { Subject::at(above.map_or(0, |place| place + 1)) }
                };
                let code = |limit: &Limit| match limit {
                    Limit::PerTransaction { .. } => Code::PerTransaction,
                    Limit::PerPeriod { .. } => Code::PerPeriod,
                    Limit::Rate(_) => Code::Rate,
                };
                overruns.iter().map(|o| reason(code(&o.limit), place(o), o.to_string())).collect()
            }
            LedgerError::Unenforceable(why) => {
                let code = match why {
                    Unenforceable::NoSpendLimit => Code::NoSpendLimit,
                    Unenforceable::Currency { .. } => Code::Currency,
                    Unenforceable::HalfPeriod => Code::PerPeriod,
                    Unenforceable::Twice(_) | Unenforceable::TooMany(_) => Code::Ledger,
                };
                vec![reason(code, Subject::Agent, why.to_string())]
            }
            other => vec![reason(Code::Ledger, Subject::Agent, other.to_string())],
        };
        let refused = reasons.into_iter().fold(Verdict::Accepted(Box::new(self.clone())), |verdict, reason| {
            Verdict::Refused(verdict.against(reason))
        });
        let refused = match refused {
            Verdict::Refused(refused) => refused,
            // A ledger that refuses for no limit at all does not say yes either.
            accepted => accepted.against(reason(Code::Ledger, Subject::Agent, error.to_string())),
        };
        Overdrawn { refused, fits_at: error.fits_at() }
    }
}
