//! Witnesses (C2SP tlog-witness) of this process, each with a manner of its own.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use atl::keys::{Ed25519Signer, Signer};
use atl::log::checkpoint::checkpoint_of;
use atl::log::cosignature::{WitnessKey, cosign};
use atl::log::note::{Note, VerifierKey};
use atl::merkle::{Hash, TreeSize, verify_consistency};
use atl::time::{Clock, SystemClock};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How a witness treats those who ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As C2SP has it.
    Honest,
    /// It takes the request and never answers.
    Hangs,
    /// It signs something else than it was asked for.
    Garbage,
    /// It says each time that it remembers another tree.
    Undecided,
    /// It says that it remembers another root.
    OtherTree,
    /// It is out of order.
    Refuses,
}

/// A witness that listens on a port of its own.
pub struct Witness {
    number: u8,
    address: SocketAddr,
    inner: Arc<Inner>,
}

struct Inner {
    number: u8,
    manner: Manner,
    state: Mutex<State>,
    asked: AtomicU64,
    conflicts: AtomicU64,
    at_once: AtomicU64,
    most_at_once: AtomicU64,
}

#[derive(Default)]
struct State {
    log: Option<VerifierKey>,
    size: u64,
    root: Option<Hash>,
}

impl Witness {
    /// The witness of this number, `w<number>.example`.
    pub fn start(number: u8, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let zero = || AtomicU64::new(0);
        let inner = Arc::new(Inner {
            number,
            manner,
            state: Mutex::default(),
            asked: zero(),
            conflicts: zero(),
            at_once: zero(),
            most_at_once: zero(),
        });
        let shared = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inner = Arc::clone(&shared);
                std::thread::spawn(move || inner.serve(stream));
            }
        });
        Self { number, address, inner }
    }

    /// The log that it knows.
    pub fn follows(&self, log: &VerifierKey) {
        self.inner.state.lock().unwrap().log = Some(log.clone());
    }

    pub fn url(&self) -> String {
        format!("http://{}/witness", self.address)
    }

    pub fn key(&self) -> WitnessKey {
        Self::key_of(self.number)
    }

    /// The key of the witness of this number, whether it is there or not.
    pub fn key_of(number: u8) -> WitnessKey {
        Self::key_named(number, &format!("w{number}.example"))
    }

    /// The same key under another name.
    pub fn key_named(number: u8, name: &str) -> WitnessKey {
        WitnessKey::new(name.parse().unwrap(), signer(number).public_key().clone()).unwrap()
    }

    /// The size that it has cosigned last.
    pub fn size(&self) -> u64 {
        self.inner.state.lock().unwrap().size
    }

    pub fn asked(&self) -> u64 {
        self.inner.asked.load(Ordering::SeqCst)
    }

    /// How often it said that it remembers another tree.
    pub fn conflicts(&self) -> u64 {
        self.inner.conflicts.load(Ordering::SeqCst)
    }

    /// The most requests that were under way together.
    pub fn most_at_once(&self) -> u64 {
        self.inner.most_at_once.load(Ordering::SeqCst)
    }
}

fn signer(number: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[number; 32]).unwrap()
}

type Answer = (u16, &'static str, String);

impl Inner {
    /// Answers on one connection until it ends.
    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let body = read(&mut reader)?;
            self.asked.fetch_add(1, Ordering::SeqCst);
            let under_way = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(under_way, Ordering::SeqCst);
            if self.manner == Manner::Hangs {
                // Until whoever asked goes away.
                let _ = reader.read(&mut [0; 1]);
                self.at_once.fetch_sub(1, Ordering::SeqCst);
                return None;
            }
            let (status, media, text) = self.answer(&body);
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            let head =
                format!("HTTP/1.1 {status} X\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n{text}", text.len());
            reader.get_mut().write_all(head.as_bytes()).ok()?;
        }
    }

    fn answer(&self, body: &str) -> Answer {
        let plain = "text/plain";
        match self.manner {
            Manner::Undecided => (409, "text/x.tlog.size", "0\n".into()),
            Manner::OtherTree => (422, plain, "another root\n".into()),
            Manner::Refuses => (503, plain, "out of order\n".into()),
            Manner::Garbage | Manner::Honest | Manner::Hangs => {
                self.add_checkpoint(body).unwrap_or((400, plain, "no request\n".into()))
            }
        }
    }

    fn add_checkpoint(&self, body: &str) -> Option<Answer> {
        let (head, note) = body.split_once("\n\n")?;
        let mut lines = head.split('\n');
        let old: u64 = lines.next()?.strip_prefix("old ")?.parse().ok()?;
        let proof = lines.map(|line| Hash::from_slice(&STANDARD.decode(line).ok()?)).collect::<Option<Vec<_>>>()?;
        let note = Note::parse(note.as_bytes()).ok()?;
        let mut state = self.state.lock().unwrap();
        let mut checkpoint = checkpoint_of(&note, state.log.as_ref()?).ok()?;
        if old != state.size {
            self.conflicts.fetch_add(1, Ordering::SeqCst);
            return Some((409, "text/x.tlog.size", format!("{}\n", state.size)));
        }
        match state.root {
            None if !proof.is_empty() => return Some((422, "text/plain", String::new())),
            None => {}
            Some(root) => {
                let (first, second) = (TreeSize::new(old), checkpoint.size);
                if verify_consistency(first, second, &root, &checkpoint.root, &proof).is_err() {
                    return Some((422, "text/plain", String::new()));
                }
            }
        }
        (state.size, state.root) = (checkpoint.size.get(), Some(checkpoint.root));
        if self.manner == Manner::Garbage {
            checkpoint.size = TreeSize::new(checkpoint.size.get() + 1);
        }
        let key = Witness::key_of(self.number);
        let line = cosign(&signer(self.number), key.name(), &checkpoint, SystemClock.now().into()).unwrap();
        // A line of somebody whom the log does not know, as C2SP allows.
        let other = cosign(&signer(200), &"other.example".parse().unwrap(), &checkpoint, SystemClock.now().into());
        Some((200, "text/plain; charset=utf-8", format!("{}\n{line}\n", other.unwrap())))
    }
}

/// The body of the next request, which must be for the one call that there is.
fn read(reader: &mut BufReader<TcpStream>) -> Option<String> {
    reader.get_ref().set_read_timeout(Some(Duration::from_secs(120))).ok()?;
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok().filter(|n| *n > 0)?;
    assert!(first.starts_with("POST /witness/add-checkpoint HTTP/1.1"), "{first}");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    String::from_utf8(body).ok()
}
