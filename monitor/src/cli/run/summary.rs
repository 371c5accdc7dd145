//! What is watched, in words: at the start, and on the page.

use super::parts::Monitor;
use crate::config::MonitorConfig;
use crate::text::grouped;

/// What is told at the start.
pub fn lines(config: &MonitorConfig, monitor: &Monitor) -> Vec<String> {
    let mut lines = Vec::new();
    for followed in &config.logs {
        let (log, seconds) = (&followed.log, followed.poll_seconds);
        lines.push(format!("follows {} at {} every {seconds} s", log.origin, log.url));
    }
    if config.logs.is_empty() {
        lines.push("follows no log: add [[logs]] to the configuration".into());
    }
    lines.extend(watching(config, monitor));
    let peers: Vec<&str> = config.gossip.peers.iter().map(|peer| peer.name.as_str()).collect();
    lines.push(match peers.as_slice() {
        [] => "exchanges heads with nobody: a log that shows others another tree is not found out ([[peers]])".into(),
        peers => format!("exchanges heads with {}", peers.join(", ")),
    });
    if config.witness.is_some() {
        lines.push("is a witness: cosigns checkpoints of the logs that it follows".into());
    }
    let sinks: Vec<&str> = config.alerts.sinks.iter().map(|sink| sink.route.sink.as_str()).collect();
    lines.push(match sinks.as_slice() {
        [] => "tells nobody: add a sink under [alerts], or look at the page".into(),
        sinks => format!("tells {}", sinks.join(", ")),
    });
    lines
}

/// What is watched for in the entries, a line each.
pub fn watching(config: &MonitorConfig, monitor: &Monitor) -> Vec<String> {
    let owner = &config.owner;
    let mut lines = Vec::new();
    if owner.domains.is_empty() && owner.organizations.is_empty() {
        lines.push("watches for no owner: [owner] names trust domains and organisations".into());
    }
    for domain in &owner.domains {
        let fed = if config.feed.is_some() {
            "whatever the owner's feed does not have is told"
        } else {
            "which certificates its owner ordered is not known, since there is no [feed]"
        };
        lines.push(format!("watches the trust domain {domain}: {fed}"));
    }
    for organization in &owner.organizations {
        lines.push(format!("watches for the organisation {organization:?} in other domains"));
    }
    if monitor.names > 0 {
        let names = grouped(monitor.names as u64);
        lines.push(format!("watches for look-alikes of {names} trust domains, from a score of {} on", alert(config)));
    }
    lines
}

fn alert(config: &MonitorConfig) -> u8 {
    config.lookalike.alert.get()
}
