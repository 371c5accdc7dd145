//! What an agent wants to do: a call of a tool, and the money in it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::apki::capabilities::{Amount, Currency, MAX_TOOL_URI};
use crate::apki::extension::{AsciiText, Text};

/// Money that a call moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spend {
    /// How much, in minor units.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
}

/// One call. What is compared is compared octet for octet (draft 11.2.8): the relying party says what its
/// own resource is called, and nobody normalises it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The tool.
    pub tool_uri: AsciiText<MAX_TOOL_URI>,
    /// What of it; a capability in this scope or a wider one covers it.
    pub scope: Text,
    /// The money, where the call moves any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend: Option<Spend>,
}

/// The tool and the scope with a space between them, and behind them the amount, in minor units, and the currency.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tool_uri.as_str(), self.scope.as_str())?;
        self.spend.map_or(Ok(()), |spend| write!(f, " {} {}", spend.amount.get(), spend.currency))
    }
}
