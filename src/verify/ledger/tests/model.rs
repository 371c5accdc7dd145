//! The book, held against a list of everything that happened, and what follows from that by the letter.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::*;

const ACCOUNTS: usize = 3;

/// One use of one thing that an account counts.
#[derive(Clone, Copy, Debug)]
struct Use {
    id: ReservationId,
    at: u64,
    account: usize,
    is_money: bool,
    amount: u64,
    /// Whether its certificate limits it, or it is counted because another one does.
    is_limited: bool,
}

#[derive(Clone, Debug)]
enum Op {
    Wait(u64),
    /// The clock is set so far back, until the end of the next operation.
    Back(u64),
    Reserve(Vec<Ask>),
    /// One of those that are open; whether it is committed.
    Settle(Index, bool),
}

/// A charge: an amount, or a call that spends nothing, under one of the limits that there are.
#[derive(Clone, Copy, Debug)]
struct Ask {
    account: usize,
    money: Option<u64>,
    limit: Index,
}

impl Ask {
    fn is_money(&self) -> bool {
        self.money.is_some()
    }

    fn wanted(&self) -> u64 {
        self.money.unwrap_or(1)
    }
}

fn op() -> impl Strategy<Value = Op> {
    let accounts = subsequence((0..ACCOUNTS).collect::<Vec<_>>(), 1..=ACCOUNTS);
    let terms = vec((prop::option::of(0..40u64), any::<Index>()), ACCOUNTS);
    let reserve = (accounts, terms).prop_map(|(accounts, terms)| {
        let asks = accounts.into_iter().zip(terms).map(|(account, (money, limit))| Ask { account, money, limit });
        Op::Reserve(asks.collect())
    });
    prop_oneof![
        2 => prop_oneof![0..40u64, 0..3_000u64, 0..90_000u64].prop_map(Op::Wait),
        1 => (0..5_000u64).prop_map(Op::Back),
        6 => reserve,
        2 => (any::<Index>(), any::<bool>()).prop_map(|(pick, commit)| Op::Settle(pick, commit)),
    ]
}

/// A book, its rows as a store would have them, and the list of all uses.
struct World {
    book: Book,
    stored: BTreeMap<RowKey, Row>,
    /// Limits to pick from: units or calls, and seconds.
    limits: Vec<(u32, u32)>,
    uses: Vec<Use>,
    open: Vec<ReservationId>,
    /// Of each account's money and calls, the longest period seen, and since when uses were remembered then.
    seen: BTreeMap<(usize, bool), (u64, u64)>,
    now: u64,
    back: u64,
}

impl World {
    fn new(limits: Vec<(u32, u32)>) -> Self {
        Self {
            book: Book::new(Bounds { settled: 3, ..Bounds::default() }).recording(),
            stored: BTreeMap::new(),
            limits,
            uses: Vec::new(),
            open: Vec::new(),
            seen: BTreeMap::new(),
            now: 0,
            back: 0,
        }
    }

    /// The limit that the charge is under, and its period in milliseconds.
    fn limit(&self, ask: &Ask) -> (u64, u64) {
        let (most, seconds) = *ask.limit.get(&self.limits);
        (most.into(), u64::from(seconds) * 1000)
    }

    fn demand(&self, asks: &[Ask]) -> Demand {
        let charge = |ask: &Ask| {
            let (most, seconds) = *ask.limit.get(&self.limits);
            match ask.money {
                Some(wanted) => spend(ask.account, wanted, per_period(POUNDS, most.into(), seconds)),
                None => call(ask.account, most, seconds),
            }
        };
        demand(asks.iter().map(charge).collect::<Vec<_>>())
    }

    /// What was used in the period that ends now, of what began not before `since`.
    fn exact(&self, ask: &Ask, period_ms: u64, since: u64) -> u64 {
        let of = |u: &&Use| u.account == ask.account && u.is_money == ask.is_money();
        let within = |u: &&Use| self.now - u.at < period_ms && u.at >= since;
        self.uses.iter().filter(of).filter(within).map(|u| u.amount).sum()
    }

    /// The longest period seen, and since when a use is remembered: what was older than that may be forgotten.
    fn remembered(&self, ask: &Ask) -> (u64, u64) {
        let (longest, since) = self.seen.get(&(ask.account, ask.is_money())).copied().unwrap_or_default();
        (longest, since.max((self.now + 1).saturating_sub(longest)))
    }

    /// Takes notice of the period of a charge that is let through. Where nothing is left of an account, it begins
    /// anew.
    fn see(&mut self, ask: &Ask) {
        let ((longest, since), (_, period_ms)) = (self.remembered(ask), self.limit(ask));
        let is_empty = self.exact(ask, u64::MAX, since) == 0;
        let longest = if is_empty { period_ms } else { period_ms.max(longest) };
        self.seen.insert((ask.account, ask.is_money()), (longest, since));
    }

    fn run(&mut self, op: &Op) -> Result<(), TestCaseError> {
        let clock = moment(self.now.saturating_sub(std::mem::take(&mut self.back)));
        match op {
            Op::Wait(millis) => self.now += millis,
            Op::Back(millis) => self.back = *millis,
            Op::Reserve(asks) => self.reserve(asks, clock)?,
            Op::Settle(pick, commit) if !self.open.is_empty() => {
                let id = self.open.remove(pick.index(self.open.len()));
                let outcome = if *commit { Outcome::Committed } else { Outcome::Released };
                prop_assert_eq!(self.book.settle(id, outcome, clock), Ok(()));
                self.uses.retain(|u| u.id != id || *commit);
            }
            Op::Settle(..) => {}
        }
        for (key, row) in self.book.take_changes() {
            match row {
                Some(row) => drop(self.stored.insert(key, row)),
                None => drop(self.stored.remove(&key)),
            }
        }
        // Before the first change there is no head to store.
        prop_assert!(self.stored.is_empty() || self.stored == rows(&self.book));
        Ok(())
    }

    fn reserve(&mut self, asks: &[Ask], clock: UnixMillis) -> Result<(), TestCaseError> {
        let (demand, before) = (self.demand(asks), rows(&self.book));
        // The ledger's clock is the latest that it has seen; so is that of the list.
        let Some(Row::Head(head)) = before.get(&RowKey::Head) else { panic!() };
        let now = std::mem::replace(&mut self.now, clock.max(head.latest).get());
        match self.book.reserve(&demand, clock) {
            Ok(id) => {
                for ask in asks {
                    self.may_use(ask)?;
                    self.record(id, ask);
                }
                self.open.push(id);
            }
            Err(error) => {
                prop_assert!(asks.iter().any(|ask| self.may_be_refused(ask)), "refused without need: {error}");
                prop_assert_eq!(&rows(&self.book), &before);
                self.fits_when_it_says(&demand, &error)?;
            }
        }
        self.now = now;
        Ok(())
    }

    /// What was let through must fit by the list.
    fn may_use(&self, ask: &Ask) -> Result<(), TestCaseError> {
        let ((most, period_ms), (_, since)) = (self.limit(ask), self.remembered(ask));
        let used = self.exact(ask, period_ms, since);
        prop_assert!(used + ask.wanted() <= most, "{ask:?}: {used} of {most} were used at {}", self.now);
        Ok(())
    }

    /// What was refused must not fit if the period were a bucket longer: a bucket of the longest period, as one
    /// that was filled before a shorter one was seen is as wide as that.
    fn may_be_refused(&self, ask: &Ask) -> bool {
        let (most, period_ms) = self.limit(ask);
        let widest = self.limits.iter().map(|(_, seconds)| u64::from(*seconds) * 1000 / 64).max().unwrap_or_default();
        self.exact(ask, period_ms + widest, 0) + ask.wanted() > most
    }

    fn record(&mut self, id: ReservationId, ask: &Ask) {
        let Ask { account, .. } = *ask;
        if ask.wanted() > 0 {
            self.see(ask);
            let amount = ask.wanted();
            self.uses.push(Use { id, at: self.now, account, is_money: ask.is_money(), amount, is_limited: true });
        }
        if ask.is_money() {
            self.also_a_call(id, account);
        }
    }

    /// Money that is spent is a call as well, where the account counts calls; whether it still does depends on
    /// what is over, so the book is asked.
    fn also_a_call(&mut self, id: ReservationId, account: usize) {
        let rows = rows(&self.book);
        let Some(Row::Reservation(made)) = rows.get(&RowKey::Reservation(id)) else { panic!() };
        let is_calls = |part: &Part| match rows.get(&RowKey::Counter(part.counter)) {
            Some(Row::Counter(row)) => row.account == key(account) && row.measure == Measure::Calls,
            other => panic!("{other:?}"),
        };
        if made.parts.iter().any(is_calls) {
            self.uses.push(Use { id, at: self.now, account, is_money: false, amount: 1, is_limited: false });
        }
    }

    fn fits_when_it_says(&self, asked: &Demand, error: &LedgerError) -> Result<(), TestCaseError> {
        match error.fits_at() {
            Some(fits) => {
                prop_assert!(fits.get() > self.now);
                prop_assert!(copy(&self.book).reserve(asked, moment(fits.get() - 1)).is_err());
                prop_assert!(copy(&self.book).reserve(asked, fits).is_ok());
            }
            None => prop_assert!(copy(&self.book).reserve(asked, moment(253_402_300_799_999)).is_err()),
        }
        Ok(())
    }

    /// Looks at every window that ends with a use, by the list alone.
    fn no_window_is_over(&self, most: u32, period: u32) -> Result<(), TestCaseError> {
        for last in self.uses.iter().filter(|u| u.is_limited) {
            // Those of one moment are in the order in which they were let through.
            let until = self.uses.iter().take_while(|u| !std::ptr::eq(*u, last)).chain([last]);
            let of = |u: &&Use| u.account == last.account && u.is_money == last.is_money;
            let within = |u: &&Use| last.at - u.at < u64::from(period) * 1000;
            let sum: u64 = until.filter(of).filter(within).map(|u| u.amount).sum();
            prop_assert!(sum <= most.into(), "{sum} in the window that ends at {}", last.at);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn lets_through_what_one_limit_lets_through_but_for_a_bucket(
        ops in vec(op(), 1..60), most in 0..80u32, period in select(vec![1u32, 7, 60]),
    ) {
        let mut world = World::new(vec![(most, period)]);
        for op in &ops {
            world.run(op)?;
        }
        world.no_window_is_over(most, period)?;
    }

    #[test]
    fn lets_nothing_through_that_renewed_limits_forbid(
        ops in vec(op(), 1..60),
        limits in vec((0..80u32, select(vec![1u32, 2, 60, 64, 3600])), 2..4),
    ) {
        let mut world = World::new(limits);
        for op in &ops {
            world.run(op)?;
        }
    }

    #[test]
    fn release_gives_back_what_was_reserved(ops in vec(op(), 1..40), last in op(), period in 1..100u32) {
        let mut world = World::new(vec![(60, period)]);
        for op in &ops {
            world.run(op)?;
        }
        let Op::Reserve(asks) = &last else { return Ok(()) };
        let all = |world: &World| [0, 1, 2].map(|account| used(&world.book, account, period, world.now));
        let (asked, before) = (world.demand(asks), all(&world));
        if let Ok(id) = world.book.reserve(&asked, moment(world.now)) {
            world.book.settle(id, Outcome::Released, moment(world.now)).unwrap();
            prop_assert_eq!(all(&world), before);
        }
    }
}
