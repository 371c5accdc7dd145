//! Request bodies, bounded each by itself, by source and all together.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::Token;
use crate::http::limits::{Share, Shares};
use crate::http::problem::Failure;

/// Octets of all bodies together that are held at one time.
const MAX_HELD: usize = 96 << 20;
/// Octets of the bodies of one source, so that none keeps the others out.
const MAX_HELD_BY_SOURCE: usize = MAX_HELD / 8;
/// A client has this long to send its body.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Octets of a refused body that are read and forgotten, and for how long: a client that sends all of it before it
/// reads the answer would else find the connection closed, and never hear what was wrong.
const MAX_DRAINED: usize = 1 << 20;
const DRAINED_FOR: Duration = Duration::from_secs(2);

/// Reads bodies within one budget of memory.
#[derive(Debug)]
pub struct Intake {
    budget: Arc<Semaphore>,
    by_source: Arc<Shares>,
}

/// A body that was read. Its memory counts until this is dropped.
#[derive(Debug)]
pub struct Held {
    octets: Vec<u8>,
    share: Share,
    budget: Option<OwnedSemaphorePermit>,
}

impl std::ops::Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.octets
    }
}

impl Intake {
    /// An intake that holds nothing.
    pub fn new() -> Self {
        Self { budget: Arc::new(Semaphore::new(MAX_HELD)), by_source: Shares::new(MAX_HELD_BY_SOURCE) }
    }

    /// Reads a JSON body of at most `limit` octets that `sender` sends.
    pub async fn json(&self, sender: IpAddr, headers: &HeaderMap, body: Body, limit: usize) -> Result<Held, Failure> {
        self.of_type("application/json", sender, headers, body, limit).await
    }

    /// Reads a body of this media type, of at most `limit` octets, that `sender` sends.
    pub async fn of_type(
        &self,
        media: &str,
        sender: IpAddr,
        headers: &HeaderMap,
        mut body: Body,
        limit: usize,
    ) -> Result<Held, Failure> {
        let outcome = match check_headers(media, headers, limit) {
            Ok(()) => self.read_in_time(sender, &mut body, limit).await,
            Err(failure) => Err(failure),
        };
        if let Err(Failure(problem)) = &outcome
            && matches!(problem.token(), Some(Token::TooLarge | Token::UnsupportedMediaType))
        {
            let _ = tokio::time::timeout(DRAINED_FOR, drain(&mut body)).await;
        }
        outcome
    }

    async fn read_in_time(&self, sender: IpAddr, body: &mut Body, limit: usize) -> Result<Held, Failure> {
        match tokio::time::timeout(TIMEOUT, self.read(sender, body, limit)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::new(Token::Malformed, "the body did not arrive in time")),
        }
    }

    async fn read(&self, sender: IpAddr, body: &mut Body, limit: usize) -> Result<Held, Failure> {
        let mut held = Held { octets: Vec::new(), share: self.by_source.of(sender), budget: None };
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| Failure::new(Token::Malformed, format!("the body cannot be read: {e}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if data.len() > limit - held.octets.len() {
                return Err(too_large(limit));
            }
            if !held.share.grow(data.len()) {
                let detail = "this source address sends too much at once; finish what is under way, then try again";
                return Err(Failure::new(Token::RateLimited, detail));
            }
            let full = || Failure::new(Token::Overloaded, "too much is being sent at the moment; try again");
            let octets = u32::try_from(data.len()).map_err(|_| too_large(limit))?;
            let permit = Arc::clone(&self.budget).try_acquire_many_owned(octets).map_err(|_| full())?;
            match &mut held.budget {
                Some(budget) => budget.merge(permit),
                none => *none = Some(permit),
            }
            held.octets.extend_from_slice(&data);
        }
        Ok(held)
    }
}

/// Reads on for a while, and keeps nothing.
async fn drain(body: &mut Body) {
    let mut left = MAX_DRAINED;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, |data| data.len())) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn check_headers(expected: &str, headers: &HeaderMap, limit: usize) -> Result<(), Failure> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let media = text(header::CONTENT_TYPE).map(|t| t.split(';').next().unwrap_or_default().trim());
    if media.is_some_and(|media| !media.eq_ignore_ascii_case(expected)) {
        return Err(Failure::new(Token::UnsupportedMediaType, format!("send the request as {expected}")));
    }
    if text(header::CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Failure::new(Token::UnsupportedMediaType, "send the request without a content encoding"));
    }
    let stated = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if stated.is_some_and(|stated| stated > limit as u64) { Err(too_large(limit)) } else { Ok(()) }
}

fn too_large(limit: usize) -> Failure {
    Failure::new(Token::TooLarge, format!("the body may have at most {limit} octets"))
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use axum::body::{Bytes, HttpBody};
    use hyper::body::Frame;

    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// A body of so many chunks, that counts how many were taken; where there are `usize::MAX`, none ever comes.
    struct Chunks {
        left: usize,
        taken: Arc<AtomicUsize>,
    }

    impl HttpBody for Chunks {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            match self.left {
                0 => Poll::Ready(None),
                usize::MAX => Poll::Pending,
                _ => {
                    self.left -= 1;
                    self.taken.fetch_add(1, Ordering::SeqCst);
                    Poll::Ready(Some(Ok(Frame::data(vec![b' '; 65_536].into()))))
                }
            }
        }
    }

    fn status(outcome: Result<Held, Failure>) -> u16 {
        outcome.map_or_else(|failure| failure.0.status, |_| 200)
    }

    #[tokio::test]
    async fn each_body_has_a_limit() {
        let intake = Intake::new();
        let none = HeaderMap::new();
        assert_eq!(&*intake.json(LOCAL, &none, Body::from("abc"), 3).await.unwrap(), b"abc");
        assert_eq!(status(intake.json(LOCAL, &none, Body::from("abcd"), 3).await), 413);
        let stated = HeaderMap::from_iter([(header::CONTENT_LENGTH, "4".parse().unwrap())]);
        assert_eq!(status(intake.json(LOCAL, &stated, Body::empty(), 3).await), 413);
    }

    #[tokio::test]
    async fn what_is_refused_is_read_on_for_a_while() {
        let intake = Intake::new();
        let plain = HeaderMap::from_iter([(header::CONTENT_TYPE, "text/plain".parse().unwrap())]);
        for (headers, status_is, chunks, read) in [
            (&plain, 415, 3, 3),
            (&HeaderMap::new(), 413, 3, 3),
            (&HeaderMap::new(), 413, 99, MAX_DRAINED / 65_536 + 2),
        ] {
            let taken = Arc::default();
            let body = Body::new(Chunks { left: chunks, taken: Arc::clone(&taken) });
            assert_eq!(status(intake.json(LOCAL, headers, body, 9).await), status_is);
            assert_eq!(taken.load(Ordering::SeqCst), read);
        }
        // It does not wait for what never comes.
        let endless = Body::new(Chunks { left: usize::MAX, taken: Arc::default() });
        assert_eq!(status(intake.json(LOCAL, &plain, endless, 9).await), 415);
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_budget_that_comes_back() {
        let intake = Intake::new();
        let (none, half) = (HeaderMap::new(), vec![b' '; MAX_HELD / 2]);
        let one = intake.json(LOCAL, &none, Body::from(half.clone()), MAX_HELD).await.unwrap();
        let two = intake.json(LOCAL, &none, Body::from(half), MAX_HELD).await.unwrap();
        assert_eq!(status(intake.json(LOCAL, &none, Body::from("x"), MAX_HELD).await), 503);
        drop((one, two));
        assert_eq!(status(intake.json(LOCAL, &none, Body::from("x"), MAX_HELD).await), 200);
    }

    #[tokio::test]
    async fn one_source_leaves_room_for_others() {
        let intake = Intake::new();
        let (none, one, other) = (HeaderMap::new(), "192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let share = Body::from(vec![b' '; MAX_HELD_BY_SOURCE]);
        let held = intake.json(one, &none, share, MAX_HELD).await.unwrap();
        assert_eq!(status(intake.json(one, &none, Body::from("x"), 9).await), 429);
        assert_eq!(status(intake.json(other, &none, Body::from("x"), 9).await), 200);
        drop(held);
        assert_eq!(status(intake.json(one, &none, Body::from("x"), 9).await), 200);
    }

    #[tokio::test]
    async fn only_plain_json_is_read() {
        let intake = Intake::new();
        for (name, value, expected) in [
            (header::CONTENT_TYPE, "application/json; charset=utf-8", 200),
            (header::CONTENT_TYPE, "text/html", 415),
            (header::CONTENT_ENCODING, "gzip", 415),
            (header::CONTENT_ENCODING, "identity", 200),
        ] {
            let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
            assert_eq!(status(intake.json(LOCAL, &headers, Body::from("{}"), 9).await), expected, "{value}");
        }
    }
}
