//! What an operation asks of the accounts that it is charged to.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Limit;
use crate::apki::AgentUri;
use crate::apki::capabilities::{Amount, Capability, Currency, MAX_TOOL_URI, RateLimit, SpendLimit};
use crate::apki::extension::{AsciiText, Text};

/// Most charges of one operation: an agent and 255 ancestors.
pub const MAX_CHARGES: usize = 256;

/// Whose account it is, and for what: an agent's in one capability. Which certificate the agent shows makes no
/// difference, nor does what limits that has. Capabilities of other scopes are other accounts, even where one
/// scope lies in the other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountKey {
    /// The agent.
    pub agent: AgentUri,
    /// The capability's tool.
    pub tool_uri: AsciiText<MAX_TOOL_URI>,
    /// The capability's scope, as the certificate has it.
    pub scope: Text,
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A scope may hold any character, and a line of a log may not.
        write!(f, "{} in {:?} ({:?})", self.agent, self.tool_uri.as_str(), self.scope.as_str())
    }
}

/// What an account counts, each apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Measure {
    /// Calls.
    Calls,
    /// Minor units of a currency.
    Spend(Currency),
}

/// Why no ledger can hold an operation to its limits. It must not be done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unenforceable {
    /// Money, where the capability has no limit for it (T8).
    #[error("the capability has no spendLimit, and a monetary call needs one")]
    NoSpendLimit,
    /// Money of another currency than the limit's.
    #[error("the spendLimit is in {limit}, and the operation spends {spent}")]
    Currency {
        /// The currency spent.
        spent: Currency,
        /// The limit's.
        limit: Currency,
    },
    /// One half of a limit per period. Certificates may have it (R3), but nobody can say what it allows.
    #[error("the spendLimit has one of maxPerPeriod and periodSeconds, and means nothing without the other")]
    HalfPeriod,
    /// The same account twice in one operation.
    #[error("one operation is charged to {0} twice")]
    Twice(Box<AccountKey>),
    /// More accounts than an operation can have.
    #[error("one operation is charged to {0} accounts, and {MAX_CHARGES} is the most")]
    TooMany(usize),
}

/// An amount, and the limit that it must keep; both are of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spend {
    amount: Amount,
    limit: SpendLimit,
}

impl Spend {
    /// So much of a currency, under this limit. A limit that has no period bounds each transaction by itself,
    /// and one that states no amount at all bounds nothing.
    ///
    /// # Errors
    /// Where the limit is another currency's, or has half a period.
    pub fn new(amount: Amount, currency: Currency, limit: SpendLimit) -> Result<Self, Unenforceable> {
        if currency != limit.currency {
            return Err(Unenforceable::Currency { spent: currency, limit: limit.currency });
        }
        if limit.max_per_period.is_some() != limit.period_seconds.is_some() {
            return Err(Unenforceable::HalfPeriod);
        }
        Ok(Self { amount, limit })
    }

    /// The amount.
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// The limit.
    pub const fn limit(&self) -> &SpendLimit {
        &self.limit
    }
}

/// What an operation asks of one account: one call, and an amount where it spends.
///
/// What the certificate does not limit is counted all the same where the account counts it already, because of
/// another certificate that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// The account.
    pub key: AccountKey,
    /// What is spent; `None` where the operation is no monetary one.
    pub spend: Option<Spend>,
    /// The capability's limit of calls, if it has one.
    pub rate: Option<RateLimit>,
}

impl Charge {
    /// The charge of an operation that this capability of an agent covers, and that spends so much if it spends.
    ///
    /// # Errors
    /// Where it spends and the capability has no limit for that, or none that can be enforced.
    pub fn new(
        agent: AgentUri,
        capability: &Capability,
        spend: Option<(Amount, Currency)>,
    ) -> Result<Self, Unenforceable> {
        let spend = spend.map(|(amount, currency)| {
            let limit = capability.spend_limit.ok_or(Unenforceable::NoSpendLimit)?;
            Spend::new(amount, currency, limit)
        });
        let Capability { tool_uri, scope, .. } = capability.clone();
        Ok(Self { key: AccountKey { agent, tool_uri, scope }, spend: spend.transpose()?, rate: capability.rate_limit })
    }

    /// What it comes to, for each thing that is counted.
    pub(super) fn postings(&self) -> impl Iterator<Item = Posting> {
        let spend = self.spend.map(|Spend { amount, limit }| Posting {
            measure: Measure::Spend(limit.currency),
            amount: amount.get(),
            cap: limit.max_per_period.zip(limit.period_seconds).map(|(most, period_seconds)| {
                let limit = Limit::PerPeriod { most, currency: limit.currency, period_seconds };
                Cap::new(limit, period_seconds)
            }),
        });
        let cap = self.rate.map(|rate| Cap::new(Limit::Rate(rate), rate.period_seconds));
        spend.into_iter().chain([Posting { measure: Measure::Calls, amount: 1, cap }])
    }
}

/// One addition to one counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Posting {
    pub(super) measure: Measure,
    pub(super) amount: u64,
    pub(super) cap: Option<Cap>,
}

/// So much in any window of this length.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cap {
    pub(super) limit: Limit,
    pub(super) period_ms: u64,
}

impl Cap {
    fn new(limit: Limit, period_seconds: NonZeroU32) -> Self {
        Self { limit, period_ms: u64::from(period_seconds.get()) * 1000 }
    }
}

/// All that one operation asks: each of its charges, or none. An operation of a delegated agent may be charged
/// to its ancestors as well, each under the limits of its own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand(Vec<Charge>);

impl Demand {
    /// These charges, each to another account. There may be none.
    ///
    /// # Errors
    /// Where two are to one account, or there are more than [`MAX_CHARGES`].
    pub fn new(charges: Vec<Charge>) -> Result<Self, Unenforceable> {
        if charges.len() > MAX_CHARGES {
            return Err(Unenforceable::TooMany(charges.len()));
        }
        let mut keys: Vec<&AccountKey> = charges.iter().map(|charge| &charge.key).collect();
        keys.sort_unstable();
        let mut pairs = keys.iter().zip(keys.iter().skip(1));
        match pairs.find(|(one, next)| one == next) {
            Some((twice, _)) => Err(Unenforceable::Twice(Box::new((*twice).clone()))),
            None => Ok(Self(charges)),
        }
    }

    /// The charges, in their order.
    pub fn charges(&self) -> &[Charge] {
        &self.0
    }
}
