//! What people ask for, and what keeps the book small.

use super::*;
use crate::alert::routing::Route;

/// Writes down that somebody takes care of it; whether there is such an alert. It is still sent to those who do not
/// have it yet: they are others.
///
/// # Errors
/// Where the database fails.
pub fn acknowledge(write: &mut Write, id: FindingId, now: UnixMillis) -> Result<bool, StateError> {
    let id = id.to_string();
    let Some(mut alert) = write.get(&ALERTS, id.as_bytes())? else { return Ok(false) };
    if alert.acknowledged_at.is_none() {
        alert.acknowledged_at = Some(now);
        write.put(&ALERTS, id.as_bytes(), &alert)?;
        tally(write, alert.finding.class.severity(), false)?;
    }
    Ok(true)
}

/// Sends it to these sinks, again or for the first time, whatever severity they want and whatever is silenced;
/// whether there is such an alert. It goes out under the same identifier.
///
/// # Errors
/// Where the database fails.
pub fn resend(write: &mut Write, id: FindingId, sinks: &[String], now: UnixMillis) -> Result<bool, StateError> {
    let id = id.to_string();
    let Some(mut alert) = write.get(&ALERTS, id.as_bytes())? else { return Ok(false) };
    for sink in sinks {
        let planned = withdraw(write, sink, &alert)?;
        // It must be another row than that of an attempt under way, whose yes is about what was sent before.
        let due = if planned == Some(now) { now.saturating_add(1) } else { now };
        let item = Item::Alert(alert.seq);
        write.put(&QUEUE, &item.key(sink, due), &item)?;
        alert.deliveries.insert(sink.clone(), Delivery { next_attempt_at: Some(due), ..Delivery::default() });
        write.put(&SINKS, &key(sink, &[]), &())?;
    }
    write.put(&ALERTS, id.as_bytes(), &alert)?;
    Ok(true)
}

/// Sends what none of these routes' sinks has got, of at most `limit` alerts from the place `start` on; how many go
/// out, and the place to go on from, `None` where there is no more.
///
/// Each sink gets what it wants, as if it were raised now: by severity, and gathered where it gathers. What was tried in
/// vain is tried again at once. What is silenced or acknowledged is left alone, and so is what the courier has not
/// seen yet: it will.
///
/// # Errors
/// Where the database fails.
pub fn send_unsent(
    write: &mut Write,
    routing: &Routing,
    now: UnixMillis,
    start: u64,
    limit: usize,
) -> Result<(usize, Option<u64>), StateError> {
    let planned = write.get(&COUNTERS, PLANNED)?.unwrap_or(0);
    let rows = write.onwards(&ORDER, &start.to_be_bytes(), limit)?;
    let next = rows.last().map(|(row, _)| seq_of(row)).transpose()?.map(|seq| seq.saturating_add(1));
    let mut sent = 0;
    for (row, id) in rows {
        if seq_of(&row)? > planned {
            return Ok((sent, None));
        }
        let Some(alert) = write.get(&ALERTS, id.as_bytes())? else { continue };
        let has_it = |route: &Route| alert.deliveries.get(&route.sink).is_some_and(|d| d.delivered_at.is_some());
        if alert.silenced.is_none() && alert.acknowledged_at.is_none() && !routing.routes.iter().any(has_it) {
            sent += usize::from(send_one(write, alert, routing, now)?);
        }
    }
    Ok((sent, next))
}

/// The same for one alert that none of them has got; whether it goes out.
fn send_one(write: &mut Write, mut alert: Alert, routing: &Routing, now: UnixMillis) -> Result<bool, StateError> {
    let (id, mut routes, mut vain) = (alert.finding.id(), Vec::new(), Vec::new());
    for route in &routing.routes {
        match alert.deliveries.get(&route.sink) {
            Some(delivery) if delivery.next_attempt_at.is_some() && delivery.attempts == 0 => {}
            Some(delivery) if delivery.next_attempt_at.is_some() => vain.push(route.sink.clone()),
            _ => routes.push(route.clone()),
        }
    }
    let before = alert.deliveries.clone();
    assign(write, &mut alert, &Routing { routes, silences: Vec::new() }, now)?;
    let is_assigned = alert.deliveries != before;
    if is_assigned {
        for sink in alert.deliveries.keys() {
            write.put(&SINKS, &key(sink, &[]), &())?;
        }
        write.put(&ALERTS, id.to_string().as_bytes(), &alert)?;
    }
    if !vain.is_empty() {
        resend(write, id, &vain, now)?;
    }
    Ok(is_assigned || !vain.is_empty())
}

/// Takes an alert out of what is to be sent to a sink; for when it was planned by itself.
fn withdraw(write: &mut Write, sink: &str, alert: &Alert) -> Result<Option<UnixMillis>, StateError> {
    let Some(Delivery { next_attempt_at: Some(due), digest, .. }) = alert.deliveries.get(sink) else {
        return Ok(None);
    };
    let Some(planned) = digest else {
        write.remove(&QUEUE, &Item::Alert(alert.seq).key(sink, *due))?;
        return Ok(Some(*due));
    };
    let row = key(sink, &planned.to_be_bytes());
    let Some(mut digest) = write.get(&DIGESTS, &row)? else { return Ok(None) };
    digest.seqs.retain(|seq| *seq != alert.seq);
    if digest.seqs.is_empty() {
        write.remove(&QUEUE, &Item::Digest(*planned).key(sink, digest.due))?;
        write.remove(&DIGESTS, &row)?;
    } else {
        write.put(&DIGESTS, &row, &digest)?;
    }
    Ok(None)
}

/// Brings forward what a sink could not be reached for, at most `limit`, now that it can be reached again. What it
/// refused waits on.
///
/// # Errors
/// Where the database fails.
pub fn hasten(write: &mut Write, sink: &str, now: UnixMillis, limit: usize) -> Result<(), StateError> {
    for (row, item) in write.first(&QUEUE, &key(sink, &[]), limit)? {
        let Item::Alert(seq) = item else { continue };
        if due_of(&row)? <= now {
            continue;
        }
        let Some(id) = write.get(&ORDER, &seq.to_be_bytes())? else { continue };
        let Some(mut alert) = write.get(&ALERTS, id.as_bytes())? else { continue };
        let Some(delivery) = alert.deliveries.get_mut(sink).filter(|delivery| !delivery.refused) else { continue };
        // By the time at which it was found it comes before what was found later.
        let due = alert.finding.found_at.min(now);
        delivery.next_attempt_at = Some(due);
        write.remove(&QUEUE, &row)?;
        write.put(&QUEUE, &item.key(sink, due), &item)?;
        write.put(&ALERTS, id.as_bytes(), &alert)?;
    }
    Ok(())
}

/// Remembers the sinks that there are, and forgets what was to be sent to others, at most `limit` things; whether
/// there is more to forget.
///
/// # Errors
/// Where the database fails.
pub fn forget(write: &mut Write, sinks: &[&str], limit: usize) -> Result<bool, StateError> {
    for sink in sinks {
        write.put(&SINKS, &key(sink, &[]), &())?;
    }
    let mut left = limit;
    for (row, ()) in write.first(&SINKS, &[], usize::MAX)? {
        let Some(sink) = row.strip_suffix(&[0]).and_then(|name| str::from_utf8(name).ok()) else { continue };
        if sinks.contains(&sink) {
            continue;
        }
        let queued = write.first(&QUEUE, &row, left)?;
        let held = write.first(&HELD, &row, left)?;
        left = left.saturating_sub(queued.len().max(held.len()));
        for (entry, _) in held {
            write.remove(&HELD, &entry)?;
        }
        for (entry, item) in queued {
            write.remove(&QUEUE, &entry)?;
            drop_item(write, sink, item)?;
        }
        if left == 0 {
            return Ok(true);
        }
        write.remove(&SINKS, &row)?;
    }
    Ok(false)
}

fn drop_item(write: &mut Write, sink: &str, item: Item) -> Result<(), StateError> {
    let seqs = match item {
        Item::Alert(seq) => vec![seq],
        Item::Digest(planned) => {
            let row = key(sink, &planned.to_be_bytes());
            let seqs = write.get(&DIGESTS, &row)?.map_or(Vec::new(), |digest| digest.seqs);
            write.remove(&DIGESTS, &row)?;
            seqs
        }
    };
    for seq in seqs {
        let Some(id) = write.get(&ORDER, &seq.to_be_bytes())? else { continue };
        let Some(mut alert) = write.get(&ALERTS, id.as_bytes())? else { continue };
        alert.deliveries.remove(sink);
        write.put(&ALERTS, id.as_bytes(), &alert)?;
    }
    Ok(())
}

/// Removes alerts found before `cutoff` that everybody has who should, looking at `limit` from the place `start`
/// on; the place to go on from, or `None` where the rest is newer. What is undelivered stays. Evidence is elsewhere,
/// and stays too.
///
/// # Errors
/// Where the database fails.
pub fn prune(write: &mut Write, cutoff: UnixMillis, start: u64, limit: usize) -> Result<Option<u64>, StateError> {
    let planned = write.get(&COUNTERS, PLANNED)?.unwrap_or(0);
    let rows = write.onwards(&ORDER, &start.to_be_bytes(), limit)?;
    let next = rows.last().map(|(row, _)| seq_of(row)).transpose()?.map(|seq| seq.saturating_add(1));
    for (row, id) in rows {
        let seq = seq_of(&row)?;
        let Some(alert) = write.get(&ALERTS, id.as_bytes())? else { continue };
        if seq > planned || alert.finding.found_at >= cutoff {
            return Ok(None);
        }
        if alert.is_pending() {
            continue;
        }
        write.remove(&ALERTS, id.as_bytes())?;
        write.remove(&ORDER, &row)?;
        if alert.acknowledged_at.is_none() {
            tally(write, alert.finding.class.severity(), false)?;
        }
        for sink in alert.deliveries.keys() {
            write.remove(&HELD, &key(sink, &seq.to_be_bytes()))?;
        }
    }
    Ok(next)
}

/// What a sink must be told again, at most `limit` from the place `start` on.
///
/// # Errors
/// Where the database fails.
pub fn held(read: &Read, sink: &str, start: u64, limit: usize) -> Result<Vec<Alert>, StateError> {
    let prefix = key(sink, &[]);
    let rows = read.onwards(&HELD, &key(sink, &start.to_be_bytes()), limit)?;
    let mut alerts = Vec::with_capacity(rows.len());
    for (row, ()) in rows.iter().take_while(|(row, ())| row.starts_with(&prefix)) {
        alerts.extend(lookup::at(read, seq_of(row)?)?);
    }
    Ok(alerts)
}

/// Notes that a sink need not be told of these any more.
///
/// # Errors
/// Where the database fails.
pub fn release(write: &mut Write, sink: &str, seqs: &[u64]) -> Result<(), StateError> {
    for seq in seqs {
        write.remove(&HELD, &key(sink, &seq.to_be_bytes()))?;
    }
    Ok(())
}
