//! Bundles kept fresh in the background, for servers and for `atl federation refresh --watch`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::refresh::{Outcome, Report, refresh};
use super::state::State;
use crate::apki::federation::TrustDomain;
use crate::cli::random;
use crate::http::serve::stopped;
use crate::time::{Clock, UnixMillis};

/// How often to look whether something is due, and whether domains were added or removed.
const TICK: Duration = Duration::from_secs(10);
/// The shortest wait between two looks at one bundle.
const SHORTEST_MS: u64 = 10_000;
/// The wait after a first failure; it doubles with each further one.
const FIRST_PAUSE_MS: u64 = 30_000;
/// The longest wait: bundles are refreshed at least daily (draft 10.1).
const LONGEST_MS: u64 = 86_400_000;

/// When a domain is to be asked again.
#[derive(Clone, Copy)]
struct Plan {
    at: UnixMillis,
    failures: u32,
}

/// Keeps the bundles in the directory of `atl federation` fresh until `stop` turns true, and writes what
/// happens to the log. A server runs it beside its other tasks; domains may be added and removed
/// meanwhile.
pub async fn keep(dir: PathBuf, clock: Arc<dyn Clock>, stop: watch::Receiver<bool>) {
    let told = |report: &Report| {
        let (domain, said) = (report.domain.as_str(), report.lines().join("; "));
        match report.outcome {
            Outcome::Same => tracing::debug!(domain, "{said}"),
            Outcome::First => tracing::info!(domain, "{said}"),
            Outcome::Changed | Outcome::Kept => tracing::warn!(domain, "{said}"),
            Outcome::Failed => tracing::error!(domain, "{said}"),
        }
    };
    keep_telling(State::at(&dir), clock, stop, told).await;
}

/// The same, telling `told` what came of each refreshing.
pub async fn keep_telling(
    state: State,
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
    told: impl Fn(&Report) + Send,
) {
    let mut plans: BTreeMap<TrustDomain, Plan> = BTreeMap::new();
    loop {
        match state.domains() {
            Ok(domains) => {
                plans.retain(|domain, _| domains.contains(domain));
                for domain in domains {
                    let plan = plans.get(&domain).copied();
                    if plan.is_some_and(|plan| clock.now() < plan.at) {
                        continue;
                    }
                    let report = tokio::select! {
                        report = refresh(&state, &domain, &*clock) => report,
                        () = stopped(&mut stop) => return,
                    };
                    told(&report);
                    let before = plan.map_or(0, |plan| plan.failures);
                    let plan = plan_next(&state, &report, before, clock.now());
                    plans.insert(domain, plan);
                }
            }
            Err(error) => tracing::error!(%error, "the pinned domains cannot be read"),
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

fn plan_next(state: &State, report: &Report, failures: u32, now: UnixMillis) -> Plan {
    let failed = matches!(report.outcome, Outcome::Kept | Outcome::Failed);
    let failures = if failed { failures.saturating_add(1) } else { 0 };
    let refresh_seconds = state.get(&report.domain).map_or(3600, |pinned| pinned.pin.refresh_seconds);
    let left = report.expires_at.map(|end| end.since(now));
    // Without randomness everybody is as late as can be.
    let chance = random::<2>().map_or(0, u16::from_be_bytes);
    Plan { at: now.saturating_add(wait_ms(refresh_seconds, left, failures, chance)), failures }
}

/// Milliseconds to the next look: after the domain's own time, or half of what the bundle at hand has
/// left, whichever is sooner; after failures sooner still, each time twice as late. Up to a quarter is
/// taken off by `chance`, so that those who began together do not go on together.
fn wait_ms(refresh_seconds: u32, left_ms: Option<u64>, failures: u32, chance: u16) -> u64 {
    let pause = match failures {
        0 => LONGEST_MS,
        n => FIRST_PAUSE_MS.saturating_mul(1 << (n - 1).min(12)),
    };
    // Of a bundle that ran out there is no half: the pause alone counts.
    let half = left_ms.filter(|left| *left > 0).map_or(LONGEST_MS, |left| left / 2);
    let longest = (u64::from(refresh_seconds) * 1000).min(half).min(pause).min(LONGEST_MS);
    let earlier = longest / 4 * u64::from(chance) / u64::from(u16::MAX);
    (longest - earlier).max(SHORTEST_MS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sooner_of_its_time_and_half_of_its_life() {
        let hour = 3_600_000;
        assert_eq!(wait_ms(3600, Some(24 * hour), 0, 0), hour);
        assert_eq!(wait_ms(86_400, Some(24 * hour), 0, 0), 12 * hour);
        assert_eq!(wait_ms(86_400, Some(24 * hour), 0, u16::MAX), 9 * hour);
        assert_eq!(wait_ms(86_400, Some(240 * hour), 0, 0), 24 * hour);
        assert_eq!([1, 2, 3, 40].map(|n| wait_ms(3600, None, n, 0)), [30_000, 60_000, 120_000, hour]);
        assert_eq!(wait_ms(3600, Some(1000), 0, 0), SHORTEST_MS);
    }

    proptest! {
        #[test]
        fn never_at_once_and_at_least_daily(
            seconds in 60u32..=86_400, left in prop::option::of(any::<u64>()), failures: u32, chance: u16,
        ) {
            let wait = wait_ms(seconds, left, failures, chance);
            prop_assert!((SHORTEST_MS..=LONGEST_MS).contains(&wait));
            let half = left.filter(|left| *left > 0).map_or(u64::MAX, |left| left / 2);
            prop_assert!(wait <= half.max(SHORTEST_MS));
        }
    }
}
