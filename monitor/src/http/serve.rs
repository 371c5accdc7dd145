//! The sockets.
//!
//! HTTP/1.1, as whatever stands in front of a monitor for TLS speaks it. Every wait has its end: for a request's head,
//! for its body, for a thread to answer it, and for the client to take the answer.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use atl::api::{Problem, Token};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue};
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::limits::{Buckets, Limits, Share, Shares, source};
use super::router::{Captured, Endpoint, Found, Router};
use super::stall::Impatient;
use super::{Request, Response, reply};

/// Octets of a request's head.
const MAX_HEAD: usize = 32 << 10;

/// Where a request came from; an extension of each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The server, ready to run.
pub struct Server {
    /// Where it listens.
    pub listener: TcpListener,
    /// What answers.
    pub router: Router,
    /// What it lets anybody take of it.
    pub limits: Limits,
}

/// What all connections share.
struct App {
    router: Router,
    limits: Limits,
    threads: Arc<Semaphore>,
    large: Arc<Semaphore>,
    large_shares: Shares<IpAddr>,
    posts: Mutex<Buckets<IpAddr>>,
    gets: Mutex<Buckets<IpAddr>>,
    start: Instant,
}

/// The place that a large answer takes, given back when it is dropped.
struct Place(
    #[allow(dead_code, reason = "held")] OwnedSemaphorePermit,
    #[allow(dead_code, reason = "held")] Share<IpAddr>,
);

/// A body with the place that it takes.
struct Placed(Vec<u8>, #[allow(dead_code, reason = "held")] Place);

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Server {
    /// Serves until `stop` turns true or nobody is left to turn it, then lets requests under way finish.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let Self { listener, router, limits } = self;
        let app = Arc::new(App {
            router,
            limits,
            threads: Arc::new(Semaphore::new(limits.requests)),
            large: Arc::new(Semaphore::new(limits.large)),
            large_shares: Shares::new(limits.large_per_source),
            posts: Mutex::new(Buckets::new(limits.posts_per_second, limits.post_burst)),
            gets: Mutex::new(Buckets::new(limits.gets_per_second, limits.get_burst)),
            start: Instant::now(),
        });
        let graceful = GracefulShutdown::new();
        // Dropped with this function, so that no connection outlives it.
        let mut connections = JoinSet::new();
        tokio::select! {
            () = accept(&listener, &app, &graceful, &mut connections) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        drop(listener);
        if timeout(limits.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests did not finish in time and were cut off");
        }
    }
}

async fn accept(listener: &TcpListener, app: &Arc<App>, graceful: &GracefulShutdown, connections: &mut JoinSet<()>) {
    let places = Arc::new(Semaphore::new(app.limits.connections));
    let shares = Shares::new(app.limits.connections_per_source);
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: waiting is all that helps.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Some(share) = shares.take(source(peer.ip())) else {
            tracing::debug!(%peer, "a source has too many connections");
            continue;
        };
        let (app, watcher) = (Arc::clone(app), graceful.watcher());
        connections.spawn(async move {
            let _held: (_, Share<IpAddr>) = (place, share);
            connection(app, stream, peer, watcher).await;
        });
    }
}

async fn connection(app: Arc<App>, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
    // Answers are small and whole: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    let limits = app.limits;
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(app.answer(peer, request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(Impatient::new(stream, limits.stall)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "a connection ended badly");
    }
}

impl App {
    async fn answer(&self, peer: SocketAddr, request: hyper::Request<Incoming>) -> hyper::Response<Full<Bytes>> {
        let head_only = request.method() == Method::HEAD;
        let page = reply::wants_page(request.method(), request.headers());
        let (response, place) = match self.routed(peer, request).await {
            Ok(answered) => answered,
            Err(problem) if page => (reply::problem_page(&problem), None),
            Err(problem) => (reply::problem(&problem), None),
        };
        let mut response = reply::finished(response);
        if response.status() == StatusCode::PAYLOAD_TOO_LARGE || response.status() == StatusCode::REQUEST_TIMEOUT {
            // The rest of the body is nothing that anybody wants to read.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if head_only {
            let octets = response.body().len();
            response.headers_mut().insert(CONTENT_LENGTH, octets.into());
        }
        response.map(|body| match place {
            _ if head_only => Full::new(Bytes::new()),
            Some(place) => Full::new(Bytes::from_owner(Placed(body, place))),
            None => Full::new(body.into()),
        })
    }

    async fn routed(
        &self,
        peer: SocketAddr,
        request: hyper::Request<Incoming>,
    ) -> Result<(Response, Option<Place>), Problem> {
        let (endpoint, captured) = match self.router.find(request.method(), request.uri().path()) {
            Found::Endpoint(endpoint, captured) => (endpoint, captured),
            Found::OtherMethods(allow) => return Ok((other_methods(&allow), None)),
            Found::Nothing => return Err(Problem::new(Token::NotFound, "there is nothing under this path")),
        };
        self.count(peer, request.method() == Method::POST, endpoint.counted)?;
        let request = self.read(peer, request, endpoint.max_body, captured).await?;
        let place = if endpoint.large { Some(self.place(peer)?) } else { None };
        self.ask(endpoint, request, place).await
    }

    /// Counts a request among those of its source; one whose endpoint is not counted is not.
    fn count(&self, peer: SocketAddr, is_post: bool, counted: bool) -> Result<(), Problem> {
        let buckets = match (is_post, counted) {
            (true, _) => &self.posts,
            (false, true) => &self.gets,
            (false, false) => return Ok(()),
        };
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        buckets.lock().take(source(peer.ip()), now).map_err(|seconds| {
            Problem::new(Token::RateLimited, "too many requests from this address").retry_after(seconds)
        })
    }

    /// A place for a large answer, where there is one.
    fn place(&self, peer: SocketAddr) -> Result<Place, Problem> {
        let taken = || Problem::new(Token::Overloaded, "too much is downloaded at once").retry_after(5);
        let share = self.large_shares.take(source(peer.ip())).ok_or_else(taken)?;
        let permit = Arc::clone(&self.large).try_acquire_owned().map_err(|_| taken())?;
        Ok(Place(permit, share))
    }

    /// Reads the body.
    async fn read(
        &self,
        peer: SocketAddr,
        request: hyper::Request<Incoming>,
        most: usize,
        captured: Captured,
    ) -> Result<Request, Problem> {
        let too_large = || Problem::new(Token::TooLarge, format!("a body here has at most {most} octets"));
        if request.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Problem::new(Token::UnsupportedMediaType, "bodies are read without a content encoding only"));
        }
        let (mut head, body) = request.into_parts();
        if body.size_hint().lower() > most as u64 {
            return Err(too_large());
        }
        let body = match timeout(self.limits.body, Limited::new(body, most).collect()).await {
            Ok(Ok(body)) => body.to_bytes().into(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
            Ok(Err(error)) => return Err(Problem::new(Token::Malformed, format!("the body: {error}"))),
            Err(_) => {
                return Err(reply::status(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"));
            }
        };
        head.extensions.insert(Peer(peer));
        head.extensions.insert(captured);
        Ok(Request::from_parts(head, body))
    }

    /// Asks the function that answers, on a thread that may wait. `place` is held until it has answered, also where the
    /// client has gone.
    async fn ask(
        &self,
        endpoint: &Endpoint,
        request: Request,
        place: Option<Place>,
    ) -> Result<(Response, Option<Place>), Problem> {
        let handler = Arc::clone(&endpoint.handler);
        if endpoint.quick {
            return Ok((handler(&request), place));
        }
        let overloaded = || Problem::new(Token::Overloaded, "too much is asked at once; nothing was done");
        let Ok(Ok(permit)) = timeout(self.limits.queue, Arc::clone(&self.threads).acquire_owned()).await else {
            return Err(overloaded());
        };
        let answered = tokio::task::spawn_blocking(move || {
            let response = handler(&request);
            drop(permit);
            (response, place)
        });
        answered.await.map_err(|error| {
            tracing::error!(%error, "a request was not answered");
            Problem::new(Token::Internal, "the server failed; its operator finds the reason in its log")
        })
    }
}

fn other_methods(allow: &str) -> Response {
    let problem = Problem::new(Token::MethodNotAllowed, format!("this path answers to {allow}"));
    match HeaderValue::try_from(allow) {
        Ok(allow) => reply::with(reply::problem(&problem), ALLOW, allow),
        Err(_) => reply::problem(&problem),
    }
}
