//! The sinks, as they are written.

use std::time::Duration;

use serde::Deserialize;

use super::{Check, ConfigError, File};
use crate::alert::routing::Route;
use crate::alert::secret::Source;
use crate::alert::sink::http::read_url;
use crate::alert::sink::{
    AlertmanagerConfig, CommandConfig, HttpConfig, KindConfig, Place, SinkConfig, SmtpConfig, Tls, WebhookConfig,
};
use crate::finding::Severity;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWebhook {
    name: String,
    min_severity: Option<Severity>,
    digest_hours: Option<u32>,
    url: Option<String>,
    url_file: File,
    url_env: Option<String>,
    secret_file: File,
    secret_env: Option<String>,
    token_file: File,
    token_env: Option<String>,
    ca_file: File,
    timeout_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCommand {
    name: String,
    min_severity: Option<Severity>,
    digest_hours: Option<u32>,
    argv: Vec<String>,
    timeout_seconds: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSmtp {
    name: String,
    min_severity: Option<Severity>,
    digest_hours: Option<u32>,
    host: String,
    port: Option<u16>,
    tls: RawTls,
    ca_file: File,
    username: Option<String>,
    password_file: File,
    password_env: Option<String>,
    from: String,
    to: Vec<String>,
    timeout_seconds: Option<u32>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum RawTls {
    StartTls,
    Implicit,
    None,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAlertmanager {
    name: String,
    min_severity: Option<Severity>,
    url: Option<String>,
    url_file: File,
    url_env: Option<String>,
    token_file: File,
    token_env: Option<String>,
    ca_file: File,
    timeout_seconds: Option<u32>,
    resend_seconds: Option<u32>,
    active_hours: Option<u32>,
}

impl RawWebhook {
    pub fn check(self, check: &Check, key: &str) -> Result<SinkConfig, ConfigError> {
        let at = At { check, key };
        let http = HttpConfig {
            place: at.place(self.url, self.url_file, self.url_env)?,
            token: at.source("token", self.token_file, self.token_env)?,
            ca_file: self.ca_file.map(|file| check.path(&file)),
            timeout: at.seconds("timeout_seconds", self.timeout_seconds, 10, 300)?,
        };
        let secret = at.source("secret", self.secret_file, self.secret_env)?;
        let route = at.route(self.name, self.min_severity, Some(self.digest_hours))?;
        Ok(SinkConfig { route, kind: KindConfig::Webhook(WebhookConfig { http, secret }) })
    }
}

impl RawCommand {
    pub fn check(self, check: &Check, key: &str) -> Result<SinkConfig, ConfigError> {
        let at = At { check, key };
        let mut argv = self.argv.into_iter();
        let program = argv.next().filter(|program| !program.is_empty());
        let program =
            program.ok_or_else(|| at.refuse("argv", "the program and its arguments, at least the program"))?;
        // A plain name is looked up in PATH; one with a slash is a file, and relative to the configuration's.
        let program = if program.contains('/') { check.path(program.as_ref()) } else { program.into() };
        let timeout = at.seconds("timeout_seconds", self.timeout_seconds, 30, 3_600)?;
        let route = at.route(self.name, self.min_severity, Some(self.digest_hours))?;
        Ok(SinkConfig { route, kind: KindConfig::Command(CommandConfig { program, args: argv.collect(), timeout }) })
    }
}

impl RawSmtp {
    pub fn check(self, check: &Check, key: &str) -> Result<SinkConfig, ConfigError> {
        let at = At { check, key };
        let (tls, port) = match self.tls {
            RawTls::StartTls => (Tls::StartTls, 587),
            RawTls::Implicit => (Tls::Implicit, 465),
            RawTls::None => (Tls::None, 25),
        };
        if self.host.is_empty() || self.host.contains(|c: char| c.is_whitespace() || c == '/' || c == '@') {
            return Err(at.refuse("host", "the name or the address of a mail server, without a port"));
        }
        let password = at.source("password", self.password_file, self.password_env)?;
        let login = match (self.username, password) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            _ => return Err(at.refuse("username", "username and password_file (or password_env): both, or neither")),
        };
        if login.is_some() && tls == Tls::None && !matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1") {
            return Err(at.refuse("tls", "a password goes over starttls or implicit TLS only, or to this machine"));
        }
        let mailbox = |name: &str, text: &str| {
            text.parse().map_err(|e| at.refuse(name, format!("{text:?} is no mail address: {e}")))
        };
        let to = self.to.iter().map(|to| mailbox("to", to)).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(at.refuse("to", "at least one mail address"));
        }
        let config = SmtpConfig {
            host: self.host,
            port: self.port.unwrap_or(port),
            tls,
            ca_file: self.ca_file.map(|file| check.path(&file)),
            login,
            from: mailbox("from", &self.from)?,
            to,
            timeout: at.seconds("timeout_seconds", self.timeout_seconds, 20, 300)?,
        };
        let route = at.route(self.name, self.min_severity, Some(self.digest_hours))?;
        Ok(SinkConfig { route, kind: KindConfig::Smtp(config) })
    }
}

impl RawAlertmanager {
    pub fn check(self, check: &Check, key: &str) -> Result<SinkConfig, ConfigError> {
        let at = At { check, key };
        let http = HttpConfig {
            place: at.place(self.url, self.url_file, self.url_env)?,
            token: at.source("token", self.token_file, self.token_env)?,
            ca_file: self.ca_file.map(|file| check.path(&file)),
            timeout: at.seconds("timeout_seconds", self.timeout_seconds, 10, 300)?,
        };
        let config = AlertmanagerConfig {
            http,
            resend_every: at.seconds("resend_seconds", self.resend_seconds, 60, 3_600)?,
            active_for: at.seconds("active_hours", self.active_hours, 24, 8_760)?.saturating_mul(3_600),
        };
        let route = at.route(self.name, self.min_severity, None)?;
        Ok(SinkConfig { route, kind: KindConfig::Alertmanager(config) })
    }
}

/// The table being checked.
struct At<'a> {
    check: &'a Check<'a>,
    key: &'a str,
}

impl At<'_> {
    fn refuse(&self, name: &str, reason: impl std::fmt::Display) -> ConfigError {
        self.check.refuse(format!("{}.{name}", self.key), reason)
    }

    /// `digest_hours` is `None` for a sink that gathers by itself.
    fn route(
        &self,
        name: String,
        min_severity: Option<Severity>,
        digest_hours: Option<Option<u32>>,
    ) -> Result<Route, ConfigError> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if !(1..=64).contains(&name.len()) || !name.chars().all(is_plain) {
            return Err(self.refuse("name", "1 to 64 of a-z, 0-9, '-', '_' and '.'"));
        }
        let hours = digest_hours.map_or(0, |hours| hours.unwrap_or(24));
        if hours > 744 {
            return Err(self.refuse("digest_hours", "0 to 744"));
        }
        let digest = (hours > 0).then_some(u64::from(hours) * 3_600_000);
        Ok(Route { sink: name, min_severity: min_severity.unwrap_or(Severity::Info), digest })
    }

    fn source(&self, name: &str, file: File, env: Option<String>) -> Result<Option<Source>, ConfigError> {
        match (file, env) {
            (None, None) => Ok(None),
            (Some(file), None) => Ok(Some(Source::File(self.check.path(&file)))),
            (None, Some(env)) if !env.is_empty() && !env.contains(['=', '\0']) => Ok(Some(Source::Env(env))),
            (None, Some(_)) => Err(self.refuse(&format!("{name}_env"), "the name of an environment variable")),
            (Some(_), Some(_)) => Err(self.refuse(&format!("{name}_file"), format!("that or {name}_env, not both"))),
        }
    }

    fn place(&self, url: Option<String>, file: File, env: Option<String>) -> Result<Place, ConfigError> {
        match (url, self.source("url", file, env)?) {
            (Some(url), None) => Ok(Place::Url(read_url(&url).map_err(|why| self.refuse("url", why))?)),
            (None, Some(source)) => Ok(Place::Source(source)),
            _ => Err(self.refuse("url", "one of url, url_file and url_env")),
        }
    }

    fn seconds(&self, name: &str, given: Option<u32>, usual: u32, most: u32) -> Result<Duration, ConfigError> {
        let value = given.unwrap_or(usual);
        if !(1..=most).contains(&value) {
            return Err(self.refuse(name, format!("1 to {most}")));
        }
        Ok(Duration::from_secs(value.into()))
    }
}
