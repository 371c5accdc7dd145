//! Errors as problem documents (RFC 9457). What status an error has is decided by its token, in
//! [`crate::api::Token`]; what token an error of ours has is decided here.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::{PROBLEM_MEDIA_TYPE, Problem, Token};
use crate::log::admission;
use crate::log::store::StoreError;
use crate::log::view::ViewError;
use crate::sequencer::task::Refusal;

/// Seconds to wait before the next try, where nothing better is known.
const RETRY_SECONDS: u32 = 1;

/// A refusal on its way to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub Problem);

impl Failure {
    /// A refusal with this token.
    pub fn new(token: Token, detail: impl Into<String>) -> Self {
        let problem = Problem::new(token, detail);
        Self(if token.wants_retry_after() { problem.retry_after(RETRY_SECONDS) } else { problem })
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<admission::Refusal> for Failure {
    fn from(refusal: admission::Refusal) -> Self {
        let token = match refusal.fault() {
            admission::Fault::Submission => Token::BadSubmission,
            admission::Fault::Certificate => Token::BadCertificate,
            admission::Fault::Chain => Token::BadChain,
            admission::Fault::Anchor => Token::UnknownAnchor,
            admission::Fault::Shard => Token::OutsideShard,
        };
        Self::new(token, refusal.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let token = match refusal {
            Refusal::Overloaded | Refusal::Unavailable | Refusal::ClockBehind { .. } => Token::Overloaded,
            Refusal::Stopped => Token::Shutdown,
        };
        let next = match refusal {
            // A write that failed may have happened; the same submission finds the same place.
            Refusal::Stopped => "the submission may have been logged: send it again, the answer will be the same",
            _ => "nothing was logged, try again",
        };
        let failure = Self::new(token, format!("{refusal}; {next}"));
        match refusal {
            Refusal::ClockBehind { behind_ms } => {
                let seconds = u32::try_from(behind_ms.div_ceil(1000)).unwrap_or(u32::MAX).max(RETRY_SECONDS);
                Self(failure.0.retry_after(seconds))
            }
            _ => failure,
        }
    }
}

impl From<ViewError> for Failure {
    fn from(error: ViewError) -> Self {
        let token = match &error {
            ViewError::Store(StoreError::Unavailable(_)) => Token::Overloaded,
            ViewError::Store(error @ StoreError::Failed(_)) => {
                tracing::error!(%error, "a reader got nothing");
                return Self::new(Token::Internal, "what the log keeps cannot be read at the moment");
            }
            // What is damaged is for the operator to know, not for the reader.
            ViewError::Store(StoreError::Corrupt(_)) => {
                return Self::new(Token::Internal, "what the log keeps is damaged; it stops, and its operator is told");
            }
            ViewError::HashUnknown | ViewError::NotCovered | ViewError::OutsideTree { .. } => Token::HashUnknown,
            ViewError::TreeSizeUnknown { .. } => Token::TreeSizeUnknown,
        };
        Self::new(token, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.0.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_must_catch_up_is_given_the_time() {
        let wait = |behind_ms| Failure::from(Refusal::ClockBehind { behind_ms }).0.retry_after_seconds;
        assert_eq!([0, 1, 1000, 1001, 59_999].map(wait), [1, 1, 1, 2, 60].map(Some));
        assert_eq!(wait(u64::MAX), Some(u32::MAX));
        assert_eq!(Failure::from(Refusal::Overloaded).0.retry_after_seconds, Some(RETRY_SECONDS));
    }
}
