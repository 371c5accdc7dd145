//! A validity of less than 5 minutes or more than 24 hours (draft 5.1, protocol R10).

use super::seen::Seen;
use crate::finding::{Class, Finding};

const LEAST: u64 = 5 * 60_000;
const MOST: u64 = 24 * 3_600_000;

/// A certificate that is valid for too short or too long a time.
pub(super) fn out_of_bounds(seen: &Seen<'_>) -> Option<Finding> {
    let (from, until) = (seen.certificate.not_before(), seen.certificate.not_after());
    let validity = until.since(from);
    if (LEAST..=MOST).contains(&validity) {
        return None;
    }
    let words = if until < from { "ends before it begins".into() } else { format!("is valid for {}", words(validity)) };
    let summary = format!("the certificate of {} {words}", seen.agent());
    let rule = "a validity is 5 minutes to 24 hours (draft 5.1, protocol R10)";
    Some(seen.finding(Class::ValidityOutOfBounds, rule, summary))
}

/// Milliseconds in the largest unit that leaves no rest, up to hours.
fn words(millis: u64) -> String {
    match millis / 1000 {
        seconds if seconds > 0 && seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        seconds if seconds > 0 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
