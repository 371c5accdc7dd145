//! Revocation lists from where the configuration says that they are, fetched in the background.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::knowledge::Known;
use crate::apki::chain::Anchors;
use crate::apki::status::crl::Crl;
use crate::cli::agent::tls::http_client;
use crate::cli::log::open::read_certificates;
use crate::cli::output::{CliError, Context};
use crate::cli::relying::material::RemoteList;
use crate::client;
use crate::config::relying::Fetch;
use crate::http::gateway::metrics::GatewayMetrics;
use crate::http::serve::stopped;
use crate::verify::relying::{Domains, RevocationLists};

/// How soon it is tried again where a list could not be had.
const AGAIN: Duration = Duration::from_secs(5);
/// How long a list may take to come, where the configuration says nothing of it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches all lists again and again, until `stop` turns true.
pub async fn keep_lists(known: Arc<Known>, metrics: Arc<GatewayMetrics>, mut stop: watch::Receiver<bool>) {
    loop {
        let snapshot = known.snapshot();
        let mut all = true;
        for list in &snapshot.remote {
            match fetch(list, snapshot.fetch.as_ref(), &snapshot.material.party.domains).await {
                Ok(lists) => known.learn_lists(&lists, snapshot.material.generation),
                Err(error) => {
                    tracing::warn!(url = list.url, %error, "a revocation list cannot be had");
                    all = false;
                }
            }
            metrics.fetched("lists", all);
        }
        let regular = Duration::from_secs(snapshot.config.refresh.lists_seconds.into());
        let wait = if all { regular } else { regular.min(AGAIN) };
        drop(snapshot);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

async fn fetch(list: &RemoteList, rules: Option<&Fetch>, domains: &Domains) -> Result<RevocationLists, CliError> {
    let roots = rules.and_then(|rules| rules.ca_roots.as_ref()).map(|file| {
        Anchors::new(read_certificates(file)?).context(format_args!("{} (`fetch.ca_roots`)", file.display()))
    });
    let http = http_client(roots.transpose()?, None).context("the HTTP client")?;
    let timeout = rules.map_or(TIMEOUT, |rules| Duration::from_secs(rules.timeout_seconds.into()));
    let late = |_| CliError::new(format!("no answer within {} s", timeout.as_secs()));
    let octets = tokio::time::timeout(timeout, client::crl(&http, &list.url)).await.map_err(late)?;
    let crl = Crl::parse(octets.map_err(|e| CliError::new(e.to_string()))?).context("the list")?;
    let mut lists = RevocationLists::default();
    lists.add(crl, &list.signer, domains).context("the list")?;
    Ok(lists)
}
