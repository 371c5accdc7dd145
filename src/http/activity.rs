//! What a connection is busy with, and when it has been long enough.
//!
//! A request is in flight from its head to the last octet of its answer: an answer that waits in
//! a buffer is one that the peer has yet to take.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::Instant;

/// Octets per second below which a peer reads too slowly.
const SLOWEST: u64 = 64 << 10;

/// The requests in flight on one connection, each with the time by which its answer must have
/// been taken, once there is one.
#[derive(Clone, Debug, Default)]
pub struct Activity(Arc<watch::Sender<Requests>>);

#[derive(Debug, Default)]
struct Requests {
    next: u64,
    in_flight: Vec<(u64, Option<Instant>)>,
}

/// One request in flight; it ends when this is dropped.
#[derive(Debug)]
pub struct InFlight {
    activity: Activity,
    id: u64,
}

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until its first request has a head.
    pub first: Duration,
    /// Without a request in flight.
    pub idle: Duration,
    /// Without progress in what it is sent; an answer as a whole has this and what a slow peer needs.
    pub stall: Duration,
}

impl Activity {
    /// A request begins.
    pub fn begin(&self) -> InFlight {
        let mut id = 0;
        self.0.send_modify(|requests| {
            id = requests.next;
            requests.next += 1;
            requests.in_flight.push((id, None));
        });
        InFlight { activity: self.clone(), id }
    }

    /// Resolves, with the reason, when the connection is not worth its place any more.
    pub async fn exhausted(&self, patience: Patience) -> &'static str {
        let mut requests = self.0.subscribe();
        loop {
            let (until, why) = {
                let requests = requests.borrow_and_update();
                let due = requests.in_flight.iter().filter_map(|(_, due)| *due).min();
                match (requests.in_flight.is_empty(), requests.next) {
                    (true, 0) => (Some(Instant::now() + patience.first), "it brought no request in time"),
                    (true, _) => (Some(Instant::now() + patience.idle), "it has been idle"),
                    (false, _) => (due, "it does not take its answers"),
                }
            };
            let changed = requests.changed();
            let Some(until) = until else {
                let _ = changed.await; // the sender is ours, so it is there
                continue;
            };
            if tokio::time::timeout_at(until, changed).await.is_err() {
                return why;
            }
        }
    }
}

impl InFlight {
    /// The answer's body, with which the request ends: at the latest after the time `grace` and
    /// what a slow peer needs.
    pub fn answered(self, body: Body, grace: Duration) -> Body {
        let octets = body.size_hint().upper().unwrap_or_default();
        let due = Instant::now() + grace + Duration::from_secs(octets / SLOWEST);
        self.activity.0.send_modify(|requests| {
            if let Some(request) = requests.in_flight.iter_mut().find(|(id, _)| *id == self.id) {
                request.1 = Some(due);
            }
        });
        Body::new(Attended { body, request: Arc::new(self) })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.activity.0.send_modify(|requests| requests.in_flight.retain(|(id, _)| *id != self.id));
    }
}

/// A body whose octets keep their request in flight, wherever they are buffered.
struct Attended {
    body: Body,
    request: Arc<InFlight>,
}

/// Octets, and what lives as long as they do.
pub struct Tied<T>(pub Bytes, pub T);

impl<T> AsRef<[u8]> for Tied<T> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl HttpBody for Attended {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let tie = |octets| Bytes::from_owner(Tied(octets, Arc::clone(&self.request)));
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(tie))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    const PATIENCE: Patience = Patience {
        first: Duration::from_millis(100),
        idle: Duration::from_millis(300),
        stall: Duration::from_millis(200),
    };

    async fn is_exhausted(activity: &Activity, within: u64) -> Option<&'static str> {
        tokio::time::timeout(Duration::from_millis(within), activity.exhausted(PATIENCE)).await.ok()
    }

    #[tokio::test]
    async fn a_request_in_flight_keeps_a_connection() {
        let activity = Activity::default();
        let request = activity.begin();
        assert_eq!(is_exhausted(&activity, 600).await, None);
        drop(request);
        assert_eq!(is_exhausted(&activity, 600).await, Some("it has been idle"));
        assert!(is_exhausted(&Activity::default(), 250).await.unwrap().contains("no request"));
    }

    #[tokio::test]
    async fn each_request_begins_the_wait_anew() {
        let activity = Activity::default();
        drop(activity.begin());
        let other = activity.clone();
        let requests = tokio::spawn(async move {
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_millis(150)).await;
                drop(other.begin());
            }
        });
        assert_eq!(is_exhausted(&activity, 700).await, None);
        requests.await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_is_in_flight_until_its_last_octet_is_gone() {
        let activity = Activity::default();
        let mut body = activity.begin().answered(Body::from("octets"), PATIENCE.stall);
        assert_eq!(body.size_hint().exact(), Some(6));
        let octets = body.frame().await.unwrap().unwrap().into_data().unwrap();
        drop(body);
        assert_eq!(&octets[..], b"octets");
        assert_eq!(activity.0.borrow().in_flight.len(), 1);
        assert_eq!(is_exhausted(&activity, 280).await, Some("it does not take its answers"));
        drop(octets);
        assert!(activity.0.borrow().in_flight.is_empty());
    }
}
