//! A monitor of this process that says what a test tells it to say of logs.
#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use atl::keys::{Ed25519Signer, PublicKey, Signer as _};
use atl::log::audit::{AuditStatement, Verdict, sign_audit};
use atl::log::note::VerifierKey;
use atl::merkle::{Hash, TreeSize};
use atl::time::UnixMillis;

/// A monitor that listens on a port of its own.
pub struct Monitor {
    signer: Ed25519Signer,
    name: String,
    address: SocketAddr,
    said: Arc<Mutex<Said>>,
}

#[derive(Default)]
struct Said {
    pages: HashMap<String, String>,
    asked: Vec<String>,
}

impl Monitor {
    /// The monitor of this number, which says nothing yet.
    pub fn start(number: u8) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let said = Arc::new(Mutex::new(Said::default()));
        let shared = Arc::clone(&said);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut first = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let _ = reader.read_line(&mut first);
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                    line.clear();
                }
                let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
                let page = {
                    let mut said = shared.lock().unwrap();
                    said.asked.push(path.clone());
                    said.pages.get(&path).cloned()
                };
                let (status, body) = page.map_or((404, String::new()), |page| (200, page));
                let head =
                    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = stream.write_all((head + &body).as_bytes());
            }
        });
        let signer = Ed25519Signer::from_seed(&[number; 32]).unwrap();
        Self { signer, name: format!("monitor{number}.example"), address, said }
    }

    pub fn vkey(&self) -> VerifierKey {
        VerifierKey::new(self.name.parse().unwrap(), self.signer.public_key().clone()).unwrap()
    }

    /// Its table in a relying party's file.
    pub fn table(&self) -> String {
        format!("[[monitors]]\nvkey = \"{}\"\nurl = \"http://{}/m/\"\n", self.vkey(), self.address)
    }

    /// A statement of this monitor's.
    pub fn statement(&self, log: &PublicKey, at: UnixMillis, verdict: Verdict) -> String {
        let statement = AuditStatement {
            origin: "log.example/audited".parse().unwrap(),
            log_id: log.log_id(),
            size: TreeSize::new(1),
            root: Hash::new([1; 32]),
            at,
            verdict,
        };
        sign_audit(&self.signer, self.vkey().name(), &statement).unwrap()
    }

    /// Says this of a log from now on.
    pub fn says(&self, log: &PublicKey, text: String) {
        self.said.lock().unwrap().pages.insert(format!("/m/audit/v1/{}", log.log_id()), text);
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<String> {
        self.said.lock().unwrap().asked.clone()
    }
}
