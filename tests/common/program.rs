//! A real server from the built program, and plain HTTP to talk to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// The program under test.
const ATL: &str = env!("CARGO_BIN_EXE_atl");

/// An address on this machine that nobody listens on.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A log that serves until it is dropped.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// Makes a log in `dir` and serves it.
    pub fn start(dir: &Path) -> Self {
        let address = free_address();
        let init = Command::new(ATL)
            .args(["log", "init", "--origin", "log.example.com/test", "--sth-interval-seconds", "1"])
            .args(["--listen", &address.to_string(), "--dir"])
            .arg(dir)
            .output()
            .unwrap();
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let config = dir.join("log.toml");
        let child =
            Command::new(ATL).args(["log", "serve", "--config"]).arg(config).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { address, child };
        for _ in 0..300 {
            if TcpStream::connect(address).is_ok() {
                return server;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("the log does not listen on {address}");
    }

    /// Sends one request without a body.
    pub fn request(&self, method: &str, path: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "{method} {path} HTTP/1.0\r\nhost: log.example.com\r\n\r\n").unwrap();
        let mut octets = Vec::new();
        stream.read_to_end(&mut octets).unwrap();
        Answer::parse(&octets)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came back.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    fn parse(octets: &[u8]) -> Self {
        let end = octets.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&octets[..end]).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Self { status, headers: lines.map(header).collect(), body: octets[end + 4..].to_vec() }
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}
