//! Every revocation of a certificate that has not ended, at hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::ca::record::RevocationRecord;
use crate::ca::serial::Serial;
use crate::time::UnixMillis;

/// How many revocations the board had heard of at a moment; what is listed up to there, is listed for good.
pub(in crate::ca::service) type Generation = u64;

/// Every revocation of a certificate that has not ended, and how far the published list has come.
pub(in crate::ca::service) struct StatusBoard {
    revoked: RwLock<BTreeMap<Serial, Arc<RevocationRecord>>>,
    heard: watch::Sender<Generation>,
    listed: watch::Sender<Generation>,
}

impl StatusBoard {
    /// A board with these revocations, none of them listed yet.
    pub(in crate::ca::service) fn new(revocations: impl IntoIterator<Item = RevocationRecord>) -> Self {
        let revoked = by_serial(revocations).collect();
        Self { revoked: RwLock::new(revoked), heard: watch::Sender::new(1), listed: watch::Sender::new(0) }
    }

    /// Takes in what was revoked; what is asked from now on is answered with it.
    pub(in crate::ca::service) fn record(&self, revocations: Vec<RevocationRecord>) {
        if revocations.is_empty() {
            return;
        }
        self.revoked.write().extend(by_serial(revocations));
        self.heard.send_modify(|generation| *generation += 1);
    }

    /// How far it has come.
    pub(in crate::ca::service) fn generation(&self) -> Generation {
        *self.heard.borrow()
    }

    /// The revocation of this certificate.
    pub(in crate::ca::service) fn find(&self, serial: &Serial) -> Option<Arc<RevocationRecord>> {
        self.revoked.read().get(serial).cloned()
    }

    /// Everything, by serial number, and how far the board had come at least.
    pub(super) fn all(&self) -> (Generation, Vec<Arc<RevocationRecord>>) {
        // In this order: what is heard of in between may be in it, and is listed once more.
        let generation = self.generation();
        (generation, self.revoked.read().values().cloned().collect())
    }

    /// Takes away those of certificates that ended before this moment.
    pub(super) fn forget(&self, ended_before: UnixMillis) {
        let ended = |record: &RevocationRecord| record.not_after < ended_before;
        // Most rounds find none, and need no more than to look.
        if self.revoked.read().values().any(|record| ended(record)) {
            self.revoked.write().retain(|_, record| !ended(record));
        }
    }

    /// A list with everything up to this generation is published.
    pub(super) fn publish(&self, generation: Generation) {
        self.listed.send_modify(|listed| *listed = generation.max(*listed));
    }

    /// Resolves when the board has heard of something that no published list has.
    pub(super) async fn unlisted(&self) {
        let listed = *self.listed.borrow();
        // The sender lives as long as the board.
        let _ = self.heard.subscribe().wait_for(|heard| *heard > listed).await;
    }

    /// Resolves when a list that has all up to this generation is published.
    pub(in crate::ca::service) async fn listed(&self, generation: Generation) {
        let mut listed = self.listed.subscribe();
        // The sender lives as long as the board.
        let _ = listed.wait_for(|listed| *listed >= generation).await;
    }
}

fn by_serial(
    revocations: impl IntoIterator<Item = RevocationRecord>,
) -> impl Iterator<Item = (Serial, Arc<RevocationRecord>)> {
    revocations.into_iter().map(|revocation| (revocation.serial, Arc::new(revocation)))
}
