//! May the agent do what it asks for (draft 5.3, 11.2.8)? The tool octet for octet, the scope or a wider
//! one, and the money within the limit of one payment. What was spent before is the ledger's.

use super::code::Code;
use super::operation::{Operation, Spend};
use crate::apki::attenuation::scope_within;
use crate::apki::capabilities::{Capabilities, Capability, SpendLimit};

/// Why a capability does not grant an operation.
pub(super) struct Denied {
    pub(super) code: Code,
    pub(super) detail: String,
}

/// The first capability that grants `operation`.
///
/// # Errors
/// Of the capabilities for the tool, what the one that comes closest lacks.
pub(super) fn grant<'a>(capabilities: &'a Capabilities, operation: &Operation) -> Result<&'a Capability, Denied> {
    let tool = operation.tool_uri.as_str();
    let mut closest = Denied { code: Code::Tool, detail: format!("there is no capability for the tool `{tool}`") };
    for capability in capabilities.as_slice() {
        match check(capability, operation) {
            Ok(()) => return Ok(capability),
            Err(denied) if denied.code > closest.code => closest = denied,
            Err(_) => {}
        }
    }
    Err(closest)
}

/// The codes of this family stand in the order of these checks.
fn check(capability: &Capability, operation: &Operation) -> Result<(), Denied> {
    let deny = |code, detail: String| Err(Denied { code, detail });
    if capability.tool_uri != operation.tool_uri {
        return deny(Code::Tool, format!("the tool `{}` is another", capability.tool_uri.as_str()));
    }
    if !scope_within(&capability.scope, &operation.scope) {
        let (wanted, had) = (operation.scope.as_str(), capability.scope.as_str());
        return deny(Code::Scope, format!("the scope `{wanted}` is not `{had}` and not below it"));
    }
    let Some(spend) = operation.spend else { return Ok(()) };
    match &capability.spend_limit {
        None => deny(Code::NoSpendLimit, "the capability has no spendLimit, so nothing may be spent".into()),
        Some(limit) => within(spend, limit),
    }
}

fn within(spend: Spend, limit: &SpendLimit) -> Result<(), Denied> {
    let deny = |code, detail: String| Err(Denied { code, detail });
    if limit.max_per_transaction.is_none() && limit.max_per_period.is_none() {
        return deny(Code::NoSpendLimit, "the capability's spendLimit names no amount, so it limits nothing".into());
    }
    if spend.currency != limit.currency {
        return deny(Code::Currency, format!("{} is to be paid, and {} may be", spend.currency, limit.currency));
    }
    let (amount, currency) = (spend.amount.get(), spend.currency);
    if let Some(most) = limit.max_per_transaction.filter(|most| spend.amount > *most) {
        let detail = format!("{amount} {currency} are more than the {} of one payment (minor units)", most.get());
        return deny(Code::PerTransaction, detail);
    }
    // What is more than a whole period's is refused here, so that it needs no ledger to be refused.
    if let Some(most) = limit.max_per_period.filter(|most| spend.amount > *most) {
        let detail = format!("{amount} {currency} are more than the {} of a period (minor units)", most.get());
        return deny(Code::PerPeriod, detail);
    }
    Ok(())
}
