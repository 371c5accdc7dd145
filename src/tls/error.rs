//! Why there is no connection.

use std::io;

use thiserror::Error;

use super::alert::Alert;
use super::explain::TurnedAway;
use crate::verify::relying::Refused;

/// Why there is no connection, or none any more.
#[derive(Debug, Error)]
pub enum TlsError {
    /// This side refuses the peer.
    #[error("the peer is refused: {0}")]
    Refused(Box<Refused>),
    /// The peer refuses this side, and says why.
    #[error("the peer refuses this agent: {0}")]
    TurnedAway(TurnedAway),
    /// The peer refuses this side by an alert.
    #[error("the peer refuses this agent by the alert {0}")]
    Alert(Alert),
    /// The sides are in different modes.
    #[error("the peer does not speak of its verdict: both sides have to be in the mode Explain, or both in Strict")]
    OtherMode,
    /// What the peer says of its verdict is nothing that can be read.
    #[error("what the peer says of its verdict cannot be read: {0}")]
    Line(String),
    /// A connection of somebody else, or one whose handshake is not over.
    #[error("the connection is not the one whose peer was judged here, or its handshake is not over")]
    OtherConnection,
    /// TLS.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The connection below TLS.
    #[error("the connection: {0}")]
    Io(io::Error),
}

/// An error of TLS as it comes out of a stream, with what the peer's alert means.
impl From<io::Error> for TlsError {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(description)) => match Alert::received(*description) {
                Some(alert) => Self::Alert(alert),
                None => Self::Tls(rustls::Error::AlertReceived(*description)),
            },
            Some(other) => Self::Tls(other.clone()),
            None => Self::Io(error),
        }
    }
}

impl TlsError {
    /// The refusal, where this side refuses the peer.
    pub const fn refused(&self) -> Option<&Refused> {
        match self {
            Self::Refused(refused) => Some(refused),
            _ => None,
        }
    }

    /// Whether it is a verdict, of either side, rather than something that failed.
    pub const fn is_verdict(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::TurnedAway(_) | Self::Alert(_))
    }
}
