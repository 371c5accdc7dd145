//! Monitors' audit statements about the trusted logs, fetched in the background.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::knowledge::Known;
use super::snapshot::Snapshot;
use crate::cli::relying::online::audit;
use crate::http::gateway::metrics::GatewayMetrics;
use crate::http::serve::stopped;

/// How soon it is tried again where a statement could not be had.
const AGAIN: Duration = Duration::from_secs(10);
/// How long it is waited for the first statements before anybody is answered.
const FIRST: Duration = Duration::from_secs(10);

/// Fetches all statements for the first time, as far as they can be had soon. Whether they all are there.
pub async fn first_audits(known: &Arc<Known>, metrics: &Arc<GatewayMetrics>) -> bool {
    tokio::time::timeout(FIRST, round(known, metrics)).await.unwrap_or(false)
}

/// Fetches all statements again and again, and at once where the files say something new, until `stop` turns true.
/// `all` says whether they are all there at first.
pub async fn keep_audits(
    known: Arc<Known>,
    metrics: Arc<GatewayMetrics>,
    mut all: bool,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let regular = regular(&known.snapshot());
        let wait = if all { regular } else { regular.min(AGAIN) };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = known.audit_news() => {}
            () = stopped(&mut stop) => return,
        }
        tokio::select! {
            had = round(&known, &metrics) => all = had,
            () = stopped(&mut stop) => return,
        }
    }
}

/// As often as lists, and often enough that one miss lets no statement grow too old.
fn regular(snapshot: &Snapshot) -> Duration {
    let lists = Duration::from_secs(snapshot.config.refresh.lists_seconds.into());
    let within = snapshot.material.party.policy.audited_within;
    within.map_or(lists, |within| lists.min(Duration::from_millis(within / 3)))
}

/// Asks every monitor about every log, at one time.
async fn round(known: &Arc<Known>, metrics: &Arc<GatewayMetrics>) -> bool {
    let snapshot = known.snapshot();
    let Some(net) = snapshot.audit_net() else { return true };
    let net = net.again();
    let mut under_way = JoinSet::new();
    for (monitor, log) in snapshot.audits_wanted() {
        let (known, metrics, net) = (Arc::clone(known), Arc::clone(metrics), net.clone());
        let (monitor, log, snapshot) = (monitor.clone(), log, Arc::clone(&snapshot));
        under_way.spawn(async move {
            let material = &snapshot.material;
            let said = audit(&net, &monitor, &log, &material.party.logs).await;
            metrics.fetched("audits", said.is_ok());
            match said {
                Ok(audited) => {
                    if !audited.consistent {
                        tracing::error!(%log, monitor = %monitor.key.name(), "the log is said to have misbehaved");
                    }
                    known.audited(&monitor, audited, material.generation);
                    true
                }
                Err(error) => {
                    tracing::warn!(%log, monitor = %monitor.key.name(), %error, "an audit statement cannot be had");
                    false
                }
            }
        });
    }
    let mut all = true;
    while let Some(ended) = under_way.join_next().await {
        all &= ended.unwrap_or(false);
    }
    all
}
