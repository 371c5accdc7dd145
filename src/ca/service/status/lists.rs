//! The lists: the complete one, and one for each stretch of time in which certificates were signed.
//!
//! All lists of a round have one number. Numbers rise from round to round and from start to start, and are
//! never behind the clock in milliseconds: so they rise even where whoever starts knows of no round before.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use thiserror::Error;

use super::board::{Generation, StatusBoard};
use super::settings::StatusSettings;
use crate::apki::moment::Moment;
use crate::apki::status::crl::{CrlTemplate, CrlTemplateError, RevokedCertificate, Scope, signed};
use crate::ca::issuance::{IssuanceError, IssuingCa};
use crate::ca::ports::{KeptList, StoreError};
use crate::ca::record::RevocationRecord;
use crate::time::UnixMillis;

/// Why there is no new list. The old one stays published.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(in crate::ca::service) enum ListError {
    /// It cannot be written.
    #[error("{0}")]
    Template(#[from] CrlTemplateError),
    /// It cannot be signed.
    #[error("{0}")]
    Sign(#[from] IssuanceError),
    /// The clock shows a time that no list can say.
    #[error("no list can be dated {0}: set the clock right")]
    Date(UnixMillis),
    /// A shard has no URL.
    #[error("{0}")]
    Url(String),
    /// It cannot be kept, and so is not published: a restored database would un-revoke what only it says.
    #[error("a list was signed, but cannot be kept beside the database, so it is not published: {0}")]
    Keep(#[from] StoreError),
}

/// The lists of one round.
pub(super) struct Round {
    /// The number in all of them.
    pub(super) number: u64,
    /// The moment that they are true for.
    pub(super) this_update: UnixMillis,
    /// Until when they hold.
    pub(super) next_update: UnixMillis,
    /// All revocations.
    pub(super) complete: Arc<[u8]>,
    /// By the stretch in which certificates were signed.
    pub(super) shards: BTreeMap<u64, Arc<[u8]>>,
    /// Entries in the complete one.
    pub(super) entries: usize,
}

/// The lists that are published, and what it takes to publish the next ones.
pub(in crate::ca::service) struct Lists {
    settings: StatusSettings,
    kept: Option<Arc<dyn KeptList>>,
    published: RwLock<Arc<Round>>,
    /// The last number that was used, in a list that was published or not. Held while a round is made.
    last: Mutex<u64>,
    trouble: Mutex<Option<String>>,
}

impl Lists {
    /// Publishes the first round of this start; `last` is the newest number known from before.
    pub(in crate::ca::service) fn start(
        ca: &IssuingCa,
        board: &StatusBoard,
        (settings, kept): (StatusSettings, Option<Arc<dyn KeptList>>),
        last: u64,
        now: UnixMillis,
    ) -> Result<Self, ListError> {
        let (generation, round) = round(ca, &settings, board, last, now)?;
        if let Some(kept) = &kept {
            kept.keep(&round.complete)?;
        }
        board.publish(generation);
        let last = Mutex::new(round.number);
        Ok(Self { settings, kept, published: RwLock::new(Arc::new(round)), last, trouble: Mutex::default() })
    }

    /// Signs a round, keeps its complete list, and publishes it: in this order, so that nobody ever sees a
    /// revocation that a restored database could forget. Blocks while it signs and writes.
    pub(in crate::ca::service) fn publish(
        &self,
        ca: &IssuingCa,
        board: &StatusBoard,
        now: UnixMillis,
    ) -> Result<(), ListError> {
        let mut last = self.last.lock();
        let result = self.next(ca, board, &mut last, now);
        *self.trouble.lock() = result.as_ref().err().map(ListError::to_string);
        result
    }

    fn next(&self, ca: &IssuingCa, board: &StatusBoard, last: &mut u64, now: UnixMillis) -> Result<(), ListError> {
        let (generation, round) = round(ca, &self.settings, board, *last, now)?;
        // Even where it cannot be kept: who knows what of it is on the disk.
        *last = round.number;
        if let Some(kept) = &self.kept {
            kept.keep(&round.complete)?;
        }
        *self.published.write() = Arc::new(round);
        board.publish(generation);
        // What ended before now is on a list that is later than its end, and has been for a while.
        board.forget(now.saturating_sub(self.settings.grace_ms()));
        Ok(())
    }

    /// The newest round.
    pub(super) fn newest(&self) -> Arc<Round> {
        Arc::clone(&self.published.read())
    }

    /// Why the last round was not published, where it was not.
    pub(in crate::ca::service) fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// In words, whether the lists hold at this moment: `Err` where they do not, or would not for long.
    pub(in crate::ca::service) fn state(&self, now: UnixMillis) -> Result<String, String> {
        let round = self.newest();
        let words = format!("list {} of {} with {} entries", round.number, round.this_update, round.entries);
        match self.trouble() {
            Some(why) => Err(format!("{words} is the newest published one: {why}")),
            None if now > round.next_update => Err(format!("{words} held until {}", round.next_update)),
            None => Ok(words),
        }
    }
}

/// Signs the lists of everything on the board.
fn round(
    ca: &IssuingCa,
    settings: &StatusSettings,
    board: &StatusBoard,
    last: u64,
    now: UnixMillis,
) -> Result<(Generation, Round), ListError> {
    let (generation, records) = board.all();
    let number = now.get().max(last.saturating_add(1));
    let (this_update, next_update) = (moment(now)?, moment(settings.next_update(now))?);
    let list = |records: &[&RevocationRecord], scope: Option<Scope>| {
        let issuer = ca.certificate();
        let template = CrlTemplate {
            issuer_der: issuer.subject_der(),
            algorithm: ca.algorithm(),
            this_update,
            next_update,
            number,
            authority_key_identifier: issuer.subject_key_identifier().unwrap_or_default(),
            scope,
        };
        let entries = records.iter().map(|record| entry(record)).collect::<Result<Vec<_>, _>>()?;
        let tbs = template.tbs(entries)?;
        let signature = ca.sign(&tbs)?;
        Ok::<Arc<[u8]>, ListError>(signed(&tbs, ca.algorithm(), &signature).into())
    };
    let all: Vec<&RevocationRecord> = records.iter().map(Arc::as_ref).collect();
    let complete = list(&all, None)?;
    let mut shards = BTreeMap::new();
    for (shard, records) in sharded(settings, &all, now) {
        let Some(url) = settings.shard_url(shard).map_err(ListError::Url)? else { break };
        let scope = Scope { url, only_user_certificates: true, indirect: false };
        shards.insert(shard, list(&records, Some(scope))?);
    }
    let round = Round {
        number,
        this_update: this_update.millis(),
        next_update: next_update.millis(),
        complete,
        shards,
        entries: all.len(),
    };
    Ok((generation, round))
}

/// Which revocation is in which shard. One that only a kept list remembers says nothing of when the certificate
/// was signed, and is in all of them.
fn sharded<'a>(
    settings: &StatusSettings,
    all: &[&'a RevocationRecord],
    now: UnixMillis,
) -> BTreeMap<u64, Vec<&'a RevocationRecord>> {
    if settings.base_url.is_none() {
        return BTreeMap::new();
    }
    let mut shards: BTreeMap<u64, Vec<_>> = settings.shards(now).map(|shard| (shard, Vec::new())).collect();
    for &record in all {
        let range = if record.agent.is_some() { settings.shards_of(record.signed_at) } else { 0..=u64::MAX };
        shards.range_mut(range).for_each(|(_, records)| records.push(record));
    }
    shards
}

fn entry(record: &RevocationRecord) -> Result<RevokedCertificate<'_>, ListError> {
    Ok(RevokedCertificate {
        serial: record.serial.as_bytes(),
        at: moment(record.at)?,
        reason: record.reason,
        certificate_issuer: None,
    })
}

fn moment(at: UnixMillis) -> Result<Moment, ListError> {
    Moment::floor(at).ok_or(ListError::Date(at))
}
