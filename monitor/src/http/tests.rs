//! The server over real sockets.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use atl::api::{Problem, Token};
use atl::time::UnixMillis;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::stall::{Impatient, STALL_OCTETS};
use super::testing::{LONG, answer, ask, get, post, rest, send, shared, start};
use super::{Limits, Router, captured, ops, reply};
use crate::board::FeedStatus;

const SHORT: Duration = Duration::from_millis(150);

/// Everything has its time, unless the test is about that.
fn limits() -> Limits {
    Limits { posts_per_second: 1000, post_burst: 1000, gets_per_second: 10_000, get_burst: 10_000, ..Limits::default() }
}

fn echo() -> Router {
    Router::new()
        .post("/echo", 100, |request| reply::text(request.body().clone()))
        .get("/hello/{name}", |request| reply::text(format!("hello {}", captured(request, 0))))
        .get("/panic", |_| panic!("on purpose"))
}

fn token(body: &str) -> Option<Token> {
    serde_json::from_str::<Problem>(body).unwrap().token()
}

#[tokio::test]
async fn functions_answer_and_every_answer_is_guarded() {
    let server = start(echo(), limits()).await;
    let hello = get(server.address, "/hello/you?x=1").await;
    assert_eq!((hello.status, hello.body.as_str()), (200, "hello you"));
    assert_eq!(hello.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(hello.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(hello.header("cache-control"), Some("no-store"));
    let policy = hello.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe") && !policy.contains("http"));
    let head = ask(server.address, "HEAD", "/hello/you", "", "").await;
    assert_eq!((head.status, head.header("content-length"), head.body.as_str()), (200, Some("9"), ""));
    assert_eq!(post(server.address, "/echo", "back").await.body, "back");
}

#[tokio::test]
async fn several_requests_share_a_connection() {
    let server = start(echo(), limits()).await;
    let one = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none";
    let two = "GET /hello/two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let both = String::from_utf8(send(server.address, format!("{one}{two}").as_bytes()).await).unwrap();
    assert_eq!(both.matches("HTTP/1.1 200 OK").count(), 2, "{both}");
    assert!(both.contains("\r\n\r\none") && both.ends_with("hello two"), "{both}");
}

#[tokio::test]
async fn refusals_are_problems_and_pages_for_people() {
    let server = start(echo(), limits()).await;
    let missing = get(server.address, "/nothing").await;
    assert_eq!((missing.status, token(&missing.body)), (404, Some(Token::NotFound)));
    assert_eq!(missing.header("content-type"), Some("application/problem+json"));
    assert!(missing.header("content-security-policy").is_some());
    let page = ask(server.address, "GET", "/<script>", "Accept: text/html, */*\r\n", "").await;
    assert!(page.status == 400 || !page.body.contains("<script"), "{page:?}");
    let page = ask(server.address, "GET", "/nothing", "Accept: text/html, */*\r\n", "").await;
    assert_eq!((page.status, page.header("content-type")), (404, Some("text/html; charset=utf-8")));
    for (method, path, allow) in
        [("GET", "/echo", "post"), ("DELETE", "/hello/x", "get, head"), ("POST", "/hello/x", "get, head")]
    {
        let wrong = ask(server.address, method, path, "", "").await;
        assert_eq!((wrong.status, wrong.header("allow")), (405, Some(allow)), "{method} {path}");
        assert_eq!(token(&wrong.body), Some(Token::MethodNotAllowed));
    }
    let encoded = ask(server.address, "POST", "/echo", "Content-Encoding: gzip\r\n", "x").await;
    assert_eq!((encoded.status, token(&encoded.body)), (415, Some(Token::UnsupportedMediaType)));
    let failed = get(server.address, "/panic").await;
    assert_eq!((failed.status, token(&failed.body)), (500, Some(Token::Internal)));
    assert_eq!(get(server.address, "/hello/again").await.status, 200);
}

#[tokio::test]
async fn bodies_are_bounded_whether_their_length_is_told_or_not() {
    let server = start(echo(), limits()).await;
    assert_eq!(post(server.address, "/echo", &"x".repeat(100)).await.status, 200);
    let told = send(server.address, b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n").await;
    let told = answer(&told);
    assert_eq!(
        (told.status, told.header("connection"), token(&told.body)),
        (413, Some("close"), Some(Token::TooLarge))
    );
    let chunk = format!("32\r\n{}\r\n", "y".repeat(50));
    let chunked = |chunks: usize, end: &str| {
        let head = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}{}{end}", chunk.repeat(chunks))
    };
    assert_eq!(answer(&send(server.address, chunked(2, "0\r\n\r\n").as_bytes()).await).status, 200);
    assert_eq!(answer(&send(server.address, chunked(3, "").as_bytes()).await).status, 413);
    let head = format!("GET /hello/x HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "z".repeat(64 << 10));
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The server may close before it has taken all of that.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut first = [0; 12];
    let read = timeout(LONG, stream.read_exact(&mut first)).await.unwrap();
    assert!(read.is_err() || first == *b"HTTP/1.1 431", "{:?}", String::from_utf8_lossy(&first));
}

#[tokio::test]
async fn whoever_is_slow_is_left() {
    let server = start(echo(), Limits { head: SHORT, body: SHORT, ..limits() }).await;
    // Nothing at all, half a head, and a head that never ends.
    assert_eq!(send(server.address, b"").await, b"");
    send(server.address, b"GET /hello/x HTTP/1.1\r\nHos").await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /hello/x HTTP/1.1\r\n").await.unwrap();
    let dripping = async {
        while stream.write_all(b"X: y\r\n").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    timeout(LONG, dripping).await.unwrap();
    // Half a body.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
    let late = answer(&rest(&mut stream).await);
    assert_eq!((late.status, late.header("connection")), (408, Some("close")));
    // An open connection on which nothing is asked any more.
    let idle = send(server.address, b"GET /hello/x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(answer(&idle).body, "hello x");
    assert_eq!(get(server.address, "/hello/still").await.status, 200);
}

#[tokio::test]
async fn whoever_takes_nothing_is_left() {
    let (_peer, stream) = tokio::io::duplex(16);
    let stuck = timeout(LONG, Impatient::new(stream, SHORT).write_all(&[0; 17])).await.unwrap();
    assert_eq!(stuck.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    let (mut peer, stream) = tokio::io::duplex(16);
    let reader = tokio::spawn(async move { peer.read_exact(&mut [0; 64]).await.map(|_| peer) });
    Impatient::new(stream, LONG).write_all(&[0; 64]).await.unwrap();
    reader.await.unwrap().unwrap();
    // An octet now and then is next to nothing.
    let (mut peer, stream) = tokio::io::duplex(16);
    let dripping = tokio::spawn(async move {
        while peer.read_exact(&mut [0]).await.is_ok() {
            tokio::time::sleep(SHORT / 30).await;
        }
    });
    let slow = timeout(LONG, Impatient::new(stream, SHORT).write_all(&[0; 64 << 10])).await.unwrap();
    assert_eq!(slow.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    dripping.await.unwrap();
    // Enough in each span of time will do, however long it takes as a whole.
    let (mut peer, stream) = tokio::io::duplex(STALL_OCTETS);
    let taking = tokio::spawn(async move {
        let mut left = 6 * STALL_OCTETS;
        while left > 0 {
            tokio::time::sleep(SHORT / 3).await;
            left -= peer.read(&mut vec![0; STALL_OCTETS]).await.unwrap();
        }
    });
    Impatient::new(stream, SHORT).write_all(&vec![0; 6 * STALL_OCTETS]).await.unwrap();
    taking.await.unwrap();

    // With one place for all, the next has it only when whoever takes nothing has lost it. No kernel buffers so much.
    let router = echo().get("/large", |_| reply::text(vec![b'x'; 32 << 20]));
    let server = start(router, Limits { connections: 1, stall: SHORT, ..limits() }).await;
    let mut taking_nothing = TcpStream::connect(server.address).await.unwrap();
    taking_nothing.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let next = timeout(LONG, get(server.address, "/hello/next")).await.unwrap();
    assert_eq!(next.body, "hello next");
}

#[tokio::test]
async fn of_large_answers_there_are_few_until_they_are_taken() {
    let router = echo().large("/large", |_| reply::text(vec![b'x'; 32 << 20]));
    for limits in [Limits { large: 1, ..limits() }, Limits { large_per_source: 1, ..limits() }] {
        let server = start(router.clone(), limits).await;
        let mut slow = TcpStream::connect(server.address).await.unwrap();
        slow.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 15];
        timeout(LONG, slow.read_exact(&mut first)).await.unwrap().unwrap();
        assert_eq!(first, *b"HTTP/1.1 200 OK");
        let refused = get(server.address, "/large").await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
        assert_eq!(token(&refused.body), Some(Token::Overloaded));
        assert_eq!(get(server.address, "/hello/x").await.status, 200);
        // Its place is free once it has gone.
        drop(slow);
        let again = async { while ask(server.address, "HEAD", "/large", "", "").await.status != 200 {} };
        timeout(LONG, again).await.unwrap();
    }
}

#[tokio::test]
async fn one_source_has_its_share_of_connections_and_of_posts() {
    let server = start(echo(), Limits { connections_per_source: 2, ..limits() }).await;
    let _held = (TcpStream::connect(server.address).await.unwrap(), TcpStream::connect(server.address).await.unwrap());
    let mut third = TcpStream::connect(server.address).await.unwrap();
    let mut octet = [0];
    assert!(!matches!(timeout(LONG, third.read(&mut octet)).await.unwrap(), Ok(1..)));

    let server = start(echo(), Limits { posts_per_second: 1, post_burst: 2, ..limits() }).await;
    let mut refused = None;
    for n in 0..30 {
        let answer = post(server.address, "/echo", "x").await;
        if answer.status != 200 {
            refused = Some((n, answer));
            break;
        }
    }
    let (passed, refused) = refused.unwrap();
    assert!(passed >= 2);
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
    assert_eq!(token(&refused.body), Some(Token::RateLimited));
    assert_eq!(get(server.address, "/hello/x").await.status, 200);

    let router = echo().quick("/quick", |_| reply::text("quick")).probe("/ready", |_| reply::text("ready"));
    let server = start(router, Limits { gets_per_second: 1, get_burst: 2, ..limits() }).await;
    let asked = async { while get(server.address, "/hello/x").await.status != 429 {} };
    timeout(LONG, asked).await.unwrap();
    for path in ["/quick", "/ready"] {
        assert_eq!(get(server.address, path).await.status, 200);
    }
    assert_eq!(post(server.address, "/echo", "x").await.status, 200);
}

/// A function that says that it was asked, and answers when it is told to.
fn gate() -> (Router, tokio::sync::mpsc::UnboundedReceiver<()>, std::sync::mpsc::Sender<()>) {
    let (asked, is_asked) = tokio::sync::mpsc::unbounded_channel();
    let (go, goes): (_, Receiver<()>) = channel();
    let goes = Mutex::new(goes);
    let router = echo().quick("/quick", |_| reply::text("quick")).get("/slow", move |_| {
        asked.send(()).unwrap();
        let _ = goes.lock().recv();
        reply::text("at last")
    });
    (router, is_asked, go)
}

#[tokio::test]
async fn beyond_its_threads_it_sends_away_and_still_says_how_it_is() {
    let (router, mut is_asked, go) = gate();
    let server = start(router, Limits { requests: 1, queue: SHORT, ..limits() }).await;
    let address = server.address;
    let slow = tokio::spawn(async move { get(address, "/slow").await });
    is_asked.recv().await.unwrap();
    let refused = get(address, "/hello/x").await;
    assert_eq!((refused.status, token(&refused.body)), (503, Some(Token::Overloaded)));
    assert!(refused.header("retry-after").is_some());
    assert_eq!(get(address, "/quick").await.body, "quick");
    go.send(()).unwrap();
    assert_eq!(slow.await.unwrap().body, "at last");
    assert_eq!(get(address, "/hello/x").await.status, 200);
}

#[tokio::test]
async fn it_stops_when_what_is_under_way_is_done() {
    let (router, mut is_asked, go) = gate();
    let server = start(router, limits()).await;
    let address = server.address;
    let mut idle = TcpStream::connect(address).await.unwrap();
    let slow = tokio::spawn(async move { get(address, "/slow").await });
    is_asked.recv().await.unwrap();
    server.stop.send(true).unwrap();
    assert_eq!(rest(&mut idle).await, b"");
    assert!(!slow.is_finished() && !server.task.is_finished());
    go.send(()).unwrap();
    assert_eq!(slow.await.unwrap().body, "at last");
    timeout(LONG, server.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_client_that_never_ends_does_not_keep_it() {
    let server = start(echo(), Limits { drain: SHORT, ..limits() }).await;
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    stuck.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf").await.unwrap();
    assert_eq!(get(server.address, "/hello/x").await.status, 200);
    server.stop.send(true).unwrap();
    timeout(LONG, server.task).await.unwrap().unwrap();
    assert!(!matches!(timeout(LONG, stuck.read(&mut [0])).await.unwrap(), Ok(1..)));
}

#[tokio::test]
async fn health_readiness_and_metrics_follow_the_board() {
    let dir = tempfile::tempdir().unwrap();
    let (shared, clock) = shared(dir.path());
    let shared = Arc::new(shared);
    let server = start(ops::routes(Router::new(), &shared, 60), limits()).await;
    let (address, now) = (server.address, atl::time::Clock::now(&*clock));
    let health = get(address, "/healthz").await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    let ready = get(address, "/readyz").await;
    let checks: serde_json::Value = serde_json::from_str(&ready.body).unwrap();
    assert_eq!((ready.status, checks["ready"].as_bool()), (503, Some(false)));
    assert_eq!(checks["checks"][0], serde_json::json!({ "name": "database", "ok": true, "detail": "answers" }));
    assert_eq!(checks["checks"][3], serde_json::json!({ "name": "evidence", "ok": true, "detail": "can be kept" }));
    assert_eq!(checks["checks"][2]["name"], "log.example/2");

    for origin in ["log.example/1", "log.example/2"] {
        shared.board.log(origin, |log| log.last_verified_at = Some(now));
    }
    assert_eq!(get(address, "/readyz").await.status, 200);
    std::fs::remove_dir(&shared.evidence_dir).unwrap();
    assert!(get(address, "/readyz").await.body.contains("evidence: No such file"));
    std::fs::create_dir(&shared.evidence_dir).unwrap();
    clock.0.fetch_add(61_000, std::sync::atomic::Ordering::SeqCst);
    shared.board.log("log.example/1", |log| log.last_verified_at = Some(UnixMillis::new(now.get() + 61_000)));
    let stale = get(address, "/readyz").await;
    assert_eq!((stale.status, stale.header("retry-after")), (503, Some("5")));
    assert!(stale.body.contains("verified 61 s ago, more than 60 s"), "{}", stale.body);

    // Of the owner's feed nothing was read so far.
    shared.board.update(|standing| drop(standing.feeds.insert("orders".into(), FeedStatus::default())));
    let unfed: serde_json::Value = serde_json::from_str(&get(address, "/readyz").await.body).unwrap();
    let check = serde_json::json!({ "name": "feed orders", "ok": false, "detail": "not read yet" });
    assert_eq!(unfed["checks"][3], check);

    shared.board.log("log.example/1", |log| log.frozen = Some("0123abcd".into()));
    let red = get(address, "/healthz").await;
    assert_eq!(red.status, 503);
    assert!(red.body.starts_with("log.example/1: ") && red.body.contains("0123abcd"), "{}", red.body);
    shared.board.update(|standing| standing.broken = Some("disk full".into()));
    assert!(get(address, "/healthz").await.body.starts_with("the monitor does not do its work: disk full\n"));
    assert!(get(address, "/readyz").await.body.contains("disk full"));

    let metrics = get(address, "/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for line in ["atl_monitor_log_frozen{log=\"log.example/1\"} 1", "atl_monitor_broken 1"] {
        assert!(metrics.body.lines().any(|found| found == line), "{line}\n{}", metrics.body);
    }
}
