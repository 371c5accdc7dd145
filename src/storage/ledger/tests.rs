//! The writer against disks that fail or take their time, and what lies in the database.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use rocksdb::WriteBatch;

use super::rocks::{KIND, RocksLedger, read_book};
use super::schema::{self, FORMAT_KEY, STATE};
use super::writer::{Changes, Sink};
use crate::log::store::StoreError;
use crate::storage::database::Database;
use crate::verify::ledger::{
    AccountKey, Book, Bounds, Charge, Demand, LedgerError, Outcome, ReservationId, Row, RowKey, SpendLedger, UnixMillis,
};

fn demand(account: usize, most: u32, seconds: u32) -> Demand {
    let key = format!(r#"{{"agent":"agent://a.example/b/c/{account}","tool_uri":"mcp://t.example","scope":""}}"#);
    let key: AccountKey = serde_json::from_str(&key).unwrap();
    let rate = format!(r#"{{"max_requests":{most},"period_seconds":{seconds}}}"#);
    Demand::new(vec![Charge { key, spend: None, rate: serde_json::from_str(&rate).unwrap() }]).unwrap()
}

fn one() -> Demand {
    demand(1, 100, 60)
}

fn moment(millis: u64) -> UnixMillis {
    UnixMillis::new(millis)
}

fn stopped(reason: &str) -> LedgerError {
    LedgerError::Stopped(reason.into())
}

/// A disk that does what it is told at each write; behind the last of it, it panics.
struct Disk {
    begun: Sender<Changes>,
    ends: Receiver<Result<(), StoreError>>,
}

impl Sink for Disk {
    fn write(&mut self, changes: Changes) -> Result<(), StoreError> {
        self.begun.send(changes).unwrap();
        self.ends.recv().expect("the test says how the write ends")
    }
}

/// A ledger on such a disk; the writes that began; and the way to tell how they end.
fn ledger() -> (RocksLedger, Receiver<Changes>, Sender<Result<(), StoreError>>) {
    let ((begun, writes), (end, ends)) = (channel(), channel());
    (RocksLedger::start(Book::default(), Disk { begun, ends }).unwrap(), writes, end)
}

/// A reservation, and where its answer comes.
fn ask(ledger: &RocksLedger) -> Receiver<Result<ReservationId, LedgerError>> {
    let (tell, answer) = channel();
    ledger.reserve_with(one(), moment(0), move |answer| drop(tell.send(answer)));
    answer
}

#[test]
fn what_gathers_while_a_write_is_under_way_is_one_write_and_nobody_hears_before_it() {
    let (ledger, writes, end) = ledger();
    let first = ask(&ledger);
    writes.recv().unwrap();
    let others: Vec<_> = (0..63).map(|_| ask(&ledger)).collect();
    assert!(first.try_recv().is_err());
    end.send(Ok(())).unwrap();
    assert_eq!(first.recv().unwrap(), Ok(ReservationId::new(0)));
    let second = writes.recv().unwrap();
    assert_eq!(second.iter().filter(|(key, _)| matches!(key, RowKey::Reservation(_))).count(), 63);
    assert!(others.iter().all(|answer| answer.try_recv().is_err()));
    end.send(Ok(())).unwrap();
    let ids: Vec<_> = others.iter().map(|answer| answer.recv().unwrap().unwrap().get()).collect();
    assert_eq!(ids, Vec::from_iter(1..64));
    assert_eq!(ledger.failure(), None);
}

#[test]
fn a_refusal_is_not_written() {
    let (ledger, writes, end) = ledger();
    let refused = ledger.reserve(&demand(1, 0, 60), moment(0));
    assert!(matches!(refused, Err(LedgerError::Refused(_))));
    assert_eq!(ledger.commit(ReservationId::new(7), moment(0)), Err(LedgerError::Unknown(ReservationId::new(7))));
    assert!(writes.try_recv().is_err());
    drop(end);
}

#[test]
fn a_charge_is_one_write_and_none_where_nothing_counts_it() {
    let (ledger, writes, end) = ledger();
    let (tell, answer) = channel();
    ledger.charge_with(one(), moment(0), move |answer| drop(tell.send(answer)));
    let written = writes.recv().unwrap();
    let kinds: Vec<_> = written.iter().map(|(key, _)| *key).collect();
    assert_eq!(kinds, [RowKey::Head, RowKey::Counter(0), RowKey::Bucket(0, moment(0))]);
    assert!(answer.try_recv().is_err());
    end.send(Ok(())).unwrap();
    assert_eq!(answer.recv().unwrap(), Ok(()));
    // Another account, without any limit.
    let mut free = Charge { rate: None, ..one().charges()[0].clone() };
    free.key.scope = serde_json::from_str(r#""other""#).unwrap();
    assert_eq!(ledger.charge(&Demand::new(vec![free]).unwrap(), moment(0)), Ok(()));
    assert!(writes.try_recv().is_err());
}

#[test]
fn a_write_that_fails_stops_the_ledger_for_all() {
    let (ledger, writes, end) = ledger();
    let first = ask(&ledger);
    writes.recv().unwrap();
    let waiting = ask(&ledger);
    let full = StoreError::Failed("no space left".into());
    let reason = full.to_string();
    end.send(Err(full)).unwrap();
    for answer in [first, waiting] {
        assert_eq!(answer.recv().unwrap(), Err(stopped(&reason)));
    }
    assert_eq!(ledger.failure(), Some(&*reason));
    let id = ReservationId::new(0);
    assert_eq!(ledger.reserve(&one(), moment(0)), Err(stopped(&reason)));
    assert_eq!(ledger.charge(&one(), moment(0)), Err(stopped(&reason)));
    assert_eq!(ledger.commit(id, moment(0)), Err(stopped(&reason)));
    assert_eq!(ledger.release(id, moment(0)), Err(stopped(&reason)));
    assert_eq!(ask(&ledger).recv().unwrap(), Err(stopped(&reason)));
    let (tell, answer) = channel();
    ledger.settle_with(id, Outcome::Released, moment(0), move |answer| drop(tell.send(answer)));
    assert_eq!(answer.recv().unwrap(), Err(stopped(&reason)));
}

#[test]
fn a_writer_that_fails_unexpectedly_stops_the_ledger_too() {
    let (ledger, _writes, end) = ledger();
    drop(end);
    assert!(matches!(ledger.reserve(&one(), moment(0)), Err(LedgerError::Stopped(_))));
    assert!(matches!(ledger.reserve(&one(), moment(0)), Err(LedgerError::Stopped(_))));
}

#[test]
fn too_many_that_wait_are_turned_away_at_once() {
    let (ledger, writes, end) = ledger();
    let first = ask(&ledger);
    writes.recv().unwrap();
    let others: Vec<_> = (0..10_000).map(|_| ask(&ledger)).collect();
    let turned_away = others.iter().filter_map(|answer| answer.try_recv().ok());
    assert!(turned_away.inspect(|answer| assert_eq!(*answer, Err(LedgerError::Overloaded))).count() > 1000);
    // The writer ends with the test, in whichever way.
    drop((first, end));
}

/// A book that lives as long as its ledger is open.
fn read(path: &Path) -> Result<BTreeMap<RowKey, Row>, StoreError> {
    read_book(&Database::open(path, &KIND).unwrap(), Bounds::default()).map(|book| book.rows().collect())
}

#[test]
fn the_database_has_what_the_book_has_and_nothing_that_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let mut book = Book::default();
    for round in 0..3_u64 {
        let ledger = RocksLedger::open(&path, Bounds::default()).unwrap();
        for n in 0..40 {
            let (now, asked) = (moment(round * 4_000_000 + n * 100), demand(n as usize % 7, 9, 1 + n as u32));
            let (answer, expected) = (ledger.reserve(&asked, now), book.reserve(&asked, now));
            assert_eq!(answer, expected);
            let Ok(id) = answer else { continue };
            let outcome = [None, Some(Outcome::Committed), Some(Outcome::Released)][n as usize % 3];
            if let Some(outcome) = outcome {
                book.settle(id, outcome, now).unwrap();
                match outcome {
                    Outcome::Committed => ledger.commit(id, now).unwrap(),
                    Outcome::Released => ledger.release(id, now).unwrap(),
                }
            }
        }
        drop(ledger);
        let rows = read(&path).unwrap();
        assert_eq!(rows, book.rows().collect());
        // What was left open an hour before has gone, from the disk as well.
        assert!(rows.keys().filter(|key| matches!(key, RowKey::Reservation(_))).count() <= 14, "{}", rows.len());
    }
}

#[test]
fn only_a_whole_database_of_a_ledger_is_opened_and_only_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger");
    let open = || RocksLedger::open(&path, Bounds::default());
    let ledger = open().unwrap();
    ledger.reserve(&one(), moment(5)).unwrap();
    assert!(open().is_err());
    drop(ledger);
    // Neither is taken for the other.
    assert!(crate::storage::trust::rocks::RocksTrustStore::open(&path).is_err());
    let other = dir.path().join("trust");
    drop(crate::storage::trust::rocks::RocksTrustStore::open(&other).unwrap());
    let error = RocksLedger::open(&other, Bounds::default()).err().unwrap();
    assert!(error.reason.contains("it is not the database of a relying party's ledger"), "{error}");

    let change = |family: &str, key: &[u8], value: Option<&[u8]>| {
        let database = Database::open(&path, &KIND).unwrap();
        let (mut batch, family) = (WriteBatch::default(), database.family(family).unwrap());
        match value {
            Some(value) => batch.put_cf(&family, key, value),
            None => batch.delete_cf(&family, key),
        }
        database.write_synced(batch).unwrap();
    };
    let refusal = || open().err().unwrap().reason;
    change(STATE, FORMAT_KEY, Some(b"atl ledger 2"));
    assert!(refusal().contains("its format is `atl ledger 2`"), "{}", refusal());
    change(STATE, FORMAT_KEY, None);
    assert!(refusal().contains("its format is ``"), "{}", refusal());
    change(STATE, FORMAT_KEY, Some(schema::FORMAT.as_bytes()));
    drop(open().unwrap());
    let (family, key) = schema::place(RowKey::Bucket(0, moment(5)));
    change(family, &key, Some(b"short"));
    assert!(refusal().contains("in the column family buckets"), "{}", refusal());
    change(family, &key, None);
    assert!(refusal().contains("it has no buckets"), "{}", refusal());
}
