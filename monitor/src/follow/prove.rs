//! Proofs for alerts: that an entry is in the tree of the head that it was verified with.

use std::time::Duration;

use atl::api::ProofQuery;
use atl::client::LogClient;
use atl::log::checkpoint::Origin;
use atl::merkle::{Hash, InclusionPlan, LeafIndex, Tile, TilePath, verify_inclusion};
use atl::time::UnixMillis;
use tokio::time::{Instant, timeout_at};

use super::position::{Due, Pending};
use crate::finding::{Class, EntryRef, Finding};
use crate::head::SignedHead;

/// Proofs asked for at once.
const AT_ONCE: usize = 8;

/// What asking a log for proofs needs.
pub(super) struct Asking<'a> {
    /// The way to the log.
    pub client: &'a LogClient,
    /// Its name.
    pub log: &'a Origin,
    /// The head that covers the entries.
    pub head: &'a SignedHead,
    /// For how long alerts wait for all of the proofs together.
    pub patience: Duration,
}

impl Asking<'_> {
    /// Adds to what is due the head that covers it, and to findings about entries the proof of that. An alert that is
    /// due is more urgent than its proof: where the log gives none, or keeps us waiting, the alert says so.
    pub(super) async fn attach(&self, due: Vec<Due>, now: UnixMillis) -> Vec<Due> {
        let until = Instant::now() + self.patience;
        let mut proven = Vec::with_capacity(due.len());
        let mut rest = due.into_iter();
        loop {
            let start = |(key, pending): Due| {
                let (client, log, head) = (self.client.clone(), self.log.clone(), self.head.clone());
                let fallback = (key.clone(), pending.clone());
                let attach = async move { attach_one(&client, &log, &head, (key, pending), until, now).await };
                (fallback, tokio::spawn(attach))
            };
            let running: Vec<_> = rest.by_ref().take(AT_ONCE).map(start).collect();
            if running.is_empty() {
                return proven;
            }
            for (fallback, task) in running {
                // A task that broke off takes its proof with it, and never the alert.
                proven.extend(task.await.unwrap_or_else(|_| vec![fallback]));
            }
        }
    }
}

async fn attach_one(
    client: &LogClient,
    log: &Origin,
    head: &SignedHead,
    (key, pending): Due,
    until: Instant,
    now: UnixMillis,
) -> Vec<Due> {
    let Pending::Finding(finding) = pending else { return vec![(key, pending)] };
    let Some(entry) = finding.entry.clone() else { return vec![(key, Pending::Finding(finding))] };
    let in_time = match Instant::now() < until {
        true => timeout_at(until, prove(client, &entry, head)).await.ok(),
        false => None,
    };
    let (proof, garbage) = in_time.unwrap_or_else(|| (Err("the log did not give it in time".into()), None));
    let finding = finding.with_proof(entry.index, head, proof.as_deref().map_err(String::as_str));
    let mut due = vec![(key.clone(), Pending::Finding(Box::new(finding)))];
    if let Some(reason) = garbage {
        let summary = format!("{log} proves the inclusion of entry {} wrongly: {reason}", entry.index);
        let subject = format!("inclusion of {}", entry.index);
        let finding = Finding::new(Class::ProofGarbage, Some(log), &subject, summary, now);
        due.push((key, Pending::Finding(Box::new(finding))));
    }
    due
}

/// The inclusion proof of an entry, verified: as the log gives it, else as its tiles do. And what is wrong with the one
/// that it gives, if it gives a wrong one.
async fn prove(client: &LogClient, entry: &EntryRef, head: &SignedHead) -> (Result<Vec<Hash>, String>, Option<String>) {
    let leaf = entry.cert_hash.leaf_hash();
    let check = |proof: &[Hash]| verify_inclusion(&leaf, entry.index, head.size(), proof, &head.root());
    let query = ProofQuery { hash: leaf, tree_size: Some(head.size()) };
    let (reason, garbage) = match client.proof_by_hash(query).await {
        Ok(answer) => match check(&answer.inclusion) {
            Ok(()) => return (Ok(answer.inclusion), None),
            // The same certificate twice: the proof may be right for the other leaf.
            Err(_) if answer.leaf_index != entry.index => (format!("the log proves leaf {}", answer.leaf_index), None),
            Err(error) => (error.to_string(), Some(error.to_string())),
        },
        Err(error) => (error.to_string(), None),
    };
    match from_tiles(client, entry.index, head).await {
        Some(proof) if check(&proof).is_ok() => (Ok(proof), garbage),
        _ => (Err(reason), garbage),
    }
}

async fn from_tiles(client: &LogClient, index: LeafIndex, head: &SignedHead) -> Option<Vec<Hash>> {
    let plan = InclusionPlan::new(index, head.size()).ok()?;
    let mut tiles = Vec::new();
    for id in plan.tiles() {
        let path = TilePath::hashes(*id, id.width_at(head.size())?);
        tiles.push(Tile::from_octets(&client.tile(&path.to_string()).await.ok()?).ok()?);
    }
    plan.prove(&tiles).ok()
}
