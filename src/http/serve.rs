//! A bounded HTTP listener: TLS or plain, limits on connections, headers and idle time, and an
//! end that lets requests under way finish.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::activity::{Activity, Patience};
use super::limits::Shares;
use super::timely::Timely;

/// Connections at once that a listener is made for; a process that may open few files takes fewer.
pub const MAX_CONNECTIONS: usize = 4096;
/// Connections of one source at once; more are closed.
const MAX_CONNECTIONS_BY_SOURCE: usize = 1024;
/// A client has this long for its TLS handshake, and for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection keeps its place.
const PATIENCE: Patience =
    Patience { first: HEAD_TIMEOUT, idle: Duration::from_secs(60), stall: Duration::from_secs(30) };
/// Octets of a request's head.
const MAX_HEAD: usize = 64 << 10;
/// Requests of one HTTP/2 connection at once.
const MAX_STREAMS: u32 = 256;
/// How long requests under way have at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);

/// The certificate (DER) that a client presented in its TLS handshake, and whose key it proved to
/// hold. A request that came over such a connection has it as an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate(pub Arc<[u8]>);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
struct Peer {
    address: SocketAddr,
    certificate: Option<PeerCertificate>,
}

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// An address.
    Tcp(TcpListener),
    /// A socket in the file system; who may connect, its permissions say.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    async fn accept(&self) -> std::io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, peer)| (Stream::Tcp(stream), peer)),
            // Whoever comes this way is on this machine.
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), SocketAddr::from(([127, 0, 0, 1], 0))))
            }
        }
    }
}

/// Serves `router` on `listener` until `stop` turns true, then lets requests under way finish.
/// Beyond `max_connections` at once, connections wait in the kernel's queue.
pub async fn serve(
    listener: impl Into<Listener>,
    max_connections: usize,
    tls: Option<TlsAcceptor>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let listener = listener.into();
    let connections = Arc::new(Semaphore::new(max_connections));
    let sources = Shares::new(MAX_CONNECTIONS_BY_SOURCE);
    let graceful = GracefulShutdown::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&connections).acquire_owned() => permit,
            () = stopped(&mut stop) => break,
        };
        let Ok(permit) = permit else { break };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: waiting is all that helps.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stopped(&mut stop) => break,
        };
        let mut share = sources.of(peer.ip());
        if !share.grow(1) {
            tracing::debug!(%peer, "a source has too many connections");
            continue;
        }
        let (router, tls, watcher) = (router.clone(), tls.clone(), graceful.watcher());
        tokio::spawn(async move {
            match stream {
                Stream::Tcp(stream) => {
                    // Answers are small and whole: waiting to fill a packet only delays them.
                    let _ = stream.set_nodelay(true);
                    connection(stream, peer, tls, router, watcher).await;
                }
                Stream::Unix(stream) => connection(stream, peer, tls, router, watcher).await,
            }
            drop((permit, share));
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and were cut off");
    }
}

/// Resolves when `stop` turns true, or when nobody is left to turn it.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let stream = Timely::new(stream, PATIENCE.stall);
    let mut who = Peer { address: peer, certificate: None };
    let Some(acceptor) = tls else { return http(stream, who, router, watcher, PATIENCE).await };
    match tokio::time::timeout(HEAD_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            let presented = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            who.certificate = presented.map(|der| PeerCertificate(Arc::from(der.as_ref())));
            http(stream, who, router, watcher, PATIENCE).await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "the TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "the TLS handshake took too long"),
    }
}

async fn http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    who: Peer,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
    patience: Patience,
) {
    let Peer { address: peer, certificate } = who;
    let activity = Activity::default();
    let heard = activity.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let in_flight = heard.begin();
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        let router = router.clone();
        async move {
            let answer = answer(router, request.map(Body::new)).await;
            answer.map(|answer| answer.map(|body| in_flight.answered(body, patience.stall)))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .keep_alive_interval(Some(Duration::from_secs(60)));
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    // HTTP's own timeouts leave gaps: a client that does not show which version it speaks, or one
    // that asks for nothing and answers pings, or one whose window stays shut.
    tokio::select! {
        outcome = watcher.watch(connection) => if let Err(error) = outcome {
            tracing::debug!(%peer, %error, "a connection ended badly");
        },
        why = activity.exhausted(patience) => tracing::debug!(%peer, why, "a connection was closed"),
    }
}

async fn answer(router: Router, request: Request<Body>) -> Result<Response<Body>, Infallible> {
    router.oneshot(request).await
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::task::JoinHandle;

    use super::*;

    /// HTTP/2: the preface, empty SETTINGS, and `GET /` on stream 1 as a static-table-only HPACK.
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const GET: &[u8] = b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01x";
    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0ping ing";

    fn client(body: usize, patience: Patience) -> (DuplexStream, JoinHandle<()>, GracefulShutdown) {
        let (client, server) = tokio::io::duplex(1 << 20);
        let router = Router::new().route("/", get(move || async move { vec![b'x'; body] }));
        let graceful = GracefulShutdown::new();
        let who = Peer { address: ([192, 0, 2, 1], 1).into(), certificate: None };
        let task = tokio::spawn(http(server, who, router, graceful.watcher(), patience));
        // Dropped, it would end the connection.
        (client, task, graceful)
    }

    fn patience(first: u64, idle: u64, stall: u64) -> Patience {
        let of = Duration::from_millis;
        Patience { first: of(first), idle: of(idle), stall: of(stall) }
    }

    /// Sends HTTP/2 pings until the server has had enough; after how long.
    async fn pinged(mut client: DuplexStream, settings: &[u8], request: &[u8]) -> Duration {
        client.write_all(&[PREFACE, settings, request].concat()).await.unwrap();
        let begin = tokio::time::Instant::now();
        let (mut reader, mut writer) = tokio::io::split(client);
        let drained = tokio::spawn(async move { reader.read_to_end(&mut Vec::new()).await });
        while begin.elapsed() < Duration::from_secs(5) && writer.write_all(PING).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drained.abort();
        begin.elapsed()
    }

    #[tokio::test]
    async fn pings_alone_do_not_keep_a_connection() {
        let (client, _task, _graceful) = client(1, patience(5000, 300, 5000));
        let lived = pinged(client, b"\0\0\0\x04\0\0\0\0\0", GET).await;
        assert!((200..3000).contains(&lived.as_millis()), "{lived:?}");
    }

    #[tokio::test]
    async fn a_window_that_stays_shut_does_not_keep_an_answer() {
        let (client, _task, _graceful) = client(4096, patience(5000, 300, 500));
        // SETTINGS_INITIAL_WINDOW_SIZE = 0
        let lived = pinged(client, b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0", GET).await;
        assert!((400..3000).contains(&lived.as_millis()), "{lived:?}");
    }

    #[tokio::test]
    async fn whoever_asks_now_and_then_stays() {
        let (mut client, task, _graceful) = client(1, patience(5000, 600, 5000));
        let mut answer = vec![0; 4096];
        for _ in 0..4 {
            client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            assert!(client.read(&mut answer).await.unwrap() > 0);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        assert!(!task.is_finished());
        tokio::time::timeout(Duration::from_secs(3), task).await.unwrap().unwrap();
    }
}
