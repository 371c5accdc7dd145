//! Looking at what is kept.

use super::*;
use crate::finding::Severity;

/// Alerts read at once.
const AT_ONCE: usize = 256;

/// The alert with this name.
///
/// # Errors
/// Where the database fails.
pub fn find(read: &Read, id: FindingId) -> Result<Option<Alert>, StateError> {
    read.get(&ALERTS, id.to_string().as_bytes())
}

/// At most `limit` alerts whose names begin with these hex digits.
///
/// # Errors
/// Where the database fails.
pub fn named(read: &Read, digits: &str, limit: usize) -> Result<Vec<Alert>, StateError> {
    Ok(read.first(&ALERTS, digits.as_bytes(), limit)?.into_iter().map(|(_, alert)| alert).collect())
}

/// The newest alerts, the newest first.
///
/// # Errors
/// Where the database fails.
pub fn newest(read: &Read, limit: usize) -> Result<Vec<Alert>, StateError> {
    alerts(read, read.last(&ORDER, &[], limit)?)
}

/// At most `limit` alerts that were raised before the one with the place `seq`, the newest first.
///
/// # Errors
/// Where the database fails.
pub fn before(read: &Read, seq: u64, limit: usize) -> Result<Vec<Alert>, StateError> {
    alerts(read, read.before(&ORDER, &seq.to_be_bytes(), limit)?)
}

/// The place of the newest alert, or 0 where there was none ever.
///
/// # Errors
/// Where the database fails.
pub fn newest_seq(read: &Read) -> Result<u64, StateError> {
    Ok(read.get(&COUNTERS, RAISED)?.unwrap_or(0))
}

/// The worst severity of what was raised behind the place `seq`, silenced or not; `None` where nothing was.
///
/// # Errors
/// Where the database fails.
pub fn worst_since(read: &Read, seq: u64) -> Result<Option<Severity>, StateError> {
    let (mut worst, mut next) = (None, seq.saturating_add(1));
    loop {
        let rows = read.onwards(&ORDER, &next.to_be_bytes(), AT_ONCE)?;
        let Some((last, _)) = rows.last() else { return Ok(worst) };
        next = seq_of(last)?.saturating_add(1);
        worst = alerts(read, rows)?.iter().map(|alert| Some(alert.finding.class.severity())).fold(worst, Option::max);
    }
}

/// How many messages are not where they should be yet. A digest whose time has not come is where it should be.
///
/// # Errors
/// Where the database fails.
pub fn undelivered(read: &Read, now: UnixMillis) -> Result<u64, StateError> {
    let digests: Vec<Row<Digest>> = read.first(&DIGESTS, &[], usize::MAX)?;
    let open = digests.iter().filter(|(_, digest)| digest.attempts == 0 && digest.due > now).count();
    let queued = read.count(&QUEUE)?.saturating_sub(open as u64);
    Ok(queued.saturating_add(unplanned(read)?))
}

/// For how many alerts it is not decided yet who is told.
///
/// # Errors
/// Where the database fails.
pub fn unplanned(read: &Read) -> Result<u64, StateError> {
    Ok(newest_seq(read)?.saturating_sub(read.get(&COUNTERS, PLANNED)?.unwrap_or(0)))
}

/// What is to be sent to this sink next, which may not be due yet.
///
/// # Errors
/// Where the database fails.
pub fn next_job(read: &Read, sink: &str) -> Result<Option<Job>, StateError> {
    let Some((row, item)) = read.first(&QUEUE, &key(sink, &[]), 1)?.pop() else { return Ok(None) };
    let seqs = match item {
        Item::Alert(seq) => vec![seq],
        Item::Digest(planned) => {
            read.get(&DIGESTS, &key(sink, &planned.to_be_bytes()))?.map_or(Vec::new(), |digest| digest.seqs)
        }
    };
    let mut alerts = Vec::with_capacity(seqs.len());
    for seq in seqs {
        alerts.extend(at(read, seq)?);
    }
    Ok(Some(Job { sink: sink.to_owned(), due: due_of(&row)?, alerts, item }))
}

/// The alert with this place.
pub(super) fn at(read: &Read, seq: u64) -> Result<Option<Alert>, StateError> {
    let Some(id) = read.get(&ORDER, &seq.to_be_bytes())? else { return Ok(None) };
    read.get(&ALERTS, id.as_bytes())
}

fn alerts(read: &Read, rows: Vec<Row<String>>) -> Result<Vec<Alert>, StateError> {
    rows.into_iter().filter_map(|(_, id)| read.get(&ALERTS, id.as_bytes()).transpose()).collect()
}
