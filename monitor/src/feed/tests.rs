use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use atl::log::entry::CertHash;
use atl::time::UnixMillis;
use base64::Engine;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::rules::tests::make::{URI, draft, finish, sat};

/// A clock that a test sets.
struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::SeqCst))
    }
}

/// Long after any file of these tests was changed.
fn clock() -> Arc<TestClock> {
    Arc::new(TestClock(AtomicU64::new(9_000_000_000_000)))
}

fn hash(n: u8) -> CertHash {
    CertHash::new([n; 32])
}

fn final_certificate() -> Vec<u8> {
    let precertificate = draft(URI).precertificate();
    finish(&precertificate, vec![sat(99, &precertificate)]).into_der().into_vec()
}

#[test]
fn files_of_every_kind_are_read() {
    let der = final_certificate();
    let both = hashes(&der).unwrap();
    let precertificate = draft(URI).precertificate();
    assert_eq!(both, [&der, precertificate.der()].map(CertHash::of_certificate));
    assert_eq!(hashes(precertificate.der()).unwrap(), both[1..]);
    let pem = format!(
        "# mine\n-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        base64::engine::general_purpose::STANDARD.encode(&der)
    );
    assert_eq!(hashes(pem.as_bytes()).unwrap(), both);
    assert_eq!(hashes(pem.repeat(2).as_bytes()).unwrap().len(), 4);
    let lines = format!("# mine\n\n{}\n{}  cert.der\r\n", hash(1), hash(2).to_string().to_uppercase());
    assert_eq!(hashes(lines.as_bytes()).unwrap(), [hash(1), hash(2)]);
    assert_eq!(hashes(b"").unwrap(), []);
}

#[test]
fn of_a_file_that_is_half_written_nothing_is_believed() {
    let line = hash(1).to_string();
    for (text, error) in [
        (format!("{line}\n{}", &line[..40]), ParseError::Line(2)),
        (format!("{line}00"), ParseError::Line(1)),
        (format!("{line}\n-----BEGIN CERTIFICATE-----\nAAAA"), ParseError::Pem(1, "it has no end".into())),
    ] {
        assert_eq!(hashes(text.as_bytes()), Err(error), "{text}");
    }
    let der = final_certificate();
    assert!(matches!(hashes(&der[..der.len() - 1]), Err(ParseError::Neither(_))));
    let pem = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----";
    assert!(matches!(hashes(pem.as_bytes()), Err(ParseError::Certificate(1, _))));
}

proptest! {
    #[test]
    fn no_octets_are_too_strange(octets in proptest::collection::vec(any::<u8>(), 0..300), text in ".{0,200}") {
        let _ = (hashes(&octets), hashes(text.as_bytes()));
    }
}

fn of_directory(dir: &Path, clock: Arc<TestClock>) -> Feed {
    let dir = Some(dir.to_owned());
    Feed::open(&FeedConfig { dir, cas: Vec::new(), grace_seconds: 300, poll_seconds: 1 }, Arc::default(), clock)
        .unwrap()
}

#[tokio::test]
async fn a_directory_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let clock = clock();
    let mut feed = of_directory(dir.path(), clock.clone());
    let newest = feed.newest();
    assert!(newest.get().behind(UnixMillis::new(0)).is_some(), "nothing was read yet");
    let knows = |n| newest.get().knows(&[hash(n)]);

    fs::write(path("one"), hash(1).to_string()).unwrap();
    fs::write(path(".two"), "half written").unwrap();
    fs::create_dir(path("three")).unwrap();
    feed.refresh().await;
    assert!(knows(1) && !knows(2));
    assert!(newest.get().behind(clock.now()).is_none(), "all is known as of now");

    // The same length, and perhaps the same time of change.
    clock.0.store(1_000, Ordering::SeqCst);
    fs::write(path("one"), hash(2).to_string()).unwrap();
    feed.refresh().await;
    fs::write(path("one"), hash(3).to_string()).unwrap();
    feed.refresh().await;
    assert!(knows(3) && !knows(1) && !knows(2), "a file that may still change is read again");

    // What is wrong is said, and what was known is kept, as of then.
    clock.0.store(2_000, Ordering::SeqCst);
    fs::write(path("two"), "nonsense").unwrap();
    feed.refresh().await;
    let source = newest.get().sources[0].clone();
    assert!(source.fault.unwrap().contains("two: line 1"));
    assert_eq!(source.as_of, Some(UnixMillis::new(1_000)));
    assert!(knows(3));

    // Both are taken away: nothing of them is left over.
    fs::remove_file(path("one")).unwrap();
    fs::remove_file(path("two")).unwrap();
    feed.refresh().await;
    assert!(!knows(3) && newest.get().sources[0].fault.is_none());
    assert_eq!(newest.get().sources[0].as_of, Some(UnixMillis::new(2_000)));

    dir.close().unwrap();
    feed.refresh().await;
    assert!(newest.get().sources[0].fault.is_some(), "a directory that is not there is a fault");
}

/// A CA that answers each request by what was prepared, and keeps what it was asked.
async fn ca(answers: Vec<(u16, String)>) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    tokio::spawn(async move {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let mut octets = [0; 1024];
                let read = stream.read(&mut octets).await.unwrap();
                request.extend_from_slice(&octets[..read]);
            }
            kept.lock().unwrap().push(String::from_utf8(request).unwrap());
            let head = format!("HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nConnection: close\r\n");
            let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (address, asked)
}

/// A page of the CA's list: of each certificate the number in its hash, and when it was signed.
fn page(rows: &[(u8, u64)], next: Option<&str>) -> (u16, String) {
    let row = |(n, at): &(u8, u64)| {
        serde_json::json!({
            "serial": "01", "status": "issued", "sha256": hash(n + 100).to_string(), "cert_hash": hash(*n).to_string(),
            "agent": "agent://bank.example/a/b/c", "score": 50, "signed_at": at, "not_after": at + 1, "request": "r"
        })
    };
    let mut answer = serde_json::json!({ "certificates": rows.iter().map(row).collect::<Vec<_>>() });
    if let Some(next) = next {
        answer["next"] = next.into();
    }
    (200, answer.to_string())
}

async fn of_ca(answers: Vec<(u16, String)>) -> (Feed, Arc<Mutex<Vec<String>>>, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("token");
    fs::write(&token_file, "secret\n").unwrap();
    let (address, asked) = ca(answers).await;
    let cas = vec![CaFeed { url: format!("http://{address}"), token_file, roots_file: None }];
    let config = FeedConfig { dir: None, cas, grace_seconds: 300, poll_seconds: 1 };
    (Feed::open(&config, Arc::default(), clock()).unwrap(), asked, dir)
}

#[tokio::test]
async fn a_cas_list_is_read_whole_and_then_from_where_it_ended() {
    let answers = vec![
        page(&[(3, 5_000_000), (2, 4_000_000)], Some("4000000-01")),
        page(&[(1, 3_000_000)], None),
        page(&[(4, 6_000_000), (3, 5_000_000)], None),
    ];
    let (mut feed, asked, _dir) = of_ca(answers).await;
    let newest = feed.newest();
    feed.refresh().await;
    assert!([1, 2, 3, 101, 103].iter().all(|n| newest.get().knows(&[hash(*n)])), "{:?}", newest.get());
    assert!(!newest.get().knows(&[hash(4)]));
    assert!(newest.get().behind(UnixMillis::new(9_000_000_000_000)).is_none());
    feed.refresh().await;
    assert!(newest.get().knows(&[hash(4)]) && newest.get().knows(&[hash(1)]));
    let asked = asked.lock().unwrap().clone();
    assert!(asked.iter().all(|request| request.to_lowercase().contains("authorization: bearer secret")));
    let first: Vec<&str> = asked.iter().map(|request| request.split(' ').nth(1).unwrap()).collect();
    assert!(!first[0].contains("since") && first[1].contains("after=4000000-01"), "{first:?}");
    assert!(first[2].contains("since=4400000"), "ten minutes are read again: {first:?}");
}

#[tokio::test]
async fn a_ca_that_refuses_or_goes_in_circles_is_no_source() {
    let circle = || page(&[(1, 1000)], Some("1000-01"));
    let refusal = (401, "{\"type\":\"about:blank\",\"status\":401}".to_owned());
    let (mut feed, _, _dir) = of_ca(vec![refusal, circle(), circle(), circle(), page(&[], Some("1-01"))]).await;
    let newest = feed.newest();
    feed.refresh().await;
    let fault = |newest: &Newest| newest.get().sources[0].fault.clone().unwrap();
    assert!(fault(&newest).contains("401"), "{}", fault(&newest));
    feed.refresh().await;
    assert!(fault(&newest).contains("back and forth"), "{}", fault(&newest));
    assert!(newest.get().behind(UnixMillis::new(1)).is_some(), "it is not known whole");
    assert!(newest.get().knows(&[hash(1)]), "what came is kept");
}

#[tokio::test]
async fn the_board_says_which_source_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let token_file = dir.path().join("token");
    fs::write(&token_file, "secret").unwrap();
    let refusal = (401, "{\"type\":\"about:blank\",\"status\":401}".to_owned());
    let (address, _) = ca(vec![refusal, page(&[], None)]).await;
    let url = format!("http://{address}");
    let cas = vec![CaFeed { url: url.clone(), token_file, roots_file: None }];
    let config = FeedConfig { dir: Some(dir.path().join("orders")), cas, grace_seconds: 300, poll_seconds: 7 };
    let (board, clock) = (Arc::new(Board::default()), clock());
    let mut feed = Feed::open(&config, Arc::clone(&board), clock.clone()).unwrap();
    let orders = dir.path().join("orders").display().to_string();
    let stands = |name: &str| board.standing().feeds[name].clone();
    assert_eq!(stands(&url), FeedStatus { poll_seconds: 7, ..FeedStatus::default() });
    fs::create_dir(dir.path().join("orders")).unwrap();
    feed.refresh().await;
    assert!(stands(&url).last_read_at.is_none() && stands(&url).error.unwrap().contains("401"));
    assert_eq!((stands(&orders).last_read_at, stands(&orders).error), (Some(clock.now()), None));
    fs::remove_dir(dir.path().join("orders")).unwrap();
    let before = clock.now();
    clock.0.fetch_add(5, Ordering::SeqCst);
    feed.refresh().await;
    assert_eq!((stands(&url).last_read_at, stands(&url).error), (Some(clock.now()), None));
    assert_eq!(stands(&orders).last_read_at, Some(before));
    assert!(stands(&orders).error.unwrap().contains("orders"));
}

#[test]
fn files_that_the_configuration_names_are_there_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("token"), "secret\n").unwrap();
    fs::write(path("blank"), " \n").unwrap();
    let open = |token: &str, roots: Option<&str>| {
        let good = CaFeed { url: "https://ca.example".into(), token_file: path("token"), roots_file: None };
        let ca = CaFeed { url: "https://b.example".into(), token_file: path(token), roots_file: roots.map(path) };
        let config = FeedConfig { dir: None, cas: vec![good, ca], grace_seconds: 300, poll_seconds: 1 };
        Feed::open(&config, Arc::default(), clock()).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(open("token", None), Ok(()));
    for (token, roots, key, reason) in [
        ("gone", None, "`feed.ca[1].token_file`", "gone: No such file"),
        ("blank", None, "`feed.ca[1].token_file`", "blank: it is empty"),
        ("token", Some("gone"), "`feed.ca[1].roots_file`", "gone: No such file"),
        ("token", Some("blank"), "`feed.ca[1].roots_file`", "blank: there is no certificate in it"),
    ] {
        let error = open(token, roots).unwrap_err();
        assert!(error.starts_with(key) && error.contains(reason) && error.contains("; put the "), "{error}");
    }
}

#[tokio::test]
async fn it_stops_when_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let feed = of_directory(dir.path(), clock());
    let newest = feed.newest();
    let (tell, stop) = watch::channel(false);
    let running = tokio::spawn(feed.run(stop));
    while newest.get().behind(UnixMillis::new(1)).is_some() {
        tokio::task::yield_now().await;
    }
    tell.send(true).unwrap();
    running.await.unwrap();
}

#[test]
fn names_to_watch_come_from_the_owner_and_from_files() {
    use crate::config::MonitorConfig;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("watched"), "other.example\n# known\nbank.example\n").unwrap();
    let config = |text: &str| {
        let text = format!("name = \"m.example/m\"\n{text}");
        let config = MonitorConfig::parse(&text, dir.path(), "monitor.toml").unwrap();
        watchlist(&config.owner, &config.lookalike).map(|list| list.map(|list| list.len()))
    };
    assert_eq!(config("").unwrap(), None);
    assert_eq!(config("[owner]\ndomains = [\"bank.example\"]").unwrap(), Some(1));
    let both = "[owner]\ndomains = [\"bank.example\"]\n[lookalike]\nwatched_file = \"watched\"\n";
    assert_eq!(config(both).unwrap(), Some(2));
    assert_eq!(config(&format!("{both}enabled = false")).unwrap(), None);
    fs::write(dir.path().join("open"), "# ours\nbank.example\nco.uk\n").unwrap();
    let refused = config("[lookalike]\nwatched_file = \"open\"").unwrap_err().to_string();
    assert!(refused.contains("open, line 3: co.uk is a public suffix"), "{refused}");
    assert!(config("[lookalike]\nwatched_file = \"missing\"").unwrap_err().to_string().contains("missing"));
}
