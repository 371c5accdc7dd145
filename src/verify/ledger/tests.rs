//! The book: its limits, its accounts and its rows, case by case.

mod model;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::*;
use crate::apki::AgentUri;
use crate::apki::capabilities::{Amount, Capability, Currency, RateLimit, SpendLimit};
use crate::apki::extension::{AsciiText, Text};

const POUNDS: &str = "GBP";

fn key(account: usize) -> AccountKey {
    AccountKey {
        agent: AgentUri::parse(&format!("agent://bank.example/pay/agent/{account}")).unwrap(),
        tool_uri: AsciiText::new("mcp://pay.example/charge").unwrap(),
        scope: Text::new("payments").unwrap(),
    }
}

fn moment(millis: u64) -> UnixMillis {
    UnixMillis::new(millis)
}

fn seconds(seconds: u32) -> NonZeroU32 {
    NonZeroU32::new(seconds).unwrap()
}

fn amount(minor_units: u64) -> Amount {
    Amount::new(minor_units).unwrap()
}

fn currency(code: &str) -> Currency {
    Currency::new(code).unwrap()
}

/// A limit per period.
fn per_period(code: &str, most: u64, period: u32) -> SpendLimit {
    SpendLimit {
        max_per_transaction: None,
        max_per_period: Some(amount(most)),
        period_seconds: Some(seconds(period)),
        currency: currency(code),
    }
}

fn spend(account: usize, wanted: u64, limit: SpendLimit) -> Charge {
    let spend = Spend::new(amount(wanted), limit.currency, limit).unwrap();
    Charge { key: key(account), spend: Some(spend), rate: None }
}

fn call(account: usize, most: u32, period: u32) -> Charge {
    let rate = RateLimit { max_requests: most, period_seconds: seconds(period) };
    Charge { key: key(account), spend: None, rate: Some(rate) }
}

fn demand(charges: impl Into<Vec<Charge>>) -> Demand {
    Demand::new(charges.into()).unwrap()
}

fn rows(book: &Book) -> BTreeMap<RowKey, Row> {
    book.rows().collect()
}

/// Another book with all that is in this one.
fn copy(book: &Book) -> Book {
    Book::restore(book.bounds, rows(book)).unwrap()
}

fn overruns(answer: Result<ReservationId, LedgerError>) -> Vec<Overrun> {
    match answer {
        Err(LedgerError::Refused(overruns)) => overruns,
        other => panic!("{other:?}"),
    }
}

/// How much of a limit of this period is used: what is said to one who asks for more than there can be.
fn used(book: &Book, account: usize, period: u32, now: u64) -> [u64; 2] {
    let money = spend(account, i64::MAX as u64, per_period(POUNDS, 0, period));
    let mut book = copy(book);
    [money, call(account, 0, period)].map(|charge| {
        let mut overruns = overruns(book.reserve(&demand([charge]), moment(now)));
        overruns.remove(0).used
    })
}

mod demands {
    use super::*;

    #[test]
    fn what_cannot_be_enforced_is_refused() {
        let whole = per_period("GBP", 5, 60);
        assert_eq!(
            Spend::new(amount(1), currency("EUR"), whole),
            Err(Unenforceable::Currency { spent: currency("EUR"), limit: currency("GBP") })
        );
        for half in [SpendLimit { period_seconds: None, ..whole }, SpendLimit { max_per_period: None, ..whole }] {
            assert_eq!(Spend::new(amount(1), currency("GBP"), half), Err(Unenforceable::HalfPeriod));
        }
        let charge = spend(1, 1, whole);
        let twice = Demand::new(vec![charge.clone(), spend(2, 1, whole), charge]);
        assert_eq!(twice, Err(Unenforceable::Twice(Box::new(key(1)))));
        let many = |count| Demand::new((0..count).map(|account| spend(account, 1, whole)).collect());
        assert!(many(MAX_CHARGES).is_ok());
        assert_eq!(many(MAX_CHARGES + 1), Err(Unenforceable::TooMany(MAX_CHARGES + 1)));
    }

    #[test]
    fn a_capability_without_a_spend_limit_spends_nothing() {
        let AccountKey { agent, tool_uri, scope } = key(1);
        let mut capability = Capability { tool_uri, scope, spend_limit: None, rate_limit: None };
        let money = Some((amount(1), currency("GBP")));
        assert_eq!(Charge::new(agent.clone(), &capability, money), Err(Unenforceable::NoSpendLimit));
        assert!(Charge::new(agent.clone(), &capability, None).unwrap().spend.is_none());
        capability.spend_limit = Some(per_period("GBP", 5, 60));
        let charge = Charge::new(agent.clone(), &capability, money).unwrap();
        assert_eq!((charge.key, charge.spend.unwrap().amount()), (key(1), amount(1)));
        assert!(Charge::new(agent, &capability, Some((amount(1), currency("USD")))).is_err());
    }

    #[test]
    fn names_its_account_in_words() {
        let overrun = Overrun {
            key: key(1),
            limit: Limit::PerPeriod { most: amount(100), currency: currency("GBP"), period_seconds: seconds(60) },
            used: 90,
            wanted: 20,
            fits_at: Some(moment(1_775_822_400_007)),
        };
        assert_eq!(
            overrun.to_string(),
            "agent://bank.example/pay/agent/1 in \"mcp://pay.example/charge\" (\"payments\") may have 100 minor units of \
             GBP in 60 s: 90 used, 20 asked for, which fits at 2026-04-10T12:00:00.007Z"
        );
    }
}

mod limits {
    use super::*;

    #[test]
    fn each_limit_is_kept_and_named() {
        let mut book = Book::default();
        let limit = SpendLimit { max_per_transaction: Some(amount(60)), ..per_period(POUNDS, 100, 10) };
        let mut charge = spend(1, 60, limit);
        charge.rate = Some(RateLimit { max_requests: 1, period_seconds: seconds(20) });
        book.reserve(&demand([charge]), moment(5_000)).unwrap();
        // All three at once, in their order.
        let mut charge = spend(1, 61, limit);
        charge.rate = Some(RateLimit { max_requests: 1, period_seconds: seconds(20) });
        let found = overruns(book.reserve(&demand([charge]), moment(6_000)));
        let found: Vec<_> = found.iter().map(|o| (o.limit, o.used, o.wanted, o.fits_at.map(UnixMillis::get))).collect();
        assert_eq!(
            found,
            [
                (Limit::PerTransaction { most: amount(60), currency: currency(POUNDS) }, 0, 61, None),
                (
                    Limit::PerPeriod { most: amount(100), currency: currency(POUNDS), period_seconds: seconds(10) },
                    60,
                    61,
                    Some(15_000)
                ),
                (Limit::Rate(RateLimit { max_requests: 1, period_seconds: seconds(20) }), 1, 1, Some(25_000)),
            ]
        );
        // What fits, fits to the unit.
        assert!(book.reserve(&demand([spend(1, 41, limit)]), moment(6_000)).is_err());
        assert!(book.reserve(&demand([spend(1, 40, limit)]), moment(6_000)).is_ok());
    }

    #[test]
    fn limits_of_nothing_refuse_always_and_say_so() {
        let mut book = Book::default();
        let nothing = SpendLimit { max_per_transaction: Some(amount(0)), ..per_period(POUNDS, 0, 1) };
        let refusal = book.reserve(&demand([call(1, 0, 1)]), moment(9)).unwrap_err();
        assert_eq!(refusal.fits_at(), None);
        assert_eq!(overruns(Err(refusal))[0].fits_at, None);
        assert_eq!(overruns(book.reserve(&demand([spend(1, 1, nothing)]), moment(9))).len(), 2);
        // Nothing may be spent out of nothing, and leaves nothing.
        book.reserve(&demand([spend(1, 0, nothing)]), moment(9)).unwrap();
        assert_eq!(book.rows().filter(|(key, _)| matches!(key, RowKey::Counter(_))).count(), 0);
    }

    #[test]
    fn a_limit_of_a_transaction_alone_keeps_no_account() {
        let mut book = Book::default();
        let limit = SpendLimit {
            max_per_transaction: Some(amount(9)),
            max_per_period: None,
            period_seconds: None,
            currency: currency(POUNDS),
        };
        for _ in 0..3 {
            book.reserve(&demand([spend(1, 9, limit)]), moment(1)).unwrap();
        }
        assert_eq!(overruns(book.reserve(&demand([spend(1, 10, limit)]), moment(1))).len(), 1);
        assert_eq!(used(&book, 1, 60, 1), [0, 0]);
        // But where another certificate has a limit per period, it counts in that.
        book.reserve(&demand([spend(1, 1, per_period(POUNDS, 20, 60))]), moment(2)).unwrap();
        book.reserve(&demand([spend(1, 9, limit)]), moment(3)).unwrap();
        assert_eq!(used(&book, 1, 60, 3), [10, 0]);
    }

    #[test]
    fn amounts_of_any_size_are_counted() {
        let mut book = Book::default();
        let most = i64::MAX as u64;
        book.reserve(&demand([spend(1, most, per_period(POUNDS, most, 60))]), moment(0)).unwrap();
        let found = overruns(book.reserve(&demand([spend(1, most, per_period(POUNDS, most, 60))]), moment(0)));
        assert_eq!((found[0].used, found[0].fits_at), (most, Some(moment(60_000))));
        let unlimited = SpendLimit { max_per_period: None, period_seconds: None, ..per_period(POUNDS, most, 60) };
        let more: Vec<_> =
            (0..3).map(|_| book.reserve(&demand([spend(1, most, unlimited)]), moment(1)).unwrap()).collect();
        assert_eq!(used(&book, 1, 60, 1), [u64::MAX, 0]);
        more.into_iter().for_each(|id| book.settle(id, Outcome::Released, moment(2)).unwrap());
        assert_eq!(used(&book, 1, 60, 2), [most, 0]);
    }
}

mod accounts {
    use super::*;

    #[test]
    fn all_charges_or_none() {
        let mut book = Book::default().recording();
        let limit = per_period(POUNDS, 100, 60);
        book.reserve(&demand([spend(2, 95, limit)]), moment(0)).unwrap();
        book.take_changes();
        let before = rows(&book);
        let both = demand([spend(1, 10, limit), spend(2, 10, limit), call(3, 5, 60)]);
        let found = overruns(book.reserve(&both, moment(1)));
        assert_eq!(found.iter().map(|o| &o.key).collect::<Vec<_>>(), [&key(2)]);
        assert_eq!((rows(&book), book.take_changes()), (before, Vec::new()));
        let id = book.reserve(&demand([spend(1, 10, limit), spend(2, 5, limit)]), moment(1)).unwrap();
        assert_eq!([1, 2].map(|account| used(&book, account, 60, 1)[0]), [10, 100]);
        book.settle(id, Outcome::Released, moment(2)).unwrap();
        assert_eq!([1, 2].map(|account| used(&book, account, 60, 2)[0]), [0, 95]);
    }

    #[test]
    fn a_renewal_goes_on_with_the_account() {
        let mut book = Book::default();
        book.reserve(&demand([spend(1, 80, per_period(POUNDS, 100, 3600))]), moment(0)).unwrap();
        // A lower limit, a shorter period, a longer one.
        let wanted = |most, period| demand([spend(1, 30, per_period(POUNDS, most, period))]);
        let found = overruns(book.reserve(&wanted(50, 3600), moment(1_000)));
        assert_eq!((found[0].used, found[0].fits_at), (80, Some(moment(3_600_000))));
        assert_eq!(overruns(book.reserve(&wanted(100, 60), moment(59_999)))[0].used, 80);
        book.reserve(&wanted(100, 60), moment(60_000)).unwrap();
        assert_eq!(overruns(book.reserve(&wanted(100, 7200), moment(61_000)))[0].used, 110);
        // The longest period keeps it, even when a shorter one asked last.
        assert_eq!(used(&book, 1, 3600, 3_599_999), [110, 0]);
        assert_eq!(used(&book, 1, 3600, 3_600_000), [30, 0]);
        // In another currency nothing was used, and nothing is lost for that.
        book.reserve(&demand([spend(1, 90, per_period("EUR", 100, 3600))]), moment(62_000)).unwrap();
        assert_eq!(used(&book, 1, 3600, 62_000), [110, 0]);
    }

    #[test]
    fn another_capability_is_another_account() {
        let mut book = Book::default();
        let limit = per_period(POUNDS, 10, 60);
        book.reserve(&demand([spend(1, 10, limit)]), moment(0)).unwrap();
        let mut other = spend(1, 10, limit);
        other.key.scope = Text::new("payments/eu").unwrap();
        book.reserve(&demand([other]), moment(0)).unwrap();
        let mut other = spend(1, 10, limit);
        other.key.tool_uri = AsciiText::new("mcp://pay.example/refund").unwrap();
        book.reserve(&demand([other]), moment(0)).unwrap();
        assert!(book.reserve(&demand([spend(1, 1, limit)]), moment(0)).is_err());
    }
}

mod clocks {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_frees_nothing() {
        let mut book = Book::default();
        let limit = per_period(POUNDS, 10, 60);
        book.reserve(&demand([spend(1, 10, limit)]), moment(100_000)).unwrap();
        for now in [0, 40_000, 99_999, 159_999] {
            let found = overruns(book.reserve(&demand([spend(1, 1, limit)]), moment(now)));
            assert_eq!((found[0].used, found[0].fits_at), (10, Some(moment(160_000))));
        }
        // What is charged meanwhile counts as of the latest moment known, and is over no sooner.
        let id = book.reserve(&demand([spend(2, 10, limit)]), moment(0)).unwrap();
        assert_eq!(used(&book, 2, 60, 159_999), [10, 0]);
        book.settle(id, Outcome::Released, moment(0)).unwrap();
        assert_eq!(used(&book, 2, 60, 0), [0, 0]);
        book.reserve(&demand([spend(1, 10, limit)]), moment(160_000)).unwrap();
    }

    #[test]
    fn a_moment_out_of_all_reason_is_refused_and_leaves_no_trace() {
        let mut book = Book::default().recording();
        let last = moment(253_402_300_799_999);
        let beyond = last.saturating_add(1);
        let one = demand([call(1, 1, u32::MAX)]);
        assert_eq!(book.reserve(&one, beyond), Err(LedgerError::Clock(beyond)));
        assert_eq!(book.settle(ReservationId::new(0), Outcome::Released, beyond), Err(LedgerError::Clock(beyond)));
        assert_eq!(book.take_changes(), []);
        let id = book.reserve(&one, last).unwrap();
        assert_eq!(overruns(book.reserve(&one, last))[0].used, 1);
        book.settle(id, Outcome::Committed, last).unwrap();
    }
}

mod settling {
    use super::*;

    fn one() -> Demand {
        demand([spend(1, 10, per_period(POUNDS, 10, 60))])
    }

    #[test]
    fn once_and_in_one_way() {
        let mut book = Book::default();
        let unknown = ReservationId::new(0);
        assert_eq!(book.settle(unknown, Outcome::Released, moment(0)), Err(LedgerError::Unknown(unknown)));
        for (outcome, other) in [(Outcome::Released, Outcome::Committed), (Outcome::Committed, Outcome::Released)] {
            let id = book.reserve(&one(), moment(0)).unwrap();
            book.settle(id, outcome, moment(1)).unwrap();
            let before = rows(&book);
            assert_eq!(book.settle(id, outcome, moment(2)), Ok(()));
            let contradiction = LedgerError::Settled { id, before: outcome, asked: other };
            assert_eq!(book.settle(id, other, moment(2)), Err(contradiction));
            assert_eq!(rows(&book), before);
        }
        assert_eq!(used(&book, 1, 60, 2), [10, 0]);
        // The second was made at the moment when the first was settled.
        assert!(book.reserve(&one(), moment(60_000)).is_err());
        assert!(book.reserve(&one(), moment(60_001)).is_ok());
    }

    #[test]
    fn what_is_never_settled_counts_until_its_period_is_over() {
        let mut book = Book::default();
        let id = book.reserve(&one(), moment(0)).unwrap();
        assert!(book.reserve(&one(), moment(59_999)).is_err());
        assert!(book.reserve(&one(), moment(60_000)).is_ok());
        // Operations may outlast their period, but not for ever; a late one gives back nothing of others.
        book.settle(id, Outcome::Released, moment(60_001)).unwrap();
        assert_eq!(used(&book, 1, 60, 60_001), [10, 0]);
        let id = book.reserve(&one(), moment(200_000)).unwrap();
        assert_eq!(book.settle(id, Outcome::Committed, moment(3_800_000)), Err(LedgerError::Unknown(id)));
        let id = book.reserve(&demand([spend(2, 1, per_period(POUNDS, 10, 90_000))]), moment(200_000)).unwrap();
        assert_eq!(book.settle(id, Outcome::Committed, moment(90_199_999)), Ok(()));
    }

    #[test]
    fn a_demand_of_nothing_is_a_reservation_too() {
        let mut book = Book::default();
        let id = book.reserve(&demand([]), moment(0)).unwrap();
        assert_eq!(book.settle(id, Outcome::Committed, moment(1)), Ok(()));
        assert_eq!(book.settle(id, Outcome::Committed, moment(1)), Ok(()));
    }

    #[test]
    fn only_the_last_settlements_are_remembered() {
        let mut book = Book::new(Bounds { settled: 2, ..Bounds::default() });
        let ids: Vec<_> = (0..3).map(|_| book.reserve(&demand([call(1, 9, 60)]), moment(0)).unwrap()).collect();
        // In the order of settling, not of reserving.
        for id in [ids[2], ids[0], ids[1]] {
            book.settle(id, Outcome::Committed, moment(1)).unwrap();
        }
        assert_eq!(book.settle(ids[2], Outcome::Released, moment(1)), Err(LedgerError::Unknown(ids[2])));
        assert_eq!(book.settle(ids[0], Outcome::Committed, moment(1)), Ok(()));
        assert!(matches!(book.settle(ids[1], Outcome::Released, moment(1)), Err(LedgerError::Settled { .. })));
        assert_eq!(used(&book, 1, 60, 1), [0, 3]);
    }
}

mod charging {
    use super::*;

    /// The same but for reservations and what became of them.
    fn counted(book: &Book) -> BTreeMap<RowKey, Row> {
        let is_counted = |key: &RowKey| matches!(key, RowKey::Counter(_) | RowKey::Bucket(..));
        book.rows().filter(|(key, _)| is_counted(key)).collect()
    }

    #[test]
    fn one_step_counts_as_two_do_and_leaves_nothing_open() {
        let (mut one, mut two) = (Book::new(Bounds { reservations: 0, ..Bounds::default() }), Book::default());
        let (mut granted, mut refused) = (0, 0);
        for n in 0..60_u64 {
            let charges = [spend(n as usize % 3, n % 5, per_period(POUNDS, 9, 60)), call(7, 30, 100)];
            let (asked, now) = (demand(charges), moment(n * 3_000));
            let reserved = two.reserve(&asked, now);
            assert_eq!(one.charge(&asked, now), reserved.clone().map(drop));
            match reserved {
                Ok(id) => (granted, _) = (granted + 1, two.settle(id, Outcome::Committed, now).unwrap()),
                Err(_) => refused += 1,
            }
            assert_eq!(counted(&one), counted(&two));
            assert_eq!(one.due.len(), one.counters.len());
        }
        assert!(granted > 10 && refused > 10, "{granted} {refused}");
        assert!(rows(&one).keys().all(|key| !matches!(key, RowKey::Reservation(_) | RowKey::Settled(_))));
    }

    #[test]
    fn what_nothing_counts_changes_nothing() {
        let mut book = Book::default().recording();
        let free = || Charge { key: key(1), spend: None, rate: None };
        let single = SpendLimit { max_per_period: None, period_seconds: None, ..per_period(POUNDS, 9, 60) };
        let single = SpendLimit { max_per_transaction: Some(amount(9)), ..single };
        let nothing = Charge { rate: None, ..spend(1, 0, per_period(POUNDS, 9, 60)) };
        for charges in [vec![], vec![free()], vec![spend(1, 9, single)], vec![nothing]] {
            book.charge(&demand(charges), moment(5)).unwrap();
            assert_eq!(book.take_changes(), []);
        }
        assert_eq!(book.charge(&demand([spend(1, 10, single)]), moment(5)).map_err(|e| e.fits_at()), Err(None));
        // Where another certificate has a limit, it counts.
        book.charge(&demand([call(1, 9, 60)]), moment(5)).unwrap();
        book.take_changes();
        book.charge(&demand([free()]), moment(6)).unwrap();
        assert_eq!(book.take_changes().len(), 2);
        assert_eq!(used(&book, 1, 60, 6), [0, 2]);
        // Until that is over.
        book.charge(&demand([free()]), moment(60_006)).unwrap();
        assert_eq!(book.take_changes(), []);
    }

    #[test]
    fn is_refused_whole_and_where_there_is_no_room_or_no_time() {
        let mut book = Book::new(Bounds { counters: 1, ..Bounds::default() });
        book.charge(&demand([call(1, 1, 60)]), moment(0)).unwrap();
        let before = rows(&book);
        let full = Err(LedgerError::Full { what: Kept::Counters, limit: 1 });
        assert_eq!(book.charge(&demand([call(2, 1, 60)]), moment(1)), full);
        let both = demand([call(2, 1, 60), call(1, 1, 60)]);
        assert!(matches!(book.charge(&both, moment(1)), Err(LedgerError::Refused(_))));
        let beyond = moment(u64::MAX);
        assert_eq!(book.charge(&both, beyond), Err(LedgerError::Clock(beyond)));
        assert_eq!(rows(&book), before);
    }
}

mod bounds {
    use super::*;

    #[test]
    fn too_many_accounts_are_refused_until_some_are_over() {
        let mut book = Book::new(Bounds { counters: 3, ..Bounds::default() });
        let full = LedgerError::Full { what: Kept::Counters, limit: 3 };
        let mut both = spend(1, 1, per_period(POUNDS, 9, 60));
        both.rate = Some(RateLimit { max_requests: 9, period_seconds: seconds(60) });
        book.reserve(&demand([both]), moment(0)).unwrap();
        book.reserve(&demand([call(2, 9, 100)]), moment(0)).unwrap();
        let before = rows(&book);
        assert_eq!(book.reserve(&demand([call(3, 9, 60)]), moment(59_999)), Err(full.clone()));
        assert_eq!(rows(&book), before);
        // Those that are there go on.
        book.reserve(&demand([call(2, 9, 100)]), moment(59_999)).unwrap();
        // At this moment both of the first account are over.
        book.reserve(&demand([call(3, 9, 60), call(4, 9, 60)]), moment(60_000)).unwrap();
        assert_eq!(book.reserve(&demand([call(1, 9, 60)]), moment(60_000)), Err(full));
        assert_eq!(used(&book, 2, 100, 60_000), [0, 2]);
    }

    #[test]
    fn narrower_bounds_stop_no_account_that_is_there() {
        let mut book = Book::default();
        book.reserve(&demand([call(1, 9, 60), call(2, 9, 60)]), moment(0)).unwrap();
        book.bounds.counters = 1;
        book.reserve(&demand([call(1, 9, 60), call(2, 9, 60)]), moment(1)).unwrap();
        assert!(matches!(book.reserve(&demand([call(3, 9, 60)]), moment(1)), Err(LedgerError::Full { .. })));
    }

    #[test]
    fn too_many_open_reservations_are_refused_until_some_are_settled_or_over() {
        let mut book = Book::new(Bounds { reservations: 2, ..Bounds::default() });
        let full = Err(LedgerError::Full { what: Kept::Reservations, limit: 2 });
        let one = demand([call(1, 9, 60)]);
        let id = book.reserve(&one, moment(0)).unwrap();
        book.reserve(&one, moment(1)).unwrap();
        assert_eq!(book.reserve(&one, moment(2)), full);
        book.settle(id, Outcome::Committed, moment(2)).unwrap();
        book.reserve(&one, moment(3)).unwrap();
        assert_eq!(book.reserve(&one, moment(3_600_000)), full);
        assert!(book.reserve(&one, moment(3_600_001)).is_ok());
    }

    #[test]
    fn what_is_over_is_dropped_in_time() {
        let mut book = Book::default();
        for account in 0..100 {
            let now = moment(account as u64);
            let id = book.reserve(&demand([call(account, 9, 60)]), now).unwrap();
            if account % 2 == 0 {
                book.settle(id, Outcome::Committed, now).unwrap();
            }
        }
        let count = |book: &Book, kind: fn(&RowKey) -> bool| rows(book).keys().filter(|key| kind(key)).count();
        let counters = |book: &Book| count(book, |key| matches!(key, RowKey::Counter(_)));
        let open = |book: &Book| count(book, |key| matches!(key, RowKey::Reservation(_)));
        assert_eq!((counters(&book), open(&book)), (100, 50));
        for n in 0..20 {
            let id = book.reserve(&demand([call(200, 900, 9000)]), moment(3_700_000 + n)).unwrap();
            book.settle(id, Outcome::Committed, moment(3_700_000 + n)).unwrap();
        }
        assert_eq!((counters(&book), open(&book)), (1, 0));
    }

    #[test]
    fn what_is_settled_leaves_nothing_to_wait_for() {
        let mut book = Book::default();
        let waits = |book: &Book| {
            let there = book.open.len() + book.counters.len();
            assert_eq!(book.due.len(), there);
            assert_eq!(copy(book).due.len(), there);
            there
        };
        let open = book.reserve(&demand([call(9, 900, 9000)]), moment(0)).unwrap();
        for n in 0..300_u64 {
            // One account that stays, and one that ends with each release and begins anew.
            for (account, outcome) in [(1, Outcome::Committed), (2, Outcome::Released)] {
                let one = demand([call(account, 900, 9000), spend(account + 10, 1, per_period(POUNDS, 900, 60))]);
                let id = book.reserve(&one, moment(n)).unwrap();
                book.settle(id, outcome, moment(n)).unwrap();
                assert!(waits(&book) <= 6, "{n}");
            }
        }
        // What goes by itself leaves nothing either.
        book.settle(open, Outcome::Released, moment(300)).unwrap();
        for n in 0..100_u64 {
            book.reserve(&demand([call(3, 9, 60)]), moment(300 + n * 4_000_000)).unwrap();
            assert!(waits(&book) <= 5, "{n}");
        }
    }

    #[test]
    fn nothing_is_dropped_before_it_is_over() {
        let mut book = Book::default();
        book.reserve(&demand([call(1, 9, 60)]), moment(0)).unwrap();
        book.reserve(&demand([call(1, 9, 60)]), moment(1_000)).unwrap();
        book.reserve(&demand([call(2, 9, 60)]), moment(60_999)).unwrap();
        assert_eq!(used(&book, 1, 60, 60_999), [0, 1]);
    }

    #[test]
    fn numbers_that_are_used_up_refuse() {
        let head = Head { latest: moment(0), next_counter: 0, next_reservation: u64::MAX };
        let mut book = Book::restore(Bounds::default(), [(RowKey::Head, Row::Head(head))]).unwrap();
        let answer = book.reserve(&demand([call(1, 9, 60)]), moment(0));
        assert!(matches!(answer, Err(LedgerError::Stopped(_))), "{answer:?}");
    }
}

mod restoring {
    use super::*;

    fn book() -> Book {
        let mut book = Book::default();
        let limit = per_period(POUNDS, 100, 60);
        for now in [0, 500, 3_000] {
            book.reserve(&demand([spend(1, 3, limit), call(2, 9, 7200)]), moment(now)).unwrap();
        }
        book.settle(ReservationId::new(1), Outcome::Committed, moment(3_000)).unwrap();
        book.settle(ReservationId::new(0), Outcome::Released, moment(3_001)).unwrap();
        book
    }

    #[test]
    fn nothing_gives_an_empty_book() {
        let book = Book::restore(Bounds::default(), []).unwrap();
        assert_eq!(rows(&book), rows(&Book::default()));
    }

    #[test]
    fn rows_that_are_no_book_are_refused() {
        let whole = rows(&book());
        assert_eq!(rows(&Book::restore(Bounds::default(), whole.clone()).unwrap()), whole);
        let damaged = |what: &str, change: &dyn Fn(&mut BTreeMap<RowKey, Row>)| {
            let mut rows = whole.clone();
            change(&mut rows);
            assert_ne!(rows, whole);
            let fault = Book::restore(Bounds::default(), rows).unwrap_err();
            assert_eq!(fault.what, what, "{fault}");
        };
        let changed_head = |change: fn(&mut Head)| {
            move |rows: &mut BTreeMap<RowKey, Row>| {
                let Some(Row::Head(found)) = rows.get_mut(&RowKey::Head) else { panic!() };
                change(found);
            }
        };
        damaged("it is missing", &|rows| drop(rows.remove(&RowKey::Head)));
        damaged("its counter is missing", &|rows| drop(rows.remove(&RowKey::Counter(0))));
        damaged("it has no buckets", &|rows| rows.retain(|key, _| !matches!(key, RowKey::Bucket(0, _))));
        damaged("no such number was given yet", &changed_head(|head| head.next_counter = 1));
        damaged("no such number was given yet", &changed_head(|head| head.next_reservation = 1));
        damaged("it is of the future", &changed_head(|head| head.latest = moment(2_999)));
        damaged("its time is none of ours", &changed_head(|head| head.latest = moment(u64::MAX)));
        damaged("it does not follow the one before", &|rows| {
            rows.insert(RowKey::Settled(7), Row::Settled(ReservationId::new(2), Outcome::Released));
            rows.remove(&RowKey::Reservation(ReservationId::new(2)));
        });
        damaged("the reservation is open", &|rows| {
            drop(rows.insert(RowKey::Settled(2), Row::Settled(ReservationId::new(2), Outcome::Released)));
        });
        damaged("it does not follow the one before", &|rows| {
            drop(rows.insert(RowKey::Bucket(0, moment(501)), Row::Bucket { last: moment(502), sum: 0 }));
        });
        damaged("it does not follow the one before", &|rows| {
            drop(rows.insert(RowKey::Bucket(0, moment(400)), Row::Bucket { last: moment(402), sum: 1 }));
        });
        damaged("another one counts the same", &|rows| {
            let row = rows.get(&RowKey::Counter(0)).unwrap().clone();
            rows.insert(RowKey::Counter(1), row);
        });
        damaged("its periods are none", &|rows| {
            let Some(Row::Counter(row)) = rows.get_mut(&RowKey::Counter(0)) else { panic!() };
            row.longest_ms = row.shortest_ms - 1;
        });
        damaged("it is a row of another kind", &|rows| {
            drop(rows.insert(RowKey::Settled(2), Row::Head(Head::default())));
        });
        let backwards = Book::restore(Bounds::default(), whole.clone().into_iter().rev());
        assert!(backwards.is_err());
        let twice = whole.iter().chain(whole.iter().take(1)).map(|(key, row)| (*key, row.clone()));
        assert_eq!(Book::restore(Bounds::default(), twice).unwrap_err().what, "it is out of order");
    }
}
