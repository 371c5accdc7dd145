//! A transparency log over HTTP, as the CA reaches it.

use crate::api::{B64, ProblemType, SubmitEntryRequest};
use crate::ca::ports::{Answer, EntryType, LogSubmitter, SubmitError};
use crate::client::{ClientError, LogClient};

/// A log by its base URL.
pub struct HttpLog(LogClient);

impl HttpLog {
    /// The log at `url`.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        LogClient::new(url).map(Self)
    }

    async fn send(&self, kind: EntryType, certificate: &[u8], chain: &[Vec<u8>]) -> Result<Vec<u8>, SubmitError> {
        let entry = SubmitEntryRequest {
            submission: B64(certificate.to_vec()),
            entry_type: Some(kind),
            chain: chain.iter().cloned().map(B64).collect(),
        };
        match self.0.submit(&entry).await {
            Ok(answer) => Ok(answer.sat.0),
            Err(error) => Err(submit_error(&error)),
        }
    }
}

/// A refusal for good is one that speaks of the submission. Everything else may pass: a log that is
/// restarted, a proxy in between, a limit.
fn submit_error(error: &ClientError) -> SubmitError {
    match error {
        ClientError::Problem { status: 400..=428, problem, .. } if matches!(problem.kind, ProblemType::Known(_)) => {
            SubmitError::Refused(format!("{}: {}", problem.kind, problem.detail))
        }
        other => SubmitError::Retry { reason: other.to_string(), after: other.retry_after() },
    }
}

impl LogSubmitter for HttpLog {
    fn submit<'a>(
        &'a self,
        kind: EntryType,
        certificate: &'a [u8],
        chain: &'a [Vec<u8>],
    ) -> Answer<'a, Result<Vec<u8>, SubmitError>> {
        Box::pin(self.send(kind, certificate, chain))
    }

    fn probe(&self) -> Answer<'_, Result<(), String>> {
        Box::pin(async { self.0.sth().await.map(drop).map_err(|e| e.to_string()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Problem, Token};

    #[test]
    fn only_a_verdict_on_the_submission_is_final() {
        let problem = |token| {
            let problem = Problem::new(token, "detail");
            ClientError::Problem { url: "http://log".into(), status: token.status(), problem: Box::new(problem) }
        };
        for token in [Token::BadSubmission, Token::UnknownAnchor, Token::OutsideShard, Token::TooLarge] {
            assert!(matches!(submit_error(&problem(token)), SubmitError::Refused(_)), "{token}");
        }
        for token in [Token::RateLimited, Token::Overloaded, Token::ReadOnly, Token::Shutdown, Token::Internal] {
            assert!(matches!(submit_error(&problem(token)), SubmitError::Retry { .. }), "{token}");
        }
        let proxy = ClientError::Status { url: "http://log".into(), status: 404, retry_after_seconds: None };
        assert!(matches!(submit_error(&proxy), SubmitError::Retry { .. }));
    }
}
