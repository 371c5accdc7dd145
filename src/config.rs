//! The log server's configuration: TOML as an operator writes it, checked into plain values.
//!
//! Every key but `origin` has a default. An unknown key is refused, so that a typing error does
//! not silently leave a default in force, and every complaint names file, key and what is allowed.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::de::Visitor;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use crate::time::UnixMillis;

mod render;

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, a missing one, or a value of the wrong kind. The reason shows
    /// the line.
    #[error("{file}: {reason}")]
    Syntax {
        /// The file.
        file: String,
        /// Line, key and what was expected.
        reason: String,
    },
    /// A value that is out of its range.
    #[error("{file}: `{key}` is {found}: {allowed}")]
    Value {
        /// The file.
        file: String,
        /// The key, with its table.
        key: &'static str,
        /// The value found.
        found: String,
        /// What may stand there.
        allowed: String,
    },
}

/// A token bucket: `per_second` on average, `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Submissions that flow in each second.
    pub per_second: NonZeroU32,
    /// Submissions that an idle bucket holds.
    pub burst: NonZeroU32,
}

/// Where the server's own TLS certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM certificate chain, the server's own first.
    pub cert_file: PathBuf,
    /// PEM private key.
    pub key_file: PathBuf,
}

/// A checked configuration of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The checkpoint origin (protocol section 4): a schema-less URL that starts with a lower-case
    /// letter, without blanks and `+`. It never changes in a log's life.
    pub origin: String,
    /// Who runs the log, for people. Default: empty.
    pub operator: String,
    /// Where HTTP is served. Default: `127.0.0.1:8080`. Without `tls` another address than
    /// loopback belongs behind a proxy that speaks TLS.
    pub listen: SocketAddr,
    /// The database's directory. Default: `data`.
    pub data_dir: PathBuf,
    /// PEM PKCS#8 Ed25519 key that signs. Default: `log-key.pem`.
    pub key_file: PathBuf,
    /// Directory of PEM certificates to which chains must lead. Default: `anchors`.
    pub anchors_dir: PathBuf,
    /// Seconds between signed heads, 1 to 3600. Default: 60.
    pub sth_interval_seconds: u32,
    /// First `notAfter` that the shard takes. Default: 1970.
    pub not_after_start: UnixMillis,
    /// First `notAfter` beyond the shard. Default: the end of 9999.
    pub not_after_limit: UnixMillis,
    /// Seconds after which certificate bodies are dropped; 0 for never. Default: 0.
    pub retention_seconds: u64,
    /// Most certificates from submission to anchor, both included, 1 to 16. Default: 4.
    pub max_chain_length: u32,
    /// Octets of a `submit-entry` body, 1 KiB to 16 MiB. Default: 256 KiB.
    pub max_body_bytes: usize,
    /// Submissions that wait for the sequencer, 1 to 1 048 576. Default: 4096.
    pub queue_limit: usize,
    /// Limit of each source address. Default: 20 000 and 20 000.
    pub per_source: RateLimit,
    /// Limit of each anchor. Default: 20 000 and 20 000.
    pub per_anchor: RateLimit,
    /// Free octets of the data disk below which the log takes nothing in. Default: 1 GiB.
    pub disk_low_watermark_bytes: u64,
    /// The server's own TLS, or none. Default: none.
    pub tls: Option<TlsFiles>,
    /// Where metrics are served; `None` for `listen`. Default: `None`.
    pub metrics_listen: Option<SocketAddr>,
}

impl LogConfig {
    /// The defaults, for a log of this name. Paths are relative, as in a file that does not name
    /// them.
    ///
    /// # Errors
    /// Where `origin` is not one.
    pub fn new(origin: &str) -> Result<Self, ConfigError> {
        Check { file: "the new configuration" }.all(Raw::defaults(origin), Path::new(""))
    }

    /// Reads the file at `path`. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// Where it cannot be read or does not pass.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|source| ConfigError::Read { file: file.clone(), source })?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")), &file)
    }

    /// Reads TOML `text`. Relative paths in it are relative to `base`; errors speak of `file`.
    ///
    /// # Errors
    /// Where it does not pass.
    pub fn parse(text: &str, base: &Path, file: &str) -> Result<Self, ConfigError> {
        let raw: Raw = toml::from_str(text)
            .map_err(|e| ConfigError::Syntax { file: file.to_owned(), reason: e.to_string().trim_end().to_owned() })?;
        Check { file }.all(raw, base)
    }

    /// Octets of a `submit-entries` body: sixteen times that of a single submission (4 MiB by
    /// default, protocol section 5).
    pub const fn max_batch_body_bytes(&self) -> usize {
        self.max_body_bytes.saturating_mul(16)
    }
}

/// The file, key for key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    origin: String,
    #[serde(default)]
    operator: String,
    #[serde(default = "default::listen")]
    listen: String,
    #[serde(default = "default::data_dir")]
    data_dir: PathBuf,
    #[serde(default = "default::key_file")]
    key_file: PathBuf,
    #[serde(default = "default::anchors_dir")]
    anchors_dir: PathBuf,
    #[serde(default = "default::sth_interval_seconds")]
    sth_interval_seconds: Whole,
    #[serde(default = "default::not_after_start")]
    not_after_start: String,
    #[serde(default = "default::not_after_limit")]
    not_after_limit: String,
    #[serde(default)]
    retention_seconds: Whole,
    #[serde(default = "default::max_chain_length")]
    max_chain_length: Whole,
    #[serde(default = "default::max_body_bytes")]
    max_body_bytes: Whole,
    #[serde(default = "default::queue_limit")]
    queue_limit: Whole,
    #[serde(default = "default::disk_low_watermark_bytes")]
    disk_low_watermark_bytes: Whole,
    #[serde(default)]
    rate_limit: RawRateLimit,
    tls: Option<RawTls>,
    #[serde(default)]
    metrics: RawMetrics,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawRateLimit {
    per_source_per_second: Whole,
    per_source_burst: Whole,
    per_anchor_per_second: Whole,
    per_anchor_burst: Whole,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    cert_file: PathBuf,
    key_file: PathBuf,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RawMetrics {
    listen: Option<String>,
}

impl Default for RawRateLimit {
    fn default() -> Self {
        let n = Whole(20_000);
        Self { per_source_per_second: n, per_source_burst: n, per_anchor_per_second: n, per_anchor_burst: n }
    }
}

impl Raw {
    fn defaults(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            operator: String::new(),
            listen: default::listen(),
            data_dir: default::data_dir(),
            key_file: default::key_file(),
            anchors_dir: default::anchors_dir(),
            sth_interval_seconds: default::sth_interval_seconds(),
            not_after_start: default::not_after_start(),
            not_after_limit: default::not_after_limit(),
            retention_seconds: Whole(0),
            max_chain_length: default::max_chain_length(),
            max_body_bytes: default::max_body_bytes(),
            queue_limit: default::queue_limit(),
            disk_low_watermark_bytes: default::disk_low_watermark_bytes(),
            rate_limit: RawRateLimit::default(),
            tls: None,
            metrics: RawMetrics::default(),
        }
    }
}

/// The value of each key that a file leaves out.
mod default {
    use std::path::PathBuf;

    use super::Whole;

    macro_rules! defaults {
        ($($key:ident: $kind:ty = $value:expr;)*) => { $(pub(super) fn $key() -> $kind { $value.into() })* };
    }

    defaults! {
        listen: String = "127.0.0.1:8080";
        data_dir: PathBuf = "data";
        key_file: PathBuf = "log-key.pem";
        anchors_dir: PathBuf = "anchors";
        sth_interval_seconds: Whole = Whole(60);
        not_after_start: String = "1970-01-01T00:00:00Z";
        not_after_limit: String = "9999-12-31T23:59:59Z";
        max_chain_length: Whole = Whole(4);
        max_body_bytes: Whole = Whole(256 << 10);
        queue_limit: Whole = Whole(4096);
        disk_low_watermark_bytes: Whole = Whole(1 << 30);
    }
}

/// A TOML integer, of which complaints speak in words.
#[derive(Clone, Copy, Default)]
struct Whole(i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Integer;
        impl Visitor<'_> for Integer {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E>(self, n: i64) -> Result<Whole, E> {
                Ok(Whole(n))
            }
        }
        deserializer.deserialize_i64(Integer)
    }
}

/// Checks values, with the name of the file for complaints.
struct Check<'a> {
    file: &'a str,
}

impl Check<'_> {
    fn all(&self, raw: Raw, base: &Path) -> Result<LogConfig, ConfigError> {
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
            max_body_bytes: self.number("max_body_bytes", raw.max_body_bytes, 1 << 10, 16 << 20)?,
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
            tls: raw.tls.map(|tls| self.tls(base, tls)).transpose()?,
            metrics_listen: metrics.transpose()?,
        })
    }

    fn refuse<T>(&self, key: &'static str, found: impl ToString, allowed: &str) -> Result<T, ConfigError> {
        let (found, allowed) = (found.to_string(), allowed.to_owned());
        Err(ConfigError::Value { file: self.file.to_owned(), key, found, allowed })
    }

    fn number<T: TryFrom<i64>>(
        &self,
        key: &'static str,
        Whole(n): Whole,
        least: i64,
        most: i64,
    ) -> Result<T, ConfigError> {
        match T::try_from(n) {
            Ok(value) if (least..=most).contains(&n) => Ok(value),
            _ => self.refuse(key, n, &format!("allowed is {least} to {most}")),
        }
    }

    fn rate(&self, key: &'static str, n: Whole) -> Result<NonZeroU32, ConfigError> {
        let value: u32 = self.number(key, n, 1, 1_000_000_000)?;
        NonZeroU32::new(value).map_or_else(|| self.refuse(key, value, "allowed is 1 and more"), Ok)
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

    fn address(&self, key: &'static str, text: &str) -> Result<SocketAddr, ConfigError> {
        let allowed = "it must be an IP address with a port, such as \"127.0.0.1:8080\" or \"[::]:443\"";
        text.parse().or_else(|_| self.refuse(key, format!("{text:?}"), allowed))
    }

    fn moment(&self, key: &'static str, text: &str) -> Result<UnixMillis, ConfigError> {
        let seconds = text.parse::<der::DateTime>().ok().map(|moment| moment.unix_duration().as_secs());
        let allowed = "it must be a moment in UTC from 1970 to 9999, such as \"2026-07-01T00:00:00Z\"";
        let moment = seconds.and_then(UnixMillis::from_secs);
        moment.map_or_else(|| self.refuse(key, format!("{text:?}"), allowed), Ok)
    }

    fn path(&self, key: &'static str, base: &Path, path: PathBuf) -> Result<PathBuf, ConfigError> {
        if path.as_os_str().is_empty() {
            return self.refuse(key, "\"\"", "it must be a path");
        }
        Ok(base.join(path))
    }

    fn tls(&self, base: &Path, raw: RawTls) -> Result<TlsFiles, ConfigError> {
        Ok(TlsFiles {
            cert_file: self.path("tls.cert_file", base, raw.cert_file)?,
            key_file: self.path("tls.key_file", base, raw.key_file)?,
        })
    }
}

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
