//! Just enough HTTP/1.1 to load a server: one request after the other on a kept connection, with
//! as little work for the processor as can be, because the server may share it.

use std::io;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Octets that the head of an answer may have.
const MAX_HEAD: usize = 16 << 10;
/// Octets that the body of an answer may have.
const MAX_BODY: usize = 4 << 20;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The connection broke.
    #[error("connection: {}", .0.kind())]
    Io(#[from] io::Error),
    /// The server closed the connection before the answer was whole.
    #[error("connection closed inside an answer")]
    Closed,
    /// The server closed a kept connection before it answered at all, as it may when idle.
    #[error("connection closed before an answer")]
    Idle,
    /// No HTTP/1.1 head that we can read.
    #[error("the answer's head cannot be read")]
    Head,
    /// A body without `Content-Length`. Our logs always say it; a proxy may not.
    #[error("the answer has no Content-Length")]
    NoLength,
    /// An answer that is larger than any that a log gives here.
    #[error("the answer is too large")]
    TooLarge,
}

/// A status and a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, whole.
    pub body: Box<[u8]>,
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    octets: usize,
    status: u16,
    length: usize,
    close: bool,
}

impl Head {
    /// Reads the head at the front of `octets`; `None` where it is not whole yet.
    fn read(octets: &[u8]) -> Result<Option<Self>, HttpError> {
        let Some(end) = octets.windows(4).take(MAX_HEAD).position(|w| w == b"\r\n\r\n") else {
            return if octets.len() > MAX_HEAD { Err(HttpError::Head) } else { Ok(None) };
        };
        let text = std::str::from_utf8(&octets[..end]).map_err(|_| HttpError::Head)?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).and_then(|line| line.get(..3));
        let status = status.and_then(|digits| digits.parse().ok()).ok_or(HttpError::Head)?;
        let (mut length, mut close) = (None, false);
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(HttpError::Head)?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.parse().map_err(|_| HttpError::Head)?);
            } else if name.eq_ignore_ascii_case("connection") {
                close = value.eq_ignore_ascii_case("close");
            }
        }
        let length = length.ok_or(HttpError::NoLength)?;
        if length > MAX_BODY {
            return Err(HttpError::TooLarge);
        }
        Ok(Some(Self { octets: end + 4, status, length, close }))
    }
}

/// Where to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The path in front of `/atl/v1`, without a slash at its end.
    pub base: String,
}

impl Target {
    /// The octets of a POST of JSON.
    pub fn post(&self, path: &str, body: &[u8]) -> Vec<u8> {
        let (host, port, base) = (&self.host, self.port, &self.base);
        let head = format!(
            "POST {base}{path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    }

    /// The octets of a GET.
    pub fn get(&self, path: &str) -> Vec<u8> {
        let (host, port, base) = (&self.host, self.port, &self.base);
        format!("GET {base}{path} HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n").into_bytes()
    }
}

/// A kept connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    fresh: bool,
}

impl Connection {
    /// Connects.
    pub async fn open(target: &Target) -> Result<Self, HttpError> {
        let host = target.host.trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, target.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(8 << 10), fresh: true })
    }

    /// Sends a request and reads the answer. `false` says that the server closes the connection
    /// behind it; behind an error it cannot be used either.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<(Answer, bool), HttpError> {
        let fresh = std::mem::take(&mut self.fresh);
        let (head, answered) = match self.head(request).await {
            Err(HttpError::Closed | HttpError::Io(_)) if !fresh && self.buffer.is_empty() => {
                return Err(HttpError::Idle);
            }
            head => (head?, self.buffer.len()),
        };
        let end = head.octets + head.length;
        if answered < end {
            self.buffer.reserve(end - answered);
        }
        while self.buffer.len() < end {
            self.read().await?;
        }
        let body = self.buffer[head.octets..end].into();
        self.buffer.drain(..end);
        Ok((Answer { status: head.status, body }, !head.close))
    }

    async fn head(&mut self, request: &[u8]) -> Result<Head, HttpError> {
        self.stream.write_all(request).await?;
        loop {
            if let Some(head) = Head::read(&self.buffer)? {
                return Ok(head);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), HttpError> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(HttpError::Closed),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_head_only_when_it_is_whole() {
        let octets = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\ncontent-length:  5\r\nConnection: Close\r\n\r\nhello";
        let head = Head { octets: octets.len() - 5, status: 200, length: 5, close: true };
        for whole in 0..octets.len() - 5 {
            assert!(matches!(Head::read(&octets[..whole]), Ok(None)), "{whole}");
        }
        assert_eq!(Head::read(octets).unwrap(), Some(head));
    }

    #[test]
    fn refuses_heads_that_it_does_not_understand() {
        let error = |octets: &[u8]| Head::read(octets).unwrap_err();
        assert!(matches!(error(b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n"), HttpError::Head));
        assert!(matches!(error(b"HTTP/1.1 2\r\ncontent-length: 1\r\n\r\n"), HttpError::Head));
        assert!(matches!(error(b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"), HttpError::Head));
        assert!(matches!(error(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), HttpError::Head));
        assert!(matches!(error(b"HTTP/1.1 200 \xff\r\ncontent-length: 1\r\n\r\n"), HttpError::Head));
        assert!(matches!(error(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"), HttpError::NoLength));
        assert!(matches!(error(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"), HttpError::TooLarge));
        assert!(matches!(error(&[b'x'; MAX_HEAD + 4]), HttpError::Head));
    }
}
