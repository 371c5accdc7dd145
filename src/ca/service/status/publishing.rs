//! When there is a new round of lists: as soon as something was revoked, and before the last one gets old.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::lists::Lists;
use crate::ca::service::core::Core;
use crate::ca::service::{CaService, Check};

/// Rounds are so far apart at least; what is revoked meanwhile is in the next one together.
const GAP: Duration = Duration::from_millis(100);
/// The pause before a round that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Publishes until the service stops, and renews the responder's certificate in good time.
pub(in crate::ca::service) async fn keep_listed(core: Arc<Core>, mut stopping: watch::Receiver<bool>) {
    let mut last = Instant::now();
    while !*stopping.borrow() {
        let failed = core.lists.trouble().is_some();
        let pause = if failed { RETRY } else { core.settings.status.pause() };
        tokio::select! {
            _ = stopping.changed() => return,
            () = sleep_until(last + pause) => {}
            () = core.status.unlisted(), if !failed => sleep_until(last + GAP).await,
        }
        last = Instant::now();
        let publisher = Arc::clone(&core);
        let publish = move || publisher.lists.publish(&publisher.ca, &publisher.status, publisher.clock.now());
        match tokio::task::spawn_blocking(publish).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "no new revocation list"),
            Err(error) => tracing::error!(%error, "no new revocation list: it failed unexpectedly"),
        }
        core.renew_responder().await;
    }
}

impl CaService {
    /// The newest complete revocation list, in DER (RFC 5280 section 5).
    pub fn crl(&self) -> Arc<[u8]> {
        Arc::clone(&self.core.lists.newest().complete)
    }

    /// The newest list of the certificates that name this shard; `None` where none that is valid does.
    pub fn crl_shard(&self, shard: u64) -> Option<Arc<[u8]>> {
        self.core.lists.newest().shards.get(&shard).cloned()
    }
}

impl Core {
    /// Whether revocation lists are published.
    pub(in crate::ca::service) fn listing(&self) -> Check {
        let state = Lists::state(&self.lists, self.clock.now());
        let ok = state.is_ok();
        Check { name: "lists", ok, detail: state.unwrap_or_else(|why| why) }
    }
}
