//! Against a server of canned answers: what is asked, and what is made of each kind of answer.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::*;
use crate::api::ca::{EnrolRequest, Hex32};
use crate::api::{
    B64, CertHashQuery, ConsistencyQuery, EntriesQuery, ProofQuery, SubmitEntriesRequest, SubmitEntryRequest,
    SubmitResult,
};
use crate::log::entry::EntryType;
use crate::merkle::{Hash, LeafIndex, TreeSize};

const H: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A log that answers one request with `answer`; gives what was asked.
fn serve(answer: Vec<u8>) -> (LogClient, JoinHandle<String>) {
    let (base, asked) = listen(answer);
    (LogClient::new(&base).unwrap(), asked)
}

/// Answers one request with `answer`, at the base URL that it gives.
fn listen(answer: Vec<u8>) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/log/", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let n = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..n]);
            let text = String::from_utf8_lossy(&request);
            let length = |head: &str| {
                let line = head
                    .lines()
                    .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
                line.map_or(0, |l| l.parse::<usize>().unwrap())
            };
            if n == 0 || text.split_once("\r\n\r\n").is_some_and(|(head, body)| body.len() >= length(head)) {
                break;
            }
        }
        // The client may hang up on an answer that is too long.
        let _ = stream.write_all(&answer);
        String::from_utf8(request).unwrap()
    });
    (base, asked)
}

fn http(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
        .into_bytes()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The first line of the request of `call`, and its result when answered with `body`.
fn get<T>(body: &str, call: impl AsyncFnOnce(LogClient) -> Result<T, ClientError>) -> (String, Result<T, ClientError>) {
    let (client, asked) = serve(http("200 OK", "content-type: application/json\r\n", body));
    let result = wait(call(client));
    (asked.join().unwrap().lines().next().unwrap().to_owned(), result)
}

#[test]
fn each_call_asks_for_its_path() {
    let hash = Hash::new([0xfb; 32]);
    let encoded = "%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fv7%2B%2Fs%3D";
    let sth = format!(r#"{{"log_id":"{H}","tree_size":3,"timestamp":5,"root_hash":"{H}","signature":"AAA="}}"#);
    let (line, got) = get(&sth, async |c| c.sth().await);
    assert_eq!((line.as_str(), got.unwrap().tree_size.get()), ("GET /log/atl/v1/get-sth HTTP/1.1", 3));
    let query = ConsistencyQuery { first: TreeSize::new(1), second: Some(TreeSize::new(2)) };
    let (line, got) = get(r#"{"first":1,"second":2,"consistency":[]}"#, async move |c| c.consistency(query).await);
    assert_eq!((line.as_str(), got.is_ok()), ("GET /log/atl/v1/get-sth-consistency?first=1&second=2 HTTP/1.1", true));
    let query = ProofQuery { hash, tree_size: None };
    let (line, got) =
        get(r#"{"leaf_index":1,"tree_size":2,"inclusion":[]}"#, async move |c| c.proof_by_hash(query).await);
    assert!(got.is_ok() && line.starts_with(&format!("GET /log/atl/v1/get-proof-by-hash?hash={encoded} ")), "{line}");
    let all = format!(r#"{{"leaf_index":1,"tree_size":2,"inclusion":[],"sth":{sth},"consistency":[]}}"#);
    let (line, got) = get(&all, async move |c| c.all_by_hash(query).await);
    assert!(got.is_ok() && line.starts_with("GET /log/atl/v1/get-all-by-hash?hash="), "{line}");
    let query = EntriesQuery { start: LeafIndex::new(3), end: LeafIndex::new(9) };
    let (line, got) = get(r#"{"entries":[]}"#, async move |c| c.entries(query).await);
    assert_eq!((line.as_str(), got.is_ok()), ("GET /log/atl/v1/get-entries?start=3&end=9 HTTP/1.1", true));
    let entry = format!(r#"{{"leaf_index":7,"timestamp":5,"type":1,"submission":null,"cert_hash":"{H}","chain":[]}}"#);
    let (line, got) = get(&entry, async move |c| c.entry_by_cert_hash(CertHashQuery { cert_hash: hash }).await);
    assert!(got.is_ok() && line.starts_with("GET /log/atl/v1/get-entry-by-cert-hash?cert_hash="), "{line}");
    let (line, got) = get(r#"{"certificates":[],"max_chain_length":4}"#, async |c| c.anchors().await);
    assert_eq!((line.as_str(), got.is_ok()), ("GET /log/atl/v1/get-anchors HTTP/1.1", true));
    let (line, got) = get("a.example\n3\n", async |c| c.checkpoint().await);
    assert_eq!((line.as_str(), got.unwrap().as_str()), ("GET /log/checkpoint HTTP/1.1", "a.example\n3\n"));
    let (line, got) = get("xyz", async |c| c.tile("/tile/0/x001/000.p/3").await);
    assert_eq!((line.as_str(), got.unwrap()), ("GET /log/tile/0/x001/000.p/3 HTTP/1.1", b"xyz".to_vec()));
    let (line, got) = get("der", async move |c| c.issuer(&hash).await);
    assert_eq!((line, got.unwrap()), (format!("GET /log/issuer/{} HTTP/1.1", "fb".repeat(32)), b"der".to_vec()));
    let (line, got) = get("{}", async |c| c.descriptor().await);
    assert_eq!(line, "GET /log/atl/v1/log HTTP/1.1");
    assert!(matches!(got, Err(ClientError::Unparsable { .. })));
}

#[test]
fn submissions_travel_as_json() {
    let entry = SubmitEntryRequest {
        submission: B64(vec![0x30, 0]),
        entry_type: Some(EntryType::Precertificate),
        chain: vec![],
    };
    let good = format!(r#"{{"sat":"MAA=","leaf_index":4,"cert_hash":"{H}","timestamp":9}}"#);
    let (client, asked) = serve(http("200 OK", "", &good));
    assert_eq!(wait(client.submit(&entry)).unwrap().leaf_index.get(), 4);
    let asked = asked.join().unwrap();
    assert!(asked.starts_with("POST /log/atl/v1/submit-entry HTTP/1.1\r\n"), "{asked}");
    assert!(asked.to_ascii_lowercase().contains("content-type: application/json\r\n"));
    let body = asked.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(SubmitEntryRequest::from_json(body.as_bytes()).unwrap(), entry);

    let batch = SubmitEntriesRequest { entries: vec![entry.clone(), entry] };
    let problem = serde_json::to_string(&Problem::new(Token::BadChain, "x")).unwrap();
    let (client, _) = serve(http("200 OK", "", &format!(r#"{{"results":[{good},{problem}]}}"#)));
    let results = wait(client.submit_entries(&batch)).unwrap().results;
    assert!(matches!(&results[..], [SubmitResult::Logged(_), SubmitResult::Refused(_)]));
    let (client, _) = serve(http("200 OK", "", &format!(r#"{{"results":[{good}]}}"#)));
    assert!(wait(client.submit_entries(&batch)).unwrap_err().to_string().contains("1 results for 2 entries"));
}

#[test]
fn refusals_come_with_reason_and_patience() {
    let problem = serde_json::to_string(&Problem::new(Token::Overloaded, "come back")).unwrap();
    let (client, _) = serve(http("503 Busy", "retry-after: 7\r\n", &problem));
    let error = wait(client.sth()).unwrap_err();
    assert_eq!((error.token(), error.retry_after()), (Some(Token::Overloaded), Some(Duration::from_secs(7))));
    assert!(error.to_string().ends_with("/log/atl/v1/get-sth: status 503, overloaded: come back"), "{error}");

    let (client, _) = serve(http("404 Not Found", "", &problem));
    assert_eq!(wait(client.sth()).unwrap_err().retry_after(), None);

    let (client, _) = serve(http("502 Bad Gateway", "retry-after: 2\r\n", "<html>"));
    let error = wait(client.sth()).unwrap_err();
    assert!(matches!(error, ClientError::Status { status: 502, .. }), "{error}");
    assert_eq!((error.token(), error.retry_after()), (None, Some(Duration::from_secs(2))));

    let (client, _) = serve(http("302 Found", "location: http://127.0.0.1:1/\r\n", ""));
    assert!(matches!(wait(client.sth()).unwrap_err(), ClientError::Status { status: 302, .. }));
}

#[test]
fn answers_that_are_none() {
    for body in ["", "null", "{", "<html>", r#"{"tree_size":3}"#] {
        let (_, got) = get(body, async |c| c.sth().await);
        assert!(matches!(got, Err(ClientError::Unparsable { .. })), "{body}");
    }
    let (client, _) = serve(http("200 OK", "", "\u{0}").into_iter().map(|c| if c == 0 { 0xff } else { c }).collect());
    assert!(matches!(wait(client.checkpoint()), Err(ClientError::Unparsable { .. })));
    let (client, _) = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nshort".to_vec());
    assert!(matches!(wait(client.checkpoint()), Err(ClientError::Transport { .. })));
    let (client, _) = serve(b"what?\r\n\r\n".to_vec());
    assert!(matches!(wait(client.sth()), Err(ClientError::Transport { .. })));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = wait(LogClient::new(&format!("http://{closed}")).unwrap().sth()).unwrap_err();
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
}

#[test]
fn answers_without_end_are_cut() {
    let (client, _) = serve(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", SMALL + 1).into_bytes());
    assert!(matches!(wait(client.sth()), Err(ClientError::TooLong { limit: SMALL, .. })));
    let mut endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..40 {
        endless.extend_from_slice(b"8000\r\n");
        endless.extend_from_slice(&[b' '; 0x8000]);
        endless.extend_from_slice(b"\r\n");
    }
    let (client, _) = serve(endless);
    assert!(matches!(wait(client.sth()), Err(ClientError::TooLong { limit: SMALL, .. })));
}

#[test]
fn base_urls() {
    assert_eq!(LogClient::new("http://127.0.0.1:1/a/").unwrap().base_url(), "http://127.0.0.1:1/a");
    assert_eq!(LogClient::new("https://a.example").unwrap().base_url(), "https://a.example");
    for bad in
        ["", "a.example", "ftp://a.example", "http://", "http://a.example/?x=1", "http://a.example/#x", "file:///etc"]
    {
        assert!(matches!(LogClient::new(bad), Err(ClientError::BaseUrl { .. })), "{bad}");
    }
    for (url, loopback) in
        [("http://[::1]:80", true), ("http://127.9.9.9", true), ("http://localhost", true), ("http://a.example", false)]
    {
        assert_eq!(is_loopback(&Url::parse(url).unwrap()), loopback, "{url}");
    }
}

/// The request that `call` makes to a CA which answers `status` and `body`, and its result.
fn ask_ca<T>(
    status: &str,
    headers: &str,
    body: &str,
    call: impl AsyncFnOnce(CaClient) -> Result<T, ClientError>,
) -> (String, Result<T, ClientError>) {
    let (base, asked) = listen(http(status, headers, body));
    let result = wait(call(CaClient::new(&base).unwrap()));
    (asked.join().unwrap(), result)
}

#[test]
fn a_ca_is_asked_with_token_and_patience() {
    let standing = r#"{"id":"r1","status":"pending","agent":"agent://a.example/b/c/d","received_at":5}"#;
    let form = EnrolRequest {
        csr: B64(vec![0x30]),
        evidence: None,
        capabilities: None,
        validity_seconds: None,
        principal: None,
    };
    let asks = form.clone();
    let (asked, got) =
        ask_ca("202 Accepted", "retry-after: 9\r\n", standing, async move |c| c.enroll("secret", &asks).await);
    assert!(asked.starts_with("POST /log/ca/v1/enroll HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("uthorization: Bearer secret\r\n"), "{asked}");
    assert_eq!(serde_json::from_str::<EnrolRequest>(asked.split_once("\r\n\r\n").unwrap().1).unwrap(), form);
    let got = got.unwrap();
    assert_eq!((got.answer.status.as_str(), got.retry_after), ("pending", Some(Duration::from_secs(9))));

    let (asked, got) = ask_ca("201 Created", "", standing, async move |c| c.renew(&form).await);
    assert!(asked.starts_with("POST /log/ca/v1/renew HTTP/1.1\r\n") && !asked.contains("uthorization"), "{asked}");
    assert_eq!(got.unwrap().retry_after, None);

    let (asked, _) = ask_ca("200 OK", "", standing, async |c| c.request("../x?y").await);
    assert!(asked.starts_with("GET /log/ca/v1/requests/%2E%2E%2Fx%3Fy HTTP/1.1\r\n"), "{asked}");
}

#[test]
fn each_call_of_an_operator_asks_for_its_path() {
    let first = |asked: &str| asked.lines().next().unwrap().to_owned();
    let query = CertificatesQuery {
        agent: Some("agent://a.example/b/c/d".into()),
        until: Some(7),
        ..CertificatesQuery::default()
    };
    let (asked, got) =
        ask_ca("200 OK", "", r#"{"certificates":[]}"#, async move |c| c.certificates("op", &query).await);
    let path = "/log/ca/v1/certificates?agent=agent%3A%2F%2Fa%2Eexample%2Fb%2Fc%2Fd&until=7";
    assert_eq!((first(&asked), got.is_ok()), (format!("GET {path} HTTP/1.1"), true));
    assert!(asked.contains("uthorization: Bearer op\r\n"));
    let (asked, got) = ask_ca("200 OK", "", r#"{"requests":[]}"#, async |c| c.open_requests("op", None).await);
    assert_eq!((first(&asked).as_str(), got.is_ok()), ("GET /log/ca/v1/requests HTTP/1.1", true));
    let (asked, got) = ask_ca("204 No Content", "", "", async |c| c.withdraw_token("op", "7").await);
    assert_eq!((first(&asked).as_str(), got.is_ok()), ("DELETE /log/ca/v1/tokens/7 HTTP/1.1", true));
    let (asked, _) = ask_ca("200 OK", "", "{}", async |c| c.approve("op", "7").await);
    assert_eq!(first(&asked), "POST /log/ca/v1/requests/7/approve HTTP/1.1");
    let audit = format!(r#"{{"rows_total":1,"head":"{}","start":0,"rows":["x"]}}"#, "0a".repeat(32));
    let asks = AuditQuery { start: 0, limit: Some(2) };
    let (asked, got) = ask_ca("200 OK", "", &audit, async move |c| c.audit("op", asks).await);
    assert_eq!((first(&asked).as_str(), got.unwrap().rows_total), ("GET /log/ca/v1/audit?start=0&limit=2 HTTP/1.1", 1));
    let (asked, got) = ask_ca("200 OK", "", "der", async |c| c.certificate(Hex32([0xab; 32])).await);
    assert_eq!(got.unwrap(), b"der");
    assert_eq!(first(&asked), format!("GET /log/ca/v1/certificates/{} HTTP/1.1", "ab".repeat(32)));
}
