//! The algebra of coverage. The single verdicts are in the vectors.

use std::num::NonZeroU32;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::apki::capabilities::{Amount, Currency, RateLimit, SpendLimit};
use crate::apki::extension::AsciiText;

fn seconds() -> impl Strategy<Value = NonZeroU32> {
    prop_oneof![1..5u32, Just(u32::MAX)].prop_map(|n| NonZeroU32::new(n).unwrap())
}

fn amount() -> impl Strategy<Value = Amount> {
    prop_oneof![0..5u64, Just(i64::MAX as u64)].prop_map(|n| Amount::new(n).unwrap())
}

fn spend_limit() -> impl Strategy<Value = SpendLimit> {
    let currency = prop_oneof![9 => Just("EUR"), 1 => Just("GBP")].prop_map(|code| Currency::new(code).unwrap());
    (option::of(amount()), option::of(amount()), option::of(seconds()), currency).prop_map(
        |(max_per_transaction, max_per_period, period_seconds, currency)| SpendLimit {
            max_per_transaction,
            max_per_period,
            period_seconds,
            currency,
        },
    )
}

fn rate_limit() -> impl Strategy<Value = RateLimit> {
    (prop_oneof![0..5u32, Just(u32::MAX)], seconds())
        .prop_map(|(max_requests, period_seconds)| RateLimit { max_requests, period_seconds })
}

fn capability() -> impl Strategy<Value = Capability> {
    (prop_oneof![9 => Just("a"), 1 => Just("b")], "x(/y){0,2}", option::of(spend_limit()), option::of(rate_limit()))
        .prop_map(|(tool, scope, spend_limit, rate_limit)| Capability {
            tool_uri: AsciiText::new(tool).unwrap(),
            scope: Text::new(scope).unwrap(),
            spend_limit,
            rate_limit,
        })
}

fn capabilities() -> impl Strategy<Value = Capabilities> {
    vec(capability(), 0..4).prop_map(|list| Capabilities::new(list).unwrap())
}

/// A limit whose halves per period are both there or both not: the others cover nothing (R3).
fn is_whole(capability: &Capability) -> bool {
    capability.spend_limit.is_none_or(|limit| limit.max_per_period.is_some() == limit.period_seconds.is_some())
}

proptest! {
    #[test]
    fn a_capability_covers_itself_unless_half_a_limit_is_missing(one in capability()) {
        prop_assert_eq!(covers(&one, &one).is_ok(), is_whole(&one));
    }

    #[test]
    fn coverage_is_handed_down(a in capability(), b in capability(), c in capability()) {
        if covers(&a, &b).is_ok() && covers(&b, &c).is_ok() {
            prop_assert_eq!(covers(&a, &c), Ok(()));
        }
    }

    #[test]
    fn what_covers_each_other_is_as_good_as_equal(a in capability(), b in capability()) {
        if covers(&a, &b).is_ok() && covers(&b, &a).is_ok() {
            prop_assert_eq!((&a.tool_uri, &a.scope, a.rate_limit.is_some()), (&b.tool_uri, &b.scope, b.rate_limit.is_some()));
        }
    }

    #[test]
    fn each_capability_is_reported_once_and_only_where_none_covers_it(
        ceiling in capabilities(),
        requested in capabilities(),
    ) {
        let found = capabilities_within(&ceiling, &requested);
        for (index, child) in requested.as_slice().iter().enumerate() {
            let covered = ceiling.as_slice().iter().any(|parent| covers(parent, child).is_ok());
            prop_assert_eq!(found.iter().filter(|(i, _)| *i == index).count(), usize::from(!covered));
        }
        prop_assert!(found.iter().all(|(_, violation)| (12..=20).contains(&violation.rank())));
    }
}

#[test]
fn a_code_says_where_the_violation_ranks() {
    assert_eq!(Violation::NotStrict.code(), "notStrict");
    assert_eq!(Violation::ToolUri("x".into()).code(), "toolUri");
    assert_eq!(Violation::RateMissing("x".into()).code(), "rateMissing");
    assert_eq!(Violation::ParentScoreAhead.code(), "score");
    assert_eq!(CODES.iter().collect::<BTreeSet<_>>().len(), CODES.len());
}

#[test]
fn the_cause_is_that_of_the_candidate_that_got_furthest() {
    let plain = |tool: &str, scope: &str, rate| Capability {
        tool_uri: AsciiText::new(tool).unwrap(),
        scope: Text::new(scope).unwrap(),
        spend_limit: None,
        rate_limit: rate,
    };
    let rate = RateLimit { max_requests: 1, period_seconds: NonZeroU32::MIN };
    let ceiling = Capabilities::new(vec![plain("a", "x", Some(rate)), plain("a", "y", None)]).unwrap();
    let requested =
        vec![plain("a", "y/z", None), plain("a", "x/z", None), plain("a", "z", None), plain("b", "x", None)];
    let found = capabilities_within(&ceiling, &Capabilities::new(requested).unwrap());
    let codes: Vec<_> = found.iter().map(|(index, violation)| (*index, violation.code())).collect();
    assert_eq!(codes, [(1, "rateMissing"), (2, "scope"), (3, "toolUri")]);
    assert_eq!(found[1].1.to_string(), "the tool `a` is not had in the scope `z` or a wider one");
}
