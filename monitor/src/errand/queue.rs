//! Which errands there are, and when each is due.
//!
//! Three tables: errands by what they are, so that the same one is kept once; their names by the time at which they
//! are due, oldest first; and how many there are, so that they stay bounded.

use atl::merkle::Hash;
use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};

use super::Errand;
use crate::state::{Read, State, StateError, Table, Write};

/// Most errands that are kept: a gigabyte of them at most. Beyond it those that are due last give way, and are
/// counted.
pub const MAX_ERRANDS: u64 = 1_000_000;

const ERRANDS: Table<Kept> = Table::new("errands");
const DUE: Table<()> = Table::new("errands-due");
const STOCK: Table<Stock> = Table::new("errands-stock");

/// An errand, and what became of it so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What to ask.
    pub what: Errand,
    /// From when on.
    pub due: UnixMillis,
    /// How often it was asked without an answer that settles it.
    pub attempts: u32,
    /// When it was asked first.
    pub first_asked: Option<UnixMillis>,
    /// Why it is not settled.
    pub last_error: Option<String>,
}

/// How many errands there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// Waiting to be asked.
    pub waiting: u64,
    /// Dropped since the database was made, because there were [`MAX_ERRANDS`] already.
    pub dropped: u64,
}

/// The name of an errand: that of what it is.
pub(super) type Id = [u8; Hash::LEN];

fn id_of(errand: &Errand) -> Result<Id, StateError> {
    let octets = serde_json::to_vec(errand).map_err(|e| StateError::Row { table: "errands", reason: e.to_string() })?;
    Ok(*Hash::of(&octets).as_bytes())
}

fn due_key(due: UnixMillis, id: &Id) -> Vec<u8> {
    [&due.get().to_be_bytes()[..], id].concat()
}

fn parse_due(key: &[u8]) -> Option<(UnixMillis, Id)> {
    let (due, id) = key.split_first_chunk::<8>()?;
    Some((UnixMillis::new(u64::from_be_bytes(*due)), id.try_into().ok()?))
}

fn bad_key() -> StateError {
    StateError::Row { table: "errands-due", reason: "its key is no time with the name of an errand".into() }
}

/// Keeps an errand as part of a step. One that is kept already stays as it is.
pub fn post(write: &mut Write, errand: &Errand) -> Result<(), StateError> {
    post_within(write, errand, errand.due(), MAX_ERRANDS)
}

/// The same for somebody else's question, at `now`: it comes after all of ours that are due already.
pub fn post_behind(write: &mut Write, errand: &Errand, now: UnixMillis) -> Result<(), StateError> {
    post_within(write, errand, errand.due().max(now), MAX_ERRANDS)
}

/// Keeps an errand that is due at `due`, with room for `most`.
fn post_within(write: &mut Write, errand: &Errand, due: UnixMillis, most: u64) -> Result<(), StateError> {
    let id = id_of(errand)?;
    if write.get(&ERRANDS, &id)?.is_some() {
        return Ok(());
    }
    let mut stock = write.get(&STOCK, b"")?.unwrap_or_default();
    if stock.waiting >= most {
        stock.dropped = stock.dropped.saturating_add(1);
        let last = write.last(&DUE, b"", 1)?.pop().map(|(key, ())| parse_due(&key).ok_or_else(bad_key)).transpose()?;
        match last {
            Some((latest, other)) if due < latest => {
                write.remove(&DUE, &due_key(latest, &other))?;
                write.remove(&ERRANDS, &other)?;
            }
            _ => return write.put(&STOCK, b"", &stock),
        }
    } else {
        stock.waiting = stock.waiting.saturating_add(1);
    }
    let kept = Kept { what: errand.clone(), due, attempts: 0, first_asked: None, last_error: None };
    write.put(&ERRANDS, &id, &kept)?;
    write.put(&DUE, &due_key(due, &id), &())?;
    write.put(&STOCK, b"", &stock)
}

/// How many errands there are.
pub fn stock(state: &State) -> Result<Stock, StateError> {
    Ok(state.get(&STOCK, b"")?.unwrap_or_default())
}

/// At most `limit` errands that are due at `now`, the oldest first.
pub fn due(read: &Read, now: UnixMillis, limit: usize) -> Result<Vec<Kept>, StateError> {
    let mut kept = Vec::new();
    for (key, ()) in read.first(&DUE, b"", limit)? {
        let (due, id) = parse_due(&key).ok_or_else(bad_key)?;
        if due > now {
            break;
        }
        let missing = || StateError::Row { table: "errands", reason: "an errand that is due is not there".into() };
        kept.push(read.get(&ERRANDS, &id)?.ok_or_else(missing)?);
    }
    Ok(kept)
}

/// When the next errand is due; `None` where there is none.
pub fn next_due(read: &Read) -> Result<Option<UnixMillis>, StateError> {
    let first = read.first(&DUE, b"", 1)?.pop();
    first.map(|(key, ())| Ok(parse_due(&key).ok_or_else(bad_key)?.0)).transpose()
}

/// Takes an errand away, as part of the step that writes what came of it. Whether it was there.
pub fn finish(write: &mut Write, kept: &Kept) -> Result<bool, StateError> {
    let id = id_of(&kept.what)?;
    // As it is now: what was read earlier may have been put off meanwhile.
    let Some(now) = write.get(&ERRANDS, &id)? else { return Ok(false) };
    write.remove(&DUE, &due_key(now.due, &id))?;
    write.remove(&ERRANDS, &id)?;
    let mut stock = write.get(&STOCK, b"")?.unwrap_or_default();
    stock.waiting = stock.waiting.saturating_sub(1);
    write.put(&STOCK, b"", &stock)?;
    Ok(true)
}

/// Puts an errand off until `at`, as part of a step: it was asked at `now` where `asked`, and `why` it is not settled.
pub fn again(
    write: &mut Write,
    kept: &Kept,
    at: UnixMillis,
    asked: Option<UnixMillis>,
    why: &str,
) -> Result<(), StateError> {
    let id = id_of(&kept.what)?;
    let Some(mut row) = write.get(&ERRANDS, &id)? else { return Ok(()) };
    write.remove(&DUE, &due_key(row.due, &id))?;
    row.due = at;
    if let Some(now) = asked {
        row.attempts = row.attempts.saturating_add(1);
        row.first_asked = row.first_asked.or(Some(now));
    }
    row.last_error = Some(why.chars().take(MAX_ERROR).collect());
    write.put(&DUE, &due_key(at, &id), &())?;
    write.put(&ERRANDS, &id, &row)
}

/// Brings errands forward that were put off until later than any pause lasts: the clock has been set back since. How
/// many they were.
pub fn mend(state: &State, now: UnixMillis) -> Result<usize, StateError> {
    let (mut mended, mut start) = (0, now.saturating_add(LONGEST_PAUSE_MS).get().to_be_bytes().to_vec());
    loop {
        let rows = state.read(|read| read.onwards(&DUE, &start, AT_ONCE))?;
        let Some((last, ())) = rows.last() else { return Ok(mended) };
        start = [last.as_slice(), &[0]].concat();
        mended += state.write(|write| -> Result<usize, StateError> {
            let mut mended = 0;
            for (row, ()) in &rows {
                let (due, id) = parse_due(row).ok_or_else(bad_key)?;
                // What is not to be asked before then has its own reason to wait.
                let Some(mut kept) = write.get(&ERRANDS, &id)?.filter(|kept| kept.what.due() < due) else { continue };
                kept.due = kept.what.due().max(now);
                write.remove(&DUE, row)?;
                write.put(&DUE, &due_key(kept.due, &id), &())?;
                write.put(&ERRANDS, &id, &kept)?;
                mended += 1;
            }
            Ok(mended)
        })?;
    }
}

/// Rows that are looked at in one step where many are.
const AT_ONCE: usize = 256;

/// Longer than any errand is put off, in milliseconds: a log may ask for a day.
const LONGEST_PAUSE_MS: u64 = 2 * 86_400_000;

/// Characters of an error that are kept.
const MAX_ERROR: usize = 300;

/// A number that is the errand's own, to spread those of one moment over time.
pub(super) fn lot(errand: &Errand) -> u64 {
    id_of(errand).ok().and_then(|id| id.first_chunk::<8>().copied()).map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use atl::log::entry::CertHash;
    use atl::merkle::LeafIndex;

    use super::*;
    use crate::finding::EntryRef;

    fn elsewhere(n: u8, due: u64) -> Errand {
        let entry =
            EntryRef { log: "log.example/1".into(), index: LeafIndex::new(0), cert_hash: CertHash::new([n; 32]) };
        Errand::Elsewhere { entry, log: "log.example/2".into(), due: UnixMillis::new(due) }
    }

    fn state() -> (tempfile::TempDir, State) {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.redb")).unwrap();
        (dir, state)
    }

    fn due_at(state: &State, now: u64) -> Vec<Kept> {
        state.read(|read| due(read, UnixMillis::new(now), 10)).unwrap()
    }

    #[test]
    fn an_errand_is_kept_once_and_comes_when_it_is_due() {
        let (_dir, state) = state();
        for errand in [elsewhere(1, 300), elsewhere(2, 200), elsewhere(1, 300), elsewhere(3, 900)] {
            state.write(|write| post(write, &errand)).unwrap();
        }
        assert_eq!(stock(&state).unwrap(), Stock { waiting: 3, dropped: 0 });
        assert_eq!(state.read(next_due).unwrap(), Some(UnixMillis::new(200)));
        assert_eq!(due_at(&state, 199), []);
        let kept = due_at(&state, 300);
        assert_eq!(kept.iter().map(|kept| kept.due.get()).collect::<Vec<_>>(), [200, 300]);
        assert!(state.write(|write| finish(write, &kept[0])).unwrap());
        assert!(!state.write(|write| finish(write, &kept[0])).unwrap());
        assert_eq!(stock(&state).unwrap().waiting, 2);
        assert_eq!(due_at(&state, 300), [kept[1].clone()]);
    }

    #[test]
    fn an_errand_that_is_put_off_keeps_when_it_was_asked_and_why_again() {
        let (_dir, state) = state();
        state.write(|write| post(write, &elsewhere(1, 100))).unwrap();
        let kept = due_at(&state, 100).remove(0);
        for (at, asked) in [(500, Some(110)), (600, None), (700, Some(650))] {
            let why = "x".repeat(1000);
            state.write(|write| again(write, &kept, UnixMillis::new(at), asked.map(UnixMillis::new), &why)).unwrap();
        }
        assert_eq!(due_at(&state, 699), []);
        let kept = due_at(&state, 700).remove(0);
        assert_eq!((kept.attempts, kept.first_asked), (2, Some(UnixMillis::new(110))));
        assert_eq!(kept.last_error.as_ref().map(String::len), Some(MAX_ERROR));
        // As somebody read it before it was put off.
        let before = Kept { due: UnixMillis::new(100), ..kept };
        assert!(state.write(|write| finish(write, &before)).unwrap());
        assert_eq!((state.read(next_due).unwrap(), stock(&state).unwrap().waiting), (None, 0));
    }

    #[test]
    fn what_was_put_off_under_a_wrong_clock_is_brought_forward() {
        const DAY: u64 = 86_400_000;
        let (_dir, state) = state();
        let (wrong, right) = (UnixMillis::new(900 * DAY), UnixMillis::new(100 * DAY));
        for (n, due) in [(1, 50 * DAY), (2, 99 * DAY), (3, 400 * DAY)] {
            state.write(|write| post(write, &elsewhere(n, due))).unwrap();
        }
        let put_off = due_at(&state, 50 * DAY).remove(0);
        state.write(|write| again(write, &put_off, wrong, Some(wrong), "silent")).unwrap();
        assert_eq!(mend(&state, right).unwrap(), 1);
        let dues: Vec<_> = due_at(&state, u64::MAX).iter().map(|kept| kept.due.get() / DAY).collect();
        assert_eq!(dues, [99, 100, 400]);
        assert_eq!((mend(&state, right).unwrap(), stock(&state).unwrap().waiting), (0, 3));
    }

    #[test]
    fn where_there_is_no_room_what_is_due_last_gives_way_and_is_counted() {
        let (_dir, state) = state();
        for (n, due) in [(1, 100), (2, 300), (3, 200), (4, 400)] {
            let errand = elsewhere(n, due);
            state.write(|write| post_within(write, &errand, errand.due(), 2)).unwrap();
        }
        assert_eq!(stock(&state).unwrap(), Stock { waiting: 2, dropped: 2 });
        let left: Vec<u64> = due_at(&state, 1000).iter().map(|kept| kept.due.get()).collect();
        assert_eq!(left, [100, 200]);
    }

    #[test]
    fn every_errand_is_read_as_it_was_written() {
        let entry = EntryRef { log: "l".into(), index: LeafIndex::new(7), cert_hash: CertHash::new([1; 32]) };
        let hash = CertHash::new([2; 32]);
        let due = UnixMillis::new(5);
        let all = [
            Errand::Parent { child: entry.clone(), parent: hash },
            Errand::Included { entry: Some(entry.clone()), sat: vec![1, 2].into(), cert_hash: hash, due },
            Errand::Included { entry: None, sat: vec![1, 2].into(), cert_hash: hash, due },
            Errand::Elsewhere { entry, log: "m".into(), due },
        ];
        for errand in &all {
            let text = serde_json::to_string(errand).unwrap();
            assert_eq!(&serde_json::from_str::<Errand>(&text).unwrap(), errand, "{text}");
        }
        let names: std::collections::BTreeSet<_> = all.iter().map(|errand| id_of(errand).unwrap()).collect();
        assert_eq!(names.len(), all.len());
        assert_eq!((all[0].due(), all[1].due()), (UnixMillis::new(0), due));
    }
}
