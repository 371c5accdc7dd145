//! `[server]`: how much the monitor's HTTP server lets anybody take of it.

use serde::Deserialize;

use super::{Check, ConfigError};
use crate::http::Limits;

/// How the HTTP server is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// What it lets anybody take of it.
    pub limits: Limits,
    /// Seconds since a log was last verified, beyond which `/readyz` says no. Default: 600.
    pub max_verified_age_seconds: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawServer {
    max_connections: usize,
    max_connections_per_source: usize,
    max_requests: usize,
    posts_per_second: u32,
    post_burst: u32,
    gets_per_second: u32,
    get_burst: u32,
    max_verified_age_seconds: u32,
}

impl Default for RawServer {
    fn default() -> Self {
        let Limits {
            connections,
            connections_per_source,
            requests,
            posts_per_second,
            post_burst,
            gets_per_second,
            get_burst,
            ..
        } = Limits::default();
        Self {
            max_connections: connections,
            max_connections_per_source: connections_per_source,
            max_requests: requests,
            posts_per_second,
            post_burst,
            gets_per_second,
            get_burst,
            max_verified_age_seconds: 600,
        }
    }
}

impl RawServer {
    pub(super) fn check(self, check: &Check<'_>) -> Result<ServerConfig, ConfigError> {
        let within = |key: &str, value: u64, most: u64| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(check.refuse(format!("server.{key}"), format!("1 to {most}"))),
        };
        within("max_connections", self.max_connections as u64, 4096)?;
        within("max_connections_per_source", self.max_connections_per_source as u64, 4096)?;
        within("max_requests", self.max_requests as u64, 256)?;
        within("posts_per_second", self.posts_per_second.into(), 10_000)?;
        within("post_burst", self.post_burst.into(), 10_000)?;
        within("gets_per_second", self.gets_per_second.into(), 10_000)?;
        within("get_burst", self.get_burst.into(), 100_000)?;
        within("max_verified_age_seconds", self.max_verified_age_seconds.into(), 7 * 86_400)?;
        let limits = Limits {
            connections: self.max_connections,
            connections_per_source: self.max_connections_per_source,
            requests: self.max_requests,
            posts_per_second: self.posts_per_second,
            post_burst: self.post_burst,
            gets_per_second: self.gets_per_second,
            get_burst: self.get_burst,
            ..Limits::default()
        };
        Ok(ServerConfig { limits, max_verified_age_seconds: self.max_verified_age_seconds })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{ConfigError, MonitorConfig};
    use crate::http::Limits;

    fn parse(table: &str) -> Result<MonitorConfig, ConfigError> {
        MonitorConfig::parse(&format!("name = \"monitor.example\"\n{table}"), Path::new("/etc/atl"), "monitor.toml")
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        for table in ["", "[server]"] {
            let server = parse(table).unwrap().server;
            assert_eq!((server.limits, server.max_verified_age_seconds), (Limits::default(), 600));
        }
        let server = parse("[server]\npost_burst = 7\nmax_verified_age_seconds = 60").unwrap().server;
        assert_eq!(server.limits, Limits { post_burst: 7, ..Limits::default() });
        assert_eq!(server.max_verified_age_seconds, 60);
    }

    #[test]
    fn what_does_not_pass_is_named() {
        let keys = ["max_connections", "max_connections_per_source", "max_requests", "posts_per_second", "post_burst"];
        for key in keys.into_iter().chain(["gets_per_second", "get_burst", "max_verified_age_seconds"]) {
            for bad in [0, 1_000_000] {
                let error = parse(&format!("[server]\n{key} = {bad}")).unwrap_err().to_string();
                assert!(error.starts_with(&format!("monitor.toml: `server.{key}`: 1 to ")), "{error}");
            }
        }
        assert!(parse("[server]\nmax_conections = 3").unwrap_err().to_string().contains("max_conections"));
    }
}
