//! A Prometheus Alertmanager (its API, version 2: `POST /api/v2/alerts`).
//!
//! It forgets an alert whose `endsAt` has passed, so each that is still so is sent again at an interval, with an
//! `endsAt` of four intervals ahead. One that somebody has acknowledged, or that is older than the configured hours,
//! is sent once more as ended.
//!
//! Labels, which decide what is the same alert: `alertname` (the class), `severity`, `log`, `instance` (the monitor)
//! and `id`. Annotations: `summary`, `description` (the text form), `advice`, and `evidence` where there is some.

use std::time::Duration;

use atl::time::UnixMillis;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use super::http::Target;
use super::{HttpConfig, OpenError, SinkError};
use crate::alert::message::{Message, Notice};

/// An Alertmanager as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertmanagerConfig {
    /// Where it is, without `/api/v2/alerts`.
    pub http: HttpConfig,
    /// How often it is told again what is still so.
    pub resend_every: Duration,
    /// For how long an alert that nobody has acknowledged is still so.
    pub active_for: Duration,
}

/// An Alertmanager that is ready.
#[derive(Debug)]
pub struct Alertmanager {
    target: Target,
    monitor: String,
    resend_every: Duration,
    active_for: Duration,
}

impl Alertmanager {
    /// Makes it ready.
    ///
    /// # Errors
    /// Where a secret is missing.
    pub fn open(config: &AlertmanagerConfig, monitor: &str) -> Result<Self, OpenError> {
        let target = Target::open(&config.http, "api/v2/alerts")?;
        let AlertmanagerConfig { resend_every, active_for, .. } = *config;
        Ok(Self { target, monitor: monitor.to_owned(), resend_every, active_for })
    }

    /// How often it must be told again.
    pub const fn resend_every(&self) -> Duration {
        self.resend_every
    }

    /// For how many milliseconds an alert is still so.
    pub const fn active_for(&self) -> u64 {
        millis(self.active_for)
    }

    /// Tells it.
    ///
    /// # Errors
    /// Where it did not take it.
    pub async fn send(&self, message: &Message, now: UnixMillis) -> Result<(), SinkError> {
        self.repeat(message.notices(), &[], now).await
    }

    /// Tells it what is still so, and what is over.
    ///
    /// # Errors
    /// Where it did not take it.
    pub async fn repeat(&self, active: &[Notice], over: &[Notice], now: UnixMillis) -> Result<(), SinkError> {
        let ends = now.saturating_add(millis(self.resend_every).saturating_mul(4));
        let active = active.iter().map(|notice| self.alert(notice, ends));
        let over = over.iter().map(|notice| self.alert(notice, now));
        let body = Value::Array(active.chain(over).collect()).to_string().into_bytes();
        self.target.post(HeaderMap::new(), body).await
    }

    fn alert(&self, notice: &Notice, ends: UnixMillis) -> Value {
        let mut annotations = Map::new();
        annotations.insert("summary".into(), notice.summary.as_str().into());
        annotations.insert("description".into(), Message::Alert(Box::new(notice.clone())).text().into());
        annotations.insert("advice".into(), notice.advice.into());
        if let Some(evidence) = notice.evidence() {
            annotations.insert("evidence".into(), evidence.into());
        }
        let mut alert = json!({
            "labels": {
                "alertname": notice.class.code(),
                "severity": notice.severity.as_str(),
                "log": notice.log,
                "instance": self.monitor,
                "id": notice.id,
            },
            "annotations": annotations,
            // A clock that was set back must not make it end before it began, which is refused.
            "startsAt": notice.found_at.min(ends).to_string(),
            "endsAt": ends.to_string(),
        });
        if let (Some(link), Some(alert)) = (&notice.links.alert, alert.as_object_mut()) {
            alert.insert("generatorURL".into(), link.as_str().into());
        }
        alert
    }
}

const fn millis(duration: Duration) -> u64 {
    // Configured durations are far from the end of what fits.
    duration.as_secs().saturating_mul(1_000)
}
