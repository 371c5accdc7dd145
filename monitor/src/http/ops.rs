//! What the monitor says to those who run it: whether it lives, whether it is ready, and its metrics.
//!
//! `/healthz` is about trust as much as about life: it turns red where a log is proven to have misbehaved, so that
//! whatever restarts or alerts on unhealthy processes makes somebody look. `/readyz` is about whether what the monitor
//! shows is up to date.

use std::sync::Arc;

use atl::time::UnixMillis;
use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};
use rustix::fs::Access;
use serde::Serialize;

use super::{Response, Router, Shared, metrics, reply};
use crate::board::{FeedStatus, LogStatus, Standing};

/// Octets that must be free on the disk: one piece of evidence may have so many, and somebody must come in time.
const LEAST_FREE: u64 = 128 << 20;

/// Seconds for which a source of the owner's feed may be unreadable before the monitor is not ready. Certificates wait
/// for it an hour, and then are told as unauthorised ([`PATIENCE`](crate::rules::unauthorised::PATIENCE)): somebody must
/// come before that.
const FEED_PATIENCE: u64 = 600;

/// One thing that must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at: a log by its origin, a source of the owner's feed by `feed` and its name, `database` or
    /// `evidence`.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    pub detail: String,
}

/// Adds `/healthz`, `/readyz` and `/metrics`. A log that was last verified more than `max_verified_age_seconds` ago
/// makes the monitor not ready.
#[must_use]
pub fn routes(router: Router, shared: &Arc<Shared>, max_verified_age_seconds: u32) -> Router {
    let (health, ready, metered) = (Arc::clone(shared), Arc::clone(shared), Arc::clone(shared));
    router
        .quick("/healthz", move |_| healthz(&faults(&health.board.standing())))
        .quick("/metrics", move |_| metrics::answer(&metered.board.standing(), free(&metered), metered.clock.now()))
        .probe("/readyz", move |_| readyz(&readiness(&ready, max_verified_age_seconds)))
}

/// Why the monitor's health is red; nothing where it is not.
pub fn faults(standing: &Standing) -> Vec<String> {
    let broken = standing.broken.iter().map(|why| format!("the monitor does not do its work: {why}"));
    let frozen = standing.logs.iter().filter_map(|(origin, log)| {
        let evidence = log.frozen.as_ref()?;
        Some(format!("{origin}: the log is proven to have misbehaved; the evidence is {evidence}"))
    });
    let unkept = standing
        .unkept
        .iter()
        .map(|why| format!("what was found is not told, since its evidence cannot be kept: {why}"));
    broken.chain(unkept).chain(frozen).collect()
}

/// Whether a log is verified, and was so lately.
pub fn freshness(origin: &str, log: Option<&LogStatus>, max_age_seconds: u32, now: UnixMillis) -> Check {
    let check = |ok, detail| Check { name: origin.to_owned(), ok, detail };
    let error = log.and_then(|log| log.error.as_ref()).map_or(String::new(), |error| format!("; lately: {error}"));
    let Some(at) = log.and_then(|log| log.last_verified_at) else {
        let (have, of) = log.map_or((0, 0), |log| (log.verified, log.head_size));
        return check(false, format!("not verified yet up to a head, {have} of {of} entries so far{error}"));
    };
    // A moment that is still to come says that the clock has been set back, and nothing about the log.
    let age = now.since(at).max(at.since(now)) / 1000;
    if age > u64::from(max_age_seconds) {
        let when = if at > now { "ahead of the clock here" } else { "ago" };
        return check(false, format!("verified {age} s {when}, more than {max_age_seconds} s{error}"));
    }
    check(true, format!("verified {age} s ago"))
}

/// Whether a source of the owner's feed is read, and was so lately.
pub fn fed(name: &str, feed: &FeedStatus, now: UnixMillis) -> Check {
    let check = |ok, detail| Check { name: format!("feed {name}"), ok, detail };
    let why = feed.error.as_ref().map_or(String::new(), |error| format!("; lately: {error}"));
    let Some(at) = feed.last_read_at else { return check(false, format!("not read yet{why}")) };
    let age = now.since(at).max(at.since(now)) / 1000;
    // One that is read seldom is no worse for that, unless the last reading failed.
    let most = match feed.error {
        Some(_) => FEED_PATIENCE,
        None => FEED_PATIENCE.max(2 * u64::from(feed.poll_seconds)),
    };
    match age > most {
        true => check(false, format!("last read {age} s ago, more than {most} s{why}")),
        false => check(true, format!("last read {age} s ago{why}")),
    }
}

fn readiness(shared: &Shared, max_age_seconds: u32) -> Vec<Check> {
    let (standing, now) = (shared.board.standing(), shared.clock.now());
    let logs = shared.logs.iter().map(|log| log.origin.as_str());
    let fresh = logs.map(|origin| freshness(origin, standing.logs.get(origin), max_age_seconds, now));
    let database = match (shared.state.probe(), &standing.broken) {
        (Err(error), _) => Err(error.to_string()),
        (Ok(()), Some(why)) => Err(why.clone()),
        (Ok(()), None) => Ok("answers".to_owned()),
    };
    let dir = shared.evidence_dir.display();
    let evidence = match (rustix::fs::access(&shared.evidence_dir, Access::WRITE_OK), &standing.unkept) {
        (Err(error), _) => Err(format!("{dir}: {error}")),
        (Ok(()), Some(why)) => Err(why.clone()),
        (Ok(()), None) => room(free(shared)).map_err(|why| format!("{dir}: {why}")),
    };
    let feeds = standing.feeds.iter().map(|(name, feed)| fed(name, feed, now));
    std::iter::once(check("database", database))
        .chain(fresh)
        .chain(feeds)
        .chain([check("evidence", evidence)])
        .collect()
}

/// Octets that are free on the disk of the evidence, where the system says so.
fn free(shared: &Shared) -> Option<u64> {
    let found = rustix::fs::statvfs(&shared.evidence_dir).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Whether there is room for more evidence, with so many octets free.
fn room(free: Option<u64>) -> Result<String, String> {
    match free {
        Some(octets @ ..LEAST_FREE) => Err(format!("only {} MiB are free on its disk", octets >> 20)),
        _ => Ok("can be kept".to_owned()),
    }
}

fn check(name: &str, found: Result<String, String>) -> Check {
    Check { name: name.to_owned(), ok: found.is_ok(), detail: found.unwrap_or_else(|error| error) }
}

fn healthz(faults: &[String]) -> Response {
    if faults.is_empty() {
        return reply::text("ok\n");
    }
    let mut response = reply::text(faults.iter().map(|fault| format!("{fault}\n")).collect::<String>());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}

fn readyz(checks: &[Check]) -> Response {
    let ready = checks.iter().all(|check| check.ok);
    let mut response = reply::json(&serde_json::json!({ "ready": ready, "checks": checks }));
    if !ready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return reply::with(response, RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_red_on_proven_misbehaviour_and_on_a_monitor_that_does_not_work() {
        let mut standing = Standing::default();
        standing.logs.insert("log.example/1".into(), LogStatus::default());
        assert_eq!(faults(&standing), Vec::<String>::new());
        standing.logs.insert("log.example/2".into(), LogStatus { frozen: Some("abc".into()), ..LogStatus::default() });
        let frozen = "log.example/2: the log is proven to have misbehaved; the evidence is abc";
        assert_eq!(faults(&standing), [frozen]);
        standing.broken = Some("disk full".into());
        assert_eq!(faults(&standing), ["the monitor does not do its work: disk full", frozen]);
        (standing.broken, standing.unkept) = (None, Some("read-only".into()));
        let unkept = "what was found is not told, since its evidence cannot be kept: read-only";
        assert_eq!(faults(&standing), [unkept, frozen]);
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_told_before_it_is() {
        assert_eq!(room(Some(LEAST_FREE - 1)), Err("only 127 MiB are free on its disk".into()));
        assert_eq!([room(Some(LEAST_FREE)), room(None)], [Ok("can be kept".into()), Ok("can be kept".into())]);
    }

    #[test]
    fn a_feed_that_cannot_be_read_is_told_before_its_certificates_are() {
        let now = UnixMillis::new(10_000_000);
        let of = |seconds: Option<u64>, error: Option<&str>, poll_seconds| {
            let last_read_at = seconds.map(|seconds| UnixMillis::new(now.get() - seconds * 1000));
            let found = fed("dir", &FeedStatus { last_read_at, error: error.map(str::to_owned), poll_seconds }, now);
            assert_eq!(found.name, "feed dir");
            (found.ok, found.detail)
        };
        assert_eq!(of(None, None, 30), (false, "not read yet".into()));
        assert_eq!(of(None, Some("gone"), 30), (false, "not read yet; lately: gone".into()));
        assert_eq!(of(Some(600), Some("gone"), 30), (true, "last read 600 s ago; lately: gone".into()));
        let late = "last read 601 s ago, more than 600 s; lately: gone";
        assert_eq!(of(Some(601), Some("gone"), 3600), (false, late.into()));
        assert!(!of(Some(601), None, 30).0 && of(Some(7200), None, 3600).0 && !of(Some(7201), None, 3600).0);
        const { assert!(FEED_PATIENCE * 1000 < crate::rules::unauthorised::PATIENCE) };
    }

    #[test]
    fn a_log_is_fresh_until_it_was_not_verified_for_too_long() {
        let now = UnixMillis::new(1_000_000);
        let fresh = |log: Option<LogStatus>| {
            let check = freshness("x", log.as_ref(), 60, now);
            (check.ok, check.detail)
        };
        let verified = |at| Some(LogStatus { last_verified_at: Some(UnixMillis::new(at)), ..LogStatus::default() });
        assert_eq!(fresh(None), (false, "not verified yet up to a head, 0 of 0 entries so far".into()));
        let behind = LogStatus { verified: 3, head_size: 9, error: Some("refused".into()), ..LogStatus::default() };
        assert_eq!(
            fresh(Some(behind)),
            (false, "not verified yet up to a head, 3 of 9 entries so far; lately: refused".into())
        );
        assert_eq!(fresh(verified(939_001)), (true, "verified 60 s ago".into()));
        assert_eq!(fresh(verified(939_000)), (false, "verified 61 s ago, more than 60 s".into()));
        assert!(fresh(verified(1_060_999)).0);
        let ahead = "verified 61 s ahead of the clock here, more than 60 s";
        assert_eq!(fresh(verified(1_061_000)), (false, ahead.into()));
    }
}
