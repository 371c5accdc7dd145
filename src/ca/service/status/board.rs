//! Every revocation of a certificate that has not ended, at hand.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use tokio::sync::watch;

use crate::ca::record::RevocationRecord;
use crate::ca::serial::Serial;

/// How many revocations the board had heard of at a moment; what is listed up to there, is listed for good.
pub(in crate::ca::service) type Generation = u64;

/// Every revocation of a certificate that has not ended, and how far the published list has come.
pub(in crate::ca::service) struct StatusBoard {
    revoked: RwLock<BTreeMap<Serial, RevocationRecord>>,
    heard: watch::Sender<Generation>,
    listed: watch::Sender<Generation>,
}

impl StatusBoard {
    /// A board with these revocations, none of them listed yet.
    pub(in crate::ca::service) fn new(revocations: impl IntoIterator<Item = RevocationRecord>) -> Self {
        let revoked = revocations.into_iter().map(|revocation| (revocation.serial, revocation)).collect();
        Self { revoked: RwLock::new(revoked), heard: watch::Sender::new(1), listed: watch::Sender::new(0) }
    }

    /// Takes in what was revoked; what is asked from now on is answered with it.
    pub(in crate::ca::service) fn record(&self, revocations: Vec<RevocationRecord>) {
        if revocations.is_empty() {
            return;
        }
        self.revoked.write().extend(revocations.into_iter().map(|revocation| (revocation.serial, revocation)));
        self.heard.send_modify(|generation| *generation += 1);
    }

    /// How far it has come.
    pub(in crate::ca::service) fn generation(&self) -> Generation {
        *self.heard.borrow()
    }

    /// The revocation of this certificate.
    pub(in crate::ca::service) fn find(&self, serial: &Serial) -> Option<RevocationRecord> {
        self.revoked.read().get(serial).cloned()
    }

    /// Resolves when a list that has all up to this generation is published.
    pub(in crate::ca::service) async fn listed(&self, generation: Generation) {
        let mut listed = self.listed.subscribe();
        // The sender lives as long as the board.
        let _ = listed.wait_for(|listed| *listed >= generation).await;
    }
}
