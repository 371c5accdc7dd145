//! Requests over plain HTTP with connections that stay open, from a thread of its own: as little as it takes to
//! send them and to see that each is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use atl::time::Stopwatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::common::ca::{processor, threads};

/// Requests, one after the other and then from the first again.
#[derive(Clone)]
pub struct Load {
    requests: Arc<[Vec<u8>]>,
    next: Arc<AtomicUsize>,
}

/// What a run came to.
pub struct Outcome {
    pub took: Duration,
    /// In order of length.
    pub latencies: Vec<Duration>,
    /// Processor time of everything but those who asked, and of those.
    pub server: Duration,
    pub client: Duration,
}

/// The name of the thread that asks.
const THREAD: &str = "load";

impl Load {
    pub fn new(requests: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { requests: requests.into_iter().collect(), next: Arc::default() }
    }

    /// Sends them over so many connections until the time is over; each connection waits `pause` between an
    /// answer and its next request.
    pub async fn run(&self, address: SocketAddr, connections: usize, time: Duration, pause: Duration) -> Outcome {
        let (load, before) = (self.clone(), processor());
        let asking = std::thread::Builder::new().name(THREAD.into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let outcome = runtime.block_on(load.ask(address, connections, time, pause));
            (outcome, threads().remove(THREAD).unwrap(), processor())
        });
        let asking = asking.unwrap();
        let asked = tokio::task::spawn_blocking(|| asking.join().unwrap()).await.unwrap();
        let ((took, mut latencies), client, after) = asked;
        latencies.sort_unstable();
        let server = after.saturating_sub(before + client);
        Outcome { took, latencies, server, client }
    }

    async fn ask(
        self,
        address: SocketAddr,
        connections: usize,
        time: Duration,
        pause: Duration,
    ) -> (Duration, Vec<Duration>) {
        let (start, mut asking) = (Stopwatch::start(), JoinSet::new());
        for _ in 0..connections {
            let load = self.clone();
            asking.spawn(async move {
                let (mut connection, mut latencies) = (Connection::open(address).await, Vec::new());
                while start.elapsed() < time {
                    let request = &load.requests[load.next.fetch_add(1, Relaxed) % load.requests.len()];
                    let begin = Stopwatch::start();
                    connection.ask(request).await;
                    latencies.push(begin.elapsed());
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                }
                latencies
            });
        }
        let latencies = asking.join_all().await.concat();
        (start.elapsed(), latencies)
    }
}

/// A connection with one request at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(4096) }
    }

    /// The body of the answer, which must be a good one.
    pub async fn ask(&mut self, request: &[u8]) -> &[u8] {
        self.stream.write_all(request).await.unwrap();
        self.buffer.clear();
        loop {
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0, "the connection was closed");
            if let Some((body, length)) = parts(&self.buffer)
                && self.buffer.len() >= body + length
            {
                return &self.buffer[body..];
            }
        }
    }
}

/// Where the body begins, and its length, once the whole head is there.
fn parts(answer: &[u8]) -> Option<(usize, usize)> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    Some((end + 4, length.parse().unwrap()))
}

pub fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: ca.bank.example.com\r\ncontent-type: application/ocsp-request\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: ca.bank.example.com\r\n\r\n").into_bytes()
}
