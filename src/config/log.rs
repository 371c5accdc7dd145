//! The configuration of one log. Every key but `origin` has a default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::check::Check;
use super::{ConfigError, RateLimit, TlsFiles};
use crate::time::UnixMillis;

mod check;
mod raw;
mod render;

use raw::Raw;

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
    /// First `notAfter` beyond the shard. Default: the start of 9999.
    pub not_after_limit: UnixMillis,
    /// Seconds after which certificate bodies are dropped; 0 for never. Default: 0.
    pub retention_seconds: u64,
    /// Most certificates from submission to anchor, both included, 1 to 16. Default: 4.
    pub max_chain_length: u32,
    /// Octets of a `submit-entry` body, 1 KiB to 512 KiB: what the log holds of all bodies together is
    /// made for that. Default: 256 KiB.
    pub max_body_bytes: usize,
    /// Submissions that wait for the sequencer, 1 to 1 048 576. Default: 4096.
    pub queue_limit: usize,
    /// Limit of each source address. Default: 20 000 and 20 000.
    pub per_source: RateLimit,
    /// Limit of each anchor. Default: 20 000 and 20 000.
    pub per_anchor: RateLimit,
    /// Free octets of the data disk below which the log takes nothing in. Default: 1 GiB.
    pub disk_low_watermark_bytes: u64,
    /// Who is asked to cosign checkpoints, at most 15. Default: nobody.
    pub witnesses: Vec<Witness>,
    /// The server's own TLS, or none. Default: none.
    pub tls: Option<TlsFiles>,
    /// Where metrics are served; `None` for `listen`. Default: `None`.
    pub metrics_listen: Option<SocketAddr>,
}

/// A table of `witnesses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Its submission prefix, behind which `add-checkpoint` is.
    pub url: String,
    /// Its verifier key (signature type 0x04), which the floors above read.
    pub vkey: String,
}

impl LogConfig {
    /// The defaults, for a log of this name. Paths are relative, as in a file that does not name
    /// them.
    ///
    /// # Errors
    /// Where `origin` is not one.
    pub fn new(origin: &str) -> Result<Self, ConfigError> {
        Check { file: "the new configuration" }.log(Raw::defaults(origin), Path::new(""))
    }

    /// Reads the file at `path`. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// Where it cannot be read or does not pass.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let (text, file) = super::raw::load(path)?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")), &file)
    }

    /// Reads TOML `text`. Relative paths in it are relative to `base`; errors speak of `file`.
    ///
    /// # Errors
    /// Where it does not pass.
    pub fn parse(text: &str, base: &Path, file: &str) -> Result<Self, ConfigError> {
        Check { file }.log(super::raw::read(text, file)?, base)
    }

    /// Octets of a `submit-entries` body: sixteen times that of a single submission (4 MiB by
    /// default, protocol section 5).
    pub const fn max_batch_body_bytes(&self) -> usize {
        self.max_body_bytes.saturating_mul(16)
    }
}

#[cfg(test)]
#[path = "log/tests.rs"]
mod tests;
