//! Who works on which request.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;

use crate::ca::request::RequestId;

/// The requests that are being worked on in this process.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashSet<RequestId>>);

/// Being the only one who works on a request, and one of so many issuances at a time.
pub(super) struct Flight {
    id: RequestId,
    flights: Arc<Flights>,
    _place: OwnedSemaphorePermit,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.flights.0.lock().remove(&self.id);
    }
}

impl Flights {
    /// Whether somebody works on the request.
    pub(super) fn has(&self, id: &RequestId) -> bool {
        self.0.lock().contains(id)
    }

    /// Begins work on a request in this place: `None` where somebody else is at it.
    pub(super) fn take_off(self: &Arc<Self>, id: RequestId, place: OwnedSemaphorePermit) -> Option<Flight> {
        let first = self.0.lock().insert(id);
        first.then(|| Flight { id, flights: Arc::clone(self), _place: place })
    }
}
