//! Asks on, from a certificate to those above it: each by its hash, from one log after the other.

use std::sync::Arc;

use atl::apki::Certificate;
use atl::log::entry::CertHash;
use atl::time::UnixMillis;

use super::ask::{Entry, Failure, Inclusion, Respondent};
use super::decide::{Found, exhibit};
use super::line::{End, Located, MAX_ABOVE, Missing};
use crate::evidence::Receipt;
use crate::finding::{Class, Finding};

/// Why a log gives no certificate of a hash.
pub(super) enum Not {
    /// It does not have it; whether its next head will cover it.
    There(bool, Receipt),
    /// It has dropped the octets.
    Kept,
    /// It contradicts itself.
    Honest(Box<Found>),
    /// It does not answer.
    Answered(Failure),
}

/// The certificate with this hash in the tree of this log.
pub(super) async fn locate(log: &Respondent, cert_hash: CertHash, now: UnixMillis) -> Result<Located, Not> {
    let contradiction = |class, summary: String, reason: String, receipt| {
        let finding = Finding::new(class, Some(&log.log.origin), &cert_hash.to_string(), summary, now)
            .with("certificate, SHA-256", cert_hash)
            .with("what is wrong", reason);
        let exhibit = exhibit(&finding, &log.log, &[]).said([receipt]).0;
        Not::Honest(Box::new(Found { finding, exhibit: Some(Box::new(exhibit)) }))
    };
    let origin = &log.log.origin;
    let garbled = || format!("{origin} answers with something else than an entry that it was asked for");
    let (entry, said) = match log.entry(cert_hash, now).await {
        Entry::There(entry, receipt) => (entry, receipt),
        Entry::Absent(soon, receipt) => return Err(Not::There(soon, receipt)),
        Entry::Other(reason, receipt) => return Err(contradiction(Class::BadTile, garbled(), reason, receipt)),
        Entry::Failed(failure) => return Err(Not::Answered(failure)),
    };
    let Some(der) = entry.submission else { return Err(Not::Kept) };
    let certificate = match Certificate::parse(der.0) {
        Ok(certificate) => certificate,
        Err(error) => return Err(contradiction(Class::BadTile, garbled(), error.to_string(), said)),
    };
    let proof = match log.inclusion(cert_hash.leaf_hash(), now).await {
        Inclusion::Proven(proof) => proof,
        Inclusion::Failed(failure) => return Err(Not::Answered(failure)),
        Inclusion::Garbage { reason, receipt, .. } => {
            let summary = format!("{origin} proves with an invalid proof that an entry is in its tree");
            return Err(contradiction(Class::ProofGarbage, summary, reason, receipt));
        }
        Inclusion::Absent { receipt, .. } => {
            // It may have come into the tree between the two questions.
            let why = format!("{origin} has the entry of certificate {cert_hash} and does not prove it");
            let receipt = receipt.unwrap_or(said);
            return Err(Not::Answered(Failure { why, refused: true, retry_after: None, receipt }));
        }
    };
    if proof.index != entry.leaf_index {
        let reason =
            format!("the entry is said to be leaf {}, and proven to be leaf {}", entry.leaf_index, proof.index);
        return Err(contradiction(Class::BadTile, garbled(), reason, said));
    }
    Ok(Located {
        certificate,
        issuer: entry.chain.into_iter().next().map(|der| der.0),
        log: log.log.clone(),
        index: proof.index,
        inclusion: proof.path,
        head: proof.head,
    })
}

/// The agents from `child` upwards, and where they end. Its own log is asked first, then the others.
pub(super) async fn walk(logs: &[Arc<Respondent>], child: Located, now: UnixMillis) -> (Vec<Located>, End) {
    let mut ordered: Vec<&Respondent> = logs.iter().map(|log| &**log).collect();
    ordered.sort_by_key(|log| log.log.id != child.log.id);
    let mut line = vec![child];
    loop {
        let Some(wanted) = line.last().and_then(Located::parent) else { return (line, End::Root) };
        if line.len() > MAX_ABOVE {
            return (line, End::TooDeep);
        }
        match find(&ordered, wanted, now).await {
            Ok(parent) => line.push(parent),
            Err(missing) => return (line, End::Missing(missing)),
        }
    }
}

async fn find(logs: &[&Respondent], wanted: CertHash, now: UnixMillis) -> Result<Located, Missing> {
    let mut missing = Missing { hash: Some(wanted), ..Missing::default() };
    for log in logs {
        match locate(log, wanted, now).await {
            Ok(located) => return Ok(located),
            Err(Not::There(soon, receipt)) => {
                missing.soon |= soon;
                missing.receipts.push(receipt);
            }
            Err(Not::Kept) => missing.pruned = Some(log.log.origin.as_str().to_owned()),
            Err(Not::Honest(found)) => missing.contradictions.push(*found),
            Err(Not::Answered(failure)) => missing.unanswered.push((log.log.origin.as_str().to_owned(), failure)),
        }
    }
    Err(missing)
}
