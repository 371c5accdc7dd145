//! What somebody who is told of an entry sees of it: the certificate in words, and the proof that it is logged.

use std::time::Duration;

use atl::time::UnixMillis;

use super::ask::{Inclusion, Respondent};
use super::decide::Found;
use super::gather::{Not, locate};
use super::line::Located;
use crate::finding::{EntryRef, Finding, INCLUSION_PROOF};

/// How long that may take: whoever keeps us waiting must not keep an alert from being seen.
const PATIENCE: Duration = Duration::from_secs(10);

/// The detail with the name of the agent, which rules about an entry have put there with the rest of its certificate.
const IN_WORDS: &str = "agent";

/// The entry with its certificate and the proof that it is logged, where the log gives both in time.
pub(super) async fn located(log: &Respondent, entry: &EntryRef, now: UnixMillis) -> Option<Located> {
    match log.rests_until(now) {
        Some(_) => None,
        None => tokio::time::timeout(PATIENCE, locate(log, entry.cert_hash, now)).await.ok()?.ok(),
    }
}

/// Adds to a finding about an entry of `log` what is missing, unless its evidence has the entry with its proof. Where
/// the log does not give it, the finding says so.
pub(super) async fn shown(log: &Respondent, mut found: Found, now: UnixMillis) -> Found {
    let in_evidence = found.exhibit.as_ref().is_some_and(|exhibit| !exhibit.certificates.is_empty());
    let is_shown = found.finding.details.iter().any(|(name, _)| name == INCLUSION_PROOF);
    if in_evidence || is_shown {
        return found;
    }
    let bare = found.finding.clone();
    let asked = match log.rests_until(now) {
        Some(_) => None,
        None => tokio::time::timeout(PATIENCE, with_entry(log, found.finding, now)).await.ok(),
    };
    found.finding = asked.unwrap_or_else(|| without(bare, "the log does not answer"));
    found
}

fn without(finding: Finding, why: &str) -> Finding {
    finding.with(INCLUSION_PROOF, format_args!("not to be had: {why}"))
}

async fn with_entry(log: &Respondent, finding: Finding, now: UnixMillis) -> Finding {
    let Some(entry) = finding.entry.clone() else { return finding };
    if finding.details.iter().any(|(name, _)| name == IN_WORDS) {
        return match log.inclusion(entry.cert_hash.leaf_hash(), now).await {
            Inclusion::Proven(proof) => finding.with_proof(proof.index, &proof.head, Ok(&proof.path)),
            Inclusion::Absent { .. } => without(finding, "the log says that it does not have it"),
            Inclusion::Garbage { reason, .. } => without(finding, &reason),
            Inclusion::Failed(failure) => without(finding, &failure.why),
        };
    }
    match locate(log, entry.cert_hash, now).await {
        Ok(own) => finding.with("certificate", own.words()).with_proof(own.index, &own.head, Ok(&own.inclusion)),
        Err(Not::There(..)) => without(finding, "the log says that it does not have it"),
        Err(Not::Kept) => without(finding, "the log has dropped the certificate"),
        Err(Not::Honest(found)) => without(finding, &found.finding.summary),
        Err(Not::Answered(failure)) => without(finding, &failure.why),
    }
}
