//! Telling our heads to other monitors, again and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use atl::client::{LogClient, chain, is_loopback};
use atl::log::checkpoint::Origin;
use parking_lot::Mutex;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Url};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::seal::{SEAL, Said, check, seal};
use super::wire::{MAX_BODY_OCTETS, MAX_HEADS, Message, PATH, open};
use crate::config::{GossipConfig, Peer};
use crate::heads::compare::HeadId;
use crate::heads::{Heads, HeadsError, Standing};
use crate::http::Shared;
use crate::pause::{pause, random, stopped};
use crate::state::StateError;

/// How often the inbox is looked into, besides after each exchange.
const SETTLE_EVERY: Duration = Duration::from_secs(5);

/// Why heads were not exchanged.
#[derive(Debug, Error)]
pub enum GossipError {
    /// The other monitor cannot be reached, or the connection broke.
    #[error("{url}: {reason}")]
    Transport {
        /// What was asked.
        url: String,
        /// What broke.
        reason: String,
    },
    /// It refused.
    #[error("{url}: status {status}: {body}")]
    Refused {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        body: String,
    },
    /// Its answer is no message, or longer than one is.
    #[error("{url}: the answer is no message of gossip: {reason}")]
    Answer {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It goes by another name.
    #[error("{url}: the monitor calls itself {found:?}: correct its name under [[peers]]")]
    OtherName {
        /// What was asked.
        url: String,
        /// The name that it gives.
        found: String,
    },
    /// Our own side failed.
    #[error(transparent)]
    Heads(#[from] HeadsError),
}

/// The largest head of each log that each peer has shown: peer and origin to the head.
type Largest = BTreeMap<(String, String), HeadId>;

/// The side of gossip that asks.
pub struct Gossip {
    shared: Arc<Shared>,
    heads: Heads,
    clients: BTreeMap<String, LogClient>,
    interval: Duration,
    http: Client,
    largest: Mutex<Largest>,
}

impl Gossip {
    /// Gossip with the peers in `shared`, who are put on the board; `clients` are of the logs, by origin.
    ///
    /// # Errors
    /// Where TLS cannot start.
    pub fn new(
        shared: Arc<Shared>,
        heads: Heads,
        clients: BTreeMap<String, LogClient>,
        config: &GossipConfig,
    ) -> Result<Self, GossipError> {
        let mut builder = atl::client::builder();
        let local = |peer: &Peer| Url::parse(&peer.url).is_ok_and(|url| is_loopback(&url));
        if shared.peers.iter().all(local) {
            builder = builder.no_proxy();
        }
        if shared.peers.iter().all(|peer| peer.url.starts_with("http://")) {
            // No certificate is ever looked at, so a machine without root certificates will do.
            builder = builder.tls_certs_only([]);
        }
        let started = |e: reqwest::Error| GossipError::Transport { url: "TLS".into(), reason: chain(&e) };
        for peer in &shared.peers {
            shared.board.peer(peer.name.as_str(), |line| line.url.clone_from(&peer.url));
        }
        let interval = Duration::from_secs(config.interval_seconds.into());
        Ok(Self {
            shared,
            heads,
            clients,
            interval,
            http: builder.build().map_err(started)?,
            largest: Mutex::default(),
        })
    }

    /// Exchanges heads with every peer and settles what they show, until `stop` says so.
    ///
    /// # Errors
    /// Where the database fails: what cannot be kept must not be told, so there is no going on.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), StateError> {
        let this = Arc::new(self);
        let mut tasks = JoinSet::new();
        for peer in this.shared.peers.clone() {
            tasks.spawn(this.clone().keep_exchanging(peer, stop.clone()));
        }
        for log in this.shared.logs.clone() {
            tasks.spawn(this.clone().keep_settling(log.origin, stop.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(ended) => ended?,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => {}
            }
        }
        // Without peers and logs there is nothing to do, which is no reason to end the monitor.
        stopped(&mut stop).await;
        Ok(())
    }

    async fn keep_exchanging(self: Arc<Self>, peer: Peer, mut stop: watch::Receiver<bool>) -> Result<(), StateError> {
        let mut failures = 0_u32;
        loop {
            let exchanged = tokio::select! {
                exchanged = self.exchange(&peer) => exchanged,
                () = stopped(&mut stop) => return Ok(()),
            };
            failures = if exchanged.is_ok() { 0 } else { failures.saturating_add(1) };
            if let Err(GossipError::Heads(HeadsError::State(error))) = exchanged {
                return Err(error);
            }
            tokio::select! {
                () = tokio::time::sleep(pause(self.interval, failures, None, random())) => {}
                () = stopped(&mut stop) => return Ok(()),
            }
        }
    }

    async fn keep_settling(self: Arc<Self>, origin: Origin, mut stop: watch::Receiver<bool>) -> Result<(), StateError> {
        loop {
            tokio::select! {
                settled = self.settle(&origin) => match settled {
                    Ok(()) => {}
                    Err(GossipError::Heads(HeadsError::State(error))) => return Err(error),
                    Err(error) => tracing::error!(log = %origin, %error, "heads cannot be settled"),
                },
                () = stopped(&mut stop) => return Ok(()),
            }
            tokio::select! {
                () = tokio::time::sleep(SETTLE_EVERY) => {}
                () = stopped(&mut stop) => return Ok(()),
            }
        }
    }

    /// Tells one peer our heads and takes its own into the inbox; the board says how it went.
    ///
    /// # Errors
    /// Where the peer does not answer as it must, or our database fails.
    pub async fn exchange(&self, peer: &Peer) -> Result<(), GossipError> {
        let exchanged = self.tell(peer).await;
        let now = self.shared.clock.now();
        self.shared.board.peer(peer.name.as_str(), |line| match &exchanged {
            Ok(()) => (line.last_exchange_at, line.error) = (Some(now), None),
            Err(error) => line.error = Some(error.to_string()),
        });
        for log in &self.shared.logs {
            self.show_agreement(&log.origin)?;
        }
        exchanged
    }

    /// Settles what waits of one log, and shows on the board who agrees.
    ///
    /// # Errors
    /// Where the database fails or evidence cannot be kept.
    pub async fn settle(&self, origin: &Origin) -> Result<(), GossipError> {
        let log = self.shared.logs.iter().find(|log| log.origin == *origin);
        let (Some(log), Some(client)) = (log, self.clients.get(origin.as_str())) else { return Ok(()) };
        self.heads.settle(log, client).await?;
        self.show_agreement(origin)
    }

    async fn tell(&self, peer: &Peer) -> Result<(), GossipError> {
        for message in Message::all(self.shared.name.as_str(), &self.shared.logs, &self.heads)? {
            let answer = self.post(peer, &message).await?;
            for refused in &answer.refused {
                tracing::debug!(peer = %peer.name, log = refused.origin, reason = refused.reason, "a head was refused");
            }
            self.take(peer, answer)?;
        }
        Ok(())
    }

    async fn post(&self, peer: &Peer, message: &Message) -> Result<Message, GossipError> {
        let url = format!("{}{PATH}", peer.url);
        let broken = |e: reqwest::Error| GossipError::Transport { url: url.clone(), reason: chain(&e.without_url()) };
        let failed = |reason: String| GossipError::Answer { url: url.clone(), reason };
        let sent = serde_json::to_vec(message).map_err(|e| failed(e.to_string()))?;
        let now = self.shared.clock.now();
        let sealed =
            seal(&*self.shared.signer, &self.shared.name, &peer.name, Said { body: &sent, answers: None }, now);
        let request = self.http.post(&url).header(SEAL, sealed.map_err(|e| failed(e.to_string()))?);
        let request = request.header(CONTENT_TYPE, "application/json").body(sent.clone());
        let mut response = request.send().await.map_err(broken)?;
        let seal = response.headers().get(SEAL).and_then(|seal| seal.to_str().ok()).map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > MAX_BODY_OCTETS {
                return Err(GossipError::Answer { url, reason: format!("it is longer than {MAX_BODY_OCTETS} octets") });
            }
            body.extend_from_slice(&chunk);
        }
        let status = response.status().as_u16();
        if status != 200 {
            let body = String::from_utf8_lossy(&body).chars().take(300).collect();
            return Err(GossipError::Refused { url, status, body });
        }
        check(
            seal.as_deref(),
            &peer.key,
            &self.shared.name,
            Said { body: &body, answers: Some(&sent) },
            self.shared.clock.now(),
        )
        .map_err(|e| failed(e.to_string()))?;
        let answer: Message = match serde_json::from_slice(&body) {
            Ok(answer) => answer,
            Err(e) => return Err(GossipError::Answer { url, reason: e.to_string() }),
        };
        if answer.heads.len() > MAX_HEADS {
            return Err(GossipError::Answer { url, reason: format!("it has more than {MAX_HEADS} heads") });
        }
        match answer.from == peer.name.as_str() {
            true => Ok(answer),
            false => Err(GossipError::OtherName { url, found: answer.from.chars().take(100).collect() }),
        }
    }

    /// Takes the heads of an answer. One that is of no use to us, or not signed, is left out: the others may be good.
    fn take(&self, peer: &Peer, answer: Message) -> Result<(), GossipError> {
        for offered in answer.heads {
            let origin = offered.origin.clone();
            let (log, head) = match open(offered, &self.shared.logs) {
                Ok(opened) => opened,
                Err(reason) => {
                    tracing::debug!(peer = %peer.name, log = origin, %reason, "a head is not taken");
                    continue;
                }
            };
            self.heads.receive(log, &head, peer.name.as_str())?;
            let id = HeadId::from(&head);
            let mut largest = self.largest.lock();
            let shown = largest.entry((peer.name.to_string(), origin)).or_insert(id);
            // The newest of the largest: of one size, what was shown last.
            if id.size >= shown.size {
                *shown = id;
            }
        }
        Ok(())
    }

    /// Puts on the board whether the largest heads that peers have shown of a log fit what we have.
    fn show_agreement(&self, origin: &Origin) -> Result<(), GossipError> {
        let mine =
            |((peer, of), id): (&(String, String), &HeadId)| (of == origin.as_str()).then(|| (peer.clone(), *id));
        let shown: Vec<_> = self.largest.lock().iter().filter_map(mine).collect();
        if shown.is_empty() {
            return Ok(());
        }
        let (book, frozen) = (self.heads.book(origin)?, self.heads.frozen(origin)?.is_some());
        for (peer, id) in shown {
            let fits = match book.find(&id).map(|known| known.standing) {
                Some(Standing::Fits) => Some(true),
                Some(Standing::Contradicts) => Some(false),
                // Nothing more of a frozen log is compared: what the peer has shown before stands.
                Some(Standing::Waiting { .. }) | None if frozen && book.contradicted_by(&peer) => Some(false),
                Some(Standing::Waiting { .. }) | None => None,
            };
            self.shared.board.peer(&peer, |line| {
                line.heads.insert(origin.to_string(), (id.size.get(), fits));
            });
        }
        Ok(())
    }
}
