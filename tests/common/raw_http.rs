//! HTTP/1.1 by hand: what is sent is exactly what the test says, and how it ends is visible.
#![allow(dead_code, reason = "each test program uses a part")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The token of a problem document; empty where the body is none.
    pub fn token(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let kind = json.get("type").and_then(|t| t.as_str()).unwrap_or_default();
        kind.strip_prefix("urn:ietf:params:trans:error:").unwrap_or_default().to_owned()
    }

    /// The body as JSON of this type.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// One connection, kept open from request to request.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects, with half a minute for every answer.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(octets)
    }

    /// Sends one request with a `Content-Length` where there is a body.
    pub fn request(&mut self, method: &str, target: &str, headers: &str, body: &[u8]) -> io::Result<Answer> {
        self.send(&request(method, target, headers, body))?;
        self.answer(method == "HEAD")
    }

    /// A GET.
    pub fn get(&mut self, target: &str) -> io::Result<Answer> {
        self.request("GET", target, "", b"")
    }

    /// A POST of JSON.
    pub fn post(&mut self, target: &str, body: &str) -> io::Result<Answer> {
        self.request("POST", target, "Content-Type: application/json\r\n", body.as_bytes())
    }

    /// Reads an answer; interim ones are left out.
    pub fn answer(&mut self, without_body: bool) -> io::Result<Answer> {
        loop {
            let status = self.line()?;
            let status = status.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| invalid(&status))?;
            let headers = self.headers()?;
            if (100..200).contains(&status) {
                continue;
            }
            let length = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("content-length"));
            let length = length.map_or(Ok(0), |(_, v)| v.parse().map_err(|_| invalid(v)))?;
            let mut body = vec![0; if without_body { 0 } else { length }];
            self.stream.read_exact(&mut body)?;
            return Ok(Answer { status, headers, body });
        }
    }

    /// Reads an interim answer, such as `100 Continue`; its status.
    pub fn interim(&mut self) -> io::Result<u16> {
        let status = self.line()?;
        self.headers()?;
        status.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| invalid(&status))
    }

    /// Reads to the end of the connection; how many octets came.
    pub fn drain(&mut self) -> io::Result<usize> {
        self.stream.read_to_end(&mut Vec::new())
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    fn headers(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(headers);
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(&line))?;
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
}

/// The octets of a request.
pub fn request(method: &str, target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{method} {target} HTTP/1.1\r\nHost: log.example\r\n{length}{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP answer: {what:?}"))
}
