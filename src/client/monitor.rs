//! Monitors, asked for their audit statements ([`audit`](crate::log::audit)).

use super::{ClientError, Site};
use crate::log::note::MAX_NOTE_OCTETS;
use crate::merkle::Hash;

/// One monitor, by its base URL. Clones share their connections.
#[derive(Clone, Debug)]
pub struct MonitorClient {
    site: Site,
}

impl MonitorClient {
    /// A client of the monitor at `base`, with timeouts of 5 seconds to connect and 30 for a whole answer. It
    /// follows no redirect.
    ///
    /// # Errors
    /// Where `base` is not an `http` or `https` URL without query and fragment, or TLS cannot start.
    pub fn new(base: &str) -> Result<Self, ClientError> {
        Ok(Self { site: Site::new(base)? })
    }

    /// The base URL, without a slash at its end.
    pub fn base_url(&self) -> &str {
        self.site.base()
    }

    /// `GET audit/v1/<log>`, the log by its identifier: a signed note that nobody has looked at yet.
    ///
    /// # Errors
    /// Where there is no answer, or none of 200.
    pub async fn audit(&self, log: &Hash) -> Result<Vec<u8>, ClientError> {
        self.site.octets(&format!("audit/v1/{log}"), MAX_NOTE_OCTETS).await
    }
}
