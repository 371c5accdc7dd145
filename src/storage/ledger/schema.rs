//! How a relying party's ledger lies in an ordered key-value store: column families, keys and values.
//!
//! | family         | key                            | value                                            |
//! |----------------|--------------------------------|--------------------------------------------------|
//! | `state`        | `format`, `head`               | the layout; how far the book has come            |
//! | `counters`     | number                         | JSON: whose it is, what it counts, its periods   |
//! | `buckets`      | number of the counter, moment  | the last moment, the sum (16 octets)             |
//! | `reservations` | number                         | when; then counter and amount of each part       |
//! | `settled`      | number of the settlement       | the reservation; 0 for committed, 1 for released |
//!
//! Integers are big-endian and, where nothing else is said, of 8 octets, so that keys lie in the order of what
//! they stand for. No agent's name is in a key of what changes with every operation.

use crate::log::store::StoreError;
use crate::storage::journalled::to_json;
use crate::verify::ledger::{Head, Outcome, Part, Reservation, ReservationId, Row, RowKey, UnixMillis};
use crate::wire::{Reader, WireError, Writer};

/// This layout.
pub const FORMAT: &str = "atl ledger 1";
/// What changes in place.
pub const STATE: &str = "state";
/// Counters by number.
pub const COUNTERS: &str = "counters";
/// What counters count.
pub const BUCKETS: &str = "buckets";
/// Reservations that are not settled.
pub const RESERVATIONS: &str = "reservations";
/// The last settlements.
pub const SETTLED: &str = "settled";
/// Key of the layout in `state`.
pub const FORMAT_KEY: &[u8] = b"format";
/// Key of the head in `state`.
pub const HEAD_KEY: &[u8] = b"head";

/// The families of rows, in the order of the rows' keys; before them comes the head.
pub const ROWS: [&str; 4] = [COUNTERS, BUCKETS, RESERVATIONS, SETTLED];

/// Where a row is, and under which octets.
pub fn place(key: RowKey) -> (&'static str, Vec<u8>) {
    match key {
        RowKey::Head => (STATE, HEAD_KEY.into()),
        RowKey::Counter(number) => (COUNTERS, number.to_be_bytes().into()),
        RowKey::Bucket(number, first) => (BUCKETS, [number.to_be_bytes(), first.get().to_be_bytes()].concat()),
        RowKey::Reservation(id) => (RESERVATIONS, id.get().to_be_bytes().into()),
        RowKey::Settled(number) => (SETTLED, number.to_be_bytes().into()),
    }
}

/// Writes what is in a row.
///
/// # Errors
/// Where it is nothing that JSON has.
pub fn write(row: &Row) -> Result<Vec<u8>, StoreError> {
    let mut writer = Writer::with_capacity(24);
    match row {
        Row::Head(head) => {
            writer.u64(head.latest.get()).u64(head.next_counter).u64(head.next_reservation);
        }
        Row::Counter(counter) => return to_json(counter),
        Row::Bucket { last, sum } => {
            writer.u64(last.get()).octets(&sum.to_be_bytes());
        }
        Row::Reservation(Reservation { at, parts }) => {
            writer.u64(at.get());
            for part in parts {
                writer.u64(part.counter).u64(part.amount);
            }
        }
        Row::Settled(id, outcome) => {
            writer.u64(id.get()).u8(match outcome {
                Outcome::Committed => 0,
                Outcome::Released => 1,
            });
        }
    }
    Ok(writer.into_vec())
}

/// Reads a row of this family.
///
/// # Errors
/// What is wrong with it, in words.
pub fn read(family: &str, key: &[u8], value: &[u8]) -> Result<(RowKey, Row), String> {
    let number = || parse(key, Reader::u64);
    Ok(match family {
        COUNTERS => {
            let row = serde_json::from_slice(value).map_err(|e| format!("does not read ({e})"))?;
            (RowKey::Counter(number()?), Row::Counter(row))
        }
        BUCKETS => {
            let key = parse(key, |key| Ok(RowKey::Bucket(key.u64()?, moment(key)?)))?;
            (key, parse(value, |v| Ok(Row::Bucket { last: moment(v)?, sum: v.array().map(u128::from_be_bytes)? }))?)
        }
        RESERVATIONS => {
            (RowKey::Reservation(ReservationId::new(number()?)), Row::Reservation(parse(value, read_reservation)?))
        }
        SETTLED => {
            let (id, outcome) = parse(value, |v| Ok((ReservationId::new(v.u64()?), v.u8()?)))?;
            let outcome = match outcome {
                0 => Outcome::Committed,
                1 => Outcome::Released,
                other => return Err(format!("ends in {other}, which is no outcome")),
            };
            (RowKey::Settled(number()?), Row::Settled(id, outcome))
        }
        STATE if key == HEAD_KEY => (RowKey::Head, Row::Head(parse(value, read_head)?)),
        _ => return Err("does not belong there".into()),
    })
}

/// All of these octets as one structure.
fn parse<'a, T>(octets: &'a [u8], read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>) -> Result<T, String> {
    let mut reader = Reader::new(octets);
    let value = read(&mut reader).and_then(|value| reader.finish().map(|()| value));
    value.map_err(|e| format!("does not read ({e})"))
}

fn moment(reader: &mut Reader<'_>) -> Result<UnixMillis, WireError> {
    reader.u64().map(UnixMillis::new)
}

fn read_head(reader: &mut Reader<'_>) -> Result<Head, WireError> {
    Ok(Head { latest: moment(reader)?, next_counter: reader.u64()?, next_reservation: reader.u64()? })
}

fn read_reservation(reader: &mut Reader<'_>) -> Result<Reservation, WireError> {
    let (at, mut parts) = (moment(reader)?, Vec::new());
    while !reader.is_empty() {
        parts.push(Part { counter: reader.u64()?, amount: reader.u64()? });
    }
    Ok(Reservation { at, parts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::ledger::{AccountKey, CounterRow};

    const ACCOUNT: &str = r#"{"agent":"agent://a.example/b/c/d","tool_uri":"mcp://t.example/x","scope":"s/é"}"#;

    fn counter(measure: &str) -> Row {
        let account: AccountKey = serde_json::from_str(ACCOUNT).unwrap();
        let measure = serde_json::from_str(measure).unwrap();
        Row::Counter(CounterRow { account, measure, shortest_ms: 1000, longest_ms: u64::MAX })
    }

    fn rows() -> [(RowKey, Row); 7] {
        let (id, moment) = (ReservationId::new, UnixMillis::new);
        let parts = vec![Part { counter: 1, amount: 2 }, Part { counter: u64::MAX, amount: u64::MAX }];
        [
            (RowKey::Head, Row::Head(Head { latest: moment(7), next_counter: 8, next_reservation: u64::MAX })),
            (RowKey::Counter(1), counter(r#""calls""#)),
            (RowKey::Counter(2), counter(r#"{"spend":"GBP"}"#)),
            (RowKey::Bucket(1, moment(3)), Row::Bucket { last: moment(4), sum: u128::MAX }),
            (RowKey::Reservation(id(5)), Row::Reservation(Reservation { at: moment(6), parts })),
            (RowKey::Settled(0), Row::Settled(id(4), Outcome::Committed)),
            (RowKey::Settled(1), Row::Settled(id(3), Outcome::Released)),
        ]
    }

    #[test]
    fn rows_read_back_and_every_cut_is_refused() {
        for (key, row) in rows() {
            let ((family, place), value) = (place(key), write(&row).unwrap());
            assert_eq!(read(family, &place, &value), Ok((key, row.clone())));
            assert!((0..place.len()).all(|cut| read(family, &place[..cut], &value).is_err()), "{key:?}");
            // A reservation may have fewer parts; all else has one length.
            let shorter = |cut: usize| matches!(row, Row::Reservation(_)) && cut % 16 == 8;
            let refused = |cut: usize| read(family, &place, &value[..cut]).is_err();
            assert!((0..value.len()).all(|cut| refused(cut) || shorter(cut)), "{key:?}");
            assert!(read(family, &place, &[&value[..], b"x"].concat()).is_err(), "{key:?}");
        }
        assert!(read(SETTLED, &[0; 8], &[0, 0, 0, 0, 0, 0, 0, 0, 2]).is_err());
        assert!(read(STATE, FORMAT_KEY, FORMAT.as_bytes()).is_err());
    }

    #[test]
    fn keys_lie_in_the_order_of_the_rows() {
        let families = [&[STATE][..], &ROWS].concat();
        let lies = |key| {
            let (family, octets) = place(key);
            (families.iter().position(|name| *name == family), octets)
        };
        let moment = UnixMillis::new;
        let buckets = [(1, 256), (1, u64::MAX), (2, 0), (256, 1)].map(|(n, first)| RowKey::Bucket(n, moment(first)));
        let mut keys: Vec<_> = rows().into_iter().map(|(key, _)| key).chain(buckets).collect();
        keys.sort_unstable();
        assert!(keys.is_sorted_by_key(|key| lies(*key)));
    }
}
