//! The configurations of servers, gateways and relying parties: TOML as an operator writes it, checked into plain values.
//!
//! An unknown key is refused, so that a typing error does not silently leave a default in force,
//! and every complaint names file, key and what is allowed.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use thiserror::Error;

pub mod ca;
mod check;
pub mod gateway;
pub mod log;
mod raw;
pub mod relying;
mod render;
pub mod trust;

pub use self::ca::CaConfig;
pub use self::gateway::GatewayConfig;
pub use self::log::LogConfig;
pub use self::relying::RelyingConfig;
pub use self::trust::TrustConfig;

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
        key: String,
        /// The value found.
        found: String,
        /// What may stand there.
        allowed: String,
    },
}

/// A token bucket: `per_second` on average, `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests that flow in each second.
    pub per_second: NonZeroU32,
    /// Requests that an idle bucket holds.
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

/// A name of the service in its TLS certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicName {
    /// A DNS name.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

impl fmt::Display for PublicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}
