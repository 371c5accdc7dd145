//! Where alerts are brought: what a sink is, and what it says.

pub mod alertmanager;
pub mod command;
pub mod http;
pub mod smtp;
pub mod webhook;

use std::time::Duration;

use atl::time::UnixMillis;
use thiserror::Error;

pub use self::alertmanager::{Alertmanager, AlertmanagerConfig};
pub use self::command::{CommandConfig, CommandSink};
pub use self::http::{HttpConfig, Place};
pub use self::smtp::{Smtp, SmtpConfig, Tls};
pub use self::webhook::{Webhook, WebhookConfig};
use super::message::{Message, Notice};
use super::routing::Route;
use super::secret::SecretError;

/// Why a sink did not say yes. It never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SinkError {
    /// In words.
    pub message: String,
    /// Whether it is because of what was sent, so that the same again will hardly do. Otherwise the sink is in
    /// trouble, and other alerts would fare no better.
    pub refused: bool,
    /// Milliseconds for which it asks to be left alone.
    pub retry_after: Option<u64>,
}

impl SinkError {
    /// The sink is in trouble.
    pub fn trouble(message: impl Into<String>) -> Self {
        Self { message: message.into(), refused: false, retry_after: None }
    }

    /// It does not take what it was sent.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { message: message.into(), refused: true, retry_after: None }
    }
}

/// What to do about a connection that came to nothing, by what the TLS library says of it: its words are for those
/// who write software.
fn tls_advice(text: &str) -> &'static str {
    match text {
        _ if text.contains("UnknownIssuer") => ": its certificate leads to no CA that we trust; name its CA in ca_file",
        _ if text.contains("InvalidContentType") => ": it does not speak TLS there; look at the port",
        _ => "",
    }
}

/// Why a sink cannot be used as it is configured.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A secret is missing.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Something else.
    #[error("{0}")]
    Other(String),
}

/// A sink as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkConfig {
    /// Its name, and what it wants to be told.
    pub route: Route,
    /// What it is.
    pub kind: KindConfig,
}

/// What a sink is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KindConfig {
    /// A URL that is sent JSON.
    Webhook(WebhookConfig),
    /// A program that is started.
    Command(CommandConfig),
    /// People who are sent mail.
    Smtp(SmtpConfig),
    /// A Prometheus Alertmanager.
    Alertmanager(AlertmanagerConfig),
}

/// A sink that is ready.
#[derive(Debug)]
pub enum Sink {
    /// A URL that is sent JSON.
    Webhook(Box<Webhook>),
    /// A program that is started.
    Command(CommandSink),
    /// People who are sent mail.
    Smtp(Box<Smtp>),
    /// A Prometheus Alertmanager.
    Alertmanager(Box<Alertmanager>),
}

impl Sink {
    /// Makes it ready: reads its secrets, and connects to nothing yet. `monitor` is who writes.
    ///
    /// # Errors
    /// Where a secret or a file that the configuration names is not there, or is not what it should be.
    pub fn open(kind: &KindConfig, monitor: &str) -> Result<Self, OpenError> {
        Ok(match kind {
            KindConfig::Webhook(config) => Self::Webhook(Box::new(Webhook::open(config)?)),
            KindConfig::Command(config) => Self::Command(CommandSink::open(config)),
            KindConfig::Smtp(config) => Self::Smtp(Box::new(Smtp::open(config)?)),
            KindConfig::Alertmanager(config) => Self::Alertmanager(Box::new(Alertmanager::open(config, monitor)?)),
        })
    }

    /// What it is, in a word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Command(_) => "command",
            Self::Smtp(_) => "smtp",
            Self::Alertmanager(_) => "alertmanager",
        }
    }

    /// Sends. `Ok` is the yes of the receiver, which has it from then on.
    ///
    /// # Errors
    /// Where it did not say yes in time.
    pub async fn send(&self, message: &Message, now: UnixMillis) -> Result<(), SinkError> {
        match self {
            Self::Webhook(webhook) => webhook.send(message, now).await,
            Self::Command(command) => command.send(message).await,
            Self::Smtp(smtp) => smtp.send(message, now).await,
            Self::Alertmanager(manager) => manager.send(message, now).await,
        }
    }

    /// How often it must be told again what is still so, if it forgets otherwise.
    pub const fn repeats(&self) -> Option<Duration> {
        match self {
            Self::Alertmanager(manager) => Some(manager.resend_every()),
            _ => None,
        }
    }

    /// Tells it again: `active` is still so, and `over` is not any more.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn repeat(&self, active: &[Notice], over: &[Notice], now: UnixMillis) -> Result<(), SinkError> {
        match self {
            Self::Alertmanager(manager) => manager.repeat(active, over, now).await,
            _ => Ok(()),
        }
    }

    /// For how long, in milliseconds from when it was found, an alert that nobody has acknowledged is still so.
    pub const fn active_for(&self) -> u64 {
        match self {
            Self::Alertmanager(manager) => manager.active_for(),
            _ => 0,
        }
    }
}
