//! What an operator may set. An unknown key is refused, and a complaint names the file, the key and what may stand
//! there. One file per table of the configuration.

mod alerts;
mod gossip;
mod owner;
mod rules;
#[cfg(test)]
mod rules_tests;
#[cfg(test)]
mod sample_tests;
mod server;
mod witness;

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use atl::log::cosignature::WitnessKey;
use atl::log::note::{KeyName, VerifierKey};
use serde::Deserialize;
use thiserror::Error;

pub use self::alerts::AlertsConfig;
pub use self::gossip::{GossipConfig, Peer};
pub use self::owner::LookalikeConfig;
use self::owner::{RawFeed, RawLookalike, RawOwner};
use self::rules::RawRules;
pub use self::server::ServerConfig;
pub use self::witness::WitnessConfig;
use crate::feed::FeedConfig;
use crate::rules::settings::{Owner, Settings};
use crate::watched::WatchedLog;

/// Why a configuration is not used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{file}: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A key holds what it must not.
    #[error("{file}: `{key}`: {reason}")]
    Key {
        /// The file.
        file: String,
        /// The key, with the tables that it is in.
        key: String,
        /// What is wrong, and what may stand there.
        reason: String,
    },
}

/// The file being checked, to complain about.
pub(crate) struct Check<'a> {
    file: &'a str,
    /// What relative paths are relative to.
    base: &'a Path,
}

impl Check<'_> {
    /// A complaint about the key `key`.
    pub(crate) fn refuse(&self, key: impl Display, reason: impl Display) -> ConfigError {
        ConfigError::Key { file: self.file.to_owned(), key: key.to_string(), reason: reason.to_string() }
    }

    /// A path of the file.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }
}

/// A checked configuration of one monitor.
#[derive(Clone, Debug)]
pub struct MonitorConfig {
    /// The monitor's name, under which it signs.
    pub name: KeyName,
    /// Where it serves its page and everything else over HTTP, or nowhere.
    pub listen: Option<SocketAddr>,
    /// Where the database and the evidence are.
    pub data_dir: PathBuf,
    /// PEM PKCS#8 Ed25519 key that signs audit statements and evidence.
    pub key_file: PathBuf,
    /// The base URL under which people reach its page, for links in alerts; without a slash at its end.
    pub public_url: Option<String>,
    /// The logs to follow.
    pub logs: Vec<FollowedLog>,
    /// The witnesses whose cosignatures on the logs' checkpoints are shown.
    pub witnesses: Vec<WitnessKey>,
    /// Who is told of what is found.
    pub alerts: AlertsConfig,
    /// Whom it watches for.
    pub owner: Owner,
    /// What he has ordered, where he says so: without it nobody asks whether a certificate was.
    pub feed: Option<FeedConfig>,
    /// Which rules are on, and their measures.
    pub rules: Settings,
    /// Which look-alikes are told of.
    pub lookalike: LookalikeConfig,
    /// How its HTTP server is set.
    pub server: ServerConfig,
    /// How it is a witness, if it is one.
    pub witness: Option<WitnessConfig>,
    /// How heads are exchanged with other monitors.
    pub gossip: GossipConfig,
}

impl MonitorConfig {
    /// The file of the database.
    pub fn state_file(&self) -> PathBuf {
        self.data_dir.join("state.redb")
    }
}

/// A log to follow.
#[derive(Clone, Debug)]
pub struct FollowedLog {
    /// The log.
    pub log: WatchedLog,
    /// Seconds between looks at it, 1 to 3600. Default: 10.
    pub poll_seconds: u32,
    /// Seconds after which its newest head is stale. Default: 300.
    pub max_head_age_seconds: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    listen: Option<SocketAddr>,
    #[serde(default = "data_dir")]
    data_dir: PathBuf,
    #[serde(default = "key_file")]
    key_file: PathBuf,
    public_url: Option<String>,
    #[serde(default)]
    logs: Vec<RawLog>,
    #[serde(default)]
    witnesses: Vec<String>,
    #[serde(default)]
    alerts: alerts::RawAlerts,
    #[serde(default)]
    owner: RawOwner,
    feed: Option<RawFeed>,
    #[serde(default)]
    rules: RawRules,
    #[serde(default)]
    lookalike: RawLookalike,
    #[serde(default)]
    server: server::RawServer,
    witness: Option<witness::RawWitness>,
    #[serde(default)]
    gossip: gossip::RawGossip,
    #[serde(default)]
    peers: Vec<gossip::RawPeer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    url: String,
    vkey: String,
    #[serde(default)]
    operator: String,
    #[serde(default = "poll_seconds")]
    poll_seconds: u32,
    #[serde(default = "max_head_age_seconds")]
    max_head_age_seconds: u32,
}

fn data_dir() -> PathBuf {
    "data".into()
}

fn key_file() -> PathBuf {
    "monitor-key.pem".into()
}

const fn poll_seconds() -> u32 {
    10
}

const fn max_head_age_seconds() -> u32 {
    300
}

impl MonitorConfig {
    /// Reads the file at `path`. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// Where it cannot be read or does not pass.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let unreadable = |e: std::io::Error| ConfigError::Unreadable { file: file.clone(), reason: e.to_string() };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text, path.parent().unwrap_or(Path::new("")), &file)
    }

    /// Reads TOML `text`. Relative paths in it are relative to `base`; errors speak of `file`.
    ///
    /// # Errors
    /// Where it does not pass.
    pub fn parse(text: &str, base: &Path, file: &str) -> Result<Self, ConfigError> {
        let unreadable = |e: toml::de::Error| ConfigError::Unreadable { file: file.to_owned(), reason: e.to_string() };
        let raw: Raw = toml::from_str(text).map_err(unreadable)?;
        let check = Check { file, base };
        let logs: Vec<FollowedLog> =
            raw.logs.into_iter().enumerate().map(|(n, log)| check.log(n, log)).collect::<Result<_, _>>()?;
        for (n, followed) in logs.iter().enumerate() {
            if logs[..n].iter().any(|other| other.log.origin == followed.log.origin) {
                return Err(check.refuse(format!("logs[{n}].vkey"), "a log of this name is there already"));
            }
        }
        let owner = check.owner(raw.owner)?;
        let feed = check.feed(raw.feed, &owner)?;
        let key_file = check.path(&raw.key_file);
        Ok(Self {
            rules: check.rules(raw.rules, &logs, feed.as_ref())?,
            lookalike: check.lookalike(raw.lookalike)?,
            owner,
            feed,
            name: raw.name.parse().map_err(|e| check.refuse("name", e))?,
            listen: raw.listen,
            data_dir: check.path(&raw.data_dir),
            public_url: raw.public_url.map(|url| check.public_url(&url)).transpose()?,
            witnesses: check.witnesses(&raw.witnesses)?,
            logs,
            alerts: raw.alerts.check(&check)?,
            server: raw.server.check(&check)?,
            witness: raw.witness.map(|witness| witness.check(&check, &key_file)).transpose()?,
            key_file,
            gossip: check.gossip(&raw.name, &raw.gossip, raw.peers)?,
        })
    }
}

impl Check<'_> {
    fn witnesses(&self, vkeys: &[String]) -> Result<Vec<WitnessKey>, ConfigError> {
        let read =
            |(n, vkey): (usize, &String)| vkey.parse().map_err(|e| self.refuse(format_args!("witnesses[{n}]"), e));
        vkeys.iter().enumerate().map(read).collect()
    }

    fn public_url(&self, url: &str) -> Result<String, ConfigError> {
        let plain = url.trim_end_matches('/');
        let host = plain.strip_prefix("https://").or_else(|| plain.strip_prefix("http://"));
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '"' | '<' | '>');
        if host.is_none_or(|host| host.is_empty() || host.contains(is_odd)) {
            return Err(self.refuse("public_url", "it must start with https:// or http://, without ? and #"));
        }
        Ok(plain.to_owned())
    }

    fn log(&self, n: usize, raw: RawLog) -> Result<FollowedLog, ConfigError> {
        let key: VerifierKey = raw.vkey.parse().map_err(|e| self.refuse(format!("logs[{n}].vkey"), e))?;
        let log = WatchedLog::new(key, raw.url, raw.operator)
            .ok_or_else(|| self.refuse(format!("logs[{n}].vkey"), "its name is no origin of a log"))?;
        if !(1..=3600).contains(&raw.poll_seconds) {
            return Err(self.refuse(format!("logs[{n}].poll_seconds"), "1 to 3600"));
        }
        Ok(FollowedLog { log, poll_seconds: raw.poll_seconds, max_head_age_seconds: raw.max_head_age_seconds })
    }
}
