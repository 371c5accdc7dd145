//! Evidence that the database does not know: it was restored from an older copy, say, or the process ended between the
//! two. What is proven is proven all the same.

use atl::log::note::VerifierKey;

use crate::alert;
use crate::cli::output::CliError;
use crate::errand::promise;
use crate::evidence::{self, Case, EvidenceError, MANIFEST, Manifest, Outcome, Summary, Verdict};
use crate::finding::{Class, Finding};
use crate::head::SignedHead;
use crate::heads::{book, pair};
use crate::http::Shared;
use crate::watched::WatchedLog;

/// Freezes the logs that are followed and that the evidence on the disk proves to have misbehaved, and raises an alert
/// of each case that the database does not know: under the name that it had, so that it is told once where the database
/// knows the alert. Each case is checked again, by the keys that are configured.
///
/// # Errors
/// Where the evidence cannot be listed, or the database fails.
pub fn recall(shared: &Shared) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::new(error.to_string());
    let keys: Vec<VerifierKey> = shared.logs.iter().map(|log| log.key.clone()).collect();
    for summary in evidence::list(&shared.evidence_dir).map_err(|e| failed(&e))?.kept {
        let Some(log) = accused(shared, &summary) else { continue };
        let proofs = book::proofs(&shared.state, &log.origin).map_err(|e| failed(&e))?;
        if proofs.len() >= book::MAX_PROOFS || proofs.iter().any(|(name, _)| *name == summary.id) {
            continue;
        }
        match checked(shared, &summary, &keys) {
            Ok(case) => restore(shared, log, &summary, &case).map_err(|e| failed(&e))?,
            Err(why) => tracing::warn!(evidence = summary.id, why, "evidence does not prove what it says"),
        }
    }
    Ok(())
}

/// The log that is followed and that this is proven against, as far as the manifest can be taken at its word.
fn accused<'a>(shared: &'a Shared, summary: &Summary) -> Option<&'a WatchedLog> {
    let proves = summary.verdict == Verdict::Proven && summary.class.accuses_log();
    shared.logs.iter().find(|log| proves && log.origin.as_str() == summary.log)
}

/// What is in it, if it proves that.
fn checked(shared: &Shared, summary: &Summary, keys: &[VerifierKey]) -> Result<Case, String> {
    let files = evidence::files(&shared.evidence_dir, &summary.id).map_err(|e: EvidenceError| e.to_string())?;
    match evidence::check(&files, keys) {
        Outcome::Proven { .. } => {
            let manifest = Manifest::read(files.get(MANIFEST).unwrap_or_default()).map_err(|e| e.to_string())?;
            Ok(manifest.case)
        }
        other => Err(other.says().to_owned()),
    }
}

fn restore(shared: &Shared, log: &WatchedLog, summary: &Summary, case: &Case) -> Result<(), crate::state::StateError> {
    let Summary { id, class, found_at, .. } = summary;
    tracing::error!(log = %log.origin, %class, evidence = id, "the evidence proves what the database does not know");
    let subject = subject(log, case).unwrap_or_else(|| format!("evidence {id}"));
    let mut finding = Finding::new(*class, Some(&log.origin), &subject, summary.summary.clone(), *found_at)
        .with("restored", "the evidence was kept, and the database did not know it");
    finding.evidence = Some(id.clone());
    shared.state.write(|write| {
        alert::raise(write, &finding)?;
        book::freeze(write, &log.origin, id, *class)
    })
}

/// What the finding was known by.
fn subject(log: &WatchedLog, case: &Case) -> Option<String> {
    let sat = || promise::subject_of(case.sats.first()?.as_slice());
    match case.class {
        Class::NotIncluded => Some(sat()? + promise::PROVEN),
        Class::EntryNewerThanHead => sat(),
        _ => {
            let mut heads = case.heads.iter().map(|shown| SignedHead::open(shown.head.clone(), log));
            let (one, two) = (heads.next()?.ok()?, heads.next()?.ok()?);
            Some(pair(&(&one).into(), &(&two).into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use atl::log::entry::CertHash;
    use atl::log::sth::{SignedTreeHead, TreeHead};
    use atl::merkle::{Hash, TreeSize};
    use atl::time::UnixMillis;

    use super::*;
    use crate::alert::ALERTS;
    use crate::evidence::Archive;
    use crate::head::RawHead;
    use crate::heads::{BY_LOG, Heads};
    use crate::http::testing::{log, shared, signer};
    use crate::state::State;

    fn sth(seed: u8, size: u64, root: u8, at: u64) -> RawHead {
        let head = TreeHead { size: TreeSize::new(size), root: Hash::new([root; 32]), timestamp: UnixMillis::new(at) };
        SignedTreeHead::sign(&signer(seed), head).unwrap().into()
    }

    fn archive(shared: &Shared) -> Arc<Archive> {
        Arc::new(Archive::open(&shared.evidence_dir, shared.signer.clone(), shared.name.clone()).unwrap())
    }

    fn alerts(shared: &Shared) -> Vec<String> {
        let rows = shared.state.read::<_, crate::state::StateError>(|read| read.first(&ALERTS, b"", 100)).unwrap();
        rows.into_iter()
            .map(|(id, alert)| format!("{} {}", String::from_utf8(id).unwrap(), alert.finding.class))
            .collect()
    }

    #[tokio::test]
    async fn a_database_that_is_older_than_the_evidence_learns_of_it_once() {
        let dir = tempfile::tempdir().unwrap();
        let (mut shared, _) = shared(dir.path());
        let heads = Heads::open(shared.state.clone(), shared.board.clone(), archive(&shared), shared.clock.clone());
        let (heads, client) = (heads.unwrap(), atl::client::LogClient::new("http://127.0.0.1:1").unwrap());
        for raw in [sth(1, 5, 1, 10), sth(1, 5, 2, 11)] {
            let head = SignedHead::open(raw, &log(1)).unwrap();
            heads.observe(&log(1), &client, head, BY_LOG).await.unwrap();
        }
        let (frozen, told) = (heads.frozen(&log(1).origin).unwrap(), alerts(&shared));
        assert_eq!((frozen.is_some(), told.len()), (true, 1));
        recall(&shared).unwrap();
        assert_eq!(alerts(&shared), told);

        // Another database, and the same evidence.
        shared.state = Arc::new(State::open(&dir.path().join("other.redb")).unwrap());
        assert_eq!(alerts(&shared), Vec::<String>::new());
        for _ in 0..2 {
            recall(&shared).unwrap();
            assert_eq!(alerts(&shared), told);
            assert_eq!(book::frozen(&shared.state, &log(1).origin).unwrap(), frozen);
        }
        assert_eq!(book::frozen(&shared.state, &log(2).origin).unwrap(), None);
    }

    #[test]
    fn what_proves_nothing_against_a_log_that_is_followed_freezes_none() {
        let dir = tempfile::tempdir().unwrap();
        let (shared, _) = shared(dir.path());
        let archive = archive(&shared);
        let keep = |class, seed, heads: Vec<RawHead>| {
            let mut exhibit = evidence::Exhibit::new(class, vec![log(seed)], "a case".into());
            exhibit.heads = heads;
            archive.keep(&exhibit, UnixMillis::new(1)).unwrap()
        };
        // Of a log that is not followed; no more than a suspicion; and what does not hold.
        keep(Class::Rollback, 3, vec![sth(3, 5, 1, 1), sth(3, 4, 1, 2)]);
        keep(Class::StaleHead, 1, vec![sth(1, 5, 1, 1)]);
        keep(Class::Rollback, 1, vec![sth(1, 5, 1, 1), sth(1, 6, 1, 2)]);
        // Proven once, and changed since.
        let changed = keep(Class::Rollback, 2, vec![sth(2, 5, 1, 1), sth(2, 4, 1, 2)]);
        std::fs::write(shared.evidence_dir.join(changed).join("README.md"), "changed").unwrap();
        recall(&shared).unwrap();
        assert_eq!(alerts(&shared), Vec::<String>::new());
        assert_eq!(book::all_frozen(&shared.state).unwrap(), []);
    }

    #[test]
    fn a_promise_that_was_not_kept_has_the_name_that_it_had() {
        let sat = atl::log::sat::SignedAgentTimestamp::sign(&signer(1), UnixMillis::new(7), CertHash::new([1; 32]));
        let mut exhibit = evidence::Exhibit::new(Class::NotIncluded, vec![log(1)], "a case".into());
        exhibit.sats = vec![sat.unwrap().to_der().into()];
        let case = Case::of(&exhibit).unwrap();
        assert_eq!(subject(&log(1), &case), Some(format!("{}@7/proven", CertHash::new([1; 32]))));
    }
}
