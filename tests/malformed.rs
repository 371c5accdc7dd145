//! Requests that are wrong in every way we could think of: each is refused with the token that
//! the protocol gives it, none with a 5xx, and the log serves on.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, clippy::print_stdout)]

#[path = "malformed/certificates.rs"]
mod certificates;
#[path = "common/log_process.rs"]
mod log_process;
#[path = "common/pki.rs"]
mod pki;
#[path = "common/raw_http.rs"]
mod raw_http;

use std::net::Shutdown;

use log_process::{LogDir, LogProcess};
use pki::{Authority, b64, submission};
use raw_http::{Connection, request};

const SUBMIT: &str = "/atl/v1/submit-entry";
const BATCH: &str = "/atl/v1/submit-entries";
const JSON: &str = "Content-Type: application/json\r\n";

/// One request, and the token that answers it.
pub struct Case {
    name: String,
    octets: Vec<u8>,
    token: &'static str,
}

/// The status of each token (protocol section 5).
fn status(token: &str) -> u16 {
    match token {
        "hashUnknown" | "notFound" => 404,
        "methodNotAllowed" => 405,
        "tooLarge" => 413,
        "unsupportedMediaType" => 415,
        _ => 400,
    }
}

fn case(name: impl Into<String>, octets: Vec<u8>, token: &'static str) -> Case {
    Case { name: name.into(), octets, token }
}

fn get(target: &str, token: &'static str) -> Case {
    case(format!("GET {target}"), request("GET", target, "", b""), token)
}

fn post(name: &str, target: &str, body: &[u8], token: &'static str) -> Case {
    case(format!("{target}: {name}"), request("POST", target, JSON, body), token)
}

/// Runs the cases, each on a connection of its own; how many there were, and which went wrong.
fn run(log: &LogProcess, cases: Vec<Case>, wrong: &mut Vec<String>) -> usize {
    for Case { name, octets, token } in &cases {
        let mut http = log.connect();
        // The server may close before it has read all of a body that it refuses.
        let _ = http.send(octets);
        match http.answer(false) {
            Ok(answer) => {
                let problem = answer.header("content-type") == Some("application/problem+json");
                let found = (answer.status, answer.token());
                let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let complete = ["title", "detail"].iter().all(|m| json[m].as_str().is_some_and(|t| !t.is_empty()));
                if found != (status(token), (*token).to_owned()) || !problem || !complete || json["status"] != found.0 {
                    wrong.push(format!("{name}: {found:?} instead of {token}: {}", json["detail"]));
                }
            }
            Err(error) => wrong.push(format!("{name}: no answer: {error}")),
        }
    }
    cases.len()
}

fn json_bodies() -> Vec<Case> {
    let deep = |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let long = "A".repeat(100_000);
    let mut bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "\r\n\r\n",
        "null",
        "true",
        "0",
        "-1",
        "1e400",
        "\"text\"",
        "[]",
        "[{}]",
        "{",
        "}",
        "{}",
        "{\"",
        "<?xml?>",
        "a=b&c=d",
        "{\"submission\"}",
        "{\"submission\":}",
        "{\"submission\":null}",
        "{\"submission\":0}",
        "{\"submission\":true}",
        "{\"submission\":{}}",
        "{\"submission\":[]}",
        "{\"submission\":[\"AAAA\"]}",
        "{\"submission\":\"AAAA\",}",
        "{\"submission\":\"AAAA\"",
        "{\"submission\":\"AAAA\"}}",
        "{\"submission\":\"AAAA\"} {}",
        "{'submission':'AAAA'}",
        "{submission:\"AAAA\"}",
        "{\"submission\":\"AAAA\",\"submission\":\"AAAA\"}",
        "{\"submission\":\"AAAA\",\"type\":1,\"type\":2}",
        "{\"submission\":\"AAAA\",\"chain\":[],\"chain\":[]}",
        "{\"Submission\":\"AAAA\"}",
        "{\"submission\":\"AAA\"}",
        "{\"submission\":\"AAA \"}",
        "{\"submission\":\"A===\"}",
        "{\"submission\":\"AB==\"}",
        "{\"submission\":\"AA=\"}",
        "{\"submission\":\"_-_-\"}",
        "{\"submission\":\"AAAA\\n\"}",
        "{\"submission\":\" AAAA\"}",
        "{\"submission\":\"AAAA====\"}",
        "{\"submission\":\"\\u00e9\"}",
        "{\"submission\":\"\\ud800\"}",
        "{\"submission\":\"\\x41\"}",
        "{\"submission\":\"A\tAA\"}",
        "{\"submission\":\"AAAA\",\"type\":\"2\"}",
        "{\"submission\":\"AAAA\",\"type\":2.0}",
        "{\"submission\":\"AAAA\",\"type\":2e0}",
        "{\"submission\":\"AAAA\",\"type\":[2]}",
        "{\"submission\":\"AAAA\",\"type\":true}",
        "{\"submission\":\"AAAA\",\"type\":{}}",
        "{\"submission\":\"AAAA\",\"type\":02}",
        "{\"submission\":\"AAAA\",\"type\":99999999999999999999}",
        "{\"submission\":\"AAAA\",\"chain\":\"AAAA\"}",
        "{\"submission\":\"AAAA\",\"chain\":{}}",
        "{\"submission\":\"AAAA\",\"chain\":1}",
        "{\"submission\":\"AAAA\",\"chain\":[1]}",
        "{\"submission\":\"AAAA\",\"chain\":[null]}",
        "{\"submission\":\"AAAA\",\"chain\":[[]]}",
        "{\"submission\":\"AAAA\",\"chain\":[\"*\"]}",
        "{\"submission\":\"AAAA\",\"chain\":[\"AAAA\",\"AAA\"]}",
        "{\"submission\":\"AAAA\",\"chain\":[\"AAAA\",]}",
        "{\"chain\":[],\"type\":2}",
        "{\"submission\":\"AAAA\",\"x\":nan}",
        "{\"submission\":\"AAAA\"}//",
        "/**/{\"submission\":\"AAAA\"}",
        "{\"submission\":\"AAAA\"}\0",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    bodies.push(deep("[", "]", 50_000).into_bytes());
    bodies.push(deep("{\"a\":", "}", 20_000).into_bytes());
    bodies.push(format!("{{\"submission\":\"AAAA\",\"type\":\"{long}\"}}").into_bytes());
    bodies.push(b"{\"submission\":\"\xff\xfe\"}".to_vec());
    bodies.push(b"\xef\xbb\xbf{\"submission\":\"AAAA\"}".to_vec());
    bodies.push("{\"submission\":\"AAAA\"}".encode_utf16().flat_map(u16::to_le_bytes).collect());
    bodies.push(vec![0; 1000]);
    let mut cases: Vec<Case> = Vec::new();
    for body in &bodies {
        let name: String = String::from_utf8_lossy(body).chars().take(60).collect();
        cases.push(post(&name, SUBMIT, body, "malformed"));
    }
    for number in ["0", "3", "-1", "-2", "255", "258", "4294967298", "18446744073709551615", "-9223372036854775808"] {
        cases.push(post(
            number,
            SUBMIT,
            format!("{{\"submission\":\"AAAA\",\"type\":{number}}}").as_bytes(),
            "badType",
        ));
    }
    let many = format!("{{\"entries\":[{}]}}", vec!["{}"; 257].join(","));
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "{\"entries\":null}",
        "{\"entries\":{}}",
        "{\"entries\":\"x\"}",
        "{\"entries\":1}",
        "{\"entries\":[}",
        "{\"entries\":[,]}",
        "{\"entries\":[]",
        "{\"entries\":[]}]",
        "{\"entries\":[{]}",
        "{\"entries\":[],\"entries\":[]}",
        "{\"entry\":[]}",
        "[{\"submission\":\"AAAA\"}]",
        &many,
        &deep("[", "]", 50_000),
    ] {
        cases.push(post(&body.chars().take(60).collect::<String>(), BATCH, body.as_bytes(), "malformed"));
    }
    cases
}

fn queries() -> Vec<Case> {
    let hash = b64(&[0xfb; 32]).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let mut cases = Vec::new();
    for number in [
        "",
        "abc",
        "-1",
        "%2B1",
        "+1",
        "1.0",
        "1e3",
        "0x10",
        "%201",
        "1%20",
        "01",
        "1_0",
        "18446744073709551616",
        "%00",
        "1%2C2",
        "%ff",
        "%",
        "%4",
        "null",
        "%EF%BC%91",
    ] {
        cases.push(get(&format!("/atl/v1/get-sth-consistency?first={number}"), "malformed"));
        cases.push(get(&format!("/atl/v1/get-sth-consistency?first=0&second={number}"), "malformed"));
        cases.push(get(&format!("/atl/v1/get-proof-by-hash?hash={hash}&tree_size={number}"), "malformed"));
        cases.push(get(&format!("/atl/v1/get-all-by-hash?hash={hash}&tree_size={number}"), "malformed"));
        cases.push(get(&format!("/atl/v1/get-entries?start={number}&end=0"), "malformed"));
        cases.push(get(&format!("/atl/v1/get-entries?start=0&end={number}"), "malformed"));
    }
    let short = b64(&[0; 31]);
    let lengthy = b64(&[0; 33]);
    let plus = b64(&[0xfb; 32]);
    for wrong in [
        "",
        "AAAA",
        "%21%21",
        &short,
        &lengthy,
        &plus,
        &"00".repeat(32),
        &hash.replace("%3D", ""),
        &hash.replace("%2B", "-"),
        &hash.replace('%', "%25"),
        "%zz",
        &format!("{hash}%0A"),
        &format!("{hash}%3D"),
        &"A".repeat(5000),
    ] {
        cases.push(get(&format!("/atl/v1/get-proof-by-hash?hash={wrong}"), "malformed"));
        cases.push(get(&format!("/atl/v1/get-all-by-hash?hash={wrong}"), "malformed"));
        cases.push(get(&format!("/atl/v1/get-entry-by-cert-hash?cert_hash={wrong}"), "malformed"));
    }
    for (call, twice) in [
        ("get-sth-consistency", "first=0&first=0"),
        ("get-sth-consistency", "first=0&second=0&second=0"),
        ("get-proof-by-hash", &*format!("hash={hash}&hash={hash}")),
        ("get-all-by-hash", &*format!("hash={hash}&tree_size=1&tree_size=1")),
        ("get-entries", "start=0&end=0&start=0"),
        ("get-entries", "start=0&end=0&%65nd=0"),
        ("get-entry-by-cert-hash", &*format!("cert_hash={hash}&cert_hash={hash}")),
        ("get-sth-consistency", ""),
        ("get-sth-consistency", "second=1"),
        ("get-sth-consistency", "First=0"),
        ("get-proof-by-hash", "tree_size=1"),
        ("get-all-by-hash", ""),
        ("get-entries", "start=0"),
        ("get-entries", "end=0"),
        ("get-entries", "start=0;end=0"),
        ("get-entry-by-cert-hash", &*format!("hash={hash}")),
    ] {
        cases.push(get(&format!("/atl/v1/{call}?{twice}"), "malformed"));
    }
    for (target, token) in [
        ("get-sth-consistency?first=1000000", "firstUnknown"),
        ("get-sth-consistency?first=18446744073709551615", "firstUnknown"),
        ("get-sth-consistency?first=0&second=1000000", "secondUnknown"),
        ("get-sth-consistency?first=0&second=18446744073709551615", "secondUnknown"),
        ("get-sth-consistency?first=1&second=0", "secondBeforeFirst"),
        ("get-sth-consistency?first=18446744073709551615&second=18446744073709551614", "secondBeforeFirst"),
        ("get-entries?start=1&end=0", "endBeforeStart"),
        ("get-entries?start=18446744073709551615&end=0", "endBeforeStart"),
        ("get-entries?start=1000000&end=1000000", "startUnknown"),
        ("get-entries?start=18446744073709551615&end=18446744073709551615", "startUnknown"),
        (&*format!("get-proof-by-hash?hash={hash}"), "hashUnknown"),
        (&*format!("get-all-by-hash?hash={hash}"), "hashUnknown"),
        (&*format!("get-entry-by-cert-hash?cert_hash={hash}"), "hashUnknown"),
        (&*format!("get-proof-by-hash?hash={hash}&tree_size=1000000"), "treeSizeUnknown"),
        (&*format!("get-proof-by-hash?hash={hash}&tree_size=18446744073709551615"), "treeSizeUnknown"),
        (&*format!("get-proof-by-hash?hash={hash}&tree_size=0"), "treeSizeUnknown"),
    ] {
        cases.push(get(&format!("/atl/v1/{target}"), token));
    }
    cases
}

fn paths() -> Vec<Case> {
    let zeros = "0".repeat(64);
    let upper = "AB".repeat(32);
    let mut cases = Vec::new();
    for target in [
        "/",
        "//",
        "/atl",
        "/atl/",
        "/atl/v1",
        "/atl/v1/",
        "/atl/v1/get-sth/",
        "/atl/v1/get-sth/x",
        "/atl/v2/get-sth",
        "/ATL/v1/get-sth",
        "/atl/v1/GET-STH",
        "//atl/v1/get-sth",
        "/atl//v1/get-sth",
        "/atl/v1/../v1/get-sth",
        "/atl/v1/./get-sth",
        "/atl/v1/get-sth%00",
        "/atl/v1/get-sth%20",
        "/atl/v1/%ff",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/../../etc/passwd",
        "/atl/v1/get-sth;x=1",
        "/checkpoint/",
        "/checkpoint.txt",
        "/Checkpoint",
        "/tile",
        "/tile/",
        "/tile/0",
        "/tile/0/",
        "/tile/0/0",
        "/tile/0/00",
        "/tile/0/0000",
        "/tile/0/001",
        "/tile/0/x000/000",
        "/tile/0/000/000",
        "/tile/0/x001",
        "/tile/0/000.p",
        "/tile/0/000.p/",
        "/tile/0/000.p/0",
        "/tile/0/000.p/01",
        "/tile/0/000.p/-1",
        "/tile/0/000.p/256",
        "/tile/0/000.p/257",
        "/tile/0/000.p/1/",
        "/tile/0/000.p/255",
        "/tile/0/000.P/1",
        "/tile/0/000",
        "/tile/0/999",
        "/tile/00/000",
        "/tile/-1/000",
        "/tile/+0/000",
        "/tile/8/000",
        "/tile/63/000",
        "/tile/64/000",
        "/tile/256/000",
        "/tile/0/x999/x999/x999/x999/x999/x999/999",
        "/tile/0/x018/x446/x744/x073/x709/x551/615",
        "/tile/0/%30%30%30.p/1",
        "/tile/%30/000.p/1",
        "/tile/0/%ff",
        "/tile/%ff/000",
        "/tile/%00",
        "/tile/0/000.p/1%0a",
        "/tile/data/000",
        "/tile/entries",
        "/tile/entries/",
        "/tile/entries/0",
        "/tile/entries/000",
        "/tile/entries/000.p/200",
        "/tile/Entries/000.p/1",
        "/tile/certs/000",
        "/tile/certs/000.p/0",
        "/tile/certs/abc",
        "/tile/certs/../../checkpoint",
        "/tile//000",
        "/tile/0//000",
        "/issuer",
        "/issuer/",
        "/issuer/00",
        "/issuer/%ff",
        "/issuer/%30",
        &format!("/issuer/{zeros}"),
        &format!("/issuer/{upper}"),
        &format!("/issuer/{zeros}0"),
        &format!("/issuer/{zeros}/"),
        &format!("/issuer/{}", "zz".repeat(32)),
        "/healthz/x",
        "/readyz/",
        "/metrics/",
        "/favicon.ico",
        "/.env",
        "/atl/v1/submit-entry/",
        "/atl/v1/submit_entry",
        "/?/atl/v1/get-sth",
        "*",
    ] {
        cases.push(get(target, "notFound"));
    }
    let long = format!("/{}", "a/".repeat(10_000));
    cases.push(get(&long, "notFound"));
    cases.push(case("absolute form", request("GET", "http://other.example/x", "", b""), "notFound"));
    for target in [
        "/checkpoint",
        "/atl/v1/get-sth",
        "/atl/v1/get-entries?start=0&end=0",
        "/tile/0/000.p/1",
        "/healthz",
        "/atl/v1/log",
    ] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get"] {
            cases.push(case(format!("{method} {target}"), request(method, target, "", b""), "methodNotAllowed"));
        }
    }
    for target in [SUBMIT, BATCH] {
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "post"] {
            cases.push(case(format!("{method} {target}"), request(method, target, JSON, b"{}"), "methodNotAllowed"));
        }
    }
    cases
}

fn envelopes() -> Vec<Case> {
    let mut cases = Vec::new();
    for target in [SUBMIT, BATCH] {
        for headers in [
            "Content-Type: text/plain\r\n",
            "Content-Type: text/json\r\n",
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "Content-Type: multipart/form-data; boundary=x\r\n",
            "Content-Type: application/jsonx\r\n",
            "Content-Type: \r\n",
            "Content-Type: application\r\n",
            "Content-Type: \u{e9}\r\n",
            "Content-Type: application/json\r\nContent-Encoding: gzip\r\n",
            "Content-Type: application/json\r\nContent-Encoding: br\r\n",
            "Content-Type: application/json\r\nContent-Encoding: deflate, gzip\r\n",
        ] {
            let name = format!("{target} with {}", headers.trim_end());
            cases.push(case(name, request("POST", target, headers, b"{}"), "unsupportedMediaType"));
        }
        for length in ["4194305", "9999999999", "9223372036854775807", "18446744073709551600"] {
            let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\n{JSON}Content-Length: {length}\r\n\r\n");
            cases.push(case(format!("{target} announces {length}"), head.into_bytes(), "tooLarge"));
        }
        for (octets, name) in [(4_200_000, "chunked"), (9_000_000, "chunked, twice as much")] {
            let head =
                format!("POST {target} HTTP/1.1\r\nHost: x\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n{octets:x}\r\n");
            cases.push(case(format!("{target} {name}"), [head.into_bytes(), vec![b' '; octets]].concat(), "tooLarge"));
        }
        cases.push(post("blanks beyond the limit", target, &vec![b' '; (4 << 20) + 1], "tooLarge"));
        let broken = format!("POST {target} HTTP/1.1\r\nHost: x\r\n{JSON}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n");
        cases.push(case(format!("{target} with a broken chunk"), broken.into_bytes(), "malformed"));
    }
    cases.push(post("one octet too many", SUBMIT, &vec![b' '; (256 << 10) + 1], "tooLarge"));
    cases
}

/// What is no HTTP request is answered by the HTTP library with a 4xx, or by closing.
fn no_requests(log: &LogProcess) -> usize {
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(1000));
    let target = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    let requests: Vec<&[u8]> = vec![
        b"\0\0\0\0\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / http/1.1\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET /\x7f HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad name: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: \0\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage garbage garbage",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"\r\n\r\n\r\n\r\nx\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
        target.as_bytes(),
    ];
    for octets in &requests {
        let name = String::from_utf8_lossy(octets).chars().take(60).collect::<String>();
        let mut http = log.connect();
        let _ = http.send(octets);
        let _ = http.socket().shutdown(Shutdown::Write);
        match http.answer(false) {
            Ok(answer) => assert!((400..500).contains(&answer.status), "{name:?}: {answer:?}"),
            Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{name:?}: left hanging"),
        }
    }
    // Bodies that end before they are over.
    for target in [SUBMIT, BATCH] {
        for (length, body) in [(100, "{\"submission\":"), (10, ""), (4096, "{}")] {
            let mut http = log.connect();
            http.send(
                format!("POST {target} HTTP/1.1\r\nHost: x\r\n{JSON}Content-Length: {length}\r\n\r\n{body}").as_bytes(),
            )
            .unwrap();
            http.socket().shutdown(Shutdown::Write).unwrap();
            if let Ok(answer) = http.answer(false) {
                assert_eq!((answer.status, &*answer.token()), (400, "malformed"));
            }
        }
    }
    requests.len() + 6
}

fn batch_elements(log: &LogProcess, root: &Authority) -> usize {
    let good = submission(&root.precertificates(500, 1)[0]);
    let elements = [
        ("{}", "malformed"),
        ("null", "malformed"),
        ("[]", "malformed"),
        ("\"x\"", "malformed"),
        ("1", "malformed"),
        (&*good, ""),
        ("{\"submission\":\"*\"}", "malformed"),
        ("{\"submission\":\"AAAA\"}", "badSubmission"),
        ("{\"submission\":\"AAAA\",\"type\":9}", "badType"),
        (&*good, ""),
        ("{\"submission\":\"\"}", "badSubmission"),
    ];
    let body: Vec<&str> = elements.iter().map(|(text, _)| *text).collect();
    let answer = log.connect().post(BATCH, &format!("{{\"entries\":[{}]}}", body.join(","))).unwrap();
    let json: serde_json::Value = answer.json();
    let tokens: Vec<&str> =
        json["results"].as_array().unwrap().iter().map(|r| r["type"].as_str().unwrap_or("")).collect();
    let expected: Vec<_> = elements.iter().map(|(_, token)| *token).collect();
    let found: Vec<_> = tokens.iter().map(|t| t.trim_start_matches("urn:ietf:params:trans:error:")).collect();
    assert_eq!(found, expected);
    assert_eq!(json["results"][5], json["results"][9], "one certificate, one answer");
    elements.len()
}

fn serves(log: &LogProcess, root: &Authority, number: u64) {
    let answer =
        Connection::open(log.address).unwrap().post(SUBMIT, &submission(&root.precertificates(number, 1)[0])).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn every_malformed_request_is_refused_with_its_token() {
    let root = Authority::root("Root");
    let dir = LogDir::new(&root, |config| {
        config.not_after_limit = atl::time::UnixMillis::from_secs(2_398_377_600).unwrap(); // 2046
    });
    let mut log = dir.start().unwrap();
    serves(&log, &root, 1);
    let mut wrong = Vec::new();
    let counts = [
        run(&log, json_bodies(), &mut wrong),
        run(&log, certificates::cases(&root), &mut wrong),
        run(&log, queries(), &mut wrong),
        run(&log, paths(), &mut wrong),
        run(&log, envelopes(), &mut wrong),
        no_requests(&log),
        batch_elements(&log, &root),
    ];
    assert!(wrong.is_empty(), "{} of {counts:?}:\n{}", wrong.len(), wrong.join("\n"));
    println!("{counts:?}, {} in all", counts.iter().sum::<usize>());
    assert!(counts.iter().sum::<usize>() >= 600, "{counts:?}");
    serves(&log, &root, 2);
    assert!(log.runs());
    let metrics = String::from_utf8(log.connect().get("/metrics").unwrap().body).unwrap();
    assert!(!metrics.contains("result=\"internal\""), "{metrics}");
    assert!(!log.stderr().contains("panicked"), "{}", log.stderr());
    assert!(!log.stderr().contains("ERROR"), "{}", log.stderr());
}
