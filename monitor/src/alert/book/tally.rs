//! How many alerts nobody takes care of yet, by severity, counted as they come and go: who asks often, as metrics do,
//! does not read them all.

use std::collections::BTreeMap;

use super::*;
use crate::finding::Severity;

const SEVERITIES: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

const fn row(severity: Severity) -> &'static [u8] {
    match severity {
        Severity::Info => b"open/info",
        Severity::Warning => b"open/warning",
        Severity::Critical => b"open/critical",
    }
}

/// Counts all anew. Done once at the start: a database may be from before they were counted, and the severity of a
/// class may have changed since.
///
/// # Errors
/// Where the database fails.
pub fn count(write: &mut Write) -> Result<(), StateError> {
    const AT_ONCE: usize = 256;
    let mut counts = SEVERITIES.map(|severity| (severity, 0_u64));
    let mut next = 0_u64;
    loop {
        let rows = write.onwards(&ORDER, &next.to_be_bytes(), AT_ONCE)?;
        let Some((last, _)) = rows.last() else { break };
        next = seq_of(last)?.saturating_add(1);
        for (_, id) in rows {
            let Some(alert) = write.get(&ALERTS, id.as_bytes())? else { continue };
            let severity = alert.finding.class.severity();
            let is_open = |known: &&mut (Severity, u64)| known.0 == severity && alert.acknowledged_at.is_none();
            counts.iter_mut().find(is_open).into_iter().for_each(|(_, count)| *count += 1);
        }
    }
    counts.iter().try_for_each(|(severity, count)| write.put(&COUNTERS, row(*severity), count))
}

/// Notes that one came, or (`false`) that one went or somebody takes care of it.
pub(in crate::alert) fn tally(write: &mut Write, severity: Severity, came: bool) -> Result<(), StateError> {
    // Not counted so far, it is counted with all others at the next start.
    let Some(count) = write.get(&COUNTERS, row(severity))? else { return Ok(()) };
    let count = if came { count.saturating_add(1) } else { count.saturating_sub(1) };
    write.put(&COUNTERS, row(severity), &count)
}

/// How many there are of each severity; none is named where they are not counted yet.
///
/// # Errors
/// Where the database fails.
pub fn open(read: &Read) -> Result<BTreeMap<Severity, u64>, StateError> {
    let mut counts = BTreeMap::new();
    for severity in SEVERITIES {
        if let Some(count) = read.get(&COUNTERS, row(severity))? {
            counts.insert(severity, count);
        }
    }
    Ok(counts)
}
