//! `[alerts]`: who is told of what is found, and what the owner does not want to hear.
//!
//! ```toml
//! [alerts]
//! keep_days = 365                     # delivered alerts are kept so long; evidence is kept for ever
//!
//! [[alerts.webhook]]                  # JSON, posted
//! name = "ops"
//! url = "https://ops.example/atl"     # or url_file, url_env where the URL is a secret
//! secret_file = "webhook.secret"      # or secret_env: messages are signed with it (HMAC-SHA256)
//! min_severity = "warning"            # info, warning, critical. Default: info
//! digest_hours = 24                   # info findings in one message at most so often; 0: each at once
//!
//! [[alerts.command]]                  # a program, without a shell, with JSON on its standard input
//! name = "pager"
//! argv = ["/usr/local/bin/page", "--now"]
//!
//! [[alerts.smtp]]
//! name = "mail"
//! host = "mail.example"
//! tls = "starttls"                    # or implicit, or none. Ports: 587, 465, 25
//! username = "monitor"
//! password_env = "MAIL_PASSWORD"      # or password_file
//! from = "Monitor <monitor@example.org>"
//! to = ["ops@example.org"]
//!
//! [[alerts.alertmanager]]
//! name = "prometheus"
//! url = "http://127.0.0.1:9093"
//!
//! [[alerts.silence]]                  # all that is said must be so; * and ? are wild
//! class = "entry.lookalike"
//! domain = "*.partner.example"
//! until = 2027-01-31
//! reason = "our own campaign, ticket 7"
//! ```
//!
//! That a log is proven to have misbehaved is silenced by the finding's own name (`id`) only: it comes once in a
//! log's life, takes back everything that the log has vouched for, and must not be swallowed by a pattern that was
//! written about something else.

mod sinks;

use std::path::PathBuf;

use atl::time::UnixMillis;
use serde::Deserialize;
use toml::value::Datetime;

use super::{Check, ConfigError};
use crate::alert::routing::{Glob, Routing, Silence};
use crate::alert::sink::SinkConfig;
use crate::finding::{Class, FindingId};

/// Who is told, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertsConfig {
    /// For how many days alerts are kept that everybody has who should. Default: 365.
    pub keep_days: u32,
    /// The sinks, by their names in their order.
    pub sinks: Vec<SinkConfig>,
    /// What is not sent.
    pub silences: Vec<Silence>,
}

impl AlertsConfig {
    /// What decides who is told.
    pub fn routing(&self) -> Routing {
        Routing { routes: self.sinks.iter().map(|sink| sink.route.clone()).collect(), silences: self.silences.clone() }
    }
}

/// The table as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAlerts {
    keep_days: Option<u32>,
    webhook: Vec<sinks::RawWebhook>,
    command: Vec<sinks::RawCommand>,
    smtp: Vec<sinks::RawSmtp>,
    alertmanager: Vec<sinks::RawAlertmanager>,
    silence: Vec<RawSilence>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSilence {
    class: Option<String>,
    log: Option<String>,
    subject: Option<String>,
    domain: Option<String>,
    id: Option<String>,
    until: Datetime,
    reason: String,
}

impl RawAlerts {
    pub(super) fn check(self, check: &Check) -> Result<AlertsConfig, ConfigError> {
        let keep_days = self.keep_days.unwrap_or(365);
        if !(1..=36_500).contains(&keep_days) {
            return Err(check.refuse("alerts.keep_days", "1 to 36500"));
        }
        let mut sinks: Vec<SinkConfig> = Vec::new();
        let mut add = |key: String, sink: SinkConfig| {
            if sinks.iter().any(|other| other.route.sink == sink.route.sink) {
                return Err(check.refuse(format!("{key}.name"), "a sink of this name is there already"));
            }
            sinks.push(sink);
            Ok(())
        };
        for (n, raw) in self.webhook.into_iter().enumerate() {
            let key = format!("alerts.webhook[{n}]");
            add(key.clone(), raw.check(check, &key)?)?;
        }
        for (n, raw) in self.command.into_iter().enumerate() {
            let key = format!("alerts.command[{n}]");
            add(key.clone(), raw.check(check, &key)?)?;
        }
        for (n, raw) in self.smtp.into_iter().enumerate() {
            let key = format!("alerts.smtp[{n}]");
            add(key.clone(), raw.check(check, &key)?)?;
        }
        for (n, raw) in self.alertmanager.into_iter().enumerate() {
            let key = format!("alerts.alertmanager[{n}]");
            add(key.clone(), raw.check(check, &key)?)?;
        }
        let silences = self.silence.into_iter().enumerate();
        let silences = silences.map(|(n, raw)| raw.check(check, &format!("alerts.silence[{n}]")));
        Ok(AlertsConfig { keep_days, silences: silences.collect::<Result<_, _>>()?, sinks })
    }
}

impl RawSilence {
    fn check(self, check: &Check, key: &str) -> Result<Silence, ConfigError> {
        let refuse = |name: &str, reason: &str| check.refuse(format!("{key}.{name}"), reason);
        let glob = |name: &str, text: Option<String>| {
            text.map(|text| text.parse::<Glob>().map_err(|e| refuse(name, &e))).transpose()
        };
        if self.reason.trim().is_empty() {
            return Err(refuse("reason", "say why nobody is to be told: whoever reads this next year does not know"));
        }
        let id = match &self.id {
            Some(id) => Some(FindingId::parse(id).ok_or_else(|| refuse("id", "the 32 hex digits of an alert"))?),
            None => None,
        };
        let class = glob("class", self.class.clone())?;
        if let Some(class) = &class {
            let mut known = Class::ALL.iter().filter(|known| class.matches(known.code())).peekable();
            if known.peek().is_none() {
                return Err(refuse("class", "no class of findings is so; atl-monitor alerts shows their codes"));
            }
            if id.is_none() && known.all(|known| known.freezes_log()) {
                let reason = "a log that is proven to have misbehaved is silenced by the alert's `id` only: it comes \
                              once in a log's life, and no pattern may swallow it";
                return Err(refuse("class", reason));
            }
        }
        let silence = Silence {
            class,
            log: glob("log", self.log)?,
            subject: glob("subject", self.subject)?,
            domain: glob("domain", self.domain)?,
            id,
            until: moment(&self.until).ok_or_else(|| refuse("until", "a date such as 2027-01-31, or a time in UTC"))?,
            reason: self.reason.trim().to_owned(),
        };
        let says_nothing = Silence { until: silence.until, reason: silence.reason.clone(), ..nothing() } == silence;
        if says_nothing {
            return Err(check.refuse(key, "it would silence everything; name a class, log, subject, domain or id"));
        }
        Ok(silence)
    }
}

const fn nothing() -> Silence {
    Silence {
        class: None,
        log: None,
        subject: None,
        domain: None,
        id: None,
        until: UnixMillis::new(0),
        reason: String::new(),
    }
}

/// The beginning of a day, or a time, in UTC where no offset says otherwise.
fn moment(datetime: &Datetime) -> Option<UnixMillis> {
    let date = datetime.date?;
    let days = days_since_1970(date.year.into(), date.month.into(), date.day.into());
    let seconds = datetime.time.map_or(0, |time| {
        let seconds = i64::from(time.second.unwrap_or(0));
        i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + seconds
    });
    let offset = match datetime.offset {
        Some(toml::value::Offset::Custom { minutes }) => i64::from(minutes) * 60,
        _ => 0,
    };
    UnixMillis::from_secs(u64::try_from(days * 86_400 + seconds - offset).ok()?)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar: years are counted from March on, so that the leap day
/// is the last one of its year.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// A path, or nothing.
pub(super) type File = Option<PathBuf>;

#[cfg(test)]
#[path = "alerts/tests.rs"]
mod tests;
