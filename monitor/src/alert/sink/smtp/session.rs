//! A session with a mail server, from the connection to the goodbye (RFC 5321).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream, Tls};
use lettre::transport::smtp::extension::ClientId;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server may take over the goodbye. The mail is its own by then.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why a session came to nothing.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The server is not reached.
    #[error("Connection error: {0}")]
    Connect(#[from] io::Error),
    /// What was said in it, or was not.
    #[error(transparent)]
    Smtp(#[from] Error),
}

impl Failure {
    /// Whether the server says that the same again will not do.
    pub(super) fn is_permanent(&self) -> bool {
        matches!(self, Self::Smtp(error) if error.is_permanent())
    }

    /// Whether it is in the server's words.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Smtp(error) if error.status().is_some())
    }
}

/// A mail server, and who we are to it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Tls,
    pub(super) hello: ClientId,
    pub(super) credentials: Option<Credentials>,
    /// How long it may take to connect.
    pub(super) timeout: Duration,
}

impl Server {
    /// Hands a mail over. What is left to do with the session then is to [`part`] from the server.
    pub(super) async fn hand_over(&self, mail: &Message) -> Result<AsyncSmtpConnection, Failure> {
        let mut session = self.connect().await?;
        if let Some(credentials) = &self.credentials {
            session.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        session.send(mail.envelope(), &mail.formatted()).await?;
        Ok(session)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let place = (self.host.as_str(), self.port);
        let Tls::Required(parameters) = &self.tls else {
            let tls = if let Tls::Wrapper(parameters) = &self.tls { Some(parameters.clone()) } else { None };
            return Ok(AsyncSmtpConnection::connect_tokio1(place, Some(self.timeout), &self.hello, tls, None).await?);
        };
        let stream = timeout(self.timeout, TcpStream::connect(place)).await.map_err(io::Error::from)??;
        let mut session = AsyncSmtpConnection::connect_with_transport(Box::new(Narrow(stream)), &self.hello).await?;
        session.starttls(parameters.clone(), &self.hello).await?;
        Ok(session)
    }
}

/// Says goodbye. Whether the server does is not waited for long, and changes nothing.
pub(super) async fn part(mut session: AsyncSmtpConnection) {
    let _ = timeout(GOODBYE, session.quit()).await;
}

/// A connection that is read one octet at a time.
///
/// What somebody on the way puts behind the server's answer to `STARTTLS`, in plain text, must not be taken for its
/// answers under TLS: with enough of them a mail would seem to be delivered that nobody has. Nothing behind the answer
/// is read together with it this way, and TLS, which is next to read, ends where it finds such.
#[derive(Debug)]
struct Narrow(TcpStream);

impl AsyncTokioStream for Narrow {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}

impl AsyncRead for Narrow {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let mut octet = [0];
        let mut one = ReadBuf::new(&mut octet);
        let read = Pin::new(&mut self.0).poll_read(cx, &mut one);
        buf.put_slice(one.filled());
        read
    }
}

impl AsyncWrite for Narrow {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
