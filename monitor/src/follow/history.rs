//! How a log grew: its size minute by minute, thinned out with age.

use atl::log::checkpoint::Origin;
use atl::time::UnixMillis;

use crate::state::{State, StateError, Table, Write, key};

/// Sizes by origin and minute.
const HISTORY: Table<u64> = Table::new("history");

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Until when each minute is kept.
const MINUTES_FOR: u64 = DAY;
/// Until when each hour is kept; days after that.
const HOURS_FOR: u64 = 60 * DAY;
/// Most rows of a log: a day of minutes, sixty of hours, and three years of days.
const MOST: usize = 4096;

/// The minute that `at` is in.
pub(super) const fn minute(at: UnixMillis) -> u64 {
    at.get() / MINUTE
}

/// Notes that the log had `size` entries at `now`, in the place of what was noted in the same minute.
pub fn note(write: &mut Write, log: &Origin, now: UnixMillis, size: u64) -> Result<(), StateError> {
    let prefix = key(log.as_str(), &[]);
    let last = write.last(&HISTORY, &prefix, 1)?.first().and_then(|(key, _)| moment(key));
    // Once an hour is soon enough to look for what has grown old.
    if last.is_some_and(|last| last.get() / HOUR != now.get() / HOUR) {
        let rows = write.first(&HISTORY, &prefix, usize::MAX)?;
        let moments: Vec<_> = rows.iter().filter_map(|(key, _)| moment(key)).collect();
        for old in thinned(&moments, now) {
            write.remove(&HISTORY, &row(log, old))?;
        }
    }
    write.put(&HISTORY, &row(log, UnixMillis::new(minute(now) * MINUTE)), &size)
}

/// What was noted of the log, from the oldest on: the beginning of the minute, and the entries that it had then.
pub fn read(state: &State, log: &Origin) -> Result<Vec<(UnixMillis, u64)>, StateError> {
    let rows = state.read(|read| read.first(&HISTORY, &key(log.as_str(), &[]), 2 * MOST))?;
    Ok(rows.into_iter().filter_map(|(key, size)| Some((moment(&key)?, size))).collect())
}

fn row(log: &Origin, at: UnixMillis) -> Vec<u8> {
    key(log.as_str(), &at.get().to_be_bytes())
}

fn moment(key: &[u8]) -> Option<UnixMillis> {
    Some(UnixMillis::new(u64::from_be_bytes(*key.last_chunk()?)))
}

/// Which of the moments noted, in order, may be forgotten: of an hour or a day the last one stays.
fn thinned(moments: &[UnixMillis], now: UnixMillis) -> Vec<UnixMillis> {
    let span = |at: UnixMillis| match now.since(at) {
        age if age <= MINUTES_FOR => (MINUTE, at.get() / MINUTE),
        age if age <= HOURS_FOR => (HOUR, at.get() / HOUR),
        _ => (DAY, at.get() / DAY),
    };
    let surplus = |pair: &[UnixMillis]| match pair {
        [one, next] => (span(*one) == span(*next)).then_some(*one),
        _ => None,
    };
    let mut old: Vec<_> = moments.windows(2).filter_map(surplus).collect();
    let beyond = (moments.len() - old.len()).saturating_sub(MOST);
    let oldest: Vec<_> = moments.iter().filter(|at| !old.contains(at)).take(beyond).copied().collect();
    old.extend(oldest);
    old
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn half_a_year_is_a_few_thousand_rows_and_ends_with_the_last_minute() {
        // The thinning alone, hour by hour: a database write for each minute would take its time.
        let mut moments = Vec::new();
        for minute in 0..183 * 24 * 60_u64 {
            let now = UnixMillis::new(minute * MINUTE);
            if minute % 60 == 0 {
                let old: std::collections::BTreeSet<_> = thinned(&moments, now).into_iter().collect();
                moments.retain(|at| !old.contains(at));
            }
            moments.push(now);
            assert!(moments.len() <= MOST + 60);
        }
        assert!((2900..3100).contains(&moments.len()), "{}", moments.len());
        let last = UnixMillis::new(183 * DAY - MINUTE);
        assert_eq!(moments.last(), Some(&last));
        let day = moments.iter().filter(|at| last.since(**at) < DAY).count();
        assert_eq!(day, 1440);
        assert!(moments.windows(2).all(|pair| pair[1].since(pair[0]) <= DAY));
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many() {
        let moments: Vec<_> = (0..MOST as u64 + 10).map(|day| UnixMillis::new(day * DAY)).collect();
        let now = UnixMillis::new((MOST as u64 + 500) * DAY);
        assert_eq!(thinned(&moments, now), moments[..10]);
    }

    #[test]
    fn a_minute_is_noted_once_and_logs_apart() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.redb")).unwrap();
        let (one, other) = (origin("a.example/1"), origin("a.example/11"));
        for (log, at, size) in [(&one, 5, 1), (&one, 59_999, 2), (&other, 5, 9), (&one, 2 * DAY, 3), (&one, 60_001, 4)]
        {
            state.write(|write| note(write, log, UnixMillis::new(at), size)).unwrap();
        }
        let rows = |log| read(&state, log).unwrap().into_iter().map(|(at, size)| (at.get(), size)).collect::<Vec<_>>();
        assert_eq!(rows(&one), [(0, 2), (60_000, 4), (2 * DAY, 3)]);
        assert_eq!(rows(&other), [(0, 9)]);
    }
}
