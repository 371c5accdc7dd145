//! What the log does when it is sent more than it takes, more slowly than it waits, or is told to
//! stop while it is at it.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, clippy::print_stdout)]

#[path = "common/ledger.rs"]
mod ledger;
#[path = "common/log_process.rs"]
mod log_process;
#[path = "common/pki.rs"]
mod pki;
#[path = "common/raw_http.rs"]
mod raw_http;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use atl::config::RateLimit;

use ledger::Ledger;
use log_process::{LogDir, Signal};
use pki::{Authority, submission};
use raw_http::{Answer, Connection};

const SUBMIT: &str = "/atl/v1/submit-entry";

fn rate(per_second: u32, burst: u32) -> RateLimit {
    RateLimit { per_second: NonZeroU32::new(per_second).unwrap(), burst: NonZeroU32::new(burst).unwrap() }
}

/// Asserts a refusal that says when to come again; in how many seconds.
#[track_caller]
fn come_again(answer: &Answer, status: u16, token: &str) -> u64 {
    assert_eq!((answer.status, &*answer.token()), (status, token), "{answer:?}");
    let seconds = answer.header("retry-after").and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"));
    assert!((1..=60).contains(&seconds), "{answer:?}");
    seconds
}

#[test]
fn each_source_and_each_anchor_has_its_rate() {
    let root = Authority::root("Root");
    let supply = root.precertificates(0, 20);
    for by_source in [true, false] {
        let dir = LogDir::new(&root, |config| {
            *(if by_source { &mut config.per_source } else { &mut config.per_anchor }) = rate(1, 5);
        });
        let (log, ledger) = (dir.start().unwrap(), Ledger::new(&dir.key));
        let mut http = log.connect();
        for der in &supply[..5] {
            ledger.submit(&mut http, der).unwrap();
        }
        let refused = http.post(SUBMIT, &submission(&supply[5])).unwrap();
        let wait = come_again(&refused, 429, "rateLimited");
        assert!(wait <= 2, "a token comes every second");
        // Malformed requests count for the source; no anchor has anything to do with them.
        let wrong = http.post(SUBMIT, "{}").unwrap();
        assert_eq!(&*wrong.token(), if by_source { "rateLimited" } else { "malformed" });
        assert_eq!(http.get("/atl/v1/get-sth").unwrap().status, 200, "readers are not limited");
        std::thread::sleep(Duration::from_secs(wait + 1));
        ledger.submit(&mut http, &supply[5]).unwrap();
        ledger.settle(&mut http);
        ledger::rederive(&mut http, &log.connect().get("/atl/v1/get-sth").unwrap().json());
        assert_eq!(ledger.sats(), 6);
    }
}

#[test]
fn a_burst_beyond_the_queue_is_refused_and_what_is_answered_is_right() {
    let root = Authority::root("Root");
    let dir = LogDir::new(&root, |config| config.queue_limit = 1);
    let (log, ledger) = (dir.start().unwrap(), Ledger::new(&dir.key));
    let supply = root.precertificates(0, 3000);
    let refusals = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (log, ledger, refusals) = (&log, &ledger, &refusals);
        for part in supply.chunks(100) {
            scope.spawn(move || {
                let mut http = log.connect();
                for der in part {
                    let answer = http.post(SUBMIT, &submission(der)).unwrap();
                    if answer.status == 200 {
                        ledger.hear(der, answer.json());
                    } else {
                        come_again(&answer, 503, "overloaded");
                        refusals.fetch_add(1, SeqCst);
                    }
                }
            });
        }
    });
    let refused = refusals.into_inner();
    println!("{} answered, {refused} refused", ledger.sats());
    assert!(refused > 0, "thirty clients do not fill a queue of one");
    assert_eq!(ledger.sats() + refused, supply.len());
    let mut http = log.connect();
    let sth = ledger.settle(&mut http);
    assert_eq!(sth.tree_size.get(), ledger.sats() as u64, "what was refused is not logged");
    ledger.audit(&mut http);
}

#[test]
fn bodies_have_the_size_that_is_configured() {
    let root = Authority::root("Root");
    let dir = LogDir::new(&root, |config| config.max_body_bytes = 2048);
    let log = dir.start().unwrap();
    let good = submission(&root.precertificates(0, 1)[0]);
    let padded = |size: usize| format!("{good}{}", " ".repeat(size - good.len()));
    for (target, limit) in [(SUBMIT, 2048), ("/atl/v1/submit-entries", 16 * 2048)] {
        let body =
            |size| if target == SUBMIT { padded(size) } else { format!("{{\"entries\":[{}]}}", padded(size - 14)) };
        let fits = log.connect().post(target, &body(limit)).unwrap();
        assert_eq!(fits.status, 200, "{fits:?}");
        let refused = log.connect().post(target, &body(limit + 1)).unwrap();
        assert_eq!((refused.status, &*refused.token()), (413, "tooLarge"), "{target}");
    }
}

#[test]
fn a_body_that_is_yet_to_come_has_cost_its_token() {
    let root = Authority::root("Root");
    let dir = LogDir::new(&root, |config| config.per_source = rate(1, 3));
    let log = dir.start().unwrap();
    for target in [SUBMIT, "/atl/v1/submit-entries"] {
        let stall = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{");
        let mut stalled: Vec<Connection> = (0..6).map(|_| log.connect()).collect();
        for http in &mut stalled {
            http.send(stall.as_bytes()).unwrap();
        }
        std::thread::sleep(Duration::from_millis(200));
        come_again(&log.connect().post(target, "{}").unwrap(), 429, "rateLimited");
        drop(stalled);
        std::thread::sleep(Duration::from_secs(4));
    }
    // A batch of what the bucket holds passes it whole, although it pays in two parts.
    let entry = submission(&root.precertificates(0, 1)[0]);
    let batch = format!(r#"{{"entries":[{entry},{entry},{entry}]}}"#);
    let mut http = log.connect();
    assert_eq!(http.post("/atl/v1/submit-entries", &batch).unwrap().status, 200);
    come_again(&http.post(SUBMIT, &entry).unwrap(), 429, "rateLimited");
}

#[test]
fn an_entry_is_no_larger_in_a_batch_than_by_itself() {
    let root = Authority::root("Root");
    let dir = LogDir::new(&root, |config| config.max_body_bytes = 2048);
    let log = dir.start().unwrap();
    let good = submission(&root.precertificates(0, 1)[0]);
    let large = good.replace('{', &format!("{{\"x\":\"{}\",", "x".repeat(2048)));
    let batch = format!(r#"{{"entries":[{good},{large},{good}]}}"#);
    let answer = log.connect().post("/atl/v1/submit-entries", &batch).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let results: serde_json::Value = answer.json();
    assert_eq!(results["results"][1]["status"], 413);
    assert_eq!(results["results"][0]["leaf_index"], results["results"][2]["leaf_index"]);
}

#[test]
fn readers_that_do_not_read_hold_a_bounded_part_of_the_memory() {
    let root = Authority::root("Root");
    let dir = LogDir::new(&root, |config| config.max_body_bytes = 512 << 10);
    let (log, ledger) = (dir.start().unwrap(), Ledger::new(&dir.key));
    let mut http = log.connect();
    let key = rcgen::KeyPair::generate().unwrap();
    for number in 0..28 {
        let mut params = Authority::agent_params(number);
        let ballast = rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32473, 9], vec![5; 300 << 10]);
        params.custom_extensions.insert(0, ballast);
        ledger.submit(&mut http, &root.issue(&params, &key)).unwrap();
    }
    ledger.settle(&mut http);
    let ask = raw_http::request("GET", "/atl/v1/get-entries?start=0&end=27", "", b"");
    let mut readers: Vec<Connection> = (0..150).map(|_| log.connect()).collect();
    for reader in &mut readers {
        reader.send(&ask).unwrap();
    }
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(6) {
        let ready = http.get("/readyz").unwrap();
        assert_eq!(ready.status, 200, "readers do not make a log unready: {ready:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    let resident = log.resident_kib();
    println!("{} MiB resident", resident >> 10);
    assert!(resident < 600 << 10, "{} MiB", resident >> 10);
    let mut refused = 0;
    for mut reader in readers.drain(..) {
        let answer = reader.answer(false).unwrap();
        if answer.status != 200 {
            come_again(&answer, 503, "overloaded");
            refused += 1;
        }
    }
    assert!((1..150).contains(&refused), "{refused} refused");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(http.get("/atl/v1/get-entries?start=0&end=27").unwrap().status, 200, "what was taken is free again");
}

/// How long a connection lives on which this is sent, an octet a second where `drip` says so.
fn lifetime(log: &log_process::LogProcess, sent: &[u8], drip: Option<u8>) -> (Duration, Option<Answer>) {
    let begin = Instant::now();
    let mut http = log.connect();
    http.send(sent).unwrap();
    http.socket().set_read_timeout(Some(Duration::from_millis(1000))).unwrap();
    loop {
        match http.answer(false) {
            Ok(answer) => return (begin.elapsed(), Some(answer)),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return (begin.elapsed(), None),
        }
        assert!(begin.elapsed() < Duration::from_secs(45), "{:?} holds its place", String::from_utf8_lossy(sent));
        if let Some(octet) = drip {
            let _ = http.send(&[octet]);
        }
    }
}

#[test]
fn a_client_that_dawdles_loses_its_place() {
    let root = Authority::root("Root");
    let dir = LogDir::new(&root, |_| {});
    let log = dir.start().unwrap();
    let head = b"POST /atl/v1/submit-entry HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
    std::thread::scope(|scope| {
        let silent = scope.spawn(|| lifetime(&log, b"", None));
        let undecided = scope.spawn(|| lifetime(&log, b"PRI * HTT", None));
        let no_head = scope.spawn(|| lifetime(&log, b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", Some(b'a')));
        let idle = scope.spawn(|| lifetime(&log, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", None));
        let no_body = scope.spawn(|| lifetime(&log, head, Some(b' ')));
        for thread in [silent, undecided, no_head] {
            let (time, answer) = thread.join().unwrap();
            assert!((10..25).contains(&time.as_secs()), "{time:?}");
            assert!(answer.is_none_or(|a| a.status == 408 || a.status == 400));
        }
        // The server's own HTTP/2 frames are no HTTP/1 answer, so this one ends at once for us.
        let _ = idle.join();
        let (time, answer) = no_body.join().unwrap();
        assert!((20..45).contains(&time.as_secs()), "{time:?}");
        assert_eq!(answer.map(|a| (a.status, a.token())), Some((400, "malformed".to_owned())));
        assert_eq!(log.connect().get("/healthz").unwrap().status, 200);
    });
}

#[test]
fn sigterm_under_load_answers_what_was_accepted_and_keeps_what_was_answered() {
    let root = Authority::root("Root");
    let dir = LogDir::new(&root, |_| {});
    let ledger = Ledger::new(&dir.key);
    let supply = root.precertificates(0, 6000);
    for round in 0..3 {
        let log = dir.start().unwrap();
        let (next, stopping) = (AtomicUsize::new(round * 2000), AtomicBool::new(false));
        // These have the server's word that it reads them; their bodies come after the signal.
        let waiting = &supply[round * 2000 + 1900..(round + 1) * 2000];
        let mut accepted: Vec<(Connection, &Vec<u8>)> = Vec::new();
        for der in waiting {
            let mut http = log.connect();
            let length = submission(der).len();
            let head = format!(
                "POST {SUBMIT} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
            );
            http.send(head.as_bytes()).unwrap();
            assert_eq!(http.interim().unwrap(), 100);
            accepted.push((http, der));
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut http = log.connect();
                    loop {
                        let der = &supply[next.fetch_add(1, SeqCst).min(round * 2000 + 1899)];
                        match ledger.submit(&mut http, der) {
                            Ok(()) => std::thread::sleep(Duration::from_millis(1)),
                            // A connection between two requests may be closed, but only at the end.
                            Err(None) => return assert!(stopping.load(SeqCst), "cut off"),
                            Err(Some(token)) => {
                                assert!(stopping.load(SeqCst) && token == "shutdown", "{token}");
                                return;
                            }
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(500));
            stopping.store(true, SeqCst);
            log.signal(Signal::TERM);
            for (place, (http, der)) in accepted.iter_mut().enumerate() {
                if place == 20 {
                    std::thread::sleep(Duration::from_millis(300)); // by now the server knows
                }
                http.send(submission(der).as_bytes()).unwrap();
            }
            for (http, der) in &mut accepted {
                let answer = http.answer(false).expect("what was accepted is answered");
                match answer.status {
                    200 => ledger.hear(der, answer.json()),
                    _ => assert!(come_again(&answer, 503, "shutdown") >= 1),
                }
            }
        });
        let ended = log.wait();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        ended.is_orderly();
        let log = dir.start().unwrap();
        let mut http = log.connect();
        let sth: atl::api::SthResponse = http.get("/atl/v1/get-sth").unwrap().json();
        assert_eq!(sth.tree_size.get(), ledger.sats() as u64, "the last head before the end covers all");
        ledger.audit(&mut http);
        log.signal(Signal::TERM);
        assert!(log.wait().status.success());
    }
}
