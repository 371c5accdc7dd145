//! The configuration of a trust engine. Every key but `trust_domain` has a default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::check::Check;
use super::{ConfigError, RateLimit, TlsFiles};
use crate::apki::trust_score::DecayRate;
use crate::keys::PublicKey;

mod check;
mod raw;
mod render;

/// A checked configuration of one trust engine (protocol section 6, draft 6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustConfig {
    /// The trust domain whose agents it keeps scores of: the `aud` of every signal. It never changes.
    pub trust_domain: String,
    /// Where HTTPS is served. Default: `127.0.0.1:8444`.
    pub listen: SocketAddr,
    /// The database's directory. Default: `data`.
    pub data_dir: PathBuf,
    /// Free octets of the data disk below which no signal is taken in. Default: 1 GiB.
    pub disk_low_watermark_bytes: u64,
    /// The service's certificate and key. Default: `tls.pem` and `tls-key.pem`, as `atl trust init` makes them.
    pub tls: TlsFiles,
    /// The rules that scores move by.
    pub policy: Policy,
    /// When a reporter is unlike the others.
    pub baseline: Baseline,
    /// Who may report, each once. Default: nobody.
    pub reporters: Vec<Reporter>,
    /// Who may read scores, each once. Default: nobody.
    pub readers: Vec<Reader>,
    /// Who may decide, each once. Default: nobody.
    pub operators: Vec<Operator>,
    /// Limit of each source address. Default: 1000 and 1000.
    pub per_source: RateLimit,
    /// Signals of each reporter, whatever they are about. Default: 1000 and 2000.
    pub per_reporter: RateLimit,
    /// Where metrics are served; `None` for `listen`. Default: `None`.
    pub metrics_listen: Option<SocketAddr>,
}

/// Table `policy`: the rules that scores move by. Points are whole points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Points an hour that a score loses without positive signals (draft 6.2). Default: 2.
    pub decay_rate: DecayRate,
    /// Seconds behind a positive signal in which nothing decays, at most a week. Default: 3600.
    pub active_seconds: u32,
    /// Points moved within 24 hours, up and down together, beyond which a score decays twice as fast
    /// (T2), 1 to 1000. Default: 40.
    pub swing_points: u16,
    /// Points that one reporter alone moves a score by within 24 hours (T1), 1 to 100. Default: 15.
    pub reporter_cap: u8,
    /// Points that a score rises by within 24 hours before it is held (T1), 1 to 100. Default: 20.
    pub rise_limit: u8,
    /// Points that a security incident takes until an operator has decided, 0 to 100. Default: 25.
    pub incident_points: u8,
    /// Days after which a penalty no longer lowers the cap of a score; 0 is never. Default: 0.
    pub penalty_lapse_days: u16,
    /// Signals of one reporter about one agent within an hour (T1), 1 to 1000. Default: 10.
    pub signals_per_hour: u16,
    /// Seconds that `issued_at` of a signal may lie ahead, 0 to 3600. Default: 60.
    pub max_ahead_seconds: u32,
    /// Seconds after which a signal is too old to be taken, 10 to 86 400. Default: 300.
    pub max_age_seconds: u32,
}

/// Table `baseline`: when a reporter is unlike the others (T1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// Signals within 7 days below which nobody is judged or compared with, 1 to 1 000 000. Default: 20.
    pub min_signals: u32,
    /// Other reporters with as many below which nobody is judged, 1 to 1000. Default: 3.
    pub min_others: u32,
    /// Median absolute deviations beyond which a reporter is flagged, 1 to 1000. Default: 5.
    pub deviations: u32,
}

/// A relying party that may report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// Its name in the ledger: 1 to 64 of `[a-z0-9._-]`.
    pub name: String,
    /// The key of its signals and of its TLS client certificate.
    pub public_key: PublicKey,
}

/// Who may read scores and follow their changes, as a CA does, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// A name, for the server's own log.
    pub name: String,
    /// SHA-256 of the token's text.
    pub token_sha256: [u8; 32],
}

/// Who may decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The name in the ledger.
    pub name: String,
    /// What they may decide.
    pub role: Role,
    /// SHA-256 of the token's text.
    pub token_sha256: [u8; 32],
}

/// What an operator may decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Incidents.
    Ca,
    /// Incidents, reviews, bases and flags.
    Engine,
}

impl Role {
    /// Its name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Engine => "engine",
        }
    }
}

impl TrustConfig {
    /// The defaults, for an engine of this trust domain. Paths are relative, as in a file that does not
    /// name them.
    ///
    /// # Errors
    /// Where the trust domain is not one.
    pub fn new(trust_domain: &str) -> Result<Self, ConfigError> {
        let text = format!("trust_domain = {}\n", super::render::quoted(trust_domain));
        Self::parse(&text, Path::new(""), "the new configuration")
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
        Check { file }.trust(super::raw::read(text, file)?, base)
    }
}

#[cfg(test)]
#[path = "trust/tests.rs"]
mod tests;
