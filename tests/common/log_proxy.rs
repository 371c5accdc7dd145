//! A proxy in front of a log that can be told to fail, to lie, and to be well again.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use atl::api::{SubmitEntryRequest, SubmitEntryResponse};
use atl::keys::{Ed25519Signer, Signer};
use atl::log::entry::CertHash;
use atl::log::sat::SignedAgentTimestamp;
use atl::time::{Clock, SystemClock};

/// What is wrong with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Nobody listens.
    Refuses,
    /// It takes its time, though no more than it has.
    Slow,
    /// It takes a request and never answers.
    Hangs,
    /// It answers 503, to be tried again in 7 seconds.
    Busy,
    /// Its SATs are over another certHash.
    OtherCertHash,
    /// Its SATs are signed with a key that is not its own.
    OtherKey,
    /// Its SATs are another log's.
    OtherLog,
    /// Its SATs are dated an hour ahead.
    Future,
    /// It gives the SAT that it gave first, of another precertificate.
    Replays,
    /// Its SATs are no DER.
    Garbage,
    /// Its answers are no JSON.
    NoJson,
    /// It takes submissions in and breaks the connection without a word.
    Cuts,
}

/// The faults by which a log, whatever it does, gives no good SAT.
pub const FAULTS: [Fault; 11] = [
    Fault::Refuses,
    Fault::Hangs,
    Fault::Busy,
    Fault::OtherCertHash,
    Fault::OtherKey,
    Fault::OtherLog,
    Fault::Future,
    Fault::Replays,
    Fault::Garbage,
    Fault::NoJson,
    Fault::Cuts,
];

impl Fault {
    /// What a CA says of a log with this fault.
    pub const fn words(self) -> &'static str {
        match self {
            Self::None | Self::Slow => "",
            Self::Refuses => "error sending request",
            Self::Hangs => "it did not answer in time",
            Self::Busy => "status 503",
            Self::OtherCertHash | Self::Replays => "the SAT is over certificate hash",
            Self::OtherKey => "signature does not verify",
            Self::OtherLog => "the SAT is of log",
            Self::Future => "more than 60 s after now",
            Self::Garbage => "not a signed agent timestamp",
            Self::NoJson => "does not parse",
            Self::Cuts => "error sending request",
        }
    }
}

/// A proxy that runs as long as the process.
pub struct LogProxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    key: Ed25519Signer,
}

struct State {
    fault: Fault,
    log: SocketAddr,
    listening: bool,
    first: Option<Vec<u8>>,
}

impl LogProxy {
    /// In front of a log that has its key in this file, and an address once it runs.
    pub fn start(key_file: &Path) -> Self {
        let listener = free_listener();
        let address = listener.local_addr().unwrap();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let state = State { fault: Fault::None, log: nowhere, listening: true, first: None };
        let key = Ed25519Signer::from_pkcs8_pem(&std::fs::read_to_string(key_file).unwrap()).unwrap();
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), key });
        let here = Arc::clone(&shared);
        std::thread::spawn(move || accept(&here, listener));
        Self { address, shared }
    }

    /// Where the log is now.
    pub fn leads_to(&self, log: SocketAddr) {
        self.shared.state.lock().unwrap().log = log;
    }

    /// From now on, and in force when this returns.
    pub fn set(&self, fault: Fault) {
        let mut state = self.shared.state.lock().unwrap();
        state.fault = fault;
        self.shared.changed.notify_all();
        if state.listening && fault == Fault::Refuses {
            // Whoever accepts looks at the fault only then.
            drop(TcpStream::connect(self.address));
        }
        let wanted = fault != Fault::Refuses;
        drop(self.shared.changed.wait_while(state, |state| state.listening != wanted).unwrap());
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn accept(shared: &Arc<Shared>, mut listener: TcpListener) {
    let address = listener.local_addr().unwrap();
    loop {
        let accepted = listener.accept();
        if shared.state.lock().unwrap().fault == Fault::Refuses {
            drop((accepted, listener));
            listener = closed(shared, address);
            continue;
        }
        let Ok((client, _)) = accepted else { continue };
        let shared = Arc::clone(shared);
        // A connection that breaks is the client's to complain about.
        std::thread::spawn(move || drop(answer(&shared, client)));
    }
}

/// Listens again once somebody may connect.
fn closed(shared: &Shared, address: SocketAddr) -> TcpListener {
    let mut state = shared.state.lock().unwrap();
    state.listening = false;
    shared.changed.notify_all();
    state = shared.changed.wait_while(state, |state| state.fault == Fault::Refuses).unwrap();
    let listener = loop {
        match TcpListener::bind(address) {
            Ok(listener) => break listener,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    state.listening = true;
    shared.changed.notify_all();
    listener
}

fn answer(shared: &Shared, mut client: TcpStream) -> io::Result<()> {
    let (head, body) = message(&mut client)?;
    let (fault, log) = {
        let state = shared.state.lock().unwrap();
        (state.fault, state.log)
    };
    match fault {
        Fault::Hangs => {
            let state = shared.state.lock().unwrap();
            drop(shared.changed.wait_while(state, |state| state.fault == Fault::Hangs).unwrap());
            return Ok(());
        }
        Fault::Slow => std::thread::sleep(Duration::from_millis(60)),
        Fault::Busy => {
            let text = "HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            return client.write_all(text.as_bytes());
        }
        _ => {}
    }
    let (status, retry_after, answer) = forward(log, &head, &body)?;
    let submitted = head.starts_with("POST /atl/v1/submit-entry ") && status == "200";
    let answer = match submitted {
        true => match altered(shared, fault, &body, answer) {
            Some(answer) => answer,
            None => return Ok(()),
        },
        false => answer,
    };
    write!(
        client,
        "HTTP/1.1 {status} X\r\n{retry_after}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.len()
    )?;
    client.write_all(&answer)
}

/// What the log said, as the log says it that has this fault; `None` for nothing at all.
fn altered(shared: &Shared, fault: Fault, request: &[u8], honest: Vec<u8>) -> Option<Vec<u8>> {
    let mut answer: SubmitEntryResponse = serde_json::from_slice(&honest).unwrap();
    let submitted = SubmitEntryRequest::from_json(request).unwrap();
    let hash = CertHash::of_certificate(&submitted.submission.0);
    let now = SystemClock.now();
    let signed = |key: &dyn Signer, at, hash| SignedAgentTimestamp::sign(key, at, hash).unwrap();
    let other = Ed25519Signer::from_seed(&[99; 32]).unwrap();
    let sat = match fault {
        Fault::Cuts => return None,
        Fault::NoJson => return Some(b"<html>It works!</html>".to_vec()),
        Fault::Replays => {
            let first = shared.state.lock().unwrap().first.clone();
            return Some(first.expect("the log has answered before"));
        }
        Fault::Garbage => b"no DER at all".to_vec(),
        Fault::OtherCertHash => signed(&shared.key, now, CertHash::new([1; 32])).to_der(),
        Fault::OtherLog => signed(&other, now, hash).to_der(),
        Fault::OtherKey => {
            let log_id = shared.key.public_key().log_id();
            let signature = signed(&other, now, hash).signature;
            SignedAgentTimestamp { log_id, timestamp: now, cert_hash: hash, signature }.to_der()
        }
        Fault::Future => signed(&shared.key, now.saturating_add(3_600_000), hash).to_der(),
        Fault::None | Fault::Slow | Fault::Refuses | Fault::Hangs | Fault::Busy => {
            shared.state.lock().unwrap().first.get_or_insert(honest.clone());
            return Some(honest);
        }
    };
    answer.sat.0 = sat;
    Some(serde_json::to_vec(&answer).unwrap())
}

/// The status, when to ask again as a header line, and the body with which the log answers.
fn forward(log: SocketAddr, head: &str, body: &[u8]) -> io::Result<(String, String, Vec<u8>)> {
    let mut upstream = TcpStream::connect(log)?;
    let line = head.lines().next().unwrap_or_default();
    let kind = "Content-Type: application/json";
    write!(upstream, "{line}\r\nHost: log\r\n{kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    upstream.write_all(body)?;
    let (head, body) = message(&mut upstream)?;
    let retry_after = head.lines().find(|line| line.to_ascii_lowercase().starts_with("retry-after:"));
    let retry_after = retry_after.map_or_else(String::new, |line| format!("{line}\r\n"));
    Ok((head.split(' ').nth(1).unwrap_or_default().to_owned(), retry_after, body))
}

/// One HTTP/1.1 message with a `Content-Length`: its head and its body.
fn message(stream: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let (mut read, mut buffer) = (Vec::new(), [0; 16 << 10]);
    let end = loop {
        if let Some(end) = read.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => read.extend_from_slice(&buffer[..n]),
        }
    };
    let mut body = read.split_off(end);
    let head = String::from_utf8_lossy(&read).into_owned();
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let length: usize = length.unwrap_or(0);
    let missing = length.saturating_sub(body.len());
    let begin = body.len();
    body.resize(begin + missing, 0);
    stream.read_exact(&mut body[begin..])?;
    Ok((head, body))
}

/// An address that nobody listens on, and that the system gives to no connection of its own.
pub fn free_address() -> SocketAddr {
    free_listener().local_addr().unwrap()
}

/// One that listens there. It is not to be let go of and bound again: a process that is being started at that moment
/// holds on to it until it has become another program.
fn free_listener() -> TcpListener {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() as u16;
    loop {
        let port = 10_000 + (start.wrapping_mul(37).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))) % 20_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if let Ok(listener) = TcpListener::bind(address) {
            return listener;
        }
    }
}
