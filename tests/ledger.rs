//! A relying party's ledger from outside, in memory and in a database: many at once never get more than the
//! limit, all charges are made or none, and what was answered outlives a new start and `kill -9`.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Barrier, mpsc};

use atl::apki::AgentUri;
use atl::apki::capabilities::{Amount, Currency, RateLimit, SpendLimit};
use atl::apki::extension::{AsciiText, Text};
use atl::storage::ledger::rocks::RocksLedger;
use atl::time::UnixMillis;
use atl::verify::ledger::{
    AccountKey, Bounds, Charge, Demand, LedgerError, MemoryLedger, Outcome, ReservationId, Spend, SpendLedger,
};

const THREADS: usize = 64;
const HOUR: u32 = 3600;
const DAY: u32 = 86_400;
const NOW: UnixMillis = UnixMillis::new(1_775_822_400_000);

fn key(account: usize) -> AccountKey {
    AccountKey {
        agent: AgentUri::parse(&format!("agent://bank.example/pay/agent/{account}")).unwrap(),
        tool_uri: AsciiText::new("mcp://pay.example/charge").unwrap(),
        scope: Text::new("payments").unwrap(),
    }
}

fn spend(account: usize, amount: u64, most: u64, seconds: u32) -> Charge {
    let currency = Currency::new("EUR").unwrap();
    let limit = SpendLimit {
        max_per_transaction: None,
        max_per_period: Some(Amount::new(most).unwrap()),
        period_seconds: NonZeroU32::new(seconds),
        currency,
    };
    let spend = Spend::new(Amount::new(amount).unwrap(), currency, limit).unwrap();
    Charge { key: key(account), spend: Some(spend), rate: None }
}

fn call(account: usize, most: u32, seconds: u32) -> Charge {
    let rate = RateLimit { max_requests: most, period_seconds: NonZeroU32::new(seconds).unwrap() };
    Charge { key: key(account), spend: None, rate: Some(rate) }
}

fn demand(charges: impl Into<Vec<Charge>>) -> Demand {
    Demand::new(charges.into()).unwrap()
}

/// What the ledger counts under this charge: it says so when it refuses.
fn used(ledger: &dyn SpendLedger, impossible: Charge) -> u64 {
    match ledger.reserve(&demand([impossible]), NOW) {
        Err(LedgerError::Refused(overruns)) => overruns[0].used,
        other => panic!("{other:?}"),
    }
}

fn spent(ledger: &dyn SpendLedger, account: usize, seconds: u32) -> u64 {
    used(ledger, spend(account, 1, 0, seconds))
}

/// Lets all threads run at once, each with its number.
fn race(run: impl Fn(usize) + Sync) {
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (start, run) = (&start, &run);
            scope.spawn(move || {
                start.wait();
                run(thread);
            });
        }
    });
}

/// One test for each of the two ledgers.
macro_rules! for_both {
    ($($test:ident),* $(,)?) => {
        mod memory {
            use super::*;
            $(#[test]
            fn $test() {
                super::$test(&MemoryLedger::default());
            })*
        }

        mod rocks {
            use super::*;
            $(#[test]
            fn $test() {
                let dir = tempfile::tempdir().unwrap();
                super::$test(&RocksLedger::open(&dir.path().join("ledger"), Bounds::default()).unwrap());
            })*
        }
    };
}

for_both! {
    exactly_the_limit_is_let_through,
    an_operation_is_charged_to_all_or_to_none,
    what_is_released_can_be_had_again_and_no_more,
    a_reservation_is_settled_once_however_many_try,
    limits_are_told_and_time_frees,
    what_is_charged_in_one_step_never_exceeds_the_limit,
}

fn what_is_charged_in_one_step_never_exceeds_the_limit(ledger: &dyn SpendLedger) {
    let granted = AtomicUsize::new(0);
    race(|_| {
        for _ in 0..3 {
            match ledger.charge(&demand([spend(1, 7, 703, DAY), call(2, 1000, HOUR)]), NOW) {
                Ok(()) => granted.fetch_add(1, SeqCst),
                Err(LedgerError::Refused(_)) => continue,
                Err(other) => panic!("{other}"),
            };
        }
    });
    assert_eq!(granted.into_inner(), 100);
    assert_eq!((spent(ledger, 1, DAY), used(ledger, call(2, 0, HOUR))), (700, 100));
}

fn exactly_the_limit_is_let_through(ledger: &dyn SpendLedger) {
    let granted = AtomicUsize::new(0);
    race(|thread| {
        for n in 0..6 {
            // 100 times 7 fits, and 3 are left over.
            let mut charge = spend(1, 7, 703, DAY);
            charge.rate = call(1, 1000, HOUR).rate;
            match ledger.reserve(&demand([charge]), NOW) {
                Ok(id) if (thread + n) % 2 == 0 => ledger.commit(id, NOW).unwrap(),
                Ok(_) => {}
                Err(LedgerError::Refused(_)) => continue,
                Err(other) => panic!("{other}"),
            }
            granted.fetch_add(1, SeqCst);
        }
    });
    assert_eq!(granted.into_inner(), 100);
    assert_eq!((spent(ledger, 1, DAY), used(ledger, call(1, 0, HOUR))), (700, 100));
    ledger.reserve(&demand([spend(1, 3, 703, DAY)]), NOW).unwrap();
}

fn an_operation_is_charged_to_all_or_to_none(ledger: &dyn SpendLedger) {
    let limits = [50, 40, 30];
    let granted: [AtomicU64; 3] = Default::default();
    race(|thread| {
        for n in 0..3 {
            // An agent and an ancestor of it: pairs that overlap, in either order.
            let pair = [(thread + n) % 3, (thread + n + 1) % 3];
            let mut charges = pair.map(|account| spend(account, 1, limits[account], DAY)).to_vec();
            if thread % 2 == 0 {
                charges.reverse();
            }
            if ledger.reserve(&demand(charges), NOW).is_ok() {
                for account in pair {
                    granted[account].fetch_add(1, SeqCst);
                }
            }
        }
    });
    let granted = granted.map(AtomicU64::into_inner);
    assert_eq!([0, 1, 2].map(|account| spent(ledger, account, DAY)), granted);
    assert!(granted.iter().zip(limits).all(|(granted, limit)| *granted <= limit), "{granted:?}");
    // There was more demand than room, so no two accounts have room left.
    assert!(granted.iter().zip(limits).filter(|(granted, limit)| *granted < limit).count() < 2, "{granted:?}");
}

fn what_is_released_can_be_had_again_and_no_more(ledger: &dyn SpendLedger) {
    let held = AtomicU64::new(0);
    race(|thread| {
        let amount = 1 + thread as u64 % 5;
        for _ in 0..4 {
            let Ok(id) = ledger.reserve(&demand([spend(1, amount, 20, DAY)]), NOW) else { continue };
            let before = held.fetch_add(amount, SeqCst);
            assert!(before + amount <= 20, "{before} and {amount}");
            held.fetch_sub(amount, SeqCst);
            ledger.release(id, NOW).unwrap();
        }
    });
    assert_eq!(spent(ledger, 1, DAY), 0);
    ledger.reserve(&demand([spend(1, 20, 20, DAY)]), NOW).unwrap();
}

fn a_reservation_is_settled_once_however_many_try(ledger: &dyn SpendLedger) {
    let ids: Vec<_> = (0..8).map(|_| ledger.reserve(&demand([spend(1, 1, 8, DAY)]), NOW).unwrap()).collect();
    let committed: Vec<_> = ids.iter().map(|_| AtomicUsize::new(0)).collect();
    race(|thread| {
        for (id, committed) in ids.iter().zip(&committed) {
            let (answer, outcome) = match thread % 2 {
                0 => (ledger.commit(*id, NOW), Outcome::Committed),
                _ => (ledger.release(*id, NOW), Outcome::Released),
            };
            match answer {
                Ok(()) if outcome == Outcome::Committed => drop(committed.fetch_add(1, SeqCst)),
                Ok(()) => {}
                Err(LedgerError::Settled { id: found, before, asked }) => {
                    assert_eq!((found, asked), (*id, outcome));
                    assert_ne!(before, outcome);
                }
                Err(other) => panic!("{other}"),
            }
        }
    });
    let committed: Vec<_> = committed.into_iter().map(AtomicUsize::into_inner).collect();
    // One way for all who asked for it, and for nobody else.
    assert!(committed.iter().all(|n| [0, THREADS / 2].contains(n)), "{committed:?}");
    assert_eq!(spent(ledger, 1, DAY), committed.iter().filter(|n| **n > 0).count() as u64);
}

fn limits_are_told_and_time_frees(ledger: &dyn SpendLedger) {
    ledger.reserve(&demand([call(1, 1, HOUR)]), NOW).unwrap();
    let refusal = ledger.reserve(&demand([call(1, 1, HOUR)]), NOW).unwrap_err();
    let fits = NOW.saturating_add(3_600_000);
    assert_eq!(refusal.fits_at(), Some(fits));
    assert!(refusal.to_string().contains("agent://bank.example/pay/agent/1"), "{refusal}");
    assert!(ledger.reserve(&demand([call(1, 1, HOUR)]), fits.saturating_sub(1)).is_err());
    // A clock that goes back frees nothing, and neither does one that only went ahead for a moment.
    assert!(ledger.reserve(&demand([call(1, 1, HOUR)]), UnixMillis::new(0)).is_err());
    ledger.reserve(&demand([call(1, 1, HOUR)]), fits).unwrap();
    assert!(ledger.reserve(&demand([call(1, 1, HOUR)]), NOW).is_err());
    let unknown = ReservationId::new(u64::MAX);
    assert_eq!(ledger.release(unknown, fits), Err(LedgerError::Unknown(unknown)));
}

#[test]
fn a_new_start_finds_everything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let open = || RocksLedger::open(&path, Bounds::default()).unwrap();
    let one = |account| demand([spend(account, 10, 100, DAY), call(9, 100, HOUR)]);
    let ledger = open();
    let ids = [1, 1, 2].map(|account| ledger.reserve(&one(account), NOW).unwrap());
    ledger.commit(ids[0], NOW).unwrap();
    ledger.release(ids[2], NOW).unwrap();
    drop(ledger);
    let ledger = open();
    assert_eq!([1, 2].map(|account| spent(&ledger, account, DAY)), [20, 0]);
    assert_eq!(used(&ledger, call(9, 0, HOUR)), 2);
    // What was settled stays so, and what was open can still be settled; no number comes twice.
    assert_eq!(ledger.commit(ids[0], NOW), Ok(()));
    assert!(matches!(ledger.release(ids[0], NOW), Err(LedgerError::Settled { .. })));
    assert!(matches!(ledger.commit(ids[2], NOW), Err(LedgerError::Settled { .. })));
    ledger.release(ids[1], NOW).unwrap();
    assert_eq!(spent(&ledger, 1, DAY), 10);
    let next = ledger.reserve(&one(3), NOW).unwrap();
    assert!(ids.iter().all(|id| *id < next));
    drop(ledger);
    // Narrower bounds take nothing away.
    let ledger = RocksLedger::open(&path, Bounds { counters: 1, reservations: 0, settled: 0 }).unwrap();
    assert_eq!([1, 3].map(|account| spent(&ledger, account, DAY)), [10, 10]);
    assert!(matches!(ledger.reserve(&one(4), NOW), Err(LedgerError::Full { .. })));
    ledger.release(next, NOW).unwrap();
    assert_eq!(spent(&ledger, 3, DAY), 0);
}

#[test]
fn answers_come_without_a_thread_that_waits() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = RocksLedger::open(&dir.path().join("ledger"), Bounds::default()).unwrap();
    let (tell, answers) = mpsc::channel();
    for _ in 0..100 {
        let tell = tell.clone();
        ledger.reserve_with(demand([call(1, 60, DAY)]), NOW, move |answer| drop(tell.send(answer)));
    }
    let answers: Vec<_> = answers.iter().take(100).collect();
    let granted: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    assert_eq!(granted.len(), 60);
    let (tell, settled) = mpsc::channel();
    for id in granted {
        let tell = tell.clone();
        ledger.settle_with(*id, Outcome::Released, NOW, move |answer| drop(tell.send(answer)));
    }
    assert!(settled.iter().take(60).all(|answer| answer.is_ok()));
    assert_eq!(used(&ledger, call(1, 0, DAY)), 0);
}

/// Where the process finds the ledger that it works on until it is killed.
const VICTIM: &str = "ATL_TEST_LEDGER_VICTIM";
/// Threads of such a process, which all charge one account.
const WORKERS: usize = 8;

/// Not a test by itself: what the process does that the test below kills. It says what it asks for and, in a
/// line behind it, what was answered.
#[test]
#[ignore = "the process that the next test kills"]
fn victim() {
    let Some(path) = std::env::var_os(VICTIM) else { return };
    let ledger = RocksLedger::open(Path::new(&path), Bounds::default()).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let ledger = &ledger;
            scope.spawn(move || {
                for n in worker.. {
                    let id = ledger.reserve(&demand([spend(1, 1, 1 << 40, DAY)]), NOW).unwrap();
                    println!("\nreserved {id}");
                    match n % 3 {
                        0 => {
                            println!("\ncommitting {id}");
                            ledger.commit(id, NOW).unwrap();
                            println!("\ncommitted {id}");
                        }
                        1 => {
                            println!("\nreleasing {id}");
                            ledger.release(id, NOW).unwrap();
                            println!("\nreleased {id}");
                        }
                        _ => {}
                    }
                }
            });
        }
    });
}

fn start_victim(path: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "victim", "--ignored", "--nocapture"]).env(VICTIM, path);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// What was heard of a reservation last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Heard {
    Reserved,
    Committing,
    Releasing,
    Committed,
    Released,
}

impl Heard {
    fn read(line: &str) -> Option<(ReservationId, Self)> {
        let (word, id) = line.trim_end().split_once(' ')?;
        let heard = match word {
            "reserved" => Self::Reserved,
            "committing" => Self::Committing,
            "releasing" => Self::Releasing,
            "committed" => Self::Committed,
            "released" => Self::Released,
            _ => return None,
        };
        Some((ReservationId::new(id.parse().ok()?), heard))
    }
}

/// Lets a process work until so many answers were heard, kills it, and hears the rest of what it said.
fn hear(path: &Path, answers: usize, heard: &mut BTreeMap<ReservationId, Heard>) {
    let mut victim = start_victim(path);
    let mut lines = BufReader::new(victim.stdout.take().unwrap());
    let (mut count, mut line) = (0, String::new());
    // The last line may be cut off.
    while lines.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
        if let Some((id, now)) = Heard::read(&line) {
            let before = heard.insert(id, now);
            assert!(before < Some(now) && before.is_some() == (now != Heard::Reserved), "{id}: {before:?}, {now:?}");
            count += 1;
            if count == answers {
                victim.kill().unwrap();
            }
        }
        line.clear();
    }
    let ended = victim.wait().unwrap();
    assert!(count >= answers, "it ended by itself: {ended}");
}

#[test]
fn what_was_answered_outlives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let mut heard = BTreeMap::new();
    for round in 1..=6 {
        hear(&path, 60 + round * 37, &mut heard);
        let ledger = RocksLedger::open(&path, Bounds::default()).unwrap();
        // What each worker asked for when it was killed may have been written or not.
        let count = |what: &[Heard]| heard.values().filter(|heard| what.contains(heard)).count() as u64;
        let (all, spent) = (heard.len() as u64, spent(&ledger, 1, DAY));
        let least = all - count(&[Heard::Released, Heard::Releasing]);
        let most = all - count(&[Heard::Released]) + (round * WORKERS) as u64;
        assert!((least..=most).contains(&spent), "{spent} is not in {least}..={most}");
        for (id, heard) in &heard {
            let [committed, released] = [Outcome::Committed, Outcome::Released]
                .map(|before| move |asked| Err(LedgerError::Settled { id: *id, before, asked }));
            match heard {
                Heard::Committed => assert_eq!(ledger.release(*id, NOW), committed(Outcome::Released)),
                Heard::Released => assert_eq!(ledger.commit(*id, NOW), released(Outcome::Committed)),
                Heard::Reserved | Heard::Committing | Heard::Releasing => {}
            }
        }
        println!("round {round}: {spent} of {all}, between {least} and {most}");
    }
    // What is open can be settled, and is worth what it was.
    let ledger = RocksLedger::open(&path, Bounds::default()).unwrap();
    let open: Vec<_> = heard.iter().filter(|(_, heard)| **heard == Heard::Reserved).map(|(id, _)| *id).collect();
    let before = spent(&ledger, 1, DAY);
    open.iter().for_each(|id| ledger.release(*id, NOW).unwrap());
    assert!(open.len() > 100, "{}", open.len());
    assert_eq!(spent(&ledger, 1, DAY), before - open.len() as u64);
}
