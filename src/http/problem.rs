//! Errors as problem documents (RFC 9457). What status an error has is decided by its token, in
//! [`crate::api::Token`]; what token an error of ours has is decided here.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::{PROBLEM_MEDIA_TYPE, Problem, Subproblem, Token};
use crate::ca::service::{self as ca, CaError, CsrFault};
use crate::log::admission;
use crate::log::store::StoreError;
use crate::log::view::ViewError;
use crate::sequencer::task::Refusal;
use crate::trust::service::{self as trust, TrustError};

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

    /// A refusal with this token, to be tried again after so long.
    fn later(token: Token, detail: String, after: Duration) -> Self {
        let seconds = u32::try_from(after.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        Self(Problem::new(token, detail).retry_after(seconds.max(RETRY_SECONDS)))
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

impl From<CaError> for Failure {
    fn from(error: CaError) -> Self {
        let detail = error.to_string();
        match error {
            CaError::Csr { fault, .. } => Self::new(
                match fault {
                    CsrFault::Malformed | CsrFault::Signature => Token::BadCsr,
                    CsrFault::PublicKey => Token::BadPublicKey,
                    CsrFault::Identifier => Token::RejectedIdentifier,
                },
                detail,
            ),
            CaError::Refusal(refusal) => match refusal {
                ca::Refusal::Unauthorized(_) => Self::new(Token::Unauthorized, detail),
                ca::Refusal::Refused(reasons) => Self(Problem::new(Token::Policy, detail).of(subproblems(&reasons))),
                ca::Refusal::NotFound(_) => Self::new(Token::NotFound, detail),
                ca::Refusal::Conflict(_) => Self::new(Token::Conflict, detail),
            },
            CaError::Logs { retry_after, .. } => Self::later(Token::LogsUnavailable, detail, retry_after),
            CaError::Engine { retry_after, .. } => Self::later(Token::TrustUnavailable, detail, retry_after),
            CaError::Overloaded => Self::new(Token::Overloaded, detail),
            CaError::IssuerRevoked(_) => Self::new(Token::IssuerRevoked, detail),
            CaError::ReadOnly => Self::new(Token::ReadOnly, detail),
            CaError::Stopped => Self::new(Token::Shutdown, detail),
            // What failed inside is for the operator to know, not for the requester.
            CaError::Internal(why) => {
                tracing::error!(%why, "the CA failed at a request");
                Self::new(Token::Internal, "the CA failed, and issued nothing; its operator is told")
            }
        }
    }
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        let detail = error.to_string();
        match error {
            TrustError::Refusal(refusal) => match refusal {
                trust::Refusal::Forbidden(_) => Self::new(Token::Forbidden, detail),
                trust::Refusal::NotFound(_) | trust::Refusal::UnknownAgent(_) => Self::new(Token::NotFound, detail),
                trust::Refusal::Conflict(_) => Self::new(Token::Conflict, detail),
                // What is wrong with a signal stands in its outcome; alone it is a request that is wrong.
                _ => Self::new(Token::Malformed, detail),
            },
            TrustError::TooMany(_) => Self::new(Token::Malformed, detail),
            TrustError::Overloaded => Self::new(Token::Overloaded, detail),
            TrustError::ReadOnly => Self::new(Token::ReadOnly, detail),
            TrustError::Stopped => Self::new(Token::Shutdown, detail),
            // What failed inside is for the operator to know, not for who asks.
            TrustError::Internal(why) => {
                tracing::error!(%why, "the trust engine failed at a request");
                Self::new(Token::Internal, "the trust engine failed; its operator is told")
            }
        }
    }
}

/// The reasons of a refusal, by the names that the journal has for them.
fn subproblems(reasons: &ca::Refusals) -> impl Iterator<Item = Subproblem> {
    reasons.0.iter().map(|reason| {
        let code = serde_json::to_value(reason.code).unwrap_or_default();
        Subproblem::reason(code.as_str().unwrap_or_default(), reason.detail.as_str()).by(reason.rule.clone())
    })
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.0.token() == Some(Token::Unauthorized) {
            // RFC 9110 section 15.5.2; who asks for another credential puts its own in this place.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
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
    fn each_error_of_the_ca_has_its_token() {
        let (detail, wait) = (String::new(), Duration::from_millis(1500));
        let csr = |fault| CaError::Csr { fault, detail: "x".into() };
        let (at, reason) = (crate::time::UnixMillis::new(0), crate::apki::status::RevocationReason::KeyCompromise);
        let revoked = ca::IssuerRevocation { serial: "40".into(), at, reason, list: 2 };
        let cases = [
            (csr(CsrFault::Malformed), "badCSR", 400),
            (csr(CsrFault::PublicKey), "badPublicKey", 400),
            (csr(CsrFault::Identifier), "rejectedIdentifier", 403),
            (ca::Refusal::Unauthorized("x".into()).into(), "unauthorized", 401),
            (ca::Refusal::NotFound("x").into(), "notFound", 404),
            (ca::Refusal::Conflict("x".into()).into(), "conflict", 409),
            (CaError::Logs { detail: detail.clone(), retry_after: wait }, "logsUnavailable", 503),
            (CaError::Engine { detail, retry_after: wait }, "trustUnavailable", 503),
            (CaError::Overloaded, "overloaded", 503),
            (CaError::IssuerRevoked(revoked), "issuerRevoked", 403),
            (CaError::ReadOnly, "readOnly", 503),
            (CaError::Stopped, "shutdown", 503),
            (CaError::Internal("the secret place".into()), "internal", 500),
        ];
        for (error, token, status) in cases {
            let problem = Failure::from(error).0;
            assert_eq!((problem.token().map(Token::as_str), problem.status), (Some(token), status));
            assert!(!problem.detail.contains("secret"));
            if matches!(token, "logsUnavailable" | "trustUnavailable") {
                assert_eq!(problem.retry_after_seconds, Some(2));
            }
        }
    }

    #[test]
    fn each_error_of_the_trust_engine_has_its_token() {
        let cases = [
            (trust::Refusal::Forbidden("x").into(), "forbidden", 403),
            (trust::Refusal::NotFound("incident").into(), "notFound", 404),
            (trust::Refusal::Conflict("x".into()).into(), "conflict", 409),
            (TrustError::TooMany(100), "malformed", 400),
            (TrustError::Overloaded, "overloaded", 503),
            (TrustError::ReadOnly, "readOnly", 503),
            (TrustError::Stopped, "shutdown", 503),
            (TrustError::Internal("the secret place".into()), "internal", 500),
        ];
        for (error, token, status) in cases {
            let problem = Failure::from(error).0;
            assert_eq!((problem.token().map(Token::as_str), problem.status), (Some(token), status));
            assert!(!problem.detail.contains("secret"));
            assert_eq!(problem.retry_after_seconds.is_some(), status == 503);
        }
    }

    #[test]
    fn a_refusal_names_all_its_reasons() {
        let reason = |code, detail: &str| ca::Reason { code, rule: None, detail: detail.into() };
        let broken = ca::Reason { rule: Some("scoreCeiling".into()), ..reason(ca::ReasonCode::Score, "too low") };
        let reasons = vec![reason(ca::ReasonCode::TrustDomain, "not ours"), broken];
        let problem = Failure::from(CaError::from(ca::Refusal::Refused(ca::Refusals(reasons)))).0;
        assert_eq!((problem.status, problem.detail.as_str()), (403, "not ours; too low"));
        let second = Subproblem::reason("score", "too low").by(Some("scoreCeiling".into()));
        let expected = [Subproblem::reason("trustDomain", "not ours"), second];
        assert_eq!(problem.subproblems, expected);
    }

    #[test]
    fn who_has_no_credential_is_told_which() {
        let status = |token| {
            let response = Failure::new(token, "x").into_response();
            (response.status().as_u16(), response.headers().contains_key(header::WWW_AUTHENTICATE))
        };
        assert_eq!(status(Token::Unauthorized), (401, true));
        assert_eq!(status(Token::Policy), (403, false));
    }

    #[test]
    fn a_clock_that_must_catch_up_is_given_the_time() {
        let wait = |behind_ms| Failure::from(Refusal::ClockBehind { behind_ms }).0.retry_after_seconds;
        assert_eq!([0, 1, 1000, 1001, 59_999].map(wait), [1, 1, 1, 2, 60].map(Some));
        assert_eq!(wait(u64::MAX), Some(u32::MAX));
        assert_eq!(Failure::from(Refusal::Overloaded).0.retry_after_seconds, Some(RETRY_SECONDS));
    }
}
