//! The log server's configuration: TOML as an operator writes it, checked into plain values.
//!
//! Every key but `origin` has a default. An unknown key is refused, so that a typing error does
//! not silently leave a default in force, and every complaint names file, key and what is allowed.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::time::UnixMillis;

mod check;
mod raw;
mod render;

use check::Check;
use raw::Raw;

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

#[cfg(test)]
#[path = "config/tests.rs"]
mod tests;
