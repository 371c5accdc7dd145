//! A server that takes what it is sent, or does not, as it is told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What it does.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status and this `Retry-After`.
    Later(u16, u32),
    /// Closes the connection before there is anything.
    Down,
    /// Takes it and never answers.
    Silent,
}

/// What it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Sent {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

struct Inner {
    mode: Mutex<Mode>,
    /// Bodies that hold this are answered with 400, whatever the mode.
    poison: Mutex<Option<String>>,
    sent: Mutex<Vec<Sent>>,
    connections: Mutex<usize>,
    changed: Notify,
}

pub struct Receiver {
    inner: Arc<Inner>,
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    pub async fn start(mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            mode: Mutex::new(mode),
            poison: Mutex::new(None),
            sent: Mutex::default(),
            connections: Mutex::new(0),
            changed: Notify::new(),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&inner)));
        Self { inner, address, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn set(&self, mode: Mode) {
        *self.inner.mode.lock() = mode;
    }

    pub fn poison(&self, text: &str) {
        *self.inner.poison.lock() = Some(text.to_owned());
    }

    /// What it was sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.inner.sent.lock().clone()
    }

    /// The summaries of the alerts that it was sent.
    pub fn summaries(&self) -> Vec<String> {
        self.sent().iter().map(|sent| sent.json()["summary"].as_str().unwrap().to_owned()).collect()
    }

    pub fn connections(&self) -> usize {
        *self.inner.connections.lock()
    }

    /// Waits until it was sent so many.
    pub async fn wait_for(&self, many: usize) {
        let sent = async {
            loop {
                let changed = self.inner.changed.notified();
                if self.inner.sent.lock().len() >= many {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), sent).await.unwrap();
    }
}

async fn serve(listener: TcpListener, inner: Arc<Inner>) {
    while let Ok((stream, _)) = listener.accept().await {
        *inner.connections.lock() += 1;
        if matches!(*inner.mode.lock(), Mode::Down) {
            continue;
        }
        let inner = Arc::clone(&inner);
        let service = service_fn(move |request| answer(Arc::clone(&inner), request));
        // No connection is used twice, so that each mode holds from the next message on.
        tokio::spawn(http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    let is_poison = inner.poison.lock().as_ref().is_some_and(|text| String::from_utf8_lossy(&body).contains(text));
    inner.sent.lock().push(Sent { path: parts.uri.path().to_owned(), headers: parts.headers, body });
    inner.changed.notify_waiters();
    let mode = *inner.mode.lock();
    let (status, retry_after) = match mode {
        _ if is_poison => (400, None),
        Mode::Status(status) => (status, None),
        Mode::Later(status, seconds) => (status, Some(seconds)),
        Mode::Down | Mode::Silent => std::future::pending().await,
    };
    let mut response = Response::builder().status(status);
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds);
    }
    Ok(response.body(Full::new(Bytes::from_static(b"said the receiver"))).unwrap())
}
