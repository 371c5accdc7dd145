//! Ranges and shapes of a log's configuration.

use std::path::Path;

use super::raw::{Raw, RawWitness};
use super::{LogConfig, Witness};
use crate::config::check::Check;
use crate::config::{ConfigError, RateLimit};

/// Witnesses that are asked: C2SP has readers look at 16 lines of a note at least, and one is the log's.
const MAX_WITNESSES: usize = 15;

impl Check<'_> {
    /// The configuration of a log.
    pub(super) fn log(&self, raw: Raw, base: &Path) -> Result<LogConfig, ConfigError> {
        let limit = raw.rate_limit;
        let metrics = raw.metrics.listen.map(|text| self.address("metrics.listen", &text));
        let not_after_start = self.moment("not_after_start", &raw.not_after_start)?;
        let not_after_limit = self.moment("not_after_limit", &raw.not_after_limit)?;
        if not_after_start >= not_after_limit {
            return self.refuse("not_after_limit", raw.not_after_limit, "it must be later than `not_after_start`");
        }
        Ok(LogConfig {
            origin: self.origin(raw.origin)?,
            operator: raw.operator,
            listen: self.address("listen", &raw.listen)?,
            data_dir: self.path("data_dir", base, raw.data_dir)?,
            key_file: self.path("key_file", base, raw.key_file)?,
            anchors_dir: self.path("anchors_dir", base, raw.anchors_dir)?,
            sth_interval_seconds: self.number("sth_interval_seconds", raw.sth_interval_seconds, 1, 3600)?,
            not_after_start,
            not_after_limit,
            retention_seconds: self.number("retention_seconds", raw.retention_seconds, 0, i64::from(u32::MAX))?,
            max_chain_length: self.number("max_chain_length", raw.max_chain_length, 1, 16)?,
            max_body_bytes: self.number("max_body_bytes", raw.max_body_bytes, 1 << 10, 512 << 10)?,
            queue_limit: self.number("queue_limit", raw.queue_limit, 1, 1 << 20)?,
            per_source: RateLimit {
                per_second: self.rate("rate_limit.per_source_per_second", limit.per_source_per_second)?,
                burst: self.rate("rate_limit.per_source_burst", limit.per_source_burst)?,
            },
            per_anchor: RateLimit {
                per_second: self.rate("rate_limit.per_anchor_per_second", limit.per_anchor_per_second)?,
                burst: self.rate("rate_limit.per_anchor_burst", limit.per_anchor_burst)?,
            },
            disk_low_watermark_bytes: self.number(
                "disk_low_watermark_bytes",
                raw.disk_low_watermark_bytes,
                0,
                i64::MAX,
            )?,
            witnesses: self.witnesses(raw.witnesses)?,
            tls: raw.tls.map(|tls| self.tls(base, tls)).transpose()?,
            metrics_listen: metrics.transpose()?,
        })
    }

    fn witnesses(&self, raw: Vec<RawWitness>) -> Result<Vec<Witness>, ConfigError> {
        if raw.len() > MAX_WITNESSES {
            return self.refuse("witnesses", raw.len(), &format!("at most {MAX_WITNESSES} are asked"));
        }
        let witnesses = self.each("witnesses", raw, |check, at, raw| {
            let url = check.base_url(&format!("{at}.url"), &raw.url, "https://witness.example.com")?;
            Ok(Witness { url, vkey: raw.vkey })
        })?;
        self.once("witnesses", "vkey", &witnesses, |a: &Witness, b| a.vkey == b.vkey)?;
        Ok(witnesses)
    }

    fn origin(&self, origin: String) -> Result<String, ConfigError> {
        let host = origin.split('/').next().unwrap_or_default();
        let segments = origin.split('/').all(|s| !s.is_empty());
        let letters = |c: char| c.is_ascii_alphanumeric() || "-._~/:".contains(c);
        let fine = origin.len() <= 255 && segments && origin.starts_with(|c: char| c.is_ascii_lowercase());
        if fine && origin.chars().all(letters) && !host.is_empty() && !origin.contains("://") {
            return Ok(origin);
        }
        let allowed = "it must be a URL without schema such as \"atl.example.com/2026h2\", at most 255 letters, digits \
            and -._~/: , starting with a lower-case letter";
        self.refuse("origin", format!("{origin:?}"), allowed)
    }
}
