//! What a gateway stands on: what it decides by, what it may ask others, and who keeps count.

use std::pin::Pin;
use std::sync::Arc;

use super::routes::Routes;
use crate::apki::Certificate;
pub use crate::http::ops::Check;
use crate::time::UnixMillis;
use crate::verify::ledger::{Demand, LedgerError, MemoryLedger, SpendLedger};
use crate::verify::relying::{ChargedTo, Examination, Facts, Operation, Presented, RelyingParty};

/// An answer that takes its time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a gateway decides by. It never changes; it is replaced.
#[derive(Clone, Debug)]
pub struct Material {
    /// Differs between any two that have another relying party or other issuers: what one has examined, no other
    /// may judge.
    pub generation: u64,
    /// What is trusted, and what is wanted.
    pub party: RelyingParty,
    /// CAs that agents need not bring along.
    pub issuers: Vec<Certificate>,
    /// What is known of everybody: revocation lists, audits of logs.
    pub facts: Facts,
    /// Which request is which operation.
    pub routes: Routes,
    /// Whose limits an operation counts against.
    pub charged: ChargedTo,
}

/// What was learned by asking others.
#[derive(Debug)]
pub struct Lesson {
    /// The presentation, completed by what could be found of it.
    pub examination: Examination,
    /// All that is known of it now.
    pub facts: Facts,
}

/// Where a gateway has its knowledge from.
pub trait Knowledge: Send + Sync {
    /// What to decide by from now on.
    fn material(&self) -> Arc<Material>;

    /// Asks others for what is missing of a presentation before this material, beside what is known already: agents
    /// above, revocation, proofs. Nobody is asked on the word of a certificate whose chain does not hold, and the
    /// time for it is bounded. `None` where nobody may be asked.
    fn learn<'a>(&'a self, material: &'a Material, about: Unsettled<'a>) -> Answer<'a, Option<Lesson>>;

    /// What must hold for the gateway to be ready.
    fn checks(&self) -> Vec<Check>;
}

/// What could not be decided by what is known.
#[derive(Clone, Debug)]
pub struct Unsettled<'a> {
    /// Who wants something.
    pub presented: Presented,
    /// What it wants.
    pub operation: &'a Operation,
    /// What is known.
    pub facts: Facts,
    /// When.
    pub now: UnixMillis,
}

/// Whoever keeps count of what is spent and how often is called.
pub trait Ledger: Send + Sync {
    /// Charges the demand to all of its accounts, if each has room for it, in one step that leaves nothing to
    /// settle. Once this has returned, the step no longer depends on the answer being waited for: a proxy that
    /// hangs up drops the wait, and neither takes the charge back nor leaves half of it.
    fn charge(&self, demand: Demand, now: UnixMillis) -> Answer<'_, Result<(), LedgerError>>;

    /// Why it grants nothing any more, where it does not.
    fn failure(&self) -> Option<String>;
}

impl Ledger for MemoryLedger {
    fn charge(&self, demand: Demand, now: UnixMillis) -> Answer<'_, Result<(), LedgerError>> {
        let outcome = SpendLedger::charge(self, &demand, now);
        Box::pin(async { outcome })
    }

    fn failure(&self) -> Option<String> {
        None
    }
}
