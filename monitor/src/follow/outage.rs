//! A log that does not answer, and one that signs nothing new.

use atl::log::checkpoint::Origin;
use atl::time::UnixMillis;

use super::position::Ledger;
use crate::finding::{Class, Finding};
use crate::state::{StateError, Table};

/// Since when a log cannot be read, by origin; no row for one that can.
const OUTAGES: Table<UnixMillis> = Table::new("follow-outages");

/// Notes how a round went: `failed` says why the log could not be read, if it could not. The finding that there is, once
/// this has lasted for `patience` milliseconds; it has one name, whatever restarts there are in the outage.
pub(super) fn note(
    ledger: &Ledger,
    log: &Origin,
    failed: Option<&str>,
    patience: u64,
    now: UnixMillis,
) -> Result<Option<Finding>, StateError> {
    let (state, name) = (ledger.state(), log.as_str().as_bytes());
    let since = state.get(&OUTAGES, name)?;
    match (failed, since) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            state.write(|write| write.remove(&OUTAGES, name))?;
            Ok(None)
        }
        // An outage does not begin in the future: the clock has been set back.
        (Some(_), since) if since.is_none_or(|since| since > now) => {
            state.write(|write| write.put(&OUTAGES, name, &now))?;
            Ok(None)
        }
        (Some(reason), Some(since)) if now.since(since) >= patience => {
            let summary = format!("{log} cannot be read since {since}: {reason}");
            Ok(Some(Finding::new(Class::Unreachable, Some(log), &since.get().to_string(), summary, now)))
        }
        (Some(_), _) => Ok(None),
    }
}

/// The finding that the newest head of a log, signed at `signed`, is older than `most` milliseconds. `newest` is when the
/// newest head of all logs was signed: where that is as long ago, our own clock may be ahead.
pub(super) fn stale(
    log: &Origin,
    signed: UnixMillis,
    newest: Option<UnixMillis>,
    most: u64,
    now: UnixMillis,
) -> Option<Finding> {
    let age = now.since(signed);
    if age <= most {
        return None;
    }
    let summary = format!("the newest head of {log} was signed at {signed}, {} seconds ago", age / 1000);
    let finding = Finding::new(Class::StaleHead, Some(log), &signed.get().to_string(), summary, now);
    Some(match newest {
        Some(newest) if now.since(newest) <= most => finding,
        _ => finding.with(
            "this monitor's clock",
            format!("it is {now} here, and no log that is followed has signed anything newer: is the clock ahead?"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_stale_past_its_age_and_named_by_its_time() {
        let origin: Origin = "log.example/1".parse().unwrap();
        let at = |now| stale(&origin, UnixMillis::new(1000), None, 300, UnixMillis::new(now));
        assert_eq!((at(900), at(1300)), (None, None));
        assert_eq!(at(1301).unwrap().id(), at(9999).unwrap().id());
    }

    #[test]
    fn where_all_logs_are_stale_the_clock_may_be_wrong() {
        let origin: Origin = "log.example/1".parse().unwrap();
        let doubts = |newest| {
            let finding =
                stale(&origin, UnixMillis::new(1000), Some(UnixMillis::new(newest)), 300, UnixMillis::new(2000));
            finding.unwrap().details.iter().any(|(_, value)| value.contains("is the clock ahead?"))
        };
        assert!(doubts(1000) && doubts(1699) && !doubts(1700) && !doubts(2000));
    }
}
