//! When one capability covers another (protocol section 6, R2 to R5).

use super::{Violation, tool};
use crate::apki::capabilities::{Amount, Capabilities, Capability, RateLimit, SpendLimit};
use crate::apki::extension::Text;

/// Whether whoever has `parent` may hand on `child`: the same tool, a scope equal or narrower, and
/// every limit that the parent has, no higher.
///
/// # Errors
/// The first [`Violation`] from `toolUri` to `rateRaised`.
pub fn covers(parent: &Capability, child: &Capability) -> Result<(), Violation> {
    if child.tool_uri != parent.tool_uri {
        return Err(Violation::ToolUri(tool(child)));
    }
    if !scope_within(&parent.scope, &child.scope) {
        return Err(Violation::Scope { tool: tool(child), scope: child.scope.as_str().into() });
    }
    match (&parent.spend_limit, &child.spend_limit) {
        (None, None) => {}
        (Some(_), None) => return Err(Violation::SpendMissing(tool(child))),
        (None, Some(_)) => return Err(Violation::SpendExpanded(tool(child))),
        (Some(above), Some(below)) => spend_covers(above, below, child)?,
    }
    match (&parent.rate_limit, &child.rate_limit) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Violation::RateMissing(tool(child))),
        (Some(above), Some(below)) if rate_covers(above, below) => Ok(()),
        (Some(above), Some(_)) => Err(Violation::RateRaised {
            tool: tool(child),
            requests: above.max_requests,
            seconds: above.period_seconds.get(),
        }),
    }
}

/// The requested capabilities that no single one of the ceiling covers, by their index, and why:
/// where several come into question, the cause is that of the one that got furthest.
pub fn capabilities_within(ceiling: &Capabilities, requested: &Capabilities) -> Vec<(usize, Violation)> {
    let uncovered = |child: &Capability| {
        let mut furthest = Violation::ToolUri(tool(child));
        for parent in ceiling.as_slice() {
            match covers(parent, child) {
                Ok(()) => return None,
                Err(violation) if violation.rank() > furthest.rank() => furthest = violation,
                Err(_) => {}
            }
        }
        Some(furthest)
    };
    let requested = requested.as_slice().iter().enumerate();
    requested.filter_map(|(index, child)| Some((index, uncovered(child)?))).collect()
}

/// Whether `child` is `parent` or below it, by whole segments; nothing is resolved (R34).
pub fn scope_within(parent: &Text, child: &Text) -> bool {
    let rest = child.as_str().strip_prefix(parent.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether every amount that a spendLimit has is at most `most`, and there is one (R4). The
/// currency is not looked at.
pub(super) fn spends_within(capability: &Capability, most: Amount) -> bool {
    let Some(limit) = &capability.spend_limit else { return true };
    let mut amounts = [limit.max_per_transaction, limit.max_per_period].into_iter().flatten().peekable();
    amounts.peek().is_some() && amounts.all(|amount| amount <= most)
}

fn spend_covers(parent: &SpendLimit, child: &SpendLimit, of: &Capability) -> Result<(), Violation> {
    if child.currency != parent.currency {
        let (child, parent) = (child.currency.to_string(), parent.currency.to_string());
        return Err(Violation::Currency { tool: tool(of), child, parent });
    }
    if let Some(most) = parent.max_per_transaction
        && child.max_per_transaction.is_none_or(|amount| amount > most)
    {
        return Err(Violation::PerTransaction { tool: tool(of), most: most.get() });
    }
    if period_covers(parent, child) { Ok(()) } else { Err(Violation::PerPeriod(tool(of))) }
}

/// As soon as the parent has either half of the limit, both sides have both (R3).
fn period_covers(parent: &SpendLimit, child: &SpendLimit) -> bool {
    let halves = |limit: &SpendLimit| limit.max_per_period.zip(limit.period_seconds);
    if parent.max_per_period.is_none() && parent.period_seconds.is_none() {
        return true;
    }
    let (Some((most, period)), Some((amount, own))) = (halves(parent), halves(child)) else { return false };
    // 63 bits by 32: the products are exact.
    let rate = |amount: Amount, seconds: u32| u128::from(amount.get()) * u128::from(seconds);
    amount <= most && rate(amount, period.get()) <= rate(most, own.get())
}

fn rate_covers(parent: &RateLimit, child: &RateLimit) -> bool {
    let rate = |requests: u32, seconds: u32| u64::from(requests) * u64::from(seconds);
    child.max_requests <= parent.max_requests
        && rate(child.max_requests, parent.period_seconds.get())
            <= rate(parent.max_requests, child.period_seconds.get())
}
