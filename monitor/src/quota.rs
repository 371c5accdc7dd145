//! A log that breaks every promise must not bury everything else: of each class so many findings an hour are told of
//! one log, then one that says that there are more. What was told before does not count, and what is proven is not held
//! back: so much as that freezes the log, after which nothing more is asked.
//!
//! What entries are found to be is bounded by the entries' own times, in the rules; this is for what a log itself does.

use atl::time::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::alert::ALERTS;
use crate::finding::Finding;
use crate::state::{Read, StateError, Table, Write, key};

/// Findings of one class about one log that are told in an hour, unless the owner has set another number.
pub const MOST_PER_HOUR: u64 = 100;

/// Exhibits of one class about one log that are kept in a day and prove nothing to others. What proves something is
/// kept always.
pub const MOST_KEPT_PER_DAY: u64 = 64;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// How many there were, by log and class.
const QUOTAS: Table<Count> = Table::new("quotas");

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    hour: u64,
    told: u64,
    day: u64,
    kept: u64,
}

impl Count {
    /// The count as of `now`: another hour or day begins anew, also where the clock has been set back.
    fn at(self, now: UnixMillis) -> Self {
        let (hour, day) = (now.get() / HOUR_MS, now.get() / DAY_MS);
        Self {
            told: if hour == self.hour { self.told } else { 0 },
            kept: if day == self.day { self.kept } else { 0 },
            hour,
            day,
        }
    }
}

fn row_of(finding: &Finding) -> Vec<u8> {
    key(&finding.log, finding.class.code().as_bytes())
}

/// Whether findings like this one are counted: those that accuse a log of something, and are no proof of it.
fn counts(finding: &Finding) -> bool {
    finding.class.accuses_log() && !finding.class.freezes_log() && !finding.log.is_empty()
}

/// What is told of this finding, as part of a step: itself, or that there are more like it, or nothing any more.
///
/// # Errors
/// Where the database fails.
pub fn admit(write: &mut Write, finding: Finding, most: u64) -> Result<Option<Finding>, StateError> {
    if !counts(&finding) || write.get(&ALERTS, finding.id().to_string().as_bytes())?.is_some() {
        return Ok(Some(finding));
    }
    let row = row_of(&finding);
    let mut count = write.get(&QUOTAS, &row)?.unwrap_or_default().at(finding.found_at);
    count.told = count.told.saturating_add(1);
    count.kept = count.kept.saturating_add(u64::from(finding.evidence.is_some()));
    let told = count.told;
    // Beyond that there is nothing to count.
    if told <= most.saturating_add(1) {
        write.put(&QUOTAS, &row, &count)?;
    }
    Ok(match told {
        told if told <= most => Some(finding),
        told if told == most.saturating_add(1) => Some(more(&finding, count.hour, most)),
        _ => None,
    })
}

/// Whether evidence of this finding is worth keeping, although it proves nothing: it is told by itself, and not too
/// much of the kind is kept already. `ahead` are findings of the kind that are not written down yet.
///
/// # Errors
/// Where the database fails.
pub fn has_room(read: &Read, finding: &Finding, most: u64, ahead: u64) -> Result<bool, StateError> {
    if !counts(finding) {
        return Ok(true);
    }
    let count = read.get(&QUOTAS, &row_of(finding))?.unwrap_or_default().at(finding.found_at);
    Ok(count.told.saturating_add(ahead) < most && count.kept.saturating_add(ahead) < MOST_KEPT_PER_DAY)
}

fn more(finding: &Finding, hour: u64, most: u64) -> Finding {
    let (class, log) = (finding.class, &finding.log);
    let from = UnixMillis::new(hour.saturating_mul(HOUR_MS));
    let mut more = Finding {
        subject: format!("more:{hour}"),
        summary: format!(
            "{log} has done more than {most} times what is called \"{}\" within the hour from {from}: the others are not \
             told one by one",
            class.title()
        ),
        evidence: None,
        ..finding.clone()
    };
    more.details.insert(0, ("at most".to_owned(), format!("{most} findings of a class about a log in an hour")));
    more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Class;
    use crate::http::testing::log;
    use crate::state::State;

    fn finding(class: Class, n: u64, at: u64) -> Finding {
        Finding::new(class, Some(&log(1).origin), &n.to_string(), format!("case {n}"), UnixMillis::new(at))
    }

    /// What is told of findings, by subject, each raised as it is admitted.
    fn told(state: &State, findings: impl IntoIterator<Item = Finding>) -> Vec<String> {
        let admit = |finding| {
            state.write(|write| {
                let Some(told) = admit(write, finding, 2)? else { return Ok::<_, StateError>(None) };
                crate::alert::raise(write, &told)?;
                Ok(Some(told.subject))
            })
        };
        findings.into_iter().filter_map(|finding| admit(finding).unwrap()).collect()
    }

    #[test]
    fn so_many_an_hour_are_told_and_then_that_there_are_more() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.redb")).unwrap();
        let not_included = |from: u64, at| (from..from + 5).map(move |n| finding(Class::NotIncluded, n, at));
        assert_eq!(told(&state, not_included(0, HOUR_MS)), ["0", "1", "more:1"]);
        // What was told is no news, whenever it is found again.
        assert_eq!(told(&state, not_included(0, HOUR_MS + 1)), ["0", "1"]);
        // Another class, another log, another hour, and the hour before.
        assert_eq!(told(&state, [finding(Class::BadTile, 9, HOUR_MS)]), ["9"]);
        let other = Finding { log: "log.example/2".into(), ..finding(Class::NotIncluded, 9, HOUR_MS) };
        assert_eq!(told(&state, [other]), ["9"]);
        assert_eq!(told(&state, not_included(10, 2 * HOUR_MS)), ["10", "11", "more:2"]);
        assert_eq!(told(&state, not_included(20, 1)), ["20", "21", "more:0"]);
        // Proof, and what is about entries.
        for class in [Class::SplitView, Class::MalformedExtension] {
            assert_eq!(told(&state, (0..5).map(|n| finding(class, n, 1))).len(), 5, "{class}");
        }
    }

    #[test]
    fn evidence_that_proves_nothing_is_kept_of_what_is_told_and_not_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(&dir.path().join("state.redb")).unwrap();
        let room = |most, at, ahead| {
            state.read(|read| has_room(read, &finding(Class::NotIncluded, 0, at), most, ahead)).unwrap()
        };
        assert!(room(2, HOUR_MS, 1) && !room(2, HOUR_MS, 2));
        for n in 0..MOST_KEPT_PER_DAY {
            assert!(room(1000, n * 60_000, 0), "{n}");
            let mut kept = finding(Class::NotIncluded, n, n * 60_000);
            kept.evidence = Some("e".into());
            state.write(|write| admit(write, kept, 1000)).unwrap();
        }
        assert!(!room(1000, 23 * HOUR_MS, 0) && room(1000, DAY_MS, 0));
    }
}
