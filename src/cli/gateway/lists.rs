//! Revocation lists from where the configuration says that they are, fetched in the background.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

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
/// Fetches all lists again and again, until `stop` turns true.
pub async fn keep_lists(known: Arc<Known>, metrics: Arc<GatewayMetrics>, mut stop: watch::Receiver<bool>) {
    loop {
        let snapshot = known.snapshot();
        let mut all = true;
        for list in &snapshot.remote {
            match fetch(list, snapshot.fetch.as_ref().map(|(_, net)| net), &snapshot.material.party.domains).await {
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
