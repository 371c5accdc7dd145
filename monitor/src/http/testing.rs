//! A server on a port of its own, and a client that sees every octet.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atl::keys::{Ed25519Signer, Signer};
use atl::log::checkpoint::Origin;
use atl::time::{Clock, UnixMillis};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Limits, Router, Server, Shared};
use crate::state::State;
use crate::watched::WatchedLog;

/// Longer than anything takes that works.
pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) struct TestClock(pub(crate) AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::SeqCst))
    }
}

pub(crate) fn signer(seed: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[seed; 32]).unwrap()
}

/// The log whose key has this seed.
pub(crate) fn log(seed: u8) -> WatchedLog {
    let origin: Origin = format!("log.example/{seed}").parse().unwrap();
    let key = origin.verifier_key(signer(seed).public_key()).unwrap();
    WatchedLog::new(key, "http://127.0.0.1:1".into(), String::new()).unwrap()
}

/// A monitor and witness of the logs 1 and 2 with its database in `dir`, at a moment that can be set.
pub(crate) fn shared(dir: &Path) -> (Shared, Arc<TestClock>) {
    let clock = Arc::new(TestClock(AtomicU64::new(1_775_822_400_007)));
    std::fs::create_dir_all(dir.join("evidence")).unwrap();
    let shared = Shared {
        name: "monitor.example".parse().unwrap(),
        peers: Vec::new(),
        logs: vec![log(1), log(2)],
        state: Arc::new(State::open(&dir.join("state.redb")).unwrap()),
        board: Arc::default(),
        clock: clock.clone(),
        signer: Arc::new(signer(31)),
        witness: Some(Arc::new(signer(41))),
        evidence_dir: dir.join("evidence"),
    };
    (shared, clock)
}

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) task: JoinHandle<()>,
}

pub(crate) async fn start(router: Router, limits: Limits) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(Server { listener, router, limits }.run(stopped));
    Running { address, stop, task }
}

/// An answer: its status, its head in lower case, and its body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Answer {
    fn read(octets: &[u8]) -> Self {
        let text = str::from_utf8(octets).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Sends octets and reads until the server closes.
pub(crate) async fn send(address: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(octets).await.unwrap();
    rest(&mut stream).await
}

pub(crate) async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    timeout(LONG, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    answer
}

/// A whole exchange.
pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    Answer::read(&send(address, request.as_bytes()).await)
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, "", "").await
}

pub(crate) async fn post(address: SocketAddr, path: &str, body: &str) -> Answer {
    ask(address, "POST", path, "", body).await
}

pub(crate) fn answer(octets: &[u8]) -> Answer {
    Answer::read(octets)
}
