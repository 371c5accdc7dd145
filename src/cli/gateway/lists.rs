//! Revocation lists from where the configuration says that they are, fetched in the background.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::knowledge::Known;
use crate::apki::status::crl::Crl;
use crate::cli::output::{CliError, Context};
use crate::cli::relying::material::RemoteList;
use crate::cli::relying::online::Net;
use crate::client;
use crate::config::RelyingConfig;
use crate::http::gateway::metrics::GatewayMetrics;
use crate::http::serve::stopped;
use crate::verify::relying::{Domains, RevocationLists};

/// How soon it is tried again where a list could not be had.
const AGAIN: Duration = Duration::from_secs(5);
/// How long it is waited for the first lists before anybody is answered.
const FIRST: Duration = Duration::from_secs(10);

/// Fetches all lists for the first time, as far as they can be had soon. Whether they all are there.
pub async fn first_lists(known: &Arc<Known>, metrics: &Arc<GatewayMetrics>) -> bool {
    tokio::time::timeout(FIRST, round(known, metrics)).await.unwrap_or(false)
}

/// Fetches all lists again and again, and at once where the files say something new, until `stop` turns true.
/// `all` says whether they are all there at first.
pub async fn keep_lists(
    known: Arc<Known>,
    metrics: Arc<GatewayMetrics>,
    mut all: bool,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let regular = Duration::from_secs(known.snapshot().config.refresh.lists_seconds.into());
        let wait = if all { regular } else { regular.min(AGAIN) };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = known.news() => {}
            () = stopped(&mut stop) => return,
        }
        known.forget();
        tokio::select! {
            had = round(&known, &metrics) => all = had,
            () = stopped(&mut stop) => return,
        }
    }
}

/// Fetches all lists, at one time, since one that cannot be had takes its time.
async fn round(known: &Arc<Known>, metrics: &Arc<GatewayMetrics>) -> bool {
    let snapshot = known.snapshot();
    let mut under_way = JoinSet::new();
    for place in 0..snapshot.remote.len() {
        let (known, metrics, snapshot) = (Arc::clone(known), Arc::clone(metrics), Arc::clone(&snapshot));
        under_way.spawn(async move {
            let Some(list) = snapshot.remote.get(place) else { return false };
            let net = snapshot.fetch.as_ref().map(|(_, net)| net);
            let found = fetch(list, net, &snapshot.material.party.domains).await;
            metrics.fetched("lists", found.is_ok());
            match found {
                Ok(lists) => {
                    known.fetched(list, &lists, snapshot.material.generation);
                    true
                }
                Err(error) => {
                    tracing::warn!(url = list.url, %error, "a revocation list cannot be had");
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

async fn fetch(list: &RemoteList, net: Option<&Net>, domains: &Domains) -> Result<RevocationLists, CliError> {
    let net = match net {
        Some(net) => net.again(),
        // These the configuration names itself, also where nobody is to be asked on a certificate's word.
        None => Net::open(&RelyingConfig::usual_fetch())?,
    };
    let octets = net.within(client::crl(&net.http, &list.url)).await.map_err(|e| CliError::new(e.to_string()))?;
    let mut lists = RevocationLists::default();
    lists.add(Crl::parse(octets).context("the list")?, &list.signer, domains).context("the list")?;
    Ok(lists)
}
