//! How revocation is published.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::apki::extension::AsciiText;
use crate::ca::profile::{MAX_VALIDITY_SECONDS, StatusUrls};
use crate::time::UnixMillis;

/// How far the moment of a signature, which says which shard a certificate names, may lie from that of its row,
/// which says in which shard its revocation is looked for: a command waits for the writer, and the clock may go
/// back a little in between. Within so much of a boundary a revocation is in both shards.
const SIGNED_WITHIN_MS: u64 = 120_000;
/// How long a list holds beyond the moment at which the next one is due.
const OVERLAP_MS: u64 = 60_000;

/// Revocation lists and OCSP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSettings {
    /// What stands in front of `/ocsp` and `/crl/` in certificates; `None`: they do not say where to ask, and
    /// there is only the complete list.
    pub base_url: Option<String>,
    /// How old a list may become before the next one is published, in milliseconds: at most 60 000.
    pub refresh_ms: u64,
    /// Certificates signed within the same stretch of so many milliseconds are in one shard of the list. It must
    /// not change while certificates are valid that name a shard.
    pub shard_ms: u64,
    /// How long an OCSP answer may be shown to others, in milliseconds: 10 000 to 3 600 000.
    pub ocsp_validity_ms: u64,
}

impl Default for StatusSettings {
    fn default() -> Self {
        Self { base_url: None, refresh_ms: 60_000, shard_ms: 3_600_000, ocsp_validity_ms: 60_000 }
    }
}

impl StatusSettings {
    /// With everything inside its bounds.
    pub(in crate::ca::service) fn bounded(mut self) -> Self {
        self.base_url = self.base_url.map(|url| url.trim_end_matches('/').to_owned());
        self.refresh_ms = self.refresh_ms.clamp(1_000, 60_000);
        self.shard_ms = self.shard_ms.clamp(60_000, 86_400_000);
        self.ocsp_validity_ms = self.ocsp_validity_ms.clamp(10_000, 3_600_000);
        self
    }

    /// The pause between two rounds of lists: a sixth less than promised, so that there is time to sign them.
    pub(super) const fn pause(&self) -> Duration {
        Duration::from_millis(self.refresh_ms - self.refresh_ms / 6)
    }

    /// Until when a list of this moment holds.
    pub(super) const fn next_update(&self, this_update: UnixMillis) -> UnixMillis {
        this_update.saturating_add(self.refresh_ms + OVERLAP_MS)
    }

    /// How long beyond a certificate's end its revocation stays at hand: on a list that is later than the end
    /// (RFC 5280 section 3.3), and for as long as an OCSP answer from before may be in the cache.
    pub(in crate::ca::service) const fn grace_ms(&self) -> u64 {
        2 * self.refresh_ms + OVERLAP_MS + self.ocsp_validity_ms
    }

    /// Where to ask about a certificate that is signed now; `None` where certificates do not say it.
    ///
    /// # Errors
    /// In words, where the base URL is too long or not ASCII.
    pub(in crate::ca::service) fn urls(&self, signed_at: UnixMillis) -> Result<Option<StatusUrls>, String> {
        let Some(base) = &self.base_url else { return Ok(None) };
        let ocsp = url(base, "ocsp")?;
        let crl = self.shard_url(self.shard_of(signed_at))?;
        Ok(crl.map(|crl| StatusUrls { ocsp, crl }))
    }

    /// Where a shard is.
    pub(super) fn shard_url(&self, shard: u64) -> Result<Option<AsciiText>, String> {
        self.base_url.as_ref().map(|base| url(base, &format!("crl/{shard}"))).transpose()
    }

    const fn shard_of(&self, signed_at: UnixMillis) -> u64 {
        signed_at.get() / self.shard_ms
    }

    /// The shards that a certificate recorded as signed at this moment may name: mostly one.
    pub(super) fn shards_of(&self, signed_at: UnixMillis) -> RangeInclusive<u64> {
        let at = |moment| self.shard_of(moment);
        at(signed_at.saturating_sub(SIGNED_WITHIN_MS))..=at(signed_at.saturating_add(SIGNED_WITHIN_MS))
    }

    /// The shards that a certificate may name whose revocation matters now, or until the next round.
    pub(super) fn shards(&self, now: UnixMillis) -> RangeInclusive<u64> {
        let longest = MAX_VALIDITY_SECONDS * 1000 + self.grace_ms();
        let first = self.shards_of(now.saturating_sub(longest));
        let last = self.shards_of(self.next_update(now));
        *first.start()..=*last.end()
    }
}

fn url(base: &str, path: &str) -> Result<AsciiText, String> {
    AsciiText::new(format!("{base}/{path}")).map_err(|e| format!("{base}/{path} is no URL for a certificate: {e}"))
}
