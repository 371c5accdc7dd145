//! The monitor's HTTP server: the page for people, gossip and witness for machines, metrics and health.
//!
//! What is asked is read whole and bounded before anybody looks at it; each part answers as a function from a
//! request to a response, and never sees the socket. **[`router`]** says which function, **[`serve`]** has the
//! sockets, **[`limits`]** says how much anybody may ask for. **[`ops`]** and **[`metrics`]** are for those who run
//! the monitor.

pub mod limits;
pub mod metrics;
pub mod ops;
pub mod reply;
pub mod router;
pub mod serve;
mod stall;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use atl::keys::Signer;
use atl::log::note::KeyName;
use atl::time::Clock;

use crate::board::Board;
use crate::config::Peer;
use crate::state::State;
use crate::watched::WatchedLog;

pub use self::limits::Limits;
pub use self::router::{Router, captured};
pub use self::serve::Server;

/// A request with its whole body.
pub type Request = hyper::Request<Vec<u8>>;

/// A response with its whole body.
pub type Response = hyper::Response<Vec<u8>>;

/// What the answering parts share.
pub struct Shared {
    /// The monitor's name: that of its key in notes.
    pub name: KeyName,
    /// The logs that are followed.
    pub logs: Vec<WatchedLog>,
    /// The other monitors that heads are exchanged with.
    pub peers: Vec<Peer>,
    /// The database.
    pub state: Arc<State>,
    /// How things stand.
    pub board: Arc<Board>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Signs audit statements and evidence (signature type 0x01).
    pub signer: Arc<dyn Signer>,
    /// Signs cosignatures (signature type 0x04), where this monitor is a witness.
    pub witness: Option<Arc<dyn Signer>>,
    /// The directory of evidence.
    pub evidence_dir: PathBuf,
}
