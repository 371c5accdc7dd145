//! A connection whose peer was accepted, over any blocking stream.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, ServerConnection, Stream};

use super::endpoint::Endpoint;
use super::error::TlsError;
use super::explain::{self, ALPN};
use super::material::{Expected, Mode};
use super::peer::PeerIdentity;
use super::verifier::{AgentVerifier, Meeting};

impl Endpoint {
    /// Connects to a peer over `stream`, a blocking one. How long it may take is for the stream's timeouts to say.
    ///
    /// # Errors
    /// [`TlsError`]: either side refuses the other, or something failed. In [`Mode::Strict`] the peer's refusal may
    /// come with the first read only.
    pub fn connect<S: Read + Write>(&self, stream: S, expected: &Expected) -> Result<Channel<S>, TlsError> {
        let (verifier, meeting) = AgentVerifier::new(Arc::clone(&self.shared), expected.clone(), self.mode);
        let mut config = self.client_config(verifier)?;
        config.alpn_protocols = self.protocols();
        // Agents are known by their URIs; a name is asked for, and none is sent.
        let nobody = ServerName::from(Ipv4Addr::UNSPECIFIED);
        let connection = ClientConnection::new(Arc::new(config), nobody)?;
        self.meet(connection.into(), stream, meeting)
    }

    /// Takes a peer that connected over `stream`, a blocking one. How long it may take is for the stream's timeouts
    /// to say.
    ///
    /// # Errors
    /// [`TlsError`]: either side refuses the other, or something failed.
    pub fn accept<S: Read + Write>(&self, stream: S, expected: &Expected) -> Result<Channel<S>, TlsError> {
        let (verifier, meeting) = AgentVerifier::new(Arc::clone(&self.shared), expected.clone(), self.mode);
        let mut config = self.server_config(verifier)?;
        config.alpn_protocols = self.protocols();
        let connection = ServerConnection::new(Arc::new(config))?;
        self.meet(connection.into(), stream, meeting)
    }

    fn protocols(&self) -> Vec<Vec<u8>> {
        match self.mode {
            Mode::Strict => Vec::new(),
            Mode::Explain => vec![ALPN.to_vec()],
        }
    }

    fn meet<S: Read + Write>(
        &self,
        connection: Connection,
        stream: S,
        meeting: Meeting,
    ) -> Result<Channel<S>, TlsError> {
        let mut pipe = Pipe { connection, stream };
        while pipe.connection.is_handshaking() {
            pipe.connection.complete_io(&mut pipe.stream).map_err(|error| match meeting.refused() {
                Some(refused) => TlsError::Refused(Box::new(refused)),
                None => TlsError::from(error),
            })?;
        }
        let peer = match self.mode {
            Mode::Strict => meeting.peer(&pipe.connection)?,
            Mode::Explain => pipe.explain(meeting)?,
        };
        Ok(Channel { pipe, peer })
    }
}

/// A connection with an agent that was accepted: a blocking stream of octets both ways.
///
/// It ends for the peer as it should with [`close`](Self::close); one that is dropped looks like one that was cut.
pub struct Channel<S> {
    pipe: Pipe<S>,
    peer: PeerIdentity,
}

impl<S> Channel<S> {
    /// Whom it is with.
    pub const fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    /// The connection, to bind something to it ([`Connection::export_keying_material`]), for example.
    pub const fn connection(&self) -> &Connection {
        &self.pipe.connection
    }

    /// The stream below, to set its timeouts, for example. What is read or written there breaks the connection.
    pub const fn stream(&self) -> &S {
        &self.pipe.stream
    }
}

impl<S: Read + Write> Channel<S> {
    /// Tells the peer that nothing more comes, and gives the stream back.
    ///
    /// # Errors
    /// Where the stream fails.
    pub fn close(mut self) -> io::Result<S> {
        self.pipe.close()?;
        Ok(self.pipe.stream)
    }
}

impl<S> fmt::Debug for Channel<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("peer", self.peer.agent()).finish_non_exhaustive()
    }
}

impl<S: Read + Write> Read for Channel<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pipe.read(buffer)
    }
}

impl<S: Read + Write> Write for Channel<S> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.pipe.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

/// A connection and the stream below it.
struct Pipe<S> {
    connection: Connection,
    stream: S,
}

impl<S: Read + Write> Pipe<S> {
    /// Both sides say what they think of each other, the accepting one first: so neither waits for the other to make
    /// room, and who connects knows that it was accepted before its application writes anything.
    fn explain(&mut self, meeting: Meeting) -> Result<PeerIdentity, TlsError> {
        let met = meeting.met(&self.connection)?;
        if self.connection.alpn_protocol() != Some(ALPN) {
            return Err(TlsError::OtherMode);
        }
        let accepts = matches!(self.connection, Connection::Server(_));
        if !accepts {
            explain::hear(self)?;
        }
        explain::say(&met.verdict, self)?;
        if !met.verdict.is_accepted() {
            // It was refused whether or not it hears the end.
            let _ = self.close();
        }
        let peer = met.into_peer().map_err(TlsError::Refused)?;
        if accepts {
            explain::hear(self)?;
        }
        Ok(peer)
    }

    fn close(&mut self) -> io::Result<()> {
        self.connection.send_close_notify();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.stream)?;
        }
        self.stream.flush()
    }
}

impl<S: Read + Write> Read for Pipe<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.connection {
            Connection::Client(connection) => Stream::new(connection, &mut self.stream).read(buffer),
            Connection::Server(connection) => Stream::new(connection, &mut self.stream).read(buffer),
        }
    }
}

impl<S: Read + Write> Write for Pipe<S> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match &mut self.connection {
            Connection::Client(connection) => Stream::new(connection, &mut self.stream).write(octets),
            Connection::Server(connection) => Stream::new(connection, &mut self.stream).write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.connection {
            Connection::Client(connection) => Stream::new(connection, &mut self.stream).flush(),
            Connection::Server(connection) => Stream::new(connection, &mut self.stream).flush(),
        }
    }
}
