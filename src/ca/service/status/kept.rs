//! What the list that was kept knows and the database does not: where a database was put back from an older
//! copy, what was revoked since is revoked once more before anything is served.

use std::collections::BTreeSet;
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::settings::StatusSettings;
use crate::apki::Certificate;
use crate::apki::status::RevocationReason;
use crate::apki::status::crl::{Crl, CrlError};
use crate::ca::command::Command;
use crate::ca::issuance::IssuingCa;
use crate::ca::ports::{CaStore, Entity, KeptList, Key, StoreError};
use crate::ca::profile::MAX_VALIDITY_SECONDS;
use crate::ca::record::RevocationRecord;
use crate::ca::serial::Serial;
use crate::ca::service::StartError;
use crate::ca::service::writer::{Job, Writer};
use crate::time::UnixMillis;

/// When the certificate of a revocation ends that only a list remembers: no certificate is valid for longer.
const LONGEST_MS: u64 = (MAX_VALIDITY_SECONDS + 3600) * 1000;
/// Revocations read at a time.
const PAGE: usize = 4_096;

/// What the kept list says.
pub(in crate::ca::service) struct Remembered {
    /// Its number.
    pub(in crate::ca::service) number: u64,
    /// The moment that it is true for.
    this_update: UnixMillis,
    entries: Vec<(Serial, UnixMillis, RevocationReason)>,
}

/// Reads the list that was kept last.
///
/// One of another issuer is refused, unless it issued for this CA before: it belongs to another database. One of ours that another key signed is
/// believed, as the intermediate's key may have been renewed since; the file says itself whether it is what was
/// written, and whoever can write another one beside the database could write to the database as well. All that
/// such a list could do is to revoke.
///
/// # Errors
/// [`StartError::KeptList`] where it is damaged, or none of ours.
pub(in crate::ca::service) fn remembered(
    kept: &dyn KeptList,
    ca: &IssuingCa,
    former: &[Certificate],
) -> Result<Option<Remembered>, StartError> {
    let refused = |why: String| StartError::KeptList(why);
    let Some(der) = kept.load().map_err(|e| refused(e.to_string()))? else { return Ok(None) };
    let list = Crl::parse(der).map_err(|e| refused(e.to_string()))?;
    if !former.iter().chain([ca.certificate()]).any(|issuer| list.issuer_der() == issuer.subject_der()) {
        return Err(refused(
            "it is of another issuer than this CA: it does not belong to this database, or the intermediate before is \
             not beside the new one, where a renewal leaves it"
                .into(),
        ));
    }
    match list.verify(ca.key()) {
        Ok(()) => {}
        Err(CrlError::Signature(_) | CrlError::Algorithm) => {
            tracing::info!("the revocation list that was kept is signed by another key of this issuer");
        }
        Err(error) => return Err(refused(error.to_string())),
    }
    let number = list.number().ok_or_else(|| refused("its number is none that this CA gives".into()))?;
    let entry = |entry: crate::apki::status::crl::Entry<'_>| {
        let serial = Serial::from_bytes(entry.serial).map_err(|e| refused(e.to_string()))?;
        Ok((serial, entry.at.millis(), entry.reason))
    };
    let entries = list.entries().map(entry).collect::<Result<_, StartError>>()?;
    Ok(Some(Remembered { number, this_update: UnixMillis::from(list.this_update()), entries }))
}

impl Remembered {
    /// Commands that take up again what the store does not know of.
    pub(super) fn missing(&self, store: &dyn CaStore, now: UnixMillis) -> Result<Vec<Command>, StoreError> {
        let mut known = BTreeSet::new();
        for some in self.entries.chunks(PAGE) {
            let keys: Vec<Key> = some.iter().map(|(serial, ..)| Key::Revocation(*serial)).collect();
            known.extend(store.load(&keys)?.into_iter().flatten().filter_map(|entity| match entity {
                Entity::Revocation(revocation) => Some(revocation.serial),
                _ => None,
            }));
        }
        let unknown = self.entries.iter().filter(|(serial, ..)| !known.contains(serial));
        Ok(unknown.map(|entry| restored(*entry, now)).collect())
    }
}

/// The list says neither whose the certificate is nor when it was signed or ends.
fn restored((serial, at, reason): (Serial, UnixMillis, RevocationReason), now: UnixMillis) -> Command {
    let not_after = now.saturating_add(LONGEST_MS);
    let revocation = RevocationRecord { serial, agent: None, at, reason, signed_at: at, not_after };
    Command::RestoreRevocation { revocation: Box::new(revocation) }
}

/// Every revocation in the store that is still to be listed: of a certificate that has not ended, or that had
/// not when the last list was published (RFC 5280 section 3.3).
pub(in crate::ca::service) fn unended(
    store: &dyn CaStore,
    kept: Option<&Remembered>,
    settings: &StatusSettings,
    now: UnixMillis,
) -> Result<Vec<RevocationRecord>, StoreError> {
    let last = kept.map_or(now, |kept| kept.this_update.min(now));
    let ends = last.saturating_sub(settings.grace_ms());
    let mut found: Vec<RevocationRecord> = Vec::new();
    loop {
        let after = found.last().map(|last| (last.not_after, last.serial));
        let page = store.revocations(ends, after, PAGE)?;
        let last = page.len() < PAGE;
        found.extend(page);
        if last {
            return Ok(found);
        }
    }
}

/// Puts what the kept list remembers and the store does not into the journal, before anybody else has the
/// writer. Blocks.
///
/// # Errors
/// [`StartError`] where one of them cannot be recorded.
pub(in crate::ca::service) fn restore(
    writer: &mut Writer,
    store: &dyn CaStore,
    remembered: &Remembered,
    now: UnixMillis,
) -> Result<(), StartError> {
    let missing = remembered.missing(store, now)?;
    if missing.is_empty() {
        return Ok(());
    }
    tracing::warn!(count = missing.len(), "the database does not know of revocations that were published: taken up");
    let (sender, jobs) = mpsc::channel();
    let mut answers = Vec::with_capacity(missing.len());
    for command in missing {
        let (reply, answer) = oneshot::channel();
        answers.push(answer);
        // The other end is below.
        let _ = sender.send(Job { command, reply, _place: None });
    }
    drop(sender);
    let failed = |why: String| StartError::KeptList(format!("what it remembers cannot be recorded: {why}"));
    writer.run(&jobs).map_err(|e| failed(e.to_string()))?;
    for mut answer in answers {
        match answer.try_recv() {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(_) => return Err(failed("there is no answer".into())),
        }
    }
    Ok(())
}
