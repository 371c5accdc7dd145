//! The courier with real sockets at the other end, and a clock that is moved by hand.

mod delivery;
mod mail;
mod receiver;
mod sinks;
mod tls;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atl::time::{Clock, UnixMillis};
use reqwest::Url;
use tempfile::TempDir;

use self::receiver::Receiver;
use super::message::Letterhead;
use super::routing::Route;
use super::secret::Source;
use super::sink::{HttpConfig, KindConfig, Place, SinkConfig, WebhookConfig};
use super::{Alert, Courier, find, raise};
use crate::board::Board;
use crate::config::AlertsConfig;
use crate::finding::{Class, Finding, FindingId, Severity};
use crate::state::{Read, State, StateError, Write};

const SECRET: &str = "a secret of the tests, 32 octets";
const START: u64 = 1_775_822_400_000;
const HOUR: u64 = 3_600_000;

/// A clock that is moved by hand.
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::SeqCst))
    }
}

/// A monitor's alerts: database, board, clock and files. Couriers come and go.
struct Office {
    dir: TempDir,
    state: Arc<State>,
    board: Arc<Board>,
    clock: Arc<Hand>,
}

impl Office {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = Arc::new(State::open(&dir.path().join("state.redb")).unwrap());
        Self { dir, state, board: Arc::default(), clock: Arc::new(Hand(AtomicU64::new(START))) }
    }

    fn courier(&self, sinks: &[SinkConfig]) -> Arc<Courier> {
        let config = AlertsConfig { keep_days: 365, sinks: sinks.to_vec(), silences: Vec::new() };
        let letterhead = Letterhead { monitor: "monitor.example/1".into(), public_url: None };
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        // The jitter takes as much as it may: half of what is waited, but never the first second.
        let shortest = Box::new(|| 0);
        let courier = Courier::with_random(
            &config,
            letterhead,
            Arc::clone(&self.state),
            Arc::clone(&self.board),
            clock,
            shortest,
        );
        courier.unwrap()
    }

    fn pass(&self, millis: u64) {
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    fn raise(&self, class: Class, subject: &str) -> FindingId {
        let origin = "log.example/1".parse().unwrap();
        let finding = Finding::new(class, Some(&origin), subject, format!("About {subject}."), self.clock.now());
        self.write(|write| raise(write, &finding));
        finding.id()
    }

    fn write<T>(&self, step: impl FnOnce(&mut Write) -> Result<T, StateError>) -> T {
        self.state.write(step).unwrap()
    }

    fn read<T>(&self, look: impl FnOnce(&Read) -> Result<T, StateError>) -> T {
        self.state.read(look).unwrap()
    }

    fn alert(&self, id: FindingId) -> Alert {
        self.read(|read| find(read, id)).unwrap()
    }

    /// A file with a secret in it.
    fn secret(&self, secret: &str) -> Source {
        let file = self.dir.path().join("secret");
        std::fs::write(&file, secret).unwrap();
        Source::File(file)
    }

    fn http(&self, receiver: &Receiver, path: &str) -> HttpConfig {
        let place = Place::Url(Url::parse(&format!("{}{path}", receiver.url())).unwrap());
        HttpConfig { place, token: None, ca_file: None, timeout: Duration::from_secs(30) }
    }

    /// A webhook that signs.
    fn webhook(&self, name: &str, receiver: &Receiver) -> SinkConfig {
        let http = self.http(receiver, "/alerts");
        sink(name, KindConfig::Webhook(WebhookConfig { http, secret: Some(self.secret(SECRET)) }))
    }
}

fn sink(name: &str, kind: KindConfig) -> SinkConfig {
    SinkConfig { route: Route { sink: name.into(), min_severity: Severity::Info, digest: None }, kind }
}
